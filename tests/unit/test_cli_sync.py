"""What the command line says of a SIP peer's numbers, and of what a sync would do, against the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bandwidth.cli import main
from airflow_provider_bandwidth.number_sync.handover import Handover
from airflow_provider_bandwidth.operators.number_sync import BandwidthNumberSyncPlanOperator
from airflow_provider_bandwidth.sandbox import Sandbox

NUMBERS = [f"919666{last:04d}" for last in range(20)]


@pytest.fixture
def peer(sandbox: Sandbox, connect: Callable[..., None]) -> Sandbox:
    connect(sandbox.connection)
    sandbox.seed(imported=NUMBERS)
    return sandbox


@pytest.fixture
def extract(tmp_path: Path) -> Callable[..., str]:
    def write(*values: str) -> str:
        path = tmp_path / "numbers.csv"
        path.write_text("\n".join(["Phone", *values, ""]))
        return str(path)

    return write


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    capfd.readouterr()
    code: Any = 0
    try:
        main(arguments)
    except SystemExit as ended:
        code = ended.code
    out, err = capfd.readouterr()
    return code, out, err


class TestNumbers:
    @pytest.mark.parametrize(
        ("output", "read"), [("json", json.loads), ("csv", lambda text: text.split()[1:]), ("table", str.split)]
    )
    def test_imported_numbers_are_listed(
        self, peer: Sandbox, capfd: pytest.CaptureFixture[str], output: str, read: Callable[[str], list[str]]
    ) -> None:
        peer.seed(owned=["9195550199"])
        code, out, _ = run(capfd, "numbers", "-o", output)
        assert code == 0
        assert [each for each in read(out) if each != "telephone_number"] == NUMBERS

    @pytest.mark.parametrize(("output", "out"), [("json", "[]\n"), ("csv", "telephone_number\n")])
    def test_empty_peer(
        self, sandbox: Sandbox, connect: Callable[..., None], capfd: pytest.CaptureFixture[str], output: str, out: str
    ) -> None:
        connect(sandbox.connection)
        assert run(capfd, "numbers", "-o", output) == (3, out, "No number was imported to this SIP peer.\n")

    def test_site_and_peer_can_be_given(self, peer: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
        _, site_id, sip_peer_id = peer.default_location
        here = ("--site-id", str(site_id), "--sip-peer-id", str(sip_peer_id))
        assert run(capfd, "numbers", *here)[0] == 0
        code, _, err = run(capfd, "numbers", "--site-id", "x")
        assert (code, "SiteId" in err) == (2, True)

    def test_numbers_are_printed_while_pages_come(self, peer: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
        """What came before a page failed is there, and the exit code says that it is not all."""
        peer.seed(imported=[f"984{exchange}{last:04d}" for exchange in (555, 556) for last in range(3000)])
        peer.inject("status", status=403, operation="peer-numbers", after=1)
        code, out, err = run(capfd, "numbers")
        assert (code, len(out.split())) == (1, 5001)
        assert "403" in err


class TestPlan:
    def test_plan_says_what_the_night_would_do_and_sends_nothing(
        self, peer: Sandbox, extract: Callable[..., str], capfd: pytest.CaptureFixture[str]
    ) -> None:
        path = extract(*NUMBERS[1:], "9195550101", "919-555")
        code, out, err = run(
            capfd, "plan", "--extract", path, "--column", "phone", "--remove-missing", "--max-unreadable", "1"
        )
        assert (code, err) == (0, "")
        assert "DRY RUN, nothing was sent: number sync of account" in out
        assert "A real run would send 2 orders, and succeed unless one of them errors (max_errors=0)." in out
        for words in ("9195550101", NUMBERS[0], "'919-555'"):
            assert words in out
        assert {record.method for record in peer.requests if record.operation != "token"} == {"GET"}
        assert peer.orders == []

    def test_unsafe_plan_is_told_with_all_the_rest(
        self, peer: Sandbox, extract: Callable[..., str], capfd: pytest.CaptureFixture[str]
    ) -> None:
        arguments = ("plan", "--extract", extract(*NUMBERS[10:]), "--column", "Phone", "--remove-missing")
        code, out, _ = run(capfd, *arguments)
        assert code == 1
        assert "A real run would stop: 10 % of 20 = 2 removals allowed; 10 planned" in out
        code, out, _ = run(capfd, *arguments, "-o", "json")
        found = json.loads(out)
        assert (code, found["removal_planned"], found["unchanged"], found["current"]) == (1, 10, 10, 20)
        assert len(found["unsafe"]) == 1
        assert run(capfd, *arguments, "--max-removals", "0.5")[0] == 0
        assert run(capfd, *arguments, "--max-removals", "10")[0] == 0
        assert run(capfd, *arguments, "--max-removals", "9")[0] == 1

    def test_it_plans_as_the_operator_does(
        self, peer: Sandbox, extract: Callable[..., str], capfd: pytest.CaptureFixture[str]
    ) -> None:
        path = extract(*NUMBERS[15:], "x", "9195550101")
        peer.add_order(NUMBERS[:1], action="REMOVE", status="PROCESSING")
        operator = BandwidthNumberSyncPlanOperator(
            task_id="plan",
            extract_path=path,
            column="Phone",
            remove_missing=True,
            excluded_telephone_numbers=NUMBERS[1],
            dry_run=True,
        )

        class Quiet:
            dag_id, run_id = "dag", "run"

            def xcom_push(self, key: str, value: Any) -> None: ...

        theirs = Handover.from_dict(operator.execute({"ti": Quiet()}))  # type: ignore[typeddict-item]
        arguments = ("plan", "--extract", path, "--column", "Phone", "--remove-missing", "--exclude", NUMBERS[1])
        code, out, _ = run(capfd, *arguments, "-o", "json")
        found = json.loads(out)
        assert code == 1
        assert found["unsafe"] == list(theirs.findings)
        assert found["orders"] == theirs.order_count
        assert (found["rejected"], found["unchanged"]) == (theirs.counts["rejected"], theirs.counts["unchanged"])

    def test_errors_that_a_run_would_not_tolerate_are_told(
        self, peer: Sandbox, extract: Callable[..., str], capfd: pytest.CaptureFixture[str]
    ) -> None:
        refused = "9195550001"
        peer.finish(peer.add_order([refused], status="RECEIVED").order_id)
        arguments = ("plan", "--extract", extract(*NUMBERS, refused), "--column", "Phone")
        code, out, _ = run(capfd, *arguments)
        assert (code, "It would fail: 1 of 21 errored (25060 x 1)" in out) == (1, True), out
        assert run(capfd, *arguments, "--max-errors", "1")[0] == 0

    def test_page_is_written_and_never_over_another(
        self, peer: Sandbox, extract: Callable[..., str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        html = tmp_path / "tonight.html"
        arguments = ("plan", "--extract", extract(*NUMBERS, "<b>1"), "--column", "Phone", "--html", str(html))
        for path in (html, tmp_path / "tonight-2.html"):
            code, _, err = run(capfd, *arguments)
            assert (code, err) == (0, f"The page is {path}.\n")
            page = path.read_text()
            assert "A dry run, nothing was sent. A real run would send 0 orders." in page
            assert "&lt;b&gt;1" in page
            assert "airflow bandwidth plan" in page

    def test_paths_may_be_relative(
        self,
        peer: Sandbox,
        extract: Callable[..., str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        """Airflow 2.11 does not look for them in the working directory."""
        name = Path(extract(*NUMBERS)).name
        monkeypatch.chdir(tmp_path)
        assert run(capfd, "plan", "--extract", name, "--column", "Phone", "--html", "x.html")[0] == 0
        assert (tmp_path / "x.html").exists()

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("--column", "Mobile"), "has no column 'Mobile'"),
            (("--extract", "/nowhere/x.csv"), "/nowhere/x.csv cannot be read"),
            (("--max-removals", "1.5"), "max_removals"),
            (("--max-removals", "many"), "--max-removals"),
            (("--chunk-size", "0"), "--chunk-size: expected 1 to 5000"),
            (("--exclude", "12"), "'12'"),
            (("--site-id", "x"), "SiteId"),
        ],
    )
    def test_bad_input_is_named(
        self,
        peer: Sandbox,
        extract: Callable[..., str],
        capfd: pytest.CaptureFixture[str],
        arguments: tuple[str, ...],
        said: str,
    ) -> None:
        code, out, err = run(capfd, "plan", "--extract", extract(*NUMBERS), "--column", "Phone", *arguments)
        assert (code, out, said in err) == (2, "", True), err
        assert "Traceback" not in err

    def test_peer_is_needed(
        self,
        peer: Sandbox,
        connect: Callable[..., None],
        extract: Callable[..., str],
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        connect(peer.connection, extra={"sip_peer_id": None})
        code, _, err = run(capfd, "plan", "--extract", extract(*NUMBERS), "--column", "Phone")
        assert (code, "--sip-peer-id" in err) == (2, True)

    def test_warnings_are_shown(
        self, sandbox: Sandbox, connect: Callable[..., None], extract: Callable[..., str], capfd: Any
    ) -> None:
        connect(sandbox.connection)
        sandbox.seed(owned=NUMBERS)
        code, _, err = run(capfd, "plan", "--extract", extract("9195550101"), "--column", "Phone")
        assert (code, "has the attribute External or Imported" in err) == (0, True)
