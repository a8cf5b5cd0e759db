"""A batch of a sync's orders: each sent only while the plan is up to date, and found again if it was sent before."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, cast

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, task
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_2_PLUS

from airflow_provider_bandwidth.exceptions import UnsafePlanError
from airflow_provider_bandwidth.hooks._shared_looks import SharedLooks
from airflow_provider_bandwidth.hooks._submission import OrderCalls
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook, EarlierAttempt, SubmissionJournal
from airflow_provider_bandwidth.number_sync.current import find_moving
from airflow_provider_bandwidth.number_sync.handover import Handover
from airflow_provider_bandwidth.operators._order_content import derive_order_id
from airflow_provider_bandwidth.operators._order_wait import AskedOrder
from airflow_provider_bandwidth.operators._other_order_apis import OtherOrderApis
from airflow_provider_bandwidth.operators._peer_record import DEFAULT_PLAN_VALID_FOR, PeerRecord, PlanRecord
from airflow_provider_bandwidth.operators._task_journal import TaskJournal
from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator
from airflow_provider_bandwidth.orders import (
    OPEN_STATUSES,
    Action,
    ProcessingStatus,
    TnOrder,
    TnOrderRequest,
    parse_choice,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: What a mapped task of a sync puts into its context for ``map_index_template``.
LABEL_KEY: Final = "bandwidth_order_label"
#: Orders are listed since their run began, unless that was longer than this before the plan.
_LONGEST_LIST: Final = timedelta(days=1)
_WHAT_TO_DO: Final = "Nothing was sent. Clear `plan` with everything downstream, or start a new run."


@task
def list_sync_orders(plan: Mapping[str, Any], action: str) -> list[list[str | None]]:
    """What to map over: batches of the plan's orders, each a CustomerOrderId, or ``None`` for a new order.

    :param plan: the return value of the plan task
    :param action: ``IMPORT`` or ``REMOVE``
    """
    handover = Handover.from_dict(plan)
    orders, size = list(handover.orders[action]) if handover.is_sent else [], handover.orders_per_task
    return [orders[first : first + size] for first in range(0, len(orders), size)]


class BandwidthNumberSyncOrdersOperator(BandwidthTnOrderOperator):
    """Submit a batch of a sync's orders, the one with this task's map index, each exactly once; and wait for them.

    A plan is perishable. Before an order is sent for the first time, the plan must be younger than ``plan_valid_for``,
    no other sync may have planned for the same SIP peer since, and no order that touches its numbers may have been made
    since. Otherwise nothing more is sent, and the task fails without retries once the orders that were sent have ended.
    An order that an earlier attempt sent is found all the same.

    :param plan_task_id: the plan task
    :param action: ``IMPORT`` or ``REMOVE``
    :param customer_order_ids: for each order of the batch the CustomerOrderId of the open order that is taken over, or
        ``None`` for a new order
    :param plan_valid_for: how old a plan may be when an order is sent
    """

    template_fields: Sequence[str] = (
        "customer_order_ids",
        "subscriber",
        "loa_authorizing_person",
        "loa_files",
        "account_id",
        "bandwidth_conn_id",
    )

    def __init__(
        self,
        *,
        plan_task_id: str,
        action: Action | str,
        customer_order_ids: Sequence[str | None],
        plan_valid_for: timedelta = DEFAULT_PLAN_VALID_FOR,
        **kwargs: Any,
    ) -> None:
        super().__init__(action=action, telephone_numbers=(), **kwargs)
        self.plan_task_id = plan_task_id
        self.customer_order_ids = customer_order_ids
        self.plan_valid_for = plan_valid_for
        self._plan: Handover | None = None

    def execute(self, context: Context) -> Any:
        """Submit the orders, or find them; and wait for them if asked."""
        plan = self._pull_plan(context)
        if not plan.is_sent:
            raise AirflowSkipException("The plan is not to be sent: it is a dry run, unsafe, or not approved.")
        self.log.info(
            "%s orders for %s (connection %r), planned at %s.",
            self.action,
            plan.place,
            self.bandwidth_conn_id,
            plan.planned_at.isoformat(timespec="seconds"),
        )
        return super().execute(context)

    def execute_complete(self, context: Context, **kwargs: Any) -> Any:  # type: ignore[override]
        """Read the orders that the trigger's event says have ended, and judge them."""
        self._pull_plan(context)
        self._label(context)
        return super().execute_complete(context, **kwargs)

    def _pull_plan(self, context: Context) -> Handover:
        plan = Handover.pull(context["ti"], self.plan_task_id)
        if plan is None:
            raise AirflowFailException(f"Task {self.plan_task_id!r} left no plan. {_WHAT_TO_DO}")
        self._plan = plan
        self.account_id = plan.account_id
        # The plan is made of what this API shows, and its orders are looked for there. It stays theirs when the
        # connection changes.
        self.order_api = plan.order_api
        if self.hook.settings.order_api != plan.order_api:
            self.log.warning(
                "The plan was made for order API %s, and its orders go through that. Connection %r names %s.",
                plan.order_api,
                self.bandwidth_conn_id,
                self.hook.settings.order_api,
            )
        # Whatever default_args say: the orders are the plan's.
        self.reuse_existing_order = True
        return plan

    def _prepare_orders(self, context: Context) -> list[AskedOrder]:
        plan, ti = self._plan, context["ti"]
        assert plan is not None
        action = parse_choice("Action", Action, self.action)
        is_import = action is Action.IMPORT
        asked = []
        for index, taken_over in enumerate(self.customer_order_ids, self._first_order(context)):
            numbers = plan.pull_order(ti, self.plan_task_id, action, index)
            new_id = plan.new_order_id(ti, self.plan_task_id, action, numbers)
            request = self.hook.build_order_request(
                action,
                tuple(numbers),
                site_id=plan.site_id,
                # A removal takes neither, whatever default_args say.
                sip_peer_id=plan.sip_peer_id if is_import else None,
                loa_type=plan.loa_type if is_import else None,
                subscriber=self.subscriber,
                loa_authorizing_person=self.loa_authorizing_person,
                customer_order_id=taken_over or new_id,
            )
            ended_since = None if taken_over else plan.reuse_orders_ended_since
            content = derive_order_id(request, self.hook.account_id, context)
            asked.append(AskedOrder(request, content, ended_since, may_be_older=bool(taken_over)))
        self._label(context, sum(len(each.request.telephone_numbers) for each in asked))
        return asked

    def _first_order(self, context: Context) -> int:
        """The index, in the plan, of the batch's first order."""
        assert self._plan is not None
        return max(0, int(context["ti"].map_index or 0)) * self._plan.orders_per_task

    def _label(self, context: Context, numbers: int | None = None) -> None:
        """Say in Airflow's UI what the batch holds."""
        first = self._first_order(context)
        count = len(self.customer_order_ids)
        orders = f"{first + 1}-{first + count}" if count > 1 else str(first + 1)
        label = f"{str(self.action).lower()} {orders}"
        ti = context["ti"]
        if numbers is None:
            numbers = ti.xcom_pull(task_ids=ti.task_id, key=LABEL_KEY, map_indexes=ti.map_index)
        else:
            ti.xcom_push(key=LABEL_KEY, value=numbers)
        cast("dict[str, Any]", context)[LABEL_KEY] = f"{label}: {numbers:,} numbers"

    def _get_calls(self, action: Action | None) -> OrderCalls:
        return _make_calls(self.hook, action)

    def _list_orders_since(self, earliest: datetime | None) -> datetime:
        assert self._plan is not None
        since = self._plan.orders_made_since
        # A run that is cleared later may have made the order long before this plan. A list since then would be long.
        return since if earliest is None or earliest < since - _LONGEST_LIST else min(earliest, since)

    def _make_journals(
        self, asked: Sequence[AskedOrder], looks: SharedLooks, context: Context
    ) -> Sequence[SubmissionJournal]:
        assert self._plan is not None
        # Before Airflow 3.2 no mapped task instance is known to be the first to send its orders. Here its plan, which
        # came before its first try, has waited until Bandwidth's search shows what was sent before.
        is_first = not AIRFLOW_V_3_2_PLUS and context["ti"].try_number <= 1
        perishable = _PerishablePlan(
            self._plan, self.hook, [each.request for each in asked], looks, self.plan_valid_for
        )
        # Each number stands in one order of a plan, so that no other task instance can send the same.
        journals = TaskJournal.for_orders([(each.request.customer_order_id, each.content) for each in asked], context)
        return [
            _UpToDateJournal(journal, perishable, each.request, is_first=is_first, is_taken_over=each.may_be_older)
            for each, journal in zip(asked, journals, strict=True)
        ]


def _make_calls(hook: BandwidthHook, action: Action | None) -> OrderCalls:
    """A submission's calls, with lists of all orders: one of any action puts a plan out of date."""
    return replace(
        hook._order_calls(action),  # noqa: SLF001 - no call for users
        list_since=lambda day: hook.iter_tn_orders(statuses=(), created_from=day),
    )


class _PerishablePlan:
    """Keeps orders of a plan that is out of date from being sent.

    :param hook: calls Bandwidth through the plan's order API
    :param requests: the orders
    :param looks: their look-ups, of the plan's order API
    :param valid_for: how old the plan may be
    """

    def __init__(
        self,
        plan: Handover,
        hook: BandwidthHook,
        requests: Sequence[TnOrderRequest],
        looks: SharedLooks,
        valid_for: timedelta,
    ) -> None:
        self._plan = plan
        self._hook = hook
        self._requests = requests
        self._looks = {hook.order_api.name: looks}
        self._valid_for = valid_for
        self._others = OtherOrderApis(hook)

    def check(self, telephone_numbers: Collection[str], *, is_taken_over: bool) -> None:
        """Check the plan right before an order of these numbers is sent.

        :param is_taken_over: whether the plan took over an open order, which is to be sent anew
        :raises UnsafePlanError: the plan is out of date
        """
        age = datetime.now(UTC) - self._plan.planned_at
        if age > self._valid_for:
            raise UnsafePlanError(
                f"The plan is out of date: it is {age.total_seconds() / 3600:.1f} hours old, older than plan_valid_for "
                f"({self._valid_for}). {_WHAT_TO_DO}"
            )
        record = PeerRecord.of(self._plan)
        # First write, then read: see _peer_record.
        record.note_sending()
        latest = refuse_outdated(record, self._plan)
        own = set(telephone_numbers)
        if is_taken_over:
            self._refuse_unless_failed(own)
        self._refuse_numbers_of_newer_orders(own, latest.order_ids or ())

    def _refuse_unless_failed(self, own: set[str]) -> None:
        """Refuse to send while an order that did not fail has these numbers.

        The one that the plan took over may be there, though none is found by the CustomerOrderId that was shown.
        """
        since = self._plan.reuse_orders_ended_since

        def search(hook: BandwidthHook) -> list[TnOrder]:
            return [*hook.list_tn_orders(status=OPEN_STATUSES), *hook.list_tn_orders(modified_from=since)]

        there = find_moving(
            (
                order
                for order in (*search(self._hook), *self._others.search_each(search))
                if order.processing_status != ProcessingStatus.FAILED
            ),
            site_id=self._plan.site_id,
            sip_peer_id=self._plan.sip_peer_id,
            since=since,
        )
        if own & there:
            raise UnsafePlanError(
                "The plan took over an open order, and no such order is found by its CustomerOrderId. Another that is "
                f"open, or ended lately, has {len(own & there)} of these {len(own)} telephone numbers. {_WHAT_TO_DO}"
            )

    def _refuse_numbers_of_newer_orders(self, own: set[str], siblings: Collection[str]) -> None:
        """Refuse to send if an order that was made since the plan touches these numbers, unless it FAILED."""
        since = self._plan.orders_made_since
        skipped = set(self._plan.known_order_ids)

        def search(hook: BandwidthHook) -> Iterator[TnOrder]:
            looks = self._get_looks(hook)
            for entry in looks.iter_entries():
                order = entry.order
                is_older = order.created_at is not None and order.created_at < since
                is_known = order.order_id in skipped or order.customer_order_id in siblings
                if not is_older and not is_known and order.processing_status != ProcessingStatus.FAILED:
                    yield looks.complete(entry, hook.get_tn_order)

        for order in chain(search(self._hook), self._others.search_each(search)):
            touched = own & order.mentioned_telephone_numbers
            if touched:
                raise UnsafePlanError(
                    f"The plan is out of date: {order.action} order {order.order_id} was made since, and has "
                    f"{len(touched)} of these {len(own)} telephone numbers. {_WHAT_TO_DO}"
                )

    def _get_looks(self, hook: BandwidthHook) -> SharedLooks:
        """The look-ups of the plan's orders through a hook's order API; made once for each API."""
        name = hook.order_api.name
        if name not in self._looks:
            calls = _make_calls(hook, self._requests[0].action)
            self._looks[name] = SharedLooks(self._requests, calls, since=self._plan.orders_made_since)
        return self._looks[name]


def refuse_outdated(record: PeerRecord, plan: Handover) -> PlanRecord:
    """The latest plan for a SIP peer, if it is this one.

    :raises UnsafePlanError: another sync has planned since, or that cannot be told
    """
    latest = record.read()
    if latest is None:
        raise UnsafePlanError(
            f"Whether the plan is still the latest for its SIP peer cannot be told: Airflow Variable {record.key!r}, "
            f"which records that, was deleted or changed. {_WHAT_TO_DO}"
        )
    if latest.nonce != plan.nonce:
        raise UnsafePlanError(
            "The plan is out of date: another sync has planned for this SIP peer since "
            f"(run {latest.run_id!r} of DAG {latest.dag_id!r}). {_WHAT_TO_DO}"
        )
    return latest


class _UpToDateJournal(SubmissionJournal):
    """The task's own journal, with a check before a POST that the plan is still up to date."""

    def __init__(
        self,
        journal: SubmissionJournal,
        plan: _PerishablePlan,
        request: TnOrderRequest,
        *,
        is_first: bool,
        is_taken_over: bool,
    ) -> None:
        self._journal = journal
        self._plan = plan
        self._request = request
        self._is_first = is_first
        self._is_taken_over = is_taken_over

    def earlier_attempt(self) -> EarlierAttempt | None:
        return None if self._is_first else self._journal.earlier_attempt()

    def record_sending(self, at: datetime) -> None:
        self._plan.check(self._request.telephone_numbers, is_taken_over=self._is_taken_over)
        self._journal.record_sending(at)

    def record_order(self, order_id: str) -> None:
        self._journal.record_order(order_id)
