"""The campaign of a sync: what was imported is assigned to it, and so is what an earlier run has left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_bandwidth.hooks._shared_looks import SharedLooks
from airflow_provider_bandwidth.hooks.bandwidth import EarlierAttempt, SubmissionJournal
from airflow_provider_bandwidth.number_sync.handover import Handover
from airflow_provider_bandwidth.operators._order_content import derive_order_id
from airflow_provider_bandwidth.operators._order_wait import AskedOrder
from airflow_provider_bandwidth.operators._peer_record import ASSIGNED, PeerRecord
from airflow_provider_bandwidth.operators._sync_order import refuse_outdated
from airflow_provider_bandwidth.operators._sync_results import SyncResults, read_states
from airflow_provider_bandwidth.operators._task_journal import TaskJournal
from airflow_provider_bandwidth.operators.messages import BandwidthCampaignAssignmentOperator
from airflow_provider_bandwidth.orders import Action, CampaignAssignmentRequest

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class BandwidthNumberSyncAssignOperator(BandwidthCampaignAssignmentOperator):
    """Assign to the plan's campaign what the sync imported, an order for each import; and what earlier runs have left.

    It runs whatever became of the imports. Each order is sent exactly once, also after clears. Nothing is sent once
    another sync has planned for the same SIP peer: that one assigns what is left, and this task ends as skipped.

    :param plan_task_id: the plan task
    :param order_task_ids: the mapped task that submits the orders and waits for them, by action
    """

    template_fields: Sequence[str] = ("account_id", "bandwidth_conn_id")

    def __init__(
        self,
        *,
        plan_task_id: str,
        order_task_ids: Mapping[str, str],
        **kwargs: Any,
    ) -> None:
        super().__init__(telephone_numbers=(), **{"trigger_rule": "all_done", **kwargs})
        # Whatever default_args say: a number with any error is on no campaign, and cannot text.
        self.ignore_error_codes = ()
        self.plan_task_id = plan_task_id
        self.order_task_ids = dict(order_task_ids)
        self._plan: Handover | None = None

    def execute(self, context: Context) -> Any:
        """Submit the orders, or find them; and wait for them if asked."""
        plan = self._pull_plan(context)
        latest = PeerRecord.of(plan).read()
        if latest is not None and latest.nonce != plan.nonce:
            raise AirflowSkipException(
                f"Nothing was sent: run {latest.run_id!r} of DAG {latest.dag_id!r} has planned for this SIP peer "
                "since, and assigns what is left."
            )
        return super().execute(context)

    def _pull_plan(self, context: Context) -> Handover:
        state = read_states(context).get(self.plan_task_id)
        # A plan task that did not succeed in this attempt still shows the XComs of an earlier one.
        plan = Handover.pull(context["ti"], self.plan_task_id) if state == "success" else None
        if plan is None or not plan.is_sent or plan.campaign_id is None:
            raise AirflowSkipException("There is no plan to be sent, or it has no campaign: nothing to assign.")
        self._plan = plan
        self.account_id = plan.account_id
        # Whatever default_args say: the orders are the plan's.
        self.reuse_existing_order = True
        return plan

    def _prepare_orders(self, context: Context) -> list[AskedOrder]:
        plan, ti = self._plan, context["ti"]
        assert plan is not None
        asked = []
        for numbers in self._iter_numbers(plan, context):
            request = CampaignAssignmentRequest(
                tuple(numbers),
                campaign_id=plan.campaign_id,
                customer_order_id=plan.assignment_id(ti, self.plan_task_id, numbers),
            )
            content = derive_order_id(request, self.hook.account_id, context)
            asked.append(AskedOrder(request, content, plan.reuse_orders_ended_since))
        if not asked:
            raise AirflowSkipException("Nothing was imported, and nothing was left: no campaign to assign.")
        return asked

    def _iter_numbers(self, plan: Handover, context: Context) -> Iterator[list[str]]:
        """The numbers of each order. What an import brought never changes, so that its order is found after a clear."""
        ti = context["ti"]
        results = SyncResults(ti, plan, self.plan_task_id, self.order_task_ids, read_states(context))
        for order in results.iter_orders(Action.IMPORT):
            if imported := order.list_imported():
                yield imported
        for index in range(plan.assign_xcoms):
            yield plan.pull_assignment(ti, self.plan_task_id, index)

    def _make_journals(
        self, asked: Sequence[AskedOrder], looks: SharedLooks, context: Context
    ) -> Sequence[SubmissionJournal]:
        assert self._plan is not None
        journals = TaskJournal.for_orders([(each.request.customer_order_id, each.content) for each in asked], context)
        return [_LatestPlanJournal(journal, self._plan) for journal in journals]


class _LatestPlanJournal(SubmissionJournal):
    """The task's own journal, with a check before a POST that no other sync has planned since."""

    def __init__(self, journal: SubmissionJournal, plan: Handover) -> None:
        self._journal = journal
        self._plan = plan

    def earlier_attempt(self) -> EarlierAttempt | None:
        return self._journal.earlier_attempt()

    def record_sending(self, at: datetime) -> None:
        record = PeerRecord.of(self._plan)
        # First write, then read: see _peer_record.
        record.note_sending(ASSIGNED)
        refuse_outdated(record, self._plan)
        self._journal.record_sending(at)

    def record_order(self, order_id: str) -> None:
        self._journal.record_order(order_id)
