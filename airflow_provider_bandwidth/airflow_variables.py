"""Airflow's Variables as a place to remember things in, on every line and in every process of Airflow."""

from __future__ import annotations

from typing import Final

from airflow.providers.common.compat.sdk import Variable

#: In place of Variables where no Airflow runs the code: a script, say, that calls ``execute`` itself.
_WITHOUT_AIRFLOW: Final[dict[str, str]] = {}


def write_variable(key: str, text: str) -> None:
    """Set a Variable."""
    try:
        Variable.set(key, text)
    except ImportError:  # so Airflow 3 says that it does not run this task
        _WITHOUT_AIRFLOW[key] = text


def is_without_airflow(key: str) -> bool:
    """Whether the Variable was set where no Airflow runs the code."""
    return key in _WITHOUT_AIRFLOW


def read_variable(key: str) -> str | None:
    """The text of a Variable; ``None`` if there is none."""
    # The two lines of Airflow name the default differently.
    try:
        value = Variable.get(key, None)
    except KeyError:
        value = None
    return _WITHOUT_AIRFLOW.get(key) if value is None else str(value)
