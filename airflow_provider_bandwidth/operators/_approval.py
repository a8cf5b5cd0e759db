"""Asks a person about a plan, by a *Required Action* in Airflow's UI: Airflow 3.1 and later.

An answer is bound to what it was given for. Before Airflow 3.4, a question that is asked again, after a retry or a
clear, still shows its first text. So each question carries its digest in a form field, and an answer that brings
another digest approves nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, cast, get_args

import airflow

from airflow_provider_bandwidth.number_sync.question import Decision, Question

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: When a person is asked: never, when the plan is unsafe, or whenever something would be sent.
Approval = Literal["never", "unsafe", "always"]
#: As Airflow's own callbacks: a notifier, say.
Callback = Callable[[Any], Any]
#: A nightly run's question ends before the next night's run.
DEFAULT_APPROVAL_TIMEOUT: Final = timedelta(hours=20)
APPROVE: Final = "Approve"
REJECT: Final = "Reject"
_STANDARD: Final = "airflow.providers.standard"
_HITL: Final = f"{_STANDARD}.operators.hitl"
_DIGEST_FIELD: Final = "plan"


def _airflow_version() -> tuple[int, int]:
    major, minor = airflow.__version__.split(".")[:2]
    return int(major), int(minor)


def shows_new_text() -> bool:
    """Whether this Airflow shows the new text of a question that a task instance asks again."""
    return _airflow_version() >= (3, 4)


def parse_approval(value: str) -> Approval:
    """When a person is to be asked, if this Airflow can ask.

    :raises ValueError: another text, or a person cannot be asked here
    """
    if value not in get_args(Approval):
        raise ValueError(f"approval: expected one of {', '.join(get_args(Approval))}, got {value!r}")
    if value == "never":
        return "never"
    if _airflow_version() < (3, 1):
        raise ValueError(
            f"approval={value!r} needs Airflow 3.1 or later, which can ask a person; this is {airflow.__version__}. "
            "Here an unsafe plan fails and says why. Leave approval='never'; to let one night's plan through, raise "
            "the limit that its message names for one run."
        )
    if find_spec(_STANDARD) is None or find_spec(_HITL) is None:
        raise ValueError(
            f"approval={value!r} needs the package apache-airflow-providers-standard, 1.8 or later. Install it beside "
            "Airflow, also where DAG files are parsed."
        )
    return cast("Approval", value)


def ask_person(
    context: Context, question: Question, *, approvers: Sequence[str], timeout: timedelta | None
) -> NoReturn:
    """Defer the task until a person has answered; it goes on in its ``execute_complete``.

    :param approvers: ids of the users who may answer; whoever may answer such questions in this Airflow if empty
    :param timeout: how long to wait for an answer before the plan counts as rejected; for ever if ``None``
    """
    # Imported here: it costs 66 ms, and DAG files are parsed again at every task start.
    from airflow.providers.standard.operators.hitl import HITLOperator
    from airflow.sdk import Param

    known = inspect.signature(HITLOperator.__init__).parameters
    limit: dict[str, Any] = {"response_timeout" if "response_timeout" in known else "execution_timeout": timeout}
    asking = HITLOperator(
        task_id="question",
        subject=question.subject,
        body=question.body,
        options=[APPROVE, REJECT],
        defaults=REJECT,
        params={
            _DIGEST_FIELD: Param(
                question.digest,
                type="string",
                title="Plan",
                description="Ties the answer to the figures above. Leave it as it is.",
            )
        },
        assigned_users=[{"id": user, "name": user} for user in approvers] or None,
        **limit,
    )
    # Without Airflow's wrapper, which warns that an operator runs inside another.
    execute = getattr(type(asking).execute, "__wrapped__", type(asking).execute)
    execute(asking, context)
    raise AssertionError("Airflow did not defer the task.")  # pragma: no cover


def run_callbacks(callbacks: Iterable[Callback], context: Context, figures: Mapping[str, Any], log: Any) -> None:
    """Call what ``on_unsafe_plan`` names.

    :param figures: the plan's figures: ``bandwidth_plan`` in the context
    :param log: gets the errors of callbacks, which change nothing
    """
    cast("dict[str, Any]", context)["bandwidth_plan"] = figures
    for callback in callbacks:
        try:
            callback(context)
        except Exception:
            log.exception("A callback of on_unsafe_plan failed. That changes nothing for the plan.")


def read_answer(event: Mapping[str, Any], digest: str, *, is_first_question: bool) -> Decision:
    """What a person answered.

    :param event: what Airflow resumed the task with
    :param digest: the question's digest
    :param is_first_question: whether nobody can have seen another text: then an answer through the REST API need not
        bring the digest along
    """
    if "error" in event:
        return Decision(problem=f"Airflow could not take an answer ({event['error']})")
    user = event.get("responded_by_user") or {}
    by = str(user.get("name") or user.get("id") or "")
    if not by or event.get("timedout"):
        return Decision()
    at = event.get("responded_at") or ""
    at = at.isoformat(timespec="seconds") if isinstance(at, datetime) else str(at)
    if list(event.get("chosen_options") or ()) != [APPROVE]:
        return Decision("rejected", by, at)
    shown = (event.get("params_input") or {}).get(_DIGEST_FIELD)
    if shown == digest or (shown is None and is_first_question):
        return Decision("approved", by, at)
    return Decision(
        "approved",
        by,
        at,
        "for the figures of an older plan, which Airflow before 3.4 still shows when it asks again, so it does not "
        "count. Start a new run: it asks with its own figures",
    )
