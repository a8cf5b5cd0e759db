"""Waits of triggers, as coroutines for tests and benchmarks."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

from airflow_provider_bandwidth.sandbox import Sandbox
from airflow_provider_bandwidth.triggers.bandwidth import BandwidthTnOrderTrigger
from airflow_provider_bandwidth.triggers.waiting import OrderEvent


async def wait(order_id: str, **parameters: Any) -> OrderEvent:
    """The event with which the trigger of one order ends."""
    payloads = [event.payload async for event in BandwidthTnOrderTrigger(order_id=order_id, **parameters).run()]
    (payload,) = payloads
    return OrderEvent.from_payload(payload)


@contextlib.asynccontextmanager
async def waits(order_ids: Iterable[str], **parameters: Any) -> AsyncIterator[list[asyncio.Task[OrderEvent]]]:
    """A task a trigger; those that still wait at the end are cancelled, as a triggerer does."""
    tasks = [asyncio.create_task(wait(order_id, **parameters)) for order_id in order_ids]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def add_orders(
    sandbox: Sandbox, count: int, *, status: str = "PROCESSING", numbers: int = 1, **fields: Any
) -> list[str]:
    """Orders that stay as they are until the test ends them; their ids."""
    return [
        sandbox.add_order(
            [f"919{200 + (first + offset) // 10_000:03d}{(first + offset) % 10_000:04d}" for offset in range(numbers)],
            status=status,
            **fields,
        ).order_id
        for first in range(0, count * numbers, numbers)
    ]


def connection_variable(sandbox: Sandbox, conn_id: str = "bandwidth_default", **extra: Any) -> tuple[str, str]:
    """Name and value of the environment variable that connects to the sandbox, with some extra fields."""
    connection = {**sandbox.connection, "extra": {**sandbox.connection["extra"], **extra}}
    return f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection)
