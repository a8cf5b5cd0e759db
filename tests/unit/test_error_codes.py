"""Whoever gets a code from Bandwidth learns what it means and what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_bandwidth.error_codes import (
    ERROR_CODES,
    ErrorCode,
    Retry,
    Scope,
    explain_error_code,
    list_error_codes,
    parse_error_codes,
)
from airflow_provider_bandwidth.order_apis import ORDER_APIS, TN_OPTIONS
from airflow_provider_bandwidth.sandbox.magic import MAGIC_NUMBERS

MADE_UP = {"", "[int]"}


@pytest.mark.parametrize(
    ("code", "scope", "retry", "word"),
    [
        ("25060", Scope.NUMBER, Retry.NO, "own"),
        ("25070", Scope.NUMBER, Retry.LATER, "carrier"),
        ("25010", Scope.ORDER, Retry.SUPPORT, "external"),
        ("5158", Scope.NUMBER, Retry.NO, "never imported"),
        ("7205", Scope.NUMBER, Retry.LATER, "another order"),
    ],
)
def test_code_says_what_to_do(code: str, scope: Scope, retry: Retry, word: str) -> None:
    known = explain_error_code(code)
    assert known is not None
    assert (known.code, known.scope, known.retry) == (code, scope, retry)
    assert word in known.meaning


def test_every_code_the_sandbox_can_answer_is_explained() -> None:
    asked = {
        (api, code)
        for row in MAGIC_NUMBERS.values()
        for action in row.actions
        for api in (("tnoptions",) if action == "OPTIONS" else ORDER_APIS)
        for code in (*row.codes, row.checker_code)
        if code not in MADE_UP
    }
    assert len(asked) > 200
    assert {(api, code) for api, code in asked if explain_error_code(code, api) is None} == set()


def test_code_is_found_as_text_or_number_and_unknown_ones_are_not_guessed() -> None:
    assert explain_error_code(5124) == explain_error_code(" 5124 ") == ERROR_CODES["orders"]["5124"]
    assert explain_error_code("999999") is None
    assert explain_error_code("") is None


def test_no_code_stands_in_two_rows() -> None:
    from airflow_provider_bandwidth import error_codes

    for rows in (error_codes._ROWS, error_codes._IMPORT_ROWS, error_codes._TN_OPTION_ROWS):
        listed = [code for codes, *_ in rows for code in codes.split()]
        assert sorted(listed) == sorted(set(listed))


def test_tables_are_those_of_order_apis() -> None:
    assert ERROR_CODES.keys() <= {"orders", *ORDER_APIS, TN_OPTIONS.name}


#: API reference, sections 14.5 and 14.6, written down by hand.
ORDER_REFUSED = """7102 7122 7316 7201 7360 7314 7386 5181 5165 7309 7334 7310 7311 7312
    7104 7105 7106 7107 7108 7109 7110 7111 7112 7214 7329 7330 7395 25131 7115 7318 5052 5149 5150 5151 5152 5155
    25010 1003 5073 5095 5070 5093 5061 5023"""
NUMBER_REFUSED = """5016 5023 5061 5157 5160 5163 5226 7205 7206 7518 19001 19002 19003 19004 19005 19006 19007 19008
    19009 19010 19012 19014 25070 25080 25090"""


@pytest.mark.parametrize("order_api", ["importTnOrders", "importTnOrders/messaging"])
@pytest.mark.parametrize("code", sorted({*ORDER_REFUSED.split(), *NUMBER_REFUSED.split()}))
def test_every_code_that_imports_may_answer_has_advice(code: str, order_api: str) -> None:
    known = explain_error_code(code, order_api)
    assert known is not None
    assert known.api in ("orders", "importTnOrders")


def test_a_code_is_looked_up_together_with_its_api() -> None:
    senses = {api: explain_error_code("5061", api) for api in (*ORDER_APIS, None)}
    assert senses["importTnOrders"] == senses["importTnOrders/messaging"] == ERROR_CODES["importTnOrders"]["5061"]
    assert senses["externalTns"] == senses[None] == ERROR_CODES["orders"]["5061"]
    assert explain_error_code("7115", "externalTns") is None
    assert explain_error_code("7115") == explain_error_code("7115", "importTnOrders")
    assert explain_error_code("5128", "tnoptions") != explain_error_code("5128", "externalTns")
    assert explain_error_code("25060", "an API of tomorrow") == ERROR_CODES["orders"]["25060"]


def test_codes_are_listed_by_api() -> None:
    every = list_error_codes("orders")
    assert len(every) == sum(map(len, ERROR_CODES.values()))
    of_v2 = {known.code: known.api for known in list_error_codes("importTnOrders/messaging")}
    assert (of_v2["1022"], of_v2["5061"], of_v2["25060"]) == ("importTnOrders/messaging", "importTnOrders", "orders")
    assert {known.api for known in list_error_codes("externalTns")} == {"orders"}


def test_every_row_is_complete_and_ready_for_json() -> None:
    for known in list_error_codes("orders"):
        row = json.loads(json.dumps(known.to_dict()))
        assert ErrorCode(**row) == known
        assert all(row.values()), row


@pytest.mark.parametrize(
    ("given", "codes"),
    [
        (None, ()),
        ("5124", ("5124",)),
        (5124, ("5124",)),
        ("25060,25061", ("25060", "25061")),
        (" 25060; 25061 25070", ("25060", "25061", "25070")),
        (["5124", 5124, "25060, 25061"], ("5124", "25060", "25061")),
        ((code for code in (5124, "25060")), ("5124", "25060")),
        ({"5124"}, ("5124",)),
        ([], ()),
    ],
)
def test_codes_are_read_however_they_are_given(given: Any, codes: tuple[str, ...]) -> None:
    assert parse_error_codes(given) == codes


@pytest.mark.parametrize("given", ["", ["5124", ""], True, 5124.0, [None], object(), "{{ var.value.codes }}", b"5124"])
def test_what_is_no_error_code_is_refused_by_name(given: Any) -> None:
    with pytest.raises(ValueError, match="ignore_these: expected error codes like 5124, got"):
        parse_error_codes(given, "ignore_these")
