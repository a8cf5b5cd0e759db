"""How a wait for an order ends: the event that the trigger writes and the sensor reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_bandwidth.orders import TnOrder

#: Longest order, in bytes of JSON, that travels inside an event: events are rows of Airflow's database.
_MAX_EVENT_BYTES: Final = 48 * 1024


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """How a wait ended: with a terminal status, at its deadline, or given up.

    :param order_id: the order waited for
    :param order: the terminal order, if the event could carry it
    :param processing_status: its terminal status; ``None`` if the wait ended otherwise
    :param timed_out: whether the deadline passed first
    :param error: why waiting was given up
    """

    order_id: str
    order: TnOrder | None = None
    processing_status: str | None = None
    timed_out: bool = False
    error: str | None = None

    @classmethod
    def for_order(cls, order: TnOrder) -> OrderEvent:
        """The event of a terminal order; the order itself is left out where it is too large for an event."""
        fits = len(json.dumps(order.to_dict())) <= _MAX_EVENT_BYTES
        return cls(order.order_id, order=order if fits else None, processing_status=str(order.processing_status))

    def to_payload(self) -> dict[str, Any]:
        """JSON for Airflow's database; :meth:`from_payload` reads it back."""
        return {
            "order_id": self.order_id,
            "order": None if self.order is None else self.order.to_dict(),
            "processing_status": self.processing_status,
            "timed_out": self.timed_out,
            "error": self.error,
        }

    @classmethod
    def from_payload(cls, payload: Any) -> OrderEvent:
        """Read an event. What is not an event of this trigger becomes an error, never a success."""
        try:
            order = payload["order"]
            event = cls(
                order_id=str(payload["order_id"]),
                order=None if order is None else TnOrder.from_dict(order),
                processing_status=payload["processing_status"],
                timed_out=payload["timed_out"] is True,
                error=payload["error"],
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return cls("unknown", error="the trigger sent an event that cannot be read")
        if not (event.processing_status or event.timed_out or event.error):
            return cls(event.order_id, error="the trigger sent an event without an outcome")
        return event
