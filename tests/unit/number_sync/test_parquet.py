"""One column of a Parquet file."""

from __future__ import annotations

import builtins
import io
import random
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from airflow_provider_bandwidth.exceptions import InvalidExtractError
from airflow_provider_bandwidth.number_sync.parquet import read_parquet
from airflow_provider_bandwidth.number_sync.plan import plan_number_sync

A, B = "9196660100", "9196660101"


def write(table: pa.Table, **options: Any) -> bytes:
    stream = io.BytesIO()
    parquet.write_table(table, stream, **options)
    return stream.getvalue()


def column(content: bytes, name: str = "Phone") -> list[object]:
    return list(read_parquet(io.BytesIO(content), name, "contacts.parquet"))


@pytest.mark.parametrize(
    ("values", "read"),
    [
        (pa.array([f" {A}", None, B]), [A, "", B]),
        (pa.array([A, B], pa.large_string()), [A, B]),
        (pa.array([A, B, A]).dictionary_encode(), [A, B, A]),
        (pa.array([int(A), None]), [int(A), ""]),
        (pa.array([float(A)]), [float(A)]),
        (pa.array([Decimal(A)], pa.decimal128(38, 0)), [Decimal(A)]),
        (pa.array([A.encode()], pa.binary()), [A]),
        (pa.array([A.encode()], pa.binary(10)), [A]),
        (pa.array([[A, B], [], None]), [A, B, "", ""]),
        (pa.array([None, None]), ["", ""]),
        (pa.array(["9\0"]), ["9\ufffd"]),
    ],
    ids=str,
)
def test_column_is_read_as_writers_write_it(values: pa.Array, read: list[object]) -> None:
    assert column(write(pa.table({"Name": pa.nulls(len(values)), " phone": values}))) == read


def test_row_groups_and_batches_are_read_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_bandwidth.number_sync.parquet._ROWS_AT_A_TIME", 3)
    values = [f"919666{last:04d}" for last in range(20)]
    assert column(write(pa.table({"Phone": values}), row_group_size=7)) == values
    assert column(write(pa.table({"Phone": pa.array([], pa.string())}))) == []


def test_of_several_columns_with_one_name_one_is_chosen() -> None:
    content = write(pa.Table.from_arrays([pa.array([A]), pa.array(["x"]), pa.array([B])], ["Phone", "Name", "Phone"]))
    with pytest.raises(InvalidExtractError, match="2 columns named 'Phone', numbers 1 and 3"):
        column(content)
    assert (column(content, "phone[1]"), column(content, "Phone[2]")) == ([A], [B])


def test_name_with_a_point_is_no_path() -> None:
    content = write(pa.table({"c": [{"Phone": B}], "c.Phone": [A]}))
    assert column(content, "c.phone") == [A]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (pa.array([1.0], pa.float32()), "floats of 32 bits"),
        (pa.array([True]), "is of type bool"),
        (pa.array([{"number": A}]), "is of type struct"),
        (pa.array([[{"number": A}]]), "is of type struct"),
        (pa.array([b"\xff\xfe\xfd"]), "bytes that are no UTF-8"),
    ],
)
def test_column_that_holds_no_numbers_is_refused(values: pa.Array, says: str) -> None:
    with pytest.raises(InvalidExtractError, match=rf"contacts\.parquet: column 'Phone'.*{says}"):
        column(write(pa.table({"Phone": values})))


def test_column_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidExtractError, match=r"no column 'Phone'\. Its columns: 'Name', 'Mobile'\."):
        column(write(pa.table({"Name": ["Doe"], "Mobile": [A]})))


@pytest.mark.parametrize("content", [b"", b"Phone\n9196660100\n", b"PAR1" + b"\0" * 20 + b"PAR1"])
def test_what_is_no_parquet_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidExtractError, match=r"contacts\.parquet is no whole Parquet file"):
        column(content)


def test_storage_that_fails_is_no_damage() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ConnectionResetError(104, "Connection reset by peer")

    with pytest.raises(ConnectionResetError):
        list(read_parquet(Failing(write(pa.table({"Phone": [A]}))), "Phone"))


def test_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find = builtins.__import__

    def without_pyarrow(name: str, *rest: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return find(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_pyarrow)
    with pytest.raises(InvalidExtractError, match=r"pip install 'airflow-provider-bandwidth\[parquet\]'"):
        column(b"")


PHONES = [f"9195{digit}{digit}0{digit}{other}7" for digit in range(5, 9) for other in range(0, 9, 2)]


def outcome(content: bytes) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """What would be removed and imported; None if the extract is refused."""
    try:
        plan = plan_number_sync(column(content), PHONES, remove_missing=True)
    except InvalidExtractError:
        return None
    return plan.to_remove, plan.to_import


def test_file_that_is_cut_anywhere_is_refused() -> None:
    whole = write(pa.table({"Phone": PHONES}))
    assert outcome(whole) == ((), ())
    assert {outcome(whole[:at]) for at in range(len(whole))} == {None}


def test_changed_byte_removes_no_live_number_and_imports_no_other() -> None:
    """The checksums of pages find it, which the writer of the file has to ask for."""
    whole = write(pa.table({"Phone": PHONES}), write_page_checksum=True)
    random_ = random.Random(743)
    outcomes = [
        outcome(whole[:at] + bytes([whole[at] ^ bits]) + whole[at + 1 :])
        for at in range(len(whole))
        for bits in random_.sample(range(1, 256), 2)
    ]
    assert set(outcomes) == {None, ((), ())}
    assert outcomes.count(None) > len(whole) // 2
