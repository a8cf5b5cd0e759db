"""What a person is asked before a plan is sent, and what the answer was. Pure: no Airflow, no network."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final, Literal, Self

#: How many numbers of a kind are shown.
SHOWN_NUMBERS: Final = 10

#: The rows of the table: the plan's count, what it is, and what its share is of.
_ROWS: Final = (
    ("current", "Numbers at Bandwidth now", "current"),
    ("desired", "Desired values", "current"),
    ("to_import", "**To import**", "current"),
    ("to_remove", "**To remove**", "current"),
    ("unchanged", "Left as they are", "current"),
    ("to_assign", "of numbers that are there, to assign to the campaign", "current"),
    ("rejected", "Desired values that are not sent", "desired"),
    ("unreadable", "of these, values that cannot be read", "desired"),
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about a plan.

    :param answer: empty as long as nobody has answered
    :param by: who answered; empty if nobody did
    :param at: when, ISO 8601
    :param problem: why an approval does not count; empty otherwise
    """

    answer: Literal["approved", "rejected", ""] = ""
    by: str = ""
    at: str = ""
    problem: str = ""

    @property
    def is_approved(self) -> bool:
        """Whether the plan may be sent."""
        return self.answer == "approved" and not self.problem

    def __str__(self) -> str:
        if not self.answer:
            return f"nobody answered{self.problem and f', and {self.problem}'}"
        return f"{self.answer} by {self.by} at {self.at}{self.problem and f', but {self.problem}'}"

    def to_dict(self) -> dict[str, str]:
        """The fields as JSON scalars."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, str]) -> Self:
        """Read back what :meth:`to_dict` gave."""
        return cls(**data)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Question:
    """A question in Markdown.

    :param subject: one line, for the list of questions
    :param body: figures, reasons, examples, and what happens on each answer
    :param digest: of all that an answer is for: another plan, or another text, has another digest
    """

    subject: str
    body: str
    digest: str


def render_question(
    place: str,
    counts: Mapping[str, int],
    findings: Sequence[str],
    *,
    to_import: Sequence[str],
    to_remove: Sequence[str],
    order_count: int,
    rejected: str = "",
    timeout: timedelta | None = None,
    changes: str = "",
) -> Question:
    """What a person is asked about a plan.

    :param place: account, site and SIP peer, in words
    :param counts: the plan's counts, by name
    :param findings: why the plan is unsafe; empty if a person is asked about every plan
    :param to_import: the numbers to import; the first ten are shown
    :param to_remove: the numbers to remove; likewise
    :param order_count: how many orders would be sent
    :param rejected: why desired values are not sent, in words
    :param timeout: how long an answer is waited for, before the plan counts as rejected; for ever by default
    :param changes: a digest of everything that the plan would change
    """
    lines = [
        f"The plan is for {place}.",
        "",
        "| | Numbers | Share |",
        "| --- | ---: | ---: |",
        *(
            f"| {label} | {counts[name]:,} | {_share(counts[name], counts[whole], whole)} |"
            for name, label, whole in _ROWS
            if name in counts
        ),
        "",
    ]
    if findings:
        lines += ["**Why you are asked: the plan is unsafe.**", "", *(f"* {_plain(each)}" for each in findings)]
    else:
        lines += ["The plan keeps all its limits. A person is asked about every plan of this DAG."]
    for title, numbers in (("remove", to_remove), ("import", to_import)):
        if numbers:
            lines += ["", f"**First numbers to {title}:** {_show_first(numbers)}"]
    if rejected:
        lines += ["", _plain(rejected)]
    late = f" No answer within {_in_words(timeout)} counts as a rejection." if timeout else ""
    orders = "1 order" if order_count == 1 else f"{order_count:,} orders"
    lines += [
        "",
        f"**Approve**: the plan is made anew, and at most what stands here is sent, now in {orders}.",
        "",
        f"**Reject**: nothing is sent, and the report says who rejected it.{late}",
    ]
    # Airflow's list of questions shows the beginning only.
    subject = f"Import {counts['to_import']:,} and remove {counts['to_remove']:,} numbers? Number sync of {place}"
    body = "\n".join(lines)
    digest = hashlib.sha256(f"{changes}\n{subject}\n{body}".encode()).hexdigest()[:16]
    return Question(subject, body, digest)


def _share(count: int, whole: int, name: str) -> str:
    return f"{100 * count / whole:.1f} % of {name}" if whole else ""


def _show_first(numbers: Sequence[str]) -> str:
    more = f", and {len(numbers) - SHOWN_NUMBERS:,} more" if len(numbers) > SHOWN_NUMBERS else ""
    return ", ".join(numbers[:SHOWN_NUMBERS]) + more


def _in_words(duration: timedelta) -> str:
    minutes = round(duration.total_seconds() / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:.3g} hours"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is: values of an extract may come from anybody.

    An address that Markdown would make a link of, although no mark says so, gets a blank of no width.
    """
    escaped = re.sub(r"([\\`*_{}\[\]<>#|!~&])", r"\\\1", " ".join(text.split()))
    return re.sub(r"(?i)(?<=:)(?=//)|(?<=www)(?=\.)|(?=@)", "\u200b", escaped)
