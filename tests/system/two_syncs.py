"""Syncs of one SIP peer that begin together, on the real scheduler of this environment's Airflow: ``make test-syncs``.

Two DAGs and a manual run want the same numbers at the same SIP peer, and are started together. One of them sends its
orders, the others are rescheduled. While its orders are open the run is marked as failed: the peer is free, the next
run takes its orders over. Exits 1 unless each number is in one order, the other two runs succeed, and no plan has used
up a retry.

    python tests/system/two_syncs.py
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import psycopg2
from support.airflow_processes import Airflow, Processes, stop_on_termination, wait_for, work_folder
from support.postgres import running_postgres
from support.real_waits import AIRFLOW_VERSION, DAGS, local_executor

from airflow_provider_bandwidth.sandbox import Sandbox

NUMBERS = [f"919666{last:04d}" for last in range(6)]
ORDERS = 2
PLAN, WAIT = "sync.plan", "sync.import"
#: What the user interface does when a person marks a run as failed; the same on every line.
MARK_AS_FAILED = """
import sys
from airflow.api.common.mark_tasks import set_dag_run_state_to_failed
from airflow.models.serialized_dag import SerializedDagModel
from airflow.utils.session import create_session

with create_session() as session:
    dag = SerializedDagModel.get_dag(sys.argv[1], session=session)
    set_dag_run_state_to_failed(dag=dag, run_id=sys.argv[2], commit=True, session=session)
"""


class Database:
    """Airflow's database, read as it is on every line."""

    def __init__(self, connection: Any) -> None:
        connection.autocommit = True
        self._connection = connection

    def read(self, query: str, *values: object) -> list[Any]:
        with self._connection.cursor() as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())

    def runs(self) -> Counter[str]:
        """How many runs are in each state."""
        return Counter(state for (state,) in self.read("SELECT state FROM dag_run"))

    def runs_with(self, task_id: str, state: str) -> list[tuple[str, str]]:
        """DAG and id of each run with an instance of the task in this state."""
        query = "SELECT DISTINCT dag_id, run_id FROM task_instance WHERE task_id = %s AND state = %s"
        return self.read(query, task_id, state)


def live(airflow: Airflow, database: Database, sandbox: Sandbox) -> bool:
    """The life of the three runs; whether it was as it should be."""
    wait_for("the DAG is known", lambda: database.read("SELECT 1 FROM dag WHERE dag_id = 'sync_of_crm'"), timeout=200)
    airflow.run("dags", "trigger", "sync_of_crm", "--run-id", "by_hand")
    wait_for("the first waits for its orders", lambda: len(database.runs_with(WAIT, "deferred")) == 1, timeout=300)
    wait_for("the others wait for it", lambda: len(database.runs_with(PLAN, "up_for_reschedule")) == 2, timeout=120)
    ((dag_id, run_id),) = database.runs_with(WAIT, "deferred")
    print(f"Run {run_id} of {dag_id} has sent {len(sandbox.orders)} orders; two plans are rescheduled.", flush=True)

    subprocess.run([sys.executable, "-c", MARK_AS_FAILED, dag_id, run_id], env=airflow.environment, check=True)
    wait_for(
        "another run waits for the orders",
        lambda: [run for run in database.runs_with(WAIT, "deferred") if run != (dag_id, run_id)],
        timeout=300,
    )
    print("That run is marked as failed; another one waits for its orders.", flush=True)
    sandbox.release()
    wait_for("all runs have ended", lambda: not set(database.runs()) - {"success", "failed"}, timeout=400)

    tries = database.read("SELECT dag_id, run_id, try_number FROM task_instance WHERE task_id = %s", PLAN)
    retried = [each for each in tries if each[2] > 1]
    sent = sorted(number for order in sandbox.orders for number in order.telephone_numbers)
    runs = database.runs()
    print(
        f"\n| Airflow {AIRFLOW_VERSION}, three syncs of a SIP peer together | |\n| --- | --- |\n"
        f"| orders / telephone numbers in them | {len(sandbox.orders)} / {len(sent)} |\n"
        f"| numbers that were reset | {len(sandbox.resets)} |\n"
        f"| runs that succeeded / were marked as failed | {runs['success']} / {runs['failed']} |\n"
        f"| plans that used up a retry | {len(retried)} |"
    )
    is_one_set = len(sandbox.orders) == ORDERS and sent == NUMBERS and not sandbox.resets
    return is_one_set and runs == {"success": 2, "failed": 1} and not retried


def main() -> int:
    stop_on_termination()
    with Sandbox() as sandbox, work_folder() as folder, running_postgres() as uri, Processes(folder) as processes:
        sandbox.hold()
        environment = {
            **local_executor(uri, 4),
            "AIRFLOW_CONN_BANDWIDTH_DEFAULT": sandbox.connection_json,
            "TWO_SYNCS": " ".join(NUMBERS),
        }
        airflow = Airflow(processes, folder, DAGS, environment)
        started = time.monotonic()
        try:
            airflow.run("db", "migrate")
            airflow.start_daemons()
            with closing(psycopg2.connect(uri)) as connection:
                is_good = live(airflow, Database(connection), sandbox)
        except TimeoutError:
            print(processes.tail(), file=sys.stderr)
            raise
        print(f"| seconds | {time.monotonic() - started:.0f} |")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
