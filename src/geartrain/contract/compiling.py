"""The sections as they stand to one frozen contract: the running sections, the team and the terms."""

from __future__ import annotations

from typing import Any

from geartrain.contract.clauses import clauses_of
from geartrain.contract.deciding import cost_terms, decision_terms
from geartrain.contract.desk import Desk
from geartrain.contract.models import (
    ContractText,
    MonitoringText,
    ProductText,
    RefusalText,
    ReleaseText,
    RetrainingText,
)
from geartrain.contract.promises import BudgetText
from geartrain.contract.reading import Path
from geartrain.contract.scalars import nearest_of
from geartrain.contract.sourcing import data_terms
from geartrain.contract.succeeding import baselines_of
from geartrain.contract.terms import terms_of
from geartrain.domain.clause import Clause
from geartrain.domain.contract import (
    BudgetTerms,
    Contract,
    DecisionTerms,
    MonitoringTerms,
    ProductTerms,
    ReleaseTerms,
    RetrainingTerms,
    RolloutKind,
    RolloutStep,
)
from geartrain.domain.roles import Role
from geartrain.domain.task import Task

#: Stands in for a section that could not be read, so that the others are still checked against each other.
_UNREAD_PRODUCT = ProductTerms(name="unread", title="unread", problem="unread")
_UNREAD_DECISION = DecisionTerms(task=Task.MULTICLASS, unit="unread", label="unread")


def compile_contract(desk: Desk) -> Contract:
    """Everything that the sections say, frozen; problems are noted on the desk."""
    decision = decision_terms(desk, desk.decision) if desk.decision else None
    sure = decision if desk.whole("decision") else None
    costs = cost_terms(desk, desk.costs, sure) if desk.costs else None
    data = data_terms(desk, desk.data) if desk.data else None
    clauses = clauses_of(desk, sure)
    product: ProductText | None = desk.section("product")
    team: dict[Role, list[str]] = desk.section("team") or {}
    return Contract(
        product=_product(product) if product else _UNREAD_PRODUCT,
        decision=decision or _UNREAD_DECISION,
        team=tuple((role, tuple(team[role])) for role in Role if role in team),
        costs=costs,
        baselines=baselines_of(desk, sure, clauses),
        budget=_budget(desk.budget) if desk.budget else None,
        data=data,
        monitoring=_monitoring(desk, desk.section("monitoring")),
        retraining=_retraining(desk.section("retraining")),
        release=_release(desk, desk.section("release"), clauses),
        clauses=clauses,
        terms=terms_of(desk),
        silent=tuple(name for name in _optional() if name not in desk.document.content),
    )


def _optional() -> tuple[str, ...]:
    """Sections that may be missed; the clauses of integrity hold without being written."""
    fields = ContractText.model_fields.items()
    spoken = {"geartrain", "integrity"}
    return tuple(name for name, field in fields if not field.is_required() and name not in spoken)


def _product(text: ProductText) -> ProductTerms:
    return ProductTerms(
        name=text.name,
        title=text.title,
        problem=text.problem,
        serves=text.serves,
        intended_use=tuple(text.intended_use),
        out_of_scope=tuple(text.out_of_scope),
        without_it=text.without_it,
    )


def _budget(text: BudgetText) -> BudgetTerms:
    said: dict[str, Any] = {}
    if text.load is not None:
        said["load_per_s"] = float(text.load)
    if text.core_hour is not None:
        said["core_hour_price"] = text.core_hour
    if text.margin is not None:
        said["margin"] = text.margin
    return BudgetTerms(device=text.device, **said)


def _monitoring(desk: Desk, text: MonitoringText | None) -> MonitoringTerms | None:
    if text is None:
        return None
    for cause, role in text.owners.items():
        if desk.whole("team") and role not in (desk.section("team") or {}):
            desk.wrong(
                ("monitoring", "owners", cause.value),
                f"nobody in the team holds the role {role}",
                found=role.value,
                expected=f"team.{role}: a name, or another owner",
            )
    said: dict[str, Any] = {}
    if text.false_alarms is not None:
        said["false_alarm_alpha"] = text.false_alarms.ever
        if text.false_alarms.every is not None:
            said["false_alarm_every_s"] = float(text.false_alarms.every)
    if text.smallest_change is not None:
        said["smallest_change"] = text.smallest_change
    if text.window is not None:
        said["window_s"] = float(text.window)
    return MonitoringTerms(owners=tuple(sorted(text.owners.items())), **said)


def _retraining(text: RetrainingText | None) -> RetrainingTerms | None:
    if text is None:
        return None
    refusal = text.refuse_when or RefusalText()
    said: dict[str, Any] = {
        "trials": text.trials,
        "refit_cost": text.refit_costs,
        "margin": text.margin,
        "cool_down_s": None if text.cool_down is None else float(text.cool_down),
        "most_quarantined": refusal.quarantined_above,
        "fewest_labels": refusal.fewer_labels_than,
        "fewest_per_class": refusal.fewer_per_class_than,
    }
    return RetrainingTerms(
        on_alarm=text.on_alarm,
        every_s=None if text.every is None else float(text.every),
        window_s=None if text.window is None else float(text.window),
        action=text.action,
        **{name: value for name, value in said.items() if value is not None},
    )


def _release(desk: Desk, text: ReleaseText | None, clauses: tuple[Clause, ...]) -> ReleaseTerms | None:
    if text is None:
        return None
    known = tuple(clause.path for clause in clauses)
    for index, path in enumerate(text.abort_on):
        steps: Path = tuple(path.split("."))
        section = str(steps[0])
        if path not in known and desk.document.value(steps) is None and desk.whole(section):
            desk.wrong(
                ("release", "abort_on", index),
                f"there is no clause `{path}`",
                found=path,
                expected=nearest_of(path, known),
            )
    sign = tuple(role for role in Role if text.sign is None or role in text.sign)
    retrained = text.retrained_sign
    return ReleaseTerms(
        sign=sign,
        rollout=tuple(
            RolloutStep(kind=RolloutKind.SHADOW, share=0.0, bake_s=float(step.shadow))
            if step.shadow is not None
            else RolloutStep(
                kind=RolloutKind.CANARY, share=step.canary or 0.0, bake_s=float(step.bake or 0.0)
            )
            for step in text.rollout
        ),
        abort_on=tuple(sorted(set(text.abort_on))),
        two_roles_one_person=text.two_roles_one_person,
        retrained_sign=None if retrained is None else tuple(role for role in Role if role in retrained),
    )
