"""Annex IV, points 3 to 9: limits and risks, changes, standards, and the watch after release."""

from __future__ import annotations

from collections.abc import Iterator

from geartrain.documents.annex_development import oversight
from geartrain.documents.facts import DocumentFacts
from geartrain.documents.paper import Block, Items, Missing, Section, Table, Text
from geartrain.documents.prose import Ask, Binds, answer
from geartrain.documents.spelling import day, moment, number, share
from geartrain.documents.tables import baselines_words, fairness_blocks, found_later
from geartrain.domain.digest import short
from geartrain.domain.events import (
    ChallengeDecided,
    ContractAdopted,
    IncidentClosed,
    IncidentOpened,
    RolledBack,
    StageEntered,
)
from geartrain.domain.finding import Status
from geartrain.domain.roles import Role

_FILE = "technical-file"

RISKS = Ask(
    document=_FILE,
    section="3-risks",
    missing="foreseeable unintended outcomes and risks to health, safety, fundamental rights and of discrimination",
    question="Which unintended outcomes and misuse can be foreseen, and what do they endanger?",
    owner=Role.DOMAIN,
)
METRICS = Ask(
    document=_FILE,
    section="4-metrics",
    missing="why these metrics fit this product",
    question="Why do the promised metrics fit what the product is for, and what do they not see?",
    owner=Role.SCIENCE,
)
RISK_MANAGEMENT = Ask(
    document=_FILE,
    section="5-risk-management",
    missing="the risk management system (Article 9)",
    question="Which risks were identified, which measures taken, and which risks remain?",
    owner=Role.PRODUCT,
)
STANDARDS = Ask(
    document=_FILE,
    section="7-standards",
    missing="the harmonised standards applied, or what was done instead",
    question="Which harmonised standards were applied in full or in part? Where none: what was done instead?",
    owner=Role.PRODUCT,
)
DECLARATION = Ask(
    document=_FILE,
    section="8-declaration",
    missing="the EU declaration of conformity (Article 47)",
    question="Where is the copy of the EU declaration of conformity, if one was made?",
    owner=Role.PRODUCT,
    binds=Binds.RELEASE,
)
AFTER_MARKET = Ask(
    document=_FILE,
    section="9-after-market",
    missing="the plan for the time after release beyond the monitoring below (Article 72(3))",
    question="Who looks at the system after release, how often, and who is told about a serious incident?",
    owner=Role.PRODUCT,
)
ASKS = (RISKS, METRICS, RISK_MANAGEMENT, STANDARDS, DECLARATION, AFTER_MARKET)


def life(facts: DocumentFacts) -> Iterator[Section]:
    """Points 3 to 9."""
    notes = facts.notes
    yield Section(
        heading="3. Monitoring, functioning and control: capabilities and limits",
        blocks=(*_limits(facts), answer(RISKS, notes, facts.about), *oversight(facts), *_inputs(facts)),
        source="ledger: findings at every stage; contract: product.out_of_scope, decision, data; prose",
    )
    yield Section(
        heading="4. Why the metrics fit",
        blocks=(*_reasons(facts), answer(METRICS, notes, facts.about)),
        source="contract: each clause's because; prose",
    )
    yield Section(
        heading="5. Risk management",
        blocks=(*_measures(facts), answer(RISK_MANAGEMENT, notes, facts.about)),
        source="contract: blocking clauses; ledger: Waived; prose",
    )
    yield Section(
        heading="6. Changes over the life of the system",
        blocks=tuple(_changes(facts)),
        source="ledger: ContractAdopted, StageEntered, RolledBack, ChallengeDecided",
    )
    yield Section(
        heading="7. Standards",
        blocks=(
            Text(
                words="Formats of public standards that it speaks: CycloneDX (bill of materials), ONNX (model), Open"
                " Inference Protocol v2 (serving). None of them is a harmonised standard under the regulation."
            ),
            answer(STANDARDS, notes, facts.about),
        ),
        source="prose",
    )
    yield Section(
        heading="8. EU declaration of conformity",
        blocks=(answer(DECLARATION, notes, facts.about),),
        source="prose",
    )
    yield Section(
        heading="9. After the release: monitoring of performance",
        blocks=(*_watch(facts), answer(AFTER_MARKET, notes, facts.about)),
        source="contract: monitoring; ledger: FindingsRecorded (live), IncidentOpened, IncidentClosed; prose",
    )


def _limits(facts: DocumentFacts) -> Iterator[Block]:
    if baselines := baselines_words(facts):
        yield Text(words="What its decisions cost on the sealed rows, beside simpler ways of deciding:")
        yield Items(items=baselines)
    elif not facts.findings:
        yield Missing(what="any measurement of its capability", owner=Role.SCIENCE)
    if facts.open_findings:
        yield Text(words="Promises that are not kept on the evidence at hand:")
        yield Items(items=tuple(f"{one.clause}: {one.message}" for one in facts.open_findings))
    elif facts.findings:
        yield Text(words="Every promise of the contract is kept on the evidence at hand.")
    if facts.contract.silent:
        yield Text(words=f"The contract says nothing about: {', '.join(facts.contract.silent)}.")
    if facts.tables:
        yield Text(words="Accuracy for groups:")
        yield from fairness_blocks(facts)
    else:
        yield Missing(
            what="the degree of accuracy for the persons or groups on whom it is used",
            owner=Role.DOMAIN,
            where="fairness in the contract",
        )


def _inputs(facts: DocumentFacts) -> Iterator[Block]:
    data = facts.contract.data
    if data is not None:
        needed = [one.name for one in data.decisions.fields if one.required]
        yield Text(
            words=f"Input: one row of {data.decisions.name}, in the columns of 2(d)."
            + (f" It must hold {', '.join(needed)}." if needed else "")
            + " A request that breaks the contract is refused with the name of the field and what would be right."
        )


def _reasons(facts: DocumentFacts) -> Iterator[Block]:
    rows = tuple(
        (one.path, one.metric, one.because or "nobody said why", one.owner.value)
        for one in facts.contract.clauses
        if one.section == "success"
    )
    if rows:
        yield Table(head=("promise", "metric", "because", "owner"), rows=rows)
    else:
        yield Missing(what="any promise of success", owner=Role.PRODUCT, where="success in the contract")


def _measures(facts: DocumentFacts) -> Iterator[Block]:
    blocking = [one for one in facts.contract.clauses if one.severity == "block"]
    yield Text(
        words=f"{len(blocking)} promises block a release while they are not kept; {len(facts.waivers)} of them were"
        " allowed for this release by a named person for a limited time. What is allowed remains a risk:"
        if facts.waivers
        else f"{len(blocking)} promises block a release while they are not kept; none was waived for this release."
    )
    if facts.waivers:
        yield Items(
            items=tuple(
                f"{one.clause}: {one.reason} ({one.person}, until {day(one.expires_at)})"
                for one in facts.waivers
            )
        )


def _changes(facts: DocumentFacts) -> Iterator[Block]:
    rows: list[tuple[str, ...]] = []
    for one in facts.history:
        match one.event:
            case ContractAdopted(contract=contract):
                rows.append((moment(one.at), f"contract {short(contract)} adopted", one.actor))
            case StageEntered() as entered:
                on = f" on {share(entered.share)} of the traffic" if 0 < entered.share < 1 else ""
                rows.append(
                    (moment(one.at), f"release {short(entered.release)}: {entered.stage}{on}", one.actor)
                )
            case RolledBack() as back:
                rows.append(
                    (
                        moment(one.at),
                        f"release {short(back.release)} rolled back to {short(back.to)}: {back.reason}",
                        one.actor,
                    )
                )
            case ChallengeDecided() as test:
                words = "won" if test.promoted else "did not win"
                rows.append(
                    (
                        moment(one.at),
                        f"release {short(test.challenger)} {words} against {short(test.champion)}: {test.reason}",
                        one.actor,
                    )
                )
            case _:
                pass
    if rows:
        yield Table(head=("when", "what", "by"), rows=tuple(rows))
    else:
        yield Text(words="The ledger holds no change yet.")


def _watch(facts: DocumentFacts) -> Iterator[Block]:
    terms = facts.contract.monitoring
    if terms is None:
        yield Missing(
            what="how the live system is watched", owner=Role.SCIENCE, where="monitoring in the contract"
        )
    else:
        owners = ", ".join(f"{cause}: {role}" for cause, role in terms.owners)
        yield Items(
            items=(
                (
                    f"an alarm that pages somebody rings with probability at most {share(terms.false_alarm_alpha)}, ever,"
                    " while nothing is wrong"
                ),
                f"a rise of the expected cost by {share(terms.smallest_change)} is the smallest change that matters",
                f"the owner of each cause is called{f' ({owners})' if owners else ''}",
            )
        )
    if any(one.status is not Status.NOT_MEASURED for one in facts.later):
        yield Text(words="Found on traffic:")
        yield from found_later(facts)
    else:
        yield Text(words="Nothing was measured on traffic for this release yet.")
    closed = {one.incident: recorded.at for recorded, one in facts.events(IncidentClosed)}
    opened = tuple(
        (
            day(recorded.at),
            one.incident.cause.value,
            one.incident.owner.value,
            one.incident.message,
            "" if one.incident.cost_per_day is None else number(one.incident.cost_per_day),
            day(closed[one.incident.id]) if one.incident.id in closed else "open",
        )
        for recorded, one in facts.events(IncidentOpened)
    )
    if opened:
        head = ("opened", "cause", "called", "what", f"{facts.currency} a day", "closed")
        yield Table(head=head, rows=opened)
    else:
        yield Text(words="No incident was opened.")
