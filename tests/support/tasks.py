"""Just enough of a task instance to run an operator without Airflow's database."""

from __future__ import annotations

from datetime import datetime
from typing import Any


class FakeTaskInstance:
    """Keeps what is pushed in ``xcoms``; ``upstream`` holds what other tasks returned, by task id.

    :param mapped: what every task instance of the mapped task has pushed, by map index
    :param first_reschedule_date: when a rescheduled sensor was first poked
    """

    def __init__(
        self,
        task_id: str = "task",
        *,
        dag_id: str = "dag",
        run_id: str = "run",
        map_index: int = -1,
        try_number: int = 1,
        upstream: dict[str, Any] | None = None,
        mapped: dict[int, dict[str, Any]] | None = None,
        first_reschedule_date: datetime | None = None,
    ) -> None:
        self.dag_id = dag_id
        self.task_id = task_id
        self.run_id = run_id
        self.map_index = map_index
        self.try_number = try_number
        self.max_tries = 0
        self._mapped = {} if mapped is None else mapped
        # Airflow forgets what an earlier try pushed.
        self.xcoms = self._mapped[map_index] = {}
        self._upstream = upstream or {}
        self._first_reschedule_date = first_reschedule_date

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value

    def xcom_pull(self, task_ids: Any = None, key: str = "return_value", **_: Any) -> Any:
        if task_ids != self.task_id:
            return self._upstream[task_ids]
        values = [xcoms[key] for xcoms in self._mapped.values() if key in xcoms]
        return values[0] if len(values) == 1 else values

    def get_relevant_upstream_map_indexes(self, *_: Any, **__: Any) -> None:
        """Airflow 2.11 asks for it to resolve the output of another task."""

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        return self._first_reschedule_date


def make_context(ti: FakeTaskInstance, **more: Any) -> Any:
    """A context with the task instance, and whatever templates need."""
    return {"ti": ti, "run_id": ti.run_id, "expanded_ti_count": None, **more}
