"""Open the sealed rows once, judge every clause, bundle the evidence, offer it for signatures."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from geartrain.compression.budgeting import budget_findings
from geartrain.domain.clause import Stage
from geartrain.domain.digest import short
from geartrain.domain.events import ContractAdopted, FindingsRecorded
from geartrain.domain.finding import Finding, Status
from geartrain.domain.groups import MitigationTried
from geartrain.domain.model import ModelVersion, Pool, Speed
from geartrain.domain.prediction import Predictions
from geartrain.domain.release import Release
from geartrain.domain.rule import DecisionRule, may_read_groups
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
from geartrain.engine.bundles import environment, keep_bundle
from geartrain.engine.leaking import integrity_findings
from geartrain.engine.lifting import trials_now, tried_on
from geartrain.engine.mitigated import constrained
from geartrain.engine.pooling import demand_committed, demand_recorded, open_pool
from geartrain.engine.products import Product
from geartrain.engine.pulling import replaced_by_proposal
from geartrain.engine.reference_rows import NAME as REFERENCE
from geartrain.engine.reference_rows import keep_reference
from geartrain.engine.refitting import refit
from geartrain.engine.releasing import carry_out
from geartrain.engine.shaping import proof_of_size
from geartrain.engine.workspace import Workspace
from geartrain.errors import ContractReplaced, ReleaseRefused
from geartrain.evaluation.judging import Report, evaluate
from geartrain.evaluation.lift import Lift, Tried, lift_of
from geartrain.monitoring.profile import to_bytes as profile_bytes
from geartrain.monitoring.profiling import build as build_profile
from geartrain.release import commands
from geartrain.release.answers import Refusal
from geartrain.release.bundle import assemble
from geartrain.release.bundle_nouns import BundleParts
from geartrain.stats.onnx_model import OnnxModel


def adopt(workspace: Workspace, product: Product, *, now: datetime, actor: str) -> bool:
    """Make the folder's contract the product's, where it is not already; whether it was new.

    Raises:
        ContractReplaced: People signed another contract in the place of this one.
    """
    adopted = workspace.releases(product.name).contract
    if adopted == product.contract.id:
        return False
    if replaced_by_proposal(workspace, product.name, product.contract.id):
        raise ContractReplaced(
            "the folder still says a contract that the team has replaced",
            where=product.name,
            found=f"contract {short(product.contract.id)}; in force is {short(adopted or '')}",
            hint="`geartrain contract pull` writes the one in force into the folder; to go back, propose it in the room",
        )
    event = ContractAdopted(
        product=product.name,
        contract=product.contract.id,
        text=workspace.blobs.put(product.text.encode()),
    )
    workspace.record(product.name, [event], now=now, actor=actor)
    return True


def judge(builder: Builder, document: Document) -> Document:
    """Judge the chosen variant on the sealed rows, whose opening is written down first."""
    contract, bench = builder.contract, bench_of(builder, document)
    now, blobs = datetime.fromisoformat(document["now"]), builder.workspace.blobs
    demand_committed(builder, document, bench)
    opened = open_pool(
        builder,
        document,
        bench,
        Pool.VERDICT,
        candidate=document["model"],
        purpose="judge the release",
        now=now,
    )
    rule = decode(blobs.get(document["rule"]), DecisionRule)
    served = OnnxModel(blobs.get(document["onnx"]))
    answers = served.predict(bench.examples(Pool.VERDICT).matrix)
    fitted = fitted_of(builder, document, bench, document["changes"])
    evidence = evidence_of(
        builder, bench, rule, document, Pool.VERDICT, answers, confidence=opened.confidence
    )
    report = evaluate(
        evidence,
        stage=Stage.RELEASE,
        now=now,
        model=view_of(bench, fitted, Pool.VERDICT, predict=served.predict),
    )
    proof = proof_of_size(builder, bench, document, evidence.costs, confidence=opened.confidence)
    lift = lift_of(evidence, _tried(builder, document, bench), look=opened.look)
    tried = blobs.get(document["mitigations"]) if "mitigations" in document else None
    report = replace(
        report,
        lift=lift if isinstance(lift, Lift) else None,
        mitigations=() if tried is None else decode(tried, tuple[MitigationTried, ...]),
    )
    again = document["retrained"] and not constrained(document)
    replaced, speed = refit(builder, document, bench) if again else ({}, decode(document["speed"], Speed))
    findings = (
        *report.findings,
        *integrity_findings(builder, bench, document, now=now),
        *budget_findings(contract, speed, stage=Stage.RELEASE, now=now),
    )
    counts = {status: sum(one.status is status for one in findings) for status in Status}
    builder.teller.say(
        f"{len(findings)} clauses judged on {len(evidence):,} sealed rows: "
        + ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    )
    reference = bench.rows.take(_reference_rows(bench))
    return {
        **replaced,
        "noninferiority": blobs.put(encode(proof)) if proof else None,
        "findings": blobs.put(encode(findings)),
        "report": blobs.put(encode(report)),
        "profile": blobs.put(profile_bytes(build_profile(reference.features.to_arrow()))),
        "costs": blobs.put(encode([float(cost) for cost in evidence.costs if np.isfinite(cost)])),
        **_kept_reference(builder, bench, document, answers),
    }


def _tried(builder: Builder, document: Document, bench: Bench) -> Tried:
    """What the search said of its trials, and how many have come since: the variants, another run's."""
    now = tried_on(builder, document, bench) if "tried" not in document else Tried(**document["tried"])
    return replace(now, trials=trials_now(builder, document, bench))


def _kept_reference(
    builder: Builder, bench: Bench, document: Document, answers: Predictions
) -> dict[str, str]:
    """The sealed rows as the monitor will need them; a predicted value has no probabilities to calibrate."""
    if not bench.classes:
        return {}
    places = bench.split.of(Pool.VERDICT)
    rows, truth = bench.rows.take(places), bench.truth[places]
    name = keep_reference(builder.workspace, builder.contract, rows, answers, truth, seed=document["seed"])
    return {REFERENCE: name}


def _reference_rows(bench: Bench) -> NDArray[np.int64]:
    """The rows that live traffic is compared with: the latest ones, whose windows are filled.

    Of rows that were split by time those are the two later pools; the first weeks of a
    history have no past to look back at and would make every later day look changed.
    """
    later = np.concatenate([bench.split.select, bench.split.verdict])
    by_time = (
        len(later) > 0 and bench.rows.times_us[bench.split.search].max() <= bench.rows.times_us[later].min()
    )
    rows = later if by_time else np.concatenate([bench.split.search, later])
    return np.sort(rows)


def offer(builder: Builder, document: Document) -> Document:
    """Bundle model, contract and evidence, and offer the bundle for signatures."""
    contract, blobs = builder.contract, builder.workspace.blobs
    now = datetime.fromisoformat(document["now"])
    findings = decode(blobs.get(document["findings"]), tuple[Finding, ...])
    model = decode(blobs.get(document["model_noun"]), ModelVersion)
    demand_recorded(builder, model)
    rule = decode(blobs.get(document["rule"]), DecisionRule)
    if not may_read_groups(contract, rule):
        raise ReleaseRefused(
            "the rule decides by group, and no fairness clause allows that",
            where="fairness",
            found=", ".join(rule.groups),
            hint="train again: the contract no longer lists `thresholds` among the clause's mitigations",
        )
    parts = BundleParts(
        contract=contract,
        contract_text=builder.product.text.encode(),
        snapshot=document["snapshot"],
        model=model,
        onnx=blobs.get(document["onnx"]),
        rule=rule,
        findings=findings,
        environment=environment(),
        native=blobs.get(document["native"]) if document["native"] else None,
        profile=blobs.get(document["profile"]),
    )
    release, files = assemble(parts, key=builder.workspace.signing_key())
    keep_bundle(builder.workspace, release, files)
    _offer(builder, release, findings, document, now=now)
    builder.teller.say(f"release {short(release.id)} is proposed and waits for signatures")
    return {"release": release.id}


def _offer(
    builder: Builder, release: Release, findings: tuple[Finding, ...], document: Document, *, now: datetime
) -> None:
    product = builder.contract.product.name
    builder.workspace.record_once(
        product,
        [
            FindingsRecorded(
                product=product,
                stage=Stage.RELEASE,
                subject=release.id,
                contract=builder.contract.id,
                findings=findings,
                report=document["report"],
            )
        ],
        now=now,
    )
    answer = carry_out(
        builder.workspace,
        product,
        lambda state: commands.propose(
            state, builder.contract, release, findings, retrained=document["retrained"]
        ),
        now=now,
    )
    if isinstance(answer, Refusal):
        raise ReleaseRefused(answer.reason, where=f"release {short(release.id)}", hint=answer.do)


def report_of(workspace: Workspace, document: Document) -> Report:
    """What the judging showed."""
    return decode(workspace.blobs.get(document["report"]), Report)


def report_of_release(workspace: Workspace, product: str, release: str) -> Report | None:
    """What the judging of *release* showed, as the ledger names it; None where it names nothing."""
    for recorded in reversed(workspace.history(product)):
        event = recorded.event
        if isinstance(event, FindingsRecorded) and event.subject == release and event.report:
            return decode(workspace.blobs.get(event.report), Report)
    return None
