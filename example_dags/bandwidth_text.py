"""From import to text: import a number, assign it to a campaign, check it, text with it, and wait for the delivery.

Trigger it with a configuration like ``{"telephone_number": "9195550101", "campaign_id": "CABC123", "to":
"+12125550150"}``. It needs the connection ``bandwidth_default``, with ``account_id``, ``site_id`` and
``application_id`` in its extra: the messaging application that is tied to the location.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import PokeReturnValue, dag, task

from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator
from airflow_provider_bandwidth.operators.messages import (
    BandwidthCampaignAssignmentOperator,
    BandwidthSendMessageOperator,
)
from airflow_provider_bandwidth.sensors.bandwidth import BandwidthTnOrderSensor
from airflow_provider_bandwidth.sensors.messages import BandwidthMessageSensor

log = logging.getLogger(__name__)


@dag(
    dag_id="bandwidth_text",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={
        "telephone_number": "9195550101",
        "campaign_id": "CABC123",
        "to": "+12125550150",
        "text": "Your appointment is tomorrow at 9.",
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["bandwidth", "example"],
    doc_md=__doc__,
)
def bandwidth_text():
    submit = BandwidthTnOrderOperator(
        task_id="import_number", action="IMPORT", telephone_numbers="{{ params.telephone_number }}"
    )
    imported = BandwidthTnOrderSensor(
        task_id="imported", order_id=submit.output, allowed_statuses="COMPLETE", deferrable=True, poke_interval=15
    )

    # COMPLETE does not yet mean that the number can text: without a campaign a text fails with 4476.
    assign = BandwidthCampaignAssignmentOperator(
        task_id="assign", telephone_numbers="{{ params.telephone_number }}", campaign_id="{{ params.campaign_id }}"
    )

    # PARTIAL and FAILED mean: imported, cannot text yet. The log and the XCom "errors" say why.
    assigned = BandwidthTnOrderSensor(
        task_id="assigned",
        order_id=assign.output,
        order_api="tnoptions",
        allowed_statuses="COMPLETE",
        deferrable=True,
        poke_interval=15,
    )

    # Carriers learn of it later than Bandwidth's App. What this user may not see is not waited for.
    @task.sensor(poke_interval=60, timeout=timedelta(hours=6).total_seconds(), mode="reschedule")
    def ready(telephone_number: str) -> PokeReturnValue:
        """Wait until the number is known to lack nothing: application, SMS, campaign."""
        (readiness,) = BandwidthHook().check_readiness([telephone_number])
        log.info("%s", readiness.to_finding().text)
        return PokeReturnValue(is_done=all(finding.state != "missing" for finding in readiness.findings))

    # A retry of this task looks for the text of the first attempt before it sends anything.
    send = BandwidthSendMessageOperator(
        task_id="send", to="{{ params.to }}", from_="{{ params.telephone_number }}", text="{{ params.text }}"
    )
    delivered = BandwidthMessageSensor(task_id="delivered", message_id=send.output, deferrable=True, poke_interval=15)

    imported >> assign
    assigned >> ready("{{ params.telephone_number }}") >> send >> delivered


bandwidth_text()
