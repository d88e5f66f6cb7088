"""Which cases a change falls on: a shallow tree whose leaves are told in words.

The tree is grown on one half of the rows and its leaves are measured on the other, so a
leaf's number is not the luck that made the tree choose it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.domain.finding import Measurement
from geartrain.domain.incident import Segment
from geartrain.domain.prediction import Floats
from geartrain.stats.intervals import normal_quantile

#: Questions between the root and a leaf: an expert keeps no more in mind.
DEPTH = 3
#: The share of rows below which a leaf is no segment, and the fewest rows of one.
SMALLEST, FEWEST = 0.03, 25
#: So many segments are told.
MOST = 3
#: Categories that are asked about by name.
MOST_CATEGORIES = 12
#: Cases that are this much more frequent than before are a segment that grew.
GREW = 1.5
CONFIDENCE = 0.95

#: Two leaves are two where the unseen half tells them apart by so many standard errors.
SURELY = 3.0

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What one column of a matrix says of a row: a number, or whether something is so.

    Attributes:
        value: The category that is asked for; empty asks whether the value is missing.
    """

    column: str
    number: bool
    value: str = ""


#: The way to a leaf: each question, its threshold, and whether the answer lies above it.
Path = tuple[tuple[Question, float, bool], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cases:
    """Rows as trees read them, shape (rows, questions), and what each column asks."""

    matrix: Floats
    questions: tuple[Question, ...]


def cases_of(features: pl.DataFrame) -> Cases:
    """Numbers as they are (a missing one is NaN), categories and missing values as questions.

    >>> cases_of(pl.DataFrame({"a": [1.0, None], "b": ["x", "y"]})).matrix.tolist()
    [[1.0, 0.0, 1.0, 0.0], [nan, 1.0, 0.0, 1.0]]
    """
    columns: list[Floats] = []
    questions: list[Question] = []

    def ask(question: Question, answers: pl.Series) -> None:
        questions.append(question)
        columns.append(answers.cast(pl.Float64).to_numpy().astype(np.float64))

    for series in features:
        name = series.name
        numeric = series.dtype.is_numeric()
        if numeric:
            # Single precision is what trees compare in; what lies beyond it is the largest that they know.
            values = series.cast(pl.Float64).fill_nan(None).clip(-1e30, 1e30)
            ask(Question(column=name, number=True), values.fill_null(math.nan))
        else:
            values = series.cast(pl.String)
        if values.null_count():
            ask(Question(column=name, number=False), values.is_null())
        if not numeric:
            common = (
                values.drop_nulls().value_counts(name="rows").sort(["rows", name], descending=[True, False])
            )
            for value in common[name].head(MOST_CATEGORIES):
                ask(
                    Question(column=name, number=False, value=value), (values == value).fill_null(value=False)
                )
    matrix = np.column_stack(columns) if columns else np.zeros((features.height, 0))
    return Cases(matrix=matrix, questions=tuple(questions))


def dearer_segments(cases: Cases, excess: Floats, *, seed: int) -> tuple[Segment, ...]:
    """Where rows cost more than was to be expected of them, the largest sum first.

    *excess* has for each row what it cost beyond that, shape (rows,).
    """
    leaves = _leaves(cases, excess, seed=seed)
    found = []
    for path, all_rows, honest in leaves:
        values = excess[honest]
        if len(values) < 2:
            continue
        mean = float(values.mean())
        half = normal_quantile(0.5 + CONFIDENCE / 2) * float(values.std(ddof=1)) / math.sqrt(len(values))
        if mean - half <= 0:
            continue
        more = Measurement(
            value=mean,
            low=mean - half,
            high=mean + half,
            confidence=CONFIDENCE,
            rows=len(values),
            method="half that the tree did not see",
        )
        share = float(all_rows.mean())
        segment = Segment(
            words=_path_in_words(path),
            where=_path_as_expression(path),
            rows=int(all_rows.sum()),
            share=share,
            more=more,
        )
        found.append((-share * mean, segment))
    return tuple(one for _, one in sorted(found, key=lambda pair: pair[0])[:MOST])


def grown_segments(cases: Cases, current: Mask, *, seed: int) -> tuple[Segment, ...]:
    """Which cases are more frequent among the *current* rows than among the others, the largest rise first."""
    # Each side weighs the same, whatever its size, so that a leaf's mean is a ratio of shares.
    if not current.any() or current.all():
        return ()
    found = []
    for path, all_rows, honest in _leaves(cases, current.astype(np.float64), seed=seed, balanced=current):
        inside = np.bincount(current[honest], minlength=2)
        then, now = np.bincount(current[_honest_half(len(current), seed)], minlength=2)
        if min(then, now) == 0:
            continue
        before, share = float(inside[0] / then), float(inside[1] / now)
        spread = math.sqrt(share * (1 - share) / now + before * (1 - before) / then)
        if share < GREW * before or share - before <= normal_quantile(0.5 + CONFIDENCE / 2) * spread:
            continue
        rows = int((all_rows & current).sum())
        segment = Segment(
            words=_path_in_words(path),
            where=_path_as_expression(path),
            rows=rows,
            share=share,
            before=before,
        )
        found.append((before - share, segment))
    return tuple(one for _, one in sorted(found, key=lambda pair: pair[0])[:MOST])


def in_words(segments: Sequence[Segment], *, currency: str = "") -> str:
    """The segments in one sentence; empty without any."""
    told = []
    unit = f" {currency}" if currency else ""
    for one in segments:
        said = one.words
        if one.more is not None:
            said += (
                f" ({one.share:.0%} of the cases, each costs {one.more.value:.3g}{unit} more than expected)"
            )
        elif one.before is not None:
            said += f" ({one.share:.0%} of the cases, before {one.before:.0%})"
        told.append(said)
    if len(segments) == 1 and segments[0].share == 1.0:
        return f"it falls on {told[0]}"
    return "mostly where " + "; or where ".join(told) if told else ""


def _leaves(
    cases: Cases, target: Floats, *, seed: int, balanced: Mask | None = None
) -> list[tuple[Path, Mask, NDArray[np.int64]]]:
    """The way to each leaf, with all its rows and those of the half that the tree did not see."""
    rows = len(target)
    if rows < 4 * FEWEST or cases.matrix.shape[1] == 0:
        return []
    from sklearn.tree import DecisionTreeRegressor

    filled = _filled(cases.matrix)
    outside = _honest_half(rows, seed)
    weights = None
    if balanced is not None:
        weights = np.where(balanced, 0.5 / balanced.mean(), 0.5 / (1 - balanced.mean()))[~outside]
    tree = DecisionTreeRegressor(
        max_depth=DEPTH,
        min_samples_leaf=max(FEWEST, math.ceil(SMALLEST * rows / 2)),
        random_state=seed,
    ).fit(filled[~outside], target[~outside], sample_weight=weights)
    everyone = np.arange(rows, dtype=np.int64)
    return [
        (path, _mask(rows, held), held[outside[held]])
        for held, path in _grown(tree.tree_, cases.questions, filled, target, outside, everyone, node=0)
        if path
    ]


def _honest_half(rows: int, seed: int) -> Mask:
    half = np.zeros(rows, dtype=np.bool_)
    half[np.random.default_rng(seed).permutation(rows)[: rows // 2]] = True
    return half


def _filled(matrix: Floats) -> Floats:
    """A missing number stands in the middle: that it is missing is a question of its own."""
    filled = matrix.copy()
    for place in np.flatnonzero(np.isnan(matrix).any(axis=0)):
        known = matrix[~np.isnan(matrix[:, place]), place]
        filled[np.isnan(filled[:, place]), place] = float(np.median(known)) if len(known) else 0.0
    return filled


def _grown(
    tree: Any,
    questions: tuple[Question, ...],
    filled: Floats,
    target: Floats,
    outside: Mask,
    held: NDArray[np.int64],
    *,
    node: int,
    path: Path = (),
) -> list[tuple[NDArray[np.int64], Path]]:
    """The leaves below *node* that the unseen half confirms, with their rows and the way to them.

    Two leaves that the unseen half cannot tell apart are one.
    """
    left, right = int(tree.children_left[node]), int(tree.children_right[node])
    if left == right:
        return [(held, path)]
    question, cut = questions[tree.feature[node]], float(tree.threshold[node])
    above = filled[held, tree.feature[node]].astype(np.float32) > cut
    lower, upper = (
        _grown(
            tree,
            questions,
            filled,
            target,
            outside,
            held[side],
            node=child,
            path=(*path, (question, cut, said)),
        )
        for side, child, said in ((~above, left, False), (above, right, True))
    )
    if len(lower) == len(upper) == 1 and not _apart(target, outside, lower[0][0], upper[0][0]):
        return [(held, path)]
    return [*lower, *upper]


def _apart(target: Floats, outside: Mask, a: NDArray[np.int64], b: NDArray[np.int64]) -> bool:
    first, second = target[a[outside[a]]], target[b[outside[b]]]
    if min(len(first), len(second)) < 2:
        return False
    spread = math.sqrt(first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second))
    return abs(float(first.mean() - second.mean())) > SURELY * spread


def _mask(rows: int, held: NDArray[np.int64]) -> Mask:
    mask = np.zeros(rows, dtype=np.bool_)
    mask[held] = True
    return mask


def _path_in_words(path: Path) -> str:
    words = []
    for name in dict.fromkeys(question.column for question, _, _ in path):
        mine = [one for one in path if one[0].column == name]
        yes = [question for question, _, above in mine if not question.number and above]
        no = [question for question, _, above in mine if not question.number and not above]
        low = max((cut for question, cut, above in mine if question.number and above), default=None)
        high = min((cut for question, cut, above in mine if question.number and not above), default=None)
        if yes:
            words.append(f"`{name}` is {yes[0].value or 'missing'}")
            continue
        if low is not None and high is not None:
            words.append(f"`{name}` is between {_number(low)} and {_number(high)}")
        elif low is not None:
            words.append(f"`{name}` is above {_number(low)}")
        elif high is not None:
            words.append(f"`{name}` is at most {_number(high)}")
        named = [question.value for question in no if question.value]
        if named:
            words.append(f"`{name}` is not {' or '.join(named)}")
        elif any(not question.value for question in no) and low is None and high is None:
            words.append(f"`{name}` is known")
    return " and ".join(words)


def _path_as_expression(path: Path) -> str:
    """The path in the language of the contract's `where`, with the words' own numbers; empty where it asks for missing values.

    >>> _path_as_expression(((Question(column="age", number=True), 41.26, True),))
    '`age` > 41.3'
    """
    told = []
    for question, cut, above in path:
        column = f"`{question.column}`"
        if "`" in question.column:
            return ""
        if question.number:
            told.append(f"{column} {'>' if above else '<='} {_number(cut).replace(',', '')}")
        elif question.value:
            told.append(
                f"{column} {'==' if above else '!='} {json.dumps(question.value, ensure_ascii=False)}"
            )
        else:
            return ""
    return " and ".join(dict.fromkeys(told))


def _number(value: float) -> str:
    """Three digits are enough to recognise a case by."""
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    shown = f"{round(value, digits):,.{min(max(digits, 0), 12)}f}"
    return shown.rstrip("0").rstrip(".") if digits > 0 else shown
