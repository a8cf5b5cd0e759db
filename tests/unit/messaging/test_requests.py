"""A message is checked before anything is sent, and says what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_bandwidth.exceptions import InvalidParameterError
from airflow_provider_bandwidth.messaging.requests import InternationalMessageRequest, MessageRequest

RIGHT: dict[str, Any] = {"to": "+19195550150", "from_": "+19195550101", "application_id": "app-1", "text": "hi"}
A2P: dict[str, Any] = {"receiver": "+4915112345678", "sender": "ACME", "text": "hi", "dlr_url": "https://x.example/dlr"}


@pytest.mark.parametrize(
    ("to", "kept"),
    [
        ("+19195550150", ("+19195550150",)),
        ("(919) 555-0150", ("+19195550150",)),
        (19195550150, ("+19195550150",)),
        ("+44 20 7946 0018", ("+442079460018",)),
        (["9195550150", "+1 919-555-0150"], ("+19195550150",)),
        ("['+19195550150', '+19195550151']", ("+19195550150", "+19195550151")),
    ],
)
def test_receivers_are_kept_in_e164_each_once(to: Any, kept: tuple[str, ...]) -> None:
    assert MessageRequest(**{**RIGHT, "to": to}).to == kept


@pytest.mark.parametrize("sender", ["+19195550101", "919-555-0101", "12345", "ACME Corp", "A&B_c+1-2"])
def test_senders(sender: str) -> None:
    kept = MessageRequest(**{**RIGHT, "from_": sender}).from_
    assert kept == ("+19195550101" if sender.endswith("0101") else sender)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("to", "", "to: expected one telephone number"),
        ("to", "+1919555015", "to: expected one telephone number"),
        ("to", "919-555-0150, 919-555-0151", "to: expected one telephone number"),
        ("to", "1-800-FLOWERS", "to: expected one telephone number"),
        ("to", "919-555-0150 ext. 3", "to: expected one telephone number"),
        ("to", True, "to: expected one telephone number"),
        ("to", None, "to: expected one telephone number"),
        ("to", [], "to: expected 1 to 10 receivers"),
        ("to", [f"+1919555015{n}" for n in range(10)] + ["+19195550160"], "expand the task"),
        ("to", "[<generator object x at 0x7f>]", "to: "),
        ("from_", "", "from_: expected one telephone number"),
        ("from_", "Twelve Chars", "at most 11"),
        ("from_", "A$B", "at most 11"),
        ("text", "x" * 2049, "text: at most 2048 characters, got 2049"),
        ("text", None, "text: give a text, media, or both"),
        ("text", "  ", "text: give a text, media, or both"),
        ("text", 7, "text: expected text, got a int"),
        ("text", "\ud83d", "half of a character"),
        ("media", "ftp://x/y.png", "media: expected http or https"),
        ("media", ["https://x.example/" + "y" * 4096], "media: expected http or https"),
        ("application_id", " ", "extra.application_id"),
        ("application_id", None, "extra.application_id"),
        ("tag", "x" * 1025, "tag: at most 1024 characters, got 1025"),
        ("priority", "urgent", "priority: expected default or high"),
        ("expiration", datetime(2031, 3, 4), "expiration: expected a time with a zone"),  # noqa: DTZ001
    ],
)
def test_what_bandwidth_would_not_take_is_named(field: str, value: Any, problem: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        MessageRequest(**{**RIGHT, field: value})
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "segments"),
    [
        ({"text": "x" * 161}, 2),
        ({"to": ["+19195550150", "+19195550151"]}, 2),
        ({"text": None, "media": "https://x.example/a.png"}, 1),
        ({"text": "x" * 161, "media": "['https://x.example/a.png']"}, 1),
        ({"priority": "high", "expiration": datetime(2031, 3, 4, tzinfo=UTC), "media": " "}, 1),
    ],
)
def test_what_it_takes_of_a_rate(fields: dict[str, Any], segments: int) -> None:
    request = MessageRequest(**{**RIGHT, **fields})
    assert request.segment_count == segments
    assert request.content != MessageRequest(**{**RIGHT, "text": "another"}).content


def test_an_international_message_knows_its_coding() -> None:
    assert InternationalMessageRequest(**A2P).dcs == "GSM"
    request = InternationalMessageRequest(**{**A2P, "text": "Привет " * 11})
    assert (request.dcs, request.segment_count, request.content[0]) == ("UCS", 2, ("+4915112345678",))


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("receiver", "12", "to: expected one telephone number"),
        ("sender", "A~B", "from_: expected at most 11"),
        ("sender", "1" * 17, "from_: expected at most 11"),
        ("sender", "Twelve Chars", "from_: expected at most 11"),
        ("sender", None, "from_: expected at most 11"),
        ("text", "", "text: give a text"),
        ("dlr_url", None, "dlr_url: give the http or https address"),
        ("dlr_mask", 0, "dlr_mask: expected 1 to 31"),
        ("dlr_mask", True, "dlr_mask: expected 1 to 31"),
    ],
)
def test_what_international_a2p_would_not_take_is_named(field: str, value: Any, problem: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        InternationalMessageRequest(**{**A2P, field: value})
    assert problem in str(caught.value)
