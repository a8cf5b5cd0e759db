"""What an order must be: refused as a whole with 400, one code at a time (reference, sections 2.1 and 8)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from airflow_provider_bandwidth.sandbox.magic import Effect, find_magic_number
from airflow_provider_bandwidth.sandbox.orders import NewOrder
from airflow_provider_bandwidth.sandbox.request_xml import SentOrder
from airflow_provider_bandwidth.sandbox.settings import Settings

_CUSTOMER_ORDER_ID: Final = re.compile(r"[A-Za-z0-9 -]{1,40}")
_TOLL_FREE: Final = re.compile(r"8(?:00|22|33|44|55|66|77|88)")
_NANP: Final = re.compile(r"(?![0-9]11)[2-9][0-9]{2}(?![0-9]11)[2-9][0-9]{6}")


class Refused(Exception):  # noqa: N818 - an answer, not a mistake of ours
    """The request is answered with a refusal.

    :param code: Bandwidth's error code; empty where it gives none
    """

    def __init__(self, code: str, description: str, status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.status = status


def make_order(
    sent: SentOrder, account_id: str, sites: Mapping[str, Sequence[str]], created_by: str, settings: Settings
) -> NewOrder:
    """A sent order as it will be stored.

    :raises Refused: if Bandwidth would not take it
    """
    if sent.bare_number_list:
        raise Refused("1000", "Internal error.", HTTPStatus.INTERNAL_SERVER_ERROR)  # [cli]
    action = _parse_action(sent, settings)
    loa_type = sent.loa_type.upper() if sent.loa_type else None
    if loa_type not in (None, "CARRIER", "SUBSCRIBER"):
        raise Refused("25110", "LoaType is CARRIER or SUBSCRIBER.")
    if sent.customer_order_id and not _CUSTOMER_ORDER_ID.fullmatch(sent.customer_order_id):
        raise Refused("5052", "The customer order id has at most 40 letters, digits, dashes and spaces.")
    if not sent.site_id:
        raise Refused("5022", "SiteId is missing.")
    site_id, sip_peer_id = find_site_and_peer(sent, sites)
    check_numbers(sent.telephone_numbers, settings.max_numbers_per_order, _ORDER_CODES)
    _check_magic(sent.telephone_numbers, action)
    return NewOrder(
        account_id=account_id,
        site_id=site_id,
        sip_peer_id=sip_peer_id,
        sip_peer_given=bool(sent.sip_peer_id),
        action=action,
        telephone_numbers=sent.telephone_numbers,
        customer_order_id=_get_stored_customer_order_id(sent, settings),
        loa_type=loa_type,
        created_by=created_by,
    )


def find_site_and_peer(sent: SentOrder, sites: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    """The site and the peer, by default the site's first.

    :raises Refused: if either does not exist
    """
    peers = sites.get(sent.site_id or "")
    if sent.site_id is None or peers is None:
        raise Refused("5016", "SiteId is invalid.")
    if not sent.sip_peer_id:
        return sent.site_id, peers[0]
    if sent.sip_peer_id not in peers:
        raise Refused("5023", "SipPeerId is invalid.")
    return sent.site_id, sent.sip_peer_id


_ORDER_CODES: Final = ("5073", "5095", "5093")


def check_numbers(numbers: Sequence[str], limit: int, codes: tuple[str, str, str]) -> None:
    """Refuse a list that is empty, too long, has duplicates or numbers outside the plan.

    :param codes: the codes for none, too many and duplicates
    :raises Refused: for the first problem found
    """
    none, too_many, duplicates = codes
    if not numbers:
        raise Refused(none, "There are no telephone numbers.")
    if len(numbers) > limit:
        raise Refused(too_many, f"There are more than {limit} telephone numbers.")
    if len(set(numbers)) != len(numbers):
        raise Refused(duplicates, "There are duplicate telephone numbers.")
    for number in numbers:
        if not is_nanp(number):
            raise Refused("7201", f"{number} is not a valid NANP telephone number.")
        if _TOLL_FREE.match(number):
            raise Refused("5126", f"{number} is a toll-free telephone number.")


def is_nanp(text: str) -> bool:
    """Whether ``text`` is ten digits in the shape of the North American plan."""
    return _NANP.fullmatch(text) is not None


def _check_magic(numbers: Sequence[str], action: str) -> None:
    for number in numbers:
        row = find_magic_number(number, action)
        if row is not None and row.effect is Effect.REFUSED:
            raise Refused(row.codes[0], row.text(number))


def _parse_action(sent: SentOrder, settings: Settings) -> str:
    action = (sent.action or "").upper()
    if action not in ("IMPORT", "REMOVE"):
        raise Refused("25000", "Action is missing, or neither IMPORT nor REMOVE.")
    if action == "REMOVE" and settings.strict_remove:
        for name, value in (("SipPeerId", sent.sip_peer_id), ("LoaType", sent.loa_type)):
            if value:
                raise Refused("25020", f"{name} cannot be given with the action REMOVE.")
    return action


def _get_stored_customer_order_id(sent: SentOrder, settings: Settings) -> str | None:
    dropped = settings.drop_customer_order_id
    if dropped == "always" or dropped == sent.customer_order_id_element:
        return None
    return sent.customer_order_id or None
