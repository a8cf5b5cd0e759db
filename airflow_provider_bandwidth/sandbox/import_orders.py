"""importTnOrders and removeImportedTnOrders: what an order must be (reference, sections 14.2, 14.3, 14.5 and 15)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from airflow_provider_bandwidth.sandbox.calls import Call
from airflow_provider_bandwidth.sandbox.orders import NewOrder, Subscriber
from airflow_provider_bandwidth.sandbox.request_xml import SentOrder, read_order
from airflow_provider_bandwidth.sandbox.validation import (
    CUSTOMER_ORDER_ID,
    Refused,
    check_magic,
    get_stored_customer_order_id,
    is_nanp,
    is_toll_free,
    read_numbers,
)

_Problem = tuple[str, str]
_Problems = Iterator[_Problem]

_LONGEST_NAME: Final = 45
_ZIP: Final = re.compile(r"\d{5}(-\d{4})?")
_STATE: Final = re.compile(r"[A-Za-z]{2}")
_ADDRESS_CODES: Final = (
    ("HouseNumber", "7108"),
    ("StreetName", "7109"),
    ("City", "7110"),
    ("StateCode", "7111"),
    ("Zip", "7112"),
)


def make_import(call: Call) -> NewOrder:
    """An import as it will be stored.

    :raises Refused: with every problem it has, if Bandwidth would not take it
    """
    sent = read_order(call.request.body, "ImportTnOrder")
    numbers = read_numbers(sent.telephone_numbers, call.settings, e164=call.view.e164)
    sites = call.store.sites
    loa_type = sent.loa_type.upper() if sent.loa_type else None
    _refuse_all(
        *_find_order_id_problems(sent),
        *_find_location_problems(sent, sites),
        *_find_subscriber_problems(sent),
        *([] if sent.loa_authorizing_person else [("7115", "LoaAuthorizingPerson is missing.")]),
        *([] if loa_type in (None, "CARRIER", "SUBSCRIBER") else [("25110", "LoaType is CARRIER or SUBSCRIBER.")]),
        *_find_number_problems(numbers, call.settings.max_numbers_per_order),
    )
    check_magic(numbers, "IMPORT")
    site_id = sent.site_id or ""
    return NewOrder(
        account_id=call.account_id,
        site_id=site_id,
        sip_peer_id=sent.sip_peer_id or sites[site_id][0],
        sip_peer_given=bool(sent.sip_peer_id),
        action="IMPORT",
        telephone_numbers=numbers,
        customer_order_id=get_stored_customer_order_id(sent, call.settings),
        loa_type=loa_type,
        created_by=call.login,
        rules=call.settings,
        order_api=call.kind.order_api,
        subscriber=Subscriber(tuple((sent.subscriber or {}).items()), tuple((sent.service_address or {}).items())),
        loa_authorizing_person=sent.loa_authorizing_person,
    )


def make_removal(call: Call) -> NewOrder:
    """A removal as it will be stored: it names no site and no peer.

    :raises Refused: with every problem it has, if Bandwidth would not take it
    """
    sent = read_order(call.request.body, "RemoveImportedTnOrder")
    numbers = read_numbers(sent.telephone_numbers, call.settings, e164=call.view.e164)
    _refuse_all(
        *_find_order_id_problems(sent),
        *_find_number_problems(numbers, call.settings.max_numbers_per_order),
    )
    check_magic(numbers, "REMOVE")
    return NewOrder(
        account_id=call.account_id,
        site_id="",
        sip_peer_id="",
        sip_peer_given=False,
        action="REMOVE",
        telephone_numbers=numbers,
        customer_order_id=get_stored_customer_order_id(sent, call.settings),
        created_by=call.login,
        rules=call.settings,
        order_api=call.kind.order_api,
    )


def _refuse_all(*problems: _Problem) -> None:
    if problems:
        (code, description), *others = problems
        raise Refused(code, description, others=others)


def _find_order_id_problems(sent: SentOrder) -> _Problems:
    if sent.customer_order_id and not CUSTOMER_ORDER_ID.fullmatch(sent.customer_order_id):
        yield "7318", "The customer order id has at most 40 letters, digits, dashes and spaces."


def _find_location_problems(sent: SentOrder, sites: Mapping[str, Sequence[str]]) -> _Problems:
    peers = sites.get(sent.site_id or "")
    if peers is None:
        yield "7309", "The site id is missing or invalid."
    if sent.sip_peer_id and not sent.sip_peer_id.isdecimal():
        yield "7311", "The SIP peer id is invalid."
    elif sent.sip_peer_id and sent.sip_peer_id not in (peers or ()):
        yield "7312", "The SIP peer does not belong to the site."


def _find_subscriber_problems(sent: SentOrder) -> _Problems:
    if sent.subscriber is None:
        yield "7104", "Subscriber is missing."
        return
    name = sent.subscriber.get("Name", "")
    if not name:
        yield "7105", "The subscriber's name is missing."
    elif len(name) > _LONGEST_NAME:
        yield "25131", f"The subscriber's name has more than {_LONGEST_NAME} characters."
    address = sent.service_address
    if address is None:
        yield "7107", "The subscriber's ServiceAddress is missing."
        return
    for field, code in _ADDRESS_CODES:
        if not address.get(field):
            yield code, f"{field} is missing."
    if address.get("Zip") and not _ZIP.fullmatch(address["Zip"]):
        yield "7214", "Zip is not a ZIP code."
    if address.get("StateCode") and not _STATE.fullmatch(address["StateCode"]):
        yield "7395", "StateCode is not a code of two letters."


def _find_number_problems(numbers: Sequence[str], limit: int) -> _Problems:
    if not numbers:
        yield "7316", "There are no telephone numbers."
    if len(numbers) > limit:
        yield "7314", f"There are more than {limit} telephone numbers."
    if len(set(numbers)) != len(numbers):
        yield "7360", "There are duplicate telephone numbers."
    for number in dict.fromkeys(numbers):
        if not is_nanp(number):
            yield "7201", f"{number} is not a valid NANP telephone number."
        elif is_toll_free(number):
            yield "7386", f"{number} is a toll-free telephone number."
