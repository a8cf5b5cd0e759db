"""Wait for orders in the triggerer."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.triggers._poller import OrderPoller
from airflow_provider_bandwidth.triggers.waiting import (
    DEADLINE_GRACE,
    LONG_WAIT,
    OrderEvent,
    OrdersEvent,
    Waiter,
    explain_long_wait,
)

#: Seconds that a trigger runs in a triggerer at the least. Airflow's scheduler learns late, under load, that the task
#: process has ended. If the task was queued again by then, it counts as killed from outside and is tried anew.
MIN_DEFERRAL: Final = 15.0
#: Seconds between two lines of the log that count many orders by status.
_LOG_INTERVAL: Final = 60.0


def get_earliest_event(trigger: BaseTrigger) -> float:
    """When, by the event loop's clock, a trigger that begins now may fire."""
    # Only a triggerer gives ids. Where dag.test() runs the trigger, there is no scheduler that could be late.
    return asyncio.get_running_loop().time() + (0.0 if trigger.trigger_id is None else MIN_DEFERRAL)


class BandwidthTnOrderTrigger(BaseTrigger):
    """Wait until an order is terminal. Sends GETs only, and blocks no event loop.

    All triggers of one connection and account in a process share one poller, so that a thousand orders cost about as
    many calls as one.

    Times are epoch seconds rather than monotonic ones, since they are stored in Airflow's database and read by another
    process when a triggerer is replaced. Arguments that only another release knows are left out, so that a task that
    was deferred before an upgrade waits on after it.

    :param order_id: the order
    :param bandwidth_conn_id: Airflow connection of type ``bandwidth``
    :param account_id: Bandwidth account; the connection's by default, also when that changes
    :param poke_interval: the shortest interval, in seconds, at which the order is looked at. It grows to a twentieth
        of the time waited, up to ``max_wait``, and where the connection's ``max_requests_per_minute`` asks for it
    :param started_at: when the wait began; now by default
    :param deadline: when the wait ends without a result; never by default
    :param processing_status: the status in which the order was last seen; only a different one is logged
    :param exponential_backoff: let the interval grow as fast as the time waited
    :param max_wait: seconds to which the interval grows at most, ten minutes by default
    :param order_api: which of Bandwidth's order APIs the order belongs to; the connection's if ``None``
    :param action: what the order does, ``IMPORT`` or ``REMOVE``; ``None`` if that is not known. Where an order API
        keeps the orders of each action apart, knowing it saves calls
    """

    def __init__(
        self,
        *,
        order_id: str,
        bandwidth_conn_id: str = BandwidthHook.default_conn_name,
        account_id: str | None = None,
        poke_interval: float = 60.0,
        started_at: float | None = None,
        deadline: float | None = None,
        processing_status: str | None = None,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        order_api: str | None = None,
        action: str | None = None,
        **_from_another_release: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.order_id = order_id
        self.bandwidth_conn_id = bandwidth_conn_id
        self.account_id = account_id
        self.poke_interval = poke_interval
        self.started_at = time.time() if started_at is None else started_at
        self.deadline = deadline
        self.processing_status = processing_status
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.order_api = order_api
        self.action = action

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and JSON scalars to make this trigger again in another process."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "order_id": self.order_id,
                "bandwidth_conn_id": self.bandwidth_conn_id,
                "account_id": self.account_id,
                "poke_interval": self.poke_interval,
                "started_at": self.started_at,
                "deadline": self.deadline,
                "processing_status": self.processing_status,
                "exponential_backoff": self.exponential_backoff,
                "max_wait": self.max_wait,
                "order_api": self.order_api,
                "action": self.action,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: :class:`OrderEvent` as JSON."""
        not_before = get_earliest_event(self)
        event = await self._wait()
        await asyncio.sleep(not_before - asyncio.get_running_loop().time())
        shown = event.order.order_api if event.order is not None else event.order_api
        yield TriggerEvent(replace(event, order_api=self.order_api or shown).to_payload())

    async def _wait(self) -> OrderEvent:
        waiter = Waiter(
            self.order_id,
            poke_interval=self.poke_interval,
            started_at=self.started_at,
            deadline=self.deadline,
            on_change=self._log_status,
            status=self.processing_status,
            exponential_backoff=self.exponential_backoff,
            max_wait=self.max_wait,
        )
        poller = OrderPoller.join(self.bandwidth_conn_id, self.account_id, waiter, self.order_api, self.action)
        explanation = self._explain_later(waiter)
        try:
            async with asyncio.timeout(self._get_patience()):
                return await waiter.future
        except TimeoutError:
            return waiter.timeout_event()
        finally:
            if explanation is not None:
                explanation.cancel()
            poller.leave(waiter)

    def _get_patience(self) -> float | None:
        """Seconds after which not even the look at the deadline is waited for."""
        return None if self.deadline is None else max(0.0, self.deadline - time.time()) + DEADLINE_GRACE

    def _explain_later(self, waiter: Waiter) -> asyncio.TimerHandle | None:
        """Say once why an order may be open for so long: not again in the triggerer that takes over."""
        remaining = self.started_at + LONG_WAIT - time.time()
        if remaining <= 0:
            return None
        return asyncio.get_running_loop().call_later(remaining, self._explain_long_wait, waiter)

    def _explain_long_wait(self, waiter: Waiter) -> None:
        explanation = explain_long_wait(self.order_id, waiter.status, self.order_api)
        if explanation is not None:
            self.log.info(explanation)

    def _log_status(self, status: str) -> None:
        self.log.info("Order %s is %s.", self.order_id, status)


class BandwidthTnOrdersTrigger(BaseTrigger):
    """Wait until each of many orders is terminal, and say so in one event. Sends GETs only, and blocks no event loop.

    It looks through the poller that all triggers of the connection and account share. The event has ids and statuses
    only: the task reads the orders. Arguments of another release are left out, as in ``BandwidthTnOrderTrigger``.

    :param order_ids: the orders
    :param bandwidth_conn_id: Airflow connection of type ``bandwidth``
    :param account_id: Bandwidth account; the connection's by default, also when that changes
    :param poke_interval: as ``BandwidthTnOrderTrigger`` has it
    :param started_at: when the wait began, epoch seconds; now by default
    :param deadline: when the wait ends for the orders that are open then, epoch seconds; never by default
    :param order_api: which of Bandwidth's order APIs the orders belong to; the connection's if ``None``
    :param action: what all the orders do, ``IMPORT`` or ``REMOVE``; ``None`` if that is not known
    """

    def __init__(
        self,
        *,
        order_ids: list[str],
        bandwidth_conn_id: str = BandwidthHook.default_conn_name,
        account_id: str | None = None,
        poke_interval: float = 60.0,
        started_at: float | None = None,
        deadline: float | None = None,
        order_api: str | None = None,
        action: str | None = None,
        **_from_another_release: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.order_ids = order_ids
        self.bandwidth_conn_id = bandwidth_conn_id
        self.account_id = account_id
        self.poke_interval = poke_interval
        self.started_at = time.time() if started_at is None else started_at
        self.deadline = deadline
        self.order_api = order_api
        self.action = action
        self._has_changes = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and JSON to make this trigger again in another process."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "order_ids": self.order_ids,
                "bandwidth_conn_id": self.bandwidth_conn_id,
                "account_id": self.account_id,
                "poke_interval": self.poke_interval,
                "started_at": self.started_at,
                "deadline": self.deadline,
                "order_api": self.order_api,
                "action": self.action,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: :class:`OrdersEvent` as JSON."""
        not_before = get_earliest_event(self)
        waiters = [
            Waiter(
                order_id,
                poke_interval=self.poke_interval,
                started_at=self.started_at,
                deadline=self.deadline,
                on_change=self._note_change,
            )
            for order_id in self.order_ids
        ]
        explanation = self._explain_later(waiters)
        pollers = [
            OrderPoller.join(self.bandwidth_conn_id, self.account_id, waiter, self.order_api, self.action)
            for waiter in waiters
        ]
        try:
            await self._wait(waiters)
        finally:
            if explanation is not None:
                explanation.cancel()
            for poller, waiter in zip(pollers, waiters, strict=True):
                poller.leave(waiter)
        await asyncio.sleep(not_before - asyncio.get_running_loop().time())
        events = (waiter.future.result() if _has_ended(waiter) else waiter.timeout_event() for waiter in waiters)
        yield TriggerEvent(OrdersEvent.of(events).to_payload())

    async def _wait(self, waiters: list[Waiter]) -> None:
        """Wait until all have ended, or the look at the deadline is overdue; log a line a minute at most."""
        pending: set[asyncio.Future[OrderEvent]] = {waiter.future for waiter in waiters}
        give_up_at = float("inf") if self.deadline is None else self.deadline + DEADLINE_GRACE
        while pending and (remaining := give_up_at - time.time()) > 0:
            _, pending = await asyncio.wait(pending, timeout=min(remaining, _LOG_INTERVAL))
            if self._has_changes and pending:
                self._has_changes = False
                counts = Counter(waiter.status or "not seen" for waiter in waiters if not waiter.future.done())
                counts["ended"] = len(waiters) - len(pending)
                described = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
                self.log.info("Waiting for %d orders: %s.", len(waiters), described)
        for waiter in waiters:
            if waiter.future.cancelled():
                # The poller ends with its event loop, and so does this trigger.
                raise asyncio.CancelledError

    def _note_change(self, _: str) -> None:
        self._has_changes = True

    def _explain_later(self, waiters: list[Waiter]) -> asyncio.TimerHandle | None:
        remaining = self.started_at + LONG_WAIT - time.time()
        if remaining <= 0:
            return None
        return asyncio.get_running_loop().call_later(remaining, self._explain_long_wait, waiters)

    def _explain_long_wait(self, waiters: list[Waiter]) -> None:
        for waiter in waiters:
            if waiter.future.done():
                continue
            explanation = explain_long_wait(waiter.order_id, waiter.status, self.order_api)
            if explanation is not None:
                self.log.info(explanation)
                return


def _has_ended(waiter: Waiter) -> bool:
    return waiter.future.done() and not waiter.future.cancelled()
