"""Messages as JSON: written for Bandwidth, and read from its answers, for both of its message APIs. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from airflow_provider_bandwidth.delivery_codes import MessageApi, explain_delivery_code
from airflow_provider_bandwidth.exceptions import InvalidParameterError, InvalidResponseError
from airflow_provider_bandwidth.messaging.callbacks import read_time
from airflow_provider_bandwidth.messaging.records import MessageRecord, SentMessage
from airflow_provider_bandwidth.messaging.requests import InternationalMessageRequest, MessageRequest
from airflow_provider_bandwidth.wire.answers import Answer
from airflow_provider_bandwidth.wire.documents import clean_text

#: Rows of one page of the search [sdk26].
PAGE_SIZE: Final = 100
_SHOWN: Final = 300


def write_message(request: MessageRequest) -> bytes:
    """The body of a POST. What is absent is left out: ``null`` was refused once (API reference, section 21.2)."""
    body: dict[str, Any] = {
        "applicationId": request.application_id,
        "to": list(request.to),
        "from": request.from_,
        "text": request.text,
        "media": list(request.media) or None,
        "tag": request.tag,
        "priority": request.priority,
        "expiration": None if request.expiration is None else write_time(request.expiration),
    }
    return _write({name: value for name, value in body.items() if value is not None})


def write_international_message(request: InternationalMessageRequest, login: str, password: str) -> bytes:
    """The body of a POST to the International A2P API, which holds the credentials [intl].

    It writes telephone numbers with their country code and without a plus, as its samples and a real client of it do
    [courier].
    """
    return _write(
        {
            "type": "text",
            "auth": {"username": login, "password": password},
            "sender": request.sender.removeprefix("+") if request.sender[1:].isdecimal() else request.sender,
            "receiver": request.receiver.removeprefix("+"),
            "dcs": request.dcs,
            "text": request.text,
            "dlrMask": request.dlr_mask,
            "dlrUrl": request.dlr_url,
        }
    )


def read_sent(body: bytes) -> SentMessage:
    """Read a 202 of Messaging API v2.

    :raises InvalidResponseError: it names no message
    """
    data = read_json_object(body)
    message_id = data.get("id")
    if not isinstance(message_id, str) or not message_id:
        raise InvalidResponseError("the answer names no message id")
    count = data.get("segmentCount")
    return SentMessage(message_id, read_time(data.get("time")), count if isinstance(count, int) else None)


def read_international_sent(body: bytes) -> SentMessage:
    """Read a 202 of the International A2P API.

    :raises InvalidResponseError: it names no message
    """
    data = read_json_object(body)
    message_id = data.get("msgId")
    if not isinstance(message_id, str) or not message_id:
        raise InvalidResponseError("the answer names no msgId")
    count = data.get("numParts")
    return SentMessage(message_id, segment_count=count if isinstance(count, int) else None)


class Page(NamedTuple):
    """A page of the search."""

    records: tuple[MessageRecord, ...]
    next_token: str | None


def read_page(body: bytes) -> Page:
    """Read a page of the search for messages.

    :raises InvalidResponseError: it is no such page, or has a row without an id
    """
    data = read_json_object(body)
    rows = data.get("messages")
    if not isinstance(rows, list):
        raise InvalidResponseError("the answer has no list of messages")
    info = data.get("pageInfo")
    token = info.get("nextPageToken") if isinstance(info, dict) else None
    return Page(tuple(map(_read_record, rows)), str(token) if token else None)


def _read_record(row: Any) -> MessageRecord:
    if not isinstance(row, dict) or not isinstance(row.get("messageId"), str) or not row["messageId"]:
        raise InvalidResponseError("a row of the list has no messageId")
    code = row.get("errorCode")
    length, segments = row.get("messageLength"), row.get("segmentCount")
    return MessageRecord(
        message_id=row["messageId"],
        source=str(row.get("sourceTn") or ""),
        destination=str(row.get("destinationTn") or ""),
        status=str(row.get("messageStatus") or "").upper(),
        direction=str(row.get("messageDirection") or "").upper(),
        received_at=read_time(row.get("receiveTime")),
        length=length if isinstance(length, int) else None,
        # Zero stands for "none".
        error_code=None if code in (None, "", 0, "0") else str(code),
        segment_count=segments if isinstance(segments, int) else None,
        tag=str(row["tag"]) if row.get("tag") else None,
    )


def write_search(
    *,
    message_id: str | None = None,
    source: str | Sequence[str] | None = None,
    destination: str | Sequence[str] | None = None,
    status: str | None = None,
    direction: str | None = None,
    error_code: str | int | None = None,
    received_from: datetime | None = None,
    received_to: datetime | None = None,
) -> dict[str, str]:
    """The query of a search.

    :raises InvalidParameterError: no filter at all, which Bandwidth refuses, or a time without a zone
    """
    query = {
        "messageId": message_id,
        "sourceTn": _join("source", source),
        "destinationTn": _join("destination", destination),
        "messageStatus": status,
        "messageDirection": direction,
        "errorCode": None if error_code is None else str(error_code),
        "fromDateTime": None if received_from is None else write_time(received_from, "received_from"),
        "toDateTime": None if received_to is None else write_time(received_to, "received_to"),
    }
    given = {name: value for name, value in query.items() if value}
    if not given:
        raise InvalidParameterError("search", "give at least one filter: Bandwidth refuses a search for everything")
    return {**given, "limit": str(PAGE_SIZE)}


def _join(name: str, value: str | Sequence[str] | None) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if len(value) > 10:
        raise InvalidParameterError(name, f"at most 10 numbers in one search, got {len(value)}")
    return ",".join(value)


def write_time(time: datetime, name: str = "expiration") -> str:
    """A time as Bandwidth's command line sends it, with milliseconds [cli].

    :raises InvalidParameterError: it has no zone
    """
    if time.tzinfo is None:
        raise InvalidParameterError(name, "expected a time with a zone")
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def describe_refusal(answer: Answer) -> tuple[str | None, str]:
    """The ``type`` of a refusal of Messaging API v2, and what it says, each wrong field by its name."""
    try:
        data: Mapping[str, Any] = read_json_object(answer.body)
    except InvalidResponseError:
        return None, _reason(answer)
    fields = data.get("fieldErrors")
    parts = [_text(data.get("description") or data.get("message") or data.get("error"))]
    parts += [
        f"{_text(each.get('fieldName')) or 'a field'}: {_text(each.get('description'))}"
        for each in (fields if isinstance(fields, list) else ())
        if isinstance(each, dict)
    ]
    return _text(data.get("type")) or None, "; ".join(filter(None, parts))[:_SHOWN] or _reason(answer)


def describe_international_refusal(answer: Answer) -> tuple[str | None, str]:
    """The code of a refusal of the International A2P API, what it says, and what to do about it."""
    try:
        error = read_json_object(answer.body).get("error")
    except InvalidResponseError:
        error = None
    if not isinstance(error, dict):
        return None, _reason(answer)
    code = _text(error.get("code"))
    known = explain_delivery_code(code, MessageApi.INTERNATIONAL_A2P)
    said = (_text(error.get("message"))[:_SHOWN] or _reason(answer)).rstrip(".")
    return code or None, said if known is None else f"{said}. It means: {known.meaning}. What to do: {known.advice}"


def _write(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode()


def read_json_object(body: bytes) -> dict[str, Any]:
    """An answer that is a JSON object.

    :raises InvalidResponseError: it is none
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidResponseError("the answer is not JSON") from None
    if not isinstance(data, dict):
        raise InvalidResponseError("the answer is not a JSON object")
    return data


def _text(value: Any) -> str:
    return clean_text(value) if isinstance(value, str) else ""


def _reason(answer: Answer) -> str:
    return clean_text(answer.reason) or "no reason given"
