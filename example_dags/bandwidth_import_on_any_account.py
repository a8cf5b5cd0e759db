"""The same import on any account: nothing but the connection changes.

The connection's extra says which order API the account has (``order_api``), and what imports through it need:
``subscriber`` and ``loa_authorizing_person``. Trigger it with ``{"bandwidth_conn_id": "bandwidth_new_account"}``.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import dag

from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator


@dag(
    dag_id="bandwidth_import_on_any_account",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"bandwidth_conn_id": "bandwidth_default", "telephone_numbers": ["9195550101", "9195550102"]},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    render_template_as_native_obj=True,
    tags=["bandwidth", "example"],
    doc_md=__doc__,
)
def bandwidth_import_on_any_account():
    BandwidthTnOrderOperator(
        task_id="import",
        action="IMPORT",
        telephone_numbers="{{ params.telephone_numbers }}",
        bandwidth_conn_id="{{ params.bandwidth_conn_id }}",
        wait_for_completion=True,
        deferrable=True,
    )


bandwidth_import_on_any_account()
