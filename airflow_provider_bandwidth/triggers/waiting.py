"""How one wait for an order goes on and ends, whatever looks at the order: a poke of the sensor, or the poller.

A wait ends by a terminal status, by its deadline, or by a refusal that lasts. A *refusal* is an answer that only a
change at Bandwidth or in Airflow can turn into another one: refused credentials, a missing role, an unknown order, a
connection that cannot be used. It *lasts* once it was seen :data:`MAX_REFUSALS` times in a row over at least
:data:`REFUSAL_GRACE` seconds. Every other failure may pass, and the wait goes on for as long as it has time.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, cast

from airflow_provider_bandwidth.exceptions import (
    BandwidthApiError,
    InvalidConnectionError,
    InvalidParameterError,
    OrderNotFoundError,
)
from airflow_provider_bandwidth.order_apis import TN_OPTIONS, parse_order_api
from airflow_provider_bandwidth.order_records import DEFAULT_ORDER_API, TERMINAL_STATUSES, ProcessingStatus, TnOrder

#: Seconds before the first look of a wait: the task has just looked by itself.
FIRST_POLL_DELAY: Final = 2.0
#: How many refusals in a row end a wait, if they were seen over long enough.
MAX_REFUSALS: Final = 5
#: Seconds over which they have to be seen at least.
REFUSAL_GRACE: Final = 30.0
#: The same for an order that was never seen: Bandwidth may need a moment to show a new one.
NOT_FOUND_GRACE: Final = 60.0
#: Longest time in seconds until the next look after a failed one, if the order's interval is longer.
MAX_RETRY_INTERVAL: Final = 30.0
#: Seconds that the look at an order's deadline may take before the wait ends without it.
DEADLINE_GRACE: Final = 30.0
#: Seconds after which the log says once why an order may still be open.
LONG_WAIT: Final = 3600.0
#: The longest interval, in seconds, to which the slowing down for old orders alone leads.
_MAX_SLOWED_INTERVAL: Final = 600.0
#: An order that has been open for T seconds is looked at no more often than every T/20 seconds.
_SLOWDOWN: Final = 1 / 20
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
    :param last_status: the open status in which the order was last seen before its deadline, if it was seen
    :param last_failure: why the last look before the deadline failed, if it did
    :param order_api: which of Bandwidth's order APIs the order belongs to
    """

    order_id: str
    order: TnOrder | None = None
    processing_status: str | None = None
    timed_out: bool = False
    error: str | None = None
    last_status: str | None = None
    last_failure: str | None = None
    order_api: str = DEFAULT_ORDER_API

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
            "last_status": self.last_status,
            "last_failure": self.last_failure,
            "order_api": self.order_api,
        }

    @classmethod
    def from_payload(cls, payload: Any) -> OrderEvent:
        """Read an event, also one of another release. Anything else becomes an error that shows it, never a success."""
        try:
            order = payload["order"]
            event = cls(
                order_id=str(payload["order_id"]),
                order=None if order is None else TnOrder.from_dict(order),
                processing_status=payload["processing_status"],
                timed_out=payload["timed_out"] is True,
                error=payload["error"],
                last_status=payload.get("last_status"),
                last_failure=payload.get("last_failure"),
                order_api=payload.get("order_api") or DEFAULT_ORDER_API,
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return cls("unknown", error=f"the trigger sent an event that cannot be read: {reprlib.repr(payload)}")
        if not (event.processing_status or event.timed_out or event.error):
            return cls(event.order_id, error=f"the trigger sent an event without an outcome: {reprlib.repr(payload)}")
        return event


@dataclass(frozen=True, slots=True)
class OrdersEvent:
    """How the waits for many orders ended. It carries no telephone numbers: the task reads the orders.

    :param ended: the terminal status of each order that ended, by order id
    :param given_up: why waiting for an order was given up
    :param timed_out: for each order whose deadline passed first, in which status it was last seen, and why the last
        look failed; either may be ``None``
    :param error: why nothing is known of any order
    """

    ended: Mapping[str, str] = field(default_factory=dict)
    given_up: Mapping[str, str] = field(default_factory=dict)
    timed_out: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    error: str | None = None

    @classmethod
    def of(cls, events: Iterable[OrderEvent]) -> OrdersEvent:
        """What the events of single orders come to."""
        event = cls({}, {}, {})
        for each in events:
            if each.processing_status is not None:
                cast(dict[str, str], event.ended)[each.order_id] = each.processing_status
            elif each.error is not None:
                cast(dict[str, str], event.given_up)[each.order_id] = each.error
            else:
                timed_out = cast(dict[str, Sequence[str | None]], event.timed_out)
                timed_out[each.order_id] = (each.last_status, each.last_failure)
        return event

    def to_payload(self) -> dict[str, Any]:
        """JSON for Airflow's database; :meth:`from_payload` reads it back."""
        timed_out = {order_id: list(last) for order_id, last in self.timed_out.items()}
        return {"ended": dict(self.ended), "given_up": dict(self.given_up), "timed_out": timed_out}

    @classmethod
    def from_payload(cls, payload: Any) -> OrdersEvent:
        """Read an event. Anything else becomes an error that shows it, never a success."""
        try:
            return cls(
                ended={str(order_id): str(status) for order_id, status in payload["ended"].items()},
                given_up={str(order_id): str(error) for order_id, error in payload["given_up"].items()},
                timed_out={
                    str(order_id): (status, failure) for order_id, (status, failure) in payload["timed_out"].items()
                },
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return cls(error=f"the trigger sent an event that cannot be read: {reprlib.repr(payload)}")


def is_refusal(error: Exception) -> bool:
    """Whether only a change at Bandwidth or in Airflow can make the next look succeed."""
    if isinstance(error, BandwidthApiError):
        return not error.retryable
    return isinstance(error, InvalidConnectionError | InvalidParameterError)


def explain_long_wait(order_id: str, status: str | None, order_api: str | None = None) -> str | None:
    """Why an order may still be open after an hour; ``None`` if its last status needs no explanation.

    :param order_api: which order API it belongs to, if that is known
    """
    api = parse_order_api(order_api or DEFAULT_ORDER_API, also=(TN_OPTIONS,))
    if status != ProcessingStatus.PROCESSING or not api.may_need_confirmation:
        return None
    return (
        f"Order {order_id} is still PROCESSING after an hour. That is no fault: an import may take up to 48 hours if "
        "another customer of Bandwidth has to confirm the transfer of a number's messaging. The wait goes on until its "
        "timeout."
    )


class Refusals:
    """The refusals in a row that a wait, or an account, has met."""

    __slots__ = ("_count", "_first_at")

    def __init__(self) -> None:
        self._count = 0
        self._first_at = 0.0

    def take_failure(self, error: Exception, now: float, *, was_seen: bool) -> bool:
        """Count a failed look at an order.

        :param was_seen: whether Bandwidth has shown the order before
        :return: whether it is a refusal that lasts
        """
        if not is_refusal(error):
            self.reset()
            return False
        is_new = isinstance(error, OrderNotFoundError) and not was_seen
        return self.add(now, grace=NOT_FOUND_GRACE if is_new else REFUSAL_GRACE)

    def add(self, now: float, *, grace: float = REFUSAL_GRACE) -> bool:
        """Count one more.

        :param now: seconds, of any clock
        :param grace: seconds over which refusals have to be seen at least
        :return: whether it lasts
        """
        if not self._count:
            self._first_at = now
        self._count += 1
        return self._count >= MAX_REFUSALS and now - self._first_at >= grace

    def reset(self) -> None:
        """Count anew, since something else was answered."""
        self._count = 0


class Waiter:
    """One trigger's wait for one order.

    :param poke_interval: the shortest interval, in seconds, at which the order is looked at
    :param started_at: epoch seconds
    :param deadline: epoch seconds; the order is looked at once more then
    :param max_wait: the longest interval, in seconds, at which an order that has been open for long is looked at
    :param exponential_backoff: let the interval grow as fast as the wait itself, not a twentieth as fast
    :param status: the status in which the order was last seen, if it was
    :param on_change: called in the waiter's own context with each status that differs from the last
    """

    __slots__ = (
        "_context",
        "_growth",
        "_max_interval",
        "_refusals",
        "created_on",
        "deadline",
        "due_at",
        "ended_unread",
        "future",
        "last_failure",
        "on_change",
        "order_id",
        "poke_interval",
        "started_at",
        "status",
        "was_seen",
    )

    def __init__(
        self,
        order_id: str,
        *,
        poke_interval: float,
        started_at: float,
        deadline: float | None,
        on_change: Callable[[str], None],
        status: str | None = None,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.order_id = order_id.strip()
        self.poke_interval = poke_interval
        self.started_at = started_at
        self.deadline = deadline
        self.on_change = on_change
        #: The open status in which the order was last seen; only a reading of this poller's own ends a wait.
        self.status = None if status in TERMINAL_STATUSES else status
        #: The terminal status that a list's summary showed. The order itself is still to be read, by the task.
        self.ended_unread: str | None = None
        #: Whether Bandwidth has shown the order, now or before this process.
        self.was_seen = self.status is not None
        #: Why the last look failed; ``None`` if it did not.
        self.last_failure: str | None = None
        self.future: asyncio.Future[OrderEvent] = loop.create_future()
        self.due_at = loop.time() + FIRST_POLL_DELAY
        # An order was made before it is waited for; any look at it shows when.
        self.created_on = datetime.fromtimestamp(started_at, UTC).date()
        self._refusals = Refusals()
        self._growth = 1.0 if exponential_backoff else _SLOWDOWN
        self._max_interval = _MAX_SLOWED_INTERVAL if max_wait is None else max_wait
        self._context = contextvars.copy_context()

    @property
    def key(self) -> str:
        """The order id in the one spelling by which orders are compared."""
        return self.order_id.lower()

    def interval(self, now: float) -> float:
        """Seconds until the order should be looked at again.

        :param now: epoch seconds
        """
        return max(self.poke_interval, min((now - self.started_at) * self._growth, self._max_interval))

    def see_open(self, status: str) -> None:
        """Take an open status that a look showed, and report it if it is another than before."""
        self._refusals.reset()
        self.last_failure = None
        self.was_seen = True
        if status != self.status:
            self.status = status
            # A full disk under one task's log is no reason for anybody's wait to end.
            with contextlib.suppress(Exception):
                self._context.run(self.on_change, status)

    def see_ended(self, status: str) -> None:
        """Take a terminal status from a summary: the wait ends with it when it is the order's turn to be read."""
        self.was_seen = True
        self.ended_unread = status

    def see_failure(self, error: Exception, now: float) -> bool:
        """Take a failed look.

        :param now: epoch seconds
        :return: whether it is a refusal that lasts
        """
        self.last_failure = str(error) or type(error).__name__
        return self._refusals.take_failure(error, now, was_seen=self.was_seen)

    def timeout_event(self) -> OrderEvent:
        """The event of a wait whose deadline has passed: an order that is known to have ended has not timed out."""
        if self.ended_unread is not None:
            return OrderEvent(self.order_id, processing_status=self.ended_unread)
        return OrderEvent(self.order_id, timed_out=True, last_status=self.status, last_failure=self.last_failure)
