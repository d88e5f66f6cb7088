"""What the documents of one release are made of: facts with their sources, and no words of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from geartrain.documents.prose import About, Note
from geartrain.documents.report_nouns import PromiseLine
from geartrain.documents.spelling import counted
from geartrain.domain.clause import Clause, Stage
from geartrain.domain.contract import Contract
from geartrain.domain.data import Snapshot
from geartrain.domain.events import Recorded, ReleaseProposed, SnapshotTaken, TrialRecorded, VariantMeasured
from geartrain.domain.explanation import Explanation
from geartrain.domain.finding import Finding, Status
from geartrain.domain.groups import QUANTITIES, GroupFigure, GroupRow, GroupTable, Impossibility
from geartrain.domain.model import ModelVersion
from geartrain.domain.release import Release, ReleaseStage, SignOff, Waiver
from geartrain.domain.roles import Role

E = TypeVar("E")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricLine:
    """One measured quantity, over which rows, or why it has no value.

    Attributes:
        relative_to: The baseline that the value is a fraction of, or None.
        confidence: Of the interval; 1.0 for an exact fact.
    """

    name: str
    where: str | None = None
    relative_to: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95
    rows: int = 0
    method: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLine:
    """One quantity of one group of people or things, or why it was not judged.

    Attributes:
        attribute: What divides the groups, such as `sex`.
        group: Which of them, such as `female`; two attributes crossed are told as one.
    """

    attribute: str
    group: str
    quantity: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95
    rows: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFacts:
    """Everything that the documents of one release say, read from contract, ledger and bundle.

    Attributes:
        made_at: As known when, in UTC; later events are not in `history`.
        stage: Where the release stands then.
        adopted: The contract that the team has adopted by then; it may not be the release's.
        live_since: When it last went live, None if it never did.
        needed: The roles whose yes it needs.
        findings: The signed evidence.
        later: What was found since: in shadow, in canary, live.
        metrics: The task's usual metrics and each success clause's, on the sealed rows.
        baselines: The mean cost of a decision of each simpler way of deciding.
        tables: What the model does to each group, one table for each way to divide people or things.
        impossible: Fairness promises that exclude each other at the base rates seen.
        explanation: What the answers rest on, None where nobody asked the model.
        thresholds: The probability from which the action of a class is taken.
        rows: The sealed rows that judged it; None where the report is not at hand.
        robustness: What missing values tell, and what corrupted input costs most.
        luck: What it saves, how many tries that survived and what luck alone would show, in sentences.
        above_luck: Whether it saves more than the best of so many tries shows by luck; None where not measured.
        packages: Every installed package that it was made with, as in its signed bill.
        bill: The signed bill of materials, as it lies in the bundle; empty where there is none.
        history: Everything that was decided about the product up to `made_at`.
        notes: What people wrote, apart from all that.
    """

    made_at: datetime
    made_with: str
    contract: Contract
    release: Release
    model: ModelVersion
    stage: ReleaseStage
    proposed_at: datetime
    retrained: bool = False
    adopted: str = ""
    live_since: datetime | None = None
    needed: tuple[Role, ...] = ()
    sign_offs: tuple[SignOff, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    findings: tuple[Finding, ...] = ()
    later: tuple[Finding, ...] = ()
    promises: tuple[PromiseLine, ...] = ()
    metrics: tuple[MetricLine, ...] = ()
    baselines: tuple[MetricLine, ...] = ()
    tables: tuple[GroupTable, ...] = ()
    impossible: tuple[Impossibility, ...] = ()
    explanation: Explanation | None = None
    thresholds: tuple[tuple[str, float], ...] = ()
    robustness: tuple[MetricLine, ...] = ()
    luck: tuple[str, ...] = ()
    above_luck: bool | None = None
    rows: int | None = None
    python: str = ""
    platform: str = ""
    packages: tuple[tuple[str, str], ...] = ()
    bill: bytes = b""
    history: tuple[Recorded, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def id(self) -> str:
        """The release's id: what every sign-off names."""
        return self.release.id

    @property
    def about(self) -> About:
        """What the documents are about, and the product's other releases: what notes are held against."""
        others = dict.fromkeys(one.id for _, one in self.events(ReleaseProposed) if one.id != self.id)
        return About(release=self.id, contract=self.release.contract, others=tuple(others))

    @property
    def currency(self) -> str:
        """What costs are counted in; every error counts one where the contract names no costs."""
        return self.contract.costs.currency if self.contract.costs else "errors"

    @property
    def size_bytes(self) -> int | None:
        """The model file's size, or None where the bundle lists none."""
        return next((one.size_bytes for one in self.release.bundle if one.path.endswith(".onnx")), None)

    @property
    def snapshot(self) -> Snapshot | None:
        """The rows that taught it, or None where the ledger does not hold them."""
        taken = (one for _, one in self.events(SnapshotTaken) if one.id == self.release.snapshot)
        return next((one.snapshot for one in taken), None)

    @property
    def variants(self) -> tuple[VariantMeasured, ...]:
        """The variants that were measured with this one, in their order."""
        measured = [one for _, one in self.events(VariantMeasured)]
        reference = next((one.reference for one in measured if one.model == self.model.id), None)
        return tuple(one for one in measured if reference is not None and one.reference == reference)

    @property
    def trials(self) -> tuple[TrialRecorded, ...]:
        """Every setting that was tried on these rows under this contract."""
        return tuple(
            one
            for _, one in self.events(TrialRecorded)
            if (one.trial.contract, one.trial.snapshot) == (self.release.contract, self.release.snapshot)
        )

    @property
    def groups(self) -> tuple[GroupLine, ...]:
        """Every quantity of every group, table by table; a group that is too small has reasons for values."""
        return tuple(
            _line(self, table, row, figure)
            for table in self.tables
            for row in table.rows
            for figure in row.figures
        )

    def dividing(self, table: GroupTable) -> str:
        """What divides a table's groups: a column, or for an expression the name of its clause."""
        names = {
            str(clause.parameter("groups")): clause.path.rsplit(".", maxsplit=1)[-1].replace("_", " ")
            for clause in self.contract.clauses
            if clause.section == "fairness"
        }
        return " and ".join(one if one.isidentifier() else names.get(one, one) for one in table.groups)

    @property
    def open_findings(self) -> tuple[Finding, ...]:
        """The signed findings that are not kept, the worst first."""
        order = (Status.BROKEN, Status.UNPROVEN, Status.NOT_MEASURED)
        not_kept = [one for one in self.findings if one.status is not Status.KEPT]
        return tuple(sorted(not_kept, key=lambda one: (order.index(one.status), one.clause)))

    def events(self, kind: type[E]) -> Iterator[tuple[Recorded, E]]:
        """The history's events of one kind, oldest first."""
        return ((one, one.event) for one in self.history if isinstance(one.event, kind))

    def clause(self, finding: Finding) -> Clause | None:
        """The clause that *finding* is about."""
        return self.contract.clause(finding.clause)

    def section(self, name: str, stage: Stage | None = None) -> tuple[Finding, ...]:
        """The findings of the contract's section *name*: the signed ones, or later ones at *stage*."""
        among = self.findings if stage is None else tuple(one for one in self.later if one.stage is stage)
        return tuple(one for one in among if one.clause.split(".", 1)[0] == name)

    def promise(self, clause: str) -> str:
        """The clause as a plain sentence; its path where there is none."""
        return next((one.sentence for one in self.promises if one.clause == clause), clause)

    def waiver(self, clause: str) -> Waiver | None:
        """The waiver for *clause* that holds at `made_at`, or None."""
        held = (
            one
            for one in self.waivers
            if one.clause == clause and one.granted_at <= self.made_at < one.expires_at
        )
        return next(held, None)

    def holder(self, role: Role) -> str:
        """Who holds *role*, in words."""
        return ", ".join(self.contract.holders(role)) or "nobody named"


def _line(facts: DocumentFacts, table: GroupTable, row: GroupRow, figure: GroupFigure) -> GroupLine:
    """One figure; without a verdict where fewer rows carry it than the team asks for, as its clause would have none."""
    seen = figure.measurement
    carrying = row.rows if seen is None else (seen.rows if seen.relevant is None else seen.relevant)
    fewest, reason = min(row.rows, carrying), figure.reason
    if seen is not None and fewest < table.smallest_group:
        reason = f"{counted(fewest, 'row')} count, at least {table.smallest_group} are asked for"
    told = None if reason else seen
    return GroupLine(
        attribute=facts.dividing(table),
        group=row.group,
        quantity=QUANTITIES.get(figure.quantity, figure.quantity).split(":", maxsplit=1)[0],
        value=told.value if told else None,
        low=told.low if told else None,
        high=told.high if told else None,
        confidence=table.confidence,
        rows=row.rows,
        reason=reason,
    )
