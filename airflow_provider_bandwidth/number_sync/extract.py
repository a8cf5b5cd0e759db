"""The telephone numbers of an extract: one column of a CSV file, read as a careful person would. Pure.

In this order of importance: no number is lost, since a number that is not in the extract may be removed; no other
number is taken; no sane file is refused. So quoting is strict, every row has the width of the others, and what breaks
that is an error with its line, never a blank.

Damage that leaves no trace cannot be seen here: rows that are missing as a whole, at the end of a file (also where it
ends inside the last cell of a row, behind the number) or within it; a digit that became another; a cell that was
emptied. Against these stand the guards of the plan.
"""

from __future__ import annotations

import csv
import itertools
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final, NamedTuple

from airflow_provider_bandwidth.exceptions import InvalidExtractError
from airflow_provider_bandwidth.number_sync.columns import describe_missing, describe_several, find_indexes, fold
from airflow_provider_bandwidth.number_sync.text_lines import LONGEST_FIELD, TextLines
from airflow_provider_bandwidth.telephone_numbers import read_telephone_numbers

_log = logging.getLogger(__name__)


def read_column(
    stream: IO[bytes], column: str, name: str = "the extract", *, encoding: str | None = None
) -> Iterator[str]:
    """The values of one column of a CSV file, without blanks around them.

    It may be written as CRMs do: UTF-8 or UTF-16, with or without byte order marks; bytes that are not UTF-8 count as
    Windows-1252, with a line in the log. Any line ends; comma, semicolon, tab or bar between columns, or what a first
    line ``sep=;`` says; quoted or not. The row of column names may have other lines above it, and files with the same
    column names may be joined below.

    :param stream: at its start
    :param column: the column's name; case, blanks and forms of characters do not matter. Of several columns with one
        name, ``Phone[2]`` is the second
    :param name: what to call the file in errors
    :param encoding: the file's encoding, any that Python knows; guessed by default
    :raises InvalidExtractError: names the line, and what is wrong: not text, empty, no such column (names those that
        are there) or several of them, broken quoting, a row of another width, a file that is cut short
    """
    text = TextLines(stream, name, encoding)
    lines = text.lines()
    first_lines = list(itertools.islice(lines, _MOST_LINES_OF_HEADER))
    with _large_fields():
        header = _find_header(first_lines, column, text)
        yield from _read_rows(itertools.chain(first_lines[header.line_count :], lines), header, text)


@contextmanager
def _large_fields() -> Iterator[None]:
    before = csv.field_size_limit()
    csv.field_size_limit(max(before, LONGEST_FIELD))
    try:
        yield
    finally:
        csv.field_size_limit(before)


# --- the row of column names ---

_DELIMITERS: Final = (",", ";", "\t", "|")
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
#: The row of column names is looked for in so many first lines: about a page.
_MOST_LINES_OF_HEADER: Final = 60


@dataclass(frozen=True, slots=True)
class _Header:
    """Where the column is.

    :param line_count: lines up to the row of column names, itself included
    :param width: cells of a row, which may be one more or less than there are names if one is blank at the end
    """

    names: Sequence[str]
    index: int
    width: int
    line_count: int


class _Row(NamedTuple):
    cells: list[str]
    last_line: int


class _Candidate(NamedTuple):
    """A row in which the column's name stands."""

    delimiter: str
    at: int
    rows: list[_Row]
    indexes: list[int]

    def fits(self) -> bool:
        following = self.rows[self.at + 1 :]
        return bool(following) and len(following[0].cells) == _width(self.rows[self.at].cells, following)

    def find_number(self) -> int | None:
        """The first row below that has a telephone number in the column."""
        for at, row in enumerate(self.rows[self.at + 1 :], self.at + 1):
            cell = row.cells[self.indexes[0]] if len(row.cells) > self.indexes[0] else ""
            if isinstance(read_telephone_numbers(cell), tuple):
                return at
        return None


def _choose(found: Sequence[_Candidate]) -> _Candidate:
    """The row that stands nearest above the numbers: a title or a heading may be named like the column, too."""
    fitting = [each for each in found if each.fits()]
    first = next((each for each in fitting if each.find_number() is not None), None)
    if first is None:
        return (fitting or found)[0]
    numbers_at = first.find_number()
    same = (each for each in fitting if each.delimiter == first.delimiter and each.find_number() == numbers_at)
    return max(same, key=lambda each: each.at)


def _find_header(lines: Sequence[str], column: str, text: TextLines) -> _Header:
    first = next((at for at, line in enumerate(lines) if line.strip()), None)
    if first is None:
        raise InvalidExtractError(f"{text.name} is empty: not even a row of column names.")
    separator = _SEPARATOR_LINE.fullmatch(lines[first])
    found: list[_Candidate] = []
    widest: tuple[str, list[str]] = ("", [])
    for delimiter in (separator[1],) if separator else _DELIMITERS:
        rows = _parse_first_lines(lines, delimiter, first + 1 if separator else 0)
        for at, row in enumerate(rows):
            if indexes := find_indexes(row.cells, column):
                found.append(_Candidate(delimiter, at, rows, indexes))
            if len(row.cells) > len(widest[1]) and any(row.cells):
                widest = delimiter, row.cells
    if not found:
        text.delimiter = widest[0] if len(widest[1]) > 1 else ""
        raise InvalidExtractError(f"{describe_missing(text.name, column, widest[1])} {text.how}")
    delimiter, at, rows, indexes = _choose(found)
    text.delimiter = delimiter
    names = [cell.strip() for cell in rows[at].cells]
    if len(indexes) > 1:
        raise InvalidExtractError(describe_several(text.name, column, indexes))
    _refuse_numbers_above(rows[:at], indexes[0], text)
    if _LONG_ENOUGH_FOR_A_NUMBER.search(_DATE.sub("", "\n".join(names))):
        raise text.error(
            rows[at].last_line,
            "the row of column names holds a telephone number: a quotation mark or a line end is missing.",
        )
    width = _width(rows[at].cells, rows[at + 1 :])
    if width > len(names):
        _refuse_nameless_index(rows[at + 1 :], width, text)
    return _Header(names, indexes[0], width, rows[at].last_line)


def _parse_first_lines(lines: Sequence[str], delimiter: str, start: int) -> list[_Row]:
    reader = csv.reader(lines[start:], delimiter=delimiter, skipinitialspace=True)
    rows = []
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                rows.append(_Row(cells, start + reader.line_num))  # noqa: PERF401
    except csv.Error:
        pass  # told with its line when the rows are read
    return rows


def _width(names: Sequence[str], rows: Sequence[_Row]) -> int:
    """How many cells a row has. Two rows tell whether a delimiter ends all rows, or the names alone."""
    width = len(names)
    widths = [len(row.cells) for row in rows if len(row.cells) > 1][:2]
    if widths == [width + 1] * 2 and not any(row.cells[width].strip() for row in rows if len(row.cells) > width):
        return width + 1
    if widths == [width - 1] * 2 and not names[-1].strip():
        return width - 1
    return width


def _refuse_numbers_above(rows: Iterable[_Row], index: int, text: TextLines) -> None:
    """A file that was sorted, or joined the wrong way round, has rows above its column names."""
    for row in rows:
        cell = row.cells[0] if len(row.cells) == 1 else row.cells[index] if len(row.cells) > index else ""
        if isinstance(read_telephone_numbers(cell), tuple):
            raise text.error(row.last_line, "a telephone number stands above the row of column names.")


def _refuse_nameless_index(rows: Iterable[_Row], width: int, text: TextLines) -> None:
    """A row number without a column name shifts all values by one, which a blank last value hides."""
    first, second = [row for row in rows if len(row.cells) == width][:2]
    before, after = first.cells[0].strip(), second.cells[0].strip()
    if before.isdecimal() and after.isdecimal() and len(before) < _FEWEST_DIGITS and int(after) == int(before) + 1:
        raise text.error(
            first.last_line,
            f"{width} values under {width - 1} column names, and the first counts the rows: it has no column name. "
            "Give it one, or leave the row numbers out.",
        )


# --- rows ---

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
#: Dates, times and years: digits of a note below a table, and of no telephone number.
_DATE: Final = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,2}:\d{2}(?::\d{2})?|(?:19|20)\d\d-(?:19|20)\d\d")
_LONG_ENOUGH_FOR_A_NUMBER: Final = re.compile(r"(?:\d[-. ()/+]*){7}")
#: So many digits in a line between rows make it a piece of a broken row.
_DIGITS_OF_A_PIECE: Final = 4
#: The digits of a telephone number without its area code.
_FEWEST_DIGITS: Final = 7


#: Rows that are looked at together.
_ROWS_AT_A_TIME: Final = 500


def _read_rows(lines: Iterator[str], header: _Header, text: TextLines) -> Iterator[str]:
    index, before = header.index, header.line_count
    names = frozenset(filter(None, header.names))
    row: list[str] = []
    value = ""
    # Most files have nothing but rows of one line each, which are read together; the first others end that.
    ahead = list(itertools.islice(lines, _ROWS_AT_A_TIME))
    while ahead and (rows := _parse_usual_rows(ahead, header, text)):
        values = [row[index].strip() for row in rows]
        if not names.isdisjoint(values):
            break
        yield from values
        row, value = rows[-1], values[-1]
        before += len(rows)
        ahead = list(itertools.islice(lines, _ROWS_AT_A_TIME))
    yield from _read_rows_one_by_one(itertools.chain(ahead, lines), header, text, before, row, value)


def _parse_usual_rows(lines: Sequence[str], header: _Header, text: TextLines) -> list[list[str]] | None:
    """The rows that these lines are, one each and as wide as they should be; ``None`` if they are not that."""
    try:
        rows = list(csv.reader(lines, delimiter=text.delimiter, skipinitialspace=True, strict=True))
    except csv.Error:
        return None
    is_usual = len(rows) == len(lines) and set(map(len, rows)) == {header.width} and header.width <= len(header.names)
    return rows if is_usual else None


def _read_rows_one_by_one(
    lines: Iterable[str], header: _Header, text: TextLines, before: int, row: list[str], value: str
) -> Iterator[str]:
    """The values of all rows.

    :param before: lines above these
    :param row: the row above these, if any, and its value
    """
    index, width = header.index, header.width
    names = frozenset(filter(None, header.names))
    is_wider = width > len(header.names)
    reader = csv.reader(lines, delimiter=text.delimiter, skipinitialspace=True, strict=True)
    line = 0
    notes: list[tuple[int, str]] = []
    last_blank = 0
    try:
        for row in reader:
            line += 1
            if len(row) == width and reader.line_num == line and not notes and not (is_wider and row[-1].strip()):
                value = row[index].strip()
                if value not in names or not _is_header(row, line + before, header, text):
                    yield value
                continue
            start, line = line + before, reader.line_num
            if not any(map(str.strip, row)):
                last_blank = start
                continue
            if len(row) == 1 < width:
                notes.append((start, row[0]))
                continue
            if len(row) != width or (is_wider and row[-1].strip()):
                raise _odd_row(row, start, reader, len(header.names) if is_wider else width, text)
            _refuse_pieces(notes, width, text)
            notes.clear()
            _refuse_swallowed_rows(row, start, header, text)
            value = row[index].strip()
            if value not in names or not _is_header(row, start, header, text):
                yield value
    except csv.Error as error:
        raise _explain(error, line + before + 1, reader.line_num + before, text) from None
    is_piece = notes and notes[0][0] - 1 != last_blank
    if not text.is_whole and (is_piece or 1 < len(row) < width):
        raise text.error(
            reader.line_num + before,
            f"the file ends inside a row: its last line has {len(row)} of {width} values and no line end. It is cut "
            "short: write it anew.",
        )
    _check_end(row, value, notes, header, text, line + before)


def _is_header(row: Sequence[str], line: int, header: _Header, text: TextLines) -> bool:
    """Whether it is the row of column names again, as in files that were joined."""
    again, names = [fold(cell) for cell in row], [fold(name) for name in header.names]
    if again[: len(names)] == names[: len(again)]:
        return True
    if fold(header.names[header.index]) in again and len(set(again) & set(names)) > len(names) // 2:
        raise text.error(line, "another row of column names, in another order: join files with the same columns only.")
    return False


def _odd_row(
    row: Sequence[str], line: int, rows: Iterator[list[str]], width: int, text: TextLines
) -> InvalidExtractError:
    is_last = next(rows, None) is None
    if is_last and not text.is_whole and len(row) < width:
        return text.error(
            line,
            f"the file ends inside a row: its last line has {len(row)} of {width} values and no line end. It is cut "
            "short: write it anew.",
        )
    values = f"{len(row)} value{'s' if len(row) != 1 else ''}"
    return text.error(
        line,
        f"{values} under {width} column names. A value that holds the delimiter or a line break must stand in "
        "quotation marks; or the row is cut short.",
    )


def _refuse_pieces(notes: Iterable[tuple[int, str]], width: int, text: TextLines) -> None:
    """Lines of a single cell between rows: a heading has few digits, a piece of a broken row may have many."""
    for line, note in notes:
        if sum(map(str.isdecimal, _DATE.sub("", note))) >= _DIGITS_OF_A_PIECE:
            raise _piece(line, note, width, text)


def _piece(line: int, note: str, width: int, text: TextLines) -> InvalidExtractError:
    return text.error(
        line,
        f"1 value under {width} column names, {note.strip()[:40]!r}: a piece of a row, or another delimiter. "
        "A value that holds a line break must stand in quotation marks.",
    )


def _refuse_swallowed_rows(row: Sequence[str], line: int, header: _Header, text: TextLines) -> None:
    """A quotation mark that is never closed makes one value of whole rows, up to the next mark.

    Such a value holds lines that are as wide as a row and have a telephone number where the column is.
    """
    own = read_telephone_numbers(row[header.index])
    for inner in _LINE_END.split(text.delimiter.join(row)):
        cells = inner.split(text.delimiter)
        if len(cells) < header.width or len(cells) == 1:
            continue
        for index in {header.index, header.index - header.width}:
            numbers = read_telephone_numbers(cells[index])
            if isinstance(numbers, tuple) and not (isinstance(own, tuple) and set(numbers) <= set(own)):
                raise text.error(
                    line,
                    "a quoted value goes on over lines that are rows themselves: its quotation mark is not closed.",
                )


def _explain(error: csv.Error, first: int, last: int, text: TextLines) -> InvalidExtractError:
    if "end of data" in str(error):
        problem = "the file ends inside a quoted value: it is cut short, or a quotation mark is missing."
    elif "limit" in str(error):
        problem = f"a value of more than {LONGEST_FIELD:,} characters: a quotation mark is not closed."
    else:
        until = f" (up to line {last})" if last > first else ""
        problem = (
            f"a quoted value{until} is followed by text: it is not closed before the delimiter, or holds a quotation "
            "mark that is not doubled."
        )
    return text.error(first, problem)


def _check_end(
    row: Sequence[str],
    value: str,
    notes: Iterable[tuple[int, str]],
    header: _Header,
    text: TextLines,
    line: int,
) -> None:
    """Check that what stands below the last row is a note, and that the last row is whole."""
    for at, note in notes:
        without_dates = _DATE.sub("", note)
        has_letters = any(map(str.isalpha, note))
        if _LONG_ENOUGH_FOR_A_NUMBER.search(without_dates) or (not has_letters and any(map(str.isdecimal, note))):
            raise _piece(at, note, header.width, text)
    if not text.is_whole:
        _log.info("%s ends without a line end: nothing tells whether more lines should follow.", text.name)
    may_be_cut = not text.is_whole and not notes and len(row) == header.width == header.index + 1
    if may_be_cut and not any(map(str.isalpha, value)) and sum(map(str.isdecimal, value)) < 10:
        raise text.error(
            line,
            f"the file ends inside a row: its last line has no line end, and {value!r} is no whole number. It is cut "
            "short: write it anew, or end its last line.",
        )
