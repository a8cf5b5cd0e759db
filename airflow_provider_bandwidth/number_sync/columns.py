"""Which column of an extract is meant, and what a cell of it holds, whatever the extract is. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from airflow_provider_bandwidth.exceptions import InvalidExtractError

_NUMBERED: Final = re.compile(r"(.+)\[(\d+)\]")
#: What no database and no file of text takes: NUL, and halves of characters.
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


def find_indexes(names: Sequence[str], column: str) -> list[int]:
    """Where the column is among the names; an exact name wins over one that differs in case, blanks or form.

    Of several columns with one name, ``Phone[2]`` is the second.
    """
    for same in (str.strip, fold):
        wanted = same(column)
        if found := [index for index, name in enumerate(names) if wanted and same(name) == wanted]:
            return found
    if numbered := _NUMBERED.fullmatch(column.strip()):
        return find_indexes(names, numbered[1])[int(numbered[2]) - 1 :][:1] if int(numbered[2]) else []
    return []


def find_index(names: Sequence[str], column: str, source: str) -> int:
    """Where the one column is.

    :param source: what to call the extract in errors
    :raises InvalidExtractError: there is no such column, or there are several
    """
    indexes = find_indexes(names, column)
    if not indexes:
        raise InvalidExtractError(describe_missing(source, column, names))
    if len(indexes) > 1:
        raise InvalidExtractError(describe_several(source, column, indexes))
    return indexes[0]


def describe_missing(source: str, column: str, names: Sequence[str]) -> str:
    """What to say where there is no such column."""
    listed = ", ".join(repr(name.strip()[:60]) for name in names[:50])
    return f"{source} has no column {column!r}. Its columns: {listed}."


def describe_several(source: str, column: str, indexes: Sequence[int]) -> str:
    """What to say where several columns have this name."""
    places = " and ".join(str(index + 1) for index in indexes)
    return (
        f"{source} has {len(indexes)} columns named {column!r}, numbers {places}: which one is meant? Write "
        f"column={column + '[1]'!r} for the first of them, {column + '[2]'!r} for the second, or rename one."
    )


def fold(name: str) -> str:
    """A name for comparison: without differences of case, invisible characters, forms of characters, rows of blanks."""
    visible = "".join(each for each in unicodedata.normalize("NFKC", name) if unicodedata.category(each) != "Cf")
    return " ".join(visible.casefold().split())


def iter_cell(value: object, where: str) -> Iterator[object]:
    """The values of a cell that is more than text: those of a list one by one, bytes as text; a blank for no value.

    :param where: the cell, for errors
    :raises InvalidExtractError: it holds an object with fields of its own, or bytes that are no text
    """
    if value is None:
        yield ""
    elif isinstance(value, str):
        text = value.strip()
        yield text if text.isprintable() else _UNSTORABLE.sub("\ufffd", text)
    elif isinstance(value, bytes | bytearray | memoryview):
        try:
            yield from iter_cell(bytes(value).decode(), where)
        except UnicodeDecodeError:
            raise InvalidExtractError(f"{where} holds bytes that are no UTF-8 text. Write it as text.") from None
    elif isinstance(value, list):
        if not value:
            yield ""
        for each in value:
            yield from iter_cell(each, where)
    elif isinstance(value, tuple | Mapping):
        raise InvalidExtractError(
            f"{where} holds an object with fields of its own. Name a column that holds the telephone numbers "
            "themselves."
        )
    else:
        yield value
