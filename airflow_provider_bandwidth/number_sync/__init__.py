"""The nightly number sync without its I/O: no Airflow, no network.

``extract``, ``json_lines`` and ``parquet`` read what is desired, ``current`` says what is there, ``plan`` compares the
two, ``guards`` judge the plan, ``layout`` cuts it into orders, ``handover`` carries it to the tasks that send them,
``fates`` say what became of each number, and ``report`` counts them.
"""

from airflow_provider_bandwidth.number_sync.extract import read_column
from airflow_provider_bandwidth.number_sync.fates import Fate, NumberFate, OrderResult, account_for_order
from airflow_provider_bandwidth.number_sync.guards import check_plan
from airflow_provider_bandwidth.number_sync.plan import NumberSyncPlan, plan_number_sync
from airflow_provider_bandwidth.number_sync.report import Tally

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
