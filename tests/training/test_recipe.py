"""Recipes: what a product's model.py may say, and the identity of what it says."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from geartrain.errors import ProductCodeBroken
from geartrain.training.recipe import choice, integer, number, recipe


def build(params, seed):
    return None


def factory(depth):
    return lambda params, seed: depth


def test_a_recipe_is_named_by_what_it_says():
    """Another range, another fixed value or another function is another recipe; the order of keys is not."""
    one = recipe("lightgbm", search={"a": integer(1, 2), "b": number(0, 1)}, fixed={"c": 1})
    same = recipe("lightgbm", search={"b": number(0, 1), "a": integer(1, 2)}, fixed={"c": 1})
    others = [
        recipe("lightgbm", search={"a": integer(1, 3), "b": number(0, 1)}, fixed={"c": 1}),
        recipe("lightgbm", search={"a": integer(1, 2), "b": number(0, 1)}, fixed={"c": 2}),
        recipe(build, search={"a": integer(1, 2), "b": number(0, 1)}, fixed={"c": 1}, name="lightgbm"),
    ]
    assert one.id == same.id
    assert len({one.id, *(other.id for other in others)}) == 4


def test_the_code_is_the_source_and_what_was_captured():
    """A function has the identity of its text, of its place and of the values it captured."""
    two = [lambda params, seed: 1, lambda params, seed: 2]
    assert recipe(build).code == recipe(build).code
    assert recipe(two[0]).code != recipe(two[1]).code
    assert recipe(factory(1)).code != recipe(factory(2)).code


def test_a_changed_neighbour_in_the_file_changes_the_code(tmp_path: Path):
    """The whole file is the identity: what the function calls is part of what ran."""
    codes = []
    for number_of_trees in (1, 2):
        path = tmp_path / f"model_{number_of_trees}.py"
        path.write_text(
            f"def trees():\n    return {number_of_trees}\n\ndef build(params, seed):\n    return trees()\n"
        )
        space: dict = {"__name__": path.stem}
        exec(compile(path.read_text(), str(path), "exec"), space)
        codes.append(recipe(space["build"]).code)
    assert codes[0] != codes[1]


def test_code_that_cannot_be_named_is_refused():
    """No source, a partial, a captured object: refused loudly, never given a guessed identity."""
    space: dict = {}
    exec("def build(params, seed): return None", space)
    with pytest.raises(ProductCodeBroken, match="cannot be read"):
        recipe(space["build"])
    with pytest.raises(ProductCodeBroken, match="cannot be read"):
        recipe(functools.partial(build, 1))
    with pytest.raises(ProductCodeBroken, match="captures"):
        recipe(factory(object()))


def test_a_recipe_that_contradicts_itself_is_refused():
    """Each contradiction is said with what was found."""
    with pytest.raises(ProductCodeBroken, match="both searched and fixed"):
        recipe("lightgbm", search={"a": integer(1, 2)}, fixed={"a": 1})
    with pytest.raises(ProductCodeBroken, match="no built-in algorithm"):
        recipe("magic")
    with pytest.raises(ProductCodeBroken, match="no such option"):
        recipe("lightgbm", calibrate="hope")
    with pytest.raises(ProductCodeBroken, match="bend"):
        recipe("lightgbm", weights="cost", calibrate="none")
    with pytest.raises(ProductCodeBroken, match="rise"):
        number(0, 1, log=True)
    with pytest.raises(ProductCodeBroken, match="no options"):
        choice()
