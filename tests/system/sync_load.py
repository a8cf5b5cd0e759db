"""What a sync costs a real Airflow: ``make bench-sync``.

Scheduler, LocalExecutor, PostgreSQL, triggerer, API server and DAG processor on loopback ports, against the sandbox.

``cost`` (the default): the same 50 orders with one order a task and with 50, one after the other on the same Airflow;
with ``--before REVISION`` first by this package as it was in that revision of its repository. The orders end together,
once all are waited for. CPU is that of all of Airflow's processes, above what they take idle; the database and the
sandbox are not counted. Exits 1 unless 50 orders a task take at most a fifth of the first of the others, and 50 POSTs
and 20 other calls at most after the plan.

``first-load``: so many numbers, a thousand in an order, at an empty SIP peer. With half of the orders sent, the
scheduler is killed by SIGKILL with all of its task processes, and another one started. Exits 1 unless the run succeeds,
each number was sent once, and no XCom is larger than 64 kB.

    python tests/system/sync_load.py cost [--orders N] [--numbers N] [--before REVISION]
    python tests/system/sync_load.py first-load [--numbers N] [--parallelism N] [--patience SECONDS]
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import subprocess
import sys
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil
import psycopg2
from support.airflow_database import TaskStates
from support.airflow_processes import Airflow, Processes, stop_on_termination, wait_for, work_folder
from support.postgres import running_postgres
from support.real_waits import AIRFLOW_VERSION, DAGS, local_executor

from airflow_provider_bandwidth.sandbox import Sandbox

PLAN, IMPORT, WAIT_BEFORE = "sync.plan", "sync.import", "sync.import.wait"
#: Seconds over which the idle Airflow is measured, and before that to come to rest.
IDLE, REST = 40.0, 30.0
BAR_SHARE, BAR_OTHER_CALLS, BAR_XCOM = 1 / 5, 20, 64_000
_EXCHANGES = [exchange for exchange in range(200, 1000) if exchange != 555 and exchange % 100 != 11]


def make_extract(path: Path, count: int) -> str:
    """A CSV file of so many valid numbers."""
    with path.open("w", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(("id", "telephone"))
        for number in range(count):
            rest, line = divmod(number, 10_000)
            area, exchange = divmod(rest, len(_EXCHANGES))
            writer.writerow((number, f"+1 ({(919, 984, 336)[area]}) {_EXCHANGES[exchange]}-{line:04d}"))
    return str(path)


def save_package(revision: str, folder: Path) -> str:
    """This package as it was in a revision; the folder to import it from."""
    packed = subprocess.run(
        ["git", "archive", revision, "airflow_provider_bandwidth"],
        cwd=Path(__file__).parents[2],
        check=True,
        stdout=subprocess.PIPE,
    )
    target = folder / "before"
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(target, filter="data")
    return str(target)


# --- Airflow's processes ---


class Usage:
    """CPU and memory of Airflow's components, watched until stopped.

    :param processes: of Airflow
    """

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        #: The largest resident memory, in MiB, of a component's own process and of one below it.
        self.peaks: Counter[str] = Counter()
        self._ended = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._names: list[str] = []

    def begin(self, *names: str) -> None:
        self._names += names
        if not self._thread.is_alive():
            self._thread.start()

    def end(self, name: str) -> None:
        """The component is about to be killed: keep what it has used."""
        self._names.remove(name)
        self._ended += self._cpu_of(name)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def cpu(self) -> float:
        """Seconds that all components and what they started have used so far."""
        return self._ended + sum(map(self._cpu_of, self._names))

    def _cpu_of(self, name: str) -> float:
        total = 0.0
        for process in self._processes.family(name):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            # What has ended is counted by the process that waited for it.
            total += times.user + times.system + times.children_user + times.children_system
        return total

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            for name in list(self._names):
                try:
                    first, *below = self._processes.family(name)
                    self._note(name.removesuffix("-next"), first)
                    for process in below:
                        self._note(f"{name.removesuffix('-next')}: processes below", process)
                except (psutil.NoSuchProcess, KeyError):
                    continue

    def _note(self, what: str, process: psutil.Process) -> None:
        mib = process.memory_info().rss >> 20
        self.peaks[what] = max(self.peaks[what], mib)


@dataclass
class Load:
    """A running Airflow with the DAGs of ``dags/sync_load.py``."""

    airflow: Airflow
    processes: Processes
    usage: Usage
    database: str

    def states(self, dag_id: str, task_id: str) -> Counter[str]:
        with TaskStates(self.database, dag_id) as states:
            return states.count(task_id)

    def plan_ended_at(self, dag_id: str, run_id: str) -> float:
        """Epoch seconds."""
        task = self.airflow.call("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{PLAN}")
        return datetime.fromisoformat(task["end_date"]).timestamp()

    def largest_xcom(self) -> int:
        """Bytes of the largest XCom of all runs."""
        connection = psycopg2.connect(self.database)
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT max(octet_length(value::text)) FROM xcom")
            (largest,) = cursor.fetchone()
        connection.close()
        return int(largest)


@contextmanager
def running_airflow(
    sandbox: Sandbox, settings: dict[str, Any], *, parallelism: int, **environment: str
) -> Iterator[Load]:
    """All components; stopped and removed at the end."""
    with work_folder() as folder, running_postgres() as database, Processes(folder) as processes:
        airflow = Airflow(
            processes,
            folder,
            DAGS,
            {
                **local_executor(database, parallelism),
                # What a dead scheduler left is taken up soon, instead of after ten minutes.
                "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
                "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "20",
                "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
                "AIRFLOW_CONN_BANDWIDTH_DEFAULT": sandbox.connection_json,
                "SYNC_LOAD": json.dumps(settings),
                **environment,
            },
        )
        usage = Usage(processes)
        try:
            airflow.run("db", "migrate")
            airflow.start_components()
            usage.begin("api-server", "dag-processor", "scheduler", "triggerer")
            yield Load(airflow, processes, usage, database)
        except TimeoutError:
            print(processes.tail(), file=sys.stderr)
            raise
        finally:
            usage.stop()


# --- what 50 orders cost ---


@dataclass(frozen=True)
class Cost:
    """What a sync took, from its start to its end."""

    name: str
    state: str
    tasks: int
    cpu: float
    wall: float
    posts: int
    other_calls: int

    def __str__(self) -> str:
        return (
            f"| {self.name} | {self.state} | {self.tasks} | {self.cpu:.1f} s | {self.wall:.0f} s "
            f"| {self.posts} + {self.other_calls} |"
        )


def measure_idle(load: Load) -> float:
    """CPU seconds that the idle Airflow takes in a second."""
    time.sleep(REST)
    before, started = load.usage.cpu(), time.monotonic()
    time.sleep(IDLE)
    return (load.usage.cpu() - before) / (time.monotonic() - started)


def measure_sync(load: Load, sandbox: Sandbox, name: str, dag_id: str, waiting: tuple[str, int], idle: float) -> Cost:
    """One sync whose orders end together.

    :param waiting: the task that waits, and how many instances of it do
    :param idle: CPU seconds a second that are not the sync's
    """
    task_id, count = waiting
    load.airflow.unpause(dag_id)
    sandbox.reset()
    sandbox.hold()
    before, started = load.usage.cpu(), time.monotonic()
    run_id = load.airflow.trigger(dag_id)
    wait_for("all orders are waited for", lambda: load.states(dag_id, task_id)["deferred"] == count, timeout=900)
    sandbox.release()
    wait_for("the run has ended", lambda: load.airflow.is_finished(dag_id, run_id), timeout=900)
    wall = time.monotonic() - started
    cpu = load.usage.cpu() - before - idle * wall
    planned_at = load.plan_ended_at(dag_id, run_id)
    calls = Counter(record.operation for record in sandbox.requests if record.received_at > planned_at)
    print(f"{name}: {dict(calls)}", flush=True)
    posts = calls.pop("submit")
    tasks = load.airflow.call("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances", params={"limit": 1})
    state = load.airflow.state(dag_id, run_id)
    return Cost(name, state, int(tasks["total_entries"]), cpu, wall, posts, calls.total())


def compare_costs(arguments: argparse.Namespace) -> bool:
    orders = arguments.orders
    costs: list[Cost] = []
    with work_folder() as folder, Sandbox() as sandbox:
        settings = {
            "extract_path": make_extract(folder / "extract.csv", orders * arguments.numbers),
            "chunk_size": arguments.numbers,
        }
        if arguments.before is not None:
            # Not the folder this runs in, where today's package may be, comes first.
            paths = {"PYTHONPATH": save_package(arguments.before, folder), "PYTHONSAFEPATH": "1"}
            with running_airflow(
                sandbox, {**settings, "dags": {"before": {}}}, parallelism=arguments.parallelism, **paths
            ) as load:
                idle = measure_idle(load)
                costs.append(measure_sync(load, sandbox, "before", "before", (WAIT_BEFORE, orders), idle))
                print(costs[-1], f"(idle: {idle:.2f} a second)", flush=True)
        per_task = {"one": 1, "all": orders}
        dags = {name: {"orders_per_task": count} for name, count in per_task.items()}
        with running_airflow(sandbox, {**settings, "dags": dags}, parallelism=arguments.parallelism) as load:
            idle = measure_idle(load)
            for dag_id in per_task:
                count = per_task[dag_id]
                waiting = (IMPORT, orders // count)
                name = f"{count} order{'s' * (count > 1)} a task"
                costs.append(measure_sync(load, sandbox, name, dag_id, waiting, idle))
                print(costs[-1], f"(idle: {idle:.2f} a second)", flush=True)
    *others, batch = costs
    share = batch.cpu / others[0].cpu
    print(
        f"\n| {orders} orders, Airflow {AIRFLOW_VERSION} | run | task instances | CPU above idle | wall "
        "| POSTs + other calls after the plan |\n| --- | --- | --- | --- | --- | --- |"
    )
    print(*costs, sep="\n")
    print(f"\nCPU: {share:.2f} of the first; the bar is {BAR_SHARE}.")
    return (
        all(cost.state == "success" for cost in costs)
        and share <= BAR_SHARE
        and batch.posts == orders
        and batch.other_calls <= BAR_OTHER_CALLS
    )


# --- a first load, with a kill in the middle ---


def load_first(arguments: argparse.Namespace) -> bool:
    count, started = arguments.numbers, time.monotonic()
    orders = -(-count // 1000)
    with work_folder() as folder, Sandbox() as sandbox:
        settings = {
            "extract_path": make_extract(folder / "extract.csv", count),
            "chunk_size": 1000,
            "report_path": str(folder / "report.csv"),
            "dags": {"load": {}},
        }
        with running_airflow(sandbox, settings, parallelism=arguments.parallelism) as load:
            print(f"Airflow is up after {time.monotonic() - started:.0f} s.", flush=True)
            load.airflow.unpause("load")
            before, began = load.usage.cpu(), time.monotonic()
            run_id = load.airflow.trigger("load")

            def is_half_sent() -> bool:
                return sandbox.count(operation="submit") >= orders / 2

            wait_for("half of the orders are sent", is_half_sent, timeout=arguments.patience, interval=0.1)
            load.usage.end("scheduler")
            load.processes.kill("scheduler")
            load.airflow.start("scheduler-next", "scheduler", "--skip-serve-logs")
            load.usage.begin("scheduler-next")
            sent = sandbox.count(operation="submit")
            print(f"Killed after {time.monotonic() - began:.0f} s, {sent} of {orders} orders sent.", flush=True)

            wait_for("the run has ended", lambda: load.airflow.is_finished("load", run_id), timeout=arguments.patience)
            wall, cpu = time.monotonic() - began, load.usage.cpu() - before
            state, largest = load.airflow.state("load", run_id), load.largest_xcom()
            with TaskStates(load.database, "load") as states:
                retried = states.count_retried(IMPORT)
            peaks = load.usage.peaks
        times_sent = Counter(number for order in sandbox.orders for number in order.telephone_numbers)
        twice = sum(each > 1 for each in times_sent.values())
        calls = Counter(record.operation for record in sandbox.requests)
        (report,) = [len(path.read_text().splitlines()) - 1 for path in folder.glob("report*.csv")]
        print(
            f"\n| first load of {count:,} numbers, Airflow {AIRFLOW_VERSION}, {arguments.parallelism} tasks at a time "
            f"| |\n| --- | --- |\n"
            f"| run | {state} |\n"
            f"| orders / numbers sent | {len(sandbox.orders):,} / {len(times_sent):,} |\n"
            f"| numbers sent twice / reset | {twice} / {len(sandbox.resets)} |\n"
            f"| batches tried again after the kill | {retried} |\n"
            f"| lines of the report | {report:,} |\n"
            f"| wall | {wall:.0f} s |\n"
            f"| CPU of Airflow, idle time included | {cpu:.0f} s |\n"
            f"| calls | {', '.join(f'{number} {operation}' for operation, number in calls.most_common())} |\n"
            f"| largest XCom | {largest / 1000:.0f} kB |"
        )
        for name, mib in sorted(peaks.items()):
            print(f"| peak memory, {name} | {mib} MiB |")
        is_once = len(sandbox.orders) == orders and len(times_sent) == report == count and not twice
        return state == "success" and is_once and not sandbox.resets and largest <= BAR_XCOM


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("cost", "first-load"), default="cost")
    parser.add_argument("--orders", type=int, default=50, help="of cost (default %(default)s)")
    parser.add_argument("--numbers", type=int, help="in an order (default 10), or of a first load (default 1000000)")
    parser.add_argument("--parallelism", type=int, default=4, help="task processes at a time (default %(default)s)")
    parser.add_argument("--before", metavar="REVISION", help="of git, which is measured, too")
    parser.add_argument("--patience", type=float, default=5400, help="seconds for a first load (default %(default)s)")
    arguments = parser.parse_args()
    stop_on_termination()
    if arguments.what == "cost":
        arguments.numbers = arguments.numbers or 10
        return 0 if compare_costs(arguments) else 1
    arguments.numbers = arguments.numbers or 1_000_000
    return 0 if load_first(arguments) else 1


if __name__ == "__main__":
    sys.exit(main())
