"""One page for a person who decides about people and has five minutes: what it must not do comes first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from geartrain.documents.facts import DocumentFacts
from geartrain.documents.paper import Block, Items, Missing, Paper, Section, Text, Written
from geartrain.documents.prose import Ask, answer
from geartrain.documents.spelling import counted, day, number, share, shortened
from geartrain.documents.tables import expected_cost, promised
from geartrain.domain.clause import Comparison
from geartrain.domain.digest import short
from geartrain.domain.finding import Finding, Status
from geartrain.domain.roles import Role

NAME = "one-page"

NOT_COVERED = Ask(
    document=NAME,
    section="not-covered",
    missing="which people or cases are not in the data at all",
    question="Which people or cases are not in the data, so that nothing is known about them? At most 60 words.",
    owner=Role.DOMAIN,
)
OBJECTION = Ask(
    document=NAME,
    section="objection",
    missing="whom a person affected by a decision can turn to",
    question="Whom can a person turn to who is affected by a decision, and what happens then? At most 60 words.",
    owner=Role.PRODUCT,
)
ASKS = (NOT_COVERED, OBJECTION)

#: More than these make a second page; what is left out is counted, and stands in the model card.
_MOST, _LONGEST = 5, 260


def one_page_paper(facts: DocumentFacts) -> Paper:
    """The limits, then what it does, what it costs, and who answers for it."""
    terms = facts.contract.product
    return Paper(
        kind=NAME,
        title=terms.title,
        lead=(standing(facts),),
        sections=(
            Section(heading="What it must not be used for", blocks=(_not_for(facts),), kind="limit"),
            Section(heading="Where it is not proven", blocks=tuple(_not_proven(facts)), kind="limit"),
            Section(
                heading="Who is not covered",
                blocks=(*_not_compared(facts), _brief(answer(NOT_COVERED, facts.notes, facts.about))),
                kind="limit",
            ),
            Section(heading="What it does", blocks=tuple(_does(facts))),
            Section(heading="What it costs", blocks=tuple(_costs(facts))),
            Section(
                heading="Who answers for it",
                blocks=(*_people(facts), _brief(answer(OBJECTION, facts.notes, facts.about))),
            ),
        ),
        colophon=(
            f"Release {short(facts.id)}, as known on {day(facts.made_at)}. Every number is read from the"
            " evidence; the model card has all of it."
        ),
    )


def standing(facts: DocumentFacts) -> str:
    """Where the release stands, in a sentence that nobody can take for more."""
    counted = f"{sum(1 for one in facts.findings if one.status is Status.KEPT)} of {len(facts.findings)} promises are kept"
    signed = f"{len({one.role for one in facts.sign_offs})} of {len(facts.needed)} roles have signed"
    live = (
        f"live since {day(facts.live_since)}"
        if facts.stage == "live" and facts.live_since
        else f"{facts.stage}, not live"
    )
    moved = ""
    if facts.adopted and facts.adopted != facts.release.contract:
        moved = f" The team has since agreed on another contract, {short(facts.adopted)}."
    return f"This release is {live}. {counted}; {signed}.{moved}"


def _not_for(facts: DocumentFacts) -> Block:
    uses = facts.contract.product.out_of_scope
    if not uses:
        return Missing(
            what="what it must not be used for",
            owner=Role.PRODUCT,
            where="product.out_of_scope in the contract",
        )
    return _listed(uses)


def _not_proven(facts: DocumentFacts) -> Iterator[Block]:
    if not facts.findings:
        yield Text(words="Nothing was measured, so nothing is proven.")
        return
    if facts.open_findings:
        yield _listed(tuple(_in_plain_words(facts, one) for one in facts.open_findings))
    else:
        yield Text(words="Each promise that the team made is kept on the evidence at hand.")
    if facts.above_luck is False:
        yield Text(words="What it saves is no more than the best of so many tries would show by luck alone.")
    if facts.contract.silent:
        yield Text(words=f"Nothing was promised about: {', '.join(facts.contract.silent)}.")


#: What a metric asks, for people who do not measure for a living; `{}` is the class that is looked for.
_ASKED = {
    "accuracy": "how many of its decisions are right",
    "recall": "how many of those that are {} it finds",
    "precision": "how many of those that it takes for {} really are",
    "specificity": "how many of those that are not {} it leaves alone",
    "precision_at_capacity": "how many of those that can be acted on are really {}",
    "auc": "how well it puts cases that are {} before others",
    "average_precision": "how many of the cases that it puts first are really {}",
    "calibration_error": "how far its probabilities are from what comes true",
    "calibration_at_threshold": "how far its probabilities are from what comes true where the decision turns",
    "abstention_rate": "how many decisions it leaves to others",
    "coverage": "how many decisions it takes itself",
    "expected_cost": "what a decision costs",
    "cost_per_1000": "what 1000 decisions cost",
    "mean_absolute_error": "how far its values are off on average",
}

#: Shares of cases, which people read in hundreds.
_SHARES = {
    "accuracy", "recall", "precision", "specificity", "precision_at_capacity", "abstention_rate", "coverage",
}  # fmt: skip


def _in_plain_words(facts: DocumentFacts, one: Finding) -> str:
    """An open finding as somebody would say it who does not read intervals."""
    match one.status:
        case Status.BROKEN:
            said = f"Not kept: {_seen(facts, one)}."
        case Status.UNPROVEN:
            said = f"Not proven: {_seen(facts, one)}. {counted(one.rows, 'row')} cannot tell"
            more = one.relevant_needed or one.rows_needed
            kind = " of the kind that counts" if more != one.rows_needed else ""
            said += f"; about {more:,} more{kind} would." if more else "."
        case _:
            said = f"Not measured: {_promise(facts, one)}."
    if waiver := facts.waiver(one.clause):
        said += f" {waiver.person} allowed it until {day(waiver.expires_at)}."
    return said


def _asked(facts: DocumentFacts, one: Finding) -> str:
    """What a success promise asks, in plain words; empty where the finding's own sentence says it better."""
    clause = facts.clause(one)
    if clause is None or clause.section != "success" or clause.metric not in _ASKED:
        return ""
    sought = (
        clause.parameter("class") or facts.contract.decision.positive or "of the class that is looked for"
    )
    where = f" where {clause.where.replace('`', '')}" if clause.where else ""
    return _ASKED[clause.metric].format(sought) + where


def _promise(facts: DocumentFacts, one: Finding) -> str:
    if asked := _asked(facts, one):
        return f"{asked}, promised {_bound(facts, one)}"
    return facts.promise(one.clause).split(", because ", 1)[0].replace("`", "")


def _seen(facts: DocumentFacts, one: Finding) -> str:
    """The promise and what came; outside of success the finding is told in its owner's words already."""
    clause = facts.clause(one)
    if clause is not None and (asked := _asked(facts, one)):
        value = share(one.value) if clause.metric in _SHARES and one.value is not None else number(one.value)
        unit = f" {one.unit}" if one.unit else ""
        return f"{asked}, promised {_bound(facts, one)}; it is {value}{unit}"
    return one.message.rsplit(f": {one.status}", 1)[0].split(" [", 1)[0].replace("`", "")


def _bound(facts: DocumentFacts, one: Finding) -> str:
    clause = facts.clause(one)
    if clause is not None and clause.metric in _SHARES:
        return f"{'at least' if one.comparison is Comparison.AT_LEAST else 'at most'} {share(one.bound)}"
    of = f" of what {clause.relative_to} costs" if clause is not None and clause.relative_to else ""
    return promised(one) + of


def _not_compared(facts: DocumentFacts) -> Iterator[Block]:
    if not any(clause.section == "fairness" for clause in facts.contract.clauses):
        yield Text(words="No groups of people were compared: whether it treats them alike is not known.")
    small = tuple(
        f"{facts.dividing(table)}: {row.group} ({counted(row.rows, 'row')})"
        for table in facts.tables
        for row in table.rows
        if row.rows < table.smallest_group
    )
    if small:
        yield Text(words=f"Too few rows for a verdict: {shortened('; '.join(small), _LONGEST)}.")
    thin = dict.fromkeys(
        f"{one.quantity} of {one.attribute}: {one.group}"
        for one in facts.groups
        if one.value is None and not any(said.startswith(f"{one.attribute}: {one.group} (") for said in small)
    )
    if thin:
        yield Text(words=f"No verdict on: {shortened('; '.join(thin), _LONGEST)}.")


def _does(facts: DocumentFacts) -> Iterator[Block]:
    terms, decision = facts.contract.product, facts.contract.decision
    yield Text(words=shortened(terms.problem, 2 * _LONGEST))
    if terms.serves:
        yield Text(words=f"It serves {terms.serves}.")
    if terms.intended_use:
        yield Text(words="It is meant to:")
        yield _listed(terms.intended_use)
    if decision.actions:
        yield Text(words=f"About {decision.unit} it says one of: {', '.join(decision.actions)}.")
    if decision.abstain is not None:
        yield Text(words=f"Where it should not decide: {decision.abstain.then}. {_falls_back(facts)}".strip())
    elif decision.fallback:
        yield Text(words=_falls_back(facts))


def _falls_back(facts: DocumentFacts) -> str:
    action = facts.contract.decision.fallback
    return f"Where no model can answer: {action}." if action else ""


def _costs(facts: DocumentFacts) -> Iterator[Block]:
    ours = expected_cost(facts)
    if ours is None or ours.value is None:
        yield Missing(what="what its decisions cost on average", owner=Role.SCIENCE)
    else:
        span = ""
        if ours.low is not None and ours.high is not None and ours.low != ours.high:
            span = f" ({number(1000 * ours.low)} to {number(1000 * ours.high)} with {share(ours.confidence)} confidence)"
        yield Text(words=f"1000 decisions cost about {number(1000 * ours.value)} {facts.currency}{span}.")
        known = sorted((one.value, one.name) for one in facts.baselines if one.value is not None)
        if known:
            value, name = known[0]
            name = "a simple linear model" if name == "simplest-model" else name
            yield Text(
                words=f"The cheapest simpler way, {name}, costs {number(1000 * value)}."
                + (" The product does not beat it." if ours.value >= value else "")
            )
    terms = facts.contract.costs
    if terms is not None and terms.entries:
        most = terms.entries[:4]
        yield Text(words=f"What each error costs, in {terms.currency}:")
        yield Items(items=tuple(f"{one.action} where the truth is {one.truth}: {one.cost}" for one in most))
    elif terms is None:
        yield Text(words="The team has not said what each error costs; every error counts one.")
    if facts.contract.product.without_it:
        yield Text(words=f"Without it: {facts.contract.product.without_it}.")


def _people(facts: DocumentFacts) -> Iterator[Block]:
    signed = {one.role: day(one.signed_at) for one in facts.sign_offs}
    said = tuple(
        f"{role}: {', '.join(names) or 'nobody named'}, "
        + (f"signed {signed[role]}" if role in signed else "has not signed")
        for role, names in facts.contract.team
    )
    yield Items(items=said)


def _listed(items: tuple[str, ...]) -> Items:
    shown = tuple(shortened(one, _LONGEST) for one in items[:_MOST])
    left = len(items) - len(shown)
    return Items(items=(*shown, f"and {left} more, in the model card") if left else shown)


def _brief(block: Block) -> Block:
    """A note's beginning, so that it stays one page; the words themselves are in their file."""
    if not isinstance(block, Written):
        return block
    first = tuple(
        Text(words=shortened(one.words, 2 * _LONGEST), strong=one.strong)
        if isinstance(one, Text)
        else _listed(one.items)
        for one in block.blocks[:2]
    )
    return replace(block, blocks=first)
