"""The model card: Markdown made of evidence, with the metadata header that the Hugging Face Hub reads.

Format: https://huggingface.co/docs/hub/model-cards (YAML front matter, then Markdown);
content after Mitchell et al., Model Cards for Model Reporting, FAT* 2019.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from geartrain.documents.report_nouns import ModelFacts
from geartrain.documents.spelling import day, number, share, size
from geartrain.domain.clause import Comparison
from geartrain.domain.digest import short
from geartrain.domain.finding import Finding, Status

#: The Hub's own words for tasks on tables.
_PIPELINES = {
    "binary": "tabular-classification",
    "multiclass": "tabular-classification",
    "regression": "tabular-regression",
}
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|])")


def model_card(facts: ModelFacts) -> str:
    """The card of one release; only the paragraphs in `facts.prose` were written by people.

    Names from outside are escaped, so that none of them can add headings, links or HTML.
    """
    parts = [
        _header(facts),
        f"# {_plain(facts.title)}",
        _plain(facts.problem),
        *_use(facts),
        *_costs(facts),
        *_evidence(facts.findings),
        *_permissions(facts),
        *_making(facts),
        *_people(facts),
        *(f"## {_plain(heading)}\n\n{_plain(words)}" for heading, words in facts.prose),
    ]
    return "\n\n".join(parts) + "\n"


def _header(facts: ModelFacts) -> str:
    """YAML's flow forms are JSON's, so every value is written as JSON and nothing can break out of it."""
    fields: dict[str, object] = {
        "library_name": "onnxruntime",
        "tags": ["geartrain", "tabular", facts.task],
        "model_name": facts.product,
        "geartrain_release": facts.release,
    }
    if facts.licence:
        fields["license"] = facts.licence
    if facts.task in _PIPELINES:
        fields["pipeline_tag"] = _PIPELINES[facts.task]
    results = _results(facts)
    if results:
        fields["model-index"] = [{"name": facts.product, "results": results}]
    lines = (
        f"{name}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}"
        for name, value in sorted(fields.items())
    )
    return "---\n" + "\n".join(lines) + "\n---"


def _results(facts: ModelFacts) -> list[object]:
    metrics = [
        {"type": one.clause.rsplit(".", 1)[-1], "name": one.clause, "value": one.value}
        for one in facts.findings
        if one.value is not None and one.clause.startswith("success.")
    ]
    if not metrics:
        return []
    return [
        {
            "task": {"type": _PIPELINES.get(facts.task, facts.task)},
            "dataset": {"type": "private", "name": f"snapshot {short(facts.snapshot)}"},
            "metrics": metrics,
        }
    ]


def _use(facts: ModelFacts) -> Iterator[str]:
    yield "## Intended use"
    if facts.serves:
        yield f"It serves {_plain(facts.serves)}."
    yield _list(facts.intended_use) or "The contract names no intended use."
    yield "## Out of scope"
    yield _list(facts.out_of_scope) or "The contract names nothing that is out of scope."


def _costs(facts: ModelFacts) -> Iterator[str]:
    yield "## What errors cost"
    if facts.costs:
        yield _table(("decision and truth", f"cost in {facts.currency}"), facts.costs)
    else:
        yield "The contract has no costs section: every error counts one."


def _evidence(findings: tuple[Finding, ...]) -> Iterator[str]:
    yield "## Evidence"
    if not findings:
        yield "Nothing was measured."
        return
    kept = sum(1 for one in findings if one.status is Status.KEPT)
    yield (
        f"{kept} of {len(findings)} promises are kept. A promise is kept only where the bad end of the interval"
        " keeps it; `unproven` means that the evidence cannot tell."
    )
    yield _table(
        ("promise", "status", "measured", "promised", "rows", "owner"),
        (
            (one.clause, one.status, _measured(one), _promised(one), f"{one.rows:,}", one.owner)
            for one in sorted(findings, key=lambda one: (one.clause, one.stage))
        ),
    )
    open_ = [one for one in findings if one.status is not Status.KEPT]
    if open_:
        yield "## Known limits"
        yield _list(one.message for one in open_)


def _permissions(facts: ModelFacts) -> Iterator[str]:
    if facts.waivers:
        yield "## Waivers"
        yield _list(
            f"{one.clause}, until {day(one.expires_at)}, by {one.person} ({one.role}): {one.reason}"
            for one in facts.waivers
        )
    yield "## Sign-offs"
    yield f"Each names release `{facts.release}`."
    yield (
        _list(
            f"{one.role}: {one.person}, {day(one.signed_at)}{': ' if one.reason else ''}{one.reason}"
            for one in facts.sign_offs
        )
        or "Nobody has signed yet."
    )


def _making(facts: ModelFacts) -> Iterator[str]:
    yield "## How it was made"
    made = (
        ("algorithm", facts.algorithm),
        ("variant", facts.variant or "reference"),
        ("artifact", size(facts.size_bytes)),
        ("seed", str(facts.seed)),
        ("model", facts.model),
        ("contract", facts.contract),
        ("snapshot", facts.snapshot),
        *((f"parameter {name}", str(value)) for name, value in facts.params),
    )
    yield _table(("", ""), made)
    if facts.features:
        yield "## What it looks at"
        yield _table(("feature", "why it should matter"), facts.features)


def _people(facts: ModelFacts) -> Iterator[str]:
    if facts.people:
        yield "## Who answers for it"
        yield _list(f"{role}: {', '.join(names)}" for role, names in facts.people)


def _measured(one: Finding) -> str:
    if one.value is None:
        return "not measured"
    unit = f" {one.unit}" if one.unit else ""
    if one.low == one.high:
        return number(one.value) + unit
    return f"{number(one.value)} ({number(one.low)} to {number(one.high)}, {share(one.confidence)}){unit}"


def _promised(one: Finding) -> str:
    words = "at least" if one.comparison is Comparison.AT_LEAST else "at most"
    return f"{words} {number(one.bound)}{f' {one.unit}' if one.unit else ''}"


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {_plain(one)}" for one in items)


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = ["| " + " | ".join(_plain(one) for one in head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_plain(one) for one in row) + " |" for row in rows]
    return "\n".join(lines)


def _plain(value: object) -> str:
    """*value* on one line, with Markdown's and HTML's own characters escaped."""
    return _MARKUP.sub(r"\\\1", " ".join(str(value).split()))
