"""Every night: make the telephone numbers at Bandwidth those of an extract in JSON lines, as BigQuery, Spark or an
event store write them: one object a line, unpacked if it ends in ``.gz``.

The connection ``bandwidth_default`` names account, site and SIP peer.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import dag

from airflow_provider_bandwidth.task_groups.bandwidth import bandwidth_number_sync


@dag(
    dag_id="bandwidth_number_sync_json_lines",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={"extract_path": "s3://crm-exports/telephone-numbers.jsonl.gz"},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    tags=["bandwidth", "example"],
    doc_md=__doc__,
)
def bandwidth_number_sync_json_lines():
    bandwidth_number_sync(
        group_id="sync",
        extract_path="{{ params.extract_path }}",
        # A name in the object. A line without it is a blank; where it holds a list, every number of it counts.
        column="phone",
        remove_missing=True,
    )


bandwidth_number_sync_json_lines()
