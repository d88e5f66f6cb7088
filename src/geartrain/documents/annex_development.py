"""Annex IV, point 2: how the system was developed, on which data, and how it was tested."""

from __future__ import annotations

from collections.abc import Iterator

from geartrain.documents.facts import DocumentFacts
from geartrain.documents.paper import Block, Items, Missing, Section, Table, Text, part
from geartrain.documents.prose import Ask, Binds, answer
from geartrain.documents.spelling import counted, day, number, share, span
from geartrain.documents.tables import (
    FITTED_ONCE_MORE,
    costs_table,
    fairness_blocks,
    features_table,
    kept_of,
    making_table,
    metrics_table,
    promises_table,
    relies_on,
    robustness_blocks,
    sign_offs,
    waivers,
)
from geartrain.domain.contract import Missing as MissingValue
from geartrain.domain.digest import short
from geartrain.domain.events import BatchIngested, FindingsRecorded, PoolOpened
from geartrain.domain.roles import Role

_FILE = "technical-file"

PARTS = Ask(
    document=_FILE,
    section="2a-parts-of-others",
    missing="whether pre-trained models or tools of others were used, or that none were",
    question="Which pre-trained models, data or tools of others were used, and how? If none, say so.",
    owner=Role.SCIENCE,
)
DESIGN = Ask(
    document=_FILE,
    section="2b-design",
    missing="the main design choices with their reasons and assumptions, and the trade-offs made for the law's sake",
    question="Which design choices were made and why? What was assumed about the people it is used on? Which trade-offs?",
    owner=Role.SCIENCE,
)
COMPUTE = Ask(
    document=_FILE,
    section="2c-compute",
    missing="the computing resources used to develop, train, test and validate it",
    question="On which machines, for how long, was it developed, trained and tested?",
    owner=Role.ENGINEERING,
)
DATA = Ask(
    document=_FILE,
    section="2d-data",
    missing="the provenance, selection and labelling of the training data",
    question="Where do the data come from, how were they selected, labelled and cleaned, and what do they leave out?",
    owner=Role.DOMAIN,
)
OVERSIGHT = Ask(
    document=_FILE,
    section="2e-oversight",
    missing="the assessment of the human oversight that it needs (Article 14)",
    question="Which oversight by people is needed, who does it, and how can they understand, override and stop it?",
    owner=Role.DOMAIN,
)
SECURITY = Ask(
    document=_FILE,
    section="2h-security",
    missing="the cyber-security measures of the place where it runs",
    question="Which measures protect the system, its data and its access where it runs?",
    owner=Role.ENGINEERING,
)
OUTCOME = Ask(
    document=_FILE,
    section="2g-testing",
    missing="a person's reading of the test results",
    question="What do the test results of this release mean, in your words?",
    owner=Role.SCIENCE,
    binds=Binds.RELEASE,
)
ASKS = (PARTS, DESIGN, COMPUTE, DATA, OVERSIGHT, OUTCOME, SECURITY)


def development(facts: DocumentFacts) -> Iterator[Section]:
    """Point 2, (a) to (h)."""
    yield Section(heading="2. Elements of the system and of its development", blocks=())
    yield part(
        "2(a) Methods and steps of development, parts of others",
        (*_steps(facts), answer(PARTS, facts.notes, facts.about)),
        "ledger: TrialRecorded, PoolOpened, VariantMeasured; model; bill of materials; prose",
    )
    yield part(
        "2(b) Design specifications: logic, assumptions, what is optimised",
        (*_logic(facts), answer(DESIGN, facts.notes, facts.about)),
        "contract: costs, plausibility; model: features; prose",
    )
    yield part(
        "2(c) Architecture and computing resources",
        (making_table(facts), *_variants(facts), answer(COMPUTE, facts.notes, facts.about)),
        "model; ledger: VariantMeasured; prose",
    )
    yield part(
        "2(d) Data requirements and data sheets",
        (*_data(facts), answer(DATA, facts.notes, facts.about)),
        "contract: data; ledger: SnapshotTaken, BatchIngested; prose",
    )
    yield part(
        "2(e) Human oversight",
        (*oversight(facts), answer(OVERSIGHT, facts.notes, facts.about)),
        "contract: decision, team, release; prose",
    )
    yield part("2(f) Changes determined in advance", tuple(_planned(facts)), "contract: retraining, release")
    yield part(
        "2(g) Validation and testing, with dated and signed logs",
        (*_tests(facts), answer(OUTCOME, facts.notes, facts.about)),
        "ledger: FindingsRecorded, SignedOff, Waived; the evaluation's report; prose",
    )
    yield part(
        "2(h) Cyber-security",
        (*_security(facts), answer(SECURITY, facts.notes, facts.about)),
        "bundle; prose",
    )


def oversight(facts: DocumentFacts) -> Iterator[Block]:
    """What the contract does so that people stay in charge."""
    decision = facts.contract.decision
    if decision.abstain is not None:
        when = [
            f"the largest class probability is below {number(decision.abstain.below_confidence)}"
            if decision.abstain.below_confidence is not None
            else "",
            f"more than {share(decision.abstain.most_missing)} of the features are missing"
            if decision.abstain.most_missing is not None
            else "",
            f"more than {share(decision.abstain.most_outside)} of the features lie outside of what the reference rows span"
            if decision.abstain.most_outside is not None
            else "",
            f"the feeds have been silent for more than {span(decision.abstain.most_stale_s)}"
            if decision.abstain.most_stale_s is not None
            else "",
        ]
        yield Text(words=f"It does not decide itself, and the rule is “{decision.abstain.then}”, where:")
        yield Items(
            items=tuple(one for one in when if one) or ("the input is outside of what the contract allows",)
        )
    else:
        yield Missing(
            what="when the model must leave a decision to a person",
            owner=Role.DOMAIN,
            where="decision.abstain in the contract",
        )
    if decision.fallback:
        yield Text(words=f"Where no model can answer, the action is {decision.fallback}.")
    yield Text(
        words=f"No release takes traffic without the sign-off of: {', '.join(facts.needed) or 'nobody'}."
        " Any of the earlier releases can be put back by one command."
    )


def _steps(facts: DocumentFacts) -> Iterator[Block]:
    opened = [one for _, one in facts.events(PoolOpened) if one.snapshot == facts.release.snapshot]
    yield Items(
        items=(
            f"{len(facts.trials)} settings of {facts.model.algorithm} were tried on these rows under this contract"
            if facts.trials
            else "the ledger holds no trial for this release's data and contract",
            (
                f"the metered and the sealed rows of this snapshot were opened {counted(len(opened), 'time')}, each written"
                " down before it happened"
            ),
            f"{counted(len(facts.variants), 'variant')} measured and compared on every clause",
        )
    )
    yield Text(
        words="It was fitted on the snapshot that the release names. The ledger knows of no part that others trained;"
        " the libraries of others are in 1(c)."
    )


def _logic(facts: DocumentFacts) -> Iterator[Block]:
    yield Text(
        words="The model gives probabilities or values; the action with the smallest expected cost is taken. So it is"
        " optimised for the cost of decisions:"
    )
    yield costs_table(facts)
    for name, threshold in facts.thresholds:
        yield Text(words=f"The action of {name} is taken from a probability of {number(threshold)}.")
    yield Text(words="What it reads:", strong=True)
    yield features_table(facts)
    yield from relies_on(facts)
    rules = [one for one in facts.promises if one.clause.startswith("plausibility.")]
    if rules:
        yield Text(words="What must be true if it has learned the right thing:", strong=True)
        yield Items(items=tuple(one.sentence for one in rules))


def _variants(facts: DocumentFacts) -> Iterator[Block]:
    if facts.variants:
        yield Table(
            head=("variant", "p99 of one row in µs", "bytes", "same decisions", "chosen", "why"),
            rows=tuple(
                (
                    short(one.model),
                    number(one.speed.p99_us),
                    f"{one.speed.size_bytes:,}",
                    share(one.parity.decisions_agree),
                    "yes" if one.chosen else "no",
                    one.reason,
                )
                for one in facts.variants
            ),
        )


def _data(facts: DocumentFacts) -> Iterator[Block]:
    data, taken = facts.contract.data, facts.snapshot
    if data is None:
        yield Missing(
            what="what the data must look like", owner=Role.ENGINEERING, where="data in the contract"
        )
        return
    for source in data.sources:
        yield Text(words=f"{source.name} ({source.kind})", strong=True)
        yield Table(
            head=("column", "type", "required", "allowed", "what it is", "missing means", "sensitive"),
            rows=tuple(
                (
                    one.name,
                    one.type.value,
                    "yes" if one.required else "no",
                    _allowed(one.minimum, one.maximum, one.values) + (f" {one.unit}" if one.unit else ""),
                    one.description,
                    "a signal" if one.missing is MissingValue.SIGNAL else "not known",
                    "yes" if one.sensitive else "",
                )
                for one in source.fields
            ),
        )
    if taken is None:
        yield Missing(what="the snapshot of the training data in the ledger", owner=Role.ENGINEERING)
    else:
        yield Text(words=f"The snapshot {taken.id} holds, as known on {day(taken.known_at)}:")
        yield Items(
            items=tuple(
                f"{one.source}: {one.rows:,} rows, content {short(one.content)}" for one in taken.sources
            )
        )
    batches = [one.batch for _, one in facts.events(BatchIngested)]
    if batches:
        rows, bad = sum(one.rows for one in batches), sum(one.quarantined for one in batches)
        yield Text(
            words=f"{counted(len(batches), 'delivery', 'deliveries')} with {counted(rows, 'row')} came to the door; {bad:,} broke the contract and"
            " are kept apart with the reason. No row is dropped or corrected in silence."
        )


def _allowed(low: float | None, high: float | None, values: tuple[str, ...]) -> str:
    if values:
        return ", ".join(values)
    if low is None and high is None:
        return "any"
    if low is None:
        return f"at most {number(high)}"
    return f"at least {number(low)}" if high is None else f"{number(low)} to {number(high)}"


def _planned(facts: DocumentFacts) -> Iterator[Block]:
    terms = facts.contract.retraining
    if terms is None:
        yield Missing(
            what="whether and how the model may be retrained",
            owner=Role.SCIENCE,
            where="retraining in the contract",
        )
        return
    when = [
        "when an alarm rings" if terms.on_alarm else "",
        "when more is expected to be lost until the next time than a retraining costs"
        if terms.refit_cost is not None
        else "",
        f"every {span(terms.every_s)}" if terms.every_s else "",
    ]
    window = f"on the last {span(terms.window_s)}" if terms.window_s else "on all rows"
    yield Items(
        items=(
            (
                f"it is retrained {' and '.join(one for one in when if one) or 'only when people ask for it'}, {window},"
                f" with {terms.trials} settings tried; the machine may {terms.action} the result and no more"
            ),
            (
                f"never within {span(terms.cool_down_s)} of the last time, nor with more than"
                f" {share(terms.most_quarantined)} of the rows in quarantine, fewer than {terms.fewest_labels:,} labels"
                f" or fewer than {terms.fewest_per_class} of a class"
            ),
            "a retrained release passes the same gates; a paired test against the live one decides on traffic",
        )
    )
    steps = facts.contract.release.rollout if facts.contract.release else ()
    if steps:
        yield Text(words="Each release then goes through:")
        yield Items(
            items=tuple(
                f"{one.kind}{f' on {share(one.share)} of the traffic' if one.share else ', deciding beside it'} for {span(one.bake_s)}"
                for one in steps
            )
        )


def _tests(facts: DocumentFacts) -> Iterator[Block]:
    if not facts.findings:
        yield Missing(what="the signed evidence in the ledger", owner=Role.SCIENCE)
    else:
        if facts.rows is not None:
            yield Text(
                words=f"{facts.rows:,} rows were sealed before the search and opened once for this candidate."
            )
        if facts.retrained:
            yield Text(words=FITTED_ONCE_MORE)
        yield Text(words=kept_of(facts.findings))
        yield promises_table(facts.findings)
    if facts.metrics:
        yield metrics_table(facts.metrics)
    if facts.tables:
        yield Text(words="Group by group:")
        yield from fairness_blocks(facts)
    if facts.luck:
        yield Text(words="What that is worth after so many tries:")
        yield Items(items=facts.luck)
    yield from robustness_blocks(facts)
    log = [
        (
            day(recorded.at),
            one.stage.value,
            f"{len(one.findings)} clauses",
            recorded.actor,
            recorded.hash[:12],
        )
        for recorded, one in facts.events(FindingsRecorded)
        if one.subject in (facts.id, facts.model.id)
    ]
    if log:
        yield Text(words="The log of tests, each with the hash that chains it into the ledger:")
        yield Table(head=("when", "stage", "judged", "by", "hash"), rows=tuple(log))
    yield from sign_offs(facts)
    if facts.waivers:
        yield Text(words="Allowed although not kept:")
        yield Items(items=waivers(facts))


def _security(facts: DocumentFacts) -> Iterator[Block]:
    yield Items(
        items=(
            (
                f"every one of the {len(facts.release.bundle)} files of the release is covered by its signed id; a changed"
                " byte is refused when it is loaded"
            ),
            "no file of the release can run code when it is opened: no pickles, no archives",
            "decisions of people and machine are in a ledger whose entries chain by hash",
        )
    )
