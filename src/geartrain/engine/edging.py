"""The edge bundle: a release for a device, where there is no server and no geartrain.

A folder of five files: the model, what a row becomes before the model sees it and what
its answer becomes after, a runner of some forty lines that needs NumPy and ONNX Runtime
only, words for whoever delivers the values, and checksums, which the runner verifies first.
What such a runner could not do the same way is refused here, by name.
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from geartrain.domain.contract import Abstention, FieldType
from geartrain.domain.digest import digest_bytes
from geartrain.domain.expression import parse
from geartrain.domain.features import (
    Encoding,
    Feature,
    FeatureType,
    LookupFeature,
    RequestFeature,
    WindowFeature,
)
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.engine.hosting import ranges_of
from geartrain.errors import ReleaseRefused
from geartrain.release.bundle_nouns import Loaded

#: The layout of `edge.json`.
FORMAT = "geartrain.edge/1"
MODEL, EDGE, RUNNER, WORDS, CHECKSUMS = "model.onnx", "edge.json", "run.py", "README.md", "SHA256SUMS"

#: What a device asks of a value, in the words of the server; a time or an object is read by no model as it is.
KINDS = {
    FieldType.NUMBER: "a number",
    FieldType.INTEGER: "a whole number",
    FieldType.STRING: "text",
    FieldType.TEXT: "text",
    FieldType.BOOLEAN: "true or false",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Affine:
    """A cost that a device can work out: a number, plus a number times one column."""

    constant: float
    times: float = 0.0
    column: str = ""

    @property
    def terms(self) -> list[float | str]:
        """As `edge.json` holds it."""
        return [self.constant, self.times, self.column]


def edge_files(loaded: Loaded) -> dict[str, bytes]:
    """The files of the edge bundle of a verified release; the same release gives the same bytes.

    Raises:
        ReleaseRefused: The device could not decide as the server does: costs that are no
            sum of a number and a multiple of one column, or thresholds by group.
    """
    rule, encoding = loaded.rule, loaded.encoding
    if rule.groups:
        raise _beyond("thresholds by group need the groups' columns on the device", ", ".join(rule.groups))
    columns, ranges = _columns(loaded), _ranges(loaded)
    described = {
        "format": FORMAT,
        "release": loaded.release.id,
        "product": loaded.release.product,
        "inputs": [_input(one, encoding, columns, ranges) for one in encoding.feature_set.features],
        "fields": _fields(loaded),
        "largest": float(np.finfo(np.float32).max),
        "classes": list(rule.classes),
        "actions": list(rule.actions) if rule.task.has_classes else [],
        "weights": list(rule.class_weights or (1.0,) * len(rule.classes)) if rule.task.has_classes else [],
        "costs": _costs(rule) if rule.task.has_classes else [],
        "abstain": None if rule.abstain is None else _abstain(rule.abstain),
        "stand_in": rule.fallback if rule.abstain is None else rule.abstain.then,
    }
    files = {
        MODEL: loaded.onnx,
        EDGE: (json.dumps(described, ensure_ascii=False, indent=1) + "\n").encode(),
        RUNNER: resources.files("geartrain.engine").joinpath("edge_runner.txt").read_bytes(),
        WORDS: _words(loaded).encode(),
    }
    sums = "".join(f"{digest_bytes(files[name])}  {name}\n" for name in sorted(files))
    return {**files, CHECKSUMS: sums.encode()}


def _columns(loaded: Loaded) -> frozenset[str]:
    """The columns that the contract's decision source declares."""
    data = loaded.contract.data
    return frozenset(field.name for field in data.decisions.fields) if data else frozenset()


def _fields(loaded: Loaded) -> dict[str, str]:
    """What kind each value of a row has to be: as the contract says, and a number where a device is sent one along."""
    declared = loaded.contract.data.decisions.fields if loaded.contract.data else ()
    columns, label = _columns(loaded), loaded.contract.decision.label
    along = [one for one in loaded.encoding.feature_set.features if one.type is FeatureType.NUMBER]
    return {
        **{place: "a number" for one in along if (place := _place(one, columns)) not in columns},
        **{one.name: KINDS[one.type] for one in declared if one.type in KINDS and one.name != label},
    }


def _ranges(loaded: Loaded) -> dict[str, list[float]]:
    """What the reference rows span, of each column with an end; for a contract that abstains beyond it."""
    ranges = ranges_of(loaded)
    spans = () if ranges is None else zip(loaded.encoding.columns, ranges.T.tolist(), strict=True)
    return {name: span for name, span in spans if np.isfinite(span).all()}


def _input(
    one: Feature, encoding: Encoding, columns: frozenset[str], ranges: dict[str, list[float]]
) -> dict[str, Any]:
    """Where a value comes from and what becomes of it before the model sees it."""
    words = dict(encoding.categories).get(one.name)
    return {
        "name": one.name,
        "from": _place(one, columns),
        "words": list(words) if one.type is FeatureType.CATEGORY and words is not None else None,
        "signal": isinstance(one, RequestFeature) and one.missing_is_signal,
        "range": ranges.get(one.name),
    }


def _place(one: Feature, columns: frozenset[str]) -> str:
    """The column of the request that holds the value as it is, or the feature's own name, under which it is sent along."""
    if isinstance(one, RequestFeature) and (one.expression in columns or one.expression.isidentifier()):
        return one.expression
    return one.name


def _costs(rule: DecisionRule) -> list[list[list[float | str]]]:
    named = {(entry.action, entry.truth): entry.cost for entry in rule.costs.entries}
    table = []
    for a, action in enumerate(rule.actions):
        line = []
        for y, truth in enumerate(rule.classes):
            right = a == y or action == rule.actions[y]
            line.append(affine(named.get((action, truth), "0" if right else rule.costs.otherwise)).terms)
        table.append(line)
    return table


def _abstain(terms: Abstention) -> dict[str, Any]:
    if terms.most_stale_s is not None:
        raise _beyond(
            "a device does not know how old its features are", f"most_stale_s: {terms.most_stale_s:g}"
        )
    return {
        "below": 0.0 if terms.below_confidence is None else terms.below_confidence,
        "missing": 1.0 if terms.most_missing is None else terms.most_missing,
        "outside": 1.0 if terms.most_outside is None else terms.most_outside,
        "cheaper": terms.when_cheaper,
        "cost": affine(terms.cost).terms,
    }


def affine(text: str) -> Affine:
    """The cost *text* as a number plus a multiple of one column.

        >>> affine("2 + amount * 0.5")
        Affine(constant=2.0, times=0.5, column='amount')

    Raises:
        ReleaseRefused: It is something else.
    """
    parse(text)
    try:
        return _affine(ast.parse(text, mode="eval").body)
    except (SyntaxError, TypeError, ValueError) as error:
        raise _beyond(
            "a cost on a device is a number, or a number and a multiple of one column", text
        ) from error


def _affine(node: ast.expr) -> Affine:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return Affine(constant=float(value))
        case ast.Name(id=name):
            return Affine(constant=0.0, times=1.0, column=name)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return _scaled(_affine(inner), -1.0)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as sign, right=right):
            one, other = _affine(left), _affine(right)
            return _added(one, other if isinstance(sign, ast.Add) else _scaled(other, -1.0))
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            one, other = _affine(left), _affine(right)
            if one.column and other.column:
                raise ValueError("a product of columns")
            return _scaled(one, other.constant) if not other.column else _scaled(other, one.constant)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            below = _affine(right)
            if below.column or below.constant == 0:
                raise ValueError("division by a column, or by nothing")
            return _scaled(_affine(left), 1.0 / below.constant)
    raise ValueError("not affine")


def _scaled(one: Affine, factor: float) -> Affine:
    return Affine(constant=one.constant * factor, times=one.times * factor, column=one.column)


def _added(one: Affine, other: Affine) -> Affine:
    if one.column and other.column and one.column != other.column:
        raise ValueError("two columns")
    return Affine(
        constant=one.constant + other.constant,
        times=one.times + other.times,
        column=one.column or other.column,
    )


def _words(loaded: Loaded) -> str:
    """Which values a row carries, and who has to work out those that no request carries."""
    rule, lines, columns = loaded.rule, [], _columns(loaded)
    for one in loaded.encoding.feature_set.features:
        place = _place(one, columns)
        asked = isinstance(one, RequestFeature) and place == one.expression
        lines.append(f"| `{place}` | {one.type} | {'the request' if asked else _made(one)} |")
    read = ", ".join(f"`{name}`" for name in rule.columns) or "none"
    decides = "value" if rule.task is Task.REGRESSION else "action"
    return (
        f"# {loaded.release.product} on a device\n\n"
        f"Release `{loaded.release.id}`. `python run.py < rows.ndjson` prints one {decides} a row; Python with\n"
        "`numpy` and `onnxruntime` is all that it needs. It checks every file against `SHA256SUMS` first.\n"
        f"Whoever stands in where the model must not decide: `{rule.abstain.then if rule.abstain else rule.fallback}`.\n\n"
        "| value | kind | where it comes from |\n|---|---|---|\n" + "\n".join(lines) + "\n\n"
        f"Columns that costs read: {read}. A value that is left out is missing. A value over a window of past\n"
        "events is worked out where the events are, as of the time of the decision, and sent along under its name;\n"
        "one that is too old to be trusted is left out. A line that is not one JSON object, or holds text for a\n"
        "number, is answered by an `error` with its place, and the next one is decided; ranges are not checked.\n"
    )


def _made(one: Feature) -> str:
    match one:
        case RequestFeature():
            return f"worked out before: `{one.expression}`"
        case WindowFeature():
            width = "all time" if one.width_us is None else f"{one.width_us / 86_400e6:g} days"
            of = f" of `{one.column}`" if one.column else ""
            return f"sent along: {one.aggregation}{of} in `{one.source}` over {width}, by `{one.entity}`"
        case LookupFeature():
            return f"sent along: `{one.column}` of the row of `{one.source}` in force, by `{one.entity}`"
    return "sent along: what the product's own function says"


def _beyond(message: str, found: str) -> ReleaseRefused:
    return ReleaseRefused(message, where="edge bundle", found=found, hint="serve this release instead")
