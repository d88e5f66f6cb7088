"""`geartrain drill` as a command: what it answers, in which form, and with which exit code."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from geartrain.cli.main import run
from geartrain.domain.contract import Cause
from geartrain.domain.incident import FirstAction, Incident
from geartrain.domain.roles import Role
from geartrain.engine.drilling import Drilled, Exercise
from geartrain.engine.faults import Fault, FaultKind

PLACE = Path(__file__).resolve().parents[2] / "benchmarks" / "drills"
BEGAN = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The benchmark's simulated parcels, a small history of them."""
    spec = importlib.util.spec_from_file_location("drill_command_parcels", PLACE / "data.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.write(tmp_path_factory.mktemp("parcels"), seed=5, days=46, per_day=300)


def command(files, *more):
    return [
        *("drill", "--product", str(PLACE), "--live-after", "24", "--settle", "9", "--watch", "10"),
        *(word for name, path in files.items() for word in ("--source", f"{name}={path}")),
        *more,
    ]


@pytest.mark.slow
def test_a_drill_that_is_passed_says_so_in_one_document(files, capsys):
    """One fault and the control, really injected: exit code 0, and on standard output nothing but JSON."""
    code = run(command(files, "--only", "unit change", "--trials", "1", "--seed", "5", "--json"))

    told = capsys.readouterr()
    document = json.loads(told.out)
    result = document["result"]
    assert (code, document["schema"], document["ok"]) == (0, "geartrain.drill/1", True), told
    assert result["passed"] is True
    (one,) = result["drills"]
    assert (one["fault"], one["expected"], one["right"], one["once"]) == (
        "unit change",
        ["column", "engineering"],
        True,
        True,
    )
    assert 0 < one["days_to_detection"] <= 10
    assert one["incidents"][0]["owner"] == "engineering"
    assert (result["control"]["fault"], result["control"]["incidents"]) == (None, [])
    assert result["left_out"] == []


@pytest.fixture
def exercised(monkeypatch):
    """A function that lets the command find a given exercise."""

    def make(exercise):
        monkeypatch.setattr("geartrain.cli.drill.run_drill", lambda *_args, **_more: exercise)

    return make


def drilled(*, fault=True, called=True):
    """What came of a changed unit, or of the control."""
    incident = Incident(
        id="i1",
        product="parcels",
        cause=Cause.COLUMN,
        owner=Role.ENGINEERING,
        opened_at=BEGAN + timedelta(days=4),
        began_at=BEGAN,
        message="the unit changed",
        first_action=FirstAction.REPAIR_COLUMN,
        signals=(),
    )
    return Drilled(
        fault=Fault(kind=FaultKind.UNIT_CHANGE, since=BEGAN, columns=("weight",)) if fault else None,
        expected=(Cause.COLUMN, Role.ENGINEERING) if fault else None,
        incidents=(incident,) if called else (),
        called=(Cause.COLUMN, Role.ENGINEERING) if called else None,
        after=timedelta(days=4) if called else None,
    )


def test_a_drill_that_is_missed_is_a_no(files, exercised, capsys):
    """Nobody called, or somebody called in the control: exit code 1, in words as well as in JSON."""
    quiet = drilled(fault=False, called=False)
    good = Exercise(began=BEGAN, drills=(drilled(),), control=quiet)

    exercised(good)
    assert run(command(files)) == 0
    assert "1 of 1 right causes first, 1 with one incident, 0 in the control" in capsys.readouterr().out
    exercised(replace(good, control=drilled(fault=False)))
    assert run(command(files)) == 1
    assert "WRONG  control" in capsys.readouterr().out
    exercised(replace(good, drills=(drilled(called=False),) * 2))
    assert run(command(files, "--json")) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert document["result"]["drills"][0]["days_to_detection"] is None


def test_a_fault_that_is_not_known_is_a_usage_error(files, capsys):
    """The answer names those that there are, and nothing was drilled."""
    code = run(command(files, "--only", "earthquake"))

    told = capsys.readouterr()
    assert code == 2
    assert "there is no fault 'earthquake'; there are null burst, unit change" in told.err
    assert told.out == ""
