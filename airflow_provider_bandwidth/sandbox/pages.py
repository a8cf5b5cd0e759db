"""Pages for people: the overview at ``/`` and one page per order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from airflow_provider_bandwidth.sandbox.controls import Controls
from airflow_provider_bandwidth.sandbox.magic import MAGIC_NUMBERS
from airflow_provider_bandwidth.sandbox.orders import Order, format_time

_HELP_COMMAND: Final = "python -m airflow_provider_bandwidth.sandbox --help"
#: The most rows of a table on the overview, and the most numbers in a cell.
_SHOWN: Final = 200


def page_routes(controls: Controls) -> list[Route]:
    """The pages of a Dashboard."""
    pages = _Pages(controls)
    return [
        Route("/", pages.overview),
        Route("/orders/{order_id}", pages.order),
        Route("/accounts/{account_id}/orders/{order_id}", pages.order),
    ]


class _Pages:
    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    async def overview(self, _: Request) -> HTMLResponse:
        controls = self._controls
        orders = controls.orders
        requests = controls.requests
        messages = controls.messages
        numbers = [
            (*location, "imported" if imported else "owned", len(found), _format_numbers(found))
            for imported in (True, False)
            for location, found in controls.numbers(imported=imported).items()
        ]
        parts = [
            f"<p>API: <code>{escape(controls.base_url)}</code>. All about it: <code>{_HELP_COMMAND}</code>.</p>",
            f"<h2>Orders ({len(orders)})</h2>",
            _write_table(_ORDER_HEADS, map(_write_order_row, orders[: -_SHOWN - 1 : -1]), raw_first=True),
            "<h2>Telephone numbers</h2>",
            _write_table(("Account", "Site", "SIP peer", "Kind", "Count", "Numbers"), numbers),
            f"<h2>Messages ({len(messages)})</h2>",
            _write_table(
                ("Message", "From", "To", "Status", "Code", "Time", "Tag"),
                (row for message in messages[: -_SHOWN - 1 : -1] for row in _list_fates(message)),
            ),
            f"<h2>Requests ({sum(controls.request_counts.values())})</h2>",
            _write_table(
                ("No.", "Method", "Path", "Query", "Status", "State", "Faults"),
                (
                    (r.number, r.method, r.path, r.query, r.status or "", r.state, ", ".join(r.faults))
                    for r in requests[: -_SHOWN - 1 : -1]
                ),
            ),
            "<h2>Magic telephone numbers</h2><p>In any area code.</p>",
            _write_table(
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
        return _write_page("Bandwidth sandbox", parts)

    async def order(self, request: Request) -> HTMLResponse:
        order_id = request.path_params["order_id"]
        try:
            order = self._controls.order(order_id)
            found = request.path_params.get("account_id", order.account_id) == order.account_id
        except LookupError:
            found = False
        if not found:
            return _write_page("No such order", [f"<p>There is no order {escape(order_id)}.</p>"], HTTPStatus.NOT_FOUND)
        asked = order.asked
        facts = (
            ("Status", order.status),
            ("Order API", order.order_api),
            ("Action", order.action),
            ("CustomerOrderId", order.customer_order_id or ""),
            ("Account", order.account_id),
            ("Site, SIP peer", f"{asked.site_id}, {asked.sip_peer_id}"),
            ("Created", f"{format_time(order.created_at)} by {asked.created_by}"),
            ("Last modified", format_time(order.last_modified_at)),
            ("Telephone numbers", len(order.telephone_numbers)),
            ("Errors", len(order.errors)),
        )
        errors = ((", ".join(error.telephone_numbers), error.code, error.description) for error in order.errors)
        parts = [
            _write_table(("", ""), facts),
            "<h2>Errors</h2>",
            _write_table(("Telephone number", "Code", "Description"), errors),
            "<h2>History</h2>",
            _write_table(("Time", "Status"), ((format_time(moment), status) for moment, status in order.history)),
            f"<h2>Telephone numbers</h2><p>{escape(', '.join(order.telephone_numbers))}</p>",
            '<p><a href="/">All orders</a></p>',
        ]
        return _write_page(f"Order {order.order_id}", parts)


_ORDER_HEADS: Final = (
    "Order",
    "CustomerOrderId",
    "API",
    "Action",
    "Status",
    "Numbers",
    "Errors",
    "Created",
    "Last modified",
)


def _write_order_row(order: Order) -> tuple[object, ...]:
    return (
        f'<a href="/orders/{escape(order.order_id)}">{escape(order.order_id)}</a>',
        order.customer_order_id or "",
        order.order_api,
        order.action,
        order.status,
        len(order.telephone_numbers),
        len(order.errors),
        format_time(order.created_at),
        format_time(order.last_modified_at),
    )


def _list_fates(message: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    for fate in message["recipients"]:
        known = (message["id"], message["from"], fate["to"], fate["status"], fate["error_code"] or "")
        yield (*known, message["time"], message.get("tag", ""))


def _format_numbers(numbers: Sequence[str]) -> str:
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return ", ".join(numbers[:_SHOWN]) + more


def _write_table(heads: Iterable[str], rows: Iterable[Sequence[object]], *, raw_first: bool = False) -> str:
    """A table of escaped cells; with ``raw_first`` the first cell of a row is HTML already."""
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    lines = []
    for row in rows:
        cells = [f"<td>{escape(str(each))}</td>" for each in row]
        if raw_first:
            cells[0] = f"<td>{row[0]}</td>"
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


_STYLE: Final = (
    "body{font:15px/1.4 system-ui,sans-serif;margin:2em;color:#222}table{border-collapse:collapse}"
    "td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left;vertical-align:top}th:empty{display:none}"
)


def _write_page(title: str, parts: Iterable[str], status: int = HTTPStatus.OK) -> HTMLResponse:
    heading = escape(title)
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{heading}</title><style>{_STYLE}</style>'
        f"</head><body><h1>{heading}</h1>{''.join(parts)}</body></html>",
        status,
        headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
    )
