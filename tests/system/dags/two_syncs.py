"""Two DAGs that sync one SIP peer; see ``tests/system/two_syncs.py``.

Both begin by themselves. Without the environment's word this file defines no DAG.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_bandwidth.task_groups.bandwidth import bandwidth_number_sync

if "TWO_SYNCS" in os.environ:
    for name in ("crm", "shop"):
        with DAG(
            f"sync_of_{name}",
            schedule="@once",
            start_date=datetime(2026, 1, 1, tzinfo=UTC),
            is_paused_upon_creation=False,
            max_active_runs=5,
            default_args={"retries": 1, "retry_delay": timedelta(seconds=1)},
            params={"telephone_numbers": os.environ["TWO_SYNCS"]},
        ):
            bandwidth_number_sync(
                group_id="sync",
                telephone_numbers="{{ params.telephone_numbers }}",
                min_desired=0,
                chunk_size=3,
                # Which run plans first is left to Airflow.
                allow_older_run=True,
                poke_interval=2,
            )
