"""Whatever a caller has is read alike: objects of any library, and the text that a template makes of them."""

from __future__ import annotations

import array
import collections
import sqlite3
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from airflow_provider_bandwidth.exceptions import InvalidParameterError
from airflow_provider_bandwidth.number_sync.plan import plan_number_sync
from airflow_provider_bandwidth.telephone_numbers import normalize_telephone_numbers
from airflow_provider_bandwidth.values import repeatable

A, B = "9195550101", "9195550102"


def rows_of_sqlite() -> list[sqlite3.Row]:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    return connection.execute("SELECT ? AS phone UNION SELECT ?", (A, B)).fetchall()


class Row:
    """As pyodbc's: neither a list nor a tuple."""

    def __init__(self, *cells: object) -> None:
        self._cells = cells

    def __len__(self) -> int:
        return len(self._cells)

    def __getitem__(self, index: int) -> object:
        return self._cells[index]


LISTS: dict[str, Callable[[], Any]] = {
    "list": lambda: [A, B],
    "whole numbers": lambda: [int(A), int(B)],
    "floats": lambda: [float(A), float(B)],
    "decimals": lambda: [Decimal(A), Decimal(B)],
    "rows": lambda: [(A,), (B,)],
    "lists of one": lambda: [[A], [B]],
    "rows of rows": lambda: [[(A,), (B,)][:1], [(B,)]],
    "mappings": lambda: [{"phone": A}, {"phone": B}],
    "keys": lambda: {A: 1, B: 2}.keys(),
    "values": lambda: {1: A, 2: B}.values(),
    "deque": lambda: collections.deque([A, B]),
    "Series": lambda: pd.Series([A, B]),
    "Series of int": lambda: pd.Series([int(A), int(B)]),
    "Series of Int64": lambda: pd.Series([int(A), int(B)], dtype="Int64"),
    "named Series": lambda: pd.Series([A, B], name="phone"),
    "Index": lambda: pd.Index([A, B]),
    "DataFrame": lambda: pd.DataFrame({"phone": [A, B]}),
    "array": lambda: np.array([A, B]),
    "array of int": lambda: np.array([int(A), int(B)]),
    "array of objects": lambda: np.array([A, B], dtype=object),
    "array of one column": lambda: np.array([[A], [B]]),
    "pyarrow array": lambda: pa.array([A, B]),
    "pyarrow chunks": lambda: pa.chunked_array([[A], [B]]),
}
OBJECTS: dict[str, Callable[[], Any]] = {
    "generator": lambda: (number for number in (A, B)),
    "Series of float": lambda: pd.Series([float(A), float(B)]),
    "categories": lambda: pd.Series([A, B], dtype="category"),
    "records": lambda: pd.DataFrame({"phone": [A, B]}).to_records(index=False),
    "rows of sqlite": rows_of_sqlite,
    "rows of a driver": lambda: [Row(A), Row(B)],
    "pyarrow table": lambda: pa.table({"phone": [A, B]}),
    "pyarrow dictionary": lambda: pa.array([A, B]).dictionary_encode(),
    "texts of numpy": lambda: [np.str_(A), np.str_(B)],
    "numbers of numpy": lambda: [np.int64(A), np.float64(B)],
    "bytes of a driver": lambda: [A.encode(), bytearray(B.encode())],
    "rows of buffers": lambda: [(memoryview(A.encode()),), (memoryview(B.encode()),)],
    "bytes of numpy": lambda: np.array([A, B], dtype="S10"),
    "array of whole numbers": lambda: array.array("q", [int(A), int(B)]),
}


@pytest.mark.parametrize("make", (LISTS | OBJECTS).values(), ids=(LISTS | OBJECTS).keys())
def test_any_object_stands_for_its_values(make: Callable[[], Any]) -> None:
    result = normalize_telephone_numbers(make())
    assert (result.telephone_numbers, result.rejected) == ((A, B), ())


@pytest.mark.parametrize("render", [str, repr])
@pytest.mark.parametrize("make", LISTS.values(), ids=LISTS.keys())
def test_its_text_stands_for_the_same(make: Callable[[], Any], render: Callable[[object], str]) -> None:
    if render is repr and "pyarrow" in type(make()).__module__:
        pytest.skip("repr of pyarrow's arrays begins with an address: see below")
    result = normalize_telephone_numbers(render(make()))
    assert (result.telephone_numbers, result.rejected) == ((A, B), ())


@pytest.mark.parametrize("values", [[" "], [A, " "], ["\n", "'", '" "'], ["x' 'y", B]])
def test_blanks_between_quotation_marks_are_a_text(values: list[str]) -> None:
    assert normalize_telephone_numbers(repr(values)) == normalize_telephone_numbers(values)


@pytest.mark.parametrize("value", [int(A), float(A), A, np.int64(A), np.array(A), Decimal(A)])
def test_a_lone_number_is_a_list_of_one(value: Any) -> None:
    assert normalize_telephone_numbers(value).telephone_numbers == (A,)


@pytest.mark.parametrize(
    "value",
    [
        None,
        float("nan"),
        Decimal("nan"),
        pd.NA,
        pd.NaT,
        np.nan,
        np.datetime64("NaT"),
        np.float32("nan"),
        pa.scalar(None, pa.string()),
        np.ma.masked,
        (None,),
        (pd.NA,),
        {"phone": None},
    ],
)
def test_what_is_missing_is_empty(value: object) -> None:
    (rejected,) = normalize_telephone_numbers([value]).rejected
    assert rejected.code == "empty"


NOT_A_LIST: list[tuple[Any, str]] = [
    (pd.DataFrame({"name": ["Doe"], "phone": [A]}), "table of 2 columns (name, phone)"),
    (pa.table({"name": ["Doe"], "phone": [A]}), "table of 2 columns (name, phone)"),
    (np.array([[A, B]]), "2 columns"),
    ({A: 1}, "mapping"),
    (A.encode(), "bytes"),
    (object(), "type object"),
    (pd.Series([float(A)], dtype="float32"), "floats of 32 bits"),
    (pa.array([1.0], pa.float32()), "floats of 32 bits"),
    (np.float32(A), "floats of 32 bits"),
    (array.array("f", [float(A)]), "floats of 32 bits"),
    (memoryview(array.array("f", [float(A)])), "floats of 32 bits"),
    (str(object()), "text of a Python object"),
    (str(number for number in (A, B)), "text of a Python object"),
    (str(rows_of_sqlite()), "text of a Python object"),
    (repr(pa.array([A, B])), "text of a Python object"),
    (str(pa.table({"phone": [A, B]})), "text of a Python object"),
    (str(pd.Categorical([A, B])), "text of a Python object"),
    (str({"phone": A}), "text of a mapping"),
    (f'{{"phones": ["{A}"]}}', "text of a mapping"),
    (str(pd.DataFrame({"name": ["Doe", "Roe"], "phone": [A, B]})), "table of several columns"),
    (str(pd.DataFrame({"mobile": [A], "phone": [B]})), "table of several columns"),
    (str(pd.Series([A] * 200)), "cut for display"),
    (str(pd.DataFrame({"phone": [A] * 200})), "cut for display"),
    (str(np.array([int(A)] * 5000)), "cut for display"),
    (str(pa.array([A] * 200)), "cut for display"),
    (f"[{A}, ..., {B}]", "cut for display"),
]


@pytest.mark.parametrize(
    ("values", "says"), NOT_A_LIST, ids=[f"{at} {says}" for at, (_, says) in enumerate(NOT_A_LIST)]
)
def test_what_cannot_be_a_list_of_numbers_is_named(values: Any, says: str) -> None:
    (rejected,) = normalize_telephone_numbers(values).rejected
    assert rejected.code == "not_a_list"
    assert says in rejected.reason
    for parameter in ("telephone_numbers", "excluded_telephone_numbers"):
        given = {"excluded": values} if parameter.startswith("excluded") else {}
        with pytest.raises(InvalidParameterError) as refused:
            plan_number_sync([] if given else values, [], **given)
        assert str(refused.value).startswith(f"{parameter}: ")
        assert says in str(refused.value)


@pytest.mark.parametrize(
    "values",
    [
        [(A, B)],
        [{"mobile": A, "phone": B}],
        [Row(A, B)],
        str([(A, B)]),
        f'[["{A}", "{B}"]]'.replace("]]", '], ["9195550103", "9195550104"]]'),
        [np.float32(A)],
    ],
)
def test_nothing_is_picked_out_of_a_row_of_several_columns(values: Any) -> None:
    result = normalize_telephone_numbers(values)
    assert result.telephone_numbers == ()
    assert {rejected.code for rejected in result.rejected} == {"not_text"}


@pytest.mark.parametrize(
    "text",
    [
        "[9.19556E+09]",
        "[9.1955501e+09, 9.1955502e+09]",
        str(np.array([float(A), float(B)])),
        repr(np.array([float(A), float(B)])),
        str(pd.Series([float(A), float(B)])),
        str([9195560000.0]),
        str([Decimal("9.19556E+9")]),
    ],
)
def test_text_of_floats_that_lost_digits_is_no_number(text: str) -> None:
    assert normalize_telephone_numbers(text).telephone_numbers == ()


@pytest.mark.parametrize(
    "text",
    ["Series([], dtype: object)", "Empty DataFrame\nColumns: [phone]\nIndex: []", "set()", "dict_keys([])", "{}", "[]"],
)
def test_text_of_an_empty_list_is_empty(text: str) -> None:
    result = normalize_telephone_numbers(text)
    assert (result.telephone_numbers, result.rejected) == ((), ())


def test_missing_values_in_a_rendered_list_are_empty() -> None:
    for values in ([A, float("nan")], [A, None], [(A,), (None,)], pd.Series([A, None]), [Decimal(A), None]):
        result = normalize_telephone_numbers(str(values))
        assert (result.telephone_numbers, [each.code for each in result.rejected]) == ((A,), ["empty"])


def test_what_can_be_iterated_once_is_kept() -> None:
    kept = repeatable(number for number in (A, B))
    assert list(kept) == list(kept) == [A, B]
    series = pd.Series([A])
    assert repeatable(series) is series
    assert repeatable(A) is A
