"""Other ways to wait for many orders, to compare with: one poll an order and round each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from airflow.triggers.base import BaseTrigger, TriggerEvent
from support.wire import read_order


class IdleTrigger(BaseTrigger):
    """The least that a deferred task costs: a trigger that only sleeps."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.IdleTrigger", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await asyncio.sleep(3600)
        yield TriggerEvent(None)


class SelfPollingTrigger(BaseTrigger):
    """Polls by itself, with an aiohttp session for each poll, as the dbt Cloud provider's trigger does."""

    def __init__(self, url: str, authorization: str, poke_interval: float) -> None:
        super().__init__()
        self.url = url
        self.authorization = authorization
        self.poke_interval = poke_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        values = {"url": self.url, "authorization": self.authorization, "poke_interval": self.poke_interval}
        return f"{__name__}.SelfPollingTrigger", values

    async def run(self) -> AsyncIterator[TriggerEvent]:
        while True:
            async with (
                aiohttp.ClientSession(headers={"Authorization": self.authorization}) as session,
                session.get(self.url) as response,
            ):
                response.raise_for_status()
                order = read_order(await response.read())
            if order.is_terminal:
                break
            await asyncio.sleep(self.poke_interval)
        yield TriggerEvent(order.order_id)


async def poll_raw(host: str, port: int, path: str, authorization: str, poke_interval: float) -> None:
    """The floor of polling: a GET on a connection that stays open, whose answer is not even parsed."""
    reader, writer = await asyncio.open_connection(host, port)
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {authorization}\r\n\r\n".encode()
    try:
        while True:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            start = head.index(b"content-length:") + 15
            body = await reader.readexactly(int(head[start : head.index(b"\r", start)]))
            if b">COMPLETE<" in body:
                return
            await asyncio.sleep(poke_interval)
    finally:
        writer.close()
