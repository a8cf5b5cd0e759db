"""Just enough of Airflow to run the DAG of a sync: its scheduler, task instances, XComs, states, retries and clears.

The operators are the real ones, parsed and rendered by Airflow's own code; what Airflow keeps in its database is kept
here. Task instances run as actors of a :class:`VirtualTime`, side by side.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseOperator,
)
from airflow.utils.state import DagRunState
from support.airflow_task import StateStore
from support.virtual_time import Actor, KilledError, VirtualTime

from airflow_provider_bandwidth.operators.number_sync import AirflowRescheduleException

ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
_BAD = frozenset({"failed", "upstream_failed"})


class TaskInstance:
    """One instance of a task, and what Airflow's own class shows of it to operators."""

    def __init__(self, run: Run, task_id: str, map_index: int) -> None:
        self.run = run
        self.dag_id = run.dag_id
        self.run_id = run.run_id
        self.task_id = task_id
        self.map_index = map_index
        self.try_number = 0
        self.max_tries = 0
        self.state: str | None = None
        self.starts_at = 0.0
        self.started_at = 0.0
        self.actor: Actor | None = None
        self.error: str = ""
        self.task: Any = None
        self.task_state_store = StateStore()
        self._first_reschedule: datetime | None = None

    @property
    def key(self) -> tuple[str, int]:
        return self.task_id, self.map_index

    @property
    def start_date(self) -> datetime:
        return datetime.fromtimestamp(self.started_at, UTC)

    # --- as operators know it ---

    def xcom_push(self, key: str, value: Any, **_: Any) -> None:
        self.run.airflow.world.point()
        self.run.xcoms[self.task_id, self.map_index, key] = json.dumps(value)

    def xcom_pull(
        self,
        task_ids: Any = None,
        dag_id: Any = None,
        key: str = "return_value",
        *_: Any,
        map_indexes: Any = None,
        default: Any = None,
        **__: Any,
    ) -> Any:
        if not isinstance(task_ids, str):
            raise NotImplementedError(f"xcom_pull of {task_ids!r}")
        found = {
            index: json.loads(value)
            for (task_id, index, name), value in self.run.xcoms.items()
            if (task_id, name) == (task_ids, key)
        }
        if isinstance(map_indexes, int):
            return found.get(map_indexes, default)
        if not self.run.is_mapped(task_ids):
            return found.get(-1, default)
        return [found[index] for index in sorted(found)]

    def get_relevant_upstream_map_indexes(self, upstream: Any, *_: Any, **__: Any) -> int | None:
        group = upstream.get_closest_mapped_task_group()
        mine = self.run.dag.get_task(self.task_id).get_closest_mapped_task_group()
        return self.map_index if group is not None and group is mine else None

    def get_first_reschedule_date(self, _: Any) -> datetime | None:
        return self._first_reschedule

    def get_task_states(self, dag_id: str, run_ids: Any = None, task_ids: Any = None, **_: Any) -> dict[str, Any]:
        return {
            run.run_id: {
                name: instance.state
                for instance in run.instances.values()
                for name in [instance.task_id + ("" if instance.map_index < 0 else f"_{instance.map_index}")]
                if task_ids is None or instance.task_id in task_ids
            }
            for run in self.run.airflow.runs
            if run.dag_id == dag_id and (run_ids is None or run.run_id in run_ids)
        }

    def get_dagrun_state(self, dag_id: str, run_id: str) -> DagRunState:
        for run in self.run.airflow.runs:
            if (run.dag_id, run.run_id) == (dag_id, run_id):
                return DagRunState(run.state)
        raise RuntimeError("DagRun not found: 404")

    def get_dr_count(self, dag_id: str, states: Any = None, run_ids: Any = None, **_: Any) -> int:
        return sum(
            run.dag_id == dag_id
            and (states is None or run.state in states)
            and (run_ids is None or run.run_id in run_ids)
            for run in self.run.airflow.runs
        )


def _is_mapped(task: Any) -> bool:
    return hasattr(task, "partial_kwargs")  # Airflow 2.11 has no is_mapped


class _OutletEvents:
    def __getitem__(self, asset: Any) -> Any:
        """Airflow 3.0's and 3.1's Assets cannot be hashed."""
        return SimpleNamespace(extra={})


@dataclass(eq=False)
class Run:
    """A DAG run."""

    airflow: MiniAirflow
    dag: Any
    run_id: str
    run_type: str
    logical_date: datetime | None
    run_after: datetime
    state: str = "queued"
    start_date: datetime | None = None
    clear_number: int = 0
    conf: dict[str, Any] = field(default_factory=dict)
    instances: dict[tuple[str, int], TaskInstance] = field(default_factory=dict)
    xcoms: dict[tuple[str, int, str], str] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)

    @property
    def dag_id(self) -> str:
        return str(self.dag.dag_id)

    def is_mapped(self, task_id: str) -> bool:
        task = self.dag.get_task(task_id)
        return _is_mapped(task) or task.get_closest_mapped_task_group() is not None

    def find(self, suffix: str) -> TaskInstance:
        """The instance of the unmapped task whose id ends so."""
        (found,) = [each for each in self.instances.values() if each.task_id.endswith(suffix) and each.map_index < 0]
        return found

    def get_task_instances(self) -> list[TaskInstance]:
        return list(self.instances.values())


class MiniAirflow:
    """Runs DAGs.

    :param world: the time it runs in
    :param has_state_store: whether tasks have a state store, as from Airflow 3.3 on
    :param draw_death: the number of the point at which an attempt dies, or ``None``; asked at each start
    """

    def __init__(
        self, world: VirtualTime, *, has_state_store: bool, draw_death: Callable[[TaskInstance], int | None]
    ) -> None:
        self.world = world
        self.runs: list[Run] = []
        self.variables: dict[str, str] = {}
        self.ended: list[Callable[[Run], None]] = []
        self._has_state_store = has_state_store
        self._draw_death = draw_death

    # --- what people do ---

    def trigger(self, dag: Any, run_id: str, run_type: str, logical_date: datetime | None = None) -> Run:
        now = datetime.fromtimestamp(self.world.now, UTC)
        run = Run(self, dag, run_id, run_type, logical_date, logical_date or now)
        self.runs.append(run)
        for task in dag.topological_sort():
            run.instances[task.task_id, -1] = TaskInstance(run, task.task_id, -1)
        self.schedule()
        return run

    def clear(self, run: Run, chosen: Callable[[TaskInstance], bool], *, downstream: bool) -> None:
        """Clear task instances, as the UI does; those that run are killed."""
        there = {key: each for key, each in run.instances.items() if each.state not in (None, "removed")}
        cleared = {key: each for key, each in there.items() if chosen(each)}
        if downstream:
            below = {task_id for task_id, _ in cleared}
            for task_id in list(below):
                below |= run.dag.get_task(task_id).get_flat_relative_ids(upstream=False)
            direct = {task_id for task_id, _ in cleared}
            for key, each in there.items():
                if key[0] in below and (key[0] not in direct or key in cleared):
                    cleared[key] = each
        if not cleared:
            return
        for (task_id, _), each in cleared.items():
            self._stop(each)
            each.state = None
            each.starts_at = 0.0
            task = run.dag.get_task(task_id)
            each.max_tries = each.try_number + task.retries
            # What is mapped over this task's result is expanded anew.
            for mapped in list(run.lengths):
                if task_id in self._find_sources(run, mapped):
                    del run.lengths[mapped]
        run.clear_number += 1
        run.state = "queued"
        run.start_date = None
        self.schedule()

    @staticmethod
    def _stop(instance: TaskInstance) -> None:
        if instance.actor is not None and not instance.actor.is_done:
            instance.actor.is_killed = True
        instance.actor = None

    # --- the scheduler ---

    def schedule(self) -> None:
        """Start every task instance that can start, end every run that has ended."""
        for run in self.runs:
            active = sum(each.state == "running" for each in self.runs if each.dag_id == run.dag_id)
            if run.state == "queued" and active < run.dag.max_active_runs:
                run.state = "running"
                run.start_date = datetime.fromtimestamp(self.world.now, UTC)
        for run in self.runs:
            if run.state == "running":
                self._schedule_run(run)

    def _schedule_run(self, run: Run) -> None:
        for task in run.dag.topological_sort():
            for instance in self._expand(run, task):
                if instance.state in (None, "up_for_retry", "up_for_reschedule"):
                    self._try_to_start(run, task, instance)
        states = {each.state for each in run.instances.values()}
        if states <= ENDED:
            leaves = {task.task_id for task in run.dag.leaves}
            failed = any(each.state in _BAD for each in run.instances.values() if each.task_id in leaves)
            run.state = "failed" if failed else "success"
            for listener in self.ended:
                listener(run)
            self.world.after(0, self.schedule)  # a run that waited for this one

    def _find_sources(self, run: Run, task_id: str) -> set[str]:
        return {
            operator.task_id
            for value in self._get_expand_values(run.dag.get_task(task_id))
            if hasattr(value, "iter_references")
            for operator, _ in value.iter_references()
        }

    @staticmethod
    def _get_expand_values(task: Any) -> list[Any]:
        group = task.get_closest_mapped_task_group()
        expand_input = task._get_specified_expand_input() if _is_mapped(task) else group._expand_input
        value = expand_input.value
        return list(value.values()) if isinstance(value, dict) else [value]

    def _expand(self, run: Run, task: Any) -> list[TaskInstance]:
        """The instances of a task; the unmapped one while a mapped task cannot be expanded, or expands to none."""
        task_id = task.task_id
        if not run.is_mapped(task_id):
            return [run.instances[task_id, -1]]
        if task_id not in run.lengths:
            sources = [run.instances[source, -1] for source in self._find_sources(run, task_id)]
            if not all(source.state == "success" for source in sources):
                expanded = [
                    each
                    for each in run.instances.values()
                    if each.task_id == task_id and each.map_index >= 0 and each.state != "removed"
                ]
                if expanded:  # among them may be one that was removed, and cleared since
                    run.instances.pop((task_id, -1), None)
                return expanded or [run.instances.setdefault((task_id, -1), TaskInstance(run, task_id, -1))]
            reader = TaskInstance(run, task_id, -1)
            lengths = [
                len(value.resolve({"ti": reader, "expanded_ti_count": None}) if hasattr(value, "resolve") else value)
                for value in self._get_expand_values(task)
            ]
            run.lengths[task_id] = min(lengths)
        length = run.lengths[task_id]
        if not length:
            self._remove_from(run, task_id, 0)
            return [run.instances.setdefault((task_id, -1), TaskInstance(run, task_id, -1))]
        run.instances.pop((task_id, -1), None)
        self._remove_from(run, task_id, length)
        expanded = [
            run.instances.setdefault((task_id, index), TaskInstance(run, task_id, index)) for index in range(length)
        ]
        for each in expanded:
            if each.state == "removed":  # by a shorter list before
                each.state = None
        return expanded

    def _remove_from(self, run: Run, task_id: str, length: int) -> None:
        for each in run.instances.values():
            if each.task_id == task_id and each.map_index >= length and each.state != "removed":
                self._stop(each)
                each.state = "removed"

    def _find_upstream(self, run: Run, task: Any, instance: TaskInstance) -> Iterator[TaskInstance]:
        mine = task.get_closest_mapped_task_group()
        for upstream_id in task.upstream_task_ids:
            group = run.dag.get_task(upstream_id).get_closest_mapped_task_group()
            for each in run.instances.values():
                if each.task_id != upstream_id or each.state == "removed":
                    continue
                if group is None or group is not mine or each.map_index == instance.map_index:
                    yield each

    def _try_to_start(self, run: Run, task: Any, instance: TaskInstance) -> None:
        if self.world.now < instance.starts_at:
            return
        states = [each.state for each in self._find_upstream(run, task, instance)]
        if not all(state in ENDED for state in states):
            return
        rule = str(getattr(task.trigger_rule, "value", task.trigger_rule))
        mapped_to_none = instance.map_index < 0 and run.is_mapped(task.task_id)
        if rule == "all_done" and not mapped_to_none:
            pass
        elif any(state in _BAD for state in states):
            instance.state = "upstream_failed"
        elif mapped_to_none or (rule == "all_success" and "skipped" in states):
            instance.state = "skipped"
        if instance.state in ENDED:
            self.world.after(0, self.schedule)
            return
        self._start(instance)

    def _start(self, instance: TaskInstance) -> None:
        if instance.state != "up_for_reschedule":
            instance.try_number += 1
        instance.max_tries = max(instance.max_tries, instance.run.dag.get_task(instance.task_id).retries)
        instance.state = "running"
        actor = self.world.spawn(lambda: self._attempt(instance, actor), self.world.rng.uniform(0, 20))
        actor.dies_at = self._draw_death(instance)
        instance.actor = actor

    def _attempt(self, instance: TaskInstance, actor: Actor) -> None:
        # Airflow 2.11 keeps who calls whom for the main thread only.
        callers = getattr(getattr(inspect.getmodule(BaseOperator), "ExecutorSafeguard", None), "_sentinel", None)
        if callers is not None and not hasattr(callers, "callers"):
            callers.callers = {}
        instance.started_at = self.world.now
        instance.error = ""
        state, wait = "failed", 0.0
        try:
            self._execute(instance)
            state = "success"
        except AirflowSkipException as error:
            state, instance.error = "skipped", str(error)
        except AirflowRescheduleException as error:
            state, wait = "up_for_reschedule", max(0.0, error.reschedule_date.timestamp() - self.world.now)
        except (AirflowFailException, AirflowSensorTimeout) as error:
            instance.error = f"{type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001 - Airflow catches it, too
            instance.error = f"{type(error).__name__}: {error}"
            state, wait = self._retry(instance)
        except KilledError:
            if instance.actor is not actor:
                raise
            instance.error = "killed"
            state, wait = self._retry(instance)
        if instance.actor is actor:
            instance.state = state
            instance.starts_at = self.world.now + wait
            self.world.after(wait, self.schedule)

    def _retry(self, instance: TaskInstance) -> tuple[str, float]:
        task = instance.run.dag.get_task(instance.task_id)
        if instance.try_number > instance.max_tries:
            return "failed", 0.0
        delay = task.retry_delay
        return "up_for_retry", delay.total_seconds() if isinstance(delay, timedelta) else float(delay)

    def _execute(self, instance: TaskInstance) -> None:
        run = instance.run
        for key in [key for key in run.xcoms if key[:2] == instance.key]:
            del run.xcoms[key]
        operator = run.dag.get_task(instance.task_id)
        if not _is_mapped(operator):
            operator = operator.prepare_for_execution()
        instance.task = operator
        context = self._make_context(instance, operator)
        operator.render_template_fields(context)
        result = context["task"].execute(context)
        if result is not None:
            instance.xcom_push("return_value", result)

    def _make_context(self, instance: TaskInstance, operator: Any) -> dict[str, Any]:
        run = instance.run
        context = {
            "ti": instance,
            "task_instance": instance,
            "task": operator,
            "dag": run.dag,
            "dag_run": run,
            "run_id": run.run_id,
            "logical_date": run.logical_date,
            "run_after": run.run_after,
            "params": {},
            "expanded_ti_count": run.lengths.get(instance.task_id),
            "outlet_events": _OutletEvents(),
        }
        if self._has_state_store:
            context["task_state_store"] = instance.task_state_store
        return context
