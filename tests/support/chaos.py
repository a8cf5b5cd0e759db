"""Twenty orders in a real Airflow, hit by SIGKILL: what the chaos programs share."""

from __future__ import annotations

import os
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from support.airflow_processes import Airflow, wait_for

from airflow_provider_bandwidth.sandbox import Sandbox
from airflow_provider_bandwidth.sandbox.traffic import RequestRecord

DAGS = Path(__file__).parents[1] / "system" / "dags"
NAIVE, PROVIDER = "chaos_naive", "chaos_provider"
COUNT = 20
#: Longer than a retry's first look-ups take, so that the search does not show at once what a dead task sent.
SEARCH_LAG = 5.0


@dataclass(frozen=True)
class Result:
    """How one run ended.

    :param killed: tasks that died between the commit of their POST and its answer
    :param results: orders whose wait ended COMPLETE and is in XCom; ``None`` where nothing waited
    """

    name: str
    state: str
    killed: int
    orders: int
    numbers: int
    results: int | None = None

    @property
    def is_exactly_once(self) -> bool:
        return (
            self.state == "success"
            and self.killed > 0
            and self.orders == self.numbers == COUNT
            and self.results in (None, COUNT)
        )


def print_table(title: str, results: list[Result]) -> None:
    header = ("operator", "run", "killed mid-POST", "orders wanted", "orders at Bandwidth", "duplicates", "results")
    rows = [
        (
            result.name,
            result.state,
            str(result.killed),
            str(COUNT),
            str(result.orders),
            str(result.orders - result.numbers),
            "-" if result.results is None else str(result.results),
        )
        for result in results
    ]
    print(f"\n{title}\n")
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def held(sandbox: Sandbox) -> list[RequestRecord]:
    """The POSTs that are committed and not answered."""
    return [record for record in sandbox.requests if record.operation == "submit" and record.state == "held"]


def count_orders(sandbox: Sandbox, name: str, state: str, killed: int, results: int | None = None) -> Result:
    by_number = Counter(number for order in sandbox.orders for number in order.telephone_numbers)
    return Result(name, state, killed, by_number.total(), len(by_number), results)


def count_complete(airflow: Airflow, run_id: str) -> int:
    """The waits of the provider's DAG whose result says COMPLETE."""
    return sum(value["processing_status"] == "COMPLETE" for value in airflow.xcoms(PROVIDER, run_id, "order.wait"))


def submitting_processes(airflow: Airflow, sandbox: Sandbox, dag_id: str, run_id: str) -> dict[int, RequestRecord]:
    """The process of each task whose POST is held."""
    records = {sandbox.order(str(record.order_id)).telephone_numbers[0]: record for record in held(sandbox)}
    running = {
        task["map_index"]: task["pid"]
        for task in airflow.task_instances(dag_id, run_id)
        if task["task_id"].endswith("submit") and task["state"] == "running" and task["pid"]
    }
    # Map indexes follow the lines of the numbers, from 0100 on.
    return {
        running[index]: record for number, record in records.items() if (index := int(number[-4:]) - 100) in running
    }


def kill_while_running(airflow: Airflow, sandbox: Sandbox, dag_id: str, run_id: str, timeout: float) -> int:
    """Kill every task whose POST is held, as it happens, until the run ends; how many."""
    killed = 0

    def step() -> bool:
        nonlocal killed
        if len(held(sandbox)) > 0:
            victims = submitting_processes(airflow, sandbox, dag_id, run_id)
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
            killed += len(victims)
            if victims:
                sandbox.release_requests()
        return airflow.is_finished(dag_id, run_id)

    wait_for(f"run of {dag_id} ends", step, timeout=timeout)
    return killed
