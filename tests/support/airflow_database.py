"""What tasks have come to, read from Airflow's database: the same on every line, and without a login."""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractContextManager
from types import TracebackType

import psycopg2


class TaskStates(AbstractContextManager["TaskStates"]):
    """States of the task instances of one DAG that has one run.

    :param database: URI of a PostgreSQL database that Airflow has migrated
    """

    def __init__(self, database: str, dag_id: str) -> None:
        self._connection = psycopg2.connect(database)
        self._connection.autocommit = True
        self._dag_id = dag_id

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def count(self, task_id: str) -> Counter[str]:
        """How many instances of a task are in each state."""
        rows = self._read(
            "SELECT state, count(*) FROM task_instance WHERE dag_id = %s AND task_id = %s GROUP BY 1", task_id
        )
        return Counter({str(state): count for state, count in rows})

    def count_retried(self, task_id: str) -> int:
        """How many instances of a task are beyond their first try."""
        query = "SELECT count(*) FROM task_instance WHERE dag_id = %s AND task_id = %s AND try_number > 1"
        return self._read(query, task_id)[0][0]

    def find_pid(self, task_id: str) -> int:
        """The process of the one running instance of a task."""
        query = "SELECT pid FROM task_instance WHERE dag_id = %s AND task_id = %s AND state = 'running'"
        ((pid,),) = self._read(query, task_id)
        return int(str(pid))

    def _read(self, query: str, task_id: str) -> list[tuple[object, int]]:
        with self._connection.cursor() as cursor:
            cursor.execute(query, (self._dag_id, task_id))
            return cursor.fetchall()
