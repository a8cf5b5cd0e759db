"""Import telephone numbers through ``importTnOrders``: with who uses them, who signed for them, and the signed letter.

Accounts that were opened lately have ``importTnOrders`` and not ``externalTns``. Put ``order_api``, ``subscriber`` and
``loa_authorizing_person`` into the connection's extra instead, and every other example runs through it as it stands.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import dag

from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator


@dag(
    dag_id="bandwidth_import_tn_orders",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={
        "telephone_numbers": ["9195550101", "9195550102"],
        "loa_files": ["s3://letters/example-bakery.pdf"],
    },
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    render_template_as_native_obj=True,
    tags=["bandwidth", "example"],
    doc_md=__doc__,
)
def bandwidth_import_tn_orders():
    BandwidthTnOrderOperator(
        task_id="import",
        action="IMPORT",
        order_api="importTnOrders",
        telephone_numbers="{{ params.telephone_numbers }}",
        subscriber={
            "name": "Example Bakery LLC",
            "service_address": {
                "house_number": "12",
                "street_name": "Mill",
                "city": "Durham",
                "state_code": "NC",
                "zip": "27701",
            },
        },
        loa_authorizing_person="Ada Baker",
        # Each letter comes to the order once. One that fails is named in the log; the order goes on without it.
        loa_files="{{ params.loa_files }}",
        # Without a timeout the wait takes 72 hours at most: another customer of Bandwidth may have 48 to confirm.
        wait_for_completion=True,
        deferrable=True,
    )


bandwidth_import_tn_orders()
