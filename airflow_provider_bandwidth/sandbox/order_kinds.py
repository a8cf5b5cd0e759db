"""Every kind of order that an account may have, and its routes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from airflow_provider_bandwidth.sandbox import external_tns, import_orders, tn_options, tn_orders
from airflow_provider_bandwidth.sandbox.calls import ACCOUNT, OrderKind, Route, make_routes
from airflow_provider_bandwidth.sandbox.import_xml import IMPORT_FORM, REMOVAL_FORM, ImportForm
from airflow_provider_bandwidth.sandbox.loa_api import make_loa_routes

EXTERNAL_TNS: Final = OrderKind(
    order_api="externalTns",
    action=None,
    shown_apis=frozenset({"externalTns"}),
    loa_type="CARRIER",
    off_code="25010",
    make=external_tns.make_order,
    write_created=external_tns.write_created,
    write_order=external_tns.write_order,
    write_list=external_tns.write_list,
    write_history=external_tns.write_order_history,
    write_refused=external_tns.write_refused,
    find_unknown=tn_orders.find_unknown_order,
)

#: One resource under two notations: v2 has the roots, elements and samples of v1 word for word (reference, 16.1).
_IMPORT_APIS: Final = frozenset({"importTnOrders", "importTnOrders/messaging"})


def _make_import_kind(form: ImportForm, action: str) -> OrderKind:
    return OrderKind(
        order_api="importTnOrders",
        action=action,
        shown_apis=_IMPORT_APIS,
        loa_type="SUBSCRIBER",
        off_code="5149",
        make=import_orders.make_import if action == "IMPORT" else import_orders.make_removal,
        write_created=form.write_created,
        write_order=form.write_order,
        write_list=form.write_list,
        write_history=form.write_history,
        write_refused=form.write_refused,
        find_unknown=form.find_unknown,
    )


IMPORT: Final = _make_import_kind(IMPORT_FORM, "IMPORT")
REMOVAL: Final = _make_import_kind(REMOVAL_FORM, "REMOVE")
IMPORT_V2: Final = replace(IMPORT, order_api="importTnOrders/messaging")
REMOVAL_V2: Final = replace(REMOVAL, order_api="importTnOrders/messaging")

TN_OPTIONS: Final = OrderKind(
    order_api="tnoptions",
    action="OPTIONS",
    shown_apis=frozenset({"tnoptions"}),
    loa_type="",
    off_code="",
    make=tn_options.make_order,
    write_created=tn_options.write_created,
    write_order=tn_options.write_order,
    write_list=tn_options.write_list,
    write_history=tn_options.write_order_history,
    write_refused=tn_options.write_refused,
    find_unknown=tn_orders.find_unknown_order,
    query_error=HTTPStatus.NOT_FOUND,
)


def _make_order_routes(path: str, version: int, kind: OrderKind) -> Sequence[Route]:
    orders = f"{ACCOUNT}/{path}"
    # "voice" is another product under the same path (reference, 14.1).
    order = rf"{orders}/(?P<order>(?!voice(?:/|$))[^/]+)"
    versions = (version,)
    return (
        *make_routes("order", "GET", order, tn_orders.show_order, versions=versions, kind=kind),
        *make_routes("submit", "POST", orders, tn_orders.submit, versions=versions, kind=kind, role="ordering"),
        *make_routes("list", "GET", orders, tn_orders.list_orders, versions=versions, kind=kind),
        *make_routes("history", "GET", f"{order}/history", tn_orders.show_history, versions=versions, kind=kind),
    )


ROUTES: Final = (
    *_make_order_routes("externalTns", 1, EXTERNAL_TNS),
    *_make_order_routes("importTnOrders", 1, IMPORT),
    *make_loa_routes("importTnOrders", 1, IMPORT),
    *_make_order_routes("removeImportedTnOrders", 1, REMOVAL),
    *_make_order_routes("importTnOrders/messaging", 2, IMPORT_V2),
    *make_loa_routes("importTnOrders/messaging", 2, IMPORT_V2),
    *_make_order_routes("removeImportedTnOrders/messaging", 2, REMOVAL_V2),
    *_make_order_routes("tnoptions", 1, TN_OPTIONS),
    *_make_order_routes("tnoptions", 2, TN_OPTIONS),
)
