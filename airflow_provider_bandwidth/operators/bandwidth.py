"""Submit IMPORT and REMOVE orders for hosted-messaging telephone numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, cast

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, BaseOperator
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_2_PLUS

from airflow_provider_bandwidth.exceptions import (
    AmbiguousSubmissionError,
    InvalidParameterError,
    InvalidTelephoneNumbersError,
)
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook, EarlierAttempt, SubmissionJournal
from airflow_provider_bandwidth.links.bandwidth import ORDER_URL_KEY, BandwidthOrderLink
from airflow_provider_bandwidth.orders import (
    Action,
    LoaType,
    Subscriber,
    TnOrderRequest,
    derive_customer_order_id,
)
from airflow_provider_bandwidth.telephone_numbers import normalize_telephone_numbers
from airflow_provider_bandwidth.values import repeatable

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_bandwidth.orders import TnOrder

#: Key of the task state store (Airflow 3.3+). Renaming it forgets the orders of tasks that are about to be retried.
_STORE_KEY: Final = "bandwidth_external_tns_order"
#: XCom of a mapped task instance that is about to send the order of this CustomerOrderId.
_SENDING_KEY: Final = "bandwidth_sending_{}"


class BandwidthTnOrderOperator(BaseOperator):
    """Submit one order that imports telephone numbers into Bandwidth, or removes them; exactly once.

    The task ends when Bandwidth has the order; wait for its end with ``BandwidthTnOrderSensor``. A retry, a
    cleared task, or an attempt after a crash finds the order that an earlier attempt submitted and sends nothing; only
    an order that FAILED is submitted anew. All parameters are templated.

    Where an earlier attempt may have sent the order, "there is none" is believed after a minute only, and the log says
    so: in a retry, in a cleared run, and before Airflow 3.2 in every mapped task instance, since a run that was cleared
    may have given its numbers to another index.

    :param action: ``IMPORT`` or ``REMOVE``
    :param telephone_numbers: NANP numbers in any usual notation: any iterable (rows of one column, a pandas Series or a
        numpy or pyarrow array, too), or one string of them separated by commas or white space. Duplicates are dropped.
        Without any number the task is skipped
    :param site_id: SiteId; the connection's by default
    :param sip_peer_id: SipPeerId. For IMPORT the connection's by default, else the site's default peer; left out of a
        REMOVE unless given here
    :param loa_type: LoaType, ``CARRIER`` or ``SUBSCRIBER``. For IMPORT the connection's by default, else SUBSCRIBER
        through importTnOrders; through externalTns it is left to Bandwidth, which takes CARRIER
    :param subscriber: who uses the numbers, for imports through importTnOrders: ``{"name": ..., "service_address":
        {"house_number": ..., "street_name": ..., "city": ..., "state_code": ..., "zip": ...}}``, its JSON, or a
        ``Subscriber``; the connection's by default
    :param loa_authorizing_person: who signed the letter of authorization, for imports through importTnOrders: first
        and last name; the connection's by default
    :param customer_order_id: your id for the order, 1 to 40 letters, digits, dashes and inner spaces. By default
        derived from the task run and the order's content. An own id must be unique per order: an order found under it
        that asks for something else is an error
    :param reuse_existing_order: ``False`` sends the order again although it exists. Meant for clearing a task on
        purpose; each attempt of the task then sends one, so set ``retries=0`` as well
    :param reuse_orders_ended_since: time with a zone, or ISO 8601 text. An order that ended before this time is sent
        again instead of being reused, because its work has been undone since. Give the time at which you saw that, less
        a margin for clock differences
    :param order_api: which of Bandwidth's order APIs to submit through: ``externalTns``, ``importTnOrders`` or
        ``importTnOrders/messaging``; the connection's by default. What an API does not take is not sent
    :param account_id: Bandwidth account; the connection's by default
    :param bandwidth_conn_id: Airflow connection of type ``bandwidth``
    :return: (XCom) the order id
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
        customer_order_id: str | None = None,
        reuse_existing_order: bool | str = True,
        reuse_orders_ended_since: datetime | str | None = None,
        order_api: str | None = None,
        account_id: str | None = None,
        bandwidth_conn_id: str = BandwidthHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.action = action
        # What can be iterated only once would be empty, and the task skipped, when dag.test() tries it again.
        self.telephone_numbers = repeatable(telephone_numbers)
        self.site_id = site_id
        self.sip_peer_id = sip_peer_id
        self.loa_type = loa_type
        self.subscriber = subscriber
        self.loa_authorizing_person = loa_authorizing_person
        self.customer_order_id = customer_order_id
        self.reuse_existing_order = reuse_existing_order
        self.reuse_orders_ended_since = reuse_orders_ended_since
        self.order_api = order_api
        self.account_id = account_id
        self.bandwidth_conn_id = bandwidth_conn_id
        self.order_url: str | None = None
        self._order: TnOrder | None = None

    @cached_property
    def hook(self) -> BandwidthHook:
        """The hook, for the rendered connection and account; a test may set its own."""
        return BandwidthHook(self.bandwidth_conn_id, self.account_id, self.order_api)

    def execute(self, context: Context) -> str:
        """Submit the order, or find it."""
        try:
            request = self._build_request(self._read_telephone_numbers())
            if self.customer_order_id in (None, ""):
                request = replace(request, customer_order_id=self._derive_id(request, context))
            reuse = parse_flag("reuse_existing_order", self.reuse_existing_order)
            ended_since = parse_time("reuse_orders_ended_since", self.reuse_orders_ended_since)
        except (InvalidParameterError, InvalidTelephoneNumbersError) as error:
            # What was given is as wrong at the next try.
            raise AirflowFailException(str(error)) from error
        self.log.info(
            "Connection %r, account %s: %s of %d telephone numbers, CustomerOrderId %s.",
            self.bandwidth_conn_id,
            self.hook.account_id,
            request.action,
            len(request.telephone_numbers),
            request.customer_order_id,
        )
        self._order = self.hook.submit_tn_order(
            request,
            reuse_existing_order=reuse,
            reuse_orders_ended_since=ended_since,
            journal=self._make_journal(self.hook, request, context),
        )
        self.order_url = self.hook.order_url(self._order.order_id, request.action)
        context["ti"].xcom_push(key=ORDER_URL_KEY, value=self.order_url)
        return self._order.order_id

    def _make_journal(self, hook: BandwidthHook, request: TnOrderRequest, context: Context) -> SubmissionJournal:
        """What the submission is remembered by, and asked before each POST."""
        return _MappedTaskJournal(request.customer_order_id, self._derive_id(request, context), context)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """What the order changes; called by Airflow's OpenLineage provider, also after a failure."""
        if self._order is None:
            return None
        from airflow_provider_bandwidth.lineage import order_lineage

        return order_lineage(self.hook, self._order)

    def _read_telephone_numbers(self) -> tuple[str, ...]:
        numbers = normalize_telephone_numbers(() if self.telephone_numbers is None else self.telephone_numbers)
        if numbers.rejected:
            raise InvalidTelephoneNumbersError(numbers.rejected)
        if not numbers.telephone_numbers:
            raise AirflowSkipException("No telephone numbers: nothing to submit.")
        if numbers.duplicate_count:
            self.log.info("Dropped %d duplicate telephone numbers.", numbers.duplicate_count)
        return numbers.telephone_numbers

    def _build_request(self, telephone_numbers: tuple[str, ...]) -> TnOrderRequest:
        return self.hook.build_order_request(
            self.action,
            telephone_numbers,
            site_id=self.site_id,
            sip_peer_id=self.sip_peer_id,
            loa_type=self.loa_type,
            subscriber=self.subscriber,
            loa_authorizing_person=self.loa_authorizing_person,
            customer_order_id=self.customer_order_id,
        )

    def _derive_id(self, request: TnOrderRequest, context: Context) -> str:
        ti = context["ti"]
        return derive_customer_order_id(
            dag_id=ti.dag_id,
            task_id=ti.task_id,
            run_id=ti.run_id,
            account_id=self.hook.account_id,
            request=request,
        )


class TaskJournal(SubmissionJournal):
    """Remembers in Airflow's task state store (3.3+) since when an order may have been sent, and what its id is.

    The store survives retry and *clear*, but not every setting of it does (``clear_on_success``, retention), and
    Airflow 2.11 to 3.2 have none. Without an entry all that is known is whether this can be the first to send it.

    :param customer_order_id: the order's
    :param derived_id: what the CustomerOrderId would be if none were given; it stands for the order's content
    :param context: the task's
    """

    def __init__(self, customer_order_id: str, derived_id: str, context: Context) -> None:
        self._store = context.get("task_state_store")
        self._context = context
        self._key = {"customer_order_id": customer_order_id, "content": derived_id}
        stored: Any = None if self._store is None else self._store.get(_STORE_KEY)
        entry: Mapping[str, Any] = stored if isinstance(stored, Mapping) else {}
        # An entry for another CustomerOrderId is of a cleared task whose order asked for something else.
        self._entry = entry if entry.get("customer_order_id") == customer_order_id else {}

    def earlier_attempt(self) -> EarlierAttempt | None:
        """What the store holds; without an entry, whether this can be the first to send the order."""
        if not self._entry and is_first(self._context):
            return None
        # An own CustomerOrderId may stand for other numbers now: then the order that is known is not this one.
        order_id = self._entry.get("order_id") if self._entry.get("content") == self._key["content"] else None
        since = self._entry.get("sent_since")
        if since is None:
            return EarlierAttempt(first_start(self._context["dag_run"]), order_id, is_airflow_time=True)
        return EarlierAttempt(datetime.fromisoformat(since), order_id)

    def record_sending(self, at: datetime) -> None:
        """Note that the order may exist from now on."""
        # Forget the id of an earlier, FAILED order: from here on a new order may exist.
        self._write(sent_since=at.isoformat())

    def record_order(self, order_id: str) -> None:
        """Note the order's id."""
        self._write(**{**self._entry, "order_id": order_id})

    def _write(self, **entry: Any) -> None:
        self._entry = {**entry, **self._key}
        if self._store is not None:
            self._store.set(_STORE_KEY, self._entry)


class _MappedTaskJournal(TaskJournal):
    """Says to the other task instances of a mapped task what this one is about to send.

    Two of them may have the same numbers, and at the same moment Bandwidth's search shows neither the other's order.
    """

    def record_sending(self, at: datetime) -> None:
        super().record_sending(at)
        ti = self._context["ti"]
        if ti.map_index is None or ti.map_index < 0:
            return
        order_id = self._key["customer_order_id"]
        key = _SENDING_KEY.format(order_id.replace(" ", "_"))
        # First said, then asked: so of two at least one sees the other.
        ti.xcom_push(key=key, value=str(ti.map_index))
        said = ti.xcom_pull(task_ids=ti.task_id, key=key)
        others = {said} if isinstance(said, str) else set(said or ())
        others -= {str(ti.map_index), None}
        if others:
            ti.xcom_push(key=key, value=None)
            raise AmbiguousSubmissionError(
                order_id,
                f"task instance {min(others)} of this mapped task sends the same order: the same action and telephone "
                "numbers. This one sent nothing. A retry takes over that order; give each number to one task instance",
            )


def is_first(context: Context) -> bool:
    """Whether nothing of this run can have sent the order before.

    A mapped task instance may hold what another index held before its run was cleared. Airflow before 3.2 does not
    count the clears of a run that has not ended.
    """
    ti: Any = context["ti"]
    if ti.try_number > 1 or getattr(context.get("dag_run"), "clear_number", 0):
        return False
    is_mapped = ti.map_index is not None and ti.map_index >= 0
    return AIRFLOW_V_3_2_PLUS or not is_mapped


def first_start(run: Any) -> datetime:
    """A time before any task of this run can have started; the latest such that Airflow still knows."""
    if run.start_date is not None and not run.clear_number:
        return cast(datetime, run.start_date)
    # Clearing moves the start. 2.11's manual runs have a logical date only, 3.x's may have none.
    return cast(datetime, getattr(run, "run_after", None) or run.logical_date)


def parse_time(name: str, value: datetime | str | None) -> datetime | None:
    """A time with a zone, or the text that a template rendered it to; ``None`` if there is none.

    :param name: the parameter, for the error
    :raises InvalidParameterError: it is something else
    """
    if value in (None, "", "None"):
        return None
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise InvalidParameterError(name, f"expected an ISO 8601 time with a zone, got {value!r}")
    return time


def parse_flag(name: str, value: bool | str) -> bool:
    """A flag, or the text that a template rendered it to.

    :param name: the parameter, for the error
    :raises InvalidParameterError: neither true nor false
    """
    flags = {"true": True, "false": False}
    try:
        return flags[str(value).strip().lower()]
    except KeyError:
        raise InvalidParameterError(name, f"expected true or false, got {value!r}") from None
