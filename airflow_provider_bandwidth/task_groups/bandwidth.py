"""The nightly number sync as one task group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Literal, cast

from airflow.providers.common.compat.sdk import TaskGroup

from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.operators._approval import Approval, Callback
from airflow_provider_bandwidth.operators.number_sync import (
    LABEL_KEY,
    BandwidthNumberSyncAssignOperator,
    BandwidthNumberSyncOrdersOperator,
    BandwidthNumberSyncPlanOperator,
    BandwidthNumberSyncReportOperator,
    list_sync_orders,
    number_sync_asset,
)
from airflow_provider_bandwidth.orders import TERMINAL_STATUSES, Action, LoaType, Subscriber

#: Stands for a parameter that the caller did not give: then ``default_args``, or the operator's own default, decides.
_NOT_GIVEN: Final = cast(Any, None)
#: How the sync waits unless the caller or ``default_args`` say otherwise. An import may stay PROCESSING for 48 hours;
#: Bandwidth promises no time, and a day more leaves room for it to be late.
_WAIT_DEFAULTS: Final = {
    "deferrable": True,
    "poke_interval": 30.0,
    "timeout": timedelta(hours=72).total_seconds(),
}


def bandwidth_number_sync(
    *,
    group_id: str,
    telephone_numbers: Any = _NOT_GIVEN,
    extract_path: str | None = _NOT_GIVEN,
    column: str | None = _NOT_GIVEN,
    encoding: str | None = _NOT_GIVEN,
    sql: str | None = _NOT_GIVEN,
    sql_conn_id: str | None = _NOT_GIVEN,
    excluded_telephone_numbers: Any = _NOT_GIVEN,
    site_id: int | str | None = _NOT_GIVEN,
    sip_peer_id: int | str | None = _NOT_GIVEN,
    remove_missing: bool | None = _NOT_GIVEN,
    max_removals: float | None = _NOT_GIVEN,
    min_desired: float | None = _NOT_GIVEN,
    max_imports: float | None = _NOT_GIVEN,
    max_unreadable: float | None = _NOT_GIVEN,
    first_load: bool | str | None = _NOT_GIVEN,
    max_errors: float | None = _NOT_GIVEN,
    chunk_size: int | None = _NOT_GIVEN,
    orders_per_task: int | None = _NOT_GIVEN,
    preflight: bool | None = _NOT_GIVEN,
    resend_errors_after: int | None = _NOT_GIVEN,
    dry_run: bool | str | None = _NOT_GIVEN,
    approval: Approval | None = _NOT_GIVEN,
    approvers: Iterable[str] | str | None = _NOT_GIVEN,
    approval_timeout: timedelta | None = _NOT_GIVEN,
    soft_fail: bool | None = _NOT_GIVEN,
    on_unsafe_plan: Callback | Sequence[Callback] | None = _NOT_GIVEN,
    on_failure_callback: Callback | Sequence[Callback] | None = _NOT_GIVEN,
    if_running: Literal["wait", "fail"] | None = _NOT_GIVEN,
    allow_older_run: bool | str | None = _NOT_GIVEN,
    plan_valid_for: timedelta | None = _NOT_GIVEN,
    report_path: str | None = _NOT_GIVEN,
    log_telephone_numbers: bool | None = _NOT_GIVEN,
    order_api: str | None = _NOT_GIVEN,
    loa_type: LoaType | str | None = _NOT_GIVEN,
    subscriber: Subscriber | Mapping[str, Any] | str | None = _NOT_GIVEN,
    loa_authorizing_person: str | None = _NOT_GIVEN,
    loa_files: Iterable[str] | str | None = _NOT_GIVEN,
    campaign_id: str | None = _NOT_GIVEN,
    ignore_error_codes: Iterable[str | int] | str | int | None = _NOT_GIVEN,
    deferrable: bool | None = _NOT_GIVEN,
    poke_interval: float | None = _NOT_GIVEN,
    timeout: float | None = _NOT_GIVEN,
    account_id: str | None = _NOT_GIVEN,
    bandwidth_conn_id: str | None = _NOT_GIVEN,
) -> TaskGroup:
    """Make the numbers at Bandwidth those of an extract, and tell what became of each.

    ``plan`` -> for each action a list of batches of orders and, mapped over it, ``import`` and ``remove``, which submit
    a batch and wait for it -> ``report``. The branches are independent, a failing order stops no other, and
    ``report`` runs whatever happened and decides how the run ends. To run it again, clear it or start another run:
    what was done is unchanged then, what is open is waited for, and what is left is sent.

    One sync of a SIP peer runs at a time, in whatever DAG: another one waits. A parameter that is not given is taken
    from ``default_args`` of the DAG or the task group around it, as an operator's is.

    :param group_id: the id of the task group
    :param telephone_numbers: the desired numbers: any iterable, the output of a task, rows of a one-column query, or
        text; templated. For more than some ten thousand use ``extract_path`` or ``sql``
    :param extract_path: a file to read them from instead: ``.csv``, ``.jsonl`` or ``.parquet``, the first two also with
        ``.gz``; anything ``ObjectStoragePath`` takes; templated
    :param column: the name of the file's or the query's column that holds them; ``Phone[2]`` is the second of that
        name; templated. A query with one column needs none
    :param encoding: the encoding of a text file, any that Python knows; UTF-8, UTF-16 and Windows-1252 are recognised
        without it; templated
    :param sql: a query to read them with instead, or a ``.sql`` file with it; templated. Its rows are fetched in chunks
        and do not pass through XCom
    :param sql_conn_id: Airflow connection of the database that is asked; templated
    :param excluded_telephone_numbers: numbers to leave alone: neither imported nor removed; templated
    :param site_id: SiteId; the connection's by default; templated
    :param sip_peer_id: SipPeerId; the connection's by default; templated
    :param remove_missing: whether to remove imported numbers that are not in the extract; no by default
    :param max_removals: stop if more would be removed; a count (``500``) or a share of the current numbers, by default
        ``0.1``
    :param min_desired: stop if the extract holds fewer; a count, or a share of the current numbers, by default ``0.5``.
        ``0`` if the extract lists only the numbers to add
    :param max_imports: stop if more would be imported; a count, or a share of the current numbers. By default half of
        them, and never fewer than 100; the first load of an empty SIP peer is limited by a count only
    :param max_unreadable: stop a run with removals if more desired values cannot be read; a count, or a share of the
        desired values, by default ``0.01``
    :param first_load: whether this run may import any number of telephone numbers; templated
    :param max_errors: fail if more numbers error, by default ``0``; a count, or a share of the numbers that are desired
        or to be removed
    :param chunk_size: the most numbers in one order, by default 1,000
    :param orders_per_task: how many orders one mapped task submits and waits for, by default 50
    :param preflight: whether to ask importTnChecker first and not to send what it refuses; no by default
    :param resend_errors_after: days until a number is sent again that Bandwidth refused for good, by default 7; 3 at
        most if its error may pass. Until then it counts as errored and is not sent. ``0`` sends it every time
    :param dry_run: whether to report and send nothing; templated
    :param approval: when a person has to approve the plan before it is sent, by a Required Action in Airflow's UI:
        ``never`` (default; an unsafe plan fails), ``unsafe`` (a plan that keeps its limits is sent without) or
        ``always``. Needs Airflow 3.1
    :param approvers: ids of the users who may answer; by default whoever may answer such questions in this Airflow
    :param approval_timeout: how long to wait for an answer before the plan counts as rejected; by default 20 hours
    :param soft_fail: whether the run ends as skipped, not as failed, when its plan is not approved; no by default
    :param on_unsafe_plan: what is called when the plan is unsafe, before it fails or a person is asked: a notifier, any
        callable, or a list of them; ``bandwidth_plan`` in the context has the figures
    :param on_failure_callback: the callback of ``report``, which fails whenever the sync does; ``bandwidth_report`` in
        the context has the figures, the ``verdict`` and the ``report_path``
    :param if_running: what to do while another run syncs the same SIP peer: ``wait`` (default) or ``fail``
    :param allow_older_run: whether a run may plan after a newer run of the same DAG has; templated
    :param plan_valid_for: how old a plan may be when an order is sent for the first time, by default two hours
    :param report_path: a ``.csv`` or ``.jsonl`` file for a line on every number, or a ``.html`` page for people;
        templated. A file that exists is never overwritten: the next is called name-2
    :param log_telephone_numbers: whether the logs of ``import``, ``remove`` and ``report`` name the first ten telephone
        numbers of each kind, as by default; ``False`` for counts only
    :param order_api: which of Bandwidth's order APIs the orders go through: ``externalTns``, ``importTnOrders`` or
        ``importTnOrders/messaging``; the connection's by default; templated
    :param loa_type: LoaType of imports; the connection's by default, else SUBSCRIBER through importTnOrders; through
        externalTns it is left to Bandwidth, which takes CARRIER; templated
    :param subscriber: who uses the numbers, for imports through importTnOrders; the connection's by default; templated
    :param loa_authorizing_person: who signed the letter of authorization, likewise; templated
    :param loa_files: letters of authorization, uploaded once to each import through importTnOrders; templated
    :param campaign_id: CampaignId: what is imported is assigned to it, by a task ``assign``, and so are numbers that
        were imported lately and are not on it yet; by default none is; templated
    :param ignore_error_codes: error codes that count as done, in imports and removals; not templated
    :param deferrable: whether to wait in the triggerer, as by default
    :param poke_interval: seconds between looks at an order, by default 30
    :param timeout: seconds to wait for an order before its numbers count as unaccounted, by default 72 hours: an import
        may stay PROCESSING for 48
    :param account_id: Bandwidth account; the connection's by default; templated
    :param bandwidth_conn_id: Airflow connection of type ``bandwidth``, by default ``bandwidth_default``; templated
    :raises ValueError: parameters that do not go together, a limit that is none, an approval where this Airflow cannot
        ask, or a mapped task group around this one
    """
    account = _given(account_id=account_id, bandwidth_conn_id=bandwidth_conn_id)
    # The tasks tell each other by XComs.
    always: dict[str, Any] = {"do_xcom_push": True}
    with TaskGroup(group_id=group_id) as group:
        _refuse_mapping(group)
        inherited = _default_args(group)
        plan = BandwidthNumberSyncPlanOperator(
            task_id="plan",
            list_unchanged=report_path is not None or "report_path" in inherited,
            **_given(
                telephone_numbers=telephone_numbers,
                extract_path=extract_path,
                column=column,
                encoding=encoding,
                sql=sql,
                sql_conn_id=sql_conn_id,
                excluded_telephone_numbers=excluded_telephone_numbers,
                remove_missing=remove_missing,
                max_removals=max_removals,
                min_desired=min_desired,
                max_imports=max_imports,
                max_unreadable=max_unreadable,
                first_load=first_load,
                chunk_size=chunk_size,
                orders_per_task=orders_per_task,
                preflight=preflight,
                resend_errors_after=resend_errors_after,
                ignore_error_codes=ignore_error_codes,
                order_api=order_api,
                loa_type=loa_type,
                campaign_id=campaign_id,
                dry_run=dry_run,
                approval=approval,
                approvers=approvers,
                approval_timeout=approval_timeout,
                soft_fail=soft_fail,
                on_unsafe_plan=on_unsafe_plan,
                if_running=if_running,
                allow_older_run=allow_older_run,
                plan_valid_for=plan_valid_for,
                site_id=site_id,
                sip_peer_id=sip_peer_id,
            ),
            **account,
            **always,
        )
        of_wait = _given(
            ignore_error_codes=ignore_error_codes,
            deferrable=deferrable,
            poke_interval=poke_interval,
            timeout=timeout,
            log_telephone_numbers=log_telephone_numbers,
        )
        wait_defaults = {name: value for name, value in _WAIT_DEFAULTS.items() if name not in inherited}
        of_import = _given(subscriber=subscriber, loa_authorizing_person=loa_authorizing_person, loa_files=loa_files)
        batches: dict[str, Any] = {}
        for action in Action:
            list_orders = list_sync_orders.override(task_id=f"{action.lower()}_orders", **always)
            batches[action.value] = BandwidthNumberSyncOrdersOperator.partial(
                task_id=action.lower(),
                plan_task_id=plan.task_id,
                action=action.value,
                wait_for_completion=True,
                # How an order ended is for the report to judge: it knows how many errors are tolerated.
                allowed_statuses=TERMINAL_STATUSES,
                map_index_template=_template(group, LABEL_KEY),
                **_given(plan_valid_for=plan_valid_for),
                **(of_import if action is Action.IMPORT else {}),
                **{**wait_defaults, **of_wait},
                **account,
                **always,
            ).expand(customer_order_ids=list_orders(cast(Any, plan.output), action.value))
        tasks: dict[str, Any] = {
            "plan_task_id": plan.task_id,
            "order_task_ids": {action: batch.task_id for action, batch in batches.items()},
        }
        assign = None
        if campaign_id is not None or "campaign_id" in inherited:
            assign = BandwidthNumberSyncAssignOperator(
                task_id="assign",
                wait_for_completion=True,
                allowed_statuses=TERMINAL_STATUSES,
                **tasks,
                **{
                    **wait_defaults,
                    **_given(**{name: value for name, value in of_wait.items() if name != "ignore_error_codes"}),
                },
                **account,
                **always,
            )
            [plan, batches[Action.IMPORT]] >> assign
        place = {"site_id": site_id, "sip_peer_id": sip_peer_id, "bandwidth_conn_id": bandwidth_conn_id}
        defaults = {"bandwidth_conn_id": BandwidthHook.default_conn_name, **inherited}
        asset = number_sync_asset(**{**{name: defaults.get(name) for name in place}, **_given(**place)})
        report = BandwidthNumberSyncReportOperator(
            task_id="report",
            assign_task_id=assign.task_id if assign is not None else None,
            **tasks,
            outlets=[asset],
            **_given(
                max_errors=max_errors,
                report_path=report_path,
                log_telephone_numbers=log_telephone_numbers,
                on_failure_callback=on_failure_callback,
            ),
            **always,
        )
        [plan, *batches.values(), *([assign] if assign is not None else [])] >> report
    return group


def _given(**parameters: Any) -> dict[str, Any]:
    """The parameters that the caller gave."""
    return {name: value for name, value in parameters.items() if value is not None}


def _default_args(group: TaskGroup) -> dict[str, Any]:
    """What the DAG and the task groups around say for all their tasks."""
    of_dag: Mapping[str, Any] = getattr(group.dag, "default_args", None) or {}
    return {**of_dag, **(group.default_args or {})}


def _refuse_mapping(group: TaskGroup) -> None:
    if next(iter(group.iter_mapped_task_groups()), None) is not None:
        raise ValueError(
            f"bandwidth_number_sync(group_id={group.group_id!r}) stands in a mapped task group, and Airflow cannot map "
            "its orders there. Make one sync for each SIP peer in a Python loop instead."
        )


def _template(group: TaskGroup, expression: str) -> str:
    """A template in the delimiters of the group's DAG."""
    of_dag: Mapping[str, Any] = getattr(group.dag, "jinja_environment_kwargs", None) or {}
    start, end = of_dag.get("variable_start_string", "{{"), of_dag.get("variable_end_string", "}}")
    return f"{start} {expression} {end}"
