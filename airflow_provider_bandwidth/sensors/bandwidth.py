"""Wait for an order, judge how it ended, and hand on the fate of every number."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_bandwidth.error_codes import explain_error_code, parse_error_codes
from airflow_provider_bandwidth.exceptions import (
    BandwidthApiError,
    BandwidthError,
    InvalidResponseError,
    OrderFailedError,
)
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.links.bandwidth import ORDER_URL_KEY, BandwidthOrderLink
from airflow_provider_bandwidth.orders import TERMINAL_STATUSES, ProcessingStatus, TnOrder, judge_order
from airflow_provider_bandwidth.triggers.bandwidth import (
    MAX_CONSECUTIVE_FAILURES,
    BandwidthTnOrderTrigger,
    OrderEvent,
    may_pass,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_bandwidth.orders import OrderOutcome

#: XCom keys beside ``return_value``; a contract with the tasks downstream.
ERRORS_KEY: Final = "errors"
COMPLETED_KEY: Final = "completed_telephone_numbers"
#: Seconds that the trigger's own deadline event has to arrive before Airflow ends the deferral.
_DEFERRAL_MARGIN: Final = 120.0


class BandwidthTnOrderSensor(BaseSensorOperator):
    """Wait until an order is COMPLETE, PARTIAL or FAILED, and push what became of its telephone numbers.

    XComs, on every terminal status and before a task fails, the same poked, rescheduled or deferred:

    ``return_value``
        ``{"order_id", "customer_order_id", "action", "processing_status", "completed_count", "error_count"}``
    ``errors``
        ``[{"telephone_number", "code", "description"}, ...]``, one entry per number and error; the number is ``None``
        where Bandwidth's error names none
    ``completed_telephone_numbers``
        ten digits each; for IMPORT, the numbers that can be used

    An order that ends in a status that is not allowed fails the task without retries; with ``soft_fail`` it is skipped.

    :param order_id: the order to wait for; templated
    :param allowed_statuses: terminal statuses that let the task succeed; PARTIAL is logged as a warning
    :param ignore_error_codes: Bandwidth error codes that count as done, say 5124 "already exists". An order whose only
        errors are ignored counts as COMPLETE
    :param account_id: Bandwidth account; the connection's by default; templated
    :param bandwidth_conn_id: Airflow connection of type ``bandwidth``; templated
    :param deferrable: wait in the triggerer, where thousands of orders cost no worker slot; by default what
        ``[operators] default_deferrable`` says
    """

    template_fields: Sequence[str] = ("order_id", "account_id", "bandwidth_conn_id")
    operator_extra_links = (BandwidthOrderLink(),)
    ui_color = "#e8f4fd"

    def __init__(
        self,
        *,
        order_id: str,
        allowed_statuses: Collection[str] = (ProcessingStatus.COMPLETE, ProcessingStatus.PARTIAL),
        ignore_error_codes: Iterable[str | int] | str | int | None = (),
        account_id: str | None = None,
        bandwidth_conn_id: str = BandwidthHook.default_conn_name,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.order_id = order_id
        self.allowed_statuses = tuple(str(ProcessingStatus.parse(status)) for status in _as_tuple(allowed_statuses))
        unknown = [status for status in self.allowed_statuses if status not in TERMINAL_STATUSES]
        if unknown or not self.allowed_statuses:
            raise ValueError(
                f"allowed_statuses: expected some of {', '.join(sorted(TERMINAL_STATUSES))}, got {unknown}"
            )
        self.ignore_error_codes = parse_error_codes(ignore_error_codes)
        self.account_id = account_id
        self.bandwidth_conn_id = bandwidth_conn_id
        self.deferrable = deferrable
        self.order_url: str | None = None
        self._outcome: OrderOutcome | None = None
        self._hook: BandwidthHook | None = None
        self._first_poke_at: float | None = None
        self._failures = 0
        self._processing_status: str | None = None

    def execute(self, context: Context) -> Any:
        """Poke or reschedule as Airflow does, or look once and defer."""
        if not self.deferrable:
            return super().execute(context)
        started_at = time.time()
        with self._softening_failures():
            result = self.poke(context)
        if not result:
            self._defer(context, started_at)
        return result.xcom_value

    def _defer(self, context: Context, started_at: float) -> NoReturn:
        """Wait in the triggerer; the deadline is that of a wait that began at *started_at*, epoch seconds."""
        self.defer(
            trigger=BandwidthTnOrderTrigger(
                order_id=self.order_id,
                bandwidth_conn_id=self.bandwidth_conn_id,
                # In full, so that sensors which leave it to the connection share a poller with those that name it.
                account_id=self._get_hook().account_id,
                poke_interval=self.poke_interval,
                started_at=started_at,
                deadline=started_at + self.timeout,
                processing_status=self._processing_status,
                exponential_backoff=bool(self.exponential_backoff),
                max_wait=None if self.max_wait is None else self.max_wait.total_seconds(),
            ),
            method_name="execute_complete",
            kwargs={"try_number": context["ti"].try_number, "started_at": started_at},
            timeout=timedelta(seconds=self.timeout + self.poke_interval + _DEFERRAL_MARGIN),
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """Read the order once. A fault that may pass is logged and the wait goes on."""
        waited = self._get_waited_seconds(context)
        try:
            order = self._get_hook().get_tn_order(self.order_id)
        except (BandwidthApiError, InvalidResponseError) as error:
            self._failures += 1
            if not may_pass(error, waited) or self._failures >= MAX_CONSECUTIVE_FAILURES:
                raise
            self.log.warning("Could not read order %s, trying again: %s", self.order_id, error)
            return PokeReturnValue(is_done=False)
        self._failures = 0
        self._processing_status = str(order.processing_status)
        if not order.is_terminal:
            self.log.info("Order %s is %s.", order.order_id, order.processing_status)
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._finish(order, context))

    def execute_complete(
        self, context: Context, event: Any, try_number: int | None = None, started_at: float | None = None
    ) -> Any:
        """Judge the trigger's event as :meth:`poke` judges what it reads.

        :param event: the trigger's
        :param try_number: of the try that deferred. A retry on Airflow 3.0 gets the event that failed the one before,
            and has to wait anew
        :param started_at: epoch seconds at which the wait began
        """
        if try_number not in (None, context["ti"].try_number):
            return self.execute(context)
        outcome = OrderEvent.from_payload(event)
        with self._softening_failures():
            hook = self._get_hook()
            if outcome.error is not None:
                raise BandwidthError(f"Waiting for order {self.order_id} was given up: {outcome.error}")
            if outcome.timed_out:
                raise AirflowSensorTimeout(
                    f"Order {self.order_id} was not terminal after {self.timeout:.0f} seconds. It may still end: "
                    "clear this task to wait on."
                )
            order = outcome.order
            if order is None:
                order = hook.get_tn_order(self.order_id)
            if order.is_terminal:
                return self._finish(order, context)
        self.log.warning(
            "Order %s is %s, although a list showed that it had ended.", self.order_id, order.processing_status
        )
        return self._defer(context, time.time() if started_at is None else started_at)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """What the order changed; called by Airflow's OpenLineage provider, also after a failure."""
        if self._outcome is None:
            return None
        from airflow_provider_bandwidth.lineage import order_lineage

        return order_lineage(self._get_hook(), self._outcome.order, len(self._outcome.completed_telephone_numbers))

    def _finish(self, order: TnOrder, context: Context) -> dict[str, Any]:
        """Push the XComs of a terminal order, then succeed or fail by the policy."""
        outcome = judge_order(order, allowed_statuses=self.allowed_statuses, ignore_error_codes=self.ignore_error_codes)
        self._outcome = outcome
        summary = outcome.summary()
        ti = context["ti"]
        ti.xcom_push(key=ERRORS_KEY, value=[error.to_dict() for error in outcome.errors])
        ti.xcom_push(key=COMPLETED_KEY, value=list(outcome.completed_telephone_numbers))
        ti.xcom_push(key=ORDER_URL_KEY, value=self.order_url)
        self._log_outcome(outcome)
        if not outcome.is_allowed:
            ti.xcom_push(key="return_value", value=summary)
            failure = OrderFailedError(
                order,
                f"Allowed: {', '.join(self.allowed_statuses)}. "
                f"Each number's error is in this task's XCom {ERRORS_KEY!r}.",
            )
            raise AirflowFailException(str(failure)) from failure
        return summary

    def _log_outcome(self, outcome: OrderOutcome) -> None:
        """What a person looks for: how it ended, how many numbers went wrong and why, and where the rest is."""
        log = (
            self.log.warning
            if outcome.errors or outcome.processing_status != ProcessingStatus.COMPLETE
            else self.log.info
        )
        log(
            "%s: %d telephone numbers completed, %d errors, %d ignored. Order %s.",
            outcome.processing_status,
            len(outcome.completed_telephone_numbers),
            len(outcome.errors),
            outcome.ignored_count,
            outcome.order.order_id,
        )
        for code, count in Counter(error.code for error in outcome.errors).most_common():
            known = explain_error_code(code)
            what = f"{known.meaning}. What to do: {known.advice}." if known else "no advice is known for this code."
            log("%d x %s: %s", count, code or "no code", what)
        if outcome.errors:
            log("What Bandwidth says of each number is in XCom %r.", ERRORS_KEY)
        if outcome.processing_status == ProcessingStatus.PARTIAL:
            log("Only the numbers in XCom %r can be used.", COMPLETED_KEY)

    def _get_hook(self) -> BandwidthHook:
        if self._hook is None:
            self._hook = BandwidthHook(self.bandwidth_conn_id, self.account_id)
            self.order_url = self._hook.order_url(str(self.order_id))
        return self._hook

    def _get_waited_seconds(self, context: Context) -> float:
        now = time.time()
        if self.reschedule and not self.deferrable:
            first = _get_first_poke_date(context["ti"], context)
            return 0.0 if first is None else now - first.timestamp()
        if self._first_poke_at is None:
            self._first_poke_at = now
        return now - self._first_poke_at

    @contextmanager
    def _softening_failures(self) -> Iterator[None]:
        """Skip by ``soft_fail`` and ``never_fail`` what Airflow's own loop skips; it sees the loop's errors only."""
        try:
            yield
        except Exception as error:
            if self.never_fail or (self.soft_fail and isinstance(error, AirflowFailException | AirflowSensorTimeout)):
                reason = "never_fail" if self.never_fail else "soft_fail"
                raise AirflowSkipException(f"Skipped, since {reason} is set: {error}") from error
            raise


def _get_first_poke_date(ti: Any, context: Context) -> datetime | None:
    """When a rescheduled sensor's wait began; ``None`` at its first poke."""
    if hasattr(ti, "get_first_reschedule_date"):
        return cast("datetime | None", ti.get_first_reschedule_date(context))
    # Airflow 2.11, where a task may ask the database.
    from airflow.models.taskreschedule import TaskReschedule
    from airflow.utils.session import create_session

    with create_session() as session:
        query = TaskReschedule.stmt_for_task_instance(ti).with_only_columns(TaskReschedule.start_date).limit(1)
        return cast("datetime | None", session.scalar(query))


def _as_tuple(values: Collection[Any] | str) -> tuple[Any, ...]:
    return (values,) if isinstance(values, str | int) else tuple(values)
