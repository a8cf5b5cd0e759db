"""The tab in Airflow's web server: one page without data, which may run its own script and nothing else."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from typing import Any

import pytest

from airflow_provider_bandwidth.plugins.bandwidth import BandwidthPlugin, serve_report_tab


def ask(path: str, method: str = "GET") -> tuple[int, dict[str, str], str]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing is read")

    asyncio.run(serve_report_tab({"type": "http", "path": path, "method": method}, receive, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"].decode()


@pytest.mark.parametrize("path", ["/report", "/bandwidth/report", "/airflow/bandwidth/report", "/report/"])
def test_serves_the_tab_whatever_it_is_mounted_under(path: str) -> None:
    status, headers, body = ask(path)
    assert status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert "bandwidth_report_page" in body


@pytest.mark.parametrize(("path", "method"), [("/", "GET"), ("/report", "POST"), ("/report/../secret", "GET")])
def test_serves_nothing_else(path: str, method: str) -> None:
    status, _, body = ask(path, method)
    assert (status, body) == (404, "")


def test_only_the_pages_own_script_may_run() -> None:
    _, headers, body = ask("/report")
    (script,) = re.findall(r"<script>(.*?)</script>", body, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = headers["content-security-policy"]
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy
    assert not re.search(r"\son\w+=", body)


def test_a_report_is_shown_where_no_script_runs() -> None:
    _, _, body = ask("/report")
    assert 'frame.setAttribute("sandbox", "allow-popups allow-popups-to-escape-sandbox")' in body
    assert "innerHTML" not in body


def test_is_a_tab_on_runs_and_tasks() -> None:
    views = {view["destination"]: str(view["href"]) for view in BandwidthPlugin.external_views}
    assert views["dag_run"].endswith("/bandwidth/report?dag_id={DAG_ID}&run_id={RUN_ID}")
    assert views["task_instance"].endswith("/bandwidth/report?dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}")
