"""The life of a sync, at random: no live number is reset, no wanted one removed, every fate is true."""

from __future__ import annotations

import airflow
import pytest
from support.sync_walk import Happenings, walk_syncs

pytestmark = [
    pytest.mark.random_walk,
    pytest.mark.skipif(
        airflow.__version__.startswith("2."),
        reason="Airflow 2.11 counts mapped tasks in its database, which the walk has not",
    ),
]

#: One run at a time, and an inventory that tells the truth at once.
ORDERLY = Happenings(
    side_by_side=False, second_dag=False, inventory_lag=0, broken_inventory=False, broken_extracts=False
)


def test_kills_clears_retries_and_lost_answers_do_no_harm() -> None:
    outcome = walk_syncs(20310304, 10, happenings=ORDERLY, over_http=False)

    assert not outcome.failures, outcome


def test_runs_side_by_side_and_inventories_that_lag_or_break_do_no_harm() -> None:
    outcome = walk_syncs(20310305, 20, over_http=False)

    assert not outcome.failures, outcome
    assert outcome.deaths > 10
    assert outcome.clears > 10
    assert outcome.fates["imported"] > 100
    assert outcome.fates["removed"] > 10


@pytest.mark.parametrize("order_api", ["importTnOrders", "importTnOrders/messaging"])
def test_the_same_on_the_other_order_apis(order_api: str) -> None:
    outcome = walk_syncs(20310306, 5, over_http=False, order_api=order_api)

    assert not outcome.failures, outcome
    assert outcome.deaths > 5
    assert outcome.fates["imported"] > 50
    assert outcome.fates["removed"] > 5


def test_whatever_happens_a_number_is_assigned_to_its_campaign_once() -> None:
    outcome = walk_syncs(20310306, 8, happenings=Happenings(campaign=True), over_http=False)

    assert not outcome.failures, outcome
    assert outcome.deaths > 10
    assert outcome.fates["imported"] > 50


def test_a_walk_can_be_repeated_and_comes_to_the_same_over_http() -> None:
    first, again = (
        walk_syncs(20310304, 2, first=3, happenings=ORDERLY, over_http=over_http) for over_http in (True, False)
    )

    assert str(first) == str(again)
