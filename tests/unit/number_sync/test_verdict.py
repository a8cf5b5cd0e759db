"""What the report says of the whole, where nothing was sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_bandwidth.number_sync.fates import Fate, NumberFate
from airflow_provider_bandwidth.number_sync.handover import Handover
from airflow_provider_bandwidth.number_sync.page import ReportPage
from airflow_provider_bandwidth.number_sync.report import Tally
from airflow_provider_bandwidth.number_sync.verdict import conclude_page, make_verdict
from airflow_provider_bandwidth.orders import Action

NOW = datetime(2031, 3, 4, 2, 0, tzinfo=UTC)
UNSAFE = "5 of 10 current numbers would be removed, more than max_removals=0.1 allows."


def make_plan(**changes: Any) -> Handover:
    given: dict[str, Any] = {
        "account_id": "9900000",
        "site_id": 743,
        "sip_peer_id": 303716,
        "order_api": "externalTns",
        "loa_type": None,
        "counts": {"current": 10, "desired": 11},
        "orders": {"IMPORT": [None], "REMOVE": []},
        "unchanged_xcoms": 0,
        "fate_xcoms": 0,
        "planned_at": NOW,
        "known_order_ids": (),
        "orders_made_since": NOW,
        "reuse_orders_ended_since": NOW,
        "nonce": "n-1",
        "digest": "d-1",
        "dry_run": True,
    }
    return Handover(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "A real run would send 1 order, and succeed unless"),
        (
            {"approval": "always"},
            "A real run would ask a person first. If approved, it would send 1 order, and succeed",
        ),
        (
            {"unsafe": UNSAFE, "findings": [UNSAFE], "approval": "unsafe"},
            f"would ask a person first: {UNSAFE} If approved, it would send 1",
        ),
        (
            {"unsafe": UNSAFE, "findings": [UNSAFE]},
            f"A real run would stop: {UNSAFE} If let through, it would send 1 order.",
        ),
    ],
)
def test_a_dry_run_says_what_a_real_one_would_do(changes: dict[str, Any], says: str) -> None:
    assert says in make_verdict(make_plan(**changes), Tally(), 0)


def test_a_dry_run_without_changes_sends_nothing() -> None:
    plan = make_plan(orders={"IMPORT": [], "REMOVE": []})

    assert make_verdict(plan, Tally(), 0) == "A real run would send 0 orders."


def test_a_dry_run_says_that_a_real_one_would_fail() -> None:
    tally = Tally()
    tally.add(NumberFate("9195550101", Action.IMPORT, Fate.ERRORED, "25060", "third party owned", "o-1"))

    assert "It would fail: 1 of 1 errored (25060 x 1)" in make_verdict(make_plan(), tally, 0)


def test_the_page_of_an_unsafe_plan_says_that_nothing_was_sent() -> None:
    plan = make_plan(dry_run=False, unsafe=UNSAFE, findings=[UNSAFE])
    page = ReportPage(verdict="", is_good=True, place=plan.place, planned_at="2031-03-04T02:00:00+00:00", tally=Tally())
    page.add(NumberFate("9195550101", Action.IMPORT, Fate.PLANNED))

    conclude_page(page, plan, 0)

    assert page.verdict == "Nothing was sent: the plan is unsafe, and a person has to look at it."
    assert not page.is_good
    assert page.findings == [UNSAFE]
