"""The telephone numbers of an extract: one column of a CSV file as CRMs write it.

Pure: no Airflow, no network.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import IO, Final

from airflow_provider_bandwidth.exceptions import InvalidExtractError

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DELIMITERS: Final = ",;\t|"
_BINARY = re.compile(r"[\0-\x08\x0e-\x1f]")
#: A last row of our own: where it does not come out of the CSV reader alone, a quotation mark was never closed.
_END: Final = "\x1fend of extract"


def read_column(stream: IO[bytes], column: str, name: str = "the extract") -> Iterator[str]:
    """The values of one column of a CSV file, without blanks around them.

    Written as CRMs do: UTF-8 with or without a byte order mark, or UTF-16 with one; LF or CRLF; comma, semicolon, tab
    or bar between columns; quoted or not.

    :param stream: seekable, at its start
    :param column: the column's name in the first row; case and blanks around it do not matter
    :param name: what to call the file in errors
    :raises InvalidExtractError: not text, empty, without the column (names those that are there) or with two of it, or
        broken quoting, since numbers lost in it would look as if they should be removed
    """
    head = stream.read(4)
    stream.seek(0)
    encoding = next((encoding for bom, encoding in _BOMS if head.startswith(bom)), "utf-8")
    text = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="")
    try:
        yield from _read_rows(_check_lines(text, name), column, name)
    finally:
        text.detach()


def _check_lines(lines: Iterable[str], name: str) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if "\0" in line or (number == 1 and _BINARY.search(line)):
            raise InvalidExtractError(
                f"{name} is not text: line {number} holds binary data. Give a CSV file, no workbook and no archive."
            )
        yield line


def _read_rows(lines: Iterator[str], column: str, name: str) -> Iterator[str]:
    header = next((line for line in lines if line.strip()), None)
    if header is None:
        raise InvalidExtractError(f"{name} is empty: not even a row of column names.")
    delimiter, index, width = _find_column(header, column, name)
    reader = csv.reader(itertools.chain(lines, (_END,)), delimiter=delimiter, skipinitialspace=True)
    row: list[str] = []
    try:
        for row in reader:
            if row and row != [_END]:
                if any(cell.strip() for cell in row[width:]):
                    raise InvalidExtractError(
                        f"{name}, around line {reader.line_num + 1}: {len(row)} values under {width} column names. "
                        "A value that holds the delimiter must stand in quotation marks."
                    )
                yield row[index].strip() if len(row) > index else ""
    except csv.Error as error:
        raise InvalidExtractError(f"{name}, around line {reader.line_num + 1}: {error}.") from None
    if row != [_END]:
        raise InvalidExtractError(
            f"{name} ends inside a quoted value: it is cut short, or a quotation mark is missing."
        )


def _find_column(header: str, column: str, name: str) -> tuple[str, int, int]:
    """The delimiter, the index of the column, and how many columns there are."""
    most: list[str] = []
    for delimiter in _DELIMITERS:
        names = [cell.strip() for cell in next(csv.reader([header], delimiter=delimiter, skipinitialspace=True))]
        for same in (str.strip, _fold):
            found = [index for index, cell in enumerate(names) if same(cell) == same(column)]
            if len(found) == 1:
                return delimiter, found[0], len(names)
        if len(found) > 1:
            raise InvalidExtractError(f"{name} has {len(found)} columns named {column!r}: which one is meant?")
        most = max(most, names, key=len)
    raise InvalidExtractError(
        f"{name} has no column {column!r}. Its columns: {', '.join(repr(cell[:60]) for cell in most[:50])}."
    )


def _fold(text: str) -> str:
    return text.strip().casefold()
