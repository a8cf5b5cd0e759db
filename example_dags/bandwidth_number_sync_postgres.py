"""Sync the telephone numbers that a table in PostgreSQL holds.

Needs ``apache-airflow-providers-postgres`` (any SQL provider of Airflow works alike) and, beside
``bandwidth_default``, a connection ``crm_database``. The rows pass through XCom: fine for some ten thousand numbers.
For more, write them to a file in a task and give the group its ``extract_path`` and ``column``.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import dag
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator

from airflow_provider_bandwidth.task_groups.bandwidth import bandwidth_number_sync


@dag(
    dag_id="bandwidth_number_sync_postgres",
    schedule="30 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    tags=["bandwidth", "example"],
    doc_md=__doc__,
)
def bandwidth_number_sync_postgres():
    def query(task_id: str, sql: str) -> SQLExecuteQueryOperator:
        return SQLExecuteQueryOperator(task_id=task_id, conn_id="crm_database", sql=sql)

    bandwidth_number_sync(
        group_id="sync",
        telephone_numbers=query("wanted", "SELECT telephone FROM contacts WHERE texting_allowed").output,
        # Numbers that are being ported stay as they are, wanted or not.
        excluded_telephone_numbers=query("being_ported", "SELECT telephone FROM ports WHERE done_on IS NULL").output,
        remove_missing=True,
        # Ask Bandwidth first, so that numbers it would refuse are named without an order.
        preflight=True,
    )


bandwidth_number_sync_postgres()
