"""The sync's task group on real Airflow where something goes wrong, and the example DAGs with other sources."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.dag_files import DagFileRun, load_dag, run_example
from support.postgres import running_postgres

from airflow_provider_bandwidth.exceptions import ExtractUnavailableError, InvalidExtractError
from airflow_provider_bandwidth.hooks.extract import read_sql_column
from airflow_provider_bandwidth.sandbox import Sandbox

NUMBERS = [f"919666{last:04d}" for last in range(9)]

pytestmark = pytest.mark.usefixtures("airflow_db", "fresh_records")


def hosted(sandbox: Sandbox) -> set[str]:
    return set(sandbox.inventory.get(sandbox.default_location[1:], ()))


def sync(*numbers: str, date: datetime | None = None, **conf: Any) -> DagFileRun:
    """Run the small sync; on the same date it is the same run."""
    dag = load_dag("number_sync_small", folder="integration")
    # Airflow 2 names it execution_date; both take it as the first argument.
    return DagFileRun(dag.test(date, run_conf={"telephone_numbers": list(numbers), **conf}))


def test_failing_order_stops_no_other_and_a_rerun_finishes_what_was_left(sandbox: Sandbox) -> None:
    sandbox.inject("refuse", operation="submit", after=1)
    run = sync(*NUMBERS)
    assert run.state == "failed"
    assert sorted(run.states("sync.import")) == ["failed", "success"]
    assert run.states("sync.report") == ["failed"]
    (summary,) = run.pull("sync.report")
    assert (summary["imported"], summary["unaccounted"]) == (6, 3)
    assert len(hosted(sandbox)) == 6
    left = set(NUMBERS) - hosted(sandbox)

    run = sync(*NUMBERS)
    assert run.state == "success"
    assert hosted(sandbox) == set(NUMBERS)
    assert set(sandbox.orders[-1].telephone_numbers) == left
    assert len(sandbox.orders) == 3
    assert sandbox.resets == {}


def test_removal_that_somebody_elses_order_is_at_leaves_imports_alone(sandbox: Sandbox) -> None:
    sandbox.seed(imported=NUMBERS[:2])
    sandbox.add_order(NUMBERS[:2], action="REMOVE", status="PROCESSING")
    run = sync(*NUMBERS[2:4])
    assert run.state == "success"
    assert run.states("sync.remove") == ["skipped"]
    assert set(NUMBERS[2:4]) <= hosted(sandbox)
    (summary,) = run.pull("sync.report")
    assert (summary["imported"], summary["to_remove"], summary["removal_rejected"]) == (2, 2, 2)


def test_dry_run_tells_and_sends_nothing(sandbox: Sandbox) -> None:
    sandbox.seed(imported=NUMBERS[:2])
    run = sync(*NUMBERS[1:4], dry_run=True)
    assert run.state == "success"
    assert run.states("sync.report") == ["skipped"]
    (summary,) = run.pull("sync.report")
    assert (summary["unchanged"], summary["planned"], summary["removal_planned"]) == (1, 2, 1)
    assert sandbox.orders == []


def test_batches_of_orders_are_mapped(sandbox: Sandbox) -> None:
    run = sync(*NUMBERS)
    by_index = [[each["order_id"] for each in orders] for orders in run.pull("sync.import", "orders")]
    sent = [[set(sandbox.order(order_id).telephone_numbers) for order_id in batch] for batch in by_index]
    assert sent == [[set(NUMBERS[:3]), set(NUMBERS[3:6])], [set(NUMBERS[6:])]]
    completed = [set(numbers) for numbers in run.pull("sync.import", "completed_telephone_numbers")]
    assert completed == [set().union(*batch) for batch in sent]


def test_run_made_anew_imports_again_what_was_removed_since(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same run, the same numbers, the same CustomerOrderId: the order found under it is history."""
    from airflow.utils.session import create_session

    for module in ("_planning", "_peer_reader"):
        monkeypatch.setattr(f"airflow_provider_bandwidth.operators.{module}.SETTLED_AFTER", timedelta(0))
    date = datetime(2026, 5, 4, tzinfo=UTC)
    sandbox.configure(dialect="O")
    first = sync(*NUMBERS[:5], date=date)
    removed = set(NUMBERS[:3])
    sandbox.finish(sandbox.add_order(NUMBERS[:3], action="REMOVE", status="RECEIVED").order_id)
    with create_session() as session:
        session.delete(session.merge(first.dag_run))

    again = sync(*NUMBERS[:5], date=date)

    assert again.dag_run.run_id == first.dag_run.run_id
    assert hosted(sandbox) == set(NUMBERS[:5])
    (summary,) = again.pull("sync.report")
    assert (summary["imported"], summary["unchanged"]) == (3, 2)
    assert len(sandbox.orders) == 4
    # Which of the first two orders is sent first is left to Airflow.
    imports = [order for order in sandbox.orders if (order.action, set(order.telephone_numbers)) == ("IMPORT", removed)]
    assert [order.customer_order_id for order in imports] == [sandbox.orders[-1].customer_order_id] * 2
    assert sandbox.resets == {}


# --- numbers from elsewhere ---


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A server for all tests, since making one takes a second; its URI."""
    with running_postgres() as uri:
        yield uri


@pytest.fixture
def crm_database(postgres: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A cursor on an empty PostgreSQL database, which ``crm_database`` names."""
    import psycopg2

    def connect(uri: str) -> Any:
        connection = psycopg2.connect(uri)
        connection.autocommit = True
        return closing(connection)

    name = f"crm_{uuid.uuid4().hex}"
    with connect(postgres) as server:
        server.cursor().execute(f"CREATE DATABASE {name}")
    uri = f"{postgres.rpartition('/')[0]}/{name}"
    monkeypatch.setenv("AIRFLOW_CONN_CRM_DATABASE", uri)
    with connect(uri) as connection:
        yield connection.cursor()


def test_numbers_of_a_postgresql_table(sandbox: Sandbox, crm_database: Any) -> None:
    crm_database.execute("CREATE TABLE contacts (telephone text, texting_allowed boolean NOT NULL)")
    crm_database.execute("CREATE TABLE ports (telephone text NOT NULL, done_on date)")
    wanted = [*(f"+1 ({n[:3]}) {n[3:6]}-{n[6:]}" for n in NUMBERS[:6]), NUMBERS[0], None, "9195550035"]
    crm_database.executemany(
        "INSERT INTO contacts VALUES (%s, %s)", [*((value, True) for value in wanted), (NUMBERS[8], False)]
    )
    crm_database.execute("INSERT INTO ports VALUES (%s, NULL), (%s, '2026-01-31')", (NUMBERS[5], NUMBERS[4]))
    there = [f"336666{last:04d}" for last in range(10)]
    sandbox.seed(imported=there)
    crm_database.executemany("INSERT INTO contacts VALUES (%s, true)", [(number,) for number in there[1:]])

    run = run_example("bandwidth_number_sync_postgres")

    assert run.state == "success"
    assert hosted(sandbox) == {*NUMBERS[:5], *there[1:]}
    (summary,) = run.pull("sync.report")
    counts = {name: summary[name] for name in ("desired", "imported", "unchanged", "rejected", "removed")}
    assert counts == {"desired": 16, "imported": 5, "unchanged": 9, "rejected": 2, "removed": 1}
    assert sandbox.count("POST", "importTnChecker") == 1
    assert run.states("wanted") == [], "no task hands the wanted numbers on"


def test_rows_of_postgresql_stay_in_the_server_until_they_are_fetched(crm_database: Any) -> None:
    """The row that cannot be computed is met only after those before it were read."""
    sql = "SELECT CASE WHEN n = 50000 THEN 1 / (n - n) ELSE n END FROM generate_series(1, 1000000) n"
    values = read_sql_column("crm_database", sql)
    assert list(itertools.islice(values, 30_000)) == list(range(1, 30_001))
    with pytest.raises(InvalidExtractError, match="refused by the database: division by zero"):
        list(values)


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT telephone FROM contacts", 'refused by the database: relation "contacts" does not exist'),
        ("SELEKT 1", "refused by the database: syntax error"),
        ("CREATE TABLE x (y int)", "refused by the database: syntax error"),
        ("SELECT '{1,2}'::int[] AS a, 1 AS b", "gives 2 columns"),
    ],
)
def test_query_that_postgresql_refuses_is_a_mistake(crm_database: Any, sql: str, says: str) -> None:
    with pytest.raises(InvalidExtractError, match=says) as refused:
        list(read_sql_column("crm_database", sql))
    assert not isinstance(refused.value, ExtractUnavailableError)


def test_values_of_postgresql_are_read_whatever_their_type(crm_database: Any) -> None:
    sql = """SELECT unnest AS phone FROM unnest(ARRAY['9195550101', NULL, ' 1 ']);"""
    assert list(read_sql_column("crm_database", sql, "Phone")) == ["9195550101", "", "1"]
    sql = "SELECT ARRAY['9195550101', '2']::text[], 9195550101::numeric, 9195550101::bigint, '9195550101'::bytea"
    read = {"array": ["9195550101", "2"], "numeric": [Decimal("9195550101")], "int8": [9195550101], "x": ["9195550101"]}
    for column, values in read.items():
        assert list(read_sql_column("crm_database", f"{sql} AS x", column)) == values


def test_database_that_is_gone_may_be_there_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CRM_DATABASE", "postgresql://crm:secret-word@127.0.0.1:1/postgres")
    with pytest.raises(ExtractUnavailableError, match="cannot be read now") as refused:
        list(read_sql_column("crm_database", "SELECT 1"))
    assert "secret-word" not in str(refused.value)
    with pytest.raises(ExtractUnavailableError, match="'nowhere', which sql_conn_id names, isn't defined"):
        list(read_sql_column("nowhere", "SELECT 1"))


# --- Assets ---


def consume_newest_event(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    """Give the next run of ``dag.test()`` the newest event of an Asset, as the scheduler would."""
    from airflow.models import dag, dagrun
    from sqlalchemy import select

    try:
        from airflow.models.asset import AssetEvent, AssetModel

        of_asset = select(AssetEvent).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        consumed = "consumed_asset_events"
    except ImportError:  # Airflow 2
        from airflow.models.dataset import DatasetEvent as AssetEvent
        from airflow.models.dataset import DatasetModel as AssetModel

        of_asset = select(AssetEvent).join(AssetModel, AssetModel.id == AssetEvent.dataset_id)
        consumed = "consumed_dataset_events"
    newest = of_asset.where(AssetModel.uri == uri).order_by(AssetEvent.id.desc())
    places = [(dagrun, "get_or_create_dagrun"), (dag, "_get_or_create_dagrun")]
    module, name = next((module, name) for module, name in places if hasattr(module, name))
    create = getattr(module, name)

    def create_with_event(*, session: Any, **fields: Any) -> Any:
        run = create(session=session, **fields)
        event = session.scalars(newest).first()
        assert event is not None, f"no event of {uri}"
        getattr(run, consumed).append(event)
        session.commit()
        return run

    monkeypatch.setattr(module, name, create_with_event)


def test_sync_follows_the_extract_and_is_followed(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "bandwidth_number_sync_on_extract"
    for dag_id in ("bandwidth_number_sync_crm_extract", module, "bandwidth_number_sync_followed"):
        # Airflow 2 records events of datasets only once the scheduler has seen their DAGs.
        getattr(load_dag(module, dag_id), "sync_to_db", lambda: None)()
    wanted = ["+1 (919) 666-0000", "919.666.0001", "1-919-666-0001", " "]
    exported = run_example(module, "bandwidth_number_sync_crm_extract", folder=str(tmp_path), telephone_numbers=wanted)
    (path,) = exported.pull("export")
    assert Path(path).parent == tmp_path

    with monkeypatch.context() as patch:
        consume_newest_event(patch, "crm://extracts/telephone-numbers")
        synced = run_example(module)
    assert synced.state == "success"
    assert synced.pull("newest_extract") == [path]
    assert hosted(sandbox) == set(NUMBERS[:2])

    with monkeypatch.context() as patch:
        consume_newest_event(patch, "bandwidth://bandwidth_default/telephone-numbers")
        followed = run_example(module, "bandwidth_number_sync_followed")
    assert followed.pull("tell") == [[2]]
