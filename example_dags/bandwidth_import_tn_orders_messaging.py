"""Import telephone numbers through version 2 of Bandwidth's API, ``importTnOrders/messaging``, and remove others.

Subscriber and signer come from the connection's extra: ``subscriber`` and ``loa_authorizing_person``. Numbers may be
written in any usual notation here; Bandwidth gets ``+19195550101``, and XComs have ten digits, as on every order API.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import dag

from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator


@dag(
    dag_id="bandwidth_import_tn_orders_messaging",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"to_import": ["+19195550101", "(226) 555-0103"], "to_remove": ["9196660001"]},
    default_args={
        "order_api": "importTnOrders/messaging",
        "wait_for_completion": True,
        "deferrable": True,
        "retries": 3,
        "retry_delay": timedelta(minutes=1),
    },
    render_template_as_native_obj=True,
    tags=["bandwidth", "example"],
    doc_md=__doc__,
)
def bandwidth_import_tn_orders_messaging():
    BandwidthTnOrderOperator(task_id="import", action="IMPORT", telephone_numbers="{{ params.to_import }}")
    # A removal takes numbers and nothing else. A number that was never imported is as good as removed.
    BandwidthTnOrderOperator(
        task_id="remove",
        action="REMOVE",
        telephone_numbers="{{ params.to_remove }}",
        ignore_error_codes=["5158"],
    )


bandwidth_import_tn_orders_messaging()
