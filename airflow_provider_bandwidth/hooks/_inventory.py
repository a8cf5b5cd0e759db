"""The telephone numbers of a SIP peer, page by page: read to the end, or not at all. Pure."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from airflow_provider_bandwidth.exceptions import InvalidResponseError
from airflow_provider_bandwidth.wire.answers import Answer, errors_naming_call
from airflow_provider_bandwidth.wire.inventory import SipPeerTelephoneNumberPage, read_sip_peer_telephone_numbers


class SipPeerTelephoneNumber(NamedTuple):
    """A telephone number of a SIP peer.

    :param telephone_number: ten digits; a number from elsewhere as Bandwidth shows it
    :param is_imported: whether an order brought it; ``False`` if it may be one that Bandwidth owns
    """

    telephone_number: str
    is_imported: bool


def iter_pages(get_page: Callable[[str], Answer]) -> Iterator[SipPeerTelephoneNumberPage]:
    """All pages of an inventory, while they are read.

    :param get_page: gets the page of that name of Bandwidth's: a 200, or a 204 where there is nothing
    :raises InvalidResponseError: the pages cannot be read to the end: one comes twice, brings no new number, or is not
        there. Nothing can be made of half an inventory: live numbers would be imported again
    """
    page: str | None = "1"
    pages: set[str] = set()
    seen: list[array[int]] = []
    while page is not None:
        pages.add(page)
        answer = get_page(page)
        with errors_naming_call(answer):
            if answer.status == 204:
                if len(pages) > 1:
                    raise InvalidResponseError(f"Page {len(pages)}, which the page before had named, is not there.")
                return
            read = read_sip_peer_telephone_numbers(answer.body)
            found = (*read.external_telephone_numbers, *read.other_telephone_numbers)
            page = read.next_page
            if page in pages or (page is not None and not _add_new(found, seen)):
                raise InvalidResponseError(
                    f"Page {len(pages)} leads on but brings nothing new: the numbers cannot be read to the end."
                )
        yield read


def _add_new(numbers: Sequence[str], seen: list[array[int]]) -> bool:
    """Remember the numbers of a page, in eight bytes each; whether one of them is new.

    :param seen: those of the pages before
    """
    hashes = array("q", sorted(map(hash, numbers)))
    is_new = any(all(not _contains(page, number) for page in seen) for number in hashes)
    seen.append(hashes)
    return is_new


def _contains(ordered: array[int], number: int) -> bool:
    place = bisect_left(ordered, number)
    return place < len(ordered) and ordered[place] == number
