"""The telephone numbers of an extract in JSON lines: one object a line, one field of each. Pure.

A line that is no whole object is an error with its number, never a blank. Writers leave out fields without a value, so
a line without the field is a blank; but not where it has a telephone number in a field that no line with the field has:
there the field was renamed within the file, and numbers that are read as blanks would be removed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any, Final

from airflow_provider_bandwidth.exceptions import InvalidExtractError
from airflow_provider_bandwidth.number_sync.columns import describe_missing, describe_several, find_indexes, iter_cell
from airflow_provider_bandwidth.number_sync.text_lines import TextLines
from airflow_provider_bandwidth.telephone_numbers import read_telephone_numbers

_KIND: Final = "file of JSON lines"
#: The most rows of field names that are remembered: writers have one or a few, and memory must not grow for ever.
_MOST_ROWS_OF_NAMES: Final = 1000
_NO_FIELD: Final = -1
_LONGEST_SHOWN: Final = 60

#: An object is read as a tuple of its fields, so that none that is there twice is lost. Floats stay as written.
_decode: Final = json.JSONDecoder(object_pairs_hook=tuple, parse_float=str, parse_constant=lambda _: None).decode


def read_json_lines(
    stream: IO[bytes], column: str, name: str = "the extract", *, encoding: str | None = None
) -> Iterator[object]:
    """The values of one field of each line, texts without blanks around them; those of a list one by one.

    :param stream: at its start
    :param column: the field's name; case, blanks and forms of characters do not matter
    :param name: what to call the file in errors
    :param encoding: any that Python knows, instead of a guess among UTF-8, UTF-16 and Windows-1252
    :raises InvalidExtractError: names the line, and what is wrong: no whole object, no line with this field, a field
        that is there twice, an object in the field, or telephone numbers in a field of another name
    """
    text = TextLines(stream, name, encoding, _KIND)
    fields = _Fields(column, text)
    for number, line in enumerate(text.lines(), 1):
        if line.isspace():
            continue
        row = _parse(line, number, text)
        index = fields.find(row, number)
        value = None if index == _NO_FIELD else row[index][1]
        if type(value) is str and value.isprintable():
            yield value.strip()
        else:
            yield from iter_cell(value, f"{name}, line {number}: {column!r}")
    fields.check()


def _parse(line: str, number: int, text: TextLines) -> tuple[tuple[str, Any], ...]:
    try:
        row = _decode(line)
    except (ValueError, RecursionError) as error:
        if line[-1] not in "\r\n" and line.lstrip()[:1] == "{":
            problem = "the file ends inside an object, without a line end. It is cut short: write it anew."
        else:
            why = error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__
            problem = f"{_shorten(line)} is no JSON object of one line ({why}). {_EXPECTED}"
        raise text.error(number, problem) from None
    if not isinstance(row, tuple):
        raise text.error(number, f"{_shorten(line)} is no JSON object. {_EXPECTED}")
    return row


_EXPECTED: Final = 'Write one object a line, such as {"phone": "9195550101"}, and no array around them.'


def _shorten(line: str) -> str:
    shown = line.strip()
    return repr(shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}...")


class _Fields:
    """Where the field is in each line, and which other fields may be it under another name."""

    def __init__(self, column: str, text: TextLines) -> None:
        self._column = column
        self._text = text
        self._found: dict[tuple[str, ...], int] = {}
        self._beside: set[str] = set()
        self._without: dict[str, None] = {}
        #: By name of another field: the first line that has a telephone number there, and lacks the field that is read.
        self._suspects: dict[str, int] = {}

    def find(self, row: tuple[tuple[str, Any], ...], line: int) -> int:
        names = tuple([name for name, _ in row])
        index = self._found.get(names)
        if index is None:
            if len(self._found) >= _MOST_ROWS_OF_NAMES:
                self._found.clear()
            index = self._found[names] = self._look_for(names, line)
        if index == _NO_FIELD:
            self._suspect(row, line)
        return index

    def _look_for(self, names: tuple[str, ...], line: int) -> int:
        indexes = find_indexes(names, self._column)
        if len(indexes) > 1:
            raise InvalidExtractError(describe_several(f"{self._text.name}, line {line}", self._column, indexes))
        if not indexes:
            self._without.update(dict.fromkeys(names))
            return _NO_FIELD
        self._beside.update(names)
        return indexes[0]

    def _suspect(self, row: tuple[tuple[str, Any], ...], line: int) -> None:
        for name, value in row:
            if name in self._beside or name in self._suspects or not isinstance(value, str | int):
                continue
            if isinstance(read_telephone_numbers(value), tuple):
                self._suspects[name] = line

    def check(self) -> None:
        """Refuse, at its end, a file that never has the field, or that has it under another name, too."""
        if self._without and not self._beside:
            problem = describe_missing(self._text.name, self._column, list(self._without))
            raise InvalidExtractError(f"{problem} {self._text.how}")
        for name, line in self._suspects.items():
            if name not in self._beside:
                raise self._text.error(
                    line,
                    f"it has no {self._column!r}, and a telephone number in {name!r}, which no line with "
                    f'{self._column!r} has. If the number does not belong there, write "{self._column}": null.',
                )
