"""A sync with a campaign, night by night: the real task group in :mod:`support.mini_airflow`, against the sandbox."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import airflow
import pytest
from support.airflow_task import CONN_VARIABLE
from support.in_process import in_process
from support.nights import NUMBERS, Nights
from support.sync_walk import DAY

from airflow_provider_bandwidth.sandbox import Sandbox

pytestmark = pytest.mark.skipif(
    airflow.__version__.startswith("2."),
    reason="Airflow 2.11 counts mapped tasks in its database, which mini_airflow has not",
)

STRANGE = "9195550104"


@pytest.fixture(scope="module")
def running_sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(port=8085)
    with in_process(sandbox), patch.dict(os.environ, {CONN_VARIABLE: sandbox.connection_json}):
        yield sandbox


@pytest.fixture
def nights(running_sandbox: Sandbox, tmp_path: Path) -> Iterator[Nights]:
    running_sandbox.reset()
    running_sandbox.configure(processing_seconds=60)
    with ExitStack() as stack:
        yield Nights(tmp_path, running_sandbox, stack)


ASSIGNED = ("imported", "", "campaign assigned")


def test_what_is_imported_is_assigned_and_the_next_night_does_nothing(nights: Nights) -> None:
    run = nights.night()

    assert run.state == "success"
    assert nights.rows(run) == dict.fromkeys(NUMBERS, ASSIGNED)
    assert nights.campaigns == dict.fromkeys(NUMBERS, "CABC123")
    assert [sorted(order.telephone_numbers) for order in nights.assignments] == [
        NUMBERS[:2],
        NUMBERS[2:4],
        NUMBERS[4:],
    ]
    summary = nights.summary(run)
    assert summary["campaign_order_ids"] == [order.order_id for order in nights.assignments]
    assert len(summary["order_ids"]) == 3
    assert not set(summary["order_ids"]) & set(summary["campaign_order_ids"])
    page = json.loads(run.xcoms["sync.report", -1, "bandwidth_report_page"])
    assert page.count("<td>CAMPAIGN") == 3

    run = nights.night()
    assert (run.state, len(nights.sandbox.orders)) == ("success", 6)
    assert nights.rows(run) == dict.fromkeys(NUMBERS, ("unchanged", "", ""))
    assert run.find("assign").state == "skipped"


@pytest.mark.parametrize("store", [True, False])
def test_clears_assign_nothing_twice(store: bool, running_sandbox: Sandbox, tmp_path: Path) -> None:
    running_sandbox.reset()
    running_sandbox.configure(search_lag_seconds=50)
    with ExitStack() as stack:
        nights = Nights(tmp_path, running_sandbox, stack, store=store)
        run = nights.start()
        nights.world.run()
        for suffixes, downstream in (
            (("assign",), False),
            (("report",), False),
            (("import",), True),
            (("plan",), True),
            (("assign",), True),
        ):
            nights.clear(run, *suffixes, downstream=downstream)
            assert run.state == "success"
            assert len(nights.assignments) == 3
        assert set(nights.rows(run).values()) == {("unchanged", "", "")}
        assert not running_sandbox.resets


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_makes_no_second_order(when: str, nights: Nights) -> None:
    nights.sandbox.inject("status", operation="submit", status=503, when=when, times=1, after=4)
    run = nights.night()
    assert nights.rows(run) == dict.fromkeys(NUMBERS, ASSIGNED)
    assert len(nights.assignments) == 3


def test_what_may_pass_is_tried_again_every_night(nights: Nights) -> None:
    run = nights.night(campaign_id="CPENDNG")

    assert run.state == "failed"
    assert "5 of 5 cannot text yet (12192 x 5), more than max_errors=0 allows" in run.find("report").error
    fates = nights.rows(run)
    assert {fate[:2] for fate in fates.values()} == {("cannot_text", "12192")}
    assert fates[NUMBERS[0]][2] == "imported, cannot text yet: The campaign is not active."
    assert (nights.summary(run)["cannot_text"], nights.summary(run)["imported"]) == (5, 0)
    assert nights.summary(run)["error_counts"] == {"12192": 5}

    again = nights.night(campaign_id="CPENDNG", max_errors=1.0)
    assert again.state == "success"
    assert len(nights.assignments) == 6
    assert nights.rows(again)[NUMBERS[0]][2] == "unchanged, cannot text yet: The campaign is not active."


def test_what_is_refused_for_good_is_tried_again_after_a_week(nights: Nights) -> None:
    nights.sandbox.configure(options_on_hosted="refused")
    assert nights.night().state == "failed"
    nights.sandbox.configure(options_on_hosted="allowed")
    for _ in range(6):
        run = nights.night()
        assert run.state == "failed"
        assert len(nights.assignments) == 3
        assert {fate[:2] for fate in nights.rows(run).values()} == {("cannot_text", "5128")}
        assert "tried again from 2031-03-11 on" in nights.rows(run)[NUMBERS[0]][2]
    run = nights.night()
    assert run.state == "success"
    assert set(nights.rows(run).values()) == {("unchanged", "", "campaign assigned")}
    assert len(nights.assignments) == 6


def test_some_numbers_of_an_order_cannot_text(nights: Nights) -> None:
    # The magic number of an import that Bandwidth takes, and of options that it does not.
    nights.write([*NUMBERS[:1], STRANGE])
    nights.sandbox.configure(options_on_hosted="refused")
    run = nights.night(max_errors=2)
    assert run.state == "success"
    assert {fate[0] for fate in nights.rows(run).values()} == {"cannot_text"}


@pytest.mark.parametrize("task", ["assign", "import"])
def test_what_a_night_that_died_has_left_the_next_one_assigns(task: str, nights: Nights) -> None:
    nights.dies = lambda each: 1 if each.task_id.endswith(task) else None
    run = nights.night()
    assert run.state == "failed"
    if task == "assign":
        assert {fate[:2] for fate in nights.rows(run).values()} == {("cannot_text", "")}
        assert not nights.assignments
    nights.dies = lambda _: None
    again = nights.night()
    assert again.state == "success"
    assert nights.campaigns == dict.fromkeys(NUMBERS, "CABC123")
    assert len(nights.assignments) == 3
    assert {fate[2] for fate in nights.rows(again).values()} == {"campaign assigned"}


@pytest.mark.parametrize("points", range(1, 40, 2))
def test_killed_anywhere_while_it_assigns(points: int, nights: Nights) -> None:
    deaths = [points]
    nights.dies = lambda each: deaths.pop() if each.task_id.endswith("assign") and deaths else None
    nights.sandbox.configure(search_lag_seconds=30)
    run = nights.start(retries=2)
    nights.world.run()
    assert (run.state, nights.rows(run)) == ("success", dict.fromkeys(NUMBERS, ASSIGNED))
    assert len(nights.assignments) == 3


def test_an_import_that_takes_days_is_assigned_by_the_sync_that_planned_last(nights: Nights) -> None:
    nights.sandbox.configure(processing_seconds=30 * 3600)
    first = nights.start(poke_interval=3600)
    nights.world.run(until=nights.world.now + DAY)
    second = nights.start(poke_interval=3600)
    nights.world.run()

    assert (first.find("assign").state, second.find("assign").state) == ("skipped", "success")
    assert (first.state, second.state) == ("success", "success")
    left = "its campaign is left to the sync that has planned since"
    assert nights.rows(first) == dict.fromkeys(NUMBERS, ("imported", "", left))
    assert nights.rows(second) == dict.fromkeys(NUMBERS, ASSIGNED)
    assert len(nights.assignments) == 3
    assert nights.summary(first)["campaign_order_ids"] == []


def test_a_number_that_comes_back_is_assigned_again(nights: Nights) -> None:
    nights.night()
    nights.write(NUMBERS[1:])
    nights.night()
    nights.write(NUMBERS)
    run = nights.night()
    assert nights.rows(run)[NUMBERS[0]] == ASSIGNED
    assert nights.campaigns == dict.fromkeys(NUMBERS, "CABC123")
    assert [order.telephone_numbers for order in nights.assignments[3:]] == [(NUMBERS[0],)]


def test_a_campaign_that_a_person_chose_is_left_alone(nights: Nights) -> None:
    nights.night()
    order = nights.sandbox.add_order([NUMBERS[0]], order_api="tnoptions", campaign_id="COTHER1")
    nights.night()
    assert nights.assignments[-1].order_id == order.order_id


def test_a_campaign_id_that_was_misspelt_keeps_no_number_from_the_right_one(nights: Nights) -> None:
    run = nights.night(campaign_id="CNOTFND")
    assert {fate[:2] for fate in nights.rows(run).values()} == {("cannot_text", "12189")}
    run = nights.night()
    assert nights.campaigns == dict.fromkeys(NUMBERS, "CABC123")
    assert set(nights.rows(run).values()) == {("unchanged", "", "campaign assigned")}


def test_numbers_of_long_ago_keep_what_they_have(nights: Nights) -> None:
    nights.night(campaign_id=None)
    for _ in range(15):
        nights.world.now += DAY
    run = nights.night()
    assert not nights.assignments
    assert set(nights.rows(run).values()) == {("unchanged", "", "")}


def test_a_sync_that_gets_a_campaign_assigns_what_it_imported_lately(nights: Nights) -> None:
    first = nights.night(campaign_id=None)
    assert not any(each.task_id.endswith("assign") for each in first.instances.values())
    assert nights.summary(first)["cannot_text"] == 0
    run = nights.night()
    assert nights.campaigns == dict.fromkeys(NUMBERS, "CABC123")
    assert set(nights.rows(run).values()) == {("unchanged", "", "campaign assigned")}


@pytest.mark.parametrize("rendered", ["", "None"])
def test_a_template_may_name_no_campaign(rendered: str, nights: Nights) -> None:
    run = nights.night(campaign_id=f"{{{{ '{rendered}' }}}}")
    assert (run.state, run.find("assign").state, nights.assignments) == ("success", "skipped", [])
    assert nights.rows(run) == dict.fromkeys(NUMBERS, ("imported", "", ""))


def test_a_campaign_id_that_is_none_fails_the_plan_at_once(nights: Nights) -> None:
    run = nights.night(campaign_id="C" * 65)
    assert "CampaignId: expected 1 to 64 characters" in run.find("plan").error
    assert not nights.sandbox.orders


def test_a_dry_run_says_what_it_would_assign(nights: Nights) -> None:
    nights.night(campaign_id=None)
    nights.write([*NUMBERS, "9196660099"])
    run = nights.night(dry_run=True)
    assert not nights.assignments
    assert nights.rows(run) == {
        **dict.fromkeys(NUMBERS, ("unchanged", "", "")),
        "9196660099": ("planned", "", ""),
    }
    assert nights.summary(run)["verdict"] == (
        "A dry run, nothing was sent. A real run would send 1 order, and assign campaign CABC123 to what is imported "
        "and to 5 of the numbers there before, and succeed unless one of them errors (max_errors=0)."
    )
    nights.night()
    nights.write([*NUMBERS, "9196660099", "9196660098"])
    run = nights.night(dry_run=True)
    assert "would send 1 order, and assign campaign CABC123 to what is imported, and" in nights.summary(run)["verdict"]


def test_a_list_that_is_cut_lets_nothing_be_assigned_twice(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    nights.night()
    for number in range(3):
        nights.sandbox.add_order([f"919777000{number}"], order_api="tnoptions")
    for where in ("operators._peer_reader.MAX_LISTED_ORDERS", "sandbox.tn_orders.LIST_LIMIT"):
        monkeypatch.setattr(f"airflow_provider_bandwidth.{where}", 3)
    before = len(nights.assignments)
    assert nights.night().state == "success"
    assert len(nights.assignments) == before
