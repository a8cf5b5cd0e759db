"""What OpenLineage is told about an order. Imported only where Airflow's OpenLineage provider asks."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.openlineage.facet import (
    ExternalQueryRunFacet,
    InputDataset,
    OutputDataset,
    OutputStatisticsOutputDatasetFacet,
)
from airflow.providers.openlineage.extractors import OperatorLineage

from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.orders import TnOrder


def order_lineage(hook: BandwidthHook, order: TnOrder, completed_count: int | None = None) -> OperatorLineage[Any, Any]:
    """What a task read and changed, and its order as the run's external query.

    Read are the account's orders: namespace ``bandwidth://{host}``, name ``accounts/{accountId}/{order API}``.
    Changed are the telephone numbers of a SIP peer:
    ``accounts/{accountId}/sites/{SiteId}/sippeers/{SipPeerId}/telephone-numbers``; what the order does not name is left
    out.

    :param hook: knows host and account; nothing is sent
    :param order: the order
    :param completed_count: how many numbers it changed; ``None`` while that is not known
    """
    namespace = f"bandwidth://{urlsplit(hook.settings.base_url).netloc}"
    parts = [f"accounts/{hook.account_id}"]
    if order.site_id is not None:
        parts.append(f"sites/{order.site_id}")
    if order.sip_peer_id is not None:
        parts.append(f"sippeers/{order.sip_peer_id}")
    numbers = OutputDataset(namespace=namespace, name="/".join([*parts, "telephone-numbers"]))
    if completed_count is not None:
        numbers.outputFacets = {"outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=completed_count)}
    orders = InputDataset(namespace=namespace, name=f"accounts/{hook.account_id}/{hook.order_api.name}")
    return OperatorLineage(
        inputs=[orders],
        outputs=[numbers],
        run_facets={"externalQuery": ExternalQueryRunFacet(externalQueryId=order.order_id, source=namespace)},
    )
