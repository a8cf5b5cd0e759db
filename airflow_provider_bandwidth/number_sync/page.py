"""The report of a sync as one HTML page for people. Pure: no Airflow, no network.

The page needs nothing from outside: no script, no font, no picture. It can be mailed, printed and read on a telephone.
Whatever comes from an extract or from Bandwidth is text in it, never markup. Its figures also stand in it as JSON, so
that the page of the next night can compare itself with it: see :func:`read_figures`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any, Final

from airflow_provider_bandwidth.number_sync.fates import Fate, NumberFate
from airflow_provider_bandwidth.number_sync.report import Tally
from airflow_provider_bandwidth.orders import Action

#: The most rows of numbers on a page. A browser shows some ten thousand at ease; the rest is in the report's file.
MAX_LISTED_NUMBERS: Final = 10_000
#: How many nights the chart shows, this one included.
MAX_NIGHTS: Final = 30

_FIGURES: Final = re.compile(r'<script type="application/json" id="bandwidth-figures">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True, slots=True)
class NightFigures:
    """What the chart shows of one night.

    :param planned_at: when the plan was made, ISO 8601
    :param place: what was synced; only nights of the same place are compared
    """

    planned_at: str
    place: str
    imported: int
    removed: int
    errored: int


@dataclass(frozen=True, slots=True)
class PageOrder:
    """One order of the night.

    :param order_id: empty if none is known to have been sent
    :param processing_status: how it ended; ``unknown`` if that is not known
    :param requested: how many telephone numbers it was to hold
    :param completed: how many of them are done
    :param url: where a person can look at it; empty if nowhere
    """

    order_id: str
    action: str
    processing_status: str
    requested: int
    completed: int
    url: str = ""


@dataclass(slots=True)
class ReportPage:
    """What a page shows.

    :param place: account, site and SIP peer, in words
    :param planned_at: when the plan was made, ISO 8601
    :param tally: counts the numbers
    :param verdict: how the night ended, in one sentence
    :param is_good: whether nothing is left to do
    :param facts: further lines, such as who approved the plan, by name
    :param findings: why the plan is or would be unsafe
    :param earlier: figures of earlier nights
    """

    place: str
    planned_at: str
    tally: Tally
    verdict: str = ""
    is_good: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)
    findings: Sequence[str] = ()
    orders: list[PageOrder] = field(default_factory=list)
    earlier: Sequence[NightFigures] = ()
    _numbers: list[NumberFate] = field(default_factory=list)
    _unlisted: int = 0

    def add(self, fate: NumberFate) -> None:
        """Count a number, and keep it if it is not fine."""
        self.tally.add(fate)
        if fate.fate in _FINE:
            return
        if len(self._numbers) < MAX_LISTED_NUMBERS:
            self._numbers.append(fate)
        else:
            self._unlisted += 1

    def figures(self) -> NightFigures:
        """What the pages of later nights compare themselves with."""
        count = self.tally.count
        return NightFigures(self.planned_at, self.place, count(Fate.IMPORTED), count(Fate.REMOVED), count(Fate.ERRORED))

    def render(self, max_bytes: int | None = None) -> str:
        """The page as HTML.

        :param max_bytes: the largest size: as many rows as fit are listed, and the page says so. No limit by default
        """
        rows = max(len(self._numbers), len(self.orders))
        page = "".join(self._iter_parts(rows))
        while max_bytes is not None and rows and len(page.encode()) > max_bytes:
            rows //= 2
            page = "".join(self._iter_parts(rows))
        return page

    def _iter_parts(self, rows: int) -> Iterator[str]:
        mood = "good" if self.is_good else "bad"
        yield _HEAD.format(title=escape(f"Number sync: {self.verdict}"), style=_STYLE)
        yield f'<main><h1>Number sync</h1><p class="verdict {mood}">{escape(self.verdict)}</p>'
        yield _table_of_facts({"Where": self.place, "Planned at": _show_time(self.planned_at), **self.facts})
        if self.findings:
            yield "<h2>What made the plan unsafe</h2><ul>"
            yield from (f"<li>{escape(finding)}</li>" for finding in self.findings)
            yield "</ul>"
        yield from self._counts()
        yield from self._not_sent()
        yield from self._what_to_do()
        yield from self._orders(rows)
        yield from self._listed_numbers(rows)
        yield from self._nights()
        yield _embed_figures(self.figures())
        yield "</main></body></html>\n"

    def _counts(self) -> Iterator[str]:
        yield "<h2>What became of the numbers</h2>"
        for action, title in ((Action.IMPORT, "Desired numbers"), (Action.REMOVE, "Numbers to remove")):
            counts = [(fate, self.tally.count(fate, action)) for fate in Fate]
            shown = [(fate, count) for fate, count in counts if count]
            total = sum(count for _, count in shown)
            if not total:
                continue
            yield f"<h3>{title}: {total:,}</h3><div class=bar role=img aria-label='share of each fate'>"
            yield from (
                f'<span class="f-{fate}" style="flex-grow:{count}" title="{escape(str(fate))} {count:,}"></span>'
                for fate, count in shown
            )
            yield "</div><table><thead><tr><th>Fate<th class=n>Numbers<th class=n>Share<th>Meaning</thead>"
            for fate, count in shown:
                yield (
                    f'<tr><td class=k><i class="dot f-{fate}"></i>{escape(str(fate).replace("_", " "))}'
                    f"<td class=n>{count:,}<td class=n>{count / total:.1%}<td>{escape(_MEANINGS.get(fate, ''))}"
                )
            yield "</table>"

    def _not_sent(self) -> Iterator[str]:
        """The first numbers of a plan that was not sent, to decide by."""
        for (action, fate, code), first in self.tally.first_numbers.items():
            if fate not in _NOT_SENT:
                continue
            count = self.tally.codes[action, fate, code]
            what = "Would be imported" if action == Action.IMPORT else "Would be removed"
            yield f"<h3>{what}: {count:,}</h3><p>{escape(', '.join(first))}"
            yield f", and {count - len(first):,} more" if count > len(first) else ""
            yield "</p>"

    def _what_to_do(self) -> Iterator[str]:
        if not any(self.tally.fates[action, fate] for action, fate, _ in self.tally.codes if fate is not Fate.PLANNED):
            return
        yield "<h2>What to do</h2><div class='wide advice'><table><thead><tr><th class=n>Numbers<th>Fate<th>Code"
        yield "<th>Example<th>What it means, and what to do</thead>"
        for (action, fate, code), count in self.tally.codes.most_common():
            if fate is Fate.PLANNED:
                continue
            known = self.tally.explain(fate, code)
            advice = f"{known.meaning}; {known.advice} (retry: {known.retry})" if known else _ADVICE.get(fate, "")
            what = f"{str(fate).replace('_', ' ')} ({str(action).lower()})"
            example = self.tally.examples.get((action, fate, code), "")
            yield (
                f"<tr><td class=n>{count:,}<td>{escape(what)}<td class=k>{escape(code)}<td>{escape(example)}"
                f"<td>{escape(advice)}"
            )
        yield "</table></div>"

    def _orders(self, rows: int) -> Iterator[str]:
        if not self.orders:
            return
        shown = self.orders[:rows]
        yield f"<h2>Orders: {len(self.orders):,}</h2>"
        if len(shown) < len(self.orders):
            yield f"<p>The first {len(shown):,} are listed.</p>"
        yield "<div class='wide orders'><table><thead><tr><th>Order<th>Action<th>Status"
        yield "<th class=n>Numbers<th class=n>Done</thead>"
        for order in shown:
            yield (
                f"<tr><td>{_link(order.url, order.order_id or 'not sent')}<td>{escape(order.action)}"
                f"<td>{escape(order.processing_status)}<td class=n>{order.requested:,}<td class=n>{order.completed:,}"
            )
        yield "</table></div>"

    def _listed_numbers(self, rows: int) -> Iterator[str]:
        if not self._numbers:
            return
        total = len(self._numbers) + self._unlisted
        yield f"<h2>Numbers that are not fine: {total:,}</h2>"
        shown = self._numbers[:rows]
        if len(shown) < total:
            yield f"<p>The first {len(shown):,} are listed. "
            yield "A report in a .csv or .jsonl file holds all of them.</p>"
        yield "<div class='wide numbers'><table><thead><tr><th>Telephone number<th>Action<th>Fate<th>Code"
        yield "<th>Reason<th>Order</thead>"
        for each in shown:
            cells = (each.telephone_number, each.action, str(each.fate).replace("_", " "), each.code, each.reason)
            yield "<tr>" + "".join(f"<td>{escape(str(cell))}" for cell in (*cells, each.order_id))
        yield "</table></div>"

    def _nights(self) -> Iterator[str]:
        nights = [night for night in self.earlier if night.place == self.place and night.planned_at < self.planned_at]
        nights = [*sorted(nights, key=lambda night: night.planned_at), self.figures()][-MAX_NIGHTS:]
        if len(nights) > 1:
            yield f"<h2>The last {len(nights)} nights</h2>"
            yield from _draw_nights(nights)


#: What became of a number that nobody has to look at.
_FINE: Final = frozenset({Fate.UNCHANGED, Fate.IMPORTED, Fate.REMOVED, Fate.PLANNED, Fate.NOT_APPROVED})

#: What became of a number that would have been sent.
_NOT_SENT: Final = frozenset({Fate.PLANNED, Fate.NOT_APPROVED})

_MEANINGS: Final[Mapping[Fate, str]] = {
    Fate.UNCHANGED: "at Bandwidth before the run, and left alone",
    Fate.IMPORTED: "Bandwidth imported it in this run",
    Fate.CANNOT_TEXT: "it is at Bandwidth, but without the campaign that it was to be assigned to",
    Fate.REMOVED: "Bandwidth removed it in this run",
    Fate.ERRORED: "Bandwidth refused it, with a code",
    Fate.REJECTED: "it was not sent, for a reason",
    Fate.UNACCOUNTED: "it should have been sent, and how that ended is not known",
    Fate.PLANNED: "it would have been sent, had this not been a dry run, or an unsafe plan",
    Fate.NOT_APPROVED: "it would have been sent, had a person approved the plan",
}
_ADVICE: Final[Mapping[Fate, str]] = {
    Fate.REJECTED: "Correct the value in the extract, or leave it out.",
    Fate.UNACCOUNTED: "Look at the log of the task that its reason names, then run the sync again.",
    Fate.NOT_APPROVED: "If it should be sent after all, start a new run: it asks with its own figures.",
    Fate.ERRORED: "No advice is known for this code: ask Bandwidth's support, with the order's id.",
    Fate.CANNOT_TEXT: "See the log of the task that assigns campaigns. The next run tries again what may pass.",
}


def read_figures(page: str) -> NightFigures | None:
    """The figures of a page that :meth:`ReportPage.render` made; ``None`` of any other text."""
    found = _FIGURES.search(page)
    if found is None:
        return None
    try:
        data: Any = json.loads(found[1])
        return NightFigures(
            str(data["planned_at"]),
            str(data["place"]),
            int(data["imported"]),
            int(data["removed"]),
            int(data["errored"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _embed_figures(figures: NightFigures) -> str:
    # Inside a script element only "</" could end it, and "<!--" could confuse it.
    text = json.dumps(asdict(figures)).replace("<", "\\u003c")
    return f'<script type="application/json" id="bandwidth-figures">{text}</script>'


def _table_of_facts(facts: Mapping[str, str]) -> str:
    rows = "".join(f"<tr><th>{escape(name)}<td>{escape(value)}" for name, value in facts.items() if value)
    return f"<table class=facts>{rows}</table>"


def _show_time(iso: str) -> str:
    return iso.replace("T", " ").replace("+00:00", " UTC")


def _link(url: str, text: str) -> str:
    if not url.lower().startswith(("https://", "http://")):
        return escape(text)
    return f'<a href="{escape(url)}" rel="noreferrer">{escape(text)}</a>'


_CHART_HEIGHT: Final = 120


def _draw_nights(nights: Sequence[NightFigures]) -> Iterator[str]:
    """Three bars a night, and the figures as a table for whoever cannot see them."""
    kinds = ("imported", "removed", "errored")
    most = max(max(getattr(night, kind) for kind in kinds) for night in nights) or 1
    step = 720 / len(nights)
    width = step / 4
    yield f'<svg viewBox="0 0 720 {_CHART_HEIGHT + 20}" role="img" aria-label="Numbers by night">'
    for index, night in enumerate(nights):
        for place, kind in enumerate(kinds):
            count = getattr(night, kind)
            height = _CHART_HEIGHT * count / most
            yield (
                f'<rect class="f-{kind}" x="{index * step + place * width:.1f}" y="{_CHART_HEIGHT - height:.1f}" '
                f'width="{width:.1f}" height="{height:.1f}"><title>{escape(night.planned_at[:16])}: {count:,} {kind}'
                "</title></rect>"
            )
        if index % math.ceil(len(nights) / 8) == 0:
            yield f'<text x="{index * step:.1f}" y="{_CHART_HEIGHT + 17}">{escape(night.planned_at[5:10])}</text>'
    yield "</svg><div class=history><table><thead><tr><th>Planned at"
    yield "".join(f'<th class=n><i class="dot f-{kind}"></i>{kind}' for kind in kinds) + "</thead>"
    for night in reversed(nights):
        yield f"<tr><td class=k>{escape(night.planned_at[:16].replace('T', ' '))}"
        yield "".join(f"<td class=n>{getattr(night, kind):,}" for kind in kinds)
    yield "</table></div>"


_HEAD: Final = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="robots" content="noindex"><meta name="color-scheme" content="light dark">
<title>{title}</title><style>{style}</style></head><body>"""

_STYLE: Final = (
    """
:root{--ink:#1c2430;--soft:#5b6675;--line:#d9dee5;--paper:#fff;--good:#1a7f4b;--bad:#b3261e;
--unchanged:#9aa7b5;--imported:#1a7f4b;--removed:#7a5af8;--errored:#b3261e;--rejected:#c77700;--unaccounted:#111827;
--cannot_text:#d4a017;--planned:#2f6fde;--not_approved:#8a6d3b}
@media (prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa7b5;--line:#2f3946;--paper:#12171e;--good:#4cc38a;
--bad:#ff8a80;--unchanged:#66727f;--imported:#4cc38a;--removed:#a48bff;--errored:#ff8a80;--rejected:#ffb454;
--cannot_text:#f2cc60;--unaccounted:#e6eaf0;--planned:#7eb0ff;--not_approved:#d8b878}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:960px;margin:0 auto;padding:20px 16px 60px}h1{font-size:1.3rem;margin:0}
h2{font-size:1.1rem;margin:2rem 0 .5rem}
h3{font-size:1rem;margin:1rem 0 .3rem}
.verdict{font-size:1.25rem;font-weight:600;margin:.3rem 0 1rem;overflow-wrap:anywhere}
.good{color:var(--good)}.bad{color:var(--bad)}table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:4px 12px 4px 0;border-bottom:1px solid var(--line);
overflow-wrap:break-word}.facts td{overflow-wrap:anywhere}.wide td{max-width:22em}
th{color:var(--soft);font-weight:600}.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.k{white-space:nowrap}.facts{width:auto}.facts th{white-space:nowrap}.wide{overflow-x:auto}
.bar{display:flex;height:18px;border-radius:4px;overflow:hidden;margin:.3rem 0 .6rem}.bar span{min-width:2px}
.dot{display:inline-block;width:.7em;height:.7em;border-radius:50%;margin-right:.4em}svg{width:100%;height:auto}
svg text{font-size:11px;fill:var(--soft)}a{color:var(--planned)}
"""
    + "".join(
        f".f-{fate}{{background:var(--{fate});fill:var(--{fate})}}"
        for fate in (
            "unchanged",
            "imported",
            "cannot_text",
            "removed",
            "errored",
            "rejected",
            "unaccounted",
            "planned",
            "not_approved",
        )
    )
    + """
@media screen and (max-width:640px){th,td{padding-right:8px}.history{font-size:.85rem}.history th{white-space:normal}
svg text{font-size:16px}.wide thead{display:none}
.wide tr{display:block;padding:6px 0;border-bottom:1px solid var(--line)}
.wide td{display:inline;border:0;padding:0 .6em 0 0;text-align:left;overflow-wrap:anywhere}
.numbers td:nth-child(1),.orders td:nth-child(1){display:block;font-weight:600}
.advice td:nth-child(n+4),.numbers td:nth-child(n+5){display:block}
.wide td:empty{display:none}
.advice td:nth-child(1)::after{content:" \u00d7"}.advice td:nth-child(5){font-weight:600}
.numbers td:nth-child(6)::before{content:"Order "}
.orders td:nth-child(4)::before{content:"Numbers: "}.orders td:nth-child(5)::before{content:"Done: "}}
@media print{body{font-size:11px}.wide{overflow:visible}main{max-width:none;padding:0}
.bar,.dot,rect{print-color-adjust:exact;-webkit-print-color-adjust:exact}tr{break-inside:avoid}}
"""
)
