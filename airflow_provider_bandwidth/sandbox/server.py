"""The sandbox as an object: a Dashboard on a loopback port, in a thread of this process."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from airflow_provider_bandwidth.sandbox.app import SandboxApp
from airflow_provider_bandwidth.sandbox.control import control_routes
from airflow_provider_bandwidth.sandbox.dashboard import Dashboard
from airflow_provider_bandwidth.sandbox.faults import Injection, make_fault
from airflow_provider_bandwidth.sandbox.http import CONNECTION
from airflow_provider_bandwidth.sandbox.inventory import Location
from airflow_provider_bandwidth.sandbox.orders import NewOrder, Order, OrderError
from airflow_provider_bandwidth.sandbox.pages import page_routes
from airflow_provider_bandwidth.sandbox.settings import (
    DEFAULT_ACCOUNT,
    DEFAULT_LOGIN,
    DEFAULT_PASSWORD,
    DEFAULT_SITES,
    LOOPBACK,
    Settings,
)
from airflow_provider_bandwidth.sandbox.store import Store
from airflow_provider_bandwidth.sandbox.traffic import RequestRecord


class Sandbox:
    """A Dashboard to test against, started by ``with`` or :meth:`start` and ready for requests then.

    Any number can run in one process. State outlives :meth:`stop`, so that it can be looked at afterwards.

    :param host: a loopback address
    :param port: 0 for a free one
    :param accounts: account ids; the first is the one in :attr:`connection`
    :param sites: SIP peer ids by site id; the first peer of a site is its default
    :param login: OAuth2 client id and Basic user
    :param password: OAuth2 client secret and Basic password
    :param imported: telephone numbers that the first peer of the first site has imported already
    :param owned: telephone numbers of Bandwidth's own there
    :param settings: any field of :class:`~airflow_provider_bandwidth.sandbox.settings.Settings`; unlike on the
        command line, ``received_seconds`` and ``processing_seconds`` are 0 unless given, so that orders have ended
        when they are first read
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        accounts: Sequence[str] = (DEFAULT_ACCOUNT,),
        sites: Mapping[str, Sequence[str]] = DEFAULT_SITES,
        login: str = DEFAULT_LOGIN,
        password: str = DEFAULT_PASSWORD,
        imported: Iterable[str] = (),
        owned: Iterable[str] = (),
        **settings: object,
    ) -> None:
        if host not in LOOPBACK:
            raise ValueError(f"host {host!r} is not a loopback address: {', '.join(LOOPBACK)}")
        self._host = host
        self._port = port
        self._login = login
        self._password = password
        self._seed = (tuple(imported), tuple(owned))
        self._initial = Settings().updated({"received_seconds": 0, "processing_seconds": 0, **settings})
        self._store = Store(accounts, sites)
        self._dashboard = Dashboard(self._store, login, password)
        pages = Starlette(routes=[*control_routes(self), *page_routes(self)])
        self._app = SandboxApp(self._dashboard, pages)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.reset()

    # Running.

    def start(self) -> None:
        """Listen and serve; returns when connections are accepted.

        :raises OSError: if the port is taken
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.create_server((self._host, self._port), family=family, backlog=2048)
        # Else an answer whose head and body leave apart waits 40 ms for the client's acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = listener.getsockname()[1]
        self._app.stopping = False
        config = uvicorn.Config(
            self._app,
            http=_protocol,  # type: ignore[arg-type]  # called like a class
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="bandwidth-sandbox", daemon=True
        )
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the sandbox's server ended while it was starting")
            time.sleep(0.001)

    def stop(self) -> None:
        """Stop serving; requests that are held or slow are dropped."""
        if self._server is not None and self._thread is not None:
            self._app.stopping = True
            self._server.should_exit = True
            self._thread.join()
            self._server = self._thread = None

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it listens, without a path; the port is known once it has started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def base_url(self) -> str:
        """The base URL of the API, as a connection's host."""
        return f"{self.url}/api"

    @property
    def connection(self) -> dict[str, Any]:
        """The Airflow connection to this sandbox."""
        location = self.default_location
        return {
            "conn_type": "bandwidth",
            "host": self.base_url,
            "login": self._login,
            "password": self._password,
            "extra": {
                "auth_type": "oauth2",
                "account_id": location.account_id,
                "site_id": location.site_id,
                "sip_peer_id": location.sip_peer_id,
                "order_url": f"{self.url}/accounts/{{account_id}}/orders/{{order_id}}",
            },
        }

    @property
    def connection_json(self) -> str:
        """The connection as Airflow's JSON, ready for ``AIRFLOW_CONN_BANDWIDTH_DEFAULT``."""
        return json.dumps(self.connection)

    # Behaviour.

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._app.settings

    def configure(self, **changes: object) -> Settings:
        """Change settings for requests from now on.

        :raises ValueError: for an unknown setting or an impossible value
        """
        self._app.settings = self._app.settings.updated(changes)
        return self._app.settings

    def inject(
        self,
        fault: str,
        *,
        operation: str | None = None,
        method: str | None = None,
        path: str | None = None,
        times: int | None = 1,
        after: int = 0,
        **options: object,
    ) -> Injection:
        """Let a fault hit the next matching requests; for example ``inject("drop", operation="submit", when="after")``.

        :param fault: a key of ``faults.FAULT_KINDS``
        :param operation: one of ``faults.OPERATIONS``; token requests are only hit when named here or by *path*
        :param method: HTTP method
        :param path: a part of the path
        :param times: how many requests it hits; ``None`` for every one
        :param after: how many matching requests pass first
        :param options: the fault's options
        :raises ValueError: for anything unknown among them
        """
        made = make_fault(fault, options)
        return self._app.faults.inject(made, operation=operation, method=method, path=path, times=times, after=after)

    def faults(self) -> list[dict[str, object]]:
        """The faults that still wait for requests."""
        return self._app.faults.waiting()

    def clear_faults(self) -> None:
        """Take every waiting fault down."""
        self._app.faults.clear()

    def release_requests(self) -> None:
        """Let every request go on that a ``hold`` fault keeps."""
        self._app.log.release()

    def revoke_tokens(self) -> None:
        """Answer 401 to every OAuth2 token issued so far."""
        self._dashboard.tokens.revoke()

    def reset(self) -> None:
        """Back to the state of a new sandbox, at the same address; tokens stay good."""
        self.release_requests()
        self.clear_faults()
        self._app.log.clear()
        self._dashboard.rate_limit.clear()
        self._app.settings = self._initial
        self._store.reset()
        imported, owned = self._seed
        self.seed(imported=imported, owned=owned)

    # Orders.

    @property
    def orders(self) -> list[Order]:
        """Every order as it stands now, first created first."""
        return self._store.orders()

    def order(self, order_id: str) -> Order:
        """One order as it stands now.

        :raises LookupError: if there is none
        """
        return self._store.order(order_id)

    def add_order(
        self,
        telephone_numbers: Iterable[str],
        *,
        action: str = "IMPORT",
        customer_order_id: str | None = None,
        status: str = "COMPLETE",
        errors: Sequence[OrderError] = (),
        created_at: datetime | None = None,
        location: Location | None = None,
        loa_type: str | None = None,
        created_by: str = "somebody-else",
    ) -> Order:
        """Put an order there that no request of yours created; it keeps its status and touches no number.

        :param created_at: an aware time; now if not given
        :param location: the first peer of the first site if not given
        """
        account_id, site_id, sip_peer_id = location or self.default_location
        new = NewOrder(
            account_id=account_id,
            site_id=site_id,
            sip_peer_id=sip_peer_id,
            action=action,
            telephone_numbers=tuple(telephone_numbers),
            customer_order_id=customer_order_id,
            loa_type=loa_type,
            created_by=created_by,
        )
        return self._store.add(new, status=status, errors=errors, created_at=created_at)

    def hold(self, order_id: str | None = None) -> None:
        """Keep one order, or all that are open or still to come, from ending."""
        self._store.hold(order_id)

    def release(self, order_id: str | None = None) -> None:
        """End a hold; orders whose time was up end at once."""
        self._store.release(order_id)

    def finish(self, order_id: str, status: str | None = None, errors: Sequence[OrderError] = ()) -> Order:
        """End an open order now, with *status* and *errors* or as its numbers decide.

        :raises LookupError: if there is no such order
        :raises ValueError: if the order has ended, or *status* does not end an order
        """
        return self._store.finish(order_id, status, errors)

    def set_status(self, order_id: str, status: str) -> Order:
        """Show an open order with any word that does not end it, until ``finish``.

        :raises LookupError: if there is no such order
        :raises ValueError: if the order has ended, or *status* would end it
        """
        return self._store.set_status(order_id, status)

    def skip(self, seconds: float) -> None:
        """Let so many seconds pass at once, for orders and the lags; tokens and rate limits keep real time."""
        self._store.skip(seconds)

    # Numbers.

    @property
    def default_location(self) -> Location:
        """First account, first site, its default peer."""
        site_id, peers = next(iter(self._store.sites.items()))
        return Location(self._store.accounts[0], site_id, peers[0])

    def seed(
        self, *, imported: Iterable[str] = (), owned: Iterable[str] = (), location: Location | None = None
    ) -> None:
        """Put numbers at a peer without an order; the first peer of the first site if none is given."""
        self._store.seed(location or self.default_location, imported=imported, owned=owned)

    @property
    def inventory(self) -> dict[tuple[str, str], list[str]]:
        """The imported numbers of the first account by (site, peer), ascending; peers without any are left out."""
        return self._by_peer(imported=True)

    @property
    def owned(self) -> dict[tuple[str, str], list[str]]:
        """The first account's numbers of Bandwidth's own, as :attr:`inventory`."""
        return self._by_peer(imported=False)

    def numbers(self, *, imported: bool) -> dict[Location, list[str]]:
        """The imported or the owned numbers of every peer of every account, ascending."""
        return self._store.numbers(imported=imported)

    @property
    def resets(self) -> dict[str, int]:
        """How often an import hit a number that was imported already, by number: the damage done."""
        return self._store.resets()

    def _by_peer(self, *, imported: bool) -> dict[tuple[str, str], list[str]]:
        account_id = self._store.accounts[0]
        return {
            (location.site_id, location.sip_peer_id): numbers
            for location, numbers in self.numbers(imported=imported).items()
            if location.account_id == account_id
        }

    # Requests.

    @property
    def requests(self) -> list[RequestRecord]:
        """The latest API requests, oldest first, at most 20,000."""
        return self._app.log.records()

    @property
    def request_counts(self) -> dict[str, int]:
        """How many API requests came in, by operation, since start or reset."""
        return self._app.log.counts()

    def count(
        self,
        method: str | None = None,
        path_contains: str | None = None,
        *,
        operation: str | None = None,
        since: int = 0,
    ) -> int:
        """How many of the remembered requests meet every condition given; *since* is a request's number."""
        return sum(
            (method is None or record.method == method.upper())
            and (path_contains is None or path_contains.lower() in record.path.lower())
            and (operation is None or record.operation == operation)
            for record in self._app.log.records(since)
        )

    def wait_for_request(self, *, operation: str, state: str, since: int = 0, timeout: float = 5.0) -> RequestRecord:
        """The first request after number *since* of this operation that is in *state*.

        :raises TimeoutError: if none comes within *timeout* seconds
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for record in self._app.log.records(since):
                if record.operation == operation and record.state == state:
                    return record
            time.sleep(0.002)
        raise TimeoutError(f"no {operation} request is {state} after {timeout} s")


def _protocol(*, app_state: dict[str, Any], **parts: Any) -> Any:
    """The HTTP protocol of uvicorn, with itself in the state it gives to the app: faults need its transport."""
    state = dict(app_state)
    protocol = AutoHTTPProtocol(app_state=state, **parts)  # type: ignore[call-arg]  # uvicorn types it as its base
    state[CONNECTION] = protocol
    return protocol
