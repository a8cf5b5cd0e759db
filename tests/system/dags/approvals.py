"""Two DAGs whose number syncs ask a person; see ``tests/support/approvals.py``.

Without the environment's word this file defines no DAG.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_bandwidth.task_groups.bandwidth import bandwidth_number_sync

if "APPROVALS" in os.environ:
    for name in ("crm", "shop"):
        with DAG(
            f"approval_{name}",
            schedule=None,
            start_date=datetime(2026, 1, 1, tzinfo=UTC),
            max_active_runs=3,
            default_args={"retries": 1, "retry_delay": timedelta(seconds=1)},
            params={"extract": ""},
        ):
            bandwidth_number_sync(
                group_id="sync",
                extract_path="{{ params.extract }}",
                column="Phone",
                bandwidth_conn_id="bandwidth_approvals",
                remove_missing=True,
                approval="unsafe",
                approval_timeout=timedelta(hours=2),
                poke_interval=2,
                report_path=os.environ["APPROVALS"] + "/{{ dag.dag_id }}-{{ run_id }}.html",
            )
