"""Mapped texts that are alike: same words, same receiver."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_bandwidth.operators.messages import BandwidthSendMessageOperator


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False)
def text_twins():
    @task
    def list_texts():
        return ["hello"] * 3

    BandwidthSendMessageOperator.partial(task_id="send", to="+12125550150", from_="+19195550101").expand(
        text=list_texts()
    )


text_twins()
