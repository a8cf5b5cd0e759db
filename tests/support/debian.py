"""Programs from Debian's packages, installed where a test needs them and may."""

from __future__ import annotations

import os
import subprocess


def install(*packages: str) -> None:
    """Install with ``apt-get``.

    :raises RuntimeError: this is not root, who alone may
    """
    if os.geteuid() != 0:
        raise RuntimeError(f"Install Debian's packages {', '.join(packages)}, or run this as root.")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        subprocess.run(["apt-get", "-q", *command], check=True, env=environment)
