"""Annex IV, point 1: what the system is, who provides it, in which version, on what it runs."""

from __future__ import annotations

from collections.abc import Iterator

from geartrain.documents.facts import DocumentFacts
from geartrain.documents.paper import Block, Items, Missing, Section, Table, Text, part
from geartrain.documents.prose import Ask, answer
from geartrain.documents.spelling import day, number, size, span
from geartrain.domain.digest import short
from geartrain.domain.events import ReleaseProposed, RolledBack, StageEntered
from geartrain.domain.release import ReleaseStage
from geartrain.domain.roles import Role

_FILE = "technical-file"

PROVIDER = Ask(
    document=_FILE,
    section="1a-provider",
    missing="the provider's name and address",
    question="Who provides the system: name, address, contact?",
    owner=Role.PRODUCT,
)
SURROUNDINGS = Ask(
    document=_FILE,
    section="1b-surroundings",
    missing="with which other hardware and software, and other AI systems, it interacts",
    question="Which systems call it or use its decisions, and which other AI systems does it meet?",
    owner=Role.ENGINEERING,
)
SUPPLY = Ask(
    document=_FILE,
    section="1d-supply",
    missing="in which form it is put on the market or into service",
    question="In which form is it supplied: a service, an API, a package, a device?",
    owner=Role.PRODUCT,
)
PICTURES = Ask(
    document=_FILE,
    section="1f-pictures",
    missing="pictures and marking of the products that it is part of, or that it is part of none",
    question="If it is a part of products: where are their pictures, marking and layout? If of none, say so.",
    owner=Role.PRODUCT,
)
INTERFACE = Ask(
    document=_FILE,
    section="1g-interface",
    missing="what the deployer's people see and do",
    question="What do the people see who work with its decisions, and what can they do there?",
    owner=Role.PRODUCT,
)
INSTRUCTIONS = Ask(
    document=_FILE,
    section="1h-instructions",
    missing="the instructions for use",
    question="Where are the instructions for use, and what must a deployer know from them?",
    owner=Role.PRODUCT,
)
ASKS = (PROVIDER, SURROUNDINGS, SUPPLY, PICTURES, INTERFACE, INSTRUCTIONS)


def general(facts: DocumentFacts) -> Iterator[Section]:
    """Point 1, (a) to (h)."""
    yield Section(heading="1. General description", blocks=())
    yield part(
        "1(a) Intended purpose, provider, version",
        (*_purpose(facts), answer(PROVIDER, facts.notes, facts.about), *_versions(facts)),
        "contract: product; ledger: ReleaseProposed, StageEntered, RolledBack; prose",
    )
    yield part(
        "1(b) Interaction with other hardware and software",
        (*_sources(facts), answer(SURROUNDINGS, facts.notes, facts.about)),
        "contract: data.sources; prose",
    )
    yield part("1(c) Versions of software", tuple(_software(facts)), "the release's signed bill of materials")
    yield part(
        "1(d) Forms in which it is supplied",
        (
            Text(
                words="A signed bundle of plain files: the model as ONNX, its features, decision rule, contract,"
                " evidence and bill of materials. It is served over HTTP."
            ),
            answer(SUPPLY, facts.notes, facts.about),
        ),
        "the release's bundle; prose",
    )
    yield part(
        "1(e) Hardware",
        tuple(_hardware(facts)),
        "contract: budget; bundle: environment; ledger: VariantMeasured",
    )
    yield part("1(f) Pictures of products", (answer(PICTURES, facts.notes, facts.about),), "prose")
    yield part(
        "1(g) User interface",
        (*_answers(facts), answer(INTERFACE, facts.notes, facts.about)),
        "contract: decision; prose",
    )
    yield part("1(h) Instructions for use", (answer(INSTRUCTIONS, facts.notes, facts.about),), "prose")


def _purpose(facts: DocumentFacts) -> Iterator[Block]:
    terms = facts.contract.product
    yield Text(words=terms.problem)
    if terms.serves:
        yield Text(words=f"It serves {terms.serves}.")
    if terms.intended_use:
        yield Text(words="It is meant to:", strong=True)
        yield Items(items=terms.intended_use)
    else:
        yield Missing(
            what="the intended use", owner=Role.PRODUCT, where="product.intended_use in the contract"
        )
    if terms.out_of_scope:
        yield Text(words="It must not be used for:", strong=True)
        yield Items(items=terms.out_of_scope)
    else:
        yield Missing(
            what="what is out of scope", owner=Role.PRODUCT, where="product.out_of_scope in the contract"
        )


def _versions(facts: DocumentFacts) -> Iterator[Block]:
    live = {
        one.release: recorded.at
        for recorded, one in facts.events(StageEntered)
        if one.stage is ReleaseStage.LIVE
    }
    back = {one.release: recorded.at for recorded, one in facts.events(RolledBack)}
    rows = tuple(
        (
            short(one.id) + (" (this one)" if one.id == facts.id else ""),
            day(recorded.at),
            "retraining" if one.retrained else "people",
            short(one.release.contract),
            short(one.release.snapshot),
            day(live[one.id]) if one.id in live else "never",
            day(back[one.id]) if one.id in back else "",
        )
        for recorded, one in facts.events(ReleaseProposed)
    )
    if rows:
        head = ("release", "proposed", "begun by", "contract", "data", "last live since", "rolled back")
        yield Table(head=head, rows=rows)
    else:
        yield Missing(what="the history of versions in the ledger", owner=Role.ENGINEERING)


def _sources(facts: DocumentFacts) -> Iterator[Block]:
    data = facts.contract.data
    if data is None:
        yield Missing(
            what="the sources of its data", owner=Role.ENGINEERING, where="data.sources in the contract"
        )
        return
    yield Items(
        items=tuple(
            f"{one.name}: {one.kind}, named by {one.key}"
            + (f", expected every {span(one.freshness_s)}" if one.freshness_s else "")
            for one in data.sources
        )
    )


def _software(facts: DocumentFacts) -> Iterator[Block]:
    if not facts.packages:
        yield Missing(what="the bill of materials", owner=Role.ENGINEERING)
        return
    yield Text(
        words=f"Python {facts.python} and {len(facts.packages)} packages, each with its version in ml-bom.cdx.json."
        " Those that touch the model:"
    )
    named = ("geartrain", "lightgbm", "numpy", "onnx", "onnxruntime", "scikit-learn", "skl2onnx", "torch")
    yield Items(items=tuple(f"{name} {version}" for name, version in facts.packages if name in named))


def _hardware(facts: DocumentFacts) -> Iterator[Block]:
    terms = facts.contract.budget
    if terms is not None and terms.device:
        yield Text(
            words=f"It is meant to run on: {terms.device}, at {number(terms.load_per_s)} decisions per second."
        )
    else:
        yield Missing(
            what="the hardware that it is meant for",
            owner=Role.ENGINEERING,
            where="budget.device in the contract",
        )
    chosen = next((one for one in facts.variants if one.model == facts.model.id), None)
    if chosen is not None:
        speed = chosen.speed
        yield Text(
            words=f"Measured{f' on {facts.platform}' if facts.platform else ''}: half of the answers within"
            f" {number(speed.p50_us)} µs, 99 of 100 within {number(speed.p99_us)} µs over {speed.repeats:,} single"
            f" rows; {size(speed.size_bytes)} on disk, {size(speed.memory_bytes)} of memory."
        )


def _answers(facts: DocumentFacts) -> Iterator[Block]:
    decision = facts.contract.decision
    yield Text(
        words=f"One answer about {decision.unit}"
        + (f": one of {', '.join(decision.actions)}" if decision.actions else "")
        + ", with the release that gave it, an id under which it can be found again and objected to, and, where"
        " the model can give them, probabilities and reasons."
    )
