"""The page: what a person reads, and that nothing in it can act."""

from __future__ import annotations

import itertools
from html.parser import HTMLParser

import pytest

from airflow_provider_bandwidth.number_sync.fates import Fate, NumberFate
from airflow_provider_bandwidth.number_sync.page import (
    MAX_LISTED_NUMBERS,
    NightFigures,
    PageOrder,
    ReportPage,
    read_figures,
)
from airflow_provider_bandwidth.number_sync.report import Tally
from airflow_provider_bandwidth.orders import Action

PLACE = "account 9900123, site 743, SIP peer 505"
HOSTILE = "</td></script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'"


class Reader(HTMLParser):
    """Collects the elements, attributes and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def make_page(*fates: NumberFate, **changes: object) -> ReportPage:
    given: dict[str, object] = {
        "verdict": "2 numbers need attention.",
        "is_good": False,
        "place": PLACE,
        "planned_at": "2026-11-26T02:00:10+00:00",
        "tally": Tally(),
    }
    page = ReportPage(**{**given, **changes})  # type: ignore[arg-type]
    for fate in fates:
        page.add(fate)
    return page


def errored(number: str = "9195550101", reason: str = "third party owned") -> NumberFate:
    return NumberFate(number, Action.IMPORT, Fate.ERRORED, "25060", reason, "order-1")


def imported(number: str) -> NumberFate:
    return NumberFate(number, Action.IMPORT, Fate.IMPORTED, order_id="order-1")


def test_says_what_happened_which_numbers_what_to_do_and_who_approved() -> None:
    page = make_page(errored(), imported("9195550102"), facts={"Approved by": "ada, 02:10"})
    text = Reader(page.render()).text
    assert "2 numbers need attention." in text
    assert "9195550101" in text
    assert "third party owned" in text
    assert "the number is Bandwidth's own" in text  # the advice of 25060
    assert "Approved by" in text
    assert "ada, 02:10" in text


def test_numbers_that_are_fine_are_counted_and_not_listed() -> None:
    page = make_page(imported("9195550102"), NumberFate("9195550103", Action.REMOVE, Fate.REMOVED))
    text = Reader(page.render()).text
    assert "9195550102" not in text
    assert "9195550103" not in text
    assert "Desired numbers: 1" in text
    assert "Numbers to remove: 1" in text


def test_every_fate_has_a_meaning_and_a_colour() -> None:
    page = make_page(*(NumberFate("9195550101", Action.IMPORT, fate) for fate in Fate))
    html = page.render()
    for fate in Fate:
        assert f".f-{fate}{{" in html
        row = html.split(f'<i class="dot f-{fate}"></i>')[1].split("<tr>")[0]
        assert row.rpartition("<td>")[2].strip(), fate


def test_hostile_texts_stay_texts() -> None:
    page = make_page(
        NumberFate(HOSTILE, HOSTILE, Fate.REJECTED, HOSTILE, HOSTILE, HOSTILE),
        verdict=HOSTILE,
        place=HOSTILE,
        planned_at=HOSTILE,
        facts={HOSTILE: HOSTILE},
        findings=[HOSTILE],
        orders=[PageOrder(HOSTILE, HOSTILE, HOSTILE, 1, 0, f"https://dashboard.example/{HOSTILE}")],
        earlier=[NightFigures(" " + HOSTILE, HOSTILE, 1, 2, 3)],
    )
    read = Reader(page.render())
    assert [attributes["type"] for attributes in read.all("script")] == ["application/json"]
    assert read.all("img") == []
    assert not [name for _, attributes in read.tags for name in attributes if name.startswith("on")]
    assert HOSTILE in read.text


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", " JaVaScRiPt:alert(1)", "", "//x", "\x01https:x"]
)
def test_only_web_addresses_become_links(url: str) -> None:
    page = make_page(orders=[PageOrder("order-1", "IMPORT", "COMPLETE", 1, 1, url)])
    read = Reader(page.render())
    assert read.all("a") == []
    assert "order-1" in read.text


def test_an_order_links_to_its_page() -> None:
    page = make_page(orders=[PageOrder("order-1", "IMPORT", "COMPLETE", 1, 1, "https://dashboard.example/o?a=1&b=2")])
    assert [link["href"] for link in Reader(page.render()).all("a")] == ["https://dashboard.example/o?a=1&b=2"]


def test_needs_nothing_from_outside() -> None:
    html = make_page(errored()).render()
    read = Reader(html)
    assert [each for name in ("link", "iframe", "object", "form") for each in read.all(name)] == []
    assert not [attributes for _, attributes in read.tags if "src" in attributes]
    assert "url(" not in html
    assert "@import" not in html


def test_a_night_without_findings_orders_or_errors_has_no_empty_sections() -> None:
    text = Reader(make_page(imported("9195550101")).render()).text
    for title in ("What made the plan unsafe", "Orders", "Numbers that are not fine", "What to do", "nights"):
        assert title not in text


def test_lists_so_many_numbers_and_says_that_there_are_more() -> None:
    page = make_page()
    for index in range(MAX_LISTED_NUMBERS + 2):
        page.add(errored(f"{9195550000 + index}"))
    text = Reader(page.render()).text
    assert f"Numbers that are not fine: {MAX_LISTED_NUMBERS + 2:,}" in text
    assert f"The first {MAX_LISTED_NUMBERS:,} are listed." in text


def test_figures_survive_the_page() -> None:
    page = make_page(errored(), imported("9195550102"), NumberFate("9195550103", Action.REMOVE, Fate.REMOVED))
    assert read_figures(page.render()) == NightFigures("2026-11-26T02:00:10+00:00", PLACE, 1, 1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>another page</html>",
        '<script type="application/json" id="bandwidth-figures">{]</script>',
        '<script type="application/json" id="bandwidth-figures">[1]</script>',
        '<script type="application/json" id="bandwidth-figures">{"planned_at": "x"}</script>',
    ],
)
def test_other_pages_have_no_figures(text: str) -> None:
    assert read_figures(text) is None


def test_compares_with_earlier_nights_of_the_same_place_only() -> None:
    page = make_page(
        imported("9195550102"),
        earlier=[
            NightFigures("2026-11-25T02:00:00+00:00", PLACE, 111, 0, 0),
            NightFigures("2026-11-24T02:00:00+00:00", "another SIP peer", 222, 0, 0),
            NightFigures("2026-11-27T02:00:00+00:00", PLACE, 333, 0, 0),
        ],
    )
    read = Reader(page.render())
    assert "The last 2 nights" in read.text
    assert "111" in read.text
    assert "222" not in read.text
    assert "333" not in read.text
    assert len(read.all("rect")) == 6


def test_bars_of_the_nights_stand_side_by_side_in_the_picture() -> None:
    earlier = [NightFigures(f"2026-11-{day}T02:00:00+00:00", PLACE, 100, 50, 0) for day in (23, 24, 25)]
    read = Reader(make_page(imported("9195550102"), earlier=earlier).render())
    (picture,) = read.all("svg")
    _, _, width, height = map(float, str(picture["viewbox"]).split())
    bars = [{name: float(bar[name] or 0) for name in ("x", "y", "width", "height")} for bar in read.all("rect")]
    assert len(bars) == 4 * 3
    for bar, after in itertools.pairwise(bars):
        assert bar["x"] + bar["width"] <= after["x"] + 0.1
    assert width / 2 < bars[-1]["x"] + bars[-1]["width"] <= width
    assert all(bar["y"] >= 0 and bar["y"] + bar["height"] <= height for bar in bars)
    assert [bar["height"] / bars[0]["height"] for bar in bars[:3]] == [1, 0.5, 0]


@pytest.mark.parametrize(("count", "named"), [(2, 2), (8, 8), (9, 5), (15, 8), (30, 8)])
def test_so_many_nights_have_their_date_below_that_no_two_meet(count: int, named: int) -> None:
    earlier = [NightFigures(f"2026-10-{day:02}T02:00:00+00:00", PLACE, 1, 0, 0) for day in range(1, count)]
    assert len(Reader(make_page(earlier=earlier).render()).all("text")) == named


def test_a_time_is_shown_as_people_write_it() -> None:
    assert "2026-11-26 02:00:10 UTC" in Reader(make_page().render()).text


def test_shows_thirty_nights_at_most() -> None:
    nights = [NightFigures(f"2026-10-{day:02}T02:00:00+00:00", PLACE, day, 0, 0) for day in range(1, 32)]
    assert "The last 30 nights" in Reader(make_page(earlier=nights).render()).text


def test_lists_as_many_rows_as_fit_where_room_is_short() -> None:
    orders = [PageOrder(f"order-{index}", "IMPORT", "COMPLETE", 1, 1) for index in range(2000)]
    page = make_page(*(errored(f"{9195550000 + index}") for index in range(2000)), orders=orders)
    small = page.render(max_bytes=48_000)
    assert len(small.encode()) <= 48_000
    assert "Orders: 2,000" in small
    assert "Numbers that are not fine: 2,000" in small
    assert "9195550000" in small
    assert "9195551999" not in small
    assert "9195551999" in page.render()


@pytest.mark.parametrize("fate", [Fate.PLANNED, Fate.NOT_APPROVED])
def test_first_numbers_of_a_plan_that_was_not_sent_are_there_to_decide_by(fate: Fate) -> None:
    page = make_page(
        *(NumberFate(f"{9195550100 + index}", Action.IMPORT, fate, reason=HOSTILE) for index in range(12)),
        NumberFate("9845550100", Action.REMOVE, fate, reason=HOSTILE),
    )
    text = Reader(page.render()).text
    assert "Would be imported: 12" in text
    assert "9195550109, and 2 more" in text
    assert "9195550110" not in text
    assert "Would be removed: 1" in text
    assert ("What to do" in text) is (fate is Fate.NOT_APPROVED)


def test_what_is_only_planned_asks_for_nothing() -> None:
    page = make_page(errored(), NumberFate("9195550102", Action.IMPORT, Fate.PLANNED))

    advice = page.render().split("What to do", 1)[1]
    assert "25060" in advice
    assert "planned (import)" not in advice.split("</table>", 1)[0]
