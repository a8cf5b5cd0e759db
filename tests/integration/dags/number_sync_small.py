"""A sync of small orders without retries, of the numbers in the run's configuration."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import dag

from airflow_provider_bandwidth.task_groups.bandwidth import bandwidth_number_sync


@dag(
    dag_id="number_sync_small",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params={"telephone_numbers": [], "dry_run": False},
)
def number_sync_small():
    bandwidth_number_sync(
        group_id="sync",
        telephone_numbers="{{ params.telephone_numbers }}",
        dry_run="{{ params.dry_run }}",
        remove_missing=True,
        max_removals=1.0,
        min_desired=0,
        chunk_size=3,
        orders_per_task=2,
    )


number_sync_small()
