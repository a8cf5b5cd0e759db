"""A text is sent once, whatever dies and whichever answer is lost; or the task says that it does not know."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from support import fake_messaging as fakes
from support.airflow_task import StateStore, TaskKilledError
from support.clock import ManualClock
from support.fake_messaging import FakeMessaging
from support.task_log import TaskLog
from support.tasks import FakeTaskInstance, make_context

from airflow_provider_bandwidth.exceptions import AmbiguousMessageError, BandwidthApiError, BandwidthError
from airflow_provider_bandwidth.hooks import messaging
from airflow_provider_bandwidth.hooks.messaging import BandwidthMessagingHook
from airflow_provider_bandwidth.messaging.records import SentMessage
from airflow_provider_bandwidth.operators.messages import BandwidthSendMessageOperator

ME, YOU = "+19195550101", "+19195550150"


@pytest.fixture
def api(connect: Callable[..., None], clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMessaging]:
    monkeypatch.setattr(messaging, "_BUDGETS", {})
    monkeypatch.setattr("airflow_provider_bandwidth.hooks._api.mask_secret", id)
    with FakeMessaging(clock) as running:
        connect(running.connection)
        yield running


class KilledBefore(BandwidthMessagingHook):
    """The process dies right before the POST."""

    def _send_once(self, request: Any) -> SentMessage:
        raise TaskKilledError


class KilledAfter(BandwidthMessagingHook):
    """The process dies once Bandwidth has the text and before anybody learns its id."""

    def _send_once(self, request: Any) -> SentMessage:
        super()._send_once(request)
        raise TaskKilledError


class Refusing(StateStore):
    """A store that dies with the process when it is told an id."""

    armed = True

    def set(self, key: str, value: Any) -> None:
        super().set(key, value)
        if self.armed and value.get("message_id"):
            self.armed = False
            raise TaskKilledError


class SendingTask:
    """One sending task of one run, attempt by attempt.

    :param store: the task's state store; ``None`` for Airflow before 3.3
    :param returned: what the sending tasks of the run have returned, by task id
    """

    def __init__(
        self,
        clock: ManualClock,
        *,
        store: StateStore | None = None,
        map_index: int = -1,
        returned: dict[str, Any] | None = None,
        **parameters: Any,
    ) -> None:
        self.clock = clock
        self.store = store
        self.map_index = map_index
        self.returned = returned or {}
        self.parameters = {"to": YOU, "from_": ME, "text": "hello", **parameters}
        self.try_number = 0
        self.clear_number = 0
        self.started = datetime.fromtimestamp(clock(), UTC)

    def attempt(self, hook: Callable[..., BandwidthMessagingHook] = BandwidthMessagingHook) -> str:
        self.try_number += 1
        ti = FakeTaskInstance(
            "send",
            dag_id="texts",
            run_id="manual__1",
            try_number=self.try_number,
            map_index=self.map_index,
            upstream={"send": None, **self.returned},
        )
        run = SimpleNamespace(
            start_date=self.started, clear_number=self.clear_number, run_after=self.started, logical_date=self.started
        )
        operator = BandwidthSendMessageOperator(task_id="send", **self.parameters)
        others = [BandwidthSendMessageOperator(task_id=name, to=YOU, from_=ME, text="x") for name in self.returned]
        dag = SimpleNamespace(tasks=[operator, *others, SimpleNamespace(task_id="not a sending task")])
        context = make_context(ti, dag_run=run, dag=dag)
        if self.store is not None:
            context["task_state_store"] = self.store
        operator.hook = hook(sleep=self.clock.sleep, clock=self.clock)
        try:
            return operator.execute(context)
        finally:
            operator.hook.close()

    def retry(self) -> str:
        """The next try, five minutes later."""
        self.clock.sleep(300)
        return self.attempt()

    def clear(self) -> str:
        """Somebody clears the task, an hour later."""
        self.clock.sleep(3600)
        self.clear_number += 1
        return self.attempt()


def make_store(kind: str) -> StateStore | None:
    return StateStore() if kind == "3.3" else None


LINES = pytest.mark.parametrize("line", ["3.3", "before 3.3"])


@LINES
def test_a_text_is_sent_and_its_id_handed_on(line: str, api: FakeMessaging, clock: ManualClock) -> None:
    assert SendingTask(clock, store=make_store(line)).attempt() == "m1"
    assert api.posts[0]["tag"] == "texts.send manual__1"
    assert not api.searches


def test_a_mapped_tasks_tag_has_its_index_and_an_own_tag_is_kept(api: FakeMessaging, clock: ManualClock) -> None:
    SendingTask(clock, map_index=3).attempt()
    SendingTask(clock, tag="mine").attempt()
    assert [post["tag"] for post in api.posts] == ["texts.send[3] manual__1", "mine"]


# --- the fault matrix ---

TAKEN_IN_DOUBT = (fakes.LOST_AFTER, fakes.ERROR_AFTER, fakes.NO_ID)
NOT_TAKEN_IN_DOUBT = (fakes.LOST_BEFORE, fakes.ERROR_BEFORE)


@LINES
@pytest.mark.parametrize("lag", [0, 40])
@pytest.mark.parametrize("fault", TAKEN_IN_DOUBT)
def test_a_text_whose_answer_was_lost_is_found(
    fault: str, lag: float, line: str, api: FakeMessaging, clock: ManualClock, task_log: TaskLog
) -> None:
    api.faults, api.lag = [fault], lag
    task = SendingTask(clock, store=make_store(line))
    assert task.attempt() == "m1"
    assert "is taken to be this text" in task_log.text
    assert (len(api.posts), len(api.messages)) == (1, 1)
    assert (task.clear(), len(api.posts)) == ("m1", 1)


def test_a_text_that_stands_alone_in_three_looks_is_taken(api: FakeMessaging, clock: ManualClock) -> None:
    """Its twin might be shown a little later; to wait longer would keep the task for nothing."""
    api.faults = [fakes.LOST_AFTER]
    assert SendingTask(clock).attempt() == "m1"
    assert clock.pauses == [1.0, 3.0]


@LINES
@pytest.mark.parametrize("fault", NOT_TAKEN_IN_DOUBT)
def test_a_text_that_the_search_does_not_show_fails_the_task_and_is_sent_by_its_retry(
    fault: str, line: str, api: FakeMessaging, clock: ManualClock, task_log: TaskLog
) -> None:
    api.faults = [fault]
    task = SendingTask(clock, store=make_store(line))
    with pytest.raises(AmbiguousMessageError, match="may have been sent, and whether it was is not known"):
        task.attempt()
    assert len(api.posts) == 1
    assert task.retry() == "m1"
    assert "has shown no such text for a minute. It is sent now" in task_log.text
    assert (len(api.posts), len(api.messages)) == (2, 1)


@LINES
def test_a_text_that_the_search_shows_too_late_is_never_doubled_in_silence(
    line: str, api: FakeMessaging, clock: ManualClock, task_log: TaskLog
) -> None:
    api.faults, api.lag = [fakes.LOST_AFTER], 200
    task = SendingTask(clock, store=make_store(line))
    with pytest.raises(AmbiguousMessageError):
        task.attempt()
    assert (task.retry(), len(api.messages)) == ("m1", 1)
    api.faults, api.lag = [fakes.LOST_AFTER], 9999
    other = SendingTask(clock, store=make_store(line), text="another one")
    with pytest.raises(AmbiguousMessageError):
        other.attempt()
    assert "If the earlier one shows up later, there are two" not in task_log.text
    other.retry()
    assert "If the earlier one shows up later, there are two" in task_log.text


@LINES
@pytest.mark.parametrize("fault", [fakes.REFUSED, fakes.FORBIDDEN])
def test_after_a_refusal_the_retry_sends(fault: str, line: str, api: FakeMessaging, clock: ManualClock) -> None:
    api.faults = [fault]
    task = SendingTask(clock, store=make_store(line))
    with pytest.raises(BandwidthApiError):
        task.attempt()
    assert (task.retry(), len(api.messages)) == ("m1", 1)


@LINES
@pytest.mark.parametrize("fault", TAKEN_IN_DOUBT + NOT_TAKEN_IN_DOUBT)
def test_while_the_search_fails_nothing_more_is_sent(
    fault: str, line: str, api: FakeMessaging, clock: ManualClock
) -> None:
    api.faults, api.search_statuses = [fault], [403] * 12
    task = SendingTask(clock, store=make_store(line))
    for run in (task.attempt, task.retry):
        with pytest.raises(AmbiguousMessageError, match=r"the search for it failed: .*403"):
            run()
    assert len(api.posts) == 1
    assert task.retry() == "m1"
    assert len(api.messages) == 1


@LINES
def test_killed_before_the_post(line: str, api: FakeMessaging, clock: ManualClock) -> None:
    task = SendingTask(clock, store=make_store(line))
    with pytest.raises(TaskKilledError):
        task.attempt(KilledBefore)
    assert (task.retry(), len(api.messages)) == ("m1", 1)


@LINES
@pytest.mark.parametrize("lag", [0, 40])
def test_killed_after_the_post(line: str, lag: float, api: FakeMessaging, clock: ManualClock) -> None:
    api.lag = lag
    task = SendingTask(clock, store=make_store(line))
    with pytest.raises(TaskKilledError):
        task.attempt(KilledAfter)
    assert (task.retry(), len(api.posts)) == ("m1", 1)
    assert (task.clear(), len(api.posts)) == ("m1", 1)


def test_killed_while_the_id_is_noted(api: FakeMessaging, clock: ManualClock) -> None:
    task = SendingTask(clock, store=Refusing())
    with pytest.raises(TaskKilledError):
        task.attempt()
    assert (task.retry(), len(api.posts), api.searches) == ("m1", 1, [])


def test_a_store_that_cannot_be_written_prevents_the_text(
    api: FakeMessaging, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = StateStore()
    monkeypatch.setattr(store, "set", lambda *_: (_ for _ in ()).throw(RuntimeError("no store")))
    with pytest.raises(RuntimeError, match="no store"):
        SendingTask(clock, store=store).attempt()
    assert not api.posts


# --- whose text is it ---


@LINES
def test_a_text_that_another_task_of_the_run_sent_is_not_taken_for_this_one(
    line: str, api: FakeMessaging, clock: ManualClock
) -> None:
    """Two texts of the same length to the same person: the second was lost on its way."""
    assert SendingTask(clock, text="Store 12 closed").attempt() == "m1"
    api.faults = [fakes.LOST_BEFORE]
    task = SendingTask(clock, store=make_store(line), text="Store 13 closed", returned={"other": "m1"})
    with pytest.raises(AmbiguousMessageError):
        task.attempt()
    assert task.retry() == "m2"
    assert [message.body["text"] for message in api.messages] == ["Store 12 closed", "Store 13 closed"]


@LINES
def test_of_several_texts_that_may_be_it_none_is_taken(line: str, api: FakeMessaging, clock: ManualClock) -> None:
    for text in ("Store 12 closed", "Store 13 closed"):
        SendingTask(clock, text=text).attempt()
    api.faults = [fakes.LOST_BEFORE]
    task = SendingTask(clock, store=make_store(line), text="Store 14 closed", returned={"other": ["m9"]})
    for run in (task.attempt, task.retry):
        with pytest.raises(AmbiguousMessageError, match="shows 2 texts of this length") as caught:
            run()
        assert caught.value.message_ids == ("m1", "m2")
    assert len(api.messages) == 2


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"to": "+19195550199"}, id="another receiver"),
        pytest.param({"from_": "+19195550102"}, id="another sender"),
        pytest.param({"text": "longer than hello"}, id="another length"),
    ],
)
def test_another_text_is_no_reason_not_to_send(other: dict[str, str], api: FakeMessaging, clock: ManualClock) -> None:
    SendingTask(clock, **other).attempt()
    task = SendingTask(clock)
    with pytest.raises(TaskKilledError):
        task.attempt(KilledBefore)
    assert (task.retry(), len(api.messages)) == ("m2", 2)


def test_a_text_of_long_before_the_run_is_no_reason_not_to_send(api: FakeMessaging, clock: ManualClock) -> None:
    SendingTask(clock).attempt()
    clock.sleep(600)
    task = SendingTask(clock)
    with pytest.raises(TaskKilledError):
        task.attempt(KilledBefore)
    assert task.retry() == "m2"


def test_where_the_search_shows_tags_they_decide(api: FakeMessaging, clock: ManualClock) -> None:
    api.shows_tag = True
    SendingTask(clock, tag="another's").attempt()
    api.faults = [fakes.LOST_AFTER]
    assert SendingTask(clock).attempt() == "m2"


@pytest.mark.parametrize("text", ["grüße 😀", "日本"])
def test_whatever_counts_as_a_length_a_text_in_another_script_is_found(
    text: str, api: FakeMessaging, clock: ManualClock
) -> None:
    api.faults = [fakes.LOST_AFTER]
    assert SendingTask(clock, text=text).attempt() == "m1"


def test_a_run_that_began_after_now_by_another_clock_is_doubt(api: FakeMessaging, clock: ManualClock) -> None:
    task = SendingTask(clock)
    task.started += timedelta(hours=2)
    with pytest.raises(TaskKilledError):
        task.attempt(KilledAfter)
    with pytest.raises(AmbiguousMessageError, match="clocks of Airflow's machines differ"):
        task.retry()
    assert len(api.posts) == 1


# --- clearing ---


@LINES
def test_a_cleared_task_sends_nothing_unless_it_is_told_to(line: str, api: FakeMessaging, clock: ManualClock) -> None:
    task = SendingTask(clock, store=make_store(line))
    assert task.attempt() == "m1"
    assert (task.clear(), len(api.posts)) == ("m1", 1)
    task.parameters["reuse_sent_message"] = "False"
    assert (task.clear(), len(api.posts)) == ("m2", 2)


def test_a_text_of_a_run_of_a_month_ago_is_found(api: FakeMessaging, clock: ManualClock) -> None:
    """Bandwidth searches 14 days at a time."""
    task = SendingTask(clock)
    clock.sleep(20 * 86400)
    assert task.attempt() == "m1"
    clock.sleep(20 * 86400)
    assert (task.clear(), len(api.posts)) == ("m1", 1)


def test_a_cleared_task_with_another_text_sends_it(api: FakeMessaging, clock: ManualClock) -> None:
    task = SendingTask(clock, store=StateStore())
    task.attempt()
    task.parameters["text"] = "something else"
    assert (task.clear(), len(api.posts)) == ("m2", 2)


def test_after_a_clear_a_text_may_have_been_sent_by_another_index(api: FakeMessaging, clock: ManualClock) -> None:
    first = SendingTask(clock, store=StateStore(), map_index=0, to="+19195550151")
    second = SendingTask(clock, store=StateStore(), map_index=1, to="+19195550152")
    assert [first.attempt(), second.attempt()] == ["m1", "m2"]
    first.parameters, second.parameters = second.parameters, first.parameters
    assert [first.clear(), second.clear()] == ["m2", "m1"]
    assert len(api.posts) == 2


def test_a_first_failure_before_the_sending_needs_no_look_where_there_is_a_store(
    api: FakeMessaging, clock: ManualClock
) -> None:
    task = SendingTask(clock, store=StateStore())
    task.try_number = 1
    assert task.attempt() == "m1"
    assert not api.searches


# --- parameters ---


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"to": "nobody"}, "to: expected one telephone number"),
        ({"text": None}, "text: give a text"),
        ({"reuse_sent_message": "maybe"}, "reuse_sent_message: expected true or false"),
        ({"expiration": "tomorrow"}, "expiration: expected an ISO 8601 time"),
        ({"api": "international_a2p"}, "dlr_url: give"),
    ],
)
def test_a_wrong_parameter_fails_the_task_for_good(
    fields: dict[str, Any], said: str, api: FakeMessaging, clock: ManualClock
) -> None:
    from airflow.providers.common.compat.sdk import AirflowFailException

    with pytest.raises(AirflowFailException, match=said):
        SendingTask(clock, **fields).attempt()
    assert not api.posts


def test_an_api_that_there_is_not_fails_when_the_dag_is_parsed() -> None:
    with pytest.raises(ValueError, match="api: expected messaging or international_a2p"):
        BandwidthSendMessageOperator(task_id="send", to=YOU, from_=ME, text="x", api="smpp")


def test_every_field_gets_to_bandwidth(api: FakeMessaging, clock: ManualClock) -> None:
    expiration = datetime.fromtimestamp(clock(), UTC) + timedelta(hours=1)
    fields = {"media": ["https://x.example/a.png"], "priority": "high", "application_id": "app-2"}
    SendingTask(clock, expiration=expiration.isoformat(), **fields).attempt()
    (post,) = api.posts
    assert (post["media"], post["priority"], post["applicationId"]) == (["https://x.example/a.png"], "high", "app-2")
    assert post["expiration"] == expiration.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- International A2P ---

ABROAD = {"api": "international_a2p", "to": "+4915112345678", "from_": "ACME", "dlr_url": "https://x.example/dlr"}


def test_the_legacy_api_is_called_legacy(api: FakeMessaging, clock: ManualClock, task_log: TaskLog) -> None:
    assert SendingTask(clock, **ABROAD).attempt() == "a1"
    assert "calls its International A2P API legacy" in task_log.text


@LINES
def test_a_text_in_doubt_abroad_is_never_sent_again(line: str, api: FakeMessaging, clock: ManualClock) -> None:
    api.a2p_answers = [(503, {})]
    task = SendingTask(clock, store=make_store(line), **ABROAD)
    for run in (task.attempt, task.retry, task.clear):
        with pytest.raises(AmbiguousMessageError, match="no search"):
            run()
    assert len(api.posts) == 1
    task.parameters["reuse_sent_message"] = False
    assert task.retry() == "a1"


def test_after_a_refusal_abroad_the_retry_sends_where_there_is_a_store(api: FakeMessaging, clock: ManualClock) -> None:
    api.a2p_answers = [(420, {"error": {"code": "113", "message": "no credit"}}), (202, {"msgId": "a7"})]
    task = SendingTask(clock, store=StateStore(), **ABROAD)
    with pytest.raises(BandwidthError):
        task.attempt()
    assert task.retry() == "a7"
    assert json.loads(next(iter(task.store.values.values())))["message_id"] == "a7"  # type: ignore[union-attr]
