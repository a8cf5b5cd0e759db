"""One poller for all orders of one account that the triggers of a process wait for.

Waiting is cheap because nobody waits alone. A few orders are read one by one. Many are looked at in rounds:

1. A list of the orders still open. It holds 1,000 at most; when it is full and does not show all of ours, the orders
   are divided by creation date, then by the first characters of their ids, and each part is listed by itself.
2. Ours that are in no list: a few are read one by one, many are looked up in a list of the ended orders.
3. What is still missing is read one by one, longest unseen first, as far as the budget goes.

A terminal status in any reading of an order ends its wait, since Bandwidth never takes it back. Absence from a list
decides nothing. So a list that errs costs calls, never truth.

The synchronous hook is the only HTTP client. It runs in a few threads of the poller's own, and all state lives on the
event loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakKeyDictionary

from airflow_provider_bandwidth.exceptions import (
    BandwidthApiError,
    BandwidthAuthError,
    BandwidthError,
    InvalidResponseError,
)
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.orders import MAX_LISTED_ORDERS, OPEN_STATUSES, TERMINAL_STATUSES, TnOrder
from airflow_provider_bandwidth.triggers._events import OrderEvent

if TYPE_CHECKING:
    from airflow_provider_bandwidth.wire.orders import OrderListEntry

_Result = TypeVar("_Result")

#: Seconds before the first poll. A trigger that fires at once can make Airflow's scheduler believe that the task was
#: killed from outside, and retry it.
FIRST_POLL_DELAY: Final = 2.0
#: How many looks at an order may fail in a row before its wait is given up. Being told to wait (429) is no failure.
MAX_CONSECUTIVE_FAILURES: Final = 10
#: For so many seconds after a wait began, an order that Bandwidth does not know counts as not there yet.
NOT_FOUND_GRACE: Final = 60.0
#: Seconds that the look at an order's deadline may take before the wait ends without it.
DEADLINE_GRACE: Final = 30.0
#: Up to so many orders are read one by one rather than looked up in a list.
_FEW: Final = 10
#: Calls that run at the same time, and threads.
_THREADS: Final = 4
#: The longest interval, in seconds, to which the slowing down for old orders alone leads.
_MAX_SLOWED_INTERVAL: Final = 600.0
#: An order that has been open for T seconds is looked at every T/20 at the most often.
_SLOWDOWN: Final = 1 / 20
#: Intervals are stretched at random by up to this part of them, and never by more than so many seconds.
_JITTER: Final = 0.03
_MAX_JITTER: Final = 1.0
#: Share of the budget that lists of open orders may take for long, so that ended ones are always read at once.
_LIST_SHARE: Final = 0.4
#: Share of the budget that reading one by one may take, so that a list never waits behind a thousand reads.
_READ_SHARE: Final = 0.75
#: Length of the budget's window: a minute, and a second for the way of a call to Bandwidth.
_WINDOW: Final = 61.0
#: Rounds in a row whose list failed, or showed none of our open orders, after which lists are given a rest; the seconds
#: that the rest takes. Bandwidth's search may lag behind new orders, so one blind round proves nothing.
_MAX_FAILED_ROUNDS: Final = 3
_MAX_BLIND_ROUNDS: Final = 2
_LIST_REST: Final = 600.0
#: All parts together fit into one list again when they hold fewer orders than this.
_ONE_LIST: Final = MAX_LISTED_ORDERS * 4 // 5
#: Pause after a 429 that names no time, and the longest that is believed, in seconds.
_DEFAULT_PAUSE: Final = 30.0
_MAX_PAUSE: Final = 900.0
#: Waits that end, and status changes that are logged, between two breaths of the event loop.
_BATCH: Final = 50
_DAY: Final = timedelta(days=1)
_HEX: Final = "0123456789abcdef"

_log = logging.getLogger(__name__)


def may_pass(error: BandwidthApiError | InvalidResponseError, waited: float) -> bool:
    """Whether the next poll may succeed where this one failed.

    :param waited: seconds since the wait began; for the first of them an unknown order counts as not there yet
    """
    return isinstance(error, InvalidResponseError) or error.retryable or _is_not_there_yet(error, waited)


def _is_not_there_yet(error: BandwidthError, waited: float) -> bool:
    return isinstance(error, BandwidthApiError) and error.status == 404 and waited < NOT_FOUND_GRACE


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
        "created_on",
        "deadline",
        "due_at",
        "failures",
        "future",
        "on_change",
        "order_id",
        "poke_interval",
        "started_at",
        "status",
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
        # Only a reading of this poller's own ends a wait.
        self.status = None if status in TERMINAL_STATUSES else status
        self.future: asyncio.Future[OrderEvent] = loop.create_future()
        self.due_at = loop.time() + FIRST_POLL_DELAY
        self.failures = 0
        # An order was made before somebody waits for it; any reading of it tells when.
        self.created_on = datetime.fromtimestamp(started_at, UTC).date()
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

    def note_status(self, status: str) -> None:
        """Remember a status, and report it if it is another than before."""
        if status != self.status:
            self.status = status
            self._context.run(self.on_change, status)


class _Budget:
    """How many calls may be sent: so many in any minute, whoever sends them, and none before a pause is over."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self.paused_until = 0.0
        self._sent: deque[float] = deque(maxlen=per_minute)

    @classmethod
    def of_account(cls, loop: asyncio.AbstractEventLoop, conn_id: str, account_id: str, per_minute: int) -> _Budget:
        """The account's: one poller after the other has it, so that coming and going makes nothing anew."""
        budgets = _BUDGETS.setdefault(loop, {})
        budget = budgets.setdefault((conn_id, account_id), cls(per_minute))
        budget.resize(per_minute)
        return budget

    def resize(self, per_minute: int) -> None:
        """Go on with another number of calls a minute."""
        if per_minute != self.per_minute:
            self.per_minute = per_minute
            self._sent = deque(self._sent, maxlen=per_minute)

    def delay(self, now: float, share: float = 1.0) -> float:
        """Seconds until a call may be sent without more than this share of the budget being spent."""
        limit = max(1, int(self.per_minute * share))
        if len(self._sent) < limit:
            return 0.0
        return max(0.0, self._sent[-limit] + _WINDOW - now)

    def spend(self, now: float) -> None:
        """A call is being sent."""
        self._sent.append(now)


_BUDGETS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], _Budget]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of an account's orders, small enough for one list: by creation date, and by the start of the id."""

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
class _Listing:
    """What list answers said of the orders that were looked for; orders by their keys.

    :param statuses: each order's status, and the day it was created on
    :param events: of those that have ended, as far as the answers held whole orders
    :param count: orders in the answers, also those of others
    :param is_off: whether an answer held orders that it was not asked for
    :param error: why it is not complete
    :param calls: how many calls it took
    :param parts: what to ask for next time
    """

    statuses: dict[str, tuple[str, date | None]] = field(default_factory=dict)
    events: dict[str, OrderEvent] = field(default_factory=dict)
    count: int = 0
    is_off: bool = False
    error: BandwidthError | None = None
    calls: int = 0
    parts: list[_Part] = field(default_factory=list)

    def note(self, entry: OrderListEntry, key: str) -> None:
        order = entry.order
        # A terminal order without any number is no whole order, whatever its element is called.
        if order.is_terminal and not entry.is_summary and (order.telephone_numbers or order.errors):
            self.events[key] = OrderEvent.for_order(order)
        self.statuses[key] = (str(order.processing_status), _creation_day(order))

    def add(self, other: _Listing) -> None:
        self.statuses |= other.statuses
        self.events |= other.events
        self.count += other.count
        self.is_off |= other.is_off
        self.error = other.error
        self.calls += 1


_Key = tuple[asyncio.AbstractEventLoop, str, str | None]
_POLLERS: dict[_Key, OrderPoller] = {}
#: The event loop itself keeps no task alive.
_UNDER_WAY: set[asyncio.Task[Any]] = set()


class OrderPoller:
    """Looks at orders of one account for all who wait for them, until the last has left.

    Made by :meth:`join` and ended by the last :meth:`leave`, which closes its connections and threads.
    """

    def __init__(self, key: _Key) -> None:
        loop, conn_id, account_id = key
        self._key = key
        self._loop = loop
        self._hook = BandwidthHook(conn_id, account_id, max_attempts=1)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="bandwidth-poll")
        self._budget = _Budget(1)
        self._members = 0
        self._waiting: dict[str, list[Waiter]] = {}
        self._wake = asyncio.Event()
        self._wake_at = 0.0
        self._round_at = 0.0
        self._round_not_before = 0.0
        self._rested_until = 0.0
        self._failed_rounds = 0
        self._blind_rounds = 0
        self._parts = [_WHOLE]
        self._by_fragment = True
        self._said: set[str] = set()
        # A context of its own: the poller's messages belong to no one trigger's log.
        self._task = loop.create_task(self._run(), name=f"bandwidth-poller-{conn_id}", context=contextvars.Context())
        self._task.add_done_callback(self._on_end)

    # --- coming and going ---

    @classmethod
    def join(cls, conn_id: str, account_id: str | None, waiter: Waiter) -> OrderPoller:
        """Wait with the poller of this connection and account on the running event loop."""
        key = (asyncio.get_running_loop(), conn_id, account_id)
        poller = _POLLERS.get(key)
        if poller is None:
            poller = _POLLERS[key] = cls(key)
        poller._add(waiter)
        return poller

    def leave(self, waiter: Waiter) -> None:
        """Stop waiting, however the wait ended; once for each :meth:`join`."""
        self._forget(waiter)
        self._members -= 1
        if not self._members:
            self._task.cancel()
            self._close()

    def _add(self, waiter: Waiter) -> None:
        self._members += 1
        self._waiting.setdefault(waiter.key, []).append(waiter)
        look_at = max(waiter.due_at, self._round_not_before) if self._uses_lists() else waiter.due_at
        if look_at < self._wake_at:
            self._wake.set()

    def _forget(self, waiter: Waiter) -> None:
        waiters = self._waiting.get(waiter.key, [])
        if waiter in waiters:
            waiters.remove(waiter)
            if not waiters:
                del self._waiting[waiter.key]

    def _close(self) -> None:
        if _POLLERS.get(self._key) is self:
            del _POLLERS[self._key]
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._hook.close()

    def _on_end(self, task: asyncio.Task[None]) -> None:
        """Nobody may go on waiting for a poller that has ended."""
        self._close()
        waiters = [waiter for waiters in self._waiting.values() for waiter in waiters]
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, BandwidthError):
            _log.error("The poller of %d orders ended with an error.", len(waiters), exc_info=error)
            error = RuntimeError(f"the poller ended with {type(error).__name__}: {error}")
        for waiter in waiters:
            if error is None:
                waiter.future.cancel()
            else:
                self._resolve(waiter, OrderEvent(waiter.order_id, error=str(error)))

    # --- when to look ---

    async def _run(self) -> None:
        settings = await _uninterrupted(self._hook.load_settings())
        self._budget = _Budget.of_account(
            self._loop, self._hook.bandwidth_conn_id, self._hook.account_id, settings.max_requests_per_minute
        )
        await self._in_thread(self._hook.get_conn)
        while True:
            await self._sleep_until(self._next_look())
            if due := self._due_waiters():
                await self._look(due)

    def _each(self) -> Iterator[Waiter]:
        return (waiter for waiters in self._waiting.values() for waiter in waiters)

    def _due_waiters(self) -> list[Waiter]:
        """Longest due first, so that nobody is passed over for ever where the budget is short."""
        now = self._loop.time()
        if now < self._budget.paused_until:
            return []
        # A moment early: those who are due almost together are looked at together.
        due = [waiter for waiter in self._each() if waiter.due_at <= now + 0.05]
        return sorted(due, key=lambda waiter: waiter.due_at)

    def _uses_lists(self) -> bool:
        return len(self._waiting) > _FEW and self._loop.time() >= self._rested_until

    def _next_look(self) -> float:
        """When to look next, in the loop's time; never, while nobody waits."""
        at = min((waiter.due_at for waiter in self._each()), default=float("inf"))
        if self._uses_lists():
            at = max(at, min(self._round_not_before, self._next_deadline()))
        return max(at, self._budget.paused_until)

    def _next_deadline(self) -> float:
        deadlines = (waiter.deadline for waiter in self._each() if waiter.deadline is not None)
        remaining = min(deadlines, default=float("inf")) - time.time()
        # Many deadlines may lie close together; they share a round.
        return max(self._loop.time() + remaining, self._round_at + DEADLINE_GRACE / 3)

    async def _sleep_until(self, at: float) -> None:
        self._wake_at = at
        self._wake.clear()
        # Never not at all: the other coroutines of the event loop want their turn.
        delay = None if at == float("inf") else max(0.001, at - self._loop.time())
        try:
            async with asyncio.timeout(delay):
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._wake_at = 0.0

    # --- looking ---

    async def _look(self, due: list[Waiter]) -> None:
        if self._uses_lists():
            await self._look_in_round(due)
        else:
            # A few at a time: who comes meanwhile is not kept waiting by all the others.
            await self._read_each(due, until=0.0, share=1.0)

    async def _look_in_round(self, due: list[Waiter]) -> None:
        self._round_at = self._loop.time()
        sought = [waiter for waiter in due if waiter.status not in TERMINAL_STATUSES]
        interval = min(waiter.interval(time.time()) for waiter in self._each())
        listed = await self._list_parts(OPEN_STATUSES, self._parts, sought, in_full=False)
        self._parts = listed.parts
        lists_take = listed.calls * 60 / (_LIST_SHARE * self._budget.per_minute)
        self._round_not_before = self._round_at + _jittered(max(interval, lists_take))
        await self._note(listed)
        missing = [waiter for waiter in sought if waiter.key not in listed.statuses]
        if listed.error is not None:
            self._note_list_error(listed.error, missing)
            return
        self._failed_rounds = 0
        if len(missing) > _FEW:
            ended = await self._list_parts(TERMINAL_STATUSES, [_WHOLE], missing, in_full=True)
            await self._note(ended)
            if ended.error is not None and self._note_refusal(ended.error):
                return
        unread = [waiter for waiter in due if waiter.status in TERMINAL_STATUSES or waiter.key not in listed.statuses]
        read = await self._read_each(unread, until=self._round_not_before, share=_READ_SHARE)
        self._check_use_of_lists(listed, sought, read)

    def _check_use_of_lists(self, listed: _Listing, sought: Sequence[Waiter], read: Sequence[str]) -> None:
        """Lists that show none of the orders that are open for all that twice in a row are of no use."""
        is_blind = len(sought) > _FEW and not listed.statuses and bool(read) and set(read) <= set(OPEN_STATUSES)
        self._blind_rounds = self._blind_rounds + 1 if is_blind else 0
        if self._blind_rounds >= _MAX_BLIND_ROUNDS:
            self._rest_lists("they do not show the orders that are waited for")

    # --- lists ---

    async def _list_parts(
        self, statuses: Sequence[str], parts: Sequence[_Part], waiters: Sequence[Waiter], *, in_full: bool
    ) -> _Listing:
        """List each part that one of the waiters may be in, and divide those that turn out too large for a list."""
        result = _Listing()
        queue = deque(parts)
        rest = list(waiters)
        while queue:
            part = queue.popleft()
            sought = [waiter for waiter in rest if part.holds(waiter)]
            if not sought:
                result.parts.append(part)
                continue
            await self._wait_for_budget()
            listing = await self._in_thread(self._read_list, statuses, part, _creation_days(sought), in_full)
            result.add(listing)
            if listing.error is not None:
                result.parts = list(parts)
                return result
            missing = [waiter for waiter in sought if waiter.key not in listing.statuses]
            smaller = self._divide(part, listing, sought, len(missing))
            queue.extendleft(reversed(smaller))
            if not smaller:
                result.parts.append(part)
            done = {waiter for waiter in sought if not smaller or waiter.key in listing.statuses}
            rest = [waiter for waiter in rest if waiter not in done]
        if rest or result.is_off or (result.calls == len(result.parts) and result.count < _ONE_LIST):
            result.parts = [_WHOLE]
        return result

    def _divide(self, part: _Part, listing: _Listing, sought: Sequence[Waiter], missing: int) -> list[_Part]:
        """The parts to list instead of one whose list is full, if that costs less than reading what is missing."""
        if listing.is_off and self._by_fragment:
            self._by_fragment = False
            _log.warning("Bandwidth's order lists disregard orderIdFragment; long lists will cost more calls.")
        if listing.count < MAX_LISTED_ORDERS or listing.is_off:
            return []
        smaller = part.divide(sought, by_fragment=self._by_fragment)
        return smaller if len(smaller) < missing else []

    def _read_list(self, statuses: Sequence[str], part: _Part, days: tuple[date, date], in_full: bool) -> _Listing:
        """One list call, in a thread. Whether a day ends at midnight, and where, is not documented [oas1]."""
        listing = _Listing()
        last = days[1] + _DAY
        fragment = part.fragment.lower()
        try:
            for entry in self._hook.iter_tn_orders(
                statuses=statuses,
                created_from=days[0] - _DAY,
                created_to=last if last < datetime.now(UTC).date() else None,
                order_id_fragment=part.fragment or None,
                in_full=in_full,
            ):
                listing.count += 1
                key = entry.order.order_id.lower()
                listing.is_off |= not key.startswith(fragment)
                if key in self._waiting:
                    listing.note(entry, key)
        except (BandwidthApiError, InvalidResponseError) as error:
            listing.error = error
        return listing

    async def _note(self, listed: _Listing) -> None:
        """Tell those who wait what a list showed. Who has ended without his whole order being there is told later."""
        for count, (key, (status, created_on)) in enumerate(listed.statuses.items(), 1):
            for waiter in list(self._waiting.get(key, ())):
                if (event := listed.events.get(key)) is not None and event.order is not None:
                    self._resolve(waiter, event)
                elif status in TERMINAL_STATUSES:
                    waiter.status = status
                else:
                    self._note_open(waiter, status, created_on, self._round_at)
            if count % _BATCH == 0:
                await asyncio.sleep(0)

    def _note_list_error(self, error: BandwidthError, missing: Sequence[Waiter]) -> None:
        if self._note_refusal(error):
            return
        self._failed_rounds += 1
        if not (isinstance(error, InvalidResponseError) or _is_retryable(error)):
            self._rest_lists(f"they are refused: {error}")
        elif self._failed_rounds >= _MAX_FAILED_ROUNDS:
            self._rest_lists(f"they cannot be read: {error}")
        else:
            for waiter in missing:
                self._note_failure(waiter, error)

    def _note_refusal(self, error: BandwidthError) -> bool:
        """Take what concerns every call, whatever it asks for: too many of them, or refused credentials."""
        is_limit = isinstance(error, BandwidthApiError) and error.status == 429
        # A 403 of the API may concern lists alone; one of the token endpoint concerns everything.
        is_refusal = isinstance(error, BandwidthAuthError) and (
            error.status == 401 or error.url == self._hook.settings.token_url
        )
        if is_limit:
            self._pause(error)
        elif is_refusal:
            for waiter in list(self._each()):
                self._resolve(waiter, OrderEvent(waiter.order_id, error=str(error)))
        return is_limit or is_refusal

    def _pause(self, error: BandwidthError) -> None:
        asked = getattr(error, "retry_after", None)
        pause = min(_DEFAULT_PAUSE if asked is None else asked, _MAX_PAUSE)
        self._budget.paused_until = max(self._budget.paused_until, self._loop.time() + pause + random.uniform(0.1, 1.0))  # noqa: S311
        self._say_once("Bandwidth limits our calls (HTTP 429): all orders of this account wait until it takes them.")

    def _rest_lists(self, reason: str) -> None:
        self._rested_until = self._loop.time() + _LIST_REST
        self._blind_rounds = self._failed_rounds = 0
        self._say_once(
            "Lists of orders are of no use here, %s. Orders are read one by one, at most %d calls a minute.",
            reason,
            self._budget.per_minute,
        )

    def _say_once(self, message: str, *details: object) -> None:
        if message not in self._said:
            self._said.add(message)
            _log.warning(message, *details)

    # --- one by one ---

    async def _read_each(self, waiters: Iterable[Waiter], *, until: float, share: float) -> list[str]:
        """Read orders one by one until a time, within a share of the budget, but at least one.

        :return: the statuses that were read
        """
        keys = deque(dict.fromkeys(waiter.key for waiter in waiters))
        read: list[str | None] = []
        while keys:
            now = self._loop.time()
            delay = self._budget.delay(now, share)
            if (read and now + delay >= until) or now < self._budget.paused_until:
                break
            await asyncio.sleep(delay)
            some: list[Coroutine[object, object, str | None]] = []
            while keys and len(some) < _THREADS and not self._budget.delay(self._loop.time(), share):
                self._budget.spend(self._loop.time())
                some.append(self._read(keys.popleft()))
            read += await asyncio.gather(*some)
        return [status for status in read if status is not None]

    async def _read(self, key: str) -> str | None:
        """Read one order, for which a call of the budget was spent. One known to have ended is read by its task."""
        waiters = list(self._waiting.get(key, ()))
        if not waiters:
            return None
        known = next((waiter.status for waiter in waiters if waiter.status in TERMINAL_STATUSES), None)
        if known is not None:
            for waiter in waiters:
                self._resolve(waiter, OrderEvent(waiter.order_id, processing_status=known))
            return known
        try:
            order, event = await self._in_thread(self._read_order, waiters[0].order_id)
        except BandwidthError as error:
            if not self._note_refusal(error):
                for waiter in waiters:
                    self._note_failure(waiter, error)
            return None
        # Whoever is looked at in a round is due in the next, also when his turn comes late in this one.
        looked_at = self._round_at if self._uses_lists() else self._loop.time()
        for waiter in waiters:
            if event is None:
                self._note_open(waiter, str(order.processing_status), _creation_day(order), looked_at)
            elif event.order is not None:
                self._resolve(waiter, event)
            else:
                # Its task will read it once more: that is another call, to be spent when it is its turn again.
                waiter.status = event.processing_status
        return str(order.processing_status)

    def _read_order(self, order_id: str) -> tuple[TnOrder, OrderEvent | None]:
        order = self._hook.get_tn_order(order_id)
        return order, OrderEvent.for_order(order) if order.is_terminal else None

    # --- what a look tells ---

    def _note_open(self, waiter: Waiter, status: str, created_on: date | None, looked_at: float) -> None:
        waiter.failures = 0
        waiter.created_on = created_on or waiter.created_on
        waiter.note_status(status)
        self._look_again(waiter, looked_at)

    def _note_failure(self, waiter: Waiter, error: BandwidthError) -> None:
        waited = time.time() - waiter.started_at
        if not _is_not_there_yet(error, waited):
            waiter.failures += 1
        can_pass = isinstance(error, BandwidthApiError | InvalidResponseError) and may_pass(error, waited)
        if not can_pass or waiter.failures >= MAX_CONSECUTIVE_FAILURES:
            self._resolve(waiter, OrderEvent(waiter.order_id, error=str(error)))
        else:
            self._look_again(waiter, self._loop.time())

    def _look_again(self, waiter: Waiter, looked_at: float) -> None:
        now = time.time()
        if waiter.deadline is not None and now >= waiter.deadline:
            self._resolve(waiter, OrderEvent(waiter.order_id, timed_out=True))
            return
        interval = waiter.interval(now)
        waiter.due_at = looked_at + (interval if self._uses_lists() else _jittered(interval))
        if waiter.deadline is not None:
            waiter.due_at = min(waiter.due_at, self._loop.time() + waiter.deadline - now)

    def _resolve(self, waiter: Waiter, event: OrderEvent) -> None:
        if not waiter.future.done():
            waiter.future.set_result(event)
        self._forget(waiter)

    # --- means ---

    async def _wait_for_budget(self) -> None:
        while delay := self._budget.delay(self._loop.time()):
            await asyncio.sleep(delay)
        self._budget.spend(self._loop.time())

    async def _in_thread(self, call: Callable[..., _Result], *args: object) -> _Result:
        """Run a call of the hook in a thread from which Airflow can be reached, to mask a token for instance.

        On Airflow 3.0 and 3.1, talk with the supervisor from a thread that asgiref does not know ends the triggerer.
        """
        from asgiref.sync import sync_to_async

        return await _uninterrupted(sync_to_async(call, thread_sensitive=False, executor=self._threads)(*args))


async def _uninterrupted(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Wait for work that goes on if the wait is cancelled.

    On Airflow 3.0 and 3.1, an exchange with the supervisor that is cancelled halfway ends the triggerer.
    """
    task = asyncio.create_task(work)
    _UNDER_WAY.add(task)
    task.add_done_callback(_UNDER_WAY.discard)
    return await asyncio.shield(task)


def _jittered(interval: float) -> float:
    return interval + random.uniform(0.0, min(interval * _JITTER, _MAX_JITTER))  # noqa: S311


def _creation_day(order: TnOrder) -> date | None:
    return None if order.created_at is None else order.created_at.date()


def _creation_days(waiters: Iterable[Waiter]) -> tuple[date, date]:
    days = {waiter.created_on for waiter in waiters}
    return min(days), max(days)


def _is_retryable(error: BandwidthError) -> bool:
    return isinstance(error, BandwidthApiError) and error.retryable
