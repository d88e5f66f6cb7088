"""YAML is read by its core rules, with the place of everything."""

from __future__ import annotations

from geartrain.contract.reading import read
from geartrain.domain.clause import Mark


def test_only_true_and_false_are_booleans() -> None:
    """What looks like a time, a date or a yes stays what was written."""
    document = read(
        "{a: yes, b: on, c: 12:30, d: 2026-01-01, e: true, f: 0.5, g: 7, h: '7', i: 1e-3}", origin=""
    )

    assert document.content == {
        "a": "yes",
        "b": "on",
        "c": "12:30",
        "d": "2026-01-01",
        "e": True,
        "f": 0.5,
        "g": 7,
        "h": "7",
        "i": 0.001,
    }


def test_everything_has_its_place() -> None:
    """Keys and list items, from line 1 and column 1."""
    document = read("a:\n  b: [x,\n    {c: 1}]\n", origin="")

    assert document.mark(("a", "b")) == Mark(line=2, column=3)
    assert document.mark(("a", "b", 1, "c")) == Mark(line=3, column=6)
    assert document.mark(("a", "nothing")) == Mark(line=1, column=1)


def test_keys_are_text() -> None:
    """Classes 0, 1, true and yes can be keys."""
    assert list(read("{0: a, 1: b, true: c, yes: d}", origin="").content) == ["0", "1", "true", "yes"]


def test_a_key_twice_and_a_key_without_value_are_told() -> None:
    """YAML would take the last one, and null, in silence."""
    document = read("a: 1\nb:\na: 2\nc: [1, ~]\n", origin="")

    assert [(one.path, one.line, one.message) for one in document.problems] == [
        ("b", 2, "has no value"),
        ("a", 3, "`a` stands here twice"),
        ("c.1", 4, "has no value"),
    ]
    assert document.content == {"a": 1, "c": [1]}


def test_merged_mappings_can_be_overridden() -> None:
    """`<<` brings an anchor's keys, the mapping's own keys win."""
    document = read("base: &b {x: 1, y: 2}\none: {<<: *b, y: 3}\n", origin="")

    assert document.content["one"] == {"x": 1, "y": 3}
