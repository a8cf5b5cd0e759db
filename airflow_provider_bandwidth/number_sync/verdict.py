"""What a report says of the whole: its title, what was or would be wrong, and how the night ended. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_bandwidth.number_sync.fates import Fate
from airflow_provider_bandwidth.number_sync.guards import parse_limit
from airflow_provider_bandwidth.number_sync.handover import Handover
from airflow_provider_bandwidth.number_sync.page import ReportPage
from airflow_provider_bandwidth.number_sync.report import Tally
from airflow_provider_bandwidth.orders import Action


def find_problems(tally: Tally, max_errors: float) -> list[str]:
    """Why the fates are not good enough; none if they are.

    :param max_errors: the most errored numbers, as a count or a share of those desired or to be removed
    """
    unaccounted, errored, mute = map(tally.count, (Fate.UNACCOUNTED, Fate.ERRORED, Fate.CANNOT_TEXT))
    total = _count_all(tally)
    problems = []
    if unaccounted:
        numbers = "1 telephone number is" if unaccounted == 1 else f"{unaccounted:,} telephone numbers are"
        problems.append(f"{numbers} unaccounted for")
    if errored + mute > parse_limit("max_errors", max_errors, total):
        codes = ", ".join(f"{code or 'no code'} x {count:,}" for code, count in tally.error_counts().items())
        counts = ((errored, "errored"), (mute, "cannot text yet"))
        what = ", ".join(f"{count:,} of {total:,} {problem}" for count, problem in counts if count)
        problems.append(f"{what} ({codes}), more than max_errors={max_errors} allows")
    return problems


def conclude_page(page: ReportPage, plan: Handover, max_errors: float) -> None:
    """Write onto the page how the night ended.

    :param max_errors: as for :func:`find_problems`
    """
    problems = find_problems(page.tally, max_errors)
    page.verdict = _conclude(plan, problems, page.tally, max_errors)
    page.is_good = not problems and (plan.is_sent or (plan.dry_run and not plan.unsafe))
    page.findings = plan.findings


def make_title(plan: Handover, order_count: int) -> str:
    """What was synced where, in a line.

    :param order_count: orders that were sent, or would be
    """
    orders = _count_orders(order_count)
    title = f"number sync of {plan.place}: {orders}, {plan.counts['current']:,} numbers there before"
    if plan.dry_run:
        return f"DRY RUN, nothing was sent: {title}"
    if plan.is_not_approved:
        return f"NOT APPROVED, nothing was sent: {title}"
    return title if plan.is_sent else f"UNSAFE PLAN, nothing was sent: {title}"


def make_verdict(plan: Handover, tally: Tally, max_errors: float) -> str:
    """What a real run would do, and how it would end, where this was a dry run; and what a person decided.

    :param max_errors: as for :func:`find_problems`
    """
    if not plan.dry_run:
        return f"The plan: {plan.decision}." if plan.decision else plan.unsafe
    orders = _count_orders(plan.order_count) + _describe_assignments(plan)
    if plan.unsafe and plan.approval == "never":
        return f"A real run would stop: {' '.join(plan.findings)} If let through, it would send {orders}."
    text = f"A real run would send {orders}"
    if plan.unsafe or (plan.approval == "always" and plan.order_count):
        why = f": {' '.join(plan.findings)}" if plan.unsafe else "."
        text = f"A real run would ask a person first{why} If approved, it would send {orders}"
    if problems := find_problems(tally, max_errors):
        return f"{text}. It would fail: {'; '.join(problems)}."
    if not plan.order_count and not plan.assign_xcoms:
        return f"{text}."
    failed = tally.count(Fate.ERRORED) + tally.count(Fate.CANNOT_TEXT)
    more = parse_limit("max_errors", max_errors, _count_all(tally)) - failed
    allowed = f"unless more than {more:,} of them error" if more else "unless one of them errors"
    return f"{text}, and succeed {allowed} (max_errors={max_errors})."


def _conclude(plan: Handover, problems: Sequence[str], tally: Tally, max_errors: float) -> str:
    """How the night ended, in one sentence."""
    if plan.dry_run:
        return f"A dry run, nothing was sent. {make_verdict(plan, tally, max_errors)}"
    if plan.is_not_approved:
        return f"Nothing was sent: the plan was not approved ({plan.decision})."
    if not plan.is_sent:
        return "Nothing was sent: the plan is unsafe, and a person has to look at it."
    if problems:
        return f"Not good enough: {'; '.join(problems)}."
    done = f"{tally.count(Fate.IMPORTED):,} imported, {tally.count(Fate.REMOVED):,} removed"
    left = [f"{count:,} {fate}" for fate in (Fate.ERRORED, Fate.REJECTED) if (count := tally.count(fate))]
    if mute := tally.count(Fate.CANNOT_TEXT):
        left.insert(0, f"{mute:,} cannot text yet")
    return f"Done: {', '.join([done, *left])}."


def _describe_assignments(plan: Handover) -> str:
    """What would be assigned to the sync's campaign; empty if nothing."""
    if plan.campaign_id is None:
        return ""
    whom = ["what is imported"] if plan.orders[Action.IMPORT] else []
    if there := plan.counts["to_assign"]:
        whom.append(f"{there:,} of the numbers there before")
    return f", and assign campaign {plan.campaign_id} to {' and to '.join(whom)}" if whom else ""


def _count_all(tally: Tally) -> int:
    counts = tally.counts()
    return counts["desired"] + counts["to_remove"]


def _count_orders(count: int) -> str:
    return "1 order" if count == 1 else f"{count:,} orders"
