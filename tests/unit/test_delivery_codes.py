"""Whoever gets a delivery code learns whether to send again, whether it was billed, and what to do."""

from __future__ import annotations

import json

import pytest

from airflow_provider_bandwidth.delivery_codes import (
    DELIVERY_CODES,
    DeliveryGroup,
    MessageApi,
    Resend,
    explain_delivery_code,
)


@pytest.mark.parametrize(
    ("code", "group", "resend", "billed"),
    [
        ("4476", DeliveryGroup.BANDWIDTH_CLIENT, Resend.NO, False),
        ("4470", DeliveryGroup.BANDWIDTH_CLIENT, Resend.NO, True),
        (4773, DeliveryGroup.CARRIER_CLIENT, Resend.NO, True),
        ("4780", DeliveryGroup.CARRIER_CLIENT, Resend.NEXT_DAY, True),
        ("5100", DeliveryGroup.BANDWIDTH_SERVICE, Resend.LATER, False),
        ("5600", DeliveryGroup.CARRIER_SERVICE, Resend.ONCE, True),
        (" 9902 ", DeliveryGroup.AMBIGUOUS, Resend.NEVER, True),
        # Not in the table: the digits say it.
        ("4388", DeliveryGroup.BANDWIDTH_CLIENT, Resend.NO, False),
        ("4688", DeliveryGroup.CARRIER_CLIENT, Resend.NO, True),
        ("5388", DeliveryGroup.BANDWIDTH_SERVICE, Resend.LATER, False),
        ("5788", DeliveryGroup.CARRIER_SERVICE, Resend.ONCE, True),
        ("9001", DeliveryGroup.AMBIGUOUS, Resend.NEVER, True),
    ],
)
def test_a_code_says_whether_to_send_again_and_whether_it_is_billed(
    code: str | int, group: DeliveryGroup, resend: Resend, billed: bool
) -> None:
    known = explain_delivery_code(code)
    assert known is not None
    assert (known.code, known.group, known.resend, known.billed) == (str(code).strip(), group, resend, billed)
    assert known.advice


@pytest.mark.parametrize("code", ["", "476", "44760", "4ab6", "6476", "٤٤٧٦"])
def test_nothing_is_said_of_what_is_no_delivery_code(code: str) -> None:
    assert explain_delivery_code(code) is None


def test_the_same_code_means_something_else_in_another_table() -> None:
    answer = explain_delivery_code("113", MessageApi.INTERNATIONAL_A2P)
    report = explain_delivery_code("113", MessageApi.INTERNATIONAL_A2P_DLR)
    assert answer is not None
    assert report is not None
    assert (answer.meaning, report.meaning) == ("no credit", "the receiver has no credit")
    assert explain_delivery_code("113") is None
    assert explain_delivery_code("4476", MessageApi.INTERNATIONAL_A2P) is None


def test_every_published_code_is_there() -> None:
    messaging = DELIVERY_CODES[MessageApi.MESSAGING]
    assert {"4403", "4405", "4407", "4774", "4775", "4795", "5229", "5620", "9902", "9999"} <= messaging.keys()
    assert [*DELIVERY_CODES[MessageApi.INTERNATIONAL_A2P]] == [str(code) for code in range(101, 116)]
    assert len(DELIVERY_CODES[MessageApi.INTERNATIONAL_A2P_DLR]) == 48
    for table in DELIVERY_CODES.values():
        assert json.loads(json.dumps([known.to_dict() for known in table.values()]))
