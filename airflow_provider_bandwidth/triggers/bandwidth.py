"""Wait for orders in the triggerer."""

from __future__ import annotations

import asyncio
import time
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
    Waiter,
    explain_long_wait,
)

#: Seconds that a trigger runs in a triggerer at the least. Airflow's scheduler learns late, under load, that the task
#: process has ended. If the task was queued again by then, it counts as killed from outside and is tried anew.
MIN_DEFERRAL: Final = 15.0


def get_earliest_event(trigger: BaseTrigger) -> float:
    """When, by the event loop's clock, a trigger that begins now may fire."""
    # Only a triggerer gives ids. Where dag.test() runs the trigger, there is no scheduler that could be late.
    return asyncio.get_running_loop().time() + (0.0 if trigger.trigger_id is None else MIN_DEFERRAL)


class BandwidthTnOrderTrigger(BaseTrigger):
    """Wait until an order is terminal. Sends GETs only, and blocks no event loop.

    All triggers of one connection and account in a process share one poller, so that a thousand orders cost about as
    many calls as one.

    Times are epoch seconds rather than monotonic ones, since they are stored in Airflow's database and read by another
    process when a triggerer is replaced.

    :param order_id: the order
    :param bandwidth_conn_id: Airflow connection of type ``bandwidth``
    :param account_id: Bandwidth account; the connection's by default, also when that changes
    :param poke_interval: the shortest interval, in seconds, at which the order is looked at. It grows to a twentieth
        of the time waited, up to ``max_wait``, and where the connection's ``max_requests_per_minute`` asks for it
    :param started_at: when the wait began; now by default
    :param deadline: when the wait ends without a result; never by default
    :param processing_status: the status in which the order was last seen; only other ones are logged
    :param exponential_backoff: let the interval grow as fast as the time waited
    :param max_wait: seconds to which the interval grows at most, ten minutes by default
    :param order_api: which of Bandwidth's order APIs the order belongs to; the connection's if ``None``
    :param action: what the order does, ``IMPORT`` or ``REMOVE``; ``None`` if that is not known. Where an order API has
        a place for each action, knowing it saves calls
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
        explanation = explain_long_wait(self.order_id, waiter.status)
        if explanation is not None:
            self.log.info(explanation)

    def _log_status(self, status: str) -> None:
        self.log.info("Order %s is %s.", self.order_id, status)
