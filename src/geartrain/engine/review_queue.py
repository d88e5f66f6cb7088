"""Which decisions people look at: where a look helps most, and some drawn at random for honesty.

The queue of a day follows from the product and the day alone, so that two reviewers look
at the same decisions and can be compared. It is drawn from the whole days before, never
from the day that is still running: it does not move while somebody works through it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from geartrain.documents.spelling import number
from geartrain.domain.columns import columns_of, truths
from geartrain.domain.contract import Baseline, Contract
from geartrain.domain.digest import digest, short
from geartrain.domain.events import DecisionReviewed
from geartrain.domain.expression import Columns, parse
from geartrain.domain.features import FeatureType
from geartrain.domain.prediction import Floats
from geartrain.domain.rule import DecisionRule
from geartrain.engine.label_requests import latest_request
from geartrain.engine.logbook import DECISIONS, FEATURE, SHADOWS
from geartrain.engine.release_words import Reading, live_reading
from geartrain.engine.rows import frame_of, table_of
from geartrain.engine.workspace import Workspace
from geartrain.errors import ExpressionInvalid
from geartrain.ports.lake import EVENT_TIME
from geartrain.stats.deciding import cost_tensor, weights_of_rows

#: The days that decisions are drawn from, and the most of their decisions: the latest ones.
WINDOW = timedelta(days=7)
MOST_DRAWN_FROM = 10_000
#: So many decisions a day, and the least share of them that is drawn at random.
A_DAY, AT_RANDOM = 40, 0.25
#: Two actions whose expected costs differ by less than this share of their sum are near each other.
NEAR = 0.2
#: A value that was missing in fewer of the reference rows than this is hardly ever missing.
HARDLY_EVER = 0.05
#: So many of the decisions that were asked for are shown a day, beside the others.
ASKED_A_DAY = 40
#: So many queues are kept: one a product and day.
_KEPT = 32

#: Why the baseline `simplest-model` is not among those that may disagree.
SIMPLEST_NOT_KEPT = (
    "The simplest model that the product must beat is not among them: it is fitted anew whenever candidates are"
    " judged, a release carries only the model that answers, and so nobody can say what it would have done here."
)

_TOLD = ("decision_id", "release", "action", "probabilities", "abstained", "fallback", "doubt")
_SENT = "row"
Mask = NDArray[np.bool_]


class Why(StrEnum):
    """Why a decision was chosen."""

    RANDOM = "drawn at random"
    THRESHOLD = "near the threshold"
    DISAGREEMENT = "another would decide otherwise"
    DOUBT = "doubtful input"
    SETTLES = "would settle a promise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A decision that people are asked about.

    Attributes:
        at: The time that it is about; with its id it is found again quickly.
        words: Why it was chosen, in full.
    """

    decision: str
    at: datetime
    release: str
    action: str
    why: Why
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What people are asked about on one day.

    Attributes:
        since: The first moment that decisions are drawn from.
        until: The moment after the last.
        drawn_from: The decisions of that time.
        at_random: The share of `chosen` that was drawn at random, each as likely: these alone speak for all as they are.
        chosen: In the order in which everybody is asked.
    """

    since: datetime | None
    until: datetime | None
    drawn_from: int = 0
    at_random: float = 0.0
    chosen: tuple[Chosen, ...] = ()

    def find(self, decision: str) -> Chosen | None:
        """The place of that decision in the queue, or None."""
        return next((one for one in self.chosen if one.decision == decision), None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pool:
    """The decisions to choose from, in an order that follows from the seed alone.

    Attributes:
        rows: One a decision, shuffled.
        columns: What the rows were like: features by name, and what costs and rules read besides.
    """

    rows: pl.DataFrame
    columns: Columns
    reading: Reading | None

    def __len__(self) -> int:
        return self.rows.height

    @property
    def own(self) -> Mask:
        """Where the model's own action was taken."""
        stood_in = (self.rows["abstained"] | self.rows["fallback"]).to_numpy()
        return np.asarray(~stood_in, dtype=np.bool_)


#: Places in the pool with the words for each, the most useful first.
_Ranked = list[tuple[int, str]]


def review_queue(workspace: Workspace, contract: Contract, *, now: datetime, size: int = A_DAY) -> Queue:
    """The decisions that people are asked about on the day of *now*, at most *size*.

    At least a quarter is drawn at random from all; the rest is shared by decisions near the
    threshold, decisions that a shadow or a rule of the team would have taken otherwise, and
    decisions from doubtful input. Places that one of these leaves empty are drawn at random too.
    Decisions that somebody asked for labels of come beside them (`geartrain labels ask`), until
    somebody has answered.
    """
    span = _span(workspace, contract.product.name, now=now)
    if span is None:
        return Queue(since=None, until=None)
    since, until, rows = span
    champion = workspace.releases(contract.product.name).champion or ""
    queue = _drawn(
        _Draw(
            workspace=workspace,
            contract=contract,
            contract_id=contract.id,
            champion=champion,
            since=since,
            until=until,
            rows=rows,
            size=size,
        )
    )
    asked = _asked_for(workspace, contract, champion, without={one.decision for one in queue.chosen}, now=now)
    if not asked:
        return queue
    chosen = (*queue.chosen, *asked)
    return replace(queue, chosen=chosen, at_random=queue.at_random * len(queue.chosen) / len(chosen))


def _asked_for(
    workspace: Workspace, contract: Contract, champion: str, *, without: Collection[str], now: datetime
) -> tuple[Chosen, ...]:
    """The next decisions of the latest request for labels that nobody had answered when the day began.

    In the random order in which they were drawn: whoever stops half way has answered a random half.
    """
    request = latest_request(workspace, contract.product.name, release=champion, now=now)
    if request is None:
        return ()
    begun = _midnight(now)
    answered = {
        one.event.decision
        for one in workspace.history(contract.product.name)
        if isinstance(one.event, DecisionReviewed) and one.at < begun
    }
    what = f"`{request.about}`" if request.about else "whether the cost has changed"
    waiting = [one for one in request.asked if one.decision not in answered]
    return tuple(
        Chosen(
            decision=one.decision,
            at=one.at,
            release=one.release,
            action=one.action,
            why=Why.SETTLES,
            words=f"one of {len(request.asked):,} whose truth would settle {what}; drawn with probability {one.inclusion:.2g}",
        )
        for one in waiting[:ASKED_A_DAY]
        if one.decision not in without
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draw:
    """All that a queue follows from; the same draw is the same queue, and is made once.

    Attributes:
        champion: The release that is asked what was near and what is strange.
        rows: The decisions of the span: one that arrives late makes another draw.
    """

    workspace: Workspace
    contract: Contract = field(compare=False)
    contract_id: str
    champion: str
    since: datetime
    until: datetime
    rows: int
    size: int


@lru_cache(maxsize=_KEPT)
def _drawn(draw: _Draw) -> Queue:
    workspace, contract, since, until, size = draw.workspace, draw.contract, draw.since, draw.until, draw.size
    seed = int(digest((contract.product.name, until.date().isoformat()))[:15], 16)
    pool = _pool(workspace, contract, since, until, seed=seed)
    others = {
        Why.DISAGREEMENT: _disagreeing(workspace, contract, pool, since, until),
        Why.DOUBT: _doubtful(pool),
        Why.THRESHOLD: _near(contract, pool),
    }
    quota = round(size * (1 - AT_RANDOM)) // len(others)
    asked = sum(min(quota, len(ranked)) for ranked in others.values())
    # Drawn before anything else was looked at, so that these speak for every decision.
    drawn = range(min(size - asked, len(pool)))
    taken = {place: (Why.RANDOM, f"one of {len(pool):,}, each as likely as the other") for place in drawn}
    for why, ranked in others.items():
        free = [(place, words) for place, words in ranked if place not in taken]
        taken.update({place: (why, words) for place, words in free[:quota]})
    order = sorted(taken, key=lambda place: digest((seed, str(pool.rows["decision_id"][place]))))
    chosen = tuple(_chosen(pool, place, *taken[place]) for place in order)
    return Queue(
        since=since,
        until=until,
        drawn_from=len(pool),
        at_random=len(drawn) / len(chosen) if chosen else 0.0,
        chosen=chosen,
    )


def _chosen(pool: _Pool, place: int, why: Why, words: str) -> Chosen:
    row = pool.rows.row(place, named=True)
    return Chosen(
        decision=row["decision_id"],
        at=row[EVENT_TIME],
        release=row["release"],
        action=row["action"],
        why=why,
        words=words,
    )


def _span(workspace: Workspace, product: str, *, now: datetime) -> tuple[datetime, datetime, int] | None:
    """Whole days before that of *now*; of a product that fell silent, the last ones that it was busy in.

    Where they hold more decisions than are drawn from, the span begins later. Last the decisions of those days.
    """
    table = table_of(product, DECISIONS)
    until = _midnight(now)
    times = _times(workspace, table, until - WINDOW, until)
    if len(times) == 0:
        ever = _times(workspace, table, None, now)
        if len(ever) == 0:
            return None
        latest = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(ever.max()))
        until = _midnight(latest) + timedelta(days=1)
        times = _times(workspace, table, until - WINDOW, min(until, now))
    since = until - WINDOW
    if len(times) > MOST_DRAWN_FROM:
        latest_ones = np.partition(times, len(times) - MOST_DRAWN_FROM)[len(times) - MOST_DRAWN_FROM]
        since = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(latest_ones))
    return since, until, len(times)


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _times(workspace: Workspace, table: str, since: datetime | None, until: datetime) -> NDArray[np.int64]:
    """When each decision was, in microseconds since 1970; the one column that tells it is all that is read."""
    held = workspace.lake.scan(table, since=since, until=until, columns=(EVENT_TIME,))
    if held.num_columns == 0:
        return np.zeros(0, dtype=np.int64)
    found: NDArray[np.int64] = frame_of(held)[EVENT_TIME].to_physical().to_numpy()
    return found


def _pool(workspace: Workspace, contract: Contract, since: datetime, until: datetime, *, seed: int) -> _Pool:
    product = contract.product.name
    reading = live_reading(workspace, product)
    features = tuple(FEATURE + one for one in reading.features) if reading else ()
    needed = _needed(contract, reading)
    asked = tuple(one for one in needed if FEATURE + one not in features)
    wanted = (EVENT_TIME, *_TOLD, *features, *((_SENT,) if asked else ()))
    rows = frame_of(
        workspace.lake.scan(table_of(product, DECISIONS), since=since, until=until, columns=wanted)
    )
    rows = (
        rows.unique("decision_id", keep="first")
        .with_columns(pl.col("decision_id").hash(seed).alias("_drawn"))
        .sort("_drawn", "decision_id")
    )
    named = {one: one.removeprefix(FEATURE) for one in rows.columns if one.startswith(FEATURE)}
    columns = columns_of(rows.select(list(named)).rename(named))
    if _SENT in rows.columns:
        sent = rows.select(pl.col(_SENT).str.json_path_match(f"$['{one}']").alias(one) for one in asked)
        columns |= columns_of(
            sent.with_columns(pl.col(one).cast(pl.Float64, strict=False) for one in _numbers(contract, asked))
        )
    return _Pool(rows=rows, columns=columns, reading=reading)


def _needed(contract: Contract, reading: Reading | None) -> tuple[str, ...]:
    """The raw columns that the rule's costs and the team's own rules read."""
    rules = [one.rule for one in contract.baselines if one.rule]
    told = {name for rule in rules for name in parse(rule).columns}
    return tuple(sorted({*told, *(reading.rule.columns if reading else ())}))


def _numbers(contract: Contract, names: Collection[str]) -> list[str]:
    source = contract.data.decisions if contract.data else None
    kinds = {one.name: one.type for one in source.fields} if source else {}
    return [one for one in names if kinds.get(one) in {"number", "integer"}]


# Near the threshold.


def _near(contract: Contract, pool: _Pool) -> _Ranked:
    if pool.reading is None or len(pool) == 0 or not pool.reading.rule.task.has_classes:
        return []
    rule = pool.reading.rule
    probabilities = _probabilities(pool, rule)
    expected = _expected(rule, probabilities, pool)
    priced = expected is not None
    told = expected if expected is not None else -probabilities
    order = np.argsort(told, axis=1)
    best, next_ = (np.take_along_axis(told, order[:, [i]], axis=1)[:, 0] for i in (0, 1))
    total = np.abs(best) + np.abs(next_)
    margin = np.full(len(pool), np.nan)
    np.divide(next_ - best, total, out=margin, where=total > 0)
    near = np.flatnonzero(pool.own & (margin < NEAR))
    ranked = near[np.argsort(margin[near], kind="stable")].tolist()
    currency = contract.costs.currency if contract.costs else ""

    def words(place: int) -> str:
        first, second = (int(one) for one in order[place, :2])
        if not priced:
            shares = probabilities[place]
            return (
                f"{rule.classes[first]} and {rule.classes[second]} are nearly as likely:"
                f" {100 * shares[first]:.0f} % and {100 * shares[second]:.0f} %"
            )
        return (
            f"to {rule.actions[first]} is expected to cost {number(told[place, first], 3)} {currency},"
            f" to {rule.actions[second]} {number(told[place, second], 3)}"
        )

    return [(place, words(place)) for place in ranked[:A_DAY]]


def _probabilities(pool: _Pool, rule: DecisionRule) -> Floats:
    """Shape (rows, classes), NaN where no model answered."""
    kind = pl.Struct(dict.fromkeys(rule.classes, pl.Float64))
    told = pool.rows["probabilities"].str.json_decode(kind).struct.unnest()
    found: Floats = told.select(rule.classes).cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return found


def _expected(rule: DecisionRule, probabilities: Floats, pool: _Pool) -> Floats | None:
    """What each action is expected to cost, shape (rows, actions); None where a cost's column was not kept."""
    if not set(rule.columns) <= set(pool.columns):
        return None
    rows = len(pool)
    tensor = cost_tensor(
        rule.costs, actions=rule.actions, classes=rule.classes, columns=pool.columns, rows=rows
    )
    weighted = probabilities * weights_of_rows(rule, pool.columns, rows)
    weighted = weighted / weighted.sum(axis=1, keepdims=True)
    found: Floats = np.einsum("iay,iy->ia", np.broadcast_to(tensor, (rows, *tensor.shape[1:])), weighted)
    return found


# Another would decide otherwise.


def _disagreeing(
    workspace: Workspace, contract: Contract, pool: _Pool, since: datetime, until: datetime
) -> _Ranked:
    """Shadows first, then the rules that the team named."""
    if len(pool) == 0:
        return []
    ranked: _Ranked = []
    table = table_of(contract.product.name, SHADOWS)
    shadows = frame_of(
        workspace.lake.scan(table, since=since, until=until, columns=("decision_id", "action", "release"))
    )
    if shadows.height:
        said = shadows.unique("decision_id", keep="last").rename({"action": "_other", "release": "_by"})
        both = pool.rows.select("decision_id", "action").join(
            said, on="decision_id", how="left", maintain_order="left"
        )
        for place in np.flatnonzero((both["_other"] != both["action"]).fill_null(value=False).to_numpy()):
            other, by = both["_other"][int(place)], both["_by"][int(place)]
            ranked.append((int(place), f"the shadow release {short(by)} would {other}"))
    seen = {place for place, _ in ranked}
    for baseline in contract.baselines:
        ranked += [one for one in _against(baseline, pool) if one[0] not in seen]
        seen |= {place for place, _ in ranked}
    return ranked


def _against(baseline: Baseline, pool: _Pool) -> _Ranked:
    """Where a rule of the team would have taken another action."""
    actions = tuple(dict.fromkeys(pool.reading.rule.actions)) if pool.reading else ()
    if not baseline.rule or baseline.action not in actions or len(actions) != 2:
        return []
    if not set(parse(baseline.rule).columns) <= set(pool.columns):
        return []
    try:
        holds = truths(parse(baseline.rule).evaluate(pool.columns, rows=len(pool)))
    except ExpressionInvalid:
        return []
    other = next(one for one in actions if one != baseline.action)
    would = np.where(holds, baseline.action, other)
    otherwise = pool.own & (would != pool.rows["action"].to_numpy())
    name = baseline.name.replace("-", " ")
    return [
        (int(place), f"the team's rule “{name}” would {would[place]}") for place in np.flatnonzero(otherwise)
    ]


# Doubtful input.


def _doubtful(pool: _Pool) -> _Ranked:
    """Handed over, unlike all that was learned from, unusually incomplete: one of each in turn."""
    if len(pool) == 0:
        return []
    doubts = pool.rows["doubt"].fill_null("").to_list()
    handed: _Ranked = [(place, doubt) for place, doubt in enumerate(doubts) if doubt]
    strange = _strange(pool)
    most = sorted(strange, key=lambda place: -len(strange[place]))
    unusual: _Ranked = [(place, "; ".join(strange[place][:3])) for place in most if not doubts[place]]
    mixed: _Ranked = []
    for turn in range(min(A_DAY, max(len(handed), len(unusual)))):
        mixed += [*handed[turn : turn + 1], *unusual[turn : turn + 1]]
    return mixed


def _strange(pool: _Pool) -> Mapping[int, Sequence[str]]:
    """Of each row the values that the reference rows do not know, in words."""
    found: dict[int, list[str]] = {}
    reading = pool.reading
    if reading is None or reading.profile is None:
        return found
    numbers = {one.name: one for one in reading.profile.numbers}
    vocabularies = dict(reading.encoding.categories)
    profiled = [(one.name, one.nulls, one.rows) for one in reading.profile.numbers]
    profiled += [(one.name, one.nulls, one.rows) for one in reading.profile.categories]
    missing_in = {name: nulls / rows for name, nulls, rows in profiled if rows}
    for feature in reading.encoding.feature_set.features:
        name = FEATURE + feature.name
        if name not in pool.rows.columns:
            continue
        label, cells = reading.label(feature.name), pool.rows[name]
        marks: list[tuple[pl.Series, str]] = []
        if missing_in.get(feature.name, 1.0) < HARDLY_EVER:
            marks.append((cells.is_null(), f"{label} is missing, which it hardly ever was"))
        known = numbers.get(feature.name)
        if (
            known is not None
            and known.low is not None
            and known.high is not None
            and cells.dtype.is_numeric()
        ):
            marks.append((cells > known.high, f"{label} is higher than in all known cases"))
            marks.append((cells < known.low, f"{label} is lower than in all known cases"))
        elif feature.type is FeatureType.CATEGORY and feature.name in vocabularies:
            strange = ~cells.cast(pl.String).is_in(list(vocabularies[feature.name]))
            marks.append((strange, f"{label} is a value that nobody has seen"))
        for mask, words in marks:
            for place in np.flatnonzero(mask.fill_null(value=False).to_numpy()).tolist():
                found.setdefault(place, []).append(words)
    return found
