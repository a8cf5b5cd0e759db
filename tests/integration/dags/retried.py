"""Submit and wait with retries at once, of the numbers in the run's configuration."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import dag

from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator
from airflow_provider_bandwidth.sensors.bandwidth import BandwidthTnOrderSensor


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(0)},
    params={"telephone_numbers": []},
)
def retried():
    submit = BandwidthTnOrderOperator(
        task_id="submit", action="IMPORT", telephone_numbers="{{ params.telephone_numbers }}"
    )
    BandwidthTnOrderSensor(task_id="wait", order_id=submit.output, deferrable=True, poke_interval=1)


retried()
