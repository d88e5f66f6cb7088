"""Metrics of the decision: what the rule does with the scores, at the threshold that the costs imply.

Recall here is recall of the *action*. A row about which the model abstains is handed to
whoever stands in: it counts as neither missed nor a false alarm, and the note says how
many there were, so that a model cannot buy recall by abstaining unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from geartrain.domain.clause import Parameter
from geartrain.domain.finding import Measurement
from geartrain.domain.task import Task
from geartrain.evaluation.evidence import Evidence, Mask, Measured, Unmeasured
from geartrain.evaluation.scene import Scene
from geartrain.stats.deciding import ABSTAINED
from geartrain.stats.intervals import proportion

Parameters = Mapping[str, Parameter]
#: Of some rows, which count and which of those are right: (mask of relevant, mask of hits).
Counted = tuple[Mask, Mask]


def named_class(evidence: Scene, parameters: Parameters) -> int | Unmeasured | None:
    """The class that a metric is about: the one named, a binary product's positive one, else None."""
    name = parameters.get("class")
    if name is not None:
        text = str(name)
        if text not in evidence.rule.classes:
            return Unmeasured(reason=f"the model knows no class `{text}`")
        return evidence.rule.classes.index(text)
    return evidence.positive if evidence.rule.task is Task.BINARY else None


def recalled(evidence: Evidence, of: int) -> Counted:
    """Rows of the class, and those whose right action was taken or that were handed over."""
    taken, abstained = _taken(evidence)
    return evidence.truth == of, abstained | _alike(evidence)[taken, of]


def spared(evidence: Evidence, of: int) -> Counted:
    """Rows of other classes, and those for which the class's action was not taken."""
    taken, abstained = _taken(evidence)
    same = _alike(evidence)
    return ~same[evidence.truth, of], abstained | ~same[taken, of]


def precise(evidence: Evidence, of: int) -> Counted:
    """Rows for which the class's action was taken, and those for which it was right."""
    taken, abstained = _taken(evidence)
    same = _alike(evidence)
    return ~abstained & same[taken, of], same[evidence.truth, of]


def chosen(evidence: Evidence, of: int) -> Counted:
    """Every row, and those for which the class's action was taken."""
    taken, abstained = _taken(evidence)
    return evidence.everything, ~abstained & _alike(evidence)[taken, of]


def decided_right(evidence: Evidence) -> Counted:
    """Decided rows, and those whose right action was taken."""
    taken, abstained = _taken(evidence)
    return ~abstained, _alike(evidence)[taken, evidence.truth]


def involved(evidence: Evidence, of: int) -> Counted:
    """Decided rows that are of the class or were decided for it, and those that are both."""
    taken, abstained = _taken(evidence)
    same = _alike(evidence)
    acted, meant = ~abstained & same[taken, of], ~abstained & same[evidence.truth, of]
    return acted | meant, acted & meant


def recall(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """The share of the class's rows whose right action was taken; an abstention is not a miss."""
    return _per_class(evidence, mask, parameters, recalled, "row is of")


def specificity(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """The share of the other rows for which the class's action was not taken."""
    return _per_class(evidence, mask, parameters, spared, "row is of another class than")


def precision(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """The share of the class's actions that were right."""
    return _per_class(evidence, mask, parameters, precise, "row was decided for")


def f1(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """2 TP / (2 TP + FP + FN) of the class's action, over rows that the model decided.

    With J = TP / (TP + FP + FN), a share of the rows involved, F1 = 2 J / (1 + J); so the
    exact interval of J carries over.
    """
    share = _per_class(evidence, mask, parameters, involved, "decided row is of, or was decided for,")
    return share if isinstance(share, Unmeasured) else reshaped(share, f1_of)


def f1_of(share: float) -> float:
    """F1 where *share* of the rows involved are hits.

    >>> f1_of(0.5) == 2 * 3 / (2 * 3 + 2 + 1)
    True
    """
    return 2 * share / (1 + share)


def accuracy(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """The share of decided rows whose right action was taken; abstentions are left out and said."""
    del parameters
    if not evidence.rule.task.has_classes:
        return _no_classes(evidence)
    return _share(evidence, mask, decided_right(evidence), "row was decided")


def abstention_rate(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """The share of rows that the model leaves to others."""
    del parameters
    hits = (evidence.decided.actions == ABSTAINED)[mask]
    if len(hits) == 0:
        return Unmeasured(reason="no row is in the slice")
    return proportion(hits, groups=evidence.groups_in(mask), confidence=evidence.confidence)


def coverage(evidence: Evidence, mask: Mask, parameters: Parameters) -> Measured:
    """The share of rows that the model decides itself."""
    rate = abstention_rate(evidence, mask, parameters)
    return rate if isinstance(rate, Unmeasured) else reshaped(rate, lambda share: 1 - share)


def _per_class(
    evidence: Evidence,
    mask: Mask,
    parameters: Parameters,
    counted: Callable[[Evidence, int], Counted],
    missing: str,
) -> Measured:
    if not evidence.rule.task.has_classes:
        return _no_classes(evidence)
    of = named_class(evidence, parameters)
    if isinstance(of, Unmeasured):
        return of
    names = evidence.rule.classes
    if of is not None:
        return _share(evidence, mask, counted(evidence, of), f"{missing} class `{names[of]}`")
    shares = {
        name: _share(evidence, mask, counted(evidence, index), f"{missing} class `{name}`")
        for index, name in enumerate(names)
    }
    return macro(shares, rows=int(mask.sum()))


def macro(shares: Mapping[str, Measured], *, rows: int) -> Measured:
    """The plain mean over classes; its ends are the means of the ends, which is never too narrow.

    A class without a value is left out and named: a mean over fewer classes is another promise.
    """
    known = {name: one for name, one in shares.items() if isinstance(one, Measurement)}
    if not known:
        return next(
            (one for one in shares.values() if isinstance(one, Unmeasured)), Unmeasured(reason="no class")
        )
    left_out = [name for name in shares if name not in known]
    note = f"macro over {len(known)} classes"
    if left_out:
        note += ", without " + ", ".join(left_out)
    smallest = min(one.rows if one.relevant is None else one.relevant for one in known.values())
    return Measurement(
        value=float(np.mean([one.value for one in known.values()])),
        low=float(np.mean([one.low for one in known.values()])),
        high=float(np.mean([one.high for one in known.values()])),
        confidence=next(iter(known.values())).confidence,
        rows=rows,
        relevant=smallest,
        method="macro mean of " + next(iter(known.values())).method,
        note=note,
    )


def _share(evidence: Evidence, mask: Mask, counted: Counted, missing: str) -> Measured:
    relevant, hits = counted
    chosen_rows = mask & relevant
    if not mask.any():
        return Unmeasured(reason="no row is in the slice")
    if not chosen_rows.any():
        return Unmeasured(reason=f"no {missing} among {int(mask.sum())} rows")
    abstained = int((evidence.decided.actions[mask] == ABSTAINED).sum())
    note = f"{abstained} of {int(mask.sum())} rows handed over, not counted as wrong" if abstained else ""
    return proportion(
        hits[chosen_rows],
        rows=int(mask.sum()),
        groups=evidence.groups_in(chosen_rows),
        confidence=evidence.confidence,
        note=note,
    )


def reshaped(share: Measurement, shape: Callable[[float], float]) -> Measurement:
    """*share* seen through a monotone *shape*: the interval holds whenever that of the share does."""
    low, high = sorted((shape(share.low), shape(share.high)))
    return replace(share, value=shape(share.value), low=low, high=high, method=share.method + ", transformed")


def _no_classes(evidence: Evidence) -> Unmeasured:
    return Unmeasured(reason=f"a {evidence.rule.task} product has no classes")


def _taken(evidence: Evidence) -> tuple[np.ndarray, Mask]:
    actions = evidence.decided.actions
    return np.maximum(actions, 0), actions == ABSTAINED


def _alike(evidence: Evidence) -> np.ndarray:
    """Whether the action of class i is also right for class j, shape (classes, classes)."""
    names = np.array(evidence.rule.actions, dtype=object)
    return np.asarray(names[:, None] == names[None, :], dtype=bool)
