"""What the answers rest on: each feature's part, by exact contributions or by shuffling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.evaluation.evidence import Evidence, Unmeasured
from geartrain.evaluation.model_view import MISSING_SUFFIX, Matrix, ModelView, sampled
from geartrain.evaluation.scene import Scene
from geartrain.stats.calibration import log_losses
from geartrain.stats.intervals import ratio

#: Contributions and shuffles are asked for at most so many rows.
MOST_EXPLAINED = 300
REPEATS = 3
#: Features whose ranks correlate by more than this on average are one cluster.
ALIKE = 0.8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """How much of each row's answer each feature makes.

    Attributes:
        members: The features of each part: one, or several that were shuffled together.
        sizes: The parts, shape (rows, len(members)), not negative on average but for chance.
        rows: Which rows, as places in the scene.
        of: The rows that they were drawn from.
        method: How the parts were found, in words.
        clusters: Features that go together, of two and more.
    """

    members: tuple[tuple[str, ...], ...]
    sizes: Floats
    rows: NDArray[np.int64]
    of: int
    method: str
    clusters: tuple[tuple[str, ...], ...]

    @property
    def means(self) -> Floats:
        """The mean part of each, 0 where chance made it negative, shape (len(members),)."""
        return np.asarray(np.maximum(self.sizes.mean(axis=0), 0.0))

    def together(self, feature: str) -> tuple[str, ...]:
        """The other features of the cluster of *feature*."""
        found = next((one for one in self.clusters if feature in one), ())
        return tuple(one for one in found if one != feature)


def parts_of(scene: Scene, view: ModelView, rows: NDArray[np.int64]) -> Parts | Unmeasured:
    """The parts of the answers about *rows*, of which at most `MOST_EXPLAINED` are asked about.

    Exact contributions (TreeSHAP, in the model's raw scores) where the model gives them.
    Otherwise how much the loss (log loss, or squared error) grows when a feature's values
    are shuffled between rows, 3 times: features that go together (average linkage of
    1 - |rank correlation|, cut at 0.2) are shuffled together, since either would stand in
    for the other. A feature and its missing-signal are one.
    """
    key = ("parts", rows.tobytes())
    if key not in view.memory:
        view.memory[key] = _parts(scene, view, rows)
    found = view.memory[key]
    assert isinstance(found, Parts | Unmeasured)
    return found


def share(scene: Scene, parts: Parts, index: int) -> Measurement:
    """The share that the part at *index* has of the whole, with a bootstrap interval over rows."""
    useful = parts.means > 0
    seen = ratio(
        parts.sizes[:, index],
        parts.sizes[:, useful].sum(axis=1),
        seed=scene.seed,
        groups=None if scene.groups is None else scene.groups[parts.rows],
        confidence=scene.confidence,
    )
    # A resampled share may leave [0, 1] where single rows have negative parts.
    return Measurement(
        value=seen.value,
        low=max(0.0, min(seen.low, 1.0)),
        high=min(1.0, max(seen.high, seen.value)),
        confidence=seen.confidence,
        rows=seen.rows,
        method=f"{parts.method}; {seen.method}",
    )


def rests_on(scene: Scene, view: ModelView, rows: NDArray[np.int64], features: tuple[str, ...]) -> str:
    """How much of the answers rests on *features*, as a half sentence; which they are where nobody can say.

    The ends of a share are not told here: it explains a finding and decides none.
    """
    listed = " and ".join(features)
    parts = parts_of(scene, view, rows)
    if isinstance(parts, Unmeasured) or not parts.means.any():
        return f"the answer reads {listed}"
    means = parts.means / parts.means.sum()
    mine = [index for index, members in enumerate(parts.members) if set(members) & set(features)]
    beside = sorted({one for index in mine for one in parts.members[index]} - set(features))
    with_others = f" (shuffled together with {', '.join(beside)})" if beside else ""
    told = 100 * float(means[mine].sum())
    if told < 0.5:
        return f"the answer rests for less than 1 % on {listed}{with_others}"
    return f"the answer rests for {told:.0f} % on {listed}{with_others}"


def owners_of(view: ModelView) -> tuple[str, ...]:
    """The feature behind each column of the matrix; a missing-signal is its feature's."""
    owned = []
    for column in view.encoding.columns:
        feature = view.feature(column)
        owned.append(column if feature is None else feature.name)
    return tuple(owned)


def clusters_of(view: ModelView, rows: NDArray[np.int64]) -> tuple[tuple[str, ...], ...]:
    """Features whose values go together: average linkage of 1 - |Spearman's rho|, cut at 1 - `ALIKE`.

    Codes of more than two values have no order and stay alone; what is missing counts as
    the median. Every feature is in exactly one cluster, in the order of the encoding.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform
    from scipy.stats import rankdata

    names, columns = [], []
    for position, column in enumerate(view.encoding.columns):
        values = view.matrix[rows, position].astype(np.float64)
        known = values[np.isfinite(values)]
        distinct = len(np.unique(known))
        if (
            column.endswith(MISSING_SUFFIX)
            or distinct < 2
            or (view.is_category(position) and distinct > 2)
            or column not in {one.name for one in view.encoding.feature_set.features}
        ):
            continue
        names.append(column)
        columns.append(rankdata(np.where(np.isfinite(values), values, np.median(known))))
    joined: dict[str, int] = {}
    if len(names) > 1:
        apart = 1.0 - np.abs(np.corrcoef(np.array(columns)))
        np.fill_diagonal(apart, 0.0)
        tree = linkage(squareform(np.clip((apart + apart.T) / 2, 0.0, 1.0), checks=False), method="average")
        labels = fcluster(tree, 1.0 - ALIKE, criterion="distance")
        joined = dict(zip(names, (int(one) for one in labels), strict=True))
    found: dict[object, list[str]] = {}
    for name in dict.fromkeys(owners_of(view)):
        found.setdefault(joined.get(name, name), []).append(name)
    return tuple(tuple(members) for members in found.values())


def _parts(scene: Scene, view: ModelView, rows: NDArray[np.int64]) -> Parts | Unmeasured:
    if len(rows) == 0:
        return Unmeasured(reason="no row is in the slice")
    asked = sampled(rows, MOST_EXPLAINED, seed=scene.seed)
    owners = owners_of(view)
    clusters = clusters_of(view, asked)
    members: tuple[tuple[str, ...], ...] = clusters
    if view.contributions is not None:
        names = tuple(dict.fromkeys(owners))
        sizes = np.abs(view.contributions(view.matrix[asked]))
        each = [sizes[:, [i for i, one in enumerate(owners) if one == name]].sum(axis=1) for name in names]
        members = tuple((name,) for name in names)
        parts, how = np.column_stack(each), "mean exact contributions"
    elif isinstance(scene, Evidence):
        places = [[i for i, one in enumerate(owners) if one in group] for group in clusters]
        parts = _shuffled(scene, view, asked, places)
        how = f"permutation importance of the loss, {REPEATS} shuffles"
    else:
        return Unmeasured(
            reason="this model has no exact contributions, and what shuffling costs is only seen where the truth is known"
        )
    return Parts(
        members=members,
        sizes=parts,
        rows=asked,
        of=len(rows),
        method=how,
        clusters=tuple(one for one in clusters if len(one) > 1),
    )


def _shuffled(
    evidence: Evidence, view: ModelView, rows: NDArray[np.int64], places: list[list[int]]
) -> Floats:
    """By how much each row's loss grows when columns are shuffled, shape (rows, len(places))."""
    matrix, generator = view.matrix[rows], np.random.default_rng(evidence.seed)

    def losses(asked: Matrix) -> Floats:
        values = view.predict(asked).values
        if evidence.rule.task.has_classes:
            return log_losses(values, evidence.truth[rows])
        errors: Floats = (values[:, 0] - evidence.truth[rows].astype(np.float64)) ** 2
        return errors

    before = losses(matrix)
    parts = np.zeros((len(rows), len(places)))
    for index, positions in enumerate(places):
        for _ in range(REPEATS):
            moved = matrix.copy()
            moved[:, positions] = matrix[generator.permutation(len(rows))][:, positions]
            parts[:, index] += (losses(moved) - before) / REPEATS
    return parts
