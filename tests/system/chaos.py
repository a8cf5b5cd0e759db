"""Exactly one order, whatever dies: ``make chaos``.

First a long random walk with a new seed, then a real Airflow (scheduler, LocalExecutor, SQLite): twenty mapped tasks,
of which six are killed by SIGKILL right after their POST was committed; with a naive operator, and with the provider's.
Exits 1 unless the provider's twenty tasks made twenty orders. All that is started is stopped, also on Ctrl-C.

    python tests/system/chaos.py [--walks N] [--seed N]
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

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
from support.random_walk import walk
from support.sync_walk import walk_syncs

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


def main() -> int:
    parser = argparse.ArgumentParser(description="Exactly one order, whatever dies.")
    parser.add_argument("--walks", type=int, default=1000, help="random fault sequences")
    parser.add_argument("--sync-walks", type=int, default=500, help="random lives of a number sync")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    arguments = parser.parse_args()
    stop_on_termination()
    outcome = walk(arguments.seed, arguments.walks)
    print(outcome, flush=True)
    syncs = walk_syncs(arguments.seed, arguments.sync_walks)
    print(syncs, flush=True)
    return 0 if kill_tasks() and outcome.is_exactly_once and not syncs.failures else 1


if __name__ == "__main__":
    sys.exit(main())
