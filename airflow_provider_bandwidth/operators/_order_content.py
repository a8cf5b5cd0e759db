"""What an order holds and is called: the telephone numbers that an operator was given, and the CustomerOrderId."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_bandwidth.exceptions import InvalidTelephoneNumbersError
from airflow_provider_bandwidth.orders import TnOrderRequest, derive_customer_order_id
from airflow_provider_bandwidth.telephone_numbers import normalize_telephone_numbers

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


def read_telephone_numbers(values: Iterable[str] | str | None, log: Any) -> tuple[str, ...]:
    """The telephone numbers of a parameter, ten digits each. ``None``, which a template may render, holds none.

    :param log: of the task; Airflow 2.11's and 3's loggers share no type
    :raises InvalidTelephoneNumbersError: names every value that is none
    :raises AirflowSkipException: there are none
    """
    numbers = normalize_telephone_numbers(() if values is None else values)
    if numbers.rejected:
        raise InvalidTelephoneNumbersError(numbers.rejected)
    if not numbers.telephone_numbers:
        raise AirflowSkipException("No telephone numbers: nothing to submit.")
    if numbers.duplicate_count:
        log.info("Dropped %d duplicate telephone numbers.", numbers.duplicate_count)
    return numbers.telephone_numbers


def derive_order_id(request: TnOrderRequest, account_id: str, context: Context) -> str:
    """The CustomerOrderId of an order that was given none: the same in every attempt of a task run."""
    ti = context["ti"]
    return derive_customer_order_id(
        dag_id=ti.dag_id, task_id=ti.task_id, run_id=ti.run_id, account_id=account_id, request=request
    )
