"""The sizes in which a release's model was tried, and what each costs."""

from __future__ import annotations

from dataclasses import dataclass

from geartrain.documents.chart_nouns import Dot, ScatterChart
from geartrain.domain.events import ModelTrained, Recorded, VariantMeasured
from geartrain.domain.model import Speed
from geartrain.engine.refitting import REFIT
from geartrain.release.state import ReleaseRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantLine:
    """A size in which the model was tried."""

    name: str
    model: str
    speed: Speed
    agreement: float
    cost: float | None
    chosen: bool
    reason: str


def sizes_tried(history: tuple[Recorded, ...], record: ReleaseRecord) -> tuple[VariantLine, ...]:
    """The sizes that this release was chosen from; a model fitted once more was chosen as what it was before."""
    measured = [one.event for one in history if isinstance(one.event, VariantMeasured)]
    models = {one.event.id: one.event.model for one in history if isinstance(one.event, ModelTrained)}
    mine = models.get(record.release.model)
    chosen = {
        id_
        for id_, one in models.items()
        if mine is not None
        and one.trial == mine.trial
        and one.variant == mine.variant.removesuffix(REFIT).removesuffix("+")
    } | {record.release.model}
    references = {one.reference for one in measured if one.model in chosen}
    return tuple(
        VariantLine(
            name=one.variant or "reference",
            model=one.model,
            speed=one.speed,
            agreement=one.parity.decisions_agree,
            cost=one.cost,
            chosen=one.model in chosen,
            reason=one.reason,
        )
        for one in measured
        if one.reference in references
    )


def front_of(variants: tuple[VariantLine, ...], currency: str) -> ScatterChart | None:
    """Size against cost: those that nothing beats on both are the front."""
    seen = [one for one in variants if one.cost is not None]
    if len(seen) < 2:
        return None
    dots = []
    for one in seen:
        beaten = any(
            other.speed.size_bytes <= one.speed.size_bytes
            and (other.cost or 0.0) <= (one.cost or 0.0)
            and (other.speed.size_bytes, other.cost) != (one.speed.size_bytes, one.cost)
            for other in seen
        )
        dots.append(
            Dot(
                name=one.name,
                x=one.speed.size_bytes / 1000,
                y=1000.0 * (one.cost or 0.0),
                chosen=one.chosen,
                front=not beaten,
            )
        )
    return ScatterChart(
        title="Smaller against dearer",
        description="Each size in which the model was tried: its file, and what deciding by it costs.",
        x_label="size of the file in kB",
        y_label=f"{currency} per 1000 decisions on the metered rows",
        dots=tuple(dots),
        x_logarithmic=True,
    )
