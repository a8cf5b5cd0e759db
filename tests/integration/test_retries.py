"""What Airflow's own retries make of tries that failed: one order, and a wait that goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.dag_files import DagFileRun, load_dag

from airflow_provider_bandwidth.sandbox import Sandbox

NUMBERS = ["9196660100", "9196660101"]

pytestmark = pytest.mark.usefixtures("airflow_db")


def tries(run: DagFileRun, task_id: str) -> int:
    (ti,) = (ti for ti in run.dag_run.get_task_instances() if ti.task_id == task_id)
    return int(ti.try_number)


@contextmanager
def release_after_faults(sandbox: Sandbox) -> Iterator[None]:
    """No order goes on before every fault has hit."""
    stopped = threading.Event()

    def watch() -> None:
        while sandbox.faults() and not stopped.wait(0.05):
            pass
        sandbox.release()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield
    stopped.set()
    thread.join()


def test_tries_that_fail_before_the_order_is_sent_and_while_it_is_waited_for(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A retry that knows nothing of the try before it gives the search a minute.
    monkeypatch.setattr("airflow_provider_bandwidth.hooks._submission._PAUSES", (0.1,))
    sandbox.hold()
    sandbox.inject("status", status=403, operation="list")
    # The sensor's own look succeeds; the trigger's first one is refused, and here one refusal lasts: the task fails.
    monkeypatch.setattr("airflow_provider_bandwidth.triggers.waiting.MAX_REFUSALS", 1)
    monkeypatch.setattr("airflow_provider_bandwidth.triggers.waiting.REFUSAL_GRACE", 0.0)
    sandbox.inject("status", status=403, operation="order", after=1)

    with release_after_faults(sandbox):
        run = DagFileRun(load_dag("retried", folder="integration").test(run_conf={"telephone_numbers": NUMBERS}))

    assert run.state == "success"
    assert [tries(run, task_id) for task_id in ("submit", "wait")] == [2, 2]
    assert [list(order.telephone_numbers) for order in sandbox.orders] == [NUMBERS]
    assert run.pull("wait", "completed_telephone_numbers") == [NUMBERS]
