"""The ML Test Score gives points for evidence alone: each rule says no without it, and yes only where it passed."""

from dataclasses import replace
from datetime import timedelta

import pytest

from geartrain.documents.ml_test_score import score
from geartrain.documents.prose import Note
from geartrain.documents.scoring import Points
from geartrain.domain.clause import Comparison, Stage
from geartrain.domain.contract import Cause
from geartrain.domain.events import (
    BatchIngested,
    ChallengeDecided,
    ContractAdopted,
    FindingsRecorded,
    IncidentOpened,
    ModelTrained,
    ReleaseProposed,
    RetrainingStarted,
    RolledBack,
    StageEntered,
)
from geartrain.domain.finding import Measurement, judge
from geartrain.domain.incident import FirstAction, Incident
from geartrain.domain.release import ReleaseStage
from geartrain.domain.roles import Role


def seen(facts, number: str):
    tests = [one for _, section in score(facts).sections for one in section]
    (found,) = [one.seen for one in tests if one.test.number == number]
    return found


def with_events(samples, facts, *events):
    """The facts with more events, each so many days after the start."""
    more = samples.recorded(*events)
    count = len(facts.history)
    renumbered = (
        replace(
            one, position=count + one.position, version=count + one.version, at=one.at + timedelta(days=1)
        )
        for one in more
    )
    return replace(facts, history=(*facts.history, *renumbered))


def live_finding(facts, path: str, *, kept: bool = True):
    """A clause looked at on live traffic."""
    clause = facts.contract.clause(path)
    step = (1 if kept else -1) * (1 if clause.comparison is Comparison.AT_LEAST else -1) * 0.01
    value = Measurement(
        value=clause.bound + step, low=clause.bound + step, high=clause.bound + step, rows=900
    )
    return judge(clause, value, stage=Stage.LIVE, now=facts.made_at)


def entered(facts, stage: ReleaseStage, share: float = 1.0) -> StageEntered:
    return StageEntered(product="tumour-triage", release=facts.id, stage=stage, share=share, approved_by=())


def test_there_are_28_tests_in_four_sections_of_seven(samples) -> None:
    """The paper's tests, each with a number, a question and an owner."""
    sections = score(samples.model_facts()).sections

    assert [(name, len(tests)) for name, tests in sections] == [
        ("Data", 7), ("Model", 7), ("Infrastructure", 7), ("Monitoring", 7),
    ]  # fmt: skip
    assert len({one.test.number for _, tests in sections for one in tests}) == 28


def test_without_any_evidence_no_test_is_worth_anything(samples) -> None:
    """No rule has a yes of its own: an empty ledger and no findings leave what the contract writes down, half a point."""
    nothing = {"history": (), "findings": (), "sign_offs": (), "metrics": (), "baselines": (), "tables": ()}

    facts = samples.model_facts(**nothing)

    def worth(facts) -> list[str]:
        return [
            one.test.number for _, tests in score(facts).sections for one in tests if one.seen.points.worth
        ]

    assert worth(facts) == ["D1"]
    assert worth(replace(facts, contract=replace(facts.contract, data=None))) == []
    told = score(facts)
    assert (told.total, told.reading) == (0.0, "more a research project than a product")


def test_the_score_is_the_lowest_sum(samples) -> None:
    """Three strong sections do not make up for a weak one."""
    told = score(samples.model_facts())

    assert told.total == min(points for _, points in told.sums)
    assert dict(told.sums)["Monitoring"] == told.total == 1.0


@pytest.mark.parametrize(
    ("number", "points"),
    [
        ("D1", Points.AUTOMATIC), ("D2", Points.NONE), ("D4", Points.AUTOMATIC), ("D5", Points.NONE),
        ("M1", Points.ONCE), ("M3", Points.AUTOMATIC), ("M5", Points.AUTOMATIC), ("M6", Points.AUTOMATIC),
        ("M7", Points.FAILED), ("I2", Points.ONCE), ("I3", Points.ONCE), ("I4", Points.AUTOMATIC),
        ("I6", Points.NONE), ("N2", Points.ONCE), ("N4", Points.NONE), ("N6", Points.ONCE), ("N7", Points.NONE),
    ],
)  # fmt: skip
def test_a_judged_release_that_is_not_live(samples, number: str, points: Points) -> None:
    """What a release has shown before it takes traffic, and no more."""
    assert seen(samples.model_facts(), number).points is points


def test_a_test_that_ran_and_said_no_gives_no_point(samples) -> None:
    """A simpler model that is as good, a slice that is broken: told, and worth nothing."""
    facts = samples.model_facts()
    worse = replace(facts, metrics=(replace(facts.metrics[0], value=0.2),))
    broken = replace(
        facts,
        findings=tuple(
            live_finding(facts, one.clause, kept=False)
            if one.clause == "success.recall_small_tumours"
            else one
            for one in facts.findings
        ),
    )

    assert seen(worse, "M5").points is Points.FAILED
    assert "1000 decisions cost 200, those of the simplest model 140" in seen(worse, "M5").evidence
    assert seen(broken, "M6").points is Points.FAILED
    assert Points.FAILED.worth == 0


def test_life_on_traffic_earns_the_points_of_infrastructure_and_monitoring(samples) -> None:
    """Canary, rollback, retraining, a comparison, deliveries and live findings are read from the ledger."""
    facts = samples.model_facts()
    (batch,) = [one for _, one in facts.events(BatchIngested)]
    incident = Incident(
        id="i", product="tumour-triage", cause=Cause.FEED, owner=Role.ENGINEERING, opened_at=facts.made_at,
        began_at=None, message="silent for 9 hours", first_action=FirstAction.REPAIR_FEED, signals=(),
    )  # fmt: skip
    contest = ChallengeDecided(
        product="tumour-triage", champion=facts.id, challenger="ff" * 32, promoted=True, evidence=40.0, rows=900,
        cost_per_1000_champion=140.0, cost_per_1000_challenger=100.0, reason="costs less",
    )  # fmt: skip
    back = RolledBack(product="tumour-triage", release="ff" * 32, to=facts.id, reason="exercise")
    start = RetrainingStarted(
        product="tumour-triage", trigger="calendar", champion=facts.id, since=None, until=facts.made_at
    )
    lived = with_events(
        samples,
        facts,
        (0.1, entered(facts, ReleaseStage.CANARY, 0.1)),
        (0.2, entered(facts, ReleaseStage.LIVE)),
        (0.3, batch),
        (0.4, IncidentOpened(incident=incident)),
        (0.5, start),
        (0.6, contest),
        (0.7, back),
        (0.8, back),
    )
    lived = with_events(samples, lived, (0.9, BatchIngested(batch=batch.batch)))
    lived = replace(
        lived,
        history=tuple(one for one in lived.history if one.event is not batch or one.position < 10),
        live_since=samples.start + timedelta(days=1.2),
        later=tuple(live_finding(facts, path) for path in ("success.recall", "budget.latency_p99")),
    )

    for number in ("M4", "I6", "I7", "N1", "N2", "N4", "N6", "N7"):
        assert seen(lived, number).points is Points.AUTOMATIC, (number, seen(lived, number))
    fallen = replace(lived, later=(live_finding(facts, "success.recall", kept=False),))
    assert seen(fallen, "N7").points is Points.FAILED


def test_new_features_have_a_lead_time(samples) -> None:
    """From the adoption of the contract to live, for a release that reads other columns than the one before."""
    facts = samples.model_facts()
    encoding = facts.model.encoding
    fewer = replace(
        encoding, feature_set=replace(encoding.feature_set, features=encoding.feature_set.features[:-1])
    )
    model = replace(facts.model, encoding=fewer)
    release = replace(facts.release, model=model.id, contract="b2" * 32)
    grown = with_events(
        samples,
        facts,
        (0.0, entered(facts, ReleaseStage.LIVE)),
        (1.0, ContractAdopted(product="tumour-triage", contract=release.contract, text="t")),
        (1.5, ModelTrained(id=model.id, model=model)),
        (2.0, ReleaseProposed(id=release.id, release=release)),
        (3.5, StageEntered(product="tumour-triage", release=release.id, stage=ReleaseStage.LIVE, share=1.0, approved_by=())),
    )  # fmt: skip

    assert seen(grown, "D6").points is Points.AUTOMATIC
    assert "2.5 days after its contract" in seen(grown, "D6").evidence


def test_offline_and_live_must_order_releases_alike(samples) -> None:
    """One release is a comparison; three tell whether what was measured before says anything about later."""
    facts = samples.model_facts()
    clause = facts.contract.clause("success.recall")

    def recorded(subject: str, stage: Stage, value: float) -> FindingsRecorded:
        found = judge(clause, Measurement.exact(value, rows=100), stage=stage, now=facts.made_at)
        return FindingsRecorded(
            product="tumour-triage", stage=stage, subject=subject, contract="c", findings=(found,)
        )

    def told(*pairs: tuple[float, float]):
        events = []
        for place, (sealed, live) in enumerate(pairs):
            events += [
                (0.1, recorded(f"r{place}", Stage.RELEASE, sealed)),
                (0.2, recorded(f"r{place}", Stage.LIVE, live)),
            ]
        return seen(with_events(samples, facts, *events), "M2").points

    assert told((0.97, 0.96)) is Points.ONCE
    assert told((0.97, 0.96), (0.98, 0.97), (0.99, 0.98)) is Points.AUTOMATIC
    assert told((0.97, 0.98), (0.98, 0.97), (0.99, 0.96)) is Points.FAILED


def test_what_a_named_person_did_by_hand_is_half_a_point(samples) -> None:
    """Only for this release, only with a name, and never over a test that ran and said no."""
    facts = samples.model_facts()

    def by(section: str, **changes: str) -> Note:
        return Note(document="ml-test-score", section=section, text="Measured on 2 January: 3 ms.", **changes)

    told = replace(facts, notes=(by("D3", by="Cleo", release=facts.id),))
    assert (seen(told, "D3").points, seen(told, "D3").points.worth) == (Points.BY_HAND, 0.5)
    assert "by Cleo, in prose/ml-test-score/D3.md" in seen(told, "D3").evidence
    for note in (by("D3", by="Cleo", release="99999999"), by("D3", release=facts.id), by("D3", by="Cleo")):
        assert seen(replace(facts, notes=(note,)), "D3").points is Points.NONE
    failed = replace(facts, notes=(by("M7", by="Bo", release=facts.id),))
    assert seen(failed, "M7").points is Points.FAILED
