"""Five nights of a sync on an account that has one order API alone: on each of them the same story.

Through ``externalTns`` it is told on real Airflow, too: ``tests/integration/test_number_sync_story.py``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import airflow
import pytest
import requests
from support.airflow_task import CONN_VARIABLE, connection_json
from support.imports import IMPORT_DEFAULTS
from support.in_process import in_process
from support.mini_airflow import Run
from support.nights import Nights
from support.virtual_time import KilledError

from airflow_provider_bandwidth.order_apis import ORDER_APIS
from airflow_provider_bandwidth.sandbox import Sandbox

pytestmark = pytest.mark.skipif(
    airflow.__version__.startswith("2."),
    reason="Airflow 2.11 counts mapped tasks in its database, which mini_airflow has not",
)

GOOD = [f"919666{last:04d}" for last in range(9)]
MORE = [f"984666{last:04d}" for last in range(2)]
EVEN_MORE = [f"226666{last:04d}" for last in range(3)]
#: What Bandwidth refuses, with its code; what never reaches it, with ours.
REFUSED = {"9195550001": "errored 25060", "9845550002": "errored 5124"}
REJECTED = {"919-666-01": "rejected length", "1 (888) 666-0100": "rejected toll_free"}
_ORDERS = re.compile(r"/(externalTns|importTnOrders|removeImportedTnOrders)(/messaging)?$")


class FiveNights(Nights):
    """``killed`` says how often the process of a task dies when Bandwidth has its order, before the answer comes."""

    killed = 0

    def send(self, session: requests.Session, request: requests.PreparedRequest, **more: Any) -> requests.Response:
        response = super().send(session, request, **more)
        if self.killed and request.method == "POST" and _ORDERS.search(str(request.url)):
            self.killed -= 1
            raise KilledError
        return response

    def start(self, **parameters: Any) -> Run:
        limits = {"max_removals": 0.2, "min_desired": 0.5, "max_unreadable": 0.5, "max_errors": 1.0}
        return super().start(campaign_id=None, **limits, **parameters)

    def fates(self, run: Run) -> dict[str, str]:
        return {number: f"{fate} {code}".strip() for number, (fate, code, _) in self.rows(run).items()}

    @property
    def hosted(self) -> set[str]:
        return set(self.sandbox.inventory.get(self.sandbox.default_location[1:], ()))

    def orders_since(self, count: int) -> list[tuple[str, tuple[str, ...]]]:
        return [(str(order.action), tuple(order.telephone_numbers)) for order in self.sandbox.orders[count:]]


@pytest.fixture(params=ORDER_APIS)
def nights(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FiveNights]:
    sandbox = Sandbox(port=8085, order_apis=request.param, processing_seconds=60)
    connection = connection_json(sandbox, order_api=request.param, **IMPORT_DEFAULTS)
    with ExitStack() as stack:
        stack.enter_context(in_process(sandbox))
        stack.enter_context(patch.dict(os.environ, {CONN_VARIABLE: connection}))
        yield FiveNights(tmp_path, sandbox, stack)


def test_five_nights(nights: FiveNights) -> None:
    sandbox = nights.sandbox
    wanted = [*GOOD, *REFUSED, *REJECTED]

    # Night 1: the first load, in which Bandwidth refuses some.
    nights.write(wanted)
    run = nights.night()
    assert run.state == "success"
    assert nights.hosted == set(GOOD)
    assert nights.fates(run) == {**dict.fromkeys(GOOD, "imported"), **REFUSED, **REJECTED}
    sent = len(sandbox.orders)

    # Night 2: nothing changed, so no order at all.
    run = nights.night()
    assert run.state == "success"
    assert nights.fates(run) == {**dict.fromkeys(GOOD, "unchanged"), **REFUSED, **REJECTED}
    assert len(sandbox.orders) == sent

    # Night 3: two more, one fewer.
    wanted = [*wanted[1:], *MORE]
    nights.write(wanted)
    run = nights.night()
    assert run.state == "success"
    assert sorted(nights.orders_since(sent)) == [("IMPORT", tuple(MORE)), ("REMOVE", (GOOD[0],))]
    assert nights.hosted == {*GOOD[1:], *MORE}
    unchanged = dict.fromkeys(GOOD[1:], "unchanged")
    assert nights.fates(run) == {
        **unchanged,
        **dict.fromkeys(MORE, "imported"),
        GOOD[0]: "removed",
        **REFUSED,
        **REJECTED,
    }
    sent = len(sandbox.orders)

    # Night 4: the extract is empty.
    nights.write([])
    assert nights.night().state == "failed"
    assert len(sandbox.orders) == sent

    # Night 5: three more, in two orders; a task dies half way, and the run is started again while its order is open.
    sandbox.configure(processing_seconds=1800)
    nights.write([*wanted, *EVEN_MORE])
    nights.killed = 1
    broken = nights.start()
    nights.world.run()
    assert (broken.state, nights.killed) == ("failed", 0)
    run = nights.night()
    assert run.state == "success"
    assert nights.hosted == {*GOOD[1:], *MORE, *EVEN_MORE}
    sent_now = [number for _, numbers in nights.orders_since(sent) for number in numbers]
    assert sorted(sent_now) == sorted(EVEN_MORE)
    assert nights.fates(run) == {
        **unchanged,
        **dict.fromkeys(MORE, "unchanged"),
        **dict.fromkeys(EVEN_MORE, "imported"),
        **REFUSED,
        **REJECTED,
    }
    assert sandbox.resets == {}
