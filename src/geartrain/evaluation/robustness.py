"""What the product costs when its input goes wrong, and how much of it rests on what is missing.

Feeds fail: a value stays away, a sensor trembles, someone sends cents for euros, two columns
change places, a category appears that nobody has seen. Each is done to real judged rows, the
same model decides again, and the cost is compared row by row. The truth and the prices of the
rows stay as they are: only what the model reads is corrupted.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats, Predictions
from geartrain.evaluation.action_metrics import Parameters
from geartrain.evaluation.evidence import Evidence, Mask, Measured, Unmeasured
from geartrain.evaluation.model_view import MISSING_SUFFIX, Matrix, ModelView, asked_rows
from geartrain.stats.intervals import ratio
from geartrain.stats.ranking import auc

Rows = NDArray[np.int64]

#: A trembling value moves by this much of the column's own standard deviation.
NOISE = 0.25
#: A changed unit: metres for kilometres, cents (ten times as bad) for euros.
UNIT = 1000.0
#: The share of rows in which a value stays away, where nobody says another.
USUAL_SHARE = 0.1
#: The report lists so many of the worst.
MOST_LISTED = 10
FOLDS = 5
FEWEST = 10


class Corruption(StrEnum):
    """What happens to a column on its way to the model."""

    MISSING = "missing"
    NOISE = "noise"
    UNIT = "unit"
    UNSEEN = "unseen"
    SWAPPED = "swapped"


def robust_to(evidence: Evidence, view: ModelView, mask: Mask, parameters: Parameters) -> Measured:
    """By which fraction the mean cost rises when `column` suffers the `corruption` in a `share` of rows.

    (cost after - cost before) / cost before over up to 2000 rows of the slice, paired row by
    row with a BCa bootstrap (whole entities where rows repeat); below 0 where it falls. The
    rows that suffer are drawn by the evidence's seed. `with` names the other column of a swap.
    """
    part = parameters.get("share")
    share = float(part) if isinstance(part, int | float) else 1.0
    column = str(parameters.get("column"))
    asked = asked_rows(evidence, mask)
    rows = asked[np.isfinite(evidence.costs[asked])]
    if len(rows) == 0:
        return Unmeasured(reason="no row of the slice has a known cost")
    kind = Corruption(str(parameters.get("corruption")))
    other = parameters.get("with")
    corrupted = corrupt(
        view, rows, column, kind, share=share, seed=evidence.seed,
        other=None if other is None else str(other),
    )  # fmt: skip
    if isinstance(corrupted, Unmeasured):
        return corrupted
    return _rise(evidence, rows, _costs(evidence, view, rows), _costs(evidence, view, rows, corrupted))


def corrupt(
    view: ModelView,
    rows: Rows,
    column: str,
    kind: Corruption,
    *,
    share: float,
    seed: int,
    other: str | None = None,
) -> Matrix | Unmeasured:
    """The model's rows with *column* corrupted in a *share* of them, shape (len(rows), d), or why it cannot be."""
    place = view.position(column)
    if isinstance(place, Unmeasured):
        return place
    chance = np.random.default_rng(seed)
    matrix = view.matrix[rows].copy()
    hit = np.sort(chance.permutation(len(rows))[: round(share * len(rows))])
    values, is_category = matrix[:, place], view.is_category(place)
    match kind:
        case Corruption.MISSING:
            matrix[hit, place] = np.nan
            flag = view.encoding.columns[place] + MISSING_SUFFIX
            if flag in view.encoding.columns:
                matrix[hit, view.encoding.columns.index(flag)] = 1.0
        case Corruption.UNSEEN:
            if not is_category:
                return Unmeasured(reason=f"`{column}` is a number, and every number has been seen")
            # An unknown value is read as one without a code; its signal of missing stays off.
            matrix[hit, place] = np.nan
        case Corruption.SWAPPED:
            partner = view.position(str(other))
            if isinstance(partner, Unmeasured):
                return partner
            matrix[hit, place], matrix[hit, partner] = matrix[hit, partner], values[hit].copy()
        case Corruption.NOISE | Corruption.UNIT:
            if is_category:
                return Unmeasured(reason=f"`{column}` is a category and has no amount")
            if kind is Corruption.UNIT:
                matrix[hit, place] = values[hit] * UNIT
            else:
                known = values[np.isfinite(values)]
                width = float(known.std()) if len(known) else 0.0
                matrix[hit, place] = values[hit] + chance.normal(size=len(hit)) * NOISE * width
    return matrix


def robustness(evidence: Evidence, view: ModelView) -> tuple[tuple[str, Measured], ...]:
    """Names and values of the report's table: what missing values tell, then the ten corruptions that cost most.

    Corruptions that change nothing are not listed.

    Each feature of the model in turn, in every row: missing, and as its kind allows trembling, in
    another unit, never seen; and missing in every tenth row.
    """
    asked = asked_rows(evidence, evidence.everything)
    rows = asked[np.isfinite(evidence.costs[asked])]
    signals = (
        ("missing values alone tell the truth: AUC", missing_alone(evidence, view)),
        ("rise of the cost when missing-signals are shuffled", missing_shuffled(evidence, view)),
    )
    if len(rows) == 0:
        return signals
    before = _costs(evidence, view, rows)
    if (nothing := _no_fraction(before)) is not None:
        return (*signals, ("rise of the cost with corrupted input", nothing))
    tried: list[tuple[float, str, Floats]] = []
    for column in (one for one in view.encoding.columns if not one.endswith(MISSING_SUFFIX)):
        place = view.encoding.columns.index(column)
        kinds = [(Corruption.MISSING, 1.0), (Corruption.MISSING, USUAL_SHARE)]
        if view.is_category(place):
            kinds.append((Corruption.UNSEEN, 1.0))
        else:
            kinds += [(Corruption.NOISE, 1.0), (Corruption.UNIT, 1.0)]
        for kind, share in kinds:
            corrupted = corrupt(view, rows, column, kind, share=share, seed=evidence.seed)
            if not isinstance(corrupted, Unmeasured):
                after = _costs(evidence, view, rows, corrupted)
                if np.any(after != before):
                    tried.append((float(np.nansum(after - before)), _named(column, kind, share), after))
    worst = sorted(tried, key=lambda one: (-one[0], one[1]))[:MOST_LISTED]
    return (*signals, *((name, _rise(evidence, rows, before, after)) for _, name, after in worst))


def missing_alone(evidence: Evidence, view: ModelView) -> Measured:
    """How well the pattern of missing values alone tells the truth: a cross-fitted AUC with DeLong's interval.

    .5 is nothing. Above it, somebody's leaving a field empty says something about the
    outcome: a signal if it is so in use as well, a trap if it comes from how these rows were
    collected. Several classes: the positive one against the others.
    """
    if not evidence.rule.task.has_classes:
        return Unmeasured(reason="a regression has no classes to tell apart")
    missing = np.isnan(view.matrix)
    for place, column in enumerate(view.encoding.columns):
        if column.endswith(MISSING_SUFFIX):
            missing[:, place] = view.matrix[:, place] == 1.0
    missing = missing[:, missing.any(axis=0) & ~missing.all(axis=0)]
    if missing.shape[1] == 0:
        return Unmeasured(reason="no value is missing in some of the rows only")
    positive = evidence.truth == evidence.positive
    if min(positive.sum(), (~positive).sum()) < FEWEST:
        return Unmeasured(reason=f"fewer than {FEWEST} rows are of one of the two classes")
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=evidence.seed)
    scores = cross_val_predict(
        LogisticRegression(max_iter=500),
        missing.astype(np.float64),
        positive,
        cv=folds,
        method="predict_proba",
    )[:, 1]
    return auc(scores, positive, groups=evidence.groups, seed=evidence.seed, confidence=evidence.confidence)


def missing_shuffled(evidence: Evidence, view: ModelView) -> Measured:
    """By which fraction the cost rises when the missing-signals are dealt out anew among the rows.

    What of the product's value rests on *that* something is missing rather than on what is there.
    """
    flags = [place for place, one in enumerate(view.encoding.columns) if one.endswith(MISSING_SUFFIX)]
    asked = asked_rows(evidence, evidence.everything)
    rows = asked[np.isfinite(evidence.costs[asked])]
    if not flags:
        return Unmeasured(reason="no feature of the model has a missing-signal")
    if len(rows) == 0:
        return Unmeasured(reason="no row has a known cost")
    shuffled = view.matrix[rows].copy()
    order = np.random.default_rng(evidence.seed).permutation(len(rows))
    shuffled[:, flags] = shuffled[order][:, flags]
    return _rise(evidence, rows, _costs(evidence, view, rows), _costs(evidence, view, rows, shuffled))


def _costs(evidence: Evidence, view: ModelView, rows: Rows, matrix: Matrix | None = None) -> Floats:
    """What deciding about *rows* by the model costs when it reads *matrix* instead, shape (len(rows),)."""
    told = evidence.predictions.values.copy()
    told[rows] = view.predict(view.matrix[rows] if matrix is None else matrix).values
    answers = Predictions(task=evidence.predictions.task, classes=evidence.predictions.classes, values=told)
    return evidence.costs_of(answers)[rows]


def _rise(evidence: Evidence, rows: Rows, before: Floats, after: Floats) -> Measured:
    known = np.isfinite(before) & np.isfinite(after)
    if (nothing := _no_fraction(before[known])) is not None:
        return nothing
    seen = ratio(
        after[known] - before[known],
        before[known],
        seed=evidence.seed,
        groups=None if evidence.groups is None else evidence.groups[rows][known],
        confidence=evidence.confidence,
    )
    return Measurement(
        value=seen.value,
        low=seen.low,
        high=seen.high,
        confidence=seen.confidence,
        rows=seen.rows,
        method=f"paired {seen.method}",
        note=f"{int((after[known] != before[known]).sum()):,} of {int(known.sum()):,} decisions cost something else",
    )


def _no_fraction(before: Floats) -> Unmeasured | None:
    """Why a rise is no fraction of what these rows cost, None where it is one."""
    known = before[np.isfinite(before)]
    if len(known) == 0:
        return Unmeasured(reason="no row has a known cost")
    mean = float(known.mean())
    if mean > 0:
        return None
    return Unmeasured(reason=f"a decision costs {mean:.4g} as it is, and a rise is no fraction of that")


def _named(column: str, kind: Corruption, share: float) -> str:
    words = {
        Corruption.MISSING: "missing",
        Corruption.NOISE: f"moved by {NOISE:g} of its spread",
        Corruption.UNIT: f"{UNIT:g} times too large",
        Corruption.UNSEEN: "a value never seen",
        Corruption.SWAPPED: "swapped",
    }[kind]
    where = "" if share == 1.0 else f" in {share:.0%} of the rows"
    return f"rise of the cost with {column} {words}{where}"
