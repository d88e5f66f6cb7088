"""The decision and its costs: text to frozen terms, with what the two get wrong together."""

from __future__ import annotations

from geartrain.contract.desk import Desk
from geartrain.contract.models import AbstainText, CapacityText, CostsText, DecisionText
from geartrain.contract.reading import Path
from geartrain.contract.scalars import nearest_of
from geartrain.domain.contract import Abstention, Capacity, CostEntry, CostTerms, DecisionTerms
from geartrain.domain.rule import PREDICT
from geartrain.domain.task import Task

_BINARY_CELLS = {
    # name in the contract: (true class, class decided for), as indices into (negative, positive)
    "false_negative": (1, 0),
    "false_positive": (0, 1),
    "true_positive": (1, 1),
    "true_negative": (0, 0),
}


def decision_terms(desk: Desk, text: DecisionText) -> DecisionTerms:
    """The decision as frozen terms; classes of a binary product are (negative, positive)."""
    task = Task(text.task)
    match task:
        case Task.BINARY:
            classes = _binary_classes(desk, text)
        case Task.MULTICLASS:
            classes = _classes(desk, text)
        case _:
            classes = ()
            _refuse_classes(desk, text)
    actions = _actions(desk, text, classes) if task.has_classes else (PREDICT,)
    _check_label(desk, classes, task)
    stand_in = (text.abstain.then,) if text.abstain else ()
    if actions and text.fallback and task.has_classes and text.fallback not in (*actions, *stand_in):
        desk.wrong(
            ("decision", "fallback"),
            "this is not one of the actions",
            found=text.fallback,
            expected=nearest_of(text.fallback, (*actions, *stand_in)),
        )
    return DecisionTerms(
        task=task,
        unit=text.unit,
        label=text.label,
        positive=text.positive if task is Task.BINARY else None,
        classes=classes,
        actions=actions,
        label_delay_s=float(text.label_delay or 0.0),
        capacity=_capacity(desk, text.capacity, actions),
        abstain=_abstention(desk, text.abstain, classes),
        fallback=text.fallback,
    )


def _binary_classes(desk: Desk, text: DecisionText) -> tuple[str, ...]:
    if text.positive is None:
        if "decision" not in desk.shape.damaged:
            desk.wrong(
                ("decision",), "a binary decision looks for one class", expected="positive: the class's name"
            )
        return ()
    named = _named_classes(desk, text)
    if named is not None:
        path, classes = named
        if len(classes) != 2 or text.positive not in classes:
            said = "a binary decision has two classes, and `positive` is one of them"
            desk.wrong(path, said, found=list(classes), expected=f"`{text.positive}` and one other")
            return ()
    others = tuple(one for one in named[1] if one != text.positive) if named else ()
    negative = text.negative or (others[0] if others else None)
    if negative is None:
        desk.wrong(
            ("decision",), "the other class has no name", expected=f"negative: what is not {text.positive}"
        )
        return ()
    if negative == text.positive or (others and negative not in others):
        desk.wrong(
            ("decision", "negative"),
            "`negative` and the named classes do not fit",
            found=negative,
            expected=others[0] if others else f"another class than {text.positive}",
        )
        return ()
    return (negative, text.positive)


def _classes(desk: Desk, text: DecisionText) -> tuple[str, ...]:
    for key in ("positive", "negative"):
        if getattr(text, key) is not None:
            desk.wrong(
                ("decision", key),
                f"`{key}` belongs to a binary decision",
                found=getattr(text, key),
                expected="classes: a list",
            )
    named = _named_classes(desk, text)
    return named[1] if named else ()


def _named_classes(desk: Desk, text: DecisionText) -> tuple[Path, tuple[str, ...]] | None:
    """Where the classes are named first: `classes`, the keys of `actions`, or the label's values.

    Only a list has an order; a mapping's keys are sorted, so that their order means nothing.
    """
    if text.classes is not None:
        if len(set(text.classes)) < len(text.classes):
            desk.wrong(("decision", "classes"), "a class stands here twice", found=text.classes)
        return ("decision", "classes"), tuple(dict.fromkeys(text.classes))
    if text.actions is not None:
        return ("decision", "actions"), tuple(sorted(text.actions))
    label = desk.label_field
    if label is not None and label[1].values:
        return (*label[0], "values"), tuple(label[1].values)
    return None


def _refuse_classes(desk: Desk, text: DecisionText) -> None:
    for key in ("positive", "negative", "classes", "actions"):
        if getattr(text, key) is not None:
            desk.wrong(
                ("decision", key), "a regression has no classes", found=key, expected="leave the key out"
            )


def _actions(desk: Desk, text: DecisionText, classes: tuple[str, ...]) -> tuple[str, ...]:
    named = text.actions or {}
    if classes and named:
        for key in named:
            if key not in classes:
                desk.wrong(
                    ("decision", "actions", key),
                    f"there is no class `{key}`",
                    found=key,
                    expected=nearest_of(key, classes),
                )
        for name in classes:
            if name not in named:
                desk.wrong(
                    ("decision", "actions"),
                    f"the class `{name}` has no action",
                    found=list(named),
                    expected=f"{name}: what to do then",
                )
    actions = tuple(named.get(name, name) for name in classes)
    if len(actions) > 1 and len(set(actions)) == 1:
        desk.wrong(
            ("decision", "actions"),
            "every class has the same action, so nothing is decided",
            found=actions[0],
            expected="at least two actions",
        )
    return actions


def _check_label(desk: Desk, classes: tuple[str, ...], task: Task) -> None:
    label = desk.label_field
    if label is None:
        desk.check_label()
        return
    path, terms = label
    if task.has_classes and classes and terms.values and set(terms.values) != set(classes):
        desk.wrong(
            (*path, "values"),
            "the label's values are not the decision's classes",
            found=terms.values,
            expected="[" + ", ".join(classes) + "]",
        )
    if task is Task.REGRESSION and terms.type not in {"number", "integer"}:
        desk.wrong(
            (*path, "type"), "a regression's label is a number", found=terms.type.value, expected="number"
        )


def _capacity(desk: Desk, text: CapacityText | None, actions: tuple[str, ...]) -> Capacity | None:
    if text is None:
        return None
    if actions and text.action not in actions:
        desk.wrong(
            ("decision", "capacity", "action"),
            "this is not one of the actions",
            found=text.action,
            expected=nearest_of(text.action, actions),
        )
    if text.entity is not None:
        desk.check_column(("decision", "capacity", "entity"), text.entity)
    return Capacity(action=text.action, most=text.most, period_s=float(text.per), entity=text.entity)


def _abstention(desk: Desk, text: AbstainText | None, classes: tuple[str, ...]) -> Abstention | None:
    if text is None:
        return None
    path = ("decision", "abstain")
    cost = text.cost or "0"
    desk.check_expression((*path, "cost"), cost)
    if text.below_confidence is not None and classes and text.below_confidence <= 1 / len(classes):
        desk.wrong(
            (*path, "below_confidence"),
            f"with {len(classes)} classes the likeliest one is never less probable than {1 / len(classes):.3g},"
            " so this never abstains",
            found=text.below_confidence,
            expected=f"a share above {1 / len(classes):.3g}",
        )
    return Abstention(
        below_confidence=text.below_confidence,
        most_missing=text.most_missing,
        most_outside=text.most_outside,
        most_stale_s=None if text.most_stale is None else float(text.most_stale),
        when_cheaper=text.when_cheaper,
        then=text.then,
        cost=cost,
    )


def cost_terms(desk: Desk, text: CostsText, decision: DecisionTerms | None) -> CostTerms:
    """The costs as frozen terms, each cell by action and true class."""
    for key in ("false_negative", "false_positive", "true_positive", "true_negative", "otherwise"):
        if (cost := getattr(text, key)) is not None:
            desk.check_expression(("costs", key), cost)
    if text.error is not None:
        desk.check_expression(("costs", "error"), text.error, besides=("truth", "prediction", "error"))
    for index, cell in enumerate(text.errors):
        desk.check_expression(("costs", "errors", index, "cost"), cell.cost)
    entries: list[CostEntry] = []
    if decision is not None:
        _check_kind(desk, text, decision.task)
        if decision.task is Task.BINARY and decision.classes:
            entries.extend(_binary_entries(text, decision))
        if decision.task.has_classes:
            entries.extend(_named_entries(desk, text, decision))
    taken: dict[tuple[str, str], str] = {}
    for entry in entries:
        cell_of = (entry.action, entry.truth)
        if cell_of in taken:
            desk.wrong(
                ("costs", *_steps(entry.name)),
                f"{taken[cell_of]} has given this cost already",
                found=entry.cost,
                expected="each action and truth once",
            )
        taken.setdefault(cell_of, entry.name)
    return CostTerms(
        currency=text.currency, entries=tuple(entries), otherwise=text.otherwise or "1", error=text.error
    )


def _steps(name: str) -> Path:
    return tuple(int(step) if step.isdigit() else step for step in name.split("."))


def _check_kind(desk: Desk, text: CostsText, task: Task) -> None:
    """Each task has its own way of saying costs; one half of a pair is not a cost."""
    binary = [key for key in _BINARY_CELLS if getattr(text, key) is not None]
    if task is Task.REGRESSION:
        for key in (*binary, *(key for key in ("errors", "otherwise") if getattr(text, key))):
            desk.wrong(
                ("costs", key),
                "a regression has no classes to mistake",
                found=key,
                expected="error: abs(error)",
            )
        return
    if text.error is not None:
        desk.wrong(
            ("costs", "error"),
            "this belongs to a regression",
            found=text.error,
            expected="errors: a list of {truth:, decided:, cost:}",
        )
    if task is not Task.BINARY:
        for key in binary:
            desk.wrong(
                ("costs", key),
                "this belongs to a binary decision",
                found=key,
                expected="errors: a list of {truth:, decided:, cost:}",
            )
        return
    if binary and not text.errors and text.otherwise is None and desk.whole("costs"):
        for key, words in (("false_negative", "a missed positive"), ("false_positive", "a false alarm")):
            if key not in binary:
                desk.wrong(
                    ("costs",),
                    f"nothing says what {words} costs",
                    expected=f"{key}: a number or an expression",
                )


def _binary_entries(text: CostsText, decision: DecisionTerms) -> list[CostEntry]:
    return [
        CostEntry(
            name=name,
            action=decision.actions[decided],
            truth=decision.classes[truth],
            cost=getattr(text, name),
        )
        for name, (truth, decided) in _BINARY_CELLS.items()
        if getattr(text, name) is not None
    ]


def _named_entries(desk: Desk, text: CostsText, decision: DecisionTerms) -> list[CostEntry]:
    entries: list[CostEntry] = []
    actions = dict(zip(decision.classes, decision.actions, strict=True))
    for index, cell in enumerate(text.errors):
        path = ("costs", "errors", index)
        for key, value, known in (
            ("truth", cell.truth, decision.classes),
            ("decided", cell.decided, decision.classes),
            ("action", cell.action, decision.actions),
        ):
            if value is not None and known and value not in known:
                what = "action" if key == "action" else "class"
                desk.wrong(
                    (*path, key),
                    f"there is no {what} `{value}`",
                    found=value,
                    expected=nearest_of(value, known),
                )
        action = cell.action if cell.action is not None else actions.get(str(cell.decided), str(cell.decided))
        entries.append(CostEntry(name=f"errors.{index}", action=action, truth=cell.truth, cost=cell.cost))
    return entries
