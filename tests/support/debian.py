"""Programs from Debian's packages, installed where a test needs them and may."""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
from pathlib import Path


def install(*packages: str) -> None:
    """Install with ``apt-get``; two programs that do so at once take turns.

    :raises RuntimeError: this is not root, who alone may
    """
    if os.geteuid() != 0:
        raise RuntimeError(f"Install Debian's packages {', '.join(packages)}, or run this as root.")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with Path(tempfile.gettempdir(), "bandwidth-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            subprocess.run(["apt-get", "-q", *command], check=True, env=environment)
