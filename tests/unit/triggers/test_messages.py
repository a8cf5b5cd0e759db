"""Waiting for texts in the triggerer: one search for many, and no fault ends a wait."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.fake_messaging import FakeMessaging
from support.fast_time import run_fast, wall_clock

from airflow_provider_bandwidth.messaging.records import DeliveryOutcome, judge_message
from airflow_provider_bandwidth.triggers import _message_poller
from airflow_provider_bandwidth.triggers._message_poller import NOT_SHOWN_GRACE, MessageWaitEvent
from airflow_provider_bandwidth.triggers.messages import BandwidthMessageTrigger
from airflow_provider_bandwidth.triggers.waiting import FIRST_POLL_DELAY

ME = "+19195550101"


@pytest.fixture
def api(connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMessaging]:
    monkeypatch.setattr("airflow_provider_bandwidth.hooks._api.mask_secret", id)
    with FakeMessaging(time.time) as running:
        connect(running.connection)
        yield running


async def wait(message_id: str, **parameters: Any) -> MessageWaitEvent:
    (event,) = [event async for event in BandwidthMessageTrigger(message_id=message_id, **parameters).run()]
    return MessageWaitEvent.from_payload(json.loads(json.dumps(event.payload)))


def outcome(event: MessageWaitEvent) -> DeliveryOutcome | None:
    verdict = judge_message(event.records)
    return None if verdict is None else verdict.outcome


async def end_later(api: FakeMessaging, seconds: float, status: str, code: int | None = None) -> None:
    await asyncio.sleep(seconds)
    for message in api.messages:
        message.status, message.error_code = status, code


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("DELIVERED", None, DeliveryOutcome.DELIVERED),
        ("FAILED", 4476, DeliveryOutcome.FAILED),
        ("FAILED", 9902, DeliveryOutcome.NO_RECEIPT),
    ],
)
def test_a_wait_ends_with_what_became_of_the_text(
    status: str, code: int | None, expected: DeliveryOutcome, api: FakeMessaging
) -> None:
    message_id = api.add()

    async def scenario() -> MessageWaitEvent:
        ending = asyncio.create_task(end_later(api, 150, status, code))
        event = await wait(message_id)
        await ending
        return event

    event = run_fast(scenario())
    assert (event.message_id, outcome(event), event.error) == (message_id, expected, None)
    assert len(api.searches) == 4


@pytest.mark.parametrize("status", [500, 429, 401])
def test_a_passing_fault_is_waited_out(status: int, api: FakeMessaging) -> None:
    message_id = api.add("DELIVERED")
    api.search_statuses = [status] * 3
    assert outcome(run_fast(wait(message_id))) is DeliveryOutcome.DELIVERED


def test_a_fault_that_lasts_is_looked_at_every_half_minute(api: FakeMessaging) -> None:
    api.search_statuses = [503] * 1000

    async def scenario() -> None:
        waiting = asyncio.create_task(wait(api.add()))
        await asyncio.sleep(600)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    run_fast(scenario())
    assert 18 <= len(api.searches) <= 22


def test_the_first_look_gives_bandwidth_time(api: FakeMessaging) -> None:
    async def scenario() -> None:
        waiting = asyncio.create_task(wait(api.add()))
        await asyncio.sleep(FIRST_POLL_DELAY - 0.5)
        assert api.searches == []
        await asyncio.sleep(2)
        assert len(api.searches) == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    run_fast(scenario())


def test_a_refusal_that_lasts_ends_the_wait_and_says_why(api: FakeMessaging) -> None:
    message_id = api.add()
    api.search_statuses = [403] * 99
    event = run_fast(wait(message_id))
    assert outcome(event) is None
    assert "HTTP 403" in str(event.error)


def test_a_connection_that_is_not_there_ends_the_wait_if_that_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_BANDWIDTH_DEFAULT", raising=False)
    event = run_fast(wait("m1"))
    assert "bandwidth_default" in str(event.error)


def test_a_text_that_is_not_shown_for_long_does_not_exist(api: FakeMessaging) -> None:
    async def scenario() -> tuple[MessageWaitEvent, float]:
        started = asyncio.get_running_loop().time()
        event = await wait("nope")
        return event, asyncio.get_running_loop().time() - started

    event, waited = run_fast(scenario())
    assert "does not show message nope" in str(event.error)
    assert NOT_SHOWN_GRACE <= waited <= NOT_SHOWN_GRACE + 300


def test_a_text_that_is_shown_late_is_waited_for(api: FakeMessaging) -> None:
    async def scenario() -> MessageWaitEvent:
        waiting = asyncio.create_task(wait("m1"))
        await asyncio.sleep(600)
        api.add("DELIVERED")
        return await waiting

    assert outcome(run_fast(scenario())) is DeliveryOutcome.DELIVERED


@pytest.mark.parametrize("is_shown", [True, False])
def test_at_its_deadline_a_wait_has_timed_out(is_shown: bool, api: FakeMessaging) -> None:
    message_id = api.add("SENT") if is_shown else "nope"

    async def scenario() -> MessageWaitEvent:
        return await wait(message_id, deadline=wall_clock() + 200)

    event = run_fast(scenario())
    assert (event.timed_out, event.last_status) == (True, "SENT" if is_shown else None)
    assert ("does not show" in str(event.last_failure)) != is_shown


def test_many_texts_share_a_search(api: FakeMessaging) -> None:
    api.page_size = 1000
    ids = [api.add() for _ in range(200)]

    async def scenario() -> list[MessageWaitEvent]:
        sent_at = time.time()
        waiting = [asyncio.create_task(wait(each, sent_at=sent_at, source=ME)) for each in ids]
        ending = asyncio.create_task(end_later(api, 600, "DELIVERED"))
        events = await asyncio.gather(*waiting)
        await ending
        return events

    events = run_fast(scenario())
    assert {outcome(event) for event in events} == {DeliveryOutcome.DELIVERED}
    assert len(api.searches) < 20
    assert {query["sourceTn"] for query in api.searches} == {ME}


def test_what_a_shared_search_does_not_show_is_looked_for_by_itself(api: FakeMessaging) -> None:
    ids = [api.add("DELIVERED") for _ in range(12)]
    api.messages[3].taken_at -= 86400

    async def scenario() -> list[MessageWaitEvent]:
        waiting = [asyncio.create_task(wait(each, sent_at=time.time())) for each in ids]
        return await asyncio.gather(*waiting)

    assert [outcome(event) for event in run_fast(scenario())] == [DeliveryOutcome.DELIVERED] * 12
    assert [query.get("messageId") for query in api.searches] == [None, "m4"]
    assert "sourceTn" not in api.searches[0]


def test_a_triggerer_lets_no_deferral_be_short(api: FakeMessaging) -> None:
    """A task that is queued again before the scheduler knows that its process ended counts as killed and is retried."""

    async def scenario() -> float:
        trigger = BandwidthMessageTrigger(message_id=api.add("DELIVERED"))
        trigger.trigger_id = 7
        loop = asyncio.get_running_loop()
        started = loop.time()
        await anext(trigger.run())
        return loop.time() - started

    assert 15 <= run_fast(scenario()) < 16


def test_the_last_to_leave_ends_the_poller(api: FakeMessaging, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        waiting = asyncio.create_task(wait("nope"))
        await asyncio.sleep(100)
        (poller,) = _message_poller._POLLERS.values()
        hooks.append(poller._hook)
        closed.clear()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    hooks: list[object] = []
    closed: list[object] = []
    monkeypatch.setattr(_message_poller.BandwidthMessagingHook, "close", lambda self: closed.append(self))
    run_fast(scenario())
    assert _message_poller._POLLERS == {}
    assert closed == hooks


def test_a_text_that_nobody_waits_for_any_more_is_not_looked_for(api: FakeMessaging) -> None:
    async def scenario() -> None:
        left, stays = (asyncio.create_task(wait(api.add())) for _ in range(2))
        await asyncio.sleep(100)
        left.cancel()
        await asyncio.sleep(1)
        (poller,) = _message_poller._POLLERS.values()
        assert [waiter.message_id for waiter in poller._waiters] == ["m2"]
        api.searches.clear()
        await asyncio.sleep(100)
        stays.cancel()
        await asyncio.gather(left, stays, return_exceptions=True)

    run_fast(scenario())
    assert {query["messageId"] for query in api.searches} == {"m2"}


def test_a_trigger_survives_airflows_database_and_another_release() -> None:
    trigger = BandwidthMessageTrigger(message_id="m1", poke_interval=5, deadline=9.0, sent_at=1.0, source=ME)
    path, kwargs = trigger.serialize()
    assert path == "airflow_provider_bandwidth.triggers.messages.BandwidthMessageTrigger"
    again = BandwidthMessageTrigger(**json.loads(json.dumps(kwargs)), from_the_future=1)
    assert again.serialize() == trigger.serialize()


@pytest.mark.parametrize(
    "payload", [None, {}, {"message_id": "m1", "records": [], "timed_out": False, "error": None}, {"records": [1]}]
)
def test_an_event_that_says_nothing_is_an_error(payload: Any) -> None:
    assert "trigger sent an event" in str(MessageWaitEvent.from_payload(payload).error)
