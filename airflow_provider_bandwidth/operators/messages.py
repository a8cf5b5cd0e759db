"""Send a text message, once; assign numbers to the campaign without which they cannot text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator

from airflow_provider_bandwidth.exceptions import InvalidParameterError
from airflow_provider_bandwidth.hooks._sending import EarlierSending, SendingJournal
from airflow_provider_bandwidth.hooks.messaging import BandwidthMessagingHook
from airflow_provider_bandwidth.messaging.requests import (
    ALL_FINAL_REPORTS,
    InternationalMessageRequest,
    MessageRequest,
)
from airflow_provider_bandwidth.operators._task_journal import first_start, is_first
from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator
from airflow_provider_bandwidth.order_apis import TN_OPTIONS
from airflow_provider_bandwidth.orders import CampaignAssignmentRequest, TnOrderRequest, parse_flag, parse_time

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: Key of the task state store (Airflow 3.3+). Renaming it forgets the texts of tasks that are about to be retried.
_STORE_KEY: Final = "bandwidth_message"
_APIS: Final = ("messaging", "international_a2p")
#: What only orders for telephone numbers have.
_OF_NUMBERS_ALONE: Final = frozenset(
    {"site_id", "sip_peer_id", "loa_type", "subscriber", "loa_authorizing_person", "loa_files", "order_api"}
)
#: Airflow's clocks and Bandwidth's may differ by so much.
_CLOCK_SKEW: Final = timedelta(minutes=2)


class BandwidthSendMessageOperator(BaseOperator):
    """Send one text, and return its message id.

    The task ends when Bandwidth has taken the text: queued, not delivered. Wait for its delivery with
    ``BandwidthMessageSensor``.

    Bandwidth has no key by which it would refuse a second text. So a text that may have been sent (the answer was lost,
    the worker died) is looked for in Bandwidth's search for a minute, by sender, receiver, time and length, before
    anything else. If it is found, nothing more is sent. If that cannot be found out, the task fails and says so. A
    retry, or a cleared task, looks again; only where the search has shown no such text for a whole minute is it sent,
    with a warning in the log. Set ``retries=0`` where a second text is worse than none.

    All parameters but ``api`` and ``dlr_mask`` are templated. What a template renders anew in each attempt, such as the
    time of day, makes another text of it.

    :param to: the receiver's number, in E.164 or as a North American number; several make one group message, whose
        receivers see each other. To text many people one by one, expand the task over them
    :param from_: a number of the account, a short code, or an alphanumeric sender
    :param text: at most 2,048 characters; a long text is cut into segments, and each is billed
    :param media: addresses of files, which make it an MMS
    :param application_id: messaging application, tied to the sender's location; the connection's by default
    :param tag: comes back in callbacks; by default the DAG, task, run and map index
    :param priority: ``default`` or ``high``
    :param expiration: time with a zone, or ISO 8601 text, after which it is not sent any more
    :param api: ``messaging``, or ``international_a2p`` for the legacy International A2P API, whose login and password
        the connection then holds. That API has no search: a text that may have been sent is never sent again
    :param dlr_url: where that API's delivery reports go to; of no meaning for the other
    :param dlr_mask: which reports: the sum of 1 delivered, 2 undelivered, 4 buffered, 8 sent, 16 rejected
    :param reuse_sent_message: ``False`` sends the text again although it was sent. Meant for clearing a task on
        purpose; each attempt of the task then sends one, so set ``retries=0`` as well
    :param account_id: Bandwidth account; the connection's by default
    :param bandwidth_conn_id: Airflow connection of type ``bandwidth``
    :return: (XCom) the message id
    :raises AirflowFailException: a parameter is wrong; nothing was sent. The task is not retried
    :raises AmbiguousMessageError: the text may have been sent, and whether it was cannot be found out
    """

    template_fields: Sequence[str] = (
        "to",
        "from_",
        "text",
        "media",
        "application_id",
        "tag",
        "priority",
        "expiration",
        "dlr_url",
        "reuse_sent_message",
        "account_id",
        "bandwidth_conn_id",
    )
    ui_color = "#e8f4fd"

    def __init__(
        self,
        *,
        to: str | Sequence[str],
        from_: str,
        text: str | None = None,
        media: str | Iterable[str] | None = None,
        application_id: str | None = None,
        tag: str | None = None,
        priority: str | None = None,
        expiration: datetime | str | None = None,
        api: str = "messaging",
        dlr_url: str | None = None,
        dlr_mask: int = ALL_FINAL_REPORTS,
        reuse_sent_message: bool | str = True,
        account_id: str | None = None,
        bandwidth_conn_id: str = BandwidthMessagingHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if api not in _APIS:
            raise ValueError(f"api: expected {' or '.join(_APIS)}, got {api!r}")
        self.to = to
        self.from_ = from_
        self.text = text
        self.media = media
        self.application_id = application_id
        self.tag = tag
        self.priority = priority
        self.expiration = expiration
        self.api = api
        self.dlr_url = dlr_url
        self.dlr_mask = dlr_mask
        self.reuse_sent_message = reuse_sent_message
        self.account_id = account_id
        self.bandwidth_conn_id = bandwidth_conn_id

    @cached_property
    def hook(self) -> BandwidthMessagingHook:
        """The hook, for the rendered connection and account; a test may set its own."""
        return BandwidthMessagingHook(self.bandwidth_conn_id, self.account_id)

    def execute(self, context: Context) -> str:
        """Send the text, or find it."""
        try:
            request = self._build_request(context)
            reuse = parse_flag("reuse_sent_message", self.reuse_sent_message)
        except InvalidParameterError as error:
            # What was given is as wrong at the next try.
            raise AirflowFailException(str(error)) from error
        self.log.info(
            "Connection %r: a text of %d segments to %d receivers.",
            self.bandwidth_conn_id,
            request.segment_count,
            len(request.content[0]),
        )
        sent = self.hook.submit(request, _TaskJournal(request, self, context, reuse=reuse))
        self.log.info("Bandwidth has taken the text: message %s.", sent.message_id)
        return sent.message_id

    def _build_request(self, context: Context) -> MessageRequest | InternationalMessageRequest:
        if self.api == "international_a2p":
            self.log.warning(
                "Bandwidth calls its International A2P API legacy: ask for alphanumeric senders in Messaging API v2."
            )
            to: Any = self.to
            return InternationalMessageRequest(to, self.from_, self.text or "", self.dlr_url or "", self.dlr_mask)
        ti = context["ti"]
        map_index = f"[{ti.map_index}]" if ti.map_index is not None and ti.map_index >= 0 else ""
        return self.hook.make_request(
            self.to,
            self.from_,
            self.text,
            media=self.media or (),
            application_id=self.application_id,
            tag=self.tag or f"{ti.dag_id}.{ti.task_id}{map_index} {ti.run_id}",
            priority=self.priority,
            expiration=parse_time("expiration", self.expiration),
        )


class BandwidthCampaignAssignmentOperator(BandwidthTnOrderOperator):
    """Assign telephone numbers to a registered campaign by orders of ``tnoptions``; each exactly once.

    Without a campaign US local numbers cannot text: 4476. It goes as with ``BandwidthTnOrderOperator``: up to
    ``chunk_size`` numbers are one order, a retry or a cleared task finds the orders and sends nothing, and only one
    that FAILED is submitted anew. The task ends when Bandwidth has the orders; wait for them with
    ``BandwidthTnOrderSensor(order_api="tnoptions", ...)``, or with ``wait_for_completion=True``.

    A number that completed is on the campaign. One with an error keeps what it had: it is imported, cannot text yet.
    12189 the campaign is not found, 12192 it is not active, 12128 this account may not use it, 5132 SMS is off, 5133
    the location is not set up for A2P, 5128 Bandwidth does not change hosted numbers this way.

    :param telephone_numbers: NANP numbers, as ``BandwidthTnOrderOperator`` takes them. Without any number the task is
        skipped; templated
    :param campaign_id: CampaignId; needed for ``asSpecified``; templated
    :param message_class: MessageClass; left out by default; templated
    :param action: ``asSpecified``, ``systemDefault``, ``off``, ``delete`` or ``unchanged``; templated
    :return: (XCom) the order id, the list of order ids, or the sensor's summary
    :raises AirflowFailException: a parameter or a telephone number is wrong; nothing was sent. The task is not retried
    """

    template_fields: Sequence[str] = (
        "telephone_numbers",
        "campaign_id",
        "message_class",
        "action",
        "customer_order_id",
        "reuse_existing_order",
        "reuse_orders_ended_since",
        "account_id",
        "bandwidth_conn_id",
    )

    def __init__(
        self,
        *,
        telephone_numbers: Iterable[str] | str,
        campaign_id: str | None = None,
        message_class: str | None = None,
        action: str = "asSpecified",
        **kwargs: Any,
    ) -> None:
        if unknown := _OF_NUMBERS_ALONE & kwargs.keys():
            raise TypeError(f"An order that assigns a campaign has no {', '.join(sorted(unknown))}.")
        super().__init__(action=action, telephone_numbers=telephone_numbers, order_api=TN_OPTIONS.name, **kwargs)
        self.campaign_id = campaign_id
        self.message_class = message_class

    def _build_request(self, telephone_numbers: tuple[str, ...], customer_order_id: str | None) -> TnOrderRequest:
        own_id = {} if customer_order_id is None else {"customer_order_id": customer_order_id}
        return CampaignAssignmentRequest(
            telephone_numbers,
            campaign_id=self.campaign_id or None,
            message_class=self.message_class or None,
            a2p_action=str(self.action),
            **own_id,
        )


class _TaskJournal(SendingJournal):
    """Remembers in Airflow's task state store (3.3+) when the text may have been sent, and its id.

    Before 3.3 there is no store: all that is known is whether this can be the first attempt.

    :param reuse: whether what is known of earlier attempts counts
    """

    def __init__(
        self,
        request: MessageRequest | InternationalMessageRequest,
        operator: BandwidthSendMessageOperator,
        context: Context,
        *,
        reuse: bool,
    ) -> None:
        self._context = context
        self._reuse = reuse
        self._store = context.get("task_state_store")
        self._content = hashlib.sha256(json.dumps([operator.api, *request.content]).encode()).hexdigest()[:32]
        stored: Any = None if self._store is None else self._store.get(_STORE_KEY)
        self._entry: dict[str, Any] = dict(stored) if isinstance(stored, Mapping) else {}

    def earlier(self) -> EarlierSending | None:
        if not self._reuse:
            return None
        if self._entry.get("content") == self._content:
            return self._read_entry()
        run: Any = self._context["dag_run"]
        # Where there is a store, an attempt that can have sent this text has left an entry, unless the run was cleared:
        # then an instance with another map index may have sent it.
        has_recorded = self._store is not None and not self._entry and not getattr(run, "clear_number", 0)
        return None if has_recorded or is_first(self._context) else EarlierSending(first_start(run) - _CLOCK_SKEW)

    def _read_entry(self) -> EarlierSending | None:
        if "since" not in self._entry:
            return None
        since, until = (datetime.fromisoformat(self._entry[name]) for name in ("since", "until"))
        return EarlierSending(since, until, self._entry.get("message_id"))

    def claimed_ids(self) -> set[str]:
        """What the other sending tasks of this run, and the other instances of this one, have returned."""
        return set(self._iter_claimed())

    def _iter_claimed(self) -> Iterator[str]:
        for task in getattr(self._context.get("dag"), "tasks", ()):
            kind = getattr(task, "operator_class", type(task))
            if isinstance(kind, type) and issubclass(kind, BandwidthSendMessageOperator):
                returned = self._context["ti"].xcom_pull(task_ids=task.task_id)
                yield from [returned] if isinstance(returned, str) else returned or ()

    def record_sending(self, since: datetime, until: datetime) -> None:
        self._write(since=since.isoformat(), until=until.isoformat())

    def record_not_sent(self) -> None:
        self._write()

    def record_sent(self, message_id: str) -> None:
        now = datetime.now(UTC).isoformat()
        self._write(**{"since": now, "until": now, **self._entry, "message_id": message_id})

    def _write(self, **entry: Any) -> None:
        self._entry = {**entry, "content": self._content}
        if self._store is not None:
            self._store.set(_STORE_KEY, self._entry)
