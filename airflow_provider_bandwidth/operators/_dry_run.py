"""A dry run without a DAG: what tonight's sync would do. Sends GETs only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_bandwidth.number_sync.fates import Fate, NumberFate
from airflow_provider_bandwidth.number_sync.handover import Handover
from airflow_provider_bandwidth.number_sync.page import ReportPage
from airflow_provider_bandwidth.number_sync.report import Tally
from airflow_provider_bandwidth.number_sync.verdict import conclude_page, find_problems, make_title, make_verdict
from airflow_provider_bandwidth.operators._peer_reader import PeerReader
from airflow_provider_bandwidth.operators._planning import PlanRequest, make_plan


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a dry run found.

    :param plan: its figures
    :param page: the report as a page
    :param verdict: what a real run would do, in a sentence
    :param problems: why a run whose orders all succeed would fail all the same
    """

    plan: Handover
    page: ReportPage
    verdict: str
    problems: Sequence[str]

    def render(self) -> str:
        """The report as a table for people."""
        return self.page.tally.render(make_title(self.plan, self.plan.order_count), self.verdict)


def make_dry_run(reader: PeerReader, request: PlanRequest, max_errors: float, log: Any) -> DryRun:
    """Plan as the sync does, and report.

    :param reader: reads the SIP peer to plan for
    :param max_errors: as the report operator takes it
    :param log: gets warnings
    :raises InvalidExtractError: what is desired cannot be read
    :raises InvalidParameterError: a limit is none, or there is no such SIP peer
    :raises InvalidResponseError: what Bandwidth shows cannot be believed now
    """
    made = make_plan(reader, request, log)
    no_xcoms = {"unchanged_xcoms": 0, "fate_xcoms": 0, "assign_xcoms": len(made.layout.to_assign)}
    plan = made.make_handover(reader, request, xcoms=no_xcoms, nonce="", dry_run=True)
    tally = Tally()
    page = ReportPage(plan.place, plan.planned_at.isoformat(timespec="seconds"), tally)
    tally.add_unchanged(len(made.layout.unchanged) + made.layout.counts()["to_assign"])
    for fate in made.layout.fates:
        page.add(fate)
    for action, chunks in made.layout.orders.items():
        for each in chunks:
            for number in each.telephone_numbers:
                page.add(NumberFate(number, action, Fate.PLANNED))
    conclude_page(page, plan, max_errors)
    page.facts = {"Planned by": "airflow bandwidth plan"}
    return DryRun(plan, page, make_verdict(plan, tally, max_errors), find_problems(tally, max_errors))
