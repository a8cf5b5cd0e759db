"""Pages for people: the overview at ``/`` and one page per order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from airflow_provider_bandwidth.sandbox.magic import MAGIC_NUMBERS
from airflow_provider_bandwidth.sandbox.orders import Order, iso

if TYPE_CHECKING:
    from airflow_provider_bandwidth.sandbox.server import Sandbox

_HELP_COMMAND = "python -m airflow_provider_bandwidth.sandbox --help"
_SHOWN = 200
"""Rows of a table on the overview, at most."""


def page_routes(sandbox: Sandbox) -> list[Route]:
    """The pages of *sandbox*."""
    pages = _Pages(sandbox)
    return [
        Route("/", pages.overview),
        Route("/orders/{order_id}", pages.order),
        Route("/accounts/{account_id}/orders/{order_id}", pages.order),
    ]


class _Pages:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def overview(self, _: Request) -> HTMLResponse:
        sandbox = self._sandbox
        orders = sandbox.orders
        requests = sandbox.requests
        numbers = [
            (*location, "imported" if imported else "owned", len(found), _shown(found))
            for imported in (True, False)
            for location, found in sandbox.numbers(imported=imported).items()
        ]
        parts = [
            f"<p>API: <code>{escape(sandbox.base_url)}</code>. All about it: <code>{_HELP_COMMAND}</code>.</p>",
            f"<h2>Orders ({len(orders)})</h2>",
            _table(_ORDER_HEADS, map(_order_row, orders[: -_SHOWN - 1 : -1]), raw_first=True),
            "<h2>Telephone numbers</h2>",
            _table(("Account", "Site", "SIP peer", "Kind", "Count", "Numbers"), numbers),
            f"<h2>Requests ({sum(sandbox.request_counts.values())})</h2>",
            _table(
                ("No.", "Method", "Path", "Query", "Status", "State", "Faults"),
                (
                    (r.number, r.method, r.path, r.query, r.status or "", r.state, ", ".join(r.faults))
                    for r in requests[: -_SHOWN - 1 : -1]
                ),
            ),
            "<h2>Magic telephone numbers</h2><p>In any area code.</p>",
            _table(
                ("Number", "Codes", "Effect", "On", "Description", "Checker"),
                (
                    (
                        f"555-{row.line}",
                        ", ".join(row.codes),
                        row.effect,
                        ", ".join(row.actions),
                        row.text(),
                        row.checker_code,
                    )
                    for row in MAGIC_NUMBERS.values()
                ),
            ),
        ]
        return _page("Bandwidth sandbox", parts)

    async def order(self, request: Request) -> HTMLResponse:
        order_id = request.path_params["order_id"]
        try:
            order = self._sandbox.order(order_id)
            found = request.path_params.get("account_id", order.account_id) == order.account_id
        except LookupError:
            found = False
        if not found:
            return _page("No such order", [f"<p>There is no order {escape(order_id)}.</p>"], HTTPStatus.NOT_FOUND)
        asked = order.asked
        facts = (
            ("Status", order.status),
            ("Action", order.action),
            ("CustomerOrderId", order.customer_order_id or ""),
            ("Account", order.account_id),
            ("Site, SIP peer", f"{asked.site_id}, {asked.sip_peer_id}"),
            ("Created", f"{iso(order.created_at)} by {asked.created_by}"),
            ("Last modified", iso(order.last_modified_at)),
            ("Telephone numbers", len(order.telephone_numbers)),
            ("Errors", len(order.errors)),
        )
        errors = ((", ".join(error.telephone_numbers), error.code, error.description) for error in order.errors)
        parts = [
            _table(("", ""), facts),
            "<h2>Errors</h2>",
            _table(("Telephone number", "Code", "Description"), errors),
            "<h2>History</h2>",
            _table(("Time", "Status"), ((iso(moment), status) for moment, status in order.history)),
            f"<h2>Telephone numbers</h2><p>{escape(', '.join(order.telephone_numbers))}</p>",
            '<p><a href="/">All orders</a></p>',
        ]
        return _page(f"Order {order.order_id}", parts)


_ORDER_HEADS = ("Order", "CustomerOrderId", "Action", "Status", "Numbers", "Errors", "Created", "Last modified")


def _order_row(order: Order) -> tuple[object, ...]:
    return (
        f'<a href="/orders/{escape(order.order_id)}">{escape(order.order_id)}</a>',
        order.customer_order_id or "",
        order.action,
        order.status,
        len(order.telephone_numbers),
        len(order.errors),
        iso(order.created_at),
        iso(order.last_modified_at),
    )


def _shown(numbers: Sequence[str]) -> str:
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return ", ".join(numbers[:_SHOWN]) + more


def _table(heads: Iterable[str], rows: Iterable[Sequence[object]], *, raw_first: bool = False) -> str:
    """A table of escaped cells; with *raw_first* the first cell of a row is HTML already."""
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    lines = []
    for row in rows:
        cells = [f"<td>{escape(str(each))}</td>" for each in row]
        if raw_first:
            cells[0] = f"<td>{row[0]}</td>"
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


_STYLE = (
    "body{font:15px/1.4 system-ui,sans-serif;margin:2em;color:#222}table{border-collapse:collapse}"
    "td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left;vertical-align:top}th:empty{display:none}"
)


def _page(title: str, parts: Iterable[str], status: int = HTTPStatus.OK) -> HTMLResponse:
    heading = escape(title)
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{heading}</title><style>{_STYLE}</style>'
        f"</head><body><h1>{heading}</h1>{''.join(parts)}</body></html>",
        status,
        headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
    )
