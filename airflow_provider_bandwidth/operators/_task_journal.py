"""What a submitting task remembers of its orders across attempts, in Airflow's task state store."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self, cast

from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_2_PLUS

from airflow_provider_bandwidth.exceptions import AmbiguousSubmissionError
from airflow_provider_bandwidth.hooks.bandwidth import EarlierAttempt, SubmissionJournal

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: Key of the task state store (Airflow 3.3+). Renaming it forgets the orders of tasks that are about to be retried.
_STORE_KEY: Final = "bandwidth_external_tns_order"
#: XCom of a mapped task instance that is about to send the order of this CustomerOrderId.
_SENDING_KEY: Final = "bandwidth_sending_{}"
#: Orders in one entry of the store: some 200 bytes each, and the store wants entries of 64 KB at most.
_ORDERS_IN_AN_ENTRY: Final = 100


class _Entry:
    """One entry of the store, for some of a task's orders; read once, and written anew for each of them.

    :param contents: by CustomerOrderId, the id that is derived from the order's content, and stands for it
    """

    def __init__(self, store: Any, key: str, contents: Mapping[str, str]) -> None:
        self._store = store
        self._key = key
        self.contents = contents
        stored: Any = None if store is None else store.get(key)
        orders = stored.get("orders") if isinstance(stored, Mapping) else None
        # What is kept of other CustomerOrderIds is of a cleared task whose orders asked for something else.
        self.orders: dict[str, dict[str, Any]] = {
            order_id: dict(known)
            for order_id, known in (orders if isinstance(orders, Mapping) else {}).items()
            if order_id in contents and isinstance(known, Mapping)
        }

    def write(self) -> None:
        if self._store is not None:
            self._store.set(self._key, {"orders": self.orders})


class TaskJournal(SubmissionJournal):
    """Remembers since when an order may have been sent, and what its id is.

    An entry survives a retry and a *clear*, unless the store is set otherwise (``clear_on_success``, retention).
    Airflow 2.11 to 3.2 have no store. Without an entry all that is known is whether this can be the first to send it.

    :param customer_order_id: the order's CustomerOrderId
    :param entry: what the store holds of it, and of some of the task's other orders
    :param context: the task's context
    """

    def __init__(self, customer_order_id: str, entry: _Entry, context: Context) -> None:
        self._id = customer_order_id
        self._entry = entry
        self._context = context

    @classmethod
    def for_orders(cls, orders: Sequence[tuple[str, str]], context: Context) -> list[Self]:
        """A journal for each order of a task.

        :param orders: for each its CustomerOrderId, and the one that is derived from its content
        """
        store = context.get("task_state_store")
        journals: list[Self] = []
        for first in range(0, len(orders), _ORDERS_IN_AN_ENTRY):
            some = orders[first : first + _ORDERS_IN_AN_ENTRY]
            key = f"{_STORE_KEY}_{first // _ORDERS_IN_AN_ENTRY}" if first else _STORE_KEY
            entry = _Entry(store, key, dict(some))
            journals.extend(cls(customer_order_id, entry, context) for customer_order_id, _ in some)
        return journals

    def earlier_attempt(self) -> EarlierAttempt | None:
        """What is known of earlier tries, and of what was cleared."""
        known = self._entry.orders.get(self._id, {})
        if not known and is_first(self._context):
            return None
        # An own CustomerOrderId may stand for other numbers now: then the order that is known is not this one.
        order_id = known.get("order_id") if known.get("content") == self._entry.contents[self._id] else None
        since = known.get("sent_since")
        if since is None:
            return EarlierAttempt(first_start(self._context["dag_run"]), order_id, is_airflow_time=True)
        return EarlierAttempt(datetime.fromisoformat(since), order_id)

    def record_sending(self, at: datetime) -> None:
        """Note that the order may be sent from now on, and the others of the same entry with it, in one write."""
        orders = self._entry.orders
        known = orders.get(self._id)
        content = self._entry.contents[self._id]
        if known is not None and known.get("sent_since") and "order_id" not in known and known["content"] == content:
            return
        # Forget the id of an earlier, FAILED order: from here on a new order may exist.
        orders.pop(self._id, None)
        for customer_order_id, its_content in self._entry.contents.items():
            orders.setdefault(customer_order_id, {"content": its_content, "sent_since": at.isoformat()})
        self._entry.write()

    def record_order(self, order_id: str) -> None:
        """Keep the order's id."""
        known = self._entry.orders.setdefault(self._id, {})
        self._entry.orders[self._id] = {**known, "content": self._entry.contents[self._id], "order_id": order_id}
        self._entry.write()


class MappedTaskJournal(TaskJournal):
    """Tells the other task instances of a mapped task what this one is about to send.

    Two of them may have the same numbers, and at the same moment Bandwidth's search shows neither the other's order.
    """

    def record_sending(self, at: datetime) -> None:
        """Note that the order may be sent from now on, and see that no other task instance is about to send it.

        :raises AmbiguousSubmissionError: one is
        """
        super().record_sending(at)
        ti = self._context["ti"]
        if ti.map_index is None or ti.map_index < 0:
            return
        key = _SENDING_KEY.format(self._id.replace(" ", "_"))
        # First tell, then ask: so of two at least one sees the other.
        ti.xcom_push(key=key, value=str(ti.map_index))
        said = ti.xcom_pull(task_ids=ti.task_id, key=key)
        others = {said} if isinstance(said, str) else set(said or ())
        others -= {str(ti.map_index), None}
        if others:
            ti.xcom_push(key=key, value=None)
            raise AmbiguousSubmissionError(
                self._id,
                f"task instance {min(others)} of this mapped task sends the same order: the same action and telephone "
                "numbers. This one sent nothing. A retry takes over that order; give each number to one task instance",
            )


def is_first(context: Context) -> bool:
    """Whether nothing in this DAG run can have sent the order before.

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


def earliest_order(context: Context) -> datetime | None:
    """A time before which no order of this DAG run was made; ``None`` if there is no telling.

    A run id that Airflow made holds the run's time. A run with an id of its own may have been deleted and made again.
    """
    run: Any = context.get("dag_run")
    if not re.match(r"[a-z_]+__\d{4}-\d\d-\d\d", str(context["ti"].run_id)):
        return None
    names = ("start_date", "run_after", "logical_date", "data_interval_start")
    times = [time for time in (getattr(run, name, None) for name in names) if isinstance(time, datetime)]
    return min(times, default=None)
