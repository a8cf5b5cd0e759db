"""Control endpoints under ``/sandbox``: JSON, without credentials, for whoever runs the sandbox."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_bandwidth.sandbox.faults import FAULT_KINDS
from airflow_provider_bandwidth.sandbox.inventory import Location
from airflow_provider_bandwidth.sandbox.magic import MAGIC_NUMBERS
from airflow_provider_bandwidth.sandbox.orders import TERMINAL_STATUSES, OrderError

if TYPE_CHECKING:
    from airflow_provider_bandwidth.sandbox.server import Sandbox

ENDPOINTS: tuple[tuple[str, str, str], ...] = (
    ("GET", "/sandbox/state", "settings, counts of orders, numbers and requests, and every order without its numbers"),
    ("POST", "/sandbox/reset", "forget orders, requests and faults; settings and numbers as at the start"),
    ("GET", "/sandbox/settings", "the settings in force"),
    ("PUT", "/sandbox/settings", 'change some: {"dialect": "O", "processing_seconds": 10}'),
    ("GET", "/sandbox/faults", "the faults that wait for requests, and every kind with its options"),
    (
        "POST",
        "/sandbox/faults",
        """put one up: {"fault": "drop", "when": "after", "operation": "submit", "times": 1, "after": 0};
        method and a part of the path also aim it, times null is for ever""",
    ),
    ("DELETE", "/sandbox/faults", "take all down"),
    ("GET", "/sandbox/requests", "the latest API requests; with ?since=N those after number N"),
    ("POST", "/sandbox/requests/release", "let held requests go on"),
    ("DELETE", "/sandbox/tokens", "revoke every OAuth2 token"),
    ("GET", "/sandbox/orders", "every order with its numbers and errors"),
    (
        "POST",
        "/sandbox/orders",
        """add an order of somebody else: {"telephone_numbers": [...], "customer_order_id": "...", "action": "IMPORT",
        "status": "COMPLETE", "errors": [...], "created_at": "2031-03-04T05:06:07+00:00"}""",
    ),
    ("GET", "/sandbox/orders/{order_id}", "one of them"),
    (
        "PUT",
        "/sandbox/orders/{order_id}",
        """end it now, {"status": "PARTIAL", "errors": [{"code": "25060", "description": "...",
        "telephone_numbers": [...]}]}, or as its numbers decide, {}; any other status word is shown until then""",
    ),
    ("POST", "/sandbox/hold", 'keep all orders from ending, or {"order_id": "..."} one'),
    ("POST", "/sandbox/release", 'end that: all, or {"order_id": "..."} one'),
    ("GET", "/sandbox/numbers", "imported and owned numbers by account, site and peer; resets by number"),
    (
        "POST",
        "/sandbox/numbers",
        'add numbers without an order: {"imported": [...], "owned": [...], "site_id": "...", "sip_peer_id": "..."}',
    ),
    ("GET", "/sandbox/magic-numbers", "the table of magic numbers"),
)
"""Method, path and purpose of every control endpoint."""

_Handler = Callable[[Request], Awaitable[Response]]


def control_routes(sandbox: Sandbox) -> list[Route]:
    """The endpoints of *sandbox*."""
    control = _Control(sandbox)
    handlers: Mapping[tuple[str, str], Callable[[Request, dict[str, Any]], object]] = {
        ("GET", "/sandbox/state"): control.state,
        ("POST", "/sandbox/reset"): control.reset,
        ("GET", "/sandbox/settings"): control.settings,
        ("PUT", "/sandbox/settings"): control.configure,
        ("GET", "/sandbox/faults"): control.faults,
        ("POST", "/sandbox/faults"): control.inject,
        ("DELETE", "/sandbox/faults"): control.clear_faults,
        ("GET", "/sandbox/requests"): control.requests,
        ("POST", "/sandbox/requests/release"): control.release_requests,
        ("DELETE", "/sandbox/tokens"): control.revoke_tokens,
        ("GET", "/sandbox/orders"): control.orders,
        ("POST", "/sandbox/orders"): control.add_order,
        ("GET", "/sandbox/orders/{order_id}"): control.order,
        ("PUT", "/sandbox/orders/{order_id}"): control.change_order,
        ("POST", "/sandbox/hold"): control.hold,
        ("POST", "/sandbox/release"): control.release,
        ("GET", "/sandbox/numbers"): control.numbers,
        ("POST", "/sandbox/numbers"): control.seed,
        ("GET", "/sandbox/magic-numbers"): control.magic_numbers,
    }
    return [Route(path, _json_endpoint(handlers[method, path]), methods=[method]) for method, path, _ in ENDPOINTS]


def _json_endpoint(handler: Callable[[Request, dict[str, Any]], object]) -> _Handler:
    async def endpoint(request: Request) -> Response:
        try:
            body = json.loads(await request.body() or b"{}")
            if not isinstance(body, dict):
                return _problem(HTTPStatus.BAD_REQUEST, "the body is not a JSON object")
            return JSONResponse(handler(request, body))
        except LookupError as error:
            return _problem(HTTPStatus.NOT_FOUND, str(error))
        except (ValueError, TypeError) as error:
            return _problem(HTTPStatus.BAD_REQUEST, str(error))

    return endpoint


def _problem(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status_code=status)


class _Control:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def state(self, _: Request, __: dict[str, Any]) -> object:
        orders = self._sandbox.orders
        return {
            "connection": self._sandbox.connection,
            "settings": self._sandbox.settings.to_dict(),
            "order_count": len(orders),
            "orders": [order.to_dict(numbers=False) for order in orders],
            "imported_count": sum(map(len, self._sandbox.numbers(imported=True).values())),
            "owned_count": sum(map(len, self._sandbox.numbers(imported=False).values())),
            "reset_count": sum(self._sandbox.resets.values()),
            "request_counts": self._sandbox.request_counts,
        }

    def reset(self, _: Request, __: dict[str, Any]) -> object:
        self._sandbox.reset()
        return {}

    def settings(self, _: Request, __: dict[str, Any]) -> object:
        return self._sandbox.settings.to_dict()

    def configure(self, _: Request, body: dict[str, Any]) -> object:
        return self._sandbox.configure(**body).to_dict()

    def faults(self, _: Request, __: dict[str, Any]) -> object:
        kinds = {name: {"help": kind.help, "options": dict(kind.options)} for name, kind in FAULT_KINDS.items()}
        return {"waiting": self._sandbox.faults(), "kinds": kinds}

    def inject(self, _: Request, body: dict[str, Any]) -> object:
        for name in ("times", "after"):
            if not isinstance(body.get(name, 0), int | None):
                raise TypeError(f"{name} is a whole number")
        for name in ("operation", "method", "path"):
            if not isinstance(body.get(name), str | None):
                raise TypeError(f"{name} is a text")
        return self._sandbox.inject(body.pop("fault", ""), **body).to_dict()

    def clear_faults(self, _: Request, __: dict[str, Any]) -> object:
        self._sandbox.clear_faults()
        return {}

    def requests(self, request: Request, _: dict[str, Any]) -> object:
        since = int(request.query_params.get("since", "0"))
        return {
            "requests": [record.to_dict() for record in self._sandbox.requests if record.number > since],
            "counts": self._sandbox.request_counts,
        }

    def release_requests(self, _: Request, __: dict[str, Any]) -> object:
        self._sandbox.release_requests()
        return {}

    def revoke_tokens(self, _: Request, __: dict[str, Any]) -> object:
        self._sandbox.revoke_tokens()
        return {}

    def orders(self, _: Request, __: dict[str, Any]) -> object:
        return {"orders": [order.to_dict() for order in self._sandbox.orders]}

    def order(self, request: Request, _: dict[str, Any]) -> object:
        return self._sandbox.order(request.path_params["order_id"]).to_dict()

    def add_order(self, _: Request, body: dict[str, Any]) -> object:
        body["errors"] = _errors(body)
        if "created_at" in body:
            moment = datetime.fromisoformat(body["created_at"])
            body["created_at"] = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        location = self._location(body)
        return self._sandbox.add_order(_texts(body, "telephone_numbers"), location=location, **body).to_dict()

    def change_order(self, request: Request, body: dict[str, Any]) -> object:
        order_id = request.path_params["order_id"]
        status = body.get("status")
        if status is not None and str(status).upper() not in TERMINAL_STATUSES:
            return self._sandbox.set_status(order_id, status).to_dict()
        return self._sandbox.finish(order_id, status, _errors(body)).to_dict()

    def hold(self, _: Request, body: dict[str, Any]) -> object:
        self._sandbox.hold(body.get("order_id"))
        return {}

    def release(self, _: Request, body: dict[str, Any]) -> object:
        self._sandbox.release(body.get("order_id"))
        return {}

    def numbers(self, _: Request, __: dict[str, Any]) -> object:
        return {
            "imported": self._listed(imported=True),
            "owned": self._listed(imported=False),
            "resets": self._sandbox.resets,
        }

    def seed(self, _: Request, body: dict[str, Any]) -> object:
        location = self._location(body)
        self._sandbox.seed(imported=_texts(body, "imported"), owned=_texts(body, "owned"), location=location)
        return {}

    def magic_numbers(self, _: Request, __: dict[str, Any]) -> object:
        return {"exchange": "555", "lines": [row.to_dict() for row in MAGIC_NUMBERS.values()]}

    def _listed(self, *, imported: bool) -> list[dict[str, object]]:
        return [
            {**location._asdict(), "telephone_numbers": numbers}
            for location, numbers in self._sandbox.numbers(imported=imported).items()
        ]

    def _location(self, body: dict[str, Any]) -> Location:
        default = self._sandbox.default_location
        return Location(*(str(body.pop(name, value)) for name, value in default._asdict().items()))


def _texts(body: dict[str, Any], name: str) -> list[str]:
    texts = body.pop(name, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{name} is a list of texts")
    return texts


def _errors(body: dict[str, Any]) -> tuple[OrderError, ...]:
    errors = body.get("errors", [])
    if not isinstance(errors, list) or not all(isinstance(error, dict) for error in errors):
        raise ValueError("errors is a list of objects")
    return tuple(
        OrderError(
            str(error.get("code", "")), str(error.get("description", "")), tuple(_texts(error, "telephone_numbers"))
        )
        for error in errors
    )
