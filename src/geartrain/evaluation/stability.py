"""Whether what the model relies on works alike at every site, in every month, in every segment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.finding import Measurement
from geartrain.domain.prediction import Floats
from geartrain.domain.task import Task
from geartrain.evaluation.action_metrics import Parameters
from geartrain.evaluation.curves import ask, local_effects
from geartrain.evaluation.evidence import Evidence, Mask, Measured, Unmeasured
from geartrain.evaluation.importance import owners_of, parts_of
from geartrain.evaluation.model_view import ModelView, asked_rows, bands
from geartrain.stats.ale import LocalEffects, accumulate, code_hats, number_hats, resampled_weights
from geartrain.stats.heterogeneity import Heterogeneity, heterogeneity
from geartrain.stats.intervals import normal_quantile

#: Fewer rows than this do not show an effect.
FEWEST_IN_GROUP = 30
#: Features that make less of the answers than this are not looked at, and never more than so many.
LEAST_SHARE, MOST_EXAMINED = 0.05, 6
#: A feature whose own effect varies less than this share of what the answers do acts only beside others.
LEAST_EFFECT = 0.1
#: Above this share of differences that are not chance, effects are said to be different.
NOTABLE = 0.75
_RESAMPLES = 60


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Effects:
    """One feature's effect in each group, in units of what the model believes: 1 is as believed, 0 none.

    Attributes:
        groups: The groups that have enough rows in which the feature varies.
        own: What the model itself does in the group, shape (groups,).
        own_errors: Standard errors of the same.
        borne: What the truth bears out in the group.
        borne_errors: Standard errors of the same.
    """

    feature: str
    groups: tuple[str, ...]
    own: Floats
    own_errors: Floats
    borne: Floats
    borne_errors: Floats


def stable_across(evidence: Evidence, view: ModelView, mask: Mask, parameters: Parameters) -> Measured:
    """By how much of itself the effect of a leading feature differs between the values of the column.

    Each feature that makes 5 % of the answers or more (at most 6; or the one named by
    `feature`) is looked at in each group: what the model does with it there, and what the
    truth bears out of it (`effects_of`). Over the groups, the spread of either that is more
    than chance (`heterogeneity`) is the value, the largest of all; a proven opposite effect
    counts as 1. Limits by Bonferroni over features. More than 12 numbers become quarters.
    """
    across = str(parameters.get("column"))
    if across not in evidence.columns:
        return Unmeasured(reason=f"there is no column `{across}`")
    labels = bands(evidence.columns[across])
    inside = np.flatnonzero(mask)
    names, counts = np.unique([one for one in labels[inside] if one is not None], return_counts=True)
    judged = tuple(str(one) for one in names[counts >= FEWEST_IN_GROUP])
    small = tuple(str(one) for one in names[counts < FEWEST_IN_GROUP])
    if len(judged) < 2:
        return Unmeasured(reason=f"fewer than two values of `{across}` have {FEWEST_IN_GROUP} rows")
    features = _examined(evidence, view, asked_rows(evidence, mask), parameters)
    if isinstance(features, Unmeasured):
        return features
    found = [
        one
        for name in features
        if (one := effects_of(evidence, view, mask, name, labels, judged)) is not None and len(one.groups) > 1
    ]
    if not found:
        return Unmeasured(
            reason=f"no leading feature ({', '.join(features)}) moves the answer by itself within two values of `{across}`"
        )
    return _judged(evidence, found, rows=len(inside), small=small)


def effects_of(
    evidence: Evidence,
    view: ModelView,
    mask: Mask,
    feature: str,
    labels: NDArray[np.object_],
    judged: tuple[str, ...],
) -> Effects | None:
    """The effect of *feature* in each group of *labels*, or None where it hardly moves the answer by itself.

    With u(x) the feature's accumulated local effect over all rows and u_g(x) that over the
    rows of group g, both centred in g: the model's own effect is the slope of u_g on u, the
    borne-out one the slope of (truth - answer) + u_g on u. A model that is right in g has
    them equal; a feature that says nothing there has a borne-out slope of 0. Errors: a
    bootstrap of u_g, and the sandwich of the slope (by entity where rows repeat).
    """
    rows = asked_rows(evidence, mask)
    position = view.encoding.columns.index(feature)
    local = local_effects(evidence, view, rows, position)
    if isinstance(local, Unmeasured):
        return None
    believed = accumulate(local, np.ones((1, len(rows))))[0]
    varies = np.einsum("np,pc->nc", local.hats, believed).std(axis=0).max()
    if varies < LEAST_EFFECT * float(ask(evidence, view, view.matrix[rows]).std(axis=0).max()):
        return None
    everyone = np.flatnonzero(mask)
    hats = _hats(view.matrix[everyone, position].astype(np.float64), local)
    left = _residuals(evidence)[everyone]
    kept, own, own_errors, borne, borne_errors = [], [], [], [], []
    for name in judged:
        mine = (labels[everyone] == name) & hats.any(axis=1)
        asked = labels[rows] == name
        if mine.sum() < FEWEST_IN_GROUP or asked.sum() < 2:
            continue
        effect = _centred(np.einsum("np,pc->nc", hats[mine], believed))
        size = float((effect**2).sum())
        if size <= 1e-12 * max(1.0, float((believed**2).sum())) * mine.sum():
            continue
        weights = np.vstack([asked.astype(np.float64), _draws(evidence, rows, asked)])
        curves = accumulate(local, weights)
        # The slope of any curve on `effect` is linear in the curve's points.
        slopes = np.einsum("bpc,pc->b", curves, hats[mine].T @ effect) / size
        here = left[mine] + np.einsum("np,pc->nc", hats[mine], curves[0])
        slope = float((_centred(here) * effect).sum() / size)
        scores = ((_centred(here) - slope * effect) * effect).sum(axis=1)
        sandwich = (
            _clustered(scores, None if evidence.groups is None else evidence.groups[everyone][mine]) / size
        )
        kept.append(name)
        own.append(float(slopes[0]))
        own_errors.append(max(float(slopes[1:].std(ddof=1)), 1e-6))
        borne.append(slope)
        borne_errors.append(max(float(np.hypot(sandwich, own_errors[-1])), 1e-6))
    return Effects(
        feature=feature,
        groups=tuple(kept),
        own=np.array(own),
        own_errors=np.array(own_errors),
        borne=np.array(borne),
        borne_errors=np.array(borne_errors),
    )


def _examined(
    evidence: Evidence, view: ModelView, rows: NDArray[np.int64], parameters: Parameters
) -> tuple[str, ...] | Unmeasured:
    named = parameters.get("feature")
    if named is not None:
        position = view.position(str(named))
        return position if isinstance(position, Unmeasured) else (view.encoding.columns[position],)
    parts = parts_of(evidence, view, rows)
    if isinstance(parts, Unmeasured):
        return parts
    total = float(parts.means.sum())
    if total == 0:
        return Unmeasured(reason="no feature moves the model's answers or its loss")
    ranked = sorted(zip(parts.means / total, parts.members, strict=True), key=lambda one: -one[0])
    columns = set(view.encoding.columns) & set(owners_of(view))
    leading = [name for size, members in ranked if size >= LEAST_SHARE for name in members if name in columns]
    return tuple(leading[:MOST_EXAMINED])


def _judged(evidence: Evidence, found: list[Effects], *, rows: int, small: tuple[str, ...]) -> Measured:
    strict = 1 - (1 - evidence.confidence) / (2 * len(found))
    seen: list[tuple[float, float, float, Effects, bool, Heterogeneity]] = []
    for one in found:
        z = normal_quantile(1 - (1 - strict) / (2 * len(one.groups)))
        for values, errors, truth in ((one.own, one.own_errors, False), (one.borne, one.borne_errors, True)):
            spread = heterogeneity(values, errors, confidence=strict)
            turned = 1.0 if bool((values + z * errors < 0).any()) else 0.0
            ends = (max(turned, end) for end in (spread.spread, spread.spread_low, spread.spread_high))
            seen.append((*ends, one, truth, spread))  # type: ignore[arg-type]  # three ends
    value, _, _, effects, truth, spread = max(seen, key=lambda one: (one[1], one[0]))
    told = ", ".join(
        f"{size:.2f} in {name}"
        for size, name in zip(effects.borne if truth else effects.own, effects.groups, strict=True)
    )
    source = "by what came" if truth else "by what the model does"
    note = f"{effects.feature} {source}: {told}, where 1 is what the model takes it to be"
    note += f"; too few rows in {', '.join(small)}" if small else ""
    return Measurement(
        value=value,
        low=min(value, max(one[1] for one in seen)),
        high=max(one[2] for one in seen),
        confidence=evidence.confidence,
        rows=rows,
        method=f"spread of effects between groups, I2 {spread.i_squared:.2f}, Bonferroni",
        note=note,
    )


def _residuals(evidence: Evidence) -> Floats:
    """Truth less answer, shape (n, c), in the outputs that `curves.ask` speaks of."""
    values = evidence.predictions.values
    if evidence.rule.task is Task.REGRESSION:
        return evidence.truth.astype(np.float64)[:, None] - values
    came = np.eye(len(evidence.rule.classes))[evidence.truth]
    if evidence.rule.task is Task.BINARY:
        return np.asarray((came - values)[:, [evidence.positive]])
    return np.asarray(came - values)


def _hats(values: Floats, local: LocalEffects) -> Floats:
    return (code_hats if local.category else number_hats)(values, local.places)


def _centred(values: Floats) -> Floats:
    return np.asarray(values - values.mean(axis=0))


def _draws(evidence: Evidence, rows: NDArray[np.int64], asked: Mask) -> Floats:
    """Resampled weights of the rows that are in the group, zero elsewhere."""
    groups = None if evidence.groups is None else evidence.groups[rows][asked]
    weights = np.zeros((_RESAMPLES, len(rows)))
    weights[:, asked] = resampled_weights(
        int(asked.sum()), seed=evidence.seed, groups=groups, resamples=_RESAMPLES
    )
    return weights


def _clustered(scores: Floats, groups: NDArray[np.generic] | None) -> float:
    """The standard error of a sum of *scores*, which are independent between *groups*."""
    if groups is not None:
        _, owner = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        scores = np.asarray(np.bincount(owner, weights=scores), dtype=np.float64)
    units = len(scores)
    return float(np.sqrt((scores**2).sum() * units / max(units - 1, 1)))
