"""What a look at an account, a location or a number found, and whom to ask about what is missing. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

#: Whom to ask.
AIRFLOW_ADMIN: Final = "whoever keeps Airflow's connections"
ACCOUNT_ADMIN: Final = "whoever administers the account in Bandwidth's App"
SUPPORT: Final = "Bandwidth's support"


class State(StrEnum):
    """What a look found."""

    OK = "ok"
    """nothing stands in the way"""
    NOTE = "note"
    """nothing stands in the way of orders; something else may not work"""
    MISSING = "missing"
    """something has to be done first"""
    UNKNOWN = "unknown"
    """it could not be found out"""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found.

    :param subject: what was looked at
    :param state: what was found
    :param text: the same in words; where something is missing, also what to do
    :param ask: who can do it; empty where nothing is missing
    """

    subject: str
    state: State
    text: str
    ask: str = ""

    @property
    def is_in_the_way(self) -> bool:
        """Whether something is missing, or may be."""
        return self.state in (State.MISSING, State.UNKNOWN)

    def to_dict(self) -> dict[str, str]:
        """The fields as JSON scalars."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class NumberReadiness:
    """Whether a number can text, as far as Bandwidth shows it.

    :param telephone_number: ten digits
    :param findings: what is missing, or could not be found out; none if the number can text
    :param campaign_id: the campaign that it is on
    """

    telephone_number: str
    findings: tuple[Finding, ...]
    campaign_id: str | None = None

    @property
    def is_ready(self) -> bool:
        """Whether nothing is missing, and everything could be found out."""
        return not self.findings

    def to_finding(self) -> Finding:
        """All of it in one line."""
        if self.is_ready:
            on = f", on campaign {self.campaign_id}" if self.campaign_id else ""
            return Finding(self.telephone_number, State.OK, f"ready to text{on}")
        is_missing = any(finding.state is State.MISSING for finding in self.findings)
        return Finding(
            self.telephone_number,
            State.MISSING if is_missing else State.UNKNOWN,
            ("cannot text yet: " if is_missing else "perhaps ready: ")
            + "; ".join(f"{finding.subject}: {finding.text}" for finding in self.findings),
            ", ".join(dict.fromkeys(finding.ask for finding in self.findings if finding.ask)),
        )
