"""Waits for a plan's turn at its SIP peer: until no other sync has it, and Bandwidth shows what the last one sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, cast

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_bandwidth.operators._peer_reader import PeerReader
from airflow_provider_bandwidth.operators._peer_record import ASSIGNED, PeerRecord, PlanRecord

try:
    from airflow.sdk.exceptions import AirflowRescheduleException
except ImportError:  # Airflow 2.11
    from airflow.exceptions import AirflowRescheduleException

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

__all__ = ["LOOK_AGAIN_AFTER", "AirflowRescheduleException", "PeerTurn"]

#: Seconds between two looks at who syncs the SIP peer, and at Bandwidth's search.
LOOK_AGAIN_AFTER: Final = 20.0
_SEARCH_PAUSE: Final = 10.0


@dataclass(frozen=True, slots=True)
class PeerTurn:
    """One plan, and the others that may have its SIP peer.

    :param record: the record of the SIP peer
    :param reader: reads the SIP peer at Bandwidth
    :param context: the plan task's context
    :param plan_task_id: the plan task
    :param report_task_id: the task with which the sync ends; ``None`` if it ends with the run
    :param plan_valid_for: how long the plan may be sent
    :param if_running: what to do while another run syncs the peer
    :param is_older_run_allowed: whether a run may plan after a newer run of its DAG has; asked only where one has
    :param log: the task's log
    """

    record: PeerRecord
    reader: PeerReader
    context: Context
    plan_task_id: str
    report_task_id: str | None
    plan_valid_for: timedelta
    if_running: Literal["wait", "fail"]
    is_older_run_allowed: Callable[[], bool]
    log: Any

    def take(self, *, assigns: bool = False) -> PlanRecord:
        """Become the one sync of this SIP peer, and wait until the orders of the one before show.

        :param assigns: whether the plan looks at orders that assign campaigns, too
        :raises AirflowRescheduleException: another sync has the peer
        :raises AirflowFailException: likewise, if ``if_running`` is ``fail``; or a newer run of the DAG has planned
        """
        ti = self.context["ti"]
        due = _due_time(self.context)
        self._refuse_older_run(ti.dag_id, due)
        holder = self.record.find_holder(ti, self.plan_task_id)
        if holder is not None:
            self.wait_or_fail(holder)
        mine = self.record.take(ti, self.plan_task_id, self.report_task_id, due, self.plan_valid_for)
        if mine is None:
            self.wait_or_fail(self.record.read())
        self._wait_for_search(mine)
        if assigns and (seconds := self.record.seconds_until_shown(ASSIGNED)):
            self.log.info("A campaign was assigned a moment ago: waiting %d seconds until its order shows.", seconds)
            time.sleep(seconds)
        return mine

    def _refuse_older_run(self, dag_id: str, due: datetime | None) -> None:
        latest = self.record.read()
        newest = latest.newest.get(dag_id) if latest else None
        if newest is None or due is None or due >= datetime.fromisoformat(newest):
            return
        facts = f"A run of this DAG that was due at {newest} has planned for this SIP peer; this run was due at {due}"
        if not self.is_older_run_allowed():
            raise AirflowFailException(
                f"{facts}: an older extract would undo what the newer run did. Nothing was sent. Start a new run, or "
                "set allow_older_run=True."
            )
        self.log.warning("%s. It goes on, since allow_older_run is set.", facts)

    def wait_or_fail(self, holder: PlanRecord | None) -> NoReturn:
        """Look again later, or fail.

        :param holder: the plan that has the peer, if it is known
        """
        who = f"run {holder.run_id!r} of DAG {holder.dag_id!r}" if holder else "another run"
        facts = f"Another sync of this SIP peer is running: {who}, since {holder.planned_at if holder else 'just now'}"
        if self.if_running == "fail":
            raise AirflowFailException(f"{facts}. Nothing was sent. Run again when it has ended.")
        self.log.info(
            "%s. Looking again in %d seconds. If that run will not go on, mark it as failed.", facts, LOOK_AGAIN_AFTER
        )
        raise AirflowRescheduleException(datetime.now(UTC) + timedelta(seconds=LOOK_AGAIN_AFTER))

    def _wait_for_search(self, mine: PlanRecord) -> None:
        """Wait while Bandwidth's search may hide orders that the sync before has sent."""
        seconds = self.record.seconds_until_shown()
        if seconds and self.reader.lacks_orders(mine.order_ids):
            self.log.info(
                "A sync of this SIP peer sent an order a moment ago, and Bandwidth's search may not show it yet: "
                "waiting up to %d seconds.",
                seconds,
            )
            while seconds > 0 and self.reader.lacks_orders(mine.order_ids):
                time.sleep(min(_SEARCH_PAUSE, seconds))
                seconds -= _SEARCH_PAUSE


def _due_time(context: Context) -> datetime | None:
    """When a run was due: later for a newer extract."""
    run: Any = context.get("dag_run")
    due = (
        getattr(run, "run_after", None) or getattr(run, "data_interval_end", None) or getattr(run, "logical_date", None)
    )
    return cast("datetime | None", due)
