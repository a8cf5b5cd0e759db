"""A submitting task in a process of its own, that stops at a chosen step and waits there to be killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from datetime import UTC, datetime
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from support.airflow_task import CONN_VARIABLE
from support.tasks import FakeTaskInstance, make_context

from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.operators import bandwidth as operators
from airflow_provider_bandwidth.orders import ExternalTnsOrderRequest, TnOrder
from airflow_provider_bandwidth.telephone_numbers import normalize_telephone_numbers

#: Pauses are so many times shorter than they say, unless something is to happen during them.
SPEED = 1000

_PROCESSES = multiprocessing.get_context("forkserver")
#: What the first call imports; the numbering plan is compiled below, for the same reason.
_PRELOADED = ["airflow_provider_bandwidth.hooks._transport", "airflow_provider_bandwidth.wire.orders", __name__]

# In the server that children are forked from, so that each is half a second shorter.
normalize_telephone_numbers(["9195550101"])


def _start_server() -> None:
    """Have children forked from a small process without threads that has the imports done: that saves seconds each."""
    _PROCESSES.set_forkserver_preload(_PRELOADED)
    # The server takes no search path from its parent but this one.
    with patch.dict(os.environ, {"PYTHONPATH": os.pathsep.join(sys.path)}):
        forkserver.ensure_running()


class _FileStore:
    """A task state store in a file: what is written is there for the next process."""

    def __init__(self, path: Path, reach: Any) -> None:
        self._path = path
        self._reach = reach

    def get(self, key: str) -> Any:
        return json.loads(self._path.read_text()).get(key) if self._path.exists() else None

    def set(self, key: str, value: Any) -> None:
        step = "order id" if any("order_id" in known for known in value["orders"].values()) else "sending"
        self._reach(f"before {step} is stored")
        self._path.write_text(json.dumps({key: value}))
        self._reach(f"after {step} is stored")


def _run(
    connection_json: str, try_number: int, store: Path | None, stop_at: str | None, speed: float, pipe: Connection
) -> None:
    os.environ[CONN_VARIABLE] = connection_json

    def reach(step: str) -> None:
        if step == stop_at:
            pipe.send(step)
            time.sleep(600)

    class Hook(BandwidthHook):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, sleep=lambda seconds: time.sleep(seconds / speed))

        def create_tn_order(self, request: ExternalTnsOrderRequest) -> TnOrder:
            reach("after look-up")
            order = super().create_tn_order(request)
            reach("after 201")
            return order

    class TaskInstance(FakeTaskInstance):
        def xcom_push(self, key: str, value: Any) -> None:
            reach("before XCom")
            super().xcom_push(key, value)

    ti = TaskInstance("submit", try_number=try_number)
    context = make_context(ti, dag_run=SimpleNamespace(start_date=datetime.now(UTC), clear_number=0))
    if store is not None:
        context["task_state_store"] = _FileStore(store, reach)
    operators.BandwidthHook = Hook
    operator = operators.BandwidthTnOrderOperator(task_id="submit", action="IMPORT", telephone_numbers=["9195550101"])
    reach("before look-up")
    pipe.send(operator.execute(context))


class MortalTask:
    """One try, running.

    :param stop_at: the step it stops at and says so; ``None`` to run to its end
    :param speed: how many times shorter its pauses are than they say
    """

    def __init__(
        self,
        connection_json: str,
        *,
        try_number: int,
        store: Path | None,
        stop_at: str | None = None,
        speed: float = SPEED,
    ) -> None:
        _start_server()
        self._pipe, theirs = _PROCESSES.Pipe(duplex=False)
        self._process = _PROCESSES.Process(
            target=_run, args=(connection_json, try_number, store, stop_at, speed, theirs)
        )
        self._process.start()
        theirs.close()

    def said(self, timeout: float = 120) -> str:
        """The step it has reached, or the order id it returned.

        :raises TimeoutError: it said nothing
        """
        if not self._pipe.poll(timeout):
            raise TimeoutError("the task neither ended nor reached its step")
        return str(self._pipe.recv())

    def kill(self) -> None:
        """SIGKILL; returns when it is dead."""
        self._process.kill()
        self._process.join()
        assert self._process.exitcode == -signal.SIGKILL

    def join(self) -> None:
        self._process.join()
