"""The fate of every number of a sync: one of nine, each with its reason.

Pure: no Airflow, no network.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Final, Self

from airflow_provider_bandwidth.orders import Action, ProcessingStatus, TelephoneNumberError


class Fate(StrEnum):
    """What became of a telephone number. Exactly one holds."""

    UNCHANGED = "unchanged"
    """desired, and at Bandwidth before the run"""
    IMPORTED = "imported"
    """can be used now; where the sync assigns a campaign, it has it"""
    CANNOT_TEXT = "cannot_text"
    """at Bandwidth, but without the campaign that it was to be assigned to"""
    REMOVED = "removed"
    """gone from Bandwidth now"""
    ERRORED = "errored"
    """Bandwidth refused it, with a code"""
    REJECTED = "rejected"
    """never sent, for a reason"""
    UNACCOUNTED = "unaccounted"
    """should have been sent, and nobody knows how that ended"""
    PLANNED = "planned"
    """would have been sent, had this not been a dry run, or an unsafe plan"""
    NOT_APPROVED = "not_approved"
    """would have been sent, had a person approved the plan"""


#: The reason of a number that was assigned to the sync's campaign in this run.
CAMPAIGN_ASSIGNED: Final = "campaign assigned"


@dataclass(frozen=True, slots=True)
class NumberFate:
    """One line of the report.

    :param telephone_number: ten digits; the value as it was given if it was rejected for what it is
    :param action: ``IMPORT`` for a desired number, ``REMOVE`` for one that is to go
    :param code: Bandwidth's error code, or the code of the rejection
    :param reason: why it is errored, rejected, unaccounted or cannot text; or that its campaign was assigned
    :param order_id: the order it was sent with, if known; of one that cannot text, the order that was to assign it
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

    @classmethod
    def from_dict(cls, data: Mapping[str, str]) -> Self:
        """Read back what :meth:`to_dict` gave."""
        return cls(**{**data, "fate": Fate(data["fate"])})  # type: ignore[arg-type]


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


def account_for_assignment(
    fates: Iterable[NumberFate], result: OrderResult, *, left_to: str = ""
) -> Iterator[NumberFate]:
    """The fates of numbers that are at Bandwidth, with what became of their campaign.

    :param result: how the order ended that was to assign it to them
    :param left_to: why the assignment was left out on purpose; empty if it was not
    """
    errors: dict[str | None, list[TelephoneNumberError]] = {}
    for error in result.errors:
        errors.setdefault(error.telephone_number, []).append(error)
    completed = frozenset(result.completed_telephone_numbers)
    _, code, because = _fate_of_the_others(result, errors.get(None, []))
    if result.processing_status is None:
        what = (
            "no order is known to have been sent for it"
            if result.order_id is None
            else "how its order ended is not known"
        )
        because = f"{what}: see the log of the task that assigns campaigns"
    for fate in fates:
        own = errors.get(fate.telephone_number)
        if own is None and fate.telephone_number in completed:
            yield replace(fate, reason=CAMPAIGN_ASSIGNED)
        elif left_to and result.order_id is None:
            yield replace(fate, reason=left_to)
        else:
            why = _describe(own) if own else because
            yield NumberFate(
                fate.telephone_number,
                fate.action,
                Fate.CANNOT_TEXT,
                own[0].code if own else code,
                f"{fate.fate}, cannot text yet: {why}",
                result.order_id or fate.order_id,
            )


def _fate_of_the_others(result: OrderResult, unnamed: list[TelephoneNumberError]) -> tuple[Fate, str, str]:
    """The fate of numbers that neither completed nor have an error of their own."""
    if result.order_id is None:
        return Fate.UNACCOUNTED, "", "no order is known to have been sent for it: see the log of the task that sends it"
    if result.processing_status is None:
        return Fate.UNACCOUNTED, "", "how its order ended is not known: see the log of the task that sent it"
    because = _describe(unnamed) if unnamed else "Bandwidth gave no reason"
    if result.processing_status == ProcessingStatus.FAILED:
        # FAILED means that nothing was done [seed], whichever numbers the errors name.
        code = unnamed[0].code if unnamed else ""
        return Fate.ERRORED, code, f"its whole order FAILED: {because}"
    return Fate.UNACCOUNTED, "", f"its order ended {result.processing_status}: {because}"


def _describe(errors: Sequence[TelephoneNumberError]) -> str:
    first, *more = errors
    return "; ".join([first.description or "no description", *(f"{e.code}: {e.description}" for e in more)])
