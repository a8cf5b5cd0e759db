"""What a status, headers and a body mean, without any server."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_bandwidth.exceptions import BandwidthApiError, BandwidthAuthError, InvalidResponseError
from airflow_provider_bandwidth.wire.answers import Answer, errors_naming_call, read_clock_offset, read_pause, to_error

URL = "https://dashboard.example/api/accounts/9900000/externalTns"
REFUSAL = (
    b"<Response><ErrorList><Error><Code>12016</Code><Description>No such site</Description></Error></ErrorList>"
    b"</Response>"
)


def answer(status: int, body: bytes = b"", reason: str = "", **headers: str) -> Answer:
    return Answer(status, headers, body, URL, reason)


def error_of(status: int, body: bytes = b"", reason: str = "") -> BandwidthApiError:
    return to_error(
        answer(status, body, reason), conn_id="my_conn", account_id="9900000", hint="Do this.", now=1_000_000_000
    )


@pytest.mark.parametrize("status", [400, 404, 409, 429, 500, 503])
def test_a_refusal_tells_bandwidths_code_and_text(status: int) -> None:
    error = error_of(status, REFUSAL, "Some Reason")
    assert (error.status, error.code, error.description, error.url) == (status, "12016", "No such site", URL)
    assert error.retryable is (status in (429, 500, 503))


@pytest.mark.parametrize(
    ("body", "says"),
    [(b"", "Bad Gateway"), (b"<html/>", "Bad Gateway. The answer is an HTML page"), (b"<a/>", "Bad Gateway")],
)
def test_without_an_error_of_bandwidths_the_words_after_the_status_tell(body: bytes, says: str) -> None:
    error = error_of(502, body, "Bad Gateway")
    assert error.code is None
    assert error.description.startswith(says)
    assert "no reason given" in str(error_of(502))


def test_401_names_the_connection_and_what_to_do() -> None:
    error = error_of(401)
    assert isinstance(error, BandwidthAuthError)
    assert "'my_conn'" in str(error)
    assert "Do this." in str(error)


def test_403_names_the_account_and_the_role() -> None:
    error = error_of(403)
    assert isinstance(error, BandwidthAuthError)
    assert "account 9900000" in str(error)
    assert "roles" in str(error)


def test_a_redirect_points_at_the_host_and_is_final() -> None:
    error = error_of(302, b"<html/>")
    assert "redirect" in str(error)
    assert "Host" in str(error)
    assert not error.retryable


def test_a_rate_limit_tells_how_long_to_wait() -> None:
    limited = answer(429, **{"Retry-After": "7"})
    error = to_error(limited, conn_id="c", account_id="1", hint="", now=1_000_000_000)
    assert error.retry_after == 7


@pytest.mark.parametrize(
    ("status", "doubt"), [(200, False), (400, False), (404, False), (408, True), (429, False), (500, True), (503, True)]
)
def test_only_a_failure_in_the_middle_leaves_open_whether_an_order_was_created(status: int, doubt: bool) -> None:
    assert answer(status).leaves_doubt is doubt


@pytest.mark.parametrize(
    ("status", "body", "nothing"),
    [(200, b"<x/>", False), (204, b"", True), (404, b"", True), (404, b" ", True), (404, REFUSAL, True)],
)
def test_which_answers_say_that_no_order_matches(status: int, body: bytes, nothing: bool) -> None:
    assert answer(status, body).shows_nothing is nothing


def test_a_404_of_somebody_else_is_not_bandwidths_none() -> None:
    with pytest.raises(InvalidResponseError, match=f"HTTP 404 from {URL}: The answer is an HTML page"):
        answer(404, b"<html/>").shows_nothing  # noqa: B018


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        (InvalidResponseError("It is empty."), f"HTTP 200 from {URL}: It is empty."),
        (BandwidthApiError("no", code="7"), f"Bandwidth answered HTTP 200 (error 7) for {URL}: no"),
    ],
)
def test_a_readers_error_says_which_call_was_answered(raised: Any, says: str) -> None:
    with pytest.raises(type(raised)) as told, errors_naming_call(answer(200)):
        raise raised
    assert str(told.value) == says


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"X-RateLimit-Reset": "1000000012"}, 12),
        ({"X-RateLimit-Reset": "1000000012500"}, 12.5),
        ({"X-RateLimit-Reset": " 1000000012 "}, 12),
        ({"X-RateLimit-Reset": "999999000"}, None),
        ({"X-RateLimit-Reset": "soon"}, None),
        ({"X-RateLimit-Reset": "-5", "Retry-After": "7"}, 7),
        ({"X-RateLimit-Reset": "1000000012", "Retry-After": "7"}, 12),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0"}, None),
        ({"Retry-After": "Sun, 09 Sep 2001 01:46:55 GMT"}, 15),
        ({"Retry-After": "Sun, 09 Sep 2001 01:46:55 -0000"}, 15),
        ({"Retry-After": "Sun, 09 Sep 2001 00:46:55 GMT"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "Sun, 99 Sep 99999 01:46:55 GMT"}, None),
        ({"Retry-After": ","}, None),
        ({"Retry-After": ""}, None),
        ({}, None),
    ],
)
def test_what_a_rate_limited_answer_asks_for(headers: dict[str, str], pause: float | None) -> None:
    assert read_pause(headers, now=1_000_000_000) == pause


@pytest.mark.parametrize(
    ("date", "offset"),
    [
        ("Sun, 09 Sep 2001 01:46:40 GMT", 0),  # sent and received within that second
        ("Sun, 09 Sep 2001 01:46:39 GMT", 0),  # just over when the request was sent
        ("Sun, 09 Sep 2001 01:46:42 GMT", 1.5),
        ("Sun, 09 Sep 2001 01:44:40 GMT", -119),
        ("Sun, 09 Sep 2001 03:46:40 GMT", 7199.5),
        ("Sun, 99 Sep 99999 01:46:55 GMT", None),
        ("soon", None),
        ("", None),
    ],
)
def test_how_far_bandwidths_clock_is_ahead(date: str, offset: float | None) -> None:
    assert read_clock_offset({"Date": date}, sent_at=1_000_000_000, received_at=1_000_000_000.5) == offset
    if not date:
        assert read_clock_offset({}, sent_at=0, received_at=0) is None


def test_the_words_after_the_status_forge_no_line() -> None:
    assert len(str(error_of(502, reason="Bad\r\n[2026-11-26] INFO - SUCCESS\x85\u2028\x1b[2J")).splitlines()) == 1
