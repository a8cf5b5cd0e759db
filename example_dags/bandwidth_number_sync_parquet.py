"""Every night: make the telephone numbers at Bandwidth those of a Parquet file of the warehouse.

Needs ``airflow-provider-bandwidth[parquet]``, which brings pyarrow. Only the column is read, a piece at a time. The
connection ``bandwidth_default`` names account, site and SIP peer.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import dag

from airflow_provider_bandwidth.task_groups.bandwidth import bandwidth_number_sync


@dag(
    dag_id="bandwidth_number_sync_parquet",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={"extract_path": "s3://warehouse/marts/telephone_numbers.parquet"},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    tags=["bandwidth", "example"],
    doc_md=__doc__,
)
def bandwidth_number_sync_parquet():
    bandwidth_number_sync(
        group_id="sync",
        extract_path="{{ params.extract_path }}",
        column="telephone_number",
        remove_missing=True,
    )


bandwidth_number_sync_parquet()
