"""What became of a message is judged by the search's rows, the worst of its receivers first."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from airflow_provider_bandwidth.messaging.records import DeliveryOutcome, MessageRecord, judge_message


def row(status: str, code: str | None = None, to: str = "+19195550150") -> MessageRecord:
    return MessageRecord("m1", destination=to, status=status, error_code=code)


@pytest.mark.parametrize(
    ("rows", "outcome"),
    [
        pytest.param([row("DELIVERED")], DeliveryOutcome.DELIVERED, id="delivered"),
        pytest.param([row("FAILED", "4476")], DeliveryOutcome.FAILED, id="failed"),
        pytest.param([row("UNDELIVERED")], DeliveryOutcome.FAILED, id="undelivered, without a code"),
        pytest.param([row("FAILED", "9902")], DeliveryOutcome.NO_RECEIPT, id="no receipt"),
        pytest.param([row("SENT", "9902")], DeliveryOutcome.NO_RECEIPT, id="no receipt, whatever its status"),
        pytest.param([row("SENT")], None, id="sent is no end"),
        pytest.param([row("ACCEPTED")], None, id="accepted is no end"),
        pytest.param([row("QUEUED")], None, id="queued"),
        pytest.param([row("NEW WORD")], None, id="an unknown status is no end"),
        pytest.param([], None, id="not shown yet"),
        pytest.param([row("DELIVERED"), row("SENT", to="+1")], None, id="open for one of two"),
        pytest.param([row("DELIVERED"), row("FAILED", "9902", "+1")], DeliveryOutcome.NO_RECEIPT, id="one unknown"),
        pytest.param(
            [row("FAILED", "9902"), row("FAILED", "4720", "+1"), row("DELIVERED", to="+2")],
            DeliveryOutcome.FAILED,
            id="one failed",
        ),
    ],
)
def test_the_worst_of_its_receivers_counts(rows: list[MessageRecord], outcome: DeliveryOutcome | None) -> None:
    verdict = judge_message(rows)
    assert (None if verdict is None else verdict.outcome) == outcome


def test_a_verdict_says_whom_it_did_not_reach_and_what_to_do() -> None:
    verdict = judge_message([row("DELIVERED"), row("FAILED", "4775", "+1"), row("UNDELIVERED", to="+2")])
    assert verdict is not None
    assert [(error["telephone_number"], error["code"]) for error in verdict.errors] == [("+1", "4775"), ("+2", None)]
    summary = verdict.summary()
    assert (summary["outcome"], summary["error_code"], summary["delivered_count"], summary["error_count"]) == (
        "failed",
        "4775",
        1,
        2,
    )
    assert "opted out" in str(verdict.errors[0]["description"])
    assert "take the number off" in summary["advice"]
    assert json.loads(json.dumps(summary)) == summary


def test_a_record_survives_airflows_database() -> None:
    for record in (row("FAILED", "4775"), MessageRecord("m2", received_at=datetime(2031, 3, 4, tzinfo=UTC))):
        assert MessageRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record
