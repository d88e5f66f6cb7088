"""The whole build, killed at every place where a process can die, ends as if nothing had happened."""

import json
import subprocess
import sys
from collections import Counter

import pytest

#: Each process is a fork of one that has imported everything and run nothing, which saves
#: seconds of imports a death. The deaths themselves are real: SIGKILL, nothing is cleaned up.
SCRIPT = '''
import json, os, signal, sys, time
from datetime import UTC, datetime
from pathlib import Path

import dbos, lightgbm, numpy, onnx, onnxruntime, optuna, polars, sklearn.linear_model, sqlalchemy  # noqa

from geartrain.engine import building
from geartrain.engine.bench import Builder
from geartrain.engine.ingesting import Door
from geartrain.engine.products import load_product
from geartrain.engine.proposing import adopt
from geartrain.adapters.workflows import DbosWorkflows
from geartrain.wiring import Settings, open_workflows, open_workspace

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class Deaths:
    """Where this process dies: before or after a step's work, or around its n-th write to a store."""

    def __init__(self, where):
        self.where, self.step, self.seen = where, "", {}

    def reached(self, *place):
        if list(place) == self.where:
            die()

    def writes(self, store, method):
        def write(*args, **kwargs):
            key = (self.step, store)
            self.seen[key] = self.seen.get(key, 0) + 1
            self.reached(self.step, f"before-{store}", self.seen[key])
            answer = method(*args, **kwargs)
            self.reached(self.step, f"after-{store}", self.seen[key])
            return answer

        return write


class Mortal:
    """A store that may be the last thing that this process touches."""

    def __init__(self, store, name, method, deaths):
        self._store = store
        setattr(self, method, deaths.writes(name, getattr(store, method)))

    def __getattr__(self, name):
        return getattr(self._store, name)


class MortalSteps:
    def __init__(self, steps, deaths):
        self._steps, self._deaths = steps, deaths

    def step(self, name, work):
        def mortal_work():
            self._deaths.step = name
            self._deaths.reached(name, "begun")
            answer = work()
            self._deaths.reached(name, "done")
            return answer

        self._deaths.reached(name, "before")
        answer = self._steps.step(name, mortal_work)
        self._deaths.reached(name, "kept")
        return answer


def run(settings, folder, rows, where, told):
    deaths = Deaths(where)
    plain = open_workspace(settings)
    workspace = type(plain)(
        root=plain.root,
        ledger=Mortal(plain.ledger, "append", "append", deaths),
        lake=plain.lake,
        blobs=Mortal(plain.blobs, "put", "put", deaths),
        notifier=plain.notifier,
        signing_key=plain.signing_key,
    )
    product = load_product(folder)
    adopt(workspace, product, now=NOW, actor="Ann")
    Door(workspace, product.contract).take_file("samples", rows, now=NOW)
    builder = Builder(workspace=workspace, product=product, clock_ns=time.perf_counter_ns, timings=30)
    plans = {"build": lambda steps, ordered: building.build(builder, MortalSteps(steps, deaths), ordered)}
    ordered = building.order(product, now=NOW, seed=3, trials=2)
    workflows = open_workflows(settings, plans)
    answer = workflows.run(building.run_id("build", ordered), "build", ordered)
    workflows.close()
    Path(told).write_text(json.dumps(answer))


def main():
    url, root, folder, rows, deaths, told = sys.argv[1:]
    settings = Settings(root=Path(root), database_url=url or None)
    statuses = []
    for where in json.loads(deaths):
        child = os.fork()
        if child == 0:
            try:
                run(settings, Path(folder), Path(rows), where, told)
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print(json.dumps(statuses))


main()
'''

QUICK_MODEL = """
from geartrain.training.recipe import integer, recipe

model = recipe("lightgbm", search={"num_leaves": integer(3, 4)}, fixed={"n_estimators": 8})
"""


@pytest.fixture(scope="module")
def triage(tmp_path_factory, request):
    """tumour-triage with a model that is quick to fit, and its rows."""
    import importlib.util
    import shutil

    examples = request.config.rootpath / "examples"
    base = tmp_path_factory.mktemp("triage")
    folder = base / "product"
    shutil.copytree(examples / "tumour-triage", folder, ignore=shutil.ignore_patterns("__pycache__"))
    spec = importlib.util.spec_from_file_location("triage_rows", folder / "data.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows = module.write(base / "rows")["samples"]
    (folder / "model.py").write_text(QUICK_MODEL, encoding="utf-8")
    return base, folder, rows


def _run(triage, name, deaths, *, url=""):
    base, folder, rows = triage
    script = base / "run.py"
    script.write_text(SCRIPT, encoding="utf-8")
    root, told = base / name, base / f"{name}.json"
    done = subprocess.run(
        [
            sys.executable,
            str(script),
            url,
            str(root),
            str(folder),
            str(rows),
            json.dumps([*deaths, None]),
            str(told),
        ],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    statuses = json.loads(done.stdout.splitlines()[-1])
    assert statuses == [-9] * len(deaths) + [0], (list(zip(deaths, statuses, strict=False)), done.stderr)
    return root, json.loads(told.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def undisturbed(triage):
    """The same build that nobody disturbed."""
    return _run(triage, "undisturbed", [])


#: One run through all of these, one death after the other: each process goes on where the last one died.
#: Within a step the later deaths come first to places that the earlier ones did not reach.
DEATHS = [
    ["prepare", "before"],
    ["prepare", "after-append", 1],
    ["prepare", "after-put", 1],
    ["prepare", "done"],
    ["search", "before"],
    ["search", "after-append", 1],
    ["search", "before-append", 2],
    ["search", "done"],
    ["compress", "before"],
    ["compress", "after-append", 1],
    ["compress", "before-put", 2],
    ["compress", "done"],
    ["judge", "before"],
    ["judge", "after-append", 1],
    ["judge", "after-put", 2],
    ["judge", "done"],
    ["propose", "before"],
    ["propose", "after-append", 1],
    ["propose", "done"],
    ["propose", "kept"],
]


def _history(root, url=None):
    from geartrain.wiring import Settings, open_workspace

    workspace = open_workspace(Settings(root=root, database_url=url), create=False)
    return workspace, workspace.history("tumour-triage")


def _same_as(undisturbed, root, answer, url=None):
    """The promises of a run that was killed: nothing lost, nothing twice, the same model."""
    from geartrain.domain.events import ModelTrained, PoolOpened, ReleaseProposed, TrialRecorded
    from geartrain.domain.model import Pool
    from geartrain.engine.bundles import load_bundle
    from geartrain.engine.workspace import identity

    steady_root, steady = undisturbed
    _, steady_history = _history(steady_root)
    workspace, history = _history(root, url)
    events = [one.event for one in history]
    told = Counter(identity(event) for event in events)

    assert workspace.ledger.verify() == len(history)
    assert max(told.values()) == 1
    # How fast a variant answers is measured anew, and a choice may follow from it; all else is the same.
    same = (
        "snapshot",
        "raw",
        "values",
        "trial",
        "settings",
        "class_weights",
        "encoding",
        "commitment",
        "rule",
    )
    assert {name: answer[name] for name in same} == {name: steady[name] for name in same}
    assert [one.release.model for one in events if isinstance(one, ReleaseProposed)] == [answer["model"]]
    assert [one.id for one in events if isinstance(one, ReleaseProposed)] == [answer["release"]]
    openings = [one for one in events if isinstance(one, PoolOpened) and one.pool is Pool.VERDICT]
    assert [one.candidate for one in openings] == [answer["model"]]
    trials = [one.id for one in events if isinstance(one, TrialRecorded)]
    assert sorted(trials) == sorted(
        one.event.id for one in steady_history if isinstance(one.event, TrialRecorded)
    )
    models = [one.id for one in events if isinstance(one, ModelTrained)]
    assert len(models) == len(set(models)) >= 1
    kinds = Counter(type(one).__name__ for one in events)
    assert kinds == Counter(type(one.event).__name__ for one in steady_history)
    if answer["variant"] == steady["variant"]:
        assert (answer["model"], answer["onnx"]) == (steady["model"], steady["onnx"])
    assert load_bundle(workspace, answer["release"]).release.id == answer["release"]


@pytest.mark.slow
def test_a_build_that_is_killed_twenty_times_ends_as_one_that_was_not(triage, undisturbed):
    """SIGKILL before, in the middle of and after each of the five steps: same model and trials, nothing twice."""
    root, answer = _run(triage, "killed", DEATHS)
    _same_as(undisturbed, root, answer)


@pytest.mark.service
@pytest.mark.slow
def test_a_build_on_postgresql_goes_on_after_its_death(triage, undisturbed, database):
    """Ledger and workflows on PostgreSQL, killed in the middle of the search and of the judging."""
    deaths = [["search", "after-append", 1], ["judge", "after-append", 1]]
    root, answer = _run(triage, "postgres", deaths, url=database)
    _same_as(undisturbed, root, answer, url=database)
