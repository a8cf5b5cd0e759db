"""What OpenLineage's provider gets from operator and sensor, through the same methods it calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from support.tasks import FakeTaskInstance, make_context

from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator
from airflow_provider_bandwidth.operators.messages import BandwidthCampaignAssignmentOperator
from airflow_provider_bandwidth.sandbox import Sandbox
from airflow_provider_bandwidth.sensors.bandwidth import BandwidthTnOrderSensor


def extract(operator: Any, *, failed: bool = False) -> Any:
    from airflow.providers.openlineage.extractors.base import DefaultExtractor  # takes a second

    extractor = DefaultExtractor(operator)
    return extractor.extract_on_failure(None) if failed else extractor.extract_on_complete(None)


@pytest.fixture
def operator(sandbox: Sandbox, connect: Callable[..., None]) -> BandwidthTnOrderOperator:
    connect(sandbox.connection)
    return BandwidthTnOrderOperator(
        task_id="submit", action="IMPORT", telephone_numbers=["9195550101", "9195550102", "9195550001"]
    )


def test_the_order_changes_the_numbers_of_its_sip_peer(operator: BandwidthTnOrderOperator, sandbox: Sandbox) -> None:
    operator.execute(make_context(FakeTaskInstance("submit")))
    lineage = extract(operator)
    (numbers,) = lineage.outputs
    namespace = f"bandwidth://{sandbox.url.removeprefix('http://')}"
    assert (numbers.namespace, numbers.name) == (
        namespace,
        "accounts/9900000/sites/743/sippeers/303716/telephone-numbers",
    )
    (orders,) = lineage.inputs
    assert (orders.namespace, orders.name) == (namespace, "accounts/9900000/externalTns")
    query = lineage.run_facets["externalQuery"]
    assert (query.externalQueryId, query.source) == (sandbox.orders[0].order_id, namespace)


@pytest.mark.parametrize(("allowed", "failed"), [(("COMPLETE", "PARTIAL"), False), (("COMPLETE",), True)])
def test_the_sensor_counts_what_changed_also_when_it_fails(
    allowed: tuple[str, ...], failed: bool, operator: BandwidthTnOrderOperator
) -> None:
    order_id = operator.execute(make_context(FakeTaskInstance("submit")))
    sensor = BandwidthTnOrderSensor(task_id="wait", order_id=order_id, allowed_statuses=allowed)
    context = make_context(FakeTaskInstance("wait"))
    if failed:
        with pytest.raises(AirflowFailException):
            sensor.poke(context)
    else:
        sensor.poke(context)
    (numbers,) = extract(sensor, failed=failed).outputs
    (submitted,) = extract(operator).outputs
    assert (numbers.namespace, numbers.name) == (submitted.namespace, submitted.name)
    assert numbers.outputFacets["outputStatistics"].rowCount == 2


def test_an_order_that_assigns_a_campaign_is_named_after_its_own_api(sandbox: Sandbox, operator: Any) -> None:
    sandbox.seed(imported=["9195550101"])
    assign = BandwidthCampaignAssignmentOperator(
        task_id="assign", telephone_numbers=["9195550101"], campaign_id="CABC123"
    )
    order_id = assign.execute(make_context(FakeTaskInstance("assign")))
    wait = BandwidthTnOrderSensor(task_id="wait", order_id=order_id, order_api="tnoptions")
    wait.poke(make_context(FakeTaskInstance("wait")))
    for task in (assign, wait):
        lineage = extract(task)
        assert [each.name for each in lineage.inputs] == ["accounts/9900000/tnoptions"]
        assert [each.name for each in lineage.outputs] == ["accounts/9900000/telephone-numbers"]
    assert lineage.outputs[0].outputFacets["outputStatistics"].rowCount == 1


def test_a_task_that_has_no_order_says_nothing(operator: BandwidthTnOrderOperator) -> None:
    assert extract(operator) is None
    assert extract(BandwidthTnOrderSensor(task_id="wait", order_id="o-1"), failed=True) is None
