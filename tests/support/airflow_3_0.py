"""What ``dag.test()`` of Airflow 3.0 lacks; that of later lines, and 3.0's own workers, do all of it."""

from __future__ import annotations

from typing import Any

import pytest


def is_running() -> bool:
    """Whether this is Airflow 3.0."""
    from airflow import __version__

    return __version__.startswith("3.0.")


def record_dags() -> None:
    """Write all DAGs below the DAGs folder to the database, as ``airflow dags reserialize`` does.

    Tasks with an Asset among their outlets run only once the Asset is active, which the DAG processor sees to; in later
    lines ``dag.test()`` does.
    """
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.models.dagbag import DagBag

    manager = DagBundlesManager()
    manager.sync_bundles_to_db()
    for bundle in manager.get_all_dag_bundles():
        bundle.initialize()
        found = DagBag(bundle.path, bundle_path=bundle.path, include_examples=False)
        assert found.import_errors == {}
        found.sync_to_db(bundle.name, bundle.get_current_version())


def parse_reschedule_dates(patch: pytest.MonkeyPatch) -> None:
    """Let rescheduled sensors get their first date as a date.

    3.0's client leaves it as text. On the way from supervisor to task it becomes a date; in ``dag.test()`` there is no
    such way, and every sensor, also Airflow's own, fails when it is looked at again.
    """
    from airflow.sdk.api.client import TaskInstanceOperations
    from airflow.sdk.execution_time.comms import TaskRescheduleStartDate

    get = TaskInstanceOperations.get_reschedule_start_date

    def get_parsed(*args: Any, **kwargs: Any) -> TaskRescheduleStartDate:
        return TaskRescheduleStartDate(start_date=get(*args, **kwargs).start_date)

    patch.setattr(TaskInstanceOperations, "get_reschedule_start_date", get_parsed)


def keep_deferral_arguments(patch: pytest.MonkeyPatch) -> None:
    """Let a deferred task get back the arguments it deferred with; 3.0's scheduler sees to it."""
    from airflow.sdk.definitions import dag
    from airflow.sdk.execution_time import supervisor

    run_task, run_trigger = supervisor.run_task_in_process, dag._run_inline_trigger
    ended: list[Any] = []

    def run_task_and_remember(**kwargs: Any) -> Any:
        ended.append(run_task(**kwargs))
        return ended[-1]

    def run_trigger_and_merge(trigger: Any) -> None:
        message = ended[-1].msg
        # Without an event, dag.test() hands on these.
        message.next_kwargs = {**(message.next_kwargs or {}), "event": run_trigger(trigger).payload}

    patch.setattr(supervisor, "run_task_in_process", run_task_and_remember)
    patch.setattr(dag, "_run_inline_trigger", run_trigger_and_merge)
