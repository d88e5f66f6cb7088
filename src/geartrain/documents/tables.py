"""The tables and lists that several documents share: each says its numbers with rows and interval."""

from __future__ import annotations

from collections.abc import Iterable

from geartrain.documents.facts import DocumentFacts, GroupLine, MetricLine
from geartrain.documents.paper import Block, Items, Missing, Table, Text
from geartrain.documents.spelling import counted, day, number, share, size, span
from geartrain.domain.clause import Comparison
from geartrain.domain.digest import short
from geartrain.domain.explanation import Curve
from geartrain.domain.finding import Finding, Status
from geartrain.domain.groups import QUANTITIES
from geartrain.domain.roles import Role

#: True of every retrained release, and of no first one.
FITTED_ONCE_MORE = (
    "As a retrained model it was then fitted once more on every labelled row, with the judged settings and threshold."
    " Its findings speak of those settings; what speaks of its very bytes is the paired test on live traffic."
)


def interval(value: float | None, low: float | None, high: float | None, confidence: float) -> str:
    """A value with its interval, or without one where it is an exact fact.

    >>> interval(0.97, 0.92, 0.99, 0.95), interval(5.0, 5.0, 5.0, 1.0)
    ('0.97 (0.92 to 0.99, 95%)', '5')
    """
    if value is None:
        return "not measured"
    if low is None or high is None or low == high:
        return number(value)
    return f"{number(value)} ({number(low)} to {number(high)}, {share(confidence)})"


def measured(one: Finding) -> str:
    """What a finding measured, with its unit."""
    if one.value is not None and one.unit == "s" and one.low == one.high:
        return span(one.value)
    unit = f" {one.unit}" if one.unit and one.value is not None else ""
    return interval(one.value, one.low, one.high, one.confidence) + unit


def promised(one: Finding) -> str:
    """The bound of a finding's clause."""
    words = "at least" if one.comparison is Comparison.AT_LEAST else "at most"
    if one.unit == "s":
        return f"{words} {span(one.bound)}"
    return f"{words} {number(one.bound)}{f' {one.unit}' if one.unit else ''}"


def promises_table(findings: Iterable[Finding]) -> Table:
    """Every finding: promise, status, value with interval, bound, rows, owner."""
    return Table(
        head=("promise", "status", "measured", "promised", "rows", "owner"),
        rows=tuple(
            (
                one.clause,
                one.status.value,
                measured(one),
                promised(one),
                f"{one.rows:,}" if one.rows else "",
                one.owner.value,
            )
            for one in sorted(findings, key=lambda one: (one.clause, one.stage))
        ),
    )


def kept_of(findings: tuple[Finding, ...]) -> str:
    """How many promises are kept, and what that word means."""
    kept = sum(1 for one in findings if one.status is Status.KEPT)
    return (
        f"{kept} of {len(findings)} promises are kept. A promise is kept only where the bad end of the interval"
        " keeps it; unproven means that the evidence cannot tell."
    )


def metrics_table(lines: Iterable[MetricLine], *, of: str = "quantity") -> Table:
    """Metrics on the sealed rows."""
    return Table(
        head=(of, "rows that it is about", "measured", "rows"),
        rows=tuple(
            (
                one.name + (f" as a fraction of {one.relative_to}'s" if one.relative_to else ""),
                f"where {one.where}" if one.where else "all",
                f"not measured: {one.reason}"
                if one.value is None
                else interval(one.value, one.low, one.high, one.confidence),
                f"{one.rows:,}" if one.rows else "",
            )
            for one in lines
        ),
    )


def groups_table(lines: Iterable[GroupLine]) -> Table:
    """One row for each quantity of each group; a group without a verdict says why."""
    return Table(
        head=("divided by", "group", "quantity", "measured", "rows"),
        rows=tuple(
            (
                one.attribute,
                one.group,
                one.quantity,
                f"no verdict: {one.reason}"
                if one.value is None
                else interval(one.value, one.low, one.high, one.confidence),
                f"{one.rows:,}",
            )
            for one in lines
        ),
    )


def costs_table(facts: DocumentFacts) -> Block:
    """What each kind of error costs, as the team agreed."""
    terms = facts.contract.costs
    if terms is None:
        return Missing(what="what each kind of error costs; every error counts one", owner=Role.DOMAIN)
    if terms.error is not None:
        return Text(words=f"The cost of one decision is {terms.error}, in {terms.currency}.")
    rows = [(f"{one.action} where the truth is {one.truth}", one.cost) for one in terms.entries]
    if len(rows) > 1 and facts.contract.decision.classes and len(facts.contract.decision.classes) > 2:
        rows.append(("any other wrong decision", terms.otherwise))
    return Table(head=("decision and truth", f"cost in {terms.currency}"), rows=tuple(rows))


def baselines_words(facts: DocumentFacts) -> tuple[str, ...]:
    """What the product costs beside each simpler way of deciding; empty where it was not measured."""
    ours = expected_cost(facts)
    if ours is None or ours.value is None:
        return ()
    said = [f"this product: {number(1000 * ours.value)} {facts.currency} per 1000 decisions"]
    said += [
        f"{one.name}: {number(1000 * one.value)}" if one.value is not None else f"{one.name}: {one.reason}"
        for one in facts.baselines
    ]
    return tuple(said)


def expected_cost(facts: DocumentFacts) -> MetricLine | None:
    """The mean cost of a decision over all sealed rows."""
    found = (
        one
        for one in facts.metrics
        if one.name == "expected_cost" and one.where is None and one.relative_to is None
    )
    return next(found, None)


def sign_offs(facts: DocumentFacts) -> tuple[Block, ...]:
    """Who said yes to exactly this release, and whose yes is outstanding."""
    said = tuple(
        f"{one.role}: {one.person}, {day(one.signed_at)}{': ' if one.reason else ''}{one.reason}"
        for one in facts.sign_offs
    )
    absent = [role for role in facts.needed if role not in {one.role for one in facts.sign_offs}]
    blocks: list[Block] = [Text(words=f"Each sign-off names release {facts.id}.")]
    blocks.append(Items(items=said) if said else Text(words="Nobody has signed yet."))
    blocks += [Missing(what=f"the sign-off of {facts.holder(role)}", owner=role) for role in absent]
    return tuple(blocks)


def waivers(facts: DocumentFacts) -> tuple[str, ...]:
    """Each permission to go without a promise: by whom, why, until when, and whether it ran out."""
    return tuple(
        f"{one.clause}, until {day(one.expires_at)}{' (run out)' if one.expires_at <= facts.made_at else ''},"
        f" by {one.person} ({one.role}): {one.reason}"
        for one in facts.waivers
    )


def people(facts: DocumentFacts) -> tuple[str, ...]:
    """Who holds each role."""
    return tuple(f"{role}: {', '.join(names) or 'nobody named'}" for role, names in facts.contract.team)


def features_table(facts: DocumentFacts) -> Table:
    """What the model reads, and why the team says that it should matter."""
    influence = (
        {
            one.feature: f"{share(one.share)} ({share(one.low)} to {share(one.high)})"
            for one in facts.explanation.shares
        }
        if facts.explanation
        else {}
    )
    return Table(
        head=(
            "feature",
            "what it is",
            "why it should matter",
            *(("share of influence",) if influence else ()),
        ),
        rows=tuple(
            (
                one.name,
                (one.description or field_words(facts, one.name)) + (f" ({one.unit})" if one.unit else ""),
                one.because or "nobody said",
                *((influence.get(one.name, "none"),) if influence else ()),
            )
            for one in facts.model.encoding.feature_set.features
        ),
    )


def relies_on(facts: DocumentFacts) -> tuple[Block, ...]:
    """How the shares were found, which features cannot be told apart, and about which nothing can be said."""
    told = facts.explanation
    if told is None:
        return (Text(words="How much each feature weighs was not measured for this release."),)
    said = [f"Shares of influence over {told.rows:,} of {told.of:,} rows, by {told.method}; they sum to one."]
    alike = dict.fromkeys(frozenset({one.feature, *one.together}) for one in told.shares if one.together)
    said += [
        f"{', '.join(sorted(one))} go so closely together that their shares cannot be told apart."
        for one in alike
    ]
    said += [_curve(one) for one in told.curves[:_CURVES] if one.points]
    said += [f"{one.feature}: {one.reason}" for one in told.silent]
    return (Items(items=tuple(said)),)


#: Response curves that are told in words; the leading features come first.
_CURVES = 5


def _curve(one: Curve) -> str:
    """Where the answer is lowest and highest along a feature, in company that really occurs."""
    low, high = min(one.points, key=lambda at: at.effect), max(one.points, key=lambda at: at.effect)
    unit = f" {one.unit}" if one.unit else ""
    return (
        f"{one.feature}: {one.about} is lowest against its mean at {low.name}{unit} ({number(low.effect)}) and highest"
        f" at {high.name}{unit} ({number(high.effect)}){f'; {one.note}' if one.note else ''}"
    )


def found_later(facts: DocumentFacts) -> tuple[Block, ...]:
    """What was found on traffic; what was looked for and not measured is counted, not listed."""
    seen = tuple(one for one in facts.later if one.status is not Status.NOT_MEASURED)
    blocks: list[Block] = [promises_table(seen)] if seen else []
    left = len(facts.later) - len(seen)
    if left:
        blocks.append(Text(words=f"{counted(left, 'promise')} could not be measured on traffic yet."))
    return tuple(blocks)


def robustness_blocks(facts: DocumentFacts) -> tuple[Block, ...]:
    """What is known about input that goes wrong; that nothing is known, where nobody corrupted any."""
    if not facts.robustness:
        return (Text(words="What missing or corrupted input does to its decisions was not measured."),)
    return (
        Text(
            words="When input goes wrong. A rise is a fraction of the cost with clean input: 0.5 is half more, and"
            " below 0 it falls."
        ),
        metrics_table(facts.robustness, of="what was done to the judged rows"),
    )


def fairness_blocks(facts: DocumentFacts) -> tuple[Block, ...]:
    """Group by group, what is furthest apart, and which promises cannot hold together."""
    if not facts.tables:
        return ()
    widest = tuple(
        f"{facts.dividing(table)}: {QUANTITIES.get(one.quantity, one.quantity)}; {one.one} and {one.two} differ"
        f" by {interval(one.gap.value, one.gap.low, one.gap.high, one.gap.confidence)}"
        for table in facts.tables
        for one in table.widest
    )
    unknown = tuple(
        f"{table.unknown:,} rows have no {facts.dividing(table)} and are in no group"
        for table in facts.tables
        if table.unknown
    )
    blocks: list[Block] = [groups_table(facts.groups)]
    if told := (*widest, *unknown, *(one.sentence for one in facts.impossible)):
        blocks.append(Items(items=told))
    return tuple(blocks)


def field_words(facts: DocumentFacts, name: str) -> str:
    """What the contract says about the column *name*, empty where it says nothing."""
    sources = facts.contract.data.sources if facts.contract.data else ()
    found = (field for source in sources if (field := source.field(name)))
    return next((one.description for one in found), "")


def making_table(facts: DocumentFacts) -> Table:
    """The ids and settings by which the model can be made again."""
    model = facts.model
    return Table(
        head=("what", "value"),
        rows=(
            ("algorithm", model.algorithm),
            ("variant", model.variant or "reference"),
            ("model file", size(facts.size_bytes) if facts.size_bytes is not None else "not in the bundle"),
            ("seed", str(model.seed)),
            ("release", facts.id),
            ("model", model.id),
            ("contract", facts.release.contract),
            ("snapshot of the data", facts.release.snapshot),
            *((f"parameter {name}", str(value)) for name, value in model.params),
        ),
    )


def colophon(facts: DocumentFacts) -> str:
    """What the document was made from, and what it is not."""
    return (
        f"Made by geartrain {facts.made_with} from the ledger as known on {day(facts.made_at)}, release"
        f" {short(facts.id)}, contract {short(facts.release.contract)}. Numbers are read, never typed;"
        " paragraphs with a writer were written by people and are kept in files of their own."
    )
