"""importTnChecker: which telephone numbers could be imported (reference, sections 6.3 and 17)."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from airflow_provider_bandwidth.sandbox.calls import ACCOUNT, Call, make_routes
from airflow_provider_bandwidth.sandbox.http import Answer
from airflow_provider_bandwidth.sandbox.magic import find_magic_number
from airflow_provider_bandwidth.sandbox.orders import OrderError
from airflow_provider_bandwidth.sandbox.request_xml import UnreadableBodyError, read_order
from airflow_provider_bandwidth.sandbox.validation import Refused, check_numbers, find_site_and_peer, read_numbers
from airflow_provider_bandwidth.sandbox.xml import (
    View,
    write_document,
    write_element,
    write_number_list,
    write_repeated_errors,
)

#: What the checker says of no, too many and duplicate numbers.
_CODES: Final = ("7316", "7314", "7360")


def check_import(call: Call) -> Answer:
    """Answer which numbers could be imported."""
    try:
        numbers = _read(call)
    except UnreadableBodyError as error:
        return _refuse(("1019", str(error)))
    except Refused as refused:
        return _refuse(*refused.errors)
    checked = (_check_number(number, call) for number in numbers)
    errors = [each for each in checked if each is not None]
    refused_numbers = {each.telephone_numbers[0] for each in errors}
    importable = [number for number in numbers if number not in refused_numbers]
    return Answer(HTTPStatus.OK, _write_answer(importable, errors, call.view))


def _read(call: Call) -> tuple[str, ...]:
    sent = read_order(call.request.body, "ImportTnCheckerPayload")
    if sent.site_id is not None:
        find_site_and_peer(sent, call.store.sites)
    numbers = read_numbers(sent.telephone_numbers, call.settings, e164=call.view.e164)
    check_numbers(numbers, call.settings.max_numbers_per_order, _CODES)
    return numbers


def _refuse(*errors: tuple[str, str]) -> Answer:
    return Answer(HTTPStatus.BAD_REQUEST, write_repeated_errors("ImportTnCheckerResponse", errors, failed=False))


def _check_number(number: str, call: Call) -> OrderError | None:
    row = find_magic_number(number, "IMPORT")
    if row is not None and row.checker_code:
        return OrderError(row.checker_code, row.text(number), (number,))
    hosted = call.store.hosted(number)
    if hosted is None or (hosted.imported and hosted.location.account_id == call.account_id):
        return None
    if hosted.imported:
        return OrderError("19008", "The telephone number is hosted for another account.", (number,))
    return OrderError("19006", "The telephone number belongs to Bandwidth.", (number,))


def _write_answer(importable: Iterable[str], errors: Iterable[OrderError], view: View) -> bytes:
    refused = "".join(
        "<ImportTnError>"
        + write_element("Code", error.code)
        + write_element("Description", error.description)
        + write_number_list(error.telephone_numbers, view)
        + "</ImportTnError>"
        for error in errors
    )
    content = f"<ImportTnCheckerPayload>{write_number_list(importable, view)}<ImportTnErrors>{refused}</ImportTnErrors>"
    return write_document("ImportTnCheckerResponse", f"{content}</ImportTnCheckerPayload>".encode())


ROUTES: Final = (*make_routes("check", "POST", f"{ACCOUNT}/importTnChecker", check_import, role="ordering"),)
