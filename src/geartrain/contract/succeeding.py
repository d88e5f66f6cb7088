"""The section `success`: metrics with bounds, and the baselines that they are fractions of."""

from __future__ import annotations

from collections.abc import Iterator

from geartrain.contract.desk import Desk
from geartrain.contract.metrics import METRICS, PARAMETERS, Metric, metrics_for
from geartrain.contract.promises import BaselineText, SuccessClause
from geartrain.contract.promising import clause_at
from geartrain.contract.reading import Path
from geartrain.contract.scalars import nearest_of
from geartrain.domain.clause import Clause, Comparison, Parameter
from geartrain.domain.contract import Baseline, DecisionTerms
from geartrain.domain.task import Task


def success_clauses(desk: Desk, decision: DecisionTerms | None) -> Iterator[Clause]:
    """A clause for every key but `baselines`."""
    success = desk.success
    if success is None:
        return
    for name, text in success.clauses.items():
        place = ("success", name)
        metric = METRICS.get(text.metric or name)
        if metric is None:
            desk.wrong(
                place,
                f"there is no metric `{name}`",
                found=name,
                expected=nearest_of(name, tuple(METRICS)) + "; a name of its own needs `metric:`",
            )
            continue
        comparison, bound = (
            (Comparison.AT_MOST, text.at_most)
            if text.at_most is not None
            else (Comparison.AT_LEAST, text.at_least)
        )
        assert bound is not None
        _check_metric(desk, place, metric, text, decision)
        _check_bound(desk, place, metric, comparison, bound, relative=text.relative_to is not None)
        if text.where is not None:
            desk.check_expression((*place, "where"), text.where)
        if text.relative_to is not None and not metric.relative:
            desk.wrong(
                (*place, "relative_to"),
                f"`{metric.name}` is not a fraction of a baseline's",
                found=text.relative_to,
                expected="a bound of its own; "
                + ", ".join(one for one in METRICS if METRICS[one].relative)
                + " can be",
            )
        relative_to = text.relative_to and _baseline(
            desk, (*place, "relative_to"), text.relative_to, decision
        )
        yield clause_at(
            desk,
            place,
            f"success.{name}",
            text,
            metric=metric.name,
            comparison=comparison,
            bound=bound,
            relative_to=relative_to,
            where=text.where,
            parameters=_parameters(text),
        )


def _parameters(text: SuccessClause) -> dict[str, Parameter]:
    named: dict[str, Parameter] = {
        "class": text.of_class,
        "k": text.k,
        "period": None if text.period is None else float(text.period),
        "entity": text.entity,
        "known": text.known,
        "bins": text.bins,
    }
    return {name: value for name, value in named.items() if value is not None}


def _check_metric(
    desk: Desk, place: Path, metric: Metric, text: SuccessClause, decision: DecisionTerms | None
) -> None:
    for name in PARAMETERS:
        value = text.of_class if name == "class" else getattr(text, name)
        if value is not None and name not in metric.parameters:
            expected = ", ".join(metric.parameters) or "no such key"
            desk.wrong(
                (*place, name), f"`{metric.name}` does not use `{name}`", found=value, expected=expected
            )
    if decision is None:
        return
    if decision.task not in metric.tasks:
        desk.wrong(
            (*place, "metric") if text.metric else place,
            f"`{metric.name}` cannot be measured on a {decision.task.value} decision",
            found=metric.name,
            expected=nearest_of(metric.name, metrics_for(decision.task)),
        )
    if text.of_class is not None and decision.classes and text.of_class not in decision.classes:
        desk.wrong(
            (*place, "class"),
            f"there is no class `{text.of_class}`",
            found=text.of_class,
            expected=nearest_of(text.of_class, decision.classes),
        )
    if metric.name.endswith("_capacity") and text.k is None and decision.capacity is None:
        desk.wrong(
            place,
            "nothing says how many cases can be acted on",
            expected="k: and period: here, or decision.capacity",
        )


def _check_bound(
    desk: Desk, place: Path, metric: Metric, comparison: Comparison, bound: float, *, relative: bool
) -> None:
    path = (*place, comparison.value)
    if relative:
        if bound < 0:
            desk.wrong(
                path, "a fraction of a baseline is not negative", found=bound, expected="such as 0.5 for half"
            )
        return
    low, high = metric.low, metric.high
    if low is not None and high is not None and not low <= bound <= high:
        percent = f"{bound / 100:g} (for {bound:g} %)" if high == 1 and 1 < bound <= 100 else ""
        desk.wrong(
            path,
            f"{metric.words} lies from {low:g} to {high:g}",
            found=bound,
            expected=percent or f"a number from {low:g} to {high:g}",
        )
    elif low is not None and bound < low:
        desk.wrong(
            path,
            f"{metric.words} is never below {low:g}",
            found=bound,
            expected=f"a number of at least {low:g}",
        )
    elif metric.name == "r2" and bound > 1:
        desk.wrong(path, f"{metric.words} is never above 1", found=bound, expected="a number of at most 1")


def baselines_of(
    desk: Desk, decision: DecisionTerms | None, clauses: tuple[Clause, ...]
) -> tuple[Baseline, ...]:
    """The team's own baselines, and the built-in ones that a clause refers to, by name."""
    success = desk.success
    named = {} if success is None else success.baselines
    own = [_own_baseline(desk, name, text, decision) for name, text in named.items()]
    used = {clause.relative_to for clause in clauses if clause.relative_to} - set(named)
    return tuple(sorted([*own, *(Baseline(name=name) for name in used)], key=lambda one: one.name))


def _own_baseline(desk: Desk, name: str, text: BaselineText, decision: DecisionTerms | None) -> Baseline:
    path = ("success", "baselines", name)
    if text.rule is None:
        built_in = decision is None or name in _built_in(decision)
        if desk.whole("success") and (not built_in or text.action is not None):
            desk.wrong(
                path, "this baseline has no rule", found=name, expected="rule: an expression over columns"
            )
        return Baseline(name=name)
    desk.check_expression((*path, "rule"), text.rule)
    if decision is not None and decision.task.has_classes:
        if decision.actions and text.action is None:
            desk.wrong(
                path,
                "nothing says what is done where the rule is true",
                expected="action: one of " + ", ".join(decision.actions),
            )
        elif decision.actions and text.action not in decision.actions:
            desk.wrong(
                (*path, "action"),
                "this is not one of the actions",
                found=text.action,
                expected=nearest_of(text.action, decision.actions),
            )
    return Baseline(name=name, rule=text.rule, action=text.action)


def _built_in(decision: DecisionTerms) -> tuple[str, ...]:
    if decision.task is Task.REGRESSION:
        return ("mean", "last-label", "simplest-model")
    return (
        *(f"always-{action}" for action in decision.actions),
        "most-frequent",
        "last-label",
        "simplest-model",
    )


def _baseline(desk: Desk, path: Path, name: str, decision: DecisionTerms | None) -> str:
    """The baseline's exact name; `always-follow-up` is the action `follow up`."""
    own = tuple(desk.success.baselines) if desk.success else ()
    known = (*own, *(_built_in(decision) if decision else ()))
    if name in known or decision is None or not desk.whole("success"):
        return name
    hyphened = next((one for one in known if one.replace(" ", "-") == name), None)
    if hyphened is not None:
        return hyphened
    if not (decision.actions or not name.startswith("always-")):
        return name
    desk.wrong(path, f"there is no baseline `{name}`", found=name, expected=nearest_of(name, known))
    return name
