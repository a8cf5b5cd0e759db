"""Import telephone numbers for hosted messaging, and go different ways for those that work and those that do not.

Trigger it with a configuration like ``{"telephone_numbers": ["9195550101", "+1 (919) 555-0102"]}``. It needs the
connection ``bandwidth_default``, with ``account_id`` and ``site_id`` in its extra. Unless its extra names another
``order_api``, the order goes through ``externalTns``.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator
from airflow_provider_bandwidth.sensors.bandwidth import BandwidthTnOrderSensor

log = logging.getLogger(__name__)


@dag(
    dag_id="bandwidth_import",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"telephone_numbers": ["9195550101", "9195550102"], "site_id": "743", "sip_peer_id": "303716"},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    render_template_as_native_obj=True,
    tags=["bandwidth", "example"],
    doc_md=__doc__,
)
def bandwidth_import():
    # A retry of this task finds the order of the first attempt: it never submits twice.
    submit = BandwidthTnOrderOperator(
        task_id="submit",
        action="IMPORT",
        telephone_numbers="{{ params.telephone_numbers }}",
        site_id="{{ params.site_id }}",
        sip_peer_id="{{ params.sip_peer_id }}",
    )

    # Deferred, a waiting order costs no worker slot. COMPLETE and PARTIAL succeed, FAILED fails this task.
    wait = BandwidthTnOrderSensor(
        task_id="wait",
        order_id=submit.output,
        deferrable=True,
        poke_interval=15,
        timeout=timedelta(hours=1).total_seconds(),
    )

    @task.branch
    def choose(summary: dict) -> list[str]:
        """Numbers that completed can be used even when others failed."""
        ways = []
        if summary["completed_count"]:
            ways.append("use_numbers")
        if summary["error_count"]:
            ways.append("report_errors")
        return ways

    @task
    def use_numbers(telephone_numbers: list[str]) -> int:
        """Here the CRM would mark these numbers as ready to send and receive texts."""
        log.info("%d telephone numbers can be used.", len(telephone_numbers))
        return len(telephone_numbers)

    @task(trigger_rule="all_done")
    def report_errors(ti=None) -> dict[str, list[str]]:
        """Here a ticket would be opened, also if the whole order FAILED: the sensor leaves its errors first."""
        by_reason: dict[str, list[str]] = {}
        for error in ti.xcom_pull(task_ids="wait", key="errors") or []:
            by_reason.setdefault(f"{error['code']} {error['description']}", []).append(error["telephone_number"])
        for reason, numbers in by_reason.items():
            log.warning("%d telephone numbers: %s", len(numbers), reason)
        return by_reason

    choose(wait.output) >> [
        use_numbers(wait.output["completed_telephone_numbers"]),
        report_errors(),
    ]


bandwidth_import()
