"""One order of a sync's plan: sent only while the plan is up to date, and found again whenever it was sent before."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_2_PLUS

from airflow_provider_bandwidth.exceptions import UnsafePlanError
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook, EarlierAttempt, SubmissionJournal
from airflow_provider_bandwidth.number_sync.handover import Handover
from airflow_provider_bandwidth.operators._peer_record import DEFAULT_PLAN_VALID_FOR, PeerRecord
from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator, TaskJournal
from airflow_provider_bandwidth.orders import Action, ProcessingStatus, TnOrderRequest, parse_choice

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: What a mapped task of a sync puts into its context for ``map_index_template``.
LABEL_KEY: Final = "bandwidth_order_label"
_WHAT_TO_DO: Final = "Nothing was sent. Clear `plan` with everything downstream, or start a new run."


class BandwidthNumberSyncOrderOperator(BandwidthTnOrderOperator):
    """Submit one order of a sync's plan, the one with this task's map index; exactly once.

    A plan is perishable. Before an order is sent for the first time, the plan must be younger than ``plan_valid_for``,
    nobody may have planned for the same SIP peer since, and no order may have been made since that touches its numbers.
    Otherwise the task fails without retries and sends nothing. An order that an earlier attempt sent is found all the
    same.

    :param plan_task_id: the plan task
    :param action: ``IMPORT`` or ``REMOVE``
    :param plan_valid_for: how old a plan may be when an order is sent
    :param customer_order_id: of the open order that is taken over; ``None`` for a new order
    """

    template_fields: Sequence[str] = ("customer_order_id", "account_id", "bandwidth_conn_id")

    def __init__(
        self,
        *,
        plan_task_id: str,
        action: Action | str,
        plan_valid_for: timedelta = DEFAULT_PLAN_VALID_FOR,
        customer_order_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(action=action, telephone_numbers=(), customer_order_id=customer_order_id, **kwargs)
        self.plan_task_id = plan_task_id
        self.plan_valid_for = plan_valid_for
        self._plan: Handover | None = None

    def execute(self, context: Context) -> str:
        """Submit the order, or find it."""
        ti = context["ti"]
        plan = Handover.pull(ti, self.plan_task_id)
        if plan is None:
            raise AirflowFailException(f"Task {self.plan_task_id!r} left no plan. {_WHAT_TO_DO}")
        if not plan.is_sent:
            raise AirflowSkipException("The plan is not to be sent: it is a dry run, or unsafe.")
        action = parse_choice("Action", Action, self.action)
        numbers = plan.pull_order(ti, self.plan_task_id, action, int(ti.map_index or 0))
        self._plan = plan
        self.telephone_numbers = numbers
        self.account_id, self.site_id = plan.account_id, plan.site_id
        self.reuse_existing_order = True
        # A removal takes neither, whatever default_args say.
        self.sip_peer_id = plan.sip_peer_id if action is Action.IMPORT else None
        self.loa_type = plan.loa_type if action is Action.IMPORT else None
        if not self.customer_order_id:
            self.customer_order_id = plan.new_order_id(ti, self.plan_task_id, action, numbers)
            self.reuse_orders_ended_since = plan.reuse_orders_ended_since
        cast("dict[str, Any]", context)[LABEL_KEY] = f"{action} {len(numbers):,} from {min(numbers)}"
        self.log.info(
            "%s order of %d telephone numbers for %s (connection %r), planned at %s.",
            action,
            len(numbers),
            plan.place,
            self.bandwidth_conn_id,
            plan.planned_at.isoformat(timespec="seconds"),
        )
        try:
            order_id = super().execute(context)
        except UnsafePlanError as error:
            raise AirflowFailException(str(error)) from error
        if action is Action.IMPORT:
            self.log.info(
                "Waiting for the order follows. An import may stay PROCESSING for 48 hours, while carriers "
                "confirm that messaging moves here."
            )
        return order_id

    def _make_journal(self, hook: BandwidthHook, request: TnOrderRequest, context: Context) -> SubmissionJournal:
        assert self._plan is not None
        # Each number stands in one order of a plan, so that no other task instance can send the same.
        ours = TaskJournal(request.customer_order_id, self._derive_id(request, context), context)
        # Before Airflow 3.2 no mapped task instance is known to be the first to send its order. Here its plan, which
        # came before its first try, has waited until Bandwidth's search shows what was sent before.
        is_first = not AIRFLOW_V_3_2_PLUS and context["ti"].try_number <= 1
        return _PerishablePlan(ours, self._plan, hook, request, self.plan_valid_for, is_first=is_first)


class _PerishablePlan(SubmissionJournal):
    """Keeps an order of a plan that is out of date from being sent; remembers as the task's own journal does."""

    def __init__(
        self,
        journal: SubmissionJournal,
        plan: Handover,
        hook: BandwidthHook,
        request: TnOrderRequest,
        valid_for: timedelta,
        *,
        is_first: bool,
    ) -> None:
        self._is_first = is_first
        self._journal = journal
        self._plan = plan
        self._hook = hook
        self._request = request
        self._valid_for = valid_for

    def earlier_attempt(self) -> EarlierAttempt | None:
        return None if self._is_first else self._journal.earlier_attempt()

    def record_sending(self, at: datetime) -> None:
        age = datetime.now(UTC) - self._plan.planned_at
        if age > self._valid_for:
            raise UnsafePlanError(
                f"The plan is out of date: it is {age.total_seconds() / 3600:.1f} hours old, older than plan_valid_for "
                f"({self._valid_for}). {_WHAT_TO_DO}"
            )
        record = PeerRecord.of(self._plan)
        # First write, then read: see _peer_record.
        record.note_sending()
        latest = record.read()
        if latest is None or latest.nonce != self._plan.nonce:
            who = f"run {latest.run_id!r} of DAG {latest.dag_id!r}" if latest else "its record is gone"
            raise UnsafePlanError(
                f"The plan is out of date: another sync has planned for this SIP peer since ({who}). {_WHAT_TO_DO}"
            )
        self._refuse_numbers_of_newer_orders(latest.order_ids or ())
        self._journal.record_sending(at)

    def record_order(self, order_id: str) -> None:
        self._journal.record_order(order_id)

    def _refuse_numbers_of_newer_orders(self, siblings: Collection[str]) -> None:
        """Orders that were made since the plan must not touch the numbers of this one, unless they FAILED."""
        own = set(self._request.telephone_numbers)
        since = self._plan.orders_made_since
        skipped = set(self._plan.known_order_ids)
        for entry in self._hook.iter_tn_orders(statuses=(), created_from=since - timedelta(days=1)):
            order = entry.order
            is_older = order.created_at is not None and order.created_at < since
            if is_older or order.order_id in skipped or order.customer_order_id in siblings:
                continue
            if order.processing_status == ProcessingStatus.FAILED:
                continue
            if entry.is_summary or not order.telephone_numbers:
                order = self._hook.get_tn_order(order.order_id)
            touched = own & order.mentioned_telephone_numbers
            if touched:
                raise UnsafePlanError(
                    f"The plan is out of date: {order.action} order {order.order_id} was made since, and has "
                    f"{len(touched)} of these {len(own)} telephone numbers. {_WHAT_TO_DO}"
                )
