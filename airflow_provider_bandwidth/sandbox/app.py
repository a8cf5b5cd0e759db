"""The ASGI application: logs every API request, plays the faults, and leaves the rest to the pages."""

from __future__ import annotations

import asyncio
import gzip
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_bandwidth.sandbox.calls import Route
from airflow_provider_bandwidth.sandbox.dashboard import (
    Dashboard,
    refuse,
    refuse_credentials,
    refuse_queueing,
    refuse_searches,
    too_many_requests,
)
from airflow_provider_bandwidth.sandbox.faults import Fault, FaultBoard, apply_settings, parse_fault_header
from airflow_provider_bandwidth.sandbox.http import Answer, Request, receive_request, send_answer
from airflow_provider_bandwidth.sandbox.settings import Settings
from airflow_provider_bandwidth.sandbox.traffic import RequestLog, RequestRecord
from airflow_provider_bandwidth.sandbox.validation import Refused
from airflow_provider_bandwidth.sandbox.xml import write_refusal

FAULT_HEADER: Final = "x-sandbox-fault"

_PAGE_PATH: Final = re.compile(r"/|/sandbox(?:/.*)?|(?:/accounts/[^/]+)?/orders/[^/]+")


class SandboxApp:
    """Answers API requests, each under the faults that hit it."""

    #: Answers the paths that are not the API's; set before the first request.
    pages: ASGIApp

    def __init__(self, dashboard: Dashboard) -> None:
        self.settings = Settings()
        self.faults = FaultBoard()
        self.log = RequestLog()
        self.stopping = False
        self._dashboard = dashboard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            return
        if _PAGE_PATH.fullmatch(scope["path"]):
            await self.pages(scope, receive, send)
            return
        request = await receive_request(scope, receive)
        answer, record = await self._answer(request)
        record.status = None if answer.dropped else int(answer.status)
        record.order_id = answer.order_id
        record.state = "dropped" if answer.dropped else "answered"
        answer.headers.setdefault("date", self._dashboard.format_date(self.settings))
        await send_answer(answer, scope, receive, send)

    async def _answer(self, request: Request) -> tuple[Answer, RequestRecord]:
        route, names = self._dashboard.route(request.method, request.path)
        record = self.log.start(request.method, request.path, request.query, route.operation)
        faults = self.faults.take(route.operation, request.method, request.path)
        header = request.headers.get(FAULT_HEADER)
        if header is not None:
            try:
                faults += parse_fault_header(header)
            except ValueError as error:
                return Answer(HTTPStatus.BAD_REQUEST, str(error).encode(), content_type="text/plain"), record
        if not faults:
            answer = self._dashboard.answer(request, route, names, self.settings, record)
            return answer, record
        record.faults = tuple(map(str, faults))
        early = await self._play(faults, "before", None, route, record)
        if early is not None:
            return early, record
        settings = apply_settings(faults, self.settings)
        answer = self._dashboard.answer(request, route, names, settings, record)
        record.order_id, record.state = answer.order_id, "committed"
        return await self._play(faults, "after", answer, route, record) or answer, record

    async def _play(
        self, faults: Sequence[Fault], when: str, answer: Answer | None, route: Route, record: RequestRecord
    ) -> Answer | None:
        for fault in faults:
            if fault.name == "setting" or (fault.text("when") or "after") != when:
                continue
            order_id = answer.order_id if answer is not None else None
            answer = await _PLAYERS[fault.name](_Hit(self, fault, answer, route, record))
            if answer is not None:
                answer.order_id = order_id
        return answer

    async def pause(self, go_on: Callable[[], bool]) -> bool:
        """Wait until ``go_on()`` is true; return ``False`` if the sandbox stops first."""
        while not go_on():
            if self.stopping:
                return False
            await asyncio.sleep(0.005)
        return True


@dataclass(frozen=True, slots=True)
class _Hit:
    """A fault that plays now.

    :param answer: the answer that it changes; ``None`` before there is one
    """

    app: SandboxApp
    fault: Fault
    answer: Answer | None
    route: Route
    record: RequestRecord


_Player = Callable[[_Hit], Awaitable[Answer | None]]


async def _play_slow(hit: _Hit) -> Answer | None:
    until = time.monotonic() + hit.fault.number("seconds")
    return hit.answer if await hit.app.pause(lambda: time.monotonic() >= until) else _drop_connection()


async def _play_hold(hit: _Hit) -> Answer | None:
    log = hit.app.log
    arrived = log.releases()
    hit.record.state = "held"
    return hit.answer if await hit.app.pause(lambda: log.releases() > arrived) else _drop_connection()


async def _play_drop(_: _Hit) -> Answer | None:
    return _drop_connection()


async def _play_status(hit: _Hit) -> Answer | None:
    status = int(hit.fault.number("status"))
    content_type, body = _write_error_body(hit.fault.text("body"), status)
    return Answer(status, body, content_type=content_type)


async def _play_refuse(hit: _Hit) -> Answer | None:
    fault = hit.fault
    refused = Refused(fault.text("code"), fault.text("description"), int(fault.number("status")))
    return refuse(hit.route, refused, hit.app.settings)


async def _play_unauthorized(hit: _Hit) -> Answer | None:
    return refuse_credentials(hit.route)


async def _play_rate_limit(hit: _Hit) -> Answer | None:
    fault = hit.fault
    seconds = fault.number("seconds")
    if hit.route.family == "messaging":
        return refuse_searches(seconds) if hit.route.operation == "search-messages" else refuse_queueing()
    header = fault.text("header")
    if header == "none":
        return too_many_requests({})
    if header == "Retry-After":
        return too_many_requests({"Retry-After": f"{seconds:g}"})
    moment = time.time() + seconds
    return too_many_requests({header: str(round(moment * 1000) if fault.text("unit") == "ms" else round(moment))})


async def _play_redirect(hit: _Hit) -> Answer | None:
    return Answer(int(hit.fault.number("status")), headers={"location": hit.fault.text("location")})


async def _play_truncate(hit: _Hit) -> Answer | None:
    answer = hit.answer
    if answer is not None and hit.fault.text("how") == "xml":
        answer.body = answer.body[: len(answer.body) // 2]
    elif answer is not None:
        answer.cut = True
    return answer


async def _play_body(hit: _Hit) -> Answer | None:
    if hit.answer is not None:
        hit.answer.content_type, hit.answer.body = _BODIES[hit.fault.text("kind")]
    return hit.answer


async def _play_interim(hit: _Hit) -> Answer | None:
    if hit.answer is not None:
        hit.answer.interim, hit.answer.pause = int(hit.fault.number("count")), hit.fault.number("seconds")
    return hit.answer


async def _play_drip(hit: _Hit) -> Answer | None:
    if hit.answer is not None:
        hit.answer.pause, hit.answer.chunk = hit.fault.number("seconds"), int(hit.fault.number("bytes"))
    return hit.answer


async def _play_gzip(hit: _Hit) -> Answer | None:
    if hit.answer is not None:
        padding = b" " * int(hit.fault.number("padding"))
        hit.answer.body = gzip.compress(hit.answer.body + padding)
        hit.answer.headers["content-encoding"] = "gzip"
    return hit.answer


_PLAYERS: Final[Mapping[str, _Player]] = {
    "drop": _play_drop,
    "status": _play_status,
    "refuse": _play_refuse,
    "unauthorized": _play_unauthorized,
    "rate-limit": _play_rate_limit,
    "redirect": _play_redirect,
    "slow": _play_slow,
    "hold": _play_hold,
    "truncate": _play_truncate,
    "body": _play_body,
    "interim": _play_interim,
    "drip": _play_drip,
    "gzip": _play_gzip,
}

_BODIES: Final[Mapping[str, tuple[str, bytes]]] = {
    "html": ("text/html", b"<!doctype html><html><body><h1>Maintenance</h1><p>Back soon.</p></body></html>"),
    "json": ("application/json", b'{"ok": true}'),
    "empty": ("application/xml", b""),
    "other-root": ("application/xml", b"<Weather><Temperature>21</Temperature></Weather>"),
    "doctype": (
        "application/xml",
        b'<!DOCTYPE ExternalTnsOrder [<!ENTITY id "0">]><ExternalTnsOrder><OrderId>&id;</OrderId></ExternalTnsOrder>',
    ),
}


def _drop_connection() -> Answer:
    return Answer(0, dropped=True)


def _write_error_body(kind: str, status: int) -> tuple[str, bytes]:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    if kind == "html":
        page = f"<html><head><title>{status} {phrase}</title></head><body><h1>{status} {phrase}</h1></body></html>"
        return "text/html", page.encode()
    if kind == "xml":
        return "application/xml", write_refusal("ErrorResponse", "1000", phrase)
    if kind == "json":
        return "application/json", f'{{"error": "{phrase}"}}'.encode()
    return "text/plain", b""
