"""Durable runs: the same run is done once, an error comes out as itself, a killed run is gone on with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from geartrain.adapters.workflows import DbosWorkflows, MemoryWorkflows, sqlite_url
from geartrain.errors import ContractInvalid, DiskFull, PoolClosed, Problem, from_document
from geartrain.ports.workflow import Plan, Steps, Workflows


class Counting:
    """A plan of two steps that counts how often each is really run, and fails while it is told to."""

    def __init__(self) -> None:
        self.first = 0
        self.failing = False

    def __call__(self, steps: Steps, arguments: dict[str, object]) -> object:
        """Run both steps."""
        begun = steps.step("first", self._first)
        return {"begun": begun, "told": steps.step("second", lambda: self._second(arguments))}

    def _first(self) -> int:
        self.first += 1
        return self.first

    def _second(self, arguments: dict[str, object]) -> object:
        if self.failing:
            raise PoolClosed("sealed", where="pool verdict", found="look 2", hint="bring new rows")
        return arguments["word"]


@pytest.fixture(params=["dbos", "memory"])
def counted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Workflows, Counting]]:
    """Both adapters with the same plan."""
    plan = Counting()
    plans: dict[str, Plan] = {"count": plan}
    flows: Workflows = (
        DbosWorkflows(sqlite_url(tmp_path / "w.db"), plans)
        if request.param == "dbos"
        else MemoryWorkflows(plans)
    )
    yield flows, plan
    flows.close()


def test_the_same_run_is_done_once(counted: tuple[Workflows, Counting]) -> None:
    """Asked for twice by its id, a run answers from what it did."""
    flows, plan = counted

    answers = [flows.run("run-1", "count", {"word": "hello"}) for _ in range(2)]

    assert answers == [{"begun": 1, "told": "hello"}] * 2
    assert plan.first == 1


def test_an_error_comes_out_as_itself_and_the_next_order_tries_again(
    counted: tuple[Workflows, Counting],
) -> None:
    """A failed run says what stopped it, in the same words, and is not stuck for ever."""
    flows, plan = counted
    plan.failing = True
    for _ in range(2):
        with pytest.raises(PoolClosed) as stopped:
            flows.run("run-1", "count", {"word": "hello"})
    plan.failing = False

    answer = flows.run("run-1", "count", {"word": "hello"})

    assert stopped.value.to_document() == {
        "code": "training.pool-closed",
        "message": "sealed",
        "where": "pool verdict",
        "found": "look 2",
        "hint": "bring new rows",
    }
    assert answer == {"begun": 3, "told": "hello"}


def test_every_problem_of_a_contract_survives_being_written_down() -> None:
    """An error with a list of places has them all again."""
    problem = Problem(path="costs", line=3, column=5, message="is negative", found="-1", expected="a number")

    again = from_document(ContractInvalid("product.yaml", (problem,)).to_document())

    assert isinstance(again, ContractInvalid)
    assert again.problems == (problem,)
    assert (again.exit_code, from_document(DiskFull("full").to_document()).exit_code) == (2, 75)


_KILLED = """
import os, sys
from pathlib import Path
from geartrain.adapters.workflows import DbosWorkflows, sqlite_url

home = Path(sys.argv[1])

def plan(steps, arguments):
    def first():
        with (home / "first").open("a") as log:
            log.write("x")
        return 1
    def second():
        if not (home / "second").exists():
            (home / "second").touch()
            os._exit(9)
        return 2
    return [steps.step("first", first), steps.step("second", second)]

flows = DbosWorkflows(sqlite_url(home / "w.db"), {"plan": plan})
resumed = flows.resume()
print(list(resumed), flows.run("run-1", "plan", {}), list(flows.unfinished()))
flows.close()
"""


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """A finished step is not done again after a kill, and the cut-off one is."""
    call = [sys.executable, "-c", _KILLED, str(tmp_path)]

    killed = subprocess.run(call, capture_output=True, text=True, check=False)
    again = subprocess.run(call, capture_output=True, text=True, check=False)

    assert killed.returncode == 9
    assert again.stdout == "['run-1'] [1, 2] []\n", again.stderr
    assert (tmp_path / "first").read_text() == "x"
