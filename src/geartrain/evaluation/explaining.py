"""What the model relies on, in one noun that pages can draw: shares, curves, and what is silent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.explanation import Curve, Explanation, Share, Silent
from geartrain.evaluation.curves import curve_of, words_of
from geartrain.evaluation.evidence import Evidence, Unmeasured
from geartrain.evaluation.importance import Parts, owners_of, parts_of, share
from geartrain.evaluation.model_view import ModelView, asked_rows
from geartrain.evaluation.scene import Scene

#: Curves are kept of so many leading features: people ask about each of them whether it is plausible.
MOST_CURVES = 24
#: A feature whose part is smaller than this share of the whole moves nothing.
NOTHING = 1e-9


def explain(scene: Scene, view: ModelView, *, curves: int = MOST_CURVES) -> Explanation | Unmeasured:
    """What the answers about the scene's rows rest on; on at most 2000 of them, drawn by its seed.

    Shares sum to 1. A feature that moves nothing is silent, with the reason: missing in
    every row, the same in every row, a value of its own in every row, or simply not used.
    """
    rows = asked_rows(scene, np.ones(len(scene), dtype=bool))
    parts = parts_of(scene, view, rows)
    if isinstance(parts, Unmeasured):
        return parts
    total = float(parts.means.sum())
    if total <= 0:
        return Unmeasured(reason="no feature moves the model's answers or its loss")
    order = np.argsort(-parts.means, kind="stable")
    leading = [index for index in order.tolist() if parts.means[index] > NOTHING * total]
    shares = tuple(one for index in leading for one in _shares(scene, view, parts, index))
    drawn: list[Curve] = []
    silent = [
        _silent(view, rows, name)
        for index in order.tolist()
        if index not in leading
        for name in parts.members[index]
    ]
    for one in shares:
        if len(drawn) == curves:
            break
        curve = curve_of(scene, view, rows, one.feature)
        if isinstance(curve, Curve):
            drawn.append(curve)
    return Explanation(
        rows=len(parts.rows),
        of=len(scene),
        method=parts.method,
        shares=shares,
        curves=tuple(drawn),
        silent=tuple(silent),
    )


def explained(scene: Evidence, view: ModelView | None) -> Explanation | None:
    """The explanation for a report; None where the model was not at hand or nothing moves its answers."""
    if view is None or len(scene) == 0:
        return None
    found = explain(scene, view)
    return found if isinstance(found, Explanation) else None


def in_words(explanation: Explanation, *, most: int = 5) -> tuple[str, ...]:
    """The leading shares, a line each, such as `41 % shoe_size (38 to 44)`."""
    lines = []
    for one in explanation.shares[:most]:
        beside = f"; goes with {', '.join(one.together)}" if one.together else ""
        words = f" - {one.words}" if one.words != one.feature else ""
        lines.append(
            f"{100 * one.share:.0f} % {one.feature} ({100 * one.low:.0f} to {100 * one.high:.0f}){words}{beside}"
        )
    rest = explanation.shares[most:]
    if rest:
        lines.append(f"{100 * sum(one.share for one in rest):.0f} % the other {len(rest)}")
    return tuple(lines)


def _shares(scene: Scene, view: ModelView, parts: Parts, index: int) -> tuple[Share, ...]:
    """The share of one part; features that were shuffled together are told as one."""
    members = parts.members[index]
    seen = share(scene, parts, index)
    joint = len(members) > 1
    return (
        Share(
            feature=members[0],
            words=words_of(view, members[0]),
            share=seen.value,
            low=seen.low,
            high=seen.high,
            together=members[1:] if joint else parts.together(members[0]),
            joint=joint,
        ),
    )


def _silent(view: ModelView, rows: NDArray[np.int64], name: str) -> Silent:
    places = [i for i, owner in enumerate(owners_of(view)) if owner == name]
    values = view.matrix[rows][:, places[0]]
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return Silent(feature=name, reason="it is missing in every row")
    distinct = len(np.unique(known))
    if distinct == 1 and len(known) == len(values):
        return Silent(feature=name, reason="it has the same value in every row")
    if view.is_category(places[0]) and distinct == len(known) > 1:
        return Silent(feature=name, reason="it has a value of its own in every row: it names rows")
    return Silent(feature=name, reason="the model's answers do not move with it")
