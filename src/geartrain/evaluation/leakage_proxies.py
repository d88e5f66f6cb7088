"""Target proxies: columns that are the answer, or were written after it.

Two questions about each column that the model reads, on rows that are free to learn from:

1. *Is it the answer?* Alone, cross-fitted, it leaves at most a tenth of the errors of always
   saying the likeliest class.
2. *Does it outweigh all the rest?* It separates well alone, and without it two fifths or more
   of what all columns together know about the truth are lost, or it alone separates better
   than all the others together. An honest cause seldom does that to twenty other columns; a
   column that was written when the outcome was known does. Then the question is when it
   becomes known, and the contract can answer it.

Both are relative to the product's own columns, so a good product is not suspected for
being good. Source of the taxonomy: Kapoor & Narayanan (2023), "Leakage and the
reproducibility crisis in machine-learning-based science", Patterns 4(9), type L2.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.columns import numbers, texts
from geartrain.domain.expression import Columns, Values
from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.stats.information import Codes, information_gained, normalised_mutual_information
from geartrain.stats.intervals import clopper_pearson, ratio
from geartrain.stats.ranking import auc, auc_difference

#: Alone, so little of the errors of the likeliest class is left, and so much at the interval's high end.
NEARLY_NO_ERROR = 0.1
SURELY_FEW_ERRORS = 0.25
#: A column that separates less than this alone gives nothing away, however weak the others are.
SEPARATES = 0.75
#: The share of what is known that is lost without the column, at the interval's low end.
OUTWEIGHS = 0.4
#: How sure it must be that it separates better than all the others: four columns are asked.
SURE = 0.99
#: Of two columns that say the same, neither is missed; columns this alike are taken out together.
TWINS = 0.9

FEWEST_OF_CLASS = 10
MOST_ROWS = 20_000
MOST_CLASSES = 8
MOST_ASKED = 4
FOLDS = 5
BINS = 16
QUARTERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """One column that gives the truth away.

    Attributes:
        column: Its name.
        alone: The AUC of the column alone, over pairs of rows of different classes.
        is_answer: Whether it is the answer itself; else it outweighs all the others together.
        lost: The share of what all columns know about the truth that is lost without it; None
            where there is no other column, or it is the answer.
        sentence: What was seen, in words, with what to do.
    """

    column: str
    alone: Measurement
    is_answer: bool
    lost: Measurement | None
    sentence: str


def leaks(
    columns: Columns,
    truth: NDArray[Any],
    *,
    accepted: Collection[str] = (),
    available: Collection[str] = (),
    late: Collection[str] = (),
    seed: int = 0,
) -> tuple[Leak, ...]:
    """The columns that give the truth away, the strongest first; empty where none does.

    Cheap enough to be asked before anything is trained. Where there are fewer than 10 rows of
    two classes it finds nothing and cannot: ask `enough` first.

    Args:
        columns: What the model would read, each of shape (n,): numbers or categories. Keys,
            times and the label itself must not be among them.
        truth: Class indices (integers; negative is not known), or numbers of a regression (NaN
            is not known), which are asked for as quarters; shape (n,).
        accepted: Columns that the contract names as legitimate (`integrity.target_proxy.accept`).
        available: Columns of which it is settled that they are known when the decision is
            made: the second question is not asked about them, the first one is.
        late: Columns of which it is said that they are known only later: nobody is asked when.
        seed: Draws the folds, and at most 20,000 rows.
    """
    rows, target = _asked(truth, seed)
    if not enough(truth):
        return ()
    asked = {name: _numeric(values[rows]) for name, values in columns.items()}
    asked = {name: seen for name, seen in asked.items() if len(np.unique(seen[0])) > 1}
    folds = _folds(target, seed)
    alone = {name: _alone(seen, target, folds) for name, seen in asked.items()}
    separating = {name: _separation(asked[name], alone[name], target) for name in asked}
    strongest = sorted(asked, key=lambda name: -separating[name].value)[:MOST_ASKED]
    found = []
    everything: Floats | None = None
    for name in strongest:
        if name in accepted or separating[name].value < SEPARATES:
            continue
        errors, trivial = _errors(alone[name], target)
        if errors <= NEARLY_NO_ERROR * trivial and clopper_pearson(errors, trivial)[1] <= SURELY_FEW_ERRORS:
            found.append(_answer(name, separating[name], errors, trivial, len(rows)))
        elif name not in available and len(asked) > 1:
            everything = _together(asked, [*asked], target, folds, seed) if everything is None else everything
            rest = _together(asked, _others(name, asked), target, folds, seed)
            lost = _lost(everything, rest, target, seed)
            if lost is not None and (lost.low >= OUTWEIGHS or _better(alone[name], rest, target)):
                found.append(_outweighing(name, separating[name], lost, is_late=name in late))
    return tuple(found)


def enough(truth: NDArray[Any]) -> bool:
    """Whether there are two classes (or quarters) with rows enough to ask about any column."""
    _, target = _asked(truth, 0)
    counts = np.bincount(target) if len(target) else np.zeros(1, dtype=np.int64)
    return int((counts >= FEWEST_OF_CLASS).sum()) >= 2


def _asked(truth: NDArray[Any], seed: int) -> tuple[Codes, Codes]:
    """Rows with a known truth, at most MOST_ROWS, and their classes as 0, 1, ...: the rarer ones as one."""
    if truth.dtype.kind in "iub":
        rows = np.flatnonzero(truth >= 0)
    else:
        rows = np.flatnonzero(np.isfinite(truth.astype(np.float64)))
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    told = truth[rows]
    if truth.dtype.kind not in "iub":
        edges = np.unique(np.quantile(told, np.arange(1, QUARTERS) / QUARTERS)) if len(told) else told
        told = np.searchsorted(edges, told, side="right")
    values, codes, counts = np.unique(told, return_inverse=True, return_counts=True)
    codes = codes.reshape(-1)
    if len(values) > MOST_CLASSES:
        order = np.argsort(-counts, kind="stable")
        place = np.full(len(values), MOST_CLASSES - 1, dtype=np.int64)
        place[order[: MOST_CLASSES - 1]] = np.arange(MOST_CLASSES - 1)
        codes = place[codes]
    return rows.astype(np.int64), codes.astype(np.int64)


def _numeric(values: Values) -> tuple[Floats, bool]:
    """A column as numbers, and whether they are only the codes of a category; missing is a value below all."""
    if values.dtype == object and any(isinstance(one, str) for one in values.tolist()):
        told = np.array(["" if one is None else one for one in texts(values)], dtype=str)
        return np.unique(told, return_inverse=True)[1].reshape(-1).astype(np.float64), True
    exact = numbers(values)
    known = exact[np.isfinite(exact)]
    floor = float(known.min()) - 1.0 if len(known) else 0.0
    return np.where(np.isfinite(exact), exact, floor), False


def _folds(target: Codes, seed: int) -> NDArray[np.int64]:
    """A fold for each row, each class shared out evenly."""
    drawn = np.random.default_rng(seed).permutation(len(target))
    order = drawn[np.argsort(target[drawn], kind="stable")]
    fold = np.empty(len(target), dtype=np.int64)
    fold[order] = np.arange(len(target)) % FOLDS
    return fold


def _alone(seen: tuple[Floats, bool], target: Codes, folds: NDArray[np.int64]) -> Floats:
    """Cross-fitted class probabilities from one column, shape (n, classes)."""
    from sklearn.tree import DecisionTreeClassifier

    values, is_category = seen
    width = int(target.max()) + 1
    told = np.zeros((len(target), width))
    for fold in range(FOLDS):
        teach, held = folds != fold, folds == fold
        if is_category:
            codes = values.astype(np.int64)
            counts = np.zeros((int(codes.max()) + 1, width))
            np.add.at(counts, (codes[teach], target[teach]), 1.0)
            shares = np.bincount(target[teach], minlength=width) / teach.sum()
            told[held] = ((counts + shares) / (counts.sum(axis=1, keepdims=True) + 1.0))[codes[held]]
        else:
            tree = DecisionTreeClassifier(max_leaf_nodes=BINS, min_samples_leaf=5, random_state=0)
            tree.fit(values[teach].reshape(-1, 1), target[teach])
            told[np.ix_(held, tree.classes_)] = tree.predict_proba(values[held].reshape(-1, 1))
    return told


def _separation(seen: tuple[Floats, bool], told: Floats, target: Codes) -> Measurement:
    """The AUC of the column alone: as it stands where it is a number, or through its best cuts.

    Several classes: the class that it separates worst, for a column that knows the answer
    knows all of it.
    """
    classes = range(1, 2) if told.shape[1] == 2 else range(told.shape[1])
    each = []
    for one in classes:
        is_one = target == one
        best = auc(told[:, one], is_one)
        if not seen[1] and told.shape[1] == 2:
            rising = auc(seen[0], is_one)
            falling = auc(-seen[0], is_one)
            best = max(best, rising, falling, key=lambda measured: measured.value)
        each.append(best)
    return min(each, key=lambda measured: measured.value)


def _errors(told: Floats, target: Codes) -> tuple[int, int]:
    """Errors of the column alone, and of always saying the likeliest class; never more than the latter."""
    trivial = int(len(target) - np.bincount(target).max())
    return min(int((told.argmax(axis=1) != target).sum()), trivial), trivial


def _others(name: str, asked: Mapping[str, tuple[Floats, bool]]) -> list[str]:
    """The other columns, without those that say the same as this one."""
    own = _binned(asked[name][0])
    return [
        other
        for other, (values, _) in asked.items()
        if other != name and normalised_mutual_information(own, _binned(values)) < TWINS
    ]


def _lost(everything: Floats, rest: Floats, target: Codes, seed: int) -> Measurement | None:
    """1 - information of the rest / information of all; None where all know nothing."""
    gained = information_gained(everything, target)
    if gained.mean() <= 0:
        return None
    return ratio(gained - information_gained(rest, target), gained, seed=seed)


def _better(alone: Floats, rest: Floats, target: Codes) -> bool:
    """Whether the column alone surely separates two classes better than all the others together."""
    if alone.shape[1] != 2:
        return False
    return auc_difference(alone[:, 1], rest[:, 1], target == 1, confidence=SURE).low > 0


def _together(
    asked: Mapping[str, tuple[Floats, bool]],
    names: list[str],
    target: Codes,
    folds: NDArray[np.int64],
    seed: int,
) -> Floats:
    """Cross-fitted class probabilities from several columns by boosted trees, shape (n, classes)."""
    from lightgbm import LGBMClassifier

    width = int(target.max()) + 1
    if not names:
        return np.tile(np.bincount(target, minlength=width) / len(target), (len(target), 1))
    matrix = np.column_stack([asked[name][0] for name in names])
    told = np.zeros((len(target), width))
    for fold in range(FOLDS):
        teach, held = folds != fold, folds == fold
        model = LGBMClassifier(
            n_estimators=60,
            num_leaves=8,
            learning_rate=0.1,
            min_child_samples=10,
            random_state=seed,
            n_jobs=1,
            deterministic=True,
            verbose=-1,
        )
        model.fit(matrix[teach], target[teach])
        answers = np.asarray(model.booster_.predict(matrix[held]))
        if answers.ndim == 1:
            answers = np.column_stack([1.0 - answers, answers])
        told[np.ix_(held, model.classes_)] = answers
    return told


def _binned(values: Floats) -> Codes:
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.searchsorted(edges, values, side="right").astype(np.int64)


def _answer(name: str, alone: Measurement, errors: int, trivial: int, rows: int) -> Leak:
    return Leak(
        column=name,
        alone=alone,
        is_answer=True,
        lost=None,
        sentence=(
            f"`{name}` alone is right in all but {errors:,} of {rows:,} rows, where saying the likeliest"
            f" answer errs {trivial:,} times: it is the answer or the rule that makes it."
            f" Take it out, or accept it under integrity.target_proxy.accept and say why"
        ),
    )


def _outweighing(name: str, alone: Measurement, lost: Measurement, *, is_late: bool) -> Leak:
    if is_late:
        advice = ". The contract says that it is known only after the decision: take it out"
    else:
        advice = (
            ": is it known when the decision is made?"
            " Say `known_after` at the column, or accept it under integrity.target_proxy.accept"
        )
    return Leak(
        column=name,
        alone=alone,
        is_answer=False,
        lost=lost,
        sentence=(
            f"`{name}` separates alone with an AUC of {alone.value:.3f}, and without it"
            f" {_lost_in_words(lost.value)}{advice}"
        ),
    )


def _lost_in_words(lost: float) -> str:
    """What is lost without a column; the others alone can be so misled that guessing would be better."""
    if lost > 1:
        return "all that the columns know is lost, and the others alone say less than a guess"
    return f"{lost:.0%} of what all columns know is lost"
