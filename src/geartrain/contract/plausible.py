"""The domain expert's promises: what must be true if the model has learned the right thing, and for whom."""

from __future__ import annotations

from collections.abc import Iterator

from geartrain.contract.desk import Desk
from geartrain.contract.promises import Definition, FairnessText, PlausibilityText, RobustText
from geartrain.contract.promising import clause_at
from geartrain.contract.reading import Path
from geartrain.contract.scalars import nearest_of
from geartrain.domain.clause import Clause, Comparison, Parameter
from geartrain.domain.contract import DecisionTerms
from geartrain.domain.digest import canonical
from geartrain.domain.task import Task

#: The chance with which a column may look useful by luck, where the contract says no other.
USUAL_LUCK = 0.05


def plausibility_clauses(desk: Desk, decision: DecisionTerms | None) -> Iterator[Clause]:
    """A clause for each named plausibility promise; its metric is the promise's kind."""
    texts: dict[str, PlausibilityText] = desk.section("plausibility") or {}
    for name, text in texts.items():
        place = ("plausibility", name)
        kind = text.kind
        value = getattr(text, kind)
        parameters = _parameters(desk, place, text, decision)
        if kind in {"rises_with", "falls_with", "invariant_to", "stable_across", "proxy_of"}:
            desk.check_column((*place, kind), value)
        if kind == "earns_its_place":
            for index, column in enumerate(value):
                desk.check_column((*place, kind, index), column)
        if kind in {"rises_with", "falls_with"} and decision is not None and decision.task is Task.MULTICLASS:
            desk.wrong(
                (*place, kind),
                "with many classes there is no one answer that rises",
                found=value,
                expected="cases:, or a binary decision",
            )
        if text.where is not None:
            desk.check_expression((*place, "where"), text.where)
        bound = value if kind == "largest_share" else _bound(text)
        if kind not in {"stable_across", "robust_to"} and bound > 1:
            desk.wrong((*place, "at_most"), "a share lies from 0 to 1", found=bound, expected="such as 0.02")
        yield clause_at(
            desk,
            place,
            f"plausibility.{name}",
            text,
            metric=kind,
            comparison=Comparison.AT_MOST,
            bound=float(bound),
            where=text.where,
            parameters=parameters,
        )


def _parameters(
    desk: Desk, place: Path, text: PlausibilityText, decision: DecisionTerms | None
) -> dict[str, Parameter]:
    value = getattr(text, text.kind)
    match text.kind:
        case "largest_share":
            return {}
        case "forbidden" | "earns_its_place":
            return {"columns": tuple(sorted(set(value)))}
        case "cases":
            return {"cases": _cases(desk, place, text, decision)}
        case "proxy_of":
            return {"attribute": value}
        case "robust_to":
            return _corruption(desk, place, value)
        case _:
            return {"column": value}


def _corruption(desk: Desk, place: Path, text: RobustText) -> dict[str, Parameter]:
    for column in text.columns:
        desk.check_column((*place, "robust_to", text.corruption), column)
    parameters: dict[str, Parameter] = {
        "column": text.columns[0],
        "corruption": text.corruption,
        "share": text.share,
    }
    return {**parameters, "with": text.columns[1]} if len(text.columns) == 2 else parameters


def _bound(text: PlausibilityText) -> float:
    if text.at_most is not None:
        return text.at_most
    return USUAL_LUCK if text.kind == "earns_its_place" else 0.0


def _cases(desk: Desk, place: Path, text: PlausibilityText, decision: DecisionTerms | None) -> str:
    for index, case in enumerate(text.cases or ()):
        path = (*place, "cases", index)
        for part, columns in (("row", case.row), ("change", case.change or {})):
            for column in columns:
                desk.check_column((*path, part, column), column)
        if decision is None:
            continue
        if case.change is not None:
            if decision.task is Task.MULTICLASS and case.then != "same":
                desk.wrong(
                    (*path, "then"),
                    "with many classes there is no one answer that rises",
                    found=case.then,
                    expected="same",
                )
            continue
        allowed = (*decision.actions, *((decision.abstain.then,) if decision.abstain else ()))
        if decision.task is Task.REGRESSION and case.between is None:
            desk.wrong(
                (*path, "action"),
                "a regression has no actions",
                found=case.action,
                expected="between: [low, high]",
            )
        elif decision.task.has_classes and case.action is None:
            desk.wrong((*path, "between"), "the answer is an action", found=case.between, expected="action:")
        elif decision.actions and case.action is not None and case.action not in allowed:
            desk.wrong(
                (*path, "action"),
                "this is not one of the actions",
                found=case.action,
                expected=nearest_of(case.action, allowed),
            )
    return canonical(
        [case.model_dump(exclude_none=True, exclude_defaults=True) for case in text.cases or ()]
    ).decode()


def fairness_clauses(desk: Desk, decision: DecisionTerms | None) -> Iterator[Clause]:
    """A clause for each fairness promise; its metric is the definition that was chosen."""
    texts: dict[str, FairnessText] = desk.section("fairness") or {}
    for name, text in texts.items():
        place = ("fairness", name)
        for group in text.groups:
            desk.check_expression((*place, "groups"), group)
        if (
            decision is not None
            and decision.task is Task.REGRESSION
            and text.definition is not Definition.COST_PARITY
        ):
            desk.wrong(
                (*place, "definition"),
                "this definition compares classes, which a regression has not",
                found=text.definition.value,
                expected=Definition.COST_PARITY.value,
            )
        yield clause_at(
            desk,
            place,
            f"fairness.{name}",
            text,
            metric=text.definition.value,
            comparison=Comparison.AT_MOST if text.at_least is None else Comparison.AT_LEAST,
            bound=text.bound,
            parameters={
                "groups": text.groups[0] if len(text.groups) == 1 else tuple(text.groups),
                **({} if text.at_least is None else {"compare": "ratio"}),
                "smallest_group": text.smallest_group,
                "mitigations": tuple(sorted(set(text.mitigations))),
            },
        )
