"""The example DAGs, run as they stand on real Airflow against the sandbox."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from airflow_provider_bandwidth.sandbox import Sandbox

EXAMPLES = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]) / "examples"
NUMBERS = ["9195550101", "9195550102"]
#: The sandbox refuses these two: one is Bandwidth's own, one is imported elsewhere.
BAD_NUMBERS = ["9195550001", "9195550002"]


def run(name: str, **conf: Any) -> tuple[str, dict[str, str], Any]:
    """Run an example DAG; its state, its tasks' states, and a function that pulls XComs."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    dag_run = getattr(module, name)().test(run_conf=conf)
    tasks = {ti.task_id: ti for ti in dag_run.get_task_instances()}

    def pull(task_id: str, key: str = "return_value") -> Any:
        return tasks[task_id].xcom_pull(task_ids=task_id, key=key)

    return str(dag_run.state), {task_id: str(ti.state) for task_id, ti in tasks.items()}, pull


@pytest.mark.usefixtures("airflow_db")
class TestImport:
    def test_good_numbers_go_to_use(self, sandbox: Sandbox) -> None:
        state, tasks, pull = run("bandwidth_import", telephone_numbers=NUMBERS)

        assert state == "success"
        assert tasks["use_numbers"] == "success"
        assert tasks["report_errors"] == "skipped"
        assert pull("use_numbers") == 2
        (order,) = sandbox.orders
        assert pull("submit") == order.order_id

    def test_a_partial_order_goes_both_ways(self, sandbox: Sandbox) -> None:
        state, tasks, pull = run("bandwidth_import", telephone_numbers=NUMBERS + BAD_NUMBERS)

        assert state == "success"
        assert tasks["use_numbers"] == tasks["report_errors"] == "success"
        assert pull("wait", "completed_telephone_numbers") == NUMBERS
        reasons = pull("report_errors")
        assert sorted(reason.split()[0] for reason in reasons) == ["25060", "5124"]
        assert sorted(number for numbers in reasons.values() for number in numbers) == BAD_NUMBERS

    def test_a_failed_order_fails_the_run_and_leaves_its_errors(self, sandbox: Sandbox) -> None:
        state, tasks, pull = run("bandwidth_import", telephone_numbers=BAD_NUMBERS)

        assert state == "failed"
        assert tasks["wait"] == "failed"
        assert (tasks["use_numbers"], tasks["report_errors"]) == ("upstream_failed", "success")
        assert sorted(number for numbers in pull("report_errors").values() for number in numbers) == BAD_NUMBERS
        assert pull("wait")["processing_status"] == "FAILED"
        assert [error["telephone_number"] for error in pull("wait", "errors")] == BAD_NUMBERS


@pytest.mark.usefixtures("airflow_db")
class TestRemove:
    def test_imported_numbers_are_removed(self, sandbox: Sandbox) -> None:
        run("bandwidth_import", telephone_numbers=NUMBERS)

        state, _, pull = run("bandwidth_remove", telephone_numbers=NUMBERS)

        assert state == "success"
        assert pull("wait")["action"] == "REMOVE"
        assert pull("wait", "completed_telephone_numbers") == NUMBERS
        assert [order.action for order in sandbox.orders] == ["IMPORT", "REMOVE"]

    def test_numbers_that_are_gone_already_are_no_failure(self, sandbox: Sandbox) -> None:
        state, _, pull = run("bandwidth_remove", telephone_numbers=NUMBERS)

        assert state == "success"
        assert sandbox.orders[0].status == "FAILED"
        assert pull("wait")["processing_status"] == "COMPLETE"
        assert pull("wait", "completed_telephone_numbers") == NUMBERS


@pytest.mark.usefixtures("airflow_db")
def test_taskflow_submits_what_the_task_returned(sandbox: Sandbox) -> None:
    state, _, pull = run("bandwidth_taskflow")

    assert state == "success"
    (order,) = sandbox.orders
    assert list(order.telephone_numbers) == ["9195550101", "9195550102", "9195550103"]
    assert pull("summarise").endswith("ended COMPLETE: 3 numbers can be used, 0 errors.")


@pytest.mark.usefixtures("airflow_db", "fresh_records")
class TestSyncOfAnExtract:
    """``bandwidth_number_sync_nightly`` reads CSV: see test_number_sync_story; the PostgreSQL one: ..._runs."""

    def test_json_lines(self, sandbox: Sandbox, tmp_path: Path) -> None:
        path = tmp_path / "numbers.jsonl.gz"
        rows = [{"phone": f"+1{NUMBERS[0]}"}, {"name": "Roe"}, {"name": "Doe", "phone": [NUMBERS[1], "n/a"]}]
        path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))

        state, _, pull = run("bandwidth_number_sync_json_lines", extract_path=str(path))

        assert state == "success"
        assert pull("sync.plan")["blanks"] == 2
        assert hosted(sandbox) == set(NUMBERS)

    def test_parquet(self, sandbox: Sandbox, tmp_path: Path) -> None:
        path = tmp_path / "numbers.parquet"
        parquet.write_table(pa.table({"telephone_number": [int(number) for number in NUMBERS]}), path)

        state, _, _ = run("bandwidth_number_sync_parquet", extract_path=path.as_uri())

        assert state == "success"
        assert hosted(sandbox) == set(NUMBERS)


def hosted(sandbox: Sandbox) -> set[str]:
    return set(sandbox.inventory.get(sandbox.default_location[1:], ()))
