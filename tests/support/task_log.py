"""What a task logs, on Airflow 2.11 and 3.x."""

from __future__ import annotations

import pytest


class TaskLog:
    """What was logged or printed since the test began."""

    def __init__(self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
        self._caplog = caplog
        self._capfd = capfd
        self._printed = ""

    @property
    def text(self) -> str:
        self._printed += "".join(self._capfd.readouterr())
        return self._caplog.text + self._printed
