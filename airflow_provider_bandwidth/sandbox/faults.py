"""Faults on demand: what can go wrong with an answer, and which requests it happens to."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from airflow_provider_bandwidth.sandbox.dashboard import OPERATIONS
from airflow_provider_bandwidth.sandbox.settings import Settings


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One kind of fault.

    :param help: what happens
    :param options: the options it takes, with their defaults
    """

    help: str
    options: Mapping[str, object] = field(default_factory=dict)


_WHEN_BEFORE: Final[Mapping[str, object]] = {"when": "before"}

#: Every kind of fault by its name. ``when`` is before or after the order is stored.
FAULT_KINDS: Final[Mapping[str, FaultKind]] = {
    "drop": FaultKind("reset the connection without an answer", _WHEN_BEFORE),
    "status": FaultKind(
        "answer this status; body is html, xml, json or empty",
        {**_WHEN_BEFORE, "status": 503, "body": "html"},
    ),
    "refuse": FaultKind(
        "answer 400 with ResponseStatus, or another status",
        {**_WHEN_BEFORE, "status": 400, "code": "25010", "description": "The account may not use this resource."},
    ),
    "unauthorized": FaultKind("answer 401 with a challenge", _WHEN_BEFORE),
    "rate-limit": FaultKind(
        "answer 429 without a body; the reset is so many seconds ahead, written in unit s or ms (of the epoch); "
        "header is X-RateLimit-Reset, Retry-After (a delay) or none",
        {**_WHEN_BEFORE, "seconds": 1.0, "unit": "s", "header": "X-RateLimit-Reset"},
    ),
    "redirect": FaultKind(
        "answer a redirect to another host",
        {**_WHEN_BEFORE, "status": 307, "location": "https://elsewhere.invalid/"},
    ),
    "slow": FaultKind(
        "wait so many seconds; the work is done even if the client leaves", {**_WHEN_BEFORE, "seconds": 1.0}
    ),
    "hold": FaultKind("keep the request waiting until requests are released", {"when": "after"}),
    "truncate": FaultKind(
        "break the answer off in the middle; how is length (Content-Length promises more, then the connection is "
        "closed) or xml (the length fits the cut document)",
        {"how": "length"},
    ),
    "body": FaultKind(
        "keep the status and replace the body; kind is html, json, empty, other-root or doctype", {"kind": "html"}
    ),
    "interim": FaultKind(
        "send so many answers with status 103 before the answer, and wait so many seconds after each",
        {"count": 1, "seconds": 0.0},
    ),
    "drip": FaultKind(
        "send the body so many bytes at a time, with so many seconds between", {"bytes": 1, "seconds": 0.1}
    ),
    "gzip": FaultKind("compress the body, with so many blanks added to its end before", {"padding": 0}),
    "setting": FaultKind(
        "handle the request with other settings: every setting is an option, for instance search_lag_seconds=5, "
        "list_form=summary, customer_order_id_match=prefix, drop_customer_order_id=always, "
        "echo_customer_order_id=false, dialect=O"
    ),
}

_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "when": ("before", "after"),
    "body": ("html", "xml", "json", "empty"),
    "unit": ("s", "ms"),
    "header": ("X-RateLimit-Reset", "Retry-After", "none"),
    "how": ("length", "xml"),
    "kind": ("html", "json", "empty", "other-root", "doctype"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault with all its options filled in."""

    name: str
    options: Mapping[str, object]

    def text(self, option: str) -> str:
        """An option as text; empty if the fault has no such option."""
        return str(self.options.get(option, ""))

    def number(self, option: str) -> float:
        """An option as a number."""
        return float(self.text(option))

    def __str__(self) -> str:
        return ";".join((self.name, *(f"{key}={value}" for key, value in self.options.items())))


def make_fault(name: str, options: Mapping[str, object]) -> Fault:
    """A fault of the kind ``name``.

    :raises ValueError: for an unknown kind or option, or an impossible value, naming it
    """
    kind = FAULT_KINDS.get(name)
    if kind is None:
        raise ValueError(f"unknown fault {name!r}; known: {', '.join(FAULT_KINDS)}")
    if name == "setting":
        Settings().replace(options)
        return Fault(name, dict(options))
    for option, value in options.items():
        if option not in kind.options:
            raise ValueError(f"fault {name} has no option {option!r}; it has: {', '.join(kind.options) or 'none'}")
        _check(name, option, value, kind.options[option])
    return Fault(name, {**kind.options, **options})


def _check(name: str, option: str, value: object, default: object) -> None:
    choices = _CHOICES.get(option)
    if choices is not None:
        if value not in choices:
            raise ValueError(f"fault {name}: {option} is one of {', '.join(choices)}, not {value!r}")
    elif isinstance(default, int | float):
        try:
            number = float(str(value))
        except ValueError:
            raise ValueError(f"fault {name}: {option} is a number, not {value!r}") from None
        if option == "status" and not 200 <= number <= 599:
            raise ValueError(f"fault {name}: {value!r} is not the status of an answer")


def parse_fault_header(value: str) -> list[Fault]:
    """The faults of one ``X-Sandbox-Fault`` header: ``name;key=value;key=value, name...``.

    :raises ValueError: as :func:`make_fault`
    """
    faults = []
    for part in filter(None, (each.strip() for each in value.split(","))):
        name, *pairs = (each.strip() for each in part.split(";"))
        options = {key.strip(): text.strip() for key, _, text in (pair.partition("=") for pair in pairs)}
        faults.append(make_fault(name, options))
    return faults


@dataclass(slots=True)
class Injection:
    """A fault that waits for requests.

    :param operation: one of ``OPERATIONS``; any when ``None``
    :param method: HTTP method; any when ``None``
    :param path: a part of the path, without case; any when ``None``
    :param times: how many requests it hits; every one when ``None``
    :param after: how many matching requests pass first
    :param hits: how many it has hit
    """

    number: int
    fault: Fault
    operation: str | None = None
    method: str | None = None
    path: str | None = None
    times: int | None = 1
    after: int = 0
    hits: int = 0

    def to_dict(self) -> dict[str, object]:
        """JSON-ready values."""
        return {
            "number": self.number,
            "fault": self.fault.name,
            **self.fault.options,
            "operation": self.operation,
            "method": self.method,
            "path": self.path,
            "times": self.times,
            "after": self.after,
            "hits": self.hits,
        }

    def meets(self, operation: str, method: str, path: str) -> bool:
        """Whether a request is one this fault is aimed at. Token requests only count when they are named."""
        if operation == "token" and self.operation is None and self.path is None:
            return False
        return (
            (self.operation is None or self.operation == operation)
            and (self.method is None or self.method.upper() == method)
            and (self.path is None or self.path.lower() in path.lower())
        )


class FaultBoard:
    """The faults that wait. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._injections: list[Injection] = []

    def inject(
        self,
        fault: Fault,
        *,
        operation: str | None = None,
        method: str | None = None,
        path: str | None = None,
        times: int | None = 1,
        after: int = 0,
    ) -> Injection:
        """Put a fault up; the parameters are those of :class:`Injection`.

        :raises ValueError: for an unknown operation
        """
        if operation is not None and operation not in OPERATIONS:
            raise ValueError(f"unknown operation {operation!r}; known: {', '.join(OPERATIONS)}")
        with self._lock:
            injection = Injection(next(self._numbers), fault, operation, method, path, times, after)
            self._injections.append(injection)
            return injection

    def take(self, operation: str, method: str, path: str) -> list[Fault]:
        """The faults that hit this request, first injected first; used-up ones come down."""
        if not self._injections:
            return []
        with self._lock:
            hits = [each.fault for each in self._injections if each.meets(operation, method, path) and self._hit(each)]
            self._injections = [each for each in self._injections if each.times is None or each.hits < each.times]
            return hits

    @staticmethod
    def _hit(injection: Injection) -> bool:
        if injection.after > 0:
            injection.after -= 1
            return False
        injection.hits += 1
        return True

    def waiting(self) -> list[dict[str, object]]:
        """The faults still up, as JSON-ready values."""
        with self._lock:
            return [each.to_dict() for each in self._injections]

    def clear(self) -> None:
        """Take every fault down."""
        with self._lock:
            self._injections = []


def apply_settings(faults: Iterable[Fault], settings: Settings) -> Settings:
    """``settings`` as the ``setting`` faults of a request change them."""
    for fault in faults:
        if fault.name == "setting":
            settings = settings.replace(fault.options)
    return settings
