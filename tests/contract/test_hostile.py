"""Whatever stands in the file, the answer is a contract or a list of problems, never a crash."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.contract.parsing import parse
from geartrain.contract.reading import leaves, read
from geartrain.domain.contract import Contract
from geartrain.errors import ContractInvalid, ContractUnreadable

COMPLETE: dict[str, Any] = read(
    (Path(__file__).parent / "complete.yaml").read_text(encoding="utf-8"), origin=""
).content
PATHS = sorted({path[:length] for path, _ in leaves(COMPLETE) for length in range(1, len(path) + 1)}, key=str)
ODD = st.sampled_from(
    [
        None,
        "",
        " ",
        "?",
        "a b",
        "1",
        "yes",
        "-1 day",
        "1e999 s",
        "x" * 100,
        "`",
        "{",
        "a == 'x'",
        "%",
        "é",
        "\x85",
        True,
        0,
        -1,
        10**30,
        0.5,
        float("inf"),
        float("nan"),
        [],
        [[]],
        ["a", 1],
        {},
        {"at_most": 1},
        {"": 1},
    ]
)


def _answers(text: str) -> None:
    answer: Contract | ContractInvalid | ContractUnreadable
    try:
        answer = parse(text)
    except (ContractInvalid, ContractUnreadable) as error:
        answer = error

    match answer:
        case ContractInvalid(problems=problems):
            assert problems
            assert all(one.line >= 1 and one.column >= 1 and one.message for one in problems)
            assert str(answer)
        case ContractUnreadable(message=message):
            assert message
        case contract:
            assert len(contract.id) == 64


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(PATHS), ODD), min_size=1, max_size=4), st.booleans())
def test_any_value_anywhere_is_answered(
    edits: list[tuple[tuple[str | int, ...], object]], remove: bool
) -> None:
    """A wrong, odd, empty or missing value at any place of a complete contract."""
    document = copy.deepcopy(COMPLETE)
    for path, value in edits:
        here: Any = document
        for step in path[:-1]:
            here = (
                here[step]
                if isinstance(here, dict) and step in here
                else (
                    here[step]
                    if isinstance(here, list) and isinstance(step, int) and step < len(here)
                    else None
                )
            )
        if isinstance(here, dict):
            if remove:
                here.pop(path[-1], None)
            else:
                here[path[-1]] = copy.deepcopy(value)
        elif isinstance(here, list) and isinstance(path[-1], int) and path[-1] < len(here):
            here[path[-1]] = copy.deepcopy(value)

    _answers(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


@settings(max_examples=100)
@given(st.text(max_size=60) | st.text(alphabet="{}[]:,-'\"`|>&*!%@ \n\tab1?~", max_size=60))
def test_any_text_is_answered(text: str) -> None:
    """Text that nobody meant as a contract."""
    _answers(text)
