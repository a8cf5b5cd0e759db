"""Exactly one order on a distributed Airflow: ``make chaos-distributed``.

CeleryExecutor with Redis and PostgreSQL from Debian's packages (installed if missing, which takes root), each on a
loopback port of its own; two workers. With a naive operator and with the provider's, twenty orders each: a worker is
killed by SIGKILL, with all its tasks, while it submits, and replaced. For the provider's, the triggerer too is killed
while the waits are deferred, and replaced. Exits 1 unless twenty orders and twenty results come of it.
All that is started is stopped, also on Ctrl-C.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import debian
from support.airflow_processes import Airflow, Processes, free_port, stop_on_termination, wait_for, work_folder
from support.chaos import (
    COUNT,
    DAGS,
    NAIVE,
    PROVIDER,
    SEARCH_LAG,
    Result,
    count_complete,
    count_orders,
    held,
    print_table,
    submitting_processes,
)
from support.postgres import running_postgres

from airflow_provider_bandwidth.sandbox import Sandbox

SLOTS = 4
PYTHON_PACKAGES = ("celery", "redis", "psycopg2", "asyncpg")


def install_redis() -> str:
    """Where redis-server is."""
    if shutil.which("redis-server") is None:
        debian.install("redis-server")
    found = shutil.which("redis-server")
    assert found is not None
    return found


def start_worker(airflow: Airflow, name: str) -> None:
    airflow.start(
        name, "celery", "worker", "-H", f"{name}@%h", "--skip-serve-logs", "--without-gossip", "--without-mingle"
    )


def kill_worker(airflow: Airflow, processes: Processes, sandbox: Sandbox, dag_id: str, run_id: str, name: str) -> int:
    """Kill a worker once both submit; how many of its tasks had their POST committed and not answered."""
    wait_for("both workers submit", lambda: len(held(sandbox)) >= 2 * SLOTS, timeout=200)
    family = {process.pid for process in processes.family(name)}
    killed = len(family & submitting_processes(airflow, sandbox, dag_id, run_id).keys())
    processes.kill(name)
    sandbox.release_requests()
    return killed


def kill_triggerer(airflow: Airflow, processes: Processes, sandbox: Sandbox, run_id: str) -> None:
    """Kill the triggerer once all waits are deferred, replace it, and only then let the orders end."""

    def all_deferred() -> bool:
        states = [task["state"] for task in airflow.task_instances(PROVIDER, run_id)]
        return states.count("deferred") == COUNT

    wait_for("all waits are deferred", all_deferred, timeout=250)
    processes.kill("triggerer")
    airflow.start("triggerer-2", "triggerer", "--skip-serve-logs")
    sandbox.release()


def run_dag(
    airflow: Airflow, processes: Processes, sandbox: Sandbox, dag_id: str, name: str, victim: str, heir: str
) -> Result:
    sandbox.reset()
    sandbox.hold()
    sandbox.inject("hold", operation="submit", when="after", times=2 * SLOTS)
    run_id = airflow.trigger(dag_id)
    killed = kill_worker(airflow, processes, sandbox, dag_id, run_id, victim)
    start_worker(airflow, heir)
    if dag_id == PROVIDER:
        kill_triggerer(airflow, processes, sandbox, run_id)
    wait_for(f"run of {dag_id} ends", lambda: airflow.is_finished(dag_id, run_id), timeout=250)
    results = count_complete(airflow, run_id) if dag_id == PROVIDER else None
    return count_orders(sandbox, name, airflow.state(dag_id, run_id), killed, results)


def settings(sandbox: Sandbox, database: str, redis: str) -> dict[str, str]:
    database = database.replace("postgresql://", "postgresql+psycopg2://")
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(4 * SLOTS),
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(SLOTS),
        "AIRFLOW__CELERY__BROKER_URL": redis,
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database.replace('+psycopg2', '')}",
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "300",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
        "AIRFLOW_CONN_BANDWIDTH_DEFAULT": sandbox.connection_json,
        # Celery refuses to run its workers as root without it.
        "C_FORCE_ROOT": "1",
    }


def run_all(redis_server: str) -> list[Result]:
    with (
        work_folder() as folder,
        running_postgres() as database,
        Sandbox(search_lag_seconds=SEARCH_LAG) as sandbox,
        Processes(folder) as processes,
    ):
        started = time.monotonic()
        port = free_port()
        command = [redis_server, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
        processes.start("redis", command, os.environ)
        airflow = Airflow(processes, folder, DAGS, settings(sandbox, database, f"redis://127.0.0.1:{port}/0"))
        try:
            airflow.run("db", "migrate")
            for worker in ("worker-1", "worker-2"):
                start_worker(airflow, worker)
            airflow.start_components()
            print(f"Airflow is up after {time.monotonic() - started:.0f} s.", flush=True)
            naive = run_dag(airflow, processes, sandbox, NAIVE, "naive", "worker-1", "worker-3")
            print(f"Naive run done after {time.monotonic() - started:.0f} s.", flush=True)
            name = "BandwidthTnOrderOperator"
            return [naive, run_dag(airflow, processes, sandbox, PROVIDER, name, "worker-2", "worker-4")]
        except TimeoutError:
            print(processes.tail(), file=sys.stderr)
            raise


def main() -> int:
    stop_on_termination()
    missing = [name for name in PYTHON_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise SystemExit(f"Python packages are missing: {', '.join(missing)}. Run this by make chaos-distributed.")
    started = time.monotonic()
    results = run_all(install_redis())
    print_table("CeleryExecutor: one of two workers killed while submitting; the triggerer while waiting", results)
    print(f"\n{time.monotonic() - started:.0f} s in all.")
    return 0 if results[-1].is_exactly_once else 1


if __name__ == "__main__":
    sys.exit(main())
