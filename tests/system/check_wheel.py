"""Look into the built wheel and sdist as a packager would: ``python tests/system/check_wheel.py dist``."""

from __future__ import annotations

import configparser
import email
import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGE = "airflow_provider_bandwidth"


def check_wheel(path: Path) -> list[str]:
    wheel = zipfile.ZipFile(path)
    names = wheel.namelist()
    info = next(name for name in names if name.endswith(".dist-info/METADATA")).rpartition("/")[0]
    metadata = email.message_from_bytes(wheel.read(f"{info}/METADATA"))
    source = {str(file) for file in Path(PACKAGE).rglob("*.py")} | {f"{PACKAGE}/py.typed"}
    entry_points = configparser.ConfigParser()
    entry_points.read_string(wheel.read(f"{info}/entry_points.txt").decode())
    version = next(
        line.split('"')[1] for line in Path(PACKAGE, "__init__.py").read_text().splitlines() if "__version__" in line
    )
    checks = {
        "every module of the package, and py.typed": source <= set(names),
        "nothing but the package and its metadata": all(name.startswith((f"{PACKAGE}/", f"{info}/")) for name in names),
        "no compiled or cached file": not [name for name in names if "__pycache__" in name or name.endswith(".pyc")],
        "the entry point Airflow discovers": dict(entry_points["apache_airflow_provider"])
        == {"provider_info": f"{PACKAGE}.get_provider_info:get_provider_info"},
        "the version of __init__.py": metadata["Version"] == version,
        "the licence": f"{info}/licenses/LICENSE" in names,
        "the extras": sorted(metadata.get_all("Provides-Extra") or []) == ["parquet", "sandbox"],
        "no upper cap on a dependency": not [
            r for r in metadata.get_all("Requires-Dist") or [] if "<" in r.split(";")[0]
        ],
        "the README as description": "bandwidth" in str(metadata.get_payload()).lower(),
    }
    return [what for what, good in checks.items() if not good]


def check_sdist(path: Path) -> list[str]:
    with tarfile.open(path) as sdist:
        tops = {name.split("/")[1] for name in sdist.getnames() if "/" in name}
    wanted = {PACKAGE, "tests", "example_dags", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "Makefile"}
    return [f"{name} in the sdist" for name in sorted(wanted - tops)]


def main(folder: str) -> int:
    (wheel,) = Path(folder).glob("*.whl")
    (sdist,) = Path(folder).glob("*.tar.gz")
    missing = check_wheel(wheel) + check_sdist(sdist)
    for what in missing:
        print(f"MISSING: {what}")
    if not missing:
        print(f"{wheel.name} and {sdist.name} hold what they should.")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
