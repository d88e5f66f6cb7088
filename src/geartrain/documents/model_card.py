"""The model card: Markdown made of evidence, with the metadata header that the Hugging Face Hub reads.

Format: https://huggingface.co/docs/hub/model-cards (YAML front matter, then Markdown);
sections after Mitchell et al., Model Cards for Model Reporting, FAT* 2019, section 4.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from geartrain.documents.facts import DocumentFacts
from geartrain.documents.paper import Block, Items, Missing, Paper, Section, Text, to_markdown
from geartrain.documents.prose import Ask, Binds, answer
from geartrain.documents.spelling import day, number, share
from geartrain.documents.tables import (
    FITTED_ONCE_MORE,
    baselines_words,
    colophon,
    costs_table,
    fairness_blocks,
    features_table,
    found_later,
    kept_of,
    making_table,
    metrics_table,
    people,
    promises_table,
    relies_on,
    robustness_blocks,
    sign_offs,
    waivers,
)
from geartrain.domain.digest import short
from geartrain.domain.finding import Finding, Status
from geartrain.domain.release import ReleaseStage
from geartrain.domain.roles import Role

NAME = "model-card"

DATA = Ask(
    document=NAME,
    section="training-data",
    missing="where the training data come from, whom they leave out, and how they were labelled",
    question="Where do the rows come from, who is not in them, who labelled them and how?",
    owner=Role.DOMAIN,
)
ETHICS = Ask(
    document=NAME,
    section="ethical-considerations",
    missing="what harm a wrong or misused decision can do, and to whom",
    question="Whom can a wrong or a misused decision harm, how badly, and what is done against it?",
    owner=Role.DOMAIN,
)
CAVEATS = Ask(
    document=NAME,
    section="caveats",
    missing="caveats and recommendations to those who use it",
    question="What must somebody know who uses this release, beyond the findings?",
    owner=Role.SCIENCE,
    binds=Binds.RELEASE,
)
ASKS = (DATA, ETHICS, CAVEATS)

#: The Hub's own words for tasks on tables.
_PIPELINES = {
    "binary": "tabular-classification",
    "multiclass": "tabular-classification",
    "regression": "tabular-regression",
}


def model_card(facts: DocumentFacts) -> str:
    """The card of one release: the Hub's header, then Markdown.

    Names from outside are escaped, so that none of them can add headings, links or HTML.
    """
    return f"{header(facts)}\n\n{to_markdown(model_card_paper(facts))}"


def header(facts: DocumentFacts) -> str:
    """The YAML header. YAML's flow forms are JSON's, so every value is written as JSON and nothing breaks out."""
    task = facts.contract.decision.task.value
    results = _results(facts)
    fields: dict[str, object] = {
        "library_name": "onnx",
        "tags": ["geartrain", "tabular", task],
        "geartrain_release": facts.id,
        "metrics": sorted({metric["type"] for one in results for metric in one["metrics"]}),
        "model-index": [{"name": facts.contract.product.name, "results": results}],
    }
    if task in _PIPELINES:
        fields["pipeline_tag"] = _PIPELINES[task]
    if not results:
        del fields["model-index"], fields["metrics"]
    lines = (
        f"{name}: {json.dumps(value, ensure_ascii=True, allow_nan=False)}"
        for name, value in sorted(fields.items())
    )
    return "---\n" + "\n".join(lines) + "\n---"


def _results(facts: DocumentFacts) -> list[dict[str, Any]]:
    """One result for each slice: the Hub keeps a metric's rows as its data set."""
    slices: dict[str, list[dict[str, Any]]] = {}
    for one in facts.findings:
        clause = facts.clause(one)
        if one.value is None or not one.clause.startswith("success."):
            continue
        told: dict[str, Any] = {
            "type": clause.metric if clause else one.clause.rsplit(".", 1)[-1],
            "name": one.clause,
            "value": one.value,
            "args": {
                "low": one.low,
                "high": one.high,
                "confidence": one.confidence,
                "rows": one.rows,
                **({"relative_to": clause.relative_to} if clause and clause.relative_to else {}),
            },
        }
        slices.setdefault((clause.where if clause else None) or "", []).append(told)
    task = facts.contract.decision.task.value
    named = f"snapshot {short(facts.release.snapshot)}, sealed rows"
    return [
        {
            "task": {"type": _PIPELINES.get(task, task)},
            "dataset": {
                "type": "private",
                "name": f"{named} where {where}" if where else named,
                "split": "verdict",
                "revision": facts.release.snapshot,
            },
            "metrics": metrics,
        }
        for where, metrics in slices.items()
    ]


def model_card_paper(facts: DocumentFacts) -> Paper:
    """The card in the sections of Mitchell et al., and what this product adds: promises and sign-offs."""
    terms, decision = facts.contract.product, facts.contract.decision
    return Paper(
        kind=NAME,
        title=terms.title,
        lead=(terms.problem,),
        sections=(
            Section(heading="Model details", blocks=tuple(_details(facts))),
            Section(heading="Intended use", blocks=tuple(_use(facts))),
            Section(heading="Out of scope", blocks=(_out_of_scope(facts),)),
            Section(heading="Factors", blocks=tuple(_factors(facts))),
            Section(
                heading="Metrics",
                blocks=(
                    Text(words=f"A decision is about {decision.unit}. What errors cost:"),
                    costs_table(facts),
                    *_thresholds(facts),
                ),
            ),
            Section(heading="Evaluation data", blocks=tuple(_evaluation_data(facts))),
            Section(
                heading="Training data",
                blocks=(*_training_data(facts), answer(DATA, facts.notes, facts.about)),
            ),
            Section(heading="Quantitative analyses", blocks=tuple(_analyses(facts))),
            Section(heading="Known limits", blocks=tuple(_limits(facts))),
            Section(heading="What it looks at", blocks=(features_table(facts), *relies_on(facts))),
            Section(heading="Ethical considerations", blocks=(answer(ETHICS, facts.notes, facts.about),)),
            Section(
                heading="Caveats and recommendations", blocks=(answer(CAVEATS, facts.notes, facts.about),)
            ),
            *((Section(heading="Waivers", blocks=(Items(items=waivers(facts)),)),) if facts.waivers else ()),
            Section(heading="Sign-offs", blocks=sign_offs(facts)),
            Section(heading="How it was made", blocks=(making_table(facts),)),
        ),
        colophon=colophon(facts),
    )


def _details(facts: DocumentFacts) -> Iterator[Block]:
    since = "since" if facts.stage is ReleaseStage.LIVE else "last live since"
    live = f", {since} {day(facts.live_since)}" if facts.live_since else ""
    origin = "a retraining" if facts.retrained else "people"
    yield Items(
        items=(
            f"a {facts.model.task} model of the family {facts.model.algorithm}, kept as ONNX",
            f"release {short(facts.id)}, proposed on {day(facts.proposed_at)} by {origin}: {facts.stage}{live}",
            *(f"{one} answers for it" for one in people(facts)),
        )
    )


def _use(facts: DocumentFacts) -> Iterator[Block]:
    terms = facts.contract.product
    if terms.serves:
        yield Text(words=f"It serves {terms.serves}.")
    yield (
        Items(items=terms.intended_use)
        if terms.intended_use
        else Missing(
            what="the intended use", owner=Role.PRODUCT, where="product.intended_use in the contract"
        )
    )


def _out_of_scope(facts: DocumentFacts) -> Block:
    uses = facts.contract.product.out_of_scope
    if uses:
        return Items(items=uses)
    return Missing(
        what="what it must not be used for", owner=Role.PRODUCT, where="product.out_of_scope in the contract"
    )


def _factors(facts: DocumentFacts) -> Iterator[Block]:
    """The groups and slices over which it was, or was not, looked at."""
    slices = dict.fromkeys(clause.where for clause in facts.contract.clauses if clause.where)
    groups = dict.fromkeys(
        str(clause.parameter("groups")) for clause in facts.contract.clauses if clause.section == "fairness"
    )
    if slices:
        yield Text(words="It was looked at separately for these rows:")
        yield Items(items=tuple(str(one) for one in slices))
    if groups:
        yield Text(words="It was compared between the groups of:")
        yield Items(items=tuple(groups))
    else:
        yield Text(
            words="The contract has no fairness section: no groups of people were compared."
            " That is not a finding that they are treated alike."
        )


def _thresholds(facts: DocumentFacts) -> Iterator[Block]:
    for name, threshold in facts.thresholds:
        yield Text(
            words=f"The action of {name} is taken from a probability of {number(threshold)}; it comes"
            " from the costs and the rows for choosing, and was fixed before the sealed rows were opened."
        )


def _evaluation_data(facts: DocumentFacts) -> Iterator[Block]:
    if facts.rows is None:
        yield Missing(what="the report of the evaluation", owner=Role.SCIENCE)
    else:
        yield Text(
            words=f"{facts.rows:,} rows of the snapshot were sealed before the search and opened once, to judge"
            " this candidate. The judged model took nothing from them, neither in training nor in tuning nor for"
            " the threshold."
        )
        if facts.retrained:
            yield Text(words=FITTED_ONCE_MORE)


def _training_data(facts: DocumentFacts) -> Iterator[Block]:
    taken = facts.snapshot
    if taken is not None:
        yield Items(
            items=tuple(
                f"{one.rows:,} rows of the source {one.source}, as known on {day(taken.known_at)}"
                for one in taken.sources
            )
        )
    data = facts.contract.data
    if data is not None:
        search, select, verdict = data.shares
        kept = f"; rows of one {data.group} stay together" if data.group else ""
        order = "by time, the later ones judge" if data.time_split else "at random"
        yield Text(
            words=f"They are shared out {order}: {share(search)} to learn, {share(select)} to choose the"
            f" threshold, {share(verdict)} sealed{kept}."
        )
    tried = len(facts.trials)
    if tried:
        yield Text(
            words=f"{tried} settings were tried on these rows under this contract; all are in the ledger."
        )


def _analyses(facts: DocumentFacts) -> Iterator[Block]:
    if not facts.findings:
        yield Text(words="Nothing was measured.")
        return
    yield Text(words=kept_of(facts.findings))
    yield promises_table(facts.findings)
    if facts.metrics:
        yield Text(words="The usual metrics on the sealed rows:")
        yield metrics_table(facts.metrics)
    if baselines := baselines_words(facts):
        yield Text(words="The same decisions by simpler means:")
        yield Items(items=baselines)
    if facts.tables:
        yield Text(words="Group by group:")
        yield from fairness_blocks(facts)
    if facts.luck:
        yield Text(words="What that is worth after so many tries:")
        yield Items(items=facts.luck)
    yield from robustness_blocks(facts)
    if facts.later:
        yield Text(words="Found since, on traffic:")
        yield from found_later(facts)


def _limits(facts: DocumentFacts) -> Iterator[Block]:
    open_ = facts.open_findings
    yield (
        Items(items=tuple(_limit(one) for one in open_))
        if open_
        else Text(
            words="Every promise of the contract is kept on the evidence at hand; what it promises"
            " nothing about was not looked at."
        )
    )
    if facts.contract.silent:
        yield Text(words=f"The contract says nothing about: {', '.join(facts.contract.silent)}.")


def _limit(one: Finding) -> str:
    return f"{one.clause}: {one.message}" if one.status is not Status.NOT_MEASURED else one.message
