"""Read what Bandwidth posts to a callback address of yours: delivery events, incoming texts, A2P reports. Pure.

Bandwidth posts an array of one event, and expects an answer within ten seconds. It posts an event again, for a day,
until the answer is a 2xx: duplicates and disorder are normal [msgdocs]. So answer at once, then::

    for event in read_callbacks(body):
        if event.key not in seen:  # your table of keys, with a unique index
            latest[event.message_id, event.to] = newest(latest.get((event.message_id, event.to)), event)

There is no signature. Let only Bandwidth reach the address, and give the application a user name and password.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from airflow_provider_bandwidth.delivery_codes import NO_RECEIPT, DeliveryCode, MessageApi, explain_delivery_code
from airflow_provider_bandwidth.exceptions import InvalidResponseError
from airflow_provider_bandwidth.messaging.records import DeliveryOutcome

#: Later ones overrule earlier ones, whatever the order in which they arrive.
_RANKS: Final = {
    "message-sending": 1,
    "message-sent": 2,
    "message-failed": 3,
    "message-delivered": 4,
    "message-read": 5,
}
#: A2P events; the last three are final [intl].
_A2P_RANKS: Final = {"BUFFERED": 1, "SENT_TO_SMSC": 2, "UNDELIVERED": 3, "REJECTED": 3, "DELIVERED": 4}


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """One event of a message.

    :param message_id: Bandwidth's id
    :param type: ``message-delivered``, ``message-failed``, ``message-received``, ...; of A2P the event's word
    :param to: the receiver that the event is about; of A2P empty
    :param api: which API sent the message
    :param at: when it happened; A2P does not say
    :param description: informative only: decide by ``type`` and ``error_code`` [msgdocs]
    :param error_code: why it failed; ``None`` where nothing did
    :param tag: the tag that the sender gave
    :param from_: the sender
    :param text: the text of an incoming message
    :param media: addresses of an incoming message's files, which Bandwidth keeps for two days
    :param part: which part of a long A2P message; a message is delivered when each of its parts is
    :param parts: how many parts it has
    """

    message_id: str
    type: str
    to: str
    api: MessageApi = MessageApi.MESSAGING
    at: datetime | None = None
    description: str = ""
    error_code: str | None = None
    tag: str | None = None
    from_: str = ""
    text: str = ""
    media: tuple[str, ...] = ()
    part: int = 0
    parts: int = 1

    @property
    def key(self) -> tuple[str, str, str, int]:
        """The same for an event that is posted twice, and for no other."""
        return (self.message_id, self.type, self.to, self.part)

    @property
    def outcome(self) -> DeliveryOutcome | None:
        """What became of the message for this receiver; ``None`` if the event does not settle it."""
        if self.type in ("message-delivered", "message-read", "DELIVERED"):
            return DeliveryOutcome.DELIVERED
        if self.error_code == NO_RECEIPT and self.api is MessageApi.MESSAGING:
            return DeliveryOutcome.NO_RECEIPT
        return DeliveryOutcome.FAILED if self.type in ("message-failed", "UNDELIVERED", "REJECTED") else None

    @property
    def explained(self) -> DeliveryCode | None:
        """What is known of its error code."""
        return None if self.error_code is None else explain_delivery_code(self.error_code, self.api)

    @property
    def rank(self) -> int:
        """How far along it is; of two events of one message and receiver, the one with the higher rank counts."""
        return (_RANKS if self.api is MessageApi.MESSAGING else _A2P_RANKS).get(self.type, 0)


def newest(known: MessageEvent | None, event: MessageEvent) -> MessageEvent:
    """Which of two events of one message and receiver counts, in whatever order they came."""
    return event if known is None or event.rank > known.rank else known


def read_callbacks(body: bytes | str) -> tuple[MessageEvent, ...]:
    """Read the body that Bandwidth posted for Messaging API v2: an array of events, in practice of one.

    :raises InvalidResponseError: it is something else
    """
    data = _read_json(body)
    events = data if isinstance(data, list) else [data]
    return tuple(_read_event(event) for event in events)


def read_delivery_report(body: bytes | str) -> MessageEvent:
    """Read a delivery report (DLR) of the International A2P API: one for each part of a long text.

    :raises InvalidResponseError: it is something else
    """
    data = _read_json(body)
    if not isinstance(data, dict) or not data.get("msgId") or not isinstance(data.get("event"), str):
        raise InvalidResponseError("This is no delivery report: it lacks msgId or event.")
    code = data.get("errorCode")
    return MessageEvent(
        message_id=str(data["msgId"]),
        type=data["event"].strip().upper(),
        to="",
        api=MessageApi.INTERNATIONAL_A2P_DLR,
        description=str(data.get("errorMessage") or ""),
        error_code=None if code in (None, 0, "0", "") else str(code),
        part=_read_int(data.get("partNum"), 0),
        parts=_read_int(data.get("numParts"), 1),
    )


def _read_event(data: Any) -> MessageEvent:
    message = data.get("message") if isinstance(data, dict) else None
    if not isinstance(message, dict) or not message.get("id") or not isinstance(data.get("type"), str):
        raise InvalidResponseError("This is no callback of the Messaging API: it lacks type, message or message.id.")
    code, tag, media = data.get("errorCode"), message.get("tag"), message.get("media")
    return MessageEvent(
        message_id=str(message["id"]),
        type=data["type"],
        to=str(data.get("to") or ""),
        at=read_time(data.get("time")),
        description=str(data.get("description") or ""),
        error_code=None if code in (None, "", 0) else str(code),
        tag=tag if isinstance(tag, str) and tag else None,
        from_=str(message.get("from") or ""),
        text=str(message.get("text") or ""),
        media=tuple(map(str, media)) if isinstance(media, list) else (),
    )


def _read_json(body: bytes | str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidResponseError("The callback's body is not JSON.") from None


def _read_int(value: Any, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def read_time(value: Any) -> datetime | None:
    """An ISO 8601 time with its zone; ``None`` for anything else."""
    try:
        time = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        return None
    return time if time.tzinfo is not None else None
