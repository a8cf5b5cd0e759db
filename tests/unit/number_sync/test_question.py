"""What a person reads before deciding on a plan, and what becomes of the decision."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_bandwidth.number_sync.question import Decision, Question, render_question

COUNTS = {
    "current": 1000,
    "desired": 700,
    "to_import": 12,
    "to_remove": 312,
    "unchanged": 688,
    "rejected": 7,
    "unreadable": 2,
}
PLACE = "account 9900123, site 743, SIP peer 505"


def ask(counts: dict[str, int] = COUNTS, **changes: Any) -> Question:
    given: dict[str, Any] = {
        "findings": ["10 % of 1,000 = 100 removals allowed; 312 planned."],
        "to_import": [f"{9195550100 + index}" for index in range(12)],
        "to_remove": ["9195550901", "9195550902"],
        "order_count": 3,
    }
    return render_question(PLACE, counts, **{**given, **changes})


def test_one_line_says_what_is_at_stake() -> None:
    assert ask().subject == f"Import 12 and remove 312 numbers? Number sync of {PLACE}"


def test_shows_figures_in_numbers_and_per_cent() -> None:
    text = ask().body
    assert "| **To remove** | 312 | 31.2 % of current |" in text
    assert "| **To import** | 12 | 1.2 % of current |" in text
    assert "| Desired values | 700 | 70.0 % of current |" in text
    assert "| of these, values that cannot be read | 2 | 0.3 % of desired |" in text


def test_a_first_load_has_no_shares() -> None:
    assert "| **To import** | 12 |  |" in ask({**COUNTS, "current": 0}).body


def test_shows_why_and_the_first_ten_of_each_kind() -> None:
    text = ask(rejected="7 desired values were rejected.").body
    assert "* 10 % of 1,000 = 100 removals allowed; 312 planned." in text
    assert "**First numbers to remove:** 9195550901, 9195550902\n" in text
    assert "9195550109, and 2 more" in text
    assert "9195550110" not in text
    assert "7 desired values were rejected." in text


def test_says_what_happens_on_each_answer() -> None:
    text = ask(timeout=timedelta(hours=20)).body
    assert "**Approve**: the plan is made anew, and at most what stands here is sent, now in 3 orders." in text
    assert "**Reject**: nothing is sent" in text
    assert "No answer within 20 hours counts as a rejection." in text
    assert "No answer" not in ask().body
    assert "within 90 minutes" in ask(timeout=timedelta(minutes=90)).body
    assert "now in 1 order." in ask(order_count=1).body


def test_says_so_where_a_safe_plan_is_asked_about() -> None:
    text = ask(findings=[]).body
    assert "keeps all its limits" in text
    assert "unsafe" not in text


def test_values_of_an_extract_are_no_markup() -> None:
    text = ask(findings=["say '![x](https://evil.example/p.png) | <b>**9**</b>\n# now'"]).body
    assert r"\!\[x\](https:" in text
    assert r"evil.example/p.png) \| \<b\>\*\*9\*\*\</b\> \# now" in text


@pytest.mark.parametrize("value", ["https://evil.example", "HTTP://evil.example", "www.evil.example", "a@evil.example"])
def test_values_of_an_extract_are_no_links(value: str) -> None:
    text = ask(findings=[], rejected=value).body
    assert value not in text
    assert value in text.replace("\u200b", "")


@pytest.mark.parametrize(
    "changes",
    [
        {"changes": "other numbers, beyond the ten that are shown"},
        {"findings": ["another reason"]},
        {"order_count": 4},
    ],
)
def test_whatever_differs_has_another_digest(changes: dict[str, Any]) -> None:
    assert ask(**changes).digest != ask().digest
    assert ask().digest == ask().digest


@pytest.mark.parametrize(
    ("decision", "text", "is_approved"),
    [
        (Decision(), "nobody answered", False),
        (Decision(problem="Airflow broke"), "nobody answered, and Airflow broke", False),
        (Decision("approved", "ada", "T"), "approved by ada at T", True),
        (Decision("approved", "ada", "T", "it has grown"), "approved by ada at T, but it has grown", False),
        (Decision("rejected", "ada", "T"), "rejected by ada at T", False),
    ],
)
def test_decision_says_who_and_when(decision: Decision, text: str, is_approved: bool) -> None:
    assert (str(decision), decision.is_approved) == (text, is_approved)
    assert Decision.from_dict(decision.to_dict()) == decision
