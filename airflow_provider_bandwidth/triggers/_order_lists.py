"""Many orders in Bandwidth's lists, and when not to use lists.

A list holds 1,000 orders at most and does not say when it is cut. So an account's orders are kept in *parts*, each
small enough for one list: divided by creation date, then by the first characters of the order ids. A part whose list
turns out full is divided again, if that costs less than reading what is missing one by one.

A list may err: its search may lag behind new orders, ignore a filter, or fail. Absence from a list therefore decides
nothing. A *blind round* is one whose lists showed none of our orders although single reads found them open. After
blind or failed rounds in a row lists get a *rest*: orders are read one by one for ten minutes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Collection, Container, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from airflow_provider_bandwidth.exceptions import BandwidthApiError
from airflow_provider_bandwidth.order_records import (
    MAX_LISTED_ORDERS,
    OPEN_STATUSES,
    TERMINAL_STATUSES,
    Action,
    TnOrder,
)
from airflow_provider_bandwidth.triggers.waiting import OrderEvent, Waiter

if TYPE_CHECKING:
    from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
    from airflow_provider_bandwidth.wire.orders import OrderListEntry

#: Up to so many orders are read one by one rather than looked up in a list.
FEW: Final = 10
#: Failed rounds in a row after which lists get a rest.
_MAX_FAILED_ROUNDS: Final = 3
#: Blind rounds in a row after which lists get a rest. One proves nothing: the search may lag behind new orders.
_MAX_BLIND_ROUNDS: Final = 2
#: Seconds that a rest takes.
_REST: Final = 600.0
#: All parts together fit into one list again when they hold fewer orders than this.
_ONE_LIST: Final = MAX_LISTED_ORDERS * 4 // 5
_DAY: Final = timedelta(days=1)
_HEX: Final = "0123456789abcdef"


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of an account's orders, by creation date and by the start of the id."""

    first: date = date.min
    last: date = date.max
    fragment: str = ""

    def holds(self, waiter: Waiter) -> bool:
        return self.first <= waiter.created_on <= self.last and waiter.order_id.startswith(self.fragment)

    def divide(self, waiters: Sequence[Waiter], *, by_fragment: bool) -> list[_Part]:
        """Smaller parts that together hold whatever this one holds; none if it cannot be divided."""
        days = sorted({waiter.created_on for waiter in waiters})
        if len(days) > 1:
            middle = days[len(days) // 2 - 1]
            return [_Part(self.first, middle, self.fragment), _Part(middle + _DAY, self.last, self.fragment)]
        following = {waiter.order_id[len(self.fragment) :][:1] for waiter in waiters}
        if not by_fragment or "" in following:
            return []
        letters = sorted(following | set(_HEX)) if following <= set(_HEX) else sorted(following)
        return [_Part(self.first, self.last, self.fragment + letter) for letter in letters]


_WHOLE: Final = _Part()


@dataclass(slots=True)
class Listing:
    """What list answers showed of the orders that were looked for; orders by their keys.

    :param statuses: each order's status, and the day it was created on
    :param events: of those that have ended, as far as the answers held whole orders
    :param count: orders in the answers, also those of others
    :param ignored_filter: whether an answer held orders that it was not asked for
    :param error: why it is not complete
    :param calls: how many calls it took
    """

    statuses: dict[str, tuple[str, date | None]] = field(default_factory=dict)
    events: dict[str, OrderEvent] = field(default_factory=dict)
    count: int = 0
    ignored_filter: bool = False
    error: Exception | None = None
    calls: int = 0

    def take_entry(self, entry: OrderListEntry, key: str) -> None:
        """Keep what an entry shows of an order that is waited for."""
        order = entry.order
        # A terminal order without any number is no whole order, whatever its element is called.
        if order.is_terminal and not entry.is_summary and (order.telephone_numbers or order.errors):
            self.events[key] = OrderEvent.for_order(order)
        self.statuses[key] = (str(order.processing_status), creation_day(order))

    def add(self, other: Listing) -> None:
        """Take another call's answer in."""
        self.statuses |= other.statuses
        self.events |= other.events
        self.count += other.count
        self.ignored_filter |= other.ignored_filter
        self.error = other.error
        self.calls += 1


class OrderLists:
    """Looks many orders up in lists.

    :param run: spends a call of the budget and runs something with the hook in a thread
    :param wanted: the keys of all orders that are waited for
    :param warn: logs a message once
    :param action: what the orders do, if only orders of one action are looked up
    """

    def __init__(
        self,
        run: Callable[[Callable[[BandwidthHook], Listing]], Awaitable[Listing]],
        wanted: Container[str],
        warn: Callable[[str], None],
        action: Action | None = None,
    ) -> None:
        self._action = action
        self._run = run
        self._wanted = wanted
        self._warn = warn
        self._parts = [_WHOLE]
        self._by_fragment = True
        self._rested_until = 0.0
        self._failed_rounds = 0
        self._blind_rounds = 0
        self._rest_is_for_failures = False

    def are_resting(self, now: float) -> bool:
        """Whether lists are not to be used now, in the loop's time."""
        return now < self._rested_until

    # --- asking ---

    async def list_open(self, sought: Sequence[Waiter]) -> Listing:
        """The open orders among those sought, from as many lists as there are parts."""
        listing, self._parts = await self._list_parts(OPEN_STATUSES, self._parts, sought, in_full=False)
        return listing

    async def list_ended(self, sought: Sequence[Waiter]) -> Listing:
        """The ended orders among those sought, whole if Bandwidth shows them so."""
        listing, _ = await self._list_parts(TERMINAL_STATUSES, [_WHOLE], sought, in_full=True)
        return listing

    async def _list_parts(
        self, statuses: Sequence[str], parts: Sequence[_Part], waiters: Sequence[Waiter], *, in_full: bool
    ) -> tuple[Listing, list[_Part]]:
        """List each part that one of the waiters may be in, and divide those that turn out too large for a list.

        :return: what was shown, and the parts to list next time
        """
        result = Listing()
        kept: list[_Part] = []
        queue = deque(parts)
        rest = list(waiters)
        while queue:
            part = queue.popleft()
            sought = [waiter for waiter in rest if part.holds(waiter)]
            if not sought:
                kept.append(part)
                continue
            listing = await self._list_part(statuses, part, sought, in_full=in_full)
            result.add(listing)
            if listing.error is not None:
                return result, list(parts)
            missing = [waiter for waiter in sought if waiter.key not in listing.statuses]
            smaller = self._divide(part, listing, sought, len(missing))
            queue.extendleft(reversed(smaller))
            if not smaller:
                kept.append(part)
            done = {waiter for waiter in sought if not smaller or waiter.key in listing.statuses}
            rest = [waiter for waiter in rest if waiter not in done]
        if rest or result.ignored_filter or (result.calls == len(kept) and result.count < _ONE_LIST):
            kept = [_WHOLE]
        return result, kept

    def _divide(self, part: _Part, listing: Listing, sought: Sequence[Waiter], missing: int) -> list[_Part]:
        """The parts to list instead of one whose list is full, if that costs less than reading what is missing."""
        if listing.ignored_filter and self._by_fragment:
            self._by_fragment = False
            self._warn("Bandwidth's order lists disregard orderIdFragment; long lists will cost more calls.")
        if listing.count < MAX_LISTED_ORDERS or listing.ignored_filter:
            return []
        smaller = part.divide(sought, by_fragment=self._by_fragment)
        return smaller if len(smaller) < missing else []

    async def _list_part(
        self, statuses: Sequence[str], part: _Part, sought: Sequence[Waiter], *, in_full: bool
    ) -> Listing:
        days = {waiter.created_on for waiter in sought}
        try:
            return await self._run(
                lambda hook: _read_list(
                    hook, statuses, part, (min(days), max(days)), self._wanted, self._action, in_full=in_full
                )
            )
        except Exception as error:  # noqa: BLE001  # whatever fails a list ends no wait
            return Listing(error=error)

    # --- whether to go on asking ---

    def take_error(self, error: Exception, now: float) -> str | None:
        """Take what left a round's lists incomplete. Lists that are refused, or fail again and again, get a rest.

        :return: why they rest now, if they do
        """
        self._failed_rounds += 1
        if isinstance(error, BandwidthApiError) and not error.retryable:
            return self._rest(f"they are refused: {error}", now)
        if self._failed_rounds >= _MAX_FAILED_ROUNDS:
            reason = self._rest(f"they cannot be read: {error}", now)
            self._rest_is_for_failures = True
            return reason
        return None

    def take_read_failure(self) -> None:
        """A read failed, too: lists are no worse than reads, so that they need no rest for their failures."""
        if self._rest_is_for_failures:
            self._rest_is_for_failures = False
            self._rested_until = 0.0

    def take_round(self, listed: Listing, sought: Sequence[Waiter], read: Collection[str], now: float) -> str | None:
        """Stop using lists after two rounds in a row that showed none of our orders, though reads found these open.

        :param listed: what the lists of open orders showed
        :param read: the statuses that single reads of the round showed
        :return: why they rest now, if they do
        """
        self._failed_rounds = 0
        is_blind = len(sought) > FEW and not listed.statuses and bool(read) and set(read) <= set(OPEN_STATUSES)
        self._blind_rounds = self._blind_rounds + 1 if is_blind else 0
        if self._blind_rounds < _MAX_BLIND_ROUNDS:
            return None
        return self._rest("they do not show the orders that are waited for", now)

    def _rest(self, reason: str, now: float) -> str:
        self._rested_until = now + _REST
        self._blind_rounds = self._failed_rounds = 0
        self._rest_is_for_failures = False
        return reason


def _read_list(
    hook: BandwidthHook,
    statuses: Sequence[str],
    part: _Part,
    days: tuple[date, date],
    wanted: Container[str],
    action: Action | None,
    *,
    in_full: bool,
) -> Listing:
    """One list call, in a thread. Whether a day ends at midnight, and where, is not documented [oas1]."""
    listing = Listing()
    last = days[1] + _DAY
    fragment = part.fragment.lower()
    try:
        for entry in hook.iter_tn_orders(
            statuses=statuses,
            created_from=days[0] - _DAY,
            created_to=last if last < datetime.now(UTC).date() else None,
            order_id_fragment=part.fragment or None,
            in_full=in_full,
            action=action,
        ):
            listing.count += 1
            key = entry.order.order_id.lower()
            listing.ignored_filter |= not key.startswith(fragment)
            if key in wanted:
                listing.take_entry(entry, key)
    except Exception as error:  # noqa: BLE001  # what was read before it counts
        listing.error = error
    return listing


def creation_day(order: TnOrder) -> date | None:
    """The day on which an order was made, if it shows it."""
    return None if order.created_at is None else order.created_at.date()
