"""Ledger events: every decision that people or the machine made, in past tense.

State is a fold over these. An event is a frozen dataclass; its `type` is the class's
name and is part of the ledger's bytes, so a class is never renamed, only retired. New
fields get a default, so that old ledgers stay readable.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from geartrain.domain.accounts import Scope
from geartrain.domain.clause import Stage
from geartrain.domain.contract import Cause
from geartrain.domain.data import Batch, Snapshot
from geartrain.domain.finding import Finding
from geartrain.domain.incident import Incident
from geartrain.domain.model import ModelVersion, Parity, Pool, Speed, Trial
from geartrain.domain.release import Release, ReleaseStage, SignOff, Waiver
from geartrain.domain.roles import Role


class Verdict(StrEnum):
    """What a person says about a decision that was made."""

    AGREE = "agree"
    DISAGREE = "disagree"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractAdopted:
    """A contract became the product's; `text` is the digest of its YAML in the blob store."""

    product: str
    contract: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchIngested:
    """A delivery passed the door."""

    batch: Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsRepaired:
    """Quarantined rows were repaired and sent again."""

    product: str
    source: str
    batch: str
    repaired: int
    still_bad: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsErased:
    """Everything that was kept about one person or thing was removed for good.

    `entity` is the column that names it and `who` a keyed digest of its value, which tells
    nobody whom it was about but lets the same request be recognised. `rows` counts what was
    removed by where it lay, and `snapshots` are those that can no longer be rebuilt.
    `erasure` counts the erasures of the same entity, this one included.
    """

    product: str
    entity: str
    who: str
    rows: tuple[tuple[str, int], ...]
    snapshots: tuple[str, ...]
    erasure: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotTaken:
    """A view of the lake was fixed."""

    snapshot: Snapshot
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolsCommitted:
    """Which row is in which pool was fixed, before anything was tried on them.

    `commitment` is the digest of the rows' names pool by pool, `sealed` that of the sealed
    rows' hashed names in the blob store, `rows` the sizes of `search`, `select`, `verdict`.
    """

    product: str
    contract: str
    snapshot: str
    commitment: str
    sealed: str
    rows: tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecorded:
    """A setting was tried.

    `losses` is the digest of what its decisions cost on each row of the free pool, in the
    blob store, `rows_of` the commitment that fixed these rows; both empty where other pools
    were asked.
    """

    product: str
    id: str
    trial: Trial
    losses: str = ""
    rows_of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOpened:
    """Somebody looked at a metered or sealed pool.

    `look` counts the looks at rows like these, this one included, and `confidence` is that of
    every interval told from it; 0 in ledgers that did not say so yet.
    """

    product: str
    pool: Pool
    contract: str
    snapshot: str
    candidate: str
    purpose: str
    commitment: str = ""
    look: int = 0
    confidence: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolAnswered:
    """The metered pool answered one question, by a mechanism that tells little about its rows.

    `rows_of` names the rows and what errors on them cost, `question` what was asked. `shown` is
    all that was told. `losses` is the digest of the row's costs that later questions are held
    against, kept in the blob store and never told; empty where nothing new became the best.
    `charged` says whether the answer took from a budget of answers.
    """

    product: str
    rows_of: str
    question: str
    meter: str
    improved: bool
    shown: float
    needed: float
    losses: str = ""
    charged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTrained:
    """A candidate model exists; its bytes are in the blob store."""

    id: str
    model: ModelVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantMeasured:
    """A smaller variant was measured on this machine.

    `variant` is how it was made, `cost` what a decision by it costs on the metered rows; older
    ledgers say neither.
    """

    product: str
    model: str
    reference: str
    speed: Speed
    parity: Parity
    chosen: bool
    reason: str
    variant: str = ""
    cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsRecorded:
    """The clauses were checked against a subject: a model's, release's or snapshot's id.

    `report` is the digest of what else the check showed, in the blob store; empty where
    there is nothing more.
    """

    product: str
    stage: Stage
    subject: str
    contract: str
    findings: tuple[Finding, ...]
    report: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseProposed:
    """A bundle asks for signatures. `retrained` tells that no person began it."""

    id: str
    release: Release
    retrained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOff:
    """A role said yes."""

    product: str
    sign_off: SignOff


@dataclass(frozen=True, slots=True, kw_only=True)
class Waived:
    """A clause that is not kept was allowed, for a reason and a time."""

    product: str
    waiver: Waiver


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEntered:
    """A release moved: into shadow, onto a share of traffic, live, or aborted.

    `approved_by` are the sign-offs that held at that moment, as `role:person`.
    """

    product: str
    release: str
    stage: ReleaseStage
    share: float
    approved_by: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """The live release was replaced by an earlier one."""

    product: str
    release: str
    to: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The machine said no, with the reason: a promotion, a retraining, a command."""

    product: str
    what: str
    subject: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingStarted:
    """A retraining began: what triggered it, on which rows."""

    product: str
    trigger: str
    champion: str
    since: datetime | None
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeDecided:
    """The champion/challenger test ended, with the evidence for the challenger."""

    product: str
    champion: str
    challenger: str
    promoted: bool
    evidence: float
    rows: int
    cost_per_1000_champion: float
    cost_per_1000_challenger: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentOpened:
    """An incident was opened and its owner called."""

    incident: Incident


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentUpdated:
    """More signals folded into an open incident, or more is known about it; `was` is its cause until then, where that changed."""

    incident: Incident
    was: Cause | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentClosed:
    """An incident ended."""

    product: str
    incident: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractProposed:
    """Somebody asks the team for another contract; `base` is the one that it would replace."""

    product: str
    id: str
    base: str
    contract: str
    text: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalDiscussed:
    """Somebody said something about a proposed contract."""

    product: str
    proposal: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalSigned:
    """A role said yes to exactly the proposed contract."""

    product: str
    proposal: str
    contract: str
    role: Role
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalClosed:
    """A proposed contract was adopted or taken back."""

    product: str
    proposal: str
    adopted: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionReviewed:
    """A person judged a real decision. `chosen` says why it was asked about; `right` names the better action."""

    product: str
    decision: str
    release: str
    verdict: Verdict
    action: str
    right: str
    reason: str
    chosen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsAsked:
    """Decisions whose truth would settle `about` were drawn: `asked` of `of`, with their odds in the blob `rows`."""

    product: str
    release: str
    about: str
    asked: int
    of: int
    rows: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureLeftOpen:
    """A person who was asked whether a feature of a release is plausible cannot tell, and says why."""

    product: str
    release: str
    feature: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentNoted:
    """Somebody wrote down what was seen, tried or learned about an incident."""

    product: str
    incident: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingAsked:
    """A person asks for a retraining; the policy still decides, and repeals no refusal."""

    product: str
    person: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOpened:
    """Somebody may enter the room from now on."""

    person: str
    keeper: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountClosed:
    """Somebody may not enter the room any more."""

    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIssued:
    """A program may ask in a person's name, within scopes."""

    person: str
    name: str
    scopes: tuple[Scope, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRevoked:
    """A program's token holds no longer."""

    person: str
    name: str


Event = (
    ContractAdopted
    | BatchIngested
    | RowsRepaired
    | RowsErased
    | SnapshotTaken
    | PoolsCommitted
    | TrialRecorded
    | PoolOpened
    | PoolAnswered
    | ModelTrained
    | VariantMeasured
    | FindingsRecorded
    | ReleaseProposed
    | SignedOff
    | Waived
    | StageEntered
    | RolledBack
    | Refused
    | RetrainingStarted
    | ChallengeDecided
    | IncidentOpened
    | IncidentUpdated
    | IncidentClosed
    | ContractProposed
    | ProposalDiscussed
    | ProposalSigned
    | ProposalClosed
    | DecisionReviewed
    | LabelsAsked
    | FeatureLeftOpen
    | IncidentNoted
    | RetrainingAsked
    | AccountOpened
    | AccountClosed
    | TokenIssued
    | TokenRevoked
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An event as the ledger holds it.

    Attributes:
        position: Its place in the whole ledger, from 1 without gaps.
        stream: Whose history it belongs to, such as `product/card-fraud`.
        version: Its place in the stream, from 1.
        at: When, by the clock of whoever appended it (virtual in a replay).
        actor: Who: a person, or `geartrain` itself.
        previous: The hash of the event at `position - 1`, or 64 zeros for the first.
        hash: SHA-256 over everything above and the event, chained through `previous`.
    """

    position: int
    stream: str
    version: int
    at: datetime
    actor: str
    event: Event
    previous: str
    hash: str
