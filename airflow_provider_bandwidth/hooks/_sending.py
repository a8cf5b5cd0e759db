"""Find or send: one text on its way to being sent once. Knows no HTTP: it is given the calls.

Bandwidth has no key by which it would refuse a second text, and its search shows neither text nor tag (API
reference, section 21). So a text that may have been sent is recognised by what the search does show. The words used:

ours
    A text with our sender, one of our receivers and our length, taken by Bandwidth while ours may have been sent.
claimed
    A text that another task of the run is known to have sent: never ours.
doubt
    The answer to a POST that does not tell whether the text was taken.
lag
    The time until the search shows a text. Nobody documents it; it is given a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from airflow_provider_bandwidth.exceptions import (
    AmbiguousMessageError,
    BandwidthApiError,
    BandwidthError,
    InvalidResponseError,
)
from airflow_provider_bandwidth.messaging.records import MessageRecord, SentMessage
from airflow_provider_bandwidth.messaging.requests import InternationalMessageRequest, MessageRequest

_Request = MessageRequest | InternationalMessageRequest

#: Pauses in seconds between the looks for a text that may have been sent: a minute, half of it before the last.
_PAUSES: Final = (1.0, 3.0, 8.0, 18.0, 30.0)
#: Looks in a row that must show a text alone before it counts as ours: other tasks' claims need a moment.
_LOOKS_TO_SETTLE: Final = 3
#: How far the clocks may be apart.
_CLOCK_SKEW: Final = timedelta(minutes=2)
#: The longest time that one search covers [sdk26].
_LONGEST_RANGE: Final = timedelta(days=14)
#: How long after it is noted in the journal a POST may still be sent: its pauses, its time limits, and a margin.
_LONGEST_SENDING: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class EarlierSending:
    """What is known of an attempt that may have sent the same text before.

    :param since: aware time; it cannot have been sent before this
    :param until: aware time; it cannot have been sent after this; ``None`` for now
    :param message_id: the message id that Bandwidth answered, if an answer came
    """

    since: datetime
    until: datetime | None = None
    message_id: str | None = None


class SendingJournal:
    """What a sending remembers across attempts. This one remembers nothing: each is the first."""

    def earlier(self) -> EarlierSending | None:
        """What is known of earlier attempts at the same text; ``None`` if none can have sent it."""
        return None

    def claimed_ids(self) -> Collection[str]:
        """The ids of messages that other tasks are known to have sent."""
        return ()

    def record_sending(self, since: datetime, until: datetime) -> None:
        """Called right before a POST, with the times between which it may be sent. An error here prevents the POST."""

    def record_not_sent(self) -> None:
        """Called when Bandwidth has refused the text, or was never reached."""

    def record_sent(self, message_id: str) -> None:
        """Called as soon as the message's id is known."""


@dataclass(frozen=True, slots=True)
class MessageCalls:
    """The calls that a sending makes.

    :param wait: waits until the rate allows the text
    :param send: sends it, once
    :param search: the messages that match filters; ``None`` where the API has no search
    :param now: the time by Bandwidth's clock
    """

    wait: Callable[[], None]
    send: Callable[[Any], SentMessage]
    search: Callable[..., Iterable[MessageRecord]] | None
    now: Callable[[], datetime]


class Sending:
    """One text on its way to being sent once. The module's glossary has the words used here.

    :param sleep: pauses for so many seconds
    """

    def __init__(
        self,
        request: _Request,
        calls: MessageCalls,
        journal: SendingJournal,
        *,
        sleep: Callable[[float], None],
        log: Any,
    ) -> None:
        self._request = request
        self._calls = calls
        self._journal = journal
        self._sleep = sleep
        self._log = log

    def find_or_send(self) -> SentMessage:
        """Find the text that an earlier attempt sent, or send it.

        :raises AmbiguousMessageError: whether it was sent cannot be found out
        """
        earlier = self._journal.earlier()
        if earlier is None:
            return self.send()
        if earlier.message_id is not None:
            self._log.info("An earlier attempt sent message %s. Nothing more is sent.", earlier.message_id)
            return SentMessage(earlier.message_id)
        until = earlier.until or self._calls.now() + _CLOCK_SKEW
        if until <= earlier.since:
            raise AmbiguousMessageError(
                f"an earlier attempt may have sent it, and that cannot be looked for: it was sent after "
                f"{earlier.since}, which has not come yet by this machine's clock, so the clocks of Airflow's machines "
                "differ"
            )
        found = self._find("an earlier attempt may have sent it", earlier.since, until)
        if found is not None:
            return found
        self._log.warning(
            "An earlier attempt may have sent this text, but Bandwidth's search has shown no such text for a minute. "
            "It is sent now. If the earlier one shows up later, there are two."
        )
        return self.send()

    def send(self) -> SentMessage:
        """Send the text, and look for it where the answer leaves doubt.

        :raises AmbiguousMessageError: it may have been sent, and the search does not show it
        """
        self._calls.wait()
        now = self._calls.now()
        since, until = now - _CLOCK_SKEW, now + _LONGEST_SENDING
        self._journal.record_sending(since, until)
        try:
            sent = self._calls.send(self._request)
        except AmbiguousMessageError as doubt:
            found = self._find(doubt.reason, since, until)
            if found is None:
                raise AmbiguousMessageError(
                    f"{doubt.reason}. Bandwidth's search has shown no such text for a minute, which does not prove "
                    "that there is none"
                ) from None
            return found
        except BandwidthError:
            self._journal.record_not_sent()
            raise
        self._journal.record_sent(sent.message_id)
        return sent

    def _find(self, reason: str, since: datetime, until: datetime) -> SentMessage | None:
        """The text that was sent, if it was; ``None`` if the search has not shown it for a minute.

        :raises AmbiguousMessageError: it cannot be told: the search fails, or shows several that may be it
        """
        if self._calls.search is None:
            raise AmbiguousMessageError(f"{reason}, and this API has no search for messages")
        failure: Exception | None = None
        looks_alone = 0
        ours: dict[str, MessageRecord] = {}
        for pause in (*_PAUSES, None):
            try:
                before = set(ours)
                ours = self._look(since, until)
                failure = None
                looks_alone = looks_alone + 1 if len(ours) == 1 and set(ours) == before else int(len(ours) == 1)
                if looks_alone >= _LOOKS_TO_SETTLE:
                    break
            except (BandwidthApiError, InvalidResponseError) as error:
                failure = error
            if pause is not None:
                self._sleep(pause)
        if failure is not None:
            raise AmbiguousMessageError(f"{reason}, and the search for it failed: {failure}") from failure
        if len(ours) > 1:
            raise AmbiguousMessageError(
                f"{reason}, and the search shows {len(ours)} texts of this length between the same numbers",
                sorted(ours),
            )
        return self._take_over(next(iter(ours.values()))) if ours else None

    def _take_over(self, record: MessageRecord) -> SentMessage:
        self._log.warning(
            "Message %s, taken by Bandwidth at %s, has this text's sender, receiver and length: it is taken to be this "
            "text. Nothing more is sent.",
            record.message_id,
            record.received_at,
        )
        self._journal.record_sent(record.message_id)
        return SentMessage(record.message_id, record.received_at, record.segment_count)

    def _look(self, since: datetime, until: datetime) -> dict[str, MessageRecord]:
        assert self._calls.search is not None
        assert isinstance(self._request, MessageRequest)
        matching: dict[str, MessageRecord] = {}
        start = since
        while start < until:
            end = min(start + _LONGEST_RANGE, until)
            found = self._calls.search(
                source=self._request.from_,
                destination=list(self._request.to),
                direction="OUTBOUND",
                received_from=start,
                received_to=end,
            )
            matching |= {record.message_id: record for record in found if _may_be(record, self._request, since, until)}
            start = end
        claimed = set(self._journal.claimed_ids()) if matching else set()
        return {message_id: record for message_id, record in matching.items() if message_id not in claimed}


def _may_be(record: MessageRecord, request: MessageRequest, since: datetime, until: datetime) -> bool:
    """Whether a record may be of this text. What the record does not show counts as alike."""
    if record.tag and request.tag:
        return record.tag == request.tag
    if record.received_at is not None and not since <= record.received_at <= until:
        return False
    if record.source and not _is_same_address(record.source, request.from_):
        return False
    if record.destination and not any(_is_same_address(record.destination, number) for number in request.to):
        return False
    return record.direction in ("", "OUTBOUND") and (record.length is None or record.length in _lengths(request.text))


def _is_same_address(one: str, other: str) -> bool:
    digits = "".join(filter(str.isdigit, one)), "".join(filter(str.isdigit, other))
    return digits[0] == digits[1] if all(digits) else one.strip().casefold() == other.strip().casefold()


def _lengths(text: str | None) -> set[int]:
    """What may count as the length of a text: nobody documents whether it is characters, UTF-16 units or bytes."""
    text = text or ""
    return {len(text), len(text.encode("utf-16-le")) // 2, len(text.encode())}
