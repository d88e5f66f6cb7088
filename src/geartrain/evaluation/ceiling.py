"""What the labels themselves allow: no model is measured better than its labels are right."""

from __future__ import annotations

from geartrain.domain.clause import Clause, Comparison
from geartrain.domain.finding import Measurement
from geartrain.evaluation.prospect import Prospect, QuickLook, Verdict, figure, interval
from geartrain.stats.label_noise import Agreement, LabelNoise


def ceiling_of(clause: Clause, labels: Agreement | LabelNoise | None) -> Measurement | None:
    """The best that a perfect model would be measured with by such labels; None for other quantities."""
    if labels is None or clause.section != "success" or clause.comparison is not Comparison.AT_LEAST:
        return None
    if clause.where is not None:
        # The noise of a slice's labels is not the noise of all.
        return None
    match clause.metric:
        case "accuracy":
            return labels.accuracy_ceiling
        case "auc":
            return labels.auc_ceiling
    return None


def above_the_ceiling(clause: Clause, look: QuickLook) -> Prospect | None:
    """Cannot, where even the good end of what two labellers allow is below the promise."""
    ceiling = ceiling_of(clause, look.twice)
    if ceiling is None or ceiling.high >= clause.bound:
        return None
    assert look.twice is not None
    return Prospect(
        clause=clause.path,
        verdict=Verdict.CANNOT,
        reason=(
            f"two labellers agree on {look.twice.agreed.value:.0%} of {look.twice.agreed.rows:,} rows, so a perfect"
            f" model would be measured with {interval(ceiling)}, promised at least {figure(clause.bound)}"
        ),
    )


def doubt(clause: Clause, look: QuickLook) -> str:
    """Why the labels may be in the way, where only a model and not a second person says so; else empty."""
    if look.twice is not None:
        return ""
    ceiling = ceiling_of(clause, look.noise)
    if ceiling is None or ceiling.high >= clause.bound:
        return ""
    return (
        f"if the labels are as wrong as they look, a perfect model would be measured with {interval(ceiling)}:"
        " have some rows labelled twice"
    )
