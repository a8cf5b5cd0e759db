"""One deferred sensor for each order id in a file, named by the environment; see ``tests/system/many_waiting.py``."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_bandwidth.sensors.bandwidth import BandwidthTnOrderSensor

_FILE = os.environ.get("MANY_WAITING_ORDERS")

with DAG("many_waiting", schedule=None, default_args={"retries": 1, "retry_delay": timedelta(seconds=1)}):
    BandwidthTnOrderSensor.partial(task_id="wait", deferrable=True, poke_interval=30).expand(
        order_id=json.loads(Path(_FILE).read_text()) if _FILE else []
    )
