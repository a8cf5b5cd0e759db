"""What Airflow 2.11's own loop asks its database for when a sensor is rescheduled."""

from __future__ import annotations

import airflow
import pytest


@pytest.fixture(scope="session", autouse=True)
def reschedule_table() -> None:
    """Airflow 3 asks the task instance instead."""
    if not airflow.__version__.startswith("2."):
        return
    from airflow.models.taskreschedule import TaskReschedule
    from airflow.settings import engine

    TaskReschedule.__table__.create(bind=engine, checkfirst=True)
