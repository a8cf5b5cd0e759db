"""Wait for an order, judge how it ended, and hand on the fate of every number."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    PokeReturnValue,
    conf,
)

from airflow_provider_bandwidth.error_codes import parse_error_codes
from airflow_provider_bandwidth.exceptions import (
    BandwidthError,
    InvalidConnectionError,
    InvalidParameterError,
    MissingConnectionError,
    OrderFailedError,
    OrderNotFoundError,
)
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.links.bandwidth import ORDER_URL_KEY, BandwidthOrderLink
from airflow_provider_bandwidth.order_outcomes import (
    COMPLETED_KEY,
    DEFERRAL_MARGIN,
    ERRORS_KEY,
    WARNINGS_KEY,
    log_outcomes,
    parse_allowed_statuses,
)
from airflow_provider_bandwidth.order_records import Action, ProcessingStatus, TnOrder, judge_order
from airflow_provider_bandwidth.sensors._waiting import WaitingSensor
from airflow_provider_bandwidth.triggers.bandwidth import BandwidthTnOrderTrigger
from airflow_provider_bandwidth.triggers.waiting import (
    LONG_WAIT,
    MAX_REFUSALS,
    NOT_FOUND_GRACE,
    REFUSAL_GRACE,
    OrderEvent,
    Refusals,
    explain_long_wait,
    is_refusal,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_bandwidth.order_records import OrderOutcome


class BandwidthTnOrderSensor(WaitingSensor):
    """Wait until an order is COMPLETE, PARTIAL or FAILED, and push what became of its telephone numbers.

    XComs, on every terminal status and before a task fails, the same poked, rescheduled or deferred:

    ``return_value``
        ``{"order_id", "customer_order_id", "action", "processing_status", "completed_count", "error_count",
        "order_api"}``
    ``errors``
        ``[{"telephone_number", "code", "description"}, ...]``, one entry per number and error; the number is ``None``
        where Bandwidth's error names none
    ``warnings``
        ``[{"telephone_number", "description"}, ...]``: what Bandwidth remarks, and what fails nothing. Orders of
        ``tnoptions`` may have some, also where they are COMPLETE
    ``completed_telephone_numbers``
        ten digits each; for IMPORT, the numbers that can be used

    An order that ends in a status that is not allowed fails the task without retries, or skips it with ``soft_fail``.
    So does a fault that only a change of the DAG can mend, such as a missing order id.

    The wait ends by ``timeout`` (a week by default, 72 hours for orders of importTnOrders; an import may take two days
    where another customer of Bandwidth has to confirm it), by ``execution_timeout`` if that is
    sooner, or by a refusal of Bandwidth's that was seen several times in a row. Any other failure is waited out.

    :param order_id: the order to wait for; templated
    :param order_api: which of Bandwidth's order APIs the order was submitted through: ``externalTns``,
        ``importTnOrders`` or ``importTnOrders/messaging``; the connection's by default. ``tnoptions`` for an order that
        assigns a campaign; templated
    :param allowed_statuses: terminal statuses that let the task succeed; PARTIAL is logged as a warning
    :param ignore_error_codes: Bandwidth error codes that count as done, say 5124 "already exists": one, text with
        several, or any iterable. An order whose only errors are ignored counts as COMPLETE
    :param account_id: Bandwidth account; the connection's by default; templated
    :param bandwidth_conn_id: Airflow connection of type ``bandwidth``; templated
    :param deferrable: wait in the triggerer, where thousands of orders cost no worker slot; by default what
        ``[operators] default_deferrable`` says
    :param log_telephone_numbers: whether the log names the first ten telephone numbers that failed; ``False`` for
        counts only
    """

    template_fields: Sequence[str] = ("order_id", "order_api", "account_id", "bandwidth_conn_id")
    operator_extra_links = (BandwidthOrderLink(),)
    ui_color = "#e8f4fd"

    def __init__(
        self,
        *,
        order_id: str,
        allowed_statuses: Iterable[str] | str = (ProcessingStatus.COMPLETE, ProcessingStatus.PARTIAL),
        ignore_error_codes: Iterable[str | int] | str | int | None = (),
        order_api: str | None = None,
        account_id: str | None = None,
        bandwidth_conn_id: str = BandwidthHook.default_conn_name,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        log_telephone_numbers: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._has_own_timeout = "timeout" in kwargs
        self.order_id = order_id
        self.allowed_statuses = parse_allowed_statuses(allowed_statuses)
        self.ignore_error_codes = parse_error_codes(ignore_error_codes)
        self.order_api = order_api
        self.account_id = account_id
        self.bandwidth_conn_id = bandwidth_conn_id
        self.deferrable = deferrable
        self.log_telephone_numbers = log_telephone_numbers
        self.order_url: str | None = None
        self._outcome: OrderOutcome | None = None
        self._has_explained = False
        self._refusals = Refusals()
        self._processing_status: str | None = None
        self._action: str | None = None
        self._last_failure: str | None = None

    @cached_property
    def hook(self) -> BandwidthHook:
        """The connection to Bandwidth; read anew after a refusal."""
        return BandwidthHook(self.bandwidth_conn_id, self.account_id, self.order_api)

    def execute(self, context: Context) -> Any:
        """Poke or reschedule as Airflow does, or look once and defer."""
        self._limit_wait()
        if not self.deferrable:
            return self._poke_until_done(context)
        started_at = time.time()
        with self._softening_failures():
            order = self._look(waited=0.0)
            if order is not None and order.is_terminal:
                return self._finish(order, context)
        return self._wait_on(context, started_at)

    def _limit_wait(self) -> None:
        """Wait no longer than an order of this API can take, unless the caller says how long."""
        if self._has_own_timeout:
            return
        # The first look reports a connection that is wrong, or cannot be read now.
        with suppress(Exception):
            self.timeout = min(self.timeout, self.hook.order_api.longest_wait)

    def _poke_until_done(self, context: Context) -> Any:
        """Run Airflow's loop, with our words for its timeout, to which it does not always apply ``soft_fail``."""
        with self._softening_timeouts():
            try:
                return super().execute(context)
            except AirflowSensorTimeout as error:
                raise self._make_timeout(self._processing_status, self._last_failure) from error

    def _wait_on(self, context: Context, started_at: float) -> NoReturn:
        """Defer, until the deadline of the wait.

        :param started_at: epoch seconds at which the wait began
        """
        deadline = started_at + self._get_time_limit()
        remaining = max(0.0, deadline - time.time())
        self.defer(
            trigger=BandwidthTnOrderTrigger(
                order_id=str(self.order_id),
                bandwidth_conn_id=self.bandwidth_conn_id,
                account_id=self.account_id,
                order_api=self._get_order_api(),
                action=self._action,
                poke_interval=self.poke_interval,
                started_at=started_at,
                deadline=deadline,
                processing_status=self._processing_status,
                exponential_backoff=bool(self.exponential_backoff),
                max_wait=None if self.max_wait is None else self.max_wait.total_seconds(),
            ),
            method_name="execute_complete",
            kwargs={"try_number": context["ti"].try_number, "started_at": started_at},
            timeout=timedelta(seconds=remaining + self.poke_interval + DEFERRAL_MARGIN),
        )

    def _get_order_api(self) -> str | None:
        """The order API's name: the wait goes on with it if the connection changes. ``None`` while it is unknown."""
        with suppress(Exception):
            return self.hook.order_api.name
        return self.order_api

    def poke(self, context: Context) -> PokeReturnValue:
        """Read the order once. A fault that may pass is logged and the wait goes on."""
        waited = self._get_waited_seconds(context)
        order = self._look(waited)
        if order is None or not order.is_terminal:
            self._explain_long_wait(waited)
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._finish(order, context))

    # --- looking ---

    def _look(self, waited: float) -> TnOrder | None:
        """Read the order; ``None`` where that failed and the wait goes on.

        :param waited: seconds since the wait began
        :raises AirflowFailException: what only a change of the DAG or the connection can mend
        :raises Exception: a refusal that lasts
        """
        while True:
            try:
                order = self._read()
            except InvalidParameterError as error:
                raise AirflowFailException(str(error)) from error
            except Exception as error:
                is_found = not isinstance(error, MissingConnectionError)
                if isinstance(error, InvalidConnectionError) and is_found and not waited:
                    raise AirflowFailException(str(error)) from error
                if not self._take_failure(error, waited):
                    return None
            else:
                self._take_order(order)
                return order
            # A rescheduled sensor forgets what it saw: it makes sure at once.
            time.sleep(REFUSAL_GRACE / (MAX_REFUSALS - 1))

    def _read(self) -> TnOrder:
        order_id: Any = self.order_id
        if isinstance(order_id, int):  # digits alone, rendered natively
            order_id = str(order_id)
        if self.order_url is None:
            hook = self.hook
            self.log.info(
                "Waiting for order %s in account %s, connection %r.", order_id, hook.account_id, hook.bandwidth_conn_id
            )
            self.order_url = hook.order_url(str(order_id))
        order = self.hook.get_tn_order(order_id)
        if order.action in set(Action) and order.action != self._action:
            self._action = str(order.action)
            self.order_url = self.hook.order_url(order.order_id, self._action)
        return order

    def _take_order(self, order: TnOrder) -> None:
        self._refusals.reset()
        self._last_failure = None
        self._processing_status = str(order.processing_status)
        if not order.is_terminal:
            self.log.info("Order %s is %s.", order.order_id, order.processing_status)

    def _take_failure(self, error: Exception, waited: float) -> bool:
        """Take a failed look.

        :return: whether to look again at once
        :raises Exception: the error, if it is a refusal that lasts
        """
        self._last_failure = str(error) or type(error).__name__
        was_seen = self._processing_status is not None
        is_new = isinstance(error, OrderNotFoundError) and not was_seen and waited < NOT_FOUND_GRACE
        # The next look reads the connection anew: a secret may have been rotated, or a host or an account corrected.
        self.__dict__.pop("hook", None)
        looks_again = self.reschedule and not self.deferrable and is_refusal(error) and not is_new
        lasts = self._refusals.take_failure(error, time.time(), was_seen=was_seen or looks_again)
        if lasts and not self.deferrable:
            raise error
        if not looks_again:
            self.log.warning("Could not read order %s, trying again: %s", self.order_id, self._last_failure)
        return looks_again

    def _explain_long_wait(self, waited: float) -> None:
        # A rescheduled sensor forgets what it said: it says so in the first poke after the hour.
        if self._has_explained or not 0 <= waited - LONG_WAIT <= max(self.poke_interval, 60.0) * 2:
            return
        explanation = explain_long_wait(str(self.order_id), self._processing_status, self._get_order_api())
        if explanation is not None:
            self._has_explained = True
            self.log.info(explanation)

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
        outcome = OrderEvent.from_payload(event)
        began = time.time() if started_at is None else started_at
        self._find_order_url(str(self.order_id))
        with self._softening_failures():
            self._limit_wait()
            if outcome.timed_out:
                raise self._make_timeout(outcome.last_status or self._processing_status, outcome.last_failure)
            if outcome.error is not None:
                self._take_end_without_status(outcome.error)
            elif (order := outcome.order or self._look(waited=time.time() - began)) is not None and order.is_terminal:
                return self._finish(order, context)
            if outcome.processing_status is not None and time.time() >= began + self._get_time_limit():
                raise BandwidthError(
                    f"Order {self.order_id} ended {outcome.processing_status}, but it could not be read: "
                    f"{self._last_failure or self._processing_status}. Clear this task to read it."
                )
        return self._wait_on(context, began)

    def _take_end_without_status(self, error: str) -> None:
        message = f"Waiting for order {self.order_id} was given up: {error}"
        if not self.silent_fail:
            raise BandwidthError(message)
        self.log.error("%s. The wait goes on, since silent_fail is set.", message)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """What the order changed; called by Airflow's OpenLineage provider, also after a failure."""
        if self._outcome is None:
            return None
        from airflow_provider_bandwidth.lineage import order_lineage

        return order_lineage(self.hook, self._outcome.order, len(self._outcome.completed_telephone_numbers))

    def _make_timeout(self, last_status: str | None, last_failure: str | None) -> BaseException:
        return self._time_is_over(f"Order {self.order_id} was not terminal", "end", last_status, last_failure)

    def _finish(self, order: TnOrder, context: Context) -> dict[str, Any]:
        """Push the XComs of a terminal order, then succeed or fail by the policy."""
        outcome = judge_order(order, allowed_statuses=self.allowed_statuses, ignore_error_codes=self.ignore_error_codes)
        self._outcome = outcome
        summary = outcome.summary()
        ti = context["ti"]
        ti.xcom_push(key=ERRORS_KEY, value=[error.to_dict() for error in outcome.errors])
        ti.xcom_push(key=WARNINGS_KEY, value=[warning.to_dict() for warning in order.warnings])
        ti.xcom_push(key=COMPLETED_KEY, value=list(outcome.completed_telephone_numbers))
        ti.xcom_push(key=ORDER_URL_KEY, value=self._find_order_url(order.order_id, order.action))
        log_outcomes(self.log, [outcome], names_numbers=self.log_telephone_numbers)
        if not outcome.is_allowed:
            ti.xcom_push(key="return_value", value=summary)
            failure = OrderFailedError(
                order,
                f"Allowed: {', '.join(self.allowed_statuses)}. "
                f"Each number's error is in this task's XCom {ERRORS_KEY!r}.",
            )
            raise AirflowFailException(str(failure)) from failure
        return summary

    def _find_order_url(self, order_id: str, action: str | None = None) -> str | None:
        if self.order_url is None or action is not None:
            try:
                self.order_url = self.hook.order_url(order_id, action)
            except Exception as error:  # noqa: BLE001  # a hiccup of a secrets backend hides no outcome
                self.log.warning("The link to the order is left out: %s", error)
        return self.order_url
