"""The orders of a task on their way: asked for, placed, waited for in the task's own process, read, and judged."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Any, Final, Self

from airflow_provider_bandwidth.exceptions import BandwidthError
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.order_outcomes import COMPLETED_KEY, ERRORS_KEY, ORDERS_KEY, WARNINGS_KEY
from airflow_provider_bandwidth.order_records import (
    OPEN_STATUSES,
    TERMINAL_STATUSES,
    OrderOutcome,
    ProcessingStatus,
    TnOrder,
    judge_order,
)
from airflow_provider_bandwidth.orders import Action, TnOrderRequest
from airflow_provider_bandwidth.triggers.waiting import LONG_WAIT, OrdersEvent, Refusals, explain_long_wait
from airflow_provider_bandwidth.xcom_lists import push_list

#: Up to so many orders are read one by one rather than looked up in a list.
_FEW: Final = 10
#: How many orders an error names.
_SHOWN_FAILURES: Final = 5


@dataclass(frozen=True, slots=True)
class AskedOrder:
    """An order that a task asks for.

    :param content: the CustomerOrderId that is derived from the order's content, and stands for it
    :param ended_since: aware time; an order that ended before it is sent again
    :param may_be_older: whether the order may have been made before the DAG run
    """

    request: TnOrderRequest
    content: str
    ended_since: datetime | None = None
    may_be_older: bool = False


@dataclass(slots=True)
class PlacedOrder:
    """One order of a task, as far as it has come.

    :param customer_order_id: its CustomerOrderId
    :param action: ``IMPORT`` or ``REMOVE``
    :param order_api: the order API that it went through
    :param order_id: Bandwidth's id; ``None`` if it could not be submitted
    :param processing_status: the status in which it was last seen
    :param completed_count: how many of its numbers completed; 0 until it has been read
    :param error_count: how many errors it has; likewise
    :param was_read: whether the whole order was read after its end
    :param order_url: where a person can look at it
    :param error: why it could not be submitted, or why it is not known how it ended
    """

    customer_order_id: str | None
    action: str | None
    order_api: str | None = None
    order_id: str | None = None
    processing_status: str | None = None
    completed_count: int = 0
    error_count: int = 0
    was_read: bool = False
    order_url: str | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON scalars."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read back what :meth:`to_dict` gave."""
        return cls(**{name: data[name] for name in cls.__dataclass_fields__ if name in data})

    @property
    def is_open(self) -> bool:
        """Whether it may still end."""
        return self.order_id is not None and self.error is None and self.processing_status not in TERMINAL_STATUSES

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, and so can be read."""
        return self.order_id is not None and self.error is None and self.processing_status in TERMINAL_STATUSES

    def take_event(self, event: OrdersEvent) -> None:
        """Take what the trigger saw of it."""
        order_id = self.order_id or ""
        if order_id in event.ended:
            self.processing_status = event.ended[order_id]
        elif order_id in event.given_up:
            self.error = f"waiting for it was given up: {event.given_up[order_id]}"
        elif order_id in event.timed_out:
            status, failure = event.timed_out[order_id]
            self.processing_status = status or self.processing_status
            self.error = timed_out(self.processing_status, failure)


#: How the error of an order begins that did not end in time.
TIMED_OUT: Final = "it was not terminal in time"


def timed_out(status: str | None, failure: str | None) -> str:
    """The error of an order that did not end in time."""
    seen = f"last seen {status}" if status else "never seen"
    return f"{TIMED_OUT}, {seen}" + (f"; the last look failed: {failure}" if failure else "")


def read_orders(
    hook: BandwidthHook, orders: Sequence[PlacedOrder], made_since: date, *, at_most: int | None = None
) -> tuple[dict[str, TnOrder], dict[str, Exception]]:
    """Read orders that are thought to have ended: many from a list, the others one by one.

    :param made_since: a day before any of them was made
    :param at_most: how many to read one by one
    :return: the orders by id, and why others could not be read
    """
    wanted = {order.order_id.lower(): order.order_id for order in orders if order.order_id is not None}
    action = Action(orders[0].action) if orders and orders[0].action else None
    found: dict[str, TnOrder] = {}
    if len(wanted) > _FEW:
        try:
            for entry in hook.iter_tn_orders(statuses=TERMINAL_STATUSES, created_from=made_since, action=action):
                order = entry.order
                is_whole = order.is_terminal and not entry.is_summary and (order.telephone_numbers or order.errors)
                if is_whole and (order_id := wanted.pop(order.order_id.lower(), None)) is not None:
                    found[order_id] = order
                if not wanted:
                    break
        except BandwidthError as error:
            hook.log.warning("Reading %d orders one by one, since they cannot be listed: %s", len(wanted), error)
    failures: dict[str, Exception] = {}
    for order_id in list(wanted.values())[:at_most]:
        try:
            found[order_id] = hook.get_tn_order(order_id, action)
        except Exception as error:  # noqa: BLE001 - one order's failure is no other's
            failures[order_id] = error
    return found, failures


def take_unread(
    unread: Iterable[PlacedOrder],
    read: Mapping[str, TnOrder],
    failures: Mapping[str, Exception],
    *,
    has_time: bool,
    log: Any,
) -> None:
    """Go on waiting for an order that has ended but cannot be read, while there is time.

    :param log: of the task; Airflow 2.11's and 3's loggers share no type
    """
    for each in unread:
        if each.order_id in read:
            continue
        failure = failures.get(str(each.order_id), "it is shown as open again")
        log.warning("Order %s ended, but could not be read: %s", each.order_id, failure)
        if has_time:
            each.processing_status = None
        else:
            each.error = f"it ended {each.processing_status}, but could not be read: {failure}"


class OrdersPoller:
    """Waits for orders in the task's own process.

    :param get_hook: gives the hook, for each look
    :param orders: the orders; those that are open are waited for
    :param poke_interval: seconds between two looks
    :param deadline: epoch seconds
    :param made_since: a day before any of them was made
    """

    def __init__(
        self,
        get_hook: Callable[[], BandwidthHook],
        orders: Collection[PlacedOrder],
        *,
        poke_interval: float,
        deadline: float,
        made_since: date,
    ) -> None:
        self._get_hook = get_hook
        self._orders = {order.order_id: order for order in orders if order.is_open}
        self._poke_interval = poke_interval
        self._deadline = deadline
        self._made_since = made_since
        self._refusals = {order_id: Refusals() for order_id in self._orders}
        self._last_failure: str | None = None
        #: The orders in the order in which they get a look of their own: the one that has waited longest comes first.
        self._turns = deque(self._orders)

    def wait(self) -> dict[str, TnOrder]:
        """Look until each has ended, was given up, or the deadline is over; each order keeps what became of it.

        :return: those of the orders that have been read
        """
        read: dict[str, TnOrder] = {}
        started_at = time.time()
        has_explained = False
        while True:
            read |= self._look()
            open_orders = [order for order in self._orders.values() if order.is_open]
            now = time.time()
            if not open_orders:
                return read
            if now >= self._deadline:
                for order in open_orders:
                    order.error = timed_out(order.processing_status, self._last_failure)
                return read
            if not has_explained and now >= started_at + LONG_WAIT:
                has_explained = True
                self._explain(open_orders)
            time.sleep(min(self._poke_interval, max(self._deadline - now, 1.0)))

    def _look(self) -> dict[str, TnOrder]:
        """Look at each order that is open: many in a list, the others by themselves, in turns."""
        self._last_failure = None
        hook = self._get_hook()
        sought = {order.order_id: order for order in self._orders.values() if order.is_open}
        if len(sought) > _FEW:
            sought = self._drop_listed_as_open(hook, sought)
        turns = [sought[order_id] for order_id in self._turns if order_id in sought]
        found, failures = read_orders(hook, turns, self._made_since, at_most=_FEW)
        for order_id in (*found, *failures):
            self._turns.remove(order_id)
            self._turns.append(order_id)
        for order_id, order in found.items():
            self._refusals[order_id].reset()
            self._orders[order_id].processing_status = str(order.processing_status)
        for order_id, error in failures.items():
            self._take_failure(self._orders[order_id], error, hook)
        return {order_id: order for order_id, order in found.items() if order.is_terminal}

    def _drop_listed_as_open(
        self, hook: BandwidthHook, sought: Mapping[str | None, PlacedOrder]
    ) -> dict[str | None, PlacedOrder]:
        left = dict(sought)
        by_key = {str(order_id).lower(): order_id for order_id in left}
        try:
            for entry in hook.iter_tn_orders(statuses=OPEN_STATUSES, created_from=self._made_since, in_full=False):
                order_id = by_key.get(entry.order.order_id.lower())
                if order_id in left and not entry.order.is_terminal:
                    left.pop(order_id).processing_status = str(entry.order.processing_status)
        except BandwidthError as error:
            hook.log.warning("Could not list open orders, trying again: %s", error)
            self._last_failure = str(error)
        return left

    def _take_failure(self, order: PlacedOrder, error: Exception, hook: BandwidthHook) -> None:
        self._last_failure = str(error) or type(error).__name__
        was_seen = order.processing_status is not None
        if self._refusals[order.order_id].take_failure(error, time.time(), was_seen=was_seen):
            order.error = f"waiting for it was given up: {self._last_failure}"
        else:
            hook.log.warning("Could not read order %s, trying again: %s", order.order_id, self._last_failure)

    def _explain(self, orders: Iterable[PlacedOrder]) -> None:
        hook = self._get_hook()
        for order in orders:
            explanation = explain_long_wait(str(order.order_id), order.processing_status, hook.order_api.name)
            if explanation is not None:
                hook.log.info(explanation)
                return


def day_before(moment: datetime) -> date:
    """A day that is over by then, whatever the time zone."""
    return (moment.astimezone(UTC) - timedelta(days=1)).date()


def judge_placed_orders(
    placed: Iterable[PlacedOrder],
    read: Mapping[str, TnOrder],
    *,
    allowed_statuses: Collection[str],
    ignore_error_codes: Collection[str],
) -> list[OrderOutcome]:
    """Judge the orders that have been read, and note in each how it ended.

    :param read: terminal orders by id
    """
    outcomes = []
    for each in placed:
        order = read.get(str(each.order_id))
        if order is None:
            continue
        outcome = judge_order(order, allowed_statuses=allowed_statuses, ignore_error_codes=ignore_error_codes)
        outcomes.append(outcome)
        each.was_read = True
        each.processing_status = str(outcome.processing_status)
        each.completed_count = len(outcome.completed_telephone_numbers)
        each.error_count = len(outcome.errors)
        if not outcome.is_allowed:
            each.error = f"it ended {outcome.processing_status}"
    return outcomes


def push_outcomes(ti: Any, outcomes: Sequence[OrderOutcome]) -> None:
    """Leave the errors, the warnings and the completed numbers of all orders."""
    errors = [
        {**error.to_dict(), "order_id": outcome.order.order_id} for outcome in outcomes for error in outcome.errors
    ]
    push_list(ti, ERRORS_KEY, errors)
    push_list(ti, WARNINGS_KEY, [warning.to_dict() for outcome in outcomes for warning in outcome.order.warnings])
    push_list(ti, COMPLETED_KEY, chain.from_iterable(each.completed_telephone_numbers for each in outcomes))


def describe_failures(failed: Sequence[PlacedOrder], count: int) -> str:
    """Which orders of a task did not come to a good end, and why.

    :param count: how many orders the task has
    """
    errors = {str(each.error).rstrip(".") for each in failed}
    if len(errors) == 1:
        return f"{len(failed)} of {count} orders failed: {errors.pop()}."
    shown = [
        f"order {each.order_id or f'with CustomerOrderId {each.customer_order_id}'}: {each.error}"
        for each in failed[:_SHOWN_FAILURES]
    ]
    more = f"; and {len(failed) - len(shown)} more, see XCom {ORDERS_KEY!r}" if len(failed) > len(shown) else ""
    return f"{len(failed)} of {count} orders failed: {'; '.join(shown)}{more}."


def summarise(placed: Sequence[PlacedOrder], order_api: str) -> dict[str, Any]:
    """The sensor's summary, of all orders together.

    :param order_api: the name of the API that they were made through
    """
    statuses = {each.processing_status if each.was_read else None for each in placed}
    is_one = len(placed) == 1
    mixed = None if None in statuses else str(ProcessingStatus.PARTIAL)
    return {
        "order_id": placed[0].order_id if is_one else None,
        "customer_order_id": placed[0].customer_order_id if is_one else None,
        "action": placed[0].action,
        "processing_status": statuses.pop() if len(statuses) == 1 else mixed,
        "completed_count": sum(each.completed_count for each in placed),
        "error_count": sum(each.error_count for each in placed),
        "order_api": order_api,
    }
