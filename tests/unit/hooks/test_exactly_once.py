"""One order for one task, whatever fails on the way: the fault matrix, and the rules it does not reach."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
from support.airflow_task import (
    CONN_VARIABLE,
    AirflowTask,
    FakeTime,
    HookKilledAfterPost,
    StateStore,
    TaskKilledError,
    connection_json,
    live,
)
from support.imports import IMPORT_DEFAULTS
from support.in_process import in_process

from airflow_provider_bandwidth.exceptions import (
    AmbiguousSubmissionError,
    BandwidthApiError,
    BandwidthError,
    DuplicateOrderError,
    InvalidResponseError,
    OrderMismatchError,
)
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.orders import ExternalTnsOrderRequest, TnOrder
from airflow_provider_bandwidth.sandbox import OrderError, Sandbox

NUMBERS = ("9195550101", "9195550102")
#: Longer than any test: orders keep the status they are given.
FOR_EVER = 1e9

Fault = Callable[[Sandbox, FakeTime], object]


@pytest.fixture(scope="module")
def running_sandbox() -> Iterator[Sandbox]:
    with Sandbox(received_seconds=FOR_EVER) as running, in_process(running):
        yield running


@pytest.fixture
def sandbox(running_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    running_sandbox.reset()
    monkeypatch.setenv(CONN_VARIABLE, running_sandbox.connection_json)
    return running_sandbox


@pytest.fixture
def fake_time(sandbox: Sandbox) -> FakeTime:
    return FakeTime(sandbox)


@pytest.fixture(params=[True, False], ids=["store", "no-store"])
def store(request: pytest.FixtureRequest) -> StateStore | None:
    return StateStore() if request.param else None


def hit(fault: str, operation: str, **options: Any) -> Fault:
    return lambda sandbox, _: sandbox.inject(fault, operation=operation, **options)


post = partial(hit, operation="submit")
post_after = partial(hit, "status", "submit", when="after")
search = partial(hit, operation="list")


def contradict(operation: str, what: str) -> Fault:
    return hit("setting", operation, contradict=what)


def search_404(body: str) -> Fault:
    return search("status", status=404, body=body)


read = partial(hit, operation="order")


def commit_late(sandbox: Sandbox, fake_time: FakeTime) -> None:
    """The order is stored 15 s after the client stopped waiting for it."""

    last = sandbox.requests[-1].number if sandbox.requests else 0

    def release() -> None:
        sandbox.release_requests()
        sandbox.wait_for_request(operation="submit", state="answered", since=last)

    sandbox.inject("hold", operation="submit", when="before")
    fake_time.after(15, release)


def others(sandbox: Sandbox, _: FakeTime) -> None:
    """Orders for the same numbers that are none of this task's."""
    sandbox.add_order(NUMBERS, customer_order_id="airflow-0123456789abcdef0123456789abcdef")
    sandbox.add_order(NUMBERS, created_at=datetime.now(UTC) - timedelta(hours=1))
    sandbox.add_order(NUMBERS, action="REMOVE")
    sandbox.add_order((*NUMBERS, "9195550199"))
    sandbox.add_order(NUMBERS[:1])


class Row:
    """Orders at Bandwidth, and tries needed, for: first try; retry of a try killed after its POST was committed;
    task cleared after its order FAILED; task cleared after its order was COMPLETE.

    :param faults: what is put up before the attempt
    :param then: what is put up when the attempt sends its order
    :param timeout: the connection's
    :param settings: how the sandbox behaves all along
    """

    def __init__(
        self,
        name: str,
        orders: str,
        tries: str,
        *faults: Fault,
        then: Fault | None = None,
        timeout: float = 30,
        **settings: Any,
    ) -> None:
        self.name = name
        self.orders = [int(count) for count in orders.split()]
        self.tries = [[int(count) for count in cell.split("/")] for cell in tries.split()]
        self.faults = faults
        self.then = then
        self.timeout = timeout
        self.settings = settings


SLOW_ANSWER = post("slow", when="after")
SEARCH_OUTAGE = search("status", times=5)
SEARCH_DOWN = search("status", times=30)
SUMMARIES = {"list_form": "summary"}
LAG = {"search_lag_seconds": 55}
READ_LAG = {"read_lag_seconds": 55}
LOST = {"drop_customer_order_id": "always"}
NOT_SHOWN = {"echo_customer_order_id": False}
CAPITALS = {"customer_order_id_case": "upper"}
AS_STATUS = {"refusal_form": "response-status"}
UNKNOWN_400 = {"unknown_order": "400"}
PAGED = {"list_paging_required": True}
AHEAD = {"clock_skew_seconds": 3 * 3600}
BEHIND = {"clock_skew_seconds": -3 * 3600}
SITUATIONS = ("first-try", "retry", "clear-failed", "clear-complete")

# fmt: off
# "2/1": two tries without a task state store, one with it.
MATRIX = [
    #   what happens                                 orders     tries        how
    Row("nothing",                                   "1 1 2 1", "1 1 1 1"),

    Row("POST: dropped before commit",               "1 1 2 1", "1 1 1 1",   post("drop", when="before")),
    Row("POST: dropped after commit",                "1 1 2 1", "1 1 1 1",   post("drop", when="after")),
    Row("POST: 500 before commit",                   "1 1 2 1", "1 1 1 1",   post("status", status=500, when="before")),
    Row("POST: 500 after commit",                    "1 1 2 1", "1 1 1 1",   post("status", status=500, when="after")),
    Row("POST: 502 without body after commit",       "1 1 2 1", "1 1 1 1",   post_after(status=502, body="empty")),
    Row("POST: 503 with XML after commit",           "1 1 2 1", "1 1 1 1",   post_after(status=503, body="xml")),
    Row("POST: 504 before commit",                   "1 1 2 1", "1 1 1 1",   post("status", status=504, when="before")),
    Row("POST: 408 after commit",                    "1 1 2 1", "1 1 1 1",   post("status", status=408, when="after")),
    Row("POST: no answer in time, committed",        "1 1 2 1", "1 1 1 1",   SLOW_ANSWER, timeout=0.6),
    Row("POST: no answer, committed 15 s later",     "1 1 2 1", "1 1 1 1",   then=commit_late, timeout=0.6),
    Row("POST: 201 broken off",                      "1 1 2 1", "1 1 1 1",   post("truncate", how="length")),
    Row("POST: 201 with half a document",            "1 1 2 1", "1 1 1 1",   post("truncate", how="xml")),
    Row("POST: 201 with HTML",                       "1 1 2 1", "1 1 1 1",   post("body", kind="html")),
    Row("POST: 201 with JSON",                       "1 1 2 1", "1 1 1 1",   post("body", kind="json")),
    Row("POST: 201 without body",                    "1 1 2 1", "1 1 1 1",   post("body", kind="empty")),
    Row("POST: 201 with another root",               "1 1 2 1", "1 1 1 1",   post("body", kind="other-root")),
    Row("POST: 201 with a DOCTYPE",                  "1 1 2 1", "1 1 1 1",   post("body", kind="doctype")),
    Row("POST: rate limited",                        "1 1 2 1", "1 1 1 1",   post("rate-limit", seconds=20)),
    Row("POST: token refused once",                  "1 1 2 1", "1 1 1 1",   post("unauthorized")),
    Row("POST: order refused",                       "1 1 2 1", "2 1 2 1",   post("refuse")),
    Row("POST: redirected",                          "1 1 2 1", "2 1 2 1",   post("redirect")),
    Row("POST: dropped before commit, 3 times",      "1 1 2 1", "2 1 2 1",   post("drop", when="before", times=3)),
    Row("POST: 503 before, then after commit",       "1 1 2 1", "1 1 1 1",   post("status"), post_after(after=1)),

    Row("search: dropped once",                      "1 1 2 1", "1 1 1 1",   search("drop")),
    Row("search: 503 once",                          "1 1 2 1", "1 1 1 1",   search("status")),
    Row("search: no answer in time, once",           "1 1 2 1", "1 1 1 1",   search("slow"), timeout=0.6),
    Row("search: rate limited",                      "1 1 2 1", "1 1 1 1",   search("rate-limit", seconds=20)),
    Row("search: token refused once",                "1 1 2 1", "1 1 1 1",   search("unauthorized")),
    Row("search: broken off once",                   "1 1 2 1", "1 1 1 1",   search("truncate", how="length")),
    Row("search: 503 all along",                     "1 1 2 1", "2 2 2 2/1", search("status", times=5)),
    Row("search: dropped all along",                 "1 1 2 1", "2 2 2 2/1", search("drop", times=5)),
    Row("search: 403",                               "1 1 2 1", "2 2 2 2/1", search("status", status=403)),
    Row("search: 400",                               "1 1 2 1", "2 2 2 2/1", search("refuse")),
    Row("search: 200 that is a refusal",             "1 1 2 1", "2 2 2 2/1", search("refuse", status=200)),
    Row("search: 404 of a proxy, HTML",              "1 1 2 1", "2 2 2 2/1", search_404("html")),
    Row("search: 404 of a proxy, JSON",              "1 1 2 1", "2 2 2 2/1", search_404("json")),
    Row("search: redirected",                        "1 1 2 1", "2 2 2 2/1", search("redirect")),
    Row("search: half a document",                   "1 1 2 1", "2 2 2 2/1", search("truncate", how="xml")),
    Row("search: HTML",                              "1 1 2 1", "2 2 2 2/1", search("body", kind="html")),
    Row("search: a DOCTYPE",                         "1 1 2 1", "2 2 2 2/1", search("body", kind="doctype")),
    Row("search: no body",                           "1 1 2 1", "1 2 2 2/1", search("body", kind="empty")),
    Row("search: another root",                      "1 1 2 1", "1 2 2 2/1", search("body", kind="other-root")),
    Row("search: none, though there is one",         "1 1 2 1", "1 1 1 1",   search_404("empty")),

    Row("POST 503 committed, then search 503 once",  "1 1 2 1", "1 1 1 1",   post_after(), then=SEARCH_OUTAGE),
    Row("POST 503 committed, then search 503",       "1 1 2 1", "2 1 2 1",   post_after(), then=SEARCH_DOWN),
    Row("POST 503 lost, then search 503",            "1 1 2 1", "2 1 2 1",   post("status"), then=SEARCH_DOWN),
    Row("POST answered, then search 503",            "1 1 2 1", "1 1 1 1",   then=SEARCH_OUTAGE),
    Row("read of the order: 503 once",               "1 1 2 1", "1 1 1 1",   read("status"), **SUMMARIES),
    Row("read of the order: 503 all along",          "1 1 2 1", "1 2 2 2",   read("status", times=5), **SUMMARIES),
    Row("read of the order: half a document",        "1 1 2 1", "1 2 2 2",   read("truncate", how="xml"), **SUMMARIES),

    Row("search lags",                               "1 1 2 1", "1 1 1 1",   **LAG),
    Row("search lags, POST 503 committed",           "1 1 2 1", "1 1 1 1",   post_after(), **LAG),
    Row("search lags, 201 unreadable",               "1 1 2 1", "1 1 1 1",   post("body"), **LAG),
    Row("read of the order lags",                    "1 1 2 1", "1 1 1 1",   **READ_LAG),
    Row("search and read lag, 201 unreadable",       "1 1 2 1", "1 1 1 1",   post("body"), **LAG, **READ_LAG),
    Row("id lost",                                   "1 1 2 1", "1 1 1 1",   **LOST),
    Row("id lost if spelt CustomerOrderID",          "1 1 2 1", "1 1 1 1",   drop_customer_order_id="CustomerOrderID"),
    Row("id lost, POST dropped after commit",        "1 1 2 1", "1 1 1 1",   post("drop", when="after"), **LOST),
    Row("id lost, search lags",                      "1 1 2 1", "1 1 1 1",   **LOST, **LAG),
    Row("id lost, search lags, 201 unreadable",      "1 1 2 1", "1 1 1 1",   post("body"), **LOST, **LAG),
    Row("id lost, 201 unreadable, reads lag",        "1 1 2 1", "1 1 1 1",   post("body"), **LOST, **LAG, **READ_LAG),
    Row("id lost, others' orders around",            "1 1 2 1", "1 1 1 1",   others, post("drop"), **LOST),
    Row("id lost, search answers summaries",         "1 1 2 1", "1 1 1 1",   others, post_after(), **LOST, **SUMMARIES),
    Row("id not shown in answers",                   "1 1 2 1", "1 1 1 1",   post_after(), **NOT_SHOWN),
    Row("id shown in capitals",                      "1 1 2 1", "1 1 1 1",   others, **CAPITALS),
    Row("id in capitals, POST 503 committed",        "1 1 2 1", "1 1 1 1",   post_after(), **CAPITALS),
    Row("id in capitals, search answers summaries",  "1 1 2 1", "1 1 1 1",   post("drop"), **CAPITALS, **SUMMARIES),
    Row("id in capitals, search lags",               "1 1 2 1", "1 1 1 1",   **CAPITALS, **LAG),
    Row("POST: 201 of another account",              "1 1 2 1", "1 1 1 1",   contradict("submit", "account")),
    Row("POST: 201 of another action",               "1 1 2 1", "1 1 1 1",   contradict("submit", "action")),
    Row("POST: 201 of another site",                 "1 1 2 1", "1 1 1 1",   contradict("submit", "site")),
    Row("POST: 201 with other numbers",              "1 1 2 1", "1 1 1 1",   contradict("submit", "numbers")),
    Row("POST: 201 with another id",                 "1 1 2 1", "1 1 1 1",   contradict("submit", "customer-order-id")),
    Row("POST: 201 with other numbers, search lags", "1 1 2 1", "1 1 1 1",   contradict("submit", "numbers"), **LAG),
    Row("search: another account",                   "1 1 2 1", "1 2 1 2/1", contradict("list", "account")),
    Row("search: another action",                    "1 1 2 1", "1 2 1 2/1", contradict("list", "action")),
    Row("search: other numbers",                     "1 1 2 1", "1 2 1 2/1", contradict("list", "numbers")),
    Row("search: another id",                        "1 1 2 1", "1 2 2 2/1", contradict("list", "customer-order-id")),
    Row("Bandwidth's clock is 3 h ahead",            "1 1 2 1", "1 1 1 1",   post("drop", when="after"), **AHEAD),
    Row("Bandwidth's clock is 3 h behind",           "1 1 2 1", "1 1 1 1",   post("drop", when="after"), **BEHIND),
    Row("3 h ahead, id lost",                        "1 1 2 1", "1 1 1 1",   post_after(), **AHEAD, **LOST),
    Row("3 h behind, id lost",                       "1 1 2 1", "1 1 1 1",   post_after(), **BEHIND, **LOST),
    Row("others' orders around",                     "1 1 2 1", "1 1 1 1",   others, post("drop")),
    Row("search answers summaries",                  "1 1 2 1", "1 1 1 1",   others, post_after(), **SUMMARIES),
    Row("search matches by prefix",                  "1 1 2 1", "1 1 1 1",   others, customer_order_id_match="prefix"),
    Row("answers flat",                              "1 1 2 1", "1 1 1 1",   post_after(), dialect="O"),
    Row("answers hybrid",                            "1 1 2 1", "1 1 1 1",   post_after(), dialect="H"),
    Row("answers padded",                            "1 1 2 1", "1 1 1 1",   post_after(), dialect="P"),
]
# fmt: on


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("row", MATRIX, ids=lambda row: row.name.replace(" ", "-"))
def test_fault_matrix(
    row: Row,
    situation: str,
    store: StateStore | None,
    sandbox: Sandbox,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(CONN_VARIABLE, connection_json(sandbox, timeout=row.timeout))
    sandbox.configure(**row.settings)
    task = AirflowTask(NUMBERS, fake_time, store=store)
    go_through(situation, task, sandbox)
    for fault in row.faults:
        fault(sandbox, fake_time)
    if row.then is not None:
        task.hook = partial(HookWithFaults, put_up=partial(row.then, sandbox, fake_time))

    order_id, tries = until_success(task)

    column = SITUATIONS.index(situation)
    assert len(task.orders(sandbox)) == row.orders[column]
    assert [order.order_id for order in live(task.orders(sandbox))] == [order_id]
    assert tries == row.tries[column][0 if store is None else -1]


#: What externalTns alone does, or does otherwise: an empty answer to a search is "none" on the successors.
OF_EXTERNAL_TNS = ("search: no body", "answers flat", "answers hybrid", "answers padded", "id lost if spelt")


# fmt: off
#: What is unsure of these APIs, in the documents or between them and real answers: each is a setting of the sandbox.
MATRIX_OF_SUCCESSORS = [
    Row("201 with the root of the documents",        "1 1 2 1", "1 1 1 1",   post_after(), created_root="singular"),
    Row("201 flat",                                  "1 1 2 1", "1 1 1 1",   post("drop"), created_root="flat"),
    Row("refused with ResponseStatus",               "1 1 2 1", "1 1 1 1",   post("refuse"), **AS_STATUS),
    Row("refused in the other root",                 "1 1 2 1", "1 1 1 1",   post("refuse"), refusal_form="plural"),
    Row("an unknown order is 400",                   "1 1 2 1", "1 1 1 1",   post("body"), **UNKNOWN_400, **READ_LAG),
    Row("an empty list is 200",                      "1 1 2 1", "1 1 1 1",   post_after(), empty_list="200"),
    Row("an empty list is 204",                      "1 1 2 1", "1 1 1 1",   post_after(), empty_list="204"),
    Row("an empty list is blank",                    "1 1 2 1", "1 1 1 1",   post_after(), empty_list="blank", **LAG),
    Row("lists want page and size",                  "1 1 2 1", "1 1 1 1",   post_after(), **PAGED),
    Row("page and size, id lost, search lags",       "1 1 2 1", "1 1 1 1",   post_after(), **PAGED, **LOST, **LAG),
    Row("ten digits are taken on v2",                "1 1 2 1", "1 1 1 1",   post_after(), ten_digits_on_v2=True),
]
# fmt: on


@pytest.mark.parametrize(
    ("order_api", "action", "situation"),
    [
        ("importTnOrders", "IMPORT", "retry"),
        ("importTnOrders/messaging", "REMOVE", "retry"),
        ("importTnOrders/messaging", "IMPORT", "first-try"),
        ("importTnOrders", "REMOVE", "clear-failed"),
        ("importTnOrders/messaging", "IMPORT", "clear-complete"),
    ],
)
@pytest.mark.parametrize(
    "row",
    [row for row in (*MATRIX, *MATRIX_OF_SUCCESSORS) if not row.name.startswith(OF_EXTERNAL_TNS)],
    ids=lambda row: row.name.replace(" ", "-"),
)
def test_fault_matrix_on_the_other_order_apis(
    row: Row,
    order_api: str,
    action: str,
    situation: str,
    sandbox: Sandbox,
    fake_time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sandbox.configure(order_apis=order_api, **row.settings)
    monkeypatch.setenv(CONN_VARIABLE, connection_json(sandbox, timeout=row.timeout, **IMPORT_DEFAULTS))
    task = AirflowTask(NUMBERS, fake_time, action=action)
    go_through(situation, task, sandbox)
    for fault in row.faults:
        fault(sandbox, fake_time)
    if row.then is not None:
        task.hook = partial(HookWithFaults, put_up=partial(row.then, sandbox, fake_time))

    order_id, _ = until_success(task)

    assert len(task.orders(sandbox)) == row.orders[SITUATIONS.index(situation)]
    assert [order.order_id for order in live(task.orders(sandbox))] == [order_id]


class HookWithFaults(BandwidthHook):
    """Something happens between the look-up and the POST: faults for what follows, or an order of somebody else."""

    def __init__(self, *args: Any, put_up: Callable[[], object], **options: Any) -> None:
        super().__init__(*args, **options)
        self.put_up = put_up

    def create_tn_order(self, request: ExternalTnsOrderRequest) -> TnOrder:
        self.put_up()
        return super().create_tn_order(request)


def go_through(situation: str, task: AirflowTask, sandbox: Sandbox) -> None:
    """What happened before the attempt under test."""
    if situation == "retry":
        task.hook = HookKilledAfterPost
        with pytest.raises(TaskKilledError):
            task.attempt()
        task.hook = BandwidthHook
    elif situation.startswith("clear"):
        order_id = task.attempt()
        sandbox.finish(order_id, "FAILED" if situation == "clear-failed" else "COMPLETE")
        task.clear()


def until_success(task: AirflowTask) -> tuple[str, int]:
    """Retry as Airflow does; the order id returned, and how many tries it took."""
    for tries in range(1, 6):
        try:
            return task.attempt(), tries
        except BandwidthError as error:
            last = error
    raise last


# --- taken over, refused, sent again ---


@pytest.fixture
def task(store: StateStore | None, fake_time: FakeTime) -> AirflowTask:
    return AirflowTask(NUMBERS, fake_time, store=store, customer_order_id="order 1")


@pytest.mark.parametrize("status", ["RECEIVED", "PROCESSING", "COMPLETE", "PARTIAL", "EXCEPTION"])
def test_takes_over_an_order_that_did_not_fail(task: AirflowTask, sandbox: Sandbox, status: str) -> None:
    existing = sandbox.add_order(NUMBERS, customer_order_id="order 1", status=status)

    assert task.attempt() == existing.order_id
    assert sandbox.count(operation="submit") == 0


def test_takes_over_an_order_whose_id_only_its_own_page_shows(task: AirflowTask, sandbox: Sandbox) -> None:
    existing = sandbox.add_order(NUMBERS, customer_order_id="order 1")
    sandbox.inject("setting", operation="list", times=None, echo_customer_order_id=False)

    assert task.attempt() == existing.order_id


def test_takes_over_the_newest_of_several_and_names_the_others(
    task: AirflowTask, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Mock()
    monkeypatch.setattr(BandwidthHook, "log", log)
    now = datetime.now(UTC)
    ages = {"newest, failed": 1, "newest": 2, "older": 3}
    ids = {
        name: sandbox.add_order(
            NUMBERS,
            customer_order_id="order 1",
            status="FAILED" if "failed" in name else "COMPLETE",
            created_at=now - timedelta(minutes=minutes),
        ).order_id
        for name, minutes in sorted(ages.items(), reverse=True)
    }

    assert task.attempt() == ids["newest"]
    assert sandbox.count(operation="submit") == 0
    assert any(ids["older"] in str(warning) for warning in log.warning.mock_calls)


DIFFERENT: dict[str, dict[str, Any]] = {
    "fewer numbers": {"telephone_numbers": NUMBERS[:1]},
    "more numbers": {"telephone_numbers": (*NUMBERS, "9195550103")},
    "other numbers": {"telephone_numbers": ("9195550103", "9195550104")},
    "REMOVE": {"action": "REMOVE"},
    "SipPeerId": {"location": ("9900000", "743", "303717")},
    "SiteId": {"location": ("9900000", "744", "303716")},
    "LoaType": {"loa_type": "SUBSCRIBER"},
}


@pytest.mark.parametrize("difference", DIFFERENT)
def test_refuses_an_order_with_its_id_that_asks_for_something_else(
    difference: str, store: StateStore | None, fake_time: FakeTime, sandbox: Sandbox
) -> None:
    task = AirflowTask(NUMBERS, fake_time, store=store, customer_order_id="order 1", loa_type="CARRIER")
    given = {"telephone_numbers": NUMBERS, "loa_type": "CARRIER", **DIFFERENT[difference]}
    sandbox.configure(dialect="O")
    existing = sandbox.add_order(given.pop("telephone_numbers"), customer_order_id="order 1", **given)

    with pytest.raises(OrderMismatchError) as refused:
        task.attempt()

    assert existing.order_id in str(refused.value)
    assert "order 1" in str(refused.value)
    assert sandbox.count(operation="submit") == 0


def test_a_failed_order_that_asked_for_something_else_stands_in_nobodys_way(
    task: AirflowTask, sandbox: Sandbox
) -> None:
    sandbox.add_order(("9195550103",), customer_order_id="order 1", status="FAILED")

    order_id = task.attempt()

    assert [order.order_id for order in task.orders(sandbox)] == [order_id]


def test_a_cleared_task_with_other_numbers_sends_another_order(
    store: StateStore | None, fake_time: FakeTime, sandbox: Sandbox
) -> None:
    task = AirflowTask(NUMBERS, fake_time, store=store)
    first = task.attempt()
    task.clear()
    task.telephone_numbers = ("9195550103",)

    second = task.attempt()

    assert second != first
    assert [order.order_id for order in sandbox.orders] == [first, second]


def test_a_cleared_task_whose_own_id_now_stands_for_other_numbers_is_refused(
    task: AirflowTask, sandbox: Sandbox
) -> None:
    first = task.attempt()
    task.clear()
    task.telephone_numbers = ("9195550103",)

    with pytest.raises(OrderMismatchError, match=first):
        task.attempt()


def test_a_cleared_task_with_another_id_of_its_own_sends_another_order(task: AirflowTask, sandbox: Sandbox) -> None:
    first = task.attempt()
    task.clear()
    task.parameters["customer_order_id"] = "order 2"

    assert task.attempt() != first
    assert [order.customer_order_id for order in sandbox.orders] == ["order 1", "order 2"]


def test_a_task_cleared_with_its_first_numbers_again_finds_its_first_order(
    store: StateStore | None, fake_time: FakeTime, sandbox: Sandbox
) -> None:
    task = AirflowTask(NUMBERS, fake_time, store=store)
    first = task.attempt()
    task.clear()
    task.telephone_numbers = ("9195550103",)
    task.attempt()
    task.clear()
    task.telephone_numbers = NUMBERS

    assert task.attempt() == first


@pytest.mark.parametrize("when", ["before", "after"])
def test_reuse_existing_order_false_sends_again_and_says_so(
    when: str, store: StateStore | None, fake_time: FakeTime, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Mock()
    monkeypatch.setattr(BandwidthHook, "log", log)
    task = AirflowTask(NUMBERS, fake_time, store=store)
    first = task.attempt()
    sandbox.finish(first)
    task.clear()
    task.parameters["reuse_existing_order"] = "False"
    sandbox.inject("drop", operation="submit", when=when)

    second = task.attempt()

    assert [order.order_id for order in task.orders(sandbox)] == [first, second]
    assert any("on purpose" in str(warning) for warning in log.warning.mock_calls)


def test_reuse_existing_order_false_sends_nothing_when_the_search_fails(task: AirflowTask, sandbox: Sandbox) -> None:
    task.parameters["reuse_existing_order"] = False
    sandbox.inject("status", operation="list", status=404, body="html")

    with pytest.raises(InvalidResponseError):
        task.attempt()

    assert sandbox.count(operation="submit") == 0


def hours_ago(fake_time: FakeTime, hours: float) -> str:
    return (datetime.fromtimestamp(fake_time.clock(), UTC) - timedelta(hours=hours)).isoformat()


#: Hours after which an order's end counts as long ago, by dialect: O shows when an order ended, the seed's does not.
LONG_AGO = {"O": 2, "S": 26}


@pytest.mark.parametrize("dialect", LONG_AGO)
@pytest.mark.parametrize("status", ["COMPLETE", "PARTIAL"])
@pytest.mark.parametrize("fault", [None, "killed", "dropped", "hidden"])
def test_an_order_whose_work_was_undone_since_is_sent_again_exactly_once(
    fault: str | None, status: str, dialect: str, store: StateStore | None, fake_time: FakeTime, sandbox: Sandbox
) -> None:
    sandbox.configure(dialect=dialect)
    task = AirflowTask(NUMBERS, fake_time, store=store)
    first = task.attempt()
    sandbox.finish(first, status, [OrderError("5124", "exists", NUMBERS[:1])] if status == "PARTIAL" else ())
    fake_time.sleep(LONG_AGO[dialect] * 3600)
    task.clear()
    task.parameters["reuse_orders_ended_since"] = hours_ago(fake_time, 1)
    if fault == "killed":
        task.hook = HookKilledAfterPost
        with pytest.raises(TaskKilledError):
            task.attempt()
        task.hook = BandwidthHook
    elif fault == "dropped":
        sandbox.inject("drop", operation="submit", when="after")
    elif fault == "hidden":
        sandbox.configure(search_lag_seconds=50)
        sandbox.inject("status", operation="submit", when="after", status=500)

    second = task.attempt()

    assert [order.order_id for order in task.orders(sandbox)] == [first, second]
    assert task.attempt() == second, "a retry takes over the new one"


@pytest.mark.parametrize(
    ("dialect", "ended", "hours"), [("O", True, 3), ("S", True, 3), ("S", True, 1), ("O", False, 1), ("S", False, 1)]
)
def test_an_order_that_is_open_or_ended_lately_is_not_sent_again(
    dialect: str, ended: bool, hours: float, store: StateStore | None, fake_time: FakeTime, sandbox: Sandbox
) -> None:
    sandbox.configure(dialect=dialect)
    task = AirflowTask(NUMBERS, fake_time, store=store)
    first = task.attempt()
    if ended:
        sandbox.finish(first)
    fake_time.sleep(2 * 3600)
    task.clear()
    task.parameters["reuse_orders_ended_since"] = hours_ago(fake_time, hours)

    assert task.attempt() == first
    assert len(task.orders(sandbox)) == 1


# --- what the look-up must not believe ---


def test_a_failing_search_sends_nothing(task: AirflowTask, sandbox: Sandbox) -> None:
    sandbox.inject("status", operation="list", times=None)

    for _ in range(3):
        with pytest.raises(BandwidthApiError):
            task.attempt()

    assert sandbox.count(operation="submit") == 0


def test_a_search_that_is_cut_off_proves_nothing(task: AirflowTask, sandbox: Sandbox) -> None:
    sandbox.configure(customer_order_id_match="prefix")
    sandbox.add_order(NUMBERS, customer_order_id="order 1", status="FAILED")
    for number in range(1000):
        sandbox.add_order(("9195550103",), customer_order_id=f"order 1-{number}")

    with pytest.raises(InvalidResponseError, match="cut off"):
        task.attempt()

    assert sandbox.count(operation="submit") == 0


@pytest.mark.parametrize("list_form", ["full", "summary"])
def test_an_order_whose_id_only_begins_alike_is_not_taken_over(
    list_form: str, task: AirflowTask, sandbox: Sandbox
) -> None:
    sandbox.configure(customer_order_id_match="prefix", list_form=list_form)
    longer = sandbox.add_order(NUMBERS, customer_order_id="order 1-2")

    assert task.attempt() != longer.order_id


def test_an_order_that_shows_no_numbers_is_no_answer(
    task: AirflowTask, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.add_order((), customer_order_id="order 1")

    with pytest.raises(InvalidResponseError, match="no telephone numbers"):
        task.attempt()

    assert sandbox.count(operation="submit") == 0


def test_an_idless_order_from_before_the_run_is_not_taken_over(
    store: StateStore | None, fake_time: FakeTime, sandbox: Sandbox
) -> None:
    """Not even in a backfill, whose date lies before the order."""
    yesterday = sandbox.add_order(NUMBERS, created_at=datetime.now(UTC) - timedelta(hours=23))
    task = AirflowTask(NUMBERS, fake_time, store=store, age=timedelta(days=365))
    task.hook = partial(HookWithFaults, put_up=Mock(side_effect=TaskKilledError))
    with pytest.raises(TaskKilledError):
        task.attempt()
    task.hook = BandwidthHook

    assert task.attempt() != yesterday.order_id
    assert len(task.orders(sandbox)) == 1


def test_nothing_is_sent_that_could_not_be_recorded_first(fake_time: FakeTime, sandbox: Sandbox) -> None:
    class BrokenStore(StateStore):
        def set(self, key: str, value: Any) -> None:
            raise ConnectionError("Airflow's API server is gone")

    with pytest.raises(ConnectionError):
        AirflowTask(NUMBERS, fake_time, store=BrokenStore()).attempt()

    assert sandbox.orders == []


def test_an_order_that_fails_within_a_doubtful_post_is_the_one(
    store: StateStore | None, fake_time: FakeTime, sandbox: Sandbox
) -> None:
    """It did its harm, none, and its errors are the task's to report: two more of the kind would help nobody."""
    sandbox.configure(received_seconds=0, processing_seconds=0)
    sandbox.inject("drop", operation="submit", when="after")
    task = AirflowTask(["9195550080"], fake_time, store=store)

    order_id = task.attempt()

    assert [(order.order_id, order.status) for order in sandbox.orders] == [(order_id, "FAILED")]
    assert fake_time.slept == 0


def test_an_unreadable_201_whose_location_names_the_order_needs_no_search(
    store: StateStore | None, fake_time: FakeTime, sandbox: Sandbox
) -> None:
    sandbox.configure(search_lag_seconds=3600)
    sandbox.inject("body", operation="submit")

    order_id = AirflowTask(NUMBERS, fake_time, store=store).attempt()

    assert [order.order_id for order in sandbox.orders] == [order_id]


def test_an_order_sent_after_one_that_failed_is_looked_for_as_long(fake_time: FakeTime, sandbox: Sandbox) -> None:
    """What the store knows of the FAILED order says nothing about the one that a killed try sent after it."""
    task = AirflowTask(NUMBERS, fake_time, store=StateStore())
    sandbox.finish(task.attempt(), "FAILED")
    task.clear()
    sandbox.configure(search_lag_seconds=55)
    go_through("retry", task, sandbox)

    order_id = task.attempt()

    assert [order.order_id for order in live(task.orders(sandbox))] == [order_id]


def test_the_last_doubt_fails_the_task(task: AirflowTask, sandbox: Sandbox) -> None:
    sandbox.inject("drop", operation="submit", times=None)

    with pytest.raises(AmbiguousSubmissionError):
        task.attempt()

    assert sandbox.count(operation="submit") == 3


def test_a_recorded_order_is_found_without_the_search(fake_time: FakeTime, sandbox: Sandbox) -> None:
    task = AirflowTask(NUMBERS, fake_time, store=StateStore())
    first = task.attempt()
    sandbox.inject("status", operation="list", times=None)

    assert task.attempt() == first


def test_a_retry_sends_no_sooner_than_a_minute_after_the_search_was_first_asked(
    task: AirflowTask, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    """An order that is still hidden from the search would be sent twice."""
    go_through("retry", task, sandbox)
    sandbox.configure(search_lag_seconds=59)

    task.attempt()

    assert len(task.orders(sandbox)) == 1


# --- two attempts at the same time ---


def test_a_twin_is_noticed_and_a_retry_sends_no_third(task: AirflowTask, sandbox: Sandbox) -> None:
    task.hook = partial(HookWithFaults, put_up=lambda: sandbox.add_order(NUMBERS, customer_order_id="order 1"))

    with pytest.raises(DuplicateOrderError) as raised:
        task.attempt()

    ids = {order.order_id for order in sandbox.orders}
    assert set(raised.value.order_ids) == ids
    assert all(order_id in str(raised.value) for order_id in ids)
    task.hook = BandwidthHook
    assert task.attempt() in ids
    assert {order.order_id for order in sandbox.orders} == ids


def test_somebody_elses_order_with_the_same_id_is_no_twin(task: AirflowTask, sandbox: Sandbox) -> None:
    """It asks for something else, so nothing was sent twice."""

    def put_up() -> None:
        sandbox.add_order(["9195550103"], customer_order_id="order 1")

    task.hook = partial(HookWithFaults, put_up=put_up)

    assert [task.attempt()] == [order.order_id for order in task.orders(sandbox)]


# --- what Bandwidth gave an id for is never sent beside ---


@pytest.fixture
def recorded(fake_time: FakeTime, sandbox: Sandbox) -> AirflowTask:
    """A task whose first try stored its order's id and died."""
    task = AirflowTask(NUMBERS, fake_time, store=StateStore())
    task.attempt()
    return task


def test_a_recorded_order_that_is_not_there_is_never_sent_again(recorded: AirflowTask, sandbox: Sandbox) -> None:
    (order,) = sandbox.orders
    sandbox.configure(search_lag_seconds=1e6, read_lag_seconds=1e6)

    for _ in range(3):
        with pytest.raises(AmbiguousSubmissionError, match=f"{order.order_id}.*no such order.*reuse_existing_order"):
            recorded.attempt()

    sandbox.configure(read_lag_seconds=0)
    assert recorded.attempt() == order.order_id
    assert len(sandbox.orders) == 1


@pytest.mark.parametrize("what", ["account", "action", "site", "numbers"])
def test_a_recorded_order_that_shows_something_else_is_never_sent_again(
    what: str, recorded: AirflowTask, sandbox: Sandbox
) -> None:
    (order,) = sandbox.orders
    sandbox.finish(order.order_id, "FAILED")
    sandbox.configure(contradict=what)

    with pytest.raises(AmbiguousSubmissionError, match=f"{order.order_id}.*another one: its|it holds"):
        recorded.attempt()

    assert len(sandbox.orders) == 1
    sandbox.configure(contradict="nothing")
    assert recorded.attempt() != order.order_id, "now it is seen to have FAILED"


@pytest.mark.parametrize("fault", [read("status", times=None), read("body", times=None)], ids=["503", "HTML"])
def test_a_recorded_order_that_cannot_be_read_is_never_sent_again(
    fault: Fault, recorded: AirflowTask, sandbox: Sandbox, fake_time: FakeTime
) -> None:
    sandbox.configure(search_lag_seconds=1e6)
    fault(sandbox, fake_time)

    with pytest.raises(BandwidthError):
        recorded.attempt()

    assert len(sandbox.orders) == 1


def test_an_unreadable_201_that_names_an_order_is_never_sent_again(
    store: StateStore | None, fake_time: FakeTime, sandbox: Sandbox
) -> None:
    sandbox.configure(search_lag_seconds=300, read_lag_seconds=300)
    sandbox.inject("body", operation="submit")
    task = AirflowTask(NUMBERS, fake_time, store=store)

    with pytest.raises(AmbiguousSubmissionError):
        task.attempt()

    assert len(sandbox.orders) == 1
    fake_time.sleep(300)
    assert [task.attempt()] == [order.order_id for order in sandbox.orders]


@pytest.mark.parametrize("what", ["account", "action", "customer-order-id", "numbers", "site"])
def test_answers_that_contradict_for_ever_send_nothing_again(
    what: str, store: StateStore | None, fake_time: FakeTime, sandbox: Sandbox
) -> None:
    sandbox.configure(contradict=what)
    task = AirflowTask(NUMBERS, fake_time, store=store)

    for _ in range(3):
        with suppress(BandwidthError):
            task.attempt()

    assert len(sandbox.orders) == 1


# --- clocks ---


@pytest.mark.parametrize("hours", [-24, -3, -0.1, 0.1, 3, 24])
@pytest.mark.parametrize("situation", ["first-try", "retry"])
def test_airflows_clock_may_be_off_by_hours(
    situation: str, hours: float, store: StateStore | None, fake_time: FakeTime, sandbox: Sandbox
) -> None:
    """An order that lost its id is recognised by its time."""
    sandbox.configure(drop_customer_order_id="always")
    task = AirflowTask(NUMBERS, fake_time, store=store, ahead=timedelta(hours=hours))
    go_through(situation, task, sandbox)
    sandbox.inject("drop", operation="submit", when="after")

    order_id = task.attempt()

    assert [order.order_id for order in sandbox.orders] == [order_id]


# --- who is the first ---


def test_a_new_task_instance_of_a_cleared_run_is_not_the_first(fake_time: FakeTime, sandbox: Sandbox) -> None:
    """The run was cleared, and its numbers moved on to another map index."""
    task = AirflowTask(NUMBERS, fake_time, map_index=0)
    go_through("retry", task, sandbox)
    sandbox.configure(search_lag_seconds=1000)
    task.clear()
    sandbox.configure(search_lag_seconds=655)
    task.map_index, task.try_number = 1, 0

    assert [task.attempt()] == [order.order_id for order in sandbox.orders]


@pytest.mark.parametrize("knows_clears", [True, False], ids=["3.2+", "before 3.2"])
def test_before_3_2_a_mapped_task_instance_cannot_know_that_it_is_the_first(
    knows_clears: bool, fake_time: FakeTime, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_bandwidth.operators._task_journal.AIRFLOW_V_3_2_PLUS", knows_clears)

    AirflowTask(NUMBERS, fake_time, map_index=0).attempt()
    AirflowTask(["9195550105"], fake_time).attempt()

    assert fake_time.slept == (0 if knows_clears else 60)


def test_a_second_mapped_task_with_the_same_numbers_takes_over_the_order_of_the_first(
    fake_time: FakeTime, sandbox: Sandbox
) -> None:
    first, second = (AirflowTask(NUMBERS, fake_time, store=StateStore(), map_index=index) for index in (0, 1))

    assert first.attempt() == second.attempt()
    assert len(sandbox.orders) == 1


def test_two_mapped_tasks_that_send_the_same_at_the_same_moment_are_one_order_and_an_error(
    fake_time: FakeTime, sandbox: Sandbox
) -> None:
    """Bandwidth's search shows neither the other's order yet."""
    sandbox.configure(search_lag_seconds=50)
    mapped: dict[int, dict[str, Any]] = {}
    first, second = (
        AirflowTask(NUMBERS, fake_time, store=StateStore(), map_index=index, mapped=mapped) for index in (0, 1)
    )
    at_once: list[BandwidthError] = []

    def start_second() -> None:
        with pytest.raises(AmbiguousSubmissionError, match="task instance 0 of this mapped task sends the same") as it:
            second.attempt()
        at_once.append(it.value)

    first.hook = partial(HookWithFaults, put_up=start_second)

    order_id = first.attempt()

    assert at_once
    assert [order.order_id for order in sandbox.orders] == [order_id]
    assert second.attempt() == order_id, "its retry takes over the order"


def test_a_mapped_task_that_stood_back_does_not_hold_up_another(fake_time: FakeTime, sandbox: Sandbox) -> None:
    mapped: dict[int, dict[str, Any]] = {0: {}}
    task = AirflowTask(NUMBERS, fake_time, store=StateStore(), map_index=1, mapped=mapped)
    go_through("retry", task, sandbox)
    (key,) = (key for key in mapped[1] if key.startswith("bandwidth_sending_"))
    mapped[0][key] = None
    (order,) = sandbox.orders
    sandbox.finish(order.order_id, "FAILED")

    assert task.attempt() != order.order_id


@pytest.mark.parametrize("what", ["account", "action", "customer-order-id", "numbers", "site"])
@pytest.mark.parametrize("list_form", ["full", "summary"])
def test_an_order_without_its_id_is_not_anothers_because_one_answer_says_so(
    list_form: str, what: str, task: AirflowTask, sandbox: Sandbox
) -> None:
    """It comes into sight with the last look only, and then three answers in a row are another order's."""
    sandbox.configure(drop_customer_order_id="always", search_lag_seconds=50, list_form=list_form)
    post_after(status=500)(sandbox, task._time)
    task._time.after(45, lambda: contradict_thrice(sandbox, list_form, what))

    assert [task.attempt()] == [order.order_id for order in sandbox.orders]


def contradict_thrice(sandbox: Sandbox, list_form: str, what: str) -> None:
    sandbox.inject("setting", operation="order", contradict=what, times=3 if list_form == "summary" else 2)
    if list_form == "full":
        sandbox.inject("setting", operation="list", contradict=what, times=2)


@pytest.mark.parametrize(("first", "then"), [("customer-order-id", "action"), ("numbers", "site"), ("site", "account")])
def test_answers_that_contradict_one_another_call_no_order_anothers(
    first: str, then: str, task: AirflowTask, sandbox: Sandbox
) -> None:
    """It comes into sight with the last look only, and no answer for it is true."""
    sandbox.configure(drop_customer_order_id="always", search_lag_seconds=50, list_form="summary")
    post_after(status=500)(sandbox, task._time)
    task._time.after(45, lambda: contradict_in_turn(sandbox, first, then))

    with pytest.raises(BandwidthError):
        task.attempt()
    assert len(sandbox.orders) == 1
    sandbox.clear_faults()
    assert [task.attempt()] == [order.order_id for order in sandbox.orders]


def contradict_in_turn(sandbox: Sandbox, first: str, then: str) -> None:
    sandbox.inject("setting", operation="order", contradict=first, times=3)
    sandbox.inject("setting", operation="order", contradict=then, after=3, times=None)


def test_an_order_of_the_list_whose_own_page_comes_later_is_waited_for(fake_time: FakeTime, sandbox: Sandbox) -> None:
    task = AirflowTask(NUMBERS, fake_time)
    sandbox.configure(list_form="summary", read_lag_seconds=40)
    task.hook = HookKilledAfterPost
    with pytest.raises(TaskKilledError):
        task.attempt()
    task.hook = BandwidthHook

    assert [task.attempt()] == [order.order_id for order in sandbox.orders]


def test_a_late_order_without_its_id_is_a_twin_too(task: AirflowTask, sandbox: Sandbox) -> None:
    sandbox.configure(drop_customer_order_id="always")
    sandbox.inject("drop", operation="submit", when="before")
    task._time.after(90, lambda: sandbox.add_order(NUMBERS))

    with pytest.raises(DuplicateOrderError):
        task.attempt()


def test_what_bandwidth_does_late_with_a_doubtful_post_is_noticed(task: AirflowTask, sandbox: Sandbox) -> None:
    """More than a minute after it was given up: the order was sent again, and now there are two."""

    def land() -> None:
        sandbox.add_order(NUMBERS, customer_order_id="order 1")

    sandbox.inject("drop", operation="submit", when="before")
    task._time.after(90, land)

    with pytest.raises(DuplicateOrderError):
        task.attempt()
    assert task.attempt() in {order.order_id for order in sandbox.orders}
    assert len(sandbox.orders) == 2


def test_a_minute_of_waiting_says_what_for(
    task: AirflowTask, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Mock()
    monkeypatch.setattr(BandwidthHook, "log", log)
    sandbox.inject("drop", operation="submit", when="before")

    task.attempt()

    said = "\n".join(call.args[0] % call.args[1:] for call in log.info.mock_calls)
    assert re.search("Waiting up to 60 seconds.* because the answer to its POST leaves doubt", said)
