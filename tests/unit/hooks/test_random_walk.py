"""One order for one task, under five hundred random sequences of faults, kills, retries and clears."""

from __future__ import annotations

import random

import pytest
from support.random_walk import walk


@pytest.mark.timeout(600)
def test_no_order_is_duplicated_lost_or_mistaken() -> None:
    outcome = walk(seed=random.SystemRandom().randrange(10**9), count=500)

    print(outcome)
    assert outcome.failures == [], str(outcome)
    assert outcome.deaths > 100
    assert outcome.faults > 500
