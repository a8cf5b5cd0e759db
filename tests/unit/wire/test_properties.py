"""What holds for any order, any request and any bytes."""

from __future__ import annotations

import contextlib
import copy
import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.order_documents import NOTATIONS, Dialect, numbers_in_errors, write_order
from support.wire import iter_order_list, read_order, read_order_list, resource_of

from airflow_provider_bandwidth.exceptions import BandwidthApiError, InvalidResponseError
from airflow_provider_bandwidth.order_apis import OrderResource
from airflow_provider_bandwidth.orders import (
    Action,
    ExternalTnsOrderRequest,
    LoaType,
    ProcessingStatus,
    TelephoneNumberError,
    TnOrder,
)
from airflow_provider_bandwidth.wire.documents import clean_text, read_errors
from airflow_provider_bandwidth.wire.inventory import (
    read_import_tn_checker,
    read_sip_peer_telephone_numbers,
    write_import_tn_checker_request,
)
from airflow_provider_bandwidth.wire.orders import write_order_request

SAMPLES = Path(__file__).parent / "samples"
READABLE = sorted(path for path in SAMPLES.glob("*/*.xml") if path.parent.name not in {"foreign", "hostile"})
EVERY = sorted(SAMPLES.glob("*/*.xml"))


def examples(count: int) -> settings:
    """So many, however busy the machine is: time is taken where it matters, in seconds of CPU."""
    return settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])


numbers = st.builds("{}555{:04d}".format, st.sampled_from(["919", "415", "435", "212"]), st.integers(0, 9999))
number_lists = st.lists(numbers, min_size=1, max_size=8, unique=True).map(tuple)
ids = st.integers(1, 2**31 - 1)
customer_order_ids = st.from_regex(r"\A[A-Za-z0-9-]([A-Za-z0-9 -]{0,38}[A-Za-z0-9-])?\Z")
# What is not printable comes as a space: see test_any_text_comes_in_one_printable_line.
texts = (
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=30)
    .map(str.strip)
    .filter(lambda text: text and text.isprintable())
)
times = st.datetimes(datetime(1900, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


@examples(200)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"])))
def test_any_text_comes_in_one_printable_line(text: str) -> None:
    cleaned = clean_text(text)
    assert cleaned.isprintable()
    assert cleaned == clean_text(cleaned)
    assert "".join(cleaned.split()) == "".join(letter for letter in text if letter.isprintable() and letter != " ")


requests = st.builds(
    ExternalTnsOrderRequest,
    action=st.sampled_from(Action),
    telephone_numbers=number_lists,
    site_id=ids,
    sip_peer_id=optional(ids),
    loa_type=optional(st.sampled_from(LoaType)),
    customer_order_id=customer_order_ids,
)
unknown_words = texts.filter(lambda text: text.upper() not in {*ProcessingStatus, *Action, *LoaType})
orders = st.builds(
    TnOrder,
    order_id=texts,
    processing_status=st.sampled_from(ProcessingStatus) | unknown_words,
    customer_order_id=optional(texts),
    account_id=optional(texts),
    action=optional(st.sampled_from(Action) | unknown_words),
    site_id=optional(ids),
    sip_peer_id=optional(ids),
    loa_type=optional(st.sampled_from(LoaType) | unknown_words),
    telephone_numbers=number_lists | st.just(()),
    errors=st.lists(
        st.builds(TelephoneNumberError, optional(numbers), texts.filter(lambda code: code != "0"), texts | st.just("")),
        max_size=6,
        unique=True,
    ).map(tuple),
    created_at=optional(times),
    last_modified_at=optional(times),
)
NOISE = (
    "",
    "<!-- <Errors><Error/></Errors> -->",
    "<?page 7 ?>",
    "<Priority>3</Priority><Route><Vendor>v</Vendor><Hops><Hop>1</Hop></Hops></Route>",
)
dialects = st.builds(
    Dialect,
    order_wrapper=st.booleans(),
    response_wrapper=st.booleans(),
    root=st.sampled_from(["ExternalTnsOrder", "ExternalTnsOrderResponse"]),
    customer_order_id_element=st.sampled_from(["CustomerOrderID", "CustomerOrderId"]),
    error_shape=st.sampled_from(["b", "d", "e", "f", "g", "tn", "full"]),
    notation=st.sampled_from(NOTATIONS),
    error_notation=st.sampled_from(NOTATIONS),
    padding=st.sampled_from(["", " ", "\n      ", "\r\n\t"]),
    noise=st.sampled_from(NOISE),
    upper_case=st.booleans(),
).flatmap(
    lambda dialect: st.builds(
        replace,
        st.just(dialect),
        errors_beside=st.booleans() if dialect.response_wrapper else st.just(False),
    )
)
dialects = st.one_of(
    dialects,
    st.builds(replace, dialects, namespace=st.just("urn:example:numbers"), prefix=st.sampled_from(["", "n:"])),
    st.builds(replace, dialects, cdata=st.just(True)),
    st.builds(replace, dialects, encoding=st.sampled_from(["UTF-8", "ISO-8859-1", "us-ascii"])),
    st.builds(replace, dialects, byte_order_mark=st.just(b"\xef\xbb\xbf"), encoding=st.sampled_from([None, "UTF-8"])),
    st.builds(
        replace, dialects, byte_order_mark=st.sampled_from([b"\xff\xfe", b"\xfe\xff"]), encoding=st.just("UTF-16")
    ),
)


# --- written and read ---


def leaves(element: ET.Element) -> list[tuple[str, str | None]]:
    return [(child.tag, child.text) for child in element]


@pytest.mark.many_inputs
@examples(100)
@given(requests, st.sampled_from(["CustomerOrderID", "CustomerOrderId"]))
def test_another_reader_finds_in_a_written_request_what_was_asked_for(
    request: ExternalTnsOrderRequest, element: str
) -> None:
    root = ET.fromstring(write_order_request(request, customer_order_id_element=element))
    fields = [
        (element, request.customer_order_id),
        ("SiteId", str(request.site_id)),
        ("SipPeerId", None if request.sip_peer_id is None else str(request.sip_peer_id)),
        ("Action", request.action.value),
        ("LoaType", None if request.loa_type is None else request.loa_type.value),
    ]
    assert root.tag == "ExternalTnsOrder"
    assert leaves(root) == [field for field in fields if field[1] is not None] + [("TelephoneNumbers", None)]
    assert leaves(root[-1]) == [("TelephoneNumber", number) for number in request.telephone_numbers]


@examples(50)
@given(number_lists, optional(ids), optional(ids))
def test_another_reader_finds_in_a_written_check_what_was_asked_for(
    telephone_numbers: tuple[str, ...], site_id: int | None, sip_peer_id: int | None
) -> None:
    root = ET.fromstring(write_import_tn_checker_request(telephone_numbers, site_id, sip_peer_id))
    fields = [("TelephoneNumbers", None), ("SiteId", site_id), ("SipPeerId", sip_peer_id)]
    assert root.tag == "ImportTnCheckerPayload"
    assert leaves(root) == [(name, value and str(value)) for name, value in fields if value or name[0] == "T"]
    assert leaves(root[0]) == [("TelephoneNumber", number) for number in telephone_numbers]


@pytest.mark.many_inputs
@examples(300)
@given(orders, dialects)
def test_an_order_reads_the_same_in_every_dialect(order: TnOrder, dialect: Dialect) -> None:
    if dialect.cdata:
        dialect = replace(dialect, encoding=None)
    assert read_order(write_order(order, dialect)) == order


@pytest.mark.many_inputs
@examples(50)
@given(st.lists(orders, max_size=5), dialects.filter(lambda d: d.encoding is None and not d.byte_order_mark))
def test_a_list_reads_as_its_orders(listed: list[TnOrder], dialect: Dialect) -> None:
    plain = replace(dialect, response_wrapper=False, errors_beside=False, root="ExternalTnsOrder")
    body = b"<ExternalTnsOrders>" + b"\n".join(write_order(order, plain) for order in listed) + b"</ExternalTnsOrders>"
    entries = read_order_list(body)
    assert [entry.order for entry in entries] == listed
    assert not any(entry.is_summary for entry in entries)


@pytest.mark.many_inputs
@examples(200)
@given(orders, dialects)
def test_no_number_completes_that_an_error_names(order: TnOrder, dialect: Dialect) -> None:
    read = read_order(write_order(order, replace(dialect, cdata=False)))
    completed = set(read.completed_telephone_numbers)
    assert completed.isdisjoint(error.telephone_number for error in order.errors)
    assert completed <= set(order.telephone_numbers)


@pytest.mark.many_inputs
@examples(200)
@given(orders)
def test_an_order_survives_json(order: TnOrder) -> None:
    assert TnOrder.from_dict(json.loads(json.dumps(order.to_dict()))) == order


# --- any bytes ---


def read_in_pieces(body: bytes) -> Any:
    pieces = iter([body[start : start + 7] for start in range(0, len(body), 7)])

    class Stream:
        def read(self, size: int) -> bytes:
            return next(pieces, b"")

    return list(iter_order_list(Stream()))  # type: ignore[arg-type]


READERS: tuple[Callable[[bytes], Any], ...] = (
    read_order,
    read_order_list,
    read_in_pieces,
    read_errors,
    read_sip_peer_telephone_numbers,
    read_import_tn_checker,
)


def read_by_all(body: bytes) -> None:
    """Every reader answers or refuses in its two ways, and soon."""
    for reader in READERS:
        start = time.process_time()
        with contextlib.suppress(InvalidResponseError, BandwidthApiError):
            reader(body)
        assert time.process_time() - start < 1


@examples(200)
@given(
    st.sampled_from([b"", b"<", b"<?xml version='1.0'?>", b"<ExternalTnsOrder>", b"<ExternalTnsOrders>", b"\xff\xfe"]),
    st.binary(max_size=300),
)
@example(b"", b"<a:>")
@example(b"", b"<ExternalTnsOrders><TotalCount>" + b"9" * 5000 + b"</TotalCount></ExternalTnsOrders>")
@example(b"", b"<ExternalTnsOrders xmlns='&undefined;'/>")
def test_any_bytes_are_read_or_refused(beginning: bytes, rest: bytes) -> None:
    read_by_all(beginning + rest)


SNIPPETS = (
    b"<Errors>",
    b"</Errors>",
    b"<Error/>",
    b"<Order>",
    b"</Order>",
    b"<ExternalTnsOrder>",
    b"<ExternalTnsOrderSummary>",
    b"<ResponseStatus/>",
    b"<TelephoneNumber>",
    b"</TelephoneNumber>",
    b"<OrderId>",
    b"<![CDATA[",
    b"]]>",
    b"<!--",
    b"-->",
    b"<?",
    b"?>",
    b"&#0;",
    b"&lt;",
    b"&x;",
    b"<!DOCTYPE a [<!ENTITY x 'y'>]>",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xc3",
    b" encoding='utf-16'",
    b" xmlns='u'",
    b" xmlns:p='u'",
    b"p:",
    b"99999-99-99T99:99:99Z",
    b"0001-01-01T00:00:00+14:00",
    b"9" * 5000,
    "\u0669\u0661\u0669\u0665\u0665\u0665\u0660\u0661\u0660\u0661".encode(),  # a number in Arabic digits
    b"\xf0\x9f\x98\x80",
    b"<a>" * 300,
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A sample in which some bytes or marks are missing, doubled, moved or replaced."""
    body = draw(st.sampled_from(EVERY)).read_bytes()
    for _ in range(draw(st.integers(1, 5))):
        pieces = re.split(rb"(<[^<>]*>)", body) if draw(st.booleans()) else [bytes([byte]) for byte in body]
        at = draw(st.integers(0, max(len(pieces) - 1, 0)))
        until = at + draw(st.integers(0, 4))
        elsewhere = draw(st.integers(0, max(len(pieces) - 1, 0)))
        taken = pieces[at:until]
        insert = draw(
            st.sampled_from(SNIPPETS) | st.binary(max_size=4) | st.just(b"".join(pieces[elsewhere : elsewhere + 4]))
        )
        body = b"".join([*pieces[:at], *(taken if draw(st.booleans()) else ()), insert, *pieces[until:]])
    if draw(st.integers(0, 9)) == 0:
        body = body.decode("latin-1").encode(draw(st.sampled_from(["utf-16", "utf-16-le", "utf-32", "utf-7"])))
    return body


@pytest.mark.many_inputs
@examples(500)
@given(mutated())
def test_a_damaged_document_is_read_or_refused(body: bytes) -> None:
    read_by_all(body)


# --- any shape ---

NAMES = (
    "Errors",
    "ErrorList",
    "Error",
    "FailedNumbers",
    "ERRORS",
    "{urn:example:numbers}Errors",
    "Code",
    "Description",
    "TelephoneNumbers",
    "TelephoneNumber",
    "{urn:example:numbers}TelephoneNumber",
    "Tn",
    "TnList",
    "FullNumber",
    "Order",
    "Details",
    "Count",
    "Warnings",
    "OrderId",
)
ORDER_SAMPLES = sorted(
    path
    for path in READABLE
    if path.with_suffix(".json").exists()
    and "order_id" in json.loads(path.with_suffix(".json").read_text(encoding="utf-8")).get("read_order", {})
)


def rename(draw: st.DrawFn, parent: ET.Element, child: ET.Element) -> None:
    child.tag = draw(st.sampled_from(NAMES))


def wrap(draw: st.DrawFn, parent: ET.Element, child: ET.Element) -> None:
    wrapper = ET.Element(draw(st.sampled_from(NAMES)))
    wrapper.append(child)
    parent[list(parent).index(child)] = wrapper


def double(draw: st.DrawFn, parent: ET.Element, child: ET.Element) -> None:
    parent.append(copy.deepcopy(child))


def move(draw: st.DrawFn, parent: ET.Element, child: ET.Element) -> None:
    sibling = draw(st.sampled_from(list(parent)))
    if sibling is not child:
        parent.remove(child)
        draw(st.sampled_from(list(sibling.iter()))).append(child)


def rewrite(draw: st.DrawFn, parent: ET.Element, child: ET.Element) -> None:
    text = (child.text or "").strip()
    if re.fullmatch("[0-9]{10}", text):
        child.text = draw(st.sampled_from(NOTATIONS))(text)
    elif text.isalpha():
        child.text = draw(st.sampled_from(["COMPLETE", "PARTIAL", "complete", "9195550101"]))


def mix(draw: st.DrawFn, parent: ET.Element, child: ET.Element) -> None:
    child.tail = draw(st.sampled_from(["9195550101", "+1 919 555 0102", "4155550103 4355550104", " "]))


@st.composite
def reshaped(draw: st.DrawFn) -> tuple[bytes, OrderResource]:
    """An order some of whose elements were renamed, wrapped, doubled or moved, or hold other texts; who answered so."""
    sample = draw(st.sampled_from(ORDER_SAMPLES))
    root = ET.fromstring(sample.read_bytes().strip())
    for _ in range(draw(st.integers(1, 4))):
        parent, child = draw(st.sampled_from([(parent, child) for parent in root.iter() for child in parent]))
        draw(st.sampled_from([rename, wrap, double, move, rewrite, mix]))(draw, parent, child)
    return ET.tostring(root), resource_of(sample)


@pytest.mark.many_inputs
@examples(1000)
@given(reshaped())
def test_no_number_completes_that_an_error_names_wherever_it_stands(answer: tuple[bytes, OrderResource]) -> None:
    body, resource = answer
    try:
        order = read_order(body, resource)
    except (InvalidResponseError, BandwidthApiError):
        return
    completed = set(order.completed_telephone_numbers)
    assert completed.isdisjoint(numbers_in_errors(body))
    assert all(re.fullmatch("[2-9][0-9]{9}", number) for number in completed)


@pytest.mark.parametrize("path", ORDER_SAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_samples_themselves_keep_to_it(path: Path) -> None:
    body = path.read_bytes()
    order = read_order(body, resource_of(path))
    assert set(order.completed_telephone_numbers).isdisjoint(numbers_in_errors(body))
