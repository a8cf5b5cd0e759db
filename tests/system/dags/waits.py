"""What waits for each order and text in a file, a batch of orders, and two sensors of another provider.

See ``tests/system/triggerers.py``.

The environment names the file. Without it this file defines no DAG, since its run would begin by itself.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator
from airflow_provider_bandwidth.sensors.bandwidth import BandwidthTnOrderSensor
from airflow_provider_bandwidth.sensors.messages import BandwidthMessageSensor

try:
    from airflow.providers.standard.sensors.filesystem import FileSensor
except ImportError:  # Airflow 2.11 holds it itself
    from airflow.sensors.filesystem import FileSensor

if "WAITS" in os.environ:
    settings = json.loads(Path(os.environ["WAITS"]).read_text())
    with DAG(
        "waits",
        schedule="@once",
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        is_paused_upon_creation=False,
        default_args={"retries": 1, "retry_delay": timedelta(seconds=1)},
    ):
        BandwidthTnOrderSensor.partial(
            task_id="wait", deferrable=True, poke_interval=settings["poke_interval"], timeout=1800
        ).expand(order_id=settings["order_ids"])
        if settings["message_ids"]:
            BandwidthMessageSensor.partial(
                task_id="text", deferrable=True, poke_interval=settings["poke_interval"], timeout=1800
            ).expand(message_id=settings["message_ids"])
        if settings["batch"]:
            BandwidthTnOrderOperator(
                task_id="batch",
                action="IMPORT",
                telephone_numbers=settings["batch"],
                chunk_size=settings["chunk_size"],
                retries=3,
                wait_for_completion=True,
                deferrable=True,
                poke_interval=settings["poke_interval"],
                timeout=1800,
            )
        if settings["files"]:
            FileSensor.partial(task_id="neighbour", deferrable=True, poke_interval=2, timeout=1800).expand(
                filepath=settings["files"]
            )
