"""How a promise becomes a clause: its section's owner and stages where it is silent about them."""

from __future__ import annotations

from geartrain.contract.desk import Desk
from geartrain.contract.promises import Promise
from geartrain.contract.reading import Path
from geartrain.domain.clause import Clause, Comparison, Parameter, Stage
from geartrain.domain.roles import Role

STAGES: dict[str, tuple[Stage, ...]] = {
    "success": (Stage.TRAINING, Stage.COMPRESSION, Stage.RELEASE, Stage.SHADOW, Stage.CANARY, Stage.LIVE),
    "budget": (Stage.FEASIBILITY, Stage.COMPRESSION, Stage.RELEASE, Stage.LIVE),
    "data": (Stage.DATA, Stage.LIVE),
    "plausibility": (Stage.TRAINING, Stage.COMPRESSION, Stage.RELEASE, Stage.LIVE),
    "fairness": (Stage.TRAINING, Stage.COMPRESSION, Stage.RELEASE, Stage.LIVE),
    "integrity": (Stage.RELEASE,),
}

OWNERS: dict[str, Role] = {
    "product": Role.PRODUCT,
    "decision": Role.PRODUCT,
    "costs": Role.DOMAIN,
    "success": Role.PRODUCT,
    "budget": Role.ENGINEERING,
    "data": Role.ENGINEERING,
    "plausibility": Role.DOMAIN,
    "fairness": Role.DOMAIN,
    "integrity": Role.SCIENCE,
    "monitoring": Role.SCIENCE,
    "retraining": Role.SCIENCE,
    "release": Role.PRODUCT,
    "team": Role.PRODUCT,
}


def clause_at(
    desk: Desk,
    place: Path,
    path: str,
    promise: Promise,
    *,
    metric: str,
    comparison: Comparison,
    bound: float,
    unit: str = "",
    relative_to: str | None = None,
    where: str | None = None,
    owner: Role | None = None,
    stages: tuple[Stage, ...] | None = None,
    parameters: dict[str, Parameter] | None = None,
) -> Clause:
    """The clause that *promise* at *place* makes, with *owner* and *stages*, or its section's, where it is silent."""
    section = path.split(".", 1)[0]
    if promise.owner is not None and desk.whole("team") and promise.owner not in (desk.section("team") or {}):
        desk.wrong(
            (*place, "owner"),
            f"nobody in the team holds the role {promise.owner}",
            found=promise.owner.value,
            expected=f"team.{promise.owner}: a name, or another owner",
        )
    usual = STAGES[section] if stages is None else stages
    checked = usual if promise.stages is None else promise.stages
    return Clause(
        path=path,
        metric=metric,
        comparison=comparison,
        bound=bound,
        unit=unit,
        relative_to=relative_to,
        where=where,
        owner=promise.owner or owner or OWNERS[section],
        severity=promise.severity,
        because=promise.because,
        stages=tuple(stage for stage in Stage if stage in checked),
        parameters=tuple(sorted((parameters or {}).items())),
        mark=desk.document.mark(place),
    )
