"""From import to text on real Airflow, against the sandbox: the example DAGs, and every way to wait for a text."""

from __future__ import annotations

import pytest
from support.dag_files import DagFileRun, load_dag, run_example

from airflow_provider_bandwidth.messaging.segments import count_segments
from airflow_provider_bandwidth.sandbox import Sandbox

SENDER = "9195550101"


@pytest.fixture(autouse=True)
def _no_earlier_texts(airflow_db: None) -> None:
    """No text of another test counts."""
    from airflow.models import Variable
    from airflow.utils.session import create_session

    with create_session() as session:
        for record in session.query(Variable).filter(Variable.key.like("bandwidth_texts%")):
            session.delete(record)


class TestText:
    def test_a_number_is_imported_assigned_and_texts(self, sandbox: Sandbox) -> None:
        run = run_example("bandwidth_text", telephone_number=SENDER, text="hello")

        assert run.state == "success"
        assert [order.action for order in sandbox.orders] == ["IMPORT", "OPTIONS"]
        (message,) = sandbox.messages
        assert (message["text"], message["from"], message["to"]) == ("hello", f"+1{SENDER}", ["+12125550150"])
        assert run.pull("send") == [message["id"]]
        assert "bandwidth_text.send " in str(message["tag"])
        (summary,) = run.pull("delivered")
        assert (summary["message_id"], summary["outcome"], summary["error_count"]) == (message["id"], "delivered", 0)

    def test_a_campaign_that_is_refused_fails_the_run_before_a_text(self, sandbox: Sandbox) -> None:
        sandbox.configure(options_on_hosted="refused")
        run = run_example("bandwidth_text", telephone_number=SENDER)

        assert (run.state, run.states("assigned"), run.states("send")) == ("failed", ["failed"], ["upstream_failed"])
        assert not sandbox.messages

    def test_a_text_that_fails_says_why(self, sandbox: Sandbox) -> None:
        run = run_example("bandwidth_text", telephone_number=SENDER, to="+12125554775")

        assert (run.state, run.states("delivered")) == ("failed", ["failed"])
        (summary,) = run.pull("delivered")
        assert (summary["outcome"], summary["error_code"]) == ("failed", "4775")
        ((error,),) = run.pull("delivered", "errors")
        assert (error["telephone_number"], error["code"]) == ("+12125554775", "4775")


def test_mapped_texts_that_are_alike_are_each_sent_once_though_an_answer_is_lost(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one in doubt is told from those of its siblings by what these have returned."""
    monkeypatch.setattr("airflow_provider_bandwidth.hooks._sending._PAUSES", (0.1,) * 5)
    sandbox.seed(imported=[SENDER], campaign_id="CABC123")
    sandbox.inject("drop", operation="send-message", when="after", after=2)

    run = DagFileRun(load_dag("text_twins", folder="integration").test())

    assert run.states("send") == ["success"] * 3
    assert set(run.pull("send")) == {message["id"] for message in sandbox.messages}
    assert len(sandbox.messages) == 3


def test_a_failing_dag_texts_the_engineer_on_call(sandbox: Sandbox) -> None:
    sandbox.seed(imported=[SENDER], campaign_id="CABC123")
    run = run_example("bandwidth_text_on_failure")

    assert (run.state, run.states("load")) == ("failed", ["failed"])
    (message,) = sandbox.messages
    text = str(message["text"])
    # The link is longer on Airflow 2.11, and takes the place of the first word.
    assert text.removeprefix("Airflow: ").startswith("bandwidth_text_on_failure.load failed")
    assert "http://" in text
    assert count_segments(text).count == 1
