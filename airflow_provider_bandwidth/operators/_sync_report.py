"""The end of a sync: every number of its plan is accounted for, and the run fails if that is not good enough."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final, cast

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
    ObjectStoragePath,
)
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

from airflow_provider_bandwidth.links.bandwidth import BandwidthReportLink
from airflow_provider_bandwidth.number_sync.fates import Fate, NumberFate, OrderResult, account_for_assignment
from airflow_provider_bandwidth.number_sync.guards import parse_limit
from airflow_provider_bandwidth.number_sync.handover import Handover
from airflow_provider_bandwidth.number_sync.page import MAX_NIGHTS, NightFigures, PageOrder, ReportPage, read_figures
from airflow_provider_bandwidth.number_sync.report import Tally, escape_cell
from airflow_provider_bandwidth.number_sync.verdict import conclude_page, find_problems, make_title, make_verdict
from airflow_provider_bandwidth.operators._sync_results import SyncResults, read_states
from airflow_provider_bandwidth.orders import Action, parse_flag

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: What an order that assigns the campaign does, where the page lists orders.
_ASSIGNMENT: Final = "CAMPAIGN"
_REPORT_FILES: Final = (".csv", ".jsonl", ".ndjson", ".html")
#: XCom key of the report as an HTML page, which the tab in Airflow's web server shows; and its size at most.
REPORT_PAGE_KEY: Final = "bandwidth_report_page"
_PAGE_BYTES: Final = 48_000
_REPORT_COLUMNS: Final = ("telephone_number", "action", "fate", "code", "reason", "order_id")


class BandwidthNumberSyncReportOperator(BaseOperator):
    """Account for every number of a plan, whatever happened to its orders, and fail if that is not good enough.

    Runs whatever became of the tasks before it. Every desired number has exactly one fate: unchanged, imported, errored
    (with Bandwidth's code and text), rejected (with a reason) or unaccounted; every number to remove likewise. A number
    that is at Bandwidth without the plan's campaign is ``cannot_text``, which counts as an error does. The log
    shows the counts and what to do about each error code; ``report_path`` gets a line for every number, or a page for
    people. The same page, with as many rows as fit, is the XCom ``bandwidth_report_page``: Airflow 3.1 and later show
    it as the tab "Bandwidth numbers" of the run and of this task.

    The task fails, without retries, if the plan failed, if a number is unaccounted, or if more numbers than
    ``max_errors`` errored; a plan that a person has not approved ends it as failed or skipped, as the plan task says.
    Otherwise Assets among its ``outlets`` get an event with the counts in ``extra``. On a dry run it ends as skipped,
    so that no Asset is touched; the report is there all the same.

    Callbacks of the task, such as ``on_failure_callback``, find what it returns in their context as
    ``bandwidth_report``, also where there is no plan.

    :param plan_task_id: the plan task
    :param order_task_ids: the mapped task that submits the orders and waits for them, by action
    :param assign_task_id: the task that assigns the plan's campaign, if there is one
    :param max_errors: the most errored numbers, as a count (``20``) or a share of all numbers that are desired or
        to be removed (``0.01``)
    :param log_telephone_numbers: whether the log names the first ten telephone numbers of each kind; ``False`` for
        counts only
    :param report_path: where to write the fates: a ``.csv``, ``.jsonl`` or ``.ndjson`` file, or a ``.html`` page, which
        also compares the night with the pages in the same folder; anything ``ObjectStoragePath`` takes; templated
    :return: (XCom, pushed before the task fails) the ``verdict`` in one sentence, the counts, ``error_counts`` by code,
        ``order_ids``, ``report_path``, and the ``decision`` of a person who was asked: ``answer``, ``by``, ``at``,
        ``problem``
    """

    template_fields: Sequence[str] = ("report_path",)
    operator_extra_links = (BandwidthReportLink(),) if AIRFLOW_V_3_1_PLUS else ()
    ui_color = "#e8f4fd"

    def __init__(
        self,
        *,
        plan_task_id: str,
        order_task_ids: Mapping[str, str],
        assign_task_id: str | None = None,
        max_errors: float = 0,
        log_telephone_numbers: bool = True,
        report_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"trigger_rule": "all_done", **kwargs})
        parse_limit("max_errors", max_errors, 0)
        if report_path is not None and not report_path.endswith(_REPORT_FILES):
            raise ValueError(f"report_path: expected a .csv, .jsonl, .ndjson or .html file, got {report_path!r}")
        self.plan_task_id = plan_task_id
        self.order_task_ids = dict(order_task_ids)
        self.assign_task_id = assign_task_id
        self.max_errors = max_errors
        self.log_telephone_numbers = parse_flag("log_telephone_numbers", log_telephone_numbers)
        self.report_path = report_path

    def execute(self, context: Context) -> dict[str, Any]:
        """Account, write, log, judge."""
        ti = context["ti"]
        states = read_states(context)
        try:
            plan = self._pull_plan(ti, states)
        except AirflowFailException as error:
            nothing: dict[str, Any] = {
                "error_counts": {},
                "order_ids": [],
                "campaign_order_ids": [],
                "report_path": None,
                "dry_run": False,
                "decision": None,
            }
            _tell(context, {**Tally().counts(), **nothing, "verdict": str(error)})
            raise
        tally = Tally(order_api=plan.order_api)
        page = ReportPage(plan.place, plan.planned_at.isoformat(timespec="seconds"), tally)
        results = SyncResults(ti, plan, self.plan_task_id, self.order_task_ids, states)
        assignments = None
        if plan.campaign_id is not None and plan.is_sent and self.assign_task_id is not None:
            assignments = _Assignments(ti, plan, self.plan_task_id, self.assign_task_id, results, states)
        fates = _counting(self._iter_fates(ti, plan, results, assignments, page.orders), page)
        path = None if self.report_path is None else find_free(str(self.report_path))
        if path is not None and not path.endswith(".html"):
            _write_lines(path, fates)
        for _ in fates:
            pass
        if not plan.unchanged_xcoms:
            tally.add_unchanged(plan.counts["unchanged"])
        order_ids = [order.order_id for order in page.orders if order.order_id and order.action != _ASSIGNMENT]
        summary = {
            **tally.counts(),
            "error_counts": tally.error_counts(),
            "order_ids": order_ids,
            "campaign_order_ids": [
                each.order_id for each in page.orders if each.order_id and each.action == _ASSIGNMENT
            ],
            "report_path": path,
            "dry_run": plan.dry_run,
            "decision": plan.decision.to_dict() if plan.decision else None,
        }
        problems = find_problems(tally, self.max_errors)
        title, verdict = make_title(plan, len(order_ids)), make_verdict(plan, tally, self.max_errors)
        self.log.info("%s", tally.render(title, verdict, lists_numbers=self.log_telephone_numbers))
        conclude_page(page, plan, self.max_errors)
        page.facts = {
            "DAG run": f"{ti.dag_id}, {ti.run_id}",
            "Attempt": str(ti.try_number),
            "The plan was": str(plan.decision or ""),
        }
        summary["verdict"] = page.verdict
        if path is not None and path.endswith(".html"):
            self._write_page(path, page)
        if path is not None:
            self.log.info("The fate of each number is in %s.", path)
        ti.xcom_push(key=REPORT_PAGE_KEY, value=page.render(max_bytes=_PAGE_BYTES))
        ti.xcom_push(key="return_value", value=summary)
        _tell(context, summary)
        self._judge(plan, problems, path)
        for asset in self.outlets:
            context["outlet_events"][asset].extra.update(cast("dict[str, Any]", summary))
        return summary

    def _pull_plan(self, ti: Any, states: Mapping[str, str]) -> Handover:
        """The plan of this attempt.

        Airflow deletes a task's XComs when the task starts, not when it is cleared: one that did not run in this
        attempt still shows those of the last. A plan that failed may have left what a guard has to say.
        """
        state = states.get(self.plan_task_id)
        plan = Handover.pull(ti, self.plan_task_id) if state in ("success", "failed", "skipped") else None
        if state == "skipped" and not (plan and plan.is_not_approved):
            raise AirflowSkipException(f"Task {self.plan_task_id!r} was skipped: there is nothing to sync.")
        if plan is None or (state == "failed" and not plan.unsafe and not plan.is_not_approved):
            why = "did not run, since a task before it failed" if state == "upstream_failed" else "failed"
            raise AirflowFailException(
                f"There is no plan, so nothing was sent: task {self.plan_task_id!r} {why}. Its log, or that of the "
                "task before it, says why."
            )
        return plan

    def _iter_fates(
        self,
        ti: Any,
        plan: Handover,
        results: SyncResults,
        assignments: _Assignments | None,
        orders: list[PageOrder],
    ) -> Iterator[NumberFate]:
        yield from plan.iter_fates(ti, self.plan_task_id)
        for action in Action:
            if not plan.is_sent:
                for index in range(len(plan.orders[action])):
                    requested = plan.pull_order(ti, self.plan_task_id, action, index)
                    fate, why = (Fate.NOT_APPROVED, str(plan.decision)) if plan.decision else (Fate.PLANNED, "")
                    yield from (NumberFate(number, action, fate, reason=why) for number in requested)
                continue
            for order in results.iter_orders(action):
                result = order.result
                done = sum(number in result.completed_telephone_numbers for number in order.requested)
                orders.append(_show_order(action, order.requested, result, done, order.url))
                fates = order.account()
                yield from fates if assignments is None else assignments.account(fates, orders)
        for index in range(plan.assign_xcoms):
            numbers = plan.pull_assignment(ti, self.plan_task_id, index)
            there = [NumberFate(number, Action.IMPORT, Fate.UNCHANGED) for number in numbers]
            yield from there if assignments is None else assignments.account(there, orders)

    def _write_page(self, path: str, page: ReportPage) -> None:
        try:
            page.earlier = _read_earlier_nights(path)
        except OSError as error:
            self.log.info("The night is not compared with earlier ones: their folder cannot be read (%s).", error)
        with open_report(path) as text:
            text.write(page.render())

    def _judge(self, plan: Handover, problems: Sequence[str], path: str | None) -> None:
        if plan.dry_run:
            raise AirflowSkipException(
                "A dry run: nothing was sent, so no Asset event is emitted. The report is above."
            )
        if plan.is_not_approved:
            message = f"The plan was not approved ({plan.decision}). Nothing was sent."
            raise (AirflowSkipException if plan.soft_fail else AirflowFailException)(message)
        if not plan.is_sent:
            raise AirflowFailException(f"The plan is unsafe: {plan.unsafe}")
        if problems:
            raise AirflowFailException(
                f"{'; '.join(problems)}. What ended well stays done; each number's fate is in "
                f"{path or 'the log and the XComs of the orders, or in a file if report_path is set'}."
            )


def _tell(context: Context, figures: Mapping[str, Any]) -> None:
    """Leave the figures for callbacks of the task."""
    cast("dict[str, Any]", context)["bandwidth_report"] = figures


class _Assignments:
    """What became of the campaign of the sync.

    :param results: what the sync's tasks have left
    :param states: of the run's tasks
    """

    def __init__(
        self,
        ti: Any,
        plan: Handover,
        plan_task_id: str,
        task_id: str,
        results: SyncResults,
        states: Mapping[str, str],
    ) -> None:
        self._ti = ti
        self._plan = plan
        self._plan_task_id = plan_task_id
        self._results = results.read_task(task_id)
        self._left_to = (
            "its campaign is left to the sync that has planned since" if states.get(task_id) == "skipped" else ""
        )

    def account(self, fates: Iterable[NumberFate], orders: list[PageOrder]) -> Iterator[NumberFate]:
        """The fates of an order's numbers, with what became of the campaign of those that are at Bandwidth now.

        :param orders: gets the order that was to assign it
        """
        there = []
        for fate in fates:
            if fate.fate in (Fate.IMPORTED, Fate.UNCHANGED):
                there.append(fate)
            else:
                yield fate
        if not there:
            return
        numbers = [fate.telephone_number for fate in there]
        own_id = self._plan.assignment_id(self._ti, self._plan_task_id, numbers)
        result, url = self._results.get(own_id, (OrderResult(), None))
        if result.order_id is not None or not self._left_to:
            done = sum(number in result.completed_telephone_numbers for number in numbers)
            orders.append(_show_order(_ASSIGNMENT, numbers, result, done, url))
        yield from account_for_assignment(there, result, left_to=self._left_to)


def _show_order(action: str, requested: Sequence[str], result: OrderResult, done: int, url: str | None) -> PageOrder:
    status = result.processing_status or "unknown"
    return PageOrder(result.order_id or "", action, status, len(requested), done, url or "")


def _counting(fates: Iterable[NumberFate], page: ReportPage) -> Iterator[NumberFate]:
    """The fates as they come, counted and noted on the way."""
    for fate in fates:
        page.add(fate)
        yield fate


@contextmanager
def open_report(path: str) -> Iterator[IO[str]]:
    target = ObjectStoragePath(path)
    if target.protocol in ("", "file"):
        target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as stream, io.TextIOWrapper(stream, encoding="utf-8", newline="") as text:
        yield text


def _write_lines(path: str, fates: Iterable[NumberFate]) -> None:
    """Write a line for each number."""
    with open_report(path) as text:
        writer = csv.DictWriter(text, _REPORT_COLUMNS) if path.endswith(".csv") else None
        if writer is not None:
            writer.writeheader()
        for fate in fates:
            row = fate.to_dict()
            if writer is not None:
                writer.writerow({name: escape_cell(value) for name, value in row.items()})
            else:
                text.write(json.dumps(row, ensure_ascii=False) + "\n")


def _read_earlier_nights(path: str) -> list[NightFigures]:
    """The figures of the last pages in the same folder, by their names, which usually hold the date."""
    folder = ObjectStoragePath(path).parent
    pages = sorted((each for each in folder.iterdir() if each.name.endswith(".html")), key=lambda each: each.name)
    figures = (read_figures(page.read_text(encoding="utf-8", errors="replace")) for page in pages[-2 * MAX_NIGHTS :])
    return [night for night in figures if night is not None]


def find_free(path: str) -> str:
    """The path itself, or the first of name-2, name-3 and on that is free: no report overwrites another."""
    stem, dot, suffix = path.rpartition(".")
    free, number = path, 1
    while ObjectStoragePath(free).exists():
        number += 1
        free = f"{stem}-{number}{dot}{suffix}"
    return free
