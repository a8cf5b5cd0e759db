"""The nightly number sync without its I/O: no Airflow, no network.

``extract`` reads what is desired, ``plan`` says what will be sent, ``report`` says what became of it.
"""

from airflow_provider_bandwidth.number_sync.extract import read_column
from airflow_provider_bandwidth.number_sync.plan import NumberSyncPlan, check_plan, plan_number_sync
from airflow_provider_bandwidth.number_sync.report import (
    Fate,
    NumberFate,
    OrderResult,
    Tally,
    account_for_order,
)

__all__ = [
    "Fate",
    "NumberFate",
    "NumberSyncPlan",
    "OrderResult",
    "Tally",
    "account_for_order",
    "check_plan",
    "plan_number_sync",
    "read_column",
]
