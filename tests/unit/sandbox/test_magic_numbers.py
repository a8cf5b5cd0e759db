"""Magic telephone numbers do what the table says, and nothing else fails."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from airflow_provider_bandwidth.sandbox import Sandbox
from airflow_provider_bandwidth.sandbox.magic import MAGIC_NUMBERS, Effect

GOOD = "9195550101"


def rows(*effects: Any) -> list[Any]:
    return [pytest.param(row, id=row.line) for row in MAGIC_NUMBERS.values() if row.effect in effects]


def codes_of(api: Any, order: Any) -> list[tuple[str, str]]:
    """Every (code, number) pair."""
    return [(code, number) for code, numbers in api.errors(order) for number in numbers]


def test_every_line_from_0001_to_0099_and_from_0901_on_is_in_the_table() -> None:
    assert list(MAGIC_NUMBERS) == [f"{line:04d}" for line in (*range(1, 100), *range(901, 912))]


@pytest.mark.parametrize(
    ("line", "code"), [("0001", "25060"), ("0002", "5124"), ("0003", "25070"), ("0004", "25080"), ("0005", "25090")]
)
def test_the_promised_lines_have_the_promised_codes(api: Any, line: str, code: str) -> None:
    order = api.read(api.submit(GOOD, f"212555{line}"))

    assert (api.status(order), api.errors(order)) == ("PARTIAL", [(code, [f"212555{line}"])])


@pytest.mark.parametrize("number", ["9195550100", "9195550000", "9195560001", "5552340001", "9195559999"])
def test_other_numbers_succeed(api: Any, number: str) -> None:
    assert api.status(api.read(api.submit(number))) == "COMPLETE"


@pytest.mark.parametrize("row", rows(Effect.NUMBER))
def test_a_number_failure_hits_that_number_under_its_actions_only(sandbox: Sandbox, api: Any, row: Any) -> None:
    number = f"919555{row.line}"
    for action in ("IMPORT", "REMOVE"):
        sandbox.reset()
        if action == "REMOVE":
            sandbox.seed(imported=[number, GOOD])
        order = api.read(api.submit(GOOD, number, Action=action))
        fails = action in row.actions
        assert codes_of(api, order) == ([(code, number) for code in row.codes] if fails else []), action
        assert api.status(order) == ("PARTIAL" if fails else "COMPLETE"), action


def test_one_line_gives_its_number_two_errors(api: Any) -> None:
    order = api.read(api.submit(GOOD, "9195550046"))

    assert codes_of(api, order) == [("25070", "9195550046"), ("25080", "9195550046")]


@pytest.mark.parametrize("row", [each for each in rows(Effect.ORDER) if each.values[0].actions != ("OPTIONS",)])
def test_an_order_failure_is_late_and_on_every_number(sandbox: Sandbox, api: Any, row: Any) -> None:
    number = f"919555{row.line}"

    order = api.read(api.submit(GOOD, number, Action=row.actions[0]))

    assert api.status(order) == "FAILED"
    assert codes_of(api, order) == [(row.codes[0], GOOD), (row.codes[0], number)]
    assert sandbox.inventory == {}


@pytest.mark.parametrize("row", rows(Effect.REFUSED))
def test_a_refused_line_answers_400(sandbox: Sandbox, api: Any, row: Any) -> None:
    response = api.post(api.order_xml(GOOD, f"919555{row.line}"))

    assert api.refusal(response) == (400, "ExternalTnsOrderResponse", row.codes[0])
    assert sandbox.orders == []


def test_an_error_can_name_no_number(sandbox: Sandbox, api: Any) -> None:
    failed = api.read(api.submit(GOOD, "9195550090"))
    partial = api.read(api.submit(GOOD, "9195550091"))

    assert (api.status(failed), api.errors(failed)) == ("FAILED", [("5003", [])])
    assert (api.status(partial), api.errors(partial)) == ("PARTIAL", [("5003", [])])
    assert sandbox.inventory == {("743", "303716"): [GOOD]}


def test_a_number_can_be_done_and_missing_from_the_list(sandbox: Sandbox, api: Any) -> None:
    order = api.read(api.submit(GOOD, "9195550094"))

    assert (api.status(order), api.texts(order, "TelephoneNumber")) == ("COMPLETE", [GOOD])
    assert sandbox.inventory == {("743", "303716"): ["9195550094", GOOD]}


def test_an_order_may_never_end_or_end_in_an_unknown_word(api: Any) -> None:
    never, exception = api.submit(GOOD, "9195550095"), api.submit(GOOD, "9195550096")

    assert api.status(api.read(never)) == "PROCESSING"
    assert api.status(api.read(exception)) == "EXCEPTION"


def test_the_checker_refuses_what_the_table_says(api: Any) -> None:
    marked = {f"919555{row.line}": row.checker_code for row in MAGIC_NUMBERS.values() if row.checker_code}
    listed = "".join(f"<TelephoneNumber>{number}</TelephoneNumber>" for number in [GOOD, *marked])
    body = f"<ImportTnCheckerPayload><TelephoneNumbers>{listed}</TelephoneNumbers></ImportTnCheckerPayload>"

    answer = ET.fromstring(api.post(body, "/importTnChecker").content)

    refused = {
        number: error.findtext("Code")
        for error in answer.iter("ImportTnError")
        for number in api.texts(error, "TelephoneNumber")
    }
    assert refused == marked
    assert set(refused.values()) > {"19001", "19002", "19006", "19012"}
    assert api.texts(answer.find("ImportTnCheckerPayload/TelephoneNumbers"), "TelephoneNumber") == [GOOD]
