"""Random lives of waits: whatever happens on the way, no wait is lost, and the budget is kept.

Each episode is made from its seed, which a failing test prints. Triggers join and are cancelled while Bandwidth and
Airflow hiccup: bursts of refusals and errors from every layer, lists that hide orders, break off or show summaries,
logs that raise. Bandwidth is a table here; slow answers and rotated secrets are in
``test_poller.py``.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from support.fast_time import run_fast, wall_clock
from support.waiting import wait

from airflow_provider_bandwidth.exceptions import (
    BandwidthApiError,
    BandwidthAuthError,
    InvalidResponseError,
    OrderNotFoundError,
)
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.order_records import OPEN_STATUSES, TnOrder
from airflow_provider_bandwidth.triggers import _poller
from airflow_provider_bandwidth.triggers.bandwidth import BandwidthTnOrderTrigger
from airflow_provider_bandwidth.triggers.waiting import OrderEvent, is_refusal
from airflow_provider_bandwidth.wire.orders import OrderListEntry

EPISODES = 200
BUDGET = 60


class Bandwidth:
    """Orders by id, and what goes wrong when somebody asks for them."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.statuses: dict[str, str] = {}
        self.trouble: list[Exception] = []
        self.trouble_share = 0.0
        self.summaries = rng.random() < 0.5
        self.hidden_share = rng.choice([0.0, 0.0, 0.2, 1.0])

    def ask(self) -> None:
        if self.trouble and self.rng.random() < self.trouble_share:
            raise self.rng.choice(self.trouble)

    def order(self, order_id: str) -> TnOrder:
        payload = {
            "order_id": order_id,
            "customer_order_id": None,
            "action": "IMPORT",
            "processing_status": self.statuses[order_id],
            "telephone_numbers": ["9195550101"],
            "errors": [],
            "created_at": datetime.now(UTC).isoformat(),
        }
        return TnOrder.from_dict(payload)

    def get_tn_order(self, order_id: str) -> TnOrder:
        self.ask()
        return self.order(order_id)

    def iter_tn_orders(self, *, statuses: Any, in_full: bool, **_: Any) -> Iterator[OrderListEntry]:
        self.ask()
        for order_id, status in list(self.statuses.items()):
            if status in statuses and self.rng.random() >= self.hidden_share:
                yield OrderListEntry(self.order(order_id), is_summary=self.summaries or not in_full)
        # A list may break off, too.
        self.ask()


def troubles(rng: random.Random) -> list[Exception]:
    """Some of what may go wrong, from all layers."""
    kinds: list[Exception] = [
        BandwidthApiError("unavailable", status=503, retryable=True),
        BandwidthApiError("slow down", status=429, retryable=True, retry_after=rng.choice([0.0, 3.0, None])),
        BandwidthApiError("no connection could be made", retryable=True),
        BandwidthApiError("the TLS connection failed"),
        BandwidthAuthError("who are you", status=401),
        BandwidthAuthError("not you", status=403),
        OrderNotFoundError("a stray answer", status=404),
        BandwidthApiError("bad", status=400),
        InvalidResponseError("half a page"),
        TimeoutError(),
        ZeroDivisionError("a bug"),
        OSError(28, "No space left on device"),
    ]
    return rng.sample(kinds, rng.randint(1, 4))


class Episode:
    """Some minutes in which everything may happen, and then quiet."""

    def __init__(self, rng: random.Random, bandwidth: Bandwidth) -> None:
        self.rng = rng
        self.bandwidth = bandwidth
        self.tasks: dict[str, asyncio.Task[OrderEvent]] = {}
        self.cancelled: list[asyncio.Task[OrderEvent]] = []

    async def live(self) -> None:
        steps = [self.join, self.cancel, self.end, self.move, self.begin_trouble, self.end_trouble]
        for _ in range(self.rng.choice([3, 8, 15, 40])):
            self.join()
        for _ in range(self.rng.randint(5, 20)):
            self.rng.choice(steps)()
            await asyncio.sleep(self.rng.uniform(0.0, 12.0))
            # A burst of refusals is shorter than one that lasts: it would rightly end waits.
            if any(map(is_refusal, self.bandwidth.trouble)):
                self.end_trouble()
        self.end_trouble()
        await self.check()

    async def check(self) -> None:
        statuses = self.bandwidth.statuses
        for order_id in self.tasks:
            if statuses[order_id] in OPEN_STATUSES:
                statuses[order_id] = "COMPLETE"
        events = await asyncio.wait_for(asyncio.gather(*self.tasks.values()), 7200)
        for order_id, event in zip(self.tasks, events, strict=True):
            assert (event.order_id, event.processing_status) == (order_id, statuses[order_id]), event
        await asyncio.gather(*self.cancelled, return_exceptions=True)

    def join(self) -> None:
        order_id = f"{self.rng.getrandbits(64):016x}"
        self.bandwidth.statuses[order_id] = "RECEIVED"
        self.tasks[order_id] = asyncio.create_task(
            wait(
                order_id,
                poke_interval=self.rng.choice([1.0, 5.0, 30.0]),
                started_at=wall_clock() - self.rng.choice([0.0, 0.0, 120.0, 7200.0]),
                processing_status="RECEIVED",
            )
        )

    def cancel(self) -> None:
        task = self.tasks.pop(self.rng.choice(list(self.tasks)), None) if self.tasks else None
        if task is not None:
            task.cancel()
            self.cancelled.append(task)

    def end(self) -> None:
        for order_id in self.rng.sample(list(self.tasks), len(self.tasks) // 3):
            if self.bandwidth.statuses[order_id] in OPEN_STATUSES:
                self.bandwidth.statuses[order_id] = self.rng.choice(["COMPLETE", "PARTIAL", "FAILED"])

    def move(self) -> None:
        for order_id in self.tasks:
            if self.bandwidth.statuses[order_id] == "RECEIVED":
                self.bandwidth.statuses[order_id] = "PROCESSING"

    def begin_trouble(self) -> None:
        self.bandwidth.trouble, self.bandwidth.trouble_share = troubles(self.rng), self.rng.uniform(0.1, 1.0)

    def end_trouble(self) -> None:
        self.bandwidth.trouble = []


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, sandbox: Any, connect: Any) -> pytest.MonkeyPatch:
    connect(sandbox.connection, extra={"max_requests_per_minute": BUDGET})
    monkeypatch.setattr(BandwidthHook, "get_conn", lambda _: None)
    return monkeypatch


@pytest.mark.random_walk
@pytest.mark.parametrize("first", range(0, EPISODES, 50))
def test_no_wait_is_lost_and_the_budget_is_kept(first: int, quiet: pytest.MonkeyPatch) -> None:
    for seed in range(first, first + 50):
        rng = random.Random(seed)
        bandwidth = Bandwidth(rng)
        quiet.setattr(BandwidthHook, "get_tn_order", lambda _, order_id, __, b=bandwidth: b.get_tn_order(order_id))
        quiet.setattr(
            BandwidthHook, "iter_tn_orders", lambda _, b=bandwidth, **parameters: b.iter_tn_orders(**parameters)
        )
        sent: list[float] = []
        real = _poller.Budget.spend

        def spend(self: _poller.Budget, now: float, real: Any = real, sent: list[float] = sent) -> None:
            sent.append(now)
            real(self, now)

        def log_status(self: BandwidthTnOrderTrigger, status: str, rng: random.Random = rng) -> None:
            if rng.random() < 0.1:
                raise OSError(28, "No space left on device")

        with quiet.context() as patch:
            patch.setattr(_poller.Budget, "spend", spend)
            patch.setattr(BandwidthTnOrderTrigger, "_log_status", log_status)
            try:
                run_fast(Episode(rng, bandwidth).live())
            except BaseException:
                print(f"seed {seed}")
                raise
        assert not _poller._POLLERS, seed
        busiest = max((sum(at <= other < at + 60 for other in sent) for at in sent), default=0)
        assert busiest <= BUDGET, seed
