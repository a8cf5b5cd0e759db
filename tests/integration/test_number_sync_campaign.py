"""The sync that assigns a campaign, as its example DAG on real Airflow against the sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.dag_files import DagFileRun, run_example

from airflow_provider_bandwidth.sandbox import Sandbox

NUMBERS = [f"91955501{last:02d}" for last in range(3)]


@pytest.mark.usefixtures("airflow_db", "fresh_records")
def test_what_is_imported_is_assigned_and_what_was_refused_is_tried_again(sandbox: Sandbox, tmp_path: Path) -> None:
    extract = tmp_path / "numbers.csv"
    extract.write_text("\n".join(["Phone", *NUMBERS]))

    def night(campaign_id: str) -> DagFileRun:
        return run_example("bandwidth_number_sync_campaign", extract_path=str(extract), campaign_id=campaign_id)

    run = night("CPENDNG")
    assert (run.state, run.states("sync.import"), run.states("sync.assign")) == ("failed", ["success"], ["success"])
    (summary,) = run.pull("sync.report")
    assert (summary["imported"], summary["cannot_text"], summary["error_counts"]) == (0, 3, {"12192": 3})

    run = night("CABC123")
    assert run.state == "success"
    assert [order.action for order in sandbox.orders] == ["IMPORT", "OPTIONS", "OPTIONS"]
    (summary,) = run.pull("sync.report")
    assert (summary["unchanged"], summary["cannot_text"]) == (3, 0)
    assert summary["campaign_order_ids"] == [sandbox.orders[-1].order_id]
