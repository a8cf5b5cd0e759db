"""The report that docs/orders.md teaches: it runs when the order failed, and the run is red all the same."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from support.dag_files import DagFileRun, load_dag

from airflow_provider_bandwidth.sandbox import Sandbox

PAGE = Path(__file__).parents[2] / "docs" / "orders.md"


@pytest.fixture
def dag_of_the_page() -> str:
    """The name of the page's DAG, in a file of its own below Airflow's DAGs folder."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    (code,) = [block for block in blocks if "import_and_report" in block]
    folder = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"], "documents")
    folder.mkdir(exist_ok=True)
    (folder / "import_and_report.py").write_text(code, encoding="utf-8")
    return "import_and_report"


def run(name: str, *telephone_numbers: str) -> DagFileRun:
    dag = load_dag(name, folder="documents")
    return DagFileRun(dag.test(run_conf={"telephone_numbers": list(telephone_numbers)}))


@pytest.mark.usefixtures("airflow_db")
class TestReport:
    def test_a_failed_order_is_reported_and_the_run_fails(self, sandbox: Sandbox, dag_of_the_page: str) -> None:
        ended = run(dag_of_the_page, "9195550001")

        assert ended.states("wait") == ["failed"]
        assert ended.states("report") == ["success"]
        assert ended.pull("report") == [1]
        assert ended.state == "failed"

    def test_a_partial_order_is_reported_and_the_run_succeeds(self, sandbox: Sandbox, dag_of_the_page: str) -> None:
        ended = run(dag_of_the_page, "9195550101", "9195550001")

        assert ended.pull("report") == [1]
        assert ended.state == "success"
