"""Airflow's Variables without Airflow's database."""

from __future__ import annotations

import pytest

from airflow_provider_bandwidth import airflow_variables
from airflow_provider_bandwidth.operators import _peer_record


class FakeVariables:
    """As much of ``Variable`` as the sync uses."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get(self, key: str, default: str | None) -> str | None:
        return self.values.get(key, default)

    def set(self, key: str, value: str) -> None:
        self.values[key] = value


def replace_variables(monkeypatch: pytest.MonkeyPatch) -> FakeVariables:
    """Keep the records of SIP peers in memory, and do not pause for other plans."""
    variables = FakeVariables()
    monkeypatch.setattr(airflow_variables, "Variable", variables)
    monkeypatch.setattr(_peer_record, "_SETTLED_AFTER_SECONDS", 0)
    return variables
