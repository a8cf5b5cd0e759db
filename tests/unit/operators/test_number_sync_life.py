"""Two runs of a sync and one SIP peer: what may be sent when, against the sandbox, without Airflow's database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from support.imports import IMPORT_DEFAULTS
from support.variables import FakeVariables, replace_variables

from airflow_provider_bandwidth import airflow_variables
from airflow_provider_bandwidth.exceptions import InvalidResponseError
from airflow_provider_bandwidth.number_sync.handover import Handover
from airflow_provider_bandwidth.operators import _peer_reader, _peer_record, _peer_turn
from airflow_provider_bandwidth.operators.number_sync import (
    AirflowRescheduleException,
    BandwidthNumberSyncOrdersOperator,
    BandwidthNumberSyncPlanOperator,
    BandwidthNumberSyncReportOperator,
    list_sync_orders,
)
from airflow_provider_bandwidth.orders import Action
from airflow_provider_bandwidth.sandbox import Sandbox

NUMBERS = [f"919666{last:04d}" for last in range(200)]
PLAN, SUBMIT = "sync.plan", "sync.import"
DAY = datetime(2026, 11, 3, tzinfo=UTC)


class Scheduler:
    """States of runs and tasks, as Airflow tells them."""

    def __init__(self) -> None:
        self.runs: dict[str, str] = {}
        self.tasks: dict[str, dict[str, str]] = {}


class FakeTask:
    """A task instance with the XComs of its run."""

    def __init__(self, run: Run, task_id: str, map_index: int) -> None:
        self.dag_id, self.run_id, self.task_id, self.map_index = run.dag_id, run.run_id, task_id, map_index
        self._run = run
        self.try_number = 1
        self.max_tries = 0

    def xcom_push(self, key: str, value: Any) -> None:
        self._run.xcoms[self.task_id, key, self.map_index] = json.loads(json.dumps(value))

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int) -> Any:
        return self._run.xcoms.get((task_ids, key, map_indexes))

    def get_dagrun_state(self, dag_id: str, run_id: str) -> Any:
        return SimpleNamespace(value=self._run.scheduler.runs[run_id])

    def get_task_states(
        self, dag_id: str, run_ids: list[str], task_ids: list[str] | None = None
    ) -> dict[str, dict[str, str]]:
        return {run_ids[0]: self._run.scheduler.tasks.get(run_ids[0], {})}


class Run:
    """One run of a sync."""

    def __init__(self, scheduler: Scheduler, run_id: str = "monday", due: datetime = DAY, dag_id: str = "dag") -> None:
        self.scheduler, self.run_id, self.due, self.dag_id = scheduler, run_id, due, dag_id
        self.xcoms: dict[tuple[str, str, int], Any] = {}
        scheduler.runs[run_id] = "running"

    def context(self, task_id: str, map_index: int = -1) -> Any:
        run = SimpleNamespace(start_date=self.due, clear_number=0, run_after=self.due, logical_date=self.due)
        return {"ti": FakeTask(self, task_id, map_index), "dag_run": run}

    def plan(self, numbers: list[str], **parameters: Any) -> dict[str, Any]:
        parameters = {"orders_per_task": 1, **parameters}
        operator = BandwidthNumberSyncPlanOperator(task_id=PLAN, telephone_numbers=numbers, **parameters)
        operator.execute(self.context(PLAN))
        return self.xcoms[PLAN, "return_value", -1]

    def submit(self, index: int = 0, **parameters: Any) -> Any:
        planned = self.xcoms[PLAN, "return_value", -1]
        size = planned["orders_per_task"]
        operator = BandwidthNumberSyncOrdersOperator(
            task_id=SUBMIT,
            plan_task_id=PLAN,
            action="IMPORT",
            customer_order_ids=planned["orders"]["IMPORT"][index * size : (index + 1) * size],
            **parameters,
        )
        return operator.execute(self.context(SUBMIT, index))

    def report(self, plan_state: str, **parameters: Any) -> dict[str, Any]:
        self.scheduler.tasks[self.run_id] = {PLAN: plan_state}
        operator = BandwidthNumberSyncReportOperator(
            task_id="sync.report", plan_task_id=PLAN, order_task_ids={}, **parameters
        )
        return operator.execute(self.context("sync.report"))

    @property
    def reported(self) -> dict[str, Any]:
        return self.xcoms["sync.report", "return_value", -1]


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> FakeVariables:
    monkeypatch.setattr(_peer_reader, "_INVENTORY_PAUSE", 0)
    # Before Airflow 3.2 no mapped task is known to be the first, and each waits for the search.
    monkeypatch.setattr("airflow_provider_bandwidth.hooks._submission._PAUSES", (0.0,))
    return replace_variables(monkeypatch)


@pytest.fixture
def bandwidth(sandbox: Sandbox, connect: Callable[..., None], variables: FakeVariables) -> Iterator[Sandbox]:
    connect(sandbox.connection)
    yield sandbox
    sandbox.release()


@pytest.fixture
def scheduler() -> Scheduler:
    return Scheduler()


@pytest.fixture
def monday(bandwidth: Sandbox, scheduler: Scheduler) -> Run:
    return Run(scheduler)


# --- a plan is perishable ---


def test_fresh_plan_is_sent_once(bandwidth: Sandbox, monday: Run) -> None:
    monday.plan(NUMBERS[:3])
    assert monday.submit() == monday.submit()
    assert len(bandwidth.orders) == 1


def test_default_args_send_no_order_again(bandwidth: Sandbox, monday: Run) -> None:
    monday.plan(NUMBERS[:3])
    assert monday.submit(reuse_existing_order=False) == monday.submit(reuse_existing_order=False)
    assert len(bandwidth.orders) == 1


@pytest.mark.parametrize("age", [timedelta(minutes=5), timedelta(days=5)])
def test_order_that_this_run_made_before_its_plan_is_found(
    age: timedelta, bandwidth: Sandbox, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run that was cleared as a whole; its look-ups are shared, and a list begins at the plan."""
    # The last look of several is not shared.
    monkeypatch.setattr("airflow_provider_bandwidth.hooks._submission._PAUSES", (0.01,))
    began = datetime.now(UTC) - age - timedelta(hours=1)
    run = Run(scheduler, f"scheduled__{began.isoformat()}", due=began)
    plan = Handover.from_dict(run.plan(NUMBERS[:5], chunk_size=1, orders_per_task=5))
    sent = plan.new_order_id(run.context(SUBMIT)["ti"], PLAN, Action.IMPORT, NUMBERS[:1])
    made = {"status": "PROCESSING", "created_at": datetime.now(UTC) - age}
    earlier = bandwidth.add_order(NUMBERS[:1], customer_order_id=sent, **made)
    assert run.submit()[0] == earlier.order_id
    assert len(bandwidth.orders) == 5


def test_every_task_takes_the_batches_of_the_plan(bandwidth: Sandbox, monday: Run) -> None:
    """Whatever the DAG says by then: orders would be sent by two tasks, and others by none."""
    plan = monday.plan(NUMBERS[:5], chunk_size=1, orders_per_task=2)
    assert list_sync_orders.function(plan, "IMPORT") == [[None, None], [None, None], [None]]
    for index in (2, 0, 1):
        monday.submit(index)
    assert sorted(number for order in bandwidth.orders for number in order.telephone_numbers) == NUMBERS[:5]


def test_plan_after_which_another_run_has_planned_is_not_sent(
    bandwidth: Sandbox, scheduler: Scheduler, monday: Run
) -> None:
    monday.plan(NUMBERS[:3])
    scheduler.runs["monday"] = "failed"
    Run(scheduler, "tuesday", DAY + timedelta(days=1)).plan(NUMBERS[:3])
    with pytest.raises(
        AirflowFailException, match=r"another sync has planned.*'tuesday'.*Clear `plan` with everything"
    ):
        monday.submit()
    assert bandwidth.orders == []


@pytest.mark.parametrize("text", [None, "", "{}"])
def test_plan_whose_record_is_gone_is_not_sent(
    text: str | None, bandwidth: Sandbox, monday: Run, variables: FakeVariables
) -> None:
    plan = Handover.from_dict(monday.plan(NUMBERS[:3]))
    key = _peer_record.PeerRecord.of(plan).key
    if text is None:
        del variables.values[key]
    else:
        variables.values[key] = text
    with pytest.raises(
        AirflowFailException, match=rf"cannot be told: Airflow Variable '{key}'.*deleted or changed\. Nothing was sent"
    ) as caught:
        monday.submit()
    assert "has planned" not in str(caught.value)
    assert bandwidth.orders == []


def test_script_without_airflow_may_make_two_runs(
    bandwidth: Sandbox, monday: Run, variables: FakeVariables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variables, "set", Mock(side_effect=ImportError("cannot import name 'SUPERVISOR_COMMS'")))
    monkeypatch.setattr(airflow_variables, "_WITHOUT_AIRFLOW", {})
    monkeypatch.delattr(FakeTask, "get_dagrun_state")
    monday.plan(NUMBERS[:3])
    monday.submit()
    tuesday = Run(monday.scheduler, "tuesday")
    tuesday.plan(NUMBERS[:6])
    tuesday.submit()
    assert [len(order.telephone_numbers) for order in bandwidth.orders] == [3, 3]


def test_old_plan_is_not_sent(bandwidth: Sandbox, monday: Run) -> None:
    monday.plan(NUMBERS[:3])
    with pytest.raises(AirflowFailException, match=r"out of date.*plan_valid_for.*Clear `plan` with everything"):
        monday.submit(plan_valid_for=timedelta(0))
    assert bandwidth.orders == []


def test_order_of_an_old_plan_is_found_all_the_same(bandwidth: Sandbox, monday: Run) -> None:
    monday.plan(NUMBERS[:3])
    sent = monday.submit()
    assert monday.submit(plan_valid_for=timedelta(0)) == sent


def test_numbers_of_an_order_made_since_are_not_sent(bandwidth: Sandbox, monday: Run) -> None:
    bandwidth.hold()
    monday.plan(NUMBERS[:3])
    theirs = bandwidth.add_order(
        NUMBERS[2:5], action="REMOVE", status="PROCESSING", location=bandwidth.default_location
    )
    with pytest.raises(AirflowFailException, match=f"REMOVE order {theirs.order_id} was made since.*1 of these 3"):
        monday.submit()
    assert len(bandwidth.orders) == 1


@pytest.mark.parametrize("order_api", ["importTnOrders", "importTnOrders/messaging"])
def test_an_order_of_the_other_action_is_read_where_it_is(
    order_api: str, bandwidth: Sandbox, connect: Callable[..., None], monday: Run
) -> None:
    connect(bandwidth.connection, extra={**IMPORT_DEFAULTS, "order_api": order_api})
    bandwidth.configure(list_form="summary")
    bandwidth.hold()
    monday.plan(NUMBERS[:4], chunk_size=2)
    theirs = {"order_api": order_api, "action": "REMOVE", "location": bandwidth.default_location}
    bandwidth.add_order(NUMBERS[6:8], **theirs)
    monday.submit(0)
    assert [order.action for order in bandwidth.orders] == ["REMOVE", "IMPORT"]
    late = bandwidth.add_order(NUMBERS[3:5], **theirs)
    with pytest.raises(AirflowFailException, match=f"REMOVE order {late.order_id} was made since.*1 of these 2"):
        monday.submit(1)


def test_orders_of_the_same_plan_do_not_keep_each_other_from_being_sent(bandwidth: Sandbox, monday: Run) -> None:
    monday.plan(NUMBERS[:4], chunk_size=2)
    monday.submit(0)
    monday.submit(1)
    assert len(bandwidth.orders) == 2


@pytest.mark.parametrize("ends", [False, True], ids=["open", "ended"])
def test_open_order_that_is_shown_under_another_id_is_not_sent_again(
    bandwidth: Sandbox, monday: Run, monkeypatch: pytest.MonkeyPatch, *, ends: bool
) -> None:
    monkeypatch.setattr(_peer_turn, "time", SimpleNamespace(sleep=lambda _: None))
    bandwidth.hold()
    monday.plan(NUMBERS[:3])
    monday.submit()
    bandwidth.inject("setting", operation="list", contradict="customer-order-id", times=None)
    assert monday.plan(NUMBERS[:3])["orders"]["IMPORT"] == ["somebody-else"]
    bandwidth.clear_faults()
    if ends:
        bandwidth.release()
    with pytest.raises(AirflowFailException, match=r"no such order is found .* has 3 of these 3"):
        monday.submit()
    assert len(bandwidth.orders) == 1


def test_open_order_that_fails_after_the_plan_is_sent_anew(bandwidth: Sandbox, monday: Run) -> None:
    bandwidth.hold()
    monday.plan(NUMBERS[:3])
    failed = monday.submit()
    assert monday.plan(NUMBERS[:3])["orders"]["IMPORT"] == [bandwidth.orders[0].customer_order_id]
    bandwidth.finish(failed, "FAILED")
    assert monday.submit() != failed
    assert len(bandwidth.orders) == 2


# --- one sync of a SIP peer at a time ---


def test_plan_waits_for_the_run_that_is_at_it(bandwidth: Sandbox, scheduler: Scheduler, monday: Run) -> None:
    monday.plan(NUMBERS[:3])
    other = Run(scheduler, "manual", DAY, "other_dag")
    with pytest.raises(AirflowRescheduleException):
        other.plan(NUMBERS[:3])
    with pytest.raises(AirflowFailException, match="run 'monday' of DAG 'dag'"):
        other.plan(NUMBERS[:3], if_running="fail")
    monday.submit()
    assert len(bandwidth.orders) == 1


@pytest.mark.parametrize("state", ["failed", "success"])
def test_run_that_has_ended_holds_nothing(bandwidth: Sandbox, scheduler: Scheduler, monday: Run, state: str) -> None:
    monday.plan(NUMBERS[:3])
    scheduler.runs["monday"] = state
    Run(scheduler, "manual").plan(NUMBERS[:3])


def test_run_whose_report_has_ended_holds_nothing(
    bandwidth: Sandbox, scheduler: Scheduler, monday: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BandwidthNumberSyncPlanOperator, "_find_report_task_id", lambda _: "sync.report")
    monday.plan(NUMBERS[:3])
    scheduler.tasks["monday"] = {"sync.report": "running"}
    with pytest.raises(AirflowRescheduleException):
        Run(scheduler, "manual").plan(NUMBERS[:3])
    scheduler.tasks["monday"] = {"sync.report": "failed"}
    Run(scheduler, "manual").plan(NUMBERS[:3])


def test_run_that_never_ends_holds_no_longer_than_its_plan_is_valid(
    bandwidth: Sandbox, scheduler: Scheduler, monday: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_peer_record, "_PLANNING_TIME", timedelta(0))
    monday.plan(NUMBERS[:3], plan_valid_for=timedelta(0))
    Run(scheduler, "manual").plan(NUMBERS[:3])


def test_run_can_plan_again(bandwidth: Sandbox, monday: Run) -> None:
    monday.plan(NUMBERS[:3])
    monday.plan(NUMBERS[:4])
    monday.submit()
    assert bandwidth.orders[0].telephone_numbers == tuple(NUMBERS[:4])


def test_dry_run_neither_waits_nor_makes_a_plan_old(bandwidth: Sandbox, scheduler: Scheduler, monday: Run) -> None:
    monday.plan(NUMBERS[:3])
    Run(scheduler, "manual").plan(NUMBERS[:3], dry_run=True)
    monday.submit()


def test_older_run_does_not_plan_after_a_newer_one(bandwidth: Sandbox, scheduler: Scheduler, monday: Run) -> None:
    scheduler.runs["tuesday"] = "success"
    tuesday = Run(scheduler, "tuesday", DAY + timedelta(days=1))
    tuesday.plan(NUMBERS[:3])
    scheduler.runs["tuesday"] = "success"
    with pytest.raises(AirflowFailException, match=r"allow_older_run"):
        monday.plan(NUMBERS[:3])
    monday.plan(NUMBERS[:3], allow_older_run="True")


def test_plan_waits_until_the_search_shows_what_was_sent(
    bandwidth: Sandbox, scheduler: Scheduler, monday: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monday.plan(NUMBERS[:3])
    bandwidth.configure(search_lag_seconds=55)
    bandwidth.hold()
    monday.submit()
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        bandwidth.skip(seconds)

    monkeypatch.setattr(_peer_turn, "time", SimpleNamespace(sleep=sleep))
    monday.plan(NUMBERS[:4])
    assert 50 < sum(pauses) < 70
    assert monday.xcoms[PLAN, "import_00000", -1] == ",".join(NUMBERS[:3])
    assert monday.xcoms[PLAN, "import_00001", -1] == NUMBERS[3]


# --- what is at Bandwidth ---


def test_inventory_that_does_not_fit_the_count_is_not_believed(bandwidth: Sandbox, monday: Run) -> None:
    bandwidth.seed(imported=NUMBERS[:100])
    bandwidth.inject("status", operation="peer-numbers", status=204, body="empty", times=None)
    with pytest.raises(InvalidResponseError, match=r"counts 100 telephone numbers before and 100 after.*showed 0"):
        monday.plan(NUMBERS)


def test_inventory_that_is_empty_once_is_read_again(bandwidth: Sandbox, monday: Run) -> None:
    bandwidth.seed(imported=NUMBERS[:100])
    bandwidth.inject("status", operation="peer-numbers", status=204, body="empty", times=1)
    assert monday.plan(NUMBERS[:100])["to_import"] == 0


@pytest.mark.parametrize("ends", [False, True], ids=["open", "ended"])
def test_orders_do_not_explain_an_inventory_that_leaves_out_others(
    bandwidth: Sandbox, monday: Run, *, ends: bool
) -> None:
    """As many numbers on their way as are left out, and live ones would be imported again."""
    bandwidth.seed(imported=NUMBERS[:12])
    bandwidth.hold()
    monday.plan(NUMBERS[:30])
    monday.submit()
    if ends:
        bandwidth.configure(inventory_lag_seconds=3000)
        bandwidth.release()
    bandwidth.inject("status", operation="peer-numbers", status=204, body="empty", times=None)
    with pytest.raises(InvalidResponseError, match=r"its inventory showed 0\. Orders that are open .* 12 new ones"):
        monday.plan(NUMBERS[:30])
    assert monday.plan(NUMBERS[12:30])["current"] == (18 if ends else 0)
    assert monday.plan(NUMBERS[:30], first_load=True)["to_import"] == (12 if ends else 30)


def test_empty_peer_that_orders_contradict_is_unsafe(bandwidth: Sandbox, scheduler: Scheduler, monday: Run) -> None:
    old = datetime.now(UTC) - timedelta(days=60)
    bandwidth.add_order(NUMBERS[:5], status="COMPLETE", location=bandwidth.default_location, created_at=old)
    with pytest.raises(AirflowFailException, match="imported 5 there that no order took away"):
        monday.plan(NUMBERS[:5])
    monday.plan(NUMBERS[:5], first_load=True)
    assert monday.submit()


def test_peer_that_shows_a_part_of_what_orders_brought_is_unsafe(bandwidth: Sandbox, monday: Run) -> None:
    """An inventory and a count that are equally wrong agree, and a live fleet would be imported again."""
    old = datetime.now(UTC) - timedelta(days=60)
    for numbers in (NUMBERS[:60], NUMBERS[60:70]):
        bandwidth.add_order(numbers, status="COMPLETE", location=bandwidth.default_location, created_at=old)
    bandwidth.seed(imported=NUMBERS[:20])
    with pytest.raises(AirflowFailException, match=r"shows only 20 imported numbers, although .* imported 40 more"):
        monday.plan([*NUMBERS[:60], *NUMBERS[100:105]])
    assert monday.plan([*NUMBERS[:22], *NUMBERS[100:120]])["to_import"] == 22
    assert monday.plan(NUMBERS[:60], first_load=True)["to_import"] == 40


def test_numbers_that_are_on_their_way_again_have_not_vanished(bandwidth: Sandbox, monday: Run) -> None:
    """Once a person has let them through, nobody is asked again while their order is open."""
    old = datetime.now(UTC) - timedelta(days=60)
    bandwidth.add_order(NUMBERS[:30], status="COMPLETE", location=bandwidth.default_location, created_at=old)
    bandwidth.hold()
    monday.plan(NUMBERS[:30], first_load=True)
    monday.submit()
    assert monday.plan(NUMBERS[:30])["to_import"] == 30
    bandwidth.seed(imported=NUMBERS[40:45])
    assert monday.plan([*NUMBERS[:30], *NUMBERS[40:50]])["to_import"] == 35


# --- unsafe plans and dry runs ---


def test_unsafe_plan_is_reported_and_not_sent(bandwidth: Sandbox, monday: Run) -> None:
    bandwidth.seed(imported=NUMBERS[:10])
    with pytest.raises(AirflowFailException, match="max_removals"):
        monday.plan([*NUMBERS[:7], "call Jane"], remove_missing=True, max_unreadable=1)
    plan = monday.xcoms[PLAN, "return_value", -1]
    assert list_sync_orders.function(plan, "REMOVE") == []
    with pytest.raises(AirflowFailException, match=r"The plan is unsafe:.*10 % of 10 = 1 removals allowed; 3 planned"):
        monday.report("failed")
    assert (monday.reported["rejected"], monday.reported["removal_planned"]) == (1, 3)


def test_nobody_waits_for_orders_of_an_unsafe_plan(bandwidth: Sandbox, monday: Run, variables: FakeVariables) -> None:
    with pytest.raises(AirflowFailException):
        monday.plan(NUMBERS[:3], max_imports=2)
    (record,) = variables.values.values()
    assert json.loads(record)["order_ids"] == []


def test_plan_that_was_marked_as_success_is_not_sent(bandwidth: Sandbox, monday: Run) -> None:
    with pytest.raises(AirflowFailException):
        monday.plan(NUMBERS[:3], max_imports=2)
    with pytest.raises(AirflowSkipException):
        monday.submit()
    assert bandwidth.orders == []


@pytest.mark.parametrize(
    ("numbers", "parameters", "says"),
    [
        (
            NUMBERS[:7],
            {},
            (
                "A real run would stop: 10 % of 10 = 1 removals allowed; 3 planned: 9196660007, 9196660008, 9196660009 "
                "(max_removals=0.1). If they should go, raise max_removals. If let through, it would send 1 order."
            ),
        ),
        (
            NUMBERS[:7],
            {"approval": "unsafe"},
            "A real run would ask a person first: 10 % of 10 = 1 removals allowed",
        ),
        (
            NUMBERS[:11],
            {"approval": "always"},
            "A real run would ask a person first. If approved, it would send 1 order, and succeed unless one",
        ),
        (
            NUMBERS[:13],
            {"chunk_size": 2},
            "A real run would send 2 orders, and succeed unless one of them errors (max_errors=0).",
        ),
        (NUMBERS[:10], {}, "A real run would send 0 orders."),
    ],
)
def test_dry_run_says_what_a_real_run_would_do(
    bandwidth: Sandbox,
    monday: Run,
    monkeypatch: pytest.MonkeyPatch,
    numbers: list[str],
    parameters: dict[str, Any],
    says: str,
) -> None:
    log = Mock()
    monkeypatch.setattr(BandwidthNumberSyncReportOperator, "log", log)
    # A dry run asks nobody, so what Airflow can do does not matter.
    monkeypatch.setattr("airflow_provider_bandwidth.operators.number_sync.parse_approval", lambda value: value)
    bandwidth.seed(imported=NUMBERS[:10])
    monday.plan(numbers, remove_missing=True, dry_run=True, **parameters)
    with pytest.raises(AirflowSkipException):
        monday.report("success")
    (logged,) = log.info.call_args_list
    assert says in str(logged.args[1])
    page = monday.xcoms["sync.report", "bandwidth_report_page", -1]
    assert f"A dry run, nothing was sent. {says}"[:200] in page
    for number in set(NUMBERS[:10]) ^ set(numbers):
        assert number in page.partition("What became of the numbers")[2]


def test_dry_run_says_how_the_run_would_end_by_what_is_held_back(
    bandwidth: Sandbox, monday: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Mock()
    monkeypatch.setattr(BandwidthNumberSyncReportOperator, "log", log)
    theirs = ["9195550001", "9845550001"]
    refused = bandwidth.add_order(theirs, action="IMPORT", status="PROCESSING", location=bandwidth.default_location)
    bandwidth.finish(refused.order_id)
    monday.plan([*NUMBERS[:3], "9195550001", "9845550001"], dry_run=True)
    for max_errors, says in (
        (1, "It would fail: 2 of 5 errored (25060 x 2), more than max_errors=1 allows."),
        (3, "and succeed unless more than 1 of them error (max_errors=3)."),
    ):
        with pytest.raises(AirflowSkipException):
            monday.report("success", max_errors=max_errors)
        assert says in str(log.info.call_args_list[-1].args[1])


@pytest.mark.parametrize("lists", [True, False])
def test_log_names_the_first_numbers_unless_counts_are_enough(
    bandwidth: Sandbox, monday: Run, monkeypatch: pytest.MonkeyPatch, lists: bool
) -> None:
    log = Mock()
    monkeypatch.setattr(BandwidthNumberSyncReportOperator, "log", log)
    monday.plan(NUMBERS[:12], dry_run=True)
    with pytest.raises(AirflowSkipException):
        monday.report("success", log_telephone_numbers=lists)
    logged = str(log.info.call_args_list[-1].args[1])
    assert "12  IMPORT planned" in logged
    assert (f"{', '.join(NUMBERS[:10])}, ..." in logged) is lists


def test_skipped_plan_skips_the_report(bandwidth: Sandbox, monday: Run) -> None:
    with pytest.raises(AirflowSkipException):
        monday.report("skipped")


def test_report_never_overwrites_another(bandwidth: Sandbox, monday: Run, tmp_path: Any) -> None:
    monday.plan(NUMBERS[:3], dry_run=True)
    path = tmp_path / "night.csv"
    written = []
    for _ in range(3):
        with pytest.raises(AirflowSkipException):
            monday.report("success", report_path=str(path))
        written.append(monday.reported["report_path"])
    assert written == [str(path), str(tmp_path / "night-2.csv"), str(tmp_path / "night-3.csv")]
    assert len({path.read_text() for path in tmp_path.iterdir()}) == 1


def test_missing_file_is_tried_again_and_a_wrong_column_is_not(bandwidth: Sandbox, monday: Run, tmp_path: Any) -> None:
    from airflow_provider_bandwidth.exceptions import InvalidExtractError

    extract = tmp_path / "contacts.csv"
    given: dict[str, Any] = {"telephone_numbers": None, "extract_path": str(extract), "column": "Phone"}
    operator = BandwidthNumberSyncPlanOperator(task_id=PLAN, **given)
    with pytest.raises(InvalidExtractError, match="cannot be read"):
        operator.execute(monday.context(PLAN))
    extract.write_text("Name\nDoe\n")
    with pytest.raises(AirflowFailException, match="no column 'Phone'"):
        operator.execute(monday.context(PLAN))


def test_a_script_that_runs_the_tasks_itself_needs_no_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ImportError("cannot import name 'SUPERVISOR_COMMS'")

    monkeypatch.setattr(airflow_variables, "Variable", Mock(set=refuse, get=Mock(side_effect=KeyError)))
    monkeypatch.setattr(_peer_record, "_SETTLED_AFTER_SECONDS", 0)
    monkeypatch.setattr(airflow_variables, "_WITHOUT_AIRFLOW", {})
    ti = SimpleNamespace(dag_id="d", run_id="r")
    record = _peer_record.PeerRecord("9900000", 743, 303716)
    mine = record.take(ti, "plan", None, None, timedelta(hours=2))
    assert mine is not None
    assert record.keep_orders(mine, ["airflow-1"])
    assert record.is_latest(mine.nonce)
