"""DAG files as they stand, run to their end on real Airflow; also as a program, in a process that can be killed."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class DagFileRun:
    """A run that has ended."""

    dag_run: Any

    @property
    def state(self) -> str:
        return str(self.dag_run.state)

    def states(self, task_id: str) -> list[str]:
        """States of a task, by map index where it is mapped."""
        found = [ti for ti in self.dag_run.get_task_instances() if ti.task_id == task_id]
        return [str(ti.state) for ti in sorted(found, key=lambda ti: ti.map_index)]

    def pull(self, task_id: str, key: str = "return_value") -> list[Any]:
        """XComs of a task, by map index where it is mapped."""
        found = [ti for ti in self.dag_run.get_task_instances() if ti.task_id == task_id]
        return [
            ti.xcom_pull(task_ids=task_id, key=key, map_indexes=ti.map_index)
            for ti in sorted(found, key=lambda ti: ti.map_index)
        ]


def load_dag(module_name: str, dag_id: str | None = None, folder: str = "examples") -> Any:
    """A DAG of a file below Airflow's DAGs folder; the one of the same name unless another is named."""
    path = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"], folder, f"{module_name}.py")
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, dag_id or module_name)()


def run_example(module_name: str, dag_id: str | None = None, **conf: Any) -> DagFileRun:
    """Run an example DAG with parameters of its own."""
    return DagFileRun(load_dag(module_name, dag_id).test(run_conf=conf))


if __name__ == "__main__":
    from airflow_provider_bandwidth.hooks import _submission
    from airflow_provider_bandwidth.operators import _peer_record

    # The sandbox's search does not lag, and before Airflow 3.2 each mapped task waits for it.
    _submission._PAUSES = (0.1, 0.1)  # type: ignore[misc]
    _peer_record._SETTLED_AFTER_SECONDS = 0.05  # type: ignore[misc]
    run_example(sys.argv[1], **json.loads(sys.argv[2]))
