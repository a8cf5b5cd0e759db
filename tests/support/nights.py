"""A sync, night by night: the real task group in :mod:`support.mini_airflow`, against the sandbox."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from airflow.providers.common.compat.sdk import DAG
from support.mini_airflow import MiniAirflow, Run, TaskInstance
from support.sync_walk import DAY, SEND, living_in
from support.virtual_time import VirtualTime

from airflow_provider_bandwidth.sandbox import Order, Sandbox
from airflow_provider_bandwidth.task_groups.bandwidth import bandwidth_number_sync

NUMBERS = [f"919666{last:04d}" for last in range(5)]


class Nights:
    """One DAG, run by run. ``dies`` says at which of its points an attempt of a task instance dies, if it does."""

    def __init__(self, folder: Path, sandbox: Sandbox, stack: ExitStack, *, store: bool = True) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.world = VirtualTime(random.Random(7))
        self.dies: Callable[[TaskInstance], int | None] = lambda _: None
        self.airflow = MiniAirflow(self.world, has_state_store=store, draw_death=lambda each: self.dies(each))
        stack.callback(self.world.end)
        stack.enter_context(living_in(self.airflow, self.send))
        self.write(NUMBERS)

    def send(self, session: requests.Session, request: requests.PreparedRequest, **more: Any) -> requests.Response:
        """One call of a task: the process may die before or after it is answered."""
        self.world.point()
        response = SEND(session, request, **more)
        self.world.point()
        return response

    def write(self, numbers: list[str]) -> None:
        """What the organisation wants."""
        with (self.folder / "extract.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([("phone",), *((number,) for number in numbers)])

    def make_dag(self, dag_id: str = "nightly", **parameters: Any) -> Any:
        given = {
            "campaign_id": "CABC123",
            "remove_missing": True,
            "max_removals": 1.0,
            "min_desired": 0,
            "poke_interval": 60,
            **parameters,
        }
        with DAG(
            dag_id,
            schedule=None,
            start_date=datetime(2031, 1, 1, tzinfo=UTC),
            max_active_runs=16,
            default_args={"retries": given.pop("retries", 0), "retry_delay": timedelta(seconds=60)},
        ) as dag:
            bandwidth_number_sync(
                group_id="sync",
                extract_path=str(self.folder / "extract.csv"),
                column="phone",
                chunk_size=2,
                deferrable=False,
                report_path=f"{self.folder}/{{{{ dag.dag_id }}}}-{{{{ run_id }}}}.jsonl",
                **given,
            )
        return dag

    def start(self, **parameters: Any) -> Run:
        run_id = f"night-{len(self.airflow.runs)}"
        now = datetime.fromtimestamp(self.world.now, UTC)
        return self.airflow.trigger(self.make_dag(**parameters), run_id, "scheduled", now)

    def night(self, **parameters: Any) -> Run:
        """A run to its end, and the day after it."""
        run = self.start(**parameters)
        self.world.run()
        self.world.now += DAY
        return run

    def clear(self, run: Run, *suffixes: str, downstream: bool = True) -> None:
        """Clear some tasks, and run them to their end."""
        self.airflow.clear(run, lambda each: each.task_id.endswith(suffixes), downstream=downstream)
        self.world.run()

    def rows(self, run: Run) -> dict[str, tuple[str, str, str]]:
        """Fate, code and reason of each number, as the last report of a run has it."""
        paths = sorted(self.folder.glob(f"{run.dag_id}-{run.run_id}*.jsonl"), key=lambda path: len(path.name))
        rows = map(json.loads, paths[-1].read_text().splitlines())
        return {row["telephone_number"]: (row["fate"], row["code"], row["reason"]) for row in rows}

    def summary(self, run: Run) -> dict[str, Any]:
        return json.loads(run.xcoms["sync.report", -1, "return_value"])

    @property
    def assignments(self) -> list[Order]:
        return [order for order in self.sandbox.orders if order.order_api == "tnoptions"]

    @property
    def campaigns(self) -> dict[str, str | None]:
        return {number: options.campaign_id for number, options in self.sandbox._store.numbers_with_campaigns()}
