"""What an order request accepts, what its id depends on, and which numbers of an order may be used."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_bandwidth.exceptions import InvalidParameterError, InvalidTelephoneNumbersError
from airflow_provider_bandwidth.orders import (
    Action,
    ExternalTnsOrderRequest,
    LoaType,
    ProcessingStatus,
    TelephoneNumberError,
    TelephoneNumberWarning,
    TnOrder,
    can_be_one_order,
    derive_customer_order_id,
    judge_order,
    newest_first,
    normalize_telephone_number,
    parse_id,
    parse_known,
    parse_order_id,
    unaccounted_telephone_numbers,
    validate_customer_order_id,
)

A, B, C, D = "9195550101", "9195550102", "4155550103", "4355550104"


def request(**fields: Any) -> ExternalTnsOrderRequest:
    given = {"action": Action.IMPORT, "telephone_numbers": (A, B), "site_id": 71, "customer_order_id": "run-7"}
    return ExternalTnsOrderRequest(**(given | fields))


def failed(number: str | None, code: str = "25060", description: str = "belongs to Bandwidth") -> TelephoneNumberError:
    return TelephoneNumberError(number, code, description)


def order(status: str, listed: tuple[str, ...], *errors: TelephoneNumberError) -> TnOrder:
    return TnOrder("0f3c1a52", ProcessingStatus.parse(status), telephone_numbers=listed, errors=errors)


# --- enums ---


@pytest.mark.parametrize("text", ["PARTIAL", "partial", "Partial", " partial\n"])
def test_a_status_is_known_in_any_case(text: str) -> None:
    assert ProcessingStatus(text) is ProcessingStatus.PARTIAL
    assert ProcessingStatus.parse(text) is ProcessingStatus.PARTIAL


def test_actions_and_loa_types_are_known_in_any_case() -> None:
    assert Action("remove") is Action.REMOVE
    assert LoaType("Subscriber") is LoaType.SUBSCRIBER


@pytest.mark.parametrize("value", ["COMPLETED", "", "PART IAL", None, 3, b"PARTIAL"])
def test_what_is_no_status_is_none(value: Any) -> None:
    with pytest.raises(ValueError, match="is not a valid ProcessingStatus"):
        ProcessingStatus(value)


def test_an_unknown_status_stays_the_text_it_is_and_ends_nothing() -> None:
    assert ProcessingStatus.parse(" EXCEPTION ") == "EXCEPTION"
    unknown = order("EXCEPTION", (A, B))
    assert not unknown.is_terminal
    assert unknown.completed_telephone_numbers == ()
    assert not judge_order(unknown).is_allowed


def test_an_unknown_word_stays_the_text_it_is() -> None:
    assert parse_known(Action, "import") is Action.IMPORT
    assert parse_known(Action, "[ IMPORT | REMOVE ]") == "[ IMPORT | REMOVE ]"
    assert parse_known(Action, None) is None


@pytest.mark.parametrize(
    ("status", "is_terminal"),
    [("RECEIVED", False), ("PROCESSING", False), ("COMPLETE", True), ("PARTIAL", True), ("FAILED", True)],
)
def test_three_statuses_are_terminal(status: str, is_terminal: bool) -> None:
    assert order(status, ()).is_terminal is is_terminal


# --- requests ---


def test_a_request_is_normalised() -> None:
    made = request(
        action="import",
        telephone_numbers=["+1 (919) 555-0101", B, "919.555.0101"],
        site_id=" 71 ",
        sip_peer_id="30071",
        loa_type="subscriber",
    )
    assert made == ExternalTnsOrderRequest(Action.IMPORT, (A, B), 71, 30071, LoaType.SUBSCRIBER, "run-7")


def test_a_request_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        request().site_id = 72  # type: ignore[misc]


def test_a_request_is_ready_for_json() -> None:
    assert json.loads(json.dumps(request(sip_peer_id=30071).to_dict())) == {
        "action": "IMPORT",
        "telephone_numbers": [A, B],
        "site_id": 71,
        "sip_peer_id": 30071,
        "loa_type": None,
        "customer_order_id": "run-7",
    }


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"action": "DELETE"}, "Action", "expected IMPORT or REMOVE, got 'DELETE'"),
        ({"action": ""}, "Action", "got ''"),
        ({"action": None}, "Action", "got None"),
        ({"loa_type": "EMAIL"}, "LoaType", "expected CARRIER or SUBSCRIBER, got 'EMAIL'"),
        ({"site_id": None}, "SiteId", "got None"),
        ({"site_id": ""}, "SiteId", "got ''"),
        ({"site_id": "seventy"}, "SiteId", "got 'seventy'"),
        ({"site_id": "7 1"}, "SiteId", "got '7 1'"),
        ({"site_id": "\u0667\u0661"}, "SiteId", "expected a positive number"),  # 71 in Arabic digits
        ({"site_id": 0}, "SiteId", "got 0"),
        ({"site_id": -71}, "SiteId", "got -71"),
        ({"site_id": 71.5}, "SiteId", "got 71.5"),
        ({"site_id": float("nan")}, "SiteId", "got nan"),
        ({"site_id": True}, "SiteId", "got True"),
        ({"site_id": 2**31}, "SiteId", "got 2147483648"),
        ({"site_id": "2147483648"}, "SiteId", "got '2147483648'"),
        ({"sip_peer_id": "peer"}, "SipPeerId", "got 'peer'"),
        ({"sip_peer_id": 0}, "SipPeerId", "got 0"),
        ({"customer_order_id": ""}, "CustomerOrderId", "1 to 40 characters"),
        ({"customer_order_id": None}, "CustomerOrderId", "got None"),
        ({"customer_order_id": 7.5}, "CustomerOrderId", "got 7.5"),
        ({"customer_order_id": "x" * 41}, "CustomerOrderId", "has 41 characters"),
        ({"customer_order_id": "scheduled__2031-03-04"}, "CustomerOrderId", "only letters, digits, dashes"),
        ({"customer_order_id": "run:7"}, "CustomerOrderId", "only letters"),
        ({"customer_order_id": "r\u00e9union"}, "CustomerOrderId", "only letters"),
        ({"customer_order_id": "run-7\n"}, "CustomerOrderId", "only letters"),
        ({"customer_order_id": " run-7"}, "CustomerOrderId", "only letters"),
        ({"customer_order_id": "run-7 "}, "CustomerOrderId", "only letters"),
        ({"customer_order_id": " "}, "CustomerOrderId", "only letters"),
        ({"telephone_numbers": ()}, "TelephoneNumbers", "at least one"),
        ({"telephone_numbers": ""}, "TelephoneNumbers", "at least one"),
    ],
)
def test_a_bad_field_is_named(fields: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(InvalidParameterError, match=re.escape(says)) as raised:
        request(**fields)
    assert raised.value.field == field
    assert str(raised.value).startswith(f"{field}: ")


def test_every_bad_number_is_named() -> None:
    with pytest.raises(InvalidTelephoneNumbersError, match="2 invalid telephone numbers") as raised:
        request(telephone_numbers=[A, "12345", B, "+61 2 5550 0101"])
    assert [rejected.value for rejected in raised.value.rejected] == ["12345", "+61 2 5550 0101"]
    assert "'12345'" in str(raised.value)
    assert "'+61 2 5550 0101'" in str(raised.value)


@pytest.mark.parametrize("value", ["7", "run-7", "a b-c", "-", "x" * 40, "A" * 20 + " " + "-" * 19])
def test_a_legal_customer_order_id_is_kept(value: str) -> None:
    assert validate_customer_order_id(value) == value
    assert request(customer_order_id=value).customer_order_id == value


@pytest.mark.parametrize("value", [1, 71, 2**31 - 1, "71", "0071", "2147483647"])
def test_an_id_may_be_a_number_or_its_digits(value: int | str) -> None:
    assert parse_id("SiteId", value) == int(value)


def test_each_request_has_a_customer_order_id_of_its_own_by_default() -> None:
    first, second = (ExternalTnsOrderRequest(Action.IMPORT, (A,), 71) for _ in range(2))
    assert first.customer_order_id != second.customer_order_id
    assert len(first.customer_order_id) == 40
    assert validate_customer_order_id(first.customer_order_id)


# --- the derived CustomerOrderId ---


def derived(numbers: tuple[str, ...] = (A, B), **changes: Any) -> str:
    run = {
        "dag_id": "sync",
        "task_id": "submit",
        "run_id": "scheduled__2031-03-04T05:06:07+00:00",
        "account_id": "5551212",
    }
    names = run.keys() & changes.keys()
    run |= {name: changes.pop(name) for name in names}
    return derive_customer_order_id(**run, request=request(telephone_numbers=numbers, **changes))


def test_the_derived_id_is_the_same_in_every_process_and_release() -> None:
    # A task deferred or retried across an upgrade must find its order: this value may never change.
    assert derived() == "airflow-d8f51407d3917276f417d7a5343aac50"


def test_the_derived_id_is_one_bandwidth_accepts() -> None:
    assert re.fullmatch("airflow-[0-9a-f]{32}", derived())
    assert len(derived()) == 40


def test_the_derived_id_does_not_hang_on_order_notation_or_the_id_the_request_had() -> None:
    assert derived((B, A)) == derived()
    assert derived(("+1 919 555 0101", B, A)) == derived()
    assert derived(customer_order_id="another") == derived()


@pytest.mark.parametrize(
    "changes",
    [
        {"dag_id": "other"},
        {"task_id": "other"},
        {"run_id": "manual__2031-03-04T05:06:07+00:00"},
        {"account_id": "5551213"},
        {"site_id": 72},
        {"sip_peer_id": 30071},
        {"action": Action.REMOVE},
        {"loa_type": LoaType.CARRIER},
        {"loa_type": LoaType.SUBSCRIBER},
        {"numbers": (A,)},
        {"numbers": (A, B, C)},
        {"numbers": (A, C)},
        # Parts that run into each other must not collide.
        {"dag_id": "syncsubmit", "task_id": ""},
        {"dag_id": "sync,submit", "task_id": ""},
        {"site_id": 7, "sip_peer_id": 1},
    ],
)
def test_the_derived_id_hangs_on_every_part(changes: dict[str, Any]) -> None:
    numbers = changes.pop("numbers", (A, B))
    assert derived(numbers, **changes) != derived()


# --- which numbers are done ---


@pytest.mark.parametrize(
    ("status", "listed", "errors", "completed"),
    [
        ("RECEIVED", (A, B), (), ()),
        ("PROCESSING", (A, B), (), ()),
        ("COMPLETE", (A, B), (), (A, B)),
        ("complete", (A, B), (), (A, B)),
        ("FAILED", (A, B), (), ()),
        ("FAILED", (A, B), (failed(A),), ()),
        ("EXCEPTION", (A, B), (), ()),
        ("COMPLETED", (A, B), (), ()),
        # The two readings of a PARTIAL order's list: with the failed numbers, and without.
        ("PARTIAL", (A, B), (failed(B),), (A,)),
        ("PARTIAL", (A,), (failed(B),), (A,)),
        ("PARTIAL", (A, B), (failed(B), failed(C)), (A,)),
        ("PARTIAL", (A, B), (failed(A), failed(B)), ()),
        ("PARTIAL", (), (failed(B),), ()),
        # An error on a COMPLETE order counts as well.
        ("COMPLETE", (A, B), (failed(B),), (A,)),
        # Any number may have failed.
        ("PARTIAL", (A, B), (failed(None),), ()),
        ("PARTIAL", (A, B), (failed(B), failed(None)), ()),
        ("COMPLETE", (A, B), (failed(None),), ()),
        ("PARTIAL", (A, B), (), ()),
        # What is not ten digits was not asked for.
        ("COMPLETE", (A, "+61255500101", "1919555010"), (), (A,)),
    ],
)
def test_completed_numbers(
    status: str, listed: tuple[str, ...], errors: tuple[TelephoneNumberError, ...], completed: tuple[str, ...]
) -> None:
    assert order(status, listed, *errors).completed_telephone_numbers == completed


@pytest.mark.parametrize(
    ("status", "listed", "errors", "unaccounted"),
    [
        ("COMPLETE", (A, B, C, D), (), ()),
        ("COMPLETE", (A, B), (), (C, D)),
        ("PARTIAL", (A, B), (failed(C),), (D,)),
        ("PARTIAL", (A, B, C, D), (failed(C),), ()),
        ("PARTIAL", (A, B, C, D), (), (A, B, C, D)),
        ("PARTIAL", (A, B, C, D), (failed(C), failed(None)), (A, B, D)),
        # A FAILED order did nothing: all of its numbers have errored, whichever of them its errors name.
        ("FAILED", (A, B, C, D), (failed(A), failed(B)), ()),
        ("FAILED", (A, B, C, D), (failed(None),), ()),
        ("FAILED", (A, B, C, D), (), ()),
        ("PROCESSING", (A, B, C, D), (), (A, B, C, D)),
    ],
)
def test_unaccounted_numbers(
    status: str, listed: tuple[str, ...], errors: tuple[TelephoneNumberError, ...], unaccounted: tuple[str, ...]
) -> None:
    ended = order(status, listed, *errors)
    found = unaccounted_telephone_numbers(
        (A, B, C, D),
        processing_status=ended.processing_status,
        completed=ended.completed_telephone_numbers,
        errors=ended.errors,
    )
    assert found == unaccounted


# --- the verdict ---

EXISTS = "5124"


@pytest.mark.parametrize(
    ("status", "listed", "errors", "counts_as", "completed", "counted"),
    [
        # Nothing to ignore: Bandwidth's own word.
        ("COMPLETE", (A, B), (), "COMPLETE", (A, B), 0),
        ("PARTIAL", (A, B), (failed(B),), "PARTIAL", (A,), 1),
        ("FAILED", (A, B), (failed(A), failed(B)), "FAILED", (), 2),
        ("PARTIAL", (A, B), (), "PARTIAL", (), 0),
        ("PROCESSING", (A, B), (), "PROCESSING", (), 0),
        # Only ignored errors are left, and every listed number is known to be done.
        ("PARTIAL", (A, B), (failed(B, EXISTS),), "COMPLETE", (A, B), 0),
        ("PARTIAL", (A,), (failed(B, EXISTS),), "COMPLETE", (A, B), 0),
        ("FAILED", (A, B), (failed(A, EXISTS), failed(B, EXISTS)), "COMPLETE", (A, B), 0),
        ("FAILED", (), (failed(A, EXISTS),), "COMPLETE", (A,), 0),
        ("COMPLETE", (A, B), (failed(B, EXISTS),), "COMPLETE", (A, B), 0),
        # A listed number without any error in a FAILED order is not done.
        ("FAILED", (A, B), (failed(A, EXISTS),), "FAILED", (A,), 0),
        # Other errors are left.
        ("PARTIAL", (A, B, C), (failed(B, EXISTS), failed(C)), "PARTIAL", (A, B), 1),
        ("FAILED", (A, B), (failed(A, EXISTS), failed(B)), "FAILED", (A,), 1),
        ("PARTIAL", (A, B), (failed(B, EXISTS), failed(B)), "PARTIAL", (A,), 1),
        ("PARTIAL", (A,), (failed(B, EXISTS), failed(C)), "PARTIAL", (A, B), 1),
        # An ignored error that names no number proves nothing.
        ("FAILED", (), (failed(None, EXISTS),), "FAILED", (), 0),
        ("FAILED", (A, B), (failed(None, EXISTS),), "FAILED", (), 0),
        ("PARTIAL", (A, B), (failed(None, EXISTS),), "PARTIAL", (), 0),
        ("PARTIAL", (A, B), (failed(None, EXISTS), failed(B, EXISTS)), "PARTIAL", (B,), 0),
        # A counted error that names no number may be about any.
        ("PARTIAL", (A, B), (failed(B, EXISTS), failed(None)), "PARTIAL", (), 1),
        # What has not ended is not judged.
        ("PROCESSING", (A, B), (failed(B, EXISTS),), "PROCESSING", (), 0),
        ("EXCEPTION", (A, B), (failed(A, EXISTS), failed(B, EXISTS)), "EXCEPTION", (), 0),
        # What is not ten digits was not asked for.
        ("PARTIAL", (A, "+61255500101"), (failed(B, EXISTS),), "PARTIAL", (A, B), 0),
    ],
)
def test_the_verdict_on_an_order(
    status: str,
    listed: tuple[str, ...],
    errors: tuple[TelephoneNumberError, ...],
    counts_as: str,
    completed: tuple[str, ...],
    counted: int,
) -> None:
    outcome = judge_order(order(status, listed, *errors), ignore_error_codes=(EXISTS,))
    assert outcome.processing_status == counts_as
    assert outcome.completed_telephone_numbers == completed
    assert len(outcome.errors) == counted
    assert all(error.code != EXISTS for error in outcome.errors)
    assert outcome.ignored_count == len(errors) - counted


@pytest.mark.parametrize("status", ["RECEIVED", "PROCESSING", "COMPLETE", "PARTIAL", "FAILED", "EXCEPTION"])
@pytest.mark.parametrize("allowed", [None, ("COMPLETE",), ("complete", "partial"), ("FAILED",), ("EXCEPTION",), ()])
def test_a_status_is_allowed_in_any_case_if_it_is_on_the_list(status: str, allowed: tuple[str, ...] | None) -> None:
    given = {} if allowed is None else {"allowed_statuses": allowed}
    outcome = judge_order(order(status, (A,), failed(B)), **given)
    listed = ("COMPLETE", "PARTIAL") if allowed is None else tuple(word.upper() for word in allowed)
    assert outcome.is_allowed is (status in listed)


def test_an_order_that_counts_as_complete_is_allowed_where_only_complete_is() -> None:
    almost = order("PARTIAL", (A, B), failed(B, EXISTS))
    assert not judge_order(almost, allowed_statuses=("COMPLETE",)).is_allowed
    assert judge_order(almost, allowed_statuses=("COMPLETE",), ignore_error_codes=(EXISTS,)).is_allowed


def test_codes_to_ignore_may_be_numbers() -> None:
    codes: Any = (5124,)
    assert judge_order(order("PARTIAL", (A,), failed(B, EXISTS)), ignore_error_codes=codes).ignored_count == 1


def test_the_summary_is_ready_for_json_and_counts() -> None:
    partial = replace(order("PARTIAL", (A, B), failed(B)), customer_order_id="run-7", action=Action.IMPORT)
    assert json.loads(json.dumps(judge_order(partial).summary())) == {
        "order_id": "0f3c1a52",
        "customer_order_id": "run-7",
        "action": "IMPORT",
        "processing_status": "PARTIAL",
        "completed_count": 1,
        "error_count": 1,
        "order_api": "externalTns",
    }
    assert judge_order(order("COMPLETE", (A,))).summary()["action"] is None


# --- to JSON and back ---

FULL = TnOrder(
    order_id="0f3c1a52",
    processing_status=ProcessingStatus.PARTIAL,
    customer_order_id="run-7",
    account_id="5551212",
    action=Action.IMPORT,
    site_id=71,
    sip_peer_id=30071,
    loa_type=LoaType.CARRIER,
    telephone_numbers=(A, B),
    errors=(failed(B), failed(None, "1010", "internal")),
    warnings=(TelephoneNumberWarning(A, "SMS is already on"),),
    created_at=datetime(2031, 3, 4, 5, 6, 7, 89000, tzinfo=UTC),
    last_modified_at=datetime(2031, 3, 4, 5, 6, 9, tzinfo=timezone(timedelta(hours=-5))),
    campaign_id="CABC123",
    message_class="M",
    a2p_action="asSpecified",
)


def test_an_order_is_ready_for_json() -> None:
    assert json.loads(json.dumps(FULL.to_dict())) == {
        "order_id": "0f3c1a52",
        "processing_status": "PARTIAL",
        "customer_order_id": "run-7",
        "account_id": "5551212",
        "action": "IMPORT",
        "site_id": 71,
        "sip_peer_id": 30071,
        "loa_type": "CARRIER",
        "telephone_numbers": [A, B],
        "errors": [
            {"telephone_number": B, "code": "25060", "description": "belongs to Bandwidth"},
            {"telephone_number": None, "code": "1010", "description": "internal"},
        ],
        "warnings": [{"telephone_number": A, "description": "SMS is already on"}],
        "created_at": "2031-03-04T05:06:07.089000+00:00",
        "last_modified_at": "2031-03-04T05:06:09-05:00",
        "order_api": "externalTns",
        "campaign_id": "CABC123",
        "message_class": "M",
        "a2p_action": "asSpecified",
    }


@pytest.mark.parametrize("made", [FULL, order("EXCEPTION", ()), replace(FULL, action="[ IMPORT | REMOVE ]")])
def test_an_order_comes_back_from_json_the_same(made: TnOrder) -> None:
    back = TnOrder.from_dict(json.loads(json.dumps(made.to_dict())))
    assert back == made
    assert type(back.processing_status) is type(made.processing_status)
    assert type(back.action) is type(made.action)
    assert back.completed_telephone_numbers == made.completed_telephone_numbers


def test_an_order_from_another_release_is_read_as_far_as_it_is_known() -> None:
    newer = {**FULL.to_dict(), "subscriber": "x"}
    for kind in ("errors", "warnings"):
        newer[kind] = [{**entry, "advice": "x"} for entry in newer[kind]]
    assert TnOrder.from_dict(newer) == FULL
    older = {"order_id": "0f3c1a52", "processing_status": "complete"}
    assert TnOrder.from_dict(older) == order("COMPLETE", ())


@pytest.mark.parametrize("record", [FULL, FULL.errors[0], judge_order(FULL), request()])
def test_every_record_is_frozen_and_can_be_a_key(record: Any) -> None:
    assert {record: 1}[record] == 1
    with pytest.raises(FrozenInstanceError):
        setattr(record, next(iter(record.__dataclass_fields__)), "other")


def test_an_order_survives_pickling_also_after_it_was_asked() -> None:
    assert FULL.completed_telephone_numbers == ()
    assert pickle.loads(pickle.dumps(FULL)) == FULL


def test_the_newest_order_comes_first_and_one_without_a_time_last() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    orders = [
        replace(order("COMPLETE", (A,)), order_id=str(n), created_at=noon + timedelta(hours=n)) for n in (1, 3, 2)
    ]
    unknown = replace(order("COMPLETE", (A,)), order_id="unknown")

    assert [found.order_id for found in newest_first([unknown, *orders])] == ["3", "2", "1", "unknown"]


def test_answers_for_an_order_agree_in_what_it_was_made_with() -> None:
    shown = replace(order("RECEIVED", (A, B)), account_id="9900000", site_id=71, action=Action.IMPORT)
    ended = replace(shown, processing_status=ProcessingStatus.parse("COMPLETE"))
    assert can_be_one_order([replace(shown, telephone_numbers=(A,)), shown, replace(shown, account_id=None), ended])
    for other in (
        replace(shown, account_id="9900001"),
        replace(shown, customer_order_id="b"),
        replace(shown, action=Action.REMOVE),
        replace(shown, site_id=72),
        replace(shown, sip_peer_id=2),
        replace(shown, telephone_numbers=(A, C)),
    ):
        assert not can_be_one_order([shown, replace(shown, customer_order_id="a", sip_peer_id=1), other])


def test_an_order_mentions_what_it_lists_and_what_its_errors_name() -> None:
    assert order("PARTIAL", (A,), failed(B), failed(None)).mentioned_telephone_numbers == {A, B}


@pytest.mark.parametrize(("given", "order_id"), [("o-1", "o-1"), (" o-1\n", "o-1")])
def test_an_order_id_is_taken_without_blanks(given: str, order_id: str) -> None:
    assert parse_order_id(given) == order_id


@pytest.mark.parametrize("given", [None, "", "  ", "None", "null", 5, ["o-1"]])
def test_what_is_no_order_id_is_refused_with_likely_causes(given: object) -> None:
    with pytest.raises(InvalidParameterError, match=r"OrderId: expected an order id.*skipped\?"):
        parse_order_id(given)


def test_one_telephone_number_is_normalized() -> None:
    assert normalize_telephone_number("+1 (919) 555-0101") == "9195550101"


@pytest.mark.parametrize(("given", "reason"), [("919-555", "919-555"), ("9195550101, 9195550102", "holds 2 numbers")])
def test_what_is_not_one_telephone_number_is_refused(given: str, reason: str) -> None:
    with pytest.raises(InvalidTelephoneNumbersError, match=reason):
        normalize_telephone_number(given)


@pytest.mark.parametrize("given", [7, 7.0])
def test_a_customer_order_id_of_digits_may_come_as_a_number(given: float) -> None:
    assert validate_customer_order_id(given) == "7"


def shown(request: ExternalTnsOrderRequest, **changes: Any) -> TnOrder:
    given: dict[str, Any] = {
        "order_id": "o-1",
        "processing_status": ProcessingStatus.COMPLETE,
        "action": request.action,
        "site_id": request.site_id,
        "sip_peer_id": request.sip_peer_id,
        "loa_type": request.loa_type,
        "telephone_numbers": request.telephone_numbers,
    }
    return TnOrder(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({}, None),
        ({"site_id": None, "sip_peer_id": None, "loa_type": None}, None),
        ({"action": Action.REMOVE}, "its Action is REMOVE, not IMPORT"),
        ({"site_id": 72}, "its SiteId is 72, not 71"),
        ({"sip_peer_id": 2}, "its SipPeerId is 2, not 1"),
        ({"loa_type": LoaType.SUBSCRIBER}, "its LoaType is SUBSCRIBER, not CARRIER"),
        (
            {"telephone_numbers": ("9195550101", "9195550102", "9195550103")},
            "it holds 1 telephone number that the request does not",
        ),
        ({"telephone_numbers": ()}, "it lacks 2 telephone numbers of the request"),
        ({"telephone_numbers": ("9195550101",), "processing_status": ProcessingStatus.PARTIAL}, None),
    ],
)
def test_an_order_differs_from_a_request_in_words(changes: dict[str, Any], difference: str | None) -> None:
    request = ExternalTnsOrderRequest("IMPORT", ("9195550101", "9195550102"), 71, sip_peer_id=1, loa_type="CARRIER")
    assert request.difference(shown(request, **changes)) == difference


def test_requests_for_the_same_are_identical_whatever_their_ids_and_the_order_of_their_numbers() -> None:
    one = ExternalTnsOrderRequest("IMPORT", ("9195550101", "9195550102"), 71)
    assert one.identity() == ExternalTnsOrderRequest("IMPORT", ("9195550102", "9195550101"), 71).identity()
    assert one.identity() != ExternalTnsOrderRequest("REMOVE", ("9195550101", "9195550102"), 71).identity()
