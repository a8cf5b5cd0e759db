"""Letters of authorization come to an order once each, whatever goes wrong, and no failure stops anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.clock import ManualClock
from support.imports import IMPORT_DEFAULTS
from support.task_log import TaskLog

from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.loa_files import LoaFile
from airflow_provider_bandwidth.order_apis import ORDER_APIS
from airflow_provider_bandwidth.sandbox import Sandbox

LETTER, SCAN = LoaFile("s3://loa/bakery.pdf", b"%PDF-1.7"), LoaFile("/loa/page.tiff", b"II*\0")
SUCCESSORS = tuple(ORDER_APIS)[1:]


@pytest.fixture(params=SUCCESSORS)
def hook(
    request: pytest.FixtureRequest, sandbox: Sandbox, connect: Callable[..., None], clock: ManualClock
) -> Iterator[BandwidthHook]:
    sandbox.configure(order_apis=request.param, received_seconds=1e9)
    connect(sandbox.connection, extra=IMPORT_DEFAULTS)
    made = BandwidthHook(sleep=clock.sleep, clock=clock)
    yield made
    made.close()


@pytest.fixture
def order_id(hook: BandwidthHook) -> str:
    return hook.submit_tn_order(hook.build_order_request("IMPORT", ["9195550101"])).order_id


def there(sandbox: Sandbox, order_id: str) -> list[tuple[str, bytes, str | None, str | None]]:
    files = sandbox.loa_files(order_id)
    return [(file.content_type, file.content, file.document_type, file.document_name) for file in files]


BOTH = [
    ("application/pdf", LETTER.content, "LOA", "bakery.pdf"),
    ("image/tiff", SCAN.content, "LOA", "page.tiff"),
]


def test_each_letter_is_uploaded_with_its_type_and_name(hook: BandwidthHook, sandbox: Sandbox, order_id: str) -> None:
    results = hook.upload_loa_files(order_id, [LETTER, SCAN])
    assert there(sandbox, order_id) == BOTH
    assert [(each.path, each.order_id, each.error) for each in results] == [
        (LETTER.path, order_id, None),
        (SCAN.path, order_id, None),
    ]
    assert [each.file_id for each in results] == [file.name for file in sandbox.loa_files(order_id)]


def test_what_is_there_is_not_sent_again(hook: BandwidthHook, sandbox: Sandbox, order_id: str) -> None:
    first = hook.upload_loa_files(order_id, [LETTER])
    again = hook.upload_loa_files(order_id, [LETTER, SCAN, LETTER, LoaFile("copy.pdf", LETTER.content)])
    assert there(sandbox, order_id) == BOTH
    assert {each.file_id for each in again if each.path != SCAN.path} == {first[0].file_id}
    changed = LoaFile(LETTER.path, b"%PDF-1.7 signed again")
    assert hook.upload_loa_files(order_id, [changed])[0].error is None
    assert len(there(sandbox, order_id)) == 3


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("drop", {"when": "before"}),
        ("drop", {"when": "after"}),
        ("status", {"status": 503, "when": "before"}),
        ("status", {"status": 503, "when": "after"}),
        ("status", {"status": 408, "when": "after"}),
        ("body", {"kind": "html"}),
        ("body", {"kind": "empty"}),
        ("truncate", {"how": "xml"}),
        ("rate-limit", {"seconds": 20}),
        ("unauthorized", {}),
    ],
)
def test_no_fault_makes_two_of_one(
    fault: str, options: dict[str, Any], hook: BandwidthHook, sandbox: Sandbox, order_id: str
) -> None:
    sandbox.inject(fault, operation="loa-upload", **options)
    for _ in range(2):
        results = hook.upload_loa_files(order_id, [LETTER, SCAN])
    assert [each.error for each in results] == [None, None]
    assert sorted(content for _, content, *_ in there(sandbox, order_id)) == sorted([LETTER.content, SCAN.content])


def test_a_doubtful_upload_is_looked_for_at_once(hook: BandwidthHook, sandbox: Sandbox, order_id: str) -> None:
    sandbox.inject("status", operation="loa-upload", status=503, when="after")
    (taken,) = hook.upload_loa_files(order_id, [LETTER])
    assert (taken.file_id, taken.error) == (sandbox.loa_files(order_id)[0].name, None)
    assert there(sandbox, order_id) == BOTH[:1]
    sandbox.inject("status", operation="loa-upload", status=503, when="before")
    (lost,) = hook.upload_loa_files(order_id, [SCAN])
    assert lost.file_id is None
    assert "HTTP 503" in str(lost.error)
    assert "the order does not show it (yet). A retry looks for it before it sends it again" in str(lost.error)
    sandbox.inject("status", operation="loa-upload", status=503, when="before")
    sandbox.inject("status", operation="loa-list", status=503, after=1, times=None)
    (unknown,) = hook.upload_loa_files(order_id, [SCAN])
    assert "could not be found out" in str(unknown.error)
    assert len(there(sandbox, order_id)) == 1


@pytest.mark.parametrize("operation", ["loa-list", "loa-file"])
def test_nothing_is_sent_blindly(operation: str, hook: BandwidthHook, sandbox: Sandbox, order_id: str) -> None:
    hook.upload_loa_files(order_id, [LETTER])
    sandbox.inject("status", operation=operation, status=403)
    results = hook.upload_loa_files(order_id, [LETTER, SCAN])
    assert all("could not be read, so it was not sent" in str(each.error) for each in results)
    assert len(there(sandbox, order_id)) == 1


def test_one_refused_letter_stops_no_other_and_comes_with_advice(
    hook: BandwidthHook, sandbox: Sandbox, order_id: str
) -> None:
    sandbox.inject("refuse", operation="loa-upload", code="5151")
    refused, taken = hook.upload_loa_files(order_id, [LETTER, SCAN])
    assert "5151" in str(refused.error)
    assert "this user may not handle LOA files. What to do: give the API user the role" in str(refused.error)
    assert taken.error is None


def test_an_upload_whose_answer_names_the_file_in_a_header_alone_is_no_doubt(
    hook: BandwidthHook, sandbox: Sandbox, order_id: str
) -> None:
    hook.upload_loa_files(order_id, [])
    sandbox.inject("body", operation="loa-upload", kind="empty")
    lists = sandbox.count(operation="loa-list")
    (taken,) = hook.upload_loa_files(order_id, [LETTER])
    assert taken.file_id == sandbox.loa_files(order_id)[0].name
    assert sandbox.count(operation="loa-list") == lists + 1


def test_an_error_in_an_answer_of_success_is_told_as_it_is(
    hook: BandwidthHook, sandbox: Sandbox, order_id: str
) -> None:
    sandbox.inject("refuse", operation="loa-upload", status=200, code="5151", description="no role")
    refused, taken = hook.upload_loa_files(order_id, [LETTER, SCAN])
    assert "5151" in str(refused.error)
    assert "does not show it (yet)" not in str(refused.error)
    assert taken.error is None


def test_a_letter_counts_without_its_name(
    hook: BandwidthHook, sandbox: Sandbox, order_id: str, task_log: TaskLog
) -> None:
    sandbox.inject("status", operation="loa-describe", status=403)
    (result,) = hook.upload_loa_files(order_id, [LETTER])
    assert result.error is None
    assert there(sandbox, order_id) == [("application/pdf", LETTER.content, "LOA", None)]
    assert "without its name" in task_log.text


def test_an_order_that_is_not_there_has_no_letters(hook: BandwidthHook) -> None:
    (result,) = hook.upload_loa_files("5f0d8c5e-7a31-4b62-9c11-2f4b6a7d9e01", [LETTER])
    assert "was not sent" in str(result.error)


def test_external_tns_take_no_letters(sandbox: Sandbox, connect: Callable[..., None]) -> None:
    connect(sandbox.connection)
    (result,) = BandwidthHook().upload_loa_files("o-1", [LETTER])
    assert result.error == "externalTns takes no letters. Keep it: Bandwidth may ask for it"
    assert sandbox.requests == []
