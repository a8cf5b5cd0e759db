"""A DAG whose failures text the engineer on call: one segment, and at most three texts in a quarter of an hour.

It fails by itself, so that you see the text. It needs the connection ``bandwidth_default``, with ``account_id`` and
``application_id`` in its extra; put your own numbers into the two constants.
"""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import dag, task

from airflow_provider_bandwidth.notifications.bandwidth import BandwidthSmsNotifier

ON_CALL = "+12125550150"
SENDER = "+19195550101"


@dag(
    dag_id="bandwidth_text_on_failure",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"on_failure_callback": BandwidthSmsNotifier(to=ON_CALL, from_=SENDER)},
    tags=["bandwidth", "example"],
    doc_md=__doc__,
)
def bandwidth_text_on_failure():
    @task
    def load() -> None:
        """Where the work would be."""
        raise ValueError("the file is not there")

    load()


bandwidth_text_on_failure()
