"""What Airflow's web server shows of a number sync: a tab with its report, on Airflow 3.1 and later.

Every Airflow process loads this module, so it holds no more than names. The tab is a page without data: it asks
Airflow's public REST API for the report's XCom as the person who looks, so Airflow decides who may see it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowPlugin, conf

from airflow_provider_bandwidth.links.bandwidth import TASK_REPORT_ROUTE

_SCRIPT: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_QUERY: Final = "dag_id={DAG_ID}&run_id={RUN_ID}"


@cache
def _read_tab() -> tuple[bytes, bytes]:
    """The page, and a Content-Security-Policy that lets its own script run and nothing else."""
    page = Path(__file__).with_name("report_tab.html").read_bytes()
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'" for script in _SCRIPT.findall(page)
    )
    policy = (
        f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )
    return page, policy.encode()


async def serve_report_tab(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """An ASGI application with one page, ``/report``."""
    if scope["type"] != "http":
        return
    known = scope["path"].rstrip("/").endswith("/report") and scope["method"] in ("GET", "HEAD")
    page, policy = _read_tab()
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", policy),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 200 if known else 404, "headers": headers})
    await send({"type": "http.response.body", "body": page if known and scope["method"] == "GET" else b""})


def _report_href(query: str) -> str:
    root = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
    return f"{root}/bandwidth/report?{query}"


class BandwidthPlugin(AirflowPlugin):
    """Tabs "Bandwidth numbers" on a DAG run and on its report task."""

    name = "bandwidth"
    fastapi_apps = [{"app": serve_report_tab, "url_prefix": "/bandwidth", "name": "Bandwidth"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Bandwidth numbers",
            "href": _report_href(_QUERY),
            "destination": "dag_run",
            "url_route": "bandwidth-report",
        },
        {
            "name": "Bandwidth numbers",
            "href": _report_href(f"{_QUERY}&task_id={{TASK_ID}}"),
            "destination": "task_instance",
            "url_route": TASK_REPORT_ROUTE,
            # Heeded from Airflow 3.4 on; before, the tab stands on every task and says that there is no report.
            "applies_to": {"operator_name": ["BandwidthNumberSyncReportOperator"]},
        },
    ]
