"""The first task of the nightly number sync: the plan. The report, and others, are named here, too.

What travels between the tasks is in ``number_sync.handover``. Where millions of numbers should stay out of Airflow's
database, configure Airflow's object storage XCom backend: it moves these XComs as any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NoReturn, cast

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, Asset, BaseOperator
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_bandwidth.assets import telephone_numbers_uri
from airflow_provider_bandwidth.error_codes import parse_error_codes
from airflow_provider_bandwidth.exceptions import InvalidParameterError
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.hooks.extract import check_sources, read_desired, read_telephone_number_column
from airflow_provider_bandwidth.number_sync.guards import (
    DEFAULT_MAX_REMOVALS,
    DEFAULT_MAX_UNREADABLE,
    DEFAULT_MIN_DESIRED,
    parse_limit,
)
from airflow_provider_bandwidth.number_sync.handover import (
    DEFAULT_ORDERS_PER_TASK,
    NUMBERS_PER_XCOM,
    Handover,
    push_numbers,
)
from airflow_provider_bandwidth.number_sync.question import Decision
from airflow_provider_bandwidth.operators._approval import (
    DEFAULT_APPROVAL_TIMEOUT,
    Approval,
    Callback,
    ask_person,
    parse_approval,
    read_answer,
    run_callbacks,
    shows_new_text,
)
from airflow_provider_bandwidth.operators._peer_reader import PeerReader
from airflow_provider_bandwidth.operators._peer_record import DEFAULT_PLAN_VALID_FOR, PeerRecord, PlanRecord
from airflow_provider_bandwidth.operators._peer_turn import LOOK_AGAIN_AFTER, AirflowRescheduleException, PeerTurn
from airflow_provider_bandwidth.operators._planning import MadePlan, PlanRequest, failing_at_once, make_plan
from airflow_provider_bandwidth.operators._sync_assign import BandwidthNumberSyncAssignOperator
from airflow_provider_bandwidth.operators._sync_order import (
    LABEL_KEY,
    BandwidthNumberSyncOrdersOperator,
    list_sync_orders,
)
from airflow_provider_bandwidth.operators._sync_report import BandwidthNumberSyncReportOperator
from airflow_provider_bandwidth.operators.bandwidth import DEFAULT_CHUNK_SIZE
from airflow_provider_bandwidth.orders import LoaType, parse_campaign_id, parse_flag
from airflow_provider_bandwidth.values import repeatable

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

__all__ = [
    "DEFAULT_CHUNK_SIZE",
    "LABEL_KEY",
    "BandwidthNumberSyncAssignOperator",
    "BandwidthNumberSyncOrdersOperator",
    "BandwidthNumberSyncPlanOperator",
    "BandwidthNumberSyncReportOperator",
    "list_sync_orders",
    "number_sync_asset",
    "read_telephone_number_column",
]

DEFAULT_RESEND_ERRORS_AFTER: Final = 7
_NOT_PLANNED_AGAIN: Final = "what to send now could not be planned: see the log of the plan task"


def number_sync_asset(
    *,
    site_id: int | str | None = None,
    sip_peer_id: int | str | None = None,
    bandwidth_conn_id: str = BandwidthHook.default_conn_name,
) -> Asset:
    """The Asset that a sync of this SIP peer updates: schedule a DAG on it to run after each successful sync.

    :param site_id: as given to the sync; ``None`` if the connection names it. A template is left out: Airflow wants
        to know the Asset before it is rendered
    :param sip_peer_id: likewise
    :param bandwidth_conn_id: as given to the sync
    """
    return Asset(telephone_numbers_uri(bandwidth_conn_id, site_id, sip_peer_id))


@dataclass(frozen=True, slots=True)
class _PendingPlan:
    """A plan that is made, but not finished: a person may have to approve it, and another sync may overtake it.

    :param turn: its turn at the SIP peer
    :param mine: its record there; ``None`` if it is a dry run
    """

    turn: PeerTurn
    mine: PlanRecord | None
    request: PlanRequest
    made: MadePlan


class BandwidthNumberSyncPlanOperator(BaseOperator):
    """Compare the numbers an organisation wants with those at Bandwidth, and lay out the orders that are needed.

    Sends no order. Current numbers are those an external order brought to the SIP peer; a number that Bandwidth owns is
    never among them. The inventory is believed only if it fits the peer's own count, and what orders did in the last
    hour is laid over it. Numbers of orders that are still open are not asked for again: an open order that fits is
    taken over as it is. So a plan may be cleared at any time.

    One sync of a SIP peer runs at a time, whatever DAG it is in: the plan waits, or fails, while another run syncs it.

    Where a person has to approve the plan, the task waits for the answer, and holds no worker. Once approved, it plans
    anew, and hands on at most what was approved.

    XComs: ``return_value`` with the figures, and the CustomerOrderIds of the orders by action; ``import_00000``,
    ``remove_00000`` and on, the numbers of each order; ``unchanged_00000``, ``rejected_00000`` and on, for the report.
    They are left also where the plan is unsafe and the task fails.

    :param telephone_numbers: the desired numbers in any usual notation: any iterable, rows of a one-column query, or
        text; templated. This, ``extract_path`` or ``sql``
    :param extract_path: a ``.csv``, ``.jsonl`` or ``.parquet`` file, the first two also with ``.gz``: anything
        ``ObjectStoragePath`` takes; templated. It is read here, so that its numbers do not pass through XCom
    :param column: the name of the file's or the query's column that holds them; ``Phone[2]`` is the second of that
        name; templated. A query with one column needs none
    :param encoding: the encoding of a text file, any that Python knows; UTF-8, UTF-16 and Windows-1252 are recognised
        without it; templated
    :param sql: one query that gives the desired numbers, or a ``.sql`` file with it; templated. Its rows are fetched
        here, in chunks, and do not pass through XCom
    :param sql_conn_id: Airflow connection of the database that is asked; templated
    :param excluded_telephone_numbers: numbers to leave alone: neither imported nor removed; templated
    :param remove_missing: whether to remove current numbers that are not desired
    :param max_removals: the most numbers to remove, as a count (``500``) or a share of the current ones (``0.1``)
    :param min_desired: stop if the desired numbers are fewer than this count or share of the current ones
    :param max_imports: the most numbers to import, as a count or a share of the current ones; by default half of them,
        and never fewer than 100. The first load of an empty SIP peer is limited by a count only
    :param max_unreadable: the most desired values that cannot be read in a run with removals, as a count or a share of
        the desired values
    :param first_load: whether this run may import any number of telephone numbers, also where the inventory lacks
        numbers that orders brought there; templated
    :param chunk_size: the most numbers in one order, at most 5,000; fewer, smaller orders fail less at once
    :param orders_per_task: how many orders one mapped task submits and waits for; a plan of more tasks than Airflow
        maps over fails
    :param preflight: whether to ask importTnChecker first and leave out what it refuses
    :param resend_errors_after: days until a number is sent again that Bandwidth refused for good, say with 25060
        "Bandwidth's own"; three days at most if its error may pass. Until then it counts as errored, with the earlier
        order's code. ``0`` sends it every time
    :param ignore_error_codes: codes that count as done, as for the sensor; they hold no number back
    :param order_api: which order API the orders go through; the connection's by default; templated
    :param loa_type: LoaType that the imports are sent with, so that open orders of another are left alone; templated
    :param campaign_id: the campaign that imported numbers are assigned to; by default none; templated
    :param dry_run: whether this is a dry run: a plan and a report, but nothing is sent; templated
    :param approval: ``never``, ``unsafe`` or ``always``: when a person has to approve the plan before it is sent, by a
        Required Action in Airflow's UI. With ``unsafe``, a plan that keeps its limits is sent without. Needs Airflow
        3.1
    :param approvers: ids of the users who may answer; by default whoever may answer such questions in this Airflow
    :param approval_timeout: how long to wait for an answer before the plan counts as rejected; by default 20 hours,
        ``None`` waits for ever
    :param on_unsafe_plan: what is called, with the context, when the plan is unsafe: a notifier, any callable, or a
        list of them. ``bandwidth_plan`` in the context has the counts, ``place``, ``findings``, ``orders`` (how many)
        and ``asks`` (whether a person is asked). An error in it is logged, and changes nothing
    :param soft_fail: whether a plan that is not approved ends the run as skipped, not as failed
    :param if_running: what to do while another run syncs the same SIP peer: ``wait`` or ``fail``
    :param allow_older_run: whether a run may plan after a newer run of the same DAG has; templated
    :param plan_valid_for: how long the orders of this plan may be sent; it keeps other syncs waiting no longer
    :param list_unchanged: whether to hand on the unchanged numbers one by one, for a report in a file
    :param site_id: SiteId; the connection's by default; templated
    :param sip_peer_id: SipPeerId; the connection's by default; templated
    :param account_id: Bandwidth account; the connection's by default; templated
    :param bandwidth_conn_id: Airflow connection of type ``bandwidth``; templated
    :raises AirflowFailException: the plan is unsafe, or not approved, or a parameter, the extract or an excluded number
        is wrong; the task fails without retries, nothing is sent
    :raises ExtractUnavailableError: the extract is not there (yet)
    :raises InvalidResponseError: what Bandwidth shows cannot be believed (now)
    """

    template_fields: Sequence[str] = (
        "telephone_numbers",
        "extract_path",
        "column",
        "encoding",
        "sql",
        "sql_conn_id",
        "excluded_telephone_numbers",
        "first_load",
        "order_api",
        "loa_type",
        "campaign_id",
        "is_dry_run",
        "allow_older_run",
        "site_id",
        "sip_peer_id",
        "account_id",
        "bandwidth_conn_id",
    )
    template_ext: Sequence[str] = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql"}
    ui_color = "#e8f4fd"
    #: Airflow honours the time at which a waiting plan wants to be started again for sensors only.
    reschedule = True
    _is_sensor = True

    def __init__(
        self,
        *,
        telephone_numbers: Any = None,
        extract_path: str | None = None,
        column: str | None = None,
        encoding: str | None = None,
        sql: str | None = None,
        sql_conn_id: str | None = None,
        excluded_telephone_numbers: Any = (),
        remove_missing: bool = False,
        max_removals: float = DEFAULT_MAX_REMOVALS,
        min_desired: float = DEFAULT_MIN_DESIRED,
        max_imports: float | None = None,
        max_unreadable: float = DEFAULT_MAX_UNREADABLE,
        first_load: bool | str = False,
        chunk_size: int = DEFAULT_CHUNK_SIZE,
        orders_per_task: int = DEFAULT_ORDERS_PER_TASK,
        preflight: bool = False,
        resend_errors_after: int = DEFAULT_RESEND_ERRORS_AFTER,
        ignore_error_codes: Iterable[str | int] | str | int = (),
        order_api: str | None = None,
        loa_type: LoaType | str | None = None,
        campaign_id: str | None = None,
        dry_run: bool | str = False,
        approval: Approval = "never",
        approvers: Iterable[str] | str = (),
        approval_timeout: timedelta | None = DEFAULT_APPROVAL_TIMEOUT,
        soft_fail: bool = False,
        on_unsafe_plan: Callback | Sequence[Callback] = (),
        if_running: Literal["wait", "fail"] = "wait",
        allow_older_run: bool | str = False,
        plan_valid_for: timedelta = DEFAULT_PLAN_VALID_FOR,
        list_unchanged: bool = True,
        site_id: int | str | None = None,
        sip_peer_id: int | str | None = None,
        account_id: str | None = None,
        bandwidth_conn_id: str = BandwidthHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_sources(telephone_numbers, extract_path, column, sql, sql_conn_id)
        if not 1 <= chunk_size <= NUMBERS_PER_XCOM:
            raise ValueError(f"chunk_size: expected 1 to {NUMBERS_PER_XCOM}, got {chunk_size}")
        if orders_per_task < 1:
            raise ValueError(f"orders_per_task: expected 1 or more, got {orders_per_task}")
        if if_running not in ("wait", "fail"):
            raise ValueError(f"if_running: expected wait or fail, got {if_running!r}")
        self.limits = {"max_removals": max_removals, "min_desired": min_desired, "max_unreadable": max_unreadable}
        self.max_imports = max_imports
        for name, limit in (*self.limits.items(), ("max_imports", max_imports)):
            if limit is not None:
                parse_limit(name, limit, 0)
        self.telephone_numbers = repeatable(telephone_numbers)
        self.extract_path = extract_path
        self.column = column
        self.encoding = encoding
        self.sql = sql
        self.sql_conn_id = sql_conn_id
        self.excluded_telephone_numbers = repeatable(excluded_telephone_numbers)
        self.remove_missing = parse_flag("remove_missing", remove_missing)
        self.first_load = first_load
        self.chunk_size = chunk_size
        self.orders_per_task = orders_per_task
        self.preflight = parse_flag("preflight", preflight)
        self.resend_errors_after = resend_errors_after
        self.ignore_error_codes = parse_error_codes(ignore_error_codes)
        self.order_api = order_api
        self.loa_type = loa_type
        self.campaign_id = campaign_id
        # BaseOperator.dry_run is a method of Airflow's.
        self.is_dry_run = dry_run
        self.approval = parse_approval(approval)
        self.approvers = (approvers,) if isinstance(approvers, str) else tuple(map(str, approvers))
        if approval_timeout is not None and approval_timeout <= timedelta(0):
            raise ValueError(f"approval_timeout: expected a time to wait, got {approval_timeout}")
        self.approval_timeout = approval_timeout
        self.soft_fail = parse_flag("soft_fail", soft_fail)
        self.on_unsafe_plan = (on_unsafe_plan,) if callable(on_unsafe_plan) else tuple(on_unsafe_plan)
        self.if_running = if_running
        self.allow_older_run = allow_older_run
        self.plan_valid_for = plan_valid_for
        self.list_unchanged = list_unchanged
        self.site_id = site_id
        self.sip_peer_id = sip_peer_id
        self.account_id = account_id
        self.bandwidth_conn_id = bandwidth_conn_id

    @classmethod
    def get_serialized_fields(cls) -> frozenset[str]:
        """What the scheduler has to know, as of a sensor that is rescheduled."""
        return cast("frozenset[str]", super().get_serialized_fields() | {"reschedule", "_is_sensor"})  # type: ignore[no-untyped-call]

    @cached_property
    def hook(self) -> BandwidthHook:
        """The connection to Bandwidth."""
        return BandwidthHook(str(self.bandwidth_conn_id), self.account_id, self.order_api)

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan, judge, ask a person if need be, and leave the plan for the tasks after it."""
        pending = self._plan(context)
        made = pending.made
        is_asked = {"never": False, "unsafe": made.unsafe, "always": made.unsafe or made.layout.order_count}
        if pending.mine and made.unsafe:
            figures = {**made.figures(pending.turn.reader), "asks": self.approval != "never"}
            run_callbacks(self.on_unsafe_plan, context, figures, self.log)
        if pending.mine and is_asked[self.approval]:
            self._ask_person(context, pending, Decision())
        handover = self._finish_plan(context["ti"], pending)
        if pending.mine and made.unsafe:
            raise AirflowFailException(made.unsafe)
        return handover.to_dict()

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Go on after a person's answer, or after the time for one."""
        ti = context["ti"]
        asked_plan, state = self._pull_asked_plan(ti)
        # Where a question is asked again, somebody may have seen another text.
        is_first = ti.try_number <= 1 and not state.problem
        decision = read_answer(event, asked_plan.question, is_first_question=is_first)
        self.log.info("The plan: %s.", decision)
        if not decision.is_approved:
            self._end_unapproved(ti, asked_plan, decision)
        # If the task dies from here on, the report finds this decision.
        replace(asked_plan, decision=replace(decision, problem=_NOT_PLANNED_AGAIN)).push(ti)
        return self.send_approved(context, decision.to_dict())

    def send_approved(self, context: Context, decision: Mapping[str, str], event: object = None) -> dict[str, Any]:
        """Plan anew, since the answer may be hours younger than the plan, and leave what was approved.

        :param decision: the approval
        :param event: the event of the timer that resumed the task, if it had to wait for another sync
        """
        ti = context["ti"]
        asked_plan, _ = self._pull_asked_plan(ti)
        approved = Decision.from_dict(decision)
        try:
            pending = self._plan(context)
            growth = pending.made.find_growth(asked_plan.pull_changes(ti, self.task_id), asked_plan.broken_limits)
            if growth:
                self._refuse_growth(context, pending, replace(approved, problem=growth))
            return self._finish_plan(ti, pending, decision=approved).to_dict()
        except AirflowRescheduleException:
            self._defer_approved(approved)

    # --- a plan is made, and left for the tasks after it ---

    def _plan(self, context: Context) -> _PendingPlan:
        with failing_at_once():
            site_id, sip_peer_id = self._resolve_place()
            turn = PeerTurn(
                PeerRecord(self.hook.account_id, site_id, sip_peer_id),
                PeerReader(self.hook, site_id, sip_peer_id, self.log),
                context,
                self.task_id,
                self._find_report_task_id(),
                self.plan_valid_for,
                self.if_running,
                lambda: parse_flag("allow_older_run", self.allow_older_run),
                self.log,
            )
            self.log.info("Planning a sync of %s (connection %r).", turn.reader.place, self.bandwidth_conn_id)
            is_dry_run = parse_flag("dry_run", self.is_dry_run)
            request = self._make_request()
            mine = None if is_dry_run else turn.take(assigns=request.campaign_id is not None)
            made = make_plan(turn.reader, request, self.log)
            return _PendingPlan(turn, mine, request, made)

    def _push_plan(self, ti: Any, pending: _PendingPlan, decision: Decision | None, question: str = "") -> Handover:
        """Leave the plan for the tasks after it."""
        handover = pending.made.make_handover(
            pending.turn.reader,
            pending.request,
            xcoms=push_numbers(ti, pending.made.layout, list_unchanged=self.list_unchanged),
            nonce=pending.mine.nonce if pending.mine else "",
            dry_run=pending.mine is None,
        )
        handover = replace(
            handover,
            orders_per_task=self.orders_per_task,
            approval=self.approval,
            question=question,
            decision=decision,
            soft_fail=self.soft_fail,
        )
        handover.push(ti)
        return handover

    def _finish_plan(self, ti: Any, pending: _PendingPlan, decision: Decision | None = None) -> Handover:
        """Leave the plan. If it is still the latest, note its orders, which may be sent now; else wait, or fail."""
        handover = self._push_plan(ti, pending, decision)
        record, mine = pending.turn.record, pending.mine
        if mine is not None:
            if handover.is_sent:
                is_latest = record.keep_orders(mine, handover.new_order_ids(ti, self.task_id, pending.made.layout))
            else:
                # A plan that is not sent leaves nothing that another sync would have to wait for.
                is_latest = record.is_latest(mine.nonce)
            if not is_latest:
                pending.turn.wait_or_fail(record.read())
        return handover

    # --- a person decides ---

    def _ask_person(self, context: Context, pending: _PendingPlan, decision: Decision) -> NoReturn:
        """Defer the task until a person has answered. Others may sync the SIP peer meanwhile."""
        question = pending.made.make_question(pending.turn.reader, self.approval_timeout)
        self._push_plan(context["ti"], pending, decision, question.digest)
        pending.turn.record.release(cast("PlanRecord", pending.mine))
        self.log.info("Asking a person: %s", question.subject)
        ask_person(context, question, approvers=self.approvers, timeout=self.approval_timeout)

    def _pull_asked_plan(self, ti: Any) -> tuple[Handover, Decision]:
        """The plan that a person was asked about, and what has been decided so far."""
        asked_plan = Handover.pull(ti, self.task_id)
        if asked_plan is None or asked_plan.decision is None:
            raise AirflowFailException("The plan that was asked about is gone. Nothing was sent. Start a new run.")
        return asked_plan, asked_plan.decision

    def _refuse_growth(self, context: Context, pending: _PendingPlan, decision: Decision) -> NoReturn:
        """Ask again, where Airflow shows the new question; otherwise send nothing."""
        ti = context["ti"]
        if shows_new_text():
            self._ask_person(context, pending, Decision(problem=f"the plan was {decision}"))
        pending.turn.record.release(cast("PlanRecord", pending.mine))
        self._end_unapproved(ti, self._push_plan(ti, pending, decision), decision)

    def _defer_approved(self, decision: Decision) -> NoReturn:
        """Wait deferred, which keeps the approval: a task that is rescheduled would start, and ask, again."""
        from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

        self.defer(
            trigger=TimeDeltaTrigger(timedelta(seconds=LOOK_AGAIN_AFTER)),
            method_name="send_approved",
            kwargs={"decision": decision.to_dict()},
        )
        raise AssertionError("Airflow did not defer the task.")  # pragma: no cover

    def _end_unapproved(self, ti: Any, plan: Handover, decision: Decision) -> NoReturn:
        replace(plan, decision=decision).push(ti)
        message = f"The plan is not sent: {decision}. Nothing was sent."
        raise (AirflowSkipException if self.soft_fail else AirflowFailException)(message)

    # --- where, and what is wanted ---

    def _find_report_task_id(self) -> str | None:
        """The task with which this sync ends; ``None`` where the plan is used without a report."""
        dag = self.get_dag()
        for each in dag.tasks if dag is not None else ():
            if isinstance(each, BandwidthNumberSyncReportOperator) and each.plan_task_id == self.task_id:
                return str(each.task_id)
        return None

    def _resolve_place(self) -> tuple[int, int]:
        site_id = self.hook.resolve_site_id(self.site_id)
        sip_peer_id = self.hook.resolve_sip_peer_id(self.sip_peer_id)
        if sip_peer_id is None:
            raise InvalidParameterError(
                "SipPeerId", f"give sip_peer_id, or set extra.sip_peer_id of connection {self.bandwidth_conn_id!r}."
            )
        return site_id, sip_peer_id

    def _make_request(self) -> PlanRequest:
        return PlanRequest(
            desired=read_desired(
                self.telephone_numbers, self.extract_path, self.column, self.encoding, self.sql, self.sql_conn_id
            ),
            excluded=() if self.excluded_telephone_numbers is None else self.excluded_telephone_numbers,
            remove_missing=self.remove_missing,
            limits={**self.limits, "max_imports": self.max_imports},
            first_load=parse_flag("first_load", self.first_load),
            chunk_size=self.chunk_size,
            orders_per_task=self.orders_per_task,
            preflight=self.preflight,
            resend_errors_after=self.resend_errors_after,
            ignore_error_codes=self.ignore_error_codes,
            loa_type=self.hook.resolve_loa_type(self.loa_type),
            campaign_id=None if self.campaign_id in (None, "", "None") else parse_campaign_id(self.campaign_id),
        )


if not AIRFLOW_V_3_0_PLUS:
    from airflow.ti_deps.deps.ready_to_reschedule import ReadyToRescheduleDep

    # Airflow 3 adds this to what it takes for a sensor. Without it a rescheduled task is started again at once.
    BandwidthNumberSyncPlanOperator.deps = BaseOperator.deps | {ReadyToRescheduleDep()}  # type: ignore[attr-defined]
