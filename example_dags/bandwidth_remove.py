"""Remove telephone numbers from hosted messaging.

Numbers that Bandwidth does not have any more count as done: removing them again is not a failure. Trigger it with a
configuration like ``{"telephone_numbers": ["9195550101"]}``.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import dag

from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator
from airflow_provider_bandwidth.sensors.bandwidth import BandwidthTnOrderSensor


@dag(
    dag_id="bandwidth_remove",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"telephone_numbers": ["9195550101", "9195550102"], "site_id": "743"},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    render_template_as_native_obj=True,
    tags=["bandwidth", "example"],
    doc_md=__doc__,
)
def bandwidth_remove():
    submit = BandwidthTnOrderOperator(
        task_id="submit",
        action="REMOVE",
        telephone_numbers="{{ params.telephone_numbers }}",
        site_id="{{ params.site_id }}",
    )
    BandwidthTnOrderSensor(
        task_id="wait",
        order_id=submit.output,
        # 5071, 5074: not on the system, not in service; 5158: never imported. All mean that there is nothing to remove.
        ignore_error_codes=["5071", "5074", "5158"],
        # For a removal half done is not done: someone should look.
        allowed_statuses=["COMPLETE"],
        deferrable=True,
        poke_interval=15,
        timeout=timedelta(hours=1).total_seconds(),
    )


bandwidth_remove()
