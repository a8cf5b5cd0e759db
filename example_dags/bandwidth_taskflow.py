"""The same in TaskFlow style: numbers come from a task, and what became of them goes to tasks.

The numbers are fetched as a CRM would give them: with punctuation, country codes and duplicates. The operator
normalises them; a number that is not one fails the task, names every bad number, and sends nothing.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator
from airflow_provider_bandwidth.sensors.bandwidth import BandwidthTnOrderSensor

log = logging.getLogger(__name__)


@dag(
    dag_id="bandwidth_taskflow",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["bandwidth", "example"],
    doc_md=__doc__,
)
def bandwidth_taskflow():
    @task
    def fetch_new_numbers() -> list[str]:
        """Stands for a query of your CRM."""
        return ["+1 (919) 555-0101", "919.555.0102", "1-919-555-0103", "9195550101"]

    @task(trigger_rule="none_failed")
    def summarise(summary: dict, completed: list[str], errors: list[dict]) -> str:
        """One line for the channel where people look in the morning."""
        line = (
            f"{summary['action']} order {summary['order_id']} ended {summary['processing_status']}: "
            f"{len(completed)} numbers can be used, {len(errors)} errors."
        )
        log.info(line)
        return line

    submit = BandwidthTnOrderOperator(task_id="submit", action="IMPORT", telephone_numbers=fetch_new_numbers())
    wait = BandwidthTnOrderSensor(task_id="wait", order_id=submit.output, deferrable=True, poke_interval=15)
    summarise(wait.output, wait.output["completed_telephone_numbers"], wait.output["errors"])


bandwidth_taskflow()
