"""Airflow's settings for every test, made before its first import: a home of its own, removed at the end."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

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
