"""One API request on its way, and the route that it takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from airflow_provider_bandwidth.sandbox.http import Answer, Request
from airflow_provider_bandwidth.sandbox.orders import NewOrder, Order
from airflow_provider_bandwidth.sandbox.settings import Settings
from airflow_provider_bandwidth.sandbox.store import Store
from airflow_provider_bandwidth.sandbox.traffic import RequestRecord
from airflow_provider_bandwidth.sandbox.validation import Refused
from airflow_provider_bandwidth.sandbox.xml import View


@dataclass(frozen=True, slots=True)
class Call:
    """A request on its way: what its path named, the settings it is handled under, and what it is about.

    :param names: what the path names, by the groups of the route's pattern
    :param login: the name of the user
    :param accepts: tells whether a login and a password are good
    """

    request: Request
    route: Route
    names: Mapping[str, str]
    settings: Settings
    record: RequestRecord
    store: Store
    login: str
    accepts: Callable[[str, str], bool]

    @property
    def account_id(self) -> str:
        """The account in the path."""
        return self.names["account"]

    @property
    def kind(self) -> OrderKind:
        """The kind of order it is about.

        :raises LookupError: if its route is about none
        """
        if self.route.kind is None:
            raise LookupError(f"{self.route.operation} is about no kind of order")
        return self.route.kind

    @property
    def view(self) -> View:
        """How its answer shows things."""
        details = (self.request.parameter("orderDetails") or "").lower() == "true"
        return View(self.settings, e164=self.route.version == 2, details=details)


@dataclass(frozen=True, slots=True)
class OrderKind:
    """One kind of order: what may be sent to one path of one API, and how it is shown.

    :param order_api: the API, in most cases by its name in the setting ``order_apis``; every account has the others
    :param action: the action that the path stands for; ``None`` where the order says it
    :param shown_apis: the APIs whose orders its lists show
    :param loa_type: the LoaType of an order that names none, for the list's filter
    :param off_code: the code that refuses an account without the feature
    :param make: reads and checks a body
    :param write_refused: a refusal's body, by operation
    :param query_error: the status for an error in a list's query
    """

    order_api: str
    action: str | None
    shown_apis: frozenset[str]
    loa_type: str
    off_code: str
    make: Callable[[Call], NewOrder]
    write_created: Callable[[Order, View], bytes]
    write_order: Callable[[Order, View], bytes]
    write_list: Callable[[int, Sequence[Order], View], bytes]
    write_history: Callable[[Order, View], bytes]
    write_refused: Callable[[str, Refused, Settings], bytes]
    find_unknown: Callable[[Call], Refused]
    query_error: int = HTTPStatus.BAD_REQUEST


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: its method, the pattern of its path without prefix, and its handler.

    :param version: the version of the API: 1 or 2
    :param kind: the kind of order it is about, if any
    :param role: the role that a user needs for it (setting ``roles``); empty for none
    :param family: the API whose forms it has: ``numbers`` (XML), ``messaging`` or ``international`` (JSON)
    """

    operation: str
    method: str
    version: int
    path: re.Pattern[str]
    handler: Handler
    kind: OrderKind | None = None
    role: str = ""
    family: str = "numbers"


ACCOUNT: Final = r"accounts/(?P<account>[^/]+)"
SITE: Final = rf"{ACCOUNT}/sites/(?P<site>[^/]+)"
PEER: Final = rf"{SITE}/sippeers/(?P<peer>[^/]+)"


def make_routes(
    operation: str,
    method: str,
    path: str,
    handler: Handler,
    *,
    versions: Sequence[int] = (1, 2),
    kind: OrderKind | None = None,
    role: str = "",
    family: str = "numbers",
) -> list[Route]:
    """A route for each version. Paths match in any case, as they do at Bandwidth [iris20]."""
    pattern = re.compile(path, re.IGNORECASE)
    return [Route(operation, method, version, pattern, handler, kind, role, family) for version in versions]


_PREFIXED: Final = re.compile(
    r"/(?:(?P<v2>api/v2/)|api/v1/|api/|v1\.0/)?(?P<rest>(?:accounts|tns|users)(?:/.*)?)"
    r"|/api/v1/(?P<token>oauth2/token)|/(?P<a2p>bulk/sendsms)",
    re.IGNORECASE,
)


def split_path(path: str) -> tuple[int, str]:
    """The version of the API and a path without its prefix and closing slash; empty if it has no known prefix."""
    match = _PREFIXED.fullmatch(path.rstrip("/"))
    if match is None:
        return 1, ""
    return (2 if match["v2"] else 1), match["rest"] or match["token"] or match["a2p"]
