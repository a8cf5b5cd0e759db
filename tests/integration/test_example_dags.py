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
from support.airflow_task import connection_json
from support.imports import IMPORT_DEFAULTS

from airflow_provider_bandwidth.order_apis import ORDER_APIS
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
class TestOrderApis:
    def test_import_tn_orders_with_a_letter(self, sandbox: Sandbox, tmp_path: Path) -> None:
        letter = tmp_path / "letter.pdf"
        letter.write_bytes(b"%PDF-1.7")

        state, _, pull = run("bandwidth_import_tn_orders", telephone_numbers=NUMBERS, loa_files=[str(letter)])

        assert state == "success"
        (order,) = sandbox.orders
        assert (order.order_api, list(order.telephone_numbers)) == ("importTnOrders", NUMBERS)
        assert [file.content for file in sandbox.loa_files(order.order_id)] == [b"%PDF-1.7"]
        assert pull("import")["completed_count"] == 2

    def test_version_2_imports_and_removes(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_BANDWIDTH_DEFAULT", connection_json(sandbox, **IMPORT_DEFAULTS))

        state, _, pull = run("bandwidth_import_tn_orders_messaging")

        assert state == "success"
        orders = {order.action: order for order in sandbox.orders}
        assert {order.order_api for order in orders.values()} == {"importTnOrders/messaging"}
        assert list(orders["IMPORT"].telephone_numbers) == ["9195550101", "2265550103"]
        assert pull("import", "completed_telephone_numbers") == ["9195550101", "2265550103"]
        assert pull("remove", "completed_telephone_numbers") == ["9196660001"]

    @pytest.mark.parametrize("order_api", ORDER_APIS)
    def test_the_same_dag_changes_its_connection_alone(
        self, order_api: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sandbox.configure(order_apis=order_api)
        connection = connection_json(sandbox, order_api=order_api, **IMPORT_DEFAULTS)
        monkeypatch.setenv("AIRFLOW_CONN_BANDWIDTH_NEW_ACCOUNT", connection)

        state, _, pull = run("bandwidth_import_on_any_account", bandwidth_conn_id="bandwidth_new_account")

        assert state == "success"
        (order,) = sandbox.orders
        assert (order.order_api, pull("import")["order_api"]) == (order_api, order_api)
        assert pull("import", "completed_telephone_numbers") == NUMBERS


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
