"""The two ends of the nightly number sync: the plan, and the report. In between stand ordinary orders and waits.

What travels between the tasks is in ``number_sync.handover``. Where millions of numbers should stay out of Airflow's
database, configure Airflow's object storage XCom backend: it moves these XComs as any other.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, cast

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    Asset,
    BaseOperator,
    conf,
    task,
)
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_bandwidth.assets import telephone_numbers_uri
from airflow_provider_bandwidth.error_codes import parse_error_codes
from airflow_provider_bandwidth.exceptions import (
    ExtractUnavailableError,
    InvalidExtractError,
    InvalidParameterError,
    InvalidTelephoneNumbersError,
)
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.hooks.extract import read_telephone_number_column
from airflow_provider_bandwidth.number_sync.guards import (
    DEFAULT_MAX_REMOVALS,
    DEFAULT_MAX_UNREADABLE,
    DEFAULT_MIN_DESIRED,
    parse_limit,
)
from airflow_provider_bandwidth.number_sync.handover import NUMBERS_PER_XCOM, Handover, push_numbers
from airflow_provider_bandwidth.number_sync.layout import Layout
from airflow_provider_bandwidth.operators._peer_reader import PeerReader
from airflow_provider_bandwidth.operators._peer_record import DEFAULT_PLAN_VALID_FOR, PeerRecord, PlanRecord
from airflow_provider_bandwidth.operators._planning import PlanRequest, make_plan
from airflow_provider_bandwidth.operators._sync_order import LABEL_KEY, BandwidthNumberSyncOrderOperator
from airflow_provider_bandwidth.operators._sync_report import BandwidthNumberSyncReportOperator
from airflow_provider_bandwidth.operators.bandwidth import parse_flag
from airflow_provider_bandwidth.orders import LoaType, parse_choice
from airflow_provider_bandwidth.values import repeatable

try:
    from airflow.sdk.exceptions import AirflowRescheduleException
except ImportError:  # Airflow 2.11
    from airflow.exceptions import AirflowRescheduleException

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

__all__ = [
    "LABEL_KEY",
    "BandwidthNumberSyncOrderOperator",
    "BandwidthNumberSyncPlanOperator",
    "BandwidthNumberSyncReportOperator",
    "list_sync_orders",
    "number_sync_asset",
    "read_telephone_number_column",
]

DEFAULT_CHUNK_SIZE: Final = 1000
DEFAULT_RESEND_ERRORS_AFTER: Final = 7
#: Seconds between two looks at who syncs the SIP peer, and at Bandwidth's search.
_LOOK_AGAIN_AFTER: Final = 20.0
_SEARCH_PAUSE: Final = 10.0


def number_sync_asset(
    *,
    site_id: int | str | None = None,
    sip_peer_id: int | str | None = None,
    bandwidth_conn_id: str = BandwidthHook.default_conn_name,
) -> Asset:
    """The Asset that a sync of this SIP peer updates: schedule a DAG on it to run after each successful sync.

    :param site_id: as given to the sync; ``None`` if the connection names it. A template is left out: Airflow wants
        to know the Asset before it is rendered
    :param sip_peer_id: likewise
    :param bandwidth_conn_id: as given to the sync
    """
    return Asset(telephone_numbers_uri(bandwidth_conn_id, site_id, sip_peer_id))


@task
def list_sync_orders(plan: Mapping[str, Any], action: str) -> list[str | None]:
    """What to map over: the CustomerOrderId of each order of the plan, ``None`` where it is a new one.

    :param plan: the return value of the plan task
    :param action: ``IMPORT`` or ``REMOVE``
    """
    return list(plan["orders"][action]) if Handover.from_dict(plan).is_sent else []


@contextmanager
def failing_at_once() -> Iterator[None]:
    """Fail without retries for what another try would meet again: a wrong parameter, column, file or number.

    A file that is not there may be late: that is tried again.
    """
    try:
        yield
    except ExtractUnavailableError:
        raise
    except (InvalidParameterError, InvalidTelephoneNumbersError, InvalidExtractError) as error:
        raise AirflowFailException(f"{error} Nothing was sent.") from error


class BandwidthNumberSyncPlanOperator(BaseOperator):
    """Compare the numbers an organisation wants with those at Bandwidth, and lay out the orders that are needed.

    Sends no order. Current numbers are those an external order brought to the SIP peer; a number that Bandwidth owns is
    never among them. The inventory is believed only if it fits the peer's own count, and what orders did in the last
    hour is laid over it. Numbers of orders that are still open are not asked for again: an open order that fits is
    taken over as it is. So a plan may be cleared at any time.

    One sync of a SIP peer runs at a time, whatever DAG it is in: the plan waits, or fails, while another run is at it.

    XComs: ``return_value`` with the figures, and the CustomerOrderIds of the orders by action; ``import_00000``,
    ``remove_00000`` and on, the numbers of each order; ``unchanged_00000``, ``rejected_00000`` and on, for the report.
    They are left also where the plan is unsafe and the task fails.

    :param telephone_numbers: the desired numbers in any usual notation: any iterable, rows of a one-column query, or
        text; templated. This or ``extract_path``
    :param extract_path: a ``.csv`` or ``.csv.gz``: anything ``ObjectStoragePath`` takes; templated. It is read
        here, so that its numbers do not pass through XCom
    :param column: the name of the file's column that holds them; ``Phone[2]`` is the second of that name; templated
    :param encoding: of the file, any that Python knows; UTF-8, UTF-16 and Windows-1252 are found without; templated
    :param excluded_telephone_numbers: numbers to leave alone: neither imported nor removed; templated
    :param remove_missing: whether to remove current numbers that are not desired
    :param max_removals: the most numbers to remove, as a count (``500``) or a share of the current ones (``0.1``)
    :param min_desired: stop if the desired numbers are fewer than this count or share of the current ones
    :param max_imports: the most numbers to import, as a count or a share of the current ones; by default half of them,
        and never fewer than 100. The first load of an empty SIP peer is limited by a count only
    :param max_unreadable: the most desired values that cannot be read in a run with removals, as a count or a share of
        the desired values
    :param first_load: whether this run may import any number of telephone numbers, also where the inventory is empty
        although orders brought numbers there; templated
    :param chunk_size: the most numbers in one order, at most 5,000; fewer, smaller orders fail less at once
    :param preflight: whether to ask importTnChecker first and leave out what it refuses
    :param resend_errors_after: days after which a number is sent again that Bandwidth refused for good, say 25060
        "Bandwidth's own", or three days at most if the error may pass; until then it counts as errored with the earlier
        order's code. ``0`` sends it every time
    :param ignore_error_codes: codes that count as done, as for the sensor; they hold no number back
    :param loa_type: LoaType that the imports are sent with, so that open orders of another are left alone; templated
    :param dry_run: whether this is a dry run: a plan and a report, but nothing is sent; templated
    :param if_running: ``wait`` or ``fail`` while another run syncs the same SIP peer
    :param allow_older_run: whether a run may plan after a newer run of the same DAG has; templated
    :param plan_valid_for: how long the orders of this plan may be sent; so long at most it keeps other syncs waiting
    :param list_unchanged: whether to hand on the unchanged numbers one by one, for a report in a file
    :param site_id: SiteId; the connection's by default; templated
    :param sip_peer_id: SipPeerId; the connection's by default; templated
    :param account_id: Bandwidth account; the connection's by default; templated
    :param bandwidth_conn_id: Airflow connection of type ``bandwidth``; templated
    :raises AirflowFailException: the plan is unsafe, or a parameter, the extract or an excluded number is wrong; the
        task fails without retries, nothing is sent
    :raises ExtractUnavailableError: the extract is not there (yet)
    :raises InvalidResponseError: what Bandwidth shows cannot be believed (now)
    """

    template_fields: Sequence[str] = (
        "telephone_numbers",
        "extract_path",
        "column",
        "encoding",
        "excluded_telephone_numbers",
        "first_load",
        "loa_type",
        "is_dry_run",
        "allow_older_run",
        "site_id",
        "sip_peer_id",
        "account_id",
        "bandwidth_conn_id",
    )
    ui_color = "#e8f4fd"
    #: Airflow honours the time at which a waiting plan wants to be started again for sensors only.
    reschedule = True
    _is_sensor = True

    def __init__(
        self,
        *,
        telephone_numbers: Any = None,
        extract_path: str | None = None,
        column: str | None = None,
        encoding: str | None = None,
        excluded_telephone_numbers: Any = (),
        remove_missing: bool = False,
        max_removals: float = DEFAULT_MAX_REMOVALS,
        min_desired: float = DEFAULT_MIN_DESIRED,
        max_imports: float | None = None,
        max_unreadable: float = DEFAULT_MAX_UNREADABLE,
        first_load: bool | str = False,
        chunk_size: int = DEFAULT_CHUNK_SIZE,
        preflight: bool = False,
        resend_errors_after: int = DEFAULT_RESEND_ERRORS_AFTER,
        ignore_error_codes: Iterable[str | int] | str | int = (),
        loa_type: LoaType | str | None = None,
        dry_run: bool | str = False,
        if_running: Literal["wait", "fail"] = "wait",
        allow_older_run: bool | str = False,
        plan_valid_for: timedelta = DEFAULT_PLAN_VALID_FOR,
        list_unchanged: bool = True,
        site_id: int | str | None = None,
        sip_peer_id: int | str | None = None,
        account_id: str | None = None,
        bandwidth_conn_id: str = BandwidthHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (telephone_numbers is None) == (extract_path is None):
            raise ValueError("give either telephone_numbers or extract_path")
        if (extract_path is None) != (column is None):
            raise ValueError("extract_path and column belong together")
        if not 1 <= chunk_size <= NUMBERS_PER_XCOM:
            raise ValueError(f"chunk_size: expected 1 to {NUMBERS_PER_XCOM}, got {chunk_size}")
        if if_running not in ("wait", "fail"):
            raise ValueError(f"if_running: expected wait or fail, got {if_running!r}")
        self.limits = {"max_removals": max_removals, "min_desired": min_desired, "max_unreadable": max_unreadable}
        self.max_imports = max_imports
        for name, limit in (*self.limits.items(), ("max_imports", max_imports)):
            if limit is not None:
                parse_limit(name, limit, 0)
        self.telephone_numbers = repeatable(telephone_numbers)
        self.extract_path = extract_path
        self.column = column
        self.encoding = encoding
        self.excluded_telephone_numbers = repeatable(excluded_telephone_numbers)
        self.remove_missing = parse_flag("remove_missing", remove_missing)
        self.first_load = first_load
        self.chunk_size = chunk_size
        self.preflight = parse_flag("preflight", preflight)
        self.resend_errors_after = resend_errors_after
        self.ignore_error_codes = parse_error_codes(ignore_error_codes)
        self.loa_type = loa_type
        # BaseOperator.dry_run is a method of Airflow's.
        self.is_dry_run = dry_run
        self.if_running = if_running
        self.allow_older_run = allow_older_run
        self.plan_valid_for = plan_valid_for
        self.list_unchanged = list_unchanged
        self.site_id = site_id
        self.sip_peer_id = sip_peer_id
        self.account_id = account_id
        self.bandwidth_conn_id = bandwidth_conn_id

    @classmethod
    def get_serialized_fields(cls) -> frozenset[str]:
        """What the scheduler has to know, as of a sensor that is rescheduled."""
        return cast("frozenset[str]", super().get_serialized_fields() | {"reschedule", "_is_sensor"})  # type: ignore[no-untyped-call]

    @cached_property
    def hook(self) -> BandwidthHook:
        """The connection to Bandwidth."""
        return BandwidthHook(str(self.bandwidth_conn_id), self.account_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan, judge, and hand on."""
        ti = context["ti"]
        with failing_at_once():
            site_id, sip_peer_id = self._resolve_place()
            record = PeerRecord(self.hook.account_id, site_id, sip_peer_id)
            reader = PeerReader(self.hook, site_id, sip_peer_id, self.log)
            self.log.info(
                "Planning a sync of account %s (connection %r), site %d, SIP peer %d.",
                self.hook.account_id,
                self.bandwidth_conn_id,
                site_id,
                sip_peer_id,
            )
            is_dry_run = parse_flag("dry_run", self.is_dry_run)
            request = self._make_request()
            mine = None if is_dry_run else self._take_peer(record, reader, context)
            made = make_plan(reader, request, self.log)
            self._check_map_length(made.layout)
        handover = made.hand_over(
            reader,
            loa_type=request.loa_type,
            xcoms=push_numbers(ti, made.layout, list_unchanged=self.list_unchanged),
            nonce=mine.nonce if mine else "",
            dry_run=is_dry_run,
        )
        handover.push(ti)
        if mine is not None and not self._keep(record, mine, handover, made.layout, ti):
            self._wait_or_fail(record.read())
        if made.unsafe and not is_dry_run:
            raise AirflowFailException(made.unsafe)
        return handover.to_dict()

    # --- one sync at a time ---

    def _keep(self, record: PeerRecord, mine: PlanRecord, handover: Handover, layout: Layout, ti: Any) -> bool:
        """Note the orders that are about to be sent; whether this is still the latest plan."""
        if handover.is_sent:
            return record.keep_orders(mine, handover.new_order_ids(ti, self.task_id, layout))
        # Nobody has to wait until Bandwidth's search shows what an unsafe plan never sends.
        return record.is_latest(mine.nonce)

    def _take_peer(self, record: PeerRecord, reader: PeerReader, context: Context) -> PlanRecord:
        """Become the one sync of this SIP peer, and wait until the orders of the one before show."""
        ti = context["ti"]
        due = _due_time(context)
        self._refuse_older_run(record, ti.dag_id, due)
        holder = record.find_holder(ti, self.task_id)
        if holder is not None:
            self._wait_or_fail(holder)
        mine = record.take(ti, self.task_id, self._find_report_task_id(), due, self.plan_valid_for)
        if mine is None:
            self._wait_or_fail(record.read())
        self._wait_for_search(record, mine, reader)
        return mine

    def _refuse_older_run(self, record: PeerRecord, dag_id: str, due: datetime | None) -> None:
        latest = record.read()
        newest = latest.newest.get(dag_id) if latest else None
        if newest is None or due is None or due >= datetime.fromisoformat(newest):
            return
        facts = f"A run of this DAG that was due at {newest} has planned for this SIP peer; this run was due at {due}"
        if not parse_flag("allow_older_run", self.allow_older_run):
            raise AirflowFailException(
                f"{facts}: an older extract would undo what the newer run did. Nothing was sent. Start a new run, or "
                "set allow_older_run=True."
            )
        self.log.warning("%s. It goes on, since allow_older_run is set.", facts)

    def _find_report_task_id(self) -> str | None:
        """The task with which this sync ends; ``None`` where the plan is used without a report."""
        dag = self.get_dag()
        for each in dag.tasks if dag is not None else ():
            if isinstance(each, BandwidthNumberSyncReportOperator) and each.plan_task_id == self.task_id:
                return str(each.task_id)
        return None

    def _wait_or_fail(self, holder: PlanRecord | None) -> NoReturn:
        who = f"run {holder.run_id!r} of DAG {holder.dag_id!r}" if holder else "another run"
        facts = f"Another sync of this SIP peer is running: {who}, since {holder.planned_at if holder else 'just now'}"
        if self.if_running == "fail":
            raise AirflowFailException(f"{facts}. Nothing was sent. Run again when it has ended.")
        self.log.info(
            "%s. Looking again in %d seconds. If that run will not go on, mark it as failed.", facts, _LOOK_AGAIN_AFTER
        )
        raise AirflowRescheduleException(datetime.now(UTC) + timedelta(seconds=_LOOK_AGAIN_AFTER))

    def _wait_for_search(self, record: PeerRecord, mine: PlanRecord, reader: PeerReader) -> None:
        """Wait while Bandwidth's search may hide orders that the sync before has sent."""
        seconds = record.seconds_until_shown()
        if seconds and reader.hides(mine.order_ids):
            self.log.info(
                "A sync of this SIP peer sent an order a moment ago, and Bandwidth's search may not show it yet: "
                "waiting up to %d seconds.",
                seconds,
            )
            while seconds > 0 and reader.hides(mine.order_ids):
                time.sleep(min(_SEARCH_PAUSE, seconds))
                seconds -= _SEARCH_PAUSE

    def _resolve_place(self) -> tuple[int, int]:
        site_id = self.hook.resolve_site_id(self.site_id)
        sip_peer_id = self.hook.resolve_sip_peer_id(self.sip_peer_id)
        if sip_peer_id is None:
            raise InvalidParameterError(
                "SipPeerId", f"give sip_peer_id, or set extra.sip_peer_id of connection {self.bandwidth_conn_id!r}."
            )
        return site_id, sip_peer_id

    # --- what is wanted ---

    def _make_request(self) -> PlanRequest:
        return PlanRequest(
            desired=self._read_desired(),
            excluded=() if self.excluded_telephone_numbers is None else self.excluded_telephone_numbers,
            remove_missing=self.remove_missing,
            limits={**self.limits, "max_imports": self.max_imports},
            first_load=parse_flag("first_load", self.first_load),
            chunk_size=self.chunk_size,
            preflight=self.preflight,
            resend_errors_after=self.resend_errors_after,
            ignore_error_codes=self.ignore_error_codes,
            loa_type=str(parse_choice("LoaType", LoaType, self.loa_type)) if self.loa_type else None,
        )

    def _read_desired(self) -> Iterable[object] | str:
        if self.extract_path is not None:
            encoding = str(self.encoding) if self.encoding else None
            return read_telephone_number_column(str(self.extract_path), str(self.column), encoding=encoding)
        return () if self.telephone_numbers is None else self.telephone_numbers

    def _check_map_length(self, layout: Layout) -> None:
        most = conf.getint("core", "max_map_length", fallback=1024)
        for chunks in layout.orders.values():
            if len(chunks) > most:
                numbers = sum(len(each.telephone_numbers) for each in chunks)
                raise AirflowFailException(
                    f"{numbers} telephone numbers make {len(chunks)} orders of up to {self.chunk_size}, but Airflow "
                    f"maps over {most} at most. Nothing was sent. Raise chunk_size (up to {NUMBERS_PER_XCOM}), or "
                    "[core] max_map_length."
                )


if not AIRFLOW_V_3_0_PLUS:
    from airflow.ti_deps.deps.ready_to_reschedule import ReadyToRescheduleDep

    # Airflow 3 adds this to what it takes for a sensor. Without it a rescheduled task is started again at once.
    BandwidthNumberSyncPlanOperator.deps = BaseOperator.deps | {ReadyToRescheduleDep()}  # type: ignore[attr-defined]


def _due_time(context: Context) -> datetime | None:
    """When a run was due: later for a newer extract."""
    run: Any = context.get("dag_run")
    due = (
        getattr(run, "run_after", None) or getattr(run, "data_interval_end", None) or getattr(run, "logical_date", None)
    )
    return cast("datetime | None", due)
