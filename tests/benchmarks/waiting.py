"""What waiting for orders costs a triggerer: ``python tests/benchmarks/waiting.py [--quick] [--only TABLE]``.

Calls, CPU, memory and time to the event, for this provider and for two peers in the same run, on the same sandbox, each
in a process of its own. The sandbox is another process, whose CPU is not counted. Where calls and times are counted,
the event loop's clock skips idle time, so that minutes take seconds; CPU is measured on the wall clock. Plots go to
``output/waiting.png``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import platform
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.sandbox_process import SandboxProcess  # noqa: E402

#: The budget of calls a minute, the default.
BUDGET = 60
Target = dict[str, Any]


# --- in the measured processes ---


def _prepare(target: Target) -> None:
    """Airflow as a triggerer has it, quiet, and everything imported and connected to once."""
    os.environ["AIRFLOW_HOME"] = target["home"]
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    connection = target["connection"]
    extra = {**connection["extra"], "max_requests_per_minute": BUDGET}
    os.environ["AIRFLOW_CONN_BANDWIDTH_DEFAULT"] = json.dumps({**connection, "extra": extra})
    http = {"conn_type": "http", "host": target["host"], "port": target["port"], "schema": "http"}
    login = {"login": connection["login"], "password": connection["password"]}
    os.environ["AIRFLOW_CONN_HTTP_DEFAULT"] = json.dumps({**http, **login})
    import structlog
    import support.peers  # noqa: F401
    from airflow.providers.http.triggers import http as _  # noqa: F401

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)


def _waits(kind: str, target: Target, order_ids: Sequence[str], interval: float) -> list[Coroutine[Any, Any, Any]]:
    from airflow.providers.http.triggers.http import HttpSensorTrigger
    from support.peers import IdleTrigger, SelfPollingTrigger, poll_raw

    from airflow_provider_bandwidth.triggers.bandwidth import BandwidthTnOrderTrigger

    def wait(order_id: str) -> Coroutine[Any, Any, Any]:
        path = f"{target['path']}/{order_id}"
        if kind == "ours":
            trigger = BandwidthTnOrderTrigger(
                order_id=order_id, poke_interval=interval, processing_status="PROCESSING", max_wait=interval
            )
            return _first_event(trigger)
        if kind == "self-polling":
            url = f"http://{target['host']}:{target['port']}{path}"
            return _first_event(SelfPollingTrigger(url, target["authorization"], interval))
        if kind == "http sensor":
            # It waits as long as the answer is 404: to its advantage, it is never shown the order.
            return _first_event(HttpSensorTrigger(endpoint=f"{path}x", poke_interval=interval))
        if kind == "floor":
            return poll_raw(target["host"], target["port"], path, target["authorization"], interval)
        return _first_event(IdleTrigger())

    return [wait(order_id) for order_id in order_ids]


async def _first_event(trigger: Any) -> Any:
    return (await anext(trigger.run())).payload


@asynccontextmanager
async def _running(waits: Sequence[Coroutine[Any, Any, Any]], spread: float) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """Tasks that start evenly over some seconds, as tasks are deferred."""
    tasks: list[asyncio.Task[Any]] = []
    for number, wait in enumerate(waits, 1):
        tasks.append(asyncio.create_task(wait))
        if number % max(1, len(waits) // 50) == 0:
            await asyncio.sleep(spread / 50)
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _check_all_wait(tasks: Sequence[asyncio.Task[Any]]) -> None:
    ended = sum(task.done() for task in tasks)
    if ended:
        raise RuntimeError(f"{ended} of {len(tasks)} waits ended while they were measured")


def measure_cpu(target: Target, kind: str, order_ids: Sequence[str], interval: float, rounds: int) -> float:
    """Milliseconds of CPU an order and round, once everything runs."""
    _prepare(target)

    async def scenario() -> float:
        async with _running(_waits(kind, target, order_ids, interval), interval) as tasks:
            # Half a round off, so that as many rounds lie within as are counted.
            await asyncio.sleep(1.5 * interval + 2)
            before = time.process_time()
            await asyncio.sleep(interval * rounds)
            _check_all_wait(tasks)
            return (time.process_time() - before) / rounds / len(order_ids) * 1000

    return asyncio.run(scenario())


def measure_memory(target: Target, kind: str, order_ids: Sequence[str]) -> float:
    """KiB of resident memory an order, above a process in which one wait has been through."""
    _prepare(target)

    async def scenario() -> float:
        async with _running(_waits("ours", target, order_ids[:20], 1.0), 0.0):
            await asyncio.sleep(5)
        gc.collect()
        before = _resident()
        async with _running(_waits(kind, target, order_ids, 2.0), 0.0) as tasks:
            await asyncio.sleep(15)
            _check_all_wait(tasks)
            gc.collect()
            return (_resident() - before) / len(order_ids) / 1024

    return asyncio.run(scenario())


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure_calls_while_open(target: Target, order_ids: Sequence[str], minutes: int) -> tuple[float, int]:
    """Calls a minute at an interval of 30 s, and the most in any minute from the start on."""
    _prepare(target)
    from support.fast_time import run_fast

    async def scenario() -> tuple[float, int]:
        sent = _record_spending()
        async with _running(_waits("ours", target, order_ids, 30.0), 0.0) as tasks:
            await asyncio.sleep(60)
            before = len(sent)
            await asyncio.sleep(60 * minutes)
            _check_all_wait(tasks)
            return (len(sent) - before) / minutes, max(sum(s <= at < s + 60 for at in sent) for s in sent)

    return run_fast(scenario())


def measure_end(
    target: Target, order_ids: Sequence[str], interval: float, release: Callable[[], object]
) -> dict[str, float]:
    """The life of orders that end together after two rounds."""
    _prepare(target)
    from support.fast_time import run_fast

    async def scenario() -> dict[str, float]:
        loop = asyncio.get_running_loop()
        sent = _record_spending()
        async with _running(_waits("ours", target, order_ids, interval), 0.0) as tasks:
            await asyncio.sleep(2 + 1.5 * interval)
            release()
            ended_at = loop.time()
            payloads = await asyncio.gather(*tasks)
            took = loop.time() - ended_at
        assert {payload["processing_status"] for payload in payloads} == {"COMPLETE"}
        most = max(sum(s <= at < s + 60 for at in sent) for s in sent)
        # A call that is spent without an order in the event is the task's own reading of it.
        whole = sum(payload["order"] is not None for payload in payloads)
        return {"calls": len(sent), "seconds": took, "most": most, "whole": whole}

    return run_fast(scenario())


def release_orders(host: str, port: int) -> None:
    """End every order at once; in a process that has no :class:`SandboxProcess`."""
    import http.client

    connection = http.client.HTTPConnection(host, port)
    connection.request("POST", "/sandbox/release", "{}")
    connection.getresponse().read()
    connection.close()


def _record_spending() -> list[float]:
    from airflow_provider_bandwidth.triggers import _poller

    sent: list[float] = []
    real = _poller.Budget.spend

    def recorded(self: _poller.Budget, now: float) -> None:
        sent.append(now)
        real(self, now)

    _poller.Budget.spend = recorded  # type: ignore[method-assign]
    return sent


# --- in the main process ---


class Bench:
    """Runs each measurement in a new process against a sandbox with orders of its own."""

    def __init__(self, home: str) -> None:
        self._home = home

    def run(self, measure: Callable[..., Any], count: int, *args: Any, numbers: int = 10, **settings: object) -> Any:
        with SandboxProcess(received_seconds=0, processing_seconds=0, **settings) as sandbox:
            sandbox.control("POST", "hold")
            order_ids = sandbox.submit(count, numbers)
            target = {
                "home": self._home,
                "connection": sandbox.connection,
                "host": sandbox.host,
                "port": sandbox.port,
                "path": sandbox.orders_path,
                "authorization": sandbox.basic,
            }
            values = [order_ids if value is ORDER_IDS else value for value in args]
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                return pool.submit(_call, measure, target, values).result()


class _OrderIds:
    """Stands for the ids of the orders that the sandbox was given."""


ORDER_IDS = _OrderIds()


def _call(measure: Callable[..., Any], target: Target, values: Sequence[Any]) -> Any:
    if measure is measure_end:
        return measure_end(target, *values, lambda: release_orders(target["host"], target["port"]))
    return measure(target, *values)


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    print(f"\n{title}\n")
    print(f"| {' | '.join(head)} |")
    print(f"| {' | '.join('---' for _ in head)} |")
    for row in rows:
        print(f"| {' | '.join(f'{cell:.3g}' if isinstance(cell, float) else str(cell) for cell in row)} |")
    sys.stdout.flush()


def _bar(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


def calls_while_open(bench: Bench, quick: bool) -> dict[int, float]:
    minutes = 1 if quick else 3
    rows, figures = [], {}
    for count in (1, 100, 1000, 5000):
        per_minute, most = bench.run(measure_calls_while_open, count, ORDER_IDS, minutes)
        figures[count] = per_minute
        allowed = 2 + count / 200 if count >= 1000 else float(BUDGET)
        rows.append(
            (count, per_minute, 2 * count, most, f"{allowed:.3g}", _bar(per_minute <= allowed and most <= BUDGET))
        )
    _table(
        f"Calls a minute while orders are open and none ends, interval 30 s, budget {BUDGET}",
        ("open orders", "ours", "each by itself", "ours, most in any minute", "bar", ""),
        rows,
    )
    return figures


def calls_of_a_life(bench: Bench) -> None:
    full = bench.run(measure_end, 1000, ORDER_IDS, 30.0)
    summaries = bench.run(measure_end, 1000, ORDER_IDS, 30.0, list_form="summary-only")
    rows = [
        ("whole orders", full["calls"], 2000, 100, full["seconds"], full["most"], _bar(full["calls"] <= 100)),
        (
            "summaries",
            summaries["calls"],
            2000,
            1200,
            summaries["seconds"],
            summaries["most"],
            _bar(summaries["calls"] <= 1200),
        ),
    ]
    _table(
        "Calls from deferral to the resumed task, 1,000 orders that end together in their second interval",
        ("lists hold", "ours", "each by itself", "bar", "seconds to the last event", "most in any minute", ""),
        rows,
    )


def time_to_event(bench: Bench) -> None:
    interval = 5.0
    end = bench.run(measure_end, 1000, ORDER_IDS, interval)
    _table(
        "Time from terminal status to the last of 1,000 events, whole orders in lists",
        ("interval", "last event", "bar", "calls", ""),
        [
            (
                f"{interval} s",
                f"{end['seconds']:.1f} s",
                f"{interval + 2} s",
                end["calls"],
                _bar(end["seconds"] <= interval + 2),
            )
        ],
    )


def cpu(bench: Bench, quick: bool) -> dict[tuple[str, int], float]:
    interval, rounds = 10.0, 1 if quick else 2
    figures: dict[tuple[str, int], float] = {}
    rows: list[list[object]] = []
    for numbers, counts in ((10, (100, 1000) if quick else (100, 300, 1000)), (1000, (300,))):
        for count in counts:
            row = {
                kind: bench.run(measure_cpu, count, kind, ORDER_IDS, interval, rounds, numbers=numbers)
                for kind in ("ours", "self-polling", "http sensor", "floor")
            }
            if numbers == 10:
                figures |= {(kind, count): value for kind, value in row.items()}
            ratio = row["self-polling"] / row["ours"]
            bar = _bar(ratio >= 20) if (numbers, count) == (10, 1000) else ""
            print(f"{count} orders of {numbers} numbers: {row}", file=sys.stderr, flush=True)
            rows.append([count, numbers, *row.values(), ratio, row["http sensor"] / row["ours"], bar])
    if not quick:
        figures["ours", 5000] = bench.run(measure_cpu, 5000, "ours", ORDER_IDS, 60.0, 1)
        rows.append([5000, 10, figures["ours", 5000], "", "", "", "", "", ""])
    _table(
        f"CPU, milliseconds an order and round ({interval:.0f} s; 60 s for 5,000)",
        (
            "orders",
            "numbers each",
            "ours",
            "(a) self-polling, session a poll",
            "(b) HttpSensorTrigger",
            "floor: raw asyncio HTTP, no XML",
            "(a) / ours",
            "(b) / ours",
            "bar 20",
        ),
        rows,
    )
    return figures


def memory(bench: Bench) -> None:
    count = 5000
    figures = {kind: bench.run(measure_memory, count, kind, ORDER_IDS) for kind in ("idle", "ours")}
    above = figures["ours"] - figures["idle"]
    _table(
        f"Memory, KiB a deferred order, {count} orders",
        ("idle BaseTrigger", "ours", "ours above idle", "bar", ""),
        [(figures["idle"], figures["ours"], above, 10, _bar(above < 10))],
    )


def plot(calls: dict[int, float], cpu_figures: dict[tuple[str, int], float]) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    counts = sorted(calls)
    left.plot(counts, [calls[count] for count in counts], "o-", label="this provider")
    left.plot(counts, [2 * count for count in counts], "s--", label="each order by itself (both peers)")
    left.axhline(BUDGET, color="grey", linestyle=":", label=f"budget, {BUDGET} a minute")
    left.set(title="HTTP calls a minute, interval 30 s", xlabel="open orders", xscale="log", yscale="log")
    for kind, label in (
        ("ours", "this provider"),
        ("self-polling", "self-polling, session a poll"),
        ("http sensor", "HttpSensorTrigger"),
        ("floor", "raw asyncio HTTP, no XML"),
    ):
        points = sorted((count, value * count / 10) for (name, count), value in cpu_figures.items() if name == kind)
        right.plot(*zip(*points, strict=True), "o-", label=label)
    right.set(title="CPU, ms a second, at rounds of 10 s", xlabel="open orders", xscale="log", yscale="log")
    for axes in (left, right):
        axes.legend()
        axes.grid(which="major", alpha=0.3)
    path = ROOT / "output" / "waiting.png"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=130)
    print(f"\nPlot: {path.relative_to(ROOT)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter runs, coarser figures")
    parser.add_argument("--only", choices=("calls", "life", "time", "memory", "cpu"), help="one table, and no plot")
    arguments = parser.parse_args()
    started = time.monotonic()
    print(f"Waiting for orders, Python {platform.python_version()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="bandwidth-bench-") as home:
        bench = Bench(home)
        tables: dict[str, Callable[[], Any]] = {
            "calls": lambda: calls_while_open(bench, arguments.quick),
            "life": lambda: calls_of_a_life(bench),
            "time": lambda: time_to_event(bench),
            "memory": lambda: memory(bench),
            "cpu": lambda: cpu(bench, arguments.quick),
        }
        figures = {name: make() for name, make in tables.items() if arguments.only in (None, name)}
        if arguments.only is None:
            plot(figures["calls"], figures["cpu"])
    print(f"\n{time.monotonic() - started:.0f} s in all")


if __name__ == "__main__":
    main()
