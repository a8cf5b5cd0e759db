"""The sensor of texts: the same XComs, the same end, whether it is poked, rescheduled or deferred."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)
from support.fake_messaging import FakeMessaging
from support.fast_time import run_fast
from support.task_log import TaskLog
from support.tasks import FakeTaskInstance, make_context

try:
    from airflow.sdk.exceptions import AirflowRescheduleException
except ImportError:
    from airflow.exceptions import AirflowRescheduleException

from airflow_provider_bandwidth.exceptions import BandwidthAuthError, BandwidthError
from airflow_provider_bandwidth.sensors.messages import BandwidthMessageSensor
from airflow_provider_bandwidth.triggers._message_poller import MessageWaitEvent
from airflow_provider_bandwidth.triggers.messages import BandwidthMessageTrigger

YOU = "+19195550150"
MODES = pytest.mark.parametrize("mode", ["poke", "reschedule", "deferrable"])


@pytest.fixture
def api(connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMessaging]:
    monkeypatch.setattr("airflow_provider_bandwidth.hooks._api.mask_secret", id)
    with FakeMessaging(time.time) as running:
        connect(running.connection)
        yield running


def make_sensor(message_id: Any, mode: str, **changes: Any) -> BandwidthMessageSensor:
    ways: dict[str, dict[str, Any]] = {
        "poke": {"deferrable": False},
        "reschedule": {"deferrable": False, "mode": "reschedule"},
        "deferrable": {"deferrable": True},
    }
    sensor = BandwidthMessageSensor(
        **{"task_id": "wait", "message_id": message_id, "poke_interval": 60, **ways[mode], **changes}
    )
    sensor.dag = DAG("texts", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC))
    return sensor


def run(sensor: BandwidthMessageSensor, ti: FakeTaskInstance, *, then: Callable[[], None] = lambda: None) -> Any:
    """The sensor's life as Airflow runs it: poked until done, started anew at each reschedule, or through its trigger.

    :param then: what happens at Bandwidth after the first look
    """
    context = make_context(ti)
    try:
        return sensor.execute(context)
    except AirflowRescheduleException:
        then()
        again = make_sensor(sensor.message_id, "reschedule", soft_fail=sensor.soft_fail)
        again.allowed_outcomes = sensor.allowed_outcomes
        ti._first_reschedule_date = datetime.now(UTC) - timedelta(seconds=60)
        return again.execute(context)
    except TaskDeferred as deferred:
        then()
        _, kwargs = deferred.trigger.serialize()
        trigger = BandwidthMessageTrigger(**json.loads(json.dumps(kwargs)))

        async def fire() -> Any:
            (event,) = [event async for event in trigger.run()]
            return json.loads(json.dumps(event.payload))

        event = run_fast(fire())
        resumed = make_sensor(sensor.message_id, "deferrable", soft_fail=sensor.soft_fail)
        resumed.allowed_outcomes = sensor.allowed_outcomes
        return getattr(resumed, deferred.method_name)(context, event, **(deferred.kwargs or {}))


@pytest.fixture(autouse=True)
def meanwhile(monkeypatch: pytest.MonkeyPatch, api: FakeMessaging) -> list[Callable[[], None]]:
    """Pauses of the poke loop take no time; what is to happen meanwhile happens then."""
    events: list[Callable[[], None]] = []

    def sleep(_: float) -> None:
        while events:
            events.pop()()

    for module in ("airflow.sdk.bases.sensor.time.sleep", "airflow.sensors.base.time.sleep"):
        try:
            monkeypatch.setattr(module, sleep)
        except (ImportError, AttributeError):
            continue
    return events


CASES = [
    ("DELIVERED", None, "delivered"),
    ("FAILED", 4476, "failed"),
    ("UNDELIVERED", None, "failed"),
    ("FAILED", 9902, "no_receipt"),
]


@MODES
@pytest.mark.parametrize(("status", "code", "outcome"), CASES)
@pytest.mark.parametrize("when", ["at once", "later"])
def test_all_ways_of_waiting_leave_the_same(
    when: str,
    status: str,
    code: int | None,
    outcome: str,
    mode: str,
    api: FakeMessaging,
    meanwhile: list[Callable[[], None]],
) -> None:
    message_id = api.add()

    def end() -> None:
        api.messages[0].status, api.messages[0].error_code = status, code

    if when == "at once":
        end()
    else:
        meanwhile.append(end)
    ti = FakeTaskInstance("wait")
    sensor = make_sensor(message_id, mode)
    if outcome == "failed":
        with pytest.raises(AirflowFailException, match=f"failed: message {message_id}"):
            run(sensor, ti, then=end)
        summary = ti.xcoms["return_value"]
    else:
        summary = run(sensor, ti, then=end)
    assert (summary["message_id"], summary["outcome"], summary["status"]) == (message_id, outcome, status)
    assert summary["error_code"] == (None if code is None else str(code))
    assert (summary["advice"] is None) == (code is None)
    reached = outcome == "delivered"
    assert (summary["delivered_count"], summary["error_count"]) == ((1, 0) if reached else (0, 1))
    assert [(each["telephone_number"], each["code"]) for each in ti.xcoms["errors"]] == (
        [] if reached else [(YOU, summary["error_code"])]
    )


@MODES
def test_an_outcome_that_is_not_allowed_fails_or_with_soft_fail_skips(mode: str, api: FakeMessaging) -> None:
    message_id = api.add("FAILED", 9902)
    with pytest.raises(AirflowFailException, match="Allowed: delivered"):
        run(make_sensor(message_id, mode, allowed_outcomes="delivered"), FakeTaskInstance())
    with pytest.raises(AirflowSkipException, match="soft_fail"):
        run(make_sensor(message_id, mode, allowed_outcomes=["delivered"], soft_fail=True), FakeTaskInstance())
    assert run(make_sensor(message_id, mode, allowed_outcomes=("no_receipt",)), FakeTaskInstance())


def test_the_log_says_who_found_fault_and_what_to_do(api: FakeMessaging, task_log: TaskLog) -> None:
    with pytest.raises(AirflowFailException):
        run(make_sensor(api.add("FAILED", 4773), "poke"), FakeTaskInstance())
    for part in ("4773: the carrier refused the message: the campaign is not active", "What to do:", "It is billed"):
        assert part in task_log.text


@MODES
def test_a_refusal_that_lasts_ends_every_wait(mode: str, api: FakeMessaging, monkeypatch: pytest.MonkeyPatch) -> None:
    message_id = api.add()
    api.search_statuses = [403] * 99
    now = [time.time()]
    monkeypatch.setattr("airflow_provider_bandwidth.sensors.messages.time", _Clock(now))
    with pytest.raises(BandwidthError, match="HTTP 403") as caught:
        run(make_sensor(message_id, mode, poke_interval=10), FakeTaskInstance())
    assert isinstance(caught.value, BandwidthAuthError) or mode == "deferrable"


class _Clock:
    """Each look at it takes ten seconds."""

    def __init__(self, now: list[float]) -> None:
        self._now = now

    def time(self) -> float:
        self._now[0] += 10
        return self._now[0]

    def sleep(self, seconds: float) -> None:
        self._now[0] += seconds


@pytest.mark.parametrize("message_id", [None, "", "None", 5])
@MODES
def test_an_id_that_is_none_fails_the_task_for_good(mode: str, message_id: Any, api: FakeMessaging) -> None:
    with pytest.raises(AirflowFailException, match="message_id: expected a message id"):
        run(make_sensor(message_id, mode), FakeTaskInstance())


def test_a_deferral_carries_what_lets_texts_share_a_search(api: FakeMessaging) -> None:
    message_id = api.add()
    with pytest.raises(TaskDeferred) as deferred:
        make_sensor(message_id, "deferrable", timeout=100).execute(make_context(FakeTaskInstance()))
    _, kwargs = deferred.value.trigger.serialize()
    assert (kwargs["source"], kwargs["status"], kwargs["poke_interval"]) == ("+19195550101", "SENT", 60)
    assert kwargs["sent_at"] == pytest.approx(api.messages[0].taken_at, abs=0.01)
    assert kwargs["deadline"] - kwargs["started_at"] == pytest.approx(100)


def test_the_default_patience_is_four_hours() -> None:
    assert make_sensor("m1", "poke").timeout == 4 * 3600


@pytest.mark.parametrize(
    ("limits", "kind"),
    [
        ({"timeout": 60}, AirflowSensorTimeout),
        ({"timeout": 600, "execution_timeout": timedelta(seconds=30)}, AirflowTaskTimeout),
    ],
)
def test_a_deadline_in_the_triggerer_ends_as_one_in_the_worker(
    limits: dict[str, Any], kind: type[BaseException], api: FakeMessaging
) -> None:
    event = MessageWaitEvent("m1", timed_out=True, last_status="SENT", last_failure="HTTP 500").to_payload()
    sensor = make_sensor("m1", "deferrable", **limits)
    with pytest.raises(kind, match="It was last seen SENT; the last look failed: HTTP 500"):
        sensor.execute_complete(make_context(FakeTaskInstance()), event)


def test_a_retry_of_the_same_trigger_waits_anew(api: FakeMessaging) -> None:
    message_id = api.add("DELIVERED")
    event = MessageWaitEvent(message_id, error="given up").to_payload()
    sensor = make_sensor(message_id, "deferrable")
    ti = FakeTaskInstance(try_number=2)
    assert sensor.execute_complete(make_context(ti), event, try_number=1)["outcome"] == "delivered"
    with pytest.raises(BandwidthError, match="was given up: given up"):
        sensor.execute_complete(make_context(ti), event, try_number=2)


def test_silent_fail_waits_on(api: FakeMessaging) -> None:
    event = MessageWaitEvent("m1", error="given up").to_payload()
    sensor = make_sensor("m1", "deferrable", silent_fail=True)
    with pytest.raises(TaskDeferred):
        sensor.execute_complete(make_context(FakeTaskInstance()), event, started_at=time.time())


@pytest.mark.parametrize("outcomes", [(), ["lost"], "DONE"])
def test_an_outcome_that_there_is_not_fails_when_the_dag_is_parsed(outcomes: Any) -> None:
    with pytest.raises(ValueError, match="allowed_outcomes: expected some of delivered, failed, no_receipt"):
        make_sensor("m1", "poke", allowed_outcomes=outcomes)
