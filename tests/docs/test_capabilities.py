"""docs/capabilities.md claims only what a test shows: 80 lines, each with a test that is there, or "not yet"."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "capabilities.md").read_text(encoding="utf-8")
LINES = [line for line in PAGE.splitlines() if re.match(r"\| \d+ \|", line)]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def test_there_are_exactly_eighty_in_order():
    """Nothing is left out because it is not there yet."""
    assert [int(line.split("|")[1]) for line in LINES] == list(range(1, 81))


def test_each_has_a_test_or_says_not_yet():
    """A line that names a test does not say "not yet", and the other way round."""
    unclear = [line for line in LINES if bool(TEST.search(line)) == ("not yet" in line.rsplit("|", 2)[1])]

    assert unclear == []


def test_the_named_tests_exist():
    """A test that was renamed takes its claim with it."""
    named = TEST.findall(PAGE)

    assert len(named) >= 40
    assert [
        f"{path}::{name}" for path, name in named if not (ROOT / path).is_file() or name not in names_in(path)
    ] == []


def test_the_count_at_the_head_is_the_count():
    """The page says how many have a test, and that is how many do."""
    shown = sum(bool(TEST.search(line)) for line in LINES)

    assert f"**{shown} of 80**" in PAGE
