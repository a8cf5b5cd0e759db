"""Control endpoints under ``/sandbox``: JSON, without credentials, for whoever runs the sandbox."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_bandwidth.sandbox.controls import Controls
from airflow_provider_bandwidth.sandbox.faults import FAULT_KINDS
from airflow_provider_bandwidth.sandbox.inventory import Location
from airflow_provider_bandwidth.sandbox.magic import MAGIC_NUMBERS
from airflow_provider_bandwidth.sandbox.orders import TERMINAL_STATUSES, OrderError


class Endpoint(NamedTuple):
    """One control endpoint.

    :param handler: a method of ``_Control``, given the request and its JSON body
    """

    method: str
    path: str
    handler: Callable[[_Control, Request, dict[str, Any]], object]
    purpose: str


def control_routes(controls: Controls) -> list[Route]:
    """The endpoints of a Dashboard."""
    control = _Control(controls)
    return [
        Route(each.path, _json_endpoint(partial(each.handler, control)), methods=[each.method]) for each in ENDPOINTS
    ]


def _json_endpoint(handler: Callable[[Request, dict[str, Any]], object]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            body = json.loads(await request.body() or b"{}")
            if not isinstance(body, dict):
                return _make_problem(HTTPStatus.BAD_REQUEST, "the body is not a JSON object")
            return JSONResponse(handler(request, body))
        except LookupError as error:
            return _make_problem(HTTPStatus.NOT_FOUND, str(error))
        except (ValueError, TypeError) as error:
            return _make_problem(HTTPStatus.BAD_REQUEST, str(error))

    return endpoint


def _make_problem(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status_code=status)


class _Control:
    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def state(self, _: Request, __: dict[str, Any]) -> object:
        orders = self._controls.orders
        return {
            "connection": self._controls.connection,
            "settings": self._controls.settings.to_dict(),
            "order_count": len(orders),
            "orders": [order.to_dict(numbers=False) for order in orders],
            "imported_count": sum(map(len, self._controls.numbers(imported=True).values())),
            "owned_count": sum(map(len, self._controls.numbers(imported=False).values())),
            "reset_count": sum(self._controls.resets.values()),
            "request_counts": self._controls.request_counts,
        }

    def reset(self, _: Request, __: dict[str, Any]) -> object:
        self._controls.reset()
        return {}

    def settings(self, _: Request, __: dict[str, Any]) -> object:
        return self._controls.settings.to_dict()

    def configure(self, _: Request, body: dict[str, Any]) -> object:
        return self._controls.configure(**body).to_dict()

    def faults(self, _: Request, __: dict[str, Any]) -> object:
        kinds = {name: {"help": kind.help, "options": dict(kind.options)} for name, kind in FAULT_KINDS.items()}
        return {"waiting": self._controls.faults(), "kinds": kinds}

    def inject(self, _: Request, body: dict[str, Any]) -> object:
        for name in ("times", "after"):
            if not isinstance(body.get(name, 0), int | None):
                raise TypeError(f"{name} is a whole number")
        for name in ("operation", "method", "path"):
            if not isinstance(body.get(name), str | None):
                raise TypeError(f"{name} is a text")
        return self._controls.inject(body.pop("fault", ""), **body).to_dict()

    def clear_faults(self, _: Request, __: dict[str, Any]) -> object:
        self._controls.clear_faults()
        return {}

    def requests(self, request: Request, _: dict[str, Any]) -> object:
        since = int(request.query_params.get("since", "0"))
        return {
            "requests": [record.to_dict() for record in self._controls.requests if record.number > since],
            "counts": self._controls.request_counts,
        }

    def release_requests(self, _: Request, __: dict[str, Any]) -> object:
        self._controls.release_requests()
        return {}

    def revoke_tokens(self, _: Request, __: dict[str, Any]) -> object:
        self._controls.revoke_tokens()
        return {}

    def rotate_secret(self, _: Request, body: dict[str, Any]) -> object:
        if not isinstance(body.get("password"), str):
            raise TypeError("password is a text")
        self._controls.rotate_secret(body["password"])
        return {}

    def orders(self, _: Request, __: dict[str, Any]) -> object:
        return {"orders": [order.to_dict() for order in self._controls.orders]}

    def order(self, request: Request, _: dict[str, Any]) -> object:
        return self._controls.order(request.path_params["order_id"]).to_dict()

    def add_order(self, _: Request, body: dict[str, Any]) -> object:
        body["errors"] = _pop_errors(body)
        if "created_at" in body:
            moment = datetime.fromisoformat(body["created_at"])
            body["created_at"] = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        location = self._pop_location(body)
        return self._controls.add_order(_pop_texts(body, "telephone_numbers"), location=location, **body).to_dict()

    def change_order(self, request: Request, body: dict[str, Any]) -> object:
        order_id = request.path_params["order_id"]
        status = body.get("status")
        if status is not None and str(status).upper() not in TERMINAL_STATUSES:
            return self._controls.set_status(order_id, status).to_dict()
        return self._controls.finish(order_id, status, _pop_errors(body)).to_dict()

    def loa_files(self, request: Request, _: dict[str, Any]) -> object:
        return {"files": [file.to_dict() for file in self._controls.loa_files(request.path_params["order_id"])]}

    def answer_transfer(self, request: Request, body: dict[str, Any]) -> object:
        if not isinstance(body.get("approve"), bool):
            raise TypeError("approve is true or false")
        return self._controls.answer_transfer(request.path_params["order_id"], approve=body["approve"]).to_dict()

    def hold(self, _: Request, body: dict[str, Any]) -> object:
        self._controls.hold(body.get("order_id"))
        return {}

    def release(self, _: Request, body: dict[str, Any]) -> object:
        self._controls.release(body.get("order_id"))
        return {}

    def messages(self, _: Request, __: dict[str, Any]) -> object:
        return {
            "messages": self._controls.messages,
            "callbacks": [record.to_dict() for record in self._controls.callbacks],
        }

    def numbers(self, _: Request, __: dict[str, Any]) -> object:
        return {
            "imported": self._list_numbers(imported=True),
            "owned": self._list_numbers(imported=False),
            "resets": self._controls.resets,
        }

    def seed(self, _: Request, body: dict[str, Any]) -> object:
        location = self._pop_location(body)
        imported, owned = _pop_texts(body, "imported"), _pop_texts(body, "owned")
        campaign_id = body.get("campaign_id")
        self._controls.seed(imported=imported, owned=owned, location=location, campaign_id=campaign_id)
        return {}

    def magic_numbers(self, _: Request, __: dict[str, Any]) -> object:
        return {"exchange": "555", "lines": [row.to_dict() for row in MAGIC_NUMBERS.values()]}

    def _list_numbers(self, *, imported: bool) -> list[dict[str, object]]:
        return [
            {**location._asdict(), "telephone_numbers": numbers}
            for location, numbers in self._controls.numbers(imported=imported).items()
        ]

    def _pop_location(self, body: dict[str, Any]) -> Location:
        default = self._controls.default_location
        return Location(*(str(body.pop(name, value)) for name, value in default._asdict().items()))


def _pop_texts(body: dict[str, Any], name: str) -> list[str]:
    texts = body.pop(name, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{name} is a list of texts")
    return texts


def _pop_errors(body: dict[str, Any]) -> tuple[OrderError, ...]:
    errors = body.get("errors", [])
    if not isinstance(errors, list) or not all(isinstance(error, dict) for error in errors):
        raise ValueError("errors is a list of objects")
    return tuple(
        OrderError(
            str(error.get("code", "")), str(error.get("description", "")), tuple(_pop_texts(error, "telephone_numbers"))
        )
        for error in errors
    )


#: Every control endpoint.
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/sandbox/state",
        _Control.state,
        "settings, counts of orders, numbers and requests, and every order without its numbers",
    ),
    Endpoint(
        "POST",
        "/sandbox/reset",
        _Control.reset,
        "forget orders, requests and faults; settings and numbers as at the start",
    ),
    Endpoint("GET", "/sandbox/settings", _Control.settings, "the settings in force"),
    Endpoint("PUT", "/sandbox/settings", _Control.configure, 'change some: {"dialect": "O", "processing_seconds": 10}'),
    Endpoint(
        "GET", "/sandbox/faults", _Control.faults, "the faults that wait for requests, and every kind with its options"
    ),
    Endpoint(
        "POST",
        "/sandbox/faults",
        _Control.inject,
        """put one up: {"fault": "drop", "when": "after", "operation": "submit", "times": 1, "after": 0};
        method and a part of the path also aim it, times null is for ever""",
    ),
    Endpoint("DELETE", "/sandbox/faults", _Control.clear_faults, "take all down"),
    Endpoint(
        "GET", "/sandbox/requests", _Control.requests, "the latest API requests; with ?since=N those after number N"
    ),
    Endpoint("POST", "/sandbox/requests/release", _Control.release_requests, "let held requests go on"),
    Endpoint("DELETE", "/sandbox/tokens", _Control.revoke_tokens, "revoke every OAuth2 token"),
    Endpoint("PUT", "/sandbox/secret", _Control.rotate_secret, 'accept another password only: {"password": "..."}'),
    Endpoint("GET", "/sandbox/orders", _Control.orders, "every order with its numbers and errors"),
    Endpoint(
        "POST",
        "/sandbox/orders",
        _Control.add_order,
        """add an order of somebody else: {"telephone_numbers": [...], "customer_order_id": "...", "action": "IMPORT",
        "order_api": "importTnOrders", "status": "COMPLETE", "errors": [...],
        "created_at": "2031-03-04T05:06:07+00:00"}""",
    ),
    Endpoint("GET", "/sandbox/orders/{order_id}", _Control.order, "one of them"),
    Endpoint(
        "PUT",
        "/sandbox/orders/{order_id}",
        _Control.change_order,
        """end it now, {"status": "PARTIAL", "errors": [{"code": "25060", "description": "...",
        "telephone_numbers": [...]}]}, or as its numbers decide, {}; any other status word is shown until then""",
    ),
    Endpoint("GET", "/sandbox/orders/{order_id}/loas", _Control.loa_files, "its letters of authorization"),
    Endpoint(
        "POST",
        "/sandbox/orders/{order_id}/transfer",
        _Control.answer_transfer,
        'answer for the losing carrier of an import that waits for it: {"approve": true}',
    ),
    Endpoint("POST", "/sandbox/hold", _Control.hold, 'keep all orders from ending, or {"order_id": "..."} one'),
    Endpoint("POST", "/sandbox/release", _Control.release, 'end that: all, or {"order_id": "..."} one'),
    Endpoint(
        "GET", "/sandbox/messages", _Control.messages, "every message with its fate, and every attempt at a callback"
    ),
    Endpoint(
        "GET",
        "/sandbox/numbers",
        _Control.numbers,
        "imported and owned numbers by account, site and peer; resets by number",
    ),
    Endpoint(
        "POST",
        "/sandbox/numbers",
        _Control.seed,
        'add numbers without an order: {"imported": [...], "owned": [...], "campaign_id": "...", '
        '"site_id": "...", "sip_peer_id": "..."}',
    ),
    Endpoint("GET", "/sandbox/magic-numbers", _Control.magic_numbers, "the table of magic numbers"),
)
