"""`product.yaml` in, the frozen contract out; or everything that is wrong with it, at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from geartrain.contract.compiling import compile_contract
from geartrain.contract.contradicting import contradictions
from geartrain.contract.desk import Desk
from geartrain.contract.reading import read
from geartrain.contract.validating import validate
from geartrain.domain.contract import Contract
from geartrain.errors import ContractInvalid, Problem


def parse(text: str, *, origin: str = "product.yaml", features: Iterable[str] | None = None) -> Contract:
    """Compile the contract in *text*.

    What is wrong is reported together, however many things it is: the shape of each
    section, what sections say about each other, and what cannot hold at all.
    With the names of the *features*, every other name must be a column that the fields list.

    Raises:
        ContractUnreadable: The text is empty, is not YAML or is not a mapping.
        ContractInvalid: With every problem, each with its line and column in *origin*.
    """
    document = read(text, origin=origin)
    shape, misshapen = validate(document)
    names = None if features is None else frozenset(features)
    desk = Desk(document=document, shape=shape, features=names)
    contract = compile_contract(desk)
    if not desk.whole("team"):  # who signs is unknown, not contradictory
        contract = replace(contract, release=None)
    problems = {*document.problems, *misshapen, *desk.problems, *contradictions(contract)}
    if problems:
        raise ContractInvalid(origin, tuple(sorted(problems, key=_place)))
    return contract


def _place(problem: Problem) -> tuple[int, int, str, str]:
    return problem.line, problem.column, problem.path, problem.message
