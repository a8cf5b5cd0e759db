"""Task instances of one mapped task that have the same numbers, while Bandwidth's search shows neither's order."""

from __future__ import annotations

import pytest
from support.dag_files import DagFileRun, load_dag

from airflow_provider_bandwidth.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("airflow_db")


def test_they_are_one_order_and_an_error(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    # Before Airflow 3.2 no mapped task is known to be the first, and each would wait a minute.
    monkeypatch.setattr("airflow_provider_bandwidth.hooks._submission._PAUSES", (0.1, 0.1))
    sandbox.configure(search_lag_seconds=1000)
    lists = [["9196660200"], ["9196660201"], ["9196660200"]]

    run = DagFileRun(load_dag("mapped_twins", folder="integration").test(run_conf={"lists": lists}))

    states = {ti.map_index: ti.state for ti in run.dag_run.get_task_instances() if ti.task_id == "submit"}
    # Which of the two comes first is Airflow's choice.
    assert sorted([states[0], states[2]]) == ["failed", "success"]
    assert states[1] == "success"
    assert sorted(order.telephone_numbers[0] for order in sandbox.orders) == ["9196660200", "9196660201"]
