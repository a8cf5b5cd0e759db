"""Deferred sensors in a real Airflow of this environment's line: scheduler, LocalExecutor, PostgreSQL, a triggerer."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from support.airflow_database import TaskStates
from support.airflow_processes import Airflow, Processes, wait_for, work_folder
from support.postgres import running_postgres

from airflow_provider_bandwidth.sandbox import Sandbox

DAGS = Path(__file__).parents[1] / "system" / "dags"
AIRFLOW_VERSION = version("apache-airflow")
#: How a line of a log begins to say that something went wrong: Airflow 2's form, and that of 3.
_ERROR = re.compile(
    r"\b(ERROR|CRITICAL)\b|\[(error|critical) *\]|\"level\": *\"(error|critical)\"|^Traceback|^\w+Error:"
)


class TriggererDiedError(Exception):
    """A triggerer ended that nobody had killed."""


def local_executor(database: str, parallelism: int) -> dict[str, str]:
    """Settings of a LocalExecutor on PostgreSQL whose scheduler soon sees that a triggerer is gone."""
    return {
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(parallelism),
        "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(parallelism),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.replace("postgresql:", "postgresql+psycopg2:"),
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
    }


@dataclass
class RealWaits:
    """The run of the DAG ``waits``: a ``wait`` for each order, a ``text`` for each text, ``batch`` and neighbours."""

    airflow: Airflow
    processes: Processes
    states: TaskStates
    folder: Path
    triggerer: str = "triggerer"

    def until(self, what: str, task_id: str, state: str, count: int, *, timeout: float) -> None:
        """Return when so many instances of a task are in this state, or all of them have ended.

        :raises TriggererDiedError: if the triggerer ended first
        """

        def is_reached() -> bool:
            if not self.processes.is_running(self.triggerer):
                raise TriggererDiedError(f"Waiting until {what}, the triggerer ended by itself.")
            return self.states.count(task_id)[state] >= count

        wait_for(what, is_reached, timeout=timeout, interval=0.5)

    def replace_triggerer(self) -> None:
        """Kill the triggerer as a machine that loses power does, and start another one."""
        self.processes.kill(self.triggerer)
        self.triggerer += "-next"
        self.airflow.start(self.triggerer, "triggerer", "--skip-serve-logs")

    def kill_task(self, task_id: str) -> None:
        """Kill the one running process of a task."""
        os.kill(self.states.find_pid(task_id), signal.SIGKILL)

    def clear_failed(self, task_id: str) -> None:
        """Clear a task that has failed, as a person does."""
        self.airflow.log_in()
        (run,) = self.airflow.call("GET", "dags/waits/dagRuns")["dag_runs"]
        body = {"dry_run": False, "dag_run_id": run["dag_run_id"], "task_ids": [task_id], "only_failed": True}
        self.airflow.call("POST", "dags/waits/clearTaskInstances", json=body)

    def triggerer_errors(self) -> list[str]:
        """Lines of the triggerers' logs, and of what their triggers logged, that tell of an error."""
        logs = [*self.folder.glob("triggerer*.log"), *self.folder.glob("logs/**/*.trigger.*.log")]
        return [
            line for log in sorted(logs) for line in log.read_text(errors="replace").splitlines() if _ERROR.search(line)
        ]

    def logs_of(self, task_id: str) -> list[str]:
        """The last lines of each try of a task that is not mapped."""
        return [
            "\n".join([f"== {log.name}", *log.read_text(errors="replace").splitlines()[-15:]])
            for log in sorted(self.folder.glob(f"logs/**/task_id={task_id}/*.log"))
        ]

    def scheduler_log(self) -> str:
        return (self.folder / "scheduler.log").read_text(errors="replace")


@contextmanager
def running_waits(
    sandbox: Sandbox,
    order_ids: Sequence[str],
    *,
    message_ids: Sequence[str] = (),
    batch: Sequence[str] = (),
    chunk_size: int = 1,
    files: Sequence[str] = (),
    poke_interval: float,
    parallelism: int,
) -> Iterator[RealWaits]:
    """Start all components; the run begins by itself. Everything is stopped and removed at the end.

    :param batch: telephone numbers that one task sends in orders of ``chunk_size``, and waits for
    :param files: names in the run's folder; each has a sensor of another provider that waits for it
    """
    with work_folder() as folder, running_postgres() as database, Processes(folder) as processes:
        settings = {
            "order_ids": list(order_ids),
            "message_ids": list(message_ids),
            "batch": list(batch),
            "chunk_size": chunk_size,
            "files": [str(folder / name) for name in files],
            "poke_interval": poke_interval,
        }
        (folder / "waits.json").write_text(json.dumps(settings))
        airflow = Airflow(
            processes,
            folder,
            DAGS,
            {
                **local_executor(database, parallelism),
                "AIRFLOW_CONN_BANDWIDTH_DEFAULT": sandbox.connection_json,
                "AIRFLOW_CONN_FS_DEFAULT": '{"conn_type": "fs"}',
                "WAITS": str(folder / "waits.json"),
            },
        )
        started = time.monotonic()
        try:
            airflow.run("db", "migrate")
            airflow.start_daemons()
            print(f"Airflow {AIRFLOW_VERSION} was started in {time.monotonic() - started:.0f} s.", flush=True)
            with TaskStates(database, "waits") as states:
                yield RealWaits(airflow, processes, states, folder)
        except (TimeoutError, TriggererDiedError):
            print(processes.tail(), file=sys.stderr)
            raise
