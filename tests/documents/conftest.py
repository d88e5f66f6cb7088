"""A run's facts, invented, with every part of a report filled."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from geartrain.documents.chart_nouns import (
    EventKind,
    LineChart,
    ReliabilityBin,
    ReliabilityChart,
    Series,
    TimelineEvent,
)
from geartrain.documents.report_nouns import (
    DecisionExample,
    Fact,
    FindingRow,
    ModelFacts,
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
from geartrain.domain.finding import Finding, Measurement, judge
from geartrain.domain.prediction import Decision
from geartrain.domain.release import SignOff, Waiver
from geartrain.domain.roles import Role

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


def model_facts(**changes) -> ModelFacts:
    facts = {
        "product": "tumour-triage", "title": "Breast tumour triage", "problem": "Which patients need a biopsy?",
        "serves": "patients with a breast mass", "task": "binary", "intended_use": ("order the biopsy list",),
        "out_of_scope": ("screening",), "release": RELEASE, "contract": "cd" * 32, "snapshot": "ef" * 32,
        "model": "01" * 32, "algorithm": "lightgbm", "variant": "first 90 trees", "params": (("num_leaves", 15),),
        "seed": 7, "size_bytes": 212_000, "currency": "needless biopsies",
        "costs": (("follow up a malignant tumour", "50"),),
        "findings": tuple(row.finding for row in section().findings),
        "sign_offs": section().sign_offs, "waivers": section().waivers,
        "people": (("domain", ("Dr. Dana Okafor",)),), "features": (("worst radius", "malignant nuclei are larger"),),
    }  # fmt: skip
    return ModelFacts(**(facts | changes))


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
    line_chart = staticmethod(line_chart_noun)
    events = staticmethod(events)


@pytest.fixture(scope="session")
def samples() -> type[Samples]:
    """The builders."""
    return Samples
