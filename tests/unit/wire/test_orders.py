"""Orders in lists that are read as streams, and the order in which a request is written."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any

import pytest
from support.wire import (
    EXTERNAL_TNS,
    SAMPLES,
    Trickle,
    big_list,
    iter_order_list,
    read_order,
    read_order_list,
    read_order_list_in_pieces,
    run_python,
)

from airflow_provider_bandwidth.exceptions import (
    BandwidthApiError,
    InvalidParameterError,
    InvalidResponseError,
    InvalidTelephoneNumbersError,
)
from airflow_provider_bandwidth.orders import Action, ExternalTnsOrderRequest, TnOrder
from airflow_provider_bandwidth.wire.orders import write_order_filters, write_order_request

# --- lists as streams ---

MEMORY = """
import resource, sys
from support.wire import big_list, iter_order_list

class Stream:
    def __init__(self):
        self.pieces = big_list(400, 1000)
        self.size = 0
    def read(self, size):
        piece = next(self.pieces, b"")
        self.size += len(piece)
        return piece

stream = Stream()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = sum(len(entry.order.telephone_numbers) for entry in iter_order_list(stream))
print(count, stream.size, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def test_a_large_list_is_never_held_whole(tmp_path: Path) -> None:
    done = run_python(MEMORY, tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    count, size, grown = map(int, done.stdout.split())
    assert count == 400_000
    assert size > 15_000_000
    assert grown < size / 2


def test_entries_come_before_the_list_is_read_to_its_end() -> None:
    body = b"".join(big_list(50, 200))
    entries = iter_order_list(Trickle(body[: len(body) // 2], 8192, breaks=True))
    assert next(entries).order.order_id == "order-0"
    with pytest.raises(ConnectionResetError):
        list(entries)


def test_a_stream_cut_short_never_looks_complete() -> None:
    body = b"".join(big_list(3, 2)).removesuffix(b"</ExternalTnsOrders>")
    seen = []
    with pytest.raises(InvalidResponseError, match="cut short"):
        seen.extend(entry.order.order_id for entry in iter_order_list(Trickle(body, 100)))
    assert seen == ["order-0", "order-1", "order-2"] or not seen


def test_a_long_beginning_without_an_element_is_refused() -> None:
    body = b"<!--" + b"x" * 100_000 + b"--><ExternalTnsOrders/>"
    with pytest.raises(InvalidResponseError, match="does not begin with an element"):
        read_order_list_in_pieces(body)


def test_a_list_read_for_statuses_alone_gives_summaries_of_the_same_orders() -> None:
    for name in ("full", "mixed", "report_response"):
        body = (SAMPLES / "lists" / f"{name}.xml").read_bytes()
        in_full = read_order_list(body)
        brief = list(iter_order_list(io.BytesIO(body), in_full=False))
        assert [entry.is_summary for entry in brief] == [True] * len(in_full)
        assert [entry.order for entry in brief] == [
            TnOrder(entry.order.order_id, entry.order.processing_status, created_at=entry.order.created_at)
            for entry in in_full
        ]


def test_a_list_read_for_statuses_alone_is_as_strict() -> None:
    for name in ("order_without_id", "refused_after_an_order", "total_without_orders"):
        body = (SAMPLES / "lists" / f"{name}.xml").read_bytes()
        with pytest.raises((InvalidResponseError, BandwidthApiError)):
            list(iter_order_list(io.BytesIO(body), in_full=False))


def test_any_binary_stream_will_do(tmp_path: Path) -> None:
    path = tmp_path / "list.xml"
    path.write_bytes(b"".join(big_list(3, 2)))
    with path.open("rb") as file:
        opened: IO[bytes] = file
        assert [entry.order.order_id for entry in iter_order_list(opened)] == ["order-0", "order-1", "order-2"]


# --- orders ---


def test_the_order_id_of_the_location_header_fills_in_for_a_missing_one_only() -> None:
    without = (SAMPLES / "seed" / "created_without_order_id.xml").read_bytes()
    assert read_order(without, fallback_order_id="from-location").order_id == "from-location"
    with_id = (SAMPLES / "seed" / "created.xml").read_bytes()
    assert read_order(with_id, fallback_order_id="from-location").order_id == "0f3c1a52-7d1e-4b06-9a53-2f0c6a7e1b01"
    flat = b"<ExternalTnsOrderResponse><ProcessingStatus>RECEIVED</ProcessingStatus></ExternalTnsOrderResponse>"
    assert read_order(flat, fallback_order_id="from-location").order_id == "from-location"


def test_an_order_without_an_id_element_takes_the_locations_even_if_it_has_errors() -> None:
    body = (SAMPLES / "seed" / "partial.xml").read_bytes()
    without = re.sub(rb"<OrderId>.*</OrderId>", b"", body)
    assert read_order(without, fallback_order_id="from-location") == replace(read_order(body), order_id="from-location")


def test_a_refusal_is_no_order_even_with_a_location_header() -> None:
    body = (SAMPLES / "errors" / "b_repeated_errors_under_our_root.xml").read_bytes()
    with pytest.raises(BandwidthApiError, match="SiteId is missing"):
        read_order(body, fallback_order_id="from-location")


def test_a_number_listed_twice_counts_once() -> None:
    body = (SAMPLES / "flat" / "complete_bare.xml").read_bytes().replace(b"9195550102", b"+1 919 555 0101")
    assert read_order(body).telephone_numbers == ("9195550101",)


# --- requests ---


def test_the_request_is_the_seeds_in_names_and_order() -> None:
    request = ExternalTnsOrderRequest(
        action=Action.REMOVE,
        telephone_numbers=("9195550102", "9195550101"),
        site_id=71,
        sip_peer_id=30071,
        customer_order_id="spring-launch 7",
    )
    assert write_order_request(request) == (
        b"<?xml version='1.0' encoding='UTF-8' standalone='yes'?>\n"
        b"<ExternalTnsOrder><CustomerOrderID>spring-launch 7</CustomerOrderID><SiteId>71</SiteId>"
        b"<SipPeerId>30071</SipPeerId><Action>REMOVE</Action><TelephoneNumbers>"
        b"<TelephoneNumber>9195550102</TelephoneNumber><TelephoneNumber>9195550101</TelephoneNumber>"
        b"</TelephoneNumbers></ExternalTnsOrder>"
    )


# --- the query of a list ---


def test_a_list_is_asked_for_by_what_is_given() -> None:
    assert write_order_filters(EXTERNAL_TNS) == {}
    assert write_order_filters(
        EXTERNAL_TNS,
        customer_order_id="run-7",
        telephone_number="+1 919 555 0101",
        status="complete",
        action="import",
        created_from=date(2031, 3, 4),
        created_to="2031-03-05",
        modified_from=datetime(2031, 3, 4, 23, 30, tzinfo=timezone(timedelta(hours=-5))),
        modified_to=datetime(2031, 3, 6, tzinfo=UTC),
        order_id_fragment="0f",
        in_full=True,
    ) == {
        "customerOrderId": "run-7",
        "tn": "9195550101",
        "status": ["COMPLETE"],
        "action": "IMPORT",
        "createdDateFrom": "2031-03-04",
        "createdDateTo": "2031-03-05",
        "modifiedDateFrom": "2031-03-05",
        "modifiedDateTo": "2031-03-06",
        "orderIdFragment": "0f",
        "orderDetails": "true",
    }
    assert write_order_filters(EXTERNAL_TNS, status=["RECEIVED", "PROCESSING"]) == {
        "status": ["RECEIVED", "PROCESSING"]
    }


@pytest.mark.parametrize(
    "filters",
    [
        {"status": "done"},
        {"action": "MOVE"},
        {"created_from": "yesterday"},
        {"modified_to": "2031-02-30"},
        {"customer_order_id": "a_b"},
    ],
)
def test_a_filter_that_bandwidth_would_not_understand_is_refused(filters: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError):
        write_order_filters(EXTERNAL_TNS, **filters)


def test_a_search_for_what_is_no_telephone_number_is_refused() -> None:
    with pytest.raises(InvalidTelephoneNumbersError):
        write_order_filters(EXTERNAL_TNS, telephone_number="919-555")
