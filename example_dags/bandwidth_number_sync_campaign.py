"""Every night: import the telephone numbers of a CSV extract, and assign them to the campaign that lets them text.

The connection ``bandwidth_default`` names account, site and SIP peer. A number that was imported, and that the campaign
did not take, has the fate ``cannot_text`` with Bandwidth's code: it is not imported again, and the next nights try the
campaign again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import dag

from airflow_provider_bandwidth.task_groups.bandwidth import bandwidth_number_sync


@dag(
    dag_id="bandwidth_number_sync_campaign",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={
        "extract_path": "s3://crm-exports/telephone-numbers.csv",
        "column": "Phone",
        "campaign_id": "CABC123",
    },
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    tags=["bandwidth", "example"],
    doc_md=__doc__,
)
def bandwidth_number_sync_campaign():
    bandwidth_number_sync(
        group_id="sync",
        extract_path="{{ params.extract_path }}",
        column="{{ params.column }}",
        campaign_id="{{ params.campaign_id }}",
    )


bandwidth_number_sync_campaign()
