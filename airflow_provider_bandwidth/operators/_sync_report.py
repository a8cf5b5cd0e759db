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
from airflow_provider_bandwidth.number_sync.fates import Fate, NumberFate, OrderResult, account_for_order
from airflow_provider_bandwidth.number_sync.guards import parse_limit
from airflow_provider_bandwidth.number_sync.handover import Handover
from airflow_provider_bandwidth.number_sync.page import MAX_NIGHTS, NightFigures, PageOrder, ReportPage, read_figures
from airflow_provider_bandwidth.number_sync.report import Tally, escape_cell
from airflow_provider_bandwidth.number_sync.verdict import conclude_page, find_problems, make_title, make_verdict
from airflow_provider_bandwidth.operators._order_wait import PlacedOrder
from airflow_provider_bandwidth.order_outcomes import COMPLETED_KEY, ERRORS_KEY, ORDERS_KEY
from airflow_provider_bandwidth.orders import Action, TelephoneNumberError, parse_flag
from airflow_provider_bandwidth.xcom_lists import pull_list

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: States in which a batch may have left what it read.
_ENDED_STATES: Final = frozenset({"success", "failed"})
_REPORT_FILES: Final = (".csv", ".jsonl", ".ndjson", ".html")
#: XCom key of the report as an HTML page, which the tab in Airflow's web server shows; and its size at most.
REPORT_PAGE_KEY: Final = "bandwidth_report_page"
_PAGE_BYTES: Final = 48_000
_REPORT_COLUMNS: Final = ("telephone_number", "action", "fate", "code", "reason", "order_id")


class BandwidthNumberSyncReportOperator(BaseOperator):
    """Account for every number of a plan, whatever happened to its orders, and fail if that is not good enough.

    Runs whatever became of the tasks before it. Every desired number has exactly one fate: unchanged, imported, errored
    (with Bandwidth's code and text), rejected (with a reason) or unaccounted; every number to remove likewise. The log
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
        self.max_errors = max_errors
        self.log_telephone_numbers = parse_flag("log_telephone_numbers", log_telephone_numbers)
        self.report_path = report_path

    def execute(self, context: Context) -> dict[str, Any]:
        """Account, write, log, judge."""
        ti = context["ti"]
        states = _read_states(context)
        try:
            plan = self._pull_plan(ti, states)
        except AirflowFailException as error:
            nothing: dict[str, Any] = {
                "error_counts": {},
                "order_ids": [],
                "report_path": None,
                "dry_run": False,
                "decision": None,
            }
            _tell(context, {**Tally().counts(), **nothing, "verdict": str(error)})
            raise
        tally = Tally(order_api=plan.order_api)
        page = ReportPage(plan.place, plan.planned_at.isoformat(timespec="seconds"), tally)
        fates = _counting(self._iter_fates(ti, plan, states, page.orders), page)
        path = None if self.report_path is None else find_free(str(self.report_path))
        if path is not None and not path.endswith(".html"):
            _write_lines(path, fates)
        for _ in fates:
            pass
        if not plan.unchanged_xcoms:
            tally.add_unchanged(plan.counts["unchanged"])
        order_ids = [order.order_id for order in page.orders if order.order_id]
        summary = {
            **tally.counts(),
            "error_counts": tally.error_counts(),
            "order_ids": order_ids,
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
        self, ti: Any, plan: Handover, states: Mapping[str, str], orders: list[PageOrder]
    ) -> Iterator[NumberFate]:
        yield from plan.iter_fates(ti, self.plan_task_id)
        for action in Action:
            if not plan.is_sent:
                for index in range(len(plan.orders[action])):
                    requested = plan.pull_order(ti, self.plan_task_id, action, index)
                    fate, why = (Fate.NOT_APPROVED, str(plan.decision)) if plan.decision else (Fate.PLANNED, "")
                    yield from (NumberFate(number, action, fate, reason=why) for number in requested)
                continue
            for batch in range(0, len(plan.orders[action]), plan.orders_per_task):
                yield from self._iter_batch(ti, plan, states, action, batch, orders)

    def _iter_batch(
        self,
        ti: Any,
        plan: Handover,
        states: Mapping[str, str],
        action: Action,
        first: int,
        orders: list[PageOrder],
    ) -> Iterator[NumberFate]:
        """The fates of a batch of orders.

        :param first: the index of its first order in the plan
        """
        map_index = first // plan.orders_per_task
        results = self._read_results(ti, states, action, map_index)
        for index, taken_over in enumerate(plan.orders[action][first : first + plan.orders_per_task], first):
            requested = plan.pull_order(ti, self.plan_task_id, action, index)
            customer_order_id = taken_over or plan.new_order_id(ti, self.plan_task_id, action, requested)
            result, url = results.get(customer_order_id, (OrderResult(), None))
            done = sum(number in result.completed_telephone_numbers for number in requested)
            orders.append(
                PageOrder(
                    result.order_id or "",
                    action,
                    result.processing_status or "unknown",
                    len(requested),
                    done,
                    url or "",
                )
            )
            yield from account_for_order(action, requested, result)

    def _read_results(
        self, ti: Any, states: Mapping[str, str], action: Action, map_index: int
    ) -> dict[str, tuple[OrderResult, str | None]]:
        """What a batch left of its orders, with their links, by CustomerOrderId.

        What another attempt left says nothing about the orders of this one: it has other CustomerOrderIds, or its task
        has not ended in this attempt.
        """
        task_id = self.order_task_ids[action]
        if states.get(f"{task_id}_{map_index}") not in _ENDED_STATES:
            return {}
        orders = [PlacedOrder.from_dict(each) for each in pull_list(ti, task_id, ORDERS_KEY, map_index) or ()]
        has_ended = any(order.was_read for order in orders)
        completed = frozenset(pull_list(ti, task_id, COMPLETED_KEY, map_index) or () if has_ended else ())
        errors: dict[str, list[TelephoneNumberError]] = {}
        for error in pull_list(ti, task_id, ERRORS_KEY, map_index) or () if has_ended else ():
            errors.setdefault(error.pop("order_id"), []).append(TelephoneNumberError(**error))
        return {
            str(order.customer_order_id): (
                OrderResult(
                    order.order_id,
                    order.processing_status if order.was_read else None,
                    completed,
                    errors.get(str(order.order_id), ()),
                ),
                order.order_url,
            )
            for order in orders
        }

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


def _read_states(context: Context) -> dict[str, str]:
    """The states of the run's tasks in this attempt, by task id, with ``_`` and the map index behind mapped ones."""
    ti = context["ti"]
    if hasattr(ti, "get_task_states"):  # Airflow 3
        found = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id]).get(ti.run_id, {})
        return {task_id: str(state) for task_id, state in found.items()}
    instances = cast(Any, context["dag_run"]).get_task_instances()
    return {
        each.task_id if each.map_index < 0 else f"{each.task_id}_{each.map_index}": str(each.state)
        for each in instances
    }


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
