"""A text to the engineer on call, when a DAG or a task fails or a deadline is missed."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseNotifier, conf
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_bandwidth.hooks.messaging import BandwidthMessagingHook
from airflow_provider_bandwidth.messaging.segments import count_segments, cut_to_segments
from airflow_provider_bandwidth.notifications._limit import TextLimit

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: Words for the states of a task or run.
_WORDS: Final = {"success": "succeeded", "up_for_retry": "failed, will retry", "skipped": "was skipped"}
#: Where Airflow's configuration has no base URL.
_LOCAL: Final = "http://localhost:8080"


class BandwidthSmsNotifier(BaseNotifier):
    """Text somebody: ``on_failure_callback`` and the other callbacks of tasks and DAGs, and deadlines.

    The text is one segment by default: the DAG, the task, what happened, the run, and a link to it. What does not fit
    is left out, the run first, since the link has it.

    A receiver gets at most ``max_texts`` within ``per_minutes``, over all DAGs and machines: the count is an Airflow
    Variable for each receiver. The last of them says until when no more are sent. If the Variable cannot be used, the
    text is sent, and the log says so.

    A text that may have been sent is not sent again, unless a triggerer was killed while it texted of a deadline: the
    next one texts, too. An error is logged by Airflow, and changes nothing for the task.

    :param to: telephone number of the receiver, or several, each of which gets a text of its own; templated
    :param from_: a number of the account, a short code, or an alphanumeric sender; templated
    :param text: your own words, cut to ``max_segments``; templated
    :param application_id: messaging application; the connection's by default; templated
    :param max_segments: how long the text may be; a segment has 160 characters, or 70 outside the GSM alphabet
    :param max_texts: how many texts a receiver gets at most within ``per_minutes``
    :param per_minutes: the minutes within which ``max_texts`` counts
    :param account_id: Bandwidth account; the connection's by default; templated
    :param bandwidth_conn_id: Airflow connection of type ``bandwidth``; templated
    """

    template_fields: Sequence[str] = ("to", "from_", "text", "application_id", "account_id", "bandwidth_conn_id")

    def __init__(
        self,
        *,
        to: str | Sequence[str],
        from_: str,
        text: str | None = None,
        application_id: str | None = None,
        max_segments: int = 1,
        max_texts: int = 3,
        per_minutes: float = 15,
        account_id: str | None = None,
        bandwidth_conn_id: str = BandwidthMessagingHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        # Airflow 3.1 and later hand a context to a deadline's notifier; earlier ones take nothing.
        super().__init__(**kwargs)
        for name, value in (("max_segments", max_segments), ("max_texts", max_texts), ("per_minutes", per_minutes)):
            if not value > 0:
                raise ValueError(f"{name}: expected a number above 0, got {value!r}")
        self.to = to
        self.from_ = from_
        self.text = text
        self.application_id = application_id
        self.max_segments = max_segments
        self.max_texts = max_texts
        self.per_minutes = per_minutes
        self.account_id = account_id
        self.bandwidth_conn_id = bandwidth_conn_id

    def __call__(self, *args: Any) -> None:
        """Notify, by a copy: Airflow renders templates into the notifier itself, which several callbacks may share."""
        # Through the class: a copy's own __call__ would copy again.
        super(BandwidthSmsNotifier, copy.copy(self)).__call__(*args)

    def notify(self, context: Context) -> None:
        """Text each receiver that has not got enough, in a task or a callback."""
        self._notify(self._make_hook(), context)

    async def async_notify(self, context: Context) -> None:
        """Do the same in a triggerer, for a deadline."""
        from asgiref.sync import sync_to_async

        hook = self._make_hook()
        await hook.load_settings()
        # A request to the supervisor from a thread unknown to asgiref ends the triggerer of Airflow 3.0 and 3.1.
        await sync_to_async(self._notify, thread_sensitive=False)(hook, context)

    def _make_hook(self) -> BandwidthMessagingHook:
        return BandwidthMessagingHook(self.bandwidth_conn_id, self.account_id)

    def _notify(self, hook: BandwidthMessagingHook, context: Any) -> None:
        failure: Exception | None = None
        try:
            for to in [self.to] if isinstance(self.to, str) else self.to:
                try:
                    self._text_one(hook, str(to), context)
                except Exception as error:  # noqa: BLE001  # the others are to be told, too
                    failure = failure or error
        finally:
            hook.close()
        if failure is not None:
            raise failure

    def _text_one(self, hook: BandwidthMessagingHook, to: str, context: Any) -> None:
        limit = TextLimit(self.bandwidth_conn_id, to, max_texts=self.max_texts, seconds=self.per_minutes * 60)
        ending = ""
        try:
            permit = limit.take()
        except Exception as error:  # noqa: BLE001  # better a text too many than none
            self.log.warning("The number of texts could not be counted, so this one is sent: %s", error)
        else:
            if permit is None:
                self.log.warning(
                    "No text is sent: the receiver has got %d within %g minutes.", self.max_texts, self.per_minutes
                )
                return
            if permit.is_last:
                ending = time.strftime(" (no more until %H:%M UTC)", time.gmtime(permit.free_at))
        sent = hook.send_message(to, self.from_, self._compose(context, ending), application_id=self.application_id)
        self.log.info("Texted: message %s.", sent.message_id)

    def _compose(self, context: Any, ending: str) -> str:
        text = self.text or describe(context, self.max_segments, len(ending))
        if count_segments(text + ending).count <= self.max_segments:
            return text + ending
        return cut_to_segments(text, self.max_segments, f"...{ending}")


def describe(context: Mapping[str, Any], max_segments: int = 1, reserved: int = 0) -> str:
    """What happened, in so many segments: DAG, task, run and a link, or as much of it as fits.

    :param context: of a task's or DAG's callback, or of a deadline
    :param reserved: characters to leave free
    """
    run = context.get("dag_run")
    ti = context.get("task_instance") or context.get("ti")
    dag_id = _get(ti, "dag_id") or _get(run, "dag_id") or _get(context.get("dag"), "dag_id") or "a DAG"
    # A deadline's run is what Airflow's REST API shows of it, where the id has another name.
    run_id = _get(run, "run_id") or _get(run, "dag_run_id") or _get(ti, "run_id") or context.get("run_id") or ""
    task_id = _get(ti, "task_id") if _is_about_task(context) else None
    map_index = _get(ti, "map_index")
    index = f"[{map_index}]" if task_id and isinstance(map_index, int) and map_index >= 0 else ""
    name = f"{dag_id}.{task_id}{index}" if task_id else dag_id
    happened = _say(context, ti if task_id else run)
    link = _link(dag_id, run_id)
    versions = (
        f"Airflow: {name} {happened}, run {run_id} {link}",
        f"Airflow: {name} {happened} {link}",
        f"{name} {happened} {link}",
        f"Airflow: {name} {happened}, run {run_id}",
    )
    filler = "x" * reserved
    return next((text for text in versions if count_segments(text + filler).count <= max_segments), versions[-1])


def _is_about_task(context: Mapping[str, Any]) -> bool:
    """A DAG's callback has a task instance in its context, too: the last one. It also has a reason."""
    return "deadline" not in context and "reason" not in context


def _say(context: Mapping[str, Any], subject: Any) -> str:
    if "deadline" in context:
        return "missed its deadline"
    state = _get(subject, "state")
    # A task that is failing may still be shown as running.
    return _WORDS.get(str(getattr(state, "value", state)), "failed")


def _get(owner: Any, name: str) -> Any:
    """A field of an object, or of a dict: a deadline's run is one."""
    return owner.get(name) if isinstance(owner, Mapping) else getattr(owner, name, None)


def _link(dag_id: str, run_id: str) -> str:
    """The page of the run in Airflow's UI."""
    base = conf.get("api" if AIRFLOW_V_3_0_PLUS else "webserver", "base_url", fallback=None) or _LOCAL
    dag, run = quote(dag_id, safe=""), quote(run_id, safe="")
    if AIRFLOW_V_3_0_PLUS:
        return f"{base.rstrip('/')}/dags/{dag}/runs/{run}"
    return f"{base.rstrip('/')}/dags/{dag}/grid?dag_run_id={run}"
