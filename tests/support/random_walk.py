"""Random sequences of faults, kills, retries and clears around one submitting task; what became of its orders."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

from support.airflow_task import (
    CONN_VARIABLE,
    AirflowTask,
    FakeTime,
    StateStore,
    TaskKilledError,
    connection_json,
    live,
)
from support.imports import IMPORT_DEFAULTS
from support.in_process import in_process

from airflow_provider_bandwidth.exceptions import AmbiguousSubmissionError, BandwidthError
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.orders import TnOrder, TnOrderRequest
from airflow_provider_bandwidth.sandbox import Sandbox

#: The search shows an order at most this many seconds after its POST was sent: within the minute of the promise.
LAG = 55
STATUSES = (408, 500, 502, 503, 504)
BODIES = ("html", "json", "empty", "other-root", "doctype")
CONTRADICTIONS = ("account", "action", "customer-order-id", "numbers", "site")

#: Fault, operation, options; a callable is drawn anew each time.
FAULTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("drop", "submit", {"when": ("before", "after"), "times": (1, 2, 3)}),
    ("status", "submit", {"when": ("before", "after"), "status": STATUSES, "times": (1, 2, 3)}),
    ("truncate", "submit", {"how": ("length", "xml")}),
    ("body", "submit", {"kind": BODIES}),
    ("rate-limit", "submit", {"seconds": (1, 70), "header": ("X-RateLimit-Reset", "Retry-After", "none")}),
    ("unauthorized", "submit", {"times": (1, 2)}),
    ("refuse", "submit", {"code": ("25010", "5022")}),
    ("redirect", "submit", {"status": (302, 307)}),
    ("drop", "list", {"times": (1, 5, 10), "after": (0, 1, 2, 5)}),
    ("status", "list", {"status": STATUSES, "times": (1, 5, 12, 30), "after": (0, 1, 2, 5)}),
    ("status", "list", {"status": (403, 404), "body": ("html", "json"), "after": (0, 1, 3)}),
    ("status", "list", {"status": (404,), "body": ("empty", "xml")}),
    ("truncate", "list", {"how": ("length", "xml"), "after": (0, 1, 3)}),
    ("body", "list", {"kind": BODIES, "after": (0, 1, 3)}),
    ("drop", "order", {"times": (1, 5), "after": (0, 1)}),
    ("status", "order", {"status": (*STATUSES, 404), "times": (1, 5), "after": (0, 1)}),
    ("body", "order", {"kind": BODIES}),
    ("status", "order", {"status": (404,), "body": ("xml",), "times": (1, 10, 30)}),
    ("setting", "submit", {"contradict": CONTRADICTIONS}),
    ("setting", "list", {"contradict": CONTRADICTIONS, "times": (1, 3), "after": (0, 1, 3)}),
    ("setting", "order", {"contradict": CONTRADICTIONS, "times": (1, 3), "after": (0, 1)}),
    ("setting", "list", {"echo_customer_order_id": (False,), "times": (1, 3)}),
    ("status", "token", {"status": STATUSES, "times": (1, 5)}),
)
#: Where a process may die; the store's points come up only where there is one.
DEATHS = ("at once", "before POST", "after POST", "in flight", "before store", "after store", "before XCom")


@dataclass
class Outcome:
    """What many walks came to. ``failures`` holds the number of each walk that went wrong, and how."""

    seed: int
    walks: int = 0
    attempts: int = 0
    deaths: int = 0
    faults: int = 0
    orders: int = 0
    failures: list[tuple[int, str]] = field(default_factory=list)

    @property
    def is_exactly_once(self) -> bool:
        return not self.failures

    def __str__(self) -> str:
        kinds = [kind for _, kind in self.failures]
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("duplicated", "lost", "wrong ids", "stuck"))
        text = (
            f"Random walk, seed {self.seed}: {self.walks} walks, {self.attempts} attempts, {self.deaths} killed, "
            f"{self.faults} faults, {self.orders} orders: {counts}."
        )
        return text if self.is_exactly_once else f"{text} First: walk {self.failures[0][0]}"


class _DyingStore(StateStore):
    """Dies at the next write, before or after it."""

    death: str | None = None

    def set(self, key: str, value: Any) -> None:
        death, self.death = self.death, None
        if death == "before store":
            raise TaskKilledError
        super().set(key, value)
        if death == "after store":
            raise TaskKilledError


class _DyingHook(BandwidthHook):
    """Dies around its POST, or gives up on one that Bandwidth goes on with."""

    def __init__(self, *args: Any, death: str | None, later: Callable[[Callable[[], None]], None], **more: Any) -> None:
        super().__init__(*args, **more)
        self._death = death
        self._later = later

    def create_tn_order(self, request: TnOrderRequest) -> TnOrder:
        death, self._death = self._death, None
        if death == "before POST":
            raise TaskKilledError
        if death in ("in flight", "time-out"):
            self._later(partial(_send, request))
            if death == "in flight":
                raise TaskKilledError
            raise AmbiguousSubmissionError(request.customer_order_id, "no answer within the connection's timeout")
        order = super().create_tn_order(request)
        if death == "after POST":
            raise TaskKilledError
        return order


def _send(request: TnOrderRequest) -> None:
    with suppress(BandwidthError), patch("airflow_provider_bandwidth.hooks._api.mask_secret", id):
        BandwidthHook(max_attempts=1).create_tn_order(request)


class _Walk:
    def __init__(self, outcome: Outcome, sandbox: Sandbox, rng: random.Random, action: str, *, several: bool) -> None:
        self._outcome = outcome
        self._sandbox = sandbox
        self._rng = rng
        self._time = FakeTime(sandbox)
        sandbox.reset()
        lag = rng.choice((0, 0, 5, 30, LAG))
        self._flight = LAG - lag
        sandbox.configure(
            search_lag_seconds=lag,
            read_lag_seconds=rng.choice((0, 0, 0, 20)),
            drop_customer_order_id=rng.choice(("never", "never", "always", "CustomerOrderID")),
            echo_customer_order_id=rng.random() < 0.9,
            customer_order_id_case=rng.choice(("kept", "kept", "upper")),
            list_form=rng.choice(("full", "summary")),
            customer_order_id_match=rng.choice(("exact", "prefix")),
            partial_list=rng.choice(("all", "completed")),
            dialect=rng.choice("SOHP"),
        )
        numbers = [f"919555{line}" for line in rng.sample(range(1000, 9999), rng.choice((1, 2, 5)))]
        ahead = timedelta(hours=rng.choice((0, 0, 0, -3, -0.1, 0.1, 3)))
        if rng.random() < 0.3:
            # What lost its id cannot be told from this task's within the difference of the clocks.
            hour_ago = datetime.now(UTC) - timedelta(hours=1) - abs(ahead)
            others = {"order_api": sandbox.settings.order_apis, "action": action}
            sandbox.add_order(numbers, created_at=hour_ago, **others)
            sandbox.add_order(numbers, customer_order_id="airflow-of-another-task", created_at=hour_ago, **others)
            sandbox.add_order([*numbers, "9195550999"], **others)
        self._store = _DyingStore() if rng.random() < 0.5 else None
        chunks = {"chunk_size": 1} if several else {}
        self._task = AirflowTask(numbers, self._time, store=self._store, ahead=ahead, action=action, **chunks)

    def run(self) -> str | None:
        """What went wrong, if anything."""
        for episode in range(self._rng.choice((1, 1, 2, 3))):
            if episode:
                self._sandbox.clear_faults()
                for order in live(self._task.orders(self._sandbox)):
                    if not order.is_terminal:
                        self._sandbox.finish(order.order_id, self._rng.choice(("FAILED", "COMPLETE")))
                self._task.clear()
            problem = self._run_until_success()
            if problem is not None:
                return problem
        self._outcome.orders += len(self._task.orders(self._sandbox))
        return None

    def _run_until_success(self) -> str | None:
        for remaining in reversed(range(12)):
            returned = self._attempt(in_peace=remaining < 4)
            orders = {part: [] for part in self._task.parts}
            for order in live(self._task.orders(self._sandbox)):
                orders[frozenset(order.telephone_numbers)].append(order.order_id)
            if any(len(ids) > 1 for ids in orders.values()):
                return "duplicated"
            if returned is not None and not all(orders.values()):
                return "lost"
            if returned is not None and [*returned] != [order_id for (order_id,) in orders.values()]:
                return "wrong ids"
            if returned is not None:
                return None
            self._time.sleep(self._rng.choice((0, 1, 30, 300)))
        return "stuck"

    def _attempt(self, *, in_peace: bool) -> list[str] | None:
        """The order ids that Airflow gets to see."""
        self._outcome.attempts += 1
        self._sandbox.clear_faults()
        death = None
        if not in_peace:
            self._put_up_faults()
            death = self._rng.choice((None, None, None, "time-out", *DEATHS))
        if self._store is not None:
            self._store.death = death
        self._task.hook = partial(_DyingHook, death=death, later=self._land_later)
        try:
            if death == "at once":
                self._task.try_number += 1
                raise TaskKilledError
            order_id = self._task.attempt()
            if death == "before XCom":
                raise TaskKilledError
        except TaskKilledError:
            self._outcome.deaths += 1
            return None
        except BandwidthError:
            return None
        return [order_id] if isinstance(order_id, str) else order_id

    def _put_up_faults(self) -> None:
        for fault, operation, options in self._rng.choices(FAULTS, k=self._rng.choice((0, 1, 1, 2, 3))):
            drawn = {name: self._rng.choice(values) for name, values in options.items()}
            self._sandbox.inject(fault, operation=operation, **drawn)
            self._outcome.faults += 1

    def _land_later(self, post: Callable[[], None]) -> None:
        self._time.after(self._rng.uniform(0, self._flight), post)


@contextmanager
def _sandbox(over_http: bool, order_api: str) -> Iterator[Sandbox]:
    # Without a server its port is only a name, and 0 is none.
    sandbox = Sandbox(port=0 if over_http else 8085, received_seconds=1e9, order_apis=order_api)
    with (
        sandbox if over_http else in_process(sandbox),
        patch.dict(os.environ, {CONN_VARIABLE: connection_json(sandbox, **IMPORT_DEFAULTS)}),
    ):
        yield sandbox


def walk(
    seed: int,
    count: int,
    *,
    first: int = 0,
    over_http: bool = True,
    order_api: str = "externalTns",
    action: str = "IMPORT",
    several: bool = False,
) -> Outcome:
    """So many walks; each depends on the seed and its number alone, so that one can be repeated.

    :param order_api: the one order API of the account
    :param several: whether the task makes an order of each number, up to five of them
    :param over_http: false for calls without sockets, which take a third of the time
    """
    outcome = Outcome(seed)
    with _sandbox(over_http, order_api) as sandbox:
        for number in range(first, first + count):
            problem = _Walk(outcome, sandbox, random.Random(f"{seed} {number}"), action, several=several).run()
            outcome.walks += 1
            if problem is not None:
                outcome.failures.append((number, problem))
    return outcome
