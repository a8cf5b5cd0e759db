"""The inventory, the sites and the SIP peers of an account (reference, section 5)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from airflow_provider_bandwidth.sandbox.calls import ACCOUNT, PEER, SITE, Call, make_routes, split_path
from airflow_provider_bandwidth.sandbox.http import Answer
from airflow_provider_bandwidth.sandbox.inventory import HostedNumber, Inventory, Location
from airflow_provider_bandwidth.sandbox.inventory_xml import (
    write_account,
    write_in_service_numbers,
    write_in_service_total,
    write_page_links,
    write_peer,
    write_peer_list,
    write_peer_numbers,
    write_peer_total,
    write_site,
    write_site_list,
)
from airflow_provider_bandwidth.sandbox.store import Store
from airflow_provider_bandwidth.sandbox.validation import Refused


def list_peer_numbers(call: Call) -> Answer:
    """Answer with a page of a peer's numbers; 204 when it has none."""
    numbers, links = _read_page(call, [get_location(call)], 5000)
    if not numbers:
        return Answer(HTTPStatus.NO_CONTENT)
    attributes = (call.request.parameter("includeAttributes") or "true").lower() != "false"
    return Answer(HTTPStatus.OK, write_peer_numbers(numbers, links, call.view, attributes=attributes))


def count_peer_numbers(call: Call) -> Answer:
    """Answer with the peer's own count."""
    return Answer(HTTPStatus.OK, write_peer_total(_count(call, [get_location(call)])))


def list_in_service_numbers(call: Call) -> Answer:
    """Answer with a page of in-service numbers; 204 when there are none."""
    locations = _locations(call)
    numbers, links = _read_page(call, locations, 300)
    if not numbers:
        return Answer(HTTPStatus.NO_CONTENT)
    return Answer(HTTPStatus.OK, write_in_service_numbers(_count(call, locations), numbers, links, call.view))


def count_in_service_numbers(call: Call) -> Answer:
    """Answer how many numbers are in service."""
    return Answer(HTTPStatus.OK, write_in_service_total(_count(call, _locations(call))))


def _read_page(call: Call, locations: Sequence[Location], default_size: int) -> tuple[list[HostedNumber], str]:
    """The numbers and the Links of a page, broken as the setting ``inventory_pages`` says."""
    start, size = _parse_page(call, default_size)
    inventory = _inventory(call)
    numbers, following = inventory.page(locations, start, size)
    broken = call.settings.inventory_pages
    if broken == "empty":
        numbers = []
    elif broken == "cut":
        numbers, following = numbers[: len(numbers) // 2], None
    elif broken == "repeat" and numbers:
        following = numbers[0].telephone_number
    elif broken == "skip" and following is not None:
        _, following = inventory.page(locations, following, size)
    cursor = call.view.number(following) if following is not None else None
    return numbers, write_page_links(_links_url(call), size, cursor)


def _count(call: Call, locations: Sequence[Location]) -> int:
    return _inventory(call).total(locations)


def _inventory(call: Call) -> Store | Inventory:
    lag = call.settings.inventory_lag_seconds
    return call.store.rewind(lag) if lag else call.store


def find_in_service_number(call: Call) -> Answer:
    """Answer 200 or 404: whether a number is in service."""
    hosted = call.store.hosted(call.names["number"].removeprefix("+1"))
    found = hosted is not None and hosted.location in _locations(call)
    return Answer(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)


def _links_url(call: Call) -> str:
    return f"{call.settings.links_base}/{split_path(call.request.path)[1]}"


def _locations(call: Call) -> list[Location]:
    site_id = call.names.get("site")
    if site_id is not None:
        _site_peers(call)
    return call.store.locations(call.account_id, site_id)


def get_location(call: Call) -> Location:
    """The SIP peer that the path names.

    :raises Refused: if there is none
    """
    if call.names["peer"] not in _site_peers(call):
        raise Refused("13563", f"SIP peer {call.names['peer']} does not exist.", HTTPStatus.NOT_FOUND)
    return Location(call.account_id, call.names["site"], call.names["peer"])


def _site_peers(call: Call) -> tuple[str, ...]:
    peers = call.store.sites.get(call.names["site"])
    if peers is None:
        raise Refused("12016", f"Site {call.names['site']} does not exist.", HTTPStatus.NOT_FOUND)
    return peers


def show_account(call: Call) -> Answer:
    """Answer with the account."""
    return Answer(HTTPStatus.OK, write_account(call.account_id))


def list_sites(call: Call) -> Answer:
    """Answer with the sites."""
    return Answer(HTTPStatus.OK, write_site_list(call.store.sites))


def show_site(call: Call) -> Answer:
    """Answer with one site."""
    _site_peers(call)
    return Answer(HTTPStatus.OK, write_site(call.names["site"]))


def list_peers(call: Call) -> Answer:
    """Answer with a site's peers."""
    return Answer(HTTPStatus.OK, write_peer_list(_site_peers(call)))


def show_peer(call: Call) -> Answer:
    """Answer with one peer."""
    location = get_location(call)
    return Answer(HTTPStatus.OK, write_peer(location.sip_peer_id, _site_peers(call)[0]))


def _parse_page(call: Call, default_size: int) -> tuple[str, int]:
    """The cursor and size of a page: ``page`` is the first number to show, 1 for the start (reference, section 5)."""
    page = call.request.parameter("page") or "1"
    if page != "1" and not re.fullmatch(r"(\+1)?\d{10}" if call.view.e164 else r"\d{10}", page):
        raise Refused("15516", "page is a ten-digit telephone number, or 1 for the first page.")
    size = call.request.parameter("size") or str(default_size)
    if not re.fullmatch(r"[1-9]\d{0,6}", size):
        raise Refused("1006", "size is a positive number.")
    return "" if page == "1" else page.removeprefix("+1"), int(size)


_REPORTING: Final = "reporting"
_NUMBERS: Final = rf"(?:{SITE}|accounts/(?P<account_only>[^/]+))/inserviceNumbers"

ROUTES: Final = (
    *make_routes("peer-numbers", "GET", f"{PEER}/tns", list_peer_numbers),
    *make_routes("peer-total", "GET", f"{PEER}/totaltns", count_peer_numbers),
    *make_routes("in-service-total", "GET", f"{_NUMBERS}/totals", count_in_service_numbers, role=_REPORTING),
    *make_routes(
        "in-service-number", "GET", rf"{_NUMBERS}/(?P<number>\+?\d+)", find_in_service_number, role=_REPORTING
    ),
    *make_routes("in-service-numbers", "GET", _NUMBERS, list_in_service_numbers, role=_REPORTING),
    *make_routes("account", "GET", ACCOUNT, show_account),
    *make_routes("sites", "GET", f"{ACCOUNT}/sites", list_sites),
    *make_routes("site", "GET", SITE, show_site),
    *make_routes("peers", "GET", f"{SITE}/sippeers", list_peers),
    *make_routes("peer", "GET", PEER, show_peer),
)
