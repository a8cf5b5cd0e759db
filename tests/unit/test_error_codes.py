"""Whoever gets a code from Bandwidth learns what it means and what to do."""

from __future__ import annotations

import json

import pytest

from airflow_provider_bandwidth.error_codes import ERROR_CODES, ErrorCode, Retry, Scope, explain_error_code
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
    codes = {code for row in MAGIC_NUMBERS.values() for code in (*row.codes, row.checker_code)} - MADE_UP
    assert len(codes) > 70
    assert codes - ERROR_CODES.keys() == set()


def test_code_is_found_as_text_or_number_and_unknown_ones_are_not_guessed() -> None:
    assert explain_error_code(5124) == explain_error_code(" 5124 ") == ERROR_CODES["5124"]
    assert explain_error_code("999999") is None
    assert explain_error_code("") is None


def test_no_code_stands_in_two_rows() -> None:
    from airflow_provider_bandwidth import error_codes

    listed = [code for codes, *_ in error_codes._ROWS for code in codes.split()]
    assert sorted(listed) == sorted(set(listed))


def test_every_row_is_complete_and_ready_for_json() -> None:
    for known in ERROR_CODES.values():
        row = json.loads(json.dumps(known.to_dict()))
        assert ErrorCode(**row) == known
        assert all(row.values()), row
