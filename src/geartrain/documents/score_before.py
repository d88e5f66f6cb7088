"""ML Test Score, tests of data and of the model: what contract, findings and ledger show about each.

Source of the tests: Breck, Cai, Nielsen, Salib & Sculley, The ML Test Score: a rubric for
ML production readiness and technical debt reduction, IEEE Big Data 2017, sections II and
III; their wording here is ours.
"""

from __future__ import annotations

from collections.abc import Callable

from geartrain.documents.facts import DocumentFacts
from geartrain.documents.scoring import Seen, Test, automatic, by_findings, failed, nothing, once
from geartrain.documents.spelling import counted, number
from geartrain.documents.tables import expected_cost
from geartrain.domain.clause import Stage
from geartrain.domain.contract import SourceKind
from geartrain.domain.digest import short
from geartrain.domain.events import (
    BatchIngested,
    ChallengeDecided,
    ContractAdopted,
    FindingsRecorded,
    ModelTrained,
    ReleaseProposed,
    StageEntered,
)
from geartrain.domain.finding import Finding, Status
from geartrain.domain.model import Pool
from geartrain.domain.release import ReleaseStage
from geartrain.domain.roles import Role


def data_tests() -> tuple[Test, ...]:
    """D1 to D7."""
    return (
        _test("D1", "What each feature must look like is written as a schema", Role.DOMAIN, _schema),
        _test("D2", "Every feature is worth having", Role.SCIENCE, _beneficial),
        _test("D3", "No feature costs more than it brings", Role.ENGINEERING, _feature_costs),
        _test("D4", "Features keep rules about what may be used", Role.DOMAIN, _allowed),
        _test("D5", "The data pipeline protects privacy", Role.ENGINEERING, _privacy),
        _test("D6", "A new feature gets into production quickly", Role.ENGINEERING, _lead_time),
        _test("D7", "The code that makes features is tested", Role.ENGINEERING, _feature_code),
    )


def model_tests() -> tuple[Test, ...]:
    """M1 to M7."""
    return (
        _test(
            "M1", "The model's specification is reviewed and under version control", Role.SCIENCE, _reviewed
        ),
        _test("M2", "Offline metrics move with what happens live", Role.SCIENCE, _offline_and_live),
        _test("M3", "Hyper-parameters were tuned", Role.SCIENCE, _tuned),
        _test("M4", "The harm of a stale model is known", Role.SCIENCE, _stale),
        _test("M5", "A simpler model is not as good", Role.SCIENCE, _simpler),
        _test("M6", "Quality holds on every important slice", Role.DOMAIN, _slices),
        _test("M7", "The model was tested for inclusion", Role.DOMAIN, _inclusion),
    )


def _test(name: str, asks: str, owner: Role, rule: Callable[[DocumentFacts], Seen]) -> Test:
    return Test(number=name, asks=asks, owner=owner, rule=rule)


def _schema(facts: DocumentFacts) -> Seen:
    data = facts.contract.data
    if data is None:
        return nothing("the contract has no data section")
    sources = [one for one in data.sources if one.kind is not SourceKind.LABELS]
    bare = [one.name for one in sources if not one.fields]
    if bare:
        return nothing(f"the contract lists no column of {', '.join(bare)}")
    counted = sum(len(one.fields) for one in sources)
    passed = {one.batch.source for _, one in facts.events(BatchIngested)}
    if not {one.name for one in sources} <= passed:
        return once(
            f"{counted} columns are described in the contract; not every source had a delivery checked"
        )
    return automatic(
        f"{counted} columns are described in the contract, and every delivery is checked at the door"
    )


def _beneficial(facts: DocumentFacts) -> Seen:
    worth = _metric_findings(facts, "earns_its_place", "null_importance")
    return by_findings(worth, none="no promise that features earn their place was judged")


def _feature_costs(facts: DocumentFacts) -> Seen:
    del facts
    return nothing("what a single feature costs is not measured; the budget is about the whole path")


def _allowed(facts: DocumentFacts) -> Seen:
    return by_findings(
        _metric_findings(facts, "forbidden", "proxy_of"), none="no promise forbids a column or a proxy of one"
    )


def _privacy(facts: DocumentFacts) -> Seen:
    data = facts.contract.data
    marked = [one.name for source in (data.sources if data else ()) for one in source.fields if one.sensitive]
    told = f"{', '.join(marked)} marked as sensitive" if marked else "no column is marked as sensitive"
    return nothing(f"{told} in the contract; no test of access or of leaving it out is recorded")


def _lead_time(facts: DocumentFacts) -> Seen:
    """From the contract's adoption, or the previous release, to live with other features than before."""
    encodings = {one.id: one.model.encoding.feature_set.id for _, one in facts.events(ModelTrained)}
    encodings[facts.model.id] = facts.model.encoding.feature_set.id
    models = {one.id: one.release.model for _, one in facts.events(ReleaseProposed)}
    adopted = {one.contract: recorded.at for recorded, one in facts.events(ContractAdopted)}
    contracts = {one.id: one.release.contract for _, one in facts.events(ReleaseProposed)}
    before: str | None = None
    for recorded, one in facts.events(StageEntered):
        if one.stage is not ReleaseStage.LIVE:
            continue
        now = encodings.get(models.get(one.release, ""))
        began = adopted.get(contracts.get(one.release, ""))
        if before is not None and now is not None and now != before and began is not None:
            days = (recorded.at - began).total_seconds() / 86_400
            return automatic(
                f"release {short(one.release)} went live with other features {number(days)} days after its contract"
            )
        before = now or before
    return nothing("no release with other features than the one before went live")


def _feature_code(facts: DocumentFacts) -> Seen:
    del facts
    return nothing("tests of the team's own features.py are not in the ledger")


def _reviewed(facts: DocumentFacts) -> Seen:
    signed = {one.role for one in facts.sign_offs}
    absent = [role for role in facts.needed if role not in signed]
    if facts.needed and not absent:
        named = ", ".join(f"{one.role} {one.person}" for one in facts.sign_offs)
        return automatic(f"contract, data, model and evidence are one signed id: {named}")
    if signed:
        return once(f"signed by {', '.join(sorted(signed))}; still to sign: {', '.join(absent)}")
    return nothing("nobody has signed this release")


def _offline_and_live(facts: DocumentFacts) -> Seen:
    """Whether one clause, measured on sealed rows and live, orders the releases alike."""
    pairs: dict[str, dict[str, tuple[float, float]]] = {}
    sealed: dict[tuple[str, str], float] = {}
    for _, one in facts.events(FindingsRecorded):
        for found in one.findings:
            if found.value is None or not found.clause.startswith("success."):
                continue
            if one.stage is Stage.RELEASE:
                sealed[one.subject, found.clause] = found.value
            elif one.stage is Stage.LIVE and (one.subject, found.clause) in sealed:
                pairs.setdefault(found.clause, {})[one.subject] = (
                    sealed[one.subject, found.clause],
                    found.value,
                )
    if not pairs:
        return nothing("no promise was measured both on sealed rows and live")
    clause, seen = max(pairs.items(), key=lambda pair: (len(pair[1]), pair[0]))
    values = list(seen.values())
    if len(values) < 3:
        return once(
            f"{clause}: compared in {counted(len(values), 'release')} only; offline {number(values[0][0])}, live {number(values[0][1])}"
        )
    agree = sum(
        (a[0] - b[0]) * (a[1] - b[1]) > 0 for place, a in enumerate(values) for b in values[place + 1 :]
    )
    asked = len(values) * (len(values) - 1) // 2
    told = f"{clause}: offline and live put {agree} of {asked} pairs of releases in the same order"
    return automatic(told) if 2 * agree > asked else failed(told)


def _tuned(facts: DocumentFacts) -> Seen:
    tried = {one.trial.params for one in facts.trials if one.trial.pool is Pool.SEARCH}
    if len(tried) < 2:
        return nothing(f"{counted(len(tried), 'setting')} tried on these rows under this contract")
    return automatic(f"{len(tried)} settings were tried and recorded on these rows under this contract")


def _stale(facts: DocumentFacts) -> Seen:
    tests = [one for _, one in facts.events(ChallengeDecided)]
    if not tests:
        return nothing("no older model was compared with a newer one on the same traffic")
    last = tests[-1]
    return automatic(
        f"{counted(len(tests), 'comparison')} of an older with a newer model; the last: {number(last.cost_per_1000_champion)}"
        f" against {number(last.cost_per_1000_challenger)} {facts.currency} per 1000 decisions"
    )


def _simpler(facts: DocumentFacts) -> Seen:
    ours = expected_cost(facts)
    simple = next((one for one in facts.baselines if one.name == "simplest-model"), None)
    if ours is None or ours.value is None or simple is None or simple.value is None:
        return nothing("the simplest model was not measured beside it")
    told = f"1000 decisions cost {number(1000 * ours.value)}, those of the simplest model {number(1000 * simple.value)}"
    return automatic(told) if ours.value < simple.value else failed(told)


def _slices(facts: DocumentFacts) -> Seen:
    sliced = [one for one in facts.findings if (clause := facts.clause(one)) is not None and clause.where]
    return by_findings(sliced, none="no promise is about a slice of the rows")


def _inclusion(facts: DocumentFacts) -> Seen:
    return by_findings(facts.section("fairness"), none="no fairness promise was judged")


def _metric_findings(facts: DocumentFacts, *metrics: str) -> tuple[Finding, ...]:
    return tuple(
        one
        for one in facts.findings
        if (clause := facts.clause(one)) is not None
        and clause.metric in metrics
        and one.status is not Status.NOT_MEASURED
    )
