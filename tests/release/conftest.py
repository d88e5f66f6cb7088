"""A small product to release: contract, findings, models and a hand-cranked ledger."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from geartrain.domain.clause import Clause, Comparison, Severity, Stage
from geartrain.domain.contract import (
    Contract,
    DecisionTerms,
    ProductTerms,
    ReleaseTerms,
    RolloutKind,
    RolloutStep,
)
from geartrain.domain.digest import digest_bytes
from geartrain.domain.events import ContractAdopted, Event, FindingsRecorded, Recorded
from geartrain.domain.features import Encoding, FeatureSet, RequestFeature
from geartrain.domain.finding import Finding, Measurement, judge
from geartrain.domain.model import ModelVersion
from geartrain.domain.release import Release
from geartrain.domain.roles import Role
from geartrain.domain.rule import rule_of
from geartrain.domain.task import Task
from geartrain.release.answers import Accepted, Refusal
from geartrain.release.bundle import evidence_of
from geartrain.release.bundle_nouns import BundleParts, Environment, Package
from geartrain.release.state import EMPTY, ReleaseState, fold

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)

ROLLOUT = (
    RolloutStep(kind=RolloutKind.SHADOW, share=1.0, bake_s=7 * 86_400.0),
    RolloutStep(kind=RolloutKind.CANARY, share=0.1, bake_s=3 * 86_400.0),
)


def clause(path: str = "success.recall", *, owner: Role = Role.DOMAIN, **changes: object) -> Clause:
    made = Clause(path=path, metric="recall", comparison=Comparison.AT_LEAST, bound=0.9, owner=owner)
    return replace(made, **changes)


def contract(**changes: object) -> Contract:
    made = Contract(
        product=ProductTerms(name="triage", title="Triage", problem="Which patients need a biopsy?"),
        decision=DecisionTerms(
            task=Task.BINARY,
            unit="sample",
            label="diagnosis",
            positive="malignant",
            classes=("benign", "malignant"),
            actions=("follow up", "biopsy"),
        ),
        team=(
            (Role.PRODUCT, ("Paula",)),
            (Role.DOMAIN, ("Dana",)),
            (Role.ENGINEERING, ("Emil", "Dana")),
            (Role.SCIENCE, ("Sana",)),
        ),
        clauses=(
            clause(),
            clause("budget.latency", owner=Role.ENGINEERING),
            clause("fairness.size", owner=Role.DOMAIN, severity=Severity.WARN),
        ),
        release=ReleaseTerms(rollout=ROLLOUT, abort_on=("success.recall",)),
    )
    return replace(made, **changes)


def finding(
    promise: Clause, value: float | None = 0.97, *, stage: Stage = Stage.RELEASE, **changes: object
) -> Finding:
    """Kept at 0.97, unproven at 0.92, broken at 0.8, not measured at None; the interval is 0.05 to each side."""
    seen = None if value is None else Measurement(value=value, low=value - 0.05, high=value + 0.05, rows=100)
    return replace(judge(promise, seen, stage=stage, now=START), **changes)


def findings(terms: Contract, **values: float | None) -> tuple[Finding, ...]:
    """One finding a clause; name values by the last part of the clause's path."""
    return tuple(finding(one, values.get(one.path.rsplit(".", 1)[-1], 0.97)) for one in terms.clauses)


def release(terms: Contract, evidence: tuple[Finding, ...], name: str = "a") -> Release:
    return Release(
        product=terms.product.name,
        contract=terms.id,
        snapshot="snapshot-" + name,
        model="model-" + name,
        evidence=evidence_of(evidence),
        bundle=(),
    )


def parts(**changes: object) -> BundleParts:
    terms = changes.pop("contract", contract())
    onnx = b"\x08\x09 not a real network, but bytes are bytes"
    encoding = Encoding(
        feature_set=FeatureSet(features=(RequestFeature(name="radius", expression="radius"),)),
        columns=("radius",),
        categories=(("site", ("A", "Ünï")),),
    )
    model = ModelVersion(
        product="triage",
        task=Task.BINARY,
        classes=("benign", "malignant"),
        algorithm="lightgbm",
        params=(("num_leaves", 7),),
        seed=1,
        contract=terms.id,
        snapshot="snapshot-a",
        encoding=encoding,
        trial="trial-a",
        artifact=digest_bytes(onnx),
    )
    made = BundleParts(
        contract=terms,
        contract_text=b"geartrain: 1\n# as written\n",
        snapshot="snapshot-a",
        model=model,
        onnx=onnx,
        rule=rule_of(terms, model.classes),
        findings=findings(terms),
        environment=Environment(python="3.11.9", packages=(Package(name="Scikit_Learn", version="1.7.0"),)),
        native=b"tree\nversion=v4\n",
        profile=b'{"rows": 3}',
    )
    return replace(made, **changes)


@dataclass
class Desk:
    """A ledger stream of one product, a clock and the last answer."""

    terms: Contract
    now: datetime = START
    recorded: list[Recorded] = field(default_factory=list)
    state: ReleaseState = EMPTY

    def append(self, *events: Event, actor: str = "test") -> None:
        for event in events:
            version = len(self.recorded) + 1
            one = Recorded(
                position=version,
                stream="product/triage",
                version=version,
                at=self.now,
                actor=actor,
                event=event,
                previous="",
                hash="",
            )
            self.recorded.append(one)
            self.state = fold((one,), start=self.state)

    def adopt(self, terms: Contract) -> None:
        self.terms = terms
        self.append(ContractAdopted(product="triage", contract=terms.id, text=""))

    def take(self, answer: Accepted | Refusal) -> Accepted | Refusal:
        if isinstance(answer, Accepted):
            self.append(*answer.events)
        return answer

    def found(self, subject: str, seen: tuple[Finding, ...], stage: Stage = Stage.RELEASE) -> None:
        self.append(
            FindingsRecorded(
                product="triage", stage=stage, subject=subject, contract=self.terms.id, findings=seen
            )
        )

    def wait(self, days: float) -> None:
        self.now += days * DAY


class Workshop:
    """Everything above under one name, since test files do not import each other."""

    start = START
    day = DAY
    rollout = ROLLOUT
    desk = Desk
    clause = staticmethod(clause)
    contract = staticmethod(contract)
    finding = staticmethod(finding)
    findings = staticmethod(findings)
    release = staticmethod(release)
    parts = staticmethod(parts)


@pytest.fixture(scope="session")
def made() -> type[Workshop]:
    """The builders."""
    return Workshop
