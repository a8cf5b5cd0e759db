"""Twenty orders, one a mapped task: with this provider's operator, and with one that just sends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import DAG, BaseOperator, task_group

from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator
from airflow_provider_bandwidth.orders import Action, ExternalTnsOrderRequest
from airflow_provider_bandwidth.sensors.bandwidth import BandwidthTnOrderSensor

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

COUNT = 20
RETRIES = {"retries": 5, "retry_delay": timedelta(seconds=2)}


class NaiveOrderOperator(BaseOperator):
    """What a task without any look-up does: a POST, and its answer is the result."""

    template_fields: Sequence[str] = ("telephone_numbers",)

    def __init__(self, *, telephone_numbers: str, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.telephone_numbers = telephone_numbers

    def execute(self, context: Context) -> str:
        hook = BandwidthHook()
        request = ExternalTnsOrderRequest(Action.IMPORT, (self.telephone_numbers,), hook.resolve_site_id(None))
        return hook.create_tn_order(request).order_id


def numbers(area_code: str) -> list[str]:
    return [f"{area_code}5550{line}" for line in range(100, 100 + COUNT)]


with DAG("chaos_naive", schedule=None, default_args=RETRIES):
    NaiveOrderOperator.partial(task_id="submit").expand(telephone_numbers=numbers("828"))

with DAG("chaos_provider", schedule=None, default_args=RETRIES):

    @task_group
    def order(number: str) -> None:
        submit = BandwidthTnOrderOperator(task_id="submit", action="IMPORT", telephone_numbers=number)
        BandwidthTnOrderSensor(task_id="wait", order_id=submit.output, deferrable=True, poke_interval=2)

    order.expand(number=numbers("919"))
