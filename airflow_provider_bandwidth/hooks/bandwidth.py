"""The hook: one connection to Bandwidth's Dashboard API, one call per method, and the exactly-once submission.

The file is longer than others because a hook's calls are looked for, and documented, in one place. What a call does
has its home below.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bandwidth.exceptions import (
    BandwidthApiError,
    BandwidthError,
    InvalidParameterError,
    OrderNotFoundError,
)
from airflow_provider_bandwidth.get_provider_info import UI_FIELD_BEHAVIOUR, build_form_widgets
from airflow_provider_bandwidth.hooks._api import ApiHook
from airflow_provider_bandwidth.hooks._connection import fill_order_url
from airflow_provider_bandwidth.hooks._journal import EarlierAttempt, SubmissionJournal
from airflow_provider_bandwidth.hooks._submission import OrderCalls, Submission, run_steps
from airflow_provider_bandwidth.order_apis import ORDER_APIS, TN_OPTIONS, OrderApi, OrderResource, parse_order_api
from airflow_provider_bandwidth.orders import (
    Action,
    LoaType,
    ProcessingStatus,
    Subscriber,
    TelephoneNumberError,
    TnOrder,
    TnOrderRequest,
    newest_first,
    parse_choice,
    parse_id,
    parse_order_id,
    parse_telephone_numbers,
)
from airflow_provider_bandwidth.telephone_numbers import chunk

if TYPE_CHECKING:
    from airflow_provider_bandwidth.hooks._connection import ConnectionSettings
    from airflow_provider_bandwidth.hooks._inventory import SipPeerTelephoneNumber
    from airflow_provider_bandwidth.hooks._orders import Orders
    from airflow_provider_bandwidth.hooks._readiness import Readiness
    from airflow_provider_bandwidth.loa_files import LoaFile, LoaUpload
    from airflow_provider_bandwidth.readiness import NumberReadiness
    from airflow_provider_bandwidth.wire.answers import Answer
    from airflow_provider_bandwidth.wire.inventory import SipPeerTelephoneNumberPage
    from airflow_provider_bandwidth.wire.orders import OrderListEntry

__all__ = ["BandwidthHook", "EarlierAttempt", "SubmissionJournal"]

#: A CustomerOrderId that no order has.
_NO_ORDER: Final = "airflow-connection-test"
#: The most numbers importTnChecker takes [oas1].
_MAX_CHECKED_NUMBERS: Final = 5000


class BandwidthHook(ApiHook):
    """Calls Bandwidth's Dashboard API for hosted-messaging telephone numbers.

    No I/O happens before the first call. Every call has a time limit. What is sent again, and when:

    ======================================  ==============================  =====================================
    what happened                           GET, request for a token        POST of an order
    ======================================  ==============================  =====================================
    connection never established            again                           again: nothing was created
    connection broke, timeout, broken body  again                           never: ``AmbiguousSubmissionError``
    408, 5xx                                again                           never: ``AmbiguousSubmissionError``
    429                                     again, at the reset time        again, at the reset time
    401                                     once, with a new token          once, with a new token
    400, 403, 404, other 4xx, redirects     never                           never
    certificate or TLS refused              never                           never: ``AmbiguousSubmissionError``
    ======================================  ==============================  =====================================

    Pauses double from one second up to a minute; each is shortened at random, by half at most. A 429's pause is what
    ``X-RateLimit-Reset`` [rate] or ``Retry-After`` says, up to a minute. Redirects are never followed.

    :param bandwidth_conn_id: Airflow connection of type ``bandwidth``
    :param account_id: Bandwidth account; the connection's ``account_id`` by default
    :param order_api: which of Bandwidth's order APIs the account has: ``externalTns``, ``importTnOrders`` or
        ``importTnOrders/messaging``; the connection's ``order_api`` by default. ``tnoptions`` for orders that assign
        campaigns
    :param max_attempts: how often a request is sent at most
    :param sleep: pauses for so many seconds; for tests
    :param clock: epoch seconds; for tests
    """

    _accept = "application/xml"

    def __init__(
        self,
        bandwidth_conn_id: str = ApiHook.default_conn_name,
        account_id: str | None = None,
        order_api: str | None = None,
        *,
        max_attempts: int = 5,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(bandwidth_conn_id, account_id, max_attempts=max_attempts, sleep=sleep, clock=clock)
        self._given_order_api = order_api
        self._orders_of: dict[OrderResource, Orders] = {}
        #: By order id: the resource that holds the order, where it was listed or is not the one looked into first.
        self._found_in: dict[str, OrderResource] = {}

    # --- connection ---

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Extra fields of the connection form on Airflow 2.11; 3.x reads them from the provider info."""
        return build_form_widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Labels and placeholders of the connection form on Airflow 2.11, which spells the keys with underscores."""
        return {name.replace("-", "_"): value for name, value in UI_FIELD_BEHAVIOUR.items()}

    @cached_property
    def order_api(self) -> OrderApi:
        """The order API that calls go to. Like the account, it stays the same when the connection changes.

        :raises InvalidParameterError: there is none of the name given
        """
        return parse_order_api(self._given_order_api or self.settings.order_api, also=(TN_OPTIONS,))

    def _replace_settings(self, settings: ConnectionSettings) -> bool:
        self.order_api  # noqa: B018 - resolved with the old connection, and kept
        return super()._replace_settings(settings)

    def test_connection(self) -> tuple[bool, str]:
        """Whether calls would work, and if not, why: for the connection form's Test button. Sends GETs only."""
        probe = self._probe(self._given_order_api)
        try:
            probe.list_tn_orders(customer_order_id=_NO_ORDER)
            probe._call("GET", "sites", accept=(200, 204))  # noqa: SLF001
        except BandwidthError as error:
            problem = str(error)
            if isinstance(error, BandwidthApiError):
                answers = self.find_order_apis() if error.is_about_a_missing_api else {}
                others = [name for name, each in answers.items() if each is None and name != probe.order_api.name]
                problem = probe.settings.explain_failure(error, probe.account_id)
                if others:
                    problem = (
                        f"Account {probe.account_id} does not answer for order API {probe.order_api.name}, but does "
                        f"for {' and '.join(others)}: set order_api. {error}"
                    )
            # The form's Test button tests a copy under a random id, which nobody would recognise.
            return False, re.sub(f"[Cc]onnection {re.escape(repr(self.bandwidth_conn_id))}", "this connection", problem)
        finally:
            probe.close()
        return True, (
            f"Connected to account {probe.account_id} at {probe.settings.base_url}; order API {probe.order_api.name}."
        )

    def _probe(self, order_api: str | None) -> BandwidthHook:
        """A hook that makes one attempt a call: a person waits for the answer."""
        return type(self)(
            self.bandwidth_conn_id,
            self._given_account_id,
            order_api,
            max_attempts=1,
            sleep=self._sleep,
            clock=self._clock,
        )

    def make_hooks_of_other_order_apis(self) -> list[BandwidthHook]:
        """A hook for the same account on each order API but this one's, whether the account has it or not."""
        return [self.make_hook_of(name) for name in ORDER_APIS if name != self.order_api.name]

    def make_hook_of(self, order_api: str) -> BandwidthHook:
        """A hook for the same account on another order API, such as ``tnoptions``."""
        return BandwidthHook(
            self.bandwidth_conn_id,
            self.account_id,
            order_api,
            max_attempts=self._max_attempts,
            sleep=self._sleep,
            clock=self._clock,
        )

    def find_order_apis(self) -> dict[str, BandwidthError | None]:
        """Each order API with ``None`` if it answers for the account, else the error. Sends GETs only."""
        found: dict[str, BandwidthError | None] = {}
        for name in ORDER_APIS:
            probe = self._probe(name)
            try:
                probe.list_tn_orders(customer_order_id=_NO_ORDER)
            except BandwidthError as error:
                found[name] = error
            else:
                found[name] = None
            finally:
                probe.close()
        return found

    # --- one call per method ---

    def create_tn_order(self, request: TnOrderRequest) -> TnOrder:
        """Send one order. For a submission that is safe to repeat use :meth:`submit_tn_order`.

        :raises InvalidParameterError: the request is for another order API than the hook's; nothing was sent
        :raises AmbiguousSubmissionError: the order may have been created (timeout, broken connection, 5xx, an answer
            that cannot be read): look it up before anything else
        :raises BandwidthAuthError: credentials or role; nothing was created
        :raises BandwidthApiError: Bandwidth refused the order, or was never reached; nothing was created
        """
        return self._orders_for(request).create(request, self.settings.customer_order_id_element)

    def get_tn_order(self, order_id: str, action: Action | None = None) -> TnOrder:
        """Read one order.

        :param action: what the order does; ``None`` if that is not known. Some order APIs keep the orders of each
            action apart; without ``action`` one place after the other is looked into
        :raises OrderNotFoundError: the account has no such order (or not yet: Bandwidth may need a moment)
        :raises InvalidResponseError: the answer is not this order, or a 404 that is not Bandwidth's, such as a proxy's
        :raises BandwidthApiError: any other refusal, or no answer after all attempts
        """
        order_id = parse_order_id(order_id)
        key = order_id.lower()
        first, *rest = [self._found_in[key]] if key in self._found_in else self._resources(action)
        try:
            return self._orders(first).get(order_id)
        except OrderNotFoundError:
            for resource in rest:
                try:
                    order = self._orders(resource).get(order_id)
                except OrderNotFoundError:
                    continue
                self._found_in[key] = resource
                return order
            raise

    def list_tn_orders(
        self,
        *,
        customer_order_id: str | None = None,
        telephone_number: str | None = None,
        status: ProcessingStatus | str | Sequence[ProcessingStatus | str] | None = None,
        action: Action | str | None = None,
        created_from: date | str | None = None,
        created_to: date | str | None = None,
        modified_from: date | str | None = None,
        modified_to: date | str | None = None,
    ) -> list[TnOrder]:
        """Orders of the account as Bandwidth's search gives them, newest first; empty if nothing matches.

        At most 1,000 [oas1], or 1,000 of each action where each has a list; narrow the dates for more. Whether the
        search by ``customer_order_id`` is exact, and the time zone and edges of the dates, are not documented: check
        the orders again where it matters. Where Bandwidth answers summaries, each order is read in full, one GET each.

        :param status: one status or several. Lists of removals, and those of v2, cannot be asked for RECEIVED [oas2]:
            such orders are picked from those of the last day
        :param created_from: date, or text ``yyyy-MM-dd``, like the three after it; of a datetime its day in UTC counts
        :raises InvalidParameterError: a filter that Bandwidth would not understand; nothing was asked
        :raises InvalidResponseError: the answer is not a list of orders
        """
        filters = {
            "customer_order_id": customer_order_id,
            "telephone_number": telephone_number,
            "action": action,
            "created_from": created_from,
            "created_to": created_to,
            "modified_from": modified_from,
            "modified_to": modified_to,
        }
        kind = None if action is None else parse_choice("Action", Action, action)
        lists = [
            [
                orders.complete(entry)
                for orders in (self._orders(resource),)
                for entry in orders.search_by_status(status, self.bandwidth_now(), **filters)
            ]
            for resource in self._resources(kind)
        ]
        return lists[0] if len(lists) == 1 else newest_first(order for orders in lists for order in orders)

    def iter_tn_orders(
        self,
        *,
        statuses: Sequence[ProcessingStatus | str],
        created_from: date | str | None = None,
        created_to: date | str | None = None,
        order_id_fragment: str | None = None,
        in_full: bool = True,
        action: Action | None = None,
    ) -> Iterator[OrderListEntry]:
        """The orders of one list answer, newest first, while it is still being read: an answer is never held whole.

        At most 1,000 [oas1]. Where each action has a list, those of imports come first. Leaving the iterator early
        gives up the rest of the answer.

        :param statuses: the statuses to list; all if empty. Lists of removals, and those of v2, cannot be asked for
            RECEIVED
        :param created_from: date, or text ``yyyy-MM-dd``; time zone and edges are not documented
        :param order_id_fragment: the first characters of the OrderId [oas1]
        :param in_full: ask for whole orders (``orderDetails`` [iris20]); Bandwidth may answer summaries all the same.
            ``False`` reads no more than OrderId, status and creation date of each
        :param action: list orders of this action alone, where each action has a list
        :raises InvalidResponseError: the answer is not a list, or breaks off; the orders given before that are sound
        :raises BandwidthApiError: a refusal, or no answer
        """
        dates = {"created_from": created_from, "created_to": created_to}
        for resource in self._resources(action):
            entries = self._orders(resource).iterate(
                status=statuses, **dates, order_id_fragment=order_id_fragment, in_full=in_full
            )
            for entry in entries:
                if len(self.order_api.resources) > 1:
                    self._found_in[entry.order.order_id.lower()] = resource
                yield entry

    def iter_external_telephone_numbers(
        self, site_id: int | str | None = None, sip_peer_id: int | str | None = None
    ) -> Iterator[str]:
        """The telephone numbers imported to a SIP peer, ten digits each, page by page; never those Bandwidth owns.

        :param site_id: SiteId; the connection's by default
        :param sip_peer_id: SipPeerId; the connection's by default
        """
        pages = self._iter_inventory_pages(site_id, sip_peer_id)
        return (number for page in pages for number in page.external_telephone_numbers)

    def iter_sip_peer_telephone_numbers(
        self, site_id: int | str | None = None, sip_peer_id: int | str | None = None
    ) -> Iterator[SipPeerTelephoneNumber]:
        """All telephone numbers of a SIP peer, page by page.

        A number counts as imported when its ``TnAttributes`` hold External or Imported [oas1]; any other may be one
        that Bandwidth owns.

        :param site_id: SiteId; the connection's by default
        :param sip_peer_id: SipPeerId; the connection's by default
        :raises InvalidResponseError: the pages cannot be read to the end: one comes twice, brings no new number, or is
            empty. Nothing can be made of half an inventory: live numbers would be imported again
        """
        from airflow_provider_bandwidth.hooks._inventory import SipPeerTelephoneNumber

        for page in self._iter_inventory_pages(site_id, sip_peer_id):
            yield from (SipPeerTelephoneNumber(number, True) for number in page.external_telephone_numbers)
            yield from (SipPeerTelephoneNumber(number, False) for number in page.other_telephone_numbers)

    def _iter_inventory_pages(
        self, site_id: int | str | None, sip_peer_id: int | str | None
    ) -> Iterator[SipPeerTelephoneNumberPage]:
        from airflow_provider_bandwidth.hooks._inventory import iter_pages

        path = f"{self._peer_path(site_id, sip_peer_id)}/tns"
        return iter_pages(
            lambda page: self._call("GET", path, params={"page": page, "size": "5000"}, accept=(200, 204))
        )

    def count_sip_peer_telephone_numbers(
        self, site_id: int | str | None = None, sip_peer_id: int | str | None = None
    ) -> int:
        """Bandwidth's own count of the telephone numbers of a SIP peer (``totaltns`` [oas1]).

        Bandwidth does not document what it counts. It is taken to count what the pages of
        :meth:`iter_sip_peer_telephone_numbers` list: every number of the peer, those Bandwidth owns included. Whether
        the two always agree, for instance while an order works, is not documented either.

        :param site_id: SiteId; the connection's by default
        :param sip_peer_id: SipPeerId; the connection's by default
        """
        from airflow_provider_bandwidth.wire.answers import errors_naming_call
        from airflow_provider_bandwidth.wire.inventory import read_sip_peer_count

        path = f"{self._peer_path(site_id, sip_peer_id)}/totaltns"
        answer = self._call("GET", path, accept=(200, 204))
        if answer.status == 204:
            return 0
        with errors_naming_call(answer):
            return read_sip_peer_count(answer.body)

    def _peer_path(self, site_id: int | str | None, sip_peer_id: int | str | None) -> str:
        site, peer = self.resolve_site_id(site_id), self.resolve_sip_peer_id(sip_peer_id)
        if peer is None:
            raise InvalidParameterError(
                "SipPeerId", f"give sip_peer_id, or set extra.sip_peer_id of connection {self.bandwidth_conn_id!r}"
            )
        return f"sites/{site}/sippeers/{peer}"

    def check_importable(
        self, telephone_numbers: Iterable[str], site_id: int | str | None = None, sip_peer_id: int | str | None = None
    ) -> tuple[TelephoneNumberError, ...]:
        """Ask Bandwidth which numbers it would not import, and why. Nothing is ordered.

        Asked in parts of 5,000, the most Bandwidth takes at once [oas1]. A clean answer is a hint, no promise [host].

        :param telephone_numbers: ten digits each, without duplicates
        :param site_id: SiteId; the connection's by default
        :param sip_peer_id: SipPeerId; the connection's by default
        :return: one error per refused number
        :raises BandwidthApiError: the account lacks the feature (IMPORT_TNS), or any other refusal
        """
        from airflow_provider_bandwidth.hooks._orders import XML
        from airflow_provider_bandwidth.wire.answers import errors_naming_call
        from airflow_provider_bandwidth.wire.inventory import read_import_tn_checker, write_import_tn_checker_request

        site = self.resolve_site_id(site_id)
        peer = self.resolve_sip_peer_id(sip_peer_id)
        refused: list[TelephoneNumberError] = []
        for part in chunk(tuple(telephone_numbers), _MAX_CHECKED_NUMBERS):
            body = write_import_tn_checker_request(part, site, peer, is_e164=self.order_api.imports.is_e164)
            answer = self._call("POST", "importTnChecker", data=body, headers=XML)
            with errors_naming_call(answer):
                refused.extend(read_import_tn_checker(answer.body).errors)
        return tuple(refused)

    def upload_loa_files(self, order_id: str, files: Iterable[LoaFile]) -> tuple[LoaUpload, ...]:
        """Upload letters of authorization to an import, once each: what is there already, byte by byte, is not sent.

        No failure is raised: the order goes on without its letters, and each result says what is missing.

        :param order_id: an order of importTnOrders or its v2 form; the other APIs take no letters
        """
        from airflow_provider_bandwidth.hooks._loa import LoaFiles

        return tuple(LoaFiles(parse_order_id(order_id), self.order_api.imports, self._call, self.log).upload(files))

    # --- what is missing ---

    def check_readiness(self, telephone_numbers: Iterable[object] | str) -> tuple[NumberReadiness, ...]:
        """What each number lacks in order to text: application at its location, SMS on, campaign. Sends GETs only.

        Two GETs a number, and two a location. What the user may not see counts as unknown, not as fine.

        :param telephone_numbers: NANP numbers in any notation
        :raises InvalidTelephoneNumbersError: names every number that is wrong
        :raises BandwidthApiError: the credentials were refused, or Bandwidth gave no answer
        """
        return tuple(self.readiness.check_numbers(parse_telephone_numbers(telephone_numbers)))

    @property
    def readiness(self) -> Readiness:
        """A look at the account, its locations and its numbers."""
        from airflow_provider_bandwidth.hooks._readiness import Readiness

        return Readiness(self.account_id, self.order_api.imports, self._call)

    # --- defaults of the connection ---

    def resolve_site_id(self, site_id: int | str | None) -> int:
        """The SiteId given, else the connection's.

        :raises InvalidParameterError: neither is there, or it is not a number
        """
        value = self.settings.site_id if site_id is None or site_id == "" else site_id
        if value is None:
            raise InvalidParameterError(
                "SiteId", f"give site_id, or set extra.site_id of connection {self.bandwidth_conn_id!r}"
            )
        return parse_id("SiteId", value)

    def resolve_sip_peer_id(self, sip_peer_id: int | str | None) -> int | None:
        """The SipPeerId given, else the connection's, else ``None``: the site's default peer."""
        value = self.settings.sip_peer_id if sip_peer_id is None or sip_peer_id == "" else sip_peer_id
        return None if value is None else parse_id("SipPeerId", value)

    def build_order_request(
        self,
        action: Action | str,
        telephone_numbers: Iterable[object] | str,
        *,
        site_id: int | str | None = None,
        sip_peer_id: int | str | None = None,
        loa_type: LoaType | str | None = None,
        subscriber: Subscriber | Mapping[str, Any] | str | None = None,
        loa_authorizing_person: str | None = None,
        customer_order_id: str | None = None,
    ) -> TnOrderRequest:
        """An order to submit through this connection's order API. Fields that this API does not take are left out.

        A field that is not given comes from the connection: any field of an import, SiteId alone of a removal.

        :param action: ``IMPORT`` or ``REMOVE``
        :raises InvalidParameterError: names each field that is missing or wrong; nothing was sent
        :raises InvalidTelephoneNumbersError: names every number that is wrong
        """
        kind = parse_choice("Action", Action, action)
        return self.settings.build_order_request(
            self.order_api.resource_for(kind),
            kind,
            telephone_numbers=telephone_numbers,
            site_id=site_id,
            sip_peer_id=sip_peer_id,
            loa_type=loa_type,
            subscriber=subscriber,
            loa_authorizing_person=loa_authorizing_person,
            customer_order_id=customer_order_id,
        )

    def resolve_loa_type(self, loa_type: LoaType | str | None) -> LoaType | None:
        """The LoaType of an import: the one given, else the connection's, else what its order API needs.

        :return: ``None`` if it is left out, which Bandwidth reads as CARRIER
        :raises InvalidParameterError: there is no such LoaType
        """
        if loa_type not in (None, ""):
            return parse_choice("LoaType", LoaType, str(loa_type))
        return self.settings.loa_type or self.order_api.loa_type

    def order_url(self, order_id: str, action: Action | str | None = None) -> str:
        """Where a person can look at an order: the connection's ``order_url`` pattern, filled in.

        :param action: what the order does, if that is known: its address in the API may depend on it
        """
        resource = self.order_api.removals if action == Action.REMOVE else self.order_api.imports
        base_url = self.settings.api_url(resource.api_version)
        return fill_order_url(
            self.settings.order_url or f"{{base_url}}/accounts/{{account_id}}/{resource.path}/{{order_id}}",
            base_url=base_url,
            account_id=self.account_id,
            order_id=order_id,
        )

    # --- exactly once ---

    def submit_tn_order(
        self,
        request: TnOrderRequest,
        *,
        reuse_existing_order: bool = True,
        reuse_orders_ended_since: datetime | None = None,
        journal: SubmissionJournal | None = None,
    ) -> TnOrder:
        """Find the order with this request's CustomerOrderId, or create it: exactly once.

        Bandwidth does not refuse a duplicate, and importing a live number again resets its attributes [oas1]. So the
        account is searched before every POST, and for a minute after a POST whose answer leaves doubt. An order found
        is taken over, unless it FAILED, if it has the request's CustomerOrderId, action, SiteId and numbers, and the
        SipPeerId and LoaType where given. After a POST the search is asked once more, for a twin: a second such order.

        Guaranteed, whatever dies and whichever answer is lost: attempts that follow one another create one order, as
        long as Bandwidth's search shows an order within a minute of its POST having ended. Clocks may differ by hours,
        ids may come back in another case, and an answer that contradicts the request is not believed. Once the journal
        has an order id of Bandwidth's, nothing more is sent until that order is seen to have FAILED.

        Not guaranteed is one order

        * from two attempts at the same time, such as a worker that Airflow believes dead and the retry that replaces
          it. Both may search before either sends, and Bandwidth takes both orders. The search after the POST then
          finds the twin, unless it does not show it yet, or the twin came without a CustomerOrderId. An attempt that
          finds a twin fails and names both orders; its retry takes one of the two over. Of two mapped tasks with the
          same numbers, the operator's journal lets one send at most.
        * from a POST that Bandwidth acts upon more than a minute after the client gave up on it. After a POST that was
          sent again, a twin is looked for during a minute. One that comes later still is noticed by a later attempt at
          best, which warns.

        :param reuse_existing_order: ``False`` sends a new order although there is one; each call then sends one
        :param reuse_orders_ended_since: aware time; an order that ended before it is not taken over, since what it did
            was undone in the meantime. Bandwidth's clock decides: leave a margin. An order that does not show when it
            ended is taken to have ended a day after it was made
        :param journal: what is known of earlier attempts at this very request, and where this one is recorded. After
            an earlier attempt an empty answer is believed only after a minute, since the search may not show yet what
            was sent; and an order that lost its CustomerOrderId is looked for by its numbers
        :raises OrderMismatchError: an order with this CustomerOrderId asks for something else
        :raises DuplicateOrderError: another attempt created the same order at the same time
        :raises AmbiguousSubmissionError: it could not be found out whether the order was created, or the order that
            an earlier attempt created is not to be found
        :raises BandwidthApiError: the look-up failed, so that nothing was sent; or Bandwidth refused the order
        """
        self._orders_for(request)
        calls = self._order_calls(request.action)
        submission = Submission(
            request, calls, journal or SubmissionJournal(), ended_since=reuse_orders_ended_since, log=self.log
        )
        return run_steps(
            submission.find_or_create() if reuse_existing_order else submission.create_another(), calls.sleep
        )

    def _order_calls(self, action: Action | None) -> OrderCalls:
        """The calls that a submission makes; many submissions share theirs, see ``_shared_looks``.

        :param action: what their orders do
        """
        return OrderCalls(
            create=self.create_tn_order,
            get=partial(self.get_tn_order, action=action),
            list=self._orders(self.order_api.resource_for(action)).search,
            list_since=lambda day: self.iter_tn_orders(statuses=(), created_from=day, action=action),
            now=self.bandwidth_now,
            local_now=lambda: datetime.fromtimestamp(self._clock(), UTC),
            sleep=self._sleep,
            account_id=self.account_id,
        )

    # --- requests ---

    def _resources(self, action: Action | None) -> tuple[OrderResource, ...]:
        """The resources that hold orders of this action; for ``None`` all of them."""
        return self.order_api.resources if action is None else (self.order_api.resource_for(action),)

    def _orders(self, resource: OrderResource) -> Orders:
        if resource not in self._orders_of:
            from airflow_provider_bandwidth.hooks._orders import Orders

            self._orders_of[resource] = Orders(
                resource, self.account_id, call=self._call, stream=self._stream, to_error=self._to_error
            )
        return self._orders_of[resource]

    def _orders_for(self, request: TnOrderRequest) -> Orders:
        if request.resource not in self.order_api.resources:
            raise InvalidParameterError(
                "order_api",
                f"the request is for {request.resource.order_api}, but the hook of connection "
                f"{self.bandwidth_conn_id!r} is for {self.order_api.name}. Make the request with the hook's "
                "build_order_request, or give the hook the order_api of the request",
            )
        return self._orders(request.resource)

    def _url(self, path: str) -> str:
        """:param path: below the account; or, with a leading slash, from the version of the API on"""
        if path.startswith("/"):
            version, _, rest = path[1:].partition("/")
            return f"{self.settings.api_url(version)}/{rest}"
        base_url = self.settings.api_url(self.order_api.imports.api_version)
        return f"{base_url}/accounts/{self.account_id}/{path}"

    def _to_error(self, answer: Answer) -> BandwidthApiError:
        from airflow_provider_bandwidth.wire.answers import to_error

        return to_error(
            answer,
            conn_id=self.bandwidth_conn_id,
            account_id=self.account_id,
            hint=self.settings.credentials_hint,
            now=self.bandwidth_now().timestamp(),
        )
