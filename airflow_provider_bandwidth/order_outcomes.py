"""How orders ended, told alike by everything that waits for them: XCom keys, allowed statuses, log lines."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from airflow_provider_bandwidth.error_codes import explain_error_code
from airflow_provider_bandwidth.order_records import TERMINAL_STATUSES, OrderOutcome, ProcessingStatus

#: XCom keys beside ``return_value``; a contract with the tasks downstream.
ERRORS_KEY: Final = "errors"
WARNINGS_KEY: Final = "warnings"
COMPLETED_KEY: Final = "completed_telephone_numbers"
ORDERS_KEY: Final = "orders"
#: Seconds that a trigger's own deadline event has to arrive before Airflow ends the deferral.
DEFERRAL_MARGIN: Final = 120.0
#: How many of the failing telephone numbers, and of different warnings, the log names.
_LOGGED_NUMBERS: Final = 10


def parse_allowed_statuses(statuses: Iterable[str] | str) -> tuple[str, ...]:
    """Terminal statuses, as a parameter gives them.

    :raises ValueError: something else
    """
    try:
        given = [statuses] if isinstance(statuses, str) else list(statuses)
    except TypeError:
        given = [repr(statuses)]
    allowed = tuple(str(ProcessingStatus.parse(str(status))) for status in given)
    unknown = [status for status in allowed if status not in TERMINAL_STATUSES]
    if unknown or not allowed:
        raise ValueError(
            f"allowed_statuses: expected some of {', '.join(sorted(TERMINAL_STATUSES))}, got {reprlib.repr(given)}. "
            "This parameter takes neither templates nor the output of a task."
        )
    return allowed


def log_outcomes(log: Any, outcomes: Sequence[OrderOutcome], *, names_numbers: bool) -> None:
    """Log what a person looks for: how it ended, how many numbers went wrong and why, and where the rest is.

    :param log: of the task; Airflow 2.11's and 3's loggers share no type
    :param names_numbers: whether to name the first telephone numbers that failed
    """
    errors = [error for outcome in outcomes for error in outcome.errors]
    is_good = not errors and all(outcome.processing_status == ProcessingStatus.COMPLETE for outcome in outcomes)
    tell = log.info if is_good else log.warning
    for outcome in outcomes:
        tell(
            "%s. Telephone numbers completed: %d, errors: %d, ignored errors: %d. Order %s.",
            outcome.processing_status,
            len(outcome.completed_telephone_numbers),
            len(outcome.errors),
            outcome.ignored_count,
            outcome.order.order_id,
        )
    kinds = Counter((error.code, outcome.order.order_api) for outcome in outcomes for error in outcome.errors)
    for (code, order_api), count in kinds.most_common():
        known = explain_error_code(code, order_api)
        what = f"{known.meaning}. What to do: {known.advice}." if known else "no advice is known for this code."
        tell("%d x %s: %s", count, code or "no code", what)
    failing = {error.telephone_number: error.code for error in errors if error.telephone_number}
    if failing and names_numbers:
        shown = [f"{number} ({code or 'no code'})" for number, code in list(failing.items())[:_LOGGED_NUMBERS]]
        log.warning("Failing telephone numbers, %d of %d: %s.", len(shown), len(failing), ", ".join(shown))
    if errors:
        tell("What Bandwidth says of each number is in XCom %r.", ERRORS_KEY)
    warnings = Counter(warning.description for outcome in outcomes for warning in outcome.order.warnings)
    for description, count in warnings.most_common(_LOGGED_NUMBERS):
        log.info("%d x warning: %s", count, description)
    if warnings:
        log.info("What Bandwidth warns of is no error. It is in XCom %r, by number.", WARNINGS_KEY)
    if any(outcome.processing_status == ProcessingStatus.PARTIAL for outcome in outcomes):
        tell("Only the numbers in XCom %r can be used.", COMPLETED_KEY)
