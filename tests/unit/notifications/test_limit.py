"""500 processes that fail together send as many texts as the limit allows."""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.clock import ManualClock

from airflow_provider_bandwidth.notifications import _limit
from airflow_provider_bandwidth.notifications._limit import Permit, TextLimit


class Variables:
    """Airflow's Variables, which have no lock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.values: dict[str, str] = {}
        monkeypatch.setattr(_limit, "read_variable", self.values.get)
        monkeypatch.setattr(_limit, "write_variable", self.values.__setitem__)


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    return Variables(monkeypatch)


def limit(clock: ManualClock, to: str = "+19195550150", **changes: Any) -> TextLimit:
    return TextLimit(
        "bandwidth_default", to, **{"max_texts": 3, "seconds": 900, "sleep": clock.sleep, "clock": clock, **changes}
    )


def test_the_limit_is_of_a_receiver_and_the_last_permit_says_when_there_is_leave_again(
    variables: Variables, clock: ManualClock
) -> None:
    started = clock.now
    permits = [limit(clock).take() for _ in range(5)]
    assert [permit.is_last for permit in permits if permit] == [False, False, True]
    assert permits[3:] == [None, None]
    assert permits[2] == Permit(True, pytest.approx(started + 900))
    assert limit(clock, "+19195550151").take() is not None


def test_one_that_others_follow_at_once_is_not_the_last(variables: Variables, clock: ManualClock) -> None:
    def sleep(seconds: float) -> None:
        """Others write while this one waits."""
        clock.now += seconds
        ((key, text),) = variables.values.items()
        variables.values[key] = json.dumps({**json.loads(text), "second": clock.now, "third": clock.now})

    permit = limit(clock, sleep=sleep).take()
    assert permit is not None
    assert not permit.is_last


def test_after_the_time_there_is_leave_again(variables: Variables, clock: ManualClock) -> None:
    assert [bool(limit(clock, max_texts=1).take()) for _ in range(2)] == [True, False]
    clock.now += 900
    assert [bool(limit(clock, max_texts=1).take()) for _ in range(2)] == [True, False]


def test_two_limits_of_one_receiver_count_the_same_texts(variables: Variables, clock: ManualClock) -> None:
    assert limit(clock, max_texts=1, seconds=3600).take() is not None
    clock.now += 120
    assert limit(clock, max_texts=1, seconds=60).take() is not None
    clock.now += 120
    assert limit(clock, max_texts=2, seconds=3600).take() is None


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"a": "b"}', "5"])
def test_a_variable_that_somebody_edited_is_begun_anew(text: str, variables: Variables, clock: ManualClock) -> None:
    limit(clock).take()
    (key,) = variables.values
    variables.values[key] = text
    assert limit(clock).take() is not None
    assert len(json.loads(variables.values[key])) == 1


def test_the_variable_does_not_show_the_number(variables: Variables, clock: ManualClock) -> None:
    limit(clock).take()
    assert "9195550150" not in str(variables.values)


# --- many at once ---


def test_of_many_processes_that_fail_together_few_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real threads and a real pause, halved: between reading and writing each is interrupted."""
    values: dict[str, str] = {}

    def read(key: str) -> str | None:
        text = values.get(key)
        time.sleep(random.uniform(0, 0.02))
        return text

    def write(key: str, text: str) -> None:
        time.sleep(random.uniform(0, 0.02))
        values[key] = text

    monkeypatch.setattr(_limit, "read_variable", read)
    monkeypatch.setattr(_limit, "write_variable", write)
    with ThreadPoolExecutor(64) as pool:
        permits = list(pool.map(lambda _: take_with_short_pause(), range(64)))
    assert len([permit for permit in permits if permit]) == 3
    assert len(json.loads(next(iter(values.values())))) == 3


def take_with_short_pause() -> Permit | None:
    return TextLimit(
        "bandwidth_default", "+1", max_texts=3, seconds=900, sleep=lambda seconds: time.sleep(seconds / 2)
    ).take()
