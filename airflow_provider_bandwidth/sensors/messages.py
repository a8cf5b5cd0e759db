"""Wait for the delivery of a text, and hand on what became of it."""

from __future__ import annotations

import reprlib
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    PokeReturnValue,
    conf,
)

from airflow_provider_bandwidth.exceptions import (
    BandwidthError,
    InvalidConnectionError,
    InvalidParameterError,
    MessageFailedError,
    MessageNotFoundError,
    MissingConnectionError,
)
from airflow_provider_bandwidth.hooks.messaging import BandwidthMessagingHook
from airflow_provider_bandwidth.messaging.records import (
    DeliveryOutcome,
    MessageRecord,
    MessageVerdict,
    judge_message,
)
from airflow_provider_bandwidth.order_outcomes import DEFERRAL_MARGIN, ERRORS_KEY
from airflow_provider_bandwidth.sensors._waiting import WaitingSensor
from airflow_provider_bandwidth.triggers._message_poller import NOT_SHOWN_GRACE, MessageWaitEvent, not_shown
from airflow_provider_bandwidth.triggers.messages import BandwidthMessageTrigger
from airflow_provider_bandwidth.triggers.waiting import MAX_REFUSALS, REFUSAL_GRACE, Refusals, is_refusal

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: Bandwidth gives up waiting for a receipt after about two hours (API reference, section 21.3).
_DEFAULT_TIMEOUT: Final = timedelta(hours=4).total_seconds()


class BandwidthMessageSensor(WaitingSensor):
    """Wait until a text was delivered, has failed, or got no receipt, and push what became of it.

    XComs, on every outcome and before a task fails, the same poked, rescheduled or deferred:

    ``return_value``
        ``{"message_id", "outcome", "status", "error_code", "advice", "delivered_count", "error_count"}``; the
        outcome is ``delivered``, ``failed`` or ``no_receipt``, of a group message the worst of its receivers
    ``errors``
        ``[{"telephone_number", "code", "description"}, ...]``, one entry for each receiver that it did not reach

    An outcome that is not allowed fails the task without retries, or skips it with ``soft_fail``. The wait ends by
    ``timeout`` (four hours by default, since Bandwidth gives up after about two), by ``execution_timeout`` if that is
    sooner, or by a refusal of Bandwidth's that was seen several times in a row. Any other failure is waited out.

    :param message_id: the text to wait for; templated
    :param allowed_outcomes: outcomes that let the task succeed. ``no_receipt`` (9902) is logged as a warning: the text
        may have arrived, so that sending it again may double it
    :param account_id: Bandwidth account; the connection's by default; templated
    :param bandwidth_conn_id: Airflow connection of type ``bandwidth``; templated
    :param deferrable: wait in the triggerer, where many texts share a search; by default what
        ``[operators] default_deferrable`` says
    """

    template_fields: Sequence[str] = ("message_id", "account_id", "bandwidth_conn_id")
    ui_color = "#e8f4fd"

    def __init__(
        self,
        *,
        message_id: str,
        allowed_outcomes: Iterable[str] | str = (DeliveryOutcome.DELIVERED, DeliveryOutcome.NO_RECEIPT),
        account_id: str | None = None,
        bandwidth_conn_id: str = BandwidthMessagingHook.default_conn_name,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("timeout", _DEFAULT_TIMEOUT)
        super().__init__(**kwargs)
        self.message_id = message_id
        self.allowed_outcomes = _parse_allowed_outcomes(allowed_outcomes)
        self.account_id = account_id
        self.bandwidth_conn_id = bandwidth_conn_id
        self.deferrable = deferrable
        self._refusals = Refusals()
        self._record: MessageRecord | None = None
        self._last_failure: str | None = None

    @cached_property
    def hook(self) -> BandwidthMessagingHook:
        """The connection to Bandwidth; read anew after a refusal."""
        return BandwidthMessagingHook(self.bandwidth_conn_id, self.account_id)

    def execute(self, context: Context) -> Any:
        """Poke or reschedule as Airflow does, or look once and defer."""
        if not self.deferrable:
            with self._softening_timeouts():
                try:
                    return super().execute(context)
                except AirflowSensorTimeout as error:
                    raise self._make_timeout(self._status, self._last_failure) from error
        started_at = time.time()
        with self._softening_failures():
            verdict = self._look(waited=0.0)
            if verdict is not None:
                return self._finish(verdict, context)
        return self._wait_on(context, started_at)

    def _wait_on(self, context: Context, started_at: float) -> NoReturn:
        deadline = started_at + self._get_time_limit()
        remaining = max(0.0, deadline - time.time())
        sent_at = None if self._record is None or self._record.received_at is None else self._record.received_at
        self.defer(
            trigger=BandwidthMessageTrigger(
                message_id=str(self.message_id),
                bandwidth_conn_id=self.bandwidth_conn_id,
                account_id=self.account_id,
                poke_interval=self.poke_interval,
                started_at=started_at,
                deadline=deadline,
                status=self._status,
                sent_at=None if sent_at is None else sent_at.timestamp(),
                source=None if self._record is None else self._record.source or None,
            ),
            method_name="execute_complete",
            kwargs={"try_number": context["ti"].try_number, "started_at": started_at},
            timeout=timedelta(seconds=remaining + self.poke_interval + DEFERRAL_MARGIN),
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """Look for the text once. A fault that may pass is logged and the wait goes on."""
        verdict = self._look(self._get_waited_seconds(context))
        if verdict is None:
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._finish(verdict, context))

    # --- looking ---

    @property
    def _status(self) -> str | None:
        return None if self._record is None else self._record.status

    def _look(self, waited: float) -> MessageVerdict | None:
        """Look for the text; ``None`` where it has not ended, or the look failed and the wait goes on.

        :param waited: seconds since the wait began
        :raises AirflowFailException: what only a change of the DAG or the connection can mend
        :raises Exception: a refusal that lasts
        """
        while True:
            try:
                records = self.hook.get_message(self.message_id)
                if not records:
                    raise not_shown(self.message_id)  # noqa: TRY301
            except InvalidParameterError as error:
                raise AirflowFailException(str(error)) from error
            except Exception as error:
                is_found = not isinstance(error, MissingConnectionError)
                if isinstance(error, InvalidConnectionError) and is_found and not waited:
                    raise AirflowFailException(str(error)) from error
                if not self._take_failure(error, waited):
                    return None
            else:
                self._take_records(records)
                return judge_message(records)
            # A rescheduled sensor forgets what it saw: it makes sure at once.
            time.sleep(REFUSAL_GRACE / (MAX_REFUSALS - 1))

    def _take_records(self, records: Sequence[MessageRecord]) -> None:
        self._refusals.reset()
        self._last_failure = None
        if records[0].status != self._status:
            self.log.info("Message %s is %s.", self.message_id, records[0].status)
        self._record = records[0]

    def _take_failure(self, error: Exception, waited: float) -> bool:
        """Take a failed look.

        :return: whether to look again at once
        :raises Exception: the error, if it is a refusal that lasts
        """
        self._last_failure = str(error) or type(error).__name__
        self.__dict__.pop("hook", None)
        is_new = isinstance(error, MessageNotFoundError) and self._record is None and waited < NOT_SHOWN_GRACE
        looks_again = self.reschedule and not self.deferrable and is_refusal(error) and not is_new
        lasts = not is_new and self._refusals.take_failure(error, time.time(), was_seen=True)
        if lasts and not self.deferrable:
            raise error
        if not looks_again:
            self.log.warning(
                "Could not learn what became of message %s, trying again: %s", self.message_id, self._last_failure
            )
        return looks_again

    # --- ending ---

    def execute_complete(
        self, context: Context, event: Any, try_number: int | None = None, started_at: float | None = None
    ) -> Any:
        """Judge the trigger's event as :meth:`poke` judges what it reads.

        :param event: what the trigger sent
        :param try_number: the number of the try that deferred. On Airflow 3.0 a retry is given the event that failed
            the try before it, and has to wait anew
        :param started_at: epoch seconds at which the wait began
        """
        if try_number not in (None, context["ti"].try_number):
            return self.execute(context)
        outcome = MessageWaitEvent.from_payload(event)
        with self._softening_failures():
            if outcome.timed_out:
                raise self._make_timeout(outcome.last_status, outcome.last_failure)
            verdict = judge_message(outcome.records)
            if outcome.error is None and verdict is not None:
                return self._finish(verdict, context)
            message = f"Waiting for message {self.message_id} was given up: {outcome.error}"
            if not self.silent_fail:
                raise BandwidthError(message)
            self.log.error("%s. The wait goes on, since silent_fail is set.", message)
        return self._wait_on(context, time.time() if started_at is None else started_at)

    def _make_timeout(self, last_status: str | None, last_failure: str | None) -> BaseException:
        return self._time_is_over(
            f"What became of message {self.message_id} was not known", "be delivered", last_status, last_failure
        )

    def _finish(self, verdict: MessageVerdict, context: Context) -> dict[str, Any]:
        """Push the XComs, then succeed or fail by the policy."""
        summary = verdict.summary()
        context["ti"].xcom_push(key=ERRORS_KEY, value=verdict.errors)
        said = self._describe(verdict)
        (self.log.info if verdict.outcome is DeliveryOutcome.DELIVERED else self.log.warning)("%s", said)
        if verdict.outcome not in self.allowed_outcomes:
            context["ti"].xcom_push(key="return_value", value=summary)
            failure = MessageFailedError(f"{said} Allowed: {', '.join(self.allowed_outcomes)}.", summary)
            raise AirflowFailException(str(failure)) from failure
        return summary

    @staticmethod
    def _describe(verdict: MessageVerdict) -> str:
        """How it ended; if not well, who found fault, whether to send again, whether it is billed, and what to do."""
        known = verdict.explained
        said = f"{verdict.outcome}: message {verdict.message_id}"
        if verdict.outcome is DeliveryOutcome.DELIVERED:
            return f"{said}."
        if known is None:
            return (
                f"{said}, status {verdict.summary()['status']}, without an error code that is known. Ask Bandwidth's "
                "support, with the message id."
            )
        billed = {True: "billed", False: "not billed", None: "billed or not"}[known.billed]
        return (
            f"{said}, code {known.code}: {known.group}: {known.meaning}. What to do: {known.advice}. Send it again: "
            f"{known.resend}. It is {billed}."
        )


def _parse_allowed_outcomes(outcomes: Iterable[str] | str) -> tuple[str, ...]:
    given = [outcomes] if isinstance(outcomes, str) else list(outcomes)
    try:
        allowed = tuple(str(DeliveryOutcome(str(outcome))) for outcome in given)
    except ValueError:
        allowed = ()
    if not allowed:
        raise ValueError(
            f"allowed_outcomes: expected some of {', '.join(DeliveryOutcome)}, got {reprlib.repr(given)}. This "
            "parameter takes neither templates nor the output of a task."
        )
    return allowed
