"""Many triggers at once: what they cost, and that none disturbs another."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from support.fast_time import run_fast, wall_clock
from support.waiting import add_orders, connection_variable, wait, waits

from airflow_provider_bandwidth.exceptions import InvalidResponseError, MissingConnectionError
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.sandbox import Sandbox, tn_orders
from airflow_provider_bandwidth.triggers import _order_lists, _poller
from airflow_provider_bandwidth.triggers._poller import OrderPoller
from airflow_provider_bandwidth.triggers.bandwidth import BandwidthTnOrderTrigger
from airflow_provider_bandwidth.triggers.waiting import MAX_REFUSALS, OrderEvent, Waiter
from airflow_provider_bandwidth.wire.orders import OrderListEntry


@pytest.fixture
def bandwidth(sandbox: Sandbox, connect: Callable[..., None]) -> Iterator[Sandbox]:
    """A sandbox that ``bandwidth_default`` names, whose calls a poller may spend without looking at the clock."""
    connect(sandbox.connection, extra={"max_requests_per_minute": 10_000})
    yield sandbox
    assert not _poller._POLLERS, "a poller outlived its triggers"


@pytest.fixture
def short_lists(monkeypatch: pytest.MonkeyPatch) -> int:
    """Lists that hold thirty orders at most, at Bandwidth and in the poller's knowledge of it."""
    monkeypatch.setattr(tn_orders, "LIST_LIMIT", 30)
    monkeypatch.setattr(_order_lists, "MAX_LISTED_ORDERS", 30)
    monkeypatch.setattr(_order_lists, "_ONE_LIST", 24)
    return 30


async def until(condition: Callable[[], bool], limit: float = 600.0) -> None:
    """Let loop time pass until something is so."""
    loop = asyncio.get_running_loop()
    end = loop.time() + limit
    while not condition():
        assert loop.time() < end, "it never came true"
        await asyncio.sleep(0.5)


def calls(sandbox: Sandbox) -> dict[str, int]:
    return {name: count for name, count in sandbox.request_counts.items() if name != "token"}


async def open_and_end(
    sandbox: Sandbox, order_ids: Sequence[str], *, rounds: float = 3, status: str = "COMPLETE"
) -> tuple[dict[str, int], list[OrderEvent]]:
    """Calls while orders are open for some intervals of 30 s; then they all end, and these are their events."""
    async with waits(order_ids, poke_interval=30.0) as tasks:
        await asyncio.sleep(30 * rounds)
        while_open = calls(sandbox)
        for order_id in dict.fromkeys(order_ids):
            sandbox.finish(order_id, status)
        return while_open, list(await asyncio.gather(*tasks))


# --- what it costs ---


def test_few_orders_are_read_one_by_one(bandwidth: Sandbox) -> None:
    order_ids = add_orders(bandwidth, 10)

    while_open, events = run_fast(open_and_end(bandwidth, order_ids, rounds=1.8))

    assert set(while_open) == {"order"}
    assert 10 < while_open["order"] <= 20
    assert {event.processing_status for event in events} == {"COMPLETE"}


def test_many_orders_are_looked_at_in_one_list(bandwidth: Sandbox) -> None:
    order_ids = add_orders(bandwidth, 300)

    while_open, events = run_fast(open_and_end(bandwidth, order_ids, rounds=2.5))

    assert set(calls(bandwidth)) == {"list"}
    assert 2 <= while_open["list"] <= 3
    assert calls(bandwidth)["list"] == while_open["list"] + 2
    assert [event.order_id for event in events] == order_ids
    assert all(event.order is not None and event.order.telephone_numbers for event in events)


def test_status_and_dates_are_asked_for(bandwidth: Sandbox) -> None:
    created_at = datetime.now(UTC) - timedelta(days=9)
    order_ids = [*add_orders(bandwidth, 20), *add_orders(bandwidth, 1, created_at=created_at)]

    run_fast(open_and_end(bandwidth, order_ids, rounds=2))

    queries = [record.query for record in bandwidth.requests if record.operation == "list"]
    today = datetime.now(UTC).date()
    # Until an order has been read, it counts as made on the day that somebody began to wait for it.
    assert queries[0] == f"status=RECEIVED&status=PROCESSING&createdDateFrom={today - timedelta(days=1)}"
    assert f"createdDateFrom={today - timedelta(days=10)}" in queries[1]
    assert queries[-1].startswith("status=COMPLETE&status=PARTIAL&status=FAILED&")
    assert bandwidth.count(operation="order") == 1


def test_a_few_that_ended_are_read_one_by_one(bandwidth: Sandbox) -> None:
    order_ids = add_orders(bandwidth, 50)

    async def scenario() -> None:
        async with waits(order_ids, poke_interval=30.0) as tasks:
            await asyncio.sleep(10)
            for order_id in order_ids[:4]:
                bandwidth.finish(order_id, "FAILED")
            events = await asyncio.gather(*tasks[:4])
            assert {event.processing_status for event in events} == {"FAILED"}
            assert not any(task.done() for task in tasks[4:])

    run_fast(scenario())

    assert calls(bandwidth) == {"list": 2, "order": 4}


def test_summaries_give_id_and_status_at_the_pace_of_the_budget(sandbox: Sandbox, connect: Callable[..., None]) -> None:
    """Each of their tasks will read its order: those calls count."""
    connect(sandbox.connection, extra={"max_requests_per_minute": 60})
    sandbox.configure(list_form="summary-only")
    order_ids = add_orders(sandbox, 100)

    async def scenario() -> list[tuple[float, OrderEvent]]:
        loop = asyncio.get_running_loop()

        async def timed(order_id: str) -> tuple[float, OrderEvent]:
            event = await wait(order_id, poke_interval=30.0)
            return loop.time(), event

        tasks = [asyncio.create_task(timed(order_id)) for order_id in order_ids]
        await asyncio.sleep(10)
        for order_id in order_ids:
            sandbox.finish(order_id, "COMPLETE")
        return sorted(await asyncio.gather(*tasks), key=lambda pair: pair[0])

    ended = run_fast(scenario())

    assert {(event.order, event.processing_status) for _, event in ended} == {(None, "COMPLETE")}
    assert max(_per_minute([at for at, _ in ended])) <= 60
    assert ended[-1][0] - ended[0][0] > 60
    assert calls(sandbox)["list"] <= 10
    assert "order" not in calls(sandbox)


def test_summary_lists_are_asked_for_whole_orders(bandwidth: Sandbox) -> None:
    bandwidth.configure(list_form="summary")
    order_ids = add_orders(bandwidth, 100)

    _, events = run_fast(open_and_end(bandwidth, order_ids, rounds=1))

    assert all(event.order is not None for event in events)


def test_full_list_is_divided_by_date(bandwidth: Sandbox, short_lists: int) -> None:
    now = datetime.now(UTC)
    order_ids: list[str] = []
    for week in range(5):
        order_ids += add_orders(bandwidth, 20, created_at=now - timedelta(weeks=week))

    async def scenario() -> tuple[int, int]:
        # They were all read once, a long time ago.
        async with waits(order_ids, poke_interval=30.0) as tasks:
            await asyncio.sleep(0.1)
            for waiter, week in zip(_poller_of_test()._iter_waiters(), (n // 20 for n in range(100)), strict=True):
                waiter.created_on = (now - timedelta(weeks=week)).date()
            await asyncio.sleep(20)
            first = bandwidth.count(operation="list")
            await asyncio.sleep(30)
            assert not any(task.done() for task in tasks)
            return first, bandwidth.count(operation="list") - first

    first, second = run_fast(scenario())

    assert bandwidth.count(operation="order") == 0
    assert first <= 9
    assert second <= 5
    assert any("createdDateTo" in record.query for record in bandwidth.requests)
    assert not any("orderIdFragment" in record.query for record in bandwidth.requests)


def test_full_day_is_divided_by_order_id(bandwidth: Sandbox, short_lists: int) -> None:
    order_ids = add_orders(bandwidth, 200)

    while_open, events = run_fast(open_and_end(bandwidth, order_ids, rounds=2.5))

    # One list that is full, then sixteen a round; a part can hold a few more than a list does.
    assert while_open["list"] <= 1 + 3 * 16
    assert while_open.get("order", 0) <= 30
    assert {event.processing_status for event in events} == {"COMPLETE"}


def test_parts_become_one_list_again(bandwidth: Sandbox, short_lists: int) -> None:
    order_ids = add_orders(bandwidth, 200)

    async def scenario() -> int:
        async with waits(order_ids, poke_interval=30.0) as tasks:
            await asyncio.sleep(20)
            for order_id in order_ids[20:]:
                bandwidth.finish(order_id, "COMPLETE")
            await asyncio.gather(*tasks[20:])
            await asyncio.sleep(45)
            before = bandwidth.count(operation="list")
            await asyncio.sleep(62)
            return bandwidth.count(operation="list") - before

    assert run_fast(scenario()) in (2, 3)


# --- lists that err ---


def test_absence_from_lists_decides_nothing(bandwidth: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    order_ids = add_orders(bandwidth, 40)
    hidden = set(order_ids[:15])
    _filter_lists(monkeypatch, lambda entry: entry.order.order_id not in hidden)

    while_open, events = run_fast(open_and_end(bandwidth, order_ids, rounds=2.5))

    # Looked for in the list of ended orders each time, then read.
    assert 30 <= while_open["order"] <= 45
    assert while_open["list"] <= 6
    assert {event.processing_status for event in events} == {"COMPLETE"}


def test_useless_lists_are_given_up_and_said_so_once(
    sandbox: Sandbox,
    connect: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    connect(sandbox.connection, extra={"max_requests_per_minute": 60})
    _filter_lists(monkeypatch, lambda _: False)
    order_ids = add_orders(sandbox, 100)

    async def scenario() -> list[float]:
        sent = _record_spending(monkeypatch)
        async with waits(order_ids, poke_interval=30.0) as tasks:
            await asyncio.sleep(300)
            lists = sandbox.count(operation="list")
            await asyncio.sleep(200)
            assert sandbox.count(operation="list") == lists
            for order_id in order_ids:
                sandbox.finish(order_id, "COMPLETE")
            events = await asyncio.gather(*tasks)
            assert all(event.order is not None for event in events)
        return sent

    with caplog.at_level(logging.WARNING):
        sent = run_fast(scenario())

    assert max(_per_minute(sent)) <= 60
    assert len(sent) == sum(calls(sandbox).values())
    assert caplog.text.count("they do not show the orders that are waited for") == 1
    assert "at most 60 calls a minute" in caplog.text


@pytest.mark.parametrize("fault", [{"fault": "status", "status": 503}, {"fault": "refuse", "status": 400}], ids=str)
def test_lists_that_fail_cost_calls_and_no_order(bandwidth: Sandbox, fault: dict[str, Any]) -> None:
    bandwidth.inject(**fault, operation="list", times=None)
    order_ids = add_orders(bandwidth, 30)

    _, events = run_fast(open_and_end(bandwidth, order_ids, rounds=6))

    assert {event.processing_status for event in events} == {"COMPLETE"}
    assert bandwidth.count(operation="list") <= 3


def test_list_that_breaks_off_is_believed_as_far_as_it_goes(
    bandwidth: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_ids = add_orders(bandwidth, 30)
    real = BandwidthHook.iter_tn_orders

    def broken(self: BandwidthHook, **parameters: Any) -> Iterator[OrderListEntry]:
        for number, entry in enumerate(real(self, **parameters)):
            if number == 20 and "COMPLETE" in parameters["statuses"]:
                raise InvalidResponseError("cut short")
            yield entry

    monkeypatch.setattr(BandwidthHook, "iter_tn_orders", broken)

    _, events = run_fast(open_and_end(bandwidth, order_ids, rounds=1))

    assert all(event.order is not None for event in events)
    assert bandwidth.count(operation="order") == 10


def test_credentials_that_stay_refused_end_all_waits(bandwidth: Sandbox) -> None:
    order_ids = add_orders(bandwidth, 30)

    async def scenario() -> list[OrderEvent]:
        async with waits(order_ids, poke_interval=30.0) as tasks:
            await asyncio.sleep(10)
            bandwidth.inject("unauthorized", times=None)
            return list(await asyncio.gather(*tasks))

    events = run_fast(scenario())

    assert all("refused. Check its Login and Password" in str(event.error) for event in events)
    # Not a call an order: all of them pause together, longer and longer.
    assert calls(bandwidth)["list"] <= 1 + 2 * (MAX_REFUSALS + 2)
    assert set(calls(bandwidth)) == {"list"}


def test_client_that_stays_refused_ends_all_waits(bandwidth: Sandbox) -> None:
    order_ids = add_orders(bandwidth, 30)
    bandwidth.inject("refuse", operation="token", status=403, times=None)

    async def scenario() -> list[OrderEvent]:
        async with waits(order_ids, poke_interval=30.0) as tasks:
            return list(await asyncio.gather(*tasks))

    events = run_fast(scenario())

    assert all("client id or client secret" in str(event.error) for event in events)
    assert set(bandwidth.request_counts) == {"token"}
    assert bandwidth.request_counts["token"] <= 2 * (MAX_REFUSALS + 2)


def test_unknown_fragment_parameter_is_noticed(
    bandwidth: Sandbox, short_lists: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    order_ids = add_orders(bandwidth, 60)
    real = BandwidthHook.iter_tn_orders
    monkeypatch.setattr(
        BandwidthHook,
        "iter_tn_orders",
        lambda self, **parameters: real(self, **{**parameters, "order_id_fragment": None}),
    )

    with caplog.at_level(logging.WARNING):
        _, events = run_fast(open_and_end(bandwidth, order_ids, rounds=3))

    assert {event.processing_status for event in events} == {"COMPLETE"}
    assert caplog.text.count("disregard orderIdFragment") == 1
    # The fragments of one round, and one list for the open and one for the ended of each.
    assert bandwidth.count(operation="list") <= 17 + 2 * 6


# --- what ends no wait ---


def test_one_slow_list_delays_no_order(
    bandwidth: Sandbox, monkeypatch: pytest.MonkeyPatch, release: threading.Event
) -> None:
    """Its answer hangs for ever: what is due is read one by one meanwhile."""
    monkeypatch.setattr(_poller, "_SLOW", 0.3)
    real = BandwidthHook.iter_tn_orders

    def hang(self: BandwidthHook, **parameters: Any) -> Iterator[OrderListEntry]:
        release.wait(20)
        yield from real(self, **parameters)

    monkeypatch.setattr(BandwidthHook, "iter_tn_orders", hang)
    order_ids = add_orders(bandwidth, 20, status="COMPLETE")

    async def scenario() -> list[OrderEvent]:
        async with waits(order_ids, poke_interval=1.0, deadline=wall_clock() + 15) as tasks:
            return list(await asyncio.gather(*tasks))

    assert {event.processing_status for event in run_fast(scenario())} == {"COMPLETE"}
    assert bandwidth.count(operation="order") == 20


@pytest.mark.parametrize("hung", [1, 6])
def test_slow_reads_delay_no_other_order(
    hung: int, bandwidth: Sandbox, monkeypatch: pytest.MonkeyPatch, release: threading.Event
) -> None:
    """Also more of them than calls may run at the same time."""
    monkeypatch.setattr(_poller, "_SLOW", 0.3)
    order_ids = add_orders(bandwidth, 9, status="COMPLETE")
    real = BandwidthHook.get_tn_order

    def hang(self: BandwidthHook, order_id: str, action: Any) -> Any:
        if order_id in order_ids[:hung]:
            release.wait(20)
        return real(self, order_id, action)

    monkeypatch.setattr(BandwidthHook, "get_tn_order", hang)

    async def scenario() -> list[OrderEvent]:
        async with waits(order_ids, poke_interval=1.0) as tasks:
            events = list(await asyncio.gather(*tasks[hung:]))
            release.set()
            return events + list(await asyncio.gather(*tasks[:hung]))

    assert {event.processing_status for event in run_fast(scenario())} == {"COMPLETE"}
    assert bandwidth.count(operation="order") == 9


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Lets go of calls that a test holds back."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize(
    ("failures", "failure"),
    [
        (1, ConnectionError("secrets backend: 503, try again")),
        (20, ConnectionError("secrets backend: 503, try again")),
        (3, MissingConnectionError("bandwidth_default")),  # so Airflow tells that its secrets backend failed
    ],
)
def test_a_connection_that_cannot_be_looked_up_for_a_while_ends_no_wait(
    failures: int, failure: Exception, bandwidth: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_ids = add_orders(bandwidth, 30, status="COMPLETE")
    real = BandwidthHook.load_settings
    left = [failures]

    async def hiccup(self: BandwidthHook) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise failure
        return await real(self)

    monkeypatch.setattr(BandwidthHook, "load_settings", hiccup)

    async def scenario() -> list[OrderEvent]:
        async with waits(order_ids) as tasks:
            return list(await asyncio.gather(*tasks))

    assert {event.processing_status for event in run_fast(scenario())} == {"COMPLETE"}


@pytest.mark.parametrize(
    "change",
    [
        {"password": "new secret"},
        {"login": "new client"},
        {"host": "the sandbox"},
        {"extra": {"account_id": "9900001"}},
    ],
    ids=str,
)
def test_a_connection_that_changes_is_picked_up_by_waits_that_run(
    change: dict[str, Any], bandwidth: Sandbox, connect: Callable[..., None]
) -> None:
    """Rotated, moved or set right while orders are waited for; what was there before is refused, or not there."""
    order_ids = add_orders(bandwidth, 30)
    wrong = {"host": "http://127.0.0.1:9/api"} if "host" in change else change
    fields = {name: value for name, value in wrong.items() if name != "extra"}

    async def scenario() -> list[OrderEvent]:
        connect({**bandwidth.connection, **fields}, extra=wrong.get("extra", {}))
        async with waits(order_ids, poke_interval=5.0) as tasks:
            await asyncio.sleep(12)
            assert not any(task.done() for task in tasks)
            connect(bandwidth.connection)
            for order_id in order_ids:
                bandwidth.finish(order_id, "COMPLETE")
            return list(await asyncio.gather(*tasks))

    assert {event.processing_status for event in run_fast(scenario())} == {"COMPLETE"}


@pytest.mark.parametrize("operation", ["token", "order", "list"])
def test_an_endpoint_that_is_down_for_twenty_minutes_ends_no_wait(operation: str, bandwidth: Sandbox) -> None:
    order_ids = add_orders(bandwidth, 30)
    bandwidth.inject("status", operation=operation, status=503, times=None)

    async def scenario() -> list[OrderEvent]:
        async with waits(order_ids, poke_interval=60.0) as tasks:
            await asyncio.sleep(1200)
            assert not any(task.done() for task in tasks)
            bandwidth.clear_faults()
            for order_id in order_ids:
                bandwidth.finish(order_id, "COMPLETE")
            return list(await asyncio.gather(*tasks))

    assert {event.processing_status for event in run_fast(scenario())} == {"COMPLETE"}


def test_a_log_that_cannot_be_written_ends_no_wait(bandwidth: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one trigger's nor the poller's own, which says that its lists are useless."""
    lost: list[object] = []

    def raise_disk_full(*message: Any, **_: Any) -> None:
        lost.append(message)
        raise OSError(28, "No space left on device")

    _filter_lists(monkeypatch, lambda _: False)
    monkeypatch.setattr(_poller._log, "warning", raise_disk_full)
    _, events = run_fast(open_and_end(bandwidth, add_orders(bandwidth, 20)))
    assert lost
    assert {event.processing_status for event in events} == {"COMPLETE"}

    lost.clear()
    monkeypatch.setattr(BandwidthTnOrderTrigger, "_log_status", raise_disk_full)
    _, events = run_fast(open_and_end(bandwidth, add_orders(bandwidth, 20)))
    assert lost
    assert {event.processing_status for event in events} == {"COMPLETE"}


def test_the_pollers_messages_are_in_no_triggers_log(bandwidth: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A triggerer tells by a context variable whose log a message belongs to."""
    of_trigger = contextvars.ContextVar[str]("of_trigger", default="none")
    seen: list[str] = []
    _filter_lists(monkeypatch, lambda _: False)
    monkeypatch.setattr(_poller._log, "warning", lambda *_, **__: seen.append(of_trigger.get()))

    async def scenario() -> None:
        of_trigger.set("the first")
        await open_and_end(bandwidth, add_orders(bandwidth, 20))

    run_fast(scenario())

    assert seen
    assert set(seen) == {"none"}


def test_a_fresh_order_is_not_starved_by_old_ones(bandwidth: Sandbox) -> None:
    old, (fresh,) = add_orders(bandwidth, 20), add_orders(bandwidth, 1, status="COMPLETE")

    async def scenario() -> float:
        loop = asyncio.get_running_loop()
        async with waits(old, poke_interval=1.0, started_at=wall_clock() - 36_000):
            await asyncio.sleep(30)
            began = loop.time()
            await wait(fresh, poke_interval=1.0)
            return loop.time() - began

    assert run_fast(scenario()) < 10


def test_an_order_known_to_have_ended_has_not_timed_out(sandbox: Sandbox, connect: Callable[..., None]) -> None:
    """Lists show summaries, and the budget has not allowed to read all of them before the deadline."""
    connect(sandbox.connection, extra={"max_requests_per_minute": 12})
    sandbox.configure(list_form="summary-only")
    order_ids = add_orders(sandbox, 60)

    async def scenario() -> list[OrderEvent]:
        async with waits(order_ids, poke_interval=5.0, deadline=wall_clock() + 60) as tasks:
            await asyncio.sleep(10)
            for order_id in order_ids:
                sandbox.finish(order_id, "COMPLETE")
            return list(await asyncio.gather(*tasks))

    assert {event.processing_status for event in run_fast(scenario())} == {"COMPLETE"}


# --- budget and rate limits ---


def test_short_budget_is_kept_and_shared_fairly(
    sandbox: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(sandbox.connection, extra={"max_requests_per_minute": 12})
    _filter_lists(monkeypatch, lambda _: False)
    order_ids = add_orders(sandbox, 24)

    async def scenario() -> list[float]:
        sent = _record_spending(monkeypatch)
        async with waits(order_ids, poke_interval=5.0, max_wait=5.0):
            await asyncio.sleep(600)
        return sent

    sent = run_fast(scenario())

    reads = [sandbox.count(path_contains=order_id) for order_id in order_ids]
    assert max(_per_minute(sent)) <= 12
    assert len(sent) == sum(calls(sandbox).values())
    assert len(sent) >= 80
    assert min(reads) >= 3
    assert max(reads) - min(reads) <= 1


def test_rate_limit_stops_the_whole_group_until_its_reset(bandwidth: Sandbox) -> None:
    order_ids = add_orders(bandwidth, 8)

    async def scenario() -> tuple[int, int]:
        async with waits(order_ids, poke_interval=2.0) as tasks:
            await until(lambda: bandwidth.count(operation="order") >= 8)
            bandwidth.inject("rate-limit", seconds=60, times=4)
            limited = [0]

            def is_limited() -> bool:
                limited[0] = sum(record.status == 429 for record in bandwidth.requests)
                return limited[0] > 0

            await until(is_limited)
            await asyncio.sleep(1)
            before = bandwidth.count(operation="order")
            await asyncio.sleep(50)
            during = bandwidth.count(operation="order") - before
            await until(lambda: bandwidth.count(operation="order") > before)
            bandwidth.clear_faults()
            for order_id in order_ids:
                bandwidth.finish(order_id, "COMPLETE")
            events = await asyncio.gather(*tasks)
            assert {event.processing_status for event in events} == {"COMPLETE"}
            return limited[0], during

    limited, during = run_fast(scenario())

    assert during == 0
    assert limited <= 4


@pytest.mark.parametrize("account_id", [None, "9900000"])
def test_budget_outlives_the_poller(
    account_id: str | None, sandbox: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(sandbox.connection, extra={"max_requests_per_minute": 12})

    async def scenario() -> list[float]:
        sent = _record_spending(monkeypatch)
        for _ in range(5):
            await asyncio.gather(*(wait(each) for each in add_orders(sandbox, 6, status="COMPLETE")))
            assert not _poller._POLLERS
            await wait(*add_orders(sandbox, 1, status="COMPLETE"), account_id=account_id)
        return sent

    sent = run_fast(scenario())

    assert max(_per_minute(sent)) <= 12
    assert len(sent) == sum(calls(sandbox).values()) == 35


def test_pause_outlives_the_poller(bandwidth: Sandbox) -> None:
    order_ids = add_orders(bandwidth, 2, status="PROCESSING")

    async def scenario() -> float:
        loop = asyncio.get_running_loop()
        bandwidth.inject("rate-limit", seconds=200)
        async with waits(order_ids[:1]):
            await until(lambda: bool(bandwidth.requests) and bandwidth.requests[-1].status == 429)
            await asyncio.sleep(1)
        limited_at = loop.time()
        bandwidth.clear_faults()
        before = bandwidth.count(operation="order")
        async with waits(order_ids[1:]):
            await until(lambda: bandwidth.count(operation="order") > before)
        return loop.time() - limited_at

    assert run_fast(scenario()) > 190


def test_rate_limit_is_no_failure_however_often(bandwidth: Sandbox) -> None:
    (order_id,) = add_orders(bandwidth, 1, status="COMPLETE")
    bandwidth.inject("rate-limit", seconds=0, times=20)

    assert run_fast(wait(order_id, poke_interval=1.0)).processing_status == "COMPLETE"


def test_lists_alone_leave_most_of_the_budget(sandbox: Sandbox, connect: Callable[..., None], short_lists: int) -> None:
    connect(sandbox.connection, extra={"max_requests_per_minute": 60})
    order_ids = add_orders(sandbox, 250)

    async def scenario() -> int:
        async with waits(order_ids, poke_interval=10.0):
            await asyncio.sleep(90)
            before = sandbox.count(operation="list")
            await asyncio.sleep(180)
            return sandbox.count(operation="list") - before

    assert run_fast(scenario()) <= 3 * 60 * 0.4 + 16


# --- intervals ---


def _interval(waited: float, **parameters: Any) -> float:
    async def scenario() -> float:
        given = {"poke_interval": 30.0, "started_at": 1000.0, "deadline": None, "on_change": print, **parameters}
        return Waiter("0f3c1a52", **given).interval(1000.0 + waited)

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("waited", "parameters", "interval"),
    [
        (0, {}, 30),
        (600, {}, 30),
        (1200, {}, 60),
        (86_400, {}, 600),
        (86_400, {"max_wait": 120.0}, 120),
        (86_400, {"max_wait": 10.0}, 30),
        (86_400, {"poke_interval": 3600.0}, 3600),
        (100, {"exponential_backoff": True}, 100),
        (1000, {"exponential_backoff": True}, 600),
        (1000, {"exponential_backoff": True, "max_wait": 5000.0}, 1000),
    ],
)
def test_interval_grows_with_the_wait(waited: float, parameters: dict[str, Any], interval: float) -> None:
    assert _interval(waited, **parameters) == pytest.approx(interval)


def test_each_order_keeps_its_own_interval(bandwidth: Sandbox) -> None:
    often, seldom = add_orders(bandwidth, 2)

    async def scenario() -> None:
        async with waits([often], poke_interval=5.0, max_wait=5.0), waits([seldom], poke_interval=60.0):
            await asyncio.sleep(120)

    run_fast(scenario())

    assert 18 <= bandwidth.count(path_contains=often) <= 24
    assert bandwidth.count(path_contains=seldom) == 2


def test_deadlines_of_many_share_a_last_round(bandwidth: Sandbox) -> None:
    order_ids = add_orders(bandwidth, 30)

    async def scenario() -> list[OrderEvent]:
        deadline = wall_clock() + 60
        async with waits(order_ids, poke_interval=600.0, deadline=deadline) as tasks:
            await asyncio.sleep(30)
            for order_id in order_ids[:15]:
                bandwidth.finish(order_id, "COMPLETE")
            return list(await asyncio.gather(*tasks))

    events = run_fast(scenario())

    assert [event.processing_status for event in events[:15]] == ["COMPLETE"] * 15
    assert all(event.timed_out for event in events[15:])
    assert calls(bandwidth)["list"] <= 4


# --- coming and going ---


def test_late_joiner_shares_the_next_round(bandwidth: Sandbox) -> None:
    order_ids = add_orders(bandwidth, 41)

    async def scenario() -> int:
        async with waits(order_ids[:40], poke_interval=30.0):
            await asyncio.sleep(10)
            before = sum(calls(bandwidth).values())
            async with waits(order_ids[40:], poke_interval=30.0) as (late,):
                bandwidth.finish(order_ids[40], "COMPLETE")
                assert (await late).processing_status == "COMPLETE"
            return sum(calls(bandwidth).values()) - before

    # The round's list, and the one order that is not in it.
    assert run_fast(scenario()) == 2


def test_many_that_join_one_after_another_cost_no_call_each(bandwidth: Sandbox) -> None:
    order_ids = add_orders(bandwidth, 200)

    async def scenario() -> None:
        tasks = []
        for order_id in order_ids:
            tasks.append(asyncio.create_task(wait(order_id, poke_interval=30.0)))
            await asyncio.sleep(0.5)
        await asyncio.sleep(30)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run_fast(scenario())

    assert sum(calls(bandwidth).values()) <= 20


def test_cancelled_trigger_disturbs_no_other(bandwidth: Sandbox) -> None:
    order_ids = add_orders(bandwidth, 5)

    async def scenario() -> list[OrderEvent]:
        async with waits(order_ids, poke_interval=5.0) as tasks:
            bandwidth.inject("hold", operation="order")
            await until(lambda: any(record.state == "held" for record in bandwidth.requests))
            for task in tasks[:4]:
                task.cancel()
            await asyncio.gather(*tasks[:4], return_exceptions=True)
            assert all(task.cancelled() for task in tasks[:4])
            bandwidth.release_requests()
            bandwidth.finish(order_ids[4], "COMPLETE")
            return [await tasks[4]]

    assert run_fast(scenario())[0].processing_status == "COMPLETE"


def test_triggers_of_one_order_share_its_readings(bandwidth: Sandbox) -> None:
    (order_id,) = add_orders(bandwidth, 1)

    while_open, events = run_fast(open_and_end(bandwidth, [order_id] * 5, rounds=1.5))

    assert while_open["order"] <= 2
    assert {event.processing_status for event in events} == {"COMPLETE"}
    assert len(events) == 5


@pytest.mark.parametrize("where", ["_look", "_next_look", "_take_listing", "_start_reads"])
def test_a_bug_in_the_poller_ends_no_wait(
    where: str, bandwidth: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    order_ids = add_orders(bandwidth, 20 if where == "_take_listing" else 5)
    real = getattr(OrderPoller, where)
    crashes: list[str] = []

    def crash(self: OrderPoller, *args: Any, **kwargs: Any) -> Any:
        if len(crashes) < 3:
            crashes.append(where)
            raise ZeroDivisionError("a bug")
        return real(self, *args, **kwargs)

    async def scenario() -> list[OrderEvent]:
        monkeypatch.setattr(OrderPoller, where, crash)
        async with waits(order_ids, poke_interval=5.0) as tasks:
            await until(lambda: len(crashes) == 3)
            for order_id in order_ids:
                bandwidth.finish(order_id, "COMPLETE")
            return list(await asyncio.gather(*tasks))

    with caplog.at_level(logging.WARNING):
        events = run_fast(scenario())

    assert {event.processing_status for event in events} == {"COMPLETE"}
    assert caplog.text.count("An error in the poller") == 1
    assert "ZeroDivisionError: a bug" in caplog.text


def test_connections_accounts_and_loops_do_not_share(
    bandwidth: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*connection_variable(bandwidth, "other"))
    order_ids = add_orders(bandwidth, 3)

    async def scenario() -> int:
        async with (
            waits(order_ids, poke_interval=5.0),
            waits(order_ids, poke_interval=5.0, bandwidth_conn_id="other"),
            waits(order_ids, poke_interval=5.0, account_id="9900000"),
        ):
            await asyncio.sleep(3)
            return len(_poller._POLLERS)

    assert run_fast(scenario()) == 3
    assert bandwidth.request_counts["token"] == 3
    run_fast(open_and_end(bandwidth, order_ids, rounds=0.2))
    assert bandwidth.request_counts["token"] == 4


def count_waiting_objects() -> int:
    gc.collect()
    # Their types, since isinstance() asks lazy proxies of other packages to load what they stand for.
    kinds = (OrderPoller, Waiter, BandwidthTnOrderTrigger)
    return sum(type(each) in kinds for each in gc.get_objects())


def test_a_thousand_joins_and_leaves_leave_nothing_behind(bandwidth: Sandbox) -> None:
    order_ids = add_orders(bandwidth, 50)
    before = count_waiting_objects()

    async def scenario() -> None:
        for _ in range(20):
            async with waits(order_ids, poke_interval=2.0):
                await asyncio.sleep(5)
        assert len(asyncio.all_tasks()) == 1

    run_fast(scenario())
    deadline = time.monotonic() + 5
    while any(t.name.startswith("bandwidth-poll") for t in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert bandwidth.count(operation="list") >= 20
    assert not _poller._POLLERS
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("bandwidth-poll")]
    assert count_waiting_objects() <= before


def test_last_one_out_closes_the_connections(bandwidth: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    monkeypatch.setattr(BandwidthHook, "close", lambda self: closed.append(self.bandwidth_conn_id))
    order_ids = add_orders(bandwidth, 2)

    async def scenario() -> list[int]:
        async with waits(order_ids, poke_interval=5.0) as tasks:
            await asyncio.sleep(5)
            bandwidth.finish(order_ids[0], "COMPLETE")
            await tasks[0]
            before = len(closed)
            bandwidth.finish(order_ids[1], "COMPLETE")
            await tasks[1]
            await asyncio.sleep(1)
            return [before, len(closed)]

    before, after = run_fast(scenario())

    assert before == 0
    assert after >= 1


# --- Airflow's supervisor: on 3.0 and 3.1 one wrong exchange with it ends the triggerer ---


def test_a_token_is_masked_on_the_loop_that_talks_with_the_supervisor(
    bandwidth: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def send() -> None:
        loops.append(asyncio.get_running_loop())

    monkeypatch.setattr("airflow_provider_bandwidth.hooks._api.mask_secret", lambda _: async_to_sync(send)())
    (order_id,) = add_orders(bandwidth, 1, status="COMPLETE")

    async def scenario() -> asyncio.AbstractEventLoop:
        await wait(order_id)
        return asyncio.get_running_loop()

    assert run_fast(scenario()) in loops
    assert len(set(loops)) == 1


@pytest.mark.parametrize("exchange", ["a token is masked", "the connection is read"])
def test_an_exchange_with_the_supervisor_is_never_cut_short(
    exchange: str, bandwidth: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def talk(result: Any = None) -> Any:
        begun.set()
        # In real seconds; the other side looks every half second.
        await asyncio.sleep(1.5)
        ended.set()
        return result

    hook_module = "airflow_provider_bandwidth.hooks._api"
    if exchange == "a token is masked":
        monkeypatch.setattr(f"{hook_module}.mask_secret", lambda _: async_to_sync(talk)())
    else:
        connection = BandwidthHook.get_connection("bandwidth_default")
        monkeypatch.setattr(
            "airflow_provider_bandwidth.hooks._connection_lookup.get_async_connection", lambda _: talk(connection)
        )
    (order_id,) = add_orders(bandwidth, 1)

    async def scenario() -> None:
        async with waits([order_id]):
            await until(begun.is_set)
        assert not ended.is_set()
        await asyncio.sleep(10)
        assert ended.is_set(), "the exchange was cancelled with the last trigger"

    run_fast(scenario())


# --- helpers ---


def _poller_of_test() -> OrderPoller:
    (poller,) = _poller._POLLERS.values()
    return poller


def _filter_lists(monkeypatch: pytest.MonkeyPatch, keep: Callable[[OrderListEntry], bool]) -> None:
    """Let every list be without some orders."""
    real = BandwidthHook.iter_tn_orders

    def filtered(self: BandwidthHook, **parameters: Any) -> Iterator[OrderListEntry]:
        return (entry for entry in real(self, **parameters) if keep(entry))

    monkeypatch.setattr(BandwidthHook, "iter_tn_orders", filtered)


def _record_spending(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The loop times at which the budget is charged with a call."""
    sent: list[float] = []
    real = _poller.Budget.spend

    def recorded(self: _poller.Budget, now: float) -> None:
        sent.append(now)
        real(self, now)

    monkeypatch.setattr(_poller.Budget, "spend", recorded)
    return sent


def _per_minute(times: Sequence[float]) -> list[int]:
    """How many lie within a minute from each."""
    return [sum(start <= at < start + 60 for at in times) for start in times]
