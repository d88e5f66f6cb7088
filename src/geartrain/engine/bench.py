"""The bench of a run: its rows, pools and models, read back the same in every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.clause import Parameter
from geartrain.domain.contract import Contract
from geartrain.domain.digest import digest
from geartrain.domain.expression import Columns
from geartrain.domain.features import Encoding
from geartrain.domain.model import Pool
from geartrain.domain.prediction import Floats, Predictions
from geartrain.domain.rule import DecisionRule, rule_of
from geartrain.domain.task import Task
from geartrain.engine.mitigated import model_of_run
from geartrain.engine.products import Product
from geartrain.engine.rows import Rows, classes_of, data_of, frame_from, truth_of
from geartrain.engine.workspace import Workspace
from geartrain.evaluation.evidence import Evidence, History
from geartrain.evaluation.model_view import ModelView
from geartrain.features.encoding import encode as encode_rows
from geartrain.features.encoding import fit_encoding
from geartrain.ports.teller import Silence, Teller
from geartrain.retraining.window import Window
from geartrain.stats.fitted import Fitted
from geartrain.stats.intervals import CONFIDENCE
from geartrain.training.examples import Examples, Lineage
from geartrain.training.fitting import fit, monotone_of
from geartrain.training.recipe import simplest_model
from geartrain.training.split import RowFacts, Split, split

#: What a step leaves for the next: names of things in the blob store and the ledger.
Document = dict[str, Any]


@dataclass(slots=True, kw_only=True, eq=False)
class Builder:
    """Builds candidates of one product; remembers models that it has fitted in this process."""

    workspace: Workspace
    product: Product
    clock_ns: Callable[[], int]
    teller: Teller = field(default_factory=Silence)
    timings: int = 2_000
    fitted: dict[str, Fitted] = field(default_factory=dict)
    benches: dict[str, Bench] = field(default_factory=dict)

    @property
    def contract(self) -> Contract:
        """The contract as the product's folder says it."""
        return self.product.contract


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bench:
    """Rows, truth and pools of one run, read back from the blob store; the same every time."""

    rows: Rows
    columns: Columns
    classes: tuple[str, ...]
    truth: NDArray[Any]
    split: Split
    encoding: Encoding
    matrix: NDArray[np.float32]
    rule: DecisionRule
    lineage: Lineage
    monotone: tuple[int, ...]
    weight: Floats | None = None

    @property
    def unlabelled(self) -> NDArray[np.float32]:
        """The rows whose truth nobody knows, shape (m, columns): they are in no pool, and may teach a student."""
        unknown = self.truth < 0 if self.classes else np.isnan(self.truth.astype(np.float64))
        return self.matrix[unknown]

    def examples(self, pool: Pool) -> Examples:
        """The rows of *pool* for training and choosing."""
        return self.taken(self.split.of(pool))

    def taken(self, places: NDArray[np.int64]) -> Examples:
        """The rows at *places* for training and choosing, weighted by age where the order says so."""
        return Examples(
            matrix=self.matrix[places],
            truth=self.truth[places],
            columns={name: values[places] for name, values in self.columns.items()},
            weight=None if self.weight is None else self.weight[places],
        )


def bench_of(builder: Builder, document: Document) -> Bench:
    """The run's rows, shared out: read back once in a process, the same in every process."""
    name = digest((document["raw"], document["values"], document["seed"], document.get("half_life_s")))
    if name not in builder.benches:
        builder.benches.clear()
        builder.benches[name] = _read_bench(builder, document)
    return builder.benches[name]


def _read_bench(builder: Builder, document: Document) -> Bench:
    contract = builder.contract
    blobs = builder.workspace.blobs
    rows = Rows(
        raw=frame_from(blobs.get(document["raw"])), features=frame_from(blobs.get(document["values"]))
    )
    classes = classes_of(contract, rows)
    truth = truth_of(contract, rows, classes)
    pools = split(row_facts(contract, rows, truth), contract, classes=classes, seed=document["seed"])
    encoding = fit_encoding(builder.product.features, rows.take(pools.search).features)
    return Bench(
        rows=rows,
        columns=rows.columns,
        classes=classes,
        truth=truth,
        split=pools,
        encoding=encoding,
        matrix=encode_rows(encoding, rows.features),
        rule=rule_of(contract, classes),
        lineage=Lineage(contract=contract.id, snapshot=document["snapshot"], features=encoding.id),
        monotone=_directions(builder, encoding),
        weight=_by_age(rows, document) if data_of(contract).decisions.event_time else None,
    )


def row_facts(contract: Contract, rows: Rows, truth: NDArray[Any]) -> RowFacts:
    """What decides which pool each row goes into."""
    data = data_of(contract)
    return RowFacts(
        keys=[str(key) for key in rows.texts(data.decisions.key)],
        labels=truth,
        times_us=rows.times_us if data.decisions.event_time else None,
        groups=rows.texts(data.group) if data.group else None,
    )


def _by_age(rows: Rows, document: Document) -> Floats | None:
    """How much each row counts in training, shape (n,), where the order names a half-life."""
    window = Window(name="ordered", since=None, half_life_s=document.get("half_life_s"))
    return window.weights(rows.times_us)


def _directions(builder: Builder, encoding: Encoding) -> tuple[int, ...]:
    """What the domain expert says must rise or fall is true by construction where the model can."""
    if not builder.product.recipe.monotone or builder.contract.decision.task is Task.MULTICLASS:
        return ()
    directions = {
        str(clause.parameter("column")): 1 if clause.metric == "rises_with" else -1
        for clause in builder.contract.clauses
        if clause.metric in {"rises_with", "falls_with"} and clause.where is None
    }
    known = {name: sign for name, sign in directions.items() if name in encoding.columns}
    return monotone_of(known, encoding.columns) if known else ()


def fitted_of(builder: Builder, document: Document, bench: Bench, changes: Mapping[str, Parameter]) -> Fitted:
    """The run's model with some parameters changed, fitted on the search pool, or as it was fitted before."""
    name = _fit_name(document, document["trial"], changes)
    if name not in builder.fitted:
        builder.fitted[name] = model_of_run(
            builder.contract,
            document,
            builder.product.recipe,
            {**document["settings"], **changes},
            bench.examples(Pool.SEARCH),
            bench.rule,
            folds=bench.split.folds,
            monotone=bench.monotone,
            unlabelled=bench.unlabelled,
        )
    return builder.fitted[name]


def remember(builder: Builder, document: Document, trial: str, fitted: Fitted) -> None:
    """Keep a fitted reference model for the next step of this process."""
    builder.fitted[_fit_name(document, trial, {})] = fitted


def _fit_name(document: Document, trial: str, changes: Mapping[str, Parameter]) -> str:
    return digest((document["raw"], document["values"], trial, dict(changes), document.get("mitigation")))


def evidence_of(
    builder: Builder,
    bench: Bench,
    rule: DecisionRule,
    document: Document,
    pool: Pool,
    answers: Predictions,
    *,
    confidence: float = CONFIDENCE,
) -> Evidence:
    """What *answers* say about the rows of *pool*, with all that a clause may be held against.

    *confidence* is that of every interval made from it, as the pool's opening allows.
    """
    data = data_of(builder.contract)
    places = bench.split.of(pool)
    taken = bench.rows.take(places)
    timed = data.decisions.event_time is not None
    taught = bench.split.search
    return Evidence(
        contract=builder.contract,
        rule=rule,
        predictions=answers,
        truth=bench.truth[places],
        columns={name: values[places] for name, values in bench.columns.items()},
        groups=np.array(taken.texts(data.group), dtype=object) if data.group else None,
        times_us=taken.times_us if timed else None,
        seed=document["seed"],
        confidence=confidence,
        simplest=_simplest(builder, document, bench, pool),
        history=History(
            truth=bench.truth[taught], times_us=bench.rows.take(taught).times_us if timed else None
        ),
    )


def _simplest(builder: Builder, document: Document, bench: Bench, pool: Pool) -> Predictions:
    """What a plain linear model says about the same rows: the baseline that every product must beat."""
    name = _fit_name(document, "simplest", {})
    if name not in builder.fitted:
        recipe = simplest_model(builder.contract.decision.task)
        builder.fitted[name] = fit(
            recipe,
            {},
            bench.examples(Pool.SEARCH),
            bench.rule,
            seed=document["seed"],
            folds=bench.split.folds,
        )
    return builder.fitted[name].predict(bench.examples(pool).matrix)


def view_of(
    bench: Bench,
    fitted: Fitted,
    pool: Pool,
    *,
    predict: Callable[[NDArray[np.float32]], Predictions] | None = None,
    about_rows: dict[object, object] | None = None,
) -> ModelView:
    """The model as evaluation may ask it: about rows of *pool*, and rows that never happened.

    *predict* is the form that would be served, where there is one; it is asked instead of
    the model in memory. *about_rows* lets several models of the same rows share what does
    not depend on the model.
    """

    def contributions(matrix: NDArray[np.float32]) -> Floats:
        exact = fitted.contributions(matrix)
        assert exact is not None
        each = exact[:, :, :-1]
        return cast("Floats", each[:, 0, :] if each.shape[1] == 1 else np.abs(each).sum(axis=1))

    matrix = bench.matrix[bench.split.of(pool)]
    exact = len(matrix) > 0 and fitted.contributions(matrix[:1]) is not None
    return ModelView(
        encoding=bench.encoding,
        matrix=matrix,
        predict=predict or fitted.predict,
        contributions=contributions if exact else None,
        about_rows={} if about_rows is None else about_rows,
    )


def currency_of(contract: Contract) -> str:
    """The unit of costs; every error counts one where the contract names none."""
    return contract.costs.currency if contract.costs else "errors"
