"""What the plan of a sync tells the tasks after it: its figures in one XCom, its numbers in many small ones.

Pure: needs no more of a task instance than ``xcom_push`` and ``xcom_pull``. No XCom holds more than 64 KB, so that any
database takes it, and no task reads more than its share.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Self

from airflow_provider_bandwidth.number_sync.fates import Fate, NumberFate
from airflow_provider_bandwidth.number_sync.layout import Layout
from airflow_provider_bandwidth.number_sync.question import Decision
from airflow_provider_bandwidth.orders import Action
from airflow_provider_bandwidth.telephone_numbers import chunk
from airflow_provider_bandwidth.xcom_lists import pack

#: The most numbers of one XCom, at eleven bytes each.
NUMBERS_PER_XCOM: Final = 5000
#: How many orders one mapped task submits and waits for, unless the caller says otherwise.
DEFAULT_ORDERS_PER_TASK: Final = 50
_RETURN_VALUE: Final = "return_value"


@dataclass(frozen=True, slots=True)
class Handover:
    """The figures of a plan, and what a task needs to send its part of it.

    :param order_api: the order API that its orders go through
    :param loa_type: LoaType of its imports; ``None`` if it is left to Bandwidth
    :param counts: the figures of the plan by name
    :param orders: for each order of an action the CustomerOrderId of the open order that is taken over, or ``None`` for
        a new one
    :param unchanged_xcoms: how many XComs list the unchanged numbers; none unless a report in a file needs them
    :param fate_xcoms: how many XComs list the fates that are known already
    :param planned_at: when the plan was made, by Airflow's clock
    :param known_order_ids: orders that were made shortly before the plan, which it has seen
    :param orders_made_since: orders made at that time, by Bandwidth's clock, or later are looked at before the plan is
        sent
    :param reuse_orders_ended_since: an order of this plan that ended before this time, by Bandwidth's clock, has been
        undone since
    :param nonce: a random text for the attempt that made the plan
    :param digest: a digest of the plan's changes: two plans with the same digest change the same
    :param orders_per_task: how many orders each mapped task after the plan has, but the last of an action
    :param dry_run: whether nothing is to be sent
    :param unsafe: why a person has to look first; empty if the plan is safe
    :param findings: the same, one text a reason
    :param broken_limits: the parameters whose limits the plan breaks
    :param approval: when a person is asked before a plan is sent: never, unsafe or always
    :param question: digest of the question that a person is or was asked about the plan; empty if nobody
    :param decision: what the person decided; ``None`` if nobody is asked
    :param soft_fail: whether a plan that is not approved ends the run as skipped, not as failed
    :param campaign_id: the campaign that imported numbers are assigned to; ``None`` if to none
    :param assign_xcoms: how many XComs list numbers that were there before and are assigned to it, one an order
    """

    account_id: str
    site_id: int
    sip_peer_id: int
    order_api: str
    loa_type: str | None
    counts: Mapping[str, int]
    orders: Mapping[str, Sequence[str | None]]
    unchanged_xcoms: int
    fate_xcoms: int
    planned_at: datetime
    known_order_ids: Sequence[str]
    orders_made_since: datetime
    reuse_orders_ended_since: datetime
    nonce: str
    digest: str
    orders_per_task: int = DEFAULT_ORDERS_PER_TASK
    dry_run: bool = False
    unsafe: str = ""
    findings: Sequence[str] = ()
    broken_limits: Sequence[str] = ()
    approval: str = "never"
    question: str = ""
    decision: Decision | None = None
    soft_fail: bool = False
    campaign_id: str | None = None
    assign_xcoms: int = 0

    @property
    def is_sent(self) -> bool:
        """Whether the tasks after the plan may send its orders."""
        return not self.dry_run and (self.decision.is_approved if self.decision else not self.unsafe)

    @property
    def is_not_approved(self) -> bool:
        """Whether nothing is sent because a person has not approved the plan."""
        return self.decision is not None and not self.decision.is_approved

    @property
    def place(self) -> str:
        """The SIP peer that the plan is for, in words."""
        return f"account {self.account_id}, site {self.site_id}, SIP peer {self.sip_peer_id}"

    @property
    def order_count(self) -> int:
        """How many orders the plan has."""
        return sum(map(len, self.orders.values()))

    def to_dict(self) -> dict[str, Any]:
        """The plan task's return value: JSON, the counts on top."""
        fields = asdict(self)
        times = {name: value.isoformat() for name, value in fields.items() if isinstance(value, datetime)}
        return {**fields.pop("counts"), **fields, **times, "counted": list(self.counts)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read back what :meth:`to_dict` gave."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        for name in ("findings", "broken_limits"):
            known[name] = tuple(data.get(name, ()))
        known["decision"] = Decision.from_dict(data["decision"]) if data.get("decision") else None
        for name in ("planned_at", "orders_made_since", "reuse_orders_ended_since"):
            known[name] = datetime.fromisoformat(data[name])
        return cls(**{**known, "counts": {name: data[name] for name in data["counted"]}})

    def new_order_id(self, ti: Any, plan_task_id: str, action: Action, telephone_numbers: Iterable[str]) -> str:
        """The CustomerOrderId of a new order: the same for the same numbers in every attempt at this run's plan.

        :param ti: a task instance of the run
        """
        run = [ti.dag_id, plan_task_id, ti.run_id]
        order = [self.account_id, self.site_id, self.sip_peer_id, action, self.loa_type, sorted(telephone_numbers)]
        identity = json.dumps([*run, *order], separators=(",", ":"))
        return f"airflow-{hashlib.sha256(identity.encode()).hexdigest()[:32]}"

    def assignment_id(self, ti: Any, plan_task_id: str, telephone_numbers: Iterable[str]) -> str:
        """The CustomerOrderId of an order that assigns the campaign: the same in every attempt at this run's plan.

        :param ti: a task instance of the run
        """
        run = [ti.dag_id, plan_task_id, ti.run_id]
        identity = json.dumps(
            [*run, self.account_id, "campaign", self.campaign_id, sorted(telephone_numbers)], separators=(",", ":")
        )
        return f"airflow-{hashlib.sha256(identity.encode()).hexdigest()[:32]}"

    def new_order_ids(self, ti: Any, plan_task_id: str, layout: Layout) -> list[str]:
        """The CustomerOrderIds of all new orders of a plan."""
        return [
            self.new_order_id(ti, plan_task_id, action, each.telephone_numbers)
            for action, chunks in layout.orders.items()
            for each in chunks
            if each.customer_order_id is None
        ]

    def push(self, ti: Any) -> None:
        """Leave the figures for the tasks after the plan, also where its task pushes no return value by itself."""
        ti.xcom_push(key=_RETURN_VALUE, value=self.to_dict())

    @classmethod
    def pull(cls, ti: Any, plan_task_id: str) -> Self | None:
        """The figures that the plan task left; ``None`` if it left none."""
        data = _pull(ti, plan_task_id, _RETURN_VALUE)
        return None if data is None else cls.from_dict(data)

    def pull_order(self, ti: Any, plan_task_id: str, action: Action, index: int) -> list[str]:
        """The numbers of one order of the plan."""
        return _split(_pull(ti, plan_task_id, _order_key(action, index)))

    def pull_assignment(self, ti: Any, plan_task_id: str, index: int) -> list[str]:
        """The numbers of one order that assigns the campaign to numbers that were there before."""
        return _split(_pull(ti, plan_task_id, f"assign_{index:05d}"))

    def pull_changes(self, ti: Any, plan_task_id: str) -> dict[Action, set[str]]:
        """All numbers that the plan would change, by action."""
        return {
            action: {
                number
                for index in range(len(self.orders[action]))
                for number in self.pull_order(ti, plan_task_id, action, index)
            }
            for action in Action
        }

    def iter_fates(self, ti: Any, plan_task_id: str) -> Iterator[NumberFate]:
        """The fates that were known when the plan was made: unchanged, rejected, or refused before."""
        for index in range(self.unchanged_xcoms):
            for number in _split(_pull(ti, plan_task_id, f"unchanged_{index:05d}")):
                yield NumberFate(number, Action.IMPORT, Fate.UNCHANGED)
        for index in range(self.fate_xcoms):
            yield from map(NumberFate.from_dict, _pull(ti, plan_task_id, f"rejected_{index:05d}"))


def push_numbers(ti: Any, layout: Layout, *, list_unchanged: bool) -> dict[str, Any]:
    """Leave the numbers of a plan for the tasks after it.

    :param list_unchanged: whether to leave the unchanged numbers one by one
    :return: how many XComs there are of unchanged numbers, of fates, and of numbers to assign, for :class:`Handover`
    """
    for action, chunks in layout.orders.items():
        for index, each in enumerate(chunks):
            ti.xcom_push(key=_order_key(action, index), value=",".join(each.telephone_numbers))
    unchanged_xcoms = fate_xcoms = 0
    unchanged = layout.unchanged if list_unchanged else ()
    for unchanged_xcoms, part in enumerate(chunk(unchanged, NUMBERS_PER_XCOM), 1):
        ti.xcom_push(key=f"unchanged_{unchanged_xcoms - 1:05d}", value=",".join(part))
    for index, part in enumerate(layout.to_assign):
        ti.xcom_push(key=f"assign_{index:05d}", value=",".join(part))
    for fate_xcoms, fates in enumerate(pack(fate.to_dict() for fate in layout.fates), 1):
        ti.xcom_push(key=f"rejected_{fate_xcoms - 1:05d}", value=fates)
    return {
        "unchanged_xcoms": unchanged_xcoms,
        "fate_xcoms": fate_xcoms,
        "assign_xcoms": len(layout.to_assign),
    }


def digest_changes(layout: Layout) -> str:
    """A digest of what a plan would change, whatever orders it is cut into."""
    changes = {
        str(action): sorted(number for each in chunks for number in each.telephone_numbers)
        for action, chunks in layout.orders.items()
    }
    return hashlib.sha256(json.dumps(changes, sort_keys=True).encode()).hexdigest()[:16]


def _order_key(action: Action, index: int) -> str:
    return f"{action.lower()}_{index:05d}"


def _pull(ti: Any, task_id: str, key: str) -> Any:
    return ti.xcom_pull(task_ids=task_id, key=key, map_indexes=-1)


def _split(text: object) -> list[str]:
    return str(text).split(",") if text else []
