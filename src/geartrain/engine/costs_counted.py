"""What decisions cost, counted once a day and policy and kept: the page over time reads sums, not rows.

A log of a million decisions takes seconds to join with its truth. What comes out is a small
table, which is kept in the workspace under the names of what it was counted from: the
contract, the versions of the lake's tables, the day. While newer rows are being counted
the older count is shown, and says when it was made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pyarrow import feather

from geartrain.domain.columns import microseconds_of, truths
from geartrain.domain.contract import Contract
from geartrain.domain.digest import digest
from geartrain.domain.expression import Columns, parse
from geartrain.domain.prediction import Floats, Predictions
from geartrain.domain.rule import DecisionRule, rule_of
from geartrain.engine.bundles import load_bundle
from geartrain.engine.counting import FOLDER, counted
from geartrain.engine.decided import (
    acted_of,
    decisions_of,
    features_of,
    rows_as_decided,
    truth_of,
    with_truth,
)
from geartrain.engine.logbook import DECISIONS, FEATURE
from geartrain.engine.policies import NEVER, PRODUCT
from geartrain.engine.rows import OUTCOMES, data_of, frame_of, table_of
from geartrain.engine.workspace import Workspace
from geartrain.errors import BundleTampered, ExpressionInvalid, ReleaseUnknown
from geartrain.evaluation.baselines import baseline_costs, baseline_names
from geartrain.evaluation.evidence import Evidence, Unmeasured
from geartrain.evaluation.groups import expressions_of
from geartrain.features.encoding import encode
from geartrain.ports.lake import EVENT_TIME
from geartrain.release.bundle_nouns import Loaded
from geartrain.stats.deciding import ABSTAINED, decide, group_labels, realised_cost, regression_cost
from geartrain.stats.onnx_model import OnnxModel

DAY_US = 86_400_000_000
#: More slices than a person can choose from are not counted.
MOST_SLICES = 40
_AT_ONCE = 50_000
_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A part of the decisions that the contract speaks of.

    Attributes:
        key: Names it in an address; empty for all decisions.
        words: The condition or the group as the contract writes it.
        because: The clause that names it.
    """

    key: str
    words: str
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counted:
    """Sums by day, ready to be read for any span of time.

    Attributes:
        policies: Those whose costs are known, the product's own first.
        missing: A policy or a slice of which nothing can be said, each with why.
        days: A row a slice, day and policy: `slice`, `day`, `policy`, `decisions` (all of that day),
            `labelled` (of which the truth is known), `rows` (of which every policy's cost is known),
            `cost` and `square`, the sums over those rows, and `least`, the least of the slice's costs.
    """

    counted_at: datetime
    policies: tuple[str, ...]
    slices: tuple[Slice, ...]
    missing: tuple[tuple[str, str], ...]
    days: pl.DataFrame


def counted_costs(workspace: Workspace, contract: Contract, *, now: datetime) -> tuple[Counted | None, bool]:
    """The latest count, and whether it is of everything that is there now; None while the first is being made."""
    found, current = counted(
        workspace.root / FOLDER / f"{contract.product.name}.costs",
        key_of_count(workspace, contract, now=now),
        lambda: _encoded(count_costs(workspace, contract, now=now)),
    )
    return (None if found is None else _decoded(found)), current


def key_of_count(workspace: Workspace, contract: Contract, *, now: datetime) -> str:
    """Names everything that a count depends on; it costs no scan.

    The day is part of it: a label that stands in its decision's row becomes known by waiting.
    """
    product, lake = contract.product.name, workspace.lake
    data = data_of(contract)
    names = {DECISIONS, OUTCOMES, data.decisions.name, *((data.labels.name,) if data.labels else ())}
    versions = [(name, lake.version(table_of(product, name))) for name in sorted(names)]
    reigns = [one.release for one in workspace.releases(product).reigns]
    return digest((_FORMAT, contract.id, versions, reigns, f"{now:%Y-%m-%d}"))


def count_costs(workspace: Workspace, contract: Contract, *, now: datetime) -> Counted:
    """Count every decision whose truth is known, under the costs of the contract in force.

    The product's decisions cost what was really done; every other policy is asked about the
    same rows. "Never retrain" is the first release that was live, asked again about the
    feature values in the log.
    """
    slices = slices_of(contract)
    log = decisions_of(workspace, contract.product.name, now=now, columns=_read(workspace, contract))
    if log.height == 0:
        return _nothing(now, "no decision is in the log yet")
    log = with_truth(workspace, contract, log, now=now)
    rule = _rule(workspace, contract, log)
    if rule is None:
        return _nothing(now, "the release that decided is not in this workspace any more")
    columns = rows_as_decided(workspace, contract, log, now=now, names=_named(contract, rule))
    truth = truth_of(rule, log)
    known = np.isfinite(truth)
    try:
        costs, missing = _costs(workspace, contract, rule, log, columns, truth, known)
    except ExpressionInvalid as error:
        return _nothing(now, f"a cost of the contract cannot be read: {error.message}")
    parts, unread = _parts(slices, contract, columns, log.height)
    days = _summed(log, known, costs, parts)
    return Counted(
        counted_at=now,
        policies=tuple(costs),
        slices=tuple(one for one, _ in parts),
        missing=(*missing, *unread),
        days=days,
    )


def slices_of(contract: Contract) -> tuple[Slice, ...]:
    """All decisions, then every condition that a clause names and every grouping of a fairness clause."""
    found = {"": Slice(key="", words="all decisions")}
    for clause in contract.clauses:
        if clause.where:
            found.setdefault(clause.where, Slice(key=clause.where, words=clause.where, because=clause.path))
    return tuple(found.values())


def dividing(path: str, groups: tuple[str, ...]) -> str:
    """What divides the groups of the clause at *path*: a column, or for an expression the clause's own name.

    >>> dividing("fairness.young_and_old", ("age >= 60",)), dividing("fairness.both", ("sex", "region"))
    ('young and old', 'sex and region')
    """
    named = path.rsplit(".", maxsplit=1)[-1].replace("_", " ")
    return " and ".join(dict.fromkeys(one if one.isidentifier() else named for one in groups))


def _encoded(counted: Counted) -> bytes:
    about = {
        "counted_at": counted.counted_at.isoformat(),
        "policies": counted.policies,
        "slices": [(one.key, one.words, one.because) for one in counted.slices],
        "missing": counted.missing,
    }
    table = counted.days.to_arrow().replace_schema_metadata({"geartrain": json.dumps(about)})
    sink = BytesIO()
    feather.write_feather(table, sink, compression="lz4")
    return sink.getvalue()


def _decoded(content: bytes) -> Counted:
    table = feather.read_table(BytesIO(content))
    about = json.loads(table.schema.metadata[b"geartrain"])
    return Counted(
        counted_at=datetime.fromisoformat(about["counted_at"]),
        policies=tuple(about["policies"]),
        slices=tuple(Slice(key=key, words=words, because=why) for key, words, why in about["slices"]),
        missing=tuple((name, why) for name, why in about["missing"]),
        days=frame_of(table.replace_schema_metadata(None)),
    )


def _nothing(now: datetime, why: str) -> Counted:
    schema: dict[str, type[pl.DataType] | pl.DataType] = {
        "slice": pl.String, "day": pl.Datetime("us", "UTC"), "policy": pl.String, "decisions": pl.Int64,
        "labelled": pl.Int64, "rows": pl.Int64, "cost": pl.Float64, "square": pl.Float64, "least": pl.Float64,
    }  # fmt: skip
    return Counted(
        counted_at=now,
        policies=(),
        slices=(),
        missing=((PRODUCT, why),),
        days=pl.DataFrame(schema=schema),
    )


def _read(workspace: Workspace, contract: Contract) -> set[str]:
    """The columns of the log that counting reads."""
    reads = {"action", "abstained", "row"}
    if not contract.decision.task.has_classes:
        reads.add("probabilities")
    named = _named(contract, None)
    loaded = _first(workspace, contract.product.name)
    if not isinstance(loaded, Unmeasured):
        named |= {feature.name for feature in loaded.encoding.feature_set.features}
    return reads | {FEATURE + name for name in named}


def _named(contract: Contract, rule: DecisionRule | None) -> set[str]:
    """The columns that costs, baselines and slices read."""
    costs = contract.costs
    texts = [entry.cost for entry in costs.entries] + [costs.otherwise, costs.error or ""] if costs else []
    texts += [contract.decision.abstain.cost] if contract.decision.abstain else []
    texts += [one.rule or "" for one in contract.baselines]
    texts += [one.where or "" for one in contract.clauses]
    grouped = [one for clause in contract.clauses for one in _groups(clause.parameter("groups"))]
    named = set(grouped) | set(rule.columns if rule is not None else ())
    for text in (*texts, *grouped):
        if text:
            try:
                named |= set(parse(text).columns)
            except ExpressionInvalid:
                # A grouping may be the plain name of a column; whatever else cannot be read says so where it is used.
                continue
    return named


def _groups(parameter: object) -> tuple[str, ...]:
    return () if parameter is None else expressions_of(parameter)  # type: ignore[arg-type]  # a clause's parameter


def _first(workspace: Workspace, product: str) -> Loaded | Unmeasured:
    """The release that was live first, where another one followed it, or why it cannot be asked again."""
    reigns = workspace.releases(product).reigns
    if len({one.release for one in reigns}) < 2:
        return Unmeasured(reason="only one release has been live, so never retraining is what was done")
    try:
        return load_bundle(workspace, reigns[0].release)
    except (ReleaseUnknown, BundleTampered) as error:
        return Unmeasured(reason=f"the first release cannot be asked again: {error.message}")


def _rule(workspace: Workspace, contract: Contract, log: pl.DataFrame) -> DecisionRule | None:
    """The contract's own rule; its classes are those of the last release where the contract names none."""
    if contract.decision.classes or not contract.decision.task.has_classes:
        return rule_of(contract, contract.decision.classes)
    try:
        return rule_of(contract, load_bundle(workspace, str(log["release"][-1])).rule.classes)
    except (ReleaseUnknown, BundleTampered):
        return None


def _costs(
    workspace: Workspace,
    contract: Contract,
    rule: DecisionRule,
    log: pl.DataFrame,
    columns: Columns,
    truth: Floats,
    known: NDArray[np.bool_],
) -> tuple[dict[str, Floats], list[tuple[str, str]]]:
    """Each policy's cost of each row with a known truth, shape (known,); and which policies have none, and why."""
    some = {name: values[known] for name, values in columns.items()}
    labelled = log.filter(pl.Series(known))
    now_true = truth[known]
    costs = {PRODUCT: _of(rule, *_done(rule, labelled), now_true, some)}
    missing: list[tuple[str, str]] = []
    never = _never(workspace, contract, rule, labelled, some)
    if isinstance(never, Unmeasured):
        missing.append((NEVER, never.reason))
    else:
        costs[NEVER] = _of(rule, *never, now_true, some)
    if len(now_true) == 0:
        return costs, [*missing, (PRODUCT, "no decision's truth is known yet")]
    evidence = Evidence(
        contract=contract,
        rule=rule,
        predictions=_silent(rule, len(now_true)),
        truth=now_true.astype(np.int64) if rule.classes else now_true,
        columns=some,
        times_us=microseconds_of(labelled[EVENT_TIME]).to_numpy().astype(np.int64),
    )
    for name in baseline_names(evidence):
        found = baseline_costs(evidence, name)
        if isinstance(found, Unmeasured):
            missing.append((name, found.reason))
        elif not any(np.array_equal(found, other, equal_nan=True) for other in costs.values()):
            costs[name] = found
    return costs, missing


def _of(
    rule: DecisionRule, actions: NDArray[np.int64], values: Floats, truth: Floats, columns: Columns
) -> Floats:
    if rule.task.has_classes:
        return realised_cost(rule, actions, truth.astype(np.int64), columns)
    return regression_cost(rule.costs, predicted=values, truth=truth, columns=columns)


def _done(rule: DecisionRule, log: pl.DataFrame) -> tuple[NDArray[np.int64], Floats]:
    """What was really done about each row, and the value that was said."""
    actions = acted_of(rule, log)
    if rule.task.has_classes:
        return actions, np.zeros(log.height)
    values = [list(json.loads(text).values()) for text in log["probabilities"].to_list()]
    return actions, np.array([float(one[-1]) if one else float("nan") for one in values])


def _never(
    workspace: Workspace, contract: Contract, rule: DecisionRule, log: pl.DataFrame, columns: Columns
) -> tuple[NDArray[np.int64], Floats] | Unmeasured:
    """What the first release would have done about the rows, some at a time."""
    loaded = _first(workspace, contract.product.name)
    if isinstance(loaded, Unmeasured):
        return loaded
    features = features_of(log)
    lacking = {one.name for one in loaded.encoding.feature_set.features} - set(features.columns)
    if lacking:
        return Unmeasured(
            reason="the log does not hold the features that the first release reads: "
            + ", ".join(sorted(lacking)[:5])
        )
    unnamed = {
        place: action for place, action in enumerate(loaded.rule.actions) if action not in rule.actions
    }
    if rule.task.has_classes and (unnamed or loaded.rule.classes != rule.classes):
        return Unmeasured(reason="the first release chose between other classes or actions")
    model = OnnxModel(loaded.onnx)
    there = [rule.actions.index(action) for action in loaded.rule.actions] if rule.task.has_classes else [0]
    named = np.array([*there, ABSTAINED], dtype=np.int64)
    actions, values = [], []
    for begins in range(0, log.height, _AT_ONCE):
        answers = model.predict(encode(loaded.encoding, features[begins : begins + _AT_ONCE]))
        some = {name: column[begins : begins + _AT_ONCE] for name, column in columns.items()}
        if rule.task.has_classes:
            actions.append(named[decide(loaded.rule, answers, some).actions])
        else:
            actions.append(np.zeros(len(answers), dtype=np.int64))
        values.append(answers.values[:, -1])
    if not actions:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    return np.concatenate(actions), np.concatenate(values)


def _silent(rule: DecisionRule, rows: int) -> Predictions:
    """Answers that say nothing: baselines do not read them."""
    width = max(len(rule.classes), 1)
    return Predictions(task=rule.task, classes=rule.classes, values=np.full((rows, width), 1.0 / width))


def _parts(
    slices: tuple[Slice, ...], contract: Contract, columns: Columns, rows: int
) -> tuple[list[tuple[Slice, NDArray[np.bool_]]], list[tuple[str, str]]]:
    """Each slice and its rows; and those that these columns cannot tell."""
    found: list[tuple[Slice, NDArray[np.bool_]]] = []
    unread: list[tuple[str, str]] = []
    for one in slices:
        try:
            inside = (
                truths(parse(one.key).evaluate(columns, rows=rows)) if one.key else np.ones(rows, dtype=bool)
            )
        except ExpressionInvalid as error:
            unread.append((one.words, error.message))
        else:
            found.append((one, inside))
    for path, groups in _groupings(contract):
        try:
            labels = group_labels(groups, columns, rows)
        except ExpressionInvalid as error:
            unread.append((dividing(path, groups), error.message))
            continue
        for name in sorted({label for label in labels.tolist() if label is not None}):
            words = f"{dividing(path, groups)}: {name}"
            found.append((Slice(key=f"{path}={name}", words=words, because=path), labels == name))
    if len(found) > MOST_SLICES:
        unread += [(one.words, f"only {MOST_SLICES} slices are counted") for one, _ in found[MOST_SLICES:]]
    return found[:MOST_SLICES], unread


def _groupings(contract: Contract) -> Iterator[tuple[str, tuple[str, ...]]]:
    seen: set[tuple[str, ...]] = set()
    for clause in contract.clauses:
        groups = _groups(clause.parameter("groups"))
        if clause.section == "fairness" and groups and groups not in seen:
            seen.add(groups)
            yield clause.path, groups


def _summed(
    log: pl.DataFrame,
    known: NDArray[np.bool_],
    costs: Mapping[str, Floats],
    parts: list[tuple[Slice, NDArray[np.bool_]]],
) -> pl.DataFrame:
    """A row a slice, day and policy; the rows are those of which every policy's cost is known."""
    day = microseconds_of(log[EVENT_TIME]).to_numpy().astype(np.int64) // DAY_US
    first = int(day.min())
    place, length = day - first, int(day.max()) - first + 1
    stack = np.array([values for values in costs.values() if np.isfinite(values).any()])
    finite = np.isfinite(stack).all(axis=0) if len(stack) else np.zeros(int(known.sum()), dtype=bool)
    times = pl.Series(np.arange(first, first + length) * DAY_US).cast(pl.Datetime("us", "UTC"))
    frames = []
    for one, inside in parts:
        decisions = np.bincount(place[inside], minlength=length)
        labelled = np.bincount(place[inside & known], minlength=length)
        there = inside[known] & finite
        where = place[known][there]
        rows = np.bincount(where, minlength=length)
        for policy, values in costs.items():
            paid = values[there]
            frames.append(
                pl.DataFrame(
                    {
                        "slice": [one.key] * length,
                        "day": times,
                        "policy": [policy] * length,
                        "decisions": decisions.astype(np.int64),
                        "labelled": labelled.astype(np.int64),
                        "rows": rows.astype(np.int64),
                        "cost": np.bincount(where, weights=paid, minlength=length),
                        "square": np.bincount(where, weights=paid**2, minlength=length),
                        "least": np.full(length, paid.min() if len(paid) else 0.0),
                    }
                )
            )
    return pl.concat(frames).filter(pl.col("decisions") > 0)
