"""The Dashboard API: which path does what, and what it answers."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from urllib.parse import parse_qs, unquote

from airflow_provider_bandwidth.sandbox import rendering
from airflow_provider_bandwidth.sandbox.http import Answer, Request
from airflow_provider_bandwidth.sandbox.inventory import Location
from airflow_provider_bandwidth.sandbox.magic import magic_number
from airflow_provider_bandwidth.sandbox.orders import Order, OrderError, OrderFilter
from airflow_provider_bandwidth.sandbox.reading import UnreadableBodyError, read_order
from airflow_provider_bandwidth.sandbox.settings import Settings
from airflow_provider_bandwidth.sandbox.store import Store
from airflow_provider_bandwidth.sandbox.traffic import RateLimit, RequestRecord, Tokens
from airflow_provider_bandwidth.sandbox.validation import Refused, check_numbers, new_order, site_and_peer

LIST_LIMIT = 1000
"""Orders in one list answer, at most [oas1]."""


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


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: its method, the pattern of its path without prefix, and who answers."""

    operation: str
    method: str
    path: re.Pattern[str]
    handler: Handler | None


class Dashboard:
    """Answers API requests; knows nothing of faults, sockets or ASGI."""

    def __init__(self, store: Store, login: str, password: str) -> None:
        self._store = store
        self._login = login
        self._password = password
        self.tokens = Tokens()
        self.rate_limit = RateLimit()
        site = r"accounts/(?P<account>[^/]+)/sites/(?P<site>[^/]+)"
        peer = rf"{site}/sippeers/(?P<peer>[^/]+)"
        orders = r"accounts/(?P<account>[^/]+)/externalTns"
        numbers = rf"(?:{site}|accounts/(?P<account_only>[^/]+))/inserviceNumbers"
        self._routes = [
            _route("order", "GET", rf"{orders}/(?P<order>[^/]+)", self._order),
            _route("submit", "POST", orders, self._submit),
            _route("list", "GET", orders, self._list),
            _route("history", "GET", rf"{orders}/(?P<order>[^/]+)/history", self._history),
            _route("token", "POST", "oauth2/token", self._token),
            _route("check", "POST", "accounts/(?P<account>[^/]+)/importTnChecker", self._check),
            _route("peer-numbers", "GET", f"{peer}/tns", self._peer_numbers),
            _route("peer-total", "GET", f"{peer}/totaltns", self._peer_total),
            _route("in-service-total", "GET", f"{numbers}/totals", self._in_service_total),
            _route("in-service-number", "GET", rf"{numbers}/(?P<number>\d+)", self._in_service_number),
            _route("in-service-numbers", "GET", numbers, self._in_service_numbers),
            _route("account", "GET", "accounts/(?P<account>[^/]+)", self._account),
            _route("sites", "GET", "accounts/(?P<account>[^/]+)/sites", self._sites),
            _route("site", "GET", site, self._site),
            _route("peers", "GET", f"{site}/sippeers", self._peers),
            _route("peer", "GET", peer, self._peer),
        ]

    def route(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The operation a request asks for, and the names in its path; operation ``unknown`` if there is none."""
        rest = _without_prefix(path)
        known_path = False
        for route in self._routes:
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
        if route.handler is None:
            status = HTTPStatus.METHOD_NOT_ALLOWED if route is _WRONG_METHOD else HTTPStatus.NOT_FOUND
            return Answer(status)
        if route.operation == "token":
            return route.handler(call)
        refused = self._unauthenticated(call) or self._forbidden(call) or self._over_limit(call)
        if refused is not None:
            return refused
        try:
            return route.handler(call)
        except Refused as refusal:
            root = _REFUSAL_ROOTS.get(route.operation, "ErrorResponse")
            body = rendering.refusal(root, refusal.code, refusal.description)
            return Answer(refusal.status, body)

    # Who may call.

    def _unauthenticated(self, call: Call) -> Answer | None:
        kind, _, value = call.request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.tokens.accepts(value.strip()):
            call.record.auth = "bearer"
            return None
        if kind.lower() == "basic" and self._knows(value):
            call.record.auth = "basic"
            return None
        return unauthorized()

    def _knows(self, basic: str) -> bool:
        try:
            credentials = base64.b64decode(basic.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
        return credentials == f"{self._login}:{self._password}"

    def _forbidden(self, call: Call) -> Answer | None:
        if call.account_id in self._store.accounts:
            return None
        # Whether Bandwidth hides or refuses a foreign account is unknown; 1001 is its word for a missing role [oas1].
        return Answer(HTTPStatus.FORBIDDEN, rendering.refusal("ErrorResponse", "1001", "Access Denied"))

    def _over_limit(self, call: Call) -> Answer | None:
        settings = call.settings
        reset_at = self.rate_limit.exceeded(settings.requests_per_minute, settings.rate_window_seconds)
        if reset_at is None:
            return None
        return too_many_requests({"X-RateLimit-Reset": str(int(reset_at) + 1)})

    def _token(self, call: Call) -> Answer:
        request = call.request
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic" or not self._knows(value):
            answer = _json(HTTPStatus.UNAUTHORIZED, {"error": "invalid_client"})
            answer.headers.update(_CHALLENGE)
            return answer
        call.record.auth = "client"
        form = parse_qs(request.body.decode("latin-1"))
        if form.get("grant_type") != ["client_credentials"]:
            return _json(HTTPStatus.BAD_REQUEST, {"error": "unsupported_grant_type"})
        lifetime = call.settings.token_lifetime_seconds
        token = self.tokens.issue(lifetime)
        expires_in = int(lifetime) if lifetime == int(lifetime) else lifetime
        return _json(HTTPStatus.OK, {"access_token": token, "token_type": "Bearer", "expires_in": expires_in})

    # Orders.

    def _submit(self, call: Call) -> Answer:
        request = call.request
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if call.settings.strict_content_type and content_type not in ("application/xml", "text/xml"):
            return Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        try:
            sent = read_order(request.body, "ExternalTnsOrder")
        except UnreadableBodyError as error:
            raise Refused("1019", str(error)) from None
        new = new_order(sent, call.account_id, self._store.sites, self._login, call.settings)
        order = self._store.create(new, call.settings)
        location = f"http://{request.headers.get('host', '')}{request.path.rstrip('/')}/{order.order_id}"
        return Answer(
            HTTPStatus.CREATED,
            rendering.created_order(order, call.settings),
            headers={"location": location},
            order_id=order.order_id,
        )

    def _order(self, call: Call) -> Answer:
        order = self._asked_order(call)
        return Answer(HTTPStatus.OK, rendering.one_order(order, call.settings), order_id=order.order_id)

    def _history(self, call: Call) -> Answer:
        order = self._asked_order(call)
        return Answer(HTTPStatus.OK, rendering.order_history(order), order_id=order.order_id)

    def _asked_order(self, call: Call) -> Order:
        youngest = self._store.clock() - call.settings.read_lag_seconds
        try:
            order = self._store.order(call.names["order"])
        except LookupError:
            order = None
        if order is None or order.account_id != call.account_id or order.created_clock > youngest:
            # A missing order's ResponseStatus has no ErrorCode [oas1].
            raise Refused("", f"Order {call.names['order']} was not found.", HTTPStatus.NOT_FOUND)
        return order

    def _list(self, call: Call) -> Answer:
        total, orders = self._store.search(call.account_id, _filter(call.request), call.settings, limit=LIST_LIMIT)
        if not orders:
            raise Refused("", "No orders match the search.", HTTPStatus.NOT_FOUND)
        details = (call.request.parameter("orderDetails") or "").lower() == "true"
        return Answer(HTTPStatus.OK, rendering.order_list(total, orders, call.settings, details=details))

    def _check(self, call: Call) -> Answer:
        try:
            sent = read_order(call.request.body, "ImportTnCheckerPayload")
            if sent.site_id is not None:
                site_and_peer(sent, self._store.sites)
            check_numbers(sent.telephone_numbers, call.settings.max_numbers_per_order, CHECKER_CODES)
        except UnreadableBodyError as error:
            return Answer(HTTPStatus.BAD_REQUEST, rendering.checker_refusal("1019", str(error)))
        except Refused as refusal:
            body = rendering.checker_refusal(refusal.code, refusal.description)
            return Answer(HTTPStatus.BAD_REQUEST, body)
        checked = (self._checked(number, call.account_id) for number in sent.telephone_numbers)
        errors = [each for each in checked if each is not None]
        refused = {each.telephone_numbers[0] for each in errors}
        importable = [number for number in sent.telephone_numbers if number not in refused]
        return Answer(HTTPStatus.OK, rendering.checker_answer(importable, errors))

    def _checked(self, number: str, account_id: str) -> OrderError | None:
        row = magic_number(number, "IMPORT")
        if row is not None and row.checker_code:
            return OrderError(row.checker_code, row.text(number), (number,))
        hosted = self._store.hosted(number)
        if hosted is None or (hosted.imported and hosted.location.account_id == account_id):
            return None
        if hosted.imported:
            return OrderError("19008", "The telephone number is hosted for another account.", (number,))
        return OrderError("19006", "The telephone number belongs to Bandwidth.", (number,))

    # Inventory.

    def _peer_numbers(self, call: Call) -> Answer:
        location = self._location(call)
        start, size = _page(call.request, 5000)
        numbers, following = self._store.page([location], start, size)
        if not numbers:
            return Answer(HTTPStatus.NO_CONTENT)
        attributes = (call.request.parameter("includeAttributes") or "true").lower() != "false"
        links = rendering.page_links(self._links_url(call), size, following)
        return Answer(HTTPStatus.OK, rendering.peer_numbers(numbers, links, attributes=attributes))

    def _peer_total(self, call: Call) -> Answer:
        return Answer(HTTPStatus.OK, rendering.peer_total(self._store.total([self._location(call)])))

    def _in_service_numbers(self, call: Call) -> Answer:
        locations = self._locations(call)
        start, size = _page(call.request, 300)
        numbers, following = self._store.page(locations, start, size)
        if not numbers:
            return Answer(HTTPStatus.NO_CONTENT)
        links = rendering.page_links(self._links_url(call), size, following)
        return Answer(HTTPStatus.OK, rendering.in_service_numbers(self._store.total(locations), numbers, links))

    def _in_service_total(self, call: Call) -> Answer:
        return Answer(HTTPStatus.OK, rendering.in_service_total(self._store.total(self._locations(call))))

    def _in_service_number(self, call: Call) -> Answer:
        hosted = self._store.hosted(call.names["number"])
        found = hosted is not None and hosted.location in self._locations(call)
        return Answer(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)

    def _links_url(self, call: Call) -> str:
        return f"{call.settings.links_base}/{_without_prefix(call.request.path)}"

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

    # Account, sites and peers.

    def _account(self, call: Call) -> Answer:
        return Answer(HTTPStatus.OK, rendering.account(call.account_id))

    def _sites(self, _: Call) -> Answer:
        return Answer(HTTPStatus.OK, rendering.site_list(self._store.sites))

    def _site(self, call: Call) -> Answer:
        self._site_peers(call)
        return Answer(HTTPStatus.OK, rendering.one_site(call.names["site"]))

    def _peers(self, call: Call) -> Answer:
        return Answer(HTTPStatus.OK, rendering.peer_list(self._site_peers(call)))

    def _peer(self, call: Call) -> Answer:
        location = self._location(call)
        return Answer(HTTPStatus.OK, rendering.one_peer(location.sip_peer_id, self._site_peers(call)[0]))


CHECKER_CODES = ("7316", "7314", "7360")
"""What importTnChecker says of no, too many and duplicate numbers."""

_CHALLENGE = {"www-authenticate": 'Basic realm="Bandwidth Sandbox"'}

_REFUSAL_ROOTS = {
    "submit": "ExternalTnsOrderResponse",
    "order": "ExternalTnsOrderResponse",
    "history": "ExternalTnsOrderReportResponse",
    "list": "ExternalTnsOrders",
    "peer-numbers": "SipPeerTelephoneNumbersResponse",
    "in-service-numbers": "TNs",
}


def _route(operation: str, method: str, path: str, handler: Handler) -> Route:
    return Route(operation, method, re.compile(path, re.IGNORECASE), handler)


_UNKNOWN = Route("unknown", "", re.compile(""), None)
_WRONG_METHOD = Route("unknown", "", re.compile(""), None)

_PREFIXED = re.compile(r"/(?:api/v1/|api/|v1\.0/)?(accounts(?:/.*)?)|/api/v1/(oauth2/token)", re.IGNORECASE)


def _without_prefix(path: str) -> str:
    """A path without the API's prefix and closing slash; empty if it has no known prefix."""
    match = _PREFIXED.fullmatch(path.rstrip("/"))
    return (match[1] or match[2]) if match is not None else ""


def unauthorized() -> Answer:
    """401 with a challenge and no body [java]."""
    return Answer(HTTPStatus.UNAUTHORIZED, headers=dict(_CHALLENGE))


def too_many_requests(headers: dict[str, str]) -> Answer:
    """429, whose body is empty [rate]."""
    return Answer(HTTPStatus.TOO_MANY_REQUESTS, headers=headers)


def _json(status: int, content: object) -> Answer:
    headers = {"cache-control": "no-store"}
    return Answer(status, json.dumps(content).encode(), content_type="application/json", headers=headers)


_STATUSES = frozenset({"RECEIVED", "PROCESSING", "COMPLETE", "PARTIAL", "FAILED"})


def _filter(request: Request) -> OrderFilter:
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
        action=_one_of(request, "action", ("IMPORT", "REMOVE")),
        loa_type=_one_of(request, "loaType", ("CARRIER", "SUBSCRIBER")),
        created_from=_date(request, "createdDateFrom"),
        created_to=_date(request, "createdDateTo"),
        modified_from=_date(request, "modifiedDateFrom"),
        modified_to=_date(request, "modifiedDateTo"),
    )


def _one_of(request: Request, name: str, choices: tuple[str, ...]) -> str | None:
    value = (request.parameter(name) or "ALL").upper()
    if value == "ALL":
        return None
    if value not in choices:
        raise Refused("1019", f"{name} is one of {', '.join(choices)}, ALL.")
    return value


def _date(request: Request, name: str) -> str | None:
    value = request.parameter(name)
    if value is None:
        return None
    try:
        day = datetime.strptime(value, "%Y-%m-%d")  # noqa: DTZ007 - only checked, never used as a moment
    except ValueError:
        raise Refused("51001", f"{name} is not a date of the form yyyy-MM-dd.") from None
    return f"{day:%Y-%m-%d}"


def _page(request: Request, default_size: int) -> tuple[str, int]:
    """The cursor and size of a page: ``page`` is the first number to show, 1 for the start (reference, section 5)."""
    page = request.parameter("page") or "1"
    if page != "1" and not re.fullmatch(r"\d{10}", page):
        raise Refused("15516", "page is a ten-digit telephone number, or 1 for the first page.")
    size = request.parameter("size") or str(default_size)
    if not re.fullmatch(r"[1-9]\d{0,6}", size):
        raise Refused("1006", "size is a positive number.")
    return "" if page == "1" else page, int(size)
