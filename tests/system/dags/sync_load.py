"""Syncs of one extract, alike but for how many orders a task has; see ``tests/system/sync_load.py``.

Without the environment's word this file defines no DAG.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_bandwidth.task_groups.bandwidth import bandwidth_number_sync

if "SYNC_LOAD" in os.environ:
    settings: dict[str, Any] = json.loads(os.environ["SYNC_LOAD"])
    for name, parameters in settings.pop("dags").items():
        with DAG(
            name,
            schedule=None,
            start_date=datetime(2026, 1, 1, tzinfo=UTC),
            default_args={"retries": 3, "retry_delay": timedelta(seconds=2)},
        ):
            bandwidth_number_sync(group_id="sync", column="telephone", poke_interval=5, **settings, **parameters)
