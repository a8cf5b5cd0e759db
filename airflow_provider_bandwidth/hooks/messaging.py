"""The hook for text messages: Messaging API v2, and the legacy International A2P API."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bandwidth.exceptions import (
    AmbiguousMessageError,
    BandwidthApiError,
    InvalidParameterError,
    InvalidResponseError,
)
from airflow_provider_bandwidth.hooks._api import ApiHook
from airflow_provider_bandwidth.hooks._sending import MessageCalls, Sending, SendingJournal
from airflow_provider_bandwidth.messaging.requests import (
    ALL_FINAL_REPORTS,
    InternationalMessageRequest,
    MessageRequest,
)

if TYPE_CHECKING:
    from airflow_provider_bandwidth.messaging.records import MessageRecord, SentMessage
    from airflow_provider_bandwidth.wire.answers import Answer

__all__ = ["BandwidthMessagingHook", "SendingJournal"]

_JSON: Final = {"Content-Type": "application/json; charset=utf-8"}
_A2P_PATH: Final = "bulk/sendsms"
#: The HTTP status with which the A2P API refuses a message [intl].
_A2P_REFUSED: Final = 420
#: Its code for messages that come too fast; such a message is sent again after a second [intl].
_A2P_TOO_FAST: Final = "105"
#: The most messages that one search shows [sdk26].
_MAX_LISTED: Final = 10_000


class BandwidthMessagingHook(ApiHook):
    """Sends text messages, and looks for them. It shares connection, token, time limits and errors with the other hook.

    What is sent again, and when:

    ======================================  ==============================  =====================================
    what happened                           search, request for a token     sending a text
    ======================================  ==============================  =====================================
    connection never established            again                           again: nothing was sent
    connection broke, timeout, broken body  again                           never: ``AmbiguousMessageError``
    408, 5xx                                again                           never: ``AmbiguousMessageError``
    429 (queue full; too many searches)     again, after its pause          again, after a pause
    401                                     once, with a new token          once, with a new token
    400, 403, 404, other 4xx, redirects     never                           never
    ======================================  ==============================  =====================================

    Texts wait until the connection's ``max_segments_per_minute`` allows them. All hooks of a process share that
    budget.
    """

    _accept = "application/json"

    # --- sending ---

    def send_message(
        self,
        to: str | Sequence[str],
        from_: str,
        text: str | None = None,
        *,
        media: str | Iterable[str] = (),
        application_id: str | None = None,
        tag: str | None = None,
        priority: str | None = None,
        expiration: datetime | None = None,
    ) -> SentMessage:
        """Send one text through Messaging API v2, once. A repeated call sends a second text.

        :param to: the receiver's number; several make one group message, whose receivers see each other
        :param from_: a number of the account, a short code, or an alphanumeric sender
        :param text: at most 2,048 characters
        :param media: addresses of files, which make it an MMS
        :param application_id: messaging application; the connection's by default
        :param tag: at most 1,024 characters; comes back in callbacks
        :param priority: ``default`` or ``high``
        :param expiration: aware time after which it is not sent any more
        :raises InvalidParameterError: a field is wrong; nothing was sent
        :raises AmbiguousMessageError: it may have been sent
        :raises BandwidthAuthError: credentials or role; nothing was sent
        :raises BandwidthApiError: Bandwidth refused it, or was never reached; nothing was sent
        """
        return self.send(
            self.make_request(
                to,
                from_,
                text,
                media=media,
                application_id=application_id,
                tag=tag,
                priority=priority,
                expiration=expiration,
            )
        )

    def make_request(self, to: Any, from_: Any, text: Any = None, **fields: Any) -> MessageRequest:
        """A request for :meth:`send` and :meth:`submit`, with the parameters of :meth:`send_message`.

        :raises InvalidParameterError: a field is wrong
        """
        application_id = fields.pop("application_id", None) or self.settings.application_id
        return MessageRequest(to=to, from_=from_, text=text, application_id=application_id or "", **fields)

    def send_international_message(
        self, to: str, from_: str, text: str, *, dlr_url: str, dlr_mask: int = ALL_FINAL_REPORTS
    ) -> SentMessage:
        """Send one text through the International A2P API, which Bandwidth calls legacy.

        The connection's login and password are those of that API. It raises what :meth:`send_message` raises.

        :param to: in E.164
        :param from_: at most 11 letters and digits, or 16 digits
        :param text: each of its parts is billed
        :param dlr_url: where delivery reports go to
        :param dlr_mask: which reports: the sum of 1 delivered, 2 undelivered, 4 buffered, 8 sent, 16 rejected
        """
        return self.send(InternationalMessageRequest(to, from_, text, dlr_url, dlr_mask))

    def send(self, request: MessageRequest | InternationalMessageRequest) -> SentMessage:
        """Send one request, once; it raises what :meth:`send_message` raises."""
        self._wait_for_budget(request.segment_count)
        return self._send_once(request)

    def _send_once(self, request: MessageRequest | InternationalMessageRequest) -> SentMessage:
        if isinstance(request, InternationalMessageRequest):
            return self._send_international(request)
        from airflow_provider_bandwidth.wire.messages import read_sent, write_message

        answer = self._call(
            "POST",
            self._messages_path,
            accept=range(200, 300),
            doubt=AmbiguousMessageError,
            data=write_message(request),
            headers=_JSON,
        )
        return _read_taken(answer, read_sent)

    def submit(
        self, request: MessageRequest | InternationalMessageRequest, journal: SendingJournal | None = None
    ) -> SentMessage:
        """Send a text, or find the one that an earlier attempt sent.

        The operator's docstring says what is promised.

        :param journal: what is known of earlier attempts, and where this one is recorded
        :raises AmbiguousMessageError: whether it was sent cannot be found out; nothing more was sent
        """
        can_search = isinstance(request, MessageRequest)
        calls = MessageCalls(
            wait=lambda: self._wait_for_budget(request.segment_count),
            send=self._send_once,
            search=self.search_messages if can_search else None,
            now=self.bandwidth_now,
        )
        return Sending(request, calls, journal or SendingJournal(), sleep=self._sleep, log=self.log).find_or_send()

    def _send_international(self, request: InternationalMessageRequest) -> SentMessage:
        from airflow_provider_bandwidth.wire.messages import read_international_sent, write_international_message

        body = write_international_message(request, self.settings.login, self.settings.password)
        for attempt in range(1, self._max_attempts + 1):
            answer = self._call(
                "POST",
                _A2P_PATH,
                accept=(*range(200, 300), _A2P_REFUSED, 500),
                doubt=AmbiguousMessageError,
                data=body,
                headers=_JSON,
                auth=_without_header,
            )
            if answer.status < 300:
                return _read_taken(answer, read_international_sent)
            error = self._to_error(answer)
            if error.code != _A2P_TOO_FAST or attempt == self._max_attempts:
                break
            self._sleep(1.0)
        # After a 500 the API says to send the text again a minute later, so nothing was sent [intl].
        raise error

    # --- looking ---

    def search_messages(self, **filters: Any) -> Iterator[MessageRecord]:
        """Messages as Bandwidth's search shows them, page by page. It shows neither text nor tag.

        At least one filter: ``message_id``; ``source`` and ``destination`` (one number, or up to ten); ``status``;
        ``direction`` (``OUTBOUND``, ``INBOUND``); ``error_code``; ``received_from`` and ``received_to`` (aware times,
        at most 14 days apart).

        :raises InvalidParameterError: no filter, or a wrong one; nothing was asked
        :raises InvalidResponseError: an answer is no page of messages, or a page comes again
        """
        from airflow_provider_bandwidth.wire.answers import errors_naming_call
        from airflow_provider_bandwidth.wire.messages import read_page, write_search

        query = write_search(**filters)
        seen: set[str] = set()
        listed = 0
        while True:
            answer = self._call("GET", self._messages_path, params=query)
            with errors_naming_call(answer):
                page = read_page(answer.body)
            yield from page.records
            listed += len(page.records)
            if page.next_token is None or not page.records or listed >= _MAX_LISTED:
                return
            if page.next_token in seen:
                raise InvalidResponseError(
                    f"{answer.url} answers the same page of messages again: the search cannot be read to its end."
                )
            seen.add(page.next_token)
            query = {**query, "pageToken": page.next_token}

    def get_message(self, message_id: str) -> tuple[MessageRecord, ...]:
        """What the search shows of one message, a record for each receiver; empty if it does not show it (yet).

        :raises InvalidParameterError: it is no message id, such as the ``None`` of an empty XCom
        """
        message_id = parse_message_id(message_id)
        return tuple(each for each in self.search_messages(message_id=message_id) if each.message_id == message_id)

    # --- requests ---

    @property
    def _messages_path(self) -> str:
        return f"users/{self.account_id}/messages"

    def _url(self, path: str) -> str:
        base_url = self.settings.derive_messaging_url(international_a2p=path == _A2P_PATH)
        return f"{base_url}/{path}"

    def _to_error(self, answer: Answer) -> BandwidthApiError:
        from airflow_provider_bandwidth.wire.answers import to_error
        from airflow_provider_bandwidth.wire.messages import describe_international_refusal, describe_refusal

        is_international = answer.url.endswith(_A2P_PATH)
        return to_error(
            answer,
            conn_id=self.bandwidth_conn_id,
            account_id=self._account_or_none(),
            hint=self.settings.credentials_hint,
            now=self.bandwidth_now().timestamp(),
            describe=describe_international_refusal if is_international else describe_refusal,
        )

    def _account_or_none(self) -> str:
        """The account, for errors and for the budget; an A2P connection needs none."""
        return self._given_account_id or self.settings.account_id or "(none)"

    def _wait_for_budget(self, segments: int) -> None:
        budget = _budget_of(self.bandwidth_conn_id, self._account_or_none())
        while delay := budget.take(segments, self.settings.max_segments_per_minute, self._clock()):
            self.log.info(
                "Waiting %.0f seconds: connection %r sends at most %d segments a minute.",
                delay,
                self.bandwidth_conn_id,
                self.settings.max_segments_per_minute,
            )
            self._sleep(delay)


def parse_message_id(value: object) -> str:
    """A message id without white space around it.

    :raises InvalidParameterError: it is none
    """
    if not isinstance(value, str) or not value.strip() or value.strip() in ("None", "null"):
        raise InvalidParameterError(
            "message_id", f"expected a message id, got {value!r}. Was the task that sends the text skipped?"
        )
    return value.strip()


def _read_taken(answer: Answer, read: Callable[[bytes], SentMessage]) -> SentMessage:
    try:
        return read(answer.body)
    except InvalidResponseError as error:
        raise AmbiguousMessageError(f"Bandwidth answered HTTP {answer.status}, but {error}") from None


def _without_header(request: Any) -> Any:
    """No Authorization header: the credentials are in the body."""
    return request


class _SegmentBudget:
    """The segments that this process has sent within a minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: deque[tuple[float, int]] = deque()

    def take(self, segments: int, per_minute: int, now: float) -> float:
        """Spend so many segments.

        :param now: epoch seconds
        :return: 0 if they were spent; else the seconds after which to ask again
        """
        with self._lock:
            while self._sent and self._sent[0][0] <= now - 60:
                self._sent.popleft()
            spent = sum(count for _, count in self._sent)
            # A text longer than the budget goes alone.
            if spent and spent + segments > per_minute:
                return max(self._sent[0][0] + 60 - now, 0.01)
            self._sent.append((now, segments))
            return 0.0


_BUDGETS: Final[dict[tuple[str, str], _SegmentBudget]] = {}
_BUDGETS_LOCK: Final = threading.Lock()


def _budget_of(conn_id: str, account_id: str) -> _SegmentBudget:
    with _BUDGETS_LOCK:
        return _BUDGETS.setdefault((conn_id, account_id), _SegmentBudget())
