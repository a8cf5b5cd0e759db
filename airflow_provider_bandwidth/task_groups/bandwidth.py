"""The nightly number sync as one task group."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any, Final, cast

from airflow.providers.common.compat.sdk import TaskGroup, task_group

from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.number_sync.plan import DEFAULT_MAX_REMOVALS, DEFAULT_MIN_DESIRED
from airflow_provider_bandwidth.operators.bandwidth import BandwidthTnOrderOperator
from airflow_provider_bandwidth.operators.number_sync import (
    DEFAULT_CHUNK_SIZE,
    DEFAULT_RESEND_ERRORS_AFTER,
    BandwidthNumberSyncPlanOperator,
    BandwidthNumberSyncReportOperator,
    chunk_template,
    list_sync_orders,
    number_sync_asset,
    reuse_template,
)
from airflow_provider_bandwidth.orders import Action, LoaType
from airflow_provider_bandwidth.sensors.bandwidth import BandwidthTnOrderSensor

#: How long to wait for one order, in seconds, before its numbers count as unaccounted. Bandwidth promises no time.
_DEFAULT_TIMEOUT: Final = timedelta(hours=6).total_seconds()


def bandwidth_number_sync(
    *,
    group_id: str,
    telephone_numbers: Iterable[object] | str | None = None,
    extract_path: str | None = None,
    column: str | None = None,
    excluded_telephone_numbers: Iterable[object] | str = (),
    site_id: int | str | None = None,
    sip_peer_id: int | str | None = None,
    remove_missing: bool = False,
    max_removals: float = DEFAULT_MAX_REMOVALS,
    min_desired: float = DEFAULT_MIN_DESIRED,
    max_errors: float = 0,
    chunk_size: int = DEFAULT_CHUNK_SIZE,
    preflight: bool = False,
    resend_errors_after: int = DEFAULT_RESEND_ERRORS_AFTER,
    dry_run: bool | str = False,
    report_path: str | None = None,
    loa_type: LoaType | str | None = None,
    ignore_error_codes: Collection[str | int] = (),
    deferrable: bool = True,
    poke_interval: float = 30.0,
    timeout: float = _DEFAULT_TIMEOUT,
    account_id: str | None = None,
    bandwidth_conn_id: str = BandwidthHook.default_conn_name,
) -> TaskGroup:
    """Make the numbers at Bandwidth those of an extract, and tell what became of each.

    ``plan`` -> for each action a list of orders and, mapped over it, ``submit`` -> ``wait`` -> ``report``. All are
    public operators that can be used alone. The branches are independent, a failing order stops no other, and
    ``report`` runs whatever happened and decides how the run ends. To run it again, clear it or start another run:
    what was done is unchanged then, what is open is waited for, and what is left is sent.

    Set ``max_active_runs=1`` on the DAG, and let no other DAG sync the same SIP peer at the same time: each would send
    what the other is about to send.

    :param group_id: of the task group
    :param telephone_numbers: the desired numbers: any iterable, the output of a task, rows of a one-column query, or
        text; templated. For more than some ten thousand use ``extract_path``
    :param extract_path: a CSV file to read them from instead: anything ``ObjectStoragePath`` takes; templated
    :param column: the name of the file's column that holds them; templated
    :param excluded_telephone_numbers: numbers to leave alone: neither imported nor removed; templated
    :param site_id: SiteId; the connection's by default; templated
    :param sip_peer_id: SipPeerId; the connection's by default; templated
    :param remove_missing: whether to remove imported numbers that are not in the extract
    :param max_removals: stop if more would be removed; a count (``500``) or a share of the current numbers (``0.1``)
    :param min_desired: stop if the extract holds fewer; a count, or a share of the current numbers. ``0`` if the
        extract holds new numbers only
    :param max_errors: fail if more numbers error; a count, or a share of the numbers that are desired or to be removed
    :param chunk_size: the most numbers in one order
    :param preflight: whether to ask importTnChecker first and not to send what it refuses
    :param resend_errors_after: days after which a number is sent again that Bandwidth refused for good; until then it
        counts as errored without being sent. ``0`` sends it every time
    :param dry_run: whether to report and send nothing; templated
    :param report_path: a ``.csv`` or ``.jsonl`` file for a line on every number; templated
    :param loa_type: LoaType of imports; left to Bandwidth (CARRIER) by default; templated
    :param ignore_error_codes: error codes that count as done, in imports and removals; not templated
    :param deferrable: whether to wait in the triggerer
    :param poke_interval: seconds between looks at an order
    :param timeout: seconds to wait for an order before its numbers count as unaccounted
    :param account_id: Bandwidth account; the connection's by default; templated
    :param bandwidth_conn_id: Airflow connection of type ``bandwidth``; templated
    :raises ValueError: parameters that do not go together, or a limit that is none
    """
    account: dict[str, Any] = {"account_id": account_id, "bandwidth_conn_id": bandwidth_conn_id}
    with TaskGroup(group_id=group_id) as group:
        plan = BandwidthNumberSyncPlanOperator(
            task_id="plan",
            telephone_numbers=telephone_numbers,
            extract_path=extract_path,
            column=column,
            excluded_telephone_numbers=excluded_telephone_numbers,
            remove_missing=remove_missing,
            max_removals=max_removals,
            min_desired=min_desired,
            chunk_size=chunk_size,
            preflight=preflight,
            resend_errors_after=resend_errors_after,
            ignore_error_codes=ignore_error_codes,
            loa_type=loa_type,
            dry_run=dry_run,
            list_unchanged=report_path is not None,
            site_id=site_id,
            sip_peer_id=sip_peer_id,
            **account,
        )
        submits: dict[str, str] = {}
        waits: dict[str, str] = {}

        def add_branch(action: Action, **of_orders: Any) -> Any:
            @task_group(group_id=action.lower())
            def order(customer_order_id: Any) -> None:
                submit = BandwidthTnOrderOperator(
                    task_id="submit",
                    action=action.value,
                    telephone_numbers=chunk_template(plan.task_id, action),
                    site_id=site_id,
                    customer_order_id=customer_order_id,
                    reuse_orders_ended_since=reuse_template(plan.task_id, action),
                    **of_orders,
                    **account,
                )
                wait = BandwidthTnOrderSensor(
                    task_id="wait",
                    order_id=cast(str, submit.output),
                    ignore_error_codes=ignore_error_codes,
                    deferrable=deferrable,
                    poke_interval=poke_interval,
                    timeout=timeout,
                    **account,
                )
                submits[action.value] = submit.task_id
                waits[action.value] = wait.task_id

            listed = list_sync_orders.override(task_id=f"{action.lower()}_orders")(cast(Any, plan.output), action.value)
            return order.expand(customer_order_id=listed)

        branches = [
            add_branch(Action.IMPORT, sip_peer_id=sip_peer_id, loa_type=loa_type),
            add_branch(Action.REMOVE),
        ]
        report = BandwidthNumberSyncReportOperator(
            task_id="report",
            plan_task_id=plan.task_id,
            submit_task_ids=submits,
            wait_task_ids=waits,
            max_errors=max_errors,
            report_path=report_path,
            outlets=[number_sync_asset(site_id=site_id, sip_peer_id=sip_peer_id, bandwidth_conn_id=bandwidth_conn_id)],
        )
        [plan, *branches] >> report
    return group
