"""What is wrong with an account and its connection, and whom to ask: ``airflow bandwidth doctor``. GETs only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from airflow_provider_bandwidth.exceptions import BandwidthApiError, BandwidthError, InvalidConnectionError
from airflow_provider_bandwidth.readiness import ACCOUNT_ADMIN, AIRFLOW_ADMIN, SUPPORT, Finding, State

if TYPE_CHECKING:
    from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook


def examine(
    hook: BandwidthHook,
    site_id: str | None = None,
    sip_peer_id: str | None = None,
    telephone_numbers: Sequence[str] = (),
) -> Iterator[Finding]:
    """What an on-call engineer would look at, in that order; it ends where nothing more can be found out.

    :param hook: on the connection in question
    :param site_id: SiteId; the connection's by default
    :param sip_peer_id: SipPeerId; the connection's by default
    :param telephone_numbers: numbers that should be able to text
    :raises InvalidParameterError: an argument is wrong
    :raises InvalidTelephoneNumbersError: names every number that is wrong
    """
    try:
        settings, account_id, order_api = hook.settings, hook.account_id, hook.order_api.name
    except InvalidConnectionError as error:
        yield Finding("connection", State.MISSING, str(error), AIRFLOW_ADMIN)
        return
    place = f"{settings.base_url}, account {account_id}, {settings.auth_type}, order API {order_api}"
    yield Finding("connection", State.OK, f"{settings.conn_id}: {place}")
    if settings.auth_type == "basic":
        text = "Bandwidth takes no API-user passwords from 2026-12-02 on: create OAuth2 client credentials"
        yield Finding("authentication", State.NOTE, text, ACCOUNT_ADMIN)
    answers = hook.find_order_apis()
    obstacle = _find_obstacle(hook, answers)
    if obstacle is not None:
        yield obstacle
        return
    yield Finding("credentials", State.OK, "Bandwidth takes them, and shows the account")
    yield _judge_order_api(account_id, order_api, answers)
    try:
        if site_id is None and settings.site_id is None:
            text = "the connection names no site, so each task has to name one. To look at one now, give --site-id"
            yield Finding("site", State.NOTE, text, AIRFLOW_ADMIN)
        else:
            yield from hook.readiness.check_location(
                hook.resolve_site_id(site_id), hook.resolve_sip_peer_id(sip_peer_id)
            )
        yield from hook.readiness.check_roles()
        if telephone_numbers:
            for number in hook.check_readiness(telephone_numbers):
                yield number.to_finding()
    except BandwidthApiError as error:
        yield Finding("Bandwidth", State.UNKNOWN, f"it stopped answering: {error}", SUPPORT)


def _find_obstacle(hook: BandwidthHook, answers: Mapping[str, BandwidthError | None]) -> Finding | None:
    """What keeps every call from its answer, if anything does."""
    refusals = [error for error in answers.values() if error is not None]
    if len(refusals) < len(answers):
        return None
    error = answers.get(hook.order_api.name) or refusals[0]
    if not isinstance(error, BandwidthApiError):
        return Finding("Bandwidth", State.MISSING, f"what answers is not Bandwidth's API: {error}", AIRFLOW_ADMIN)
    problem = hook.settings.explain_failure(error, hook.account_id)
    if error.status is None or error.status >= 500 or error.status == 429:
        return Finding("Bandwidth", State.UNKNOWN, problem, SUPPORT)
    if error.status == 401 or error.url == hook.settings.token_url:
        return Finding("credentials", State.MISSING, problem, AIRFLOW_ADMIN)
    if hook.readiness.shows_account():
        return None
    return Finding("account", State.MISSING, problem, ACCOUNT_ADMIN)


def _judge_order_api(account_id: str, order_api: str, answers: Mapping[str, BandwidthError | None]) -> Finding:
    others = [name for name, error in answers.items() if error is None and name != order_api]
    error = answers.get(order_api)
    if error is None:
        more = f" (others that do: {', '.join(others)})" if others else ""
        return Finding("order API", State.OK, f"{order_api} answers{more}")
    if others:
        text = f"{order_api} does not answer. Set the connection's order_api to one that does: {', '.join(others)}"
        return Finding("order API", State.MISSING, f"{text}. {_shorten(error)}", AIRFLOW_ADMIN)
    text = f"account {account_id} has none: have imports of hosted numbers enabled (IMPORT_TNS). {_shorten(error)}"
    return Finding("order API", State.MISSING, text, SUPPORT)


def _shorten(error: BandwidthError) -> str:
    """What Bandwidth said, without the advice of an ordinary call: what is wrong is known better here."""
    return str(error).partition(". ")[0]
