"""What the sensors share: how long a wait takes, and what soft_fail and never_fail make of its end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn, cast

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class WaitingSensor(BaseSensorOperator):
    """A sensor that ends alike, whether it is poked, rescheduled or deferred."""

    #: Whether the wait goes on in the triggerer.
    deferrable: bool
    _first_poke_at: float | None = None

    def _get_time_limit(self) -> float:
        """Seconds that a deferred wait may take."""
        limits = [float(self.timeout)]
        if self.execution_timeout is not None:
            limits.append(self.execution_timeout.total_seconds())
        return min(limits)

    def _get_waited_seconds(self, context: Context) -> float:
        now = time.time()
        if self.reschedule and not self.deferrable:
            first = _get_first_poke_date(context["ti"], context)
            return 0.0 if first is None else now - first.timestamp()
        if self._first_poke_at is None:
            self._first_poke_at = now
        return now - self._first_poke_at

    @contextmanager
    def _softening_timeouts(self) -> Iterator[None]:
        """Apply ``soft_fail`` and ``never_fail`` to time limits and to failures that are not retried."""
        try:
            yield
        except (AirflowFailException, AirflowSensorTimeout, AirflowTaskTimeout) as error:
            if self.soft_fail or self.never_fail:
                self._skip(error)
            raise

    @contextmanager
    def _softening_failures(self) -> Iterator[None]:
        """Apply ``soft_fail`` and ``never_fail`` to errors outside Airflow's poke loop, which applies them to its
        own.
        """
        with self._softening_timeouts():
            try:
                yield
            except AirflowSkipException:
                raise
            except Exception as error:
                if self.never_fail:
                    self._skip(error)
                raise

    def _time_is_over(
        self, what: str, may_still: str, last_status: str | None, last_failure: str | None
    ) -> BaseException:
        """The error of a wait whose time is over, as Airflow raises it where the sensor is poked.

        :param what: what had not come about in time; "after ... seconds" follows
        :param may_still: what may happen yet
        :param last_status: the status last seen; ``None`` if none was
        :param last_failure: why the last look failed, if it did
        """
        limit = self._get_time_limit() if self.deferrable else float(self.timeout)
        seen = f"It was last seen {last_status}" if last_status else "It was never seen"
        failure = f"; the last look failed: {last_failure}" if last_failure else ""
        message = (
            f"{what} after {limit:.0f} seconds. {seen}{failure}. It may still {may_still}: clear this task to wait on."
        )
        # Airflow retries a task that ran into its execution_timeout, and no sensor that ran into its timeout.
        return AirflowSensorTimeout(message) if limit >= self.timeout else AirflowTaskTimeout(message)

    def _skip(self, error: BaseException) -> NoReturn:
        reason = "never_fail" if self.never_fail else "soft_fail"
        raise AirflowSkipException(f"Skipped, since {reason} is set: {error}") from error


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
