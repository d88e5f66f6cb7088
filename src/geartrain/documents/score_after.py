"""ML Test Score, tests of infrastructure and monitoring; source as in `score_before`, sections IV and V."""

from __future__ import annotations

from collections.abc import Callable

from geartrain.documents.facts import DocumentFacts
from geartrain.documents.scoring import Seen, Test, automatic, by_findings, nothing, once
from geartrain.documents.spelling import counted
from geartrain.domain.clause import Stage
from geartrain.domain.contract import Cause
from geartrain.domain.digest import short
from geartrain.domain.events import (
    BatchIngested,
    FindingsRecorded,
    IncidentOpened,
    ModelTrained,
    Refused,
    ReleaseProposed,
    RetrainingStarted,
    RolledBack,
    SnapshotTaken,
    StageEntered,
    TrialRecorded,
)
from geartrain.domain.finding import Status
from geartrain.domain.release import ReleaseStage
from geartrain.domain.roles import Role

_ON_TRAFFIC = (ReleaseStage.SHADOW, ReleaseStage.CANARY, ReleaseStage.LIVE)
_UPSTREAM = (Cause.FEED, Cause.COLUMN, Cause.LABEL_FEED)


def infrastructure_tests() -> tuple[Test, ...]:
    """I1 to I7."""
    return (
        _test("I1", "Training twice on the same data gives the same model", Role.SCIENCE, _reproducible),
        _test("I2", "The model's specification has tests of its own", Role.SCIENCE, _specification),
        _test("I3", "The whole pipeline is tested in one piece", Role.ENGINEERING, _pipeline),
        _test("I4", "Quality is checked before a model is served", Role.SCIENCE, _gate),
        _test("I5", "A single decision can be followed step by step", Role.ENGINEERING, _debugged),
        _test("I6", "A model meets a part of the traffic before all of it", Role.ENGINEERING, _canary),
        _test("I7", "Going back to an earlier model is quick and was tried", Role.ENGINEERING, _rollback),
    )


def monitoring_tests() -> tuple[Test, ...]:
    """N1 to N7."""
    return (
        _test("N1", "A change upstream is noticed and told", Role.ENGINEERING, _upstream),
        _test(
            "N2",
            "What must be true of the data holds in training and in serving",
            Role.ENGINEERING,
            _invariants,
        ),
        _test("N3", "Training and serving compute the same features", Role.ENGINEERING, _skew),
        _test("N4", "The model is not too old", Role.SCIENCE, _age),
        _test("N5", "Numbers stay finite in training and in serving", Role.SCIENCE, _finite),
        _test("N6", "Speed, throughput and memory have not got worse", Role.ENGINEERING, _speed),
        _test("N7", "The quality of live decisions has not got worse", Role.SCIENCE, _quality),
    )


def _test(name: str, asks: str, owner: Role, rule: Callable[[DocumentFacts], Seen]) -> Test:
    return Test(number=name, asks=asks, owner=owner, rule=rule)


def _reproducible(facts: DocumentFacts) -> Seen:
    del facts
    return nothing("no second training with the same seed and rows is in the ledger to compare with")


def _specification(facts: DocumentFacts) -> Seen:
    cases = [
        one
        for one in facts.findings
        if (clause := facts.clause(one)) is not None and clause.metric == "cases"
    ]
    seen = by_findings(
        cases, none="the contract holds no known cases, and tests of model.py are not in the ledger"
    )
    # The expert's cases test the fitted model; the code that specifies it may still be wrong elsewhere.
    return once(f"in part: {seen.evidence}") if seen.points.worth else seen


def _pipeline(facts: DocumentFacts) -> Seen:
    """How many releases came from the door to the proposal with each step in the ledger."""
    doors = {one.batch.source for _, one in facts.events(BatchIngested)}
    taken = {one.id for _, one in facts.events(SnapshotTaken)}
    trained = {one.id for _, one in facts.events(ModelTrained)}
    tried = {one.trial.snapshot for _, one in facts.events(TrialRecorded)}
    judged = {one.subject for _, one in facts.events(FindingsRecorded) if one.stage is Stage.RELEASE}
    whole = [
        one.id
        for _, one in facts.events(ReleaseProposed)
        if doors
        and one.release.snapshot in taken
        and one.release.snapshot in tried
        and one.id in judged
        and (one.release.model in trained or one.id == facts.id)
    ]
    if facts.id not in whole:
        return nothing("the ledger does not hold every step from a delivery to this release")
    if len(whole) == 1:
        return once("this release came whole through the pipeline, from a delivery to the proposal, once")
    return automatic(
        f"{len(whole)} releases came whole through the pipeline, from a delivery to the proposal"
    )


def _gate(facts: DocumentFacts) -> Seen:
    judged = [
        recorded
        for recorded, one in facts.events(FindingsRecorded)
        if one.subject == facts.id and one.stage is Stage.RELEASE
    ]
    if not judged:
        return nothing("no findings about this release were recorded before its proposal")
    entered = [
        recorded
        for recorded, one in facts.events(StageEntered)
        if one.release == facts.id and one.stage in _ON_TRAFFIC
    ]
    if entered and entered[0].position < judged[0].position:
        return nothing("the release took traffic before it was judged")
    blocking = [one for one in facts.findings if one.blocks and facts.waiver(one.clause) is None]
    stopped = f"; {len(blocking)} promises still stop it" if blocking else ""
    return automatic(f"judged on {judged[0].at:%Y-%m-%d}, before any traffic{stopped}")


def _debugged(facts: DocumentFacts) -> Seen:
    del facts
    return nothing("nobody has recorded that a decision was followed step by step")


def _canary(facts: DocumentFacts) -> Seen:
    entered = [
        (recorded, one)
        for recorded, one in facts.events(StageEntered)
        if one.release == facts.id and one.stage in (ReleaseStage.SHADOW, ReleaseStage.CANARY)
    ]
    if entered:
        words = ", ".join(f"{one.stage} on {recorded.at:%Y-%m-%d}" for recorded, one in entered)
        return automatic(f"this release went through {words}")
    planned = facts.contract.release.rollout if facts.contract.release else ()
    return nothing(
        f"the contract plans {len(planned)} steps; this release has entered none of them"
        if planned
        else "the contract plans no shadow and no canary"
    )


def _rollback(facts: DocumentFacts) -> Seen:
    done = [(recorded, one) for recorded, one in facts.events(RolledBack)]
    if not done:
        return nothing("no release was ever rolled back, not even as an exercise")
    recorded, last = done[-1]
    told = f"rolled back on {recorded.at:%Y-%m-%d} to {short(last.to)}: {last.reason}"
    return automatic(told) if len(done) > 1 else once(told)


def _upstream(facts: DocumentFacts) -> Seen:
    called = [one.incident for _, one in facts.events(IncidentOpened) if one.incident.cause in _UPSTREAM]
    if called:
        last = called[-1]
        return automatic(
            f"{counted(len(called), 'incident')} upstream; the last called {last.owner}: {last.message}"
        )
    watched = [one for one in facts.section("data", Stage.LIVE) if one.status is not Status.NOT_MEASURED]
    if watched:
        return automatic(f"{len(watched)} promises about feeds were looked at on live traffic")
    return nothing("no feed was watched while this release was live, and no incident upstream was opened")


def _invariants(facts: DocumentFacts) -> Seen:
    taken = facts.snapshot
    batches = [recorded.at for recorded, _ in facts.events(BatchIngested)]
    if taken is None or not batches:
        return nothing("no delivery passed the door")
    later = [at for at in batches if facts.live_since is not None and at >= facts.live_since]
    if later:
        return automatic(
            f"{len(batches)} deliveries were checked by the same rules, {len(later)} of them since it went live"
        )
    return once(
        f"{counted(len(batches), 'delivery', 'deliveries')} checked before training; none since it went live"
    )


def _skew(facts: DocumentFacts) -> Seen:
    found = [
        one for one in facts.later if (clause := facts.clause(one)) is not None and "skew" in clause.metric
    ]
    return by_findings(found, none="no comparison of logged and recomputed features is in the ledger")


def _age(facts: DocumentFacts) -> Seen:
    terms = facts.contract.retraining
    if terms is None:
        return nothing("the contract does not say how old a model may get")
    asked = [one for _, one in facts.events(RetrainingStarted)]
    refused = [one for _, one in facts.events(Refused) if "retrain" in one.what]
    if asked or refused:
        return automatic(
            f"the policy was asked and acted: {len(asked)} retrainings, {len(refused)} refusals with a reason"
        )
    return nothing("the contract has a retraining policy; it has not yet answered anything")


def _finite(facts: DocumentFacts) -> Seen:
    corrupted = [
        one
        for one in facts.findings
        if (clause := facts.clause(one)) is not None and clause.metric == "robust_to"
    ]
    seen = by_findings(corrupted, none="no promise about missing or corrupted input was judged")
    # Answers that hold under corrupted input are one half; numbers inside of training are the other.
    return once(f"in part: {seen.evidence}") if seen.points.worth else seen


def _speed(facts: DocumentFacts) -> Seen:
    live = facts.section("budget", Stage.LIVE)
    if any(one.status is not Status.NOT_MEASURED for one in live):
        return by_findings(live, none="")
    seen = by_findings(facts.section("budget"), none="no promise of the budget was measured")
    return once(f"{seen.evidence}; not measured on live traffic") if seen.points.worth else seen


def _quality(facts: DocumentFacts) -> Seen:
    return by_findings(
        facts.section("success", Stage.LIVE),
        none="no promise of success was measured on live traffic with labels",
    )
