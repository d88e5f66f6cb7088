"""Make the model smaller, judge every variant on `select`, choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime

import numpy as np

from geartrain.compression.budgeting import budget_findings
from geartrain.compression.choosing import Choice, Measured, choose, worst_change
from geartrain.compression.export import to_onnx
from geartrain.compression.measuring import measure_all
from geartrain.compression.parity import parity
from geartrain.compression.paths import ServingPath, measure_paths
from geartrain.compression.rechoosing import matched
from geartrain.compression.variants import REFERENCE, Variant, variants
from geartrain.domain.clause import Parameter, Stage
from geartrain.domain.contract import BudgetTerms, Contract
from geartrain.domain.digest import digest_bytes
from geartrain.domain.events import ModelTrained, TrialRecorded, VariantMeasured
from geartrain.domain.model import ModelVersion, Pool, Speed
from geartrain.domain.prediction import Floats
from geartrain.domain.rule import DecisionRule
from geartrain.domain.wire import decode, encode
from geartrain.engine.bench import (
    Bench,
    Builder,
    Document,
    bench_of,
    evidence_of,
    fitted_of,
    view_of,
)
from geartrain.engine.mitigated import constrained, rule_of_run
from geartrain.engine.pooling import meter_of, open_pool, taught_losses
from geartrain.engine.shape_search import most_bytes, searched
from geartrain.engine.workspace import Workspace
from geartrain.evaluation.judging import evaluate
from geartrain.stats.fitted import Fitted
from geartrain.stats.noninferiority import Noninferiority, noninferior
from geartrain.stats.onnx_model import OnnxModel
from geartrain.training.examples import Examples, priced_rows, row_costs
from geartrain.training.fitting import trial_of

#: Rows that single-row latency is measured on; more only repeat themselves.
TIMED_ROWS = 2_000


def margin_of(contract: Contract) -> float:
    """The share by which a variant's decisions may be proven dearer at most, as the contract's budget says."""
    return (contract.budget or BudgetTerms()).margin


def shape(builder: Builder, document: Document) -> Document:
    """Fit and measure smaller variants, judge each on `select`, and choose one."""
    bench = bench_of(builder, document)
    now = datetime.fromisoformat(document["now"])
    rule = rule_of_run(bench.rule, document)
    fitted = fitted_of(builder, document, bench, {})
    examples = bench.examples(Pool.SELECT)

    def refit(changes: Mapping[str, Parameter]) -> Fitted:
        return fitted_of(builder, document, bench, changes)

    open_pool(
        builder,
        document,
        bench,
        Pool.SELECT,
        candidate=document["trial"],
        purpose="choose the variant",
        now=now,
    )
    free = not constrained(document)
    thorough = bool(document.get("thorough"))
    changes = None
    if free and thorough:
        size = len(to_onnx(fitted, bench.encoding.columns))
        changes = searched(builder, document, bench, rule, fitted, size) or None
    made = variants(
        fitted,
        bench.encoding.columns,
        examples.matrix,
        refit=refit if free else None,
        changes=changes,
        taught=bench.examples(Pool.SEARCH).matrix,
    )
    rules = _rules(rule, made, examples)
    about_rows: dict[object, object] = {}
    # What would be served is asked, not the model that it was made of: it may answer otherwise.
    speeds = measure_all(
        [one.onnx for one in made],
        examples.matrix[:TIMED_ROWS],
        clock=builder.clock_ns,
        repeats=builder.timings,
    )
    measured = [
        _measured(
            builder,
            bench,
            rules[place],
            document,
            one,
            made[0],
            examples,
            rule,
            speeds[place],
            about_rows=about_rows,
            now=now,
        )
        for place, one in enumerate(builder.teller.track(made, label="measuring variants", total=len(made)))
    ]
    looks = _record_looks(builder, document, bench, rules, made, measured, now=now)
    choice = choose(
        measured,
        seed=document["seed"],
        margin=margin_of(builder.contract),
        worst=worst_change(rule, examples.columns, len(examples)),
        most_bytes=most_bytes(builder.contract),
        positives=int((examples.truth == 1).sum()) if len(rule.classes) == 2 else 0,
    )
    models = {one.name: _version(builder, document, bench, one) for one in made}
    place, chosen = next((i, one) for i, one in enumerate(made) if one.name == choice.chosen)
    _record_variants(builder, choice, models, now=now)
    builder.teller.say(_chosen_sentence(choice))
    blobs = builder.workspace.blobs
    for one in made:
        blobs.put(one.onnx)
    return {
        "variant": choice.chosen,
        "changes": _changes_of(fitted, chosen.fitted),
        "model": models[choice.chosen].id,
        "model_noun": blobs.put(encode(models[choice.chosen])),
        "onnx": blobs.put(chosen.onnx),
        "reference_onnx": blobs.put(made[0].onnx),
        "format": chosen.form.value,
        "class_weights": list(rules[place].class_weights),
        "reference_weights": list(rule.class_weights),
        "native": blobs.put(chosen.fitted.text.encode()) if chosen.fitted.text else None,
        "rule": blobs.put(encode(rules[place])),
        "speed": encode(measured[place].speed).decode(),
        "paths": [list(asdict(one).items()) for one in serving_paths(builder, fitted, made[0], examples)]
        if thorough
        else [],
        "choice": blobs.put(encode(choice)),
        "trials_recorded": list(dict.fromkeys([*document["trials_recorded"], *looks])),
    }


def _rules(rule: DecisionRule, made: Sequence[Variant], examples: Examples) -> list[DecisionRule]:
    """The threshold of each variant: the reference's, or the one at which it acts as often, where that costs less.

    A threshold with no reason but these rows has to be better by more than a standard error.
    """
    priced = priced_rows(rule, examples)
    found = [rule]
    for one in made[1:]:
        other = matched(rule, made[0].answers, one.answers, examples.columns)
        if other is not None:
            gain = (row_costs(rule, one.answers, examples) - row_costs(other, one.answers, examples))[priced]
            other = other if gain.mean() > gain.std() / np.sqrt(len(gain)) else None
        found.append(other or rule)
    return found


def _record_looks(
    builder: Builder,
    document: Document,
    bench: Bench,
    rules: Sequence[DecisionRule],
    made: Sequence[Variant],
    measured: Sequence[Measured],
    *,
    now: datetime,
) -> list[str]:
    """Each variant's look at `select`, a trial of its own, with the figure that the meter shows of it."""
    product, meter = builder.contract.product.name, meter_of(builder, document, bench, now=now)
    places = priced_rows(rules[0], bench.examples(Pool.SELECT))
    found: list[str] = []
    for variant, seen, rule in zip(made, measured, rules, strict=True):
        asked = trial_of(
            variant.fitted,
            bench.lineage,
            pool=Pool.SELECT,
            score=0.0,
            rows=len(places),
            class_weights=rule.class_weights,
            variant="" if variant.name == REFERENCE else variant.name,
        )
        taught = taught_losses(bench, variant.fitted, rule)
        step = meter.ask(asked, seen.costs[places], taught=taught)
        # A pool that is spent has told nothing; what the free rows say of the variant is recorded then.
        trial = (
            replace(asked, pool=Pool.SEARCH, score=float(taught.mean()), rows=len(taught))
            if step.spent
            else replace(asked, score=step.shown)
        )
        event = TrialRecorded(product=product, id=trial.id, trial=trial)
        builder.workspace.record_once(product, [event], now=now)
        found.append(trial.id)
    return found


def _measured(
    builder: Builder,
    bench: Bench,
    rule: DecisionRule,
    document: Document,
    variant: Variant,
    reference: Variant,
    examples: Examples,
    reference_rule: DecisionRule,
    speed: Speed,
    *,
    about_rows: dict[object, object],
    now: datetime,
) -> Measured:
    evidence = evidence_of(builder, bench, rule, document, Pool.SELECT, variant.answers)
    report = evaluate(
        evidence,
        stage=Stage.COMPRESSION,
        now=now,
        model=view_of(
            bench,
            variant.fitted,
            Pool.SELECT,
            predict=OnnxModel(variant.onnx).predict,
            about_rows=about_rows,
        ),
        usual=False,
    )
    return Measured(
        name=variant.name,
        speed=speed,
        parity=parity(
            reference.answers, variant.answers, reference_rule, examples.columns, candidate_rule=rule
        ),
        costs=row_costs(rule, variant.answers, examples),
        findings=(
            *report.findings,
            *budget_findings(builder.contract, speed, stage=Stage.COMPRESSION, now=now),
        ),
    )


def serving_paths(
    builder: Builder, fitted: Fitted, reference: Variant, examples: Examples
) -> tuple[ServingPath, ...]:
    """How long one row takes by each way of asking the very same model: what is gained before anything is changed."""
    return measure_paths(
        fitted,
        reference.onnx,
        examples.matrix[:TIMED_ROWS],
        clock=builder.clock_ns,
        repeats=builder.timings // 4,
    )


def _changes_of(reference: Fitted, variant: Fitted) -> dict[str, Parameter]:
    before = dict(reference.settings)
    return {name: value for name, value in variant.settings if before.get(name, object()) != value}


def _version(builder: Builder, document: Document, bench: Bench, variant: Variant) -> ModelVersion:
    return ModelVersion(
        product=builder.contract.product.name,
        task=builder.contract.decision.task,
        classes=bench.classes,
        algorithm=variant.fitted.algorithm,
        params=variant.fitted.params,
        seed=document["seed"],
        contract=builder.contract.id,
        snapshot=document["snapshot"],
        encoding=bench.encoding,
        trial=document["trial"],
        artifact=digest_bytes(variant.onnx),
        variant="" if variant.name == REFERENCE else variant.name,
    )


def _record_variants(
    builder: Builder, choice: Choice, models: Mapping[str, ModelVersion], *, now: datetime
) -> None:
    product = builder.contract.product.name
    reference = models[choice.rows[0].name].id
    events: list[ModelTrained | VariantMeasured] = []
    for row in choice.rows:
        model = models[row.name]
        if row.chosen or row is choice.rows[0]:
            events.append(ModelTrained(id=model.id, model=model))
        events.append(
            VariantMeasured(
                product=product,
                model=model.id,
                reference=reference,
                speed=row.speed,
                parity=row.parity,
                chosen=row.chosen,
                reason=row.reason,
                variant=row.name,
                cost=row.mean_cost,
            )
        )
    builder.workspace.record_once(product, events, now=now)


def _chosen_sentence(choice: Choice) -> str:
    row = next(one for one in choice.rows if one.chosen)
    return (
        f"{len(choice.rows)} variants judged; chosen is {choice.chosen}: {row.speed.size_bytes / 1e3:,.0f} kB,"
        f" {row.speed.p50_us:,.0f} us a row ({row.reason})"
    )


def proof_of_size(
    builder: Builder, bench: Bench, document: Document, costs: Floats, *, confidence: float
) -> Noninferiority | None:
    """Whether the chosen variant's decisions cost no more than the reference's on the sealed rows; None for the reference.

    *costs* are the variant's, row by row; both decide with the threshold that `select`
    left them. What comes out is told, and does not choose again: the sealed rows judge once.
    """
    if document["variant"] == REFERENCE or "reference_onnx" not in document:
        return None
    examples = bench.examples(Pool.VERDICT)
    before = {**document, "class_weights": document["reference_weights"]}
    rule = rule_of_run(bench.rule, before)
    answers = OnnxModel(builder.workspace.blobs.get(document["reference_onnx"])).predict(examples.matrix)
    whole = row_costs(rule, answers, examples)
    priced = np.isfinite(whole) & np.isfinite(costs)
    found = noninferior(
        costs[priced],
        whole[priced],
        margin=margin_of(builder.contract) * abs(float(whole[priced].mean())),
        seed=document["seed"],
        confidence=confidence,
        worst=worst_change(rule, examples.columns, len(examples)),
    )
    rise = (
        f"{found.difference.value:+.4g} a decision, at most {found.upper:+.4g}, allowed {found.margin:+.4g}"
    )
    needed = f"; about {found.rows_needed:,} rows in all would prove it" if found.rows_needed else ""
    told = "is proven not to cost more" if found.proven else f"is not proven not to cost more{needed}"
    builder.teller.say(f"{document['variant']} on {found.rows:,} sealed rows {told}: {rise}")
    return found


def choice_of(workspace: Workspace, document: Document) -> Choice:
    """The Pareto table of a run."""
    return decode(workspace.blobs.get(document["choice"]), Choice)
