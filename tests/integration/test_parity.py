"""However a sensor waits, it ends alike: poked, rescheduled or deferred, on each order API and on real Airflow.

No order has ended when its sensor first looks, so that every way of waiting is really used; it ends right after.
"""

from __future__ import annotations

import importlib.util
import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from airflow_provider_bandwidth.sandbox import OrderError, Sandbox

NUMBERS = ("9195550101", "9195550102")
ERRORS = {
    "PARTIAL": (OrderError("5124", "exists", ("9195550102",)),),
    "FAILED": (OrderError("25070", "no carrier", NUMBERS),),
}

Result = tuple[str, dict[str, Any]]


def load_dag_file() -> ModuleType:
    path = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"], "integration", "parity.py")
    spec = importlib.util.spec_from_file_location("parity", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PARITY = load_dag_file()


def summary(status: str, completed: int, errors: int) -> dict[str, Any]:
    """But for the order API, which is the sensor's."""
    return {
        "order_id": "the order",
        "customer_order_id": "the id",
        "action": "IMPORT",
        "processing_status": status,
        "completed_count": completed,
        "error_count": errors,
    }


def error(number: str, code: str, description: str) -> dict[str, str]:
    return {"telephone_number": number, "code": code, "description": description}


#: State without and with soft_fail, and the XComs of both.
EXPECTED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "COMPLETE": (
        "success",
        "success",
        {"return_value": summary("COMPLETE", 2, 0), "errors": [], "completed_telephone_numbers": list(NUMBERS)},
    ),
    "PARTIAL": (
        "success",
        "success",
        {
            "return_value": summary("PARTIAL", 1, 1),
            "errors": [error("9195550102", "5124", "exists")],
            "completed_telephone_numbers": ["9195550101"],
        },
    ),
    "FAILED": (
        "failed",
        "skipped",
        {
            "return_value": summary("FAILED", 0, 2),
            "errors": [error(number, "25070", "no carrier") for number in NUMBERS],
            "completed_telephone_numbers": [],
        },
    ),
    "UNKNOWN_THEN_COMPLETE": (
        "success",
        "success",
        {"return_value": summary("COMPLETE", 2, 0), "errors": [], "completed_telephone_numbers": list(NUMBERS)},
    ),
    "NEVER": ("failed", "skipped", {}),
}


class EndOrdersOnceRead:
    """Ends each order after its first reading, as planned; with *plan* a status by order id."""

    def __init__(self, sandbox: Sandbox, plan: dict[str, str]) -> None:
        self._sandbox = sandbox
        self._plan = plan
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(0.02):
            for record in self._sandbox.requests:
                status = self._plan.pop(record.order_id or "", None) if record.state == "answered" else None
                if status is not None and record.order_id is not None:
                    self._sandbox.finish(record.order_id, status, ERRORS.get(status, ()))


@pytest.fixture(scope="module")
def results(airflow_db: None) -> Iterator[dict[str, Result]]:
    """All sixty in one run, since a run takes some seconds whatever is in it."""
    with Sandbox() as sandbox, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_BANDWIDTH_DEFAULT", sandbox.connection_json)
        conf: dict[str, str] = {}
        plan: dict[str, str] = {}
        apis: dict[str, str] = {}
        for order_api, way, end, soft_fail in PARITY.CASES:
            name = PARITY.task_id(order_api, way, end, soft_fail)
            apis[name] = order_api
            order = sandbox.add_order(
                NUMBERS, status="PROCESSING", customer_order_id=f"parity {len(conf)}", order_api=order_api
            )
            sandbox.hold(order.order_id)
            conf[name] = order.order_id
            if end == "UNKNOWN_THEN_COMPLETE":
                sandbox.set_status(order.order_id, "EXCEPTION")
            if end != "NEVER":
                plan[order.order_id] = end.rpartition("_")[2]
        with EndOrdersOnceRead(sandbox, plan):
            dag_run = PARITY.dag.test(run_conf=conf)
        reads = Counter(record.order_id for record in sandbox.requests)
        assert min(reads[order_id] for order_id in conf.values()) > 1, "a sensor did not have to wait"
        ids = {order.order_id: str(order.asked.customer_order_id) for order in sandbox.orders}
        found: dict[str, Result] = {}
        for ti in dag_run.get_task_instances():
            xcoms = {
                key: value
                for key in ("return_value", "errors", "completed_telephone_numbers")
                if (value := ti.xcom_pull(task_ids=ti.task_id, key=key)) is not None
            }
            if "return_value" in xcoms:
                returned = xcoms["return_value"]
                assert returned["order_id"] == conf[ti.task_id]
                assert returned["customer_order_id"] == ids[conf[ti.task_id]]
                assert returned.pop("order_api") == apis[ti.task_id]
                xcoms["return_value"] = {**returned, "order_id": "the order", "customer_order_id": "the id"}
            found[ti.task_id] = (str(ti.state), xcoms)
        yield found


@pytest.mark.parametrize(("order_api", "way", "end", "soft_fail"), PARITY.CASES)
def test_every_way_of_waiting_ends_alike(
    order_api: str, way: str, end: str, soft_fail: bool, results: dict[str, Result]
) -> None:
    state, soft_state, xcoms = EXPECTED[end]
    assert results[PARITY.task_id(order_api, way, end, soft_fail)] == (soft_state if soft_fail else state, xcoms)
