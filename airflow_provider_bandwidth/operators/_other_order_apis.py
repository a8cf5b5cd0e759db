"""What went through another order API of the same account counts as well: an account may have several, and move."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from airflow_provider_bandwidth.exceptions import AmbiguousSubmissionError, BandwidthApiError, PageNotFoundError
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook, EarlierAttempt, SubmissionJournal
from airflow_provider_bandwidth.orders import ProcessingStatus, TnOrder, TnOrderRequest

#: How far apart the clocks of Bandwidth's own machines may be.
_CLOCK_SKEW: Final = timedelta(minutes=5)

_Found = TypeVar("_Found")


class OtherOrderApis:
    """The account's order APIs but the one of the hook. One that the account does not have is asked once.

    :param hook: calls Bandwidth through the order API at hand
    """

    def __init__(self, hook: BandwidthHook) -> None:
        self._hooks = hook.make_hooks_of_other_order_apis()
        self._log = hook.log

    def search_each(self, search: Callable[[BandwidthHook], Iterable[_Found]]) -> Iterator[_Found]:
        """What a search finds through each of them.

        :param search: searches with the hook that it is given
        :raises BandwidthError: one gave no answer, so that nothing is known of its orders
        """
        for other in list(self._hooks):
            try:
                found = list(search(other))
            except (BandwidthApiError, PageNotFoundError) as error:
                if isinstance(error, BandwidthApiError) and not error.is_about_a_missing_api:
                    raise
                self._log.info("Orders of %s are left out: %s", other.order_api.name, error)
                self._hooks.remove(other)
            else:
                yield from found


class OtherApisJournal(SubmissionJournal):
    """The task's own journal, with a look into the account's other order APIs before a POST.

    It looks only where an earlier attempt may have sent the order: the connection may have named another API then.

    :param journal: the task's own
    :param request: what is about to be sent
    :param others: the account's other order APIs
    :param hook: calls Bandwidth through the order API of the request
    """

    def __init__(
        self, journal: SubmissionJournal, request: TnOrderRequest, others: OtherOrderApis, hook: BandwidthHook
    ) -> None:
        self._journal = journal
        self._request = request
        self._others = others
        self._hook = hook
        self._earlier: EarlierAttempt | None = None

    def earlier_attempt(self) -> EarlierAttempt | None:
        self._earlier = self._journal.earlier_attempt()
        return self._earlier

    def record_sending(self, at: datetime) -> None:
        if self._earlier is not None:
            self._refuse_what_went_elsewhere(self._earlier.sent_since_by(self._hook.bandwidth_now(), datetime.now(UTC)))
        self._journal.record_sending(at)

    def record_order(self, order_id: str) -> None:
        self._journal.record_order(order_id)

    def _refuse_what_went_elsewhere(self, since: datetime) -> None:
        request = self._request
        own = set(request.telephone_numbers)

        def search(other: BandwidthHook) -> list[TnOrder]:
            return other.list_tn_orders(
                telephone_number=request.telephone_numbers[0],
                action=request.action,
                created_from=since - timedelta(days=1),
            )

        for order in self._others.search_each(search):
            is_older = order.created_at is not None and order.created_at < since - _CLOCK_SKEW
            if is_older or order.processing_status == ProcessingStatus.FAILED:
                continue
            if order.action == request.action and own <= order.mentioned_telephone_numbers:
                raise AmbiguousSubmissionError(
                    request.customer_order_id,
                    f"order {order.order_id} of {order.order_api} has its telephone numbers, and was made since the "
                    f"first attempt. The order API is {request.resource.order_api} now. Nothing was sent now. Set "
                    f"order_api to {order.order_api} for this task until its run has ended, or set "
                    "reuse_existing_order=False to send the order on purpose",
                )
