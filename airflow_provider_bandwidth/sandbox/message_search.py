"""The search of messages: its filters and its answers (reference, section 21.4)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from airflow_provider_bandwidth.sandbox.calls import Call
from airflow_provider_bandwidth.sandbox.messages import Message, Recipient
from airflow_provider_bandwidth.sandbox.validation import Refused
from airflow_provider_bandwidth.sandbox.xml import View

_STATUSES: Final = ("RECEIVED", "QUEUED", "SENDING", "SENT", "FAILED", "DELIVERED", "ACCEPTED", "UNDELIVERED")
_LONGEST_RANGE: Final = timedelta(days=14)
_LEAST_PART: Final = 5
_MOST_NUMBERS: Final = 10
_LIMIT: Final = 100
_MOST_ROWS: Final = 10_000
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

_Row = dict[str, Any]
_Test = Callable[[_Row], bool]


def search(call: Call) -> dict[str, object]:
    """The answer to a search.

    :raises Refused: for a query without any parameter, or with a wrong one
    """
    parameters = call.request.parameters
    if not any(any(values) for values in parameters.values()):
        raise Refused("request-validation", "At least one parameter is required.")
    tests = [make(call.request.parameter(name) or "") for name, make in _TESTS.items() if call.request.parameter(name)]
    _check_range(call)
    limit, offset = _parse_page(call)
    rows = [row for row in _list_rows(call) if all(test(row) for test in tests)]
    rows = _sort(rows, call.request.parameter("sort") or "receiveTime:desc")
    following = offset + limit if offset + limit < len(rows) else None
    links: dict[str, object] = {}
    if offset:
        links["prevPageToken"] = _write_token(max(0, offset - limit))
    if following is not None:
        links["nextPageToken"] = _write_token(following)
    url = f"http://{call.request.headers.get('host', '')}{call.request.path}"
    links |= {name.removesuffix("Token"): f"{url}?pageToken={token}" for name, token in links.items()}
    return {"totalCount": len(rows), "pageInfo": links, "messages": rows[offset : offset + limit]}


def _list_rows(call: Call) -> Iterator[_Row]:
    clock = call.store.clock()
    youngest = clock - call.settings.message_search_lag_seconds
    view = View(call.settings)
    for message in call.store.messages.all():
        if message.account_id == call.account_id and message.created_clock <= youngest:
            for recipient in message.recipients:
                yield _make_row(message, recipient, clock, view)


def _make_row(message: Message, recipient: Recipient, clock: float, view: View) -> _Row:
    row: _Row = {
        "messageId": message.message_id,
        "accountId": message.account_id,
        "sourceTn": message.sender,
        "destinationTn": recipient.number,
        "messageStatus": recipient.status(clock),
        "messageDirection": "OUTBOUND",
        "messageType": "mms" if message.media else "sms",
        "segmentCount": message.segment_count,
        "errorCode": recipient.error_code(clock) or 0,
        "receiveTime": view.time(message.created_at),
        "messageSize": len(message.text.encode()),
        "messageLength": len(message.text),
        "attachmentCount": len(message.media),
        "recipientCount": len(message.recipients),
        "product": "LOCAL_A2P" if message.sender.startswith("+") else "ALPHA_NUMERIC",
        "callingNumberCountryA3": "USA",
        "calledNumberCountryA3": "USA",
    }
    if message.campaign_id is not None:
        row["campaignId"] = message.campaign_id
    return row


def _refuse(name: str, text: str) -> Refused:
    return Refused("request-validation", "The request is not valid.", others=[(name, text)])


def _match_numbers(name: str, key: str) -> Callable[[str], _Test]:
    def make(text: str) -> _Test:
        wanted = [each.strip() for each in text.split(",")]
        if len(wanted) > _MOST_NUMBERS:
            raise _refuse(name, f"{name} holds more than {_MOST_NUMBERS} numbers.")
        if any(len(each) < _LEAST_PART for each in wanted):
            raise _refuse(name, f"A part of {name} has at least {_LEAST_PART} characters.")
        if len(wanted) > 1:
            return lambda row: row[key] in wanted
        return lambda row: wanted[0] in row[key]

    return make


def _match_word(name: str, key: str, choices: tuple[str, ...] = ()) -> Callable[[str], _Test]:
    def make(text: str) -> _Test:
        if choices and text.upper() not in (each.upper() for each in choices):
            raise _refuse(name, f"{name} is one of {', '.join(choices)}.")
        return lambda row: str(row.get(key, "")).upper() == text.upper()

    return make


def _match_number(name: str, key: str, fits: Callable[[int, int], bool]) -> Callable[[str], _Test]:
    def make(text: str) -> _Test:
        if not text.isdecimal():
            raise _refuse(name, f"{name} is a number.")
        return lambda row: fits(row[key], int(text))

    return make


def _match_moment(name: str, fits: Callable[[str, str], bool]) -> Callable[[str], _Test]:
    def make(text: str) -> _Test:
        _parse_moment(name, text)
        return lambda row: fits(row["receiveTime"], text)

    return make


def _parse_moment(name: str, text: str) -> datetime:
    """A time, which needs its milliseconds [cli]."""
    try:
        if _MOMENT.fullmatch(text):
            return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        pass
    raise _refuse(name, f"{name} is a time of the form 2031-03-04T05:06:07.089Z.")


def _check_range(call: Call) -> None:
    texts = [call.request.parameter(name) for name in ("fromDateTime", "toDateTime")]
    first, last = (
        _parse_moment("fromDateTime", text) if text else default
        for text, default in zip(texts, (None, call.store.now()), strict=True)
    )
    if first is not None and last is not None and last - first > _LONGEST_RANGE:
        raise _refuse("fromDateTime", "The range is longer than 14 days.")


_TESTS: Final[dict[str, Callable[[str], _Test]]] = {
    "messageId": _match_word("messageId", "messageId"),
    "sourceTn": _match_numbers("sourceTn", "sourceTn"),
    "destinationTn": _match_numbers("destinationTn", "destinationTn"),
    "messageStatus": _match_word("messageStatus", "messageStatus", _STATUSES),
    "messageDirection": _match_word("messageDirection", "messageDirection", ("INBOUND", "OUTBOUND")),
    "messageType": _match_word("messageType", "messageType", ("sms", "mms", "rcs")),
    "carrierName": _match_word("carrierName", "carrierName"),
    "campaignId": _match_word("campaignId", "campaignId"),
    "product": _match_word("product", "product"),
    "errorCode": _match_number("errorCode", "errorCode", lambda is_, wanted: is_ == wanted),
    "fromSegmentCount": _match_number("fromSegmentCount", "segmentCount", lambda is_, least: is_ >= least),
    "toSegmentCount": _match_number("toSegmentCount", "segmentCount", lambda is_, most: is_ <= most),
    "fromMessageSize": _match_number("fromMessageSize", "messageSize", lambda is_, least: is_ >= least),
    "toMessageSize": _match_number("toMessageSize", "messageSize", lambda is_, most: is_ <= most),
    "fromDateTime": _match_moment("fromDateTime", lambda is_, first: is_ >= first),
    "toDateTime": _match_moment("toDateTime", lambda is_, last: is_ <= last),
}


def _parse_page(call: Call) -> tuple[int, int]:
    """How many rows, and how many come before them."""
    limit = call.request.parameter("limit") or str(_LIMIT)
    if not re.fullmatch(r"[1-9]\d{0,4}", limit):
        raise _refuse("limit", "limit is a positive number.")
    offset = _read_token(call.request.parameter("pageToken"))
    if int(limit) + offset > _MOST_ROWS:
        raise _refuse("limit", f"limit and offset are more than {_MOST_ROWS}.")
    return int(limit), offset


def _write_token(offset: int) -> str:
    return base64.urlsafe_b64encode(f"offset:{offset}".encode()).decode()


def _read_token(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token).decode().removeprefix("offset:"))
    except ValueError:
        raise _refuse("pageToken", "pageToken is none of ours.") from None


def _sort(rows: list[_Row], by: str) -> list[_Row]:
    field, _, direction = by.partition(":")
    if direction not in ("asc", "desc") or field not in _SORTED:
        raise _refuse("sort", f"sort is one of {', '.join(_SORTED)}, with :asc or :desc.")
    return sorted(rows, key=lambda row: (row[field], row["messageId"]), reverse=direction == "desc")


_SORTED: Final = ("receiveTime", "sourceTn", "destinationTn", "messageStatus", "segmentCount", "errorCode")
