"""A value that cannot be read keeps every number that it could stand for, and no other."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pytest

from airflow_provider_bandwidth.number_sync.doubt import numbers_they_could_be
from airflow_provider_bandwidth.number_sync.plan import plan_number_sync

WANTED = "9195550101"
#: A block of neighbours, as fleets have them, and numbers that look like it from one end.
OTHERS = ["9195550172", "9195551101", "9197770102", "9845559999", "3035550164"]


@pytest.mark.parametrize(
    "value",
    [
        # Ten digits in a row.
        "919-555-0101 ext 7",
        "+44 919 555 0101",
        "9195550101 / 9195550199 / fax",
        "tel 99195550101",
        "919_555_0101",
        "91 9555 0101",
        "\u0669\u0661\u0669-\u0665\u0665\u0665-\u0660\u0661\u0660\u0661 ext 1",
        "919555\u24ea10\u00b9 x",
        # Letters for digits.
        "919-555-O1O1",
        "9l9-555-0l0l",
        "919-S55-0101",
        "9I9.55S.OIO1",
        # Digits lost.
        "555-0101",
        "(   ) 555-0101",
        "5550101",
        "1 555 0101",
        "95550101",
        "0101",
        "XXX-XXX-0101",
        "***-***-0101",
        "919-XXX-0101",
        "919-555-010",
        "919-55-0101",
        "99-555-0101",
        "1-919-555-010",
        "919-555-01",
        "919555",
        # Digits too many.
        "919-555-01011",
        "9199-555-0101",
        "919-5555-0101",
        "1 919 555 01011",
        # A digit that cannot be.
        "919-155-0101",
        "919-055-0101",
        "019-555-0101",
        "191-555-0101",
        # Shortened.
        "9.19556E+09",
        "9.1956E+09",
        "9,19555E+09",
        "1.919555E+10",
        "9.2E+09",
        "9195560000.0",
        # Several, one of which is whole.
        "984-555-0000 / 919-555-010",
        "984-555-0000 or 555-0101",
        '=HYPERLINK("tel:+19195550101")',
        # Several, of which one is written in short.
        "919-555-0199/0101",
        "919-555-0199/01",
        "919-555-0100 or 1",
        "919-555-0199 & 101",
        "919-555-0100 - 0109",
        "919-555-0100-03",
        "919-555-0100 thru 104",
        "919-555-0100..0104",
        "919-555-0100 to 919-555-0109",
        "9195550100-9195550109",
        # The area code behind.
        "555-0101 (919)",
        "5550101 919",
        # Shortened in other ways.
        "919.556E+07",
        "9195.56E+06",
        "9.19556x10^9",
        "9.19556 \u00d7 10\u2079",
        # Left out.
        "919...0101",
        "919-\u2026-0101",
        "919-xx-0101",
        # As the web writes it.
        "919%20555%200101",
        "%2B1%20919%20555%200101",
        "919&#45;555&#45;0101",
        # From another country, with a digit lost.
        "001 919 555 010",
        "011 1 919 555 010",
    ],
)
def test_a_value_could_be(value: str) -> None:
    assert WANTED in numbers_they_could_be([value], {WANTED, *OTHERS})


@pytest.mark.parametrize(
    "value", ["919-555-HELP", "(919) 55-5HELP", "1-919-555-HELP", "call 919-555-HELP", "919 KJK-HELP"]
)
def test_letters_are_those_of_a_keypad(value: str) -> None:
    found = numbers_they_could_be([value], {"9195554357", "9845554357", "3035550164"})
    assert "9195554357" in found
    assert "3035550164" not in found


@pytest.mark.parametrize(
    "value",
    [9195560000.0, ("9195550101", "Doe"), {"phone": "9195550101", "ext": 1}, 19195550101, memoryview(b"9195550101 x1")],
)
def test_what_is_no_text_counts_too(value: object) -> None:
    assert numbers_they_could_be([value], {WANTED, "3035550164"}) == {WANTED}


@pytest.mark.parametrize(
    "value",
    [
        "unknown",
        "see notes",
        "",
        "12",
        "n/a",
        "\ud800",
        "303-555-0163 ext 4",
        "303-555-0163 ext 64",
        "303-555-0163 x64",
        "303-555-0163 #64",
        "303-555-0159/61",
        "303-555-0160 - 0163",
        "303-555-0165 to 303-555-0169",
        "+44 20 7946 0958",
        "800-555-0199",
        "Room 12, Main St 4",
    ],
)
def test_it_could_be_no_other(value: str) -> None:
    assert numbers_they_could_be([value], {WANTED, *OTHERS}) == set()


def test_a_float_of_32_bits_stands_for_what_its_digits_begin() -> None:
    floats = [pa.scalar(9195550101.0, pa.float32()), np.float32(9195550101)]
    for each in floats:
        assert numbers_they_could_be([each], {WANTED, "9845550101"}) == {WANTED}


def test_it_need_not_be_a_set() -> None:
    assert numbers_they_could_be(["555-0101"], [WANTED, *OTHERS]) == {WANTED}
    assert numbers_they_could_be([], [WANTED]) == set()


def test_plan_spares_what_a_rejected_value_could_be_and_removes_the_rest() -> None:
    values = ["9.19667E+09", "919667000", "19667-0002"]
    current = [f"919667{line:04d}" for line in range(100)]
    plan = plan_number_sync([*current[3:90], *values, "3035550101"], [*current, "3035550199"], remove_missing=True)
    assert [each.value for each in plan.rejected] == values
    assert plan.to_remove == ("3035550199",)


def test_a_number_of_which_one_digit_is_left_keeps_all_that_begin_with_it() -> None:
    numbers = {"9195550101", "8195550101", "3035550164"}
    assert numbers_they_could_be(["9E+09"], numbers) == {"9195550101", "8195550101"}


@pytest.mark.many_inputs
def test_a_few_values_and_a_million_numbers_take_no_minute() -> None:
    numbers = {
        f"{area}{exchange}{line:04d}" for area in (919, 984) for exchange in range(200, 250) for line in range(10_000)
    }
    assert len(numbers) == 1_000_000
    values = ["555-0101", "9.19200E+09", "919-200-000", "XXX-XXX-0101", "984-201-O000", "919 200"]
    start = time.process_time()
    found = numbers_they_could_be(values, numbers)
    assert time.process_time() - start < 10
    assert {"9192000101", "9842010000", "9192000005"} <= found


@pytest.mark.many_inputs
def test_many_values_take_no_minute() -> None:
    numbers = {f"919{exchange}{line:04d}" for exchange in range(200, 210) for line in range(10_000)}
    start = time.process_time()
    numbers_they_could_be([f"919-20{value % 10}-{value:05d}" for value in range(20_000)], numbers)
    assert time.process_time() - start < 20
