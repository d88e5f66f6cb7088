"""A run's facts, invented, with every part of a report filled."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from geartrain.contract.parsing import parse
from geartrain.contract.wording import in_words
from geartrain.documents.chart_nouns import (
    EventKind,
    LineChart,
    ReliabilityBin,
    ReliabilityChart,
    Series,
    TimelineEvent,
)
from geartrain.documents.facts import DocumentFacts, MetricLine
from geartrain.documents.report_nouns import (
    DecisionExample,
    Fact,
    FindingRow,
    MonitorLine,
    PolicySeries,
    ProductSection,
    PromiseLine,
    ReplaySection,
    RunReport,
    StageNote,
    VariantRow,
)
from geartrain.domain.clause import Clause, Comparison, Severity, Stage
from geartrain.domain.contract import Contract
from geartrain.domain.data import Batch, Snapshot, SourceVersion
from geartrain.domain.events import (
    BatchIngested,
    ContractAdopted,
    Event,
    FindingsRecorded,
    ModelTrained,
    Recorded,
    ReleaseProposed,
    SnapshotTaken,
    TrialRecorded,
    VariantMeasured,
)
from geartrain.domain.explanation import Curve, CurvePoint, Explanation, Share, Silent
from geartrain.domain.features import Encoding
from geartrain.domain.finding import Finding, Measurement, judge
from geartrain.domain.groups import GroupFigure, GroupRow, GroupTable, WidestGap
from geartrain.domain.model import ModelVersion, Parity, Pool, Speed, Trial
from geartrain.domain.prediction import Decision
from geartrain.domain.release import BundleFile, Release, ReleaseStage, SignOff, Waiver
from geartrain.domain.roles import Role
from geartrain.features.checking import default_features

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "tumour-triage"
#: The example itself promises nothing about groups: its data name none.
FAIRNESS = """
fairness:
  clinics:
    groups: "`worst radius` > 16"
    definition: equal_opportunity
    at_most: 0.2
    because: large and small tumours are found alike
  old_and_young:
    groups: "`worst texture` > 25"
    definition: equal_opportunity
    at_most: 0.2
    because: every clinic is served alike
"""

START = datetime(2026, 1, 1, tzinfo=UTC)
RELEASE = "ab" * 32


def finding(
    path: str = "success.recall", value: float | None = 0.97, half: float = 0.02, **changes
) -> Finding:
    terms = {"metric": "recall", "comparison": Comparison.AT_LEAST, "bound": 0.95, "owner": Role.DOMAIN}
    clause = Clause(path=path, **(terms | changes))
    seen = None
    if value is not None:
        seen = Measurement(
            value=value, low=value - half, high=value + half, rows=171, relevant=64, method="Clopper-Pearson"
        )
    return judge(clause, seen, stage=Stage.RELEASE, now=START)


def policy(
    name: str, level: float, *, product: bool = False, days: int = 120, seed: float = 0.0
) -> PolicySeries:
    """A cost that rises in the middle; the product's comes down again."""
    points = []
    for day in range(0, days, 3):
        rise = 1 + 0.9 / (1 + math.exp(-(day - 60) / 4)) * (math.exp(-max(0, day - 75) / 8) if product else 1)
        points.append((START + timedelta(days=day), level * rise * (1 + 0.06 * math.sin(day * 0.9 + seed))))
    band = tuple((at, value * 0.88, value * 1.12) for at, value in points) if product else ()
    total = sum(value for _, value in points) * 24
    return PolicySeries(
        name=name,
        cost_per_1000=tuple(points),
        band=band,
        decisions=24_000 * len(points),
        total=total,
        total_low=total * 0.95,
        total_high=total * 1.05,
        product=product,
        words=f"what {name} does",
    )


def events() -> tuple[TimelineEvent, ...]:
    def one(day: float, kind: EventKind, title: str, detail: str = "", who: str = "") -> TimelineEvent:
        return TimelineEvent(at=START + timedelta(days=day), kind=kind, title=title, detail=detail, who=who)

    return (
        one(7, EventKind.RELEASE, "First release goes live", "All four roles signed.", "Paula Prada"),
        one(
            31,
            EventKind.INCIDENT,
            "The terminal feed fell silent",
            "For eleven hours; the fallback decided.",
            "engineering",
        ),
        one(58, EventKind.DRIFT, "Spending habits change"),
        one(66, EventKind.INCIDENT, "Cost alarm", "Expected cost rose by 80%.", "domain"),
        one(67, EventKind.REFIT, "Retraining on the last 40 days"),
        one(
            69, EventKind.REFUSAL, "The new model is not promoted", "Labels of the new pattern were immature."
        ),
        one(72, EventKind.REFIT, "Retraining again"),
        one(74, EventKind.RELEASE, "Second release goes live", "Challenger won the paired test."),
        one(95, EventKind.DRIFT, "New attack pattern"),
        one(95.5, EventKind.DRIFT, "New attack pattern spreads"),
        one(101, EventKind.ROLLBACK, "Rolled back", "Two clauses broke in canary."),
    )


def replay() -> ReplaySection:
    return ReplaySection(
        words="Four months of traffic on a virtual clock, through the real code.",
        currency="EUR",
        policies=(
            policy("card-fraud", 210, product=True),
            policy("never retrain", 240, seed=1.0),
            policy("retrain every 30 days", 225, seed=2.0),
            policy("always accept", 560, seed=3.0),
        ),
        events=events(),
    )


def section(**changes) -> ProductSection:
    facts = {
        "name": "tumour-triage",
        "title": "Breast tumour triage",
        "problem": "Which patients need a biopsy now, and which can be followed up?",
        "lead": "It costs a seventh of today's rule. One promise cannot be proven with 569 patients; the tumour board waived it.",
        "outcome": "live, with one waiver",
        "currency": "needless biopsies",
        "facts": (
            Fact(name="cost against today", value="0.14", note="promised at most 0.25"),
            Fact(name="missed tumours", value="1.6%"),
            Fact(name="p99 of an answer", value="0.9 ms"),
            Fact(name="artifact", value="41 kB"),
        ),
        "stages": (StageNote(stage="data", words="569 rows taken, none refused", seconds=0.31),),
        "promises": (
            PromiseLine(clause="success.recall", owner=Role.DOMAIN, sentence="recall is at least 0.95, because a missed tumour is found too late"),
            PromiseLine(clause="budget.latency_p99", owner=Role.ENGINEERING, sentence="99 of 100 answers take at most 5 ms"),
        ),
        "silent": ("fairness",),
        "findings": (
            FindingRow(finding=finding(value=0.984, half=0.014), promise="tumours found", because="a missed tumour is found too late"),
            FindingRow(finding=finding("success.recall_small", 0.96, 0.06), promise="small tumours found", counted="small malignant tumours", waived=True),
            FindingRow(finding=finding("budget.latency_p99", 0.9, 0.0, metric="latency_p99", comparison=Comparison.AT_MOST, bound=5.0, unit="ms", owner=Role.ENGINEERING)),
            FindingRow(finding=finding("success.calibration", 0.12, 0.02, comparison=Comparison.AT_MOST, bound=0.08, owner=Role.SCIENCE, severity=Severity.WARN)),
            FindingRow(finding=finding("fairness.size", None)),
        ),
        "variants": (
            VariantRow(name="reference, 400 trees", p50_us=320, p99_us=610, size_bytes=1_200_000, cost=0.41, cost_low=0.33, cost_high=0.5, decisions_agree=1.0, clauses_kept=12, clauses=14, front=True, verdict="too large"),
            VariantRow(name="first 90 trees", p50_us=61, p99_us=120, size_bytes=212_000, cost=0.42, cost_low=0.34, cost_high=0.51, decisions_agree=0.994, clauses_kept=13, clauses=14, front=True, chosen=True, verdict="not inferior by more than 0.02"),
            VariantRow(name="logistic regression", p50_us=9, p99_us=21, size_bytes=9_000, cost=0.71, cost_low=0.6, cost_high=0.85, decisions_agree=0.95, clauses_kept=10, clauses=14, front=True, verdict="costs more"),
            VariantRow(name="float16", p50_us=300, p99_us=640, size_bytes=700_000, cost=0.46, decisions_agree=0.99, clauses_kept=12, clauses=14, verdict="beaten"),
        ),
        "reliability": ReliabilityChart(
            title="Is 10% really 10 in 100?",
            description="Predicted probability against how often it came true, in five bins.",
            bins=tuple(ReliabilityBin(predicted=p, observed=o, low=max(0, o - w), high=min(1, o + w), rows=n) for p, o, w, n in ((0.02, 0.01, 0.02, 90), (0.2, 0.25, 0.15, 12), (0.5, 0.4, 0.2, 8), (0.8, 0.9, 0.12, 14), (0.98, 0.97, 0.04, 47))),
            threshold=1 / 51,
        ),
        "release": RELEASE,
        "needed": (Role.PRODUCT, Role.DOMAIN, Role.ENGINEERING, Role.SCIENCE),
        "sign_offs": (
            SignOff(release=RELEASE, role=Role.PRODUCT, person="Paula Prada", signed_at=START),
            SignOff(release=RELEASE, role=Role.DOMAIN, person="Dr. Dana Okafor", signed_at=START, reason="with the waiver below"),
        ),
        "waivers": (
            Waiver(release=RELEASE, clause="success.recall_small", reason="300 more samples arrive by the summer; until then two pathologists read every small tumour", role=Role.DOMAIN, person="Dr. Dana Okafor", granted_at=START, expires_at=START + timedelta(days=180)),
        ),
        "example": DecisionExample(
            request=(("worst radius", "25.4"), ("worst concavity", "0.71")),
            decision=Decision(id="d-1", product="tumour-triage", release=RELEASE, key="s-1", decided_at=START, action="biopsy", probabilities=(("benign", 0.004), ("malignant", 0.996)), expected_cost=0.004, reasons=("worst radius is far above most samples",)),
            answered_in_ms=0.83,
            truth="malignant",
        ),
        "monitors": (
            MonitorLine(watches="cost of decisions, from labels", state="0.42 a decision", guarantee="a false alarm ever: at most 1 in 100"),
            MonitorLine(watches="worst radius", state="moved by 0.4 standard deviations", guarantee="1 false alarm a year", alarmed=True),
        ),
    }  # fmt: skip
    return ProductSection(**(facts | changes))


def report(*products: ProductSection) -> RunReport:
    second = section(
        name="card-fraud", title="Card fraud", problem="Which payments should be stopped?", lead="",
        outcome="live, retrained once", replay=replay(), variants=(), reliability=None, example=None, waivers=(),
    )  # fmt: skip
    return RunReport(
        title="Two products, from a promise to the day the world changed",
        lead="One was built on 569 patients, one lives on a stream of payments.",
        made_at=datetime(2026, 5, 4, 12, 30, tzinfo=UTC),
        products=products or (section(), second),
        next_steps=(Fact(name="keep everything running", value="make up"),),
        colophon=(Fact(name="seed", value="7"), Fact(name="geartrain", value="0.1.0")),
    )


def contract_of(text: str = "", *, replacing: tuple[tuple[str, str], ...] = ()) -> Contract:
    """The contract of the tumour example with two fairness promises, words replaced."""
    text = text or (EXAMPLE / "product.yaml").read_text(encoding="utf-8") + FAIRNESS
    for old, new in replacing:
        assert old in text
        text = text.replace(old, new)
    return parse(text)


def evidence_for(contract: Contract) -> tuple[Finding, ...]:
    """A finding for every clause: fine ones, one broken, one unproven, one not measured."""
    found = []
    for clause in contract.clauses:
        bound, better = clause.bound, 1 if clause.comparison is Comparison.AT_LEAST else -1
        seen: Measurement | None = Measurement(
            value=bound + better * 0.02, low=bound + better * 0.02 - 0.01, high=bound + better * 0.02 + 0.01,
            rows=171, relevant=64, method="Clopper-Pearson",
        )  # fmt: skip
        match clause.path:
            case "success.recall":
                seen = Measurement(
                    value=0.96, low=0.92, high=0.99, rows=171, relevant=64, method="Clopper-Pearson"
                )
            case "success.calibration_error":
                seen = Measurement(value=0.12, low=0.1, high=0.14, rows=171)
            case "fairness.old_and_young":
                seen = None
            case path if path.startswith(("budget", "plausibility.no_identity")):
                seen = Measurement.exact(clause.bound * 0.5)
        found.append(judge(clause, seen, stage=Stage.RELEASE, now=START, reason="too few rows"))
    return tuple(found)


def recorded(*events: tuple[float, Event], product: str = "tumour-triage") -> tuple[Recorded, ...]:
    """Events as a ledger holds them, each so many days after the start."""
    return tuple(
        Recorded(
            position=place, stream=f"product/{product}", version=place, at=START + timedelta(days=day),
            actor="geartrain", event=event, previous="0" * 64, hash=f"{place:064x}",
        )
        for place, (day, event) in enumerate(events, start=1)
    )  # fmt: skip


def encoding_of(contract: Contract) -> Encoding:
    features = default_features(contract)
    return Encoding(feature_set=features, columns=tuple(one.name for one in features.features))


def model_facts(*, contract: Contract | None = None, **changes) -> DocumentFacts:
    """The facts of a release that was judged and signed by two of four, and is not live yet."""
    contract = contract or contract_of()
    snapshot = Snapshot(
        product="tumour-triage", known_at=START, sources=(SourceVersion(source="samples", rows=569, content="ef" * 32),)
    )  # fmt: skip
    model = ModelVersion(
        product="tumour-triage", task=contract.decision.task, classes=contract.decision.classes, algorithm="lightgbm",
        params=(("num_leaves", 15),), seed=7, contract=contract.id, snapshot=snapshot.id, encoding=encoding_of(contract),
        trial="t", artifact="0a" * 32, variant="first 90 trees",
    )  # fmt: skip
    release = Release(
        product="tumour-triage", contract=contract.id, snapshot=snapshot.id, model=model.id, evidence="e",
        bundle=(BundleFile(path="model.onnx", size_bytes=212_000, sha256="0a" * 32),),
    )  # fmt: skip
    findings = evidence_for(contract)
    batch = Batch(
        id="b", product="tumour-triage", source="samples", rows=570, accepted=569, quarantined=1, duplicates=0, arrived_at=START
    )  # fmt: skip
    trials = [
        Trial(
            contract=contract.id, snapshot=snapshot.id, features="f", code="c", algorithm="lightgbm",
            params=(("num_leaves", leaves),), seed=7, pool=Pool.SEARCH, metric="expected_cost", score=0.1, rows=284,
        )
        for leaves in (7, 15, 31)
    ]  # fmt: skip
    speed = Speed(
        p50_us=61, p99_us=120, rows_per_s=1e5, size_bytes=212_000, memory_bytes=3_000_000, repeats=2000
    )
    history = recorded(
        (0.0, ContractAdopted(product="tumour-triage", contract=contract.id, text="y")),
        (0.1, BatchIngested(batch=batch)),
        (0.2, SnapshotTaken(snapshot=snapshot, id=snapshot.id)),
        *((0.3, TrialRecorded(product="tumour-triage", id=one.id, trial=one)) for one in trials),
        (0.4, ModelTrained(id=model.id, model=model)),
        (0.4, VariantMeasured(product="tumour-triage", model=model.id, reference="r", speed=speed,
                              parity=Parity(decisions_agree=0.994, largest_change=0.01, rows=171), chosen=True,
                              reason="not inferior by more than 0.02")),
        (0.5, FindingsRecorded(product="tumour-triage", stage=Stage.RELEASE, subject=release.id, contract=contract.id,
                               findings=findings)),
        (0.6, ReleaseProposed(id=release.id, release=release)),
    )  # fmt: skip

    def signed(role: Role, person: str, reason: str = "") -> SignOff:
        return SignOff(release=release.id, role=role, person=person, signed_at=START, reason=reason)

    facts = {
        "made_at": START + timedelta(days=3), "made_with": "0.1.0", "contract": contract, "release": release, "model": model,
        "stage": ReleaseStage.PROPOSED, "proposed_at": START, "adopted": contract.id, "needed": tuple(Role),
        "sign_offs": (signed(Role.PRODUCT, "Paula Prada"), signed(Role.DOMAIN, "Dr. Dana Okafor", "with the waiver below")),
        "waivers": (
            Waiver(release=release.id, clause="success.recall", reason="300 more samples arrive by the summer",
                   role=Role.DOMAIN, person="Dr. Dana Okafor", granted_at=START, expires_at=START + timedelta(days=180)),
        ),
        "findings": findings, "promises": tuple(
            PromiseLine(clause=one.path, owner=one.owner, sentence=one.sentence.rsplit(" (", maxsplit=1)[0])
            for one in in_words(contract)
        ),
        "metrics": (MetricLine(name="expected_cost", value=0.11, low=0.08, high=0.15, rows=171),),
        "baselines": (MetricLine(name="always-biopsy", value=0.63, low=0.55, high=0.7, rows=171),
                      MetricLine(name="simplest-model", value=0.14, low=0.1, high=0.2, rows=171)),
        "robustness": (MetricLine(name="worst radius missing in every row", value=0.4, low=0.2, high=0.7, rows=171),),
        "tables": (group_table(),), "explanation": explanation(), "thresholds": (("malignant", 1 / 51),), "rows": 171,
        "python": "3.12", "platform": "linux x86_64", "packages": (("lightgbm", "4.6.0"), ("numpy", "2.3.0")),
        "history": history,
    }  # fmt: skip
    return DocumentFacts(**(facts | changes))


def group_table() -> GroupTable:
    def row(group: str, rows: int, value: float, *, judged: bool = True) -> GroupRow:
        seen = Measurement(value=value, low=value - 0.05, high=value + 0.04, rows=rows)
        figures = (
            GroupFigure(quantity="recall", measurement=seen),
            GroupFigure(quantity="precision", reason="nobody got the action"),
        )
        return GroupRow(group=group, rows=rows, positives=rows // 3, judged=judged, figures=figures)

    gap = Measurement(value=0.03, low=0.0, high=0.08, rows=160)
    return GroupTable(
        groups=("age",), everyone=row("everyone", 171, 0.96), unknown=2, confidence=0.95,
        rows=(row("under 50", 80, 0.97), row("over 50", 80, 0.94), row("under 18", 3, 1.0, judged=False)),
        widest=(WidestGap(quantity="recall", one="under 50", two="over 50", gap=gap),),
    )  # fmt: skip


def explanation() -> Explanation:
    return Explanation(
        rows=171, of=171, method="exact contributions",
        shares=(Share(feature="worst radius", words="worst radius", share=0.4, low=0.35, high=0.44, together=("worst area",)),),
        curves=(Curve(feature="worst radius", words="worst radius", unit="µm", about="the probability of malignant", category=False,
                      points=tuple(CurvePoint(value=at, name=f"{at:g}", effect=effect, low=effect, high=effect, rows=57)
                                   for at, effect in ((12.0, -0.3), (16.0, 0.1), (24.0, 0.4)))),),
        silent=(Silent(feature="radius error", reason="no tree asks about it"),),
    )  # fmt: skip


def line_chart_noun(**changes) -> LineChart:
    facts = {
        "title": "Cost over time",
        "description": "It rises, then it falls.",
        "y_label": "EUR per 1000",
        "series": (
            Series(
                name="product",
                points=tuple((START + timedelta(days=d), 10.0 + d) for d in range(5)),
                leading=True,
            ),
            Series(name="never", points=tuple((START + timedelta(days=d), 20.0 - d) for d in range(5))),
        ),
    }
    return LineChart(**(facts | changes))


class Samples:
    """Everything above under one name, since test files do not import each other."""

    start = START
    finding = staticmethod(finding)
    section = staticmethod(section)
    replay = staticmethod(replay)
    report = staticmethod(report)
    model_facts = staticmethod(model_facts)
    example = EXAMPLE
    contract_of = staticmethod(contract_of)
    evidence_for = staticmethod(evidence_for)
    recorded = staticmethod(recorded)
    line_chart = staticmethod(line_chart_noun)
    events = staticmethod(events)


@pytest.fixture(scope="session")
def samples() -> type[Samples]:
    """The builders."""
    return Samples
