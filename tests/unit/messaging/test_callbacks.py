"""Callbacks come as arrays of one, twice, and in any order; reading them is not left to each user."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_bandwidth.delivery_codes import MessageApi
from airflow_provider_bandwidth.exceptions import InvalidResponseError
from airflow_provider_bandwidth.messaging.callbacks import (
    MessageEvent,
    newest,
    read_callbacks,
    read_delivery_report,
)
from airflow_provider_bandwidth.messaging.records import DeliveryOutcome


def event(kind: str, *, code: int | None = None, to: str = "+19195550150", **message: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "time": "2031-03-04T05:06:12.100Z",
        "type": kind,
        "to": to,
        "description": "free text",
        "message": {"id": "m1", "owner": "+19195550101", "to": [to], "from": "+19195550101", "text": "", **message},
    }
    return body if code is None else {**body, "errorCode": code}


def test_a_failure_has_its_code_its_advice_and_the_tag_of_the_sender() -> None:
    (read,) = read_callbacks(json.dumps([event("message-failed", code=4476, tag="af-7c19d2")]))
    assert (read.message_id, read.to, read.tag, read.from_) == ("m1", "+19195550150", "af-7c19d2", "+19195550101")
    assert read.at == datetime(2031, 3, 4, 5, 6, 12, 100_000, tzinfo=UTC)
    assert (read.error_code, read.outcome) == ("4476", DeliveryOutcome.FAILED)
    assert read.explained is not None
    assert "campaign" in read.explained.advice


def test_an_incoming_text_has_its_text_and_its_files() -> None:
    body = [event("message-received", text="STOP", media=["https://messaging.bandwidth.com/m/1"])]
    (read,) = read_callbacks(json.dumps(body).encode())
    assert (read.text, read.media, read.outcome) == ("STOP", ("https://messaging.bandwidth.com/m/1",), None)
    assert read.explained is None


@pytest.mark.parametrize(
    ("kind", "code", "outcome"),
    [
        ("message-sending", None, None),
        ("message-sent", None, None),
        ("message-delivered", None, DeliveryOutcome.DELIVERED),
        ("message-read", None, DeliveryOutcome.DELIVERED),
        ("message-failed", 9902, DeliveryOutcome.NO_RECEIPT),
        ("message-failed", 5600, DeliveryOutcome.FAILED),
        ("suggestion-response", None, None),
    ],
)
def test_outcomes(kind: str, code: int | None, outcome: DeliveryOutcome | None) -> None:
    (read,) = read_callbacks(json.dumps(event(kind, code=code)))
    assert read.outcome == outcome


def test_disorder_and_duplicates_end_in_the_same_state() -> None:
    kinds = ("message-sending", "message-sent", "message-delivered", "message-sent")
    events = [read_callbacks(json.dumps([event(kind)]))[0] for kind in kinds]
    assert len({each.key for each in events}) == 3
    for order in itertools.permutations(events):
        latest: MessageEvent | None = None
        for each in order:
            latest = newest(latest, each)
        assert latest is not None
        assert latest.type == "message-delivered"


def test_receivers_of_a_group_are_told_apart() -> None:
    one, two = (read_callbacks(json.dumps([event("message-delivered", to=to)]))[0] for to in ("+1", "+2"))
    assert one.key != two.key


@pytest.mark.parametrize(
    "body", ["", "null", "[1]", "[[]]", '{"type": "x"}', '[{"message": {"id": "m"}}]', b"\xff", "[" * 9**5]
)
def test_what_is_no_callback_is_an_error_and_no_guess(body: str | bytes) -> None:
    with pytest.raises(InvalidResponseError):
        read_callbacks(body)


def test_a_time_that_is_none_does_not_cost_the_event() -> None:
    for time in (None, "yesterday", 5, "2031-03-04T05:06:12"):
        (read,) = read_callbacks(json.dumps({**event("message-delivered"), "time": time}))
        assert (read.at, read.outcome) == (None, DeliveryOutcome.DELIVERED)


@pytest.mark.parametrize("odd", [5, True, "a", {"a": 1}, [], None])
def test_what_is_odd_beside_the_point_does_not_cost_the_event(odd: Any) -> None:
    found = event("message-delivered")
    found["message"].update(media=odd, tag=odd)
    (read,) = read_callbacks(json.dumps([found]))
    assert (read.outcome, read.media) == (DeliveryOutcome.DELIVERED, ())
    assert read.tag == ("a" if odd == "a" else None)


def dlr(**fields: Any) -> str:
    return json.dumps({"msgId": "a1", "event": "DELIVERED", "errorCode": 0, "partNum": 0, "numParts": 1, **fields})


@pytest.mark.parametrize(
    ("fields", "outcome", "code"),
    [
        ({}, DeliveryOutcome.DELIVERED, None),
        ({"event": "UNDELIVERED", "errorCode": 29}, DeliveryOutcome.FAILED, "29"),
        ({"event": "REJECTED", "errorCode": 993}, DeliveryOutcome.FAILED, "993"),
        ({"event": "BUFFERED", "errorCode": None}, None, None),
        ({"event": "SENT_TO_SMSC"}, None, None),
    ],
)
def test_delivery_reports_of_international_a2p(
    fields: dict[str, Any], outcome: DeliveryOutcome | None, code: str | None
) -> None:
    read = read_delivery_report(dlr(**fields))
    assert (read.message_id, read.api, read.outcome, read.error_code) == (
        "a1",
        MessageApi.INTERNATIONAL_A2P_DLR,
        outcome,
        code,
    )
    assert (read.explained is None) == (code is None)


def test_the_parts_of_a_long_international_text_are_told_apart() -> None:
    parts = [read_delivery_report(dlr(partNum=number, numParts=2)) for number in (0, 1)]
    assert len({part.key for part in parts}) == 2
    assert read_delivery_report(dlr(partNum=None, numParts="x")).parts == 1
    buffered = read_delivery_report(dlr(event="BUFFERED"))
    assert newest(parts[0], buffered) is parts[0]


@pytest.mark.parametrize("body", ["{}", "[]", '{"msgId": "x"}', '{"event": "DELIVERED"}'])
def test_what_is_no_delivery_report_is_an_error(body: str) -> None:
    with pytest.raises(InvalidResponseError):
        read_delivery_report(body)
