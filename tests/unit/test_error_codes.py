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
    parse_error_codes,
)
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
