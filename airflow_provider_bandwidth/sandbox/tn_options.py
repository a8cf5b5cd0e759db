"""tnoptions: orders that set options of telephone numbers, such as their campaign (reference, section 20.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from airflow_provider_bandwidth.sandbox.calls import Call
from airflow_provider_bandwidth.sandbox.orders import NewOrder, Order, OrderError, TnOptionGroup
from airflow_provider_bandwidth.sandbox.request_xml import SentOptionGroup, read_option_order
from airflow_provider_bandwidth.sandbox.settings import Settings
from airflow_provider_bandwidth.sandbox.validation import (
    CUSTOMER_ORDER_ID,
    Refused,
    check_magic,
    check_numbers,
    read_numbers,
)
from airflow_provider_bandwidth.sandbox.xml import (
    View,
    write_document,
    write_element,
    write_history,
    write_number_list,
    write_optional,
    write_refusal,
)

_CODES: Final = ("5073", "5095", "5072")
_ACTIONS: Final = ("asSpecified", "systemDefault", "off", "delete", "unchanged")
_LONGEST_CAMPAIGN_ID: Final = 64


def make_order(call: Call) -> NewOrder:
    """A sent order as it will be stored.

    :raises Refused: if Bandwidth would not take it
    """
    customer_order_id, sent_groups = read_option_order(call.request.body)
    if customer_order_id and not CUSTOMER_ORDER_ID.fullmatch(customer_order_id):
        raise Refused("5052", "The customer order id has at most 40 letters, digits, dashes and spaces.")
    groups = tuple(_make_group(sent, call) for sent in sent_groups)
    numbers = tuple(number for group in groups for number in group.telephone_numbers)
    check_numbers(numbers, call.settings.max_numbers_per_order, _CODES)
    check_magic(numbers, "OPTIONS")
    return NewOrder(
        account_id=call.account_id,
        site_id="",
        sip_peer_id="",
        sip_peer_given=False,
        action="OPTIONS",
        telephone_numbers=numbers,
        customer_order_id=customer_order_id or None,
        created_by=call.login,
        rules=call.settings,
        order_api=call.kind.order_api,
        option_groups=groups,
    )


def _make_group(sent: SentOptionGroup, call: Call) -> TnOptionGroup:
    if sent.sms not in (None, "on", "off"):
        raise Refused("1019", "Sms is on or off.")
    action, campaign_id = sent.a2p_action, sent.campaign_id
    if action is not None and action not in _ACTIONS:
        raise Refused("5138", f"Action is one of {', '.join(_ACTIONS)}.")
    if campaign_id and len(campaign_id) > _LONGEST_CAMPAIGN_ID:
        raise Refused("1011", f"CampaignId has more than {_LONGEST_CAMPAIGN_ID} characters.")
    if action == "asSpecified" and not campaign_id:
        raise Refused("1003", "CampaignId is required for asSpecified.")
    if action != "asSpecified" and (campaign_id or sent.message_class):
        raise Refused("5134", f"CampaignId and MessageClass are not allowed with the Action {action or 'missing'}.")
    if action is not None and sent.sms == "off":
        raise Refused("5132", "Sms must be on for A2pSettings.")
    numbers = read_numbers(sent.telephone_numbers, call.settings, e164=call.view.e164)
    return TnOptionGroup(sent.sms, action, campaign_id, sent.message_class, numbers)


def write_created(order: Order, view: View) -> bytes:
    """The 201 of a new order."""
    return write_document(
        "TnOptionOrderResponse", f"<TnOptionOrder>{_write_content(order, view)}</TnOptionOrder>".encode()
    )


def write_order(order: Order, view: View) -> bytes:
    """The answer to GET for one order."""
    return write_document("TnOptionOrder", _write_content(order, view).encode())


def write_list(total: int, orders: Sequence[Order], view: View) -> bytes:
    """A list, which is wrapped once more here [oas1]: summaries, or full orders for orderDetails=true."""
    if view.details:
        entries = (f"<TnOptionOrder>{_write_content(order, view)}</TnOptionOrder>" for order in orders)
    else:
        entries = (_write_summary(order, view) for order in orders)
    content = f"<TnOptionOrders>{write_element('TotalCount', total)}{''.join(entries)}</TnOptionOrders>"
    return write_document("TnOptionOrderReportResponse", content.encode())


def write_order_history(order: Order, view: View) -> bytes:
    """The history of an order."""
    return write_history(((moment, status, "") for moment, status in order.history), order.asked.created_by, view)


def write_refused(operation: str, refused: Refused, _: Settings) -> bytes:
    """A refusal: its first error as ``ResponseStatus``."""
    root = "TnOptionOrderResponse" if operation == "submit" else "TnOptionOrderReportResponse"
    return write_refusal(root, *refused.errors[0])


def _write_content(order: Order, view: View) -> str:
    groups = "".join(_write_group(group, view) for group in order.asked.option_groups)
    return (
        write_optional("CustomerOrderId", view.customer_order_id(order))
        + write_element("OrderCreateDate", view.time(order.created_at))
        + write_element("AccountId", order.account_id)
        + write_element("CreatedByUser", order.asked.created_by)
        + write_element("OrderId", order.order_id)
        + write_element("LastModifiedDate", view.time(order.last_modified_at))
        + write_element("ProcessingStatus", order.status)
        + f"<TnOptionGroups>{groups}</TnOptionGroups>"
        + _write_error_list(order.errors, view)
        + _write_warnings(order, view)
    )


def _write_group(group: TnOptionGroup, view: View) -> str:
    settings = ""
    if group.a2p_action is not None:
        settings = (
            "<A2pSettings>"
            + write_optional("MessageClass", group.message_class)
            + write_optional("CampaignId", group.campaign_id)
            + write_element("Action", group.a2p_action)
            + "</A2pSettings>"
        )
    numbers = write_number_list(group.telephone_numbers, view)
    return f"<TnOptionGroup>{write_optional('Sms', group.sms)}{settings}{numbers}</TnOptionGroup>"


def _write_error_list(errors: Sequence[OrderError], view: View) -> str:
    """Errors of shape ``e`` (reference, 2.5): one bare number each."""
    return f"<ErrorList>{''.join(_write_each_error(errors, view))}</ErrorList>" if errors else "<ErrorList/>"


def _write_each_error(errors: Sequence[OrderError], view: View) -> Iterator[str]:
    for error in errors:
        for number in error.telephone_numbers or (None,):
            named = "" if number is None else write_element("TelephoneNumber", view.number(number))
            coded = write_element("Code", error.code) if error.code else ""
            yield f"<Error>{coded}{write_element('Description', error.description)}{named}</Error>"


def _write_warnings(order: Order, view: View) -> str:
    warnings = "".join(
        "<Warning>"
        + write_element("TelephoneNumber", view.number(number))
        + write_element("Description", "SMS is already on for the telephone number.")
        + "</Warning>"
        for number in order.warned
    )
    return f"<Warnings>{warnings}</Warnings>" if warnings else ""


def _write_summary(order: Order, view: View) -> str:
    return (
        "<TnOptionOrderSummary>"
        + write_element("accountId", order.account_id)
        + write_element("CountOfTNs", len(order.telephone_numbers))
        + write_optional("CustomerOrderId", view.customer_order_id(order))
        + write_element("userId", order.asked.created_by)
        + write_element("lastModifiedDate", view.time(order.last_modified_at))
        + write_element("OrderDate", view.time(order.created_at))
        + write_element("OrderType", "tn_option")
        + write_element("OrderStatus", order.status)
        + write_element("OrderId", order.order_id)
        + "</TnOptionOrderSummary>"
    )
