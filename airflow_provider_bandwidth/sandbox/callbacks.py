"""Callbacks to a loopback URL of the user's: when they are due, again until they are taken, and what came of them."""

from __future__ import annotations

import asyncio
import base64
import heapq
import itertools
import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final
from urllib.parse import urlsplit

#: How long an endpoint may take [msgdocs].
_ANSWER_SECONDS: Final = 10.0
_TICK_SECONDS: Final = 0.01


@dataclass(frozen=True, slots=True)
class Target:
    """Where callbacks go.

    :param credentials: ``user:password`` for Basic; empty for none
    :param retry_seconds: seconds for which one is sent again until it is answered 2xx; 0 sends it once
    """

    url: str
    credentials: str = ""
    retry_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CallbackRecord:
    """One attempt at a callback.

    :param status: what the endpoint answered; ``None`` if nothing
    """

    url: str
    body: object
    attempt: int
    status: int | None

    def to_dict(self) -> dict[str, object]:
        """JSON-ready values."""
        return asdict(self)


@dataclass(slots=True)
class _Callback:
    body: object
    target: Target
    attempt: int = 0
    give_up_at: float = 0.0


class Callbacks:
    """Callbacks that are due by the store's clock, sent one after another in the event loop that schedules them.

    :param clock: the store's clock, monotonic seconds
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._due: list[tuple[float, int, _Callback]] = []
        self._records: list[CallbackRecord] = []
        self._clears = 0
        self._pump: asyncio.Task[None] | None = None

    def clear(self) -> None:
        """Forget what is due and what was sent."""
        with self._lock:
            self._due = []
            self._records = []
            self._clears += 1

    def records(self) -> list[CallbackRecord]:
        """Every attempt, first one first."""
        with self._lock:
            return list(self._records)

    def schedule(self, due: float, body: object, target: Target) -> None:
        """Send a body at a time of the store's clock."""
        self._push(due, _Callback(body, target))
        loop = asyncio.get_running_loop()
        if self._pump is None or self._pump.done() or self._pump.get_loop() is not loop:
            self._pump = loop.create_task(self._run())

    def _push(self, due: float, callback: _Callback) -> None:
        with self._lock:
            heapq.heappush(self._due, (due, next(self._numbers), callback))

    def _pop(self) -> _Callback | None:
        with self._lock:
            if self._due and self._due[0][0] <= self._clock():
                return heapq.heappop(self._due)[2]
        return None

    async def _run(self) -> None:
        while self._due:
            callback = self._pop()
            if callback is None:
                await asyncio.sleep(_TICK_SECONDS)
            else:
                await self._send(callback)

    async def _send(self, callback: _Callback) -> None:
        target, clears = callback.target, self._clears
        callback.attempt += 1
        if callback.attempt == 1:
            callback.give_up_at = self._clock() + target.retry_seconds
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                status = await _post(target, json.dumps(callback.body).encode())
        except (OSError, TimeoutError, ValueError, LookupError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            status = None
        with self._lock:
            if clears != self._clears:
                return
            self._records.append(CallbackRecord(target.url, callback.body, callback.attempt, status))
        taken = status is not None and status // 100 == 2
        again = self._clock() + min(0.1 * 2**callback.attempt, 5.0)
        if not taken and again <= callback.give_up_at:
            self._push(again, callback)


async def _post(target: Target, body: bytes) -> int:
    """The status of a POST."""
    parts = urlsplit(target.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {
            "Host": parts.netloc,
            "User-Agent": "BandwidthAPI/v2",
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
        if target.credentials:
            headers["Authorization"] = f"Basic {base64.b64encode(target.credentials.encode()).decode()}"
        head = "".join(
            (f"POST {path} HTTP/1.1\r\n", *(f"{key}: {value}\r\n" for key, value in headers.items()), "\r\n")
        )
        writer.write(head.encode("latin-1") + body)
        await writer.drain()
        return int((await reader.readuntil(b"\n")).split()[1])
    finally:
        writer.close()
