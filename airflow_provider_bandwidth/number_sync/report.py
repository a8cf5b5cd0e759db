"""What became of a sync: every number of its plan has one fate, and a report counts and renders them.

Pure: no Airflow, no network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from airflow_provider_bandwidth.error_codes import explain_error_code
from airflow_provider_bandwidth.orders import Action, ProcessingStatus, TelephoneNumberError

# --- fates ---


class Fate(StrEnum):
    """What became of a telephone number. Exactly one holds."""

    UNCHANGED = "unchanged"
    """desired, and at Bandwidth before the run"""
    IMPORTED = "imported"
    """can be used now"""
    REMOVED = "removed"
    """gone from Bandwidth now"""
    ERRORED = "errored"
    """Bandwidth refused it, with a code"""
    REJECTED = "rejected"
    """never sent, for a reason"""
    UNACCOUNTED = "unaccounted"
    """should have been sent, and nobody knows how that ended"""
    PLANNED = "planned"
    """would have been sent, had this not been a dry run"""


@dataclass(frozen=True, slots=True)
class NumberFate:
    """One line of the report.

    :param telephone_number: ten digits; the value as it was given if it was rejected for what it is
    :param action: ``IMPORT`` for a desired number, ``REMOVE`` for one that is to go
    :param code: Bandwidth's error code, or the code of the rejection
    :param reason: why it is errored, rejected or unaccounted
    :param order_id: the order it was sent with, if known
    """

    telephone_number: str
    action: str
    fate: Fate
    code: str = ""
    reason: str = ""
    order_id: str = ""

    def to_dict(self) -> dict[str, str]:
        """The fields as JSON scalars."""
        return {name: str(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class OrderResult:
    """What is known of how an order ended: what the sensor pushed.

    :param order_id: the order; ``None`` if none is known
    :param processing_status: terminal status; ``None`` if it is not known that the order ended
    """

    order_id: str | None = None
    processing_status: str | None = None
    completed_telephone_numbers: Collection[str] = ()
    errors: Sequence[TelephoneNumberError] = ()


def account_for_order(action: Action, requested: Iterable[str], result: OrderResult) -> Iterator[NumberFate]:
    """The fate of every number of one order.

    :param requested: the numbers that were to be sent, each once
    """
    completed = frozenset(result.completed_telephone_numbers)
    errors: dict[str | None, list[TelephoneNumberError]] = {}
    for error in result.errors:
        errors.setdefault(error.telephone_number, []).append(error)
    order_id = result.order_id or ""
    done = Fate.IMPORTED if action is Action.IMPORT else Fate.REMOVED
    others = _fate_of_the_others(result, errors.get(None, []))
    for number in requested:
        if own := errors.get(number):
            yield NumberFate(number, action, Fate.ERRORED, own[0].code, _describe(own), order_id)
        elif number in completed:
            yield NumberFate(number, action, done, order_id=order_id)
        else:
            fate, code, reason = others
            yield NumberFate(number, action, fate, code, reason, order_id)


def _fate_of_the_others(result: OrderResult, unnamed: list[TelephoneNumberError]) -> tuple[Fate, str, str]:
    """The fate of numbers that neither completed nor have an error of their own."""
    if result.order_id is None:
        return Fate.UNACCOUNTED, "", "no order is known to have been sent for it: see the log of its submit task"
    if result.processing_status is None:
        return Fate.UNACCOUNTED, "", "how its order ended is not known: see the log of its wait task"
    because = _describe(unnamed) if unnamed else "without a word about it"
    if result.processing_status == ProcessingStatus.FAILED:
        # FAILED means that nothing was done [seed], whichever numbers the errors name.
        code = unnamed[0].code if unnamed else ""
        return Fate.ERRORED, code, f"its whole order FAILED: {because}" if unnamed else f"its order FAILED {because}"
    return Fate.UNACCOUNTED, "", f"its order ended {result.processing_status}, {because}"


def _describe(errors: Sequence[TelephoneNumberError]) -> str:
    first, *more = errors
    return "; ".join([first.description or "no description", *(f"{e.code}: {e.description}" for e in more)])


# --- the report ---


@dataclass(slots=True)
class Tally:
    """Counts fates as they go by, with an example of each error's text."""

    fates: Counter[tuple[str, Fate]] = field(default_factory=Counter)
    codes: Counter[tuple[str, Fate, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, Fate, str], str] = field(default_factory=dict)

    def add(self, fate: NumberFate) -> None:
        """Count one number."""
        self.fates[fate.action, fate.fate] += 1
        if fate.reason:
            key = (fate.action, fate.fate, fate.code)
            self.codes[key] += 1
            self.examples.setdefault(key, fate.reason)

    def add_unchanged(self, count: int) -> None:
        """Count numbers that are not listed one by one."""
        self.fates[Action.IMPORT, Fate.UNCHANGED] += count

    def count(self, fate: Fate, action: Action | None = None) -> int:
        """Numbers with a fate, of one action or of both."""
        return sum(self.fates[each, fate] for each in (Action if action is None else (action,)))

    def counts(self) -> dict[str, int]:
        """Desired numbers by fate, then numbers to remove by fate, for people and for XCom.

        ``desired`` is the sum of the six after it; ``to_remove`` that of the five after it.
        """
        desired = (Fate.UNCHANGED, Fate.IMPORTED, Fate.ERRORED, Fate.REJECTED, Fate.UNACCOUNTED, Fate.PLANNED)
        removals = (Fate.REMOVED, Fate.ERRORED, Fate.REJECTED, Fate.UNACCOUNTED, Fate.PLANNED)
        imports = {str(fate): self.fates[Action.IMPORT, fate] for fate in desired}
        gone = {
            str(fate) if fate is Fate.REMOVED else f"removal_{fate}": self.fates[Action.REMOVE, fate]
            for fate in removals
        }
        return {"desired": sum(imports.values()), **imports, "to_remove": sum(gone.values()), **gone}

    def error_counts(self) -> dict[str, int]:
        """Errored numbers by Bandwidth's code, both actions together."""
        found: Counter[str] = Counter()
        for (_, fate, code), count in self.codes.items():
            if fate is Fate.ERRORED:
                found[code] += count
        return dict(found.most_common())

    def render(self, title: str) -> str:
        """A table for a log: what became of how many numbers; what went wrong, and what to do about it."""
        lines = [title, ""]
        for name, count in self.counts().items():
            if count or name in ("desired", "unaccounted", "to_remove"):
                indent = "" if name in ("desired", "to_remove") else "  "
                lines.append(f"{indent + name.replace('_', ' '):<24}{count:>10,}")
        for (action, fate, code), count in self.codes.most_common():
            what = f"{action} {fate}" if fate is not Fate.REJECTED else str(fate)
            lines.extend(("", f"{count:>10,}  {what} {code}".rstrip(), f"{'':12}{self.examples[action, fate, code]}"))
            known = explain_error_code(code) if fate is Fate.ERRORED else None
            if known is not None:
                lines.append(f"{'':12}-> {known.meaning}; {known.advice} (retry: {known.retry})")
        return "\n".join(lines)


def iter_plan_fates(rejected: Iterable[Mapping[str, Any]], unchanged: Iterable[str]) -> Iterator[NumberFate]:
    """The fates that are known before anything is sent.

    :param rejected: rows with ``value``, ``code``, ``reason``; ``action`` for numbers that were to go; ``fate`` and
        ``order_id`` for numbers that were refused before
    :param unchanged: ten digits each
    """
    for number in unchanged:
        yield NumberFate(number, Action.IMPORT, Fate.UNCHANGED)
    for row in rejected:
        yield NumberFate(
            row["value"],
            row.get("action", Action.IMPORT),
            Fate(row.get("fate", Fate.REJECTED)),
            row["code"],
            row["reason"],
            row.get("order_id", ""),
        )
