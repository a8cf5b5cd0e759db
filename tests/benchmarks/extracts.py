"""Time and memory of reading an extract: ``python tests/benchmarks/extracts.py``.

A million rows of four columns as CSV, JSON lines, Parquet and in PostgreSQL, each read to its end in a process of its
own. "More" is what the reading adds to the memory of a process that has everything imported; it is flat if it stays
below the bar. Beside it stands what the format's own reader takes to give the same column: ``csv.reader``,
``json.loads`` line by line, ``pyarrow``'s batches, and a server-side cursor.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

ROWS = 1_000_000
BAR_MIB = 100
SQL = "SELECT id, name, telephone, city FROM contacts"


def rows() -> Iterator[dict[str, Any]]:
    areas = itertools.cycle((919, 984, 336, 704, 828))
    for row, area in zip(range(ROWS), areas, strict=False):
        telephone = f"+1 ({area}) {200 + row % 700}-{row // 100:04d}"
        yield {"id": row, "name": f"Doe, Jane {row}", "telephone": telephone, "city": "Durham"}


def make_csv(path: Path) -> None:
    with path.open("w", newline="") as text:
        writer = csv.DictWriter(text, ("id", "name", "telephone", "city"))
        writer.writeheader()
        writer.writerows(rows())


def make_json_lines(path: Path) -> None:
    with path.open("w") as text:
        text.writelines(json.dumps(row) + "\n" for row in rows())


def make_parquet(path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    # In pieces: a child process begins with the peak of its parent.
    left = rows()
    first = pa.Table.from_pylist(list(itertools.islice(left, 50_000)))
    with parquet.ParquetWriter(path, first.schema) as writer:
        writer.write_table(first)
        while piece := list(itertools.islice(left, 50_000)):
            writer.write_table(pa.Table.from_pylist(piece))


def make_table(uri: str) -> None:
    import psycopg2

    with psycopg2.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE contacts AS SELECT n AS id, 'Doe, Jane ' || n AS name, 'Durham' AS city, "
            "'+1 (919) ' || (200 + n % 700) || '-' || lpad((n / 100)::text, 4, '0') AS telephone "
            f"FROM generate_series(0, {ROWS - 1}) n"
        )


def bare_csv(path: str) -> Iterable[Any]:
    with Path(path).open(newline="") as text:
        yield from (row[2] for row in itertools.islice(csv.reader(text), 1, None))


def bare_json_lines(path: str) -> Iterable[Any]:
    with Path(path).open() as text:
        yield from (json.loads(line)["telephone"] for line in text)


def bare_parquet(path: str) -> Iterable[Any]:
    from pyarrow import parquet

    for batch in parquet.ParquetFile(path).iter_batches(columns=["telephone"]):
        yield from batch.column(0).to_pylist()


def bare_sql(uri: str) -> Iterable[Any]:
    import psycopg2

    with psycopg2.connect(uri) as connection, connection.cursor(name="bare") as cursor:
        cursor.execute(SQL)
        while found := cursor.fetchmany(10_000):
            yield from (row[2] for row in found)


BARE: dict[str, Callable[[str], Iterable[Any]]] = {
    "csv": bare_csv,
    "jsonl": bare_json_lines,
    "parquet": bare_parquet,
    "sql": bare_sql,
}


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def measure(kind: str, where: str) -> dict[str, float]:
    import psycopg2  # noqa: F401
    from airflow.providers.postgres.hooks import postgres  # noqa: F401
    from pyarrow import parquet  # noqa: F401

    from airflow_provider_bandwidth.hooks.extract import read_sql_column, read_telephone_number_column
    from airflow_provider_bandwidth.telephone_numbers import read_telephone_numbers

    read_telephone_numbers("+1 (919) 555-0101")
    before = peak_mib()
    start = time.process_time()
    if kind == "sql":
        values = read_sql_column("crm_database", SQL, "telephone")
    else:
        values = read_telephone_number_column(where, "telephone")
    count = sum(1 for _ in values)
    seconds, peak = time.process_time() - start, peak_mib()
    assert count == ROWS, count
    start = time.process_time()
    assert sum(1 for _ in BARE[kind](where)) == ROWS
    return {"seconds": seconds, "bare": time.process_time() - start, "peak": peak, "more": peak - before}


def main() -> None:
    from support.postgres import running_postgres

    print(f"{ROWS:,} rows    CPU time      bare     peak      more")
    with tempfile.TemporaryDirectory() as folder, running_postgres() as uri:
        os.environ["AIRFLOW_CONN_CRM_DATABASE"] = uri
        makers: dict[str, Callable[[Path], None]] = {
            "csv": make_csv,
            "jsonl": make_json_lines,
            "parquet": make_parquet,
            "sql": lambda _: make_table(uri),
        }
        for kind, make in makers.items():
            path = Path(folder, f"contacts.{kind}")
            make(path)
            command = [sys.executable, __file__, kind, uri if kind == "sql" else str(path)]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found = json.loads(output.splitlines()[-1])
            verdict = "flat" if found["more"] < BAR_MIB else f"BEYOND the bar of {BAR_MIB} MiB"
            print(
                f"{kind:>14}{found['seconds']:>8.2f} s{found['bare']:>8.2f} s{found['peak']:>5.0f} MiB"
                f"{found['more']:>6.0f} MiB  {verdict}"
            )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1], sys.argv[2])))
    else:
        main()
