"""Sync the telephone numbers that a table in PostgreSQL holds, however many.

Needs ``apache-airflow-providers-postgres`` (any SQL provider of Airflow works alike) and, beside
``bandwidth_default``, a connection ``crm_database``. The plan task asks the database itself and fetches the rows in
chunks, so that they pass through no XCom. A few numbers that are to be left alone may come from a task's XCom.
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
    being_ported = SQLExecuteQueryOperator(
        task_id="being_ported",
        conn_id="crm_database",
        sql="SELECT telephone FROM ports WHERE done_on IS NULL",
    )
    bandwidth_number_sync(
        group_id="sync",
        sql="SELECT telephone FROM contacts WHERE texting_allowed",
        sql_conn_id="crm_database",
        # Numbers that are being ported stay as they are, wanted or not.
        excluded_telephone_numbers=being_ported.output,
        remove_missing=True,
        # Ask Bandwidth first, so that numbers it would refuse are named without an order.
        preflight=True,
    )


bandwidth_number_sync_postgres()
