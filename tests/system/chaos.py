"""Exactly one order, whatever dies: ``make chaos``.

First long random walks with a new seed, then a real Airflow (scheduler, LocalExecutor, SQLite): twenty mapped tasks,
of which six are killed by SIGKILL right after their POST was committed; with a naive operator, and with the provider's.
Exits 1 unless the provider's twenty tasks made twenty orders. All that is started is stopped, also on Ctrl-C.

    python tests/system/chaos.py [--walks N] [--seed N]
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
# A thousand walks log a hundred thousand lines.
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"

from support.airflow_processes import Airflow, Processes, stop_on_termination, work_folder
from support.chaos import (
    DAGS,
    NAIVE,
    PROVIDER,
    SEARCH_LAG,
    Result,
    count_complete,
    count_orders,
    kill_while_running,
    print_table,
)
from support.random_walk import Outcome as SubmissionOutcome
from support.random_walk import walk
from support.sync_walk import Happenings, walk_syncs
from support.sync_walk import Outcome as SyncOutcome

from airflow_provider_bandwidth.orders import Action
from airflow_provider_bandwidth.sandbox import Sandbox

#: How many POSTs pass before each one whose task is killed.
KILLED_POSTS = (0, 1, 4, 8, 12, 16)


def run_dag(airflow: Airflow, sandbox: Sandbox, dag_id: str, name: str) -> Result:
    sandbox.reset()
    for passed in KILLED_POSTS:
        sandbox.inject("hold", operation="submit", when="after", after=passed)
    run_id = airflow.trigger(dag_id)
    killed = kill_while_running(airflow, sandbox, dag_id, run_id, timeout=200)
    state = airflow.state(dag_id, run_id)
    results = count_complete(airflow, run_id) if dag_id == PROVIDER else None
    return count_orders(sandbox, name, state, killed, results)


def kill_tasks() -> bool:
    started = time.monotonic()
    with work_folder() as folder, Sandbox(search_lag_seconds=SEARCH_LAG) as sandbox, Processes(folder) as processes:
        airflow = Airflow(
            processes,
            folder,
            DAGS,
            {
                "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
                "AIRFLOW__CORE__PARALLELISM": "4",
                "AIRFLOW_CONN_BANDWIDTH_DEFAULT": sandbox.connection_json,
            },
        )
        try:
            airflow.run("db", "migrate")
            airflow.start_components()
            print(f"Airflow is up after {time.monotonic() - started:.0f} s.", flush=True)
            results = [
                run_dag(airflow, sandbox, NAIVE, "naive"),
                run_dag(airflow, sandbox, PROVIDER, "BandwidthTnOrderOperator"),
            ]
        except TimeoutError:
            print(processes.tail(), file=sys.stderr)
            raise
    print_table("LocalExecutor, tasks killed by SIGKILL after their POST was committed", results)
    print(f"\n{time.monotonic() - started:.0f} s in all.")
    return results[-1].is_exactly_once


def walk_submissions(seed: int, walks: int) -> Iterator[SubmissionOutcome]:
    """On one order API over HTTP; then several orders a task, and each action of the other order APIs."""
    yield walk(seed, walks)
    yield walk(seed, walks // 5, over_http=False, several=True)
    for order_api, action in itertools.product(("importTnOrders", "importTnOrders/messaging"), Action):
        yield walk(seed, walks // 16, over_http=False, order_api=order_api, action=action)


def walk_lives(seed: int, walks: int) -> Iterator[SyncOutcome]:
    """On one order API over HTTP; then a tenth of the walks with a campaign, and on each other order API."""
    yield walk_syncs(seed, walks)
    yield walk_syncs(seed, walks // 10, over_http=False, happenings=Happenings(campaign=True))
    for order_api in ("importTnOrders", "importTnOrders/messaging"):
        yield walk_syncs(seed, walks // 10, over_http=False, order_api=order_api)


def main() -> int:
    parser = argparse.ArgumentParser(description="Exactly one order, whatever dies.")
    parser.add_argument("--walks", type=int, default=1000, help="random fault sequences")
    parser.add_argument("--sync-walks", type=int, default=500, help="random lives of a number sync")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    arguments = parser.parse_args()
    stop_on_termination()
    failures = 0
    for outcome in itertools.chain(
        walk_submissions(arguments.seed, arguments.walks), walk_lives(arguments.seed, arguments.sync_walks)
    ):
        print(outcome, flush=True)
        failures += len(outcome.failures)
    return 0 if kill_tasks() and not failures else 1


if __name__ == "__main__":
    sys.exit(main())
