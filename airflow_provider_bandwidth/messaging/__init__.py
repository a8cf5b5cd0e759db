"""Text messages: what is asked for, what became of them, callbacks, segments. Pure: no I/O, no Airflow."""
