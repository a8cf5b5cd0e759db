"""The report on a sync: counts its fates and renders them for people, and makes its lines safe for spreadsheets.

Pure: no Airflow, no network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from airflow_provider_bandwidth.error_codes import ErrorCode, explain_error_code
from airflow_provider_bandwidth.number_sync.fates import Fate, NumberFate
from airflow_provider_bandwidth.order_apis import TN_OPTIONS
from airflow_provider_bandwidth.orders import Action

_SHOWN_NUMBERS: Final = 10
#: What a formula begins with in spreadsheet programs, in East Asian full-width forms, too.
_FORMULA_STARTS: Final = tuple("=+-@\uff1d\uff0b\uff0d\uff20")


@dataclass(slots=True)
class Tally:
    """Counts fates as they go by, with an example of each error's text.

    :param order_api: the order API that gave the error codes, if that is known
    """

    fates: Counter[tuple[str, Fate]] = field(default_factory=Counter)
    codes: Counter[tuple[str, Fate, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, Fate, str], str] = field(default_factory=dict)
    first_numbers: dict[tuple[str, Fate, str], list[str]] = field(default_factory=dict)
    order_api: str | None = None

    def add(self, fate: NumberFate) -> None:
        """Count one number."""
        self.fates[fate.action, fate.fate] += 1
        is_fine = fate.fate in (Fate.UNCHANGED, Fate.IMPORTED)
        if (fate.reason and not is_fine) or fate.fate is Fate.PLANNED:
            key = (fate.action, fate.fate, fate.code)
            self.codes[key] += 1
            self.examples.setdefault(key, fate.reason)
            first = self.first_numbers.setdefault(key, [])
            if len(first) < _SHOWN_NUMBERS:
                first.append(fate.telephone_number)

    def add_unchanged(self, count: int) -> None:
        """Count numbers that are not listed one by one."""
        self.fates[Action.IMPORT, Fate.UNCHANGED] += count

    def count(self, fate: Fate, action: Action | None = None) -> int:
        """Numbers with a fate, of one action or of both."""
        return sum(self.fates[each, fate] for each in (Action if action is None else (action,)))

    def counts(self) -> dict[str, int]:
        """Desired numbers by fate, then numbers to remove by fate, for people and for XCom.

        ``desired`` is the sum of the eight after it; ``to_remove`` that of the six after it.
        """
        both = (Fate.ERRORED, Fate.REJECTED, Fate.UNACCOUNTED, Fate.PLANNED, Fate.NOT_APPROVED)
        desired, removals = (Fate.UNCHANGED, Fate.IMPORTED, Fate.CANNOT_TEXT, *both), (Fate.REMOVED, *both)
        imports = {str(fate): self.fates[Action.IMPORT, fate] for fate in desired}
        gone = {
            str(fate) if fate is Fate.REMOVED else f"removal_{fate}": self.fates[Action.REMOVE, fate]
            for fate in removals
        }
        return {"desired": sum(imports.values()), **imports, "to_remove": sum(gone.values()), **gone}

    def error_counts(self) -> dict[str, int]:
        """Numbers that errored or cannot text, by Bandwidth's code, both actions together; the commonest first."""
        found: Counter[str] = Counter()
        for (_, fate, code), count in self.codes.items():
            if fate in (Fate.ERRORED, Fate.CANNOT_TEXT):
                found[code] += count
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def explain(self, fate: Fate, code: str) -> ErrorCode | None:
        """What is known of the code of a fate; ``None`` if it has none, or none of Bandwidth's."""
        if fate is Fate.CANNOT_TEXT:
            return explain_error_code(code, TN_OPTIONS.name)
        return explain_error_code(code, self.order_api) if fate is Fate.ERRORED else None

    def render(self, title: str, verdict: str = "", *, lists_numbers: bool = True) -> str:
        """A table for a log: what became of how many numbers; what went wrong, and what to do about it.

        The commonest fate comes first; of equally common ones imports come before removals, then the code decides.

        :param verdict: a sentence on the whole, between title and table
        :param lists_numbers: whether the first ten numbers of each kind are named
        """
        lines = [title, *(["", verdict] if verdict else []), ""]
        for name, count in self.counts().items():
            if count or name in ("desired", "unaccounted", "to_remove"):
                indent = "" if name in ("desired", "to_remove") else "  "
                lines.append(f"{indent + name.replace('_', ' '):<24}{count:>10,}")
        for key, count in sorted(self.codes.items(), key=lambda item: (-item[1], *item[0])):
            action, fate, code = key
            what = f"{action} {fate}" if fate is not Fate.REJECTED else str(fate)
            lines.extend(("", f"{count:>10,}  {what} {code}".rstrip()))
            lines.extend(f"{'':12}{line}" for line in self._explain(key, lists_numbers))
        return "\n".join(lines)

    def _explain(self, key: tuple[str, Fate, str], lists_numbers: bool) -> Iterator[str]:
        _, fate, code = key
        if self.examples[key]:
            yield self.examples[key]
        known = self.explain(fate, code)
        if known is not None:
            yield f"-> {known.meaning}; {known.advice} (retry: {known.retry})"
        if not lists_numbers:
            return
        first = self.first_numbers[key]
        more = ", ..." if self.codes[key] > len(first) else ""
        yield f"{', '.join(map(repr, first)) if fate is Fate.REJECTED else ', '.join(first)}{more}"


def escape_cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula: one that begins like a formula gets an apostrophe in front."""
    return f"'{text}" if text.lstrip()[:1] in _FORMULA_STARTS or text[:1] in ("\t", "\r", "\n") else text
