"""``python -m airflow_provider_bandwidth``: the commands of ``airflow bandwidth`` on every line of Airflow."""

from __future__ import annotations

from airflow_provider_bandwidth.cli import main

if __name__ == "__main__":
    main()
