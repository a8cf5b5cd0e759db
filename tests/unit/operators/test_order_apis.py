"""The same tasks on every order API: the connection says which one, and nothing in the DAG changes."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from support.airflow_task import AirflowTask, FakeTime, HookKilledAfterPost, TaskKilledError
from support.fast_time import run_fast
from support.imports import IMPORT_DEFAULTS, SUBSCRIBER
from support.task_log import TaskLog
from support.tasks import FakeTaskInstance, make_context
from support.waiting import add_orders, waits

from airflow_provider_bandwidth.exceptions import AmbiguousSubmissionError, BandwidthApiError, BandwidthAuthError
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.links.bandwidth import ORDER_URL_KEY
from airflow_provider_bandwidth.operators import _order_wait
from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator
from airflow_provider_bandwidth.order_apis import ORDER_APIS
from airflow_provider_bandwidth.orders import Action
from airflow_provider_bandwidth.sandbox import OrderError, Sandbox
from airflow_provider_bandwidth.sensors.bandwidth import BandwidthTnOrderSensor
from airflow_provider_bandwidth.triggers.bandwidth import BandwidthTnOrderTrigger
from airflow_provider_bandwidth.triggers.waiting import LONG_WAIT, OrderEvent, OrdersEvent

Connect = Callable[..., None]
NUMBERS = ["9195550101", "2265550103"]
SUCCESSORS = tuple(ORDER_APIS)[1:]
WEEK, THREE_DAYS = 7 * 86400.0, 3 * 86400.0


@pytest.fixture(params=ORDER_APIS)
def order_api(request: pytest.FixtureRequest, sandbox: Sandbox, connect: Connect) -> str:
    """The one order API of the account, which the connection names."""
    sandbox.configure(order_apis=request.param, received_seconds=1e9)
    connect(sandbox.connection, extra=IMPORT_DEFAULTS)
    return str(request.param)


def submit(action: str = "IMPORT", **fields: Any) -> tuple[str, dict[str, Any]]:
    """The order id that the task returns, and its XComs."""
    ti = FakeTaskInstance("submit")
    given = {"action": action, "telephone_numbers": NUMBERS, **fields}
    order_id = BandwidthTnOrderOperator(task_id="submit", **given).execute(make_context(ti))
    return order_id, ti.xcoms


def look(order_id: str, **fields: Any) -> dict[str, Any]:
    ti = FakeTaskInstance("wait")
    sensor = BandwidthTnOrderSensor(task_id="wait", order_id=order_id, deferrable=False, **fields)
    return {**sensor.execute(make_context(ti)), ORDER_URL_KEY: ti.xcoms[ORDER_URL_KEY]}


@pytest.mark.parametrize("action", Action)
def test_submitted_found_again_and_waited_for(action: str, order_api: str, sandbox: Sandbox) -> None:
    order_id, xcoms = submit(action)
    assert submit(action)[0] == order_id
    assert [order.order_id for order in sandbox.orders] == [order_id]
    sandbox.finish(order_id, "COMPLETE")
    summary = look(order_id)
    assert summary.pop(ORDER_URL_KEY) == xcoms[ORDER_URL_KEY]
    assert (summary["order_api"], summary["action"], summary["completed_count"]) == (order_api, action, 2)


@pytest.mark.parametrize("action", Action)
def test_deferred_with_its_api_and_action(action: str, order_api: str) -> None:
    order_id, _ = submit(action)
    sensor = BandwidthTnOrderSensor(task_id="wait", order_id=order_id, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute(make_context(FakeTaskInstance("wait")))
    path, fields = deferred.value.trigger.serialize()
    assert path.endswith("BandwidthTnOrderTrigger")
    assert (fields["order_api"], fields["action"]) == (order_api, action)


def test_an_import_is_given_three_days_by_the_successors_and_a_week_else(order_api: str) -> None:
    order_id, _ = submit()
    for fields, limit in (({}, THREE_DAYS if order_api in SUCCESSORS else WEEK), ({"timeout": 60.0}, 60.0)):
        sensor = BandwidthTnOrderSensor(task_id="wait", order_id=order_id, deferrable=True, **fields)
        with pytest.raises(TaskDeferred) as deferred:
            sensor.execute(make_context(FakeTaskInstance("wait")))
        trigger: Any = deferred.value.trigger
        assert trigger.deadline - trigger.started_at == pytest.approx(limit, abs=1)


@pytest.mark.parametrize("order_api", SUCCESSORS, indirect=True)
def test_a_task_names_subscriber_and_signer_itself(order_api: str, sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.connection)
    with pytest.raises(AirflowFailException, match="2 fields are missing or wrong: Subscriber: give subscriber, or"):
        submit()
    assert not sandbox.orders
    order_id, _ = submit(subscriber=SUBSCRIBER, loa_authorizing_person="Ada Baker", loa_type="carrier")
    assert BandwidthHook().get_tn_order(order_id).loa_type == "CARRIER"


@pytest.mark.parametrize("order_api", ["importTnOrders"], indirect=True)
def test_a_task_that_waits_goes_on_with_its_api_when_the_connection_changes(
    order_api: str, sandbox: Sandbox, connect: Connect
) -> None:
    def make() -> BandwidthTnOrderOperator:
        given = {"action": "REMOVE", "telephone_numbers": NUMBERS, "chunk_size": 1}
        return BandwidthTnOrderOperator(task_id="submit", wait_for_completion=True, deferrable=True, **given)

    ti = FakeTaskInstance("submit")
    with pytest.raises(TaskDeferred) as deferred:
        make().execute(make_context(ti))
    assert {order["order_api"] for order in ti.xcoms["orders"]} == {order_api}
    connect(sandbox.connection, extra={**IMPORT_DEFAULTS, "order_api": "externalTns"})
    for order in sandbox.orders:
        sandbox.finish(order.order_id, "COMPLETE")
    ended = {order.order_id: "COMPLETE" for order in sandbox.orders}
    event = OrdersEvent(ended=ended).to_payload()
    summary = make().execute_complete(make_context(ti), event, **deferred.value.kwargs)
    assert (summary["order_api"], summary["completed_count"]) == (order_api, 2)


def test_a_task_that_polls_says_once_why_an_import_takes_long(
    order_api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, task_log: TaskLog
) -> None:
    order_id, _ = submit()
    sandbox.set_status(order_id, "PROCESSING")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if sum(slept) > 3 * LONG_WAIT:
            sandbox.finish(order_id, "COMPLETE")

    monkeypatch.setattr(_order_wait, "time", SimpleNamespace(time=lambda: time.time() + sum(slept), sleep=sleep))
    submit(wait_for_completion=True, deferrable=False, poke_interval=900)
    said = [line for line in task_log.text.splitlines() if "48 hours" in line]
    # Airflow 2.11 writes each line to two places.
    assert len({line.partition("Order ")[2] for line in said}) == 1
    assert len(said) <= 2


def test_a_task_may_name_the_order_api_itself(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.connection, extra=IMPORT_DEFAULTS)
    submit()
    submit(order_api="importTnOrders")
    assert [order.order_api for order in sandbox.orders] == ["externalTns", "importTnOrders"]
    assert BandwidthHook(order_api="importTnOrders").list_tn_orders()[0].order_id == sandbox.orders[1].order_id


# --- the connection's order API changes between two tries ---


def task_that_died_after_its_post(
    order_api: str, sandbox: Sandbox, connect: Connect, action: Action
) -> tuple[AirflowTask, str]:
    """The task, and the order that its first try sent and did not live to know of."""
    sandbox.configure(received_seconds=1e9)
    connect(sandbox.connection, extra={**IMPORT_DEFAULTS, "order_api": order_api})
    task = AirflowTask(NUMBERS, FakeTime(sandbox), hook=HookKilledAfterPost, action=action)
    with pytest.raises(TaskKilledError):
        task.attempt()
    task.hook = BandwidthHook
    (order,) = sandbox.orders
    return task, order.order_id


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(ORDER_APIS, 2)))
def test_a_retry_sends_nothing_beside_an_order_of_another_api(
    before: str, after: str, action: Action, sandbox: Sandbox, connect: Connect
) -> None:
    task, order_id = task_that_died_after_its_post(before, sandbox, connect, action)
    connect(sandbox.connection, extra={**IMPORT_DEFAULTS, "order_api": after})
    if {before, after} == set(SUCCESSORS):
        # The two forms show each other's orders.
        assert task.attempt() == order_id
    else:
        for _ in range(2):
            with pytest.raises(AmbiguousSubmissionError, match=f"order {order_id} of ") as refused:
                task.attempt()
        shown_by = "externalTns" if before == "externalTns" else "importTnOrders"
        assert f"Set order_api to {shown_by} for this task until its run has ended" in str(refused.value)
        task.hook = partial(BandwidthHook, order_api=before)
        assert task.attempt() == order_id
    assert len(sandbox.orders) == 1


def test_an_order_of_another_api_that_failed_or_is_older_hinders_no_retry(sandbox: Sandbox, connect: Connect) -> None:
    task, order_id = task_that_died_after_its_post("externalTns", sandbox, connect, Action.IMPORT)
    sandbox.finish(order_id, "FAILED", [OrderError("5061", "site", NUMBERS)])
    sandbox.add_order(NUMBERS, created_at=datetime.now(UTC) - timedelta(hours=2))
    connect(sandbox.connection, extra={**IMPORT_DEFAULTS, "order_api": "importTnOrders"})
    assert task.attempt() != order_id
    assert [order.order_api for order in sandbox.orders[2:]] == ["importTnOrders"]


def test_a_retry_sends_beside_an_order_of_another_api_on_purpose(sandbox: Sandbox, connect: Connect) -> None:
    task, order_id = task_that_died_after_its_post("externalTns", sandbox, connect, Action.IMPORT)
    connect(sandbox.connection, extra={**IMPORT_DEFAULTS, "order_api": "importTnOrders"})
    task.parameters["reuse_existing_order"] = False
    assert task.attempt() != order_id


def test_apis_that_the_account_has_not_hinder_no_retry(sandbox: Sandbox, connect: Connect) -> None:
    sandbox.configure(order_apis="importTnOrders", received_seconds=1e9)
    connect(sandbox.connection, extra={**IMPORT_DEFAULTS, "order_api": "importTnOrders"})
    task = AirflowTask(NUMBERS, FakeTime(sandbox))
    sandbox.inject("status", operation="submit", status=403)
    with pytest.raises(BandwidthAuthError):
        task.attempt()
    assert task.attempt() == sandbox.orders[0].order_id


def test_nothing_is_sent_while_another_api_gives_no_answer(sandbox: Sandbox, connect: Connect) -> None:
    task, _ = task_that_died_after_its_post("externalTns", sandbox, connect, Action.IMPORT)
    connect(sandbox.connection, extra={**IMPORT_DEFAULTS, "order_api": "importTnOrders"})
    sandbox.inject("status", method="GET", path="externalTns", status=503, times=None)
    with pytest.raises(BandwidthApiError, match="HTTP 503"):
        task.attempt()
    assert len(sandbox.orders) == 1


# --- in the triggerer ---


def trigger(order_id: str, order_api: str, action: str | None) -> BandwidthTnOrderTrigger:
    return BandwidthTnOrderTrigger(order_id=order_id, order_api=order_api, action=action, poke_interval=1)


async def event_of(one: BandwidthTnOrderTrigger) -> OrderEvent:
    async for event in one.run():
        return OrderEvent.from_payload(event.payload)
    raise AssertionError


@pytest.mark.parametrize("knows_action", [True, False])
@pytest.mark.parametrize("action", Action)
def test_a_trigger_waits_for_the_end(action: str, knows_action: bool, order_api: str, sandbox: Sandbox) -> None:
    order_id, _ = submit(action)
    sandbox.finish(order_id, "COMPLETE")
    event = run_fast(event_of(trigger(order_id, order_api, action if knows_action else None)))
    assert event.order is not None
    assert (event.processing_status, event.order.action, event.order.order_api) == ("COMPLETE", action, order_api)


@pytest.mark.parametrize("order_api", SUCCESSORS, indirect=True)
def test_many_are_looked_up_in_the_list_of_their_action_and_read_when_they_end(
    order_api: str, sandbox: Sandbox
) -> None:
    ids = add_orders(sandbox, 30, action="REMOVE", order_api=order_api)

    async def scenario() -> list[OrderEvent]:
        async with waits(ids, order_api=order_api, action="REMOVE", poke_interval=5) as tasks:
            await asyncio.sleep(60)
            for order_id in ids:
                sandbox.finish(order_id, "COMPLETE")
            return await asyncio.gather(*tasks)

    events = run_fast(scenario())
    assert {event.processing_status for event in events} == {"COMPLETE"}
    asked = [record for record in sandbox.requests if record.operation in ("list", "order")]
    assert all("/removeImportedTnOrders" in record.path for record in asked)
    assert len(asked) < 60


@pytest.mark.parametrize("order_api", ["importTnOrders"], indirect=True)
def test_the_pollers_of_an_account_share_one_budget(order_api: str, sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.connection, extra={"max_requests_per_minute": 10})
    ids = {action: add_orders(sandbox, 9, action=action, order_api=order_api, status="PROCESSING") for action in Action}

    async def scenario() -> None:
        async with (
            waits(ids[Action.IMPORT], order_api=order_api, action="IMPORT", poke_interval=1),
            waits(ids[Action.REMOVE], order_api=order_api, action="REMOVE", poke_interval=1),
        ):
            await asyncio.sleep(120)

    run_fast(scenario())
    assert len([record for record in sandbox.requests if record.operation != "token"]) <= 2 * 10 + 2
