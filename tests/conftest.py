"""Airflow's settings for every test, made before its first import: a home of its own, removed at the end."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

# Modules and tests stay to the end: the garbage collector would go through them again and again while they come.
gc.disable()

ROOT = Path(__file__).parent.parent

#: What Airflow may take for DAGs. Linked into one folder, since Airflow runs only DAGs that lie below its DAGs folder.
DAG_FOLDERS = {"examples": ROOT / "example_dags", "integration": ROOT / "tests" / "integration" / "dags"}

_home = tempfile.mkdtemp(prefix="bandwidth-airflow-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
_dags = Path(_home, "dags")
_dags.mkdir()
for name, folder in DAG_FOLDERS.items():
    (_dags / name).symlink_to(folder)
os.environ.update(
    AIRFLOW_HOME=_home,
    AIRFLOW__CORE__DAGS_FOLDER=str(_dags),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__LOGGING__LOGGING_LEVEL="INFO",
    AIRFLOW__OPENLINEAGE__DISABLED="True",
)
for name in [name for name in os.environ if name.startswith("AIRFLOW_CONN_")]:
    del os.environ[name]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """From the first test on, garbage is collected among what the tests make."""
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_make_parametrize_id(val: object) -> str | None:
    """A long text is named by its beginning: pytest-xdist sends names to and fro, and one would have ten megabytes."""
    return f"{val[:40]!a}..." if isinstance(val, str | bytes) and len(val) > 200 else None


#: Where Airflow has its masker of secrets, from 2.11 to 3.3; some lines have one for the server and one for tasks.
_MASKERS = (
    "airflow.utils.log.secrets_masker",
    "airflow.sdk.execution_time.secrets_masker",
    "airflow._shared.secrets_masker.secrets_masker",
    "airflow.sdk._shared.secrets_masker.secrets_masker",
)


@pytest.fixture(autouse=True)
def _forget_secrets() -> Iterator[None]:
    """A test's secrets are masked to its end only.

    Airflow compiles one pattern of all secrets whenever there is a new one: with the tokens of all tests before, each
    token would take a tenth of a second.
    """
    modules = [vars(sys.modules[name]) for name in _MASKERS if name in sys.modules]
    maskers = [module["_secrets_masker"]() for module in modules if "_secrets_masker" in module]
    before = [(masker, set(masker.patterns), masker.replacer) for masker in maskers]
    yield
    for masker, patterns, replacer in before:
        masker.patterns, masker.replacer = patterns, replacer
