"""From what a run left behind to the report that tells it: every figure is read, none is made."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from datetime import datetime, timedelta
from importlib.metadata import version

import numpy as np
import polars as pl

from geartrain.contract.wording import in_words
from geartrain.documents.chart_nouns import ReliabilityBin, ReliabilityChart
from geartrain.documents.report_nouns import (
    DecisionExample,
    Fact,
    FindingRow,
    MonitorLine,
    PolicySeries,
    ProductSection,
    PromiseLine,
    ReplaySection,
    StageNote,
    VariantRow,
)
from geartrain.documents.spelling import number
from geartrain.domain.contract import Contract
from geartrain.domain.events import IncidentOpened
from geartrain.domain.finding import Finding
from geartrain.domain.roles import Role
from geartrain.domain.wire import decode
from geartrain.engine.bench import Document, currency_of
from geartrain.engine.policies import NEVER, PRODUCT, SCHEDULE
from geartrain.engine.proposing import report_of
from geartrain.engine.releasing import releases
from geartrain.engine.replaying import Replayed
from geartrain.engine.shaping import choice_of
from geartrain.engine.timeline import timeline_of
from geartrain.engine.workspace import Workspace
from geartrain.release.conditions import signing
from geartrain.stats.intervals import ratio

#: The width of a point on the line of costs over time.
WEEK = timedelta(days=7)


def product_section(
    workspace: Workspace,
    contract: Contract,
    document: Document,
    *,
    lead: str,
    outcome: str,
    stages: tuple[StageNote, ...] = (),
    counted: str = "",
    example: DecisionExample | None = None,
    replay: ReplaySection | None = None,
    monitors: tuple[MonitorLine, ...] = (),
    facts: tuple[Fact, ...] = (),
) -> ProductSection:
    """A product's chapter from the run that built its release."""
    release = str(document["release"])
    record = releases(workspace, contract.product.name).record(release)
    findings = decode(workspace.blobs.get(document["findings"]), tuple[Finding, ...])
    waived = {one.clause for one in record.waivers} if record else set()
    becauses = {clause.path: clause.because for clause in contract.clauses}
    return ProductSection(
        name=contract.product.name,
        title=contract.product.title,
        problem=contract.product.problem,
        lead=lead,
        outcome=outcome,
        currency=currency_of(contract),
        facts=(*facts, *_lift(workspace, document)),
        stages=stages,
        promises=_promises(contract),
        silent=contract.silent,
        findings=tuple(
            FindingRow(
                finding=one,
                because=becauses.get(one.clause, ""),
                counted=counted if one.relevant_needed is not None and "recall" in one.message else "",
                waived=one.clause in waived,
            )
            for one in findings
        ),
        variants=_variants(workspace, document),
        reliability=_reliability(workspace, document),
        explanation=report_of(workspace, document).explanation,
        release=release,
        needed=signing(contract, record).needed if record else (),
        sign_offs=record.sign_offs if record else (),
        waivers=record.waivers if record else (),
        example=example,
        monitors=monitors,
        replay=replay,
    )


def _lift(workspace: Workspace, document: Document) -> tuple[Fact, ...]:
    """What is saved, and how many tries that survived."""
    lift = report_of(workspace, document).lift
    if lift is None:
        return ()
    saved, tried = lift.saved, lift.tried
    tested = tried.reason if tried.p_value is None else f"reality check p = {number(tried.p_value, 2)}"
    return (
        Fact(
            name="saved per 1000 decisions",
            value=number(1000 * saved.value),
            note=f"against {lift.baseline}; {number(1000 * saved.low)} to {number(1000 * saved.high)}",
        ),
        Fact(
            name="tries it survived",
            value=str(tried.trials),
            note=f"the best of so many shows {number(1000 * lift.luck_bar)} by luck; {tested}",
        ),
    )


def _promises(contract: Contract) -> tuple[PromiseLine, ...]:
    """Each promise beside its owner, role by role; the owner's name need not be said again."""
    roles = list(Role)
    said = sorted(in_words(contract), key=lambda one: roles.index(one.owner))
    return tuple(
        PromiseLine(clause=one.path, owner=one.owner, sentence=one.sentence.rsplit(" (", maxsplit=1)[0])
        for one in said
    )


def _variants(workspace: Workspace, document: Document) -> tuple[VariantRow, ...]:
    return tuple(
        VariantRow(
            name=row.name,
            p50_us=row.speed.p50_us,
            p99_us=row.speed.p99_us,
            size_bytes=row.speed.size_bytes,
            cost=row.mean_cost,
            decisions_agree=row.parity.decisions_agree,
            front=row.on_front,
            chosen=row.chosen,
            verdict=row.reason,
        )
        for row in choice_of(workspace, document).rows
    )


def _reliability(workspace: Workspace, document: Document) -> ReliabilityChart | None:
    report = report_of(workspace, document)
    if not report.reliability:
        return None
    threshold = report.thresholds[0][1] if report.thresholds else None
    return ReliabilityChart(
        title="What was said, and what came",
        description="Sealed rows in groups of about equal predicted probability, and the share that came true.",
        bins=tuple(
            ReliabilityBin(predicted=one.said, observed=one.came, low=one.low, high=one.high, rows=one.rows)
            for one in report.reliability
        ),
        threshold=threshold,
    )


def replay_section(contract: Contract, replayed: Replayed, *, schedule_days: float) -> ReplaySection:
    """The product's cost over time beside what else could have been done."""
    words = {
        PRODUCT: "the loop: watched, retrained, challenged, rolled out in steps, or refused",
        NEVER: "the first release for ever",
        SCHEDULE: f"a refit every {schedule_days:g} days, put live without being asked anything",
    }
    names = _worth_showing(replayed.costs)
    return ReplaySection(
        words=(
            f"{_day(replayed.began)} to {_day(replayed.ended)} on a virtual clock;"
            " every policy decides about the same requests with the same features."
        ),
        currency=currency_of(contract),
        policies=tuple(_policy(replayed.costs, name, words.get(name, "")) for name in names),
        events=timeline_of(replayed.history, since=replayed.began),
        logarithmic=_far_apart(replayed.costs, names),
    )


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def _worth_showing(costs: pl.DataFrame) -> list[str]:
    """The product first, then its rivals from the cheapest to the dearest; equal ones once."""
    total = costs.group_by("policy").agg(pl.col("cost").sum()).sort("cost", "policy")
    rivals = [name for name in total["policy"].to_list() if name not in {PRODUCT, NEVER, SCHEDULE}]
    sums = dict(zip(total["policy"].to_list(), total["cost"].to_list(), strict=True))
    kept: list[str] = []
    for name in rivals:
        if not any(sums[name] == sums[other] for other in kept):
            kept.append(name)
    return [*(name for name in (PRODUCT, NEVER, SCHEDULE) if name in sums), *kept]


def _policy(costs: pl.DataFrame, name: str, words: str) -> PolicySeries:
    own = costs.filter(pl.col("policy") == name).sort("day")
    weeks = own.group_by_dynamic("day", every="7d", period="7d", start_by="datapoint").agg(
        pl.col("cost").sum(), pl.col("decisions").sum(), pl.col("cost").count().alias("days")
    )
    whole = weeks.filter(pl.col("days") >= 4)
    points = [
        (moment + WEEK, 1000 * cost / decisions if decisions else None)
        for moment, cost, decisions in whole.select("day", "cost", "decisions").iter_rows()
    ]
    interval = ratio(own["cost"].to_numpy(), own["decisions"].to_numpy().astype(np.float64), seed=0)
    decisions = int(own["decisions"].sum())
    return PolicySeries(
        name=name,
        cost_per_1000=tuple(points),
        decisions=decisions,
        total=float(own["cost"].sum()),
        total_low=interval.low * decisions,
        total_high=interval.high * decisions,
        product=name == PRODUCT,
        words=words,
    )


def _far_apart(costs: pl.DataFrame, names: Iterable[str]) -> bool:
    sums = costs.group_by("policy").agg(pl.col("cost").sum()).filter(pl.col("policy").is_in(list(names)))
    low, high = sums["cost"].min(), sums["cost"].max()
    return isinstance(low, float) and isinstance(high, float) and low > 0 and high > 6 * low


def monitor_lines(contract: Contract, replayed: Replayed) -> tuple[MonitorLine, ...]:
    """What watches a live product, what each promises, and whether it rang."""
    terms = contract.monitoring
    if terms is None:
        return ()
    rang = {
        one.event.incident.cause.value for one in replayed.history if isinstance(one.event, IncidentOpened)
    }
    alpha, every = terms.false_alarm_alpha, terms.false_alarm_every_s / 86_400
    return (
        MonitorLine(
            watches="what decisions cost, once labels are known",
            guarantee=f"a page while nothing is wrong, ever: at most {alpha:.0%}; one false trigger in {every:g} days",
            state="rang" if "concept" in rang or "model" in rang else "quiet",
            alarmed=bool(rang & {"concept", "model"}),
        ),
        MonitorLine(
            watches="each feature against the rows that judged the release",
            guarantee=f"any false drift, ever, over all features: at most {alpha:.0%}",
            state="rang" if rang & {"population", "column"} else "quiet",
            alarmed=bool(rang & {"population", "column"}),
        ),
        MonitorLine(
            watches="freshness and volume of every feed",
            guarantee="a fact, not a guess: silence longer than the contract allows",
            state="rang" if rang & {"feed", "label-feed"} else "quiet",
            alarmed=bool(rang & {"feed", "label-feed"}),
        ),
    )


def colophon(*, seed: int, seconds: float) -> tuple[Fact, ...]:
    """How the run can be repeated."""
    return (
        Fact(name="seed", value=str(seed), note="another seed tells another story with the same shape"),
        Fact(name="geartrain", value=version("geartrain")),
        Fact(name="Python", value=platform.python_version()),
        Fact(name="machine", value=f"{platform.machine()}, {platform.system()}"),
        Fact(name="run time", value=f"{seconds:.0f} s"),
    )
