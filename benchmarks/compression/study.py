"""One study: a reference, its variants judged on `select`, and the chosen one's proof on `verdict`.

What learns, learns on `search`; shapes compete there by cross-validation. Variants are timed, get a
threshold of their own and are compared on `select`. One of them goes to `verdict`, once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geartrain.compression.budgeting import cost_per_million
from geartrain.compression.choosing import Choice, Judged, Measured, choose, worst_change
from geartrain.compression.distilling import lesson_of
from geartrain.compression.export import to_onnx
from geartrain.compression.measuring import measure
from geartrain.compression.parity import parity
from geartrain.compression.searching import Shape, finalists, lines, name_of, shape_of
from geartrain.compression.variants import REFERENCE
from geartrain.documents.chart_nouns import Dot, ScatterChart
from geartrain.documents.charts import chart_style, scatter_chart
from geartrain.domain.clause import Parameter
from geartrain.domain.contract import BudgetTerms, CostEntry, CostTerms
from geartrain.domain.prediction import Floats, Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.domain.task import Task
from geartrain.stats.fitted import Fitted
from geartrain.stats.noninferiority import Noninferiority, noninferior
from geartrain.stats.onnx_model import OnnxModel
from geartrain.training.examples import Examples, Folds, Lineage, row_costs
from geartrain.training.fitting import calibrated, fit
from geartrain.training.recipe import Calibration, Recipe
from geartrain.training.selecting import select
from geartrain.training.staging import staged

CLASSES = ("no", "yes")
LINEAGE = Lineage(contract="study", snapshot="study", features="study")
#: What one unit of decisions costs, row by row or case by case: a rule, answers, rows.
Costs = Callable[[DecisionRule, Predictions, Examples], Floats]


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """A matrix, its truth (0 or 1) and raw columns, in three pools; folds of the first."""

    search: Examples
    select: Examples
    verdict: Examples
    folds: Folds


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """One form of the model as it would be served."""

    name: str
    onnx: bytes


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """The table from `select`, and what `verdict` says of the chosen one."""

    choice: Choice
    smaller: float
    faster: float
    proof: Noninferiority | None
    cost: float
    reference_cost: float
    positives: int

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        if self.proof is None:
            return "the reference stays: there is no variant of the size that was asked for"
        rise = self.proof.difference.value / abs(self.reference_cost)
        most = self.proof.upper / abs(self.reference_cost)
        told = (
            f"{self.choice.chosen}: {self.smaller:.1f} times smaller, {self.faster:.1f} times faster a row;"
            f" on {self.proof.rows:,} sealed rows with {self.positives:,} positives its cost changes by"
            f" {rise:+.1%}, at most {most:+.1%}"
        )
        if self.proof.proven:
            return f"{told}: proven not worse by more than {self.choice.margin:.0%}"
        needed = self.proof.rows_needed
        share = self.positives / self.proof.rows
        more = f"; about {needed * share:,.0f} positives would prove it" if needed else ""
        return f"{told}: unproven at {self.choice.margin:.0%}{more}"


def rule_with(*, missed: str, false_alarm: str) -> DecisionRule:
    """Two classes, two costs; a cost is a number or an expression over a row's columns."""
    entries = (
        CostEntry(name="false_negative", action="no", truth="yes", cost=missed),
        CostEntry(name="false_positive", action="yes", truth="no", cost=false_alarm),
    )
    return DecisionRule(task=Task.BINARY, classes=CLASSES, actions=CLASSES, costs=CostTerms(entries=entries))


def shapes(
    recipe: Recipe,
    reference: Fitted,
    rows: Rows,
    rule: DecisionRule,
    *,
    sizes: Sequence[float],
    seed: int,
    costs: Costs = row_costs,
) -> tuple[tuple[Shape, float], ...]:
    """The best shape of each size by cross-validation on `search`, and what it costs there."""
    shape = shape_of(dict(reference.params))
    assert shape is not None
    found: dict[Shape, float] = {}
    for line in lines(shape, sizes=sizes):
        settings = {**dict(reference.settings), **line.shapes[-1].changes}
        answers, _ = staged(
            recipe, settings, rows.search, rule, folds=rows.folds, stages=line.trees, seed=seed
        )
        for one, raw in zip(line.shapes, answers, strict=True):
            judged = np.flatnonzero(~np.isnan(raw[:, 0]))
            told = calibrated(recipe, rule, rows.search, raw, rows.folds)
            kept = Predictions(task=told.task, classes=told.classes, values=told.values[judged])
            found[one] = float(costs(rule, kept, rows.search.take(judged)).mean())
    return tuple((one, found[one]) for one in finalists(found, shape, sizes=sizes))


def student(
    recipe: Recipe,
    changes: Mapping[str, Parameter],
    teacher: Fitted,
    rows: Examples,
    rule: DecisionRule,
    *,
    seed: int,
    said: Predictions | None = None,
) -> Fitted:
    """The recipe made smaller and taught by what the teacher says about the rows."""
    lesson = lesson_of(rows.matrix, said or teacher.predict(rows.matrix))
    taught = Examples(matrix=lesson.matrix, truth=lesson.truth, columns={}, weight=lesson.weight)
    plain = replace(recipe, calibrate=Calibration.NONE)
    return fit(plain, {**dict(teacher.settings), **changes}, taught, rule, seed=seed)


def tree_candidates(
    recipe: Recipe,
    settings: Mapping[str, Parameter],
    rows: Rows,
    rule: DecisionRule,
    *,
    sizes: Sequence[float],
    distilled: Sequence[float],
    seed: int,
    unlabelled: NDArray[np.float32] | None = None,
    costs: Costs = row_costs,
) -> list[Candidate]:
    """The reference, the best shape of each size, and students of the sizes in *distilled*."""
    columns = tuple(f"x{i}" for i in range(rows.search.matrix.shape[1]))
    began = time.perf_counter()
    teacher = fit(recipe, settings, rows.search, rule, seed=seed, folds=rows.folds)
    found = [Candidate(name=REFERENCE, onnx=to_onnx(teacher, columns))]
    whole = shape_of(dict(teacher.params))
    assert whole is not None
    best = shapes(recipe, teacher, rows, rule, sizes=sizes, seed=seed, costs=costs)
    for shape, _ in best:
        small = fit(recipe, {**settings, **shape.changes}, rows.search, rule, seed=seed, folds=rows.folds)
        found.append(Candidate(name=name_of(shape, whole), onnx=to_onnx(small, columns)))
    taught = rows.search
    if unlabelled is not None:
        blank = np.zeros(len(unlabelled), dtype=np.int64)
        matrix = np.concatenate([rows.search.matrix, unlabelled])
        taught = Examples(matrix=matrix, truth=np.concatenate([rows.search.truth, blank]), columns={})
    for size in distilled:
        small_enough = [one for one, _ in best if one.leaves_in_all * size <= whole.leaves_in_all]
        if small_enough:
            shape = max(small_enough, key=lambda one: one.leaves_in_all)
            small = student(recipe, shape.changes, teacher, taught, rule, seed=seed)
            found.append(Candidate(name=f"distilled-{name_of(shape, whole)}", onnx=to_onnx(small, columns)))
    print(f"{len(found)} variants made in {time.perf_counter() - began:.0f} s")
    return found


def judged(
    candidates: Sequence[Candidate],
    rows: Rows,
    rule: DecisionRule,
    *,
    margin: float,
    seed: int,
    at_least: float = 1.0,
    faster: float = 1.0,
    costs: Costs = row_costs,
    tune: bool = True,
) -> Result:
    """Measure, choose on `select` among those that much smaller and *faster*, prove on `verdict`."""
    models = [OnnxModel(one.onnx) for one in candidates]
    rules, measured = [], []
    answers = [model.predict(rows.select.matrix) for model in models]
    for one, model, said in zip(candidates, models, answers, strict=True):
        own = rechosen(rule, model, rows.select) if tune else rule
        rules.append(own)
        measured.append(
            Measured(
                name=one.name,
                speed=measure(one.onnx, rows.select.matrix[:2000], clock=time.perf_counter_ns),
                parity=parity(answers[0], said, rule, rows.select.columns),
                costs=costs(own, said, rows.select),
            )
        )
    limit = int(measured[0].speed.size_bytes / at_least)
    choice = choose(
        measured,
        seed=seed,
        margin=margin,
        worst=worst_change(rule, rows.select.columns, len(rows.select)),
        most_bytes=None if at_least == 1.0 else limit,
        positives=int((rows.select.truth == 1).sum()) if costs is row_costs else 0,
    )
    choice = _nominated(choice, limit, measured[0].speed.p50_us / faster)
    place = next(i for i, one in enumerate(candidates) if one.name == choice.chosen)
    final = [
        costs(rules[i], models[i].predict(rows.verdict.matrix), rows.verdict)
        for i in dict.fromkeys((0, place))
    ]
    proof = None
    if place:
        allowed = margin * abs(float(final[0].mean()))
        worst = worst_change(rule, rows.verdict.columns, len(rows.verdict))
        proof = noninferior(final[1], final[0], margin=allowed, seed=seed, worst=worst)
    speeds = measured[0].speed, measured[place].speed
    return Result(
        choice=choice,
        smaller=speeds[0].size_bytes / speeds[1].size_bytes,
        faster=speeds[0].p50_us / speeds[1].p50_us,
        proof=proof,
        cost=float(final[-1].mean()),
        reference_cost=float(final[0].mean()),
        positives=int((rows.verdict.truth == 1).sum()),
    )


def _nominated(choice: Choice, limit: int, slowest: float) -> Choice:
    """The choice, or, where nothing that small and fast is proven on `select` alone, the surest of these.

    `select` only chooses here; the proof is the one on `verdict`, which has more rows.
    """
    chosen = next(row for row in choice.rows if row.chosen)
    fitting = [row for row in choice.rows[1:] if row.speed.size_bytes <= limit]
    small = [row for row in fitting if row.speed.p50_us <= slowest] or fitting
    if chosen in small or not small:
        return choice
    surest = min(small, key=lambda row: row.rise_at_most or 0.0)
    rows = tuple(
        replace(
            row,
            chosen=row is surest,
            reason=f"the surest of its size, goes to the verdict; {row.reason}"
            if row is surest
            else row.reason,
        )
        for row in choice.rows
    )
    return replace(choice, chosen=surest.name, rows=rows)


class _Served:
    """An exported model as `Fitted` asks an estimator."""

    def __init__(self, model: OnnxModel) -> None:
        self._model = model
        self.classes_ = np.arange(len(model.classes))

    def predict_proba(self, matrix: NDArray[np.float32]) -> Floats:
        return self._model.predict(matrix).values


def rechosen(rule: DecisionRule, model: OnnxModel, examples: Examples) -> DecisionRule:
    """The rule with the threshold that `select` leaves standing for this very form of the model."""
    fitted = Fitted(
        task=rule.task, classes=rule.classes, algorithm="served", settings=(), params=(), seed=0, code="",
        estimator=_Served(model),
    )  # fmt: skip
    return select([fitted], examples, rule, lineage=LINEAGE, record=lambda _: None).rule


def show(title: str, result: Result, *, price: float = 0.05, picture: Path | None = None) -> None:
    """Print the Pareto table and the verdict; draw the table into *picture*."""
    print(f"\n{title}")
    print(
        f"  {'variant':<38}{'kB':>8}{'smaller':>9}{'p50 us':>8}{'p99 us':>8}{'rows/s':>10}{'+MB':>6}"
        f"{'per mill.':>10}{'same':>8}{'max dp':>8}{'cost':>10}{'rise, at most':>17}  why"
    )
    reference = result.choice.rows[0]
    for row in result.choice.rows:
        print(_line(row, reference, price))
    print(f"  verdict: {result.sentence}")
    if picture is not None:
        picture.write_text(drawn(title, result), encoding="utf-8")
        print(f"  drawn into {picture}")


def _line(row: Judged, reference: Judged, price: float) -> str:
    speed = row.speed
    money = cost_per_million(speed.p50_us / 1e6, BudgetTerms(core_hour_price=price))
    rise = "" if row.rise is None or row.rise_at_most is None else f"{row.rise:+.1%}, {row.rise_at_most:+.1%}"
    return (
        f"{'* ' if row.chosen else '  '}{row.name:<38}{speed.size_bytes / 1e3:>8.1f}"
        f"{reference.speed.size_bytes / speed.size_bytes:>8.1f}x{speed.p50_us:>8.0f}{speed.p99_us:>8.0f}"
        f"{speed.rows_per_s:>10,.0f}{speed.memory_bytes / 1e6:>6.1f}{money:>10.5f}"
        f"{row.parity.decisions_agree:>8.2%}{row.parity.largest_change:>8.3f}{row.mean_cost:>10.4f}{rise:>17}  {row.reason}"
    )


def drawn(title: str, result: Result) -> str:
    """The Pareto picture as a page of its own: size against cost."""
    dots = tuple(
        Dot(
            name=row.name,
            x=row.speed.size_bytes / 1e3,
            y=row.mean_cost,
            chosen=row.chosen,
            front=row.on_front,
        )
        for row in result.choice.rows
    )
    chart = ScatterChart(
        title=title,
        description="Each variant of the model by its size and by what a decision costs with it.",
        x_label="size of the artifact, kB",
        y_label="cost of a decision on `select`",
        dots=dots,
        x_logarithmic=True,
    )
    return f"<!doctype html><meta charset='utf-8'><title>{title}</title><style>{chart_style()}</style>{scatter_chart(chart)}"
