"""A person decides on a plan: what is asked when, and what is sent after which answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from support.variables import replace_variables

from airflow_provider_bandwidth.number_sync.question import Question
from airflow_provider_bandwidth.operators import number_sync as operators
from airflow_provider_bandwidth.operators.number_sync import (
    BandwidthNumberSyncOrdersOperator,
    BandwidthNumberSyncPlanOperator,
    BandwidthNumberSyncReportOperator,
    list_sync_orders,
)
from airflow_provider_bandwidth.sandbox import Sandbox

NUMBERS = [f"919666{last:04d}" for last in range(40)]
PLAN = "sync.plan"
DAY = datetime(2026, 11, 3, tzinfo=UTC)
AT = datetime(2026, 11, 3, 2, 10, tzinfo=UTC)


class ParkedError(BaseException):
    """Airflow has parked the task."""


class FakeTask:
    """A task instance with the XComs of its run; Airflow clears them when a task starts, not when it goes on."""

    def __init__(self, run: Run, task_id: str, map_index: int) -> None:
        self.dag_id, self.run_id, self.task_id, self.map_index = run.dag_id, run.run_id, task_id, map_index
        self.try_number = run.try_number
        self._run = run

    def xcom_push(self, key: str, value: Any) -> None:
        self._run.xcoms[self.task_id, key, self.map_index] = json.loads(json.dumps(value))

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int) -> Any:
        return self._run.xcoms.get((task_ids, key, map_indexes))

    def get_dagrun_state(self, dag_id: str, run_id: str) -> Any:
        return SimpleNamespace(value="running")

    def get_task_states(self, dag_id: str, run_ids: list[str], task_ids: Any = None) -> dict[str, dict[str, str]]:
        return {run_ids[0]: self._run.states}


class Run:
    """One run of a sync with an approval, and the person who is asked."""

    def __init__(
        self, asked: list[Question], run_id: str = "monday", due: datetime = DAY, dag_id: str = "dag", **parameters: Any
    ) -> None:
        self.asked, self.run_id, self.dag_id, self.due = asked, run_id, dag_id, due
        self.parameters = {"approval": "unsafe", "remove_missing": True, **parameters}
        self.try_number = 0
        self.xcoms: dict[tuple[str, str, int], Any] = {}
        self.states: dict[str, str] = {}

    def context(self, task_id: str, map_index: int = -1) -> Any:
        run = SimpleNamespace(start_date=self.due, clear_number=0, run_after=self.due, logical_date=self.due)
        return {"ti": FakeTask(self, task_id, map_index), "dag_run": run}

    def _operator(self, numbers: list[str]) -> BandwidthNumberSyncPlanOperator:
        return BandwidthNumberSyncPlanOperator(
            task_id=PLAN, telephone_numbers=numbers, orders_per_task=1, **self.parameters
        )

    def plan(self, numbers: list[str]) -> dict[str, Any]:
        """The plan task starts: its first try, a retry, or after a clear."""
        self.try_number += 1
        self.xcoms.clear()
        return self._end(lambda: self._operator(numbers).execute(self.context(PLAN)))

    def answer(self, option: str, numbers: list[str], question: Question | None = None, **event: Any) -> dict[str, Any]:
        """Somebody answers a question, the latest by default, and the task goes on."""
        given = {
            "chosen_options": [option],
            "params_input": {"plan": (question or self.asked[-1]).digest},
            "responded_by_user": {"id": "7", "name": "ada"},
            "responded_at": AT,
            "timedout": False,
            **event,
        }
        return self._end(lambda: self._operator(numbers).execute_complete(self.context(PLAN), given))

    def _end(self, go: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        states: dict[type[BaseException], str] = {
            AirflowFailException: "failed",
            AirflowSkipException: "skipped",
            ParkedError: "deferred",
        }
        try:
            go()
        except tuple(states) as error:
            self.states[PLAN] = states[type(error)]
            raise
        self.states[PLAN] = "success"
        return self.handover

    @property
    def handover(self) -> dict[str, Any]:
        return self.xcoms[PLAN, "return_value", -1]

    def submit(self) -> None:
        """Send every order that the plan hands on."""
        for action in ("IMPORT", "REMOVE"):
            mapped = list_sync_orders.function(self.handover, action)
            for index, customer_order_ids in enumerate(mapped):
                operator = BandwidthNumberSyncOrdersOperator(
                    task_id=f"sync.{action}",
                    plan_task_id=PLAN,
                    action=action,
                    customer_order_ids=customer_order_ids,
                )
                operator.execute(self.context(operator.task_id, index))

    def report(self, **parameters: Any) -> None:
        operator = BandwidthNumberSyncReportOperator(
            task_id="sync.report", plan_task_id=PLAN, order_task_ids={}, **parameters
        )
        operator.execute(self.context("sync.report"))

    @property
    def reported(self) -> dict[str, Any]:
        return self.xcoms["sync.report", "return_value", -1]

    @property
    def page(self) -> str:
        return self.xcoms["sync.report", "bandwidth_report_page", -1]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Question]:
    """The questions that were asked, on any line of Airflow."""
    questions: list[Question] = []

    def park(context: Any, question: Question, **_: Any) -> None:
        questions.append(question)
        raise ParkedError

    monkeypatch.setattr(operators, "ask_person", park)
    monkeypatch.setattr(operators, "parse_approval", lambda value: value)
    return questions


@pytest.fixture
def bandwidth(sandbox: Sandbox, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setattr("airflow_provider_bandwidth.operators._peer_reader._INVENTORY_PAUSE", 0)
    monkeypatch.setattr("airflow_provider_bandwidth.hooks._submission._PAUSES", (0.0,))
    replace_variables(monkeypatch)
    connect(sandbox.connection)
    yield sandbox
    sandbox.release()


@pytest.fixture
def monday(bandwidth: Sandbox, asked: list[Question]) -> Run:
    """40 numbers are there; an extract of 20 removes half of them, which is unsafe."""
    bandwidth.seed(imported=NUMBERS)
    return Run(asked)


def ask(run: Run, numbers: list[str]) -> None:
    with pytest.raises(ParkedError):
        run.plan(numbers)


# --- when somebody is asked ---


def test_unsafe_plan_is_asked_about_with_its_figures_and_reasons(monday: Run, bandwidth: Sandbox) -> None:
    ask(monday, [*NUMBERS[:20], "call Jane"])
    (question,) = monday.asked
    assert question.subject.startswith("Import 0 and remove 20 numbers?")
    assert "| **To remove** | 20 | 50.0 % of current |" in question.body
    assert "* 10 % of 40 = 4 removals allowed; 20 planned" in question.body
    assert f"**First numbers to remove:** {', '.join(NUMBERS[20:30])}, and 10 more" in question.body
    assert "call Jane" in question.body
    assert bandwidth.orders == []


def test_safe_plan_is_asked_about_only_if_always(monday: Run, asked: list[Question]) -> None:
    assert monday.plan(NUMBERS[:39])["decision"] is None
    assert asked == []
    monday.parameters["approval"] = "always"
    ask(monday, NUMBERS[:39])
    assert "keeps all its limits" in asked[0].body


def test_nobody_is_asked_about_nothing_or_a_dry_run(monday: Run, asked: list[Question]) -> None:
    Run(asked, approval="always").plan(NUMBERS)
    Run(asked, approval="always", dry_run=True).plan(NUMBERS[:20])
    assert asked == []


def test_unsafe_plan_fails_as_ever_where_nobody_is_to_be_asked(monday: Run, asked: list[Question]) -> None:
    with pytest.raises(AirflowFailException, match="20 planned"):
        Run(asked, approval="never").plan(NUMBERS[:20])
    assert asked == []


@pytest.mark.parametrize("approval", ["never", "unsafe"])
def test_unsafe_plan_is_told_to_whoever_wants_to_know(monday: Run, approval: str, bandwidth: Sandbox) -> None:
    told: list[Any] = []

    def fail(context: Any) -> None:
        raise RuntimeError("the mail server is down")

    monday.parameters.update(approval=approval, on_unsafe_plan=[fail, lambda context: told.append(context)])
    with pytest.raises((ParkedError, AirflowFailException)):
        monday.plan(NUMBERS[:20])
    (context,) = told
    figures = context["bandwidth_plan"]
    assert (figures["to_remove"], figures["orders"], figures["asks"]) == (20, 1, approval == "unsafe")
    assert figures["place"] == "account 9900000, site 743, SIP peer 303716"
    assert "10 % of 40 = 4 removals allowed" in figures["findings"][0]


@pytest.mark.parametrize(("numbers", "dry_run"), [(NUMBERS[:20], True), (NUMBERS[:39], False)])
def test_nobody_is_told_of_a_dry_run_or_a_safe_plan(monday: Run, numbers: list[str], dry_run: bool) -> None:
    told: list[Any] = []
    monday.parameters.update(dry_run=dry_run, on_unsafe_plan=told.append)
    monday.plan(numbers)
    assert told == []


# --- answers ---


def test_approved_plan_is_sent_and_the_report_says_by_whom(monday: Run, bandwidth: Sandbox) -> None:
    ask(monday, NUMBERS[:20])
    monday.answer("Approve", NUMBERS[:20])
    monday.submit()
    (order,) = bandwidth.orders
    assert (order.action, set(order.telephone_numbers)) == ("REMOVE", set(NUMBERS[20:]))
    assert monday.handover["decision"] == {
        "answer": "approved",
        "by": "ada",
        "at": "2026-11-03T02:10:00+00:00",
        "problem": "",
    }


@pytest.mark.parametrize(("soft_fail", "error"), [(False, AirflowFailException), (True, AirflowSkipException)])
@pytest.mark.parametrize(
    ("event", "who"),
    [
        ({}, "rejected by ada at 2026-11-03T02:10:00+00:00"),
        ({"responded_by_user": None, "timedout": True}, "nobody answered"),
    ],
)
def test_plan_that_is_not_approved_is_not_sent(
    monday: Run, bandwidth: Sandbox, soft_fail: bool, error: type[Exception], event: Any, who: str
) -> None:
    monday.parameters["soft_fail"] = soft_fail
    ask(monday, [*NUMBERS[:20], "9196660999"])
    with pytest.raises(error, match=re.escape(who)):
        monday.answer("Reject", [*NUMBERS[:20], "9196660999"], **event)
    monday.submit()
    assert bandwidth.orders == []
    with pytest.raises(error, match=re.escape(who)):
        monday.report()
    assert monday.reported["removal_not_approved"] == 20
    assert (monday.reported["not_approved"], monday.reported["planned"]) == (1, 0)
    assert f"not approved ({who})" in monday.page


def test_file_says_for_each_number_who_did_not_approve_it(monday: Run, tmp_path: Any) -> None:
    ask(monday, NUMBERS[:20])
    with pytest.raises(AirflowFailException):
        monday.answer("Reject", NUMBERS[:20])
    path = tmp_path / "report.jsonl"
    with pytest.raises(AirflowFailException):
        monday.report(report_path=str(path))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    removals = {row["telephone_number"]: row for row in rows if row["action"] == "REMOVE"}
    assert removals.keys() == set(NUMBERS[20:])
    assert {row["fate"] for row in removals.values()} == {"not_approved"}
    assert {row["reason"] for row in removals.values()} == {"rejected by ada at 2026-11-03T02:10:00+00:00"}


def test_plan_marked_as_a_success_before_anybody_answered_is_not_sent(monday: Run, bandwidth: Sandbox) -> None:
    monday.parameters["approval"] = "always"
    ask(monday, NUMBERS[:39])
    monday.states[PLAN] = "success"
    monday.submit()
    assert bandwidth.orders == []
    with pytest.raises(AirflowFailException, match=r"not approved .nobody answered"):
        monday.report()


# --- the plan changes while somebody thinks ---


def test_at_most_what_was_approved_is_sent(monday: Run, bandwidth: Sandbox) -> None:
    ask(monday, NUMBERS[:20])
    monday.answer("Approve", NUMBERS[:25])
    monday.submit()
    assert set(bandwidth.orders[0].telephone_numbers) == set(NUMBERS[25:])


@pytest.mark.parametrize(
    ("numbers", "says"),
    [(NUMBERS[:19], "1 more to remove"), ([*NUMBERS[:20], "9196660999"], "1 more to import")],
)
def test_plan_that_has_grown_is_not_sent(monday: Run, bandwidth: Sandbox, numbers: list[str], says: str) -> None:
    ask(monday, NUMBERS[:20])
    with pytest.raises(AirflowFailException, match=f"approved by ada at .*, but the plan has grown since .{says}"):
        monday.answer("Approve", numbers)
    monday.submit()
    assert bandwidth.orders == []
    with pytest.raises(AirflowFailException, match="grown"):
        monday.report()
    assert monday.reported["to_remove"] == 40 - len(set(numbers) & set(NUMBERS))


def test_same_numbers_for_a_new_reason_are_not_sent(monday: Run, bandwidth: Sandbox) -> None:
    monday.parameters["min_desired"] = 0.5
    ask(monday, NUMBERS[:20])
    with pytest.raises(AirflowFailException, match="max_unreadable is broken, too"):
        monday.answer("Approve", [*NUMBERS[:20], "call Jane", "call Joe"])
    assert bandwidth.orders == []


def test_grown_plan_is_asked_about_again_where_airflow_shows_the_new_question(
    monday: Run, bandwidth: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operators, "shows_new_text", lambda: True)
    ask(monday, NUMBERS[:20])
    with pytest.raises(ParkedError):
        monday.answer("Approve", NUMBERS[:19])
    assert [question.subject.split("?")[0] for question in monday.asked] == [
        "Import 0 and remove 20 numbers",
        "Import 0 and remove 21 numbers",
    ]
    # The same answer again, as a program would give it, is for the first question.
    with pytest.raises(AirflowFailException, match="older plan"):
        monday.answer("Approve", NUMBERS[:19], params_input={})
    ask(monday, NUMBERS[:19])
    monday.answer("Approve", NUMBERS[:19])
    monday.submit()
    assert len(bandwidth.orders[0].telephone_numbers) == 21


# --- cleared and retried ---


def test_cleared_run_asks_again_and_the_old_question_approves_nothing(monday: Run, bandwidth: Sandbox) -> None:
    ask(monday, NUMBERS[:20])
    with pytest.raises(AirflowFailException):
        monday.answer("Reject", NUMBERS[:20])
    ask(monday, NUMBERS[:19])
    old, new = monday.asked
    with pytest.raises(AirflowFailException, match="figures of an older plan"):
        monday.answer("Approve", NUMBERS[:19], question=old)
    assert bandwidth.orders == []
    ask(monday, NUMBERS[:19])
    with pytest.raises(AirflowFailException, match="figures of an older plan"):
        monday.answer("Approve", NUMBERS[:19], params_input={})
    ask(monday, NUMBERS[:19])
    monday.answer("Approve", NUMBERS[:19], question=new)
    monday.submit()
    assert len(bandwidth.orders[0].telephone_numbers) == 21


def test_retried_plan_with_the_same_figures_may_be_approved_by_the_old_question(monday: Run) -> None:
    ask(monday, NUMBERS[:20])
    ask(monday, NUMBERS[:20])
    first, second = monday.asked
    assert first == second
    monday.answer("Approve", NUMBERS[:20], question=first)


def test_first_question_may_be_answered_by_rest_without_the_form(monday: Run) -> None:
    ask(monday, NUMBERS[:20])
    monday.answer("Approve", NUMBERS[:20], params_input={})


def test_approval_whose_plan_cannot_be_made_anew_says_so(monday: Run, bandwidth: Sandbox) -> None:
    ask(monday, NUMBERS[:20])
    monday.parameters["excluded_telephone_numbers"] = "call Jane"
    with pytest.raises(AirflowFailException, match="call Jane"):
        monday.answer("Approve", NUMBERS[:20])
    with pytest.raises(AirflowFailException, match=r"approved by ada at .*, but what to send now could not be planned"):
        monday.report()
    assert bandwidth.orders == []


# --- two syncs of a SIP peer ---


def test_waiting_for_a_person_keeps_nobody_else_waiting(monday: Run, bandwidth: Sandbox) -> None:
    ask(monday, NUMBERS[:20])
    other = Run(monday.asked, "manual", dag_id="other", approval="never", if_running="fail")
    other.plan([*NUMBERS[:39], "9196660999"])
    other.submit()
    assert len(bandwidth.orders) == 2


def test_two_pending_questions_are_answered_one_by_one(monday: Run, bandwidth: Sandbox) -> None:
    pytest.importorskip("airflow.providers.standard.triggers.temporal")
    other = Run(monday.asked, "manual", dag_id="other")
    ask(monday, NUMBERS[:20])
    ask(other, NUMBERS[:10])
    of_monday, of_other = monday.asked
    monday.answer("Approve", NUMBERS[:20], question=of_monday)
    # The other's turn has not come: it waits with its approval in hand.
    with pytest.raises(BaseException, match=r".*") as parked:
        other.answer("Approve", NUMBERS[:10], question=of_other)
    assert type(parked.value).__name__ == "TaskDeferred"
    assert parked.value.method_name == "send_approved"
    monday.submit()
    monday.states["sync.report"] = "success"
    bandwidth.release()
    FakeTask.get_dagrun_state, running = lambda *_, **__: SimpleNamespace(value="success"), FakeTask.get_dagrun_state
    try:
        other._operator(NUMBERS[:10]).send_approved(other.context(PLAN), **json.loads(json.dumps(parked.value.kwargs)))
    finally:
        FakeTask.get_dagrun_state = running
    assert other.handover["decision"]["answer"] == "approved"
    assert other.handover["to_remove"] == 10


def test_older_runs_approval_sends_nothing_once_a_newer_run_has_planned(monday: Run, bandwidth: Sandbox) -> None:
    ask(monday, NUMBERS[:20])
    tuesday = Run(monday.asked, "tuesday", DAY + timedelta(days=1))
    ask(tuesday, NUMBERS[:21])
    of_monday, of_tuesday = monday.asked
    with pytest.raises(AirflowFailException, match="older extract"):
        monday.answer("Approve", NUMBERS[:20], question=of_monday)
    tuesday.answer("Approve", NUMBERS[:21], question=of_tuesday)
    tuesday.submit()
    assert len(bandwidth.orders) == 1


def test_plan_is_as_old_as_its_making_after_the_answer(monday: Run) -> None:
    ask(monday, NUMBERS[:20])
    planned_at = monday.handover["planned_at"]
    assert monday.answer("Approve", NUMBERS[:20])["planned_at"] > planned_at


# --- parameters ---


@pytest.mark.parametrize(
    ("parameters", "says"),
    [({"approval": "maybe"}, "approval"), ({"approval_timeout": timedelta(0)}, "approval_timeout")],
)
def test_wrong_parameters_are_refused_when_the_dag_is_parsed(parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        BandwidthNumberSyncPlanOperator(task_id=PLAN, telephone_numbers=[], **parameters)


def test_one_approver_or_many() -> None:
    for given in ("ada", ["ada", 7]):
        operator = BandwidthNumberSyncPlanOperator(task_id=PLAN, telephone_numbers=[], approvers=given)
        assert operator.approvers[0] == "ada"
