"""Client and sandbox of texts, which share no code: what one writes the other reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.clock import ManualClock

from airflow_provider_bandwidth.delivery_codes import DELIVERY_CODES, DeliveryGroup, MessageApi, explain_delivery_code
from airflow_provider_bandwidth.exceptions import BandwidthApiError
from airflow_provider_bandwidth.hooks import messaging
from airflow_provider_bandwidth.hooks.messaging import BandwidthMessagingHook
from airflow_provider_bandwidth.messaging.callbacks import newest, read_callbacks, read_delivery_report
from airflow_provider_bandwidth.messaging.records import DeliveryOutcome, judge_message
from airflow_provider_bandwidth.sandbox import Sandbox
from airflow_provider_bandwidth.sandbox.deliveries import DELIVERIES

ME, YOU = "+19195550101", "+12125550150"
#: Nobody listens there; the sandbox keeps what it tried to post.
NOBODY = "http://127.0.0.1:9/events"


@pytest.fixture
def bandwidth(sandbox: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setattr(messaging, "_BUDGETS", {})
    monkeypatch.setattr("airflow_provider_bandwidth.hooks._api.mask_secret", id)
    connect(sandbox.connection, extra={"max_segments_per_minute": 10_000})
    sandbox.seed(imported=[ME.removeprefix("+1")], campaign_id="CABC123")
    return sandbox


@pytest.fixture
def texts(bandwidth: Sandbox, clock: ManualClock) -> Iterator[BandwidthMessagingHook]:
    made = BandwidthMessagingHook(sleep=clock.sleep, clock=clock)
    yield made
    made.close()


def test_every_delivery_code_that_the_sandbox_plays_has_advice_and_the_other_way_round() -> None:
    assert {str(code) for code in DELIVERIES} == DELIVERY_CODES[MessageApi.MESSAGING].keys()


@pytest.mark.parametrize(
    ("code", "group", "outcome"),
    [
        ("4432", DeliveryGroup.BANDWIDTH_CLIENT, DeliveryOutcome.FAILED),
        ("4775", DeliveryGroup.CARRIER_CLIENT, DeliveryOutcome.FAILED),
        ("5201", DeliveryGroup.BANDWIDTH_SERVICE, DeliveryOutcome.FAILED),
        ("5600", DeliveryGroup.CARRIER_SERVICE, DeliveryOutcome.FAILED),
        ("9902", DeliveryGroup.AMBIGUOUS, DeliveryOutcome.NO_RECEIPT),
        ("0150", None, DeliveryOutcome.DELIVERED),
    ],
)
def test_a_magic_recipient_of_each_group_ends_alike_in_search_and_callbacks(
    code: str,
    group: DeliveryGroup | None,
    outcome: DeliveryOutcome,
    bandwidth: Sandbox,
    texts: BandwidthMessagingHook,
) -> None:
    bandwidth.configure(callback_url=NOBODY, callback_retry_seconds=0)
    leaves = group not in (DeliveryGroup.BANDWIDTH_CLIENT, DeliveryGroup.BANDWIDTH_SERVICE)

    sent = texts.send_message(f"+1212555{code}", ME, "hi", tag="run 7")
    bandwidth.skip(3 * 3600)

    verdict = judge_message(texts.get_message(sent.message_id))
    assert verdict is not None
    assert verdict.outcome is outcome
    assert (verdict.explained.group if verdict.explained else None) is group
    bodies = [json.dumps(record.body) for record in bandwidth.wait_for_callbacks(1 + leaves)]
    # Twice, and the last one first.
    latest = None
    for event in [each for body in reversed(bodies * 2) for each in read_callbacks(body)]:
        latest = newest(latest, event)
    assert latest is not None
    assert (latest.message_id, latest.outcome, latest.tag) == (sent.message_id, outcome, "run 7")
    assert latest.error_code == (None if group is None else code)
    assert latest.explained == verdict.explained


def test_fields_that_are_wrong_are_named(bandwidth: Sandbox, texts: BandwidthMessagingHook) -> None:
    request = texts.make_request(YOU, ME, "hi")
    object.__setattr__(request, "to", ("2125550150",))
    with pytest.raises(BandwidthApiError, match=r"not valid\.; to: to holds what is not E.164") as caught:
        texts.send(request)
    assert (caught.value.status, caught.value.code) == (400, "request-validation")


def test_a_full_queue_is_waited_for_and_then_told(
    bandwidth: Sandbox, texts: BandwidthMessagingHook, clock: ManualClock
) -> None:
    bandwidth.configure(messages_per_second=0.001, message_queue_size=1)
    texts.send_message(YOU, ME, "hi")
    with pytest.raises(BandwidthApiError, match="the queue holds 1") as caught:
        texts.send_message(YOU, ME, "hi")
    assert (caught.value.status, caught.value.code) == (429, "max-message-queue-size-exceeded")
    assert (len(clock.pauses), len(bandwidth.messages)) == (4, 1)
    bandwidth.skip(1000)
    texts.send_message(YOU, ME, "hi")
    assert len(bandwidth.messages) == 2


def test_a_search_that_is_limited_is_asked_again_when_it_says(
    bandwidth: Sandbox, texts: BandwidthMessagingHook, clock: ManualClock
) -> None:
    sent = texts.send_message(YOU, ME, "hi")
    bandwidth.inject("rate-limit", operation="search-messages", seconds=9, times=1)
    assert len(texts.get_message(sent.message_id)) == 1
    assert 9 <= clock.pauses[0] <= 10.5


# --- International A2P ---


def send_abroad(texts: BandwidthMessagingHook, to: str, **fields: Any) -> str:
    given = {"from_": "ACME", "text": "hi", "dlr_url": NOBODY, **fields}
    return texts.send_international_message(to, **given).message_id


@pytest.mark.parametrize("sender", ["ACME", "+4915112345678", "4915112345678"])
def test_a_text_abroad_is_taken_and_its_reports_are_read(
    sender: str, bandwidth: Sandbox, texts: BandwidthMessagingHook
) -> None:
    message_id = send_abroad(texts, "+442079460000", from_=sender, text="grüße 😀" * 20)
    reports = [read_delivery_report(json.dumps(record.body)) for record in bandwidth.wait_for_callbacks(3)]
    assert {(each.message_id, each.type, each.outcome, each.parts) for each in reports} == {
        (message_id, "DELIVERED", DeliveryOutcome.DELIVERED, 3)
    }
    assert len({each.key for each in reports}) == 3


def test_why_a_text_abroad_failed(bandwidth: Sandbox, texts: BandwidthMessagingHook) -> None:
    send_abroad(texts, "+442075551029")
    (record,) = bandwidth.wait_for_callbacks(1)
    report = read_delivery_report(json.dumps(record.body))
    assert (report.type, report.error_code, report.outcome) == ("UNDELIVERED", "29", DeliveryOutcome.FAILED)
    assert report.explained == explain_delivery_code("29", MessageApi.INTERNATIONAL_A2P_DLR)


@pytest.mark.parametrize("code", ["104", "113"])
def test_a_refusal_abroad_has_its_advice(code: str, bandwidth: Sandbox, texts: BandwidthMessagingHook) -> None:
    known = explain_delivery_code(code, MessageApi.INTERNATIONAL_A2P)
    assert known is not None
    with pytest.raises(BandwidthApiError, match=known.advice) as caught:
        send_abroad(texts, f"+442075550{code}")
    assert (caught.value.status, caught.value.code) == (420, code)
