"""Whether a plan may be sent without a person: what makes it *unsafe* points at a broken extract or inventory.

Pure: no Airflow, no network. Every limit is a count (``int``) or a share (``float`` from 0.0 to 1.0): ``1`` is one
telephone number, ``1.0`` is all of them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from airflow_provider_bandwidth.exceptions import InvalidParameterError, UnsafePlanError
from airflow_provider_bandwidth.number_sync.plan import NumberSyncPlan
from airflow_provider_bandwidth.telephone_numbers import RejectedTelephoneNumber

#: More removals than this share of the current numbers are unsafe, unless the caller allows more.
DEFAULT_MAX_REMOVALS: Final = 0.1
#: Fewer desired numbers than this share of the current ones are unsafe, unless the caller allows it.
DEFAULT_MIN_DESIRED: Final = 0.5
#: More imports than this share of the current numbers are unsafe, unless the caller allows more ...
DEFAULT_MAX_IMPORTS: Final = 0.5
#: ... or they are no more than this: a small fleet may grow by more than half.
ALWAYS_ALLOWED_IMPORTS: Final = 100
#: Orders may have brought this share of the current numbers, or so many, that the inventory no longer shows and that
#: are wanted again. More look like an inventory and a count that are cut alike, or equally old.
_MAX_VANISHED: Final = 0.1
_ALWAYS_ALLOWED_VANISHED: Final = 2
#: A run with removals may have this share of desired values that cannot be read, unless the caller says otherwise.
DEFAULT_MAX_UNREADABLE: Final = 0.01

_SHOWN_NUMBERS: Final = 10
_SHOWN_REASONS: Final = 3
_LONGEST_EXAMPLE: Final = 60


def check_plan(
    plan: NumberSyncPlan,
    *,
    max_removals: float = DEFAULT_MAX_REMOVALS,
    min_desired: float = DEFAULT_MIN_DESIRED,
    max_imports: float | None = None,
    max_unreadable: float = DEFAULT_MAX_UNREADABLE,
    first_load: bool = False,
    vanished: Collection[str] = (),
) -> None:
    """Stop a plan that looks like a broken extract or a broken inventory.

    :param max_removals: the most numbers to remove; a share is of the current numbers
    :param min_desired: the fewest numbers, rejected ones not counted, that are believed to be a whole extract; a share
        is of the current numbers. ``0`` believes any, even an empty one
    :param max_imports: the most numbers to import; a share is of the current numbers. By default half of them, and
        never fewer than 100. Where no number is there yet, only a count limits
    :param max_unreadable: the most unreadable desired values that a plan with removals may have, a repeated one
        counted each time; a share is of the desired values
    :param first_load: whether this run may import any number of telephone numbers, also where the inventory lacks
        numbers that orders imported there
    :param vanished: numbers that orders brought to this SIP peer and did not take away again, and that its inventory
        does not show: those that the plan imports or, where it shows none at all, any
    :raises UnsafePlanError: says what was found, what the limits are, and how to go on; nothing was sent
    :raises InvalidParameterError: a limit is neither a count nor a share
    """
    findings = [
        *_judge_extract(plan, min_desired),
        *_judge_removals(plan, max_removals, max_unreadable),
        *(() if first_load else _judge_imports(plan, max_imports, vanished)),
    ]
    if findings:
        texts = [each.text for each in findings]
        sentences = ["Nothing was sent.", *texts, describe_rejected(plan.rejected)]
        raise UnsafePlanError(" ".join(filter(None, sentences)), texts, [each.limit for each in findings])


def count_vanished_allowed(current_count: int) -> int:
    """How many numbers may have vanished, so that they can be imported again without a person.

    :param current_count: numbers at Bandwidth; where there are none, none may have vanished
    """
    if not current_count:
        return 0
    return max(_ALWAYS_ALLOWED_VANISHED, parse_limit("max_vanished", _MAX_VANISHED, current_count))


class _Finding(NamedTuple):
    """Why a plan is unsafe, and the parameter that says so."""

    limit: str
    text: str


def _judge_extract(plan: NumberSyncPlan, min_desired: float) -> Iterator[_Finding]:
    needed = parse_limit("min_desired", min_desired, plan.current_count)
    valid = len(plan.unchanged) + len(plan.to_import)
    if not valid and min_desired > 0:
        yield _Finding(
            "min_desired",
            f"The extract is empty: it holds no telephone number ({len(plan.rejected):,} rejected values, "
            f"{plan.blank_count:,} blanks), while {plan.current_count:,} are at Bandwidth. If that is right, set "
            "min_desired=0.",
        )
    elif valid < needed:
        shown = _show_limit("min_desired", min_desired, plan.current_count)
        yield _Finding(
            "min_desired",
            f"{shown} desired telephone numbers needed; the extract holds {valid:,} (min_desired={min_desired}). If "
            "the extract is whole, lower min_desired.",
        )


def _judge_removals(plan: NumberSyncPlan, max_removals: float, max_unreadable: float) -> Iterator[_Finding]:
    if len(plan.to_remove) > parse_limit("max_removals", max_removals, plan.current_count):
        shown = _show_limit("max_removals", max_removals, plan.current_count)
        yield _Finding(
            "max_removals",
            f"{shown} removals allowed; {_show_planned(plan.to_remove)} (max_removals={max_removals}). If they should "
            "go, raise max_removals.",
        )
    unreadable = plan.unreadable_count
    total = plan.desired_count + plan.duplicate_count
    if unreadable > parse_limit("max_unreadable", max_unreadable, total) and plan.to_remove:
        shown = _show_limit("max_unreadable", max_unreadable, total)
        yield _Finding(
            "max_unreadable",
            f"{shown} unreadable values allowed beside removals; {unreadable:,} found and {len(plan.to_remove):,} "
            f"removals planned (max_unreadable={max_unreadable}): an unreadable value may stand for a number that "
            "would be removed. Correct the values, or raise max_unreadable.",
        )


def _judge_imports(plan: NumberSyncPlan, max_imports: float | None, vanished: Collection[str]) -> Iterator[_Finding]:
    limit = DEFAULT_MAX_IMPORTS if max_imports is None else max_imports
    allowed = parse_limit("max_imports", limit, plan.current_count)
    shown, named = _show_limit("max_imports", limit, plan.current_count), f"max_imports={max_imports}"
    if max_imports is None:
        named = f"max_imports is half of the current numbers by default, and never fewer than {ALWAYS_ALLOWED_IMPORTS}"
        if allowed < ALWAYS_ALLOWED_IMPORTS:
            allowed, shown = ALWAYS_ALLOWED_IMPORTS, str(ALWAYS_ALLOWED_IMPORTS)
    is_first_load = not plan.current_count and isinstance(limit, float)
    if plan.to_import and len(vanished) > count_vanished_allowed(plan.current_count):
        is_shown = f"only {plan.current_count:,} imported numbers" if plan.current_count else "no imported number"
        more = " more" if plan.current_count else ""
        yield _Finding(
            "first_load",
            f"The SIP peer's inventory shows {is_shown}, although orders of this account imported {len(vanished):,}"
            f"{more} there that no order took away ({_show_first(sorted(vanished))}): importing a live number again "
            "would reset it. If they are gone, set first_load=True for one run.",
        )
    elif len(plan.to_import) > allowed and not is_first_load:
        yield _Finding(
            "max_imports",
            f"{shown} imports allowed; {_show_planned(plan.to_import)} ({named}). If they should come, raise "
            "max_imports, or set first_load=True for one run.",
        )


def parse_limit(name: str, value: float, total: int) -> int:
    """A limit as a number of telephone numbers; a share is rounded down.

    :param name: the parameter, for the error
    :param value: a count, or a share of ``total`` as a float from 0.0 to 1.0
    :raises InvalidParameterError: ``value`` is neither
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, float) and 0.0 <= value <= 1.0:
        round_limit = math.ceil if name.startswith("min_") else math.floor
        return round_limit(round(value * total, 6))
    raise InvalidParameterError(
        name, f"expected a count such as 500, or a share from 0.0 to 1.0 such as 0.1, got {value!r}"
    )


def describe_rejected(rejected: Sequence[RejectedTelephoneNumber]) -> str:
    """The commonest reasons why values were rejected, each with an example; empty if none was."""
    if not rejected:
        return ""
    by_code = Counter(each.code for each in rejected)
    first = {each.code: each for each in reversed(rejected)}
    commonest = sorted(by_code.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN_REASONS]
    shown = [
        f"{count:,} x {code} (say {_shorten(first[code].value)!r}: {_shorten(first[code].reason)})"
        for code, count in commonest
    ]
    values = "value was" if len(rejected) == 1 else "values were"
    return f"{len(rejected):,} desired {values} rejected: {'; '.join(shown)}."


def _show_limit(name: str, limit: float, total: int) -> str:
    if isinstance(limit, int):
        return f"{limit:,}"
    return f"{100 * limit:.10g} % of {total:,} = {parse_limit(name, limit, total):,}"


def _show_planned(telephone_numbers: Sequence[str]) -> str:
    return f"{len(telephone_numbers):,} planned: {_show_first(telephone_numbers)}"


def _show_first(telephone_numbers: Sequence[str]) -> str:
    more = ", ..." if len(telephone_numbers) > _SHOWN_NUMBERS else ""
    return ", ".join(telephone_numbers[:_SHOWN_NUMBERS]) + more


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_EXAMPLE else f"{text[:_LONGEST_EXAMPLE]}..."
