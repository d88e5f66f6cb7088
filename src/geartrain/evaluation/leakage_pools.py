"""Rows on the wrong side: the same people, the future, and a judged world that is another one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.columns import numbers, texts
from geartrain.domain.expression import Columns, Values
from geartrain.domain.finding import Measurement
from geartrain.evaluation.evidence import Measured, Unmeasured
from geartrain.stats.ranking import auc

Rows = NDArray[np.int64]

#: A column names somebody who comes back where it has so many values for its rows ...
MANY_VALUES = 0.3
#: ... and rows that share a value agree so well, beyond chance, in so many other columns ...
AGREE = 0.95
AGREEING = 2
#: ... seen in at least so many pairs of rows, which are not one row twice.
FEWEST_PAIRS = 30
_SAME_ROW = 0.9
_COMMON = 0.7

MOST_ROWS = 2_000
FOLDS = 3


def known_entities(
    columns: Columns, *, judged: Rows, known: Rows, named: Collection[str], looks: bool = True
) -> Measured:
    """The largest share of judged rows whose value of a naming column also stands in a known row.

    *named* are columns of which it is agreed that they name somebody (a patient, a card).
    Where *looks*, other columns are asked too: see `naming_columns`. A missing value names nobody.
    """
    asked = [name for name in named if name in columns]
    suspected = [name for name in naming_columns(columns) if name not in asked] if looks else []
    worst, note = 0.0, "no column names somebody who comes back"
    for name in (*asked, *suspected):
        told = texts(columns[name])
        met = {told[row] for row in known} - {None}
        share = sum(told[row] in met for row in judged) / len(judged) if len(judged) else 0.0
        if share > worst or not worst:
            worst = share
            note = f"by `{name}`" if share else f"nobody in `{name}` stands on both sides"
            if share and name in suspected:
                note += ", which seems to name somebody; if so, name it as data.split.group"
    return Measurement.exact(worst, rows=len(judged), note=note)


def naming_columns(columns: Columns) -> tuple[str, ...]:
    """Columns that look like the name of somebody who comes back, though nobody said so.

    Two visits of one patient agree in sex and in birth, two loans of one amount do not: a
    column is suspected where rows with one value of it agree beyond chance (Cohen's kappa
    >= .95) in at least two other columns. A heuristic: it misses people about whom nothing
    lasting is recorded.
    """
    rows = min((len(values) for values in columns.values()), default=0)
    shuffled = np.random.default_rng(0).permutation(rows)
    coded = {name: _codes(values)[shuffled] for name, values in columns.items()}
    various = {name: codes for name, codes in coded.items() if 1 < len(np.unique(codes)) < rows}
    found = []
    for name, codes in various.items():
        if len(np.unique(codes)) < MANY_VALUES * rows or not _is_discrete(columns[name]):
            continue
        order = np.argsort(codes, kind="stable")
        same = codes[order][1:] == codes[order][:-1]
        one, other = order[1:][same], order[:-1][same]
        agree = {beside: values[one] == values[other] for beside, values in various.items() if beside != name}
        if not agree:
            continue
        apart = np.mean([*agree.values()], axis=0) < _SAME_ROW
        if apart.sum() < FEWEST_PAIRS:
            continue
        kappas = [
            (agreed[apart].mean() - chance) / (1 - chance)
            for beside, agreed in agree.items()
            if (chance := _collision(various[beside])) <= _COMMON
        ]
        if sum(kappa >= AGREE for kappa in kappas) >= AGREEING:
            found.append(name)
    return tuple(found)


def learned_too_early(
    *,
    times_us: Rows,
    known: Rows,
    judged: Rows,
    label_delay_us: int,
    label_times_us: NDArray[np.float64] | None = None,
    arrivals_us: NDArray[np.float64] | None = None,
) -> Measurement:
    """The share of rows learned from that could not have been, when the first judged row happened.

    A row counts where it happened, or its truth was due (its time + the label delay), after
    the first judged row; where its truth in fact arrived later than that; and where the row
    itself arrived only after its own truth, so that it may have been written in hindsight.

    Args:
        times_us: When each row happened, shape (n,).
        known: The rows that were learned from.
        judged: The rows that judge.
        label_delay_us: After how long a truth is due.
        label_times_us: When each row's truth arrived, NaN where nobody knows; None where labels
            stand in the rows and have no time of their own.
        arrivals_us: When each row itself arrived, NaN where nobody knows.
    """
    if len(known) == 0 or len(judged) == 0:
        return Measurement.exact(0.0, rows=len(known), note="a pool is empty")
    opens = int(times_us[judged].min())
    own = times_us[known]
    counted: dict[str, NDArray[np.bool_]] = {
        "happened after the first judged row": own >= opens,
        "had their truth due after it": (own < opens) & (own + label_delay_us > opens),
    }
    if label_times_us is not None:
        late = np.nan_to_num(label_times_us[known], nan=-np.inf) > opens
        counted["had their truth in fact later than promised"] = late & (own + label_delay_us <= opens)
        if arrivals_us is not None:
            hindsight = arrivals_us[known] > label_times_us[known]
            counted["arrived after their own truth was known"] = hindsight
    wrong = np.any([*counted.values()], axis=0)
    told = [f"{int(mask.sum()):,} {words}" for words, mask in counted.items() if mask.any()]
    note = "; ".join(told) if told else "each was settled before the first judged row"
    return Measurement.exact(float(wrong.mean()), rows=len(known), note=note)


def columns_known_too_late(
    reads: Mapping[str, Collection[str]], known_after_s: Mapping[str, float]
) -> Measurement:
    """How many features read a column that the contract says is known only after the decision.

    Args:
        reads: For each feature the columns of the decision row that it reads.
        known_after_s: For each column the seconds after the decision, where the contract says it.
    """
    late = {
        feature: [one for one in columns if known_after_s.get(one, 0.0) > 0]
        for feature, columns in reads.items()
    }
    offenders = {feature: columns for feature, columns in late.items() if columns}
    if offenders:
        note = "; ".join(
            f"`{feature}` reads `{columns[0]}`, known {known_after_s[columns[0]] / 86_400:.3g} days later"
            for feature, columns in offenders.items()
        )
    else:
        silent = sorted({one for columns in reads.values() for one in columns} - known_after_s.keys())
        note = f"of {len(silent)} columns nobody has said when they are known" if silent else ""
    return Measurement.exact(float(len(offenders)), rows=len(reads), method="feature definitions", note=note)


def rows_told_apart(columns: Columns, *, known: Rows, judged: Rows, seed: int) -> Measured:
    """Adversarial validation: the cross-fitted AUC of guessing whether a row is judged or learned from.

    .5 where the two cannot be told apart. Above it, the pools are of different worlds (by time
    that is usual), and the columns that tell them apart most are named.
    """
    from lightgbm import LGBMClassifier

    chance = np.random.default_rng(seed)
    drawn = [
        rows if len(rows) <= MOST_ROWS else chance.choice(rows, MOST_ROWS, replace=False)
        for rows in (known, judged)
    ]
    if min(len(rows) for rows in drawn) < 2 * FOLDS:
        return Unmeasured(reason=f"there are fewer than {2 * FOLDS} rows on one side")
    if not columns:
        return Unmeasured(reason="there is no column to tell them apart by")
    rows = np.concatenate(drawn)
    side = np.repeat([0, 1], [len(one) for one in drawn])
    matrix = np.column_stack([_numeric(values[rows]) for values in columns.values()])
    fold = np.empty(len(rows), dtype=np.int64)
    order = chance.permutation(len(rows))
    fold[order[np.argsort(side[order], kind="stable")]] = np.arange(len(rows)) % FOLDS
    scores, gains = np.zeros(len(rows)), np.zeros(len(columns))
    for one in range(FOLDS):
        teach, held = fold != one, fold == one
        model = LGBMClassifier(
            n_estimators=40, num_leaves=8, min_child_samples=10, class_weight="balanced",
            importance_type="gain", random_state=seed, n_jobs=1, deterministic=True, verbose=-1,
        )  # fmt: skip
        model.fit(matrix[teach], side[teach])
        scores[held] = model.booster_.predict(matrix[held])
        gains += model.feature_importances_
    seen = auc(scores, side == 1)
    names = list(columns)
    first = [f"`{names[place]}`" for place in np.argsort(-gains)[:3] if gains[place] > 0]
    note = f"most by {', '.join(first)}" if first and seen.low > 0.5 else ""
    return replace(
        seen,
        method=f"adversarial validation, {FOLDS} folds; {seen.method}",
        note=note,
    )


def _codes(values: Values) -> Rows:
    if values.dtype != object:
        return np.unique(numbers(values), return_inverse=True)[1].reshape(-1)
    told = np.array(["" if one is None else one for one in texts(values)], dtype=str)
    return np.unique(told, return_inverse=True)[1].reshape(-1)


def _numeric(values: Values) -> NDArray[np.float64]:
    if values.dtype == object and any(isinstance(one, str) for one in values.tolist()):
        return _codes(values).astype(np.float64)
    return numbers(values)


def _is_discrete(values: Values) -> bool:
    """Whether values name rather than measure: text, or whole numbers."""
    if values.dtype == object:
        return True
    known = numbers(values)
    known = known[np.isfinite(known)]
    return bool((known == np.round(known)).all())


def _collision(codes: Rows) -> float:
    """The probability that two rows drawn at random agree."""
    shares = np.bincount(codes) / len(codes)
    return float((shares**2).sum())
