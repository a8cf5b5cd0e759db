"""Messages as the sandbox keeps them, and what is known of each at a time."""

from __future__ import annotations

import secrets
import string
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from airflow_provider_bandwidth.sandbox.deliveries import DELIVERED, RECEIPT_SECONDS, Delivery

_LETTERS: Final = string.ascii_lowercase + string.digits
_NO_RECEIPT: Final = 9902


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient of a message.

    :param delivery: its fate; ``None`` if the message never moves
    :param sent_clock: when it leaves Bandwidth, in the monotonic seconds of the store
    :param ended_clock: when its fate is known
    """

    number: str
    delivery: Delivery | None
    sent_clock: float
    ended_clock: float

    def status(self, clock: float) -> str:
        """The status that the search shows at a time."""
        if self.delivery is None or clock < min(self.sent_clock, self.ended_clock):
            return "QUEUED"
        if clock < self.ended_clock:
            return "SENT"
        return "FAILED" if self.delivery.code else "DELIVERED"

    def error_code(self, clock: float) -> int | None:
        """The error code that is known at a time, 0 for none; ``None`` while the fate is open."""
        return self.delivery.code if self.delivery is not None and clock >= self.ended_clock else None


@dataclass(frozen=True, slots=True)
class Message:
    """One message that was taken.

    :param content: the message as its 202 shows it
    :param campaign_id: the sender's campaign
    """

    message_id: str
    account_id: str
    content: dict[str, object]
    sender: str
    text: str
    media: tuple[str, ...]
    tag: str | None
    segment_count: int
    campaign_id: str | None
    created_at: datetime
    created_clock: float
    recipients: tuple[Recipient, ...]

    def to_dict(self, clock: float) -> dict[str, Any]:
        """JSON-ready values, with what is known of each recipient at a time."""
        fates = [
            {"to": each.number, "status": each.status(clock), "error_code": each.error_code(clock)}
            for each in self.recipients
        ]
        return {**self.content, "account_id": self.account_id, "recipients": fates}


def make_recipient(
    number: str, delivery: Delivery | None, clock: float, *, sending: float, delivering: float
) -> Recipient:
    """A recipient whose text is sent ``sending`` seconds from now, and its fate known ``delivering`` seconds later.

    What Bandwidth refuses itself fails when it would have been sent, and without a receipt it takes two hours.
    """
    sent = clock + sending
    fate = delivery or DELIVERED
    if not fate.leaves:
        return Recipient(number, delivery, sent, sent)
    wait = max(delivering, RECEIPT_SECONDS) if fate.code == _NO_RECEIPT else delivering
    return Recipient(number, delivery, sent, sent + wait)


def make_message_id() -> str:
    """An id as Bandwidth's: milliseconds and letters, 29 in all."""
    return f"{time.time_ns() // 1_000_000}{''.join(secrets.choice(_LETTERS) for _ in range(16))}"


class Messages:
    """The messages of all accounts, the queue that leaves at a rate, and media. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._messages: list[Message] = []
            self._queued = 0.0
            self._queued_clock = 0.0
            #: Content and its type by account and name.
            self.media: dict[tuple[str, str], tuple[str, bytes]] = {}

    def add(self, message: Message) -> None:
        """Keep a message."""
        with self._lock:
            self._messages.append(message)

    def all(self) -> list[Message]:
        """Every message, first sent first."""
        with self._lock:
            return list(self._messages)

    def enqueue(self, segments: int, clock: float, *, rate: float, size: int) -> bool:
        """Put segments into a queue that ``rate`` of them leave each second; false if it would exceed ``size``."""
        if not size:
            return True
        with self._lock:
            left = max(0.0, self._queued - (clock - self._queued_clock) * rate)
            fits = left + segments <= size
            self._queued, self._queued_clock = left + (segments if fits else 0), clock
            return fits
