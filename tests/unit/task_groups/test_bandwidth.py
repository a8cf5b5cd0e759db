"""The shape of the sync's task group, and what it costs to parse."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_bandwidth.operators.number_sync import number_sync_asset
from airflow_provider_bandwidth.task_groups.bandwidth import bandwidth_number_sync

HEAVY = ("aiohttp", "lxml", "phonenumbers", "starlette", "uvicorn")


def make_dag(**parameters: Any) -> DAG:
    with DAG("nightly", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None) as dag:
        bandwidth_number_sync(group_id="sync", **{"telephone_numbers": ["9196660100"], **parameters})
    return dag


def test_group_is_plan_then_orders_by_action_then_report() -> None:
    dag = make_dag()
    downstream = {task_id: sorted(dag.get_task(task_id).downstream_task_ids) for task_id in dag.task_ids}
    assert downstream == {
        "sync.plan": ["sync.import_orders", "sync.remove_orders", "sync.report"],
        "sync.import_orders": ["sync.import.submit"],
        "sync.import.submit": ["sync.import.wait"],
        "sync.import.wait": ["sync.report"],
        "sync.remove_orders": ["sync.remove.submit"],
        "sync.remove.submit": ["sync.remove.wait"],
        "sync.remove.wait": ["sync.report"],
        "sync.report": [],
    }


def test_defaults_are_safe() -> None:
    dag = make_dag()
    plan, report = dag.get_task("sync.plan"), dag.get_task("sync.report")
    assert (plan.remove_missing, plan.max_removals, plan.min_desired, plan.is_dry_run) == (False, 0.1, 0.5, False)
    assert report.max_errors == 0
    assert report.trigger_rule == "all_done"
    assert dag.get_task("sync.import.wait").deferrable is True


def test_parameters_reach_their_tasks() -> None:
    dag = make_dag(
        site_id=1,
        sip_peer_id=2,
        account_id="3",
        bandwidth_conn_id="uat",
        loa_type="SUBSCRIBER",
        ignore_error_codes=[5124],
        poke_interval=7,
        timeout=70,
        report_path="r.csv",
    )
    for task_id in ("sync.plan", "sync.import.submit", "sync.remove.submit"):
        assert (dag.get_task(task_id).site_id, dag.get_task(task_id).account_id) == (1, "3")
    for task_id in set(dag.task_ids) - {"sync.report", "sync.import_orders", "sync.remove_orders"}:
        assert dag.get_task(task_id).bandwidth_conn_id == "uat"
    submit, remove = dag.get_task("sync.import.submit"), dag.get_task("sync.remove.submit")
    assert (submit.sip_peer_id, submit.loa_type) == (2, "SUBSCRIBER")
    assert (remove.sip_peer_id, remove.loa_type) == (None, None)
    for action in ("import", "remove"):
        wait = dag.get_task(f"sync.{action}.wait")
        assert (wait.ignore_error_codes, wait.poke_interval, wait.timeout) == (("5124",), 7, 70)
    report = dag.get_task("sync.report")
    assert report.report_path == "r.csv"
    assert [asset.uri for asset in report.outlets] == [
        number_sync_asset(site_id=1, sip_peer_id=2, bandwidth_conn_id="uat").uri
    ]


def test_unchanged_numbers_are_listed_for_a_file_only() -> None:
    assert make_dag().get_task("sync.plan").list_unchanged is False
    assert make_dag(report_path="r.csv").get_task("sync.plan").list_unchanged is True


def test_group_can_be_nested_and_stand_twice_in_a_dag() -> None:
    from airflow.providers.common.compat.sdk import TaskGroup

    with DAG("nightly", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None) as dag, TaskGroup("all"):
        for group_id in ("east", "west"):
            bandwidth_number_sync(group_id=group_id, telephone_numbers=["9196660100"])
    submit = dag.get_task("all.west.import.submit")
    assert "'all.west.plan'" in submit.telephone_numbers
    assert dag.get_task("all.west.report").wait_task_ids["REMOVE"] == "all.west.remove.wait"


@pytest.mark.parametrize("parameters", [{"telephone_numbers": None}, {"max_removals": 2.0}, {"chunk_size": 10_000}])
def test_wrong_parameters_fail_when_the_dag_is_parsed(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(parameters))):
        make_dag(**parameters)


def test_parsing_a_dag_imports_nothing_heavy() -> None:
    program = (
        "import sys, airflow.providers.common.compat.sdk as sdk; sdk.BaseHook, sdk.BaseSensorOperator, sdk.task;"
        "before = set(sys.modules);"
        "import airflow_provider_bandwidth.task_groups.bandwidth;"
        f"print(sorted({{name.partition('.')[0] for name in set(sys.modules) - before}} & {set(HEAVY)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
