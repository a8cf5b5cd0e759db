"""Plan and report as tasks, against the sandbox, without Airflow's database."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pandas as pd
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from support.imports import IMPORT_DEFAULTS
from support.task_log import TaskLog
from support.variables import FakeVariables, replace_variables

from airflow_provider_bandwidth.error_codes import explain_error_code
from airflow_provider_bandwidth.exceptions import (
    BandwidthApiError,
    ExtractUnavailableError,
    InvalidExtractError,
    InvalidParameterError,
    InvalidResponseError,
)
from airflow_provider_bandwidth.hooks.bandwidth import BandwidthHook
from airflow_provider_bandwidth.number_sync.fates import Fate, NumberFate
from airflow_provider_bandwidth.number_sync.handover import Handover
from airflow_provider_bandwidth.operators.number_sync import (
    BandwidthNumberSyncOrdersOperator,
    BandwidthNumberSyncPlanOperator,
    BandwidthNumberSyncReportOperator,
    list_sync_orders,
    number_sync_asset,
    read_telephone_number_column,
)
from airflow_provider_bandwidth.orders import Action
from airflow_provider_bandwidth.sandbox import Location, OrderError, Sandbox

NUMBERS = [f"919666{last:04d}" for last in range(20)]
PLAN, ORDERS = "sync.plan", "sync.import"


class OutletEvents(dict[str, Any]):
    """Events by asset; Airflow 3.0's assets cannot be keys."""

    def __getitem__(self, asset: Any) -> Any:
        return super().__getitem__(asset.uri)


class XComs:
    """Task instance of one task, with the XComs of all."""

    def __init__(
        self, task_id: str, values: dict[tuple[str, str, int], Any] | None = None, map_index: int = -1
    ) -> None:
        self.task_id = task_id
        self.map_index = map_index
        self.try_number = 1
        self.max_tries = 0
        self.values = {} if values is None else values
        self.dag_id, self.run_id = "dag", "run"
        #: States that are not what the XComs suggest.
        self.states: dict[str, str] = {}

    def get_task_states(self, dag_id: str, run_ids: list[str]) -> dict[str, dict[str, str]]:
        """A task that left a return value succeeded."""
        assert (dag_id, run_ids) == ("dag", ["run"])
        left = [(task_id, index) for task_id, key, index in self.values if key == "return_value"]
        states = {task_id if index < 0 else f"{task_id}_{index}": "success" for task_id, index in left}
        return {"run": {**states, **self.states}}

    def xcom_push(self, key: str, value: Any) -> None:
        # What cannot be JSON cannot be an XCom.
        self.values[self.task_id, key, self.map_index] = json.loads(json.dumps(value))

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int) -> Any:
        return self.values.get((task_ids, key, map_indexes))

    @property
    def own(self) -> dict[str, Any]:
        return {key: value for (task_id, key, _), value in self.values.items() if task_id == self.task_id}


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> FakeVariables:
    monkeypatch.setattr("airflow_provider_bandwidth.operators._peer_reader._INVENTORY_PAUSE", 0)
    return replace_variables(monkeypatch)


@pytest.fixture
def bandwidth(sandbox: Sandbox, connect: Callable[..., None], variables: FakeVariables) -> Iterator[Sandbox]:
    connect(sandbox.connection)
    yield sandbox
    sandbox.release()


def plan(numbers: Any = None, **parameters: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The return value and the other XComs of a plan task."""
    ti = XComs(PLAN)
    given = {"extract_path" if isinstance(numbers, Path) else "telephone_numbers": numbers, **parameters}
    operator = BandwidthNumberSyncPlanOperator(task_id=PLAN, **given)
    returned = operator.execute({"ti": ti})  # type: ignore[typeddict-item]
    assert json.loads(json.dumps(returned)) == ti.own["return_value"]
    return ti.own["return_value"], {key: value for key, value in ti.own.items() if key != "return_value"}


class SyncRun:
    """One run of a sync, attempt by attempt: plan, submit tasks, report."""

    def __init__(self, run_id: str = "run", dag_id: str = "dag", due: datetime | None = None) -> None:
        self.values: dict[tuple[str, str, int], Any] = {}
        self.run_id, self.dag_id, self.due = run_id, dag_id, due
        self.tries: dict[str, int] = {}

    def context(self, task_id: str, map_index: int = -1) -> Any:
        ti = XComs(task_id, self.values, map_index)
        ti.run_id, ti.dag_id = self.run_id, self.dag_id
        key = f"{task_id}_{map_index}"
        ti.try_number = self.tries[key] = self.tries.get(key, 0) + 1
        start = self.due or datetime.now(UTC)
        run = SimpleNamespace(start_date=start, clear_number=0, run_after=start, logical_date=start)
        return {"ti": ti, "dag_run": run}

    def plan(self, numbers: Any, **parameters: Any) -> dict[str, Any]:
        parameters = {"orders_per_task": 1, **parameters}
        operator = BandwidthNumberSyncPlanOperator(task_id=PLAN, telephone_numbers=numbers, **parameters)
        operator.execute(self.context(PLAN))
        return self.values[PLAN, "return_value", -1]

    def submit(self, action: str, index: int, **parameters: Any) -> str:
        """The order of this index, by a task of its own."""
        taken_over = self.values[PLAN, "return_value", -1]["orders"][action][index]
        task_id = f"sync.{action.lower()}"
        operator = BandwidthNumberSyncOrdersOperator(
            task_id=task_id,
            plan_task_id=PLAN,
            action=action,
            customer_order_ids=[taken_over],
            **parameters,
        )
        order_id = operator.execute(self.context(task_id, index))
        self.values[task_id, "return_value", index] = order_id
        return order_id


def location(sandbox: Sandbox) -> Location:
    return sandbox.default_location


# --- plan ---


def test_plan_hands_on_orders_of_at_most_the_chunk_size(bandwidth: Sandbox) -> None:
    bandwidth.seed(imported=NUMBERS[:4])
    returned, xcoms = plan(NUMBERS[1:10], chunk_size=4, remove_missing=True, max_removals=1)
    assert returned["orders"] == {"IMPORT": [None, None], "REMOVE": [None]}
    assert xcoms["import_00000"].split(",") == NUMBERS[4:8]
    assert xcoms["import_00001"].split(",") == NUMBERS[8:10]
    assert xcoms["remove_00000"] == NUMBERS[0]
    assert xcoms["unchanged_00000"].split(",") == NUMBERS[1:4]
    figures = {name: returned[name] for name in ("desired", "current", "unchanged", "to_import", "to_remove")}
    assert figures == {"desired": 9, "current": 4, "unchanged": 3, "to_import": 6, "to_remove": 1}
    assert bandwidth.count("POST", "externalTns") == 0


def test_numbers_that_bandwidth_owns_are_never_removed(bandwidth: Sandbox) -> None:
    bandwidth.seed(imported=NUMBERS[:2], owned=NUMBERS[2:4])
    returned, xcoms = plan([NUMBERS[0]], remove_missing=True, max_removals=1.0)
    assert returned["current"] == 2
    assert xcoms["remove_00000"] == NUMBERS[1]


@pytest.mark.many_inputs
def test_no_xcom_outgrows_what_databases_take(bandwidth: Sandbox) -> None:
    there = [f"919{number:07d}" for number in range(6660000, 6672000)]
    bandwidth.seed(imported=there)
    odd = [f"{number:05d} is none" for number in range(3000)]
    returned, xcoms = plan([*there, *odd, "x" * 70_000])
    assert max(len(json.dumps(value)) for value in xcoms.values()) < 64_000
    assert len(json.dumps(returned)) < 64_000
    handed_on = [n for key, value in xcoms.items() if key.startswith("unchanged") for n in value.split(",")]
    assert handed_on == there
    rejected = [row["telephone_number"] for key, rows in xcoms.items() if key.startswith("rejected") for row in rows]
    assert len(rejected) == 3001


@pytest.mark.parametrize(
    ("numbers", "parameters", "says"),
    [
        ([], {}, "empty"),
        (NUMBERS[:4], {}, "min_desired"),
        (NUMBERS[:7], {"remove_missing": True}, "10 % of 10 = 1 removals allowed; 3 planned"),
    ],
)
def test_guard_fails_for_good_and_sends_nothing(
    bandwidth: Sandbox, numbers: list[str], parameters: dict[str, Any], says: str
) -> None:
    bandwidth.seed(imported=NUMBERS[:10])
    with pytest.raises(AirflowFailException, match=says):
        plan(numbers, **parameters)
    assert bandwidth.count("POST", "externalTns") == 0


@pytest.mark.parametrize(("given", "dry"), [(True, True), ("True", True), ("false", False), (False, False)])
def test_dry_run_plans_and_lists_no_orders(bandwidth: Sandbox, given: bool | str, dry: bool) -> None:
    returned, xcoms = plan(NUMBERS, dry_run=given)
    assert xcoms["import_00000"].split(",") == NUMBERS
    assert list_sync_orders.function(returned, "IMPORT") == ([] if dry else [[None]])


def test_preflight_reports_what_bandwidth_would_refuse_and_leaves_it_out(bandwidth: Sandbox) -> None:
    bandwidth.seed(owned=[NUMBERS[1]], location=("9900000", "743", "303717"))
    returned, xcoms = plan([*NUMBERS[:3], "9195550035"], preflight=True)
    assert xcoms["import_00000"].split(",") == [NUMBERS[0], NUMBERS[2]]
    rejected = {row["telephone_number"]: row["code"] for row in xcoms["rejected_00000"]}
    assert rejected == {NUMBERS[1]: "19006", "9195550035": "19002"}
    assert all("importTnChecker" in row["reason"] for row in xcoms["rejected_00000"])
    assert returned["rejected"] == 2


def test_preflight_asks_in_parts_and_not_at_all_for_nothing(bandwidth: Sandbox) -> None:
    many = [f"919{number:07d}" for number in range(6660000, 6665001)]
    plan(many, preflight=True)
    assert bandwidth.count("POST", "importTnChecker") == 2
    bandwidth.seed(imported=many)
    plan(many, preflight=True)
    assert bandwidth.count("POST", "importTnChecker") == 2


def test_checker_takes_connection_defaults_and_names_refused_numbers(bandwidth: Sandbox) -> None:
    errors = BandwidthHook().check_importable(["9195550035", NUMBERS[0]])
    assert [(each.telephone_number, each.code) for each in errors] == [("9195550035", "19002")]


def test_open_order_is_taken_over_under_its_own_id(bandwidth: Sandbox) -> None:
    bandwidth.hold()
    bandwidth.add_order(NUMBERS[2:5], status="PROCESSING", customer_order_id="airflow-0", location=location(bandwidth))
    returned, xcoms = plan(NUMBERS[:5])
    assert returned["orders"]["IMPORT"] == ["airflow-0", None]
    assert xcoms["import_00000"].split(",") == NUMBERS[2:5]
    assert xcoms["import_00001"].split(",") == NUMBERS[:2]


def test_open_order_that_holds_more_is_never_sent_again(bandwidth: Sandbox) -> None:
    # It may FAIL before the chunk is submitted, and sending it anew would remove numbers that are desired.
    bandwidth.seed(imported=NUMBERS[:5])
    bandwidth.hold()
    bandwidth.add_order(NUMBERS[:5], action="REMOVE", status="PROCESSING", customer_order_id="manual-1")
    returned, xcoms = plan(NUMBERS[:4], remove_missing=True, max_removals=1)
    assert returned["orders"]["REMOVE"] == []
    assert {row["telephone_number"]: row["code"] for row in xcoms["rejected_00000"]} == dict.fromkeys(
        NUMBERS[:5], "open_order"
    )


def test_open_order_that_shows_no_numbers_stops_the_plan(bandwidth: Sandbox) -> None:
    bandwidth.hold()
    order = bandwidth.add_order((), status="PROCESSING", customer_order_id="airflow-0")
    with pytest.raises(InvalidResponseError, match=f"no telephone numbers.*{order.order_id}"):
        plan(NUMBERS)


def test_order_in_an_unknown_status_is_open(bandwidth: Sandbox) -> None:
    bandwidth.hold()
    order = bandwidth.add_order(NUMBERS[:2], status="PROCESSING", location=location(bandwidth))
    bandwidth.set_status(order.order_id, "PENDING_APPROVAL")
    _, xcoms = plan(NUMBERS[:3])
    assert xcoms["import_00000"] == NUMBERS[2]
    assert {row["telephone_number"]: row["code"] for row in xcoms["rejected_00000"]} == dict.fromkeys(
        NUMBERS[:2], "open_order"
    )


def test_order_that_was_open_when_it_was_planned_is_taken_over_however_old(bandwidth: Sandbox) -> None:
    """The seed's dialect does not show when an order ended: this one might have, before the plan."""
    bandwidth.hold()
    order = bandwidth.add_order(
        NUMBERS[:2],
        status="PROCESSING",
        customer_order_id="airflow-0",
        location=location(bandwidth),
        created_at=datetime.now(UTC) - timedelta(hours=27),
    )
    run = SyncRun()
    returned = run.plan(NUMBERS[:3])
    assert returned["orders"]["IMPORT"] == ["airflow-0", None]
    bandwidth.finish(order.order_id)
    assert run.submit("IMPORT", 0) == order.order_id
    assert bandwidth.resets == {}


@pytest.mark.parametrize("parameter", ["remove_missing", "preflight"])
def test_text_is_no_consent(parameter: str) -> None:
    operator = BandwidthNumberSyncPlanOperator(task_id=PLAN, telephone_numbers=NUMBERS, **{parameter: "False"})
    assert getattr(operator, parameter) is False
    with pytest.raises(InvalidParameterError, match=parameter):
        BandwidthNumberSyncPlanOperator(task_id=PLAN, telephone_numbers=NUMBERS, **{parameter: "{{ var.value.x }}"})


def test_more_open_orders_than_bandwidth_lists_stop_the_plan(
    bandwidth: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_bandwidth.operators._peer_reader.MAX_LISTED_ORDERS", 2)
    bandwidth.hold()
    for number in NUMBERS[:2]:
        bandwidth.add_order([number], status="PROCESSING")
    with pytest.raises(InvalidResponseError, match="2 open orders or more"):
        plan(NUMBERS)


def test_numbers_of_somebody_elses_open_order_wait(bandwidth: Sandbox) -> None:
    bandwidth.seed(imported=[NUMBERS[9]])
    add = bandwidth.add_order
    theirs = add([NUMBERS[0]], status="RECEIVED")
    add([NUMBERS[9]], action="REMOVE", status="PROCESSING")
    returned, xcoms = plan([NUMBERS[0], NUMBERS[1], NUMBERS[9]])
    assert xcoms["import_00000"] == NUMBERS[1]
    rows = {row["telephone_number"]: row for row in xcoms["rejected_00000"]}
    assert rows.keys() == {NUMBERS[0], NUMBERS[9]}
    assert theirs.order_id in rows[NUMBERS[0]]["reason"]
    assert {row["code"] for row in rows.values()} == {"open_order"}
    assert (returned["unchanged"], returned["rejected"]) == (0, 2)


def refuse(sandbox: Sandbox, numbers: list[str], code: str, days: float = 1) -> str:
    """An import of ours that ended with an error for some numbers, some days ago."""
    order = sandbox.add_order(
        numbers,
        status="FAILED",
        errors=[OrderError(code, "said Bandwidth", tuple(numbers))],
        created_at=datetime.now(UTC) - timedelta(days=days),
        location=location(sandbox),
    )
    return order.order_id


def test_numbers_refused_for_good_are_not_sent_again_every_night(bandwidth: Sandbox) -> None:
    order_id = refuse(bandwidth, NUMBERS[:2], "25060")
    refuse(bandwidth, NUMBERS[2:3], "25070")
    refuse(bandwidth, NUMBERS[3:4], "25060", days=8)
    refuse(bandwidth, NUMBERS[4:5], "25070", days=4)
    returned, xcoms = plan(NUMBERS[:6])
    assert xcoms["import_00000"].split(",") == NUMBERS[3:6]
    rows = {row["telephone_number"]: row for row in xcoms["rejected_00000"]}
    assert rows.keys() == set(NUMBERS[:3])
    assert rows[NUMBERS[0]]["fate"] == "errored"
    assert rows[NUMBERS[0]]["order_id"] == order_id
    assert (returned["refused_before"], returned["rejected"]) == (3, 0)


def test_desired_number_that_is_there_but_was_not_imported_is_left_alone(bandwidth: Sandbox) -> None:
    # Bandwidth's own; or imported and the list does not say so, and importing it again would reset it.
    bandwidth.seed(imported=NUMBERS[:1], owned=NUMBERS[1:4])
    bandwidth.hold()
    bandwidth.add_order(NUMBERS[3:4], status="PROCESSING", customer_order_id="airflow-0", location=location(bandwidth))
    returned, xcoms = plan(NUMBERS[:5], remove_missing=True)
    assert xcoms["unchanged_00000"] == NUMBERS[0]
    assert [xcoms["import_00000"], xcoms["import_00001"]] == [NUMBERS[3], NUMBERS[4]]
    assert {row["telephone_number"]: row["code"] for row in xcoms["rejected_00000"]} == dict.fromkeys(
        NUMBERS[1:3], "not_imported"
    )
    assert (returned["current"], returned["rejected"]) == (1, 2)


def test_inventory_that_does_not_tell_what_was_imported_sends_nothing(
    bandwidth: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Mock()
    monkeypatch.setattr(BandwidthNumberSyncPlanOperator, "log", log)
    bandwidth.seed(owned=NUMBERS)
    with pytest.raises(AirflowFailException, match="20 rejected values"):
        plan(NUMBERS, remove_missing=True)
    assert "External or Imported" in str(log.warning.mock_calls)


@pytest.mark.parametrize(
    ("theirs", "ours", "taken_over"),
    [("SUBSCRIBER", "CARRIER", False), ("CARRIER", "CARRIER", True), ("SUBSCRIBER", None, True)],
)
def test_open_order_of_another_loa_type_is_left_alone(
    bandwidth: Sandbox, theirs: str, ours: str | None, taken_over: bool
) -> None:
    bandwidth.configure(dialect="O")
    bandwidth.hold()
    bandwidth.add_order(
        NUMBERS[:2], status="PROCESSING", customer_order_id="airflow-0", loa_type=theirs, location=location(bandwidth)
    )
    returned, xcoms = plan(NUMBERS[:2], loa_type=ours)
    assert returned["orders"]["IMPORT"] == (["airflow-0"] if taken_over else [])
    assert [row["code"] for row in xcoms.get("rejected_00000", ())] == ([] if taken_over else ["open_order"] * 2)


@pytest.mark.parametrize("parameters", [{"resend_errors_after": 0}, {"ignore_error_codes": [25060]}])
def test_refused_numbers_are_sent_again_if_that_is_asked_for(bandwidth: Sandbox, parameters: dict[str, Any]) -> None:
    refuse(bandwidth, NUMBERS[:2], "25060")
    assert plan(NUMBERS[:2], **parameters)[1]["import_00000"].split(",") == NUMBERS[:2]


def test_more_orders_than_airflow_maps_over_is_said_clearly(
    bandwidth: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "3")
    for numbers, orders_per_task in ((18, 3), (20, 4)):
        orders = plan(NUMBERS[:numbers], chunk_size=2, orders_per_task=orders_per_task)[0]["orders"]["IMPORT"]
        assert len(orders) == numbers // 2
    with pytest.raises(
        AirflowFailException,
        match=r"20 telephone numbers make 10 orders, which are 4 mapped .*over 3 at most\. Nothing was sent\. Raise",
    ):
        plan(NUMBERS, chunk_size=2, orders_per_task=3)


def test_unknown_site_or_peer_is_named(bandwidth: Sandbox) -> None:
    for site_id, sip_peer_id in ((743, 1), (1, 303716)):
        with pytest.raises(AirflowFailException, match=f"no site {site_id} with SIP peer {sip_peer_id}"):
            plan(NUMBERS, site_id=site_id, sip_peer_id=sip_peer_id)


def test_missing_peer_is_named(bandwidth: Sandbox, connect: Callable[..., None]) -> None:
    connect(bandwidth.connection, extra={"sip_peer_id": None})
    with pytest.raises(AirflowFailException, match=r"SipPeerId.*sip_peer_id"):
        plan(NUMBERS)


def test_look_at_open_orders_that_fails_plans_nothing(bandwidth: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    bandwidth.inject("status", status=403, operation="list", times=None)
    with pytest.raises(BandwidthApiError):
        plan(NUMBERS)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({}, "one of telephone_numbers, extract_path and sql"),
        ({"telephone_numbers": NUMBERS, "extract_path": "x.csv"}, "one of telephone_numbers, extract_path and sql"),
        ({"sql": "SELECT 1", "sql_conn_id": "crm", "extract_path": "x.csv", "column": "Phone"}, "one of"),
        ({"extract_path": "x.csv"}, "extract_path and column belong together"),
        ({"telephone_numbers": NUMBERS, "column": "Phone"}, "column belongs to extract_path or sql"),
        ({"sql": "SELECT 1"}, "sql and sql_conn_id belong together"),
        ({"telephone_numbers": NUMBERS, "sql_conn_id": "crm"}, "sql and sql_conn_id belong together"),
        ({"telephone_numbers": NUMBERS, "chunk_size": 0}, "chunk_size"),
        ({"telephone_numbers": NUMBERS, "chunk_size": 5001}, "chunk_size"),
        ({"telephone_numbers": NUMBERS, "max_removals": 1.5}, "max_removals"),
        ({"telephone_numbers": NUMBERS, "min_desired": -1}, "min_desired"),
    ],
)
def test_wrong_parameter_is_named_when_the_dag_is_parsed(parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        BandwidthNumberSyncPlanOperator(task_id=PLAN, **parameters)


def test_any_iterable_can_be_desired_or_excluded(bandwidth: Sandbox) -> None:
    returned, xcoms = plan(pd.Series(NUMBERS[:3]), excluded_telephone_numbers=pd.Series(NUMBERS[2:4]))
    assert xcoms["import_00000"].split(",") == NUMBERS[:2]
    assert returned["rejected"] == 1


def test_what_can_be_iterated_once_is_kept_for_another_try(bandwidth: Sandbox) -> None:
    bandwidth.seed(imported=NUMBERS[:3])
    operator = BandwidthNumberSyncPlanOperator(
        task_id="plan",
        telephone_numbers=(number for number in NUMBERS[:2]),
        excluded_telephone_numbers=iter(NUMBERS[2:3]),
        remove_missing=True,
    )
    for _ in range(2):
        returned = operator.execute({"ti": XComs(PLAN)})  # type: ignore[typeddict-item]
        assert (returned["unchanged"], returned["to_remove"]) == (2, 0)


# --- extracts ---


def test_extract_is_read_through_object_storage(tmp_path: Path) -> None:
    extract = tmp_path / "contacts.csv"
    extract.write_text("Name,Phone\nDoe,9196660100\n", encoding="utf-8-sig")
    assert list(read_telephone_number_column(str(extract), "phone")) == ["9196660100"]
    assert list(read_telephone_number_column(extract.as_uri(), "phone")) == ["9196660100"]


def test_plan_reads_its_extract(bandwidth: Sandbox, tmp_path: Path) -> None:
    extract = tmp_path / "contacts.csv"
    extract.write_text('Name,Phone\r\nDoe,"+1 (919) 666-0000"\r\nRoe,\r\n')
    returned, xcoms = plan(None, extract_path=str(extract), column="Phone")
    assert xcoms["import_00000"] == NUMBERS[0]
    assert returned["blanks"] == 1


def test_plan_asks_a_database(bandwidth: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def read(*parameters: str) -> list[str]:
        asked.append(parameters)
        return NUMBERS[:2]

    monkeypatch.setattr("airflow_provider_bandwidth.hooks.extract.read_sql_column", read)
    _, xcoms = plan(None, sql="SELECT phone FROM contacts", sql_conn_id="crm", column="phone")
    assert xcoms["import_00000"].split(",") == NUMBERS[:2]
    assert asked == [("crm", "SELECT phone FROM contacts", "phone")]


@pytest.mark.parametrize("name", ["absent.csv", "."])
def test_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    path = str(tmp_path / name)
    with pytest.raises(InvalidExtractError, match="cannot be read") as refused:
        list(read_telephone_number_column(path, "Phone"))
    assert path in str(refused.value)


def test_path_of_an_unknown_kind_says_what_to_install() -> None:
    with pytest.raises(
        InvalidExtractError, match=r"nowhere://x/y\.csv cannot be read.*apache-airflow-providers-amazon"
    ):
        list(read_telephone_number_column("nowhere://x/y.csv", "Phone"))


def test_missing_file_may_be_late_and_a_mistake_fails_at_once(bandwidth: Sandbox, tmp_path: Path) -> None:
    extract = tmp_path / "contacts.csv"
    with pytest.raises(ExtractUnavailableError):
        plan(None, extract_path=str(extract), column="Phone")
    mistakes = {
        "Name,Mobile\nDoe,9196660000\n": f"{extract} has no column 'Phone'",
        "": f"{extract} is empty",
        "Id,Name,Phone\n1,Doe\n2,Roe,9196660000\n": f"{extract}, line 2: 2 values",
    }
    for content, says in mistakes.items():
        extract.write_text(content)
        with pytest.raises(AirflowFailException) as failed:
            plan(None, extract_path=str(extract), column="Phone")
        message = str(failed.value)
        assert message.startswith(says)
        assert (message.count(str(extract)), "Install" in message, ".." in message) == (1, False, False)
    with pytest.raises(AirflowFailException, match="excluded_telephone_numbers: is a mapping"):
        plan(NUMBERS, excluded_telephone_numbers={"phone": NUMBERS[0]})


def test_packed_extract_and_other_encoding(bandwidth: Sandbox, tmp_path: Path) -> None:
    extract = tmp_path / "contacts.csv.gz"
    content = f"Имя;Телефон\nDoe;{NUMBERS[0]}\n".encode("cp1251")
    extract.write_bytes(gzip.compress(content))
    _, xcoms = plan(None, extract_path=str(extract), column="Телефон", encoding="cp1251")
    assert xcoms["import_00000"] == NUMBERS[0]
    extract.write_bytes(gzip.compress(content)[:-9])
    with pytest.raises(AirflowFailException, match="no whole gzip file"):
        plan(None, extract_path=str(extract), column="Телефон", encoding="cp1251")


# --- the order API of a plan ---


@pytest.mark.parametrize("given", [None, "importTnOrders/messaging"])
def test_orders_go_through_the_api_of_their_plan_whatever_the_connection_says_by_then(
    given: str | None, bandwidth: Sandbox, connect: Callable[..., None], task_log: TaskLog
) -> None:
    connect(bandwidth.connection, extra={**IMPORT_DEFAULTS, "order_api": "importTnOrders"})
    bandwidth.seed(imported=NUMBERS[:4])
    run = SyncRun()
    made = run.plan(NUMBERS[1:8], remove_missing=True, max_removals=1, order_api=given)
    api = given or "importTnOrders"
    assert (made["order_api"], made["loa_type"]) == (api, "SUBSCRIBER")
    connect(bandwidth.connection, extra={**IMPORT_DEFAULTS, "order_api": "externalTns"})
    run.submit("IMPORT", 0)
    run.submit("REMOVE", 0)
    assert [(order.order_api, order.action) for order in bandwidth.orders] == [(api, "IMPORT"), (api, "REMOVE")]
    assert f"The plan was made for order API {api}, and its orders go through that." in task_log.text
    assert "names externalTns" in task_log.text
    # A retry finds them there.
    run.submit("IMPORT", 0)
    run.submit("REMOVE", 0)
    assert len(bandwidth.orders) == 2


@pytest.mark.parametrize(("other", "action"), [("importTnOrders", "IMPORT"), ("importTnOrders/messaging", "REMOVE")])
def test_a_plan_is_out_of_date_when_another_api_gets_an_order_of_its_numbers(
    other: str, action: str, bandwidth: Sandbox, connect: Callable[..., None]
) -> None:
    connect(bandwidth.connection, extra=IMPORT_DEFAULTS)
    bandwidth.configure(received_seconds=1e9)
    run = SyncRun()
    run.plan(NUMBERS[:4], chunk_size=2)
    hook = BandwidthHook(order_api=other)
    made = hook.submit_tn_order(hook.build_order_request(action, NUMBERS[1:2]))
    with pytest.raises(AirflowFailException, match=f"{action} order {made.order_id} was made since, and has 1 of"):
        run.submit("IMPORT", 0)
    # It touches no number of the second order.
    run.submit("IMPORT", 1)
    assert [order.order_api for order in bandwidth.orders] == [other, "externalTns"]


@pytest.mark.parametrize("order_api", ["importTnOrders", "importTnOrders/messaging"])
def test_a_plan_is_out_of_date_when_its_own_api_gets_a_removal_of_its_numbers(
    order_api: str, bandwidth: Sandbox, connect: Callable[..., None]
) -> None:
    connect(bandwidth.connection, extra={**IMPORT_DEFAULTS, "order_api": order_api})
    bandwidth.configure(received_seconds=1e9)
    run = SyncRun()
    run.plan(NUMBERS[:2])
    made = BandwidthHook().submit_tn_order(BandwidthHook().build_order_request("REMOVE", NUMBERS[:1]))
    with pytest.raises(AirflowFailException, match=f"REMOVE order {made.order_id} was made since"):
        run.submit("IMPORT", 0)


@pytest.mark.parametrize("keeps_the_old_one", [True, False])
@pytest.mark.parametrize("order_api", ["importTnOrders", "importTnOrders/messaging"])
def test_a_sync_after_the_move_plans_nothing(
    order_api: str, keeps_the_old_one: bool, bandwidth: Sandbox, connect: Callable[..., None]
) -> None:
    bandwidth.configure(received_seconds=0, processing_seconds=0)
    BandwidthHook().submit_tn_order(BandwidthHook().build_order_request("IMPORT", NUMBERS[:4]))
    if not keeps_the_old_one:
        bandwidth.configure(order_apis="importTnOrders,importTnOrders/messaging")
    connect(bandwidth.connection, extra={**IMPORT_DEFAULTS, "order_api": order_api})
    returned, _ = plan(NUMBERS[:4], remove_missing=True)
    assert (returned["unchanged"], returned["orders"]) == (4, {"IMPORT": [], "REMOVE": []})


def test_a_plan_and_its_orders_on_one_api_say_nothing_of_it(bandwidth: Sandbox, task_log: TaskLog) -> None:
    run = SyncRun()
    run.plan(NUMBERS[:2])
    run.submit("IMPORT", 0)
    assert "order API" not in task_log.text


def test_a_syncs_task_names_subscriber_signer_and_letters(
    bandwidth: Sandbox, connect: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second try looks for what the first may have sent.
    monkeypatch.setattr("airflow_provider_bandwidth.hooks._submission._PAUSES", (0.1, 0.1))
    connect(bandwidth.connection, extra={"order_api": "importTnOrders"})
    letter = tmp_path / "bakery.pdf"
    letter.write_bytes(b"%PDF")
    run = SyncRun()
    run.plan(NUMBERS[:2])
    with pytest.raises(AirflowFailException, match="give subscriber, or"):
        run.submit("IMPORT", 0)
    order_id = run.submit("IMPORT", 0, **IMPORT_DEFAULTS, loa_files=[str(letter)])
    assert [file.document_name for file in bandwidth.loa_files(order_id)] == ["bakery.pdf"]


def test_codes_are_explained_in_the_sense_of_the_plans_api(task_log: TaskLog) -> None:
    said = {}
    for order_api in ("externalTns", "importTnOrders"):
        run = Run(NUMBERS[:1], order_api=order_api).ended("FAILED", [], [(NUMBERS[0], "5061")])
        with pytest.raises(AirflowFailException):
            run.report()
        said[order_api] = run.values["sync.report", "bandwidth_report_page", -1]
    for order_api, page in said.items():
        known = explain_error_code("5061", order_api)
        assert known is not None
        assert known.meaning in page


# --- report ---


def handover(**changes: Any) -> Handover:
    figures: dict[str, Any] = {
        "account_id": "9900000",
        "site_id": 743,
        "sip_peer_id": 303716,
        "order_api": "externalTns",
        "loa_type": None,
        "counts": {"unchanged": 0, "current": 0},
        "orders": {"IMPORT": [None], "REMOVE": []},
        "unchanged_xcoms": 0,
        "fate_xcoms": 0,
        "planned_at": datetime.now(UTC),
        "known_order_ids": [],
        "orders_made_since": datetime.now(UTC),
        "reuse_orders_ended_since": datetime.now(UTC),
        "nonce": "n",
        "digest": "d",
    }
    return Handover(**{**figures, **changes})


class Run:
    """XComs of a run whose plan had one import order, and the report on it."""

    def __init__(self, numbers: list[str], *, unchanged: int = 0, **changes: Any) -> None:
        plan = handover(counts={"unchanged": unchanged, "current": unchanged}, **changes)
        self.values: dict[tuple[str, str, int], Any] = {
            (PLAN, "return_value", -1): plan.to_dict(),
            (PLAN, "import_00000", -1): ",".join(numbers),
        }
        self.customer_order_id = plan.new_order_id(XComs(PLAN), PLAN, Action.IMPORT, numbers)
        self.events: dict[Any, Any] = {}
        self.states: dict[str, str] = {}

    def ended(
        self, status: str, completed: list[str], errors: list[tuple[str | None, str]] = (), **changes: Any
    ) -> Run:  # type: ignore[assignment]
        order = {"order_id": "o-1", "processing_status": status, "was_read": True, "action": "IMPORT"}
        self.values[ORDERS, "return_value", 0] = {}
        self.values[ORDERS, "orders", 0] = [{"customer_order_id": self.customer_order_id, **order, **changes}]
        self.values[ORDERS, "completed_telephone_numbers", 0] = completed
        self.values[ORDERS, "errors", 0] = [
            {"telephone_number": number, "code": code, "description": "why", "order_id": "o-1"}
            for number, code in errors
        ]
        return self

    def report(self, **parameters: Any) -> dict[str, Any]:
        asset = number_sync_asset(site_id=743, sip_peer_id=303716)
        operator = BandwidthNumberSyncReportOperator(
            task_id="report",
            plan_task_id=PLAN,
            order_task_ids={"IMPORT": ORDERS, "REMOVE": "sync.remove"},
            outlets=[asset],
            **parameters,
        )
        self.events = OutletEvents({asset.uri: SimpleNamespace(extra={})})
        ti = XComs("sync.report", self.values)
        ti.states = self.states
        self.context: Any = {"ti": ti, "outlet_events": self.events}
        return operator.execute(self.context)

    @property
    def pushed(self) -> dict[str, Any]:
        return self.values["sync.report", "return_value", -1]

    @property
    def event(self) -> dict[str, Any]:
        (accessor,) = self.events.values()
        return accessor.extra


def test_report_counts_and_tells_those_downstream() -> None:
    run = Run(NUMBERS[:3], unchanged=7).ended("PARTIAL", NUMBERS[:2], [(NUMBERS[2], "25060")])
    summary = run.report(max_errors=1)
    assert (summary["desired"], summary["unchanged"], summary["imported"], summary["errored"]) == (10, 7, 2, 1)
    assert summary["error_counts"] == {"25060": 1}
    assert summary["order_ids"] == ["o-1"]
    assert run.event == run.pushed == summary


@pytest.mark.parametrize(("max_errors", "fails"), [(0, True), (1, False), (0.09, True), (0.1, False)])
def test_errors_beyond_the_limit_fail_the_run_after_the_counts_are_there(max_errors: float, fails: bool) -> None:
    run = Run(NUMBERS[:3], unchanged=7).ended("PARTIAL", NUMBERS[:2], [(NUMBERS[2], "25060")])
    if not fails:
        run.report(max_errors=max_errors)
        return
    with pytest.raises(AirflowFailException, match=r"1 of 10 errored \(25060 x 1\)"):
        run.report(max_errors=max_errors)
    assert run.pushed["imported"] == 2
    assert run.event == {}


def test_unaccounted_numbers_fail_the_run_whatever_is_allowed() -> None:
    run = Run(NUMBERS[:3]).ended("COMPLETE", NUMBERS[:2])
    with pytest.raises(AirflowFailException, match="1 telephone number is unaccounted for"):
        run.report(max_errors=1.0)


def test_order_that_nobody_waited_for_leaves_its_numbers_unaccounted() -> None:
    run = Run(NUMBERS[:3]).ended("PROCESSING", [], was_read=False)
    with pytest.raises(AirflowFailException, match="3 telephone numbers are unaccounted for"):
        run.report()
    assert run.pushed["order_ids"] == ["o-1"]


def test_what_an_earlier_attempt_waited_for_does_not_count() -> None:
    run = Run(NUMBERS[:3]).ended("COMPLETE", NUMBERS[:3], customer_order_id="airflow-0")
    with pytest.raises(AirflowFailException, match="3 telephone numbers are unaccounted for"):
        run.report()


def test_plan_of_an_earlier_attempt_does_not_count() -> None:
    run = Run(NUMBERS[:3]).ended("COMPLETE", NUMBERS[:3])
    run.states = {PLAN: "upstream_failed"}
    with pytest.raises(AirflowFailException, match="no plan"):
        run.report()


def test_orders_of_an_earlier_attempt_do_not_count() -> None:
    run = Run(NUMBERS[:3]).ended("COMPLETE", NUMBERS[:3])
    run.states = {f"{ORDERS}_0": "upstream_failed"}
    with pytest.raises(AirflowFailException, match="3 telephone numbers are unaccounted for"):
        run.report()


def test_without_a_plan_the_report_fails() -> None:
    run = Run([])
    del run.values[PLAN, "return_value", -1]
    with pytest.raises(AirflowFailException, match=r"no plan.*'sync.plan'"):
        run.report()


def test_callbacks_find_what_the_report_returns_also_without_a_plan() -> None:
    run = Run(NUMBERS[:3]).ended("COMPLETE", NUMBERS[:2])
    with pytest.raises(AirflowFailException):
        run.report()
    told = run.context["bandwidth_report"]
    assert told == run.pushed
    assert told["verdict"] == "Not good enough: 1 telephone number is unaccounted for."
    without = Run([])
    del without.values[PLAN, "return_value", -1]
    with pytest.raises(AirflowFailException):
        without.report()
    assert without.context["bandwidth_report"].keys() == told.keys()
    assert without.context["bandwidth_report"]["verdict"].startswith("There is no plan")


def test_dry_run_reports_and_touches_no_asset(tmp_path: Path) -> None:
    run = Run(NUMBERS[:3], dry_run=True)
    path = tmp_path / "report.csv"
    with pytest.raises(AirflowSkipException):
        run.report(report_path=str(path))
    assert run.pushed["planned"] == 3
    assert run.event == {}
    assert {row["fate"] for row in csv.DictReader(path.open())} == {"planned"}


@pytest.mark.parametrize("name", ["report.csv", "new/folder/report.jsonl"])
def test_file_has_a_line_for_every_number(tmp_path: Path, name: str) -> None:
    run = Run(NUMBERS[:3], unchanged_xcoms=1, fate_xcoms=1).ended("PARTIAL", NUMBERS[:2], [(NUMBERS[2], "25060")])
    run.values[PLAN, "unchanged_00000", -1] = NUMBERS[9]
    run.values[PLAN, "rejected_00000", -1] = [
        NumberFate('a "b", ü', "IMPORT", Fate.REJECTED, "letters", "holds letters").to_dict()
    ]
    path = tmp_path / name
    summary = run.report(report_path=str(path), max_errors=1)
    assert summary["report_path"] == str(path)
    lines = path.open(encoding="utf-8", newline="")
    rows = list(csv.DictReader(lines)) if path.suffix == ".csv" else [json.loads(line) for line in lines]
    assert {row["telephone_number"]: (row["fate"], row["code"], row["order_id"]) for row in rows} == {
        NUMBERS[9]: ("unchanged", "", ""),
        'a "b", ü': ("rejected", "letters", ""),
        NUMBERS[0]: ("imported", "", "o-1"),
        NUMBERS[1]: ("imported", "", "o-1"),
        NUMBERS[2]: ("errored", "25060", "o-1"),
    }
    assert len(rows) == summary["desired"] == 5


def test_page_for_people_says_what_happened_and_links_the_order(tmp_path: Path) -> None:
    run = Run(NUMBERS[:3]).ended("PARTIAL", NUMBERS[:2], [(NUMBERS[2], "25060")])
    run.values[ORDERS, "orders", 0][0]["order_url"] = "https://dashboard.example/orders/o-1"
    path = tmp_path / "night.html"
    assert run.report(report_path=str(path), max_errors=1)["report_path"] == str(path)
    page = path.read_text(encoding="utf-8")
    assert "Done: 2 imported, 0 removed, 1 errored." in page
    assert f"<td>{NUMBERS[2]}<td>IMPORT<td>errored<td>25060" in page
    assert '<a href="https://dashboard.example/orders/o-1" rel="noreferrer">o-1</a><td>IMPORT<td>PARTIAL' in page


def test_page_compares_the_night_with_the_pages_in_its_folder(tmp_path: Path) -> None:
    for name in ("night-1.html", "night-2.html"):
        (tmp_path / "another.html").write_text("<html>somebody's</html>", encoding="utf-8")
        run = Run(NUMBERS[:3], planned_at=datetime(2026, 11, int(name[6]), tzinfo=UTC)).ended("COMPLETE", NUMBERS[:3])
        run.report(report_path=str(tmp_path / name))
    assert "nights</h2>" not in (tmp_path / "night-1.html").read_text(encoding="utf-8")
    assert "The last 2 nights" in (tmp_path / "night-2.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("report_path", [None, "report.csv"])
def test_page_is_left_for_airflows_web_server_also_when_the_run_fails(tmp_path: Path, report_path: str | None) -> None:
    run = Run(NUMBERS[:3]).ended("COMPLETE", NUMBERS[:2])
    with pytest.raises(AirflowFailException):
        run.report(report_path=report_path and str(tmp_path / report_path))
    page = run.values["sync.report", "bandwidth_report_page", -1]
    assert page.startswith("<!DOCTYPE html>")
    assert "Not good enough: 1 telephone number is unaccounted for." in page
    assert len(page.encode()) <= 48_000


def test_report_parameters_are_checked_when_the_dag_is_parsed() -> None:
    needed = {"plan_task_id": PLAN, "order_task_ids": {}}
    with pytest.raises(ValueError, match="report_path"):
        BandwidthNumberSyncReportOperator(task_id="report", report_path="report.xlsx", **needed)
    with pytest.raises(ValueError, match="max_errors"):
        BandwidthNumberSyncReportOperator(task_id="report", max_errors=-1, **needed)


@pytest.mark.parametrize(
    ("place", "uri"),
    [
        ({}, "bandwidth://bandwidth_default/telephone-numbers"),
        ({"site_id": 743}, "bandwidth://bandwidth_default/sites/743/telephone-numbers"),
        (
            {"site_id": "743", "sip_peer_id": 303716, "bandwidth_conn_id": "uat"},
            "bandwidth://uat/sites/743/sippeers/303716/telephone-numbers",
        ),
    ],
)
def test_asset_is_named_after_the_peer(place: dict[str, Any], uri: str) -> None:
    assert number_sync_asset(**place).uri == uri
