"""A task with any number of telephone numbers: cut, submitted and waited for, each order with its own outcome."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, TaskDeferred
from support.airflow_task import CONN_VARIABLE, FakeTime, StateStore

from airflow_provider_bandwidth.exceptions import BandwidthError
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.operators import _order_wait
from airflow_provider_bandwidth.operators import bandwidth as operators
from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator
from airflow_provider_bandwidth.sandbox import Order, OrderError, Sandbox
from airflow_provider_bandwidth.triggers import bandwidth as triggers
from airflow_provider_bandwidth.triggers.bandwidth import BandwidthTnOrdersTrigger
from airflow_provider_bandwidth.triggers.waiting import OrdersEvent
from airflow_provider_bandwidth.xcom_lists import pull_list

NUMBERS = [f"919666{line:04d}" for line in range(60)]
RUN_ID = "scheduled__2031-03-04T00:00:00+00:00"


class Task:
    """A task instance, try by try, with its XComs and its state store."""

    def __init__(self, fake_time: FakeTime, *, max_tries: int = 0, run_id: str = RUN_ID, **parameters: Any) -> None:
        self.task_id, self.dag_id, self.run_id, self.map_index = "submit", "nightly", run_id, -1
        self.try_number, self.max_tries = 0, max_tries
        self.xcoms: dict[str, Any] = {}
        self.store = StateStore()
        self.parameters = {"action": "IMPORT", "telephone_numbers": NUMBERS, "chunk_size": 2, **parameters}
        self._time = fake_time
        self._started = datetime.fromtimestamp(fake_time.clock(), UTC)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int = -1) -> Any:
        assert (task_ids, map_indexes) == ("submit", -1)
        return self.xcoms.get(key)

    def make_operator(self) -> Any:
        operator = BandwidthTnOrderOperator(task_id="submit", **self.parameters)
        operator.hook = BandwidthHook(sleep=self._time.sleep, clock=self._time.clock)
        return operator

    @property
    def context(self) -> Any:
        run = SimpleNamespace(start_date=self._started, clear_number=0, run_after=self._started)
        return {"ti": self, "dag_run": run, "task_state_store": self.store}

    def attempt(self) -> Any:
        """The next try: what it returns, or how it ends."""
        self.try_number += 1
        self.xcoms.clear()
        return self.push(self.make_operator().execute(self.context))

    def resume(self, deferral: TaskDeferred, event: Any = None) -> Any:
        """What the task makes of the event, in a process of its own."""
        payload = asyncio.run(self.run_trigger(deferral.trigger)) if event is None else event
        return self.push(self.make_operator().execute_complete(self.context, event=payload, **deferral.kwargs))

    async def run_trigger(self, trigger: Any) -> Any:
        path, kwargs = trigger.serialize()
        assert path.endswith("BandwidthTnOrdersTrigger")
        again = BandwidthTnOrdersTrigger(**json.loads(json.dumps(kwargs)))
        async for event in again.run():
            return json.loads(json.dumps(event.payload))
        raise AssertionError("no event")

    def run_to_the_end(self, meanwhile: Callable[[], object] = lambda: None) -> Any:
        """A try and, if it defers, what it makes of the event."""
        try:
            return self.attempt()
        except TaskDeferred as deferred:
            meanwhile()
            return self.resume(deferred)

    def push(self, returned: Any) -> Any:
        self.xcom_push("return_value", returned)
        return returned


@pytest.fixture(scope="module")
def running_sandbox() -> Iterator[Sandbox]:
    with Sandbox(received_seconds=1e9) as running:
        yield running


@pytest.fixture
def sandbox(running_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    running_sandbox.reset()
    monkeypatch.setenv(CONN_VARIABLE, running_sandbox.connection_json)
    monkeypatch.setattr("airflow_provider_bandwidth.triggers.waiting.FIRST_POLL_DELAY", 0.0)
    return running_sandbox


@pytest.fixture
def fake_time(sandbox: Sandbox) -> FakeTime:
    return FakeTime(sandbox)


def finish_all(sandbox: Sandbox) -> list[Order]:
    orders = sandbox.orders
    for order in orders:
        sandbox.finish(order.order_id, "COMPLETE")
    return orders


# --- cutting and submitting ---


def test_numbers_are_cut_into_orders_of_the_chunk_size(fake_time: FakeTime, sandbox: Sandbox) -> None:
    returned = Task(fake_time, chunk_size=25).attempt()
    assert [sandbox.order(order_id).telephone_numbers for order_id in returned] == [
        tuple(NUMBERS[:25]),
        tuple(NUMBERS[25:50]),
        tuple(NUMBERS[50:]),
    ]


def test_the_same_numbers_in_another_order_are_the_same_orders(fake_time: FakeTime, sandbox: Sandbox) -> None:
    task = Task(fake_time)
    returned = task.attempt()
    task.parameters["telephone_numbers"] = NUMBERS[::-1]
    assert task.attempt() == returned
    assert len(sandbox.orders) == 30


def test_one_order_returns_its_id(fake_time: FakeTime, sandbox: Sandbox) -> None:
    assert Task(fake_time, chunk_size=1000).attempt() == sandbox.orders[0].order_id


def test_an_own_id_names_one_order_only(fake_time: FakeTime, sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match=r"can name one order, but 60 telephone numbers make 30"):
        Task(fake_time, customer_order_id="mine").attempt()
    assert sandbox.orders == []


@pytest.mark.parametrize("size", [0, 5001])
def test_a_chunk_size_that_is_none_is_named_when_the_dag_is_parsed(size: int) -> None:
    with pytest.raises(ValueError, match="chunk_size"):
        BandwidthTnOrderOperator(task_id="x", action="IMPORT", telephone_numbers=NUMBERS, chunk_size=size)


def test_a_failing_order_fails_no_other_and_a_retry_sends_it_alone(fake_time: FakeTime, sandbox: Sandbox) -> None:
    sandbox.inject("status", operation="submit", status=400, after=4)
    task = Task(fake_time, max_tries=1, wait_for_completion=True)
    with pytest.raises(BandwidthError, match="1 of 30 orders failed"):
        task.attempt()
    assert len(sandbox.orders) == 29
    posts = sandbox.count(operation="submit")
    finish_all(sandbox)
    with pytest.raises(TaskDeferred):
        Task.attempt(_deferrable(task))
    assert sandbox.count(operation="submit") == posts + 1
    assert len({number for order in sandbox.orders for number in order.telephone_numbers}) == 60


def _deferrable(task: Task) -> Task:
    task.parameters["deferrable"] = True
    return task


def test_at_the_last_try_the_others_are_waited_for(fake_time: FakeTime, sandbox: Sandbox) -> None:
    sandbox.inject("status", operation="submit", status=400, after=4)
    task = Task(fake_time, wait_for_completion=True, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        task.attempt()
    finish_all(sandbox)
    with pytest.raises(AirflowFailException, match=r"1 of 30 orders failed: .*400"):
        task.resume(deferred.value)
    assert task.xcoms["return_value"]["completed_count"] == 58
    (failed,) = [order for order in task.xcoms["orders"] if order["error"]]
    assert (failed["order_id"], failed["customer_order_id"][:8]) == (None, "airflow-")


def test_a_run_with_an_id_of_its_own_is_searched_order_by_order(fake_time: FakeTime, sandbox: Sandbox) -> None:
    """It may have been deleted and made again: its orders may be of any age."""
    first = Task(fake_time, run_id="load 1")
    sent = first.attempt()
    fake_time.sleep(10 * 86_400)
    again = Task(fake_time, run_id="load 1")
    assert again.attempt() == sent
    assert len(sandbox.orders) == 30


# --- waiting ---


@pytest.mark.parametrize("deferrable", [True, False])
def test_all_are_waited_for_with_few_calls(
    deferrable: bool, fake_time: FakeTime, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task(fake_time, wait_for_completion=True, deferrable=deferrable, poke_interval=1)
    errors = [OrderError("5124", "exists", (NUMBERS[0],))]
    if deferrable:
        with pytest.raises(TaskDeferred) as deferred:
            task.attempt()
        _finish(sandbox, errors)
        summary = task.resume(deferred.value)
    else:
        monkeypatch.setattr(_order_wait.time, "sleep", lambda _: _finish(sandbox, errors))
        summary = task.attempt()
    assert {key: summary[key] for key in ("order_id", "action", "processing_status")} == {
        "order_id": None,
        "action": "IMPORT",
        "processing_status": "PARTIAL",
    }
    assert (summary["completed_count"], summary["error_count"]) == (59, 1)
    assert sorted(task.xcoms["completed_telephone_numbers"]) == NUMBERS[1:]
    (error,) = task.xcoms["errors"]
    assert (error["telephone_number"], error["code"]) == (NUMBERS[0], "5124")
    assert len(task.xcoms["orders"]) == 30
    assert task.xcoms["bandwidth_order_url"].endswith(error["order_id"])
    assert sandbox.count(operation="submit") == 30
    assert len(sandbox.requests) <= 30 + 12


def _finish(sandbox: Sandbox, errors: list[OrderError]) -> None:
    for order in sandbox.orders:
        if NUMBERS[0] in order.telephone_numbers:
            sandbox.finish(order.order_id, "PARTIAL", errors)
        else:
            sandbox.finish(order.order_id, "COMPLETE")


def test_one_order_has_the_summary_of_the_sensor(fake_time: FakeTime, sandbox: Sandbox) -> None:
    task = Task(fake_time, chunk_size=100, wait_for_completion=True, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        task.attempt()
    (order,) = finish_all(sandbox)
    assert task.resume(deferred.value) == {
        "order_id": order.order_id,
        "customer_order_id": order.customer_order_id,
        "action": "IMPORT",
        "processing_status": "COMPLETE",
        "completed_count": 60,
        "error_count": 0,
        "order_api": "externalTns",
    }


def test_orders_that_have_ended_need_no_deferral(fake_time: FakeTime, sandbox: Sandbox) -> None:
    task = Task(fake_time, wait_for_completion=True, deferrable=True)
    with pytest.raises(TaskDeferred):
        task.attempt()
    finish_all(sandbox)
    assert task.attempt()["completed_count"] == 60


@pytest.mark.parametrize("deferrable", [True, False])
def test_an_order_that_failed_is_named(
    deferrable: bool, fake_time: FakeTime, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task(fake_time, wait_for_completion=True, deferrable=deferrable)

    def end(_: float = 0) -> None:
        for index, order in enumerate(sandbox.orders):
            sandbox.finish(order.order_id, "FAILED" if index == 7 else "COMPLETE")

    monkeypatch.setattr(_order_wait.time, "sleep", end)
    with pytest.raises(AirflowFailException, match=r"1 of 30 orders failed: it ended FAILED"):
        task.run_to_the_end(end)
    assert task.xcoms["return_value"]["completed_count"] == 58


@pytest.mark.parametrize("deferrable", [True, False])
def test_orders_that_do_not_end_in_time_are_told_apart(
    deferrable: bool, fake_time: FakeTime, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task(fake_time, wait_for_completion=True, deferrable=deferrable, timeout=0.0, poke_interval=0.1)
    monkeypatch.setattr(triggers, "DEADLINE_GRACE", 0.5)
    monkeypatch.setattr(operators.BandwidthTnOrderOperator, "_get_time_limit", lambda _: 0.3)
    says = r"30 of 30 orders failed: it was not terminal in time, .*\. The wait took"
    with pytest.raises(AirflowSensorTimeout, match=says):
        task.run_to_the_end()
    assert task.xcoms["return_value"]["processing_status"] is None
    assert all(order["order_id"] for order in task.xcoms["orders"])


def test_what_a_database_does_not_take_is_pushed_in_parts(fake_time: FakeTime, sandbox: Sandbox) -> None:
    many = [f"919666{line:04d}" for line in range(6000)]
    task = Task(fake_time, telephone_numbers=many, chunk_size=1000, wait_for_completion=True, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        task.attempt()
    finish_all(sandbox)
    assert task.resume(deferred.value)["completed_count"] == len(many)
    assert max(len(json.dumps(value)) for value in task.xcoms.values()) < 64_000
    assert task.xcoms["completed_telephone_numbers"] is None
    assert sorted(pull_list(task, "submit", "completed_telephone_numbers") or ()) == sorted(many)


def test_a_try_of_its_own_begins_anew(fake_time: FakeTime, sandbox: Sandbox) -> None:
    """Airflow 3.0 hands a retry the event that failed the try before."""
    task = Task(fake_time, wait_for_completion=True, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        task.attempt()
    task.try_number += 1
    with pytest.raises(TaskDeferred):
        task.resume(deferred.value, {"ended": {}, "given_up": {}, "timed_out": {}})


def test_an_event_that_cannot_be_read_is_no_success(fake_time: FakeTime, sandbox: Sandbox) -> None:
    task = Task(fake_time, wait_for_completion=True, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        task.attempt()
    with pytest.raises(BandwidthError, match="cannot be read"):
        task.resume(deferred.value, {"something": "else"})


def test_an_order_that_cannot_be_read_is_waited_for_on(fake_time: FakeTime, sandbox: Sandbox) -> None:
    task = Task(fake_time, wait_for_completion=True, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        task.attempt()
    finish_all(sandbox)
    ended = {order.order_id: "COMPLETE" for order in sandbox.orders}
    sandbox.inject("status", operation="list", status=404, times=1)
    sandbox.inject("status", operation="order", status=404, times=1)
    with pytest.raises(TaskDeferred) as again:
        task.resume(deferred.value, OrdersEvent(ended=ended).to_payload())
    assert len(again.value.trigger.order_ids) == 1
    assert task.resume(again.value)["completed_count"] == 60


def test_more_orders_than_a_trigger_takes_are_waited_for_in_turns(
    fake_time: FakeTime, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operators, "_MOST_ORDERS_IN_A_TRIGGER", 20)
    task = Task(fake_time, wait_for_completion=True, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        task.attempt()
    finish_all(sandbox)
    with pytest.raises(TaskDeferred) as again:
        task.resume(deferred.value)
    assert (len(deferred.value.trigger.order_ids), len(again.value.trigger.order_ids)) == (20, 10)
    assert task.resume(again.value)["completed_count"] == 60


def test_the_store_holds_small_entries(fake_time: FakeTime, sandbox: Sandbox) -> None:
    task = Task(fake_time, telephone_numbers=[f"919666{line:04d}" for line in range(150)], chunk_size=1)
    task.attempt()
    assert len(task.store.values) == 2
    assert max(map(len, task.store.values.values())) < 64_000


@pytest.mark.parametrize("dies_after", [0, 1, 17])
def test_a_killed_task_sends_nothing_twice(dies_after: int, fake_time: FakeTime, sandbox: Sandbox) -> None:
    class KilledError(BaseException):
        pass

    task = Task(fake_time)
    operator = task.make_operator()
    create: Callable[..., Any] = operator.hook.create_tn_order
    left = iter(range(dies_after, -1, -1))

    def die(request: Any) -> Any:
        order = create(request)
        if not next(left):
            raise KilledError
        return order

    operator.hook.create_tn_order = die
    task.try_number = 1
    with pytest.raises(KilledError):
        operator.execute(task.context)
    assert len(sandbox.orders) == dies_after + 1
    slept = fake_time.slept
    task.attempt()
    assert len(sandbox.orders) == 30
    assert sandbox.resets == {}
    assert fake_time.slept - slept < timedelta(minutes=2).total_seconds()
