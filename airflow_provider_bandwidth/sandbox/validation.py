"""What requests must be, whatever their kind: checks that refuse a request as a whole (reference, 2.1 and 8)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from airflow_provider_bandwidth.sandbox.magic import Effect, find_magic_number
from airflow_provider_bandwidth.sandbox.request_xml import SentOrder
from airflow_provider_bandwidth.sandbox.settings import Settings

CUSTOMER_ORDER_ID: Final = re.compile(r"[A-Za-z0-9 -]{1,40}")
_TOLL_FREE: Final = re.compile(r"8(?:00|22|33|44|55|66|77|88)")
_NANP: Final = re.compile(r"(?![0-9]11)[2-9][0-9]{2}(?![0-9]11)[2-9][0-9]{6}")


class Refused(Exception):  # noqa: N818 - an answer, not a mistake of ours
    """The request is answered with a refusal.

    :param code: Bandwidth's error code; empty where it gives none
    :param others: more errors of the same answer, as code and description
    """

    def __init__(
        self,
        code: str,
        description: str,
        status: int = HTTPStatus.BAD_REQUEST,
        others: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(description)
        self.status = status
        #: Every error as code and description, the first problem first.
        self.errors = ((code, description), *others)


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
        if is_toll_free(number):
            raise Refused("5126", f"{number} is a toll-free telephone number.")


def read_numbers(numbers: Sequence[str], settings: Settings, *, e164: bool) -> tuple[str, ...]:
    """Telephone numbers as sent, made ten digits where they are North American.

    :param e164: whether they are written ``+1...``, as version 2 of the API wants
    :raises Refused: for a number without the plus sign there, unless the setting ``ten_digits_on_v2`` allows it
    """
    if not e164:
        return tuple(numbers)
    for number in numbers:
        if not number.startswith("+") and not (settings.ten_digits_on_v2 and is_nanp(number)):
            raise Refused("1022", f"The telephone number {number} is not in E.164. Try again with E.164.")  # [cli]
    return tuple(number.removeprefix("+1") for number in numbers)


def is_toll_free(number: str) -> bool:
    """Whether a number of ten digits is toll-free."""
    return _TOLL_FREE.match(number) is not None


def is_nanp(text: str) -> bool:
    """Whether ``text`` is ten digits in the shape of the North American plan."""
    return _NANP.fullmatch(text) is not None


def check_magic(numbers: Sequence[str], action: str) -> None:
    """Refuse an order with a number whose line refuses it.

    :raises Refused: for the first such number
    """
    for number in numbers:
        row = find_magic_number(number, action)
        if row is not None and row.effect is Effect.REFUSED:
            raise Refused(row.codes[0], row.text(number))


def get_stored_customer_order_id(sent: SentOrder, settings: Settings) -> str | None:
    """The customer order id as it is kept (setting ``drop_customer_order_id``)."""
    dropped = settings.drop_customer_order_id
    if dropped == "always" or dropped == sent.customer_order_id_element:
        return None
    return sent.customer_order_id or None
