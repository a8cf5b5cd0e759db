"""Sixty sensors: every way to wait, for every way an order can end, on every order API; with ``soft_fail`` on one.

``dag_run.conf`` holds each sensor's order id by its task id.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_bandwidth.order_apis import ORDER_APIS
from airflow_provider_bandwidth.sensors.bandwidth import BandwidthTnOrderSensor

WAYS: dict[str, dict[str, Any]] = {
    "poke": {"mode": "poke", "deferrable": False},
    "reschedule": {"mode": "reschedule", "deferrable": False},
    "deferred": {"deferrable": True},
}
ENDS = ("COMPLETE", "PARTIAL", "FAILED", "UNKNOWN_THEN_COMPLETE", "NEVER")


#: Whether a failure is soft depends on no order API.
CASES = [
    *itertools.product(ORDER_APIS, WAYS, ENDS, (False,)),
    *itertools.product(("externalTns",), WAYS, ENDS, (True,)),
]


def task_id(order_api: str, way: str, end: str, soft_fail: bool) -> str:
    return f"{order_api.replace('/', '-')}-{way}-{end}-{'soft' if soft_fail else 'hard'}"


with DAG("parity", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
    for order_api, way, end, soft_fail in CASES:
        name = task_id(order_api, way, end, soft_fail)
        BandwidthTnOrderSensor(
            task_id=name,
            order_id=f"{{{{ dag_run.conf['{name}'] }}}}",
            order_api=order_api,
            soft_fail=soft_fail,
            poke_interval=0.1,
            timeout=1 if end == "NEVER" else 120,
            **WAYS[way],
        )
