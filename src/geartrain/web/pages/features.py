"""Features and reasons: what the answers rest on, and whether that is plausible."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from geartrain.contract.wording import promise_in_words
from geartrain.documents.chart_nouns import BarChart, LineChart, Series
from geartrain.documents.relying import curve_charts, shares_chart, value_charts
from geartrain.documents.spelling import counted, number
from geartrain.domain.clause import Clause
from geartrain.domain.contract import Contract
from geartrain.domain.events import FeatureLeftOpen
from geartrain.domain.explanation import Curve, Explanation, Share
from geartrain.domain.features import Feature, FeatureType
from geartrain.domain.finding import Finding, Status
from geartrain.domain.roles import Role
from geartrain.domain.wording import class_in_words
from geartrain.engine.feature_words import described
from geartrain.engine.proposing import report_of_release
from geartrain.engine.release_words import Reading, reading_of, reads_in_words
from geartrain.engine.releasing import releases
from geartrain.errors import PageMissing
from geartrain.evaluation.model_view import reads
from geartrain.release.state import ReleaseRecord
from geartrain.web.addresses import address
from geartrain.web.pages.promise import measured_in_words
from geartrain.web.pages.standing import contract_of, findings_now, subject_of, words_of
from geartrain.web.paging import Action, Denied, Done, Download, Outcome, Page
from geartrain.web.plain import Plain
from geartrain.web.room import Asked

#: Of so many tries one in twenty may break a proposed rule; the form lets the team say another share.
_TOLERATED = "0.05"
_LONGEST_REASON = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A clause that speaks about a feature."""

    path: str
    sentence: str
    status: Status
    message: str
    words: str
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureLine:
    """A feature of the release that speaks for the product.

    Attributes:
        words: What it is.
        reads: What it is made of.
        because: Why the team thinks that it should matter.
        share: Its part of the explanation; None where it has none.
        silent: Why nothing can be said about its part; empty where something can.
        mentions: The clauses that speak about it, with their findings.
        has_curve: Whether it was kept how the answer moves with it.
    """

    name: str
    words: str
    unit: str
    owner: str
    because: str
    reads: str
    share: Share | None
    silent: str
    mentions: tuple[Mention, ...]
    has_curve: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesView:
    """What the answers rest on, the largest part first.

    Attributes:
        trouble: Why the release cannot be read; empty where it can.
        method: How the shares were found; empty where the release keeps no explanation.
        rows: The rows that were asked about, of so many.
    """

    release: str | None
    trouble: str
    method: str
    rows: int
    of: int
    chart: BarChart | None
    features: tuple[FeatureLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An answer to "is this plausible?"; `address` leads to the clause that it means, filled in."""

    words: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOpen:
    """Somebody could not tell whether the feature is plausible."""

    person: str
    at: datetime
    release: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureView:
    """One feature.

    Attributes:
        line_chart: How the answer moves with a number.
        bar_chart: How it differs between values of a category.
        density: How many rows lie where; thin places are guesses.
        note: What the curve leaves out.
        questions: What the domain role may answer; empty for everybody else.
        asked_of: Who is asked.
        left_open: Who could not tell, each person's last word, the latest first.
    """

    release: str
    feature: FeatureLine
    line_chart: LineChart | None
    bar_chart: BarChart | None
    density: LineChart | None
    note: str
    curves_kept: int
    questions: tuple[Question, ...]
    asked_of: tuple[str, ...]
    left_open: tuple[LeftOpen, ...]


def features_view(asked: Asked) -> FeaturesView:
    """Every feature of the release that speaks for the product."""
    contract, record = contract_of(asked), _record(asked)
    if record is None:
        return FeaturesView(release=None, trouble="", method="", rows=0, of=0, chart=None, features=())
    reading = reading_of(asked.workspace, record.id)
    explanation = _explanation(asked, record)
    trouble = "" if reading else "its bundle is gone, or not byte for byte what was signed"
    return FeaturesView(
        release=record.id,
        trouble=trouble,
        method=explanation.method if explanation else "",
        rows=explanation.rows if explanation else 0,
        of=explanation.of if explanation else 0,
        chart=_chart(explanation) if explanation and explanation.shares else None,
        features=_lines(asked, contract, record, reading, explanation) if reading else (),
    )


def feature_view(asked: Asked) -> FeatureView:
    """One feature: its part, how the answer moves with it, and whether that is plausible."""
    contract, record, name = contract_of(asked), _record(asked), asked.names["name"]
    reading = reading_of(asked.workspace, record.id) if record else None
    if record is None or reading is None or reading.feature(name) is None:
        raise PageMissing("the release that speaks for this product has no such feature", found=name[:64])
    explanation = _explanation(asked, record)
    line = next(one for one in _lines(asked, contract, record, reading, explanation) if one.name == name)
    kept = explanation.curves if explanation else ()
    curve = next((one for one in kept if one.feature == name), None)
    told = _in_words(contract, curve, line.words) if curve else None
    alone = replace(explanation, curves=(told,)) if explanation and told else None
    drawn = next(iter(curve_charts(alone)), None) if alone else None
    holders = contract.holders(Role.DOMAIN)
    feature = reading.feature(name)
    assert feature is not None
    return FeatureView(
        release=record.id,
        feature=line,
        # The title names the feature and its unit; on a small screen there is no room for them twice.
        line_chart=replace(drawn, x_label="") if drawn else None,
        bar_chart=next(iter(value_charts(alone)), None) if alone else None,
        density=_density(curve) if curve and not curve.category and len(curve.points) > 1 else None,
        note=_note(curve) if curve else "",
        curves_kept=len(kept),
        questions=_questions(asked, feature) if asked.visitor.person in holders else (),
        asked_of=holders,
        left_open=_left_open(asked, name),
    )


def leave_open(asked: Asked) -> Outcome:
    """Write down that the visitor cannot tell whether the feature is plausible; only who is asked answers."""
    contract, record, name = contract_of(asked), _record(asked), asked.names["name"]
    reading = reading_of(asked.workspace, record.id) if record else None
    if record is None or reading is None or reading.feature(name) is None:
        raise PageMissing("the release that speaks for this product has no such feature", found=name[:64])
    here, holders = f"/products/{asked.product}/features/{name}", contract.holders(Role.DOMAIN)
    if asked.visitor.person not in holders:
        return Denied(
            to=here,
            reason="this is asked of the domain role",
            do=f"Ask {' or '.join(holders) or 'who may hold it'}",
        )
    event = FeatureLeftOpen(
        product=asked.product,
        release=record.id,
        feature=name,
        reason=asked.form.get("reason", "").strip()[:_LONGEST_REASON],
    )
    asked.workspace.record(asked.product, [event], now=asked.now, actor=asked.visitor.person)
    return Done(to=here, said="written down: you cannot tell. The question stays open")


def _left_open(asked: Asked, name: str) -> tuple[LeftOpen, ...]:
    found: dict[str, LeftOpen] = {}
    for one in asked.workspace.history(asked.product):
        if isinstance(one.event, FeatureLeftOpen) and one.event.feature == name:
            found.pop(one.actor, None)
            found[one.actor] = LeftOpen(
                person=one.actor, at=one.at, release=one.event.release, reason=one.event.reason
            )
    return tuple(reversed(found.values()))


def _chart(explanation: Explanation) -> BarChart:
    """The leading shares; which of them go together stands in the list below."""
    shares = tuple(
        replace(one, feature=one.feature.replace("_", " "), together=()) for one in explanation.shares
    )
    return shares_chart(replace(explanation, shares=shares))


def _record(asked: Asked) -> ReleaseRecord | None:
    return subject_of(releases(asked.workspace, asked.product))


def _explanation(asked: Asked, record: ReleaseRecord) -> Explanation | None:
    report = report_of_release(asked.workspace, asked.product, record.id)
    return report.explanation if report else None


def _lines(
    asked: Asked, contract: Contract, record: ReleaseRecord, reading: Reading, explanation: Explanation | None
) -> tuple[FeatureLine, ...]:
    """The largest share first; what has none last, in the order of its definition."""
    found, plain = findings_now(releases(asked.workspace, asked.product), record), words_of(asked)
    shares = {one.feature: one for one in explanation.shares} if explanation else {}
    joint = {other: one for one in shares.values() if one.joint for other in one.together}
    silent = {one.feature: one.reason for one in explanation.silent} if explanation else {}
    curves = {one.feature for one in explanation.curves} if explanation else set()
    lines = [
        FeatureLine(
            name=one.name,
            words=described(one),
            unit=one.unit,
            owner=one.owner,
            because=one.because.rstrip("."),
            reads=reads_in_words(one),
            share=shares.get(one.name) or joint.get(one.name),
            silent=silent.get(one.name, ""),
            mentions=_mentions(contract, one, found, plain),
            has_curve=one.name in curves,
        )
        for one in reading.encoding.feature_set.features
    ]
    return tuple(sorted(lines, key=lambda one: -one.share.share if one.share else 1.0))


def _mentions(
    contract: Contract, feature: Feature, found: dict[str, Finding], plain: Plain
) -> tuple[Mention, ...]:
    about = {feature.name, *reads(feature)}
    return tuple(
        Mention(
            path=clause.path,
            sentence=promise_in_words(clause),
            words=plain.promise(clause),
            told=plain.measured(clause, found.get(clause.path)),
            status=found[clause.path].status if clause.path in found else Status.NOT_MEASURED,
            message=measured_in_words(found.get(clause.path)),
        )
        for clause in contract.clauses
        if clause.section == "plausibility" and about & _named(clause)
    )


def _named(clause: Clause) -> set[str]:
    """The columns that a clause names."""
    told = [clause.parameter(one) for one in ("column", "columns", "attribute", "with")]
    return {
        name for one in told for name in (one if isinstance(one, tuple) else (one,)) if isinstance(name, str)
    }


def _density(curve: Curve) -> LineChart:
    """Rows for each unit of the feature: each point of the curve has a cell that ends half-way to the next."""
    places = [one.value for one in curve.points]
    middles = [(left + right) / 2 for left, right in pairwise(places)]
    edges = [places[0], *middles, places[-1]]
    heights = [
        one.rows / (high - low) for one, (low, high) in zip(curve.points, pairwise(edges), strict=True)
    ]
    most = max(range(len(heights)), key=lambda place: heights[place])
    unit = curve.unit or "unit of it"
    return LineChart(
        title="Where the rows are",
        description=(
            f"Most rows lie near {curve.points[most].name}, {number(heights[most], 3)} for each {unit};"
            f" the fewest near {min(curve.points, key=lambda one: one.rows).name}."
        ),
        y_label=f"rows for each {unit}",
        series=(
            Series(
                name="rows",
                points=tuple(zip(edges, [*heights, heights[-1]], strict=True)),
                stepped=True,
            ),
        ),
    )


def _in_words(contract: Contract, curve: Curve, words: str) -> Curve:
    """The curve as people without the feature's name in mind read it."""
    about, said = curve.about, "the probability of "
    if about.startswith(said):
        about = said + class_in_words(contract.decision.label, about.removeprefix(said))
    return replace(curve, words=f"{words}, {curve.unit}" if curve.unit else words, about=about)


def _note(curve: Curve) -> str:
    missing = f"{counted(curve.missing, 'row')} without a value are not part of it." if curve.missing else ""
    return " ".join(one for one in (f"{curve.note.rstrip('.')}." if curve.note else "", missing) if one)


def _questions(asked: Asked, feature: Feature) -> tuple[Question, ...]:
    name, slug = feature.name, "".join(one if one.isalnum() else "_" for one in feature.name.casefold())
    where, because = f"/products/{asked.product}/promise/propose", feature.because

    def question(words: str, add: str, **leaves: str) -> Question:
        return Question(
            words=words, address=address(where, {**leaves, "add": add, "because": because or " "})
        )

    found = [
        question(
            "Yes: the answer should rise with it", f"{slug}_raises", rises_with=name, at_most=_TOLERATED
        ),
        question(
            "Yes: the answer should fall with it", f"{slug}_lowers", falls_with=name, at_most=_TOLERATED
        ),
    ]
    if feature.type is not FeatureType.NUMBER:
        found = []
    found += [
        question(
            "No: the decision must not change with it",
            f"whatever_{slug}",
            invariant_to=name,
            at_most=_TOLERATED,
        ),
        question("No: the model must not look at it", f"without_{slug}", forbidden=f"[{json.dumps(name)}]"),
    ]
    return tuple(found)


_AT = "/products/{product}/features"
PAGES = (
    Page(path=_AT, template="features.html", view=features_view),
    Page(path=f"{_AT}/{{name}}", template="feature.html", view=feature_view),
)
ACTIONS = (Action(path=f"{_AT}/{{name}}/cannot-tell", act=leave_open),)
DOWNLOADS: tuple[Download, ...] = ()
