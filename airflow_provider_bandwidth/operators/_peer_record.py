"""Which run syncs a SIP peer: a record of each peer in an Airflow Variable, so that one sync of it runs at a time.

The *holder* is the run that planned last. It holds the peer until its report has ended, or until its run does not go on
any more: a killed run holds nothing for ever. The record outlives the holder: a plan is sent only while no other has
been made for the peer since.

Variables have no lock, and need none. A plan writes itself into the record and only then reads when an order was sent
last; a submit task writes that it sends and only then reads the record. Of two that meet, one sees the other: the plan
waits until Bandwidth's search shows what was sent, or the submit task sends nothing.

A Variable, not Airflow 3.3's asset state store: that keeps values by Asset, and two DAGs may name a peer by two Assets.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from airflow_provider_bandwidth.airflow_variables import is_without_airflow, read_variable, write_variable
from airflow_provider_bandwidth.number_sync.handover import Handover

#: What a sync sends, as the names of Variables have it: orders for numbers, and orders that assign a campaign.
SENT: Final = "sent"
ASSIGNED: Final = "assigned"
#: How old a plan may be when one of its orders is sent for the first time.
DEFAULT_PLAN_VALID_FOR: Final = timedelta(hours=2)
#: Seconds after which two plans that begin in the same moment have both written.
_SETTLED_AFTER_SECONDS: Final = 2.0
#: How long after a POST began Bandwidth's search shows its order at the latest.
SEARCH_SHOWS_AFTER: Final = timedelta(seconds=90)
#: How long it may take to make a plan. Its age counts from its look at Bandwidth, which is after it took the peer.
_PLANNING_TIME: Final = timedelta(minutes=10)
#: The most ids of a plan's orders that are kept: a Variable should stay small.
_MOST_ORDER_IDS: Final = 500
_GOING_ON: Final = frozenset({"queued", "running", "restarting"})
_ENDED: Final = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """The latest plan for a SIP peer.

    :param dag_id: the DAG of the run that made it
    :param run_id: that run
    :param plan_task_id: its plan task
    :param report_task_id: the task with which the sync ends; ``None`` if it ends with the run
    :param nonce: a random text for the attempt that made it
    :param planned_at: when it began, ISO 8601
    :param sends_until: when the plan is too old to be sent, ISO 8601; then it holds nothing, whatever its run says
    :param newest: by DAG, the time at which the newest run that planned was due
    :param order_ids: CustomerOrderIds of its new orders, or those of the plan before while it is being made; ``None``
        if they are too many to keep
    """

    dag_id: str
    run_id: str
    plan_task_id: str
    report_task_id: str | None
    nonce: str
    planned_at: str
    sends_until: str
    newest: Mapping[str, str] = field(default_factory=dict)
    order_ids: tuple[str, ...] | None = ()

    @classmethod
    def from_json(cls, text: str) -> Self | None:
        """Read a record; ``None`` if the text holds none, for example after a person has emptied the Variable."""
        try:
            data = json.loads(text)
            order_ids = data.pop("order_ids")
            return cls(**data, order_ids=None if order_ids is None else tuple(order_ids))
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def to_json(self) -> str:
        """The text of the Variable."""
        return json.dumps(asdict(self))

    @property
    def sync_key(self) -> tuple[str, str, str]:
        """DAG, run and plan task: the same in each attempt at one sync, and in no other sync."""
        return self.dag_id, self.run_id, self.plan_task_id


class PeerRecord:
    """The record of one SIP peer; ``key`` is the name of its Variable.

    :param account_id: Bandwidth account
    :param site_id: SiteId
    :param sip_peer_id: SipPeerId
    """

    def __init__(self, account_id: str, site_id: int, sip_peer_id: int) -> None:
        self.key = f"bandwidth_number_sync_{account_id}_{site_id}_{sip_peer_id}"

    @classmethod
    def of(cls, plan: Handover) -> Self:
        """The record of the SIP peer that a plan is for."""
        return cls(plan.account_id, plan.site_id, plan.sip_peer_id)

    def read(self) -> PlanRecord | None:
        """The latest plan; ``None`` if there never was one."""
        text = read_variable(self.key)
        return None if text is None else PlanRecord.from_json(text)

    def find_holder(self, ti: Any, plan_task_id: str) -> PlanRecord | None:
        """Another sync that has the peer now."""
        record = self.read()
        if record is None or record.sync_key == (ti.dag_id, ti.run_id, plan_task_id):
            return None
        if datetime.now(UTC) > datetime.fromisoformat(record.sends_until):
            return None
        if is_without_airflow(self.key) and not hasattr(ti, "get_dagrun_state"):
            # A script without Airflow has no runs that could be asked for.
            return None
        return record if _is_going_on(ti, record) else None

    def take(
        self, ti: Any, plan_task_id: str, report_task_id: str | None, due: datetime | None, valid_for: timedelta
    ) -> PlanRecord | None:
        """Become the holder.

        :param due: when the run was due
        :param valid_for: how long the plan may be sent
        :return: the record as written; ``None`` if another plan took the peer in the same moment
        """
        now = datetime.now(UTC)
        earlier = self.read()
        newest = dict(earlier.newest) if earlier else {}
        if due is not None and newest.get(ti.dag_id, "") < due.astimezone(UTC).isoformat():
            newest[ti.dag_id] = due.astimezone(UTC).isoformat()
        mine = PlanRecord(
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            plan_task_id=plan_task_id,
            report_task_id=report_task_id,
            nonce=uuid.uuid4().hex,
            planned_at=now.isoformat(),
            sends_until=(now + valid_for + _PLANNING_TIME).isoformat(),
            newest=newest,
            order_ids=earlier.order_ids if earlier else (),
        )
        write_variable(self.key, mine.to_json())
        time.sleep(_SETTLED_AFTER_SECONDS)
        settled = self.read()
        return mine if settled is not None and settled.nonce == mine.nonce else None

    def keep_orders(self, mine: PlanRecord, order_ids: list[str]) -> bool:
        """Note the CustomerOrderIds of a plan that is made.

        :return: whether this is still the latest plan
        """
        if not self.is_latest(mine.nonce):
            return False
        kept = tuple(order_ids) if len(order_ids) <= _MOST_ORDER_IDS else None
        write_variable(self.key, replace(mine, order_ids=kept).to_json())
        return True

    def release(self, mine: PlanRecord) -> None:
        """Let other syncs plan: this plan sends nothing, or nothing before it is made anew."""
        if self.is_latest(mine.nonce):
            write_variable(self.key, replace(mine, sends_until=datetime.now(UTC).isoformat()).to_json())

    def is_latest(self, nonce: str) -> bool:
        """Whether no other plan has taken this peer since."""
        record = self.read()
        return record is not None and record.nonce == nonce

    def note_sending(self, what: str = SENT) -> None:
        """Note that an order is about to be sent.

        :param what: an order for numbers, or one that assigns a campaign
        """
        write_variable(f"{self.key}_{what}", datetime.now(UTC).isoformat())

    def seconds_until_shown(self, what: str = SENT) -> float:
        """How long Bandwidth's search may still hide an order that a sync of this peer sent last.

        :param what: as of :meth:`note_sending`
        """
        text = read_variable(f"{self.key}_{what}")
        if text is None:
            return 0.0
        shown_at = datetime.fromisoformat(text) + SEARCH_SHOWS_AFTER
        left = (shown_at - datetime.now(UTC)).total_seconds()
        # A worker's clock may be ahead of this one's.
        return min(max(left, 0.0), SEARCH_SHOWS_AFTER.total_seconds())


def _is_going_on(ti: Any, record: PlanRecord) -> bool:
    """Whether the run of a record may still send something."""
    if not hasattr(ti, "get_dagrun_state"):
        return _is_going_on_in_database(record)
    try:
        state = ti.get_dagrun_state(dag_id=record.dag_id, run_id=record.run_id)
    except Exception as error:
        if "not_found" in str(error).lower() or "not found" in str(error).lower() or "404" in str(error):
            return False
        raise
    if str(getattr(state, "value", state)) not in _GOING_ON:
        return False
    if record.report_task_id is None:
        return True
    found = ti.get_task_states(dag_id=record.dag_id, task_ids=[record.report_task_id], run_ids=[record.run_id])
    return str(found.get(record.run_id, {}).get(record.report_task_id)) not in _ENDED


def _is_going_on_in_database(record: PlanRecord) -> bool:
    """The same on Airflow 2.11, where a task may ask the database."""
    from airflow.models.dagrun import DagRun

    for run in DagRun.find(dag_id=record.dag_id, run_id=record.run_id):
        report = run.get_task_instance(record.report_task_id) if record.report_task_id else None
        return str(run.state) in _GOING_ON and (report is None or str(report.state) not in _ENDED)
    return False
