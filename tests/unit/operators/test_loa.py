"""Letters of authorization of a task: each comes to each order once, and no order waits for its letter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from support.imports import IMPORT_DEFAULTS
from support.task_log import TaskLog
from support.tasks import FakeTaskInstance, make_context

from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator
from airflow_provider_bandwidth.sandbox import Sandbox

NUMBERS = ["9195550101", "9195550102"]


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    path = tmp_path / "bakery.pdf"
    path.write_bytes(b"%PDF-1.7")
    return path


@pytest.fixture(autouse=True)
def account(sandbox: Sandbox, connect: Callable[..., None]) -> None:
    sandbox.configure(received_seconds=1e9)
    connect(sandbox.connection, extra={**IMPORT_DEFAULTS, "order_api": "importTnOrders/messaging"})


def submit(ti: FakeTaskInstance | None = None, **fields: Any) -> dict[str, Any]:
    """The XComs of a task that submits."""
    ti = ti or FakeTaskInstance("submit")
    given = {"action": "IMPORT", "telephone_numbers": NUMBERS, **fields}
    ti.xcom_push("return_value", BandwidthTnOrderOperator(task_id="submit", **given).execute(make_context(ti)))
    return ti.xcoms


def test_each_order_gets_each_letter(letter: Path, sandbox: Sandbox) -> None:
    scan = letter.with_name("page.tiff")
    scan.write_bytes(b"II*")
    xcoms = submit(loa_files=[letter.as_uri(), str(scan)], chunk_size=1)
    assert len(sandbox.orders) == 2
    for order in sandbox.orders:
        files = [(file.content, file.document_name) for file in sandbox.loa_files(order.order_id)]
        assert files == [(b"%PDF-1.7", "bakery.pdf"), (b"II*", "page.tiff")]
    assert [each["path"] for each in xcoms["loa_files"]] == [letter.as_uri(), str(scan)] * 2
    assert {each["error"] for each in xcoms["loa_files"]} == {None}
    assert [each["order_id"] for each in xcoms["loa_files"]] == [o.order_id for o in sandbox.orders for _ in range(2)]


def test_a_letter_that_failed_is_named_and_brought_by_the_next_try(
    letter: Path, sandbox: Sandbox, task_log: TaskLog
) -> None:
    sandbox.inject("status", operation="loa-upload", status=503)
    xcoms = submit(loa_files=str(letter))
    (order,) = sandbox.orders
    assert xcoms["return_value"] == order.order_id, "the order goes on"
    assert f"Letter {letter} is missing at order {order.order_id}, which goes on: " in task_log.text
    assert [each["file_id"] for each in xcoms["loa_files"]] == [None]
    for _ in range(2):
        xcoms = submit(loa_files=str(letter))
        assert [each["file_id"] for each in xcoms["loa_files"]] == [f.name for f in sandbox.loa_files(order.order_id)]
    assert len(sandbox.loa_files(order.order_id)) == len(sandbox.orders) == 1


@pytest.mark.parametrize("content", [None, b""])
def test_a_letter_that_cannot_be_read_stops_no_order(
    content: bytes | None, letter: Path, sandbox: Sandbox, task_log: TaskLog
) -> None:
    lost = letter.with_name("lost.pdf")
    if content is not None:
        lost.write_bytes(content)
    xcoms = submit(loa_files=f"{lost}, {letter}")
    (order,) = sandbox.orders
    assert len(sandbox.loa_files(order.order_id)) == 1
    (missing,) = [each for each in xcoms["loa_files"] if each["error"]]
    assert missing["path"] == str(lost)
    assert missing["error"].startswith("it could not be read: ")
    assert "1 of 2 are at their orders" in task_log.text


def test_many_missing_letters_are_counted(letter: Path, sandbox: Sandbox, task_log: TaskLog) -> None:
    paths = [str(letter.with_name(f"lost{number}.pdf")) for number in range(13)]
    assert len(submit(loa_files=paths)["loa_files"]) == 13
    assert "3 more letters are missing" in task_log.text


def test_a_file_that_bandwidth_would_not_take_is_named_before_anything_is_sent(sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match="loa_files: expected paths that end in pdf"):
        submit(loa_files=["letter.exe"])
    assert sandbox.orders == []


def test_only_imports_through_the_successors_take_letters(letter: Path, sandbox: Sandbox) -> None:
    assert "loa_files" not in submit(action="REMOVE", loa_files=[str(letter)])
    assert "loa_files" not in submit()
    xcoms = submit(loa_files=[str(letter)], order_api="externalTns")
    assert [each["error"] for each in xcoms["loa_files"]] == [
        "externalTns takes no letters. Keep it: Bandwidth may ask for it"
    ]
    assert not any(sandbox.loa_files(order.order_id) for order in sandbox.orders)
