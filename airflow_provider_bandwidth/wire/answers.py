"""What an answer's status, headers and body mean: which error it is, whether it may pass, how long to wait. Pure."""

from __future__ import annotations

import email.utils
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from typing import Final

from airflow_provider_bandwidth.exceptions import (
    BandwidthApiError,
    BandwidthAuthError,
    InvalidResponseError,
    PageNotFoundError,
)
from airflow_provider_bandwidth.wire.documents import clean_text, describe_errors, read_errors

#: Statuses that say nothing about the request itself: the same GET may succeed a moment later.
RETRYABLE_STATUSES: Final = frozenset({408, 429, *range(500, 600)})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from a call.

    :param headers: names are looked up as Bandwidth spells them, so give a mapping that ignores case
    :param url: the URL asked, without its query, which may name telephone numbers
    :param reason: the words after the status
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    reason: str = ""

    @property
    def leaves_doubt(self) -> bool:
        """Whether an order may have been created although the answer says that something went wrong."""
        return self.status >= 500 or self.status == 408

    @property
    def shows_nothing(self) -> bool:
        """Whether the answer is Bandwidth's "no such order", or, for a list, "none match": 204, or 404 [oas1].

        :raises PageNotFoundError: a 404 that is not Bandwidth's, such as a proxy's page
        """
        if self.status == 404 and self.body.strip():
            try:
                read_errors(self.body)
            except InvalidResponseError as error:
                raise PageNotFoundError(f"HTTP {self.status} from {self.url}: {error}") from None
        return self.status in (204, 404)


def to_error(
    answer: Answer,
    *,
    conn_id: str,
    account_id: str,
    hint: str,
    now: float,
    describe: Callable[[Answer], tuple[str | None, str]] | None = None,
) -> BandwidthApiError:
    """The error that a refusal becomes, with its status, Bandwidth's code and text, and what to do.

    :param conn_id: the connection whose credentials were sent, for the message
    :param account_id: the account asked, for the message
    :param hint: what to do about refused credentials
    :param now: epoch seconds by Bandwidth's clock
    :param describe: reads Bandwidth's code and text; by default from XML
    """
    status, url = answer.status, answer.url
    code, description = (describe or _describe)(answer)
    if status == 401:
        return BandwidthAuthError(
            f"{description.removesuffix('.')}. The credentials of connection {conn_id!r} were refused. {hint}",
            status=status,
            code=code,
            url=url,
        )
    if status == 403:
        return BandwidthAuthError(
            f"{description.removesuffix('.')}. This user may not do this in account {account_id}: check the account id "
            "and the user's roles.",
            status=status,
            code=code,
            url=url,
        )
    if 300 <= status < 400:
        return BandwidthApiError(
            "an unexpected redirect, which was not followed; check the connection's Host", status=status, url=url
        )
    return BandwidthApiError(
        description,
        status=status,
        code=code,
        url=url,
        retryable=status in RETRYABLE_STATUSES,
        retry_after=read_pause(answer.headers, now),
    )


def _describe(answer: Answer) -> tuple[str | None, str]:
    """Bandwidth's code and what it says; else the words after the status."""
    description = clean_text(answer.reason) or "no reason given"
    try:
        errors = read_errors(answer.body) if answer.body else ()
    except InvalidResponseError as error:
        return None, f"{description}. {error}"
    return (errors[0].code or None, describe_errors(errors)) if errors else (None, description)


@contextmanager
def errors_naming_call(answer: Answer) -> Iterator[None]:
    """Have the readers' errors say which call was answered."""
    try:
        yield
    except BandwidthApiError as error:
        raise BandwidthApiError(error.description, status=answer.status, code=error.code, url=answer.url) from None
    except InvalidResponseError as error:
        raise InvalidResponseError(f"HTTP {answer.status} from {answer.url}: {error}") from None


def read_pause(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds a rate-limited answer asks us to wait; ``None`` if it names no time, or one that has passed.

    ``X-RateLimit-Reset`` is an epoch time in seconds, or in milliseconds [rate]; ``Retry-After`` is seconds or a date.

    :param now: epoch seconds by Bandwidth's clock
    """
    reset = headers.get("X-RateLimit-Reset", "").strip()
    after = headers.get("Retry-After", "").strip()
    if reset.isdecimal():
        at = float(reset)
        pause = (at / 1000 if at > 1e11 else at) - now
    elif after.isdecimal():
        pause = float(after)
    elif (date := _read_date(after)) is not None:
        pause = date - now
    else:
        return None
    return pause if pause > 0 else None


def read_clock_offset(headers: Mapping[str, str], sent_at: float, received_at: float) -> float | None:
    """Seconds that Bandwidth's clock is ahead of ours, as an answer's ``Date`` shows; ``None`` without one.

    ``Date`` holds whole seconds, and the answer took time: what these two explain counts as no difference.

    :param sent_at: epoch seconds by our clock when the request was sent
    :param received_at: the same when the answer's headers were there
    """
    date = _read_date(headers.get("Date", ""))
    if date is None:
        return None
    least, most = date - received_at, date + 1 - sent_at
    return max(least, min(0.0, most))


def _read_date(text: str) -> float | None:
    try:
        date = email.utils.parsedate_to_datetime(text)
        return date.replace(tzinfo=date.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None
