"""What can be seen of a Dashboard and done to it: by a test in this process, and over the control endpoints."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_provider_bandwidth.sandbox.app import SandboxApp
from airflow_provider_bandwidth.sandbox.callbacks import CallbackRecord
from airflow_provider_bandwidth.sandbox.dashboard import Dashboard
from airflow_provider_bandwidth.sandbox.faults import Injection, make_fault
from airflow_provider_bandwidth.sandbox.inventory import Location
from airflow_provider_bandwidth.sandbox.loa_files import LoaFile
from airflow_provider_bandwidth.sandbox.orders import NewOrder, Order, OrderError, TnOptionGroup
from airflow_provider_bandwidth.sandbox.settings import ORDER_APIS, Settings
from airflow_provider_bandwidth.sandbox.store import Store
from airflow_provider_bandwidth.sandbox.traffic import RequestRecord


class Controls:
    """A Dashboard without a server: its settings, faults, orders, numbers and requests.

    :param host: the address to show
    :param port: the port to show
    :param accounts: account ids; the first is the default
    :param sites: SIP peer ids by site id; the first peer of a site is its default
    :param login: OAuth2 client id and Basic user
    :param password: OAuth2 client secret and Basic password
    :param imported: telephone numbers that the first peer of the first site has imported already
    :param owned: telephone numbers of Bandwidth's own there
    :param settings: what a reset goes back to
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        accounts: Sequence[str],
        sites: Mapping[str, Sequence[str]],
        login: str,
        password: str,
        imported: Iterable[str],
        owned: Iterable[str],
        settings: Settings,
    ) -> None:
        self._host = host
        self._port = port
        self._login = login
        self._password = self._initial_password = password
        self._seed = (tuple(imported), tuple(owned))
        self._initial = settings
        self._store = Store(accounts, sites)
        self._dashboard = Dashboard(self._store, login, password)
        self._app = SandboxApp(self._dashboard)
        self.reset()

    # --- address ---

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
    def messaging_url(self) -> str:
        """The base URL of the Messaging API."""
        return f"{self.url}/api/v2"

    @property
    def international_url(self) -> str:
        """Where International A2P texts are posted."""
        return f"{self.url}/bulk/sendsms"

    @property
    def connection(self) -> dict[str, Any]:
        """The Airflow connection to this sandbox, with the first of its order APIs."""
        location = self.default_location
        order_api = self.settings.order_apis.partition(",")[0]
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
                **({} if order_api in ("externalTns", "") else {"order_api": order_api}),
                **({"application_id": application} if (application := self.settings.messaging_application) else {}),
            },
        }

    @property
    def connection_json(self) -> str:
        """The connection as Airflow's JSON, ready for ``AIRFLOW_CONN_BANDWIDTH_DEFAULT``."""
        return json.dumps(self.connection)

    # --- behaviour ---

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._app.settings

    def configure(self, **changes: object) -> Settings:
        """Change settings for requests from now on.

        :raises ValueError: for an unknown setting or an impossible value
        """
        self._app.settings = self._app.settings.replace(changes)
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
        :param operation: one of ``dashboard.OPERATIONS``; token requests are only hit when named here or by ``path``
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

    def rotate_secret(self, password: str) -> None:
        """Accept another password only, as Basic password and as client secret; tokens stay good.

        :attr:`connection` has the new one.
        """
        self._dashboard.rotate_secret(password)
        self._password = password

    def reset(self) -> None:
        """Back to the state of a new sandbox, at the same address; tokens stay good."""
        self.release_requests()
        self.clear_faults()
        self._app.log.clear()
        self.rotate_secret(self._initial_password)
        self._dashboard.rate_limit.clear()
        self._dashboard.search_limit.clear()
        self._app.settings = self._initial
        self._store.reset()
        imported, owned = self._seed
        self.seed(imported=imported, owned=owned)

    # --- orders ---

    @property
    def orders(self) -> list[Order]:
        """Every order as it stands now, first created first."""
        return self._store.orders()

    def order(self, order_id: str) -> Order:
        """One order as it stands now.

        :raises LookupError: if there is none
        """
        return self._store.order(order_id)

    def loa_files(self, order_id: str) -> list[LoaFile]:
        """The letters of authorization at an order, first uploaded first."""
        return self._store.loa_files.of_order(order_id)

    def add_order(
        self,
        telephone_numbers: Iterable[str],
        *,
        order_api: str = "externalTns",
        action: str = "IMPORT",
        customer_order_id: str | None = None,
        status: str = "COMPLETE",
        errors: Sequence[OrderError] = (),
        created_at: datetime | None = None,
        location: Location | None = None,
        loa_type: str | None = None,
        created_by: str = "somebody-else",
        campaign_id: str = "CABC123",
    ) -> Order:
        """Put an order there that no request of yours created; it keeps its status and touches no number.

        :param order_api: the API it came through; those of importTnOrders show it with either notation of numbers
        :param campaign_id: of one of ``tnoptions``
        :param created_at: an aware time; now if not given
        :param location: the first peer of the first site if not given
        """
        account_id, site_id, sip_peer_id = location or self.default_location
        known = (*ORDER_APIS, "tnoptions")
        if order_api not in known:
            raise ValueError(f"unknown order API {order_api!r}; known: {', '.join(known)}")
        numbers = tuple(telephone_numbers)
        sets_options = order_api == "tnoptions"
        new = NewOrder(
            account_id=account_id,
            site_id=site_id,
            sip_peer_id=sip_peer_id,
            action="OPTIONS" if sets_options else action,
            telephone_numbers=numbers,
            customer_order_id=customer_order_id,
            loa_type=loa_type,
            created_by=created_by,
            order_api=order_api,
            option_groups=(TnOptionGroup("on", "asSpecified", campaign_id, None, numbers),) if sets_options else (),
        )
        return self._store.add(new, status=status, errors=errors, created_at=created_at)

    def hold(self, order_id: str | None = None) -> None:
        """Keep one order, or all that are open or still to come, from ending."""
        self._store.hold(order_id)

    def release(self, order_id: str | None = None) -> None:
        """End a hold; orders whose time was up end at once."""
        self._store.release(order_id)

    def finish(self, order_id: str, status: str | None = None, errors: Sequence[OrderError] = ()) -> Order:
        """End an open order now, with ``status`` and ``errors`` or as its numbers decide.

        :raises LookupError: if there is no such order
        :raises ValueError: if the order has ended, or ``status`` does not end an order
        """
        return self._store.finish(order_id, status, errors)

    def set_status(self, order_id: str, status: str) -> Order:
        """Show an open order with any word that does not end it, until ``finish``.

        :raises LookupError: if there is no such order
        :raises ValueError: if the order has ended, or ``status`` would end it
        """
        return self._store.set_status(order_id, status)

    def answer_transfer(self, order_id: str, *, approve: bool) -> Order:
        """Answer for the losing carrier that an import waits for (magic line 0908); after 47 hours it has denied.

        :raises LookupError: if there is no such order
        :raises ValueError: if the order has ended, or asks no carrier
        """
        return self._store.answer_transfer(order_id, approve=approve)

    def skip(self, seconds: float) -> None:
        """Let so many seconds pass at once, for orders and the lags; tokens and rate limits keep real time."""
        self._store.skip(seconds)

    # --- messages ---

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Every message that was taken, as its 202 showed it, with ``recipients``: status and error code of each."""
        clock = self._store.clock()
        return [message.to_dict(clock) for message in self._store.messages.all()]

    @property
    def callbacks(self) -> list[CallbackRecord]:
        """Every attempt at a callback, first one first."""
        return self._store.callbacks.records()

    def wait_for_callbacks(self, count: int, timeout: float = 5.0) -> list[CallbackRecord]:
        """Every attempt at a callback, as soon as there are ``count``.

        :raises TimeoutError: if there are fewer after ``timeout`` seconds
        """
        deadline = time.monotonic() + timeout
        while len(records := self.callbacks) < count:
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{len(records)} callbacks were tried within {timeout} s, not {count}")
            time.sleep(0.002)
        return records

    # --- numbers ---

    @property
    def default_location(self) -> Location:
        """First account, first site, its default peer."""
        site_id, peers = next(iter(self._store.sites.items()))
        return Location(self._store.accounts[0], site_id, peers[0])

    def seed(
        self,
        *,
        imported: Iterable[str] = (),
        owned: Iterable[str] = (),
        location: Location | None = None,
        campaign_id: str | None = None,
    ) -> None:
        """Put numbers at a peer without an order; the first peer of the first site if none is given.

        :param campaign_id: the campaign that they are on
        """
        place = location or self.default_location
        self._store.seed(place, imported=tuple(imported), owned=tuple(owned), campaign_id=campaign_id)

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

    # --- requests ---

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
        """How many of the remembered requests meet every condition given; ``since`` is a request's number."""
        return sum(
            (method is None or record.method == method.upper())
            and (path_contains is None or path_contains.lower() in record.path.lower())
            and (operation is None or record.operation == operation)
            for record in self._app.log.records(since)
        )

    def wait_for_request(self, *, operation: str, state: str, since: int = 0, timeout: float = 5.0) -> RequestRecord:
        """The first request after number ``since`` of this operation that is in ``state``.

        :raises TimeoutError: if none comes within ``timeout`` seconds
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for record in self._app.log.records(since):
                if record.operation == operation and record.state == state:
                    return record
            time.sleep(0.002)
        raise TimeoutError(f"no {operation} request is {state} after {timeout} s")
