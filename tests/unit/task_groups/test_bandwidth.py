"""The shape of the sync's task group; what it costs to parse: see test_imports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import airflow
import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_bandwidth.operators.number_sync import number_sync_asset
from airflow_provider_bandwidth.task_groups.bandwidth import bandwidth_number_sync


def make_dag(of_dag: dict[str, Any] | None = None, **parameters: Any) -> DAG:
    with DAG("nightly", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None, **(of_dag or {})) as dag:
        bandwidth_number_sync(group_id="sync", **{"telephone_numbers": ["9196660100"], **parameters})
    return dag


def get_batch(dag: Any, task_id: str) -> Any:
    """A task as one of its mapped instances has it."""
    task = dag.get_task(task_id)
    return task.unmap({"customer_order_ids": [None]}) if hasattr(task, "unmap") and task_id[-7:] != "_orders" else task


def test_group_is_plan_then_orders_by_action_then_report() -> None:
    dag = make_dag()
    downstream = {task_id: sorted(dag.get_task(task_id).downstream_task_ids) for task_id in dag.task_ids}
    assert downstream == {
        "sync.plan": ["sync.import_orders", "sync.remove_orders", "sync.report"],
        "sync.import_orders": ["sync.import"],
        "sync.import": ["sync.report"],
        "sync.remove_orders": ["sync.remove"],
        "sync.remove": ["sync.report"],
        "sync.report": [],
    }


def test_defaults_are_safe() -> None:
    dag = make_dag()
    plan, report = dag.get_task("sync.plan"), dag.get_task("sync.report")
    assert (plan.remove_missing, plan.is_dry_run, plan.first_load, plan.allow_older_run) == (False, False, False, False)
    assert plan.limits == {"max_removals": 0.1, "min_desired": 0.5, "max_unreadable": 0.01}
    assert (plan.max_imports, plan.if_running) == (None, "wait")
    assert report.max_errors == 0
    assert report.trigger_rule == "all_done"
    orders = get_batch(dag, "sync.import")
    assert (orders.wait_for_completion, orders.deferrable) == (True, True)
    assert (orders.poke_interval, orders.timeout) == (30, 72 * 3600)
    assert get_batch(dag, "sync.remove").plan_valid_for == timedelta(hours=2)
    assert plan.orders_per_task == 50


@pytest.mark.parametrize("approval", ["unsafe", "always"])
def test_a_person_who_cannot_be_asked_is_an_error_at_parse(approval: str) -> None:
    if tuple(map(int, airflow.__version__.split(".")[:2])) >= (3, 1):
        assert make_dag(approval=approval).get_task("sync.plan").approval == approval
        return
    with pytest.raises(
        ValueError, match=f"approval='{approval}' needs Airflow 3.1 or later.*this is {airflow.__version__}"
    ):
        make_dag(approval=approval)


def test_parameters_reach_their_tasks() -> None:
    dag = make_dag(
        site_id=1,
        sip_peer_id=2,
        account_id="3",
        bandwidth_conn_id="uat",
        order_api="importTnOrders",
        loa_type="SUBSCRIBER",
        subscriber={"name": "x"},
        loa_authorizing_person="Ada Baker",
        loa_files=["a.pdf"],
        ignore_error_codes=[5124],
        poke_interval=7,
        timeout=70,
        orders_per_task=4,
        report_path="r.csv",
    )
    plan = dag.get_task("sync.plan")
    assert (plan.site_id, plan.sip_peer_id, plan.account_id, plan.loa_type) == (1, 2, "3", "SUBSCRIBER")
    assert (plan.bandwidth_conn_id, plan.orders_per_task, plan.order_api) == ("uat", 4, "importTnOrders")
    of_import = get_batch(dag, "sync.import")
    assert of_import.subscriber == {"name": "x"}
    assert (of_import.loa_authorizing_person, of_import.loa_files) == ("Ada Baker", ["a.pdf"])
    assert not get_batch(dag, "sync.remove").loa_files
    for action in ("import", "remove"):
        orders = get_batch(dag, f"sync.{action}")
        assert (orders.ignore_error_codes, orders.poke_interval, orders.timeout) == (("5124",), 7, 70)
        assert orders.bandwidth_conn_id == "uat"
    report = dag.get_task("sync.report")
    assert report.report_path == "r.csv"
    assert [asset.uri for asset in report.outlets] == [
        number_sync_asset(site_id=1, sip_peer_id=2, bandwidth_conn_id="uat").uri
    ]


def test_callbacks_are_those_of_plan_and_report_only() -> None:
    def tell(context: Any) -> None: ...

    dag = make_dag(on_unsafe_plan=tell, on_failure_callback=tell)
    assert dag.get_task("sync.plan").on_unsafe_plan == (tell,)
    with_callback = {task_id for task_id in dag.task_ids if getattr(dag.get_task(task_id), "on_failure_callback", None)}
    assert with_callback == {"sync.report"}


DEFAULT_ARGS = {
    "bandwidth_conn_id": "eu",
    "account_id": "12",
    "site_id": 7,
    "sip_peer_id": 8,
    "deferrable": False,
    "poke_interval": 3,
    "timeout": 99,
    "ignore_error_codes": [5124],
    "loa_type": "SUBSCRIBER",
    "max_errors": 5,
    "remove_missing": True,
    "max_removals": 3,
    "plan_valid_for": timedelta(hours=1),
    "report_path": "r.csv",
}


def test_default_args_reach_every_task_as_they_reach_any_operator() -> None:
    dag = make_dag({"default_args": DEFAULT_ARGS})
    plan, report = dag.get_task("sync.plan"), dag.get_task("sync.report")
    assert (plan.site_id, plan.sip_peer_id, plan.loa_type, plan.ignore_error_codes) == (7, 8, "SUBSCRIBER", ("5124",))
    assert (plan.remove_missing, plan.limits["max_removals"], plan.list_unchanged) == (True, 3, True)
    for action in ("import", "remove"):
        orders = get_batch(dag, f"sync.{action}")
        assert orders.plan_valid_for == timedelta(hours=1)
        assert (orders.deferrable, orders.poke_interval, orders.timeout) == (False, 3, 99)
        assert orders.ignore_error_codes == ("5124",)
        for task in (plan, orders):
            assert (task.bandwidth_conn_id, task.account_id) == ("eu", "12")
    assert (report.max_errors, report.report_path) == (5, "r.csv")
    assert [asset.uri for asset in report.outlets] == ["bandwidth://eu/sites/7/sippeers/8/telephone-numbers"]


def test_what_the_caller_gives_wins_over_default_args() -> None:
    given = {"bandwidth_conn_id": "uat", "deferrable": True, "timeout": 5, "site_id": 1, "max_removals": 0}
    dag = make_dag({"default_args": DEFAULT_ARGS}, **given)
    plan, orders = dag.get_task("sync.plan"), get_batch(dag, "sync.import")
    assert (plan.bandwidth_conn_id, plan.site_id, plan.limits["max_removals"]) == ("uat", 1, 0)
    assert (orders.bandwidth_conn_id, orders.deferrable, orders.timeout, orders.poke_interval) == ("uat", True, 5, 3)
    (asset,) = dag.get_task("sync.report").outlets
    assert asset.uri == "bandwidth://uat/sites/1/sippeers/8/telephone-numbers"


def test_default_args_of_a_task_group_count_too() -> None:
    from airflow.providers.common.compat.sdk import TaskGroup

    with (
        DAG("nightly", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None, default_args=DEFAULT_ARGS) as dag,
        TaskGroup("all", default_args={"bandwidth_conn_id": "inner"}),
    ):
        bandwidth_number_sync(group_id="sync", telephone_numbers=["9196660100"])
    assert dag.get_task("all.sync.plan").bandwidth_conn_id == "inner"
    assert get_batch(dag, "all.sync.remove").bandwidth_conn_id == "inner"
    (asset,) = dag.get_task("all.sync.report").outlets
    assert asset.uri == "bandwidth://inner/sites/7/sippeers/8/telephone-numbers"


@pytest.mark.parametrize("inherited", [True, False])
def test_a_campaign_adds_one_task_between_imports_and_report(inherited: bool) -> None:
    given: dict[str, Any] = {"campaign_id": "CABC123"}
    plain = make_dag({"default_args": {"ignore_error_codes": ["12192"]}})
    assert "sync.assign" not in plain.task_ids
    assert plain.get_task("sync.report").assign_task_id is None
    of_all = {"ignore_error_codes": ["12192"], "order_api": "importTnOrders", **(given if inherited else {})}
    dag = make_dag({"default_args": of_all}, **({} if inherited else given))
    assert set(dag.task_ids) - set(plain.task_ids) == {"sync.assign"}
    assign, report = dag.get_task("sync.assign"), dag.get_task("sync.report")
    assert (assign.upstream_task_ids, assign.downstream_task_ids) == ({"sync.plan", "sync.import"}, {"sync.report"})
    assert (dag.get_task("sync.plan").campaign_id, report.assign_task_id) == ("CABC123", "sync.assign")
    # An ignored code is no campaign, and the order API is that of the imports.
    assert (assign.ignore_error_codes, assign.order_api) == ((), "tnoptions")


def test_tasks_hand_on_whatever_default_args_say_of_xcoms() -> None:
    dag = make_dag({"default_args": {"do_xcom_push": False}})
    pushes = {task_id: get_batch(dag, task_id).do_xcom_push for task_id in dag.task_ids}
    assert pushes == dict.fromkeys(dag.task_ids, True)


def test_mapped_group_is_refused_when_the_dag_is_parsed() -> None:
    from airflow.providers.common.compat.sdk import task_group

    @task_group
    def peer(sip_peer_id: int) -> None:
        bandwidth_number_sync(group_id="sync", telephone_numbers=["9196660100"], sip_peer_id=sip_peer_id)

    with (
        DAG("nightly", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None),
        pytest.raises(ValueError, match=r"mapped task group.*Python loop"),
    ):
        peer.expand(sip_peer_id=[1, 2])


def test_labels_are_templates_in_the_delimiters_of_the_dag() -> None:
    brackets = {"variable_start_string": "[[", "variable_end_string": "]]"}
    dag = make_dag({"jinja_environment_kwargs": brackets})
    assert get_batch(dag, "sync.import").map_index_template == "[[ bandwidth_order_label ]]"
    assert get_batch(make_dag(), "sync.import").map_index_template == "{{ bandwidth_order_label }}"


def test_wait_leaves_it_to_the_report_how_an_order_may_end() -> None:
    assert set(get_batch(make_dag(), "sync.import").allowed_statuses) == {"COMPLETE", "PARTIAL", "FAILED"}


def test_unchanged_numbers_are_listed_for_a_file_only() -> None:
    assert make_dag().get_task("sync.plan").list_unchanged is False
    assert make_dag(report_path="r.csv").get_task("sync.plan").list_unchanged is True


def test_group_can_be_nested_and_stand_twice_in_a_dag() -> None:
    from airflow.providers.common.compat.sdk import TaskGroup

    with DAG("nightly", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None) as dag, TaskGroup("all"):
        for group_id in ("east", "west"):
            bandwidth_number_sync(group_id=group_id, telephone_numbers=["9196660100"])
    assert get_batch(dag, "all.west.import").plan_task_id == "all.west.plan"
    assert dag.get_task("all.west.report").order_task_ids["REMOVE"] == "all.west.remove"


@pytest.mark.parametrize(
    "parameters",
    [{"telephone_numbers": None}, {"max_removals": 2.0}, {"chunk_size": 10_000}, {"orders_per_task": 0}],
)
def test_wrong_parameters_fail_when_the_dag_is_parsed(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(parameters))):
        make_dag(**parameters)


def test_scheduler_starts_a_waiting_plan_again_when_it_is_time() -> None:
    """Without this dependency a rescheduled task is started again at once, whatever time it asked for."""
    from airflow.serialization import serialized_objects

    with DAG("nightly", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        bandwidth_number_sync(group_id="sync", telephone_numbers=["9196660000"])
    serialization: Any = getattr(serialized_objects, "DagSerialization", None) or serialized_objects.SerializedDAG
    plan = serialization.from_dict(serialization.to_dict(dag)).get_task("sync.plan")

    assert "ReadyToRescheduleDep" in {type(each).__name__ for each in plan.deps}
    assert plan.reschedule is True
