"""The sensor without a database: XComs, policy, patience, and what a deferral carries.

``tests/integration/test_parity.py`` shows on real Airflow that all ways of waiting end alike.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)
from support.task_log import TaskLog
from support.tasks import FakeTaskInstance, make_context

from airflow_provider_bandwidth.error_codes import ERROR_CODES
from airflow_provider_bandwidth.exceptions import (
    BandwidthAuthError,
    BandwidthError,
    OrderFailedError,
    OrderNotFoundError,
)
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.links.bandwidth import ORDER_URL_KEY
from airflow_provider_bandwidth.sandbox import Order, OrderError, Sandbox
from airflow_provider_bandwidth.sensors.bandwidth import BandwidthTnOrderSensor
from airflow_provider_bandwidth.triggers.bandwidth import BandwidthTnOrderTrigger
from airflow_provider_bandwidth.triggers.waiting import (
    LONG_WAIT,
    MAX_REFUSALS,
    NOT_FOUND_GRACE,
    REFUSAL_GRACE,
    OrderEvent,
)

Connect = Callable[..., None]
NUMBERS = ("9195550101", "9195550102", "9195550103")
WAYS = ("poke", "deferred")


@pytest.fixture(autouse=True)
def _connected(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.connection, extra={"order_url": "https://ui.example.net/{account_id}/{order_id}"})


class HurriedSensor(BandwidthTnOrderSensor):
    """The hook's own pauses between attempts are not what is tested here."""

    @property
    def hook(self) -> BandwidthHook:  # type: ignore[override]
        return BandwidthHook(self.bandwidth_conn_id, self.account_id, sleep=lambda _: None)


def make_sensor(order: Order | str, **changes: Any) -> BandwidthTnOrderSensor:
    order_id = order if isinstance(order, str) else order.order_id
    return HurriedSensor(**{"task_id": "wait", "order_id": order_id, "deferrable": False, **changes})


def wait(sensor: BandwidthTnOrderSensor, way: str, order: Order, ti: FakeTaskInstance | None = None) -> dict[str, Any]:
    """Let a sensor see an ended order as Airflow would; the XComs, which a failing one leaves in ``ti``."""
    ti = ti or FakeTaskInstance("wait")
    context = make_context(ti)
    if way == "deferred":
        payload = OrderEvent.for_order(BandwidthHook().get_tn_order(order.order_id)).to_payload()
        returned = sensor.execute_complete(context, payload)
    else:
        returned = sensor.execute(context)
    ti.xcom_push("return_value", returned)
    return ti.xcoms


def partial(sandbox: Sandbox, **changes: Any) -> Order:
    errors = changes.pop("errors", [OrderError("5124", "exists", NUMBERS[2:])])
    return sandbox.add_order(
        NUMBERS, **{"status": "PARTIAL", "errors": errors, "customer_order_id": "run 7", **changes}
    )


# --- the XComs ---


@pytest.mark.parametrize("way", WAYS)
def test_complete(way: str, sandbox: Sandbox) -> None:
    order = sandbox.add_order(NUMBERS, customer_order_id="run 7")
    assert wait(make_sensor(order), way, order) == {
        "return_value": {
            "order_id": order.order_id,
            "customer_order_id": "run 7",
            "action": "IMPORT",
            "processing_status": "COMPLETE",
            "completed_count": 3,
            "error_count": 0,
            "order_api": "externalTns",
        },
        "errors": [],
        "warnings": [],
        "completed_telephone_numbers": list(NUMBERS),
        ORDER_URL_KEY: f"https://ui.example.net/9900000/{order.order_id}",
    }


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("partial_list", ["all", "completed"])
def test_partial_succeeds_with_a_warning(way: str, partial_list: str, sandbox: Sandbox, task_log: TaskLog) -> None:
    sandbox.configure(partial_list=partial_list)
    order = partial(sandbox)
    xcoms = wait(make_sensor(order), way, order)
    assert xcoms["return_value"]["processing_status"] == "PARTIAL"
    assert (xcoms["return_value"]["completed_count"], xcoms["return_value"]["error_count"]) == (2, 1)
    assert xcoms["errors"] == [{"telephone_number": "9195550103", "code": "5124", "description": "exists"}]
    assert xcoms["completed_telephone_numbers"] == ["9195550101", "9195550102"]
    assert (
        f"PARTIAL. Telephone numbers completed: 2, errors: 1, ignored errors: 0. Order {order.order_id}."
        in task_log.text
    )
    assert f"1 x 5124: the number exists already. What to do: {ERROR_CODES['orders']['5124'].advice}." in task_log.text
    assert "'errors'" in task_log.text
    assert "'completed_telephone_numbers'" in task_log.text
    assert "warning" in task_log.text.lower()
    assert "Failing telephone numbers, 1 of 1: 9195550103 (5124)." in task_log.text
    for number in NUMBERS[:2]:
        assert number not in task_log.text


@pytest.mark.parametrize(("log_telephone_numbers", "named"), [(True, 10), (False, 0)])
def test_the_log_names_the_first_ten_failing_numbers_unless_counts_are_wanted(
    log_telephone_numbers: bool, named: int, sandbox: Sandbox, task_log: TaskLog
) -> None:
    numbers = [f"919555{line:04d}" for line in range(30)]
    order = sandbox.add_order(
        numbers, status="PARTIAL", errors=[OrderError("25070", "no carrier", tuple(numbers[:12]))]
    )
    wait(make_sensor(order, log_telephone_numbers=log_telephone_numbers), "poke", order)
    assert "12 x 25070" in task_log.text
    assert sum(number in task_log.text for number in numbers) == named
    assert ("10 of 12" in task_log.text) == log_telephone_numbers


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_log_names_connection_and_account(deferrable: bool, sandbox: Sandbox, task_log: TaskLog) -> None:
    order = sandbox.add_order(NUMBERS)
    make_sensor(order, deferrable=deferrable).execute(make_context(FakeTaskInstance()))
    assert f"order {order.order_id} in account 9900000, connection 'bandwidth_default'." in task_log.text


@pytest.mark.parametrize("way", WAYS)
def test_failed_fails_without_a_retry_and_leaves_its_xcoms(way: str, sandbox: Sandbox) -> None:
    errors = [OrderError("25070", "no carrier", NUMBERS[:2]), OrderError("5124", "exists", NUMBERS[2:])]
    order = partial(sandbox, status="FAILED", errors=errors)
    ti = FakeTaskInstance("wait")
    with pytest.raises(AirflowFailException) as caught:
        wait(make_sensor(order), way, order, ti)
    message = str(caught.value)
    assert isinstance(caught.value.__cause__, OrderFailedError)
    for part in (
        "IMPORT order ended FAILED",
        order.order_id,
        "run 7",
        "FAILED",
        "25070 x 2",
        "5124 x 1",
        "no carrier",
        "'errors'",
    ):
        assert part in message
    for number in NUMBERS:
        assert number not in message
    xcoms = ti.xcoms
    assert xcoms["return_value"]["processing_status"] == "FAILED"
    assert [error["telephone_number"] for error in xcoms["errors"]] == list(NUMBERS)
    assert xcoms["completed_telephone_numbers"] == []
    assert xcoms[ORDER_URL_KEY].endswith(order.order_id)


@pytest.mark.parametrize("way", WAYS)
def test_an_error_that_names_no_number_lets_none_be_used(way: str, sandbox: Sandbox) -> None:
    order = partial(sandbox, errors=[OrderError("1010", "internal", ())])
    xcoms = wait(make_sensor(order), way, order)
    assert xcoms["errors"] == [{"telephone_number": None, "code": "1010", "description": "internal"}]
    assert xcoms["completed_telephone_numbers"] == []


@pytest.mark.parametrize("way", WAYS)
def test_a_remove_has_the_same_xcoms(way: str, sandbox: Sandbox) -> None:
    order = sandbox.add_order(NUMBERS, action="REMOVE")
    xcoms = wait(make_sensor(order), way, order)
    assert xcoms["return_value"]["action"] == "REMOVE"
    assert xcoms["completed_telephone_numbers"] == list(NUMBERS)


# --- the policy ---


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "allowed", ["COMPLETE", ["complete"], ("COMPLETE", "FAILED"), {"COMPLETE"}, {"COMPLETE": 1}.keys()]
)
def test_partial_fails_where_it_is_not_allowed(way: str, allowed: Any, sandbox: Sandbox) -> None:
    order = partial(sandbox)
    ti = FakeTaskInstance("wait")
    with pytest.raises(AirflowFailException, match="PARTIAL"):
        wait(make_sensor(order, allowed_statuses=allowed), way, order, ti)
    assert ti.xcoms["completed_telephone_numbers"] == list(NUMBERS[:2])


@pytest.mark.parametrize("way", WAYS)
def test_failed_succeeds_where_it_is_allowed(way: str, sandbox: Sandbox) -> None:
    order = partial(sandbox, status="FAILED")
    xcoms = wait(make_sensor(order, allowed_statuses=["FAILED"]), way, order)
    assert xcoms["return_value"]["processing_status"] == "FAILED"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("codes", [["5124"], [5124], "5124", 5124, {"5124", "13552"}])
@pytest.mark.parametrize("status", ["PARTIAL", "FAILED"])
def test_ignored_errors_count_as_done(way: str, codes: Any, status: str, sandbox: Sandbox) -> None:
    numbers = NUMBERS if status == "FAILED" else NUMBERS[2:]
    order = partial(sandbox, status=status, errors=[OrderError("5124", "exists", numbers)])
    xcoms = wait(make_sensor(order, ignore_error_codes=codes, allowed_statuses="COMPLETE"), way, order)
    assert xcoms["return_value"]["processing_status"] == "COMPLETE"
    assert xcoms["errors"] == []
    assert sorted(xcoms["completed_telephone_numbers"]) == list(NUMBERS)


@pytest.mark.parametrize("way", WAYS)
def test_other_errors_beside_ignored_ones_still_count(way: str, sandbox: Sandbox) -> None:
    order = partial(sandbox, errors=[OrderError("5124", "exists", NUMBERS[:1]), OrderError("25070", "?", NUMBERS[1:2])])
    with pytest.raises(AirflowFailException, match="PARTIAL"):
        wait(make_sensor(order, ignore_error_codes=["5124"], allowed_statuses="COMPLETE"), way, order)


@pytest.mark.parametrize(
    "statuses", [[], None, 5, iter([]), "{{ x }}", ["DONE"], ["COMPLETE", "RECEIVED"], "COMPLETE,PARTIAL", [""]]
)
def test_allowed_statuses_that_no_order_can_end_in_are_an_error_in_the_dag(statuses: Any) -> None:
    with pytest.raises(ValueError, match="allowed_statuses: expected some of COMPLETE, FAILED, PARTIAL"):
        make_sensor("o-1", allowed_statuses=statuses)


# --- soft_fail and never_fail ---


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("how", ["soft_fail", "never_fail"])
def test_a_failed_order_is_skipped_softly(way: str, how: str, sandbox: Sandbox) -> None:
    order = partial(sandbox, status="FAILED")
    ti = FakeTaskInstance("wait")
    with pytest.raises(AirflowSkipException):
        wait(make_sensor(order, **{how: True}), way, order, ti)
    assert ti.xcoms["return_value"]["processing_status"] == "FAILED"


@pytest.mark.parametrize(("how", "error"), [("soft_fail", BandwidthAuthError), ("never_fail", AirflowSkipException)])
@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_a_refusal_that_lasts_is_skipped_by_never_fail_only(
    how: str, error: type[Exception], mode: str, sandbox: Sandbox, skipped_time: list[float]
) -> None:
    sandbox.inject("status", operation="order", status=403, times=None)
    with pytest.raises(error):
        make_sensor("o-1", mode=mode, poke_interval=10, **{how: True}).execute(make_context(FakeTaskInstance()))


@pytest.mark.parametrize(("how", "error"), [("soft_fail", BandwidthError), ("never_fail", AirflowSkipException)])
def test_a_wait_that_the_trigger_gave_up_is_skipped_by_never_fail_only(how: str, error: type[Exception]) -> None:
    event = OrderEvent("o-1", error="the credentials were refused").to_payload()
    with pytest.raises(error, match="given up: the credentials were refused"):
        make_sensor("o-1", **{how: True}).execute_complete(make_context(FakeTaskInstance()), event)


@pytest.mark.parametrize("how", ["soft_fail", "never_fail"])
def test_a_deferred_timeout_is_skipped_softly(how: str) -> None:
    event = OrderEvent("o-1", timed_out=True).to_payload()
    with pytest.raises(AirflowSkipException):
        make_sensor("o-1", **{how: True}).execute_complete(make_context(FakeTaskInstance()), event)


@pytest.mark.parametrize("deferrable", [False, True])
def test_silent_fail_waits_on_until_the_timeout(deferrable: bool, sandbox: Sandbox, skipped_time: list[float]) -> None:
    """Airflow's poke loop takes any error for "not yet" then."""
    sandbox.inject("status", operation="order", status=403, times=None)
    order = sandbox.add_order(NUMBERS, status="PROCESSING")
    sensor = make_sensor(order, deferrable=deferrable, silent_fail=True, timeout=600, poke_interval=10)
    if not deferrable:
        with pytest.raises(AirflowSensorTimeout):
            sensor.execute(make_context(FakeTaskInstance()))
        assert sandbox.count(operation="order") > MAX_REFUSALS
        return
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute(make_context(FakeTaskInstance()))
    event = OrderEvent(order.order_id, error="HTTP 403").to_payload()
    with pytest.raises(TaskDeferred) as again:
        sensor.execute_complete(make_context(FakeTaskInstance()), event, **deferred.value.kwargs)
    deadlines = [each.value.trigger.serialize()[1]["deadline"] for each in (deferred, again)]
    assert deadlines[0] == deadlines[1]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({}, AirflowTaskTimeout),
        ({"soft_fail": True}, AirflowSkipException),
        ({"never_fail": True}, AirflowSkipException),
        ({"silent_fail": True}, AirflowTaskTimeout),
    ],
    ids=str,
)
def test_execution_timeout_holds_while_deferred(
    changes: dict[str, Any], error: type[BaseException], sandbox: Sandbox
) -> None:
    """Airflow 3 leaves that to the sensor. It ends as a poked one does: with an error that is retried."""
    order = sandbox.add_order(NUMBERS, status="PROCESSING")
    sensor = make_sensor(order, deferrable=True, timeout=3600, execution_timeout=timedelta(seconds=20), **changes)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute(make_context(FakeTaskInstance()))
    kwargs = deferred.value.trigger.serialize()[1]
    assert kwargs["deadline"] == kwargs["started_at"] + 20
    event = OrderEvent(order.order_id, timed_out=True, last_status="PROCESSING").to_payload()
    with pytest.raises(error, match="not terminal after 20 seconds"):
        sensor.execute_complete(make_context(FakeTaskInstance()), event, **deferred.value.kwargs)


@pytest.mark.parametrize("how", ["soft_fail", "never_fail"])
@pytest.mark.parametrize("deferrable", [False, True])
def test_a_timeout_is_skipped_softly(how: str, deferrable: bool, sandbox: Sandbox) -> None:
    order = sandbox.add_order(NUMBERS, status="PROCESSING")
    sensor = make_sensor(order, deferrable=deferrable, timeout=0, poke_interval=0, **{how: True})
    event = OrderEvent(order.order_id, timed_out=True).to_payload()
    end = functools.partial(sensor.execute_complete, event=event) if deferrable else sensor.execute
    with pytest.raises(AirflowSkipException):
        end(make_context(FakeTaskInstance()))


# --- patience ---


@pytest.mark.parametrize("status", ["RECEIVED", "PROCESSING", "EXCEPTION", "completed"])
def test_any_other_status_is_waited_for(status: str, sandbox: Sandbox) -> None:
    order = sandbox.add_order(NUMBERS, status="PROCESSING")
    sandbox.set_status(order.order_id, status)
    ti = FakeTaskInstance()
    assert not make_sensor(order).poke(make_context(ti))
    assert ti.xcoms == {}


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("status", {"status": 500}),
        ("status", {"status": 503}),
        ("rate-limit", {}),
        ("drop", {}),
        ("truncate", {}),
        ("body", {"kind": "html"}),
        ("body", {"kind": "empty"}),
    ],
)
def test_passing_trouble_is_waited_out(fault: str, options: dict[str, Any], sandbox: Sandbox) -> None:
    order = sandbox.add_order(NUMBERS)
    sensor = make_sensor(order)
    sandbox.inject(fault, operation="order", times=None, **options)
    assert not sensor.poke(make_context(FakeTaskInstance()))
    sandbox.clear_faults()
    assert sensor.poke(make_context(FakeTaskInstance()))


@pytest.fixture
def skipped_time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses of the sensor and of Airflow's poke loop take no time, and the clocks go on by them."""
    slept: list[float] = []
    now, monotonic = time.time, time.monotonic
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr("time.time", lambda: now() + sum(slept))
    monkeypatch.setattr("time.monotonic", lambda: monotonic() + sum(slept))
    return slept


@pytest.mark.parametrize(
    ("fault", "options"), [("body", {"kind": "html"}), ("status", {"status": 503}), ("drop", {})], ids=str
)
def test_trouble_that_may_pass_is_waited_out_however_long(
    fault: str, options: dict[str, Any], sandbox: Sandbox, skipped_time: list[float]
) -> None:
    sensor = make_sensor(sandbox.add_order(NUMBERS, status="PROCESSING"))
    context = make_context(FakeTaskInstance())
    assert not sensor.poke(context)
    sandbox.inject(fault, operation="order", times=None, **options)
    for _ in range(15):
        time.sleep(60)
        assert not sensor.poke(context)


@pytest.mark.parametrize(
    "failure", [ConnectionError("secrets backend: 503, try again"), AirflowNotFoundException("isn't defined")]
)
@pytest.mark.parametrize("deferrable", [False, True])
def test_a_connection_that_cannot_be_looked_up_for_once_is_waited_out(
    deferrable: bool,
    failure: Exception,
    sandbox: Sandbox,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    skipped_time: list[float],
) -> None:
    order = sandbox.add_order(NUMBERS)
    sensor = make_sensor(order, deferrable=deferrable)
    real = BandwidthHook.get_connection
    with monkeypatch.context() as patch:
        patch.setattr(BandwidthHook, "get_connection", Mock(side_effect=failure))
        if deferrable:
            with pytest.raises(TaskDeferred):
                sensor.execute(make_context(FakeTaskInstance()))
        else:
            assert not sensor.poke(make_context(FakeTaskInstance()))
    assert BandwidthHook.get_connection == real
    assert sensor.poke(make_context(FakeTaskInstance()))


def raise_hiccup(*_: Any) -> Any:
    raise ConnectionError("secrets backend: 503, try again")


def test_a_connection_that_changes_is_read_anew_after_a_refusal(
    sandbox: Sandbox, connect: Connect, skipped_time: list[float]
) -> None:
    order = sandbox.add_order(NUMBERS)
    sensor = BandwidthTnOrderSensor(task_id="wait", order_id=order.order_id)
    connect({**sandbox.connection, "password": "old secret"})
    assert not sensor.poke(make_context(FakeTaskInstance()))
    connect(sandbox.connection)
    assert sensor.poke(make_context(FakeTaskInstance()))


@pytest.mark.parametrize(("status", "error"), [(401, BandwidthAuthError), (403, BandwidthAuthError)])
@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_refusals_end_the_wait_once_they_last(
    status: int, error: type[Exception], mode: str, sandbox: Sandbox, skipped_time: list[float]
) -> None:
    """Several in a row, over half a minute; a rescheduled sensor looks as often in one poke, since it forgets."""
    sandbox.inject("status", operation="order", status=status, times=None)
    with pytest.raises(error):
        make_sensor("o-1", mode=mode, poke_interval=10).execute(make_context(FakeTaskInstance()))
    assert sandbox.count(operation="order") >= MAX_REFUSALS
    assert REFUSAL_GRACE <= sum(skipped_time) <= 10 * MAX_REFUSALS


@pytest.mark.parametrize("mode", ["poke", "reschedule"])
@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_few_refusals_end_no_wait(mode: str, status: int, sandbox: Sandbox, skipped_time: list[float]) -> None:
    order = sandbox.add_order(NUMBERS)
    sandbox.inject("status", operation="order", status=status, times=MAX_REFUSALS - 1, body="empty")
    first = datetime.now(UTC) - timedelta(hours=1) if mode == "reschedule" else None
    sensor = make_sensor(order, mode=mode, poke_interval=10)
    ti = FakeTaskInstance(first_reschedule_date=first)
    assert sensor.execute(make_context(ti))["processing_status"] == "COMPLETE"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_at_the_first_look_is_left_to_the_trigger(status: int, sandbox: Sandbox) -> None:
    sandbox.inject("status", operation="order", status=status, times=None)
    with pytest.raises(TaskDeferred):
        make_sensor("o-1", deferrable=True).execute(make_context(FakeTaskInstance()))


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_connection_that_lacks_a_field_fails_at_once(deferrable: bool, sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.connection, extra={"account_id": None})
    with pytest.raises(AirflowFailException, match="No Bandwidth account"):
        make_sensor("o-1", deferrable=deferrable).execute(make_context(FakeTaskInstance()))
    assert sandbox.requests == []


@pytest.mark.parametrize(("waited", "explained"), [(60.0, False), (LONG_WAIT - 60, False), (LONG_WAIT + 5, True)])
def test_a_long_wait_is_explained_once(
    waited: float, explained: bool, sandbox: Sandbox, task_log: TaskLog, skipped_time: list[float]
) -> None:
    sensor = make_sensor(sandbox.add_order(NUMBERS, status="PROCESSING"))
    context = make_context(FakeTaskInstance())
    assert not sensor.poke(context)
    time.sleep(waited)
    assert not sensor.poke(context)
    # Airflow 2.11 writes each line to two places.
    lines = task_log.text.count("48 hours")
    assert bool(lines) is explained
    assert not sensor.poke(context)
    assert not sensor.poke(context)
    assert task_log.text.count("48 hours") == lines


def test_an_order_that_is_not_there_yet_is_waited_for_a_minute(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sensor = make_sensor("no-such-order")
    context = make_context(FakeTaskInstance())
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now)
    for _ in range(2 * MAX_REFUSALS):
        assert not sensor.poke(context)
    now += NOT_FOUND_GRACE - 1
    assert not sensor.poke(context)
    now += 2
    with pytest.raises(OrderNotFoundError, match="no-such-order"):
        sensor.poke(context)


def test_a_rescheduled_sensor_knows_when_its_wait_began(sandbox: Sandbox, skipped_time: list[float]) -> None:
    """Each poke is a new process, which knows only what Airflow tells it."""

    def poke(first: datetime | None) -> Any:
        context = make_context(FakeTaskInstance(first_reschedule_date=first))
        return make_sensor("no-such-order", mode="reschedule").poke(context)

    now = datetime.now(UTC)
    assert not poke(None)
    assert not poke(now - timedelta(seconds=NOT_FOUND_GRACE - 10))
    with pytest.raises(OrderNotFoundError):
        poke(now - timedelta(seconds=NOT_FOUND_GRACE + 10))


@pytest.mark.parametrize("order_id", ["None", "", None])
@pytest.mark.parametrize("deferrable", [False, True])
def test_no_order_id_is_an_error_before_any_request(order_id: Any, deferrable: bool, sandbox: Sandbox) -> None:
    sensor = make_sensor("x", deferrable=deferrable)
    sensor.order_id = order_id
    with pytest.raises(AirflowFailException, match=r"OrderId: .*skipped"):
        sensor.execute(make_context(FakeTaskInstance()))
    assert sandbox.requests == []


def test_a_poked_sensor_times_out_as_airflow_does(sandbox: Sandbox) -> None:
    order = sandbox.add_order(NUMBERS, status="PROCESSING")
    with pytest.raises(AirflowSensorTimeout, match=rf"Order {order.order_id} .* last seen PROCESSING"):
        make_sensor(order, timeout=0, poke_interval=0).execute(make_context(FakeTaskInstance()))


# --- deferral ---


@pytest.mark.parametrize("status", ["COMPLETE", "FAILED"])
def test_an_order_that_has_ended_is_not_deferred(status: str, sandbox: Sandbox) -> None:
    order = sandbox.add_order(NUMBERS, status=status)
    ti = FakeTaskInstance()
    sensor = make_sensor(order, deferrable=True, allowed_statuses=[status])
    assert sensor.execute(make_context(ti))["processing_status"] == status
    assert ti.xcoms["errors"] == []


@pytest.mark.parametrize("account_id", [None, "9900000"])
def test_a_deferral_carries_everything_to_wait_on(sandbox: Sandbox, account_id: str | None) -> None:
    """An account that is left to the connection stays so: the wait goes on where the connection leads."""
    order = sandbox.add_order(NUMBERS, status="PROCESSING")
    sensor = make_sensor(
        order,
        deferrable=True,
        account_id=account_id,
        poke_interval=timedelta(seconds=7),
        timeout=timedelta(minutes=10),
    )
    before = time.time()
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute(make_context(FakeTaskInstance()))
    trigger = caught.value.trigger
    assert isinstance(trigger, BandwidthTnOrderTrigger)
    _, kwargs = trigger.serialize()
    assert kwargs["order_id"] == order.order_id
    assert (kwargs["bandwidth_conn_id"], kwargs["account_id"]) == ("bandwidth_default", account_id)
    assert kwargs["order_api"] == "externalTns"
    assert kwargs["poke_interval"] == 7
    assert before <= kwargs["started_at"] <= time.time()
    assert kwargs["deadline"] == kwargs["started_at"] + 600
    assert caught.value.method_name == "execute_complete"
    # Airflow's own limit is later than the trigger's, whose event names the order.
    assert caught.value.timeout > timedelta(minutes=10, seconds=7)


def test_trouble_at_the_first_look_defers(sandbox: Sandbox) -> None:
    sandbox.inject("status", operation="order", status=503, times=None)
    with pytest.raises(TaskDeferred):
        make_sensor("o-1", deferrable=True).execute(make_context(FakeTaskInstance()))


def test_the_trigger_s_timeout_names_order_and_seconds() -> None:
    event = OrderEvent("o-1", timed_out=True, last_status="RECEIVED", last_failure="HTTP 503").to_payload()
    words = "o-1 was not terminal after 90 seconds. It was last seen RECEIVED; the last look failed: HTTP 503"
    with pytest.raises(AirflowSensorTimeout, match=words):
        make_sensor("o-1", timeout=90).execute_complete(make_context(FakeTaskInstance()), event)


def test_a_retry_that_gets_the_event_of_the_try_before_it_waits_anew(sandbox: Sandbox) -> None:
    """Airflow 3.0 forgets to take the failing event away before a retry; 3.1 does."""
    order = sandbox.add_order(NUMBERS, status="PROCESSING")
    sensor = make_sensor(order, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute(make_context(FakeTaskInstance(try_number=2)))
    event = OrderEvent(order.order_id, error="HTTP 403").to_payload()
    with pytest.raises(BandwidthError, match="given up: HTTP 403"):
        sensor.execute_complete(make_context(FakeTaskInstance(try_number=2)), event, **deferred.value.kwargs)

    with pytest.raises(TaskDeferred) as again:
        sensor.execute_complete(make_context(FakeTaskInstance(try_number=3)), event, **deferred.value.kwargs)

    assert again.value.kwargs["try_number"] == 3
    sandbox.finish(order.order_id)
    returned = sensor.execute_complete(make_context(FakeTaskInstance(try_number=4)), event, **again.value.kwargs)
    assert returned["processing_status"] == "COMPLETE"


def test_an_order_too_large_for_an_event_is_read_again(sandbox: Sandbox) -> None:
    numbers = [f"91966{line:05d}" for line in range(5000)]
    order = sandbox.add_order(numbers)
    event = OrderEvent.for_order(BandwidthHook().get_tn_order(order.order_id))
    assert event.order is None
    ti = FakeTaskInstance()
    returned = make_sensor(order).execute_complete(make_context(ti), event.to_payload())
    assert returned["completed_count"] == 5000
    assert ti.xcoms["completed_telephone_numbers"] == numbers
    assert sandbox.count(operation="order") == 2


def test_an_order_that_is_open_after_all_is_waited_for_until_the_same_deadline(sandbox: Sandbox) -> None:
    """A list may be ahead of the order's own page: a list that errs costs calls, never truth."""
    order = sandbox.add_order(NUMBERS, status="PROCESSING")
    sensor = make_sensor(order, deferrable=True, timeout=90)
    event = OrderEvent(order.order_id, processing_status="COMPLETE").to_payload()
    ti = FakeTaskInstance()
    began = time.time() - 60
    with pytest.raises(TaskDeferred) as again:
        sensor.execute_complete(make_context(ti), event, try_number=1, started_at=began)
    assert again.value.trigger.serialize()[1]["deadline"] == began + 90
    assert again.value.kwargs == {"try_number": 1, "started_at": began}
    assert ti.xcoms == {}


def test_a_hiccup_of_the_connection_hides_no_outcome(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    order = sandbox.add_order(NUMBERS)
    event = OrderEvent.for_order(BandwidthHook().get_tn_order(order.order_id)).to_payload()
    monkeypatch.setattr(BandwidthHook, "get_connection", raise_hiccup)
    returned = make_sensor(order, deferrable=True).execute_complete(make_context(FakeTaskInstance()), event)
    assert returned["processing_status"] == "COMPLETE"


def test_a_hiccup_while_an_ended_order_is_read_defers_anew(sandbox: Sandbox) -> None:
    order = sandbox.add_order(NUMBERS)
    sandbox.inject("status", operation="order", status=503, times=None)
    sensor = make_sensor(order, deferrable=True, timeout=90)
    event = OrderEvent(order.order_id, processing_status="COMPLETE").to_payload()
    with pytest.raises(TaskDeferred):
        sensor.execute_complete(make_context(FakeTaskInstance()), event, started_at=time.time() - 60)


def test_an_order_known_to_have_ended_has_not_timed_out(sandbox: Sandbox) -> None:
    order = sandbox.add_order(NUMBERS)
    sandbox.inject("status", operation="order", status=503, times=None)
    sensor = make_sensor(order, deferrable=True, timeout=90)
    event = OrderEvent(order.order_id, processing_status="COMPLETE").to_payload()
    with pytest.raises(BandwidthError, match=r"ended COMPLETE, but it could not be read: .*503"):
        sensor.execute_complete(make_context(FakeTaskInstance()), event, started_at=time.time() - 100)


@pytest.mark.parametrize(
    "event", [None, {}, "done", {"order_id": "o-1"}, {"order_id": "o-1", "status": "COMPLETE"}, []]
)
def test_an_event_that_is_none_of_the_triggers_never_succeeds(event: Any) -> None:
    with pytest.raises(BandwidthError, match="event"):
        make_sensor("o-1").execute_complete(make_context(FakeTaskInstance()), event)


# --- templates ---


def test_the_order_id_is_templated(sandbox: Sandbox) -> None:
    order = sandbox.add_order(NUMBERS)
    ti = FakeTaskInstance("wait", upstream={"submit": order.order_id})
    with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        sensor = make_sensor("{{ ti.xcom_pull(task_ids='submit') }}", account_id="{{ 9900000 }}")
    sensor.render_template_fields(make_context(ti))
    assert (sensor.order_id, sensor.account_id) == (order.order_id, "9900000")
    assert sensor.poke(make_context(ti))
