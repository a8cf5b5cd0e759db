"""A message as Bandwidth shows it, and what became of it. Pure; raises nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from airflow_provider_bandwidth.delivery_codes import NO_RECEIPT, DeliveryCode, explain_delivery_code

#: Statuses of the search after which nothing more comes [sdk26]. SENT and ACCEPTED wait for the carrier's receipt.
_DELIVERED: Final = frozenset({"DELIVERED"})
_FAILED: Final = frozenset({"FAILED", "UNDELIVERED"})


class DeliveryOutcome(StrEnum):
    """What became of a message."""

    DELIVERED = "delivered"
    FAILED = "failed"
    NO_RECEIPT = "no_receipt"
    """nobody knows: the carrier sent no receipt in time"""


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message that Bandwidth has taken: queued, neither sent nor delivered yet.

    :param message_id: Bandwidth's id
    :param sent_at: when Bandwidth took it
    :param segment_count: as Bandwidth counts; of a group or MMS, 1
    """

    message_id: str
    sent_at: datetime | None = None
    segment_count: int | None = None


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A row of the search for messages [sdk26]. It shows no text, and so far no tag.

    :param message_id: Bandwidth's id
    :param source: the sender
    :param destination: the receiver
    :param status: ``QUEUED``, ``SENDING``, ``SENT``, ``DELIVERED``, ``FAILED``, ...
    :param direction: ``OUTBOUND`` or ``INBOUND``
    :param received_at: when Bandwidth took it
    :param length: the length of its text; in which unit is not documented
    :param error_code: why it failed
    :param segment_count: how many segments it has
    :param tag: the tag that the sender gave, where the search shows it
    """

    message_id: str
    source: str = ""
    destination: str = ""
    status: str = ""
    direction: str = ""
    received_at: datetime | None = None
    length: int | None = None
    error_code: str | None = None
    segment_count: int | None = None
    tag: str | None = None

    @property
    def outcome(self) -> DeliveryOutcome | None:
        """What became of it; ``None`` while that is open."""
        if self.status in _DELIVERED:
            return DeliveryOutcome.DELIVERED
        if self.error_code == NO_RECEIPT:
            return DeliveryOutcome.NO_RECEIPT
        return DeliveryOutcome.FAILED if self.status in _FAILED else None

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON; :meth:`from_dict` reads them back."""
        return {**asdict(self), "received_at": None if self.received_at is None else self.received_at.isoformat()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> MessageRecord:
        """Read what :meth:`to_dict` wrote.

        :raises TypeError, ValueError: it is something else
        """
        received_at = data["received_at"]
        return cls(**{**data, "received_at": None if received_at is None else datetime.fromisoformat(received_at)})


@dataclass(frozen=True, slots=True)
class MessageVerdict:
    """What became of one message, whose records are one for each receiver.

    :param message_id: Bandwidth's id
    :param outcome: the worst of its receivers: failed, then no receipt, then delivered
    :param records: its records, one for each receiver
    """

    message_id: str
    outcome: DeliveryOutcome
    records: tuple[MessageRecord, ...]

    @property
    def errors(self) -> list[dict[str, str | None]]:
        """An entry for each receiver that it did not reach: ``telephone_number``, ``code``, ``description``."""
        return [
            {"telephone_number": record.destination, "code": record.error_code, "description": _describe(record)}
            for record in self.records
            if record.outcome is not DeliveryOutcome.DELIVERED
        ]

    @property
    def explained(self) -> DeliveryCode | None:
        """What is known of the first error code."""
        codes = (record.error_code for record in self.records if record.outcome is self.outcome)
        return next((known for code in codes if code and (known := explain_delivery_code(code))), None)

    def summary(self) -> dict[str, Any]:
        """What a task downstream wants to know."""
        known = self.explained
        return {
            "message_id": self.message_id,
            "outcome": str(self.outcome),
            "status": next(r.status for r in self.records if r.outcome is self.outcome),
            "error_code": next((r.error_code for r in self.records if r.outcome is self.outcome), None),
            "advice": None if known is None else known.advice,
            "delivered_count": sum(r.outcome is DeliveryOutcome.DELIVERED for r in self.records),
            "error_count": len(self.errors),
        }


_WORST_FIRST: Final = (DeliveryOutcome.FAILED, DeliveryOutcome.NO_RECEIPT, DeliveryOutcome.DELIVERED)


def judge_message(records: Sequence[MessageRecord]) -> MessageVerdict | None:
    """What became of a message; ``None`` while that is open for any of its receivers.

    :param records: the search's rows of one message
    """
    outcomes = {record.outcome for record in records}
    if not outcomes or None in outcomes:
        return None
    worst = next(outcome for outcome in _WORST_FIRST if outcome in outcomes)
    return MessageVerdict(records[0].message_id, worst, tuple(records))


def _describe(record: MessageRecord) -> str:
    known = explain_delivery_code(record.error_code) if record.error_code else None
    return known.meaning if known else f"{record.status}, without an error code"
