"""What the order tasks of a sync have left of their orders, for the tasks after them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from airflow_provider_bandwidth.number_sync.fates import Fate, NumberFate, OrderResult, account_for_order
from airflow_provider_bandwidth.number_sync.handover import Handover
from airflow_provider_bandwidth.operators._order_wait import PlacedOrder
from airflow_provider_bandwidth.order_outcomes import COMPLETED_KEY, ERRORS_KEY, ORDERS_KEY
from airflow_provider_bandwidth.orders import Action, TelephoneNumberError
from airflow_provider_bandwidth.xcom_lists import pull_list

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: States in which a task may have left what it read.
_ENDED_STATES: Final = frozenset({"success", "failed"})


@dataclass(frozen=True, slots=True)
class SyncedOrder:
    """One order of a plan, and how it ended.

    :param requested: the numbers that it was to hold
    :param url: where a person can look at it, if it was sent
    """

    action: Action
    requested: list[str]
    result: OrderResult
    url: str | None = None

    def account(self) -> Iterator[NumberFate]:
        """The fate of each of its numbers."""
        return account_for_order(self.action, self.requested, self.result)

    def list_imported(self) -> list[str]:
        """The numbers that it brought to the SIP peer."""
        return [fate.telephone_number for fate in self.account() if fate.fate is Fate.IMPORTED]


class SyncResults:
    """Reads what a sync's tasks have left.

    :param ti: a task instance of the run
    :param plan: the plan
    :param plan_task_id: the plan task
    :param order_task_ids: the mapped task that submits the orders and waits for them, by action
    :param states: of the run's tasks, as :func:`read_states` gives them
    """

    def __init__(
        self,
        ti: Any,
        plan: Handover,
        plan_task_id: str,
        order_task_ids: Mapping[str, str],
        states: Mapping[str, str],
    ) -> None:
        self._ti = ti
        self._plan = plan
        self._plan_task_id = plan_task_id
        self._order_task_ids = order_task_ids
        self._states = states

    def iter_orders(self, action: Action) -> Iterator[SyncedOrder]:
        """The orders of an action, in the plan's order."""
        taken_over = self._plan.orders[action]
        results: dict[str, tuple[OrderResult, str | None]] = {}
        for index, customer_order_id in enumerate(taken_over):
            map_index, place = divmod(index, self._plan.orders_per_task)
            if place == 0:
                results = self.read_task(self._order_task_ids[action], map_index)
            requested = self._plan.pull_order(self._ti, self._plan_task_id, action, index)
            own_id = customer_order_id or self._plan.new_order_id(self._ti, self._plan_task_id, action, requested)
            yield SyncedOrder(action, requested, *results.get(own_id, (OrderResult(), None)))

    def read_task(self, task_id: str, map_index: int = -1) -> dict[str, tuple[OrderResult, str | None]]:
        """What a task left of its orders, with their links, by CustomerOrderId.

        What another attempt left says nothing about the orders of this one: it has other CustomerOrderIds, or its task
        has not ended in this attempt.

        :param map_index: of its instance; -1 if it is not mapped
        """
        name = task_id if map_index < 0 else f"{task_id}_{map_index}"
        if self._states.get(name) not in _ENDED_STATES:
            return {}
        ti = self._ti
        orders = [PlacedOrder.from_dict(each) for each in pull_list(ti, task_id, ORDERS_KEY, map_index) or ()]
        has_ended = any(order.was_read for order in orders)
        completed = frozenset(pull_list(ti, task_id, COMPLETED_KEY, map_index) or () if has_ended else ())
        errors: dict[str, list[TelephoneNumberError]] = {}
        for error in pull_list(ti, task_id, ERRORS_KEY, map_index) or () if has_ended else ():
            errors.setdefault(error.pop("order_id"), []).append(TelephoneNumberError(**error))
        return {
            str(order.customer_order_id): (
                OrderResult(
                    order.order_id,
                    order.processing_status if order.was_read else None,
                    completed,
                    errors.get(str(order.order_id), ()),
                ),
                order.order_url,
            )
            for order in orders
        }


def read_states(context: Context) -> dict[str, str]:
    """The states of the run's tasks in this attempt, by task id, with ``_`` and the map index behind mapped ones."""
    ti = context["ti"]
    if hasattr(ti, "get_task_states"):  # Airflow 3
        found = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id]).get(ti.run_id, {})
        return {task_id: str(state) for task_id, state in found.items()}
    instances = cast(Any, context["dag_run"]).get_task_instances()
    return {
        each.task_id if each.map_index < 0 else f"{each.task_id}_{each.map_index}": str(each.state)
        for each in instances
    }
