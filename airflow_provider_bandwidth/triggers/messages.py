"""Wait for the delivery of texts in the triggerer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_bandwidth.hooks.messaging import BandwidthMessagingHook
from airflow_provider_bandwidth.triggers._message_poller import MessagePoller, MessageWaiter, MessageWaitEvent
from airflow_provider_bandwidth.triggers.bandwidth import get_earliest_event
from airflow_provider_bandwidth.triggers.waiting import DEADLINE_GRACE, FIRST_POLL_DELAY


class BandwidthMessageTrigger(BaseTrigger):
    """Wait until it is known whether a text was delivered. Sends GETs only, and blocks no event loop.

    All triggers of one connection and account in a process share one poller.

    Times are epoch seconds rather than monotonic ones, since they are stored in Airflow's database and read by another
    process when a triggerer is replaced. Arguments of another release are left out, as in ``BandwidthTnOrderTrigger``.

    :param message_id: the text
    :param bandwidth_conn_id: Airflow connection of type ``bandwidth``
    :param account_id: Bandwidth account; the connection's by default
    :param poke_interval: seconds between two looks
    :param started_at: when the wait began; now by default
    :param deadline: when the wait ends without a result; never by default
    :param status: the status in which the text was last seen; only a different one is logged
    :param sent_at: when Bandwidth took the text, which lets many texts share a search
    :param source: the text's sender, likewise
    """

    def __init__(
        self,
        *,
        message_id: str,
        bandwidth_conn_id: str = BandwidthMessagingHook.default_conn_name,
        account_id: str | None = None,
        poke_interval: float = 60.0,
        started_at: float | None = None,
        deadline: float | None = None,
        status: str | None = None,
        sent_at: float | None = None,
        source: str | None = None,
        **_from_another_release: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.message_id = message_id
        self.bandwidth_conn_id = bandwidth_conn_id
        self.account_id = account_id
        self.poke_interval = poke_interval
        self.started_at = time.time() if started_at is None else started_at
        self.deadline = deadline
        self.status = status
        self.sent_at = sent_at
        self.source = source

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and JSON scalars to make this trigger again in another process."""
        names = ("message_id", "bandwidth_conn_id", "account_id", "poke_interval", "started_at", "deadline", "status")
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {name: getattr(self, name) for name in (*names, "sent_at", "source")},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: :class:`MessageWaitEvent` as JSON."""
        not_before = get_earliest_event(self)
        event = await self._wait()
        await asyncio.sleep(not_before - asyncio.get_running_loop().time())
        yield TriggerEvent(event.to_payload())

    async def _wait(self) -> MessageWaitEvent:
        loop = asyncio.get_running_loop()
        waiter = MessageWaiter(
            self.message_id,
            poke_interval=self.poke_interval,
            started_at=self.started_at,
            deadline=self.deadline,
            sent_at=self.sent_at,
            source=self.source,
            on_change=self._log_status,
            future=loop.create_future(),
            status=self.status,
            due_at=loop.time() + FIRST_POLL_DELAY,
        )
        poller = MessagePoller.join(self.bandwidth_conn_id, self.account_id, waiter)
        patience = None if self.deadline is None else max(0.0, self.deadline - time.time()) + DEADLINE_GRACE
        try:
            async with asyncio.timeout(patience):
                return await waiter.future
        except TimeoutError:
            return waiter.timeout_event()
        finally:
            poller.leave(waiter)

    def _log_status(self, status: str) -> None:
        self.log.info("Message %s is %s.", self.message_id, status)
