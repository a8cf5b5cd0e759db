"""The trigger by itself: what a sensor and a triggerer rely on."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from support.fast_time import run_fast, wall_clock
from support.raw_server import SILENCE, RawServer
from support.waiting import add_orders, wait, waits

from airflow_provider_bandwidth.order_apis import ORDER_APIS
from airflow_provider_bandwidth.sandbox import OrderError, Sandbox
from airflow_provider_bandwidth.triggers.bandwidth import BandwidthTnOrdersTrigger, BandwidthTnOrderTrigger
from airflow_provider_bandwidth.triggers.waiting import (
    FIRST_POLL_DELAY,
    LONG_WAIT,
    MAX_REFUSALS,
    NOT_FOUND_GRACE,
    REFUSAL_GRACE,
    OrderEvent,
)


@pytest.fixture
def bandwidth(sandbox: Sandbox, connect: Callable[..., None]) -> Sandbox:
    """A sandbox that ``bandwidth_default`` names."""
    connect(sandbox.connection)
    return sandbox


def test_event_carries_the_order_as_it_was_read(bandwidth: Sandbox) -> None:
    error = OrderError("25060", "ours", ("9195550102",))
    order = bandwidth.add_order(
        ["9195550101", "9195550102"], status="PARTIAL", errors=[error], customer_order_id="run-7"
    )

    event = run_fast(wait(order.order_id))

    assert (event.order_id, event.processing_status) == (order.order_id, "PARTIAL")
    assert event.order is not None
    assert event.order.customer_order_id == "run-7"
    assert event.order.completed_telephone_numbers == ("9195550101",)
    assert [each.code for each in event.order.errors] == ["25060"]


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("status", {"status": 503}),
        ("status", {"status": 500, "body": "empty"}),
        ("status", {"status": 408}),
        ("rate-limit", {"seconds": 2}),
        ("rate-limit", {"header": "none"}),
        ("drop", {}),
        ("truncate", {"how": "length"}),
        ("truncate", {"how": "xml"}),
        ("body", {"kind": "html"}),
        ("body", {"kind": "empty"}),
    ],
    ids=str,
)
def test_passing_fault_between_polls_is_survived(bandwidth: Sandbox, fault: str, options: dict[str, Any]) -> None:
    (order_id,) = add_orders(bandwidth, 1)
    bandwidth.inject(fault, operation="order", times=3, **options)

    async def scenario() -> OrderEvent:
        async with waits([order_id], poke_interval=5.0) as (task,):
            while len([record for record in bandwidth.requests if record.operation == "order"]) < 4:
                await asyncio.sleep(1)
            bandwidth.finish(order_id, "COMPLETE")
            return await task

    assert run_fast(scenario()).processing_status == "COMPLETE"


@pytest.mark.parametrize(
    ("fault", "options", "words"),
    [
        ("unauthorized", {}, "refused. Check its Login and Password"),
        ("refuse", {"status": 403, "code": "1001", "description": "Access Denied"}, "Access Denied"),
        ("refuse", {"status": 400, "code": "1008", "description": "Not a UUID"}, "Not a UUID"),
        ("redirect", {}, "redirect"),
    ],
)
def test_lasting_refusal_ends_the_wait(bandwidth: Sandbox, fault: str, options: dict[str, Any], words: str) -> None:
    """It lasts once it was seen several times over half a minute: one may be a hiccup."""
    (order_id,) = add_orders(bandwidth, 1)
    bandwidth.inject(fault, operation="order", times=None, **options)

    event = run_fast(wait(order_id, poke_interval=5.0))

    assert words in str(event.error)
    reads = bandwidth.count(operation="order") / (2 if fault == "unauthorized" else 1)  # its token is renewed each time
    assert MAX_REFUSALS <= reads <= REFUSAL_GRACE / 5 + 2


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("unauthorized", {}),
        ("refuse", {"status": 403}),
        ("refuse", {"status": 400}),
        ("status", {"status": 404, "body": "empty"}),
        ("redirect", {}),
    ],
)
def test_a_burst_of_refusals_ends_no_wait(bandwidth: Sandbox, fault: str, options: dict[str, Any]) -> None:
    (order_id,) = add_orders(bandwidth, 1)

    async def scenario() -> OrderEvent:
        async with waits([order_id], poke_interval=1.0, started_at=wall_clock() - 120, max_wait=1.0) as (task,):
            while bandwidth.count(operation="order") < 2:
                await asyncio.sleep(1)
            bandwidth.inject(fault, operation="order", times=2 * MAX_REFUSALS, **options)
            while bandwidth.count(operation="order") < 2 + 2 * MAX_REFUSALS:
                await asyncio.sleep(1)
                assert not task.done(), task.result()
            bandwidth.finish(order_id, "COMPLETE")
            return await task

    assert run_fast(scenario()).processing_status == "COMPLETE"


def test_unknown_order_counts_as_not_there_yet_for_a_minute(bandwidth: Sandbox) -> None:
    (order_id,) = add_orders(bandwidth, 1, status="COMPLETE")
    bandwidth.inject("setting", operation="order", times=15, read_lag_seconds=3600)

    # More polls than may fail in a row, all within the grace.
    event = run_fast(wait(order_id, poke_interval=2.0))

    assert event.processing_status == "COMPLETE"
    assert bandwidth.count(operation="order") == 16


def test_order_that_stays_unknown_is_given_up_after_the_grace(bandwidth: Sandbox) -> None:
    event = run_fast(wait("0f3c1a52-7d1e-4b06-9a53-2f0c6a7e1b01", poke_interval=10.0))

    assert "has no order 0f3c1a52-7d1e-4b06-9a53-2f0c6a7e1b01" in str(event.error)
    assert NOT_FOUND_GRACE / 10 - 1 <= bandwidth.count(operation="order") <= NOT_FOUND_GRACE / 10 + 2


def test_failures_that_may_pass_are_waited_out_until_the_deadline(bandwidth: Sandbox) -> None:
    (order_id,) = add_orders(bandwidth, 1)
    bandwidth.set_status(order_id, "RECEIVED")

    async def scenario() -> OrderEvent:
        async with waits([order_id], poke_interval=5.0, deadline=wall_clock() + 3600) as (task,):
            while not bandwidth.count(operation="order"):
                await asyncio.sleep(1)
            bandwidth.inject("status", operation="order", times=None, status=503)
            return await task

    event = run_fast(scenario())

    assert event.timed_out
    assert event.last_status == "RECEIVED"
    assert "503" in str(event.last_failure)
    assert bandwidth.count(operation="order") > 50


def test_success_starts_the_count_of_refusals_anew(bandwidth: Sandbox) -> None:
    (order_id,) = add_orders(bandwidth, 1)
    bursts, burst = 3, MAX_REFUSALS - 1
    for number in range(bursts):
        bandwidth.inject("refuse", operation="order", times=burst, after=number * (burst + 1), status=403)

    async def scenario() -> OrderEvent:
        async with waits([order_id], poke_interval=30.0, max_wait=30.0) as (task,):
            while bandwidth.count(operation="order") < bursts * (burst + 1):
                await asyncio.sleep(1)
                assert not task.done(), task.result()
            bandwidth.finish(order_id, "COMPLETE")
            return await task

    assert run_fast(scenario()).processing_status == "COMPLETE"


def test_connection_that_does_not_exist_is_an_error_event(connect: Callable[..., None]) -> None:
    event = run_fast(wait("0f3c1a52-7d1e-4b06-9a53-2f0c6a7e1b01", bandwidth_conn_id="nowhere"))

    assert "nowhere" in str(event.error)


def test_wrong_connection_is_an_error_event(bandwidth: Sandbox, connect: Callable[..., None]) -> None:
    connect(bandwidth.connection, extra={"account_id": None})

    event = run_fast(wait("0f3c1a52-7d1e-4b06-9a53-2f0c6a7e1b01"))

    assert "No Bandwidth account" in str(event.error)


def test_event_loop_keeps_ticking_while_the_server_is_slow(bandwidth: Sandbox) -> None:
    (order_id,) = add_orders(bandwidth, 1, status="COMPLETE")
    bandwidth.inject("slow", operation="token", seconds=0.6)
    bandwidth.inject("slow", operation="order", seconds=0.6)

    async def scenario() -> tuple[OrderEvent, float]:
        async with waits([order_id]) as (task,):
            longest, last = 0.0, time.monotonic()
            while not task.done():
                await asyncio.sleep(0.01)
                longest, last = max(longest, time.monotonic() - last), time.monotonic()
            return task.result(), longest

    event, longest = asyncio.run(scenario())

    assert event.processing_status == "COMPLETE"
    assert longest < 0.4


def test_first_poll_comes_after_a_while(bandwidth: Sandbox) -> None:
    (order_id,) = add_orders(bandwidth, 1, status="COMPLETE")

    async def scenario() -> int:
        async with waits([order_id]) as (task,):
            await asyncio.sleep(FIRST_POLL_DELAY * 0.7)
            early = bandwidth.count(operation="order")
            await task
        return early

    assert run_fast(scenario()) == 0


@pytest.mark.parametrize("of_many", [False, True])
@pytest.mark.parametrize(("trigger_id", "at_least", "at_most"), [(7, 15.0, 16.0), (None, 0.0, 4.0)])
def test_a_triggerer_lets_no_deferral_be_short(
    trigger_id: int | None, at_least: float, at_most: float, of_many: bool, bandwidth: Sandbox
) -> None:
    """A task that is queued again before the scheduler knows that its process ended counts as killed and is retried."""
    (order_id,) = add_orders(bandwidth, 1, status="COMPLETE")

    async def scenario() -> float:
        trigger = (
            BandwidthTnOrdersTrigger(order_ids=[order_id]) if of_many else BandwidthTnOrderTrigger(order_id=order_id)
        )
        trigger.trigger_id = trigger_id
        loop = asyncio.get_running_loop()
        started = loop.time()
        await anext(trigger.run())
        return loop.time() - started

    assert at_least <= run_fast(scenario()) < at_most


def test_deadline_ends_the_wait_with_a_last_look(bandwidth: Sandbox) -> None:
    (order_id,) = add_orders(bandwidth, 1)

    async def scenario(finish: bool) -> OrderEvent:
        async with waits([order_id], poke_interval=600.0, deadline=wall_clock() + 60) as (task,):
            await asyncio.sleep(30)
            if finish:
                bandwidth.finish(order_id, "COMPLETE")
            return await task

    assert run_fast(scenario(finish=False)).timed_out
    assert run_fast(scenario(finish=True)).processing_status == "COMPLETE"


def test_deadline_holds_while_the_server_says_nothing(
    connect: Callable[..., None], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A call to a silent server takes real seconds: few, rather than the grace of half a minute.
    monkeypatch.setattr("airflow_provider_bandwidth.triggers.bandwidth.DEADLINE_GRACE", 0.5)
    with RawServer(SILENCE) as silent:
        connect(sandbox.connection, host=silent.url, extra={"auth_type": "basic"})

        async def scenario() -> OrderEvent:
            return await wait("0f3c1a52-7d1e-4b06-9a53-2f0c6a7e1b01", deadline=wall_clock() + FIRST_POLL_DELAY + 0.5)

        assert run_fast(scenario()).timed_out


def test_serialises_to_json_scalars_and_back() -> None:
    parameters = {
        "order_id": "0f3c1a52",
        "bandwidth_conn_id": "other",
        "account_id": "77",
        "poke_interval": 12.5,
        "started_at": 1_900_000_000.5,
        "deadline": 1_900_003_600.0,
        "processing_status": "RECEIVED",
        "exponential_backoff": True,
        "max_wait": 90.0,
        "order_api": "importTnOrders",
        "action": "REMOVE",
    }

    path, kwargs = BandwidthTnOrderTrigger(**parameters).serialize()

    assert path == "airflow_provider_bandwidth.triggers.bandwidth.BandwidthTnOrderTrigger"
    assert kwargs == parameters
    again = BandwidthTnOrderTrigger(**json.loads(json.dumps(kwargs)))
    assert again.serialize() == (path, parameters)


def test_parameter_of_a_later_release_is_tolerated() -> None:
    """A triggerer that knows one parameter less would leave the task deferred for good."""
    trigger = BandwidthTnOrderTrigger(order_id="0f3c1a52", parameter_of_2031=1)

    assert "parameter_of_2031" not in trigger.serialize()[1]


@pytest.fixture
def trigger_log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(
        BandwidthTnOrderTrigger,
        "log",
        property(lambda _: type("Log", (), {"info": lambda _, text, *values: lines.append(text % values)})()),
    )
    return lines


@pytest.mark.parametrize(
    ("waited", "order_api", "times"),
    [*((0.0, name, 1) for name in ORDER_APIS), (LONG_WAIT + 10, "externalTns", 0), (0.0, "tnoptions", 0)],
)
def test_a_wait_of_an_hour_is_explained_once(
    bandwidth: Sandbox, trigger_log: list[str], waited: float, order_api: str, times: int
) -> None:
    """Not once more in the triggerer that takes over, and not where nobody has to confirm a transfer."""
    (order_id,) = add_orders(bandwidth, 1, order_api=order_api)

    async def scenario() -> None:
        async with waits([order_id], poke_interval=600.0, order_api=order_api, started_at=wall_clock() - waited):
            await asyncio.sleep(3 * LONG_WAIT)

    run_fast(scenario())

    assert sum("48 hours" in line for line in trigger_log) == times


def test_changes_of_status_are_logged_and_polls_are_not(bandwidth: Sandbox, trigger_log: list[str]) -> None:
    (order_id,) = add_orders(bandwidth, 1, status="RECEIVED")

    async def scenario() -> None:
        async with waits([order_id], poke_interval=5.0, processing_status="RECEIVED") as (task,):
            for polls in (4, 8):
                while bandwidth.count(operation="order") < polls:
                    await asyncio.sleep(1)
                bandwidth.set_status(order_id, {4: "PROCESSING", 8: "EXCEPTION"}[polls])
            while bandwidth.count(operation="order") < 12:
                await asyncio.sleep(1)
            bandwidth.finish(order_id, "COMPLETE")
            await task

    run_fast(scenario())

    assert trigger_log == [f"Order {order_id} is PROCESSING.", f"Order {order_id} is EXCEPTION."]


@pytest.mark.parametrize(
    "payload",
    [None, "success", {}, [], {"order_id": "1"}, {"status": "success"}, {"order_id": "1", "order": {}}],
    ids=str,
)
def test_foreign_event_is_an_error_and_never_a_success(payload: Any) -> None:
    event = OrderEvent.from_payload(payload)

    assert event.error
    assert event.processing_status is None


def test_event_without_outcome_is_an_error() -> None:
    payload = OrderEvent("1").to_payload()

    error = str(OrderEvent.from_payload(payload).error)
    assert error.startswith("the trigger sent an event without an outcome: {")


def test_event_that_cannot_be_read_is_shown() -> None:
    assert "{'status': 'success'}" in str(OrderEvent.from_payload({"status": "success"}).error)


def test_event_names_its_order_api_and_tolerates_other_releases(bandwidth: Sandbox) -> None:
    (order_id,) = add_orders(bandwidth, 1, status="COMPLETE", order_api="importTnOrders")

    payload = run_fast(wait(order_id, order_api="importTnOrders")).to_payload()

    assert payload["order_api"] == "importTnOrders"
    older = {name: payload[name] for name in ("order_id", "order", "processing_status", "timed_out", "error")}
    assert OrderEvent.from_payload(older).order_api == "externalTns"
    assert OrderEvent.from_payload({**payload, "key_of_2031": 1}).processing_status == "COMPLETE"


def test_large_order_is_left_out_of_its_event(bandwidth: Sandbox) -> None:
    (order_id,) = add_orders(bandwidth, 1, status="COMPLETE", numbers=5000)

    event = run_fast(wait(order_id))

    assert (event.order, event.processing_status) == (None, "COMPLETE")
    assert len(json.dumps(event.to_payload())) < 1000
