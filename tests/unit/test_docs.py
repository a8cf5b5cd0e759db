"""The documents keep what they promise: links lead somewhere, code runs, tables say what the code says."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.docs_tables import PARAMETER_TABLES, fill_in, make_table

from airflow_provider_bandwidth.get_provider_info import get_provider_info

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
API_REFERENCE = DOCS / "development" / "bandwidth-api.md"
README = ROOT / "README.md"
PAGES = [README, *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")), *DOCS.rglob("*.md")]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Inline links, and definitions on a line of their own.
LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$", re.MULTILINE)

#: ``[oas1]`` or ``[oas1 24107]``: a source in the API reference. Never after a letter, as in ``pip install x[s3fs]``.
SOURCE_KEY = re.compile(r"(?<![\w\]])\[([a-z][a-z]+[0-9]{0,2})(?: [^\]\n]*)?\](?!\()")
#: Sections of Airflow's configuration, which are written the same way.
AIRFLOW_SECTIONS = {"api", "core", "dag_processor", "operators", "scheduler", "secrets", "triggerer", "workers"}


def code_files() -> Iterator[Path]:
    for folder in ("airflow_provider_bandwidth", "example_dags", "tests"):
        yield from sorted((ROOT / folder).rglob("*.py"))


@cache
def prose(path: Path) -> str:
    """Comments and docstrings of a Python file."""
    source = path.read_text(encoding="utf-8")
    texts = [
        node.value.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    return "\n".join([*re.findall(r"(?:^| )(#.*)$", source, re.MULTILINE), *texts])


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


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text_of(path: Path) -> str:
    """A page without its code blocks."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """What a link into a page can name: its headings as GitHub spells them, and its own anchors."""
    text = text_of(path)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    spelt = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return spelt | set(re.findall(r'<a id="(\w+)">', text))


def links(path: Path) -> Iterator[str]:
    for inline, defined in LINK.findall(re.sub(r"`[^`\n]*`", "", text_of(path))):
        yield inline or defined


def python_blocks() -> Iterator[Any]:
    for path in PAGES:
        blocks = [code for language, code in FENCE.findall(path.read_text(encoding="utf-8")) if language == "python"]
        for number, code in enumerate(blocks, 1):
            yield pytest.param(code, id=f"{named(path)}-{number}")


class TestLinks:
    @pytest.mark.parametrize("page", PAGES, ids=named)
    def test_every_link_into_the_repository_leads_somewhere(self, page: Path) -> None:
        lost = set()
        for link in links(page):
            inside = re.sub(rf"^{re.escape(repository())}/(blob|raw)/main/", f"{ROOT}/", raw_as_blob(link))
            target, _, anchor = inside.partition("#")
            if "://" in target or target.startswith("mailto:"):
                continue
            path = page if not target else (page.parent / target).resolve()
            if not path.exists() or (anchor and anchor not in anchors(path)):
                lost.add(link)
        assert lost == set()

    def test_the_readme_works_on_pypi(self) -> None:
        assert [link for link in links(README) if "://" not in link] == []

    def test_the_repository_has_one_address(self) -> None:
        addresses = {
            address
            for page in PAGES
            for link in links(page)
            for address in re.findall(r"^https://github\.com/[^/]+/airflow-provider-bandwidth", raw_as_blob(link))
        }
        assert addresses == {repository()}


def raw_as_blob(link: str) -> str:
    return re.sub(
        r"^https://raw\.githubusercontent\.com/([^/]+/[^/]+)/main/", r"https://github.com/\1/blob/main/", link
    )


def repository() -> str:
    """The repository's address, as the package's metadata have it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["urls"]["Source"])


class TestReadme:
    def test_it_can_be_read(self) -> None:
        assert len(README.read_text(encoding="utf-8").splitlines()) <= 150

    def test_it_names_every_page_for_users(self) -> None:
        linked = {raw_as_blob(link).rpartition("/")[2] for link in links(README)}
        assert {page.name for page in DOCS.glob("*.md")} <= linked


class TestCode:
    @pytest.mark.parametrize("code", list(python_blocks()))
    def test_every_block_can_be_copied(self, code: str, tmp_path: Path) -> None:
        names = {
            node.name
            for node in ast.parse(code).body
            if isinstance(node, ast.FunctionDef) and any("dag" in ast.unparse(mark) for mark in node.decorator_list)
        }
        if not names:
            imports = [node for node in ast.parse(code).body if isinstance(node, ast.Import | ast.ImportFrom)]
            exec(compile(ast.Module(imports, []), "documents", "exec"), {})
            return
        (tmp_path / "from_the_documents.py").write_text(code, encoding="utf-8")
        bag = load_dags(tmp_path)
        assert bag.import_errors == {}
        assert set(bag.dags) == names


def load_dags(folder: Path) -> Any:
    """Load DAG files as Airflow's DAG processor does."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # before Airflow 3.2
        from airflow.models.dagbag import DagBag
    taken = inspect.signature(DagBag).parameters
    options = {"include_examples": False, "safe_mode": False, "bundle_path": folder, "bundle_name": "documents"}
    return DagBag(str(folder), **{name: value for name, value in options.items() if name in taken})


class TestTables:
    @pytest.mark.parametrize("page", PAGES, ids=named)
    def test_what_is_made_from_code_is_up_to_date(self, page: Path) -> None:
        text = page.read_text(encoding="utf-8")
        assert text == fill_in(text), "run: make docs"

    @pytest.mark.parametrize("name", PARAMETER_TABLES)
    def test_every_parameter_is_on_a_page(self, name: str) -> None:
        called = getattr(importlib.import_module(f"airflow_provider_bandwidth.{PARAMETER_TABLES[name]}"), name)
        function = called.__init__ if isinstance(called, type) else called
        given = {
            parameter.name
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind is not parameter.VAR_KEYWORD and parameter.name != "self"
        }
        table = make_table(name)
        assert any(table in page.read_text(encoding="utf-8") for page in DOCS.glob("*.md"))
        assert {parameter for parameter in given if f"`{parameter}`" not in table} == set()

    def test_every_public_class_has_its_table(self) -> None:
        info = get_provider_info()
        modules = {
            module
            for kind in ("hooks", "operators", "sensors", "triggers")
            for entry in info[kind]
            for module in entry["python-modules"]
        }
        classes = {
            name
            for module in modules
            for name, found in vars(importlib.import_module(module)).items()
            if isinstance(found, type) and name.startswith("Bandwidth") and not issubclass(found, Exception)
        }
        assert classes <= set(PARAMETER_TABLES) | {"BandwidthOrderLink"}
