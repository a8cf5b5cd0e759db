"""One poller for all texts of one connection and account that the triggers of a process wait for.

Up to ten due texts are looked for one by one. More are looked for in one search over the time in which they were sent,
by their senders if these are few; what that does not show is looked for one by one, as far as the budget goes. The
budget is the one that the poller of orders spends, too. A text that is not shown, or a look that fails, ends no wait;
a refusal that lasts does.

The synchronous hook is the only HTTP client. It runs in threads of the poller's own, and all state lives on the event
loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import reprlib
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from airflow_provider_bandwidth.exceptions import BandwidthApiError, MessageNotFoundError
from airflow_provider_bandwidth.hooks.messaging import BandwidthMessagingHook
from airflow_provider_bandwidth.messaging.records import MessageRecord, judge_message
from airflow_provider_bandwidth.triggers._poller import Budget, uninterrupted
from airflow_provider_bandwidth.triggers.waiting import MAX_RETRY_INTERVAL, Refusals

_Result = TypeVar("_Result")

#: Texts that are looked for one by one; more share a search.
_FEW: Final = 10
#: Rows that a shared search reads at most: ten pages.
_MOST_ROWS: Final = 1000
#: The most senders that one search takes [sdk26].
_MOST_SENDERS: Final = 10
#: Bandwidth's time of a text and ours may differ by so much.
_CLOCK_SKEW: Final = timedelta(minutes=5)
#: Seconds that reading the connection, or a look, may take.
_PATIENCE: Final = 120.0
#: Seconds between two readings of the connection.
_RELOAD_INTERVAL: Final = 60.0
#: Pause in seconds after a 429 that names no time.
_DEFAULT_PAUSE: Final = 30.0
#: The longest pause in seconds that a 429 is believed to ask for.
_MAX_PAUSE: Final = 900.0
#: Seconds after which a text that the search never showed is taken not to exist: how far it lags is not documented.
NOT_SHOWN_GRACE: Final = 900.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MessageWaitEvent:
    """How a wait ended: with a verdict, at its deadline, or given up.

    :param message_id: the text waited for
    :param records: what the search shows of it; empty if the wait ended otherwise
    :param timed_out: whether the deadline passed first
    :param error: why waiting was given up
    :param last_status: the status in which the text was last seen, if it was
    :param last_failure: why the last look failed, if it did
    """

    message_id: str
    records: tuple[MessageRecord, ...] = ()
    timed_out: bool = False
    error: str | None = None
    last_status: str | None = None
    last_failure: str | None = None

    def to_payload(self) -> dict[str, Any]:
        """JSON for Airflow's database; :meth:`from_payload` reads it back."""
        return {
            "message_id": self.message_id,
            "records": [record.to_dict() for record in self.records],
            "timed_out": self.timed_out,
            "error": self.error,
            "last_status": self.last_status,
            "last_failure": self.last_failure,
        }

    @classmethod
    def from_payload(cls, payload: Any) -> MessageWaitEvent:
        """Read an event. Anything else becomes an error that shows it, never a success."""
        try:
            event = cls(
                message_id=str(payload["message_id"]),
                records=tuple(MessageRecord.from_dict(record) for record in payload["records"]),
                timed_out=payload["timed_out"] is True,
                error=payload["error"],
                last_status=payload.get("last_status"),
                last_failure=payload.get("last_failure"),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return cls("unknown", error=f"the trigger sent an event that cannot be read: {reprlib.repr(payload)}")
        if not (judge_message(event.records) or event.timed_out or event.error):
            return cls(event.message_id, error=f"the trigger sent an event without an outcome: {reprlib.repr(payload)}")
        return event


@dataclass(eq=False, slots=True)
class MessageWaiter:
    """One trigger's wait for one text.

    :param poke_interval: seconds between two looks
    :param started_at: epoch seconds
    :param deadline: epoch seconds; ``None`` for never
    :param sent_at: when Bandwidth took the text, epoch seconds, if that is known
    :param source: its sender, if that is known
    :param on_change: called with each status that differs from the last
    """

    message_id: str
    poke_interval: float
    started_at: float
    deadline: float | None
    sent_at: float | None
    source: str | None
    on_change: Callable[[str], None]
    future: asyncio.Future[MessageWaitEvent]
    status: str | None = None
    due_at: float = 0.0
    last_failure: str | None = None
    refusals: Refusals = field(default_factory=Refusals)

    def see(self, records: Sequence[MessageRecord]) -> None:
        """Take what a look showed: the end of the wait, or a status."""
        self.refusals.reset()
        self.last_failure = None
        if judge_message(records) is not None:
            self.end(MessageWaitEvent(self.message_id, tuple(records)))
            return
        status = records[0].status
        if status != self.status:
            self.status = status
            self.on_change(status)

    def see_failure(self, error: Exception, now: float) -> None:
        """Take a failed look; a refusal that lasts ends the wait.

        :param now: epoch seconds
        """
        self.last_failure = str(error) or type(error).__name__
        if isinstance(error, MessageNotFoundError) and self.status is None and now < self.started_at + NOT_SHOWN_GRACE:
            return
        if self.refusals.take_failure(error, now, was_seen=True):
            self.end(MessageWaitEvent(self.message_id, error=str(error)))

    def end(self, event: MessageWaitEvent) -> None:
        """End the wait."""
        if not self.future.done():
            self.future.set_result(event)

    def timeout_event(self) -> MessageWaitEvent:
        """The event of a wait whose deadline has passed."""
        return MessageWaitEvent(
            self.message_id, timed_out=True, last_status=self.status, last_failure=self.last_failure
        )


_Key = tuple[asyncio.AbstractEventLoop, str, str | None]
_POLLERS: Final[dict[_Key, MessagePoller]] = {}


class MessagePoller:
    """Looks for texts of one account for all triggers that wait for them, until the last has left.

    Made by :meth:`join` and ended by the last :meth:`leave`.
    """

    def __init__(self, key: _Key) -> None:
        self._key = key
        loop, conn_id, account_id = key
        self._loop = loop
        self._hook = BandwidthMessagingHook(conn_id, account_id, max_attempts=1)
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="bandwidth-texts")
        self._waiters: list[MessageWaiter] = []
        self._members = 0
        self._wake = asyncio.Event()
        self._reload_at = 0.0
        self._said: set[str] = set()
        # A context of its own: the poller's messages belong to no one trigger's log.
        self._task = loop.create_task(self._run(), name=f"bandwidth-texts-{conn_id}", context=contextvars.Context())

    @classmethod
    def join(cls, conn_id: str, account_id: str | None, waiter: MessageWaiter) -> MessagePoller:
        """Wait with the poller of this connection and account on the running event loop."""
        key = (asyncio.get_running_loop(), conn_id, account_id)
        poller = _POLLERS.get(key)
        if poller is None:
            poller = _POLLERS[key] = cls(key)
        poller._members += 1
        poller._waiters.append(waiter)
        poller._wake.set()
        return poller

    def leave(self, waiter: MessageWaiter) -> None:
        """Stop waiting, however the wait ended; once for each :meth:`join`."""
        self._waiters.remove(waiter)
        self._members -= 1
        if not self._members:
            del _POLLERS[self._key]
            self._task.cancel()
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._hook.close()

    # --- when to look ---

    async def _run(self) -> None:
        while True:
            try:
                await self._sleep_until_due()
                await self._look()
            except Exception as error:  # noqa: BLE001  # no bug of ours may end a thousand waits
                self._warn_once(
                    f"An error in the poller of {len(self._waiters)} texts; report it, the waits go on: {error!r}"
                )
                await asyncio.sleep(5.0)

    async def _sleep_until_due(self) -> None:
        while True:
            at = min((waiter.due_at for waiter in self._open()), default=float("inf"))
            delay = at - self._loop.time()
            if delay <= 0:
                # The event loop's other coroutines want their turn; texts that come together are looked for together.
                await asyncio.sleep(0.05)
                return
            self._wake.clear()
            try:
                async with asyncio.timeout(None if at == float("inf") else delay):
                    await self._wake.wait()
            except TimeoutError:
                return

    def _open(self) -> list[MessageWaiter]:
        return [waiter for waiter in self._waiters if not waiter.future.done()]

    # --- looking ---

    async def _look(self) -> None:
        now = self._loop.time()
        # One look serves all that are due soon.
        due = sorted((each for each in self._open() if each.due_at <= now + 1.0), key=lambda each: each.due_at)
        if not due:
            return
        try:
            await self._connect()
            missing = await self._search(due) if len(due) > _FEW else due
        except Exception as error:  # noqa: BLE001  # whatever fails a look ends no wait, and no poller
            self._take_failure(due, error)
            return
        for waiter in missing:
            try:
                records = await self._call(self._hook.get_message, waiter.message_id)
            except Exception as error:  # noqa: BLE001
                self._take_failure([waiter], error)
                continue
            self._take_records(waiter, records)

    async def _search(self, due: Sequence[MessageWaiter]) -> list[MessageWaiter]:
        """Look for all of which the time is known in one search; return the others, and those that it did not show."""
        timed = [waiter for waiter in due if waiter.sent_at is not None]
        if not timed:
            return list(due)
        records = await self._call(_search, self._hook, timed)
        by_id: dict[str, list[MessageRecord]] = {}
        for record in records:
            by_id.setdefault(record.message_id, []).append(record)
        missing = []
        for waiter in due:
            if found := by_id.get(waiter.message_id):
                self._take_records(waiter, found)
            else:
                missing.append(waiter)
        return missing

    def _take_records(self, waiter: MessageWaiter, records: Sequence[MessageRecord]) -> None:
        if records:
            waiter.see(records)
            self._look_again(waiter, waiter.poke_interval)
        else:
            self._take_failure([waiter], not_shown(waiter.message_id))

    def _take_failure(self, waiters: Iterable[MessageWaiter], error: Exception) -> None:
        if isinstance(error, BandwidthApiError) and error.status == 429:
            pause = min(error.retry_after or _DEFAULT_PAUSE, _MAX_PAUSE)
            self._budget().pause(self._loop.time(), pause)
            self._warn_once(
                "Bandwidth limits our searches (HTTP 429): no text of this account is looked for until it takes "
                "searches again. If this goes on, lower the connection's max_requests_per_minute."
            )
        else:
            # A secret may have been rotated.
            self._reload_at = 0.0
        for waiter in waiters:
            waiter.see_failure(error, time.time())
            self._look_again(waiter, min(waiter.poke_interval, MAX_RETRY_INTERVAL))

    def _look_again(self, waiter: MessageWaiter, interval: float) -> None:
        remaining = float("inf") if waiter.deadline is None else waiter.deadline - time.time()
        if remaining <= 0:
            waiter.end(waiter.timeout_event())
        waiter.due_at = self._loop.time() + min(interval, max(remaining, 0.0))

    # --- means ---

    async def _connect(self) -> None:
        """Read the connection, again every minute."""
        if self._loop.time() < self._reload_at:
            return
        _, conn_id, account_id = self._key
        hook = BandwidthMessagingHook(conn_id, account_id, max_attempts=1)
        async with asyncio.timeout(_PATIENCE):
            await uninterrupted(hook.load_settings())
        if "settings" not in self._hook.__dict__ or hook.settings != self._hook.settings:
            self._hook.close()
            self._hook = hook
        self._reload_at = self._loop.time() + _RELOAD_INTERVAL

    def _budget(self) -> Budget:
        settings = self._hook.settings
        _, conn_id, account_id = self._key
        account = account_id or settings.account_id or ""
        return Budget.of_account(self._loop, conn_id, account, settings.max_requests_per_minute)

    async def _call(self, call: Callable[..., _Result], *args: object) -> _Result:
        """Run a call of the hook in a thread, when the budget allows it."""
        from asgiref.sync import sync_to_async

        budget = self._budget()
        while delay := max(budget.delay(self._loop.time()), budget.paused_until - self._loop.time(), 0.0):
            await asyncio.sleep(delay)
        budget.spend(self._loop.time())
        async with asyncio.timeout(_PATIENCE):
            return await uninterrupted(sync_to_async(call, thread_sensitive=False, executor=self._threads)(*args))

    def _warn_once(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            _log.warning("%s", message)


def not_shown(message_id: str) -> MessageNotFoundError:
    """The error of a look that did not show the text."""
    return MessageNotFoundError(
        f"the search does not show message {message_id}. It may need a moment; else check the id and the account",
        status=200,
    )


def _search(hook: BandwidthMessagingHook, waiters: Sequence[MessageWaiter]) -> list[MessageRecord]:
    """The outbound texts of the time in which these were sent, up to ``_MOST_ROWS`` of them."""
    times = [datetime.fromtimestamp(each.sent_at, UTC) for each in waiters if each.sent_at is not None]
    senders = {each.source for each in waiters}
    known = None not in senders and len(senders) <= _MOST_SENDERS
    found: list[MessageRecord] = []
    rows = hook.search_messages(
        source=sorted(filter(None, senders)) if known else None,
        direction="OUTBOUND",
        received_from=min(times) - _CLOCK_SKEW,
        received_to=max(times) + _CLOCK_SKEW,
    )
    for record in rows:
        found.append(record)
        if len(found) >= _MOST_ROWS:
            break
    return found
