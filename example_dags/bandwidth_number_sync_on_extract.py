"""As soon as the CRM extract has landed: sync its telephone numbers, and then whatever depends on them.

Three DAGs, tied together by Assets. The first stands for the job that exports the CRM: its Asset event says where the
file is. The second is started by that event, reads the path from it, and syncs. The third is started by the event that
a successful sync emits, and reads the counts from it.
"""

from __future__ import annotations

import csv
import logging
from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import Asset, ObjectStoragePath, dag, task

from airflow_provider_bandwidth.operators.number_sync import number_sync_asset
from airflow_provider_bandwidth.task_groups.bandwidth import bandwidth_number_sync

log = logging.getLogger(__name__)

EXTRACT = Asset("crm://extracts/telephone-numbers")


@dag(
    dag_id="bandwidth_number_sync_crm_extract",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"folder": "s3://crm-exports", "telephone_numbers": ["+1 (919) 555-0101", "919.555.0102"]},
    tags=["bandwidth", "example"],
    doc_md=__doc__,
)
def bandwidth_number_sync_crm_extract():
    @task(outlets=[EXTRACT])
    def export(params=None, run_id=None, outlet_events=None) -> str:
        """Stands for the export: writes a file of its own for every run, and says in the event where it is."""
        path = ObjectStoragePath(f"{params['folder']}/{run_id}.csv")
        with path.open("w") as stream:
            writer = csv.writer(stream)
            writer.writerow(["customer", "telephone"])
            writer.writerows(enumerate(params["telephone_numbers"]))
        outlet_events[EXTRACT].extra = {"path": str(path)}
        return str(path)

    export()


@dag(
    dag_id="bandwidth_number_sync_on_extract",
    schedule=[EXTRACT],
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
    tags=["bandwidth", "example"],
    doc_md=__doc__,
)
def bandwidth_number_sync_on_extract():
    @task
    def newest_extract(triggering_asset_events=None, triggering_dataset_events=None) -> str:
        """The path in the newest event; several may have come together. Airflow 2 calls Assets datasets."""
        by_asset = triggering_asset_events if triggering_asset_events is not None else triggering_dataset_events
        events = [event for events in by_asset.values() for event in events]
        return max(events, key=lambda event: event.timestamp).extra["path"]

    bandwidth_number_sync(group_id="sync", extract_path=newest_extract(), column="telephone")


@dag(
    dag_id="bandwidth_number_sync_followed",
    schedule=[number_sync_asset()],
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["bandwidth", "example"],
    doc_md=__doc__,
)
def bandwidth_number_sync_followed():
    @task
    def tell(triggering_asset_events=None, triggering_dataset_events=None) -> list[int]:
        """Here the CRM would be told which numbers can be used from now on."""
        by_asset = triggering_asset_events if triggering_asset_events is not None else triggering_dataset_events
        imported = [event.extra["imported"] for events in by_asset.values() for event in events]
        log.info("Imported telephone numbers, by sync: %s.", imported)
        return imported

    tell()


bandwidth_number_sync_crm_extract()
bandwidth_number_sync_on_extract()
bandwidth_number_sync_followed()
