"""The serving host: which releases answer now, where decisions are logged, who takes outcomes.

Wiring builds one a process; the HTTP floor above speaks only to it. Lanes are replaced
whole, never changed: a request that has read its lane finishes with it, so a swap or a
rollback fails nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from threading import Lock

from geartrain.domain.clause import Clause
from geartrain.domain.data import Batch
from geartrain.domain.finding import Finding
from geartrain.domain.prediction import Decision, Outcome
from geartrain.errors import ProductUnknown
from geartrain.serving.lanes import Lane, checks_of
from geartrain.serving.log import PredictionLog
from geartrain.serving.requests import RowChecks
from geartrain.serving.routing import Shares
from geartrain.serving.runtime import RawRow, Served


class OutcomeStatus(StrEnum):
    """What became of one outcome."""

    RECORDED = "recorded"
    CORRECTED = "corrected"
    DUPLICATE = "duplicate"
    UNKNOWN = "unknown decision"
    INVALID = "invalid"


#: Writes down a product's outcomes; the decisions that they are about come with them, by id.
RecordOutcomes = Callable[[str, Sequence[Outcome], Mapping[str, Decision]], Sequence[OutcomeStatus]]
TakeEvents = Callable[[str, str, Sequence[RawRow], datetime], Batch]
#: Whether a product's idempotency key stands for the delivery of a digest; it does from then on.
ClaimKey = Callable[[str, str, str], bool]
#: Those of a product's decisions, by id, that the lake has.
FindDecisions = Callable[[str, Collection[str]], Mapping[str, Decision]]
Promises = Callable[[str], Sequence[tuple[Clause, Finding | None]]]
Staleness = Callable[[str, datetime], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSkew:
    """The latest check of served features against recomputed ones, for the metrics.

    Attributes:
        cells: Feature values compared.
        causes: How many of them differ by cause; `unexplained` stands among them.
    """

    cells: int
    causes: tuple[tuple[str, int], ...]
    checked_at: datetime


Skew = Callable[[str], FeatureSkew | None]


class ServingHost:
    """What one serving process holds.

    The callables may be called from any thread. *record_outcomes* only sees outcomes of
    decisions that were made here; *take_events* checks and stores rows of an event
    source and updates the online features, *claim_key* remembers what idempotency keys stand for; *find_decisions* looks into the lake.

    Attributes:
        log: The prediction log.
        now: The time.
        new_id: A decision id that was never given before.
    """

    def __init__(
        self,
        *,
        log: PredictionLog,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        record_outcomes: RecordOutcomes,
        take_events: TakeEvents | None = None,
        claim_key: ClaimKey | None = None,
        find_decisions: FindDecisions | None = None,
        promises: Promises | None = None,
        staleness: Staleness | None = None,
        skew: Skew | None = None,
    ) -> None:
        self.log = log
        self.now = now
        self.new_id = new_id
        self._record_outcomes = record_outcomes
        self.take_events = take_events
        self.claim_key = claim_key
        self._find_decisions = find_decisions
        self._promises = promises
        self._staleness = staleness
        self._skew = skew
        self._lanes: Mapping[str, tuple[Lane, RowChecks]] = {}
        self._swapping = Lock()
        self._is_draining = False
        self._problems: Mapping[str, str] = {}

    @property
    def products(self) -> tuple[str, ...]:
        """The products that are answered for, sorted."""
        return tuple(sorted(self._lanes))

    def lane(self, product: str) -> Lane:
        """The releases that answer for *product* now.

        Raises:
            ProductUnknown: None does.
        """
        return self.lane_and_checks(product)[0]

    def lane_and_checks(self, product: str) -> tuple[Lane, RowChecks]:
        """The lane, and the checks of its champion's contract.

        Raises:
            ProductUnknown: No release answers for *product*.
        """
        found = self._lanes.get(product)
        if found is None:
            raise ProductUnknown(
                "no release answers for that product", hint="GET /v1/products lists those that are served"
            )
        return found

    def swap(self, product: str, served: Served, *, promised_s: float | None = None) -> None:
        """Let *served* answer for *product* from now on; canary and shadow go on as they were.

        What answered until now is kept and decides where the new model fails (`set_previous`).

        *promised_s* is the latency that the contract promises; None keeps what was said before.
        """
        with self._swapping:
            before = self._lanes.get(product)
            if before is None:
                lane = Lane(champion=served)
            elif before[0].champion.release == served.release:
                lane = replace(before[0], champion=served)
            else:
                lane = replace(before[0], champion=served, previous=before[0].champion)
            if promised_s is not None:
                lane = replace(lane, promised_s=promised_s)
            self._put(product, lane)

    def set_canary(self, product: str, served: Served | None, *, share: float = 0.0) -> None:
        """Let *served* answer for *share* of the keys; None ends the canary.

        Raises:
            ProductUnknown: There is no champion to share with.
        """
        with self._swapping:
            lane = self.lane(product)
            shares = Shares(canary=share if served is not None else 0.0, shadow=lane.shares.shadow)
            self._put(product, replace(lane, canary=served, shares=shares))

    def set_shadow(self, product: str, served: Served | None, *, share: float = 1.0) -> None:
        """Let *served* decide about *share* of the keys beside the champion; None ends it.

        Raises:
            ProductUnknown: There is no champion to stand beside.
        """
        with self._swapping:
            lane = self.lane(product)
            shares = Shares(canary=lane.shares.canary, shadow=share if served is not None else 0.0)
            self._put(product, replace(lane, shadow=served, shares=shares))

    def set_previous(self, product: str, served: Served | None) -> None:
        """Let *served* decide where the champion's model fails; None leaves that to the rule.

        Raises:
            ProductUnknown: There is no champion to stand behind.
        """
        with self._swapping:
            self._put(product, replace(self.lane(product), previous=served))

    def withdraw(self, product: str) -> None:
        """Answer for *product* no more."""
        with self._swapping:
            self._lanes = {name: lane for name, lane in self._lanes.items() if name != product}

    @property
    def problems(self) -> Mapping[str, str]:
        """What went wrong with a product's releases while older ones go on answering."""
        return self._problems

    def set_problem(self, product: str, problem: str) -> None:
        """Say what is wrong with *product*; empty where all is well again."""
        with self._swapping:
            others = {name: told for name, told in self._problems.items() if name != product}
            self._problems = {**others, product: problem} if problem else others

    def stale_s(self, product: str, now: datetime) -> float | None:
        """How long the product's feeds have been silent, None where nobody watches."""
        return None if self._staleness is None else self._staleness(product, now)

    def skew(self, product: str) -> FeatureSkew | None:
        """What the latest check of the product's features said, None where there was none."""
        return None if self._skew is None else self._skew(product)

    def find(self, product: str, decision: str) -> Decision | None:
        """A decision that was answered here, from the log or from the lake."""
        return self.find_all(product, (decision,)).get(decision)

    def find_all(self, product: str, decisions: Collection[str]) -> dict[str, Decision]:
        """Those of *decisions* that were answered here, by id, in at most one look at the lake."""
        made = self.log.find_all(product, decisions)
        others = set(decisions) - made.keys()
        if others and self._find_decisions is not None:
            made |= self._find_decisions(product, others)
        return made

    def record_outcomes(self, product: str, outcomes: Sequence[Outcome]) -> tuple[OutcomeStatus, ...]:
        """Write down the truth about decisions that were answered here; what became of each outcome."""
        made = self.find_all(product, {one.decision for one in outcomes})
        known = [one for one in outcomes if one.decision in made]
        statuses = iter(self._record_outcomes(product, known, made) if known else ())
        return tuple(next(statuses) if one.decision in made else OutcomeStatus.UNKNOWN for one in outcomes)

    def promises(self, product: str) -> Sequence[tuple[Clause, Finding | None]]:
        """The clauses of the product's contract, each with its latest finding."""
        return () if self._promises is None else self._promises(product)

    def not_ready_because(self) -> tuple[str, ...]:
        """Why no traffic should come here; empty where it should."""
        state = self.log.state
        reasons = {
            "no release is loaded": not self._lanes,
            "the server is draining": self._is_draining,
            "the prediction log cannot be written": not state.writable,
        }
        return tuple(reason for reason, holds in reasons.items() if holds)

    def drain(self) -> None:
        """Ask load balancers to send nothing more; requests that come are still answered."""
        self._is_draining = True

    def close(self, *, timeout_s: float = 10.0) -> bool:
        """Stop for good: what was answered goes to the lake, or stays in the journal for the next start."""
        self._is_draining = True
        return self.log.close(timeout_s=timeout_s)

    def _put(self, product: str, lane: Lane) -> None:
        self._lanes = {**self._lanes, product: (lane, checks_of(lane.champion))}
