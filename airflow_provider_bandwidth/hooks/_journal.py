"""What is known of earlier attempts at a submission, and what remembers it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class EarlierAttempt:
    """What is known of attempts that may have sent the same order before.

    :param sent_since: aware time; none of them can have sent it before this
    :param order_id: the order id that Bandwidth answered, if an answer came
    :param is_airflow_time: whether ``sent_since`` is by Airflow's clock instead of Bandwidth's
    """

    sent_since: datetime
    order_id: str | None = None
    is_airflow_time: bool = False

    def sent_since_by(self, bandwidth_now: datetime, local_now: datetime) -> datetime:
        """In Bandwidth's time. Which of Airflow's machines took a time is not known, so the earlier reading counts."""
        if not self.is_airflow_time:
            return self.sent_since
        return min(self.sent_since, self.sent_since + (bandwidth_now - local_now))


class SubmissionJournal:
    """What a submission remembers across attempts. This one remembers nothing: each submission is the first.

    The operator's journal remembers in Airflow what the search at Bandwidth may not show yet.
    """

    def earlier_attempt(self) -> EarlierAttempt | None:
        """What is known of earlier attempts at the same request; ``None`` if none can have sent it."""
        return None

    def record_sending(self, at: datetime) -> None:
        """Called right before a POST, with the time by Bandwidth's clock. An error raised here prevents the POST."""

    def record_order(self, order_id: str) -> None:
        """Called as soon as the order's id is known, before anything else is done with it."""
