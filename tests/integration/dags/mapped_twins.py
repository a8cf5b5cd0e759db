"""Mapped orders of the run's lists of numbers."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, params={"lists": []})
def mapped_twins():
    @task
    def list_numbers(params=None):
        return params["lists"]

    BandwidthTnOrderOperator.partial(task_id="submit", action="IMPORT").expand(telephone_numbers=list_numbers())


mapped_twins()
