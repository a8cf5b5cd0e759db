"""The documents keep what they promise: links lead somewhere, code runs, tables say what the code says."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
API_REFERENCE = DOCS / "development" / "bandwidth-api.md"

#: ``[oas1]`` or ``[oas1 24107]``: a source in the API reference. Never after a letter, as in ``pip install x[s3fs]``.
SOURCE_KEY = re.compile(r"(?<![\w\]])\[([a-z][a-z]+[0-9]{0,2})(?: [^\]\n]*)?\](?!\()")
#: Sections of Airflow's configuration, which are written the same way.
AIRFLOW_SECTIONS = {"api", "core", "dag_processor", "operators", "scheduler", "secrets", "triggerer", "workers"}


def code_files() -> Iterator[Path]:
    for folder in ("airflow_provider_bandwidth", "example_dags", "tests"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def prose(path: Path) -> str:
    """Comments and docstrings of a Python file."""
    source = path.read_text(encoding="utf-8")
    comments = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    texts = [
        node.value.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    return "\n".join([*comments, *texts])


class TestApiReference:
    def test_every_source_key_in_code_is_defined(self) -> None:
        defined = set(re.findall(r'<a id="(\w+)">', API_REFERENCE.read_text(encoding="utf-8")))
        unknown = {
            f"{path.relative_to(ROOT)}: [{key}]"
            for path in code_files()
            for key in SOURCE_KEY.findall(prose(path))
            if key not in defined | AIRFLOW_SECTIONS
        }
        assert unknown == set()

    def test_every_source_key_of_its_own_is_defined_once(self) -> None:
        text = API_REFERENCE.read_text(encoding="utf-8")
        defined = re.findall(r'<a id="(\w+)">', text)
        assert len(defined) == len(set(defined))
        placeholders = {"brackets", "int"}
        assert set(SOURCE_KEY.findall(text)) - set(defined) <= placeholders

    def test_sections_that_code_names_exist(self) -> None:
        sections = set(re.findall(r"^##+ ([0-9.]+[0-9]|[0-9]+)\.? ", API_REFERENCE.read_text(encoding="utf-8"), re.M))
        mention = re.compile(r"API reference,\s+sections? ([0-9.]*[0-9](?:(?:, | and | to )[0-9.]*[0-9])*)")
        for path in code_files():
            for named in mention.findall(prose(path)):
                assert set(re.findall(r"[0-9.]*[0-9]", named)) <= sections, f"{path}: section {named}"
