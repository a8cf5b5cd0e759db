"""The submitting process is killed by SIGKILL at every step; the next try returns the one order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.airflow_task import connection_json
from support.imports import IMPORT_DEFAULTS
from support.mortal_task import MortalTask

from airflow_provider_bandwidth.sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(received_seconds=1e9) as running:
        yield running


@pytest.fixture(params=[True, False], ids=["store", "no-store"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "store.json" if request.param else None


#: The steps in their order, and whether Bandwidth has the order by then.
STEPS = {
    "before look-up": False,
    "before sending is stored": False,
    "after sending is stored": False,
    "after look-up": False,
    "after 201": True,
    "before order id is stored": True,
    "after order id is stored": True,
    "before XCom": True,
}
CASES = [
    (step, with_store) for with_store in (True, False) for step in STEPS if with_store or not step.endswith("stored")
]


def retry(sandbox: Sandbox, store: Path | None) -> list[str]:
    """The order id that the next try returns."""
    second = MortalTask(sandbox.connection_json, try_number=2, store=store)
    order_id = second.said()
    second.join()
    return [order_id]


@pytest.mark.parametrize(("step", "with_store"), CASES)
def test_killed_at(step: str, with_store: bool, tmp_path: Path, sandbox: Sandbox) -> None:
    store = tmp_path / "store.json" if with_store else None
    first = MortalTask(sandbox.connection_json, try_number=1, store=store, stop_at=step)
    assert first.said() == step
    first.kill()
    assert len(sandbox.orders) == STEPS[step]

    assert retry(sandbox, store) == [order.order_id for order in sandbox.orders]


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_the_post_is_on_its_way(when: str, store: Path | None, sandbox: Sandbox) -> None:
    """After the request was sent and before Bandwidth stored the order, or after that and before the answer."""
    sandbox.inject("hold", operation="submit", when=when)
    first = MortalTask(sandbox.connection_json, try_number=1, store=store)
    sandbox.wait_for_request(operation="submit", state="held", timeout=120)
    first.kill()
    assert len(sandbox.orders) == (when == "after")
    sandbox.release_requests()
    sandbox.wait_for_request(operation="submit", state="answered")

    assert retry(sandbox, store) == [order.order_id for order in sandbox.orders]


def test_the_post_of_a_killed_try_lands_while_the_retry_looks_it_up(store: Path | None, sandbox: Sandbox) -> None:
    sandbox.inject("hold", operation="submit", when="before")
    first = MortalTask(sandbox.connection_json, try_number=1, store=store)
    sandbox.wait_for_request(operation="submit", state="held", timeout=120)
    first.kill()
    last = sandbox.requests[-1].number

    second = MortalTask(sandbox.connection_json, try_number=2, store=store, speed=20)
    sandbox.wait_for_request(operation="list", state="answered", since=last, timeout=120)
    sandbox.release_requests()

    order_id = second.said()
    second.join()
    assert [order_id] == [order.order_id for order in sandbox.orders]


@pytest.mark.parametrize("order_api", ["importTnOrders", "importTnOrders/messaging"])
@pytest.mark.parametrize("step", ["after look-up", "after 201"])
def test_killed_on_the_other_order_apis(step: str, order_api: str) -> None:
    """Without a store all depends on the look-up, which shows summaries there."""
    with Sandbox(received_seconds=1e9, order_apis=order_api) as sandbox:
        connection = connection_json(sandbox, **IMPORT_DEFAULTS)
        first = MortalTask(connection, try_number=1, store=None, stop_at=step)
        assert first.said() == step
        first.kill()
        assert len(sandbox.orders) == STEPS[step]

        second = MortalTask(connection, try_number=2, store=None)
        order_id = second.said()
        second.join()
        assert [order_id] == [order.order_id for order in sandbox.orders]
