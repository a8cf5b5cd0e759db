"""Submit IMPORT and REMOVE orders for hosted-messaging telephone numbers, and wait for them if asked.

The file is longer than others because the operator's parameters are documented where a user looks for them. What an
order on its way is has its home in ``_order_wait``, and what is remembered of it in ``_task_journal``.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowTaskTimeout,
    BaseOperator,
    conf,
)

from airflow_provider_bandwidth.error_codes import parse_error_codes
from airflow_provider_bandwidth.exceptions import (
    BandwidthError,
    InvalidParameterError,
    InvalidTelephoneNumbersError,
    UnsafePlanError,
)
from airflow_provider_bandwidth.hooks._shared_looks import SharedLooks, submit_side_by_side
from airflow_provider_bandwidth.hooks._submission import OrderCalls
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook, SubmissionJournal
from airflow_provider_bandwidth.links.bandwidth import ORDER_URL_KEY, BandwidthOrderLink
from airflow_provider_bandwidth.loa_files import parse_loa_paths
from airflow_provider_bandwidth.operators._loa import upload_letters
from airflow_provider_bandwidth.operators._order_content import derive_order_id, read_telephone_numbers
from airflow_provider_bandwidth.operators._order_wait import (
    TIMED_OUT,
    AskedOrder,
    OrdersPoller,
    PlacedOrder,
    day_before,
    describe_failures,
    judge_placed_orders,
    push_outcomes,
    read_orders,
    summarise,
    take_unread,
)
from airflow_provider_bandwidth.operators._other_order_apis import OtherApisJournal, OtherOrderApis
from airflow_provider_bandwidth.operators._task_journal import MappedTaskJournal, earliest_order
from airflow_provider_bandwidth.order_outcomes import (
    DEFERRAL_MARGIN,
    ORDERS_KEY,
    log_outcomes,
    parse_allowed_statuses,
)
from airflow_provider_bandwidth.orders import (
    Action,
    LoaType,
    ProcessingStatus,
    Subscriber,
    TnOrder,
    TnOrderRequest,
    parse_flag,
    parse_time,
    validate_customer_order_id,
)
from airflow_provider_bandwidth.telephone_numbers import chunk
from airflow_provider_bandwidth.triggers.bandwidth import BandwidthTnOrdersTrigger
from airflow_provider_bandwidth.triggers.waiting import OrdersEvent
from airflow_provider_bandwidth.values import repeatable
from airflow_provider_bandwidth.xcom_lists import pull_list, push_list

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

#: The most telephone numbers of an order, unless the caller says otherwise.
DEFAULT_CHUNK_SIZE: Final = 1000
#: The most that the caller may say.
MAX_CHUNK_SIZE: Final = 5000
#: Seconds that a wait may take, as Airflow's sensors have it.
DEFAULT_TIMEOUT: Final = timedelta(days=7).total_seconds()
#: A trigger's parameters are a row of Airflow's database, of 64 KB at most on MySQL.
_MOST_ORDERS_IN_A_TRIGGER: Final = 1000
_LONG_IMPORT: Final = " An import may stay PROCESSING for 48 hours, while carriers confirm that messaging moves here."


class BandwidthTnOrderOperator(BaseOperator):
    """Submit orders that import telephone numbers into Bandwidth, or remove them; each exactly once.

    Up to ``chunk_size`` numbers are one order, and more are several. The task ends when Bandwidth has them, and its
    XCom is the order id, or the list of the order ids where there are several; wait for their end with
    ``BandwidthTnOrderSensor``. Or let the task wait itself, ``wait_for_completion=True``, deferred once for all of
    them: then its XComs are the sensor's, with the counts of all orders together, and ``orders``, one entry per order.

    A retry, a cleared task, or an attempt after a crash finds the orders that an earlier attempt submitted and sends
    nothing; only an order that FAILED is submitted anew. Each order has its own outcome: one that fails keeps no other
    from being submitted and waited for. The task then fails and says which. A submission that another try may mend is
    tried again, by Airflow's retries, before the others are waited for.

    Where an earlier attempt may have sent an order, "there is none" is believed after a minute only, and the log says
    so: in a retry, in a cleared run, and before Airflow 3.2 in every mapped task instance, since a run that was cleared
    may have given its numbers to another index.

    An XCom that would be larger than a database takes is pushed in parts: ``completed_telephone_numbers_00000`` and on
    in place of ``completed_telephone_numbers``; ``xcom_lists.pull_list`` reads either.

    :param action: ``IMPORT`` or ``REMOVE``; templated
    :param telephone_numbers: NANP numbers in any usual notation: any iterable (rows of one column, a pandas Series or a
        numpy or pyarrow array, too), or one string of them separated by commas or white space. Duplicates are dropped.
        Without any number the task is skipped; templated
    :param site_id: SiteId; the connection's by default; templated
    :param sip_peer_id: SipPeerId. For IMPORT the connection's by default, else the site's default peer; left out of a
        REMOVE unless given here; templated
    :param loa_type: LoaType, ``CARRIER`` or ``SUBSCRIBER``. For IMPORT the connection's by default, else SUBSCRIBER
        through importTnOrders; through externalTns it is left to Bandwidth, which takes CARRIER; templated
    :param subscriber: who uses the numbers, for imports through importTnOrders: ``{"name": ..., "service_address":
        {"house_number": ..., "street_name": ..., "city": ..., "state_code": ..., "zip": ...}}``, its JSON, or a
        ``Subscriber``; the connection's by default; templated
    :param loa_authorizing_person: who signed the letter of authorization, for imports through importTnOrders: first
        and last name; the connection's by default; templated
    :param loa_files: letters of authorization, for imports through importTnOrders: paths of ``.pdf``, ``.txt``,
        ``.jpg``, ``.png``, ``.tiff``, ``.csv``, ``.xls``, ``.xlsx``, ``.doc`` or ``.docx`` files, anything that
        ``ObjectStoragePath`` takes. Each is uploaded once to each order. The order goes on without one that fails: the
        log and the XCom ``loa_files`` say what is missing; templated
    :param customer_order_id: your id for the order, 1 to 40 letters, digits, dashes and inner spaces. By default
        derived from the task run and the order's content. An own id must be unique per order: an order found under it
        that asks for something else is an error, and so are more numbers than one order takes; templated
    :param reuse_existing_order: ``False`` sends the order again although it exists. Meant for clearing a task on
        purpose; each attempt of the task then sends one, so set ``retries=0`` as well; templated
    :param reuse_orders_ended_since: time with a zone, or ISO 8601 text. An order that ended before this time is sent
        again instead of being reused, because its work has been undone since. Give the time at which you saw that, less
        a margin for clock differences; templated
    :param order_api: which of Bandwidth's order APIs to submit through: ``externalTns``, ``importTnOrders`` or
        ``importTnOrders/messaging``; the connection's by default. What an API does not take is not sent; templated
    :param chunk_size: the most numbers in one order, at most 5,000. More are cut in ascending order, so that the same
        numbers always make the same orders
    :param wait_for_completion: whether to wait until all orders are COMPLETE, PARTIAL or FAILED
    :param deferrable: whether to wait in the triggerer; by default what ``[operators] default_deferrable`` says
    :param poke_interval: seconds between two looks at the orders
    :param timeout: seconds to wait, by default a week, 72 hours for orders of importTnOrders; the task then fails
        without retries
    :param allowed_statuses: terminal statuses that let the task succeed; PARTIAL is logged as a warning
    :param ignore_error_codes: Bandwidth error codes that count as done, as for the sensor
    :param log_telephone_numbers: whether the log names the first ten telephone numbers that failed
    :param account_id: Bandwidth account; the connection's by default; templated
    :param bandwidth_conn_id: Airflow connection of type ``bandwidth``; templated
    :return: (XCom) the order id, the list of order ids, or the sensor's summary
    :raises AirflowFailException: a parameter or a telephone number is wrong; names the parameter, or every number.
        Nothing was sent. The task is not retried: it would fail again
    """

    template_fields: Sequence[str] = (
        "action",
        "telephone_numbers",
        "site_id",
        "sip_peer_id",
        "loa_type",
        "subscriber",
        "loa_authorizing_person",
        "loa_files",
        "customer_order_id",
        "reuse_existing_order",
        "reuse_orders_ended_since",
        "order_api",
        "account_id",
        "bandwidth_conn_id",
    )
    operator_extra_links = (BandwidthOrderLink(),)
    ui_color = "#e8f4fd"

    def __init__(
        self,
        *,
        action: Action | str,
        telephone_numbers: Iterable[str] | str,
        site_id: int | str | None = None,
        sip_peer_id: int | str | None = None,
        loa_type: LoaType | str | None = None,
        subscriber: Subscriber | Mapping[str, Any] | str | None = None,
        loa_authorizing_person: str | None = None,
        loa_files: Iterable[str] | str = (),
        customer_order_id: str | None = None,
        reuse_existing_order: bool | str = True,
        reuse_orders_ended_since: datetime | str | None = None,
        order_api: str | None = None,
        chunk_size: int = DEFAULT_CHUNK_SIZE,
        wait_for_completion: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: float = 60.0,
        timeout: float | None = None,
        allowed_statuses: Iterable[str] | str = (ProcessingStatus.COMPLETE, ProcessingStatus.PARTIAL),
        ignore_error_codes: Iterable[str | int] | str | int | None = (),
        log_telephone_numbers: bool = True,
        account_id: str | None = None,
        bandwidth_conn_id: str = BandwidthHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 1 <= chunk_size <= MAX_CHUNK_SIZE:
            raise ValueError(f"chunk_size: expected 1 to {MAX_CHUNK_SIZE}, got {chunk_size}")
        self.action = action
        # What can be iterated only once would be empty, and the task skipped, when dag.test() tries it again.
        self.telephone_numbers = repeatable(telephone_numbers)
        self.site_id = site_id
        self.sip_peer_id = sip_peer_id
        self.loa_type = loa_type
        self.subscriber = subscriber
        self.loa_authorizing_person = loa_authorizing_person
        self.loa_files = repeatable(loa_files)
        self.customer_order_id = customer_order_id
        self.reuse_existing_order = reuse_existing_order
        self.reuse_orders_ended_since = reuse_orders_ended_since
        self.order_api = order_api
        self.chunk_size = chunk_size
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poke_interval = poke_interval
        self.timeout = timeout
        self.allowed_statuses = parse_allowed_statuses(allowed_statuses)
        self.ignore_error_codes = parse_error_codes(ignore_error_codes)
        self.log_telephone_numbers = log_telephone_numbers
        self.account_id = account_id
        self.bandwidth_conn_id = bandwidth_conn_id
        self.order_url: str | None = None
        self._order: TnOrder | None = None
        self._completed_count: int | None = None

    @cached_property
    def hook(self) -> BandwidthHook:
        """The hook, for the rendered connection and account; a test may set its own."""
        return BandwidthHook(self.bandwidth_conn_id, self.account_id, self.order_api)

    def execute(self, context: Context) -> Any:
        """Submit the orders, or find them; and wait for them if asked."""
        try:
            asked = self._prepare_orders(context)
            reuse = parse_flag("reuse_existing_order", self.reuse_existing_order)
            letters = parse_loa_paths(self.loa_files)
        except (InvalidParameterError, InvalidTelephoneNumbersError) as error:
            # What was given is as wrong at the next try.
            raise AirflowFailException(str(error)) from error
        self._log_asked(asked)
        started_at = time.time()
        earliest = earliest_order(context)
        since = self._list_orders_since(earliest)
        is_covered = earliest is not None and earliest >= since
        looks = SharedLooks(
            [each.request for each in asked],
            self._get_calls(asked[0].request.action),
            since=since,
            may_be_older=[each.request.customer_order_id for each in asked if each.may_be_older or not is_covered],
        )
        outcomes = submit_side_by_side(
            [each.request for each in asked],
            looks,
            self._make_journals(asked, looks, context),
            reuse_existing_order=reuse,
            ended_since=[each.ended_since for each in asked],
            log=self.hook.log,
        )
        placed = [self._to_placed_order(each, outcome) for each, outcome in zip(asked, outcomes, strict=True)]
        self._order = next((outcome for outcome in outcomes if isinstance(outcome, TnOrder)), None)
        self._push_orders(placed, context)
        if letters and asked[0].request.action is Action.IMPORT:
            taken = [each.order_id for each in placed if each.order_id is not None]
            upload_letters(self.hook, taken, letters, context["ti"], self.log)
        self._raise_failed_submissions(outcomes, placed, context)
        if self.wait_for_completion:
            made = [outcome.created_at for outcome in outcomes if isinstance(outcome, TnOrder) and outcome.created_at]
            made_since = day_before(min([self.hook.bandwidth_now(), *made]))
            return self._wait(placed, context, started_at, made_since)
        order_ids = [each.order_id for each in placed]
        return order_ids[0] if len(order_ids) == 1 else order_ids

    # --- what is asked for ---

    def _prepare_orders(self, context: Context) -> list[AskedOrder]:
        """The orders that this task asks for."""
        ended_since = parse_time("reuse_orders_ended_since", self.reuse_orders_ended_since)
        numbers = read_telephone_numbers(self.telephone_numbers, self.log)
        parts = [numbers] if len(numbers) <= self.chunk_size else list(chunk(tuple(sorted(numbers)), self.chunk_size))
        own_id = None
        if self.customer_order_id not in (None, ""):
            own_id = validate_customer_order_id(self.customer_order_id)
        if own_id is not None and len(parts) > 1:
            raise InvalidParameterError(
                "CustomerOrderId",
                f"{own_id!r} can name one order, but {len(numbers)} telephone numbers make {len(parts)}. Leave it out, "
                f"or raise chunk_size ({self.chunk_size})",
            )
        asked = []
        for part in parts:
            request = self._build_request(part, own_id)
            content = derive_order_id(request, self.hook.account_id, context)
            if own_id is None:
                request = replace(request, customer_order_id=content)
            asked.append(AskedOrder(request, content, ended_since))
        return asked

    def _build_request(self, telephone_numbers: tuple[str, ...], customer_order_id: str | None) -> TnOrderRequest:
        return self.hook.build_order_request(
            self.action,
            telephone_numbers,
            site_id=self.site_id,
            sip_peer_id=self.sip_peer_id,
            loa_type=self.loa_type,
            subscriber=self.subscriber,
            loa_authorizing_person=self.loa_authorizing_person,
            customer_order_id=customer_order_id,
        )

    def _log_asked(self, asked: Sequence[AskedOrder]) -> None:
        first, more = asked[0].request, f" and {len(asked) - 1} more" if len(asked) > 1 else ""
        self.log.info(
            "Connection %r, account %s: %s of %d telephone numbers, CustomerOrderId %s%s.",
            self.bandwidth_conn_id,
            self.hook.account_id,
            first.action or first.resource.order,
            sum(len(each.request.telephone_numbers) for each in asked),
            first.customer_order_id,
            more,
        )

    # --- submitting ---

    def _get_calls(self, action: Action | None) -> OrderCalls:
        """The calls to Bandwidth of a submission."""
        return self.hook._order_calls(action)  # noqa: SLF001 - no call for users

    def _list_orders_since(self, earliest: datetime | None) -> datetime:
        """The time since which orders are listed. An order that was made before is looked for by itself.

        :param earliest: a time before which no order of this DAG run was made; ``None`` if there is no telling
        """
        return self.hook.bandwidth_now() if earliest is None else earliest

    def _make_journals(
        self, asked: Sequence[AskedOrder], looks: SharedLooks, context: Context
    ) -> Sequence[SubmissionJournal]:
        """A journal for each submission: it remembers what is sent, and is asked before each POST."""
        journals = MappedTaskJournal.for_orders(
            [(each.request.customer_order_id, each.content) for each in asked], context
        )
        if asked[0].request.action is None:
            return journals
        others = OtherOrderApis(self.hook)
        return [
            OtherApisJournal(journal, each.request, others, self.hook)
            for each, journal in zip(asked, journals, strict=True)
        ]

    def _to_placed_order(self, asked: AskedOrder, outcome: TnOrder | Exception) -> PlacedOrder:
        action, api = asked.request.action, asked.request.resource.order_api
        placed = PlacedOrder(asked.request.customer_order_id, None if action is None else str(action), api)
        if isinstance(outcome, TnOrder):
            placed.order_id = outcome.order_id
            placed.processing_status = str(outcome.processing_status)
            placed.order_url = self.hook.order_url(outcome.order_id, placed.action)
        else:
            placed.error = str(outcome) or type(outcome).__name__
        return placed

    def _push_orders(self, placed: Sequence[PlacedOrder], context: Context) -> None:
        """Leave what is known of the orders, and the link to the first that did not end well, or to the first."""
        known = [each for each in placed if each.order_url is not None]
        known.sort(key=lambda each: not each.has_ended or each.processing_status == ProcessingStatus.COMPLETE)
        self.order_url = known[0].order_url if known else None
        if self.order_url is not None:
            context["ti"].xcom_push(key=ORDER_URL_KEY, value=self.order_url)
        if self.wait_for_completion:
            push_list(context["ti"], ORDERS_KEY, [each.to_dict() for each in placed])

    def _raise_failed_submissions(
        self, outcomes: Sequence[TnOrder | Exception], placed: Sequence[PlacedOrder], context: Context
    ) -> None:
        """Fail for orders that could not be submitted.

        Where no other try would mend that, the task first waits for the other orders, and fails then.
        """
        errors, ti = [outcome for outcome in outcomes if isinstance(outcome, Exception)], context["ti"]
        if not errors:
            return
        lasting = all(isinstance(error, UnsafePlanError) for error in errors)
        if self.wait_for_completion and len(errors) < len(placed) and (lasting or ti.try_number > ti.max_tries):
            return
        if len(placed) == 1 and not lasting:
            raise errors[0]
        message = describe_failures([each for each in placed if each.order_id is None], len(placed))
        if lasting:
            raise AirflowFailException(message) from errors[0]
        raise BandwidthError(message) from errors[0]

    # --- waiting ---

    def _get_time_limit(self) -> float:
        """Seconds that the wait may take."""
        limit = self._get_timeout()
        return limit if self.execution_timeout is None else min(limit, self.execution_timeout.total_seconds())

    def _get_timeout(self) -> float:
        """Seconds that the caller says, or as long as an order of this API can take."""
        if self.timeout is not None:
            return float(self.timeout)
        return min(DEFAULT_TIMEOUT, self.hook.order_api.longest_wait)

    def _wait(self, placed: list[PlacedOrder], context: Context, started_at: float, made_since: date) -> Any:
        """Wait for the orders that are open, read those that have ended, and finish when none is open.

        :param started_at: epoch seconds at which the wait began
        :param made_since: a day before any of the orders was made
        """
        deadline = started_at + self._get_time_limit()
        read: dict[str, TnOrder] = {}
        while True:
            open_orders = [each for each in placed if each.is_open]
            if open_orders and self.deferrable:
                self._wait_on(placed, open_orders, context, started_at, made_since)
            if open_orders:
                poller = OrdersPoller(
                    lambda: self.hook,
                    open_orders,
                    poke_interval=self.poke_interval,
                    deadline=deadline,
                    made_since=made_since,
                )
                read |= poller.wait()
            unread = [each for each in placed if each.has_ended and each.order_id not in read]
            if unread:
                found, failures = read_orders(self.hook, unread, made_since)
                read |= {order_id: order for order_id, order in found.items() if order.is_terminal}
                take_unread(unread, read, failures, has_time=time.time() < deadline, log=self.log)
            if not any(each.is_open for each in placed):
                return self._finish(placed, read, context)

    def _wait_on(
        self,
        placed: Sequence[PlacedOrder],
        open_orders: Sequence[PlacedOrder],
        context: Context,
        started_at: float,
        made_since: date,
    ) -> NoReturn:
        """Defer until the open orders have ended, or until the deadline of the wait."""
        deadline = started_at + self._get_time_limit()
        self._push_orders(placed, context)
        hint = _LONG_IMPORT if placed[0].action == Action.IMPORT else ""
        self.log.info("Waiting for %d orders in the triggerer.%s", len(open_orders), hint)
        self.defer(
            trigger=BandwidthTnOrdersTrigger(
                order_ids=[str(each.order_id) for each in open_orders[:_MOST_ORDERS_IN_A_TRIGGER]],
                bandwidth_conn_id=self.bandwidth_conn_id,
                account_id=self.account_id,
                order_api=self.hook.order_api.name,
                action=placed[0].action,
                poke_interval=self.poke_interval,
                started_at=started_at,
                deadline=deadline,
            ),
            method_name="execute_complete",
            kwargs={
                "try_number": context["ti"].try_number,
                "started_at": started_at,
                "made_since": made_since.isoformat(),
            },
            timeout=timedelta(seconds=max(0.0, deadline - time.time()) + self.poke_interval + DEFERRAL_MARGIN),
        )

    def execute_complete(
        self,
        context: Context,
        event: Any,
        try_number: int | None = None,
        started_at: float | None = None,
        made_since: str | None = None,
    ) -> Any:
        """Read the orders that the trigger's event says have ended, and judge them.

        :param event: what the trigger sent
        :param try_number: the number of the try that deferred. On Airflow 3.0 a retry is given the event that failed
            the try before it, and has to begin anew
        :param started_at: epoch seconds at which the wait began
        :param made_since: a day before any of the orders was made, ISO 8601
        """
        ti = context["ti"]
        pushed = pull_list(ti, ti.task_id, ORDERS_KEY, -1 if ti.map_index is None else ti.map_index)
        if try_number not in (None, ti.try_number) or pushed is None:
            return self.execute(context)
        placed = [PlacedOrder.from_dict(each) for each in pushed]
        # Where the orders are, whatever the connection says by now.
        self.order_api = placed[0].order_api or self.order_api
        began = time.time() if started_at is None else started_at
        since = date.fromisoformat(made_since) if made_since else day_before(self.hook.bandwidth_now())
        seen = OrdersEvent.from_payload(event)
        if seen.error is not None:
            raise BandwidthError(f"Waiting for {len(placed)} orders was given up: {seen.error}")
        for each in placed:
            each.take_event(seen)
        return self._wait(placed, context, began, since)

    # --- ending ---

    def _finish(self, placed: Sequence[PlacedOrder], read: Mapping[str, TnOrder], context: Context) -> dict[str, Any]:
        """Push the XComs of all orders, then succeed or fail by the policy."""
        outcomes = judge_placed_orders(
            placed, read, allowed_statuses=self.allowed_statuses, ignore_error_codes=self.ignore_error_codes
        )
        self._order = outcomes[0].order if outcomes else None
        self._completed_count = sum(each.completed_count for each in placed)
        push_outcomes(context["ti"], outcomes)
        self._push_orders(placed, context)
        log_outcomes(self.log, outcomes, names_numbers=self.log_telephone_numbers)
        summary = summarise(placed, self.hook.order_api.name)
        failed = [each for each in placed if each.error is not None]
        if failed:
            context["ti"].xcom_push(key="return_value", value=summary)
            self._raise_failed_orders(failed, len(placed))
        return summary

    def _raise_failed_orders(self, failed: Sequence[PlacedOrder], count: int) -> NoReturn:
        message = describe_failures(failed, count)
        if all(str(each.error).startswith(TIMED_OUT) for each in failed):
            limit = self._get_time_limit()
            message = f"{message} The wait took {limit:.0f} seconds. They may still end: clear this task to wait on."
            # Airflow retries a task that ran into its execution_timeout, and none that ran into its timeout.
            raise AirflowSensorTimeout(message) if limit >= self._get_timeout() else AirflowTaskTimeout(message)
        raise AirflowFailException(message)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """What the orders change; called by Airflow's OpenLineage provider, also after a failure."""
        if self._order is None:
            return None
        from airflow_provider_bandwidth.lineage import order_lineage

        return order_lineage(self.hook, self._order, self._completed_count)
