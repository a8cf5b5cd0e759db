"""A task as Airflow would run it, attempt by attempt, against a sandbox; time that the test moves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from support.tasks import FakeTaskInstance, make_context

from airflow_provider_bandwidth.hooks import _api as hooks
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator
from airflow_provider_bandwidth.orders import ExternalTnsOrderRequest, TnOrder
from airflow_provider_bandwidth.sandbox import Order, Sandbox

CONN_VARIABLE = "AIRFLOW_CONN_BANDWIDTH_DEFAULT"


class FakeTime:
    """Pauses that pass at once, for the client and for the sandbox alike; ``slept`` is their sum in seconds."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.slept = 0.0
        self._due: list[tuple[float, Callable[[], None]]] = []

    def sleep(self, seconds: float) -> None:
        end = self.slept + seconds
        while due := [event for event in self._due if event[0] <= end]:
            event = min(due, key=lambda event: event[0])
            self._due.remove(event)
            self._skip_to(event[0])
            event[1]()
        self._skip_to(end)

    def _skip_to(self, moment: float) -> None:
        seconds = max(0.0, moment - self.slept)
        self.slept += seconds
        self._sandbox.skip(seconds)

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something once so many seconds have been slept."""
        self._due.append((self.slept + seconds, action))

    def clock(self) -> float:
        return time.time() + self.slept


class StateStore:
    """Airflow 3.3's task state store, as far as JSON goes. It survives retries and clearing."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get(self, key: str) -> Any:
        return json.loads(self.values[key]) if key in self.values else None

    def set(self, key: str, value: Any) -> None:
        self.values[key] = json.dumps(value)


class TaskKilledError(BaseException):
    """The process died here: no handler of the code under test may see it as an error of its own."""


class HookKilledAfterPost(BandwidthHook):
    """The process dies once Bandwidth has the order and before anybody learns its id."""

    def create_tn_order(self, request: ExternalTnsOrderRequest) -> TnOrder:
        super().create_tn_order(request)
        raise TaskKilledError


class AirflowTask:
    """One submitting task of one DAG run.

    :param store: the task's state store; ``None`` for Airflow before 3.3
    :param age: how long before its start the run was due: long for a backfill
    :param hook: makes the operator's hook, attempt by attempt
    :param map_index: the task instance's, from 0 for a mapped one
    :param mapped: shared by the task instances of one mapped task
    :param ahead: how far Airflow's clocks are ahead of Bandwidth's
    """

    def __init__(
        self,
        telephone_numbers: Sequence[str],
        fake_time: FakeTime,
        *,
        store: StateStore | None = None,
        run_id: str = "scheduled__2031-03-04",
        age: timedelta = timedelta(seconds=1),
        hook: Callable[..., BandwidthHook] = BandwidthHook,
        map_index: int = -1,
        mapped: dict[int, dict[str, Any]] | None = None,
        ahead: timedelta = timedelta(0),
        **parameters: Any,
    ) -> None:
        self.telephone_numbers = tuple(telephone_numbers)
        self.store = store
        self.try_number = 0
        self.parameters = {"action": "IMPORT", **parameters}
        self.hook = hook
        self._time = fake_time
        self._run_id = run_id
        self.map_index = map_index
        self._mapped: dict[int, dict[str, Any]] = {} if mapped is None else mapped
        self._ahead = ahead.total_seconds()
        self._started = datetime.fromtimestamp(self._clock(), UTC)
        self._due = self._started - age
        self._clear_number = 0

    def attempt(self) -> str:
        """The task's next try; what it returns, or the error that fails it."""
        self.try_number += 1
        ti = FakeTaskInstance(
            "submit",
            dag_id="nightly",
            run_id=self._run_id,
            try_number=self.try_number,
            map_index=self.map_index,
            mapped=self._mapped,
        )
        run = SimpleNamespace(
            start_date=self._started,
            clear_number=self._clear_number,
            run_after=self._due,
            logical_date=self._due,
        )
        context = make_context(ti, dag_run=run)
        if self.store is not None:
            context["task_state_store"] = self.store
        operator = BandwidthTnOrderOperator(
            task_id="submit", telephone_numbers=list(self.telephone_numbers), **self.parameters
        )
        operator.hook = self.hook(sleep=self._time.sleep, clock=self._clock)
        # Airflow's masker builds its pattern anew for every secret: after thousands of tokens nothing else takes time.
        with patch.object(hooks, "mask_secret", id):
            return operator.execute(context)

    def _clock(self) -> float:
        return self._time.clock() + self._ahead

    def clear(self) -> None:
        """Somebody clears the task, some minutes later: the next attempt is one more try."""
        self._time.sleep(600)
        self._clear_number += 1

    @property
    def parts(self) -> list[frozenset[str]]:
        """The numbers of each of the task's orders."""
        size = self.parameters.get("chunk_size", len(self.telephone_numbers))
        numbers = sorted(self.telephone_numbers)
        return [frozenset(numbers[first : first + size]) for first in range(0, len(numbers), size)]

    def orders(self, sandbox: Sandbox) -> list[Order]:
        """The orders at Bandwidth that ask for this task's numbers and were made by this provider."""
        return [
            order
            for order in sandbox.orders
            if frozenset(order.telephone_numbers) in self.parts and order.asked.created_by == "sandbox"
        ]


def connection_json(sandbox: Sandbox, **extra: Any) -> str:
    """The sandbox's connection as an environment variable's value; *extra* fields on top of its own."""
    connection = sandbox.connection
    connection["extra"] = {**connection["extra"], **extra}
    return json.dumps(connection)


def live(orders: Sequence[Order]) -> list[Order]:
    """The orders that did something: a second one is damage."""
    return [order for order in orders if order.status != "FAILED"]
