"""The Dashboard API: which path does what, and what it answers."""

from __future__ import annotations

import base64
import binascii
import email.utils
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, unquote

from airflow_provider_bandwidth.sandbox import rendering
from airflow_provider_bandwidth.sandbox.http import Answer, Request
from airflow_provider_bandwidth.sandbox.inventory import HostedNumber, Inventory, Location
from airflow_provider_bandwidth.sandbox.magic import find_magic_number
from airflow_provider_bandwidth.sandbox.orders import Order, OrderError, OrderFilter
from airflow_provider_bandwidth.sandbox.request_xml import UnreadableBodyError, read_order
from airflow_provider_bandwidth.sandbox.settings import Settings
from airflow_provider_bandwidth.sandbox.store import Store
from airflow_provider_bandwidth.sandbox.traffic import RateLimit, RequestRecord, Tokens
from airflow_provider_bandwidth.sandbox.validation import Refused, check_numbers, find_site_and_peer, make_order

#: Orders in one list answer, at most [oas1].
LIST_LIMIT: Final = 1000


@dataclass(frozen=True, slots=True)
class Call:
    """A request on its way: what the path named, who sent it, and the settings it is handled under."""

    request: Request
    names: Mapping[str, str]
    settings: Settings
    record: RequestRecord

    @property
    def account_id(self) -> str:
        """The account in the path."""
        return self.names["account"]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: its method, the pattern of its path without prefix, and who answers."""

    operation: str
    method: str
    path: re.Pattern[str]
    handler: Callable[[Dashboard, Call], Answer] | None


class Dashboard:
    """Answers API requests; knows nothing of faults, sockets or ASGI."""

    def __init__(self, store: Store, login: str, password: str) -> None:
        self._store = store
        self._login = login
        self._password = password
        self.tokens = Tokens()
        self.rate_limit = RateLimit()

    def route(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The operation a request asks for, and the names in its path; operation ``unknown`` if there is none."""
        rest = _strip_prefix(path)
        known_path = False
        for route in ROUTES:
            match = route.path.fullmatch(rest)
            if match is None:
                continue
            known_path = True
            if route.method == method:
                names = {name: unquote(value) for name, value in match.groupdict().items() if value is not None}
                if "account_only" in names:
                    names["account"] = names.pop("account_only")
                return route, names
        return (_WRONG_METHOD if known_path else _UNKNOWN), {}

    def answer(self, route: Route, call: Call) -> Answer:
        """Answer a request: credentials, account and rate limit first, then the operation itself."""
        answer = self._handle(route, call)
        answer.headers["date"] = self.format_date(call.settings)
        return answer

    def format_date(self, settings: Settings) -> str:
        """The Date header of an answer that is given now."""
        moment = self._store.now() + timedelta(seconds=settings.clock_skew_seconds)
        return email.utils.format_datetime(moment, usegmt=True)

    def _handle(self, route: Route, call: Call) -> Answer:
        if route.handler is None:
            status = HTTPStatus.METHOD_NOT_ALLOWED if route is _WRONG_METHOD else HTTPStatus.NOT_FOUND
            return Answer(status)
        if route.operation == "token":
            return route.handler(self, call)
        refused = self._check_credentials(call) or self._check_account(call) or self._check_rate_limit(call)
        if refused is not None:
            return refused
        try:
            return route.handler(self, call)
        except Refused as refusal:
            root = _REFUSAL_ROOTS.get(route.operation, "ErrorResponse")
            body = rendering.write_refusal(root, refusal.code, refusal.description)
            return Answer(refusal.status, body)

    # --- who may call ---

    def rotate_secret(self, password: str) -> None:
        """Accept another password from now on; tokens stay good."""
        self._password = password

    def _check_credentials(self, call: Call) -> Answer | None:
        kind, _, value = call.request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.tokens.accepts(value.strip()):
            call.record.auth = "bearer"
            return None
        if kind.lower() == "basic" and call.settings.basic_auth and self._accepts_login(value):
            call.record.auth = "basic"
            return None
        return refuse_credentials()

    def _accepts_login(self, basic: str) -> bool:
        try:
            credentials = base64.b64decode(basic.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
        return credentials == f"{self._login}:{self._password}"

    def _check_account(self, call: Call) -> Answer | None:
        if call.account_id in self._store.accounts:
            return None
        # Whether Bandwidth hides or refuses a foreign account is unknown; 1001 is its word for a missing role [oas1].
        return Answer(HTTPStatus.FORBIDDEN, rendering.write_refusal("ErrorResponse", "1001", "Access Denied"))

    def _check_rate_limit(self, call: Call) -> Answer | None:
        settings = call.settings
        reset_at = self.rate_limit.exceeded(settings.requests_per_minute, settings.rate_window_seconds)
        if reset_at is None:
            return None
        return too_many_requests({"X-RateLimit-Reset": str(int(reset_at + settings.clock_skew_seconds) + 1)})

    def issue_token(self, call: Call) -> Answer:
        """Answer with a new OAuth2 token."""
        request = call.request
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic" or not self._accepts_login(value):
            answer = _make_json_answer(HTTPStatus.UNAUTHORIZED, {"error": "invalid_client"})
            answer.headers.update(_CHALLENGE)
            return answer
        call.record.auth = "client"
        form = parse_qs(request.body.decode("latin-1"))
        if form.get("grant_type") != ["client_credentials"]:
            return _make_json_answer(HTTPStatus.BAD_REQUEST, {"error": "unsupported_grant_type"})
        lifetime = call.settings.token_lifetime_seconds
        token = self.tokens.issue(lifetime)
        content: dict[str, object] = {"access_token": token, "token_type": "Bearer"}
        if call.settings.expires_in == "zero":
            content["expires_in"] = 0
        elif call.settings.expires_in == "sent":
            content["expires_in"] = int(lifetime) if lifetime == int(lifetime) else lifetime
        return _make_json_answer(HTTPStatus.OK, content)

    # --- orders ---

    def submit(self, call: Call) -> Answer:
        """Store a new order."""
        request = call.request
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if call.settings.strict_content_type and content_type not in ("application/xml", "text/xml"):
            return Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        try:
            sent = read_order(request.body, "ExternalTnsOrder")
        except UnreadableBodyError as error:
            raise Refused("1019", str(error)) from None
        new = make_order(sent, call.account_id, self._store.sites, self._login, call.settings)
        order = self._store.create(new, call.settings)
        location = f"http://{request.headers.get('host', '')}{request.path.rstrip('/')}/{order.order_id}"
        return Answer(
            HTTPStatus.CREATED,
            rendering.write_created_order(order, call.settings),
            headers={"location": location},
            order_id=order.order_id,
        )

    def show_order(self, call: Call) -> Answer:
        """Answer with one order."""
        order = self._find_order(call)
        return Answer(HTTPStatus.OK, rendering.write_order(order, call.settings), order_id=order.order_id)

    def show_history(self, call: Call) -> Answer:
        """Answer with the history of an order."""
        order = self._find_order(call)
        return Answer(HTTPStatus.OK, rendering.write_order_history(order, call.settings), order_id=order.order_id)

    def _find_order(self, call: Call) -> Order:
        youngest = self._store.clock() - call.settings.read_lag_seconds
        try:
            order = self._store.order(call.names["order"])
        except LookupError:
            order = None
        if order is None or order.account_id != call.account_id or order.created_clock > youngest:
            # A missing order's ResponseStatus has no ErrorCode [oas1].
            raise Refused("", f"Order {call.names['order']} was not found.", HTTPStatus.NOT_FOUND)
        return order

    def list_orders(self, call: Call) -> Answer:
        """Answer with the orders that meet the query."""
        total, orders = self._store.search(
            call.account_id, _parse_filter(call.request, call.settings), call.settings, limit=LIST_LIMIT
        )
        if not orders:
            raise Refused("", "No orders match the search.", HTTPStatus.NOT_FOUND)
        details = (call.request.parameter("orderDetails") or "").lower() == "true"
        return Answer(HTTPStatus.OK, rendering.write_order_list(total, orders, call.settings, details=details))

    def check_import(self, call: Call) -> Answer:
        """Answer which numbers could be imported."""
        try:
            sent = read_order(call.request.body, "ImportTnCheckerPayload")
            if sent.site_id is not None:
                find_site_and_peer(sent, self._store.sites)
            check_numbers(sent.telephone_numbers, call.settings.max_numbers_per_order, CHECKER_CODES)
        except UnreadableBodyError as error:
            return Answer(HTTPStatus.BAD_REQUEST, rendering.write_checker_refusal("1019", str(error)))
        except Refused as refusal:
            body = rendering.write_checker_refusal(refusal.code, refusal.description)
            return Answer(HTTPStatus.BAD_REQUEST, body)
        checked = (self._check_number(number, call.account_id) for number in sent.telephone_numbers)
        errors = [each for each in checked if each is not None]
        refused = {each.telephone_numbers[0] for each in errors}
        importable = [number for number in sent.telephone_numbers if number not in refused]
        return Answer(HTTPStatus.OK, rendering.write_checker_answer(importable, errors))

    def _check_number(self, number: str, account_id: str) -> OrderError | None:
        row = find_magic_number(number, "IMPORT")
        if row is not None and row.checker_code:
            return OrderError(row.checker_code, row.text(number), (number,))
        hosted = self._store.hosted(number)
        if hosted is None or (hosted.imported and hosted.location.account_id == account_id):
            return None
        if hosted.imported:
            return OrderError("19008", "The telephone number is hosted for another account.", (number,))
        return OrderError("19006", "The telephone number belongs to Bandwidth.", (number,))

    # --- inventory ---

    def list_peer_numbers(self, call: Call) -> Answer:
        """Answer with a page of a peer's numbers; 204 when it has none."""
        numbers, links = self._read_page(call, [self._location(call)], 5000)
        if not numbers:
            return Answer(HTTPStatus.NO_CONTENT)
        attributes = (call.request.parameter("includeAttributes") or "true").lower() != "false"
        return Answer(HTTPStatus.OK, rendering.write_peer_numbers(numbers, links, attributes=attributes))

    def count_peer_numbers(self, call: Call) -> Answer:
        """Answer with the peer's own count."""
        return Answer(HTTPStatus.OK, rendering.write_peer_total(self._count(call, [self._location(call)])))

    def list_in_service_numbers(self, call: Call) -> Answer:
        """Answer with a page of in-service numbers; 204 when there are none."""
        locations = self._locations(call)
        numbers, links = self._read_page(call, locations, 300)
        if not numbers:
            return Answer(HTTPStatus.NO_CONTENT)
        return Answer(HTTPStatus.OK, rendering.write_in_service_numbers(self._count(call, locations), numbers, links))

    def count_in_service_numbers(self, call: Call) -> Answer:
        """Answer how many numbers are in service."""
        return Answer(HTTPStatus.OK, rendering.write_in_service_total(self._count(call, self._locations(call))))

    def _read_page(
        self, call: Call, locations: Sequence[Location], default_size: int
    ) -> tuple[list[HostedNumber], str]:
        """The numbers and the Links of a page, broken as the setting ``inventory_pages`` says."""
        start, size = _parse_page(call.request, default_size)
        inventory = self._inventory(call)
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
        return numbers, rendering.write_page_links(self._links_url(call), size, following)

    def _count(self, call: Call, locations: Sequence[Location]) -> int:
        return self._inventory(call).total(locations)

    def _inventory(self, call: Call) -> Store | Inventory:
        lag = call.settings.inventory_lag_seconds
        return self._store.rewind(lag) if lag else self._store

    def find_in_service_number(self, call: Call) -> Answer:
        """Answer 200 or 404: whether a number is in service."""
        hosted = self._store.hosted(call.names["number"])
        found = hosted is not None and hosted.location in self._locations(call)
        return Answer(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)

    def _links_url(self, call: Call) -> str:
        return f"{call.settings.links_base}/{_strip_prefix(call.request.path)}"

    def _locations(self, call: Call) -> list[Location]:
        site_id = call.names.get("site")
        if site_id is not None:
            self._site_peers(call)
        return self._store.locations(call.account_id, site_id)

    def _location(self, call: Call) -> Location:
        if call.names["peer"] not in self._site_peers(call):
            raise Refused("13563", f"SIP peer {call.names['peer']} does not exist.", HTTPStatus.NOT_FOUND)
        return Location(call.account_id, call.names["site"], call.names["peer"])

    def _site_peers(self, call: Call) -> tuple[str, ...]:
        peers = self._store.sites.get(call.names["site"])
        if peers is None:
            raise Refused("12016", f"Site {call.names['site']} does not exist.", HTTPStatus.NOT_FOUND)
        return peers

    # --- account, sites and peers ---

    def show_account(self, call: Call) -> Answer:
        """Answer with the account."""
        return Answer(HTTPStatus.OK, rendering.write_account(call.account_id))

    def list_sites(self, _: Call) -> Answer:
        """Answer with the sites."""
        return Answer(HTTPStatus.OK, rendering.write_site_list(self._store.sites))

    def show_site(self, call: Call) -> Answer:
        """Answer with one site."""
        self._site_peers(call)
        return Answer(HTTPStatus.OK, rendering.write_site(call.names["site"]))

    def list_peers(self, call: Call) -> Answer:
        """Answer with a site's peers."""
        return Answer(HTTPStatus.OK, rendering.write_peer_list(self._site_peers(call)))

    def show_peer(self, call: Call) -> Answer:
        """Answer with one peer."""
        location = self._location(call)
        return Answer(HTTPStatus.OK, rendering.write_peer(location.sip_peer_id, self._site_peers(call)[0]))


#: What importTnChecker says of no, too many and duplicate numbers.
CHECKER_CODES: Final = ("7316", "7314", "7360")

_CHALLENGE: Final = {"www-authenticate": 'Basic realm="Bandwidth Sandbox"'}

_REFUSAL_ROOTS: Final = {
    "submit": "ExternalTnsOrderResponse",
    "order": "ExternalTnsOrderResponse",
    "history": "ExternalTnsOrderReportResponse",
    "list": "ExternalTnsOrders",
    "peer-numbers": "SipPeerTelephoneNumbersResponse",
    "in-service-numbers": "TNs",
}


def _route(operation: str, method: str, path: str, handler: Callable[[Dashboard, Call], Answer]) -> Route:
    return Route(operation, method, re.compile(path, re.IGNORECASE), handler)


_SITE: Final = r"accounts/(?P<account>[^/]+)/sites/(?P<site>[^/]+)"
_PEER: Final = rf"{_SITE}/sippeers/(?P<peer>[^/]+)"
_ORDERS: Final = r"accounts/(?P<account>[^/]+)/externalTns"
_NUMBERS: Final = rf"(?:{_SITE}|accounts/(?P<account_only>[^/]+))/inserviceNumbers"
#: Every operation of the API. The first route that fits a path counts.
ROUTES: Final = (
    _route("order", "GET", rf"{_ORDERS}/(?P<order>[^/]+)", Dashboard.show_order),
    _route("submit", "POST", _ORDERS, Dashboard.submit),
    _route("list", "GET", _ORDERS, Dashboard.list_orders),
    _route("history", "GET", rf"{_ORDERS}/(?P<order>[^/]+)/history", Dashboard.show_history),
    _route("token", "POST", "oauth2/token", Dashboard.issue_token),
    _route("check", "POST", "accounts/(?P<account>[^/]+)/importTnChecker", Dashboard.check_import),
    _route("peer-numbers", "GET", f"{_PEER}/tns", Dashboard.list_peer_numbers),
    _route("peer-total", "GET", f"{_PEER}/totaltns", Dashboard.count_peer_numbers),
    _route("in-service-total", "GET", f"{_NUMBERS}/totals", Dashboard.count_in_service_numbers),
    _route("in-service-number", "GET", rf"{_NUMBERS}/(?P<number>\d+)", Dashboard.find_in_service_number),
    _route("in-service-numbers", "GET", _NUMBERS, Dashboard.list_in_service_numbers),
    _route("account", "GET", "accounts/(?P<account>[^/]+)", Dashboard.show_account),
    _route("sites", "GET", "accounts/(?P<account>[^/]+)/sites", Dashboard.list_sites),
    _route("site", "GET", _SITE, Dashboard.show_site),
    _route("peers", "GET", f"{_SITE}/sippeers", Dashboard.list_peers),
    _route("peer", "GET", _PEER, Dashboard.show_peer),
)
#: The name of every operation, as requests are logged and faults are aimed.
OPERATIONS: Final = tuple(route.operation for route in ROUTES)

_UNKNOWN: Final = Route("unknown", "", re.compile(""), None)
_WRONG_METHOD: Final = Route("unknown", "", re.compile(""), None)

_PREFIXED: Final = re.compile(r"/(?:api/v1/|api/|v1\.0/)?(accounts(?:/.*)?)|/api/v1/(oauth2/token)", re.IGNORECASE)


def _strip_prefix(path: str) -> str:
    """A path without the API's prefix and closing slash; empty if it has no known prefix."""
    match = _PREFIXED.fullmatch(path.rstrip("/"))
    return (match[1] or match[2]) if match is not None else ""


def refuse_credentials() -> Answer:
    """401 with a challenge and no body [java]."""
    return Answer(HTTPStatus.UNAUTHORIZED, headers=dict(_CHALLENGE))


def too_many_requests(headers: dict[str, str]) -> Answer:
    """429, whose body is empty [rate]."""
    return Answer(HTTPStatus.TOO_MANY_REQUESTS, headers=headers)


def _make_json_answer(status: int, content: object) -> Answer:
    headers = {"cache-control": "no-store"}
    return Answer(status, json.dumps(content).encode(), content_type="application/json", headers=headers)


_STATUSES: Final = frozenset({"RECEIVED", "PROCESSING", "COMPLETE", "PARTIAL", "FAILED"})


def _parse_filter(request: Request, settings: Settings) -> OrderFilter:
    statuses = frozenset(status.upper() for status in request.parameters.get("status", []) if status)
    if statuses - _STATUSES:
        known = ", ".join(sorted(_STATUSES)).lower()
        raise Refused("15518", f"status is one of {known}.")
    fragment = request.parameter("orderIdFragment")
    return OrderFilter(
        statuses=statuses,
        telephone_number=request.parameter("tn"),
        customer_order_id=request.parameter("customerOrderId"),
        order_id_fragment=fragment.lower() if fragment else None,
        action=_parse_choice(request, "action", ("IMPORT", "REMOVE")),
        loa_type=_parse_choice(request, "loaType", ("CARRIER", "SUBSCRIBER")),
        created_from=_parse_date(request, "createdDateFrom"),
        created_to=_parse_date(request, "createdDateTo"),
        modified_from=_parse_date(request, "modifiedDateFrom"),
        modified_to=_parse_date(request, "modifiedDateTo"),
        skew=timedelta(seconds=settings.clock_skew_seconds),
    )


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


def _parse_page(request: Request, default_size: int) -> tuple[str, int]:
    """The cursor and size of a page: ``page`` is the first number to show, 1 for the start (reference, section 5)."""
    page = request.parameter("page") or "1"
    if page != "1" and not re.fullmatch(r"\d{10}", page):
        raise Refused("15516", "page is a ten-digit telephone number, or 1 for the first page.")
    size = request.parameter("size") or str(default_size)
    if not re.fullmatch(r"[1-9]\d{0,6}", size):
        raise Refused("1006", "size is a positive number.")
    return "" if page == "1" else page, int(size)
