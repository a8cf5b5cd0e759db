"""Cost of reading orders: ``python tests/benchmarks/wire.py``.

First an answer with 5,000 telephone numbers and 500 errors, next to what other ways of reading it cost in the same run;
the bar is one and a half times lxml's bare parse plus one XPath over the texts. Then a list answer of 50 MB, read as a
stream in a process of its own, for its memory.
"""

from __future__ import annotations

import importlib.util
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from lxml import etree
from support.wire import iter_order_list, read_order

from airflow_provider_bandwidth.wire.inventory import read_sip_peer_telephone_numbers

NUMBERS = 5_000
ERRORS = 500
LIST_ORDERS = 1_000
LIST_NUMBERS = 1_100  # makes 50 MB
MEMORY_BAR_MIB = 100
BAR = 1.5
ROUNDS = 60

TELEPHONE_NUMBERS = [f"919{line:07}" for line in range(2_000_000, 2_000_000 + NUMBERS)]


def element(name: str, *content: object) -> str:
    return f"<{name}>{''.join(map(str, content))}</{name}>"


def listed(numbers: list[str], indent: str = "") -> str:
    return element("TelephoneNumbers", *(indent + element("TelephoneNumber", number) for number in numbers))


def partial_order() -> bytes:
    """A PARTIAL order as the seed shows it, indented like there, one error for every tenth number."""
    errors = (
        element("Error", element("Code", 25060), element("Description", "belongs to Bandwidth"), listed([number]))
        for number in TELEPHONE_NUMBERS[:: NUMBERS // ERRORS]
    )
    return element(
        "ExternalTnsOrder",
        element("OrderCreateDate", "2031-03-04T05:06:07.089Z"),
        element("AccountId", 5551212),
        element("OrderId", "0f3c1a52-7d1e-4b06-9a53-2f0c6a7e1b01"),
        element("ProcessingStatus", "PARTIAL"),
        element(
            "Order",
            element("CustomerOrderID", "run-7"),
            element("SiteId", 71),
            element("SipPeerId", 30071),
            element("Action", "IMPORT"),
            listed(TELEPHONE_NUMBERS, "\n            "),
        ),
        element("Errors", *errors),
    ).encode()


def peer_page() -> bytes:
    """A page of a SIP peer's telephone numbers, every second one external."""
    return element(
        "SipPeerTelephoneNumbersResponse",
        element(
            "SipPeerTelephoneNumbers",
            *(
                element(
                    "SipPeerTelephoneNumber",
                    element("FullNumber", number),
                    element("TnAttributes", element("TnAttribute", ("External", "Protected")[index % 2])),
                    element("MessagingSettings", element("SmsEnabled", "true")),
                )
                for index, number in enumerate(TELEPHONE_NUMBERS)
            ),
        ),
    ).encode()


def plain_walk(body: bytes) -> dict[str, list[str]]:
    """What one would write by hand: every element once, in Python."""
    found: dict[str, list[str]] = {}
    for item in etree.fromstring(body).iter():
        if item.text and item.text.strip():
            found.setdefault(item.tag, []).append(item.text.strip())
    return found


def ways(body: bytes) -> dict[str, Callable[[], object]]:
    """Each way to read the body; the names of those that set a bar begin with ``parse +``."""
    texts = etree.XPath("//text()")
    number_texts = etree.XPath("//*[local-name()='TelephoneNumber']/text()")
    plain_texts = etree.XPath("//text()", smart_strings=False)
    plain_number_texts = etree.XPath("//*[local-name()='TelephoneNumber']/text()", smart_strings=False)
    found: dict[str, Callable[[], object]] = {
        "bare parse": lambda: etree.fromstring(body),
        "parse + TelephoneNumber texts": lambda: number_texts(etree.fromstring(body)),
        "parse + //text()": lambda: texts(etree.fromstring(body)),
        "parse + TelephoneNumber texts, plain str": lambda: plain_number_texts(etree.fromstring(body)),
        "parse + //text(), plain str": lambda: plain_texts(etree.fromstring(body)),
        "plain Python walk": lambda: plain_walk(body),
        "read_order": lambda: read_order(body),
    }
    if importlib.util.find_spec("xmltodict"):
        import xmltodict

        found["xmltodict"] = lambda: xmltodict.parse(body)
    return found


def fastest(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of CPU of each, the best of some rounds; in turns, so that a busy machine is unfair to none."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, run in ways.items():
            start = time.process_time()
            run()
            best[name] = min(best[name], time.process_time() - start)
    return best


def compare() -> bool:
    body = partial_order()
    order = read_order(body)
    print(f"An order of {len(order.telephone_numbers):,} numbers with {len(order.errors)} errors, {len(body):,} bytes")
    best = fastest(ways(body))
    ours = best["read_order"]
    print(f"{'':<44}{'ms':>8}{'x bare parse':>15}{'read_order / this':>20}")
    for name, taken in sorted(best.items(), key=lambda item: item[1]):
        print(f"{name:<44}{taken * 1e3:>8.2f}{taken / best['bare parse']:>15.2f}{ours / taken:>20.2f}")
    print()
    for name in (name for name in best if name.startswith("parse +")):
        strict = ", the strictest" if name == "parse + //text(), plain str" else ""
        held = "held" if ours <= BAR * best[name] else "missed"
        print(f"bar of {BAR} times '{name}'{strict}: {held} at {ours / best[name]:.2f}")
    return ours <= BAR * best["parse + TelephoneNumber texts"]


def compare_pages() -> None:
    body = peer_page()
    page = read_sip_peer_telephone_numbers(body)
    best = fastest(
        {"bare parse": lambda: etree.fromstring(body), "ours": lambda: read_sip_peer_telephone_numbers(body)}
    )
    external, others = len(page.external_telephone_numbers), len(page.other_telephone_numbers)
    print(f"\nA page of {external + others:,} numbers, {external:,} external: ", end="")
    print(f"{best['ours'] * 1e3:.1f} ms, bare parse {best['bare parse'] * 1e3:.1f} ms")


class ListAnswer:
    """A body that is made while it is read."""

    def __init__(self) -> None:
        self.size = 0
        self._pieces = self._write()

    def read(self, _size: int = -1) -> bytes:
        piece = next(self._pieces, b"")
        self.size += len(piece)
        return piece

    def _write(self) -> Iterator[bytes]:
        yield f"<ExternalTnsOrders><TotalCount>{LIST_ORDERS}</TotalCount>".encode()
        numbers = listed(TELEPHONE_NUMBERS[:LIST_NUMBERS])
        for index in range(LIST_ORDERS):
            yield element(
                "ExternalTnsOrder",
                element("CustomerOrderId", f"run-{index}"),
                element("OrderId", f"order-{index}"),
                numbers,
                element("Action", "IMPORT"),
                element("ProcessingStatus", "COMPLETE"),
                "<Errors/>",
            ).encode()
        yield b"</ExternalTnsOrders>"


def read_stream(in_full: bool) -> None:
    """The child's part: reads the list and prints what it took."""
    stream: Any = ListAnswer()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    count = sum(1 for _ in iter_order_list(stream, in_full=in_full))
    taken = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 2**20 if sys.platform == "darwin" else 2**10
    print(count, stream.size, taken, peak / unit, (peak - before) / unit)


def compare_stream() -> bool:
    size = 0
    peaks = []
    for how in ("in full", "statuses alone"):
        child = [sys.executable, __file__, "--stream", how]
        count, read, taken, peak, grown = map(float, subprocess.check_output(child, text=True).split())
        size = int(read)
        peaks.append(peak)
        print(
            f"\nA list answer of {count:,.0f} orders, {size / 1e6:.0f} MB, as a stream, {how}: {taken:.2f} s of CPU; "
            f"peak of the whole process {peak:.0f} MiB, {grown:.0f} MiB of it for reading"
        )
    held = "held" if max(peaks) < MEMORY_BAR_MIB else "missed"
    parser = etree.XMLParser()
    stream = ListAnswer()
    start = time.process_time()
    while piece := stream.read():
        parser.feed(piece)
    parser.close()
    print(f"\nlxml's bare parse of it, whole: {time.process_time() - start:.2f} s of CPU")
    print(f"bar of {MEMORY_BAR_MIB} MiB at the peak: {held} at {max(peaks):.0f} MiB")
    return max(peaks) < MEMORY_BAR_MIB


def main() -> int:
    if sys.argv[1:2] == ["--stream"]:
        read_stream(in_full=sys.argv[2] == "in full")
        return 0
    version = ".".join(map(str, etree.LIBXML_VERSION))
    print(f"Python {platform.python_version()}, lxml {etree.__version__}, libxml2 {version}, {platform.machine()}")
    is_fast = compare()
    compare_pages()
    is_small = compare_stream()
    return 0 if is_fast and is_small else 1


if __name__ == "__main__":
    sys.exit(main())
