"""A PostgreSQL server of a test's own, from Debian's packages."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import debian

PASSWORD = "postgres-of-a-test"


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return found[-1].parent if found else None


def _installed_programs() -> Path:
    programs = _programs()
    if programs is None:
        debian.install("postgresql")
        programs = _programs()
    assert programs is not None
    return programs


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def running_postgres() -> Iterator[str]:
    """Start a server on a free loopback port; stop and forget it at the end.

    :return: URI of its database, for Airflow's connection and psycopg alike
    """
    programs = _installed_programs()
    # PostgreSQL refuses to run as root, and its user must be able to reach the folder.
    folder = Path(tempfile.mkdtemp(prefix="bandwidth-postgres-"))
    user: str | None = None
    if os.geteuid() == 0:
        user = "postgres"
        shutil.chown(folder, user)
    home = folder if user is None else Path(pwd.getpwnam(user).pw_dir)

    def run(*command: object) -> None:
        subprocess.run([str(word) for word in command], check=True, user=user, cwd=home, stdout=subprocess.DEVNULL)

    port = _free_port()
    password_file = folder / "password"
    password_file.write_text(PASSWORD)
    if user is not None:
        shutil.chown(password_file, user)
    data = folder / "data"
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    try:
        run(
            programs / "initdb", "-D", data, "-U", "crm", "-A", "scram-sha-256", "-E", "UTF8", "--no-sync",
            f"--pwfile={password_file}",
        )  # fmt: skip
        run(programs / "pg_ctl", "-D", data, "-w", "-o", options, "-l", folder / "log", "start")
        try:
            yield f"postgresql://crm:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            run(programs / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
