"""One poller for all orders of one account and order API that the triggers of a process wait for.

The file is longer than others because it is one state machine: waiters that come and go, the time of a look, and what a
look shows change the same few fields. Parts of it could only be read side by side.

Where an order API keeps the orders of each action apart, each action has a poller of its own. The pollers of an account
share one budget.

Waiting is cheap because no trigger looks alone. The words of this module:

*waiter*
    one trigger's wait for one order (:class:`~.waiting.Waiter`); it is *due* when its order should be looked at again
*look*
    a call that may show an order's status: the *read* of one order, or a list of many
*round*
    one look at many orders, in three steps: list the open ones, list the ended ones, read the missing ones
*ended, unread*
    a list's summary showed that the order has ended; its task is going to read it, and that call is counted here
*budget*
    how many calls a minute the account may spend. Lists may take one share of it in the long run, the reads of a round
    another
*slow*
    a call that has not been answered for some seconds. Nothing waits for it any longer, but what it shows later counts
*pause*
    a time in which nothing is sent: Bandwidth limits our calls, or refuses our credentials
*hiccup*
    any failure that is no lasting refusal. It costs calls and time, and ends no wait

Up to ten orders are read one by one. More are looked at in rounds:

1. A list of the orders still open. It holds 1,000 at most; when it is full and does not show all of ours, it is divided
   (:mod:`._order_lists`).
2. Ours that are in no list: a few are read one by one, many are looked up in a list of the ended orders.
3. What is still missing is read one by one, longest due first, as far as the budget goes.

While a list is slow, what is due is read one by one. A terminal status in any look at an order ends its wait, since
Bandwidth never takes it back. Absence from a list decides nothing. So a list that is wrong costs calls, and ends no
wait wrongly.

The synchronous hook is the only HTTP client. It runs in a few threads of the poller's own, and all state lives on the
event loop. The connection is read again every minute and after each refusal of the credentials, so that a wait goes on
with a rotated secret, another host or another account.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from airflow_provider_bandwidth.exceptions import BandwidthApiError, BandwidthAuthError
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.order_records import TERMINAL_STATUSES, Action, TnOrder
from airflow_provider_bandwidth.triggers._order_lists import FEW, Listing, OrderLists, creation_day
from airflow_provider_bandwidth.triggers.waiting import (
    DEADLINE_GRACE,
    MAX_RETRY_INTERVAL,
    OrderEvent,
    Refusals,
    Waiter,
)

_Result = TypeVar("_Result")

#: Calls that run at the same time, slow ones not counted.
_CALLS_AT_ONCE: Final = 4
#: Threads, slow calls counted.
_THREADS: Final = 32
#: Seconds after which a call is slow.
_SLOW: Final = 5.0
#: Seconds after which the answer to a call is not waited for at all.
_GIVE_UP: Final = 120.0
#: Intervals are stretched at random by up to this part of them, and never by more than so many seconds.
_JITTER: Final = 0.03
_MAX_JITTER: Final = 1.0
#: Share of the budget that lists of open orders may take in the long run, so that ended ones are always read at once.
_LIST_SHARE: Final = 0.4
#: Share of the budget that the reads of a round may take, so that a list never waits behind a thousand reads.
_READ_SHARE: Final = 0.75
#: Length of the budget's window in seconds: a minute, and a second for a call's way to Bandwidth.
_WINDOW: Final = 61.0
#: Pause in seconds after a 429 that names no time.
_DEFAULT_PAUSE: Final = 30.0
#: The longest pause in seconds that a 429 is believed to ask for.
_MAX_PAUSE: Final = 900.0
#: The longest of the pauses, in seconds, that double from one second: after limits whose time is over, after refused
#: credentials, and while the connection cannot be read.
_MAX_GROWN_PAUSE: Final = 30.0
#: Seconds between two readings of the connection.
_RELOAD_INTERVAL: Final = 60.0
#: Seconds that reading the connection may take.
_RELOAD_LIMIT: Final = 60.0
#: Orders that are due within so many seconds are looked at together.
_MOMENT: Final = 0.05
#: Orders of a list whose waits are told before the event loop's other coroutines get their turn.
_BATCH: Final = 50

_log = logging.getLogger(__name__)


class Budget:
    """How many calls may be sent: so many in any minute, whatever sends them, and none before a pause is over."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self.paused_until = 0.0
        self._sent: deque[float] = deque(maxlen=per_minute)

    @classmethod
    def of_account(cls, loop: asyncio.AbstractEventLoop, conn_id: str, account_id: str, per_minute: int) -> Budget:
        """The budget of this account. It outlives a poller, so that a new one does not start with a full budget."""
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
        """Count a call that is sent now."""
        self._sent.append(now)

    def pause(self, now: float, seconds: float) -> None:
        """Send nothing for so many seconds, and a random moment more, so that clients do not all come back at once."""
        self.paused_until = max(self.paused_until, now + seconds + random.uniform(0.1, 1.0))  # noqa: S311


_BUDGETS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], Budget]]] = WeakKeyDictionary()

#: The event loop; then connection, account, order API and action as the trigger gives them.
_Key = tuple[asyncio.AbstractEventLoop, str, str | None, str | None, str | None]
_POLLERS: Final[dict[_Key, OrderPoller]] = {}
#: The event loop itself keeps no task alive.
_UNDER_WAY: Final[set[asyncio.Task[Any]]] = set()


class OrderPoller:
    """Looks at orders of one account for all triggers that wait for them, until the last has left.

    Made by :meth:`join` and ended by the last :meth:`leave`, which closes its connections and threads.
    """

    def __init__(self, key: _Key) -> None:
        loop, conn_id, account_id, order_api, action = key
        self._key = key
        self._loop = loop
        self._hook = BandwidthHook(conn_id, account_id, order_api, max_attempts=1)
        self._action = None if action is None else Action(action)
        #: The calls that one look takes: one for each place that orders of the action may be in.
        self._calls_a_look = 1
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="bandwidth-poll")
        self._budget = Budget(1)
        self._members = 0
        self._waiting: dict[str, list[Waiter]] = {}
        self._lists = OrderLists(self._run_list, self._waiting, self._warn_once, self._action)
        #: The reads under way by order, with the loop's time at which each began.
        self._reads: dict[str, float] = {}
        self._round: asyncio.Task[None] | None = None
        self._round_at = 0.0
        #: The fewest seconds from one round to the next, so that lists keep to their share of the budget.
        self._round_spacing = 0.0
        #: The part of the jitter, from 0 to 1, by which the next round comes later.
        self._round_stretch = 0.0
        #: The loop's time at which the list call under way began, if there is one.
        self._list_since: float | None = None
        self._wake = asyncio.Event()
        self._wake_at = 0.0
        #: The refusals of the credentials in a row, whatever was asked for.
        self._refusals = Refusals()
        self._is_refused = False
        #: The loop's time at which the last pause began.
        self._stopped_at = 0.0
        #: The fewest seconds that the next pause takes.
        self._next_pause = 1.0
        self._reload_at = 0.0
        self._reload: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._said: set[str] = set()
        # A context of its own: the poller's messages belong to no one trigger's log.
        self._task = loop.create_task(self._run(), name=f"bandwidth-poller-{conn_id}", context=contextvars.Context())
        self._task.add_done_callback(self._on_end)

    # --- coming and going ---

    @classmethod
    def join(
        cls,
        conn_id: str,
        account_id: str | None,
        waiter: Waiter,
        order_api: str | None = None,
        action: str | None = None,
    ) -> OrderPoller:
        """Wait with the poller of this connection, account and order API on the running event loop."""
        key = (asyncio.get_running_loop(), conn_id, account_id, order_api, action)
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
        look_at = waiter.due_at
        if self._uses_lists():
            look_at = max(look_at, self._round_at + max(waiter.interval(time.time()), self._round_spacing))
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
        for task in self._tasks:
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._hook.close()

    def _on_end(self, _: asyncio.Task[None]) -> None:
        """End all waits: no trigger may go on waiting for a poller that has ended, as it does with its event loop."""
        self._close()
        for waiter in self._iter_waiters():
            waiter.future.cancel()

    # --- when to look ---

    async def _run(self) -> None:
        await self._connect()
        while True:
            try:
                if await self._sleep_until(self._next_look()):
                    self._look()
            except Exception as error:  # noqa: BLE001  # no bug of ours may end a thousand waits
                self._warn_of_bug(error)
                await asyncio.sleep(_SLOW)

    def _iter_waiters(self) -> Iterator[Waiter]:
        return (waiter for waiters in self._waiting.values() for waiter in waiters)

    def _due_waiters(self) -> list[Waiter]:
        """Longest due first, so that none is passed over for ever where the budget is short."""
        due = [waiter for waiter in self._iter_waiters() if self._is_to_be_read(waiter)]
        return sorted(due, key=lambda waiter: waiter.due_at)

    def _uses_lists(self) -> bool:
        now = self._loop.time()
        is_slow = self._list_since is not None and now >= self._list_since + _SLOW
        return len(self._waiting) > FEW and not is_slow and not self._lists.are_resting(now)

    def _next_look(self) -> float:
        """When to look next, in the loop's time; infinity while nothing can be done."""
        at = min(
            (waiter.due_at for waiter in self._iter_waiters() if waiter.key not in self._reads), default=float("inf")
        )
        if self._uses_lists():
            if self._round is not None:
                # The round wakes the poller when it ends.
                return float("inf") if self._list_since is None else self._list_since + _SLOW
            at = max(at, min(self._round_not_before(), self._next_deadline()))
        else:
            at = max(at, self._next_slot(), self._loop.time() + self._budget.delay(self._loop.time()))
        return max(at, self._budget.paused_until)

    def _round_not_before(self) -> float:
        """When the next round may begin: a new waiter's short interval counts at once, beside old orders' long ones."""
        interval = min((waiter.interval(time.time()) for waiter in self._iter_waiters()), default=0.0)
        interval = max(interval, self._round_spacing)
        return self._round_at + interval + self._round_stretch * min(interval * _JITTER, _MAX_JITTER)

    def _next_deadline(self) -> float:
        deadlines = (waiter.deadline for waiter in self._iter_waiters() if waiter.deadline is not None)
        remaining = min(deadlines, default=float("inf")) - time.time()
        # Many deadlines may lie close together; they share a round.
        return max(self._loop.time() + remaining, self._round_at + DEADLINE_GRACE / 3)

    def _next_slot(self) -> float:
        """When another read may begin: slow ones do not count."""
        newest = sorted(self._reads.values(), reverse=True)[:_CALLS_AT_ONCE]
        return newest[-1] + _SLOW if len(newest) == _CALLS_AT_ONCE else 0.0

    async def _sleep_until(self, at: float) -> bool:
        """Sleep; return whether it is time now, and not that something has changed before."""
        self._wake_at = at
        self._wake.clear()
        # A moment at least, so that the event loop's other coroutines get their turn.
        delay = None if at == float("inf") else max(0.001, at - self._loop.time())
        try:
            async with asyncio.timeout(delay):
                await self._wake.wait()
        except TimeoutError:
            return True
        else:
            return False
        finally:
            self._wake_at = 0.0

    # --- looking ---

    def _look(self) -> None:
        """Start what is to be started now; nothing here waits for an answer."""
        now = self._loop.time()
        if now < self._budget.paused_until:
            return
        if now >= self._reload_at:
            self._reload_soon()
        due = self._due_waiters()
        if not due:
            return
        if not self._uses_lists():
            self._start_reads(due, share=1.0)
        elif self._round is None:
            self._round = self._start(self._look_in_round(due))
            self._round.add_done_callback(self._on_round_end)

    def _on_round_end(self, task: asyncio.Task[None]) -> None:
        self._round = None
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._warn_of_bug(error)

    async def _look_in_round(self, due: list[Waiter]) -> None:
        self._round_at = self._loop.time()
        self._round_stretch = random.random()  # noqa: S311
        sought = [waiter for waiter in due if waiter.ended_unread is None]
        listed = await self._list_open(sought)
        missing = [waiter for waiter in sought if waiter.key not in listed.statuses]
        if listed.error is not None:
            self._take_list_error(listed.error, missing)
            return
        if len(missing) > FEW:
            await self._list_ended(missing)
        read = await self._read_missing(missing)
        self._explain_rest(self._lists.take_round(listed, sought, read, self._loop.time()))

    async def _list_open(self, sought: list[Waiter]) -> Listing:
        """Step 1 of a round."""
        listed = await self._lists.list_open(sought)
        self._round_spacing = listed.calls * 60 / (_LIST_SHARE * self._budget.per_minute)
        await self._take_listing(listed)
        return listed

    async def _list_ended(self, missing: list[Waiter]) -> None:
        """Step 2 of a round."""
        ended = await self._lists.list_ended(missing)
        await self._take_listing(ended)
        if ended.error is not None:
            self._take_account_error(ended.error, self._round_at)

    async def _read_missing(self, missing: list[Waiter]) -> list[str]:
        """Step 3 of a round: read those, and those that ended unread, until the next round may begin; one at the least.

        :return: the statuses that were read
        """
        candidates = set(missing).union(waiter for waiter in self._iter_waiters() if waiter.ended_unread is not None)
        unread = sorted(candidates, key=lambda waiter: waiter.due_at)
        reads: list[asyncio.Task[str | None]] = []
        while True:
            reads += self._start_reads(unread, share=_READ_SHARE)
            unread = [waiter for waiter in unread if self._is_to_be_read(waiter)]
            now = self._loop.time()
            at = max(self._next_slot(), now + self._budget.delay(now, _READ_SHARE), self._budget.paused_until)
            if not unread or (reads and at >= self._round_not_before()):
                break
            await self._wait_for_slot(reads, at - now)
        if not reads:
            return []
        ended, _ = await asyncio.wait(reads, timeout=_SLOW)
        return [status for status in (read.result() for read in ended) if status is not None]

    async def _wait_for_slot(self, reads: list[asyncio.Task[str | None]], seconds: float) -> None:
        """Wait for so many seconds, or until another read may begin."""
        under_way = [read for read in reads if not read.done()]
        if under_way and self._next_slot() > self._loop.time():
            await asyncio.wait(under_way, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(min(seconds, 1.0))

    # --- one by one ---

    def _is_to_be_read(self, waiter: Waiter) -> bool:
        is_due = waiter.ended_unread is not None or waiter.due_at <= self._loop.time() + _MOMENT
        return is_due and not waiter.future.done() and waiter.key not in self._reads

    def _start_reads(self, waiters: Iterable[Waiter], *, share: float) -> list[asyncio.Task[str | None]]:
        """Start to read orders, as many as may be read now within a share of the budget."""
        started: list[asyncio.Task[str | None]] = []
        for waiter in waiters:
            now = self._loop.time()
            if now < max(self._next_slot(), self._budget.paused_until) or self._budget.delay(now, share):
                break
            if not self._is_to_be_read(waiter):
                continue
            self._spend(now)
            if waiter.ended_unread is not None:
                for each in list(self._waiting[waiter.key]):
                    self._resolve(each, OrderEvent(each.order_id, processing_status=waiter.ended_unread))
                continue
            self._reads[waiter.key] = now
            started.append(self._start(self._read(waiter.key, waiter.order_id)))
        return started

    async def _read(self, key: str, order_id: str) -> str | None:
        """Read one order, for which a call of the budget was spent, and tell all that wait for it."""
        asked_at = self._loop.time()
        try:
            order, event = await self._call(_read_order, self._hook, order_id, self._action)
        except Exception as error:  # noqa: BLE001  # whatever fails a read ends no wait, and no poller
            self._lists.take_read_failure()
            if not self._take_account_error(error, asked_at):
                for waiter in list(self._waiting.get(key, ())):
                    self._take_failure(waiter, error)
            return None
        finally:
            del self._reads[key]
            self._wake.set()
        # Whatever is looked at in a round is due in the next, also when its turn comes late in this one.
        looked_at = self._round_at if self._round is not None else self._loop.time()
        for waiter in list(self._waiting.get(key, ())):
            if event is None:
                self._take_open(waiter, str(order.processing_status), creation_day(order), looked_at)
            elif event.order is not None:
                self._resolve(waiter, event)
            else:
                # Too large for an event: the task will read the order again, when the budget allows that call.
                waiter.see_ended(str(event.processing_status))
        return str(order.processing_status)

    # --- what a look shows ---

    async def _take_listing(self, listed: Listing) -> None:
        """Pass on what a list showed. An order that has ended but was listed only as a summary is resolved later, when
        it is its turn to be read.
        """
        for count, (key, (status, created_on)) in enumerate(listed.statuses.items(), 1):
            event = listed.events.get(key)
            for waiter in list(self._waiting.get(key, ())):
                if event is not None and event.order is not None:
                    self._resolve(waiter, event)
                elif status in TERMINAL_STATUSES:
                    waiter.see_ended(status)
                elif waiter.ended_unread is None:
                    self._take_open(waiter, status, created_on, self._round_at)
            if count % _BATCH == 0:
                await asyncio.sleep(0)

    def _take_open(self, waiter: Waiter, status: str, created_on: date | None, looked_at: float) -> None:
        waiter.created_on = created_on or waiter.created_on
        waiter.see_open(status)
        self._look_again(waiter, looked_at)

    def _take_failure(self, waiter: Waiter, error: Exception) -> None:
        if waiter.see_failure(error, time.time()):
            self._resolve(waiter, OrderEvent(waiter.order_id, error=str(error)))
        else:
            self._look_again(waiter, self._loop.time(), at_most=MAX_RETRY_INTERVAL)

    def _take_list_error(self, error: Exception, missing: list[Waiter]) -> None:
        if self._take_account_error(error, self._round_at):
            return
        reason = self._lists.take_error(error, self._loop.time())
        self._explain_rest(reason)
        if reason is None:
            for waiter in missing:
                self._take_failure(waiter, error)

    def _take_account_error(self, error: Exception, asked_at: float) -> bool:
        """Take an error that concerns every call, whatever it asks for: too many calls, or refused credentials.

        :param asked_at: when the call began; of calls that ran side by side, one counts
        :return: whether the error was one of these
        """
        is_limit = isinstance(error, BandwidthApiError) and error.status == 429
        # A 403 of the API may concern lists alone; one of the token endpoint concerns everything.
        is_refused = isinstance(error, BandwidthAuthError) and (
            error.status == 401 or error.url == self._hook.settings.token_url
        )
        now = self._loop.time()
        if (is_limit or is_refused) and asked_at >= self._stopped_at:
            self._stopped_at = now
            if is_limit:
                self._pause_for_limit(error)
            else:
                self._pause_for_refusal(error)
        return is_limit or is_refused

    def _pause_for_limit(self, error: Exception) -> None:
        asked = getattr(error, "retry_after", None)
        # A time that has passed already is by another clock, so the pause grows by itself.
        pause = max(self._grow_pause(), _DEFAULT_PAUSE if asked is None else min(asked, _MAX_PAUSE))
        self._budget.pause(self._loop.time(), pause)
        self._warn_once(
            "Bandwidth limits our calls (HTTP 429): no order of this account is looked at until it takes calls again. "
            "If this goes on, lower the connection's max_requests_per_minute."
        )

    def _pause_for_refusal(self, error: Exception) -> None:
        self._is_refused = True
        self._budget.pause(self._loop.time(), self._grow_pause())
        self._reload_soon()
        if self._refusals.add(self._loop.time()):
            self._refusals.reset()
            for waiter in list(self._iter_waiters()):
                self._resolve(waiter, OrderEvent(waiter.order_id, error=str(error)))

    def _grow_pause(self) -> float:
        pause, self._next_pause = self._next_pause, min(2 * self._next_pause, _MAX_GROWN_PAUSE)
        return pause

    def _look_again(self, waiter: Waiter, looked_at: float, *, at_most: float = float("inf")) -> None:
        now = time.time()
        if waiter.deadline is not None and now >= waiter.deadline:
            self._resolve(waiter, waiter.timeout_event())
            return
        interval = min(waiter.interval(now), at_most)
        waiter.due_at = looked_at + (interval if self._uses_lists() else _jittered(interval))
        if waiter.deadline is not None:
            waiter.due_at = min(waiter.due_at, self._loop.time() + waiter.deadline - now)

    def _resolve(self, waiter: Waiter, event: OrderEvent) -> None:
        if not waiter.future.done():
            waiter.future.set_result(event)
        self._forget(waiter)

    # --- the connection ---

    async def _connect(self) -> None:
        """Read the connection, as often as it takes."""
        pause = 1.0
        while True:
            try:
                await self._use(await self._load_hook())
            except Exception as error:  # noqa: BLE001  # a hiccup of a secrets backend ends no wait
                self._warn_once(f"Cannot read connection {self._hook.bandwidth_conn_id!r}, trying again: {error}")
                for waiter in list(self._iter_waiters()):
                    self._take_failure(waiter, error)
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _MAX_GROWN_PAUSE)

    async def _load_hook(self) -> BandwidthHook:
        _, conn_id, account_id, order_api, _ = self._key
        hook = BandwidthHook(conn_id, account_id, order_api, max_attempts=1)
        async with asyncio.timeout(_RELOAD_LIMIT):
            await uninterrupted(hook.load_settings())
        return hook

    async def _use(self, hook: BandwidthHook) -> None:
        """Go on with a hook whose connection has been read."""
        budget = Budget.of_account(
            self._loop, hook.bandwidth_conn_id, hook.account_id, hook.settings.max_requests_per_minute
        )
        # The session is made once, before threads would make it side by side.
        await self._in_thread(hook.get_conn)
        self._hook = hook
        self._calls_a_look = len(hook.order_api.resources) if self._action is None else 1
        self._budget = budget
        self._reload_at = self._loop.time() + _RELOAD_INTERVAL
        self._refusals.reset()
        if self._is_refused:
            self._is_refused = False
            self._budget.paused_until = 0.0

    def _reload_soon(self) -> None:
        self._reload_at = self._loop.time() + _RELOAD_INTERVAL
        if self._reload is None or self._reload.done():
            self._reload = self._start(self._reload_connection())

    async def _reload_connection(self) -> None:
        """Go on with the connection as it is now, if it has changed."""
        try:
            hook = await self._load_hook()
            if (hook.settings, hook.account_id) == (self._hook.settings, self._hook.account_id):
                return
            before = self._hook
            await self._use(hook)
            before.close()
        except Exception as error:  # noqa: BLE001  # the connection as it was may do
            self._warn_once(
                f"Cannot read connection {self._hook.bandwidth_conn_id!r} again, going on with it as it was: {error}"
            )
            return
        self._warn(
            f"Connection {hook.bandwidth_conn_id!r} has changed: waiting goes on with account {hook.account_id} at "
            f"{hook.settings.base_url}."
        )
        self._wake.set()

    # --- means ---

    async def _run_list(self, read: Callable[[BandwidthHook], Listing]) -> Listing:
        while delay := self._get_delay():
            await asyncio.sleep(delay)
        self._list_since = self._loop.time()
        self._spend(self._list_since)
        self._wake.set()
        try:
            return await self._call(read, self._hook)
        finally:
            self._list_since = None
            self._wake.set()

    def _spend(self, now: float) -> None:
        for _ in range(self._calls_a_look):
            self._budget.spend(now)

    def _get_delay(self) -> float:
        now = self._loop.time()
        return max(self._budget.delay(now), self._budget.paused_until - now, 0.0)

    async def _call(self, call: Callable[..., _Result], *args: object) -> _Result:
        """Run a call of the hook in a thread.

        :raises TimeoutError: it takes too long to be waited for, also in the background
        """
        try:
            async with asyncio.timeout(_GIVE_UP):
                result = await self._in_thread(call, *args)
        except TimeoutError:
            raise TimeoutError(f"no answer within {_GIVE_UP:.0f} seconds") from None
        if not isinstance(result, Listing) or result.error is None:
            self._refusals.reset()
            self._next_pause = 1.0
        return result

    async def _in_thread(self, call: Callable[..., _Result], *args: object) -> _Result:
        """Run something in a thread from which Airflow can be reached, to mask a token for instance.

        On Airflow 3.0 and 3.1, a request to the supervisor from a thread that asgiref does not know ends the triggerer.
        """
        from asgiref.sync import sync_to_async

        return await uninterrupted(sync_to_async(call, thread_sensitive=False, executor=self._threads)(*args))

    def _start(self, work: Coroutine[Any, Any, _Result]) -> asyncio.Task[_Result]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _explain_rest(self, reason: str | None) -> None:
        if reason is not None:
            self._warn_once(
                f"Not using order lists for ten minutes: {reason}. Reading orders one by one, at most "
                f"{self._budget.per_minute} calls a minute."
            )

    def _warn_once(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            self._warn(message)

    def _warn(self, message: str, error: BaseException | None = None) -> None:
        # A log handler that raises is no reason for anybody's wait to end.
        with contextlib.suppress(Exception):
            _log.warning("%s", message, exc_info=error)

    def _warn_of_bug(self, error: BaseException) -> None:
        kind = type(error).__name__
        if kind not in self._said:
            self._said.add(kind)
            self._warn(
                f"An error in the poller of {len(self._waiting)} orders; report it, the waits go on: {error}", error
            )


def _read_order(hook: BandwidthHook, order_id: str, action: Action | None) -> tuple[TnOrder, OrderEvent | None]:
    order = hook.get_tn_order(order_id, action)
    return order, OrderEvent.for_order(order) if order.is_terminal else None


async def uninterrupted(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Wait for work that goes on if the wait is cancelled.

    On Airflow 3.0 and 3.1, an exchange with the supervisor that is cancelled halfway ends the triggerer.
    """
    task = asyncio.create_task(work)
    _UNDER_WAY.add(task)
    task.add_done_callback(_UNDER_WAY.discard)
    return await asyncio.shield(task)


def _jittered(interval: float) -> float:
    return interval + random.uniform(0.0, min(interval * _JITTER, _MAX_JITTER))  # noqa: S311
