"""The hook: one connection to Bandwidth's Dashboard API, one call per method, and the exactly-once submission."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote

from airflow_provider_bandwidth.exceptions import (
    AmbiguousSubmissionError,
    BandwidthApiError,
    BandwidthError,
    InvalidParameterError,
    InvalidResponseError,
    OrderNotFoundError,
)
from airflow_provider_bandwidth.get_provider_info import UI_FIELD_BEHAVIOUR, build_form_widgets
from airflow_provider_bandwidth.hooks._api import ApiHook
from airflow_provider_bandwidth.hooks._connection import fill_order_url
from airflow_provider_bandwidth.hooks._journal import EarlierAttempt, SubmissionJournal
from airflow_provider_bandwidth.hooks._submission import OrderCalls, Submission, run_steps
from airflow_provider_bandwidth.orders import (
    Action,
    ExternalTnsOrderRequest,
    ProcessingStatus,
    TelephoneNumberError,
    TnOrder,
    parse_id,
    parse_order_id,
)
from airflow_provider_bandwidth.telephone_numbers import chunk

if TYPE_CHECKING:
    from airflow_provider_bandwidth.hooks._inventory import SipPeerTelephoneNumber
    from airflow_provider_bandwidth.wire.answers import Answer
    from airflow_provider_bandwidth.wire.orders import OrderListEntry

__all__ = ["BandwidthHook", "EarlierAttempt", "SubmissionJournal"]

_XML: Final = {"Content-Type": "application/xml; charset=utf-8"}
#: A list that has nothing to show is answered 204, or 404 [oas1].
_LIST_STATUSES: Final = (200, 204, 404)
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

    Pauses grow from one second by doubling, halved at most at random, up to a minute. A 429's pause is what
    ``X-RateLimit-Reset`` [rate] or ``Retry-After`` says, up to a minute. Redirects are never followed.
    """

    _accept = "application/xml"

    # --- connection ---------------------------------------------------------------------------------------------

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Extra fields of the connection form on Airflow 2.11; 3.x reads them from the provider info."""
        return build_form_widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Labels and placeholders of the connection form on Airflow 2.11, which spells the keys with underscores."""
        return {name.replace("-", "_"): value for name, value in UI_FIELD_BEHAVIOUR.items()}

    def test_connection(self) -> tuple[bool, str]:
        """Whether calls would work, and if not, why: for the connection form's Test button. Sends GETs only."""
        # One attempt a call: a person waits for the answer.
        probe = type(self)(
            self.bandwidth_conn_id, self._given_account_id, max_attempts=1, sleep=self._sleep, clock=self._clock
        )
        try:
            probe.list_tn_orders(customer_order_id="airflow-connection-test")
            probe._call("GET", "sites", accept=(200, 204))  # noqa: SLF001
        except BandwidthError as error:
            problem = str(error)
            if isinstance(error, BandwidthApiError):
                problem = probe.settings.explain_failure(error, probe.account_id)
            # The form's Test button tests a copy under a random id, which nobody would recognise.
            return False, re.sub(f"[Cc]onnection {re.escape(repr(self.bandwidth_conn_id))}", "this connection", problem)
        finally:
            probe.close()
        return True, f"Connected to account {probe.account_id} at {probe.settings.base_url}."

    # --- one call per method ------------------------------------------------------------------------------------

    def create_tn_order(self, request: ExternalTnsOrderRequest) -> TnOrder:
        """Send one order. For a submission that is safe to repeat use :meth:`submit_tn_order`.

        :raises AmbiguousSubmissionError: the order may have been created (timeout, broken connection, 5xx, an answer
            that cannot be read): look it up before anything else
        :raises BandwidthAuthError: credentials or role; nothing was created
        :raises BandwidthApiError: Bandwidth refused the order, or was never reached; nothing was created
        """
        from airflow_provider_bandwidth.wire.orders import ORDERS_PATH, read_order, write_order_request

        body = write_order_request(request, customer_order_id_element=self.settings.customer_order_id_element)
        customer_order_id = request.customer_order_id
        answer = self._call(
            "POST",
            ORDERS_PATH,
            accept=range(200, 300),
            doubt=partial(AmbiguousSubmissionError, customer_order_id),
            data=body,
            headers=_XML,
        )
        location = answer.headers.get("Location", "").rstrip("/").rpartition("/")[2]
        try:
            return read_order(answer.body, fallback_order_id=location or None)
        except BandwidthApiError as error:
            raise BandwidthApiError(error.description, status=answer.status, code=error.code, url=answer.url) from None
        except InvalidResponseError as error:
            raise AmbiguousSubmissionError(
                customer_order_id, f"HTTP {answer.status}, but: {error}", order_id=location or None
            ) from None

    def get_tn_order(self, order_id: str) -> TnOrder:
        """Read one order.

        :raises OrderNotFoundError: the account has no such order (or not yet: Bandwidth may need a moment)
        :raises InvalidResponseError: the answer is not this order, or a 404 that is not Bandwidth's, such as a proxy's
        :raises BandwidthApiError: any other refusal, or no answer after all attempts
        """
        from airflow_provider_bandwidth.wire.answers import errors_naming_call
        from airflow_provider_bandwidth.wire.orders import ORDERS_PATH, read_order

        order_id = parse_order_id(order_id)
        answer = self._call("GET", f"{ORDERS_PATH}/{quote(order_id, safe='')}", accept=(200, 204, 404))
        if answer.shows_nothing and answer.status == 404:
            error = self._to_error(answer)
            raise OrderNotFoundError(
                f"account {self.account_id} has no order {order_id}. Check the order id and the account. "
                f"Bandwidth says: {error.description}",
                status=404,
                code=error.code,
                url=error.url,
            )
        with errors_naming_call(answer):
            order = read_order(answer.body)
        if order.order_id.lower() != order_id.lower():
            raise InvalidResponseError(f"Asked for order {order_id}, {answer.url} answered order {order.order_id}.")
        return order

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

        At most 1,000 [oas1]; narrow the dates for more. Whether the search by ``customer_order_id`` is exact, and the
        time zone and edges of the dates, are not documented: compare again where it matters. Where Bandwidth answers
        summaries, each order is read in full, one GET each.

        :param status: one status or several
        :param created_from: date, or text ``yyyy-MM-dd``; the time of day of a datetime is dropped, in UTC
        :raises InvalidParameterError: a filter that Bandwidth would not understand; nothing was asked
        :raises InvalidResponseError: the answer is not a list of orders
        """
        from airflow_provider_bandwidth.wire.orders import write_order_filters

        filters = write_order_filters(
            customer_order_id=customer_order_id,
            telephone_number=telephone_number,
            status=status,
            action=action,
            created_from=created_from,
            created_to=created_to,
            modified_from=modified_from,
            modified_to=modified_to,
        )
        return [self._complete(entry) for entry in self._list_entries(filters)]

    def iter_tn_orders(
        self,
        *,
        statuses: Sequence[ProcessingStatus | str],
        created_from: date | str | None = None,
        created_to: date | str | None = None,
        order_id_fragment: str | None = None,
        in_full: bool = True,
    ) -> Iterator[OrderListEntry]:
        """The orders of one list answer, newest first, while it is still being read: an answer is never held whole.

        At most 1,000 [oas1]. Leaving the iterator early gives up the rest of the answer.

        :param statuses: the statuses to list
        :param created_from: date, or text ``yyyy-MM-dd``; time zone and edges are not documented
        :param order_id_fragment: the first characters of the OrderId [oas1]
        :param in_full: ask for whole orders (``orderDetails`` [iris20]); Bandwidth may answer summaries all the same.
            ``False`` reads no more than OrderId, status and creation date of each
        :raises InvalidResponseError: the answer is not a list, or breaks off; the orders before that are sound
        :raises BandwidthApiError: a refusal, or no answer
        """
        from airflow_provider_bandwidth.hooks._transport import ResponseStream, to_answer
        from airflow_provider_bandwidth.hooks._transport_errors import naming_transport_errors
        from airflow_provider_bandwidth.wire.answers import errors_naming_call
        from airflow_provider_bandwidth.wire.orders import ORDERS_PATH, iter_order_list, write_order_filters

        filters = write_order_filters(
            status=statuses,
            created_from=created_from,
            created_to=created_to,
            order_id_fragment=order_id_fragment,
            in_full=in_full,
        )
        response = self._open("GET", ORDERS_PATH, params=filters, accept=_LIST_STATUSES, stream=True)
        if response.status_code != 200 and to_answer(response).shows_nothing:
            return
        answer = to_answer(response, body=b"")
        try:
            with naming_transport_errors(answer.url), errors_naming_call(answer):
                yield from iter_order_list(cast("IO[bytes]", ResponseStream(response)), in_full=in_full)
        finally:
            response.close()

    def iter_external_telephone_numbers(
        self, site_id: int | str | None = None, sip_peer_id: int | str | None = None
    ) -> Iterator[str]:
        """The telephone numbers imported to a SIP peer, ten digits each, page by page; never those Bandwidth owns.

        :param site_id: SiteId; the connection's by default
        :param sip_peer_id: SipPeerId; the connection's by default
        """
        numbers = self.iter_sip_peer_telephone_numbers(site_id, sip_peer_id)
        return (number.telephone_number for number in numbers if number.is_imported)

    def iter_sip_peer_telephone_numbers(
        self, site_id: int | str | None = None, sip_peer_id: int | str | None = None
    ) -> Iterator[SipPeerTelephoneNumber]:
        """All telephone numbers of a SIP peer, page by page.

        A number counts as imported when its ``TnAttributes`` hold External or Imported [oas1]; any other may be one
        that Bandwidth owns.

        :param site_id: SiteId; the connection's by default
        :param sip_peer_id: SipPeerId; the connection's by default
        :raises InvalidResponseError: the pages cannot be read to the end: one has come before, brings no number that
            is new, or is empty. With half an inventory, live numbers would be imported again
        """
        from airflow_provider_bandwidth.hooks._inventory import iter_numbers

        path = f"{self._peer_path(site_id, sip_peer_id)}/tns"
        yield from iter_numbers(
            lambda page: self._call("GET", path, params={"page": page, "size": "5000"}, accept=(200, 204))
        )

    def count_sip_peer_telephone_numbers(
        self, site_id: int | str | None = None, sip_peer_id: int | str | None = None
    ) -> int:
        """Bandwidth's own count of the telephone numbers of a SIP peer (``totaltns`` [oas1]).

        Bandwidth says no more of it than its name does. It is taken to count what the pages of
        :meth:`iter_sip_peer_telephone_numbers` list: every number of the peer, its own included. Whether the two are
        always in step, while an order works for instance, is not documented.

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
            raise InvalidParameterError("SipPeerId", "give it, or set the connection's extra.sip_peer_id")
        return f"sites/{site}/sippeers/{peer}"

    def check_importable(
        self, telephone_numbers: Iterable[str], site_id: int | str | None = None, sip_peer_id: int | str | None = None
    ) -> tuple[TelephoneNumberError, ...]:
        """Ask Bandwidth which numbers it would not import, and why; sends nothing else.

        Asked in parts of 5,000, the most Bandwidth takes at once [oas1]. A clean answer is a hint, no promise [host].

        :param telephone_numbers: ten digits each, without duplicates
        :param site_id: SiteId; the connection's by default
        :param sip_peer_id: SipPeerId; the connection's by default
        :return: one error per refused number
        :raises BandwidthApiError: the account lacks the feature (IMPORT_TNS), or any other refusal
        """
        from airflow_provider_bandwidth.wire.answers import errors_naming_call
        from airflow_provider_bandwidth.wire.inventory import read_import_tn_checker, write_import_tn_checker_request

        site = self.resolve_site_id(site_id)
        peer = self.resolve_sip_peer_id(sip_peer_id)
        refused: list[TelephoneNumberError] = []
        for part in chunk(tuple(telephone_numbers), _MAX_CHECKED_NUMBERS):
            body = write_import_tn_checker_request(part, site, peer)
            answer = self._call("POST", "importTnChecker", data=body, headers=_XML)
            with errors_naming_call(answer):
                refused.extend(read_import_tn_checker(answer.body).errors)
        return tuple(refused)

    # --- defaults of the connection -----------------------------------------------------------------------------

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

    def order_url(self, order_id: str) -> str:
        """Where a person can look at an order: the connection's ``order_url`` pattern, filled in."""
        from airflow_provider_bandwidth.wire.orders import ORDERS_PATH

        return fill_order_url(
            self.settings.order_url or f"{{base_url}}/accounts/{{account_id}}/{ORDERS_PATH}/{{order_id}}",
            base_url=self.settings.base_url,
            account_id=self.account_id,
            order_id=order_id,
        )

    # --- exactly once -------------------------------------------------------------------------------------------

    def submit_tn_order(
        self,
        request: ExternalTnsOrderRequest,
        *,
        reuse_existing_order: bool = True,
        reuse_orders_ended_since: datetime | None = None,
        journal: SubmissionJournal | None = None,
    ) -> TnOrder:
        """Find the order with this request's CustomerOrderId, or create it: exactly once.

        Bandwidth does not refuse a duplicate, and importing a live number again resets its attributes [oas1]. So the
        account is searched before every POST, and for a minute after a POST whose answer leaves doubt. An order found
        is taken over if its CustomerOrderId, action, SiteId, numbers, and SipPeerId and LoaType where given, are the
        request's, unless it FAILED. After a POST the search is asked once more, for a twin.

        Guaranteed, whatever dies and whichever answer is lost: attempts that follow one another create one order, as
        long as Bandwidth's search shows an order within a minute of its POST having ended. Clocks may differ by hours,
        ids may come back in another case, and an answer that contradicts the request is not believed. Once Bandwidth
        has given an order id to the journal, nothing more is sent until that order is seen to have FAILED.

        Not guaranteed is one order

        * from two attempts at the same time, such as a worker that Airflow believes dead and the retry that replaces
          it, or two mapped tasks with the same numbers. Both may search before either sends, and Bandwidth takes both
          orders. The search after the POST then finds the twin, unless that is still hidden from it or came without a
          CustomerOrderId. The attempt that finds it fails with both orders' ids: both attempts, or the later one. A
          retry takes one of the two over.
        * from a POST that Bandwidth acts upon more than a minute after the client gave up on it. A POST that was sent
          again is followed by a minute in which the twin is looked for; what comes later still is noticed by a later
          attempt at best, which warns.

        :param reuse_existing_order: ``False`` sends a new order although there is one; each call then sends one
        :param reuse_orders_ended_since: aware time; an order that ended before it is not taken over, since what it did
            was undone in the meantime. Bandwidth's clock decides: leave a margin. An order that does not show when it
            ended is taken to have ended a day after it was made
        :param journal: what is known of earlier attempts at this very request, and where this one is recorded. The
            search may not show yet what an earlier attempt sent, so an empty answer is believed after a minute only,
            and an order that lost its CustomerOrderId is looked for by its numbers
        :raises OrderMismatchError: an order with this CustomerOrderId asks for something else
        :raises DuplicateOrderError: another attempt created the same order at the same time
        :raises AmbiguousSubmissionError: it could not be found out whether the order was created, or the order that
            an earlier attempt created is not to be found
        :raises BandwidthApiError: the look-up failed, so that nothing was sent; or Bandwidth refused the order
        """
        calls = self._order_calls()
        submission = Submission(
            request, calls, journal or SubmissionJournal(), ended_since=reuse_orders_ended_since, log=self.log
        )
        return run_steps(
            submission.find_or_create() if reuse_existing_order else submission.create_another(), calls.sleep
        )

    def _order_calls(self) -> OrderCalls:
        """The calls that a submission makes; many submissions share theirs, see ``_shared_looks``."""
        return OrderCalls(
            create=self.create_tn_order,
            get=self.get_tn_order,
            list=self._search,
            list_since=lambda day: self.iter_tn_orders(statuses=(), created_from=day),
            now=self.bandwidth_now,
            local_now=lambda: datetime.fromtimestamp(self._clock(), UTC),
            sleep=self._sleep,
            account_id=self.account_id,
        )

    # --- requests -----------------------------------------------------------------------------------------------

    def _list_entries(self, filters: Mapping[str, Any]) -> tuple[OrderListEntry, ...]:
        from airflow_provider_bandwidth.wire.answers import errors_naming_call
        from airflow_provider_bandwidth.wire.orders import ORDERS_PATH, read_order_list

        answer = self._call("GET", ORDERS_PATH, params=filters, accept=_LIST_STATUSES)
        if answer.status != 200 and answer.shows_nothing:
            return ()
        with errors_naming_call(answer):
            return read_order_list(answer.body)

    def _search(self, **filters: Any) -> tuple[OrderListEntry, ...]:
        """The orders of a list as it shows them, which may be summaries.

        :param filters: as :meth:`list_tn_orders` takes them
        """
        from airflow_provider_bandwidth.wire.orders import write_order_filters

        return self._list_entries(write_order_filters(**filters))

    def _complete(self, entry: OrderListEntry) -> TnOrder:
        """The order of a list; read on its own where the list left out its numbers."""
        if entry.is_summary or not entry.order.telephone_numbers:
            return self.get_tn_order(entry.order.order_id)
        return entry.order

    def _url(self, path: str) -> str:
        """:param path: below the account"""
        return f"{self.settings.base_url}/accounts/{self.account_id}/{path}"

    def _to_error(self, answer: Answer) -> BandwidthApiError:
        from airflow_provider_bandwidth.wire.answers import to_error

        return to_error(
            answer,
            conn_id=self.bandwidth_conn_id,
            account_id=self.account_id,
            hint=self.settings.credentials_hint,
            now=self.bandwidth_now().timestamp(),
        )
