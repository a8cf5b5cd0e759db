"""Submitting, reading and listing orders of every kind."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from airflow_provider_bandwidth.sandbox.calls import Call
from airflow_provider_bandwidth.sandbox.http import Answer, Request
from airflow_provider_bandwidth.sandbox.orders import Order, OrderFilter
from airflow_provider_bandwidth.sandbox.request_xml import UnreadableBodyError
from airflow_provider_bandwidth.sandbox.validation import Refused

#: Orders in one list answer, at most [oas1].
LIST_LIMIT: Final = 1000


def submit(call: Call) -> Answer:
    """Store a new order."""
    request = call.request
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if call.settings.strict_content_type and content_type not in ("application/xml", "text/xml"):
        return Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    try:
        new = call.kind.make(call)
    except UnreadableBodyError as error:
        raise Refused("1019", str(error)) from None
    order = call.store.create(new, call.settings)
    location = f"http://{request.headers.get('host', '')}{request.path.rstrip('/')}/{order.order_id}"
    return Answer(
        HTTPStatus.CREATED,
        call.kind.write_created(order, call.view),
        headers={"location": location},
        order_id=order.order_id,
    )


def show_order(call: Call) -> Answer:
    """Answer with one order."""
    order = find_order(call)
    return Answer(HTTPStatus.OK, call.kind.write_order(order, call.view), order_id=order.order_id)


def show_history(call: Call) -> Answer:
    """Answer with the history of an order."""
    order = find_order(call)
    return Answer(HTTPStatus.OK, call.kind.write_history(order, call.view), order_id=order.order_id)


def find_order(call: Call) -> Order:
    """The order that the path names.

    :raises Refused: if this account has none, or not of this kind, or it is too young to be read
    """
    kind = call.kind
    youngest = call.store.clock() - call.settings.read_lag_seconds
    try:
        order = call.store.order(call.names["order"])
    except LookupError:
        raise kind.find_unknown(call) from None
    if (
        order.account_id != call.account_id
        or order.order_api not in kind.shown_apis
        or kind.action not in (None, order.action)
        or order.created_clock > youngest
    ):
        raise kind.find_unknown(call)
    return order


def find_unknown_order(call: Call) -> Refused:
    """404, whose ResponseStatus has no ErrorCode [oas1]."""
    return Refused("", f"Order {call.names['order']} was not found.", HTTPStatus.NOT_FOUND)


def list_orders(call: Call) -> Answer:
    """Answer with the orders that meet the query."""
    try:
        (start, size), condition = _parse_page(call), _parse_filter(call)
    except Refused as refused:
        if refused.status == HTTPStatus.BAD_REQUEST:
            refused.status = call.kind.query_error
        raise
    total, orders = call.store.search(
        call.account_id, condition, call.settings, start=start, limit=min(size, LIST_LIMIT)
    )
    form = call.settings.empty_list
    if not orders and form == "404":
        raise Refused("", "No orders match the search.", HTTPStatus.NOT_FOUND)
    if not orders and form == "204":
        return Answer(HTTPStatus.NO_CONTENT)
    if not orders and form == "blank":
        return Answer(HTTPStatus.OK)
    return Answer(HTTPStatus.OK, call.kind.write_list(total, orders, call.view))


_STATUSES: Final = frozenset({"RECEIVED", "PROCESSING", "COMPLETE", "PARTIAL", "FAILED"})


def _parse_filter(call: Call) -> OrderFilter:
    request, kind = call.request, call.kind
    statuses = frozenset(status.upper() for status in request.parameters.get("status", []) if status)
    if statuses - _STATUSES:
        known = ", ".join(sorted(_STATUSES)).lower()
        raise Refused("15518", f"status is one of {known}.")
    fragment = request.parameter("orderIdFragment")
    return OrderFilter(
        order_apis=kind.shown_apis,
        default_loa_type=kind.loa_type,
        statuses=statuses,
        telephone_number=_parse_number(call),
        customer_order_id=request.parameter("customerOrderId"),
        order_id_fragment=fragment.lower() if fragment else None,
        action=kind.action or _parse_choice(request, "action", ("IMPORT", "REMOVE")),
        loa_type=_parse_choice(request, "loaType", ("CARRIER", "SUBSCRIBER")),
        created_from=_parse_date(request, "createdDateFrom"),
        created_to=_parse_date(request, "createdDateTo"),
        modified_from=_parse_date(request, "modifiedDateFrom"),
        modified_to=_parse_date(request, "modifiedDateTo"),
        skew=timedelta(seconds=call.settings.clock_skew_seconds),
    )


def _parse_number(call: Call) -> str | None:
    """The ``tn`` filter in the version's notation; in the other one it matches no order (reference, 24)."""
    number = call.request.parameter("tn")
    if number is None or not call.view.e164:
        return number
    return number.removeprefix("+1") if number.startswith("+") or call.settings.ten_digits_on_v2 else f"no {number}"


def _parse_choice(request: Request, name: str, choices: tuple[str, ...]) -> str | None:
    value = (request.parameter(name) or "ALL").upper()
    if value == "ALL":
        return None
    if value not in choices:
        raise Refused("1019", f"{name} is one of {', '.join(choices)}, ALL.")
    return value


def _parse_date(request: Request, name: str) -> str | None:
    value = request.parameter(name)
    if value is None:
        return None
    try:
        day = datetime.strptime(value, "%Y-%m-%d")  # noqa: DTZ007 - only checked, never used as a moment
    except ValueError:
        raise Refused("51001", f"{name} is not a date of the form yyyy-MM-dd.") from None
    return f"{day:%Y-%m-%d}"


def _parse_page(call: Call) -> tuple[int, int]:
    """The index of a page's first order, and its size: page numbers of lists count from 1 (reference, 14.7)."""
    texts = [call.request.parameter(name) for name in ("page", "size")]
    if call.settings.list_paging_required and None in texts:
        raise Refused("", "Page and size are required.", HTTPStatus.NOT_FOUND)  # [mcp3p]
    page, size = (text or default for text, default in zip(texts, ("1", str(LIST_LIMIT)), strict=True))
    if not (re.fullmatch(r"[1-9]\d{0,5}", page) and re.fullmatch(r"[1-9]\d{0,5}", size)):
        raise Refused("1006", "page and size are positive numbers.")
    return (int(page) - 1) * int(size), int(size)
