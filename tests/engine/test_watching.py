"""What triage decided is written down, and the right people are called."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from scipy.signal import lfilter

from geartrain.domain.contract import Cause, Contract, DecisionTerms, ProductTerms
from geartrain.domain.events import IncidentOpened, IncidentUpdated
from geartrain.domain.incident import FirstAction, Incident, Signal
from geartrain.domain.roles import Role
from geartrain.domain.task import Task
from geartrain.engine.telling import told_event
from geartrain.engine.timeline import timeline_of
from geartrain.engine.watching import begin_watch, open_incidents, write_down
from geartrain.monitoring.profiling import build
from geartrain.monitoring.triage import Triage

CONTRACT = Contract(
    product=ProductTerms(name="shop", title="Shop", problem="which parcel comes back"),
    decision=DecisionTerms(task=Task.BINARY, unit="a parcel", label="back", positive="yes"),
    clauses=(),
    team=((Role.SCIENCE, ("Sam",)), (Role.DOMAIN, ("Dan",))),
)


def drifted(now):
    """An open incident of the population."""
    signal = Signal(
        kind="drift",
        about="weight",
        measure="",
        size=1.0,
        evidence=1e3,
        since=now,
        rows=9,
        message="it drifts",
    )
    return Incident(
        id="i1",
        product="shop",
        cause=Cause.POPULATION,
        owner=Role.SCIENCE,
        opened_at=now,
        began_at=now,
        message="it drifts",
        first_action=FirstAction.WATCH,
        signals=(signal,),
    )


def test_an_incident_that_turns_out_to_be_another_s_calls_that_owner_and_the_time_line_says_so(memory, now):
    """The cause until then stands in the event; more news of the same cause call nobody again."""
    workspace, old = memory(), drifted(now)
    new = replace(old, cause=Cause.CONCEPT, owner=Role.DOMAIN, message="it drifts; by now it is proven")
    later = replace(new, cost_per_day=3.0)

    write_down(workspace, CONTRACT, Triage(opened=(old,)), now=now)
    write_down(workspace, CONTRACT, Triage(updated=(new,)), now=now + timedelta(days=1))
    write_down(workspace, CONTRACT, Triage(updated=(later,)), now=now + timedelta(days=2))

    history = workspace.history("shop")
    assert [type(one.event) for one in history] == [IncidentOpened, IncidentUpdated, IncidentUpdated]
    assert [one.event.was for one in history[1:]] == [Cause.POPULATION, None]
    assert [(incident.owner, people) for incident, people in workspace.notifier.told] == [
        (Role.SCIENCE, ("Sam",)),
        (Role.DOMAIN, ("Dan",)),
    ]
    assert [one.title for one in timeline_of(history, since=now)] == [
        "population: science was called",
        "concept, not population: domain was called",
    ]
    assert told_event(history[1].event).startswith("concept, not population: it drifts")
    assert open_incidents(workspace, "shop") == (later,)


@pytest.mark.parametrize(
    ("slow", "moves", "rings"), [(True, False, False), (False, False, False), (False, True, True)]
)
def test_a_slow_column_does_not_cry_wolf_and_a_real_change_is_heard(now, slow, moves, rings):
    """Six windows of 1,000 rows, each in four parts: a column that wanders slowly is no drift, half a spread of a quick one is."""
    chance = np.random.default_rng(3)
    values = (
        lfilter([1], [1, -0.97], chance.normal(size=8500) * 0.243)[500:] if slow else chance.normal(size=8000)
    )
    values[4000:] += 0.5 * moves
    reference = build(pl.DataFrame({"x": values[:2000]}).to_arrow())
    watch = begin_watch(
        CONTRACT, reference, reference_costs=np.zeros(0), decisions_per_day=100.0, started=now, replaced=False
    )
    length, heard = timedelta(seconds=watch.terms.window_s), set()
    for place, part in enumerate(values[2000:].reshape(24, 250)):
        watch.saw(pl.DataFrame({"x": part}), since=now + length * (place // 4))
        if place % 4 == 3:
            found = watch.signals(now=now + length * (place // 4 + 1), arrivals=(), labels=None)
            heard |= {one.about for one in found if one.kind == "drift"}

    assert heard == ({"x"} if rings else set())
    assert watch.codes == []
