"""The house rules that no linter knows: sizes, names, and nothing that imports the package root."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
MODULES = sorted(SOURCES + list((ROOT / "tests").rglob("*.py")) + list((ROOT / "examples").rglob("*.py")))
SAYS_NOTHING = {"utils", "helpers", "common", "base", "manager", "misc"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_longer_than_500_lines(path: Path) -> None:
    """Beauty is lost in the tail: a file that grows past 500 lines must be split."""
    assert len(path.read_text().splitlines()) <= 500


def test_every_file_has_a_name_that_says_something() -> None:
    """No module is called utils, helpers, common, base, manager or misc."""
    assert [path for path in MODULES if path.stem in SAYS_NOTHING] == []


def test_nothing_inside_imports_the_package_root() -> None:
    """An inner module that imports the root pulls everything in and makes cycles."""
    offenders = [
        path
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Import) and any(alias.name == "geartrain" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "geartrain" and node.level == 0)
    ]

    assert offenders == []


def test_every_test_says_what_it_promises() -> None:
    """A test without a sentence tells its reader nothing when it fails."""
    silent = [
        f"{path.name}:{node.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]

    assert silent == []


def test_the_lock_file_names_no_index_and_no_host() -> None:
    """Pinned versions install from whatever index the reader's pip knows."""
    lock = (ROOT / "requirements.lock").read_text()

    assert re.findall(r"https?://|--(?:extra-)?index-url|--find-links|file:", lock) == []
    assert lock.count("==") > 50


def test_help_answers_without_importing_the_heavy_libraries() -> None:
    """`geartrain --help` stays fast because it imports no room, no numpy, no web framework."""
    heavy = {
        "numpy",
        "polars",
        "pyarrow",
        "sklearn",
        "lightgbm",
        "onnxruntime",
        "fastapi",
        "sqlalchemy",
        "dbos",
        "rich",
    }
    code = (
        "import sys, geartrain.cli.main as m; m.run(['--help']); print(*sorted(sys.modules), file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "Commands:" in done.stdout
    assert heavy & set(done.stderr.split()) == set()
