"""What the errors tell, that they reach another process whole, and that they can be caught as one."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from airflow_provider_bandwidth import exceptions
from airflow_provider_bandwidth.exceptions import (
    AmbiguousMessageError,
    AmbiguousSubmissionError,
    BandwidthApiError,
    BandwidthAuthError,
    BandwidthError,
    DuplicateOrderError,
    ExtractUnavailableError,
    InvalidConnectionError,
    InvalidExtractError,
    InvalidFieldsError,
    InvalidParameterError,
    InvalidResponseError,
    InvalidTelephoneNumbersError,
    MessageFailedError,
    MessageNotFoundError,
    MissingConnectionError,
    OrderFailedError,
    OrderMismatchError,
    OrderNotFoundError,
    PageNotFoundError,
    UnsafePlanError,
)
from airflow_provider_bandwidth.orders import Action, ProcessingStatus, TelephoneNumberError, TnOrder
from airflow_provider_bandwidth.telephone_numbers import normalize_telephone_numbers

A, B = "9195550101", "9195550102"
URL = "https://dashboard.bandwidth.com/api/accounts/5551212/externalTns"
FAILED = TnOrder(
    order_id="0f3c1a52",
    processing_status=ProcessingStatus.FAILED,
    customer_order_id="run-7",
    action=Action.IMPORT,
    telephone_numbers=(A, B),
    errors=(
        TelephoneNumberError(None, "1010", ""),
        TelephoneNumberError(A, "25060", "belongs to Bandwidth"),
        TelephoneNumberError(B, "25060", "belongs to Bandwidth"),
        TelephoneNumberError(B, "", ""),
    ),
)
REJECTED = normalize_telephone_numbers(["12345", "none of your business"]).rejected

EXAMPLES: list[BandwidthError] = [
    BandwidthError("anything"),
    InvalidConnectionError("host: has no scheme"),
    MissingConnectionError("bandwidth_default"),
    InvalidParameterError("SiteId", "expected a positive number, got 'x'"),
    InvalidFieldsError({"SiteId": "it is missing", "Zip": "expected five digits"}),
    InvalidTelephoneNumbersError(REJECTED),
    InvalidResponseError("The answer is empty."),
    PageNotFoundError("HTTP 404 from https://example.net: The answer is an HTML page."),
    BandwidthApiError("busy", status=503, code="1010", url=URL, retryable=True, retry_after=2.5),
    BandwidthAuthError("access denied", status=403, code="1001", url=URL),
    OrderNotFoundError("no such order", status=404, url=f"{URL}/0f3c1a52"),
    AmbiguousSubmissionError("run-7", "the connection broke", "0f3c1a52"),
    OrderMismatchError("run-7", "0f3c1a52", "it has 3 numbers, not 2"),
    DuplicateOrderError("run-7", ["0f3c1a52", "5ad0b8c4"]),
    OrderFailedError(FAILED, "Allowed are COMPLETE and PARTIAL."),
    MessageNotFoundError("no such text", status=200),
    AmbiguousMessageError("the connection broke", ["m1", "m2"]),
    MessageFailedError("Message m1 failed with 4476.", {"message_id": "m1", "outcome": "failed"}),
    UnsafePlanError("40 removals, allowed are 10", ["too many removals", "the extract is short"]),
    InvalidExtractError("no column phone"),
    ExtractUnavailableError("no such file"),
]
EVERY = pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)


def test_every_error_has_an_example_here() -> None:
    defined = {item for item in vars(exceptions).values() if isinstance(item, type) and issubclass(item, Exception)}
    assert {type(error) for error in EXAMPLES} == defined


@EVERY
def test_one_except_catches_it(error: BandwidthError) -> None:
    with pytest.raises(BandwidthError):
        raise error


@EVERY
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_it_survives_pickling(error: BandwidthError, protocol: int) -> None:
    for back in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error), copy.deepcopy(error)):
        assert type(back) is type(error)
        assert str(back) == str(error)
        assert vars(back) == vars(error)


def test_a_subclass_of_ones_own_survives_pickling() -> None:
    back = pickle.loads(pickle.dumps(BusyError("closed")))
    assert type(back) is BusyError
    assert str(back) == str(BusyError("closed"))
    assert back.status == 503


class BusyError(BandwidthApiError):
    def __init__(self, reason: str) -> None:
        super().__init__(f"busy: {reason}", status=503, retryable=True)


@EVERY
def test_it_says_something_and_holds_nothing_but_what_it_was_given(error: BandwidthError) -> None:
    assert len(str(error)) >= len("anything")
    assert not str(error).startswith("(")
    known = {
        "field", "rejected", "status", "code", "description", "url", "retryable", "retry_after", "customer_order_id",
        "reason", "order_id", "order_ids", "order", "findings", "problems", "limits", "message_ids", "summary",
    }  # fmt: skip
    assert vars(error).keys() <= known


def test_bad_input_is_a_value_error_as_well() -> None:
    for kind in (InvalidParameterError, InvalidTelephoneNumbersError, InvalidExtractError):
        assert issubclass(kind, ValueError)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Bandwidth gave no answer: why"),
        ({"url": URL}, f"Bandwidth gave no answer for {URL}: why"),
        ({"status": 503}, "Bandwidth answered HTTP 503: why"),
        ({"code": "25000"}, "Bandwidth answered error 25000: why"),
        ({"status": 400, "code": "25000", "url": URL}, f"Bandwidth answered HTTP 400 (error 25000) for {URL}: why"),
    ],
)
def test_a_refusal_says_status_code_and_url(fields: dict[str, Any], message: str) -> None:
    error = BandwidthApiError("why", **fields)
    assert str(error) == message
    assert error.description == "why"
    assert (error.status, error.code, error.url) == tuple(fields.get(name) for name in ("status", "code", "url"))


def test_a_refusal_is_final_unless_said_otherwise() -> None:
    assert BandwidthApiError("why").retryable is False
    assert BandwidthApiError("why").retry_after is None
    assert BandwidthApiError("why", retryable=True, retry_after=2.5).retry_after == 2.5


def test_every_rejected_number_is_told_with_its_reason() -> None:
    text = str(InvalidTelephoneNumbersError(REJECTED))
    assert text.startswith("2 invalid telephone numbers, nothing was sent: ")
    for rejected in REJECTED:
        assert repr(rejected.value) in text
        assert rejected.reason in text
    assert str(InvalidTelephoneNumbersError(REJECTED[:1])).startswith("1 invalid telephone number, ")


def test_a_doubtful_submission_says_what_to_look_for() -> None:
    error = AmbiguousSubmissionError("run-7", "the connection broke")
    assert "'run-7' may have been created: the connection broke" in str(error)
    assert (error.customer_order_id, error.reason, error.order_id) == ("run-7", "the connection broke", None)


def test_a_mismatch_and_a_twin_name_every_order() -> None:
    mismatch = OrderMismatchError("run-7", "0f3c1a52", "it has 3 numbers, not 2")
    for part in ("run-7", "0f3c1a52", "it has 3 numbers, not 2"):
        assert part in str(mismatch)
    twins = DuplicateOrderError("run-7", ["0f3c1a52", "5ad0b8c4"])
    for part in ("run-7", "2 orders", "0f3c1a52, 5ad0b8c4"):
        assert part in str(twins)
    assert twins.order_ids == ("0f3c1a52", "5ad0b8c4")


def test_a_failed_order_is_summed_up() -> None:
    text = str(OrderFailedError(FAILED))
    for part in (
        "IMPORT order ended FAILED",
        "0 of 2 listed numbers completed",
        "errors by code: 25060 x 2, 1010 x 1, no code x 1",
        "0f3c1a52",
        "run-7",
        "First: 25060 belongs to Bandwidth",
    ):
        assert part in text
    assert str(OrderFailedError(FAILED, "Look there.")) == f"{text} Look there."


def test_a_failed_order_without_errors_is_summed_up_too() -> None:
    text = str(OrderFailedError(TnOrder("0f3c1a52", "EXCEPTION")))
    for part in ("order ended EXCEPTION", "0 of 0 listed numbers completed", "errors by code: none given", "0f3c1a52"):
        assert part in text
