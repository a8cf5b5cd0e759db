"""Random walks of a number sync's life: nights of changing extracts, clears, backfills, kills and faults.

The real task group runs in :mod:`support.mini_airflow` against the sandbox, many runs at a time, in virtual time. What
the organisation wants is known all along, and so is what Bandwidth did; a walk goes wrong if

* a number was imported while it was live (its attributes are reset then),
* a number was removed that was wanted, or imported that was not, all the time while a plan may be good for,
* a report has a fate that is not true, or not exactly one for each number,
* after all that a run in peace does not bring about what is wanted.
"""

from __future__ import annotations

import csv
import inspect
import json
import logging
import os
import random
import re
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import requests
from airflow.providers.common.compat.sdk import DAG, BaseSensorOperator, Variable
from support.airflow_task import CONN_VARIABLE, connection_json
from support.imports import IMPORT_DEFAULTS
from support.in_process import in_process
from support.mini_airflow import ENDED, MiniAirflow, Run, TaskInstance
from support.random_walk import FAULTS as SUBMISSION_FAULTS
from support.virtual_time import START, KilledError, VirtualTime

from airflow_provider_bandwidth import hooks
from airflow_provider_bandwidth.sandbox import Order, Sandbox
from airflow_provider_bandwidth.task_groups.bandwidth import bandwidth_number_sync

#: The search shows an order at most this many seconds after its POST was sent: within the minute of the promise.
LAG = 55
#: How long a plan may be sent after it was made, in seconds, and what an answer may take on top.
PLAN_VALID_FOR = 2 * 3600
SLACK = 900
DAY = 86_400.0
CAMPAIGN = "CABC123"
STATUSES = (408, 500, 502, 503, 504)
#: Numbers that Bandwidth refuses for good, for now, or does without a word. (One that fails its whole order would keep
#: the others of it out night by night, and the report says so: that is no fault of the sync.)
UNLISTED = "9195550094"
MAGIC = ("9195550001", "9195550005", "9195550022", UNLISTED)
GARBAGE = ("unknown", "555-0199", "919-666-01O1", "+44 20 7946 0958", "9.19667E+09")

#: What an order that is read may show wrongly. (A submission knows what it asked for, and :mod:`.random_walk` has it
#: read other actions, places and numbers, too. A plan reads orders that it never asked for, and has to believe them.)
_READ_WRONGLY = ("account", "customer-order-id")
FAULTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    *(
        (fault, operation, {**options, "contradict": _READ_WRONGLY})
        if "contradict" in options and operation != "submit"
        else (fault, operation, options)
        for fault, operation, options in SUBMISSION_FAULTS
    ),
    ("status", "peer-numbers", {"status": STATUSES, "times": (1, 6), "after": (0, 1)}),
    ("truncate", "peer-numbers", {"how": ("length", "xml"), "after": (0, 1)}),
    ("status", "peer-total", {"status": STATUSES, "times": (1, 6), "after": (0, 1)}),
)
#: An inventory that shows less than there is, for a moment.
INVENTORY_FAULTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("status", "peer-numbers", {"status": (204,), "body": ("empty",), "after": (0, 1)}),
    ("setting", "peer-numbers", {"inventory_pages": ("empty", "cut", "repeat", "skip"), "after": (0, 1)}),
)


@dataclass
class Outcome:
    """What many walks came to. ``failures`` holds the number of each walk that went wrong, and how."""

    seed: int
    walks: int = 0
    runs: int = 0
    attempts: int = 0
    deaths: int = 0
    clears: int = 0
    faults: int = 0
    orders: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[int, str]] = field(default_factory=list)

    def __str__(self) -> str:
        fates = ", ".join(f"{count} {fate}" for fate, count in sorted(self.fates.items()))
        text = (
            f"Walk of the sync, seed {self.seed}: {self.walks} walks, {self.runs} runs, {self.attempts} attempts, "
            f"{self.deaths} killed, {self.clears} clears, {self.faults} faults, {self.orders} orders; fates: {fates}; "
            f"{len(self.failures)} went wrong."
        )
        return "\n  ".join([text, *(f"walk {number}: {problem}" for number, problem in self.failures[:10])])


@dataclass(frozen=True)
class Happenings:
    """What may happen in a walk.

    :param side_by_side: whether runs of the DAG go on at the same time
    :param second_dag: whether another DAG syncs the same SIP peer
    :param inventory_lag: seconds; how late the inventory may show what orders did
    :param broken_inventory: whether the inventory may show less than there is
    :param broken_extracts: whether an extract may be cut short or empty, so that a guard has to stop it
    :param campaign: whether what is imported is assigned to a campaign
    """

    side_by_side: bool = True
    second_dag: bool = True
    inventory_lag: float = 3000
    broken_inventory: bool = True
    broken_extracts: bool = True
    campaign: bool = False


class _Extract:
    """What the organisation wants, and the file that says so, day by day."""

    def __init__(self, folder: Path, rng: random.Random, world: VirtualTime) -> None:
        self.folder = folder
        self._rng = rng
        self._world = world
        self._pool = [f"91966{line:05d}" for line in rng.sample(range(10_000, 99_999), 60)]
        self.wanted = set(rng.sample(self._pool, 24))
        self.magic = set(rng.sample(MAGIC, rng.choice((0, 1, 2))))
        #: Values that are no number. Those that could stand for one keep it from being removed.
        self.garbage = rng.sample(GARBAGE, rng.choice((0, 0, 1)))
        #: Since when what is wanted.
        self.history: list[tuple[float, frozenset[str]]] = []
        self.files: list[tuple[float, list[str]]] = []

    @property
    def values(self) -> list[str]:
        return [*sorted(self.wanted | self.magic), *self.garbage]

    def change(self, *, is_broken: bool = False) -> None:
        """A new day: a few numbers come, a few go."""
        for number in self._rng.sample(sorted(self.wanted), self._rng.choice((0, 1, 2))):
            self.wanted.discard(number)
        self.wanted.update(self._rng.sample(self._pool, self._rng.choice((0, 1, 3, 5))))
        self.history.append((self._world.now, frozenset(self.wanted | self.magic)))
        values = self.values
        if is_broken:
            values = values[: self._rng.choice((0, 3))]
        self.write(values)

    def write(self, values: list[str]) -> None:
        self.files.append((self._world.now, values))
        day = datetime.fromtimestamp(self._world.now, UTC)
        for name in ("extract.csv", f"{day:%Y-%m-%d}.csv"):
            with Path(self.folder, name).open("w", newline="") as stream:
                writer = csv.writer(stream)
                writer.writerow(("name", "phone"))
                writer.writerows((f"Customer {index}", value) for index, value in enumerate(values))

    def was_wanted(self, number: str, first: float, last: float) -> set[bool]:
        """Whether a number was wanted between two times: yes, no, or first one and then the other."""
        in_force = [wanted for since, wanted in self.history if since <= first][-1:]
        in_force += [wanted for since, wanted in self.history if first < since <= last]
        return {number in wanted for wanted in in_force}

    def find_values(self, first: float, last: float) -> list[set[str]]:
        """Every content of the file that a plan of between two times may have read."""
        read = [values for since, values in self.files if since <= first][-1:]
        return [set(values) for values in (*read, *(values for since, values in self.files if first < since <= last))]


class _Walk:
    def __init__(self, outcome: Outcome, sandbox: Sandbox, rng: random.Random, happenings: Happenings) -> None:
        self._outcome = outcome
        self._sandbox = sandbox
        self._rng = rng
        self._may = happenings
        self.world = VirtualTime(rng)
        self._folder = Path(tempfile.mkdtemp(prefix="sync-walk-"))
        self._extract = _Extract(self._folder, rng, self.world)
        self.airflow = MiniAirflow(self.world, has_state_store=rng.random() < 0.5, draw_death=self._draw_death)
        self.airflow.ended.append(self._check_report)
        self._is_peaceful = False
        self._death_rate = rng.choice((0.0, 0.1, 0.3))
        self._planned: dict[TaskInstance, float] = {}
        self._checked: set[tuple[TaskInstance, int]] = set()
        self._problems: list[str] = []
        self._search_lag = rng.choice((0, 0, 5, 30, LAG))

    # --- the life of a sync ---

    def run(self) -> str | None:
        """What went wrong, if anything."""
        self._configure()
        self._extract.change()
        wanted = sorted(self._extract.wanted)
        started = self._rng.sample(wanted, len(wanted) * self._rng.choice((0, 1, 2)) // 2)
        self._sandbox.seed(imported=started, owned=self._rng.sample(MAGIC, 1) if self._rng.random() < 0.2 else ())
        self._dags = self._make_dags(is_peaceful=False)
        nights = self._rng.choice((1, 2, 2))
        for night in range(nights):
            self._begin_night(night)
            for _ in range(self._rng.choice((0, 1, 2, 4))):
                when = self._rng.choice((60, 600, 3600, 20_000)) * self._rng.uniform(0.5, 1.5)
                self.world.after(when, self._interfere)
            self.world.run(until=START + (night + 1) * DAY)
        self._end_in_peace()
        self._check_orders()
        self._outcome.orders += len(self._sandbox.orders)
        return self._problems[0] if self._problems else None

    def _configure(self) -> None:
        rng = self._rng
        order_apis = self._sandbox.settings.order_apis
        self._sandbox.reset()
        self._sandbox.configure(
            order_apis=order_apis,
            received_seconds=rng.choice((0, 5, 60)),
            processing_seconds=rng.choice((0, 60, 900, 5000)),
            search_lag_seconds=self._search_lag,
            read_lag_seconds=rng.choice((0, 0, 20)),
            inventory_lag_seconds=rng.choice((0, 0, 1.0)) * self._may.inventory_lag,
            echo_customer_order_id=rng.random() < 0.9,
            list_form=rng.choice(("full", "summary")),
            partial_list=rng.choice(("all", "completed")),
            dialect=rng.choice("SOHP"),
        )

    def _make_dags(self, *, is_peaceful: bool) -> list[Any]:
        rng = self._rng
        names = ["nightly", "other"] if self._may.second_dag and rng.random() < 0.3 and not is_peaceful else ["nightly"]
        known = inspect.signature(bandwidth_number_sync).parameters
        self._is_dated = rng.choice((False, True))
        path = f"{self._folder}/{'{{ dag_run.run_after.date() }}' if self._is_dated else 'extract'}.csv"
        guards = {"max_removals": 0.3, "min_desired": 0.5}
        if is_peaceful:
            path = f"{self._folder}/extract.csv"
            guards = {"max_removals": 1.0, "min_desired": 0, "max_imports": 1000, "max_unreadable": 1.0}
            guards["first_load"] = True
        dags = []
        for name in names:
            with DAG(
                name,
                schedule=None,
                start_date=datetime(2031, 1, 1, tzinfo=UTC),
                max_active_runs=16 if self._may.side_by_side else 1,
                default_args={"retries": rng.choice((0, 1, 3)), "retry_delay": timedelta(seconds=60)},
            ) as dag:
                bandwidth_number_sync(
                    group_id="sync",
                    extract_path=path,
                    column="phone",
                    remove_missing=True,
                    max_errors=1.0,
                    chunk_size=self._chunk_size,
                    orders_per_task=rng.choice((1, 2, 50)),
                    deferrable=False,
                    poke_interval=500,
                    timeout=2 * DAY if is_peaceful else rng.choice((600.0, 4 * 3600.0)),
                    report_path=f"{self._folder}/{{{{ dag.dag_id }}}}-{{{{ run_id }}}}.jsonl",
                    campaign_id=CAMPAIGN if self._may.campaign else None,
                    **{key: value for key, value in guards.items() if key in known},
                )
            dags.append(dag)
        return dags

    @property
    def _chunk_size(self) -> int:
        return self._rng.choice((3, 5, 50))

    def _begin_night(self, night: int) -> None:
        if night:
            self._extract.change(is_broken=self._may.broken_extracts and self._rng.random() < 0.15)
        for dag in self._dags:
            self._trigger(dag, "scheduled", datetime.fromtimestamp(self.world.now, UTC))
        self._put_up_faults()

    def _trigger(self, dag: Any, run_type: str, logical_date: datetime | None = None) -> None:
        count = sum(run.dag_id == dag.dag_id for run in self.airflow.runs)
        self._outcome.runs += 1
        self.airflow.trigger(dag, f"{run_type}-{count}", run_type, logical_date)

    def _interfere(self) -> None:
        rng = self._rng
        self._put_up_faults()
        run = rng.choice(self.airflow.runs)
        what = rng.choice(("clear", "clear", "clear", "manual", "backfill", "extract"))
        if what == "clear":
            self._clear(run)
        elif what == "extract":
            self._extract.change()
        elif what == "manual":
            self._trigger(rng.choice(self._dags), "manual")
        else:
            day = datetime.fromtimestamp(self.world.now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            for back in range(rng.choice((1, 2))):
                due, dag = day - timedelta(days=back), rng.choice(self._dags)
                if Path(self._folder, f"{due:%Y-%m-%d}.csv").exists() and not self._may_go_back(dag.dag_id, due):
                    self._trigger(dag, "backfill", due)

    def _may_go_back(self, dag_id: str, due: datetime) -> bool:
        """Whether a run plans by an old extract, and may: no newer run of its DAG has planned."""
        is_old = due.timestamp() < self.world.now - (self.world.now - START) % DAY
        records = [json.loads(text) for text in self.airflow.variables.values() if text.startswith("{")]
        newest = [record["newest"].get(dag_id, "") for record in records]
        return self._is_dated and is_old and max(newest, default="") <= due.isoformat()

    def _clear(self, run: Run) -> None:
        if self._may_go_back(run.dag_id, run.run_after):
            return
        self._outcome.clears += 1
        how = self._rng.choice(("all", "failed", "failed", "one", "one alone"))
        if how == "all":
            self.airflow.clear(run, lambda _: True, downstream=False)
        elif how == "failed":
            self.airflow.clear(run, lambda each: each.state in ("failed", "upstream_failed"), downstream=False)
        else:
            chosen = self._rng.choice(list(run.instances.values()))
            self.airflow.clear(run, lambda each: each is chosen, downstream=how == "one")

    def _end_in_peace(self) -> None:
        """Nothing goes wrong any more: what is wanted comes true."""
        self._is_peaceful = True
        self._sandbox.clear_faults()
        self._sandbox.configure(inventory_lag_seconds=0)
        self.world.run()
        self.world.now += DAY
        self._extract.garbage = []
        self._extract.write(self._extract.values)
        (dag,) = self._make_dags(is_peaceful=True)
        for _ in range(2):  # what is refused for a while is sent by the second
            self._trigger(dag, "scheduled", datetime.fromtimestamp(self.world.now, UTC))
            self.world.run()
            self.world.now += DAY
        stuck = [
            f"{each.run_id} {each.task_id}[{each.map_index}] {each.state} {each.error}"
            for run in self.airflow.runs
            if run.state == "running"
            for each in run.instances.values()
            if each.state not in ENDED
        ]
        if stuck:
            self._problems.append(f"stuck: {stuck[:3]}")
        run = self.airflow.runs[-1]
        if run.state != "success":
            errors = [f"{each.task_id} {each.state}: {each.error}" for each in run.instances.values() if each.error]
            self._problems.append(f"a run in peace ends {run.state}: {errors}")
        fates = self._read_report(run)
        unaccounted = [row for row in fates if row["fate"] == "unaccounted" and row["telephone_number"] not in MAGIC]
        if unaccounted:
            self._problems.append(f"unaccounted in peace: {unaccounted[:3]}")
        live = set(self._sandbox.inventory.get(("743", "303716"), ()))
        missing = self._extract.wanted - live
        extra = live - self._extract.wanted - set(MAGIC)
        if missing or extra:
            self._problems.append(f"in the end {len(missing)} missing {sorted(missing)[:3]}, {len(extra)} too many")

    # --- what goes wrong ---

    def _draw_death(self, instance: TaskInstance) -> int | None:
        self._outcome.attempts += 1
        if instance.task_id.endswith("plan"):
            self._planned[instance] = self.world.now
        elif instance.task_id.endswith("report"):
            self._planned[instance] = self._planned[instance.run.find("plan")]
        if self._is_peaceful or self._rng.random() >= self._death_rate:
            return None
        self._outcome.deaths += 1
        return self._rng.randint(1, 16)

    def _put_up_faults(self) -> None:
        self._sandbox.clear_faults()
        faults = FAULTS + (INVENTORY_FAULTS * 3 if self._may.broken_inventory else ())
        for fault, operation, options in self._rng.choices(faults, k=self._rng.choice((0, 1, 2, 4))):
            drawn = {name: self._rng.choice(values) for name, values in options.items()}
            self._sandbox.inject(fault, operation=operation, **drawn)
            self._outcome.faults += 1

    def send(self, session: requests.Session, request: requests.PreparedRequest, **more: Any) -> requests.Response:
        """One call of the client: others may go first, the process may die before or after it is answered."""
        world = self.world
        if world.actor is None:
            return SEND(session, request, **more)
        world.point()
        actor = world.actor
        if request.method == "POST" and _ORDERS.search(str(request.url)) and not self._is_peaceful:
            is_last = actor.dies_at == actor.points + 1
            if is_last or self._rng.random() < 0.02:
                # Bandwidth goes on with it although nobody waits for the answer any more.
                world.after(self._rng.uniform(0, LAG - self._search_lag), lambda: _send_late(request))
                if is_last:
                    raise KilledError
                raise requests.ReadTimeout("no answer within the connection's timeout")
        response = SEND(session, request, **more)
        world.point()
        return response

    # --- what must be true ---

    def _check_orders(self) -> None:
        # Its order does not list this one, so that nobody can know of it before the inventory shows it.
        resets = set(self._sandbox.resets) - {UNLISTED}
        if resets:
            self._problems.insert(0, f"{len(resets)} live numbers were reset: {sorted(resets)[:3]}")
        self._check_assignments()
        for order in self._sandbox.orders:
            if order.order_api == "tnoptions":
                continue
            sent = order.created_at.timestamp()
            wanted = order.action == "IMPORT"
            for number in order.telephone_numbers:
                if self._extract.was_wanted(number, sent - PLAN_VALID_FOR - SLACK, sent) == {not wanted}:
                    what = "is not wanted" if wanted else "is wanted"
                    self._problems.insert(0, f"{order.action} of {number}, which {what}")

    def _check_assignments(self) -> None:
        """Each import of a number was followed by one order that assigned the campaign to it, and no more."""
        for number in self._extract.wanted if self._may.campaign else ():
            story = [
                order.action
                for order in sorted(self._sandbox.orders, key=lambda order: order.created_at)
                if number in order.telephone_numbers
                and order.status != "FAILED"
                and number not in order.failed_telephone_numbers
            ]
            told = " ".join(story)
            if "OPTIONS OPTIONS" in told or told.startswith("OPTIONS"):
                self._problems.insert(0, f"{number} was assigned twice: {told}")
            if "IMPORT" in story and story[-1] != "OPTIONS":
                self._problems.append(f"in the end {number} is on no campaign: {told}")

    def _read_report(self, run: Run) -> list[dict[str, str]]:
        summary = json.loads(run.xcoms.get((run.find("report").task_id, -1, "return_value"), "{}"))
        path = summary.get("report_path")  # a second report of a run has a second file
        return [json.loads(line) for line in Path(path).read_text().splitlines()] if path else []

    def _check_report(self, run: Run) -> None:
        report = run.find("report")
        if (report.task_id, -1, "return_value") not in run.xcoms or (report, report.try_number) in self._checked:
            return
        self._checked.add((report, report.try_number))
        rows = self._read_report(run)
        for row in rows:
            self._outcome.fates[row["fate"]] += 1
            if not self._is_true(row, run):
                self._problems.append(f"{run.run_id} reports {row}, which is not true")
        numbers = Counter(row["telephone_number"] for row in rows)
        doubled = [number for number, count in numbers.items() if count > 1]
        if doubled:
            self._problems.append(f"{run.run_id} has two fates for {doubled[:3]}")
        desired = {row["telephone_number"] for row in rows if row["action"] == "IMPORT"}
        planned_at = self._planned[report]
        read = self._extract.find_values(min(planned_at, run.run_after.timestamp()), self.world.now)
        if desired not in read:
            odd = min((desired ^ values for values in read), key=len)
            self._problems.append(f"{run.run_id} has not one fate for each desired number: {sorted(odd)[:5]}")

    def _is_true(self, row: dict[str, str], run: Run) -> bool:
        number, fate = row["telephone_number"], row["fate"]
        if fate in ("unaccounted", "cannot_text"):
            return True
        if fate == "unchanged":
            planned_at = self._planned[run.find("report")]
            return any(self._was_live(number, moment) for moment in (planned_at, self.world.now))
        if fate == "rejected" and not row["order_id"]:
            return True
        if fate == "planned":  # and not sent
            planned_at = self._planned[run.find("report")]
            return not any(
                number in order.telephone_numbers
                and order.action == row["action"]
                and order.created_at.timestamp() >= planned_at
                for order in self._sandbox.orders
            )
        order = self._find_order(row["order_id"])
        if order is None or number not in order.telephone_numbers or order.action != row["action"]:
            return False
        failed = order.status == "FAILED" or number in order.failed_telephone_numbers
        if fate in ("imported", "removed"):
            return order.is_terminal and not failed
        return fate == "rejected" or (fate == "errored" and failed)

    def _find_order(self, order_id: str) -> Order | None:
        try:
            return self._sandbox.order(order_id)
        except LookupError:
            return None

    def _was_live(self, number: str, moment: float) -> bool:
        return self._sandbox._store.rewind(self.world.now - moment).get(number) is not None


SEND = requests.Session.send
#: Where orders are sent to.
_ORDERS = re.compile(r"/(externalTns|importTnOrders|removeImportedTnOrders|tnoptions)(/messaging)?$")


def _send_late(request: requests.PreparedRequest) -> None:
    with suppress(requests.RequestException), requests.Session() as session:
        SEND(session, request, timeout=5)


@contextmanager
def living_in(airflow: MiniAirflow, send: Callable[..., requests.Response] = SEND) -> Iterator[None]:
    """Make this the Airflow, and its time the time, that the operators live in.

    :param send: makes the calls of requests' sessions
    """
    variables = airflow.variables
    sensor_module: ModuleType = inspect.getmodule(BaseSensorOperator)  # type: ignore[assignment]

    def get(key: str, default: Any = None, **_: Any) -> Any:
        return variables.get(key, default)

    def put(key: str, value: Any, *_: Any, **__: Any) -> None:
        variables[key] = str(value)

    with (
        airflow.world.rule(sensor_module),
        patch.object(requests.Session, "send", lambda session, request, **more: send(session, request, **more)),
        patch.object(Variable, "get", staticmethod(get)),
        patch.object(Variable, "set", staticmethod(put)),
        patch.object(Variable, "delete", staticmethod(lambda key, **_: variables.pop(key, None))),
        patch.object(hooks._api, "mask_secret", id),
    ):
        yield


def walk_syncs(
    seed: int,
    count: int,
    *,
    first: int = 0,
    happenings: Happenings = Happenings(),
    over_http: bool = True,
    order_api: str = "externalTns",
    tell: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """So many walks; each depends on the seed and its number alone, so that one can be repeated.

    :param over_http: false for calls without sockets, which take less time
    :param order_api: the one order API of the account
    :param tell: is told of each walk that went wrong as it does
    """
    outcome = Outcome(seed)
    threads = threading.active_count()
    logging.disable(logging.CRITICAL)
    try:
        sandbox = Sandbox(port=0 if over_http else 8085, order_apis=order_api)
        with (
            sandbox if over_http else in_process(sandbox),
            patch.dict(os.environ, {CONN_VARIABLE: connection_json(sandbox, **IMPORT_DEFAULTS)}),
        ):
            for number in range(first, first + count):
                walk = _Walk(outcome, sandbox, random.Random(f"{seed} {number}"), happenings)
                with living_in(walk.airflow, walk.send):
                    try:
                        problem = walk.run()
                    finally:
                        walk.world.end()
                outcome.walks += 1
                if problem is not None:
                    outcome.failures.append((number, problem))
                    tell(f"walk {number}: {problem}")
    finally:
        logging.disable(logging.NOTSET)
    assert threading.active_count() <= threads + 1
    return outcome
