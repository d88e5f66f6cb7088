"""What an incident teaches the contract: each cause its own kind of change, and nothing that was not seen."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from tests.living.shop import CONTRACT

from geartrain.contract.diff import ChangeKind
from geartrain.domain.clause import Severity, Stage
from geartrain.domain.contract import Cause
from geartrain.domain.finding import Measurement, Status, judge
from geartrain.domain.incident import FirstAction, Incident, Segment, Signal
from geartrain.domain.roles import Role
from geartrain.engine.adopted import read_contract_text
from geartrain.engine.incident_drafts import drafts_of
from geartrain.monitoring.profiling import build

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TEXT = CONTRACT + "retraining: {on_alarm: false, every: 40 days}\n"
AGREED = read_contract_text(TEXT)
PROFILE = build(
    pl.DataFrame({"pages": np.linspace(0.0, 93.2, 400), "device": ["phone", "desk"] * 200}).to_arrow()
)


def _incident(cause, *signals, segments=()):
    return Incident(
        id="f" * 64, product="shop", cause=cause, owner=Role.SCIENCE, opened_at=NOW, began_at=None,
        message="something changed", first_action=FirstAction.WATCH, segments=segments,
        signals=tuple(
            Signal(kind=kind, about=about, measure="", size=1.0, evidence=100.0, since=None, rows=9, message="seen")
            for kind, about in signals
        ),
    )  # fmt: skip


def _drafts(incident, *, text=TEXT, findings=None, profile=PROFILE):
    return drafts_of(read_contract_text(text), text, incident, findings=findings or {}, profile=profile)


def _cost(value, low, high):
    clause = AGREED.clause("success.expected_cost")
    measured = Measurement(value=value, low=low, high=high, confidence=0.95, rows=400, method="exact")
    return {clause.path: judge(clause, measured, stage=Stage.LIVE, now=NOW)}


def test_a_changed_unit_suggests_the_range_that_the_model_learned_from():
    """The rule of the door takes the place of a wider one; reason and diff name the incident and the change."""
    (draft,) = _drafts(_incident(Cause.COLUMN, ("unit", "pages")))
    assert draft.path == "data.sources.visits.fields.pages"
    assert draft.values == (("min", "0"), ("max", "94"))
    (field,) = [
        one for one in read_contract_text(draft.text).data.source("visits").fields if one.name == "pages"
    ]
    assert (field.minimum, field.maximum, field.required) == (0, 94, True)
    assert "incident ffffffffffff (column): something changed" in draft.reason
    assert len(draft.change.changes) >= 1
    assert all("pages" in one.path for one in draft.change.changes)
    assert _drafts(_incident(Cause.COLUMN, ("unit", "pages")), profile=None) == ()


def test_missing_values_suggest_that_a_row_needs_its_value():
    """Only where the contract does not ask for it already, and only for columns that it knows."""
    seen = _incident(Cause.COLUMN, ("nulls", "device"), ("nulls", "pages"), ("nulls", "clicks_count_7d"))
    (draft,) = _drafts(seen)
    assert (draft.path, draft.values) == ("data.sources.visits.fields.device", (("required", "true"),))


def test_new_names_suggest_the_ones_that_were_known():
    """A column without a list of values gets the one that the live model learned from."""
    free = TEXT.replace("device: {type: string, values: [phone, desk]}", "device: {type: string}")
    (draft,) = _drafts(_incident(Cause.POPULATION, ("new-category", "device")), text=free)
    assert draft.path == "data.sources.visits.fields.device"
    fields = {one.name: one for one in read_contract_text(draft.text).data.source("visits").fields}
    assert fields["device"].values == ("desk", "phone")
    assert _drafts(_incident(Cause.POPULATION, ("new-category", "device"))) == ()


def test_other_cases_suggest_a_promise_for_them_alone():
    """The promise about cost is made where the segment says; segments that no column can say are left out."""
    told = Segment(words="`pages` is above 60", where="`pages` > 60", rows=200, share=0.4, before=0.1)
    lost = replace(told, where="")
    feature = replace(told, where="`clicks_count_7d` > 2")
    (draft,) = _drafts(_incident(Cause.POPULATION, ("drift", "pages"), segments=(told, lost, feature)))
    (change,) = draft.change.changes
    clause = read_contract_text(draft.text).clause(change.path)
    assert (change.kind, clause.metric, clause.where, clause.bound) == (
        ChangeKind.ADDED, "expected_cost", "`pages` > 60", 5.0,
    )  # fmt: skip
    assert clause.severity is Severity.BLOCK
    assert "40% of all since incident" in clause.because


def test_a_changed_concept_suggests_a_bound_that_can_be_kept_and_retraining():
    """The new bound is kept by what broke the old one; where nothing broke, only the trigger is suggested."""
    findings = _cost(7.1, 6.2, 8.04)
    bound, trigger = _drafts(_incident(Cause.CONCEPT, ("cost", "expected_cost")), findings=findings)
    clause = read_contract_text(bound.text).clause("success.expected_cost")
    assert clause.bound == pytest.approx(8.1)
    found = findings[clause.path]
    again = Measurement(
        value=found.value, low=found.low, high=found.high, confidence=0.95, rows=400, method="exact"
    )
    assert judge(clause, again, stage=Stage.LIVE, now=NOW).status is Status.KEPT
    assert read_contract_text(trigger.text).retraining.on_alarm
    (only,) = _drafts(_incident(Cause.CONCEPT, ("cost", "expected_cost")), findings=_cost(4.0, 3.0, 4.5))
    assert only.path == "retraining"


def test_a_calendar_is_shortened_where_alarms_retrain_already():
    """Half as long, and never shorter than the cool-down."""
    alarms = TEXT.replace("on_alarm: false", "on_alarm: true")
    (draft,) = _drafts(_incident(Cause.CONCEPT, ("cost", "expected_cost")), text=alarms)
    assert draft.values == (("every", "20 days"),)
    often = alarms.replace("every: 40 days", "every: 7 days")
    assert _drafts(_incident(Cause.CONCEPT, ("cost", "expected_cost")), text=often) == ()


@pytest.mark.parametrize("cause", [Cause.FEED, Cause.LABEL_FEED, Cause.MODEL])
def test_what_is_repaired_changes_no_promise(cause):
    """A feed that broke is no reason to promise anything else."""
    assert _drafts(_incident(cause, ("nulls", "device"), ("cost", "expected_cost"))) == ()
