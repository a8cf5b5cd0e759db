"""A text to the engineer on call says what failed, in one segment, and does not come 500 times."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS, AIRFLOW_V_3_1_PLUS
from support import fake_messaging as fakes
from support.clock import ManualClock
from support.fake_messaging import FakeMessaging
from support.task_log import TaskLog

from airflow_provider_bandwidth import airflow_variables
from airflow_provider_bandwidth.exceptions import BandwidthError
from airflow_provider_bandwidth.hooks import messaging
from airflow_provider_bandwidth.messaging.segments import count_segments
from airflow_provider_bandwidth.notifications import _limit
from airflow_provider_bandwidth.notifications.bandwidth import BandwidthSmsNotifier, describe

ME, YOU = "+19195550101", "+19195550150"


class Variables:
    """Airflow's Variables, in memory."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get(self, key: str, default: Any) -> Any:
        return self.values.get(key, default)

    def set(self, key: str, value: str) -> None:
        self.values[key] = value


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    made = Variables()
    monkeypatch.setattr(airflow_variables, "Variable", made)
    monkeypatch.setattr(_limit, "_SETTLED_AFTER", -0.5)
    monkeypatch.setattr(_limit.random, "uniform", lambda *_: 0.5)
    monkeypatch.setattr(messaging, "_BUDGETS", {})
    monkeypatch.setattr("airflow_provider_bandwidth.hooks._api.mask_secret", id)
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example")
    monkeypatch.setenv("AIRFLOW__WEBSERVER__BASE_URL", "https://airflow.example")
    return made


@pytest.fixture
def api(connect: Callable[..., None], clock: ManualClock) -> Iterator[FakeMessaging]:
    with FakeMessaging(clock) as running:
        connect(running.connection)
        yield running


def task(**changes: Any) -> SimpleNamespace:
    fields = {"dag_id": "nightly", "task_id": "load", "run_id": "scheduled__1", "map_index": -1, "state": "failed"}
    return SimpleNamespace(**{**fields, **changes})


def task_context(ti: SimpleNamespace | None = None, **changes: Any) -> dict[str, Any]:
    ti = ti or task()
    run = SimpleNamespace(dag_id="nightly", run_id="scheduled__1", state="running")
    return {"dag": None, "ti": ti, "task_instance": ti, "dag_run": run, "exception": ValueError("x"), **changes}


def deadline_context() -> dict[str, Any]:
    """What Airflow's scheduler hands to a deadline's callback: the run as the REST API shows it."""
    run = {"dag_id": "nightly", "dag_run_id": "scheduled__1", "state": "running"}
    return {"dag_run": run, "deadline": {"id": "7", "deadline_time": "2026-11-26T22:15:37+00:00"}}


LINK = (
    "https://airflow.example/dags/nightly/runs/scheduled__1"
    if AIRFLOW_V_3_0_PLUS
    else "https://airflow.example/dags/nightly/grid?dag_run_id=scheduled__1"
)


@pytest.mark.parametrize(
    ("context", "said"),
    [
        pytest.param(task_context(), f"Airflow: nightly.load failed, run scheduled__1 {LINK}", id="a task"),
        pytest.param(
            task_context(
                ti=None,
                task_instance=SimpleNamespace(
                    dag_id="nightly", task_id="load", run_id="scheduled__1", map_index=3, state="up_for_retry"
                ),
            ),
            f"Airflow: nightly.load[3] failed, will retry, run scheduled__1 {LINK}",
            id="a mapped task that will be retried",
        ),
        pytest.param(
            task_context(
                reason="task_failure", dag_run=SimpleNamespace(dag_id="nightly", run_id="scheduled__1", state="failed")
            ),
            f"Airflow: nightly failed, run scheduled__1 {LINK}",
            id="a DAG, whose context has its last task",
        ),
        pytest.param(
            {"dag": SimpleNamespace(dag_id="nightly"), "run_id": "scheduled__1", "reason": "timed_out"},
            f"Airflow: nightly failed, run scheduled__1 {LINK}",
            id="a DAG, with as little as Airflow may give",
        ),
        pytest.param(
            deadline_context(),
            f"Airflow: nightly missed its deadline, run scheduled__1 {LINK}",
            id="a deadline, whose context is JSON",
        ),
        pytest.param(
            task_context(
                ti=None,
                task_instance=SimpleNamespace(
                    dag_id="nightly", task_id="load", run_id="scheduled__1", map_index=-1, state="success"
                ),
                exception=None,
            ),
            f"Airflow: nightly.load succeeded, run scheduled__1 {LINK}",
            id="a success",
        ),
    ],
)
def test_it_says_what_happened(context: dict[str, Any], said: str) -> None:
    assert describe(context) == said


@pytest.mark.parametrize("length", [10, 40, 60, 100, 200])
def test_what_does_not_fit_into_a_segment_is_left_out_and_the_link_last(length: int) -> None:
    run_id = "manual__" + "9" * length
    ti = task(run_id=run_id)
    said = describe({"ti": ti, "dag_run": ti})
    fits = count_segments(said).count == 1
    assert said.startswith(("Airflow: nightly.load failed", "nightly.load failed"))
    assert fits == (length <= 100 or ("https" not in said and length < 110))
    if length <= 60:
        assert "https://airflow.example/dags/nightly" in said


def test_a_failing_task_texts_its_engineer(api: FakeMessaging) -> None:
    BandwidthSmsNotifier(to=YOU, from_=ME)(task_context())
    assert api.posts == [
        {
            "applicationId": "app-1",
            "to": [YOU],
            "from": ME,
            "text": f"Airflow: nightly.load failed, run scheduled__1 {LINK}",
        }
    ]


def test_each_receiver_gets_a_text_of_its_own_even_if_another_cannot(api: FakeMessaging, task_log: TaskLog) -> None:
    api.faults = [fakes.REFUSED]
    # Airflow 3.3 hands the error on, earlier ones log it.
    with contextlib.suppress(BandwidthError):
        BandwidthSmsNotifier(to=[YOU, "+19195550151"], from_=ME)(task_context())
    assert [post["to"] for post in api.posts] == [[YOU], ["+19195550151"]]
    assert "must be yours" in task_log.text


def test_500_failing_tasks_are_three_texts_and_the_last_says_so(api: FakeMessaging, task_log: TaskLog) -> None:
    for _ in range(20):
        BandwidthSmsNotifier(to=YOU, from_=ME)(task_context())
    assert len(api.posts) == 3
    assert ["(no more until" in post["text"] for post in api.posts] == [False, False, True]
    assert all(count_segments(post["text"]).count == 1 for post in api.posts)
    assert "the receiver has got 3 within 15 minutes" in task_log.text


def test_where_variables_fail_the_text_is_sent(
    api: FakeMessaging, variables: Variables, monkeypatch: pytest.MonkeyPatch, task_log: TaskLog
) -> None:
    monkeypatch.setattr(variables, "set", lambda *_: (_ for _ in ()).throw(RuntimeError("no database")))
    BandwidthSmsNotifier(to=YOU, from_=ME)(task_context())
    assert len(api.posts) == 1
    assert "could not be counted, so this one is sent: no database" in task_log.text


def test_own_words_are_rendered_anew_for_each_call_and_cut(api: FakeMessaging) -> None:
    notifier = BandwidthSmsNotifier(to=YOU, from_=ME, text="{{ ti.task_id }} " + "x" * 300, max_texts=9)
    dag = None
    if not AIRFLOW_V_3_1_PLUS:
        from airflow.providers.common.compat.sdk import DAG

        dag = DAG("nightly", schedule=None)
    for task_id in ("load", "save"):
        notifier(task_context(task(task_id=task_id), dag=dag))
    texts = [post["text"] for post in api.posts]
    assert [text[:5] for text in texts] == ["load ", "save "]
    assert [(len(text), text[-3:]) for text in texts] == [(160, "..."), (160, "...")]


def test_a_text_in_doubt_is_not_sent_again(api: FakeMessaging, task_log: TaskLog) -> None:
    api.faults = [fakes.LOST_AFTER]
    with contextlib.suppress(BandwidthError):
        BandwidthSmsNotifier(to=YOU, from_=ME)(task_context())
    assert len(api.posts) == 1
    assert "may have been sent" in task_log.text


@pytest.mark.skipif(not AIRFLOW_V_3_1_PLUS, reason="Airflow 3.1 brought deadlines")
def test_a_missed_deadline_texts_from_the_triggerer(api: FakeMessaging) -> None:
    async def fire() -> None:
        await BandwidthSmsNotifier(to=YOU, from_=ME, context=deadline_context())

    asyncio.run(fire())
    assert [post["text"] for post in api.posts] == [f"Airflow: nightly missed its deadline, run scheduled__1 {LINK}"]


@pytest.mark.skipif(not AIRFLOW_V_3_1_PLUS, reason="Airflow 3.1 brought deadlines")
def test_a_deadlines_run_has_the_names_that_these_tests_give_it() -> None:
    from airflow.api_fastapi.core_api.datamodels.dag_run import DAGRunResponse

    assert deadline_context()["dag_run"].keys() <= DAGRunResponse.model_fields.keys()


@pytest.mark.parametrize("name", ["max_segments", "max_texts", "per_minutes"])
def test_a_limit_of_nothing_fails_when_the_dag_is_parsed(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected a number above 0"):
        BandwidthSmsNotifier(to=YOU, from_=ME, **{name: 0})  # type: ignore[arg-type]
