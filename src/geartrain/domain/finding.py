"""A finding: what the evidence says about one clause.

A clause is kept only when the *bad* end of the interval still keeps the promise;
thin evidence counts against the promise, never for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from geartrain.domain.clause import Clause, Comparison, Severity, Stage
from geartrain.domain.digest import UNLESS_DEFAULT
from geartrain.domain.roles import Role

#: Beyond this, "how many more rows" is no longer an answer anyone can act on.
MOST_ROWS = 1_000_000_000


class Status(StrEnum):
    """The answer to "is the promise kept?". Unproven is never rounded up to kept."""

    KEPT = "kept"
    BROKEN = "broken"
    UNPROVEN = "unproven"
    NOT_MEASURED = "not measured"


class Guarantee(StrEnum):
    """For how many looks an interval's confidence holds.

    One look: for the one at rows whose number nobody chose by what they say. At all times at
    once: all intervals, after each row, hold together with that confidence.
    """

    ONE_LOOK = "one look"
    AT_ALL_TIMES = "at all times at once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A measured quantity with the interval that the evidence allows.

    Attributes:
        value: The point estimate.
        low: The lower end of the interval; equal to `value` for an exact fact.
        high: The upper end.
        confidence: The probability with which intervals built like this one cover
            the truth, or 1.0 for an exact fact.
        rows: The rows behind it.
        relevant: The rows that carry the information (positives for a recall), or
            None where every row does.
        method: How the interval was made, such as `Clopper-Pearson`.
        note: What else the reader must know, such as an assumption.
        relevant_needed: About how many relevant rows would settle it, where the method
            has its own formula; None leaves that to `judge`.
        guarantee: For how many looks the interval holds.
    """

    value: float
    low: float
    high: float
    confidence: float = 0.95
    rows: int = 0
    relevant: int | None = None
    method: str = ""
    note: str = ""
    relevant_needed: int | None = None
    guarantee: Guarantee = field(default=Guarantee.ONE_LOOK, metadata={"digest": UNLESS_DEFAULT})

    @classmethod
    def exact(cls, value: float, *, rows: int = 0, method: str = "exact", note: str = "") -> Measurement:
        """A fact without sampling error, such as a file's size."""
        return cls(value=value, low=value, high=value, confidence=1.0, rows=rows, method=method, note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the evidence says about one clause at one stage.

    Attributes:
        clause: The clause's path.
        stage: When it was checked.
        status: The three-valued answer, or that nothing was measured.
        value: The measured value, None if not measured.
        low: The lower end of its interval.
        high: The upper end.
        confidence: The interval's confidence, 1.0 for an exact fact.
        bound: The clause's bound at that time.
        comparison: Which side of the bound keeps the promise.
        unit: The unit of value and bound.
        rows: The rows behind it.
        rows_needed: About how many *more* rows would settle it, where it is unproven
            and the evidence can say.
        relevant_needed: The same, counted in relevant rows (positives, a group's members).
        method: How the interval was made.
        owner: The role that answers for the clause.
        severity: What it does to a release.
        message: The finding in one plain sentence.
        found_at: When.
        guarantee: For how many looks the interval holds; an exact fact needs none.
    """

    clause: str
    stage: Stage
    status: Status
    value: float | None
    low: float | None
    high: float | None
    confidence: float
    bound: float
    comparison: Comparison
    unit: str
    rows: int
    rows_needed: int | None
    relevant_needed: int | None
    method: str
    owner: Role
    severity: Severity
    message: str
    found_at: datetime
    guarantee: Guarantee = field(default=Guarantee.ONE_LOOK, metadata={"digest": UNLESS_DEFAULT})

    @property
    def holds_at_all_times(self) -> bool:
        """Whether what it says holds however often one looks."""
        # Findings of earlier versions have no guarantee and end their method with it.
        said = self.guarantee is Guarantee.AT_ALL_TIMES or self.method.endswith(Guarantee.AT_ALL_TIMES)
        return said or self.confidence == 1.0

    @property
    def blocks(self) -> bool:
        """Whether a release must not pass without a waiver for this clause."""
        return self.severity is Severity.BLOCK and self.status is not Status.KEPT


def judge(
    clause: Clause, measurement: Measurement | None, *, stage: Stage, now: datetime, reason: str = ""
) -> Finding:
    """Decide what *measurement* says about *clause*.

    Kept when the bad end of the interval keeps the promise, broken when the good end
    does not, unproven between; a missing measurement, or one that is not a number, is
    `not measured` with its *reason*.

    >>> from datetime import UTC
    >>> clause = Clause(path="success.recall", metric="recall", owner=Role.DOMAIN,
    ...                 comparison=Comparison.AT_LEAST, bound=0.95)
    >>> seen = Measurement(value=0.97, low=0.92, high=0.99, rows=114, relevant=42)
    >>> judge(clause, seen, stage=Stage.TRAINING, now=datetime(2026, 1, 1, tzinfo=UTC)).status
    <Status.UNPROVEN: 'unproven'>
    """
    if measurement is None or not math.isfinite(measurement.value):
        return _not_measured(clause, measurement, stage=stage, now=now, reason=reason)
    if clause.comparison is Comparison.AT_LEAST:
        kept, broken = measurement.low >= clause.bound, measurement.high < clause.bound
    else:
        kept, broken = measurement.high <= clause.bound, measurement.low > clause.bound
    status = Status.KEPT if kept else Status.BROKEN if broken else Status.UNPROVEN
    more_relevant = _more_relevant(clause, measurement) if status is Status.UNPROVEN else None
    return Finding(
        clause=clause.path,
        stage=stage,
        status=status,
        value=measurement.value,
        low=measurement.low,
        high=measurement.high,
        confidence=measurement.confidence,
        bound=clause.bound,
        comparison=clause.comparison,
        unit=clause.unit,
        rows=measurement.rows,
        rows_needed=_more_rows(measurement, more_relevant),
        relevant_needed=more_relevant,
        method=measurement.method,
        owner=clause.owner,
        severity=clause.severity,
        message=_sentence(clause, measurement, status, more_relevant),
        found_at=now,
        guarantee=measurement.guarantee,
    )


def _not_measured(
    clause: Clause, measurement: Measurement | None, *, stage: Stage, now: datetime, reason: str
) -> Finding:
    why = reason or (measurement.note if measurement and measurement.note else "no evidence at this stage")
    return Finding(
        clause=clause.path,
        stage=stage,
        status=Status.NOT_MEASURED,
        value=None,
        low=None,
        high=None,
        confidence=0.0,
        bound=clause.bound,
        comparison=clause.comparison,
        unit=clause.unit,
        rows=measurement.rows if measurement else 0,
        rows_needed=None,
        relevant_needed=None,
        method=measurement.method if measurement else "",
        owner=clause.owner,
        severity=clause.severity,
        message=f"{clause.metric}: not measured, {why}",
        found_at=now,
    )


def _more_relevant(clause: Clause, measurement: Measurement) -> int | None:
    """How many more relevant rows would settle the clause if the value stayed as it is.

    An interval's half-width shrinks with the square root of the rows, so the rows
    must grow by the square of (half-width towards the bound / distance to the bound).
    """
    have = measurement.relevant if measurement.relevant is not None else measurement.rows
    if measurement.relevant_needed is not None:
        return max(1, measurement.relevant_needed - have)
    distance = abs(measurement.value - clause.bound)
    toward_low = measurement.value >= clause.bound
    half_width = measurement.value - measurement.low if toward_low else measurement.high - measurement.value
    if have <= 0 or distance <= 0 or half_width <= 0:
        return None
    ratio = half_width / distance
    if ratio > math.sqrt(MOST_ROWS / have):
        return None
    return max(1, math.ceil(have * ratio**2) - have)


def _more_rows(measurement: Measurement, more_relevant: int | None) -> int | None:
    if more_relevant is None:
        return None
    if measurement.relevant is None or measurement.relevant == 0:
        return more_relevant
    return math.ceil(more_relevant * measurement.rows / measurement.relevant)


def reason_of(clause: Clause, status: Status) -> str:
    """Why the promise was made, for the end of a finding's sentence where it is not kept."""
    if status is Status.KEPT or not clause.because:
        return ""
    return f"; it was promised because {' '.join(clause.because.split()).rstrip('.')}"


def _sentence(clause: Clause, measurement: Measurement, status: Status, more_relevant: int | None) -> str:
    unit = f" {clause.unit}" if clause.unit else ""
    against = f" of {clause.relative_to}" if clause.relative_to else ""
    words = "at least" if clause.comparison is Comparison.AT_LEAST else "at most"
    interval = (
        "" if measurement.low == measurement.high else f" ({measurement.low:.4g} to {measurement.high:.4g})"
    )
    text = (
        f"{clause.metric} is {measurement.value:.4g}{interval}{unit}{against},"
        f" promised {words} {clause.bound:.4g}{unit}: {status}"
    )
    if status is Status.UNPROVEN and more_relevant is not None:
        counted = "relevant rows" if measurement.relevant is not None else "rows"
        text += f"; about {more_relevant:,} more {counted} would settle it"
    text += reason_of(clause, status)
    if measurement.note:
        text += f" [{measurement.note}]"
    return text
