"""Two example products whose first model is right for the wrong reasons: blocked, mended, signed, live.

Each story is the example's own README: its commands are run in its order, and the findings that it
quotes are those that the run gives, word for word; numbers may differ a little between machines.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from tests.cli.conftest import Said, Shell

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
#: All rows and all labels have arrived by then.
NOW = ("--now", "2026-09-01")
#: Commands whose answer does not depend on the time.
TIMELESS = {"new", "compress"}
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
QUOTED = re.compile(r"(?:^|\n)    (kept|broken|unproven) +([a-z_.]+): ((?:.+)(?:\n {17}\S.*)*)")


def _commands(story: str) -> list[list[str]]:
    return [shlex.split(line)[1:] for line in story.splitlines() if line.startswith("    geartrain ")]


def _strike_out(file: Path, names: tuple[str, ...]) -> None:
    """What the story says that the expert does: whole lines go, nothing else changes."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not any(f'request("{name}"' in line for name in names)]
    assert len(lines) - len(kept) == len(names)
    file.write_text("".join(kept), encoding="utf-8")


def _lived(tmp_path: Path, shell: Shell, example: str, struck: tuple[str, ...]) -> tuple[list[Said], Said]:
    """Every command of the README in its order; both judgements, and the promotion."""
    commands = _commands((EXAMPLES / example / "README.md").read_text(encoding="utf-8"))
    home, judged, said = tmp_path, [], None
    for command in commands:
        verb = command[0]
        said = shell(
            home,
            *command,
            *(() if verb in TIMELESS else NOW),
            *(("--json",) if verb == "evaluate" else ()),
        )
        if verb == "new":
            home = tmp_path / command[1]
        if verb != "evaluate":
            assert said.code == 0, (command, said.err)
            continue
        judged.append(said)
        if len(judged) == 1:
            _strike_out(home / "features.py", struck)
    assert said is not None
    assert len(judged) == 2
    return judged, said


def _findings(said: Said) -> dict[str, dict[str, str]]:
    return {one["clause"]: one for one in said.document["result"]["findings"]}


def _blocking(said: Said) -> set[str]:
    return {
        path
        for path, one in _findings(said).items()
        if one["status"] != "kept" and one["severity"] == "block"
    }


def _same(quoted: str, told: str) -> bool:
    """Whether *told* begins with *quoted*: words exactly, numbers within a third."""
    words, numbers = NUMBER.sub("#", quoted), [float(one) for one in NUMBER.findall(quoted)]
    seen = [float(one) for one in NUMBER.findall(told)][: len(numbers)]
    near = all(abs(one - other) <= 0.1 + abs(one) / 3 for one, other in zip(numbers, seen, strict=True))
    return NUMBER.sub("#", told).startswith(words) and near


def _quotes_hold(example: str, judged: list[Said]) -> None:
    story = (EXAMPLES / example / "README.md").read_text(encoding="utf-8")
    before, after = story.split("strikes out", 1)
    for text, said in ((before, judged[0]), (after, judged[1])):
        quotes = QUOTED.findall(text)
        assert len(quotes) >= 3
        for status, clause, words in quotes:
            found = _findings(said)[clause]
            assert found["status"] == status, (clause, found["message"])
            assert _same(" ".join(words.split()), found["message"]), (words, found["message"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("example", "struck", "stopping", "because"),
    [
        (
            "employee-performance",
            ("shoe_size",),
            {
                "plausibility.shoe_size_says_nothing",
                "plausibility.not_their_sex_in_disguise",
                "plausibility.known_cases",
            },
            "the size of a shoe says nothing about work",
        ),
        (
            "loan-decision",
            ("browser", "weekday"),
            {
                "plausibility.not_the_browser",
                "plausibility.not_the_weekday",
                "plausibility.known_cases",
            },
            "nobody pays back worse for the browser that their telephone came with",
        ),
    ],
)
def test_a_wrong_reason_blocks_and_its_removal_releases(
    tmp_path: Path, shell: Shell, example: str, struck: tuple[str, ...], stopping: set[str], because: str
) -> None:
    """Each planted column is refused with a sentence in the expert's words; without it the same contract is kept."""
    judged, live = _lived(tmp_path, shell, example, struck)

    assert [one.code for one in judged] == [1, 0]
    found = _findings(judged[0])
    assert stopping <= _blocking(judged[0])
    assert {found[one]["status"] for one in stopping} == {"broken"}
    assert any(because in found[one]["message"] for one in stopping)
    for column in struck:
        assert any(f"when only {column} does" in found[one]["message"] for one in stopping)
    assert _blocking(judged[1]) == set()
    assert "is live" in live.out
    _quotes_hold(example, judged)
