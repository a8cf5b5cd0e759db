"""importTnOrders and removeImportedTnOrders as Bandwidth writes them (reference, sections 14.4 to 14.8 and 15)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from airflow_provider_bandwidth.sandbox.calls import Call
from airflow_provider_bandwidth.sandbox.loa_api import write_refused_upload
from airflow_provider_bandwidth.sandbox.orders import Order
from airflow_provider_bandwidth.sandbox.settings import Settings
from airflow_provider_bandwidth.sandbox.validation import Refused
from airflow_provider_bandwidth.sandbox.xml import (
    View,
    contradict,
    write_document,
    write_element,
    write_errors,
    write_history,
    write_number_list,
    write_optional,
    write_refusal,
    write_repeated_errors,
)

#: An order that fails within this time shows no processing in its history [nodefix].
_QUICK: Final = timedelta(seconds=2)
_NOTES: Final = {
    "RECEIVED": "has been received",
    "PROCESSING": "is being processed",
    "COMPLETE": "is complete",
    "PARTIAL": "is complete in part",
    "FAILED": "has failed",
}


@dataclass(frozen=True, slots=True)
class ImportForm:
    """The names of one kind of order.

    :param order: the element of an order, and the root of GET
    :param documented_root: the root of the 201 and the 400, as documented
    :param real_root: the root of the 201, as captured
    :param report_root: the root of the refusal of an unknown order
    :param list_root: the root of a list
    :param order_type: the OrderType of a summary
    :param title: the order's name in the notes of its history
    :param created_delay: how much later LastModifiedDate is than OrderCreateDate, at first [nodefix]
    """

    order: str
    documented_root: str
    real_root: str
    report_root: str
    list_root: str
    order_type: str
    title: str
    created_delay: timedelta

    def write_created(self, order: Order, view: View) -> bytes:
        """The 201 of a new order, by the setting ``created_root``."""
        content = self._write_content(order, view)
        form = view.settings.created_root
        root = self.real_root if form == "plural" else self.documented_root
        return write_document(root, content if form == "flat" else self._wrap(content))

    def write_order(self, order: Order, view: View) -> bytes:
        """The answer to GET for one order."""
        content = self._write_content(order, view)
        if view.settings.get_root == "wrapped":
            return write_document(self.documented_root, self._wrap(content))
        return write_document(self.order, content)

    def write_list(self, total: int, orders: Sequence[Order], view: View) -> bytes:
        """A list: flat summaries, whatever the query asks for [javafix] [nodefix]."""
        entries = "".join(self._write_summary(order, view) for order in orders)
        return write_document(self.list_root, f"{write_element('TotalCount', total)}{entries}".encode())

    def write_history(self, order: Order, view: View) -> bytes:
        """The history, with notes; removals show the same processing twice [nodefix]."""
        steps = ((moment, status, self._note(status)) for moment, status in self._list_steps(order))
        return write_history(steps, order.asked.created_by, view)

    def write_refused(self, operation: str, refused: Refused, settings: Settings) -> bytes:
        """A refusal: of an order by the setting ``refusal_form``, of everything else as ``ResponseStatus``."""
        if operation == "list":
            return write_refusal(self.list_root, *refused.errors[0])
        if operation in ("loa-upload", "loa-replace"):
            return write_refused_upload(refused)
        if operation != "submit":
            return write_refusal(self.report_root, *refused.errors[0])
        if settings.refusal_form == "response-status":
            return write_refusal(self.documented_root, *refused.errors[0])
        root = self.real_root if settings.refusal_form == "plural" else self.documented_root
        return write_repeated_errors(root, refused.errors, failed=True)

    def find_unknown(self, call: Call) -> Refused:
        """The refusal of an order that does not exist (reference, 15.2); how imports refuse it is not documented."""
        order_id = call.names["order"]
        try:
            uuid.UUID(order_id)
        except ValueError:
            return Refused("1008", f"{order_id} is not an order id.")
        status = HTTPStatus.BAD_REQUEST if call.settings.unknown_order == "400" else HTTPStatus.NOT_FOUND
        return Refused("", f"The resource {order_id} does not exist.", status)

    def _wrap(self, content: bytes) -> bytes:
        return b"<%b>%b</%b>" % (self.order.encode(), content, self.order.encode())

    def _write_content(self, order: Order, view: View) -> bytes:
        settings = view.settings
        key = (
            view.e164,
            settings.partial_list,
            settings.echo_customer_order_id,
            settings.customer_order_id_case,
            settings.contradict,
            settings.clock_skew_seconds,
        )
        content = order.fragments.get(key)
        if content is None:
            written = self._write_fields(contradict(order, settings.contradict), view)
            content = order.fragments[key] = "".join(written).encode()
        return content

    def _write_fields(self, order: Order, view: View) -> Iterator[str]:
        asked = order.asked
        yield write_optional("CustomerOrderId", view.customer_order_id(order))
        yield write_element("OrderCreateDate", view.time(order.created_at))
        yield write_element("AccountId", asked.account_id)
        yield write_element("CreatedByUser", asked.created_by)
        yield write_element("OrderId", order.order_id)
        yield write_element("LastModifiedDate", view.time(self._modified_at(order)))
        if asked.site_id:
            yield write_element("SiteId", asked.site_id)
        yield _write_subscriber(order)
        yield write_optional("LoaAuthorizingPerson", asked.loa_authorizing_person)
        yield write_number_list(order.listed_telephone_numbers(view.settings.partial_list), view)
        yield write_element("ProcessingStatus", order.status)
        yield write_errors(order.errors, view)
        # Both come last, as the server's classes inherit them; neither unless it was sent [nodefix] [javafix].
        yield write_optional("LoaType", asked.loa_type)
        if asked.sip_peer_given:
            yield write_element("SipPeerId", asked.sip_peer_id)

    def _modified_at(self, order: Order) -> datetime:
        return order.last_modified_at + (self.created_delay if order.status == "RECEIVED" else timedelta())

    def _write_summary(self, order: Order, view: View) -> str:
        return (
            f"<{self.order}Summary>"
            + write_element("accountId", order.account_id)
            + write_element("CountOfTNs", len(order.telephone_numbers))
            + write_optional("CustomerOrderId", view.customer_order_id(order))
            + write_element("userId", order.asked.created_by)
            + write_element("lastModifiedDate", view.time(self._modified_at(order)))
            + write_element("OrderDate", view.time(order.created_at))
            + write_element("OrderType", self.order_type)
            + write_element("OrderStatus", order.status)
            + write_element("OrderId", order.order_id)
            + f"</{self.order}Summary>"
        )

    def _list_steps(self, order: Order) -> Iterable[tuple[datetime, str]]:
        quick = order.status == "FAILED" and order.last_modified_at - order.created_at < _QUICK
        for moment, status in order.history:
            if status == "PROCESSING":
                if quick:
                    continue
                if order.action == "REMOVE":
                    yield moment, status
            yield moment, status

    def _note(self, status: str) -> str:
        return f"{self.title} {_NOTES.get(status, f'is {status}')}"


def _write_subscriber(order: Order) -> str:
    subscriber = order.asked.subscriber
    if subscriber is None:
        return ""
    # The server adds the last two in every real answer [nodefix] [javafix].
    address = {**dict(subscriber.address), "Country": "United States", "AddressType": "Service"}
    return (
        "<Subscriber>"
        + "".join(write_element(name, text) for name, text in subscriber.fields)
        + "<ServiceAddress>"
        + "".join(write_element(name, text) for name, text in address.items())
        + "</ServiceAddress></Subscriber>"
    )


IMPORT_FORM: Final = ImportForm(
    order="ImportTnOrder",
    documented_root="ImportTnOrderResponse",
    real_root="ImportTnOrdersResponse",
    report_root="ImportTnOrdersReportResponse",
    list_root="ImportTnOrders",
    order_type="import_tn_orders",
    title="Import TN order",
    created_delay=timedelta(milliseconds=1),
)
REMOVAL_FORM: Final = ImportForm(
    order="RemoveImportedTnOrder",
    documented_root="RemoveImportedTnOrderResponse",
    real_root="RemoveImportedTnOrdersResponse",
    report_root="RemoveImportedTnOrdersReportResponse",
    list_root="RemoveImportedTnOrders",
    order_type="remove_imported_tn_orders",
    title="Remove imported TN order",
    created_delay=timedelta(),
)
