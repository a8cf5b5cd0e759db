"""What is imported and connected to for the first time takes seconds, which are minutes on a fast clock."""

from __future__ import annotations

import pytest
from support.fast_time import run_fast
from support.waiting import add_orders, connection_variable, wait

from airflow_provider_bandwidth.sandbox import Sandbox


@pytest.fixture(scope="package", autouse=True)
def _warm_up(_running_sandbox: Sandbox) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(*connection_variable(_running_sandbox))
        (order_id,) = add_orders(_running_sandbox, 1, status="COMPLETE")
        run_fast(wait(order_id))
