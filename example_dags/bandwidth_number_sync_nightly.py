"""Every night: make the telephone numbers at Bandwidth those of a CSV extract of the CRM.

Each parameter can be changed for one run under "Trigger DAG w/ config"; ``{"dry_run": true}`` shows what a run would
do. The connection ``bandwidth_default`` names account, site and SIP peer. What became of every number stands in the log
of task ``sync.report`` and, line by line, in the report file.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import dag

from airflow_provider_bandwidth.task_groups.bandwidth import bandwidth_number_sync


@dag(
    dag_id="bandwidth_number_sync_nightly",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    # Keeps late runs from piling up. One sync of a SIP peer runs at a time in any case.
    max_active_runs=1,
    params={
        "extract_path": "s3://crm-exports/telephone-numbers.csv",
        "column": "Phone",
        "report_folder": "s3://crm-exports/reports",
        "dry_run": False,
    },
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    tags=["bandwidth", "example"],
    doc_md=__doc__,
)
def bandwidth_number_sync_nightly():
    bandwidth_number_sync(
        group_id="sync",
        extract_path="{{ params.extract_path }}",
        column="{{ params.column }}",
        report_path="{{ params.report_folder }}/{{ run_id }}.csv",
        dry_run="{{ params.dry_run }}",
        # Numbers that left the CRM go, but never more than one in twenty of those at Bandwidth: then a person looks.
        remove_missing=True,
        max_removals=0.05,
        # A few numbers that Bandwidth refuses are a matter for the morning, not a reason to stop what follows.
        max_errors=0.01,
        # Not on the system, not in service, never imported: for a removal all mean that there is nothing left to do.
        ignore_error_codes=["5071", "5074", "5158"],
    )


bandwidth_number_sync_nightly()
