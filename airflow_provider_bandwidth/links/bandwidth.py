"""The buttons on a task's page: one opens its order, one the report of its sync."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom, conf

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey

#: XCom key under which operator and sensor leave the address of their order.
ORDER_URL_KEY: Final = "bandwidth_order_url"
#: Where Airflow 3.1 and later has the tab of a report task; see ``plugins``.
TASK_REPORT_ROUTE: Final = "bandwidth-task-report"


class BandwidthOrderLink(BaseOperatorLink):
    """Opens the order at the URL that the connection's ``order_url`` pattern gives."""

    name = "Bandwidth order"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The order's URL, or empty text until the task knows its order."""
        # Airflow 3.x asks in the task's own process, also after a failure: a read of an XCom that is not there would
        # put an error line of Airflow's below the task's own. 2.11's web server has a deserialised operator.
        url = operator.order_url if hasattr(operator, "order_url") else XCom.get_value(key=ORDER_URL_KEY, ti_key=ti_key)
        # A task of the same DAG may push anything under this key.
        return url if isinstance(url, str) and url.startswith(("https://", "http://")) else ""


class BandwidthReportLink(BaseOperatorLink):
    """Opens the tab "Bandwidth numbers" of a report task, on Airflow 3.1 and later."""

    name = "Bandwidth numbers"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The address of the tab."""
        root = str(conf.get("api", "base_url", fallback="")).rstrip("/")
        place = "/".join(
            f"{kind}/{quote(each, safe='')}"
            for kind, each in (("dags", ti_key.dag_id), ("runs", ti_key.run_id), ("tasks", ti_key.task_id))
        )
        return f"{root}/{place}/plugin/{TASK_REPORT_ROUTE}"
