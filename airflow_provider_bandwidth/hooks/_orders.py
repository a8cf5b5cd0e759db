"""The orders of one of Bandwidth's resources: what is asked, and what an answer means. Pure: it is given the calls.

What differs by resource is asked of its row in :mod:`~airflow_provider_bandwidth.order_apis`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from airflow_provider_bandwidth.exceptions import (
    AmbiguousSubmissionError,
    BandwidthApiError,
    InvalidResponseError,
    OrderNotFoundError,
)
from airflow_provider_bandwidth.order_apis import OrderResource
from airflow_provider_bandwidth.orders import (
    ProcessingStatus,
    TelephoneNumberError,
    TnOrder,
    TnOrderRequest,
    parse_choice,
)
from airflow_provider_bandwidth.wire.answers import Answer, errors_naming_call
from airflow_provider_bandwidth.wire.documents import read_errors
from airflow_provider_bandwidth.wire.orders import (
    OrderListEntry,
    iter_order_list,
    read_order,
    read_order_list,
    write_order_filters,
    write_order_request,
)

XML: Final = {"Content-Type": "application/xml; charset=utf-8"}
_LIST_STATUSES: Final = (200, 204, 400, 404)
#: Some lists of v2 want these, though nobody documents it for orders of imports [mcp3p].
_FIRST_PAGE: Final = {"page": "1", "size": "1000"}
#: A list cannot be asked for some statuses. Orders in these are picked from those made within this time: RECEIVED is
#: soon over.
_NEW: Final = timedelta(days=1)


class Orders:
    """The orders of one resource of an account.

    :param resource: the row of the resource
    :param account_id: the account, for errors
    :param call: sends a request; gives its whole answer
    :param stream: sends a GET; a context manager of the answer and, for a 200, its body as a file
    :param to_error: makes the error of a refusal
    """

    def __init__(
        self,
        resource: OrderResource,
        account_id: str,
        *,
        call: Callable[..., Answer],
        stream: Callable[..., Any],
        to_error: Callable[[Answer], BandwidthApiError],
    ) -> None:
        self.resource = resource
        self._account_id = account_id
        self._call = call
        self._stream = stream
        self._to_error = to_error
        self._page: Mapping[str, str] = {}
        #: By id: orders listed as summaries that were read and have ended. They never change.
        self._ended: dict[str, TnOrder] = {}

    def create(self, request: TnOrderRequest, customer_order_id_element: str) -> TnOrder:
        """Send an order; :meth:`BandwidthHook.create_tn_order` says what it raises."""
        customer_order_id = request.customer_order_id
        answer = self._call(
            "POST",
            self.resource.path,
            accept=range(200, 300),
            doubt=partial(AmbiguousSubmissionError, customer_order_id),
            data=write_order_request(request, customer_order_id_element=customer_order_id_element),
            headers=XML,
        )
        location = answer.headers.get("Location", "").rstrip("/").rpartition("/")[2]
        try:
            return read_order(answer.body, self.resource, fallback_order_id=location or None)
        except BandwidthApiError as error:
            raise BandwidthApiError(error.description, status=answer.status, code=error.code, url=answer.url) from None
        except InvalidResponseError as error:
            raise AmbiguousSubmissionError(
                customer_order_id, f"HTTP {answer.status}, but: {error}", order_id=location or None
            ) from None

    def get(self, order_id: str) -> TnOrder:
        """Read an order; :meth:`BandwidthHook.get_tn_order` says what it raises."""
        accept = (200, 204, 404, *((400,) if self.resource.unknown_order_codes else ()))
        answer = self._call("GET", f"{self.resource.path}/{quote(order_id, safe='')}", accept=accept)
        if self._is_unknown(answer):
            error = self._to_error(answer)
            raise OrderNotFoundError(
                f"account {self._account_id} has no order {order_id}. Check the order id, the account and the order "
                f"API, which is {self.resource.order_api}. Bandwidth says: {error.description}",
                status=answer.status,
                code=error.code,
                url=error.url,
            )
        if answer.status == 400:
            raise self._to_error(answer)
        with errors_naming_call(answer):
            order = read_order(answer.body, self.resource)
        if order.order_id.lower() != order_id.lower():
            raise InvalidResponseError(f"Asked for order {order_id}, {answer.url} answered order {order.order_id}.")
        return order

    def complete(self, entry: OrderListEntry) -> TnOrder:
        """The whole order of a list entry. It is read if the list left out its numbers; once only, if it has ended."""
        shown = entry.order
        if not entry.is_summary and shown.telephone_numbers:
            return shown
        order = self._ended.get(shown.order_id) or self.get(shown.order_id)
        if order.is_terminal:
            self._ended[shown.order_id] = order
        return order

    def _is_unknown(self, answer: Answer) -> bool:
        """Whether it means "no such order": 404, or for some resources a 400 that says so ([oas2], [pr743])."""
        if answer.status == 404:
            return answer.shows_nothing
        return answer.status == 400 and any(
            error.code in self.resource.unknown_order_codes
            or (not error.code and "not exist" in error.description.lower())
            for error in _read_errors(answer)
        )

    def search(self, **filters: Any) -> tuple[OrderListEntry, ...]:
        """The orders of a list as it shows them, which may be summaries.

        :param filters: as :func:`write_order_filters` takes them
        """
        query = write_order_filters(self.resource, **filters)
        entries = self._list(query)
        if not entries and self.resource.is_e164 and "tn" in query:
            # Sources differ on which notation the filter of v2 wants ([oas2], [cli]).
            return self._list({**query, "tn": str(query["tn"]).removeprefix("+1")})
        return entries

    def search_by_status(
        self, statuses: Sequence[str] | str | None, now: datetime, **filters: Any
    ) -> Sequence[OrderListEntry]:
        """The same, for any statuses. A list cannot be asked for some: orders in these are picked from the new ones."""
        if not statuses:
            return self.search(**filters)
        wanted = {
            parse_choice("status", ProcessingStatus, each)
            for each in ([statuses] if isinstance(statuses, str) else statuses)
        }
        listed = [each for each in self.resource.listed_statuses if each in wanted]
        found = list(self.search(status=listed, **filters)) if listed else []
        if len(listed) < len(wanted):
            new = (now - _NEW).date()
            since = filters.get("created_from")
            entries = self.search(**{**filters, "created_from": since or new})
            known = {entry.order.order_id for entry in found}
            found += [e for e in entries if e.order.processing_status in wanted and e.order.order_id not in known]
        return found

    def iterate(self, *, in_full: bool, **filters: Any) -> Iterator[OrderListEntry]:
        """The orders of a list while it is being read."""
        query = write_order_filters(self.resource, **filters, in_full=in_full)
        with self._stream(self.resource.path, params={**query, **self._page}, accept=_LIST_STATUSES) as (answer, body):
            if answer.status == 200:
                with errors_naming_call(answer):
                    yield from iter_order_list(body, self.resource, in_full=in_full)
                return
        if self._wants_page(answer):
            yield from self.iterate(in_full=in_full, **filters)
        elif not self._shows_none(answer):
            raise self._to_error(answer)

    def _list(self, query: Mapping[str, Any]) -> tuple[OrderListEntry, ...]:
        answer = self._call("GET", self.resource.path, params={**query, **self._page}, accept=_LIST_STATUSES)
        if answer.status == 200:
            with errors_naming_call(answer):
                return read_order_list(answer.body, self.resource)
        if self._wants_page(answer):
            return self._list(query)
        if not self._shows_none(answer):
            raise self._to_error(answer)
        return ()

    def _shows_none(self, answer: Answer) -> bool:
        return answer.status in self.resource.empty_list_statuses and answer.shows_nothing

    def _wants_page(self, answer: Answer) -> bool:
        """Whether a refusal says that page and size are required; from now on both are sent."""
        if self._page or answer.status not in (400, 404):
            return False
        said = " ".join(error.description.lower() for error in _read_errors(answer))
        if not ("page" in said and "size" in said):
            return False
        self._page = _FIRST_PAGE
        return True


def _read_errors(answer: Answer) -> tuple[TelephoneNumberError, ...]:
    """The errors of a refusal; none where it is not Bandwidth's."""
    try:
        return read_errors(answer.body)
    except InvalidResponseError:
        return ()
