"""Messages on the wire: what is sent has nothing in it that was not asked for, what comes back is read or refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_bandwidth.exceptions import InvalidParameterError, InvalidResponseError
from airflow_provider_bandwidth.messaging.records import MessageRecord, SentMessage
from airflow_provider_bandwidth.messaging.requests import InternationalMessageRequest, MessageRequest
from airflow_provider_bandwidth.wire.answers import Answer
from airflow_provider_bandwidth.wire.messages import (
    describe_international_refusal,
    describe_refusal,
    read_international_sent,
    read_page,
    read_sent,
    write_international_message,
    write_message,
    write_search,
)

AT = datetime(2031, 3, 4, 5, 6, 7, 89_000, tzinfo=UTC)


def test_a_field_that_was_not_given_is_left_out() -> None:
    request = MessageRequest(("+19195550150",), "+19195550101", "app-1", "hi ☎")
    assert json.loads(write_message(request)) == {
        "applicationId": "app-1",
        "to": ["+19195550150"],
        "from": "+19195550101",
        "text": "hi ☎",
    }


def test_every_field_has_bandwidths_name() -> None:
    request = MessageRequest(
        ("+19195550150",),
        "ACME",
        "app-1",
        None,
        ("https://x.example/a.png",),
        "t",
        "high",
        AT,  # type: ignore[arg-type]
    )
    assert json.loads(write_message(request)) == {
        "applicationId": "app-1",
        "to": ["+19195550150"],
        "from": "ACME",
        "media": ["https://x.example/a.png"],
        "tag": "t",
        "priority": "high",
        "expiration": "2031-03-04T05:06:07.089Z",
    }


def test_an_international_message_holds_its_credentials_in_the_body() -> None:
    request = InternationalMessageRequest("+4915112345678", "ACME", "hi", "https://x.example/dlr")
    assert json.loads(write_international_message(request, "user", "pässword")) == {
        "type": "text",
        "auth": {"username": "user", "password": "pässword"},
        "sender": "ACME",
        "receiver": "4915112345678",
        "dcs": "GSM",
        "text": "hi",
        "dlrMask": 19,
        "dlrUrl": "https://x.example/dlr",
    }


def test_what_was_taken_has_an_id() -> None:
    body = {"id": "m1", "time": "2031-03-04T05:06:07.089Z", "segmentCount": 2, "to": ["+1"]}
    assert read_sent(json.dumps(body).encode()) == SentMessage("m1", AT, 2)
    assert read_sent(b'{"id": "m1"}') == SentMessage("m1")
    assert read_international_sent(b'{"msgId": "a1", "numParts": 3}') == SentMessage("a1", segment_count=3)
    assert read_international_sent(b'{"msgId": "a1"}') == SentMessage("a1")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b"{}", b'{"id": ""}', b'{"id": 5}', b'{"msgId": null}']
)
def test_an_answer_without_an_id_is_never_a_message(body: bytes) -> None:
    with pytest.raises(InvalidResponseError):
        read_sent(body)
    with pytest.raises(InvalidResponseError):
        read_international_sent(body)


def test_a_page_of_the_search() -> None:
    row: dict[str, Any] = {
        "messageId": "m1",
        "sourceTn": "+19195550101",
        "destinationTn": "+19195550150",
        "messageStatus": "failed",
        "messageDirection": "OUTBOUND",
        "receiveTime": "2031-03-04T05:06:07.089+0000",
        "messageLength": 12,
        "segmentCount": 1,
        "errorCode": 4476,
        "tag": "t",
    }
    page = read_page(json.dumps({"messages": [row], "pageInfo": {"nextPageToken": "next"}}).encode())
    assert page.next_token == "next"
    assert page.records == (
        MessageRecord("m1", "+19195550101", "+19195550150", "FAILED", "OUTBOUND", AT, 12, "4476", 1, "t"),
    )
    bare = read_page(b'{"messages": [{"messageId": "m1", "errorCode": 0}]}')
    assert (bare.records, bare.next_token) == ((MessageRecord("m1"),), None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"messages": {}}',
        b'{"messages": [1]}',
        b'{"messages": [{}]}',
        b'{"messages": [{"messageId": 7}]}',
    ],
)
def test_what_is_no_page_is_an_error_and_no_empty_list(body: bytes) -> None:
    with pytest.raises(InvalidResponseError):
        read_page(body)


def test_a_search_has_bandwidths_names_and_milliseconds() -> None:
    query = write_search(
        message_id="m1",
        source=["+19195550101", "+19195550102"],
        destination="+19195550150",
        status="FAILED",
        direction="OUTBOUND",
        error_code=4476,
        received_from=datetime(2031, 3, 4, 7, tzinfo=timezone(timedelta(hours=2))),
        received_to=AT,
    )
    assert query == {
        "messageId": "m1",
        "sourceTn": "+19195550101,+19195550102",
        "destinationTn": "+19195550150",
        "messageStatus": "FAILED",
        "messageDirection": "OUTBOUND",
        "errorCode": "4476",
        "fromDateTime": "2031-03-04T05:00:00.000Z",
        "toDateTime": "2031-03-04T05:06:07.089Z",
        "limit": "100",
    }


@pytest.mark.parametrize(
    ("filters", "problem"),
    [
        ({}, "at least one filter"),
        ({"source": [f"+1919555010{n}" for n in range(11)]}, "at most 10"),
        ({"received_from": datetime(2031, 3, 4)}, "a time with a zone"),  # noqa: DTZ001
    ],
)
def test_a_search_that_bandwidth_refuses_is_not_sent(filters: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidParameterError, match=problem):
        write_search(**filters)


def answer(status: int, body: bytes) -> Answer:
    return Answer(status, {}, body, "https://messaging.bandwidth.com/api/v2/users/1/messages", "Bad Request")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        pytest.param(
            {
                "type": "request-validation",
                "description": "Your request could not be accepted.",
                "fieldErrors": [{"fieldName": "from", "description": "'+1' must be E164"}, {"description": "odd"}, 1],
            },
            ("request-validation", "Your request could not be accepted.; from: '+1' must be E164; a field: odd"),
            id="wrong fields",
        ),
        pytest.param({"type": "forbidden", "description": "no\nrole"}, ("forbidden", "no role"), id="in one line"),
        pytest.param({"status": 404, "error": "Not Found", "path": "/x"}, (None, "Not Found"), id="Spring's form"),
        pytest.param({}, (None, "Bad Request"), id="nothing said"),
        pytest.param([], (None, "Bad Request"), id="no object"),
    ],
)
def test_a_refusal_is_told_plainly(body: Any, told: tuple[str | None, str]) -> None:
    assert describe_refusal(answer(400, json.dumps(body).encode())) == told


def test_a_refusal_of_international_a2p_has_its_advice() -> None:
    code, said = describe_international_refusal(answer(420, b'{"error": {"code": "104", "message": "IP"}}'))
    assert code == "104"
    assert said.startswith("IP. It means: this address may not send. What to do: tell Bandwidth")
    unknown = describe_international_refusal(answer(420, b'{"error": {"code": "199"}}'))
    assert unknown == ("199", "Bad Request")
    for body in (b"<html>", b"{}", b'{"error": 5}'):
        assert describe_international_refusal(answer(500, body)) == (None, "Bad Request")
