"""The fate of every number of a sync, and the report that counts them, without Airflow or network."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bandwidth.number_sync.fates import Fate, NumberFate, OrderResult, account_for_order
from airflow_provider_bandwidth.number_sync.report import Tally, escape_cell
from airflow_provider_bandwidth.orders import Action, TelephoneNumberError

A, B, C, D, E, F = (f"919666010{last}" for last in range(6))
NUMBERS = [f"919666{last:04d}" for last in range(40)]


def fates(result: OrderResult, action: Action = Action.IMPORT) -> dict[str, tuple[Fate, str, str]]:
    found = list(account_for_order(action, (A, B), result))
    assert [each.telephone_number for each in found] == [A, B]
    return {each.telephone_number: (each.fate, each.code, each.reason) for each in found}


def test_completed_numbers_are_imported_or_removed_and_errored_ones_say_why() -> None:
    errors = [TelephoneNumberError(B, "25060", "ours"), TelephoneNumberError(B, "25080", "not done")]
    result = OrderResult("o-1", "PARTIAL", [A], errors)
    assert fates(result) == {A: (Fate.IMPORTED, "", ""), B: (Fate.ERRORED, "25060", "ours; 25080: not done")}
    assert fates(result, Action.REMOVE)[A][0] is Fate.REMOVED


@pytest.mark.parametrize(
    ("result", "fate", "code", "says"),
    [
        (OrderResult(), Fate.UNACCOUNTED, "", "see the log of the task that sends it"),
        (OrderResult("o-1"), Fate.UNACCOUNTED, "", "see the log of the task that sent it"),
        (OrderResult("o-1", "COMPLETE", [A]), Fate.UNACCOUNTED, "", "COMPLETE: Bandwidth gave no reason"),
        (
            OrderResult("o-1", "PARTIAL", [], [TelephoneNumberError(None, "5003", "some failed")]),
            Fate.UNACCOUNTED,
            "",
            "some failed",
        ),
        (
            OrderResult("o-1", "FAILED", [], [TelephoneNumberError(None, "5003", "all failed")]),
            Fate.ERRORED,
            "5003",
            "all failed",
        ),
        (
            OrderResult("o-1", "FAILED", [], [TelephoneNumberError(A, "5016", "site")]),
            Fate.ERRORED,
            "",
            "FAILED: Bandwidth gave no reason",
        ),
    ],
    ids=["no order", "not ended", "not a word", "PARTIAL, unnamed", "FAILED, unnamed", "FAILED, another named"],
)
def test_number_without_a_word_of_its_own(result: OrderResult, fate: Fate, code: str, says: str) -> None:
    found = fates(result)[B]
    assert found[:2] == (fate, code)
    assert says in found[2]


def test_tally_counts_each_number_once_and_says_what_to_do() -> None:
    tally = Tally()
    tally.add_unchanged(5)
    for fate in (
        NumberFate("12", "IMPORT", Fate.REJECTED, "length", "too short"),
        NumberFate(A, "IMPORT", Fate.UNCHANGED),
        NumberFate(F, "REMOVE", Fate.REJECTED, "open_order", "busy"),
        *account_for_order(
            Action.IMPORT, [B, C], OrderResult("o", "PARTIAL", [B], [TelephoneNumberError(C, "25060", "x")])
        ),
        *account_for_order(Action.REMOVE, [D], OrderResult("o", "COMPLETE", [D])),
        *account_for_order(Action.REMOVE, [E], OrderResult()),
    ):
        tally.add(fate)
    counts = tally.counts()
    assert {name: count for name, count in counts.items() if count} == {
        "desired": 9,
        "unchanged": 6,
        "imported": 1,
        "errored": 1,
        "rejected": 1,
        "to_remove": 3,
        "removed": 1,
        "removal_rejected": 1,
        "removal_unaccounted": 1,
    }
    assert tally.error_counts() == {"25060": 1}
    assert tally.count(Fate.REJECTED) == 2
    assert tally.count(Fate.REJECTED, Action.REMOVE) == 1
    table = tally.render("a title")
    assert table.startswith("a title\n")
    assert "IMPORT errored 25060" in table
    assert "Bandwidth's own" in table
    assert "too short" in table


def test_fate_is_ready_for_json() -> None:
    assert NumberFate(A, Action.IMPORT, Fate.ERRORED, "25060", "ours", "o-1").to_dict() == {
        "telephone_number": A,
        "action": "IMPORT",
        "fate": "errored",
        "code": "25060",
        "reason": "ours",
        "order_id": "o-1",
    }


@given(
    st.sets(st.sampled_from(NUMBERS)),
    st.builds(
        OrderResult,
        st.sampled_from([None, "o-1"]),
        st.sampled_from([None, "COMPLETE", "PARTIAL", "FAILED"]),
        st.sets(st.sampled_from(NUMBERS)),
        st.lists(
            st.builds(TelephoneNumberError, st.sampled_from([*NUMBERS, None]), st.just("5003"), st.just("x")),
            max_size=4,
        ),
    ),
)
def test_every_number_of_an_order_has_one_fate(requested: set[str], result: OrderResult) -> None:
    found = Counter(each.telephone_number for each in account_for_order(Action.IMPORT, requested, result))
    assert found == Counter(requested)


def test_fate_is_read_back_as_it_was() -> None:
    fate = NumberFate(A, "REMOVE", Fate.ERRORED, "25060", "x", "o")
    assert NumberFate.from_dict(fate.to_dict()) == fate


def test_lines_of_the_report_have_an_order_of_their_own() -> None:
    fates = [
        NumberFate(A, "REMOVE", Fate.ERRORED, "5003", "third"),
        NumberFate(B, "IMPORT", Fate.ERRORED, "5003", "second"),
        NumberFate(C, "IMPORT", Fate.ERRORED, "25060", "first"),
        NumberFate(D, "IMPORT", Fate.REJECTED, "letters", "commonest"),
        NumberFate(E, "IMPORT", Fate.REJECTED, "letters", "commonest"),
    ]

    def render(fates: list[NumberFate]) -> str:
        tally = Tally()
        for fate in fates:
            tally.add(fate)
        assert tally.error_counts() == {"5003": 2, "25060": 1}
        assert list(tally.error_counts()) == ["5003", "25060"]
        return tally.render("title", "verdict")

    lines = render(fates).splitlines()
    assert lines[:3] == ["title", "", "verdict"]
    assert [line.strip() for line in lines if line.strip() in ("first", "second", "third", "commonest")] == [
        "commonest",
        "first",
        "second",
        "third",
    ]
    assert f"            {B}" in lines
    assert f"            {D!r}, {E!r}" in lines
    assert sorted(render(fates[::-1]).splitlines()) == sorted(
        line.replace(f"{D!r}, {E!r}", f"{E!r}, {D!r}") for line in lines
    )


def test_report_names_the_first_ten_numbers() -> None:
    tally = Tally()
    for number in NUMBERS[:11]:
        tally.add(NumberFate(number, "IMPORT", Fate.PLANNED))
    lines = tally.render("title").splitlines()
    assert "        11  IMPORT planned" in lines
    assert f"            {', '.join(NUMBERS[:10])}, ..." in lines
    assert NUMBERS[10] not in "".join(lines)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", " =", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_no_cell_is_a_formula(start: str) -> None:
    assert escape_cell(f"{start}SUM(1)") == f"'{start}SUM(1)"


@pytest.mark.parametrize("text", ["9196660100", "", "a=b", "5003", "airflow-1", "'x"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert escape_cell(text) == text


def test_report_names_no_number_where_counts_are_wanted_only() -> None:
    tally = Tally()
    tally.add(NumberFate("9195550101", Action.IMPORT, Fate.ERRORED, "25060", "third party owned", "o-1"))

    assert "9195550101" in tally.render("title")
    assert "9195550101" not in tally.render("title", lists_numbers=False)
    assert "third party owned" in tally.render("title", lists_numbers=False)
