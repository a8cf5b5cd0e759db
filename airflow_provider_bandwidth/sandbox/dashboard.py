"""Bandwidth's API: which path does what, who may call, and how all others are refused."""

from __future__ import annotations

import base64
import binascii
import email.utils
import json
import math
import time
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, unquote

from airflow_provider_bandwidth.sandbox import (
    checker,
    international,
    messaging_api,
    numbers_api,
    order_kinds,
    readiness,
)
from airflow_provider_bandwidth.sandbox.calls import Call, Route, make_routes, split_path
from airflow_provider_bandwidth.sandbox.http import Answer, Request
from airflow_provider_bandwidth.sandbox.settings import ORDER_APIS, Settings
from airflow_provider_bandwidth.sandbox.store import Store
from airflow_provider_bandwidth.sandbox.traffic import RateLimit, RequestRecord, Tokens
from airflow_provider_bandwidth.sandbox.validation import Refused
from airflow_provider_bandwidth.sandbox.xml import write_refusal


class Dashboard:
    """Answers API requests; knows nothing of faults, sockets or ASGI."""

    def __init__(self, store: Store, login: str, password: str) -> None:
        self._store = store
        self._login = login
        self._password = password
        self.tokens = Tokens()
        self.rate_limit = RateLimit()
        self.search_limit = RateLimit()
        self._routes = (*ROUTES, *make_routes("token", "POST", "oauth2/token", self.issue_token, versions=(1,)))

    def route(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The operation a request asks for, and the names in its path; operation ``unknown`` if there is none."""
        version, rest = split_path(path)
        unknown = _UNKNOWN_USERS if rest.lower().startswith("users/") else _UNKNOWN
        known_path = False
        for route in self._routes:
            match = route.path.fullmatch(rest) if route.version == version else None
            if match is None:
                continue
            known_path = True
            if route.method == method:
                names = {name: unquote(value) for name, value in match.groupdict().items() if value is not None}
                if "account_only" in names:
                    names["account"] = names.pop("account_only")
                return route, names
        return (_WRONG_METHOD if known_path else unknown), {}

    def answer(
        self, request: Request, route: Route, names: Mapping[str, str], settings: Settings, record: RequestRecord
    ) -> Answer:
        """Answer a request: credentials, account and rate limit first, then the operation itself."""
        call = Call(request, route, names, settings, record, self._store, self._login, self._accepts)
        answer = self._handle(call)
        if answer.body and answer.content_type.startswith("application/xml") and _wants_json(request):
            answer.content_type, answer.body = "application/json", _JSON_INSTEAD
        answer.headers["date"] = self.format_date(settings)
        return answer

    def format_date(self, settings: Settings) -> str:
        """The Date header of an answer that is given now."""
        moment = self._store.now() + timedelta(seconds=settings.clock_skew_seconds)
        return email.utils.format_datetime(moment, usegmt=True)

    def _handle(self, call: Call) -> Answer:
        if call.route.operation in ("token", "unknown") or call.route.family == "international":
            return call.route.handler(call)
        refused = (
            self._check_credentials(call)
            or self._check_account(call)
            or _check_role(call)
            or self._check_rate_limit(call)
        )
        if refused is not None:
            return refused
        try:
            _check_order_api(call)
            return call.route.handler(call)
        except Refused as refusal:
            return refuse(call.route, refusal, call.settings)

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
        return refuse_credentials(call.route)

    def _accepts(self, login: str, password: str) -> bool:
        return (login, password) == (self._login, self._password)

    def _accepts_login(self, basic: str) -> bool:
        try:
            credentials = base64.b64decode(basic.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
        login, _, password = credentials.partition(":")
        return self._accepts(login, password)

    def _check_account(self, call: Call) -> Answer | None:
        if call.names.get("account", self._store.accounts[0]) in self._store.accounts:
            return None
        # Whether Bandwidth hides or refuses a foreign account is unknown; 1001 is its word for a missing role [oas1].
        return _deny(call.route)

    def _check_rate_limit(self, call: Call) -> Answer | None:
        settings = call.settings
        if call.route.operation == "search-messages":
            return self._check_search_limit(call)
        if call.route.family == "messaging":
            return None
        reset_at = self.rate_limit.exceeded(settings.requests_per_minute, settings.rate_window_seconds)
        if reset_at is None:
            return None
        return too_many_requests({"X-RateLimit-Reset": str(int(reset_at + settings.clock_skew_seconds) + 1)})

    def _check_search_limit(self, call: Call) -> Answer | None:
        settings = call.settings
        reset_at = self.search_limit.exceeded(settings.message_searches_per_window, settings.rate_window_seconds)
        return None if reset_at is None else refuse_searches(math.ceil(max(1.0, reset_at - time.time())))

    def issue_token(self, call: Call) -> Answer:
        """Answer with a new OAuth2 token."""
        request = call.request
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic" or not self._accepts_login(value):
            answer = _make_token_answer(HTTPStatus.UNAUTHORIZED, {"error": "invalid_client"})
            answer.headers.update(_CHALLENGE)
            return answer
        call.record.auth = "client"
        form = parse_qs(request.body.decode("latin-1"))
        if form.get("grant_type") != ["client_credentials"]:
            return _make_token_answer(HTTPStatus.BAD_REQUEST, {"error": "unsupported_grant_type"})
        lifetime = call.settings.token_lifetime_seconds
        token = self.tokens.issue(lifetime)
        content: dict[str, object] = {"access_token": token, "token_type": "Bearer"}
        if call.settings.expires_in == "zero":
            content["expires_in"] = 0
        elif call.settings.expires_in == "sent":
            content["expires_in"] = int(lifetime) if lifetime == int(lifetime) else lifetime
        return _make_token_answer(HTTPStatus.OK, content)


def _check_role(call: Call) -> Answer | None:
    """403 without the role; its body is empty for numbers [cli]."""
    role = call.route.role
    if not role or role in call.settings.roles.split(","):
        return None
    return Answer(HTTPStatus.FORBIDDEN) if role == "reporting" else _deny(call.route)


def _deny(route: Route) -> Answer:
    if route.family == "messaging":
        return messaging_api.write_refused(Refused("forbidden", "Access is denied.", HTTPStatus.FORBIDDEN))
    return Answer(HTTPStatus.FORBIDDEN, write_refusal("ErrorResponse", "1001", "Access Denied"))


def _check_order_api(call: Call) -> None:
    """Refuse an order API that the account does not have (setting ``order_apis``).

    :raises Refused: with 400 to an order, as documented; with 403 to a GET, which is our guess
    """
    kind = call.route.kind
    if kind is None or kind.order_api not in ORDER_APIS or kind.order_api in call.settings.order_apis.split(","):
        return
    status = HTTPStatus.BAD_REQUEST if call.route.operation == "submit" else HTTPStatus.FORBIDDEN
    raise Refused(kind.off_code, f"The account does not have the feature for {kind.order_api}.", status)


_CHALLENGE: Final = {"www-authenticate": 'Basic realm="Bandwidth Sandbox"'}
_JSON_INSTEAD: Final = b'{"sandbox": "an answer in JSON, since Accept named it first"}'

#: Every operation but tokens. The first route that fits a path counts.
ROUTES: Final = (
    *order_kinds.ROUTES,
    *checker.ROUTES,
    *numbers_api.ROUTES,
    *readiness.ROUTES,
    *messaging_api.ROUTES,
    *international.ROUTES,
)
#: The name of every operation, as requests are logged and faults are aimed.
OPERATIONS: Final = (*dict.fromkeys(route.operation for route in ROUTES), "token")

(_UNKNOWN,) = make_routes("unknown", "", "", lambda _: Answer(HTTPStatus.NOT_FOUND), versions=(1,))
(_UNKNOWN_USERS,) = make_routes("unknown", "", "", messaging_api.answer_unknown, versions=(2,), family="messaging")
(_WRONG_METHOD,) = make_routes("unknown", "", "", lambda _: Answer(HTTPStatus.METHOD_NOT_ALLOWED), versions=(1,))


def _wants_json(request: Request) -> bool:
    """Whether JSON comes first in Accept: from 2025-05 on Bandwidth answers so where it can (reference, 16.3)."""
    first = request.headers.get("accept", "").partition(",")[0]
    return first.partition(";")[0].strip().lower() == "application/json"


def refuse(route: Route, refused: Refused, settings: Settings) -> Answer:
    """A refusal as its operation writes it."""
    if route.family == "messaging":
        return messaging_api.write_refused(refused)
    if route.kind is not None:
        body = route.kind.write_refused(route.operation, refused, settings)
    else:
        body = write_refusal(_REFUSAL_ROOTS.get(route.operation, "ErrorResponse"), *refused.errors[0])
    return Answer(refused.status, body)


_REFUSAL_ROOTS: Final = {"peer-numbers": "SipPeerTelephoneNumbersResponse", "in-service-numbers": "TNs"}


def refuse_credentials(route: Route) -> Answer:
    """401 with a challenge and, but for messages, no body [java]."""
    answer = Answer(HTTPStatus.UNAUTHORIZED)
    if route.family == "messaging":
        refused = Refused("unauthorized", "The credentials are not valid.", HTTPStatus.UNAUTHORIZED)
        answer = messaging_api.write_refused(refused)
    answer.headers.update(_CHALLENGE)
    return answer


def refuse_searches(seconds: float) -> Answer:
    """429 for too many searches of messages, with the seconds to wait in Retry-After."""
    description = f"Too many requests; retry after {seconds:g} seconds."
    answer = messaging_api.write_refused(Refused("rate_limit_exceeded", description, HTTPStatus.TOO_MANY_REQUESTS))
    answer.headers["Retry-After"] = f"{seconds:g}"
    return answer


def refuse_queueing() -> Answer:
    """429 for a full queue of messages: it does not say when to come back."""
    text = "The queue of messages is full."
    return messaging_api.write_refused(Refused("max-message-queue-size-exceeded", text, HTTPStatus.TOO_MANY_REQUESTS))


def too_many_requests(headers: dict[str, str]) -> Answer:
    """429, whose body is empty [rate]."""
    return Answer(HTTPStatus.TOO_MANY_REQUESTS, headers=headers)


def _make_token_answer(status: int, content: object) -> Answer:
    headers = {"cache-control": "no-store"}
    return Answer(status, json.dumps(content).encode(), content_type="application/json", headers=headers)
