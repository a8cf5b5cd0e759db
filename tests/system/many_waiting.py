"""A thousand deferred sensors in a real Airflow: ``python tests/system/many_waiting.py [--count N] [--parallelism N]``.

Scheduler, LocalExecutor, PostgreSQL and a triggerer, on loopback ports. All sensors are brought to wait, the
triggerer's CPU is measured over a minute of waiting, the triggerer is killed by SIGKILL and another one started, and
then all orders end at once. Exits 1 unless every task succeeded at its first try and Bandwidth never had to answer 429.
Most of the time goes into starting task processes, twice for each sensor.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil
from support.airflow_processes import Airflow, Processes, stop_on_termination, wait_for, work_folder
from support.postgres import running_postgres
from support.waiting import add_orders

from airflow_provider_bandwidth.sandbox import Sandbox

DAG = "many_waiting"
#: Seconds over which the triggerer's CPU is measured.
MEASURED = 60.0


def count_states(airflow: Airflow, run_id: str) -> Counter[str]:
    """How many task instances are in each state."""
    states = ("deferred", "success", "failed", "up_for_retry", "upstream_failed")
    path = f"dags/{DAG}/dagRuns/{run_id}/taskInstances"
    return Counter(
        {state: airflow.call("GET", path, params={"limit": 1, "state": state})["total_entries"] for state in states}
    )


def cpu_seconds(processes: Processes, name: str) -> float:
    """CPU that a component and its children have used so far."""
    total = 0.0
    for process in processes.family(name):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def count_retried(airflow: Airflow, run_id: str, count: int) -> int:
    path = f"dags/{DAG}/dagRuns/{run_id}/taskInstances"
    tries = [
        each["try_number"]
        for offset in range(0, count, 100)
        for each in airflow.call("GET", path, params={"limit": 100, "offset": offset})["task_instances"]
    ]
    return sum(number > 1 for number in tries)


def run(airflow: Airflow, processes: Processes, sandbox: Sandbox, order_ids: list[str]) -> bool:
    count = len(order_ids)
    patience = 120 + 4.0 * count
    run_id = airflow.trigger(DAG)
    started = time.monotonic()
    wait_for("all wait", lambda: count_states(airflow, run_id)["deferred"] == count, timeout=patience, interval=3)
    print(f"{count} sensors are deferred after {time.monotonic() - started:.0f} s.", flush=True)

    calls, used = len(sandbox.requests), cpu_seconds(processes, "triggerer")
    time.sleep(MEASURED)
    used = cpu_seconds(processes, "triggerer") - used
    calls = len(sandbox.requests) - calls
    print(f"Waiting: {used / MEASURED:.1%} of a core in the triggerer, {calls} calls in {MEASURED:.0f} s.", flush=True)

    processes.kill("triggerer")
    airflow.start("triggerer-2", "triggerer", "--skip-serve-logs")
    before = sandbox.count(operation="list")
    wait_for("the second triggerer polls", lambda: sandbox.count(operation="list") > before, timeout=120)
    print("The triggerer was killed; a second one has taken over.", flush=True)

    for order_id in order_ids:
        sandbox.finish(order_id, "COMPLETE")
    ended, calls = time.monotonic(), len(sandbox.requests)
    seconds: dict[str, float] = {}
    used = cpu_seconds(processes, "triggerer-2")

    def all_have_left() -> bool:
        return count_states(airflow, run_id)["deferred"] == 0

    wait_for("all events have come", all_have_left, timeout=120, interval=1)
    seconds["events"] = time.monotonic() - ended
    used = cpu_seconds(processes, "triggerer-2") - used
    wait_for("the run has ended", lambda: airflow.is_finished(DAG, run_id), timeout=patience, interval=3)
    seconds["tasks"] = time.monotonic() - ended
    states = count_states(airflow, run_id)
    retried = count_retried(airflow, run_id, count)
    limited = sum(record.status == 429 for record in sandbox.requests)
    print(
        f"\n| {count} deferred sensors, LocalExecutor, PostgreSQL | |\n| --- | --- |\n"
        f"| run | {airflow.state(DAG, run_id)} |\n"
        f"| tasks that succeeded / failed / were retried | {states['success']} / {states['failed']} / {retried} |\n"
        f"| last event after all orders ended | {seconds['events']:.0f} s |\n"
        f"| triggerer's CPU for these events | {used:.1f} s |\n"
        f"| last task done after all orders ended | {seconds['tasks']:.0f} s |\n"
        f"| calls from the orders' end on | {len(sandbox.requests) - calls} |\n"
        f"| answers 429 | {limited} |"
    )
    return states["success"] == count and retried == 0 and limited == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="sensors (default %(default)s)")
    parser.add_argument("--parallelism", type=int, default=4, help="task processes at a time (default %(default)s)")
    arguments = parser.parse_args()
    stop_on_termination()
    started = time.monotonic()
    with (
        work_folder() as folder,
        running_postgres() as database,
        Sandbox() as sandbox,
        Processes(folder) as processes,
    ):
        order_ids = add_orders(sandbox, arguments.count, numbers=10)
        (folder / "orders.json").write_text(json.dumps(order_ids))
        airflow = Airflow(
            processes,
            folder,
            Path(__file__).parent / "dags",
            {
                "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
                "AIRFLOW__CORE__PARALLELISM": str(arguments.parallelism),
                "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(arguments.parallelism),
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.replace("postgresql:", "postgresql+psycopg2:"),
                "AIRFLOW__TRIGGERER__CAPACITY": str(2 * arguments.count),
                "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
                "AIRFLOW_CONN_BANDWIDTH_DEFAULT": sandbox.connection_json,
                "MANY_WAITING_ORDERS": str(folder / "orders.json"),
            },
        )
        try:
            airflow.run("db", "migrate")
            airflow.start_components()
            print(f"Airflow is up after {time.monotonic() - started:.0f} s.", flush=True)
            is_good = run(airflow, processes, sandbox, order_ids)
        except TimeoutError:
            print(processes.tail(), file=sys.stderr)
            raise
    print(f"\n{time.monotonic() - started:.0f} s in all.")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
