"""Asking a person: an answer counts for the figures it was given for, and for nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import airflow
import pytest

from airflow_provider_bandwidth.number_sync.question import Decision, Question
from airflow_provider_bandwidth.operators import _approval
from airflow_provider_bandwidth.operators._approval import ask_person, parse_approval, read_answer

CAN_ASK = tuple(int(part) for part in airflow.__version__.split(".")[:2]) >= (3, 1)
EVENT = {
    "chosen_options": ["Approve"],
    "params_input": {"plan": "3f9a"},
    "responded_by_user": {"id": "7", "name": "ada"},
    "responded_at": datetime(2026, 11, 26, 2, 10, 0, 123, tzinfo=UTC),
    "timedout": False,
}


def answer(is_first_question: bool = True, **changes: Any) -> Decision:
    return read_answer({**EVENT, **changes}, "3f9a", is_first_question=is_first_question)


def test_an_approval_names_who_and_when() -> None:
    assert answer().is_approved
    assert str(answer()) == "approved by ada at 2026-11-26T02:10:00+00:00"


@pytest.mark.parametrize(
    "changes",
    [
        {"chosen_options": ["Reject"]},
        {"chosen_options": []},
        {"chosen_options": ["Approve", "Reject"]},
        {"chosen_options": ["Yes"]},
    ],
)
def test_only_approve_approves(changes: dict[str, Any]) -> None:
    assert not answer(**changes).is_approved
    assert str(answer(**changes)) == "rejected by ada at 2026-11-26T02:10:00+00:00"


@pytest.mark.parametrize(
    "changes",
    [
        {"chosen_options": ["Reject"], "responded_by_user": None, "timedout": True},
        {"responded_by_user": None, "timedout": True},
        {"responded_by_user": None},
        {"timedout": True},
    ],
)
def test_no_answer_in_time_is_nobodys(changes: dict[str, Any]) -> None:
    given = answer(**changes)
    assert not given.is_approved
    assert str(given) == "nobody answered"


def test_an_approval_of_an_older_plan_does_not_count() -> None:
    given = answer(params_input={"plan": "0000"})
    assert not given.is_approved
    assert str(given).startswith("approved by ada at 2026-11-26T02:10:00+00:00, but for the figures of an older plan")


@pytest.mark.parametrize("params_input", [{}, None])
def test_an_answer_by_rest_without_the_digest_counts_for_a_first_question_only(params_input: Any) -> None:
    assert answer(params_input=params_input).is_approved
    assert not answer(params_input=params_input, is_first_question=False).is_approved
    assert answer(is_first_question=False).is_approved


def test_an_error_of_airflow_approves_nothing() -> None:
    given = read_answer({"error": "out of time", "error_type": "timeout"}, "3f9a", is_first_question=True)
    assert not given.is_approved
    assert "out of time" in str(given)


def test_never_is_always_possible_and_nonsense_never() -> None:
    assert parse_approval("never") == "never"
    with pytest.raises(ValueError, match="approval: expected one of never, unsafe, always, got 'yes'"):
        parse_approval("yes")


@pytest.mark.parametrize("value", ["unsafe", "always"])
def test_says_what_is_possible_where_airflow_cannot_ask(value: str) -> None:
    if CAN_ASK:
        assert parse_approval(value) == value
        return
    with pytest.raises(ValueError, match=r"needs Airflow 3.1 or later.*Leave approval='never'"):
        parse_approval(value)


@pytest.mark.parametrize("value", ["unsafe", "always"])
def test_needs_the_standard_provider(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow, "__version__", "3.3.2")
    monkeypatch.setattr(_approval, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="apache-airflow-providers-standard"):
        parse_approval(value)


def test_the_question_carries_the_plans_digest_and_who_may_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    if not CAN_ASK:
        return
    hitl = pytest.importorskip("airflow.providers.standard.operators.hitl")
    asked: list[dict[str, Any]] = []

    def note(**question: Any) -> None:
        asked.append(question)

    monkeypatch.setattr(hitl, "upsert_hitl_detail", note)
    context: Any = {"task_instance": SimpleNamespace(id="00000000-0000-0000-0000-000000000001")}
    with pytest.raises(BaseException, match=r".*") as parked:
        ask_person(context, Question("s", "b", "3f9a"), approvers=["bob"], timeout=timedelta(hours=20))
    assert type(parked.value).__name__ in ("TaskDeferred", "TaskAwaitingInput")
    (question,) = asked
    assert (question["subject"], question["body"]) == ("s", "b")
    assert question["options"] == ["Approve", "Reject"]
    assert question["defaults"] == ["Reject"]
    assert question["assigned_users"] == [{"id": "bob", "name": "bob"}]
    assert "3f9a" in str(question["params"]["plan"])
