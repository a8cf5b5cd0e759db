"""Whatever a caller has for a list of telephone numbers, made an iterable of values.

A caller has a list, rows of a database driver, a pandas, polars, numpy or pyarrow object, a generator, a lone number,
or the text that a template made of any of these. All are read alike, by what the objects can do, and no library is
imported. What cannot be a list of numbers is refused, with what to do: a list that is read in part looks like a wish to
remove the rest. Pure.
"""

from __future__ import annotations

import ast
import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NoReturn, SupportsIndex

#: The most rows in rows that are unwrapped: more than any driver has, and an end for a list that holds itself.
_DEEPEST_ROW: Final = 4
_NARROW_FLOAT: Final = re.compile(r"(?:float(?:16|32)?|halffloat)(?:\[pyarrow\])?", re.IGNORECASE)


class NotAListError(ValueError):
    """What was given cannot be a list of telephone numbers; the message says what it is, and what to do."""


def repeatable(values: Any) -> Any:
    """What can be iterated only once as a tuple; anything else as it is.

    An operator keeps its parameter for another try, and Airflow compares it from parse to parse.
    """
    return tuple(values) if isinstance(values, Iterator) else values


def iter_rows(values: object) -> Iterable[object]:
    """The values or rows of anything but text.

    :raises NotAListError: it cannot be a list of telephone numbers
    """
    if is_narrow_float(values):
        _refuse("holds floats of 32 bits, which keep about seven digits: the last ones are lost. Read it as text")
    dimensions = getattr(values, "ndim", None)
    if dimensions == 0:
        return (values.item(),)  # type: ignore[attr-defined]
    if values is None or (isinstance(values, int | float | Decimal | SupportsIndex) and dimensions is None):
        return (values,)
    column = _only_column(values)
    if column is not None:
        return iter_rows(column)
    if isinstance(values, bytes | bytearray | memoryview):
        _refuse("is bytes: decode them to text first")
    if isinstance(values, Mapping):
        _refuse(f"is a mapping of {len(values)} keys: pass its keys or its values, whichever are the numbers")
    try:
        iter(values)  # type: ignore[call-overload]
    except TypeError:
        _refuse(f"is of type {type(values).__name__}: pass a list of telephone numbers, or text")
    return values  # type: ignore[return-value]


def unwrap(value: object) -> object:
    """What a row of one column holds; any other value as it is.

    Rows are lists, tuples, the row objects of drivers, mappings of one key, and the scalars of pyarrow. Bytes are text,
    as some drivers give it.
    """
    for _ in range(_DEEPEST_ROW):
        if isinstance(value, str | int | float):
            break
        if isinstance(value, bytes | bytearray | memoryview):
            return _decoded(value)
        if is_narrow_float(value) or is_missing(value):
            break
        if hasattr(value, "as_py"):
            value = value.as_py()
        elif getattr(value, "ndim", None) == 0:
            value = value.item()  # type: ignore[attr-defined]
        elif isinstance(value, Mapping) and len(value) == 1:
            value = next(iter(value.values()))
        elif count_columns(value) == 1 and not isinstance(value, Mapping):
            value = value[0]  # type: ignore[index]
        else:
            break
    return value


def _decoded(value: bytes | bytearray | memoryview) -> object:
    try:
        return bytes(value).decode("ascii")
    except UnicodeDecodeError:
        return value


def count_columns(value: object) -> int | None:
    """How many columns a row has; ``None`` for what is no row."""
    if isinstance(value, str | bytes | bytearray | memoryview) or getattr(value, "ndim", None) == 0:
        return None
    is_row = hasattr(type(value), "__len__") and hasattr(type(value), "__getitem__")
    return len(value) if is_row else None  # type: ignore[arg-type]


def is_missing(value: object) -> bool:
    """Whether it stands for "no value": None, NaN, the NA and NaT of pandas and numpy, and numpy's masked."""
    if value is None or type(value).__name__ == "MaskedConstant":
        return True
    try:
        return bool(value != value)
    except (ArithmeticError, TypeError, ValueError):
        # pandas.NA has no truth, and a signalling NaN may not be compared.
        return type(value).__name__ == "NAType" or (isinstance(value, Decimal) and value.is_nan())


def is_narrow_float(value: object) -> bool:
    """Whether it is or holds floats of 32 bits or less, of numpy, pandas, pyarrow, polars or ``array``."""
    if getattr(value, "typecode", getattr(value, "format", None)) in ("e", "f"):
        return True
    kind = getattr(value, "dtype", None)
    if kind is None:
        kind = getattr(value, "type", None)
    return kind is not None and _NARROW_FLOAT.fullmatch(str(kind)) is not None


def list_rendered_by_template(text: str) -> Sequence[object] | None:
    """The values of a list whose text this is, as Python, JSON, pandas or numpy write it; ``None`` for other text.

    :raises NotAListError: it is the text of something that is no list of values, or the list is cut
    """
    stripped = text.strip()
    if _TEXT_OF_OBJECT.search(stripped):
        _refuse(
            f"is the text of a Python object ({stripped[:60]!r}), not of its values: pass the object itself, or make "
            "it a list in the template, such as {{ numbers | list }}",
        )
    if _CUT.search(stripped):
        _refuse(
            "is the text of a list that was cut for display (it holds '...'): numbers are missing from it. Pass the "
            "object itself, or make it a list in the template, such as {{ series.to_list() }}",
        )
    if rows := _rows_of_data_frame(text.strip("\n")):
        return rows
    if constructed := _CONSTRUCTED.fullmatch(stripped):
        stripped = constructed[1] or "[]"
    elif _EMPTY_FRAME.match(stripped):
        return []
    if stripped[:1] + stripped[-1:] not in {"[]", "()", "{}"}:
        return None
    listed = _read_literal(stripped)
    if isinstance(listed, Mapping):
        if not listed:
            return []
        _refuse("is the text of a mapping: pass its keys or its values, whichever are the telephone numbers")
    return listed if isinstance(listed, list | tuple) else None


# --- objects ---


def _refuse(reason: str) -> NoReturn:
    raise NotAListError(reason)


def _only_column(values: object) -> object | None:
    """The column of a table that has no other; ``None`` for what is no table."""
    if getattr(values, "ndim", None) == 2 and not hasattr(values, "columns") and hasattr(values, "shape"):
        width = values.shape[1]
        if width != 1:
            _refuse(f"has {width} columns: pass the one that holds the telephone numbers")
        return values.reshape(-1)  # type: ignore[attr-defined, no-any-return]
    columns = getattr(values, "column_names", None)
    if columns is None:
        columns = getattr(values, "columns", None)
    if columns is None or callable(columns):
        return None
    names = [str(each) for each in columns]
    if len(names) != 1:
        _refuse(
            f"is a table of {len(names)} columns ({', '.join(names[:20])}): pass the one that holds the telephone "
            "numbers",
        )
    return values[columns[0]]  # type: ignore[index, no-any-return]


# --- text of objects ---

_TEXT_OF_OBJECT: Final = re.compile(
    r" at 0x[0-9a-fA-F]+>|^Categories \(\d+, "
    r"|\A(?:<[^<>]* object>|<\w+Array>|LazyXCom\w+\(|shape: \(|pyarrow\.|rec\.array\(|-- dictionary:)",
    re.MULTILINE,
)
#: Three dots where a value should stand; pandas also writes a line of two.
_CUT: Final = re.compile(
    r"(?:^|[\s,\[(])(?:\.\.\.|\N{HORIZONTAL ELLIPSIS})(?=$|[\s,\])])|^[ \t]*\.\.[ \t]*$", re.MULTILINE
)
#: ``dict_keys([...])``, ``deque([...])``, ``array([...], dtype='<U10')``, ``Series([], dtype: object)``, ``set()``.
_CONSTRUCTED: Final = re.compile(
    r"[A-Za-z_][\w.]*\(\s*((?:\[.*\]|\{.*\}|\(.*\))?)(?:,\s*\w+\s*[=:][^\[\]{}()]*)?\)", re.DOTALL
)
_EMPTY_FRAME: Final = re.compile(r"Empty DataFrame\b")
#: The end of the text of a pandas Series. A DataFrame's has a line of column names above instead.
_FOOTER_OF_SERIES: Final = re.compile(r"(?:Name: .*, )?(?:Length: \d+, )?dtype: \S+")
_ROW_OF_FRAME: Final = re.compile(r"(\d+)\s{2,}(\S.*)")
#: Values that a literal cannot hold, as ``repr`` writes them in a list.
_WRAPPED_VALUE: Final = re.compile(r"\b(?:Decimal|(?:np|numpy)\.\w+)\(([^()]*)\)")
_MISSING_VALUE: Final = re.compile(r"(?<![\w'\"])(?:nan|NaN|NaT|<NA>|null)(?![\w'\"])")
_SCIENTIFIC_FLOAT: Final = re.compile(r"(?<![\w'\".])\d+(?:\.\d*)?[eE]\+?\d+(?![\w'\"])")
#: A text, and what is between it and the next: numpy writes texts side by side, which Python would join.
_BESIDE: Final = re.compile(r"""('(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+")(\s+(?=['"]))?""", re.DOTALL)


def _rows_of_data_frame(text: str) -> list[str] | None:
    """The values of a Series, or of a DataFrame of one column, with pandas' own index in front of each."""
    lines = [line.rstrip() for line in text.splitlines()]
    if len(lines) < 2:
        return None
    is_series = _FOOTER_OF_SERIES.fullmatch(lines[-1]) is not None
    rows = [_ROW_OF_FRAME.fullmatch(line) for line in (lines[:-1] if is_series else lines[1:])]
    if any(row is None or int(row[1]) != index for index, row in enumerate(rows)):
        return None
    values = [row[2] for row in rows if row is not None]
    if not is_series and any("  " in value for value in (lines[0].strip(), *values)):
        _refuse("is the text of a table of several columns: pass the one that holds the telephone numbers")
    return values


def _read_literal(text: str) -> object:
    """A literal with its floats in scientific notation kept as text: as floats, they do not show what they lost."""
    quoted = _SCIENTIFIC_FLOAT.sub(r"'\g<0>'", text)
    beside = _BESIDE.sub(lambda found: found[1] + (", " if found[2] else ""), quoted)
    plain = _MISSING_VALUE.sub("None", _WRAPPED_VALUE.sub(r"\1", beside))
    for read, candidate in (
        (functools.partial(json.loads, parse_float=str), text),
        (ast.literal_eval, beside),
        (ast.literal_eval, plain),
    ):
        try:
            return read(candidate)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return None
