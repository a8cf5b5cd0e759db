"""Messaging API v2: send, search and media (reference, section 21)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from airflow_provider_bandwidth.sandbox.callbacks import Target
from airflow_provider_bandwidth.sandbox.calls import Call, make_routes
from airflow_provider_bandwidth.sandbox.campaigns import find_campaign
from airflow_provider_bandwidth.sandbox.deliveries import DELIVERED, DELIVERIES, Delivery, find_magic_delivery
from airflow_provider_bandwidth.sandbox.http import Answer, Request
from airflow_provider_bandwidth.sandbox.message_search import search
from airflow_provider_bandwidth.sandbox.messages import Message, Recipient, make_message_id, make_recipient
from airflow_provider_bandwidth.sandbox.segments import count_segments
from airflow_provider_bandwidth.sandbox.validation import Refused
from airflow_provider_bandwidth.sandbox.xml import View

_E164: Final = re.compile(r"\+[1-9]\d{6,14}")
_ALPHANUMERIC: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 \-+_&]{1,11}")
_MOST_RECIPIENTS: Final = 10
_LONGEST_TEXT: Final = 2048
_LONGEST_URL: Final = 4096
_LONGEST_TAG: Final = 1024
_SECOND: Final = timedelta(seconds=1)

_Problems = Iterator[tuple[str, str]]


def send(call: Call) -> Answer:
    """Take a message: 202 says that it is queued, no more."""
    sent = _read_body(call.request)
    problems = list(_find_problems(sent))
    if problems:
        raise Refused("request-validation", "The request is not valid.", others=problems)
    text, media = sent.get("text") or "", tuple(sent.get("media") or ())
    segments = 1 if media else count_segments(text)
    settings, store = call.settings, call.store
    clock = store.clock()
    rate = settings.messages_per_second
    if not store.messages.enqueue(segments, clock, rate=rate, size=settings.message_queue_size):
        raise Refused(
            "max-message-queue-size-exceeded",
            f"The rate is {rate:g} segments a second and the queue holds {settings.message_queue_size}.",
            HTTPStatus.TOO_MANY_REQUESTS,
        )
    message = _make_message(call, sent, text, media, segments, clock)
    store.messages.add(message)
    _schedule_callbacks(call, message)
    return _make_answer(HTTPStatus.ACCEPTED, message.content, message.message_id)


def _read_body(request: Request) -> dict[str, Any]:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise Refused(
            "unsupported-content-type", "Content-Type is application/json.", HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        )
    try:
        sent = json.loads(request.body)
    except ValueError:
        sent = None
    if not isinstance(sent, dict):
        raise Refused("request-validation", "The body is not a JSON object.")
    return sent


def _find_problems(sent: dict[str, Any]) -> _Problems:
    if not _is_text(sent.get("applicationId")):
        yield "applicationId", "applicationId is required."
    yield from _find_recipient_problems(sent.get("to"))
    sender = sent.get("from")
    if not isinstance(sender, str) or not (_E164.fullmatch(sender) or _ALPHANUMERIC.fullmatch(sender)):
        yield "from", "from is required: E.164, or at most 11 letters and digits."
    if not isinstance(sent.get("text", ""), str) or len(sent.get("text", "")) > _LONGEST_TEXT:
        yield "text", f"text has at most {_LONGEST_TEXT} characters."
    media = sent.get("media", [])
    if not isinstance(media, list) or not all(_is_text(url) and len(url) <= _LONGEST_URL for url in media):
        yield "media", "media is a list of URLs."
    elif not media and not sent.get("text"):
        yield "text", "Either text or media is required."
    if not isinstance(sent.get("tag", ""), str) or len(sent.get("tag", "")) > _LONGEST_TAG:
        yield "tag", f"tag has at most {_LONGEST_TAG} characters."
    if sent.get("priority", "default") not in ("default", "high"):
        yield "priority", "priority is default or high."
    if "expiration" in sent and _parse_moment(sent["expiration"]) is None:
        yield "expiration", "expiration is a time as in RFC 3339."


def _find_recipient_problems(given: object) -> _Problems:
    recipients = [given] if isinstance(given, str) else given
    if not isinstance(recipients, list) or not recipients:
        yield "to", "to is required: a list of numbers in E.164."
        return
    if not all(isinstance(each, str) and _E164.fullmatch(each) for each in recipients):
        yield "to", "to holds what is not E.164."
    elif len(set(recipients)) != len(recipients):
        yield "to", "to holds a number twice."
    elif len(recipients) > _MOST_RECIPIENTS:
        yield "to", f"to holds more than {_MOST_RECIPIENTS} numbers."


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _parse_moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


def _make_message(
    call: Call, sent: dict[str, Any], text: str, media: tuple[str, ...], segments: int, clock: float
) -> Message:
    recipients = [sent["to"]] if isinstance(sent["to"], str) else sent["to"]
    store, created_at = call.store, call.store.now()
    message_id = make_message_id()
    content = {
        "id": message_id,
        "owner": sent["from"],
        "applicationId": sent["applicationId"],
        "time": View(call.settings).time(created_at),
        "segmentCount": segments,
        "direction": "out",
        "to": recipients,
        "from": sent["from"],
        "text": text,
        **{name: sent[name] for name in ("media", "tag", "expiration") if sent.get(name)},
        "priority": sent.get("priority", "default"),
    }
    sender = sent["from"].removeprefix("+1")
    return Message(
        message_id=message_id,
        account_id=call.account_id,
        content=content,
        sender=sent["from"],
        text=text,
        media=media,
        tag=sent.get("tag"),
        segment_count=segments,
        campaign_id=store.options(sender).campaign_id,
        created_at=created_at,
        created_clock=clock,
        recipients=tuple(_make_recipient(call, sent, number, clock) for number in recipients),
    )


def _make_recipient(call: Call, sent: dict[str, Any], number: str, clock: float) -> Recipient:
    settings = call.settings
    delivery = _decide(call, sent, number) if settings.messaging_application else None
    return make_recipient(
        number, delivery, clock, sending=settings.message_sending_seconds, delivering=settings.message_delivery_seconds
    )


def _decide(call: Call, sent: dict[str, Any], recipient: str) -> Delivery:
    """The fate of a text: what its sender lacks comes first, then what its recipient plays."""
    expiration = _parse_moment(sent.get("expiration"))
    if expiration is not None and expiration <= call.store.now():
        return DELIVERIES[4360]
    if sent["applicationId"] != call.settings.messaging_application:
        return DELIVERIES[4452]
    code = _find_sender_code(call, sent["from"])
    return DELIVERIES[code] if code else find_magic_delivery(recipient) or DELIVERED


def _find_sender_code(call: Call, sender: str) -> int:
    """Why a number of ours cannot text, as a delivery code; 0 if it can, as an alphanumeric sender always can."""
    if not sender.startswith("+"):
        return 0
    number, settings, store = sender.removeprefix("+1"), call.settings, call.store
    hosted, options = store.hosted(number), store.options(number)
    if hosted is None:
        return 4405
    if hosted.location.account_id != call.account_id:
        return 4407
    age = store.clock() - options.since
    if options.campaign_id is None and age < settings.ready_lag_seconds:
        return 4405
    if not settings.sms_enabled or not options.sms:
        return 4403
    if not settings.campaign_required:
        return 0
    if options.campaign_id is None or age < settings.campaign_lag_seconds:
        return 4476
    return find_campaign(options.campaign_id).delivery_code


def _schedule_callbacks(call: Call, message: Message) -> None:
    settings = call.settings
    if not settings.callback_url or not settings.messaging_application:
        return
    target = Target(settings.callback_url, settings.callback_credentials, settings.callback_retry_seconds)
    view = View(settings)

    def schedule(kind: str, recipient: Recipient, due: float, description: str, code: int = 0) -> None:
        moment = view.time(message.created_at + (due - message.created_clock) * _SECOND)
        event: dict[str, object] = {"time": moment, "type": kind, "to": recipient.number, "description": description}
        if code:
            event["errorCode"] = code
        event["message"] = {**message.content, "text": ""}
        for _ in range(2 if settings.callback_duplicates else 1):
            call.store.callbacks.schedule(due, [event], target)

    for each in message.recipients:
        if each.delivery is None:
            continue
        if each.delivery.leaves:
            kind = "message-sending" if message.media else "message-sent"
            schedule(kind, each, each.sent_clock, "The message was handed to the carrier.")
        kind = "message-failed" if each.delivery.code else "message-delivered"
        schedule(kind, each, each.ended_clock, each.delivery.description, each.delivery.code)


def search_messages(call: Call) -> Answer:
    """Answer with a page of messages: without text, and without tag."""
    return _make_answer(HTTPStatus.OK, search(call))


def _make_answer(status: int, content: object, message_id: str | None = None) -> Answer:
    body = json.dumps(content).encode()
    return Answer(status, body, content_type="application/json; charset=utf-8", order_id=message_id)


# --- media ---


def list_media(call: Call) -> Answer:
    """Answer with the account's media."""
    rows = [
        {"mediaName": name, "contentLength": len(content), "content": f"{_media_url(call)}/{name}"}
        for (account_id, name), (_, content) in call.store.messages.media.items()
        if account_id == call.account_id
    ]
    return _make_answer(HTTPStatus.OK, rows)


def put_media(call: Call) -> Answer:
    """Keep a medium, in place of the one of its name."""
    content_type = call.request.headers.get("content-type", "application/octet-stream")
    call.store.messages.media[call.account_id, call.names["medium"]] = (content_type, call.request.body)
    return Answer(HTTPStatus.NO_CONTENT)


def show_medium(call: Call) -> Answer:
    """Answer with a medium's bytes."""
    content_type, content = _find_medium(call)
    return Answer(HTTPStatus.OK, content, content_type=content_type)


def delete_medium(call: Call) -> Answer:
    """Forget a medium."""
    _find_medium(call)
    del call.store.messages.media[call.account_id, call.names["medium"]]
    return Answer(HTTPStatus.NO_CONTENT)


def _find_medium(call: Call) -> tuple[str, bytes]:
    found = call.store.messages.media.get((call.account_id, call.names["medium"]))
    if found is None:
        raise Refused("media-not-found", "The media was not found.", HTTPStatus.NOT_FOUND)
    return found


def _media_url(call: Call) -> str:
    return f"http://{call.request.headers.get('host', '')}/api/v2/users/{call.account_id}/media"


def answer_unknown(call: Call) -> Answer:
    """404 for a path that does not exist, in the form of the framework behind it [msgdocs]."""
    content = {
        "timestamp": View(call.settings).time(call.store.now()),
        "status": HTTPStatus.NOT_FOUND.value,
        "error": "Not Found",
        "message": "",
        "path": call.request.path,
    }
    return _make_answer(HTTPStatus.NOT_FOUND, content)


def write_refused(refused: Refused) -> Answer:
    """A refusal: its type, and what is wrong with which field."""
    (kind, description), *fields = refused.errors
    content: dict[str, object] = {"type": kind, "description": description}
    if fields:
        content["fieldErrors"] = [{"fieldName": name, "description": text} for name, text in fields]
    return _make_answer(refused.status, content)


_USER: Final = r"users/(?P<account>[^/]+)"
_MEDIUM: Final = rf"{_USER}/media/(?P<medium>.+)"


def _make(operation: str, method: str, path: str, handler: Any) -> Any:
    return make_routes(operation, method, path, handler, versions=(2,), role="messaging", family="messaging")


ROUTES: Final = (
    *_make("send-message", "POST", f"{_USER}/messages", send),
    *_make("search-messages", "GET", f"{_USER}/messages", search_messages),
    *_make("media-list", "GET", f"{_USER}/media", list_media),
    *_make("media-put", "PUT", _MEDIUM, put_media),
    *_make("media", "GET", _MEDIUM, show_medium),
    *_make("media-delete", "DELETE", _MEDIUM, delete_medium),
)
