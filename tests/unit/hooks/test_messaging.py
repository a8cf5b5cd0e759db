"""The messaging hook: what it sends, what it says of refusals, its pace, and its search."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support import fake_messaging as fakes
from support.clock import ManualClock
from support.fake_messaging import FakeMessaging
from support.raw_server import closed_port

from airflow_provider_bandwidth.exceptions import (
    AmbiguousMessageError,
    BandwidthApiError,
    BandwidthAuthError,
    InvalidParameterError,
    InvalidResponseError,
)
from airflow_provider_bandwidth.hooks import messaging
from airflow_provider_bandwidth.hooks.messaging import BandwidthMessagingHook

ME, YOU = "+19195550101", "+19195550150"


@pytest.fixture
def api(clock: ManualClock) -> Iterator[FakeMessaging]:
    with FakeMessaging(clock) as running:
        yield running


@pytest.fixture
def hook(
    api: FakeMessaging, connect: Callable[..., None], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[BandwidthMessagingHook]:
    monkeypatch.setattr(messaging, "_BUDGETS", {})
    connect(api.connection)
    made = BandwidthMessagingHook(sleep=clock.sleep, clock=clock)
    yield made
    made.close()


def test_a_text_is_sent_with_the_connections_account_application_and_token(
    hook: BandwidthMessagingHook, api: FakeMessaging
) -> None:
    sent = hook.send_message("919-555-0150", ME, "hi", tag="t")
    assert (sent.message_id, sent.segment_count) == ("m1", 1)
    assert sent.sent_at is not None
    assert api.posts == [{"applicationId": "app-1", "to": [YOU], "from": ME, "text": "hi", "tag": "t"}]
    assert api.authorizations == ["Bearer token-of-the-test"]


def test_a_wrong_field_is_told_before_anything_is_sent(hook: BandwidthMessagingHook, api: FakeMessaging) -> None:
    with pytest.raises(InvalidParameterError, match="to: expected one telephone number"):
        hook.send_message("nobody", ME, "hi")
    assert not api.posts


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (fakes.REFUSED, BandwidthApiError, "not accepted; from: must be yours"),
        (fakes.FORBIDDEN, BandwidthAuthError, "no role. This user may not do this in account 9900001"),
        (fakes.GONE, BandwidthApiError, "404"),
    ],
)
def test_a_refusal_is_told_plainly_and_not_sent_again(
    fault: str, kind: type[Exception], said: str, hook: BandwidthMessagingHook, api: FakeMessaging
) -> None:
    api.faults = [fault]
    with pytest.raises(kind, match=said):
        hook.send_message(YOU, ME, "hi")
    assert len(api.posts) == 1


def test_a_full_queue_is_waited_for(hook: BandwidthMessagingHook, api: FakeMessaging, clock: ManualClock) -> None:
    api.faults = [fakes.BUSY, fakes.BUSY]
    assert hook.send_message(YOU, ME, "hi").message_id == "m1"
    assert len(clock.pauses) == 2
    api.faults = [fakes.BUSY] * 9
    with pytest.raises(BandwidthApiError, match="60 a minute, queue of 900") as caught:
        hook.send_message(YOU, ME, "hi")
    assert (caught.value.code, caught.value.retryable) == ("max-message-queue-size-exceeded", True)
    assert len(api.messages) == 1


@pytest.mark.parametrize(
    "fault", [fakes.LOST_BEFORE, fakes.LOST_AFTER, fakes.ERROR_BEFORE, fakes.ERROR_AFTER, fakes.NO_ID]
)
def test_a_doubtful_answer_is_never_followed_by_another_post(
    fault: str, hook: BandwidthMessagingHook, api: FakeMessaging
) -> None:
    api.faults = [fault]
    with pytest.raises(AmbiguousMessageError):
        hook.send_message(YOU, ME, "hi")
    assert len(api.posts) == 1


def test_a_connection_that_was_never_made_sent_nothing(
    connect: Callable[..., None], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messaging, "_BUDGETS", {})
    url = f"http://127.0.0.1:{closed_port()}"
    connect({"host": url, "login": "u", "password": "p"}, extra={"account_id": "1", "auth_type": "basic"})
    with pytest.raises(BandwidthApiError, match="Nothing was created"):
        BandwidthMessagingHook(sleep=clock.sleep, clock=clock).send_message(YOU, ME, "hi", application_id="a")


# --- pace ---


def test_texts_wait_for_the_connections_rate_which_counts_segments(
    api: FakeMessaging, connect: Callable[..., None], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messaging, "_BUDGETS", {})
    connect(api.connection, extra={"max_segments_per_minute": 6})
    started = clock.now
    for _ in range(4):
        # Two hooks of one process share the budget.
        hook = BandwidthMessagingHook(sleep=clock.sleep, clock=clock)
        hook.send_message(YOU, ME, "x" * 200)
        hook.close()
    taken = [round(message.taken_at - started) for message in api.messages]
    assert taken == [0, 0, 0, 60]


def test_a_text_longer_than_the_rate_goes_alone(
    api: FakeMessaging, connect: Callable[..., None], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messaging, "_BUDGETS", {})
    connect(api.connection, extra={"max_segments_per_minute": 1})
    hook = BandwidthMessagingHook(sleep=clock.sleep, clock=clock)
    started = clock.now
    for _ in range(2):
        hook.send_message(YOU, ME, "x" * 200)
    hook.close()
    assert [round(message.taken_at - started) for message in api.messages] == [0, 60]


# --- looking ---


def test_the_search_reads_page_after_page(hook: BandwidthMessagingHook, api: FakeMessaging) -> None:
    for number in range(5):
        hook.send_message(f"+1919555015{number}", ME, "hi")
    api.page_size = 2
    day = (datetime.now(UTC) - timedelta(days=1)).replace(hour=1, minute=2, second=3, microsecond=0)
    found = list(hook.search_messages(source=ME, received_from=day))
    assert [record.message_id for record in found] == ["m1", "m2", "m3", "m4", "m5"]
    assert [query.get("pageToken") for query in api.searches] == [None, "2", "4"]
    assert api.searches[0]["fromDateTime"] == f"{day.date()}T01:02:03.000Z"


def test_one_message_is_found_by_its_id(hook: BandwidthMessagingHook, api: FakeMessaging) -> None:
    hook.send_message([YOU, "+19195550151"], ME, "hi")
    assert [record.destination for record in hook.get_message(" m1 ")] == [YOU, "+19195550151"]
    assert hook.get_message("m2") == ()
    for value in (None, "", "None", 5):
        with pytest.raises(InvalidParameterError, match="message_id: expected"):
            hook.get_message(value)  # type: ignore[arg-type]


def test_a_search_that_is_limited_is_asked_again_after_the_time_it_names(
    hook: BandwidthMessagingHook, api: FakeMessaging, clock: ManualClock
) -> None:
    hook.send_message(YOU, ME, "hi")
    api.search_statuses, api.retry_after = [429], "7"
    assert len(hook.get_message("m1")) == 1
    assert 7 <= clock.pauses[0] <= 8.5


def test_a_page_that_comes_again_ends_the_search(hook: BandwidthMessagingHook, api: FakeMessaging) -> None:
    def search(query: dict[str, str]) -> dict[str, Any]:
        return {"messages": [{"messageId": "m1"}], "pageInfo": {"nextPageToken": "same"}}

    api.search = search  # type: ignore[method-assign]
    with pytest.raises(InvalidResponseError, match="the same page"):
        list(hook.search_messages(message_id="m1"))


# --- International A2P ---


def send_abroad(hook: BandwidthMessagingHook) -> str:
    return hook.send_international_message("+4915112345678", "ACME", "hi", dlr_url="https://x.example/dlr").message_id


def test_a_text_abroad_has_its_credentials_in_the_body_and_in_no_header(
    hook: BandwidthMessagingHook, api: FakeMessaging
) -> None:
    assert send_abroad(hook) == "a1"
    assert api.posts[0]["auth"] == {"username": "client", "password": "secret-of-the-client"}
    assert api.authorizations == [None]


def test_too_fast_abroad_is_sent_again_after_a_second(
    hook: BandwidthMessagingHook, api: FakeMessaging, clock: ManualClock
) -> None:
    api.a2p_answers = [(420, {"error": {"code": "105", "message": "slow"}})]
    assert send_abroad(hook) == "a1"
    assert clock.pauses == [1.0]
    sent = len(api.posts)
    api.a2p_answers = [(420, {"error": {"code": "105", "message": "slow"}})] * 10
    with pytest.raises(BandwidthApiError, match="slow"):
        send_abroad(hook)
    assert len(api.posts) == sent + 5


@pytest.mark.parametrize(
    ("status", "body", "said", "retryable"),
    [
        (420, {"error": {"code": "113", "message": "RC_NO_CREDIT"}}, "RC_NO_CREDIT. It means: no credit", False),
        (500, {}, "HTTP 500", True),
    ],
)
def test_a_refusal_abroad_sent_nothing(
    status: int, body: Any, said: str, retryable: bool, hook: BandwidthMessagingHook, api: FakeMessaging
) -> None:
    api.a2p_answers = [(status, body)]
    with pytest.raises(BandwidthApiError, match=said) as caught:
        send_abroad(hook)
    assert caught.value.retryable is retryable
    assert "secret-of-the-client" not in str(caught.value)
    assert len(api.posts) == 1


@pytest.mark.parametrize(("status", "body"), [(503, {}), (202, {"msgId": ""})])
def test_doubt_abroad(status: int, body: Any, hook: BandwidthMessagingHook, api: FakeMessaging) -> None:
    api.a2p_answers = [(status, body)]
    with pytest.raises(AmbiguousMessageError):
        send_abroad(hook)
    assert len(api.posts) == 1


# --- where calls go ---


@pytest.mark.parametrize(
    ("fields", "messaging_url", "a2p_url"),
    [
        ({}, "https://messaging.bandwidth.com/api/v2", "https://bulksms.ia2p.bandwidth.com:12021"),
        ({"host": "http://127.0.0.1:8085/api"}, "http://127.0.0.1:8085/api/v2", "http://127.0.0.1:8085"),
        (
            {"extra": {"messaging_url": "https://proxy.example/m/", "account_id": "1"}},
            "https://proxy.example/m",
            "https://proxy.example/m",
        ),
    ],
)
def test_the_base_urls(fields: dict[str, Any], messaging_url: str, a2p_url: str, connect: Callable[..., None]) -> None:
    connect({"login": "u", "password": "p", "extra": {"account_id": "1"}, **fields})
    settings = BandwidthMessagingHook().settings
    assert settings.derive_messaging_url() == messaging_url
    assert settings.derive_messaging_url(international_a2p=True) == a2p_url
