"""Waits of triggers, as coroutines for tests and benchmarks."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import requests

from airflow_provider_bandwidth.sandbox import Sandbox
from airflow_provider_bandwidth.sandbox.settings import DEFAULT_APPLICATION
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


def add_texts(sandbox: Sandbox, count: int, *, delivered_after: float) -> list[str]:
    """Texts that are on their way for so many seconds by the sandbox's clock; their ids."""
    sender = "9195550101"
    sandbox.seed(imported=[sender])
    sandbox.configure(campaign_required=False, ready_lag_seconds=0, message_delivery_seconds=delivered_after)
    url = f"{sandbox.messaging_url}/users/{sandbox.default_location[0]}/messages"
    answers = [
        requests.post(
            url,
            json={
                "applicationId": DEFAULT_APPLICATION,
                "to": [f"+1212555{number:04d}"],
                "from": f"+1{sender}",
                "text": "hello",
            },
            auth=("sandbox", "sandbox"),
            timeout=30,
        )
        for number in range(100, 100 + count)
    ]
    return [answer.json()["id"] for answer in answers]


def connection_variable(sandbox: Sandbox, conn_id: str = "bandwidth_default", **extra: Any) -> tuple[str, str]:
    """Name and value of the environment variable that connects to the sandbox, with some extra fields."""
    connection = {**sandbox.connection, "extra": {**sandbox.connection["extra"], **extra}}
    return f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection)
