"""Desired minus current, without Airflow or network."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bandwidth.exceptions import InvalidParameterError, InvalidTelephoneNumbersError
from airflow_provider_bandwidth.number_sync.plan import plan_number_sync

A, B, C, D, E, F = (f"919666010{last}" for last in range(6))
UNKNOWN_AREA = "2715550101"  # there is no area code 271

# --- the plan ---


def test_plan_is_desired_minus_current() -> None:
    plan = plan_number_sync([C, A, B], [A, D, E], remove_missing=True)
    assert plan.to_import == (B, C)
    assert plan.to_remove == (D, E)
    assert plan.unchanged == (A,)
    assert plan.rejected == ()


def test_plan_has_a_figure_for_every_value() -> None:
    plan = plan_number_sync([C, A, B, B, "", "12"], [A, D, E], remove_missing=True)
    assert plan.counts() == {
        "desired": 4,
        "current": 3,
        "unchanged": 1,
        "to_import": 2,
        "to_remove": 2,
        "rejected": 1,
        "not_desired": 2,
        "duplicates": 1,
        "blanks": 1,
    }


def test_nothing_is_removed_unless_asked() -> None:
    plan = plan_number_sync([A], [A, D])
    assert plan.to_remove == ()
    assert plan.not_desired_count == 1


def test_desired_values_are_read_as_crms_write_them() -> None:
    rows = [
        "+1 (919) 666-0100",
        "1-919-666-0101",
        " 919.666.0102 ",
        9196660103,
        9196660104.0,
        [F],
        (A,),
        None,
        "",
        "  ",
    ]
    plan = plan_number_sync(rows, [C])
    assert plan.to_import == (A, B, D, E, F)
    assert plan.unchanged == (C,)
    assert (plan.duplicate_count, plan.blank_count, plan.rejected) == (1, 3, ())


def test_text_is_taken_apart() -> None:
    assert plan_number_sync(f"{A}, {B}\n{A}", [A]).to_import == (B,)
    assert plan_number_sync(f"{A}, {B}\n{A}", [A]).duplicate_count == 1


def test_what_is_no_number_is_rejected_with_its_reason() -> None:
    plan = plan_number_sync([A, "12", "+1 800 555 1212", "call me"], [])
    assert {each.value: each.code for each in plan.rejected} == {
        "12": "length",
        "+1 800 555 1212": "toll_free",
        "call me": "letters",
    }
    assert plan.desired_count == 4


@pytest.mark.parametrize("value", [UNKNOWN_AREA, f"+1{UNKNOWN_AREA}", f"({UNKNOWN_AREA[:3]}) {UNKNOWN_AREA[3:]}"])
def test_what_bandwidth_hosts_is_valid_whatever_our_numbering_plan_says(value: str) -> None:
    assert plan_number_sync([value], []).rejected[0].code == "area_code", "else this test shows nothing"
    plan = plan_number_sync([value], [UNKNOWN_AREA], remove_missing=True)
    assert plan.unchanged == (UNKNOWN_AREA,)
    assert plan.rejected == plan.to_remove == ()


@pytest.mark.parametrize(
    "value",
    ["{} ext 2", "9195550199 / fax {}", "Mobile 2: {}", "ext 2, {}", "(011) 2 {}", "+1 {}-12"],
)
def test_number_in_a_rejected_value_is_not_removed(value: str) -> None:
    plan = plan_number_sync([value.format(A), B], [A, B, "9847770102"], remove_missing=True)
    assert len(plan.rejected) == 1
    assert plan.to_remove == ("9847770102",)


def test_excluded_numbers_are_neither_imported_nor_removed() -> None:
    plan = plan_number_sync([A, B, C], [C, D], excluded=["+1 919 666 0101", C, D], remove_missing=True)
    assert plan.to_import == (A,)
    assert plan.to_remove == plan.unchanged == ()
    assert {each.value: each.code for each in plan.rejected} == {B: "excluded", C: "excluded"}


def test_excluded_value_that_is_no_number_stops_everything() -> None:
    with pytest.raises(InvalidTelephoneNumbersError, match="'91966601'"):
        plan_number_sync([A], [B], excluded=["91966601"])


@pytest.mark.many_inputs
def test_a_million_duplicates_are_one_number() -> None:
    plan = plan_number_sync((A for _ in range(1_000_000)), [])
    assert plan.to_import == (A,)
    assert plan.duplicate_count == 999_999


NUMBERS = [f"919666{last:04d}" for last in range(40)]
VALUES = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(NUMBERS).map(lambda n: f"+1 ({n[:3]}) {n[3:6]}-{n[6:]}"),
    st.sampled_from(["", None, "12", "x", "911"]),
)


@given(st.lists(VALUES), st.sets(st.sampled_from(NUMBERS)), st.sets(st.sampled_from(NUMBERS)), st.booleans())
def test_every_value_has_one_place_in_the_plan(
    desired: list[str | None], current: set[str], excluded: set[str], remove: bool
) -> None:
    plan = plan_number_sync(desired, current, excluded=excluded, remove_missing=remove)
    imports, removals, unchanged = set(plan.to_import), set(plan.to_remove), set(plan.unchanged)
    wanted = {"".join(filter(str.isdigit, value))[-10:] for value in desired if value and len(value) >= 10}
    assert imports == wanted - current - excluded
    assert unchanged == (wanted & current) - excluded
    assert removals == (current - wanted - excluded if remove else set())
    in_plan = len(plan.to_import) + len(plan.unchanged) + len(plan.rejected)
    assert in_plan + plan.duplicate_count + plan.blank_count == len(desired)
    assert plan.to_import == tuple(sorted(imports))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("telephone_numbers", {"desired": b"9196660100"}),
        ("excluded_telephone_numbers", {"excluded": b"9196660100"}),
    ],
)
def test_what_is_no_list_of_numbers_is_named(name: str, changes: dict[str, object]) -> None:
    with pytest.raises(InvalidParameterError, match=f"^{name}: "):
        plan_number_sync(**{"desired": ["9196660100"], "current": [], **changes})  # type: ignore[arg-type]
