"""The two ends of the nightly number sync: the plan, and the report. In between stand ordinary orders and waits.

Numbers travel from task to task in XComs of the plan task, one for each order and one for each few thousand others, so
that no XCom holds more than 64 KB and no task reads more than its share. The plan's
return value holds figures only. Where millions should stay out of Airflow's database, configure Airflow's object
storage XCom backend: it moves these XComs as any other.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSkipException,
    Asset,
    BaseOperator,
    ObjectStoragePath,
    conf,
    task,
)

from airflow_provider_bandwidth.exceptions import (
    BandwidthApiError,
    InvalidExtractError,
    InvalidParameterError,
    InvalidResponseError,
    UnsafePlanError,
)
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.number_sync.extract import read_column
from airflow_provider_bandwidth.number_sync.plan import (
    DEFAULT_MAX_REMOVALS,
    DEFAULT_MIN_DESIRED,
    BusyNumbers,
    NumberSyncPlan,
    OrderChunk,
    check_plan,
    cut_into_orders,
    find_lasting_errors,
    hold_back_leaving,
    parse_limit,
    plan_number_sync,
)
from airflow_provider_bandwidth.number_sync.report import (
    Fate,
    NumberFate,
    OrderResult,
    Tally,
    account_for_order,
    iter_plan_fates,
)
from airflow_provider_bandwidth.operators.bandwidth import parse_flag
from airflow_provider_bandwidth.orders import (
    MAX_LISTED_ORDERS,
    OPEN_STATUSES,
    TERMINAL_STATUSES,
    Action,
    LoaType,
    TelephoneNumberError,
    TnOrder,
    parse_choice,
)
from airflow_provider_bandwidth.sensors.bandwidth import COMPLETED_KEY, ERRORS_KEY
from airflow_provider_bandwidth.telephone_numbers import chunk
from airflow_provider_bandwidth.values import repeatable

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

DEFAULT_CHUNK_SIZE: Final = 1000
DEFAULT_RESEND_ERRORS_AFTER: Final = 7
#: Small rows, whatever the database. A number takes eleven bytes, a rejected value as many as its text.
_NUMBERS_PER_XCOM: Final = 5000
_XCOM_BYTES: Final = 48_000
_LONGEST_SHOWN_VALUE: Final = 200
#: What an order did shows in the inventory this long after its end at the latest, Bandwidth's clock being off included.
#: An order of the same run that ended before, for numbers that a plan asks for again, has been undone.
_SETTLED_AFTER: Final = timedelta(hours=1)
#: States in which a sensor may have left what it read: it succeeded, failed the task, or skipped it (``soft_fail``).
_ENDED_STATES: Final = frozenset({"success", "failed", "skipped"})
_REPORT_COLUMNS: Final = ("telephone_number", "action", "fate", "code", "reason", "order_id")


def read_telephone_number_column(path: str, column: str) -> Iterator[str]:
    """The values of one column of a CSV extract, one by one, without blanks around them.

    UTF-8 or UTF-16, with or without a byte order mark, any line ends, quoted or not, separated by comma, semicolon, tab
    or bar; case and blanks around the column's name do not matter.

    :param path: anything Airflow's ``ObjectStoragePath`` takes: a local path, ``s3://conn_id@bucket/key``, ...
    :param column: the column's name in the first row
    :raises InvalidExtractError: the file cannot be opened, is no text, lacks the column (names those that are there),
        or its quoting is broken
    """
    with _naming_file(path), ObjectStoragePath(path).open("rb") as stream:
        yield from read_column(stream, column, path)


@contextmanager
def _naming_file(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidExtractError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, ImportError) as error:
        raise InvalidExtractError(
            f"{path} cannot be read: {error}. Install the Airflow provider that serves this kind of path with its file "
            "system, for s3:// apache-airflow-providers-amazon[s3fs]."
        ) from error


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
    parts = [f"bandwidth://{bandwidth_conn_id}"]
    if site_id is not None and str(site_id).isdecimal():
        parts.append(f"sites/{site_id}")
    if sip_peer_id is not None and str(sip_peer_id).isdecimal():
        parts.append(f"sippeers/{sip_peer_id}")
    return Asset("/".join([*parts, "telephone-numbers"]))


def chunk_key(action: Action | str, index: int) -> str:
    """XCom key under which the plan task leaves the numbers of one order, separated by commas."""
    return f"{Action(action).lower()}_{index:05d}"


def reuse_template(plan_task_id: str, action: Action | str) -> str:
    """A template for ``reuse_orders_ended_since`` of a mapped submit task: when the plan was made, less an hour.

    Nothing for an order that the plan takes over: that was open then, whatever it says of its end.
    """
    plan = f"ti.xcom_pull(task_ids={plan_task_id!r}, map_indexes=-1)"
    return (
        f"{{{{ '' if {plan}['orders'][{str(Action(action))!r}][ti.map_index] "
        f"else {plan}['reuse_orders_ended_since'] }}}}"
    )


def chunk_template(plan_task_id: str, action: Action | str) -> str:
    """A template for ``telephone_numbers`` of a mapped submit task: the numbers of the order with its map index."""
    return (
        f"{{{{ ti.xcom_pull(task_ids={plan_task_id!r}, "
        f"key={str(Action(action).lower())!r} ~ '_%05d' % ti.map_index, map_indexes=-1) }}}}"
    )


@task
def list_sync_orders(plan: Mapping[str, Any], action: str) -> list[str | None]:
    """What to map over: the CustomerOrderId of each order of the plan, ``None`` where it is a new one.

    :param plan: the return value of the plan task
    :param action: ``IMPORT`` or ``REMOVE``
    """
    return [] if plan["dry_run"] else list(plan["orders"][action])


class BandwidthNumberSyncPlanOperator(BaseOperator):
    """Compare the numbers an organisation wants with those at Bandwidth, and lay out the orders that are needed.

    Sends no order. Current numbers are those an external order brought to the SIP peer; a number that Bandwidth owns is
    never among them. Each run plans anew from what is there, and numbers of orders that are still open are not asked
    for again: an open order that fits is taken over as it is. So a plan may be cleared at any time.

    XComs: ``return_value`` with the figures, and the CustomerOrderIds of the orders by action; ``import_00000``,
    ``remove_00000`` and on, the numbers of each order; ``unchanged_00000``, ``rejected_00000`` and on, for the report.

    :param telephone_numbers: the desired numbers in any usual notation: any iterable, rows of a one-column query, or
        text; templated. This or ``extract_path``
    :param extract_path: a CSV file to read them from: anything ``ObjectStoragePath`` takes; templated. It is read
        here, so that its numbers do not pass through XCom
    :param column: the name of the file's column that holds them; templated
    :param excluded_telephone_numbers: numbers to leave alone: neither imported nor removed; templated
    :param remove_missing: whether to remove current numbers that are not desired
    :param max_removals: the most numbers to remove, as a count (``500``) or a share of the current ones (``0.1``)
    :param min_desired: stop if the desired numbers are fewer than this count or share of the current ones
    :param chunk_size: the most numbers in one order, at most 5,000; fewer, smaller orders fail less at once
    :param preflight: whether to ask importTnChecker first and leave out what it refuses
    :param resend_errors_after: days after which a number is sent again that Bandwidth refused for good, say 25060
        "Bandwidth's own"; until then it counts as errored with the earlier order's code. ``0`` sends it every time
    :param ignore_error_codes: codes that count as done, as for the sensor; they hold no number back
    :param loa_type: LoaType that the imports are sent with, so that open orders of another are left alone; templated
    :param dry_run: whether this is a dry run: a plan and a report, but nothing is sent; templated
    :param list_unchanged: whether to hand on the unchanged numbers one by one, for a report in a file
    :param site_id: SiteId; the connection's by default; templated
    :param sip_peer_id: SipPeerId; the connection's by default; templated
    :param account_id: Bandwidth account; the connection's by default; templated
    :param bandwidth_conn_id: Airflow connection of type ``bandwidth``; templated
    :raises UnsafePlanError: the guard stopped the plan; the task fails without retries, nothing is sent
    :raises InvalidExtractError: the extract cannot be read
    """

    template_fields: Sequence[str] = (
        "telephone_numbers",
        "extract_path",
        "column",
        "excluded_telephone_numbers",
        "loa_type",
        "is_dry_run",
        "site_id",
        "sip_peer_id",
        "account_id",
        "bandwidth_conn_id",
    )
    ui_color = "#e8f4fd"

    def __init__(
        self,
        *,
        telephone_numbers: Iterable[object] | str | None = None,
        extract_path: str | None = None,
        column: str | None = None,
        excluded_telephone_numbers: Iterable[object] | str = (),
        remove_missing: bool = False,
        max_removals: float = DEFAULT_MAX_REMOVALS,
        min_desired: float = DEFAULT_MIN_DESIRED,
        chunk_size: int = DEFAULT_CHUNK_SIZE,
        preflight: bool = False,
        resend_errors_after: int = DEFAULT_RESEND_ERRORS_AFTER,
        ignore_error_codes: Collection[str | int] = (),
        loa_type: LoaType | str | None = None,
        dry_run: bool | str = False,
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
        if not 1 <= chunk_size <= _NUMBERS_PER_XCOM:
            raise ValueError(f"chunk_size: expected 1 to {_NUMBERS_PER_XCOM}, got {chunk_size}")
        for name, limit in (("max_removals", max_removals), ("min_desired", min_desired)):
            parse_limit(name, limit, 0)
        self.telephone_numbers = repeatable(telephone_numbers)
        self.extract_path = extract_path
        self.column = column
        self.excluded_telephone_numbers = repeatable(excluded_telephone_numbers)
        self.remove_missing = parse_flag("remove_missing", remove_missing)
        self.max_removals = max_removals
        self.min_desired = min_desired
        self.chunk_size = chunk_size
        self.preflight = parse_flag("preflight", preflight)
        self.resend_errors_after = resend_errors_after
        self.ignore_error_codes = tuple(str(code) for code in ignore_error_codes)
        self.loa_type = loa_type
        # BaseOperator.dry_run is a method of Airflow's.
        self.is_dry_run = dry_run
        self.list_unchanged = list_unchanged
        self.site_id = site_id
        self.sip_peer_id = sip_peer_id
        self.account_id = account_id
        self.bandwidth_conn_id = bandwidth_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan, check, and hand on."""
        hook = BandwidthHook(self.bandwidth_conn_id, self.account_id)
        if getattr(context.get("dag"), "max_active_runs", 1) != 1:
            self.log.warning(
                "Set max_active_runs=1 on this DAG: of two syncs of a SIP peer at the same time, each may send what "
                "the other is about to send, and importing a number again resets it."
            )
        site_id = hook.resolve_site_id(self.site_id)
        sip_peer_id = hook.resolve_sip_peer_id(self.sip_peer_id)
        if sip_peer_id is None:
            raise InvalidParameterError(
                "SipPeerId", f"give sip_peer_id, or set extra.sip_peer_id of connection {self.bandwidth_conn_id!r}"
            )
        dry_run = parse_flag("dry_run", self.is_dry_run)
        loa_type = parse_choice("LoaType", LoaType, self.loa_type) if self.loa_type else None
        planned_at = datetime.now(UTC)
        # In this order: an order that ends in between is then in both, not in neither.
        open_orders = _list_open_orders(hook)
        current, owned = self._read_inventory(hook, site_id, sip_peer_id)
        owned.difference_update(*(order.telephone_numbers for order in open_orders))
        plan = plan_number_sync(
            self._read_desired(),
            current,
            owned=owned,
            excluded=() if self.excluded_telephone_numbers is None else self.excluded_telephone_numbers,
            remove_missing=self.remove_missing,
        )
        self.log.info("The plan: %s.", ", ".join(f"{name} {count:,}" for name, count in plan.counts().items()))
        self._check(plan)
        to_import, refused_before = self._hold_back_refused(hook, plan.to_import, site_id, sip_peer_id)
        to_import, refused = self._preflight(hook, to_import, site_id, sip_peer_id)
        unchanged, leaving = hold_back_leaving(plan.unchanged, open_orders)
        place: dict[str, Any] = {"site_id": site_id, "sip_peer_id": sip_peer_id, "open_orders": open_orders}
        imports, busy = cut_into_orders(to_import, self.chunk_size, action=Action.IMPORT, loa_type=loa_type, **place)
        removals, not_removed = cut_into_orders(plan.to_remove, self.chunk_size, action=Action.REMOVE, **place)
        self._check_map_length(imports, removals)
        rejected = [
            *({"value": _shorten(each.value), "code": each.code, "reason": each.reason} for each in plan.rejected),
            *refused_before,
            *refused,
            *_rows_of_busy((*leaving, *busy), Action.IMPORT),
            *_rows_of_busy(not_removed, Action.REMOVE),
        ]
        orders = {Action.IMPORT: imports, Action.REMOVE: removals}
        handed_on = _hand_on(context["ti"], orders, unchanged if self.list_unchanged else (), rejected)
        return {
            **plan.counts(),
            **handed_on,
            "unchanged": len(unchanged),
            "rejected": len([row for row in rejected if "action" not in row and "fate" not in row]),
            "refused_before": len(refused_before),
            "orders": {str(action): [each.customer_order_id for each in chunks] for action, chunks in orders.items()},
            "reuse_orders_ended_since": (planned_at - _SETTLED_AFTER).isoformat(),
            "dry_run": dry_run,
            "account_id": hook.account_id,
            "site_id": site_id,
            "sip_peer_id": sip_peer_id,
        }

    def _read_desired(self) -> Iterable[object] | str:
        if self.extract_path is not None:
            return read_telephone_number_column(self.extract_path, str(self.column))
        return () if self.telephone_numbers is None else self.telephone_numbers

    def _read_inventory(self, hook: BandwidthHook, site_id: int, sip_peer_id: int) -> tuple[set[str], set[str]]:
        """The numbers that were imported to the peer, and the others there."""
        imported: set[str] = set()
        others: set[str] = set()
        try:
            for number, is_imported in hook.iter_sip_peer_telephone_numbers(site_id, sip_peer_id):
                (imported if is_imported else others).add(number)
        except BandwidthApiError as error:
            if error.status != 404:
                raise
            raise InvalidParameterError(
                "SipPeerId", f"account {hook.account_id} has no site {site_id} with SIP peer {sip_peer_id}: {error}"
            ) from error
        if others and not imported:
            self.log.warning(
                "None of the %d telephone numbers at SIP peer %d has the attribute External or Imported: nothing there "
                "counts as imported.",
                len(others),
                sip_peer_id,
            )
        return imported, others

    def _check(self, plan: NumberSyncPlan) -> None:
        try:
            check_plan(plan, max_removals=self.max_removals, min_desired=self.min_desired)
        except UnsafePlanError as error:
            raise AirflowFailException(str(error)) from error

    def _hold_back_refused(
        self, hook: BandwidthHook, to_import: Sequence[str], site_id: int, sip_peer_id: int
    ) -> tuple[Sequence[str], list[dict[str, str]]]:
        if not self.resend_errors_after or not to_import:
            return to_import, []
        since = datetime.now(UTC) - timedelta(days=self.resend_errors_after)
        orders = hook.list_tn_orders(status=TERMINAL_STATUSES, action=Action.IMPORT, created_from=since)
        if len(orders) >= MAX_LISTED_ORDERS:
            self.log.warning(
                "Bandwidth lists the newest %d imports of the last %d days and no more: numbers that an older one "
                "refused are sent again.",
                len(orders),
                self.resend_errors_after,
            )
        refused = find_lasting_errors(
            to_import,
            [order for order in orders if order.created_at is not None and order.created_at >= since],
            site_id=site_id,
            sip_peer_id=sip_peer_id,
            ignore_error_codes=self.ignore_error_codes,
        )
        held = {error.telephone_number for error in refused}
        if held:
            self.log.info(
                "Holding back %d telephone numbers that Bandwidth refused for good in the last %d days.",
                len(held),
                self.resend_errors_after,
            )
        rows = [
            {
                "value": error.telephone_number,
                "code": error.code,
                "reason": f"{error.description} (said before, not sent again yet)",
                "fate": str(Fate.ERRORED),
                "order_id": error.order_id,
            }
            for error in refused
        ]
        return [number for number in to_import if number not in held], rows

    def _preflight(
        self, hook: BandwidthHook, to_import: Sequence[str], site_id: int, sip_peer_id: int
    ) -> tuple[Sequence[str], list[dict[str, str]]]:
        if not self.preflight or not to_import:
            return to_import, []
        importable = dict.fromkeys(to_import)
        refused = []
        for error in hook.check_importable(to_import, site_id, sip_peer_id):
            if error.telephone_number in importable:
                del importable[error.telephone_number]
                reason = f"importTnChecker: {error.description}"
                refused.append({"value": error.telephone_number, "code": error.code, "reason": reason})
        self.log.info("importTnChecker refuses %d of %d telephone numbers.", len(refused), len(to_import))
        return tuple(importable), refused

    def _check_map_length(self, *branches: Sequence[OrderChunk]) -> None:
        most = conf.getint("core", "max_map_length", fallback=1024)
        for chunks in branches:
            if len(chunks) > most:
                numbers = sum(len(each.telephone_numbers) for each in chunks)
                raise AirflowFailException(
                    f"{numbers} telephone numbers make {len(chunks)} orders of up to {self.chunk_size}, but Airflow "
                    f"maps over {most} at most. Nothing was sent. Raise chunk_size (up to {_NUMBERS_PER_XCOM}), or "
                    "[core] max_map_length."
                )


def _list_open_orders(hook: BandwidthHook) -> list[TnOrder]:
    """The orders that are not known to have ended, also those in a status that Bandwidth has not documented.

    :raises InvalidResponseError: which numbers are being worked on cannot be told
    """
    orders = hook.list_tn_orders(status=OPEN_STATUSES)
    if len(orders) >= MAX_LISTED_ORDERS:
        raise InvalidResponseError(
            f"Account {hook.account_id} has {len(orders)} open orders or more, and Bandwidth lists no further: "
            "which numbers are being worked on cannot be told. Nothing was sent. Run again when fewer are open."
        )
    lately = datetime.now(UTC) - timedelta(days=1)
    for entry in hook.iter_tn_orders(statuses=(), created_from=lately, in_full=False):
        if not entry.order.is_terminal and entry.order.processing_status not in OPEN_STATUSES:
            orders.append(hook.get_tn_order(entry.order.order_id))
    blank = [order.order_id for order in orders if not order.is_terminal and not order.telephone_numbers]
    if blank:
        raise InvalidResponseError(
            f"{len(blank)} open orders show no telephone numbers (yet): {', '.join(blank[:5])}. Which numbers are "
            "being worked on cannot be told. Nothing was sent. Run again when they show them, or have ended."
        )
    return orders


def _rows_of_busy(busy: Iterable[BusyNumbers], action: Action) -> Iterator[dict[str, str]]:
    for each in busy:
        reason = f"{each.action} order {each.order_id} still works on it: run again when that order has ended"
        for number in sorted(each.telephone_numbers):
            row = {"value": number, "code": "open_order", "reason": reason}
            yield row if action is Action.IMPORT else {**row, "action": str(action)}


def _shorten(value: str) -> str:
    return value if len(value) <= _LONGEST_SHOWN_VALUE else f"{value[:_LONGEST_SHOWN_VALUE]}..."


def _hand_on(
    ti: Any,
    orders: Mapping[Action, Sequence[OrderChunk]],
    unchanged: Sequence[str],
    rejected: Sequence[Mapping[str, str]],
) -> dict[str, int]:
    """Push the XComs beside the return value.

    :return: how many there are for unchanged and rejected numbers
    """
    for action, chunks in orders.items():
        for index, each in enumerate(chunks):
            ti.xcom_push(key=chunk_key(action, index), value=",".join(each.telephone_numbers))
    unchanged_count = rejected_count = 0
    for unchanged_count, part in enumerate(chunk(unchanged, _NUMBERS_PER_XCOM), 1):
        ti.xcom_push(key=f"unchanged_{unchanged_count - 1:05d}", value=",".join(part))
    for rejected_count, rows in enumerate(_pack(rejected), 1):
        ti.xcom_push(key=f"rejected_{rejected_count - 1:05d}", value=rows)
    return {"unchanged_xcoms": unchanged_count, "rejected_xcoms": rejected_count}


def _pack(rows: Iterable[Mapping[str, str]]) -> Iterator[list[Mapping[str, str]]]:
    packed: list[Mapping[str, str]] = []
    size = 0
    for row in rows:
        length = len(json.dumps(row)) + 2
        if packed and size + length > _XCOM_BYTES:
            yield packed
            packed, size = [], 0
        packed.append(row)
        size += length
    if packed:
        yield packed


class BandwidthNumberSyncReportOperator(BaseOperator):
    """Account for every number of a plan, whatever happened to its orders, and fail if that is not good enough.

    Runs whatever became of the tasks before it. Every desired number has exactly one fate: unchanged, imported, errored
    (with Bandwidth's code and text), rejected (with a reason) or unaccounted; every number to remove likewise. The log
    shows the counts and what to do about each error code; ``report_path`` gets a line for every number.

    The task fails, without retries, if the plan failed, if a number is unaccounted, or if more numbers than
    ``max_errors`` errored. Otherwise Assets among its ``outlets`` get an event with the counts in ``extra``. On a dry
    run it ends as skipped, so that no Asset is touched; the report is there all the same.

    :param plan_task_id: the plan task
    :param submit_task_ids: the mapped task that submits the orders, by action
    :param wait_task_ids: the mapped sensor that waits for them, by action
    :param max_errors: the most errored numbers, as a count (``20``) or a share of all numbers that are desired or
        to be removed (``0.01``)
    :param report_path: where to write the fates: a ``.csv``, ``.jsonl`` or ``.ndjson`` file, anything
        ``ObjectStoragePath`` takes; templated
    :return: (XCom, pushed before the task fails) the counts, ``error_counts`` by code, ``order_ids``, ``report_path``
    """

    template_fields: Sequence[str] = ("report_path",)
    ui_color = "#e8f4fd"

    def __init__(
        self,
        *,
        plan_task_id: str,
        submit_task_ids: Mapping[str, str],
        wait_task_ids: Mapping[str, str],
        max_errors: float = 0,
        report_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"trigger_rule": "all_done", **kwargs})
        parse_limit("max_errors", max_errors, 0)
        if report_path is not None and not report_path.endswith((".csv", ".jsonl", ".ndjson")):
            raise ValueError(f"report_path: expected a .csv, .jsonl or .ndjson file, got {report_path!r}")
        self.plan_task_id = plan_task_id
        self.submit_task_ids = dict(submit_task_ids)
        self.wait_task_ids = dict(wait_task_ids)
        self.max_errors = max_errors
        self.report_path = report_path

    def execute(self, context: Context) -> dict[str, Any]:
        """Account, write, log, judge."""
        ti = context["ti"]
        states = _read_states(context)
        # Airflow deletes a task's XComs when the task starts, not when it is cleared: one that did not run in this
        # attempt still shows those of the last.
        plan = self._pull(ti, self.plan_task_id) if states.get(self.plan_task_id) == "success" else None
        if plan is None:
            raise AirflowFailException(
                f"There is no plan, so nothing was sent: see the log of task {self.plan_task_id!r}."
            )
        tally = Tally()
        order_ids: list[str] = []
        fates = self._iter_fates(ti, plan, states, order_ids)
        if self.report_path is None:
            for fate in fates:
                tally.add(fate)
        else:
            _write_report(self.report_path, fates, tally)
        if not plan["unchanged_xcoms"]:
            tally.add_unchanged(plan["unchanged"])
        summary = {
            **tally.counts(),
            "error_counts": tally.error_counts(),
            "order_ids": order_ids,
            "report_path": self.report_path,
            "dry_run": plan["dry_run"],
        }
        self.log.info("%s", tally.render(self._title(plan, len(order_ids))))
        ti.xcom_push(key="return_value", value=summary)
        self._judge(plan, tally)
        for asset in self.outlets:
            context["outlet_events"][asset].extra.update(summary)
        return summary

    def _iter_fates(
        self, ti: Any, plan: Mapping[str, Any], states: Mapping[str, str], order_ids: list[str]
    ) -> Iterator[NumberFate]:
        for index in range(plan["unchanged_xcoms"]):
            yield from iter_plan_fates((), _numbers(self._pull(ti, self.plan_task_id, f"unchanged_{index:05d}")))
        for index in range(plan["rejected_xcoms"]):
            yield from iter_plan_fates(self._pull(ti, self.plan_task_id, f"rejected_{index:05d}"), ())
        for action in Action:
            for index in range(len(plan["orders"][action])):
                requested = _numbers(self._pull(ti, self.plan_task_id, chunk_key(action, index)))
                if plan["dry_run"]:
                    yield from (NumberFate(number, action, Fate.PLANNED) for number in requested)
                    continue
                result = self._read_result(ti, states, action, index)
                if result.order_id is not None:
                    order_ids.append(result.order_id)
                yield from account_for_order(action, requested, result)

    def _read_result(self, ti: Any, states: Mapping[str, str], action: Action, index: int) -> OrderResult:
        submit_task_id, wait_task_id = self.submit_task_ids[action], self.wait_task_ids[action]
        if states.get(f"{submit_task_id}_{index}") != "success":
            return OrderResult()
        order_id = self._pull(ti, submit_task_id, map_index=index)
        ended = None
        if states.get(f"{wait_task_id}_{index}") in _ENDED_STATES:
            ended = self._pull(ti, wait_task_id, map_index=index)
        if order_id is None or ended is None or ended["order_id"] != order_id:
            # What another attempt waited for says nothing about this order.
            return OrderResult(order_id)
        errors = self._pull(ti, wait_task_id, ERRORS_KEY, index) or ()
        return OrderResult(
            order_id,
            ended["processing_status"],
            self._pull(ti, wait_task_id, COMPLETED_KEY, index) or (),
            [TelephoneNumberError(**error) for error in errors],
        )

    def _pull(self, ti: Any, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        return ti.xcom_pull(task_ids=task_id, key=key, map_indexes=map_index)

    def _title(self, plan: Mapping[str, Any], order_count: int) -> str:
        where = f"account {plan['account_id']}, site {plan['site_id']}, SIP peer {plan['sip_peer_id']}"
        dry = "DRY RUN, nothing was sent: " if plan["dry_run"] else ""
        return f"{dry}number sync of {where}: {order_count} orders, {plan['current']:,} numbers there before"

    def _judge(self, plan: Mapping[str, Any], tally: Tally) -> None:
        if plan["dry_run"]:
            raise AirflowSkipException(
                "A dry run: nothing was sent, so no Asset event is emitted. The report is above."
            )
        unaccounted = tally.count(Fate.UNACCOUNTED)
        errored = tally.count(Fate.ERRORED)
        counts = tally.counts()
        total = counts["desired"] + counts["to_remove"]
        allowed = parse_limit("max_errors", self.max_errors, total)
        problems = []
        if unaccounted:
            problems.append(f"{unaccounted} telephone numbers are unaccounted for")
        if errored > allowed:
            codes = ", ".join(f"{code or 'no code'} x {count}" for code, count in tally.error_counts().items())
            problems.append(f"{errored} of {total} errored ({codes}), more than max_errors={self.max_errors} allows")
        if problems:
            raise AirflowFailException(
                f"{'; '.join(problems)}. What ended well stays done; each number's fate is in "
                f"{self.report_path or 'the log and the XComs of the orders, or in a file if report_path is set'}."
            )


def _read_states(context: Context) -> dict[str, str]:
    """The states of the run's tasks in this attempt, by task id, with ``_`` and the map index behind mapped ones."""
    ti = context["ti"]
    if hasattr(ti, "get_task_states"):  # Airflow 3
        found = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id]).get(ti.run_id, {})
        return {task_id: str(state) for task_id, state in found.items()}
    instances = cast(Any, context["dag_run"]).get_task_instances()
    return {
        each.task_id if each.map_index < 0 else f"{each.task_id}_{each.map_index}": str(each.state)
        for each in instances
    }


def _numbers(text: object) -> list[str]:
    return str(text).split(",") if text else []


def _write_report(path: str, fates: Iterable[NumberFate], tally: Tally) -> None:
    """Write a line for each number, and count them."""
    target = ObjectStoragePath(path)
    if target.protocol in ("", "file"):
        target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as stream, io.TextIOWrapper(stream, encoding="utf-8", newline="") as text:
        writer = csv.DictWriter(text, _REPORT_COLUMNS) if path.endswith(".csv") else None
        if writer is not None:
            writer.writeheader()
        for fate in fates:
            tally.add(fate)
            if writer is not None:
                writer.writerow(fate.to_dict())
            else:
                text.write(json.dumps(fate.to_dict(), ensure_ascii=False) + "\n")
