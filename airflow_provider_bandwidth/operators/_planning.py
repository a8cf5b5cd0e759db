"""Make the plan of a sync: read what is at Bandwidth, compare, judge, and lay out the orders. Sends GETs only.

The plan task and ``airflow bandwidth plan`` both plan here, so that a person sees what the night would do.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, conf

from airflow_provider_bandwidth.exceptions import (
    ExtractUnavailableError,
    InvalidExtractError,
    InvalidParameterError,
    InvalidTelephoneNumbersError,
    UnsafePlanError,
)
from airflow_provider_bandwidth.number_sync.current import SETTLED_AFTER
from airflow_provider_bandwidth.number_sync.guards import check_plan, count_vanished_allowed, describe_rejected
from airflow_provider_bandwidth.number_sync.handover import NUMBERS_PER_XCOM, Handover, digest_changes
from airflow_provider_bandwidth.number_sync.layout import Layout, lay_out
from airflow_provider_bandwidth.number_sync.plan import NumberSyncPlan, plan_number_sync
from airflow_provider_bandwidth.number_sync.question import Question, render_question
from airflow_provider_bandwidth.operators._peer_reader import Look, PeerReader
from airflow_provider_bandwidth.orders import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What a plan is made from, and within which limits. The plan operator says what each of them means.

    :param desired: values in any usual notation; read once
    :param excluded: numbers to leave alone
    :param limits: ``max_removals``, ``min_desired``, ``max_imports`` and ``max_unreadable``, as ``check_plan`` takes
        them
    :param loa_type: LoaType that imports are sent with; ``None`` if it is left to Bandwidth
    :param campaign_id: the campaign that numbers are assigned to; ``None`` if to none
    """

    desired: Iterable[object] | str
    excluded: Iterable[object] | str
    remove_missing: bool
    limits: Mapping[str, Any]
    first_load: bool
    chunk_size: int
    orders_per_task: int
    preflight: bool
    resend_errors_after: int
    ignore_error_codes: Sequence[str]
    loa_type: str | None
    campaign_id: str | None = None


@dataclass(frozen=True, slots=True)
class MadePlan:
    """A plan, judged and laid out.

    :param planned_at: when it was made, by Airflow's clock
    :param look: what was seen at Bandwidth
    :param unsafe: why a person has to look first; empty if the plan is safe
    :param findings: the same, one text a reason
    :param broken_limits: the parameter that each finding is about
    """

    planned_at: datetime
    look: Look
    plan: NumberSyncPlan
    layout: Layout
    unsafe: str = ""
    findings: Sequence[str] = ()
    broken_limits: Sequence[str] = ()

    def make_handover(
        self, reader: PeerReader, request: PlanRequest, *, xcoms: Mapping[str, Any], nonce: str, dry_run: bool
    ) -> Handover:
        """What the tasks after the plan need.

        :param reader: of the SIP peer that was planned for
        :param request: what the plan was made from
        :param xcoms: what ``push_numbers`` counted
        :param nonce: of the attempt; empty if nothing is to be sent
        """
        return Handover(
            account_id=reader.account_id,
            site_id=reader.site_id,
            sip_peer_id=reader.sip_peer_id,
            order_api=reader.order_api,
            loa_type=request.loa_type,
            campaign_id=request.campaign_id,
            counts={**self.plan.counts(), **self.layout.counts()},
            orders=self.layout.taken_over(),
            **xcoms,
            planned_at=self.planned_at,
            known_order_ids=self.look.known_order_ids,
            orders_made_since=self.look.known_since,
            reuse_orders_ended_since=self.look.now - SETTLED_AFTER,
            nonce=nonce,
            digest=digest_changes(self.layout),
            dry_run=dry_run,
            unsafe=self.unsafe,
            findings=self.findings,
            broken_limits=self.broken_limits,
        )

    def figures(self, reader: PeerReader) -> dict[str, Any]:
        """What a notifier may tell of the plan.

        :param reader: of the SIP peer that was planned for
        """
        return {
            **self.plan.counts(),
            **self.layout.counts(),
            "place": reader.place,
            "findings": list(self.findings),
            "orders": self.layout.order_count,
        }

    def make_question(self, reader: PeerReader, timeout: timedelta | None) -> Question:
        """What a person is asked about the plan.

        :param reader: of the SIP peer that was planned for
        :param timeout: how long an answer is waited for, then the plan counts as rejected
        """
        to_import, to_remove = (self.layout.telephone_numbers(action) for action in Action)
        counts = {
            **self.plan.counts(),
            **self.layout.counts(),
            "to_import": len(to_import),
            "to_remove": len(to_remove),
            "unreadable": self.plan.unreadable_count,
        }
        if not counts["to_assign"]:
            del counts["to_assign"]
        return render_question(
            reader.place,
            counts,
            self.findings,
            to_import=to_import,
            to_remove=to_remove,
            order_count=self.layout.order_count,
            rejected=describe_rejected(self.plan.rejected),
            timeout=timeout,
            changes=digest_changes(self.layout),
        )

    def find_growth(self, approved: Mapping[Action, Collection[str]], broken_limits: Collection[str]) -> str:
        """What this plan would do beyond the one that was approved; empty if nothing.

        :param approved: the numbers that the approved plan would have sent, by action
        :param broken_limits: the limits that the approved plan broke
        """
        more = {action: set(self.layout.telephone_numbers(action)).difference(approved[action]) for action in Action}
        grown = [f"{len(numbers):,} more to {action.lower()}" for action, numbers in more.items() if numbers]
        grown += [f"{limit} is broken, too" for limit in sorted(set(self.broken_limits).difference(broken_limits))]
        if not grown:
            return ""
        return f"the plan has grown since ({', '.join(grown)}): start a new run, which asks with its own figures"


@contextmanager
def failing_at_once() -> Iterator[None]:
    """Fail without retries for what another try would meet again: a wrong parameter, column, file or number.

    A file that is not there may be late: that is tried again.
    """
    try:
        yield
    except ExtractUnavailableError:
        raise
    except (InvalidParameterError, InvalidTelephoneNumbersError, InvalidExtractError) as error:
        raise AirflowFailException(f"{error} Nothing was sent.") from error


def make_plan(reader: PeerReader, request: PlanRequest, log: Any) -> MadePlan:
    """Read, compare, judge, lay out.

    :param reader: of the SIP peer to plan for
    :param log: gets the figures
    :raises InvalidExtractError: what is desired cannot be read
    :raises InvalidTelephoneNumbersError: an excluded value is no telephone number
    :raises InvalidParameterError: a limit is none, or there is no such SIP peer
    :raises InvalidResponseError: what Bandwidth shows cannot be believed now
    """
    planned_at = datetime.now(UTC)
    look = reader.look()
    plan = _compare(request, look, log)
    log.info("The plan: %s.", ", ".join(f"{name} {count:,}" for name, count in plan.counts().items()))
    layout = _lay_out(request, plan, look, reader)
    new = look.find_new(layout.telephone_numbers(Action.IMPORT))
    if not request.first_load:
        look.check_new(new)
    unsafe = _judge(request, plan, look, new, reader)
    if unsafe is None:
        return MadePlan(planned_at, look, plan, layout)
    return MadePlan(planned_at, look, plan, layout, str(unsafe), unsafe.findings, unsafe.limits)


def _compare(request: PlanRequest, look: Look, log: Any) -> NumberSyncPlan:
    numbers = look.numbers
    if numbers.others and not numbers.imported:
        log.warning(
            "None of the %d telephone numbers at the SIP peer has the attribute External or Imported: nothing there "
            "counts as imported.",
            len(numbers.others),
        )
    return plan_number_sync(
        request.desired,
        numbers.imported,
        owned=numbers.others.difference(*(order.telephone_numbers for order in look.open_orders)),
        excluded=request.excluded,
        remove_missing=request.remove_missing,
    )


def _judge(
    request: PlanRequest, plan: NumberSyncPlan, look: Look, new: frozenset[str], reader: PeerReader
) -> UnsafePlanError | None:
    """Why a person has to look at the plan first; ``None`` if it is safe."""
    vanished = frozenset[str]()
    if len(new) > count_vanished_allowed(plan.current_count) and not request.first_load:
        vanished = reader.find_vanished() - look.numbers.imported - look.moving
        if plan.current_count:
            vanished &= new
    try:
        check_plan(plan, **request.limits, first_load=request.first_load, vanished=vanished)
    except UnsafePlanError as error:
        return error
    return None


def _lay_out(request: PlanRequest, plan: NumberSyncPlan, look: Look, reader: PeerReader) -> Layout:
    held_back = list(
        reader.hold_back_refused(
            plan.to_import,
            days=request.resend_errors_after,
            now=look.now,
            ignore_error_codes=request.ignore_error_codes,
        )
    )
    if request.preflight:
        held = {fate.telephone_number for fate in held_back}
        held_back += reader.preflight([number for number in plan.to_import if number not in held])
    layout = lay_out(
        plan,
        chunk_size=request.chunk_size,
        site_id=reader.site_id,
        sip_peer_id=reader.sip_peer_id,
        loa_type=request.loa_type,
        order_api=reader.order_api,
        open_orders=look.open_orders,
        held_back=held_back,
    )
    _check_map_length(layout, request.orders_per_task)
    if request.campaign_id is None:
        return layout
    found = reader.find_unassigned(
        layout.unchanged, campaign_id=request.campaign_id, days=request.resend_errors_after, now=look.now
    )
    return layout.assign(found, request.chunk_size)


def _check_map_length(layout: Layout, orders_per_task: int) -> None:
    """Refuse a plan that Airflow could not map over, before any of its orders is sent."""
    most = conf.getint("core", "max_map_length", fallback=1024)
    for chunks in layout.orders.values():
        batches = math.ceil(len(chunks) / orders_per_task)
        if batches > most:
            numbers = sum(len(each.telephone_numbers) for each in chunks)
            raise InvalidParameterError(
                "orders_per_task",
                f"{numbers} telephone numbers make {len(chunks)} orders, which are {batches} mapped tasks of up to "
                f"{orders_per_task}, but Airflow maps over {most} at most. Nothing was sent. Raise orders_per_task, "
                f"chunk_size (up to {NUMBERS_PER_XCOM}), or [core] max_map_length.",
            )
