"""`geartrain retrain`, killed at every place where its process can die, ends as if nothing had happened."""

import json
import os
import subprocess
import sys
from collections import Counter
from datetime import datetime

import polars as pl
import pytest

from geartrain.domain.events import (
    PoolOpened,
    Refused,
    ReleaseProposed,
    RetrainingStarted,
    StageEntered,
    TrialRecorded,
)
from geartrain.domain.model import Pool
from geartrain.domain.release import ReleaseStage
from geartrain.engine.ingesting import Door
from geartrain.engine.products import load_product
from geartrain.engine.proposing import adopt
from geartrain.engine.workspace import identity
from geartrain.wiring import Settings, open_workspace

NOW = "2026-03-01T12:00:00+00:00"
NAME = "tiny"

#: The command itself, in forks of one process that has imported everything and run nothing. The deaths are real.
SCRIPT = '''
import json, os, signal, sys

import dbos, lightgbm, numpy, onnx, onnxruntime, optuna, polars, sklearn.linear_model, sqlalchemy  # noqa

from geartrain import wiring
from geartrain.cli.main import run
from geartrain.engine import plans, runs

SEEN = {}


def mortal(method, place, where):
    """The same method, around whose n-th call the process dies."""

    def called(*args, **kwargs):
        SEEN[place] = SEEN.get(place, 0) + 1
        for when in ("before", "after"):
            if when == "after":
                answer = method(*args, **kwargs)
            if where == [when, place, SEEN[place]]:
                os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return called


class Steps:
    def __init__(self, steps, where):
        self._steps, self._where = steps, where

    def step(self, name, work):
        return mortal(self._steps.step, name, self._where)(name, mortal(work, f"{name}'s work", self._where))


def child(arguments, where):
    opened = wiring.open_workspace

    def open_mortal(*args, **kwargs):
        space = opened(*args, **kwargs)
        space.ledger.append = mortal(space.ledger.append, "ledger", where)
        return space

    wiring.open_workspace = open_mortal
    runs._write = mortal(runs._write, "file", where)
    build = plans._WORK[plans.BUILD]
    plans._WORK = {**plans._WORK, plans.BUILD: lambda b, steps, order: build(b, Steps(steps, where), order)}
    return run(arguments)


def main():
    deaths, arguments = json.loads(sys.argv[1]), sys.argv[2:]
    statuses = []
    for where in deaths:
        pid = os.fork()
        if pid == 0:
            try:
                code = child(arguments, where)
            except BaseException:
                import traceback

                traceback.print_exc()
                code = 99
            sys.stdout.flush()
            os._exit(code)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    print(json.dumps(statuses), file=sys.stderr)


main()
'''

MODEL = """
from geartrain.training.recipe import integer, recipe

model = recipe("lightgbm", search={"num_leaves": integer(3, 4)}, fixed={"n_estimators": 8})
"""
CONTRACT = """
geartrain: 1
product: {name: tiny, title: Tiny, problem: a small one}
decision:
  task: binary
  unit: one row
  label: outcome
  positive: bad
  actions: {bad: stop, good: pass}
costs: {currency: errors, false_negative: 1, false_positive: 1}
success:
  expected_cost: {at_most: 0.9, relative_to: most-frequent, because: less is not worth it}
integrity:
  target_proxy: {accept: [amount], because: the limit of 60 is the rule that is learned here}
data:
  sources:
    rows:
      kind: decisions
      key: id
      fields:
        id: {type: string, required: true}
        amount: {type: number, required: true}
        outcome: {type: string, values: [bad, good]}
retraining: {cool_down: 5 days, trials: 2, action: shadow, refuse_when: {fewer_labels_than: 100}}
release: {sign: [science], rollout: [{shadow: 7 days}]}
team: {product: [ann], domain: [ben], engineering: [cyd], science: [dan]}
"""

#: One command through all of these, each process going on where the last one died: before, in and after each of
#: the five steps, and around what is written before the first and after the last of them. Calls are counted in each
#: process, so a later "first" write is that of a later step.
DEATHS = [
    ["before", "file", 1],
    ["after", "file", 1],
    ["before", "ledger", 1],
    ["after", "ledger", 1],
    ["before", "prepare", 1],
    ["after", "prepare's work", 1],
    ["before", "search", 1],
    ["after", "ledger", 1],
    ["after", "search's work", 1],
    ["before", "compress", 1],
    ["after", "compress's work", 1],
    ["before", "judge's work", 1],
    ["after", "ledger", 1],
    ["after", "judge's work", 1],
    ["after", "ledger", 1],
    ["after", "propose's work", 1],
    ["after", "propose", 1],
    ["before", "ledger", 1],
    ["after", "ledger", 1],
    ["before", "file", 2],
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small product in its folder."""
    made = tmp_path_factory.mktemp("tiny")
    (made / "product.yaml").write_text(CONTRACT, encoding="utf-8")
    (made / "model.py").write_text(MODEL, encoding="utf-8")
    (made / "retrain.py").write_text(SCRIPT, encoding="utf-8")
    return made


def _retrained(folder, root, deaths, *, url=None):
    """Take rows in, give the command once for each death and once more, and return the workspace."""
    space = open_workspace(Settings(root=root, database_url=url))
    product, now = load_product(folder), datetime.fromisoformat(NOW)
    adopt(space, product, now=now, actor="ann")
    amounts = [(place * 37 % 600) / 6 for place in range(600)]
    rows = pl.DataFrame(
        {
            "id": [f"r{place}" for place in range(600)],
            "amount": amounts,
            "outcome": ["bad" if amount > 60 else "good" for amount in amounts],
        }
    )
    Door(space, product.contract).take("rows", rows, content=b"rows", now=now)
    done = subprocess.run(
        [
            sys.executable,
            str(folder / "retrain.py"),
            json.dumps([*deaths, None]),
            *("retrain", "--force", "--as", "dan", "--now", NOW, "--seed", "3"),
            *("--product", str(folder), "--workspace", str(root)),
        ],
        env={**os.environ, "GEARTRAIN_DATABASE_URL": url or ""},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    statuses = json.loads(done.stderr.splitlines()[-1])
    assert statuses == [-9] * len(deaths) + [0], (list(zip(deaths, statuses, strict=False)), done.stderr)
    return space


@pytest.fixture(scope="module")
def undisturbed(folder):
    """The same command that nobody disturbed."""
    return _retrained(folder, folder / "undisturbed", [])


def _same_as(undisturbed, killed):
    """Nothing lost, nothing twice, the same trials and model, and it decides in shadow."""
    steady, history = ([one.event for one in space.history(NAME)] for space in (undisturbed, killed))

    def of(events, kind):
        return [one for one in events if isinstance(one, kind)]

    assert killed.ledger.verify() == len(history)
    assert max(Counter(map(identity, history)).values()) == 1
    assert Counter(type(one).__name__ for one in history) == Counter(type(one).__name__ for one in steady)
    assert of(history, RetrainingStarted) == of(steady, RetrainingStarted)
    assert {one.id for one in of(history, TrialRecorded)} == {one.id for one in of(steady, TrialRecorded)}
    (proposed,), (wanted,) = of(history, ReleaseProposed), of(steady, ReleaseProposed)
    assert proposed.retrained
    assert proposed.release.model == wanted.release.model
    looks = [one for one in of(history, PoolOpened) if one.pool is Pool.VERDICT]
    assert [one.candidate for one in looks] == [
        one.candidate for one in of(steady, PoolOpened) if one.pool is Pool.VERDICT
    ]
    assert [(one.release, one.stage) for one in of(history, StageEntered)] == [
        (proposed.id, ReleaseStage.SHADOW)
    ]
    assert of(history, Refused) == []


@pytest.mark.slow
def test_a_retraining_that_is_killed_twenty_times_ends_as_one_that_was_not(folder, undisturbed):
    """SIGKILL around every durable step of the command: one beginning, one release, one entry into shadow."""
    _same_as(undisturbed, _retrained(folder, folder / "killed", DEATHS))


@pytest.mark.service
@pytest.mark.slow
def test_a_retraining_on_postgresql_goes_on_after_its_death(folder, undisturbed, database):
    """Ledger and workflows on PostgreSQL: killed before anything was said, in the search, and before the shadow."""
    deaths = [
        ["after", "file", 1],
        ["after", "ledger", 1],
        ["after", "search's work", 1],
        ["after", "judge's work", 1],
        ["after", "propose", 1],
        ["before", "ledger", 1],
        ["before", "file", 2],
    ]
    _same_as(undisturbed, _retrained(folder, folder / "postgres", deaths, url=database))
