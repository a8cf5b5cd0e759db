"""What becomes of an order when its time is up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from airflow_provider_bandwidth.sandbox.campaigns import find_campaign
from airflow_provider_bandwidth.sandbox.inventory import HostedNumber, Inventory, NumberOptions
from airflow_provider_bandwidth.sandbox.magic import Effect, MagicNumber, find_magic_number
from airflow_provider_bandwidth.sandbox.orders import NewOrder, OrderError


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an order: its status, and the numbers that are ``done``: imported, removed, or with their options."""

    status: str
    errors: tuple[OrderError, ...] = ()
    done: tuple[str, ...] = ()
    missing: frozenset[str] = frozenset()
    warned: tuple[str, ...] = ()


def waits_for_transfer(order: NewOrder) -> bool:
    """Whether the losing carrier of one of its numbers is asked first (reference, 18.4)."""
    rows = (find_magic_number(number, order.action) for number in order.telephone_numbers)
    return any(row is not None and row.effect is Effect.TRANSFER for row in rows)


def decide_outcome(order: NewOrder, inventory: Inventory, *, approved: bool | None = None) -> Outcome:
    """How ``order`` ends, by its magic numbers and by what the inventory holds.

    :param approved: what the losing carrier said, if it was asked and has answered
    """
    if approved is None and waits_for_transfer(order):
        return Outcome("PROCESSING")
    rows = {number: find_magic_number(number, order.action) for number in order.telephone_numbers}
    if approved:
        rows = {number: row for number, row in rows.items() if row is None or row.effect is not Effect.TRANSFER}
    for row in rows.values():
        if row is not None and row.effect in _WHOLE_ORDER:
            return _end_whole_order(order, row)
    errors = [
        error
        for number in order.telephone_numbers
        for error in _find_errors(order, number, rows.get(number), inventory)
    ]
    unnamed = {number: row for number, row in rows.items() if row and row.effect is Effect.UNNAMED_PARTIAL}
    undone = {error.telephone_numbers[0] for error in errors} | unnamed.keys()
    done = tuple(number for number in order.telephone_numbers if number not in undone)
    errors += [OrderError(row.codes[0], row.text()) for row in unnamed.values()]
    status = _decide_status(errors, some_done=bool(done or unnamed))
    missing = frozenset(number for number, row in rows.items() if row and row.effect is Effect.UNACCOUNTED)
    return Outcome(status, tuple(errors), done, missing, _find_warned(order, done, inventory))


def _find_warned(order: NewOrder, done: tuple[str, ...], inventory: Inventory) -> tuple[str, ...]:
    """Numbers whose SMS is to be turned on and is on already."""
    turned_on = {n for group in order.option_groups if group.sms == "on" for n in group.telephone_numbers}
    return tuple(n for n in done if n in turned_on and inventory.options.get(n, NumberOptions()).sms)


def _decide_status(errors: list[OrderError], *, some_done: bool) -> str:
    if not errors:
        return "COMPLETE"
    return "PARTIAL" if some_done else "FAILED"


_WHOLE_ORDER: Final = frozenset({Effect.ORDER, Effect.UNNAMED_FAILED, Effect.NEVER_ENDS, Effect.EXCEPTION})


def _end_whole_order(order: NewOrder, row: MagicNumber) -> Outcome:
    if row.effect is Effect.NEVER_ENDS:
        return Outcome("PROCESSING")
    if row.effect is Effect.EXCEPTION:
        return Outcome("EXCEPTION")
    if row.effect is Effect.UNNAMED_FAILED:
        return Outcome("FAILED", (OrderError(row.codes[0], row.text()),))
    return Outcome(
        "FAILED", tuple(OrderError(row.codes[0], row.text(number), (number,)) for number in order.telephone_numbers)
    )


def _find_errors(order: NewOrder, number: str, row: MagicNumber | None, inventory: Inventory) -> tuple[OrderError, ...]:
    if row is not None and row.effect in (Effect.NUMBER, Effect.TRANSFER):
        return tuple(OrderError(code, row.text(number), (number,)) for code in row.codes)
    refusal = _REFUSALS[order.action](order, number, inventory.get(number))
    return () if refusal is None else (OrderError(*refusal, (number,)),)


def _find_import_refusal(order: NewOrder, _: str, hosted: HostedNumber | None) -> tuple[str, str] | None:
    if hosted is None:
        return None
    own = hosted.location.account_id == order.account_id
    if order.order_api == "externalTns":
        if not own:
            return "5124", "The telephone number already exists on another account."
        return None if hosted.imported else ("25060", "The telephone number belongs to Bandwidth.")
    if not own:
        return "19008", "The telephone number is hosted for another account."
    if not hosted.imported:
        return "19006", "The telephone number belongs to Bandwidth."
    return ("7206", "The telephone number is already in service.") if order.rules.reimport == "refused" else None


def _find_removal_refusal(order: NewOrder, _: str, hosted: HostedNumber | None) -> tuple[str, str] | None:
    if hosted is None:
        return _NEVER_IMPORTED
    if hosted.location.account_id != order.account_id:
        return "5076", "The telephone number does not belong to this account."
    if hosted.imported:
        return None
    not_external = ("25120", "The telephone number is not external.")
    return not_external if order.order_api == "externalTns" else _NEVER_IMPORTED


_NEVER_IMPORTED: Final = ("5158", "The telephone number was never imported.")


def _find_option_refusal(order: NewOrder, number: str, hosted: HostedNumber | None) -> tuple[str, str] | None:
    if hosted is None or hosted.location.account_id != order.account_id:
        return "5076", "The telephone number does not belong to this account."
    group = next(group for group in order.option_groups if number in group.telephone_numbers)
    if group.a2p_action in (None, "unchanged"):
        return None
    if hosted.imported and order.rules.options_on_hosted == "refused":
        return "5128", "Only SMS can be changed on external telephone numbers."
    if not order.rules.sms_enabled:
        return "5132", "Sms must be on for A2pSettings."
    if not order.rules.a2p_enabled:
        return "5133", "The location is not set up for A2P."
    campaign = find_campaign(group.campaign_id or "")
    return (campaign.code, campaign.description) if campaign.code else None


_Refusal = Callable[[NewOrder, str, HostedNumber | None], tuple[str, str] | None]
_REFUSALS: Final[Mapping[str, _Refusal]] = {
    "IMPORT": _find_import_refusal,
    "REMOVE": _find_removal_refusal,
    "OPTIONS": _find_option_refusal,
}
