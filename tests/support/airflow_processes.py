"""A real Airflow of separate processes on loopback ports, started and killed by process id."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from importlib.metadata import version
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TypeVar

import psutil
import requests

_T = TypeVar("_T")
_FINISHED = ("success", "failed")
#: Airflow 2 has neither an API server that tasks need, nor a DAG processor that must be started.
IS_AIRFLOW_2 = version("apache-airflow").startswith("2.")


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(what: str, condition: Callable[[], _T | None], *, timeout: float, interval: float = 0.5) -> _T:
    """The first true value of *condition*.

    :raises TimeoutError: after *timeout* seconds
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"gave up after {timeout:.0f} s: {what}")
        time.sleep(interval)
    return value


def stop_on_termination() -> None:
    """Let SIGTERM unwind the program as Ctrl-C does, so that what it started is stopped."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)


class Processes(AbstractContextManager["Processes"]):
    """Child processes, each in a process group of its own; all that still run are stopped at the end.

    :param logs: a folder for their output
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str], **options: Any) -> None:
        with (self._logs / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **options,
            )

    def family(self, name: str) -> list[psutil.Process]:
        """The process and all its descendants."""
        parent = psutil.Process(self._running[name].pid)
        return [parent, *parent.children(recursive=True)]

    def is_running(self, name: str) -> bool:
        return self._running[name].poll() is None

    def kill(self, name: str) -> None:
        """End the process and its descendants by SIGKILL, as a machine that loses power does."""
        for process in self.family(name):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._running.pop(name).wait()

    def tail(self) -> str:
        """The last lines of every log."""
        return "\n".join(
            f"== {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            for log in sorted(self._logs.glob("*.log"))
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        families = [process for name in reversed(self._running) for process in self._descendants(name)]
        for process in families:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(families, timeout=8)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=5)

    def _descendants(self, name: str) -> list[psutil.Process]:
        try:
            return self.family(name)
        except psutil.NoSuchProcess:
            return []


class Airflow:
    """Airflow's components on free loopback ports, with a client for its REST API.

    :param environment: settings on top of this module's own
    """

    def __init__(self, processes: Processes, home: Path, dags: Path, environment: Mapping[str, str]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._processes = processes
        self._token = ""
        (home / "pw.json").write_text('{"admin": "admin"}')
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
        self.environment = {
            **inherited,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__FERNET_KEY": "",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "pw.json"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            **environment,
        }

    def run(self, *arguments: str) -> None:
        """One Airflow command, to its end.

        :raises subprocess.CalledProcessError: with its output
        """
        subprocess.run([*self._command, *arguments], env=self.environment, check=True, capture_output=True, timeout=300)

    def start(self, name: str, *arguments: str) -> None:
        """One component, in the background."""
        self._processes.start(name, [*self._command, *arguments], self.environment)

    @property
    def _command(self) -> list[str]:
        return [sys.executable, "-m", "airflow"]

    def start_components(self) -> None:
        """All but workers; returns when Airflow says that they are healthy. Not on Airflow 2, which has another API."""
        self.start_daemons()
        wait_for("Airflow is healthy", self._is_healthy, timeout=300)
        self.log_in()

    def log_in(self) -> None:
        """Get the token of :meth:`call`."""
        answer = requests.post(f"{self.url}/auth/token", json={"username": "admin", "password": "admin"}, timeout=30)
        answer.raise_for_status()
        self._token = answer.json()["access_token"]

    def start_daemons(self) -> None:
        """All but workers, on any line of Airflow.

        Only the API server is waited for: a task that starts before it gives up after some seconds, and is retried.
        """
        if not IS_AIRFLOW_2:
            self.start("api-server", "api-server")
            wait_for("the API server answers", self._is_reachable, timeout=200)
            self.start("dag-processor", "dag-processor")
        self.start("scheduler", "scheduler", "--skip-serve-logs")
        self.start("triggerer", "triggerer", "--skip-serve-logs")

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Start a run with this configuration, once the DAG file has been read; its run id."""
        self.unpause(dag_id)
        body = {"logical_date": None, "conf": conf}
        return str(self.call("POST", f"dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run, once its file has been read."""
        wait_for(f"DAG {dag_id} is known", lambda: self._is_unpaused(dag_id), timeout=200)

    def finished_runs(self, dag_id: str) -> list[dict[str, Any]]:
        """The runs of a DAG that have ended."""
        runs = self.call("GET", f"dags/{dag_id}/dagRuns")["dag_runs"]
        return [run for run in runs if run["state"] in _FINISHED]

    def state(self, dag_id: str, run_id: str) -> str:
        return str(self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"])

    def is_finished(self, dag_id: str, run_id: str) -> bool:
        return self.state(dag_id, run_id) in _FINISHED

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        return list(
            self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances", params={"limit": 100})["task_instances"]
        )

    def xcoms(self, dag_id: str, run_id: str, task_id: str) -> list[Any]:
        """The return values of a mapped task."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries"
        entries = self.call("GET", path, params={"xcom_key": "return_value", "limit": 100})["xcom_entries"]
        return [
            self.call("GET", f"{path}/return_value", params={"map_index": entry["map_index"], "deserialize": True})[
                "value"
            ]
            for entry in entries
        ]

    def call(self, method: str, path: str, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = requests.request(method, f"{self.url}/api/v2/{path}", headers=headers, timeout=60, **options)
        answer.raise_for_status()
        return answer.json()

    def _is_reachable(self) -> bool:
        try:
            return requests.get(f"{self.url}/api/v2/version", timeout=10).ok
        except requests.RequestException:
            return False

    def _is_healthy(self) -> bool:
        try:
            health = requests.get(f"{self.url}/api/v2/monitor/health", timeout=10).json()
        except (requests.RequestException, ValueError):
            return False
        return all(
            health.get(part, {}).get("status") == "healthy"
            for part in ("metadatabase", "scheduler", "dag_processor", "triggerer")
        )

    def _is_unpaused(self, dag_id: str) -> bool:
        try:
            self.call("PATCH", f"dags/{dag_id}", json={"is_paused": False})
        except requests.HTTPError as error:
            if error.response.status_code != 404:
                raise
            return False
        return True


@contextlib.contextmanager
def work_folder() -> Iterator[Path]:
    """A folder for one run, that any user can pass through; removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="bandwidth-chaos-"))
    folder.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder
