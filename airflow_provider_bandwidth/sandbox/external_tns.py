"""externalTns: what an order must be, and how it is shown (reference, sections 2 to 4)."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from airflow_provider_bandwidth.sandbox.calls import Call
from airflow_provider_bandwidth.sandbox.orders import NewOrder, Order
from airflow_provider_bandwidth.sandbox.request_xml import SentOrder, read_order
from airflow_provider_bandwidth.sandbox.settings import Settings
from airflow_provider_bandwidth.sandbox.validation import (
    CUSTOMER_ORDER_ID,
    Refused,
    check_magic,
    check_numbers,
    find_site_and_peer,
    get_stored_customer_order_id,
)
from airflow_provider_bandwidth.sandbox.xml import (
    View,
    contradict,
    write_document,
    write_element,
    write_errors,
    write_history,
    write_number_list,
    write_optional,
    write_padded,
    write_refusal,
)

_ORDER_CODES: Final = ("5073", "5095", "5093")


def make_order(call: Call) -> NewOrder:
    """A sent order as it will be stored.

    :raises Refused: if Bandwidth would not take it; its first problem only
    """
    sent = read_order(call.request.body, "ExternalTnsOrder")
    settings = call.settings
    if sent.bare_number_list:
        raise Refused("1000", "Internal error.", HTTPStatus.INTERNAL_SERVER_ERROR)  # [cli]
    action = _parse_action(sent, settings)
    loa_type = sent.loa_type.upper() if sent.loa_type else None
    if loa_type not in (None, "CARRIER", "SUBSCRIBER"):
        raise Refused("25110", "LoaType is CARRIER or SUBSCRIBER.")
    if sent.customer_order_id and not CUSTOMER_ORDER_ID.fullmatch(sent.customer_order_id):
        raise Refused("5052", "The customer order id has at most 40 letters, digits, dashes and spaces.")
    if not sent.site_id:
        raise Refused("5022", "SiteId is missing.")
    site_id, sip_peer_id = find_site_and_peer(sent, call.store.sites)
    check_numbers(sent.telephone_numbers, settings.max_numbers_per_order, _ORDER_CODES)
    check_magic(sent.telephone_numbers, action)
    return NewOrder(
        account_id=call.account_id,
        site_id=site_id,
        sip_peer_id=sip_peer_id,
        sip_peer_given=bool(sent.sip_peer_id),
        action=action,
        telephone_numbers=sent.telephone_numbers,
        customer_order_id=get_stored_customer_order_id(sent, settings),
        loa_type=loa_type,
        created_by=call.login,
        rules=call.settings,
    )


def _parse_action(sent: SentOrder, settings: Settings) -> str:
    action = (sent.action or "").upper()
    if action not in ("IMPORT", "REMOVE"):
        raise Refused("25000", "Action is missing, or neither IMPORT nor REMOVE.")
    if action == "REMOVE" and settings.strict_remove:
        for name, value in (("SipPeerId", sent.sip_peer_id), ("LoaType", sent.loa_type)):
            if value:
                raise Refused("25020", f"{name} cannot be given with the action REMOVE.")
    return action


def write_refused(operation: str, refused: Refused, _: Settings) -> bytes:
    """A refusal: its first error as ``ResponseStatus``."""
    return write_refusal(_REFUSAL_ROOTS.get(operation, "ExternalTnsOrderResponse"), *refused.errors[0])


_REFUSAL_ROOTS: Final = {"history": "ExternalTnsOrderReportResponse", "list": "ExternalTnsOrders"}


def write_created(order: Order, view: View) -> bytes:
    """The 201 of a new order (reference, 2.2 and 2.3)."""
    content = _write_content(order, view)
    if view.settings.dialect == "O":
        content = b"<ExternalTnsOrder>%b</ExternalTnsOrder>" % content
    return write_document("ExternalTnsOrderResponse", content)


def write_order(order: Order, view: View) -> bytes:
    """The answer to GET for one order (reference, 2.2 and 2.3)."""
    content = _write_content(order, view)
    if view.settings.get_root == "wrapped":
        return write_document("ExternalTnsOrderResponse", b"<ExternalTnsOrder>%b</ExternalTnsOrder>" % content)
    return write_document("ExternalTnsOrder", content)


def write_list(total: int, orders: Sequence[Order], view: View) -> bytes:
    """A list answer (reference, 4.2)."""
    form = view.settings.list_form
    if form == "summary-only" or (form == "summary" and not view.details):
        entries = [_write_summary(order, view) for order in orders]
    else:
        entries = []
        for order in orders:
            entries += (b"<ExternalTnsOrder>", _write_content(order, view), b"</ExternalTnsOrder>")
    return write_document("ExternalTnsOrders", b"".join((write_element("TotalCount", total).encode(), *entries)))


def write_order_history(order: Order, view: View) -> bytes:
    """The history of an order, which has no notes here."""
    return write_history(((moment, status, "") for moment, status in order.history), order.asked.created_by, view)


def _write_content(order: Order, view: View) -> bytes:
    settings = view.settings
    key = (
        settings.dialect,
        settings.partial_list,
        settings.echo_customer_order_id,
        settings.customer_order_id_case,
        settings.contradict,
        settings.clock_skew_seconds,
    )
    content = order.fragments.get(key)
    if content is None:
        write = _write_flat if settings.dialect == "O" else _write_enveloped
        content = order.fragments[key] = write(contradict(order, settings.contradict), view).encode()
    return content


def _write_enveloped(order: Order, view: View) -> str:
    """Dialects S, H and P: service fields under the root, the request's fields inside ``Order``."""
    asked = order.asked
    dialect = view.settings.dialect
    padded, hybrid = dialect == "P", dialect == "H"
    text = write_padded if padded else write_element
    customer_order_id = view.customer_order_id(order)
    fields = [
        text("OrderCreateDate", view.time(order.created_at)),
        text("AccountId", asked.account_id),
        text("CreatedByUser", asked.created_by),
        text("OrderId", order.order_id),
        text("ProcessingStatus", order.status),
        "<Order>",
    ]
    if customer_order_id is not None:
        fields.append(text("CustomerOrderId" if hybrid else "CustomerOrderID", customer_order_id))
    fields.append(text("SiteId", asked.site_id))
    if asked.sip_peer_given:
        fields.append(text("SipPeerId", asked.sip_peer_id))
    fields.append(text("Action", asked.action))
    if hybrid:
        fields.append(_write_loa_type(order))
    fields.append(write_number_list(order.listed_telephone_numbers(view.settings.partial_list), view, padded=padded))
    fields.append("</Order>")
    if order.errors:
        fields.append(write_errors(order.errors, view, padded=padded))
    return "".join(fields)


def _write_flat(order: Order, view: View) -> str:
    """Dialect O: everything under the order, ``Errors`` present even when empty."""
    asked = order.asked
    return "".join(
        (
            write_optional("CustomerOrderId", view.customer_order_id(order)),
            write_element("OrderCreateDate", view.time(order.created_at)),
            write_element("AccountId", asked.account_id),
            write_element("CreatedByUser", asked.created_by),
            write_element("OrderId", order.order_id),
            write_element("LastModifiedDate", view.time(order.last_modified_at)),
            write_element("SiteId", asked.site_id),
            write_element("SipPeerId", asked.sip_peer_id),
            write_number_list(order.listed_telephone_numbers(view.settings.partial_list), view),
            write_element("Action", asked.action),
            _write_loa_type(order),
            write_element("ProcessingStatus", order.status),
            write_errors(order.errors, view),
        )
    )


def _write_loa_type(order: Order) -> str:
    # CARRIER is the default of an import [oas1]; a removal has none unless it was sent.
    return write_optional("LoaType", order.asked.loa_type or ("CARRIER" if order.action == "IMPORT" else None))


def _write_summary(order: Order, view: View) -> bytes:
    """An entry of the older list form [ramint18] [iris20]; it has no customer order id."""
    completed = 0
    if order.status in ("COMPLETE", "PARTIAL"):
        completed = len(order.telephone_numbers) - len(order.failed_telephone_numbers)
    return (
        "<ExternalTnsOrderSummary>"
        + write_element("accountId", order.account_id)
        + write_element("CompletedQuantity", completed)
        + write_element("userId", order.asked.created_by)
        + write_element("OrderDate", view.time(order.created_at))
        + write_element("OrderType", "ExternalTnsOrder")
        + write_element("OrderStatus", order.status)
        + write_element("OrderId", order.order_id)
        + "</ExternalTnsOrderSummary>"
    ).encode()
