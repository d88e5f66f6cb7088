"""What the log of a live product says to the policy: its loss, the challenger's test, releases that stand by.

Nothing but the lake and the ledger is asked, as for the monitors. A challenger is judged by what its
shadow really answered beside the champion. A release that stands by answers nobody: what it
would have done is asked now, about the features that the champion's decisions were made from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from geartrain.domain.columns import microseconds, microseconds_of
from geartrain.domain.contract import Contract, MonitoringTerms, RetrainingTerms
from geartrain.domain.digest import short
from geartrain.domain.events import RetrainingStarted
from geartrain.domain.prediction import Floats
from geartrain.domain.wire import decode
from geartrain.engine.arms import costs_of
from geartrain.engine.bundles import load_bundle
from geartrain.engine.decided import (
    KEY,
    KNOWN_AT,
    TRUTH,
    acted_of,
    decisions_of,
    features_of,
    rows_as_decided,
    truth_of,
    with_truth,
)
from geartrain.engine.live_evidence import said_of
from geartrain.engine.logbook import SHADOWS
from geartrain.engine.products import Product
from geartrain.engine.releasing import releases
from geartrain.engine.runs import run_of_release
from geartrain.engine.workspace import Workspace
from geartrain.errors import GeartrainError
from geartrain.features.encoding import encode
from geartrain.ports.lake import ARRIVAL_TIME, EVENT_TIME
from geartrain.release.bundle_nouns import Loaded
from geartrain.release.conditions import may_come_back
from geartrain.release.state import IN_ROLLOUT, Reign, ReleaseRecord, ReleaseState
from geartrain.retraining.course import (
    FEWEST_ROWS,
    HORIZON_DAYS,
    Contest,
    Lately,
    RollBack,
    margin_of,
    way_back,
    yardstick,
)
from geartrain.retraining.policy import Gap, Occasion, gap_of
from geartrain.retraining.window import Incumbent
from geartrain.stats.deciding import decide
from geartrain.stats.onnx_model import OnnxModel

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is known about the champion's rivals, and about what it costs.

    Attributes:
        gap: What the champion costs more than it did; None where too few labels tell.
        incumbent: What its own decisions cost; None where no truth is known.
        challenger: A retrained release in shadow or canary, and its test; None without one.
        back: A release that stands by and is proven cheaper, if one is.
        asked: The releases that stand by and were asked.
        missing: What could not be asked, in plain sentences.
    """

    champion: str | None = None
    gap: Gap | None = None
    incumbent: Incumbent | None = None
    challenger: str | None = None
    contest: Contest | None = None
    back: RollBack | None = None
    asked: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """The live release and what the log says of it, read once for all who ask.

    Attributes:
        log: Its decisions, and *known* the same with what is known of their truth.
        mine: What those cost whose truth is known.
        reference: The costs that it is watched by.
    """

    reign: Reign
    loaded: Loaded
    log: pl.DataFrame
    known: pl.DataFrame
    mine: Known
    reference: Floats


def standing_of(
    workspace: Workspace, contract: Contract, state: ReleaseState, *, now: datetime
) -> Standing | None:
    """Read the log of the release that is live; None where none is.

    Raises:
        BundleTampered: The live release is not what was signed.
    """
    reign = next((one for one in reversed(state.reigns) if one.until is None), None)
    if reign is None:
        return None
    product = contract.product.name
    loaded = load_bundle(workspace, reign.release)
    log = decisions_of(workspace, product, now=now, release=reign.release)
    known = with_truth(workspace, contract, log, now=now)
    return Standing(
        reign=reign,
        loaded=loaded,
        log=log,
        known=known,
        mine=known_costs(workspace, contract, loaded, known, now=now)
        if known.height
        else Known.nothing(known),
        reference=reference_costs(workspace, product, state),
    )


def course_of(
    workspace: Workspace, product: Product, *, now: datetime, standing: Standing | None = None
) -> Course:
    """Ask the log at *now*; the same log gives the same answer, however often one asks.

    *standing* is what was read of the live release at the same time; it is read again where another is live by now.

    Raises:
        BundleTampered: The live release is not what was signed.
    """
    contract = product.contract
    state = releases(workspace, product.name)
    if standing is None or standing.reign.release != state.champion:
        standing = standing_of(workspace, contract, state, now=now)
    if standing is None:
        return Course()
    reign, known, mine, reference = standing.reign, standing.known, standing.mine, standing.reference
    if known.height == 0:
        return Course(champion=reign.release)
    lately = max(reign.since, known[EVENT_TIME][-1] - timedelta(days=HORIZON_DAYS))
    per_day = decisions_a_day(known.filter(pl.col(EVENT_TIME) >= lately), since=lately)
    terms = contract.monitoring or MonitoringTerms()
    recent = mine.costs[mine.at_us > microseconds(now - timedelta(seconds=terms.window_s))]
    horizon = max(FEWEST_ROWS, int(HORIZON_DAYS * per_day))
    last = mine.last(horizon)
    beside = {reign.release: last.costs}
    missing: list[str] = []
    for name in stand_by(state, contract):
        told = _would_have_cost(workspace, contract, name, last, now=now)
        if isinstance(told, str):
            missing.append(f"{short(name)} stands by and is not asked: {told}")
        else:
            beside[name] = told
    asked = tuple(name for name in beside if name != reign.release)
    challenger, contest = _contest(workspace, product, state, mine, reference, horizon, now=now)
    return Course(
        champion=reign.release,
        gap=gap_of(recent, reference, decisions_per_day=per_day),
        incumbent=Incumbent(
            since=reign.since,
            at_us=microseconds_of(mine.rows[EVENT_TIME]).to_numpy().astype(np.int64),
            costs=mine.costs,
        ),
        challenger=challenger,
        contest=contest,
        back=way_back(Lately(keep=horizon).took(beside), reign.release, asked, reference=reference)
        if asked
        else None,
        asked=asked,
        missing=tuple(missing),
    )


# What decisions cost.


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """Decisions whose truth is known, in the order in which it became known.

    Attributes:
        rows: Of the log, *n* of them.
        costs: What each cost; NaN where the label is no class, shape (n,).
        at_us: When its truth became known, shape (n,).
    """

    rows: pl.DataFrame
    costs: Floats
    at_us: np.ndarray

    @classmethod
    def nothing(cls, rows: pl.DataFrame) -> Known:
        """Of a log without rows."""
        return cls(rows=rows, costs=np.zeros(0), at_us=np.zeros(0, dtype=np.int64))

    def last(self, count: int) -> Known:
        """The last *count* of them."""
        return Known(rows=self.rows.tail(count), costs=self.costs[-count:], at_us=self.at_us[-count:])


def known_costs(
    workspace: Workspace, contract: Contract, loaded: Loaded, known: pl.DataFrame, *, now: datetime
) -> Known:
    """What the decisions in *known* cost whose truth is known by now."""
    rows = known.filter(pl.col(TRUTH).is_not_null()).sort(KNOWN_AT, maintain_order=True)
    columns = rows_as_decided(workspace, contract, rows, now=now)
    rule = loaded.rule
    costs = costs_of(loaded, acted_of(rule, rows), said_of(rule, rows)[:, -1], truth_of(rule, rows), columns)
    return Known(rows=rows, costs=costs, at_us=microseconds_of(rows[KNOWN_AT]).to_numpy().astype(np.int64))


def decisions_a_day(known: pl.DataFrame, *, since: datetime) -> float:
    """How many decisions a day the log holds since then; at least one."""
    last: datetime = known[EVENT_TIME][-1] if known.height else since
    return max(1.0, known.height / max(1.0, (last - since) / _DAY))


def reference_costs(workspace: Workspace, product: str, state: ReleaseState) -> Floats:
    """The costs that the champion is watched by: its own on sealed rows, or stricter ones of a champion before it.

    A release that came back by a rollback is watched by its own. Costs under another contract are
    not compared. Empty where the champion was made elsewhere.
    """
    found, contract = np.zeros(0), ""
    seen: set[str] = set()
    for reign in state.reigns:
        own = own_costs(workspace, product, reign.release)
        record = state.record(reign.release)
        under = record.release.contract if record is not None else ""
        found = own if reign.release in seen or under != contract else yardstick(own, found)
        contract = under
        seen.add(reign.release)
    return found


def own_costs(workspace: Workspace, product: str, release: str) -> Floats:
    """What the release's decisions cost on its sealed rows, shape (n,); empty where it was made elsewhere."""
    document = run_of_release(workspace.root, product, release)
    if document is None:
        return np.zeros(0)
    return np.array(decode(workspace.blobs.get(document["costs"]), tuple[float, ...]), dtype=np.float64)


# Releases that stand by.


def stand_by(state: ReleaseState, contract: Contract) -> tuple[str, ...]:
    """The releases beside which the champion is measured: the one that it replaced, and the last that people made.

    One that was rolled back, or was signed under another contract, stands by no more. After
    a rollback only people's release does.
    """
    champion = state.record(state.champion) if state.champion else None
    if champion is None:
        return ()
    former = [one.release for one in state.reigns if one.release != champion.id]
    by_people = [name for name in former if (one := state.record(name)) is not None and not one.retrained]
    wanted = [*by_people[-1:]] if state.came_back else [*former[-1:], *by_people[-1:]]
    return tuple(name for name in dict.fromkeys(wanted) if may_come_back(state, contract, name))


def _would_have_cost(
    workspace: Workspace, contract: Contract, name: str, known: Known, *, now: datetime
) -> Floats | str:
    """What *name*'s decisions about the same rows would have cost, or why that is not known."""
    try:
        loaded = load_bundle(workspace, name)
        matrix = encode(loaded.encoding, features_of(known.rows))
    except GeartrainError as error:
        return error.message
    predictions = OnnxModel(loaded.onnx).predict(matrix)
    columns = rows_as_decided(workspace, contract, known.rows, now=now)
    values = predictions.values[:, -1]
    actions = (
        decide(loaded.rule, predictions, columns).actions
        if loaded.rule.task.has_classes
        else np.zeros(len(values), dtype=np.int64)
    )
    return costs_of(loaded, actions, values, truth_of(loaded.rule, known.rows), columns)


# The challenger.


def _contest(
    workspace: Workspace,
    product: Product,
    state: ReleaseState,
    mine: Known,
    reference: Floats,
    horizon: int,
    *,
    now: datetime,
) -> tuple[str | None, Contest | None]:
    """The retrained release in shadow or canary and its test on the rows that both answered; None without one."""
    record = state.record(state.challenger) if state.challenger else None
    if record is None or not record.retrained or record.stage not in IN_ROLLOUT:
        return None, None
    terms = product.contract.retraining or RetrainingTerms()
    contest = Contest.begin(
        reference,
        horizon_rows=horizon,
        margin=margin_of(terms, occasion_of(workspace, product.name, record)),
    )
    log = decisions_of(workspace, product.name, now=now, release=record.id, log=SHADOWS)
    log = log.filter(pl.col(ARRIVAL_TIME) >= record.proposed_at) if log.height else log
    if log.height == 0:
        return record.id, contest
    theirs = known_costs(
        workspace,
        product.contract,
        load_bundle(workspace, record.id),
        with_truth(workspace, product.contract, log, now=now),
        now=now,
    )
    costs = theirs.rows.select(pl.col(KEY), pl.Series("_theirs", theirs.costs)).unique(KEY, keep="first")
    ours = mine.rows.select(pl.col(KEY), pl.Series("_ours", mine.costs)).unique(KEY, keep="first")
    both = ours.join(costs, on=KEY, how="inner", maintain_order="left")
    return record.id, contest.took(champion=both["_ours"].to_numpy(), other=both["_theirs"].to_numpy())


def occasion_of(workspace: Workspace, product: str, record: ReleaseRecord) -> Occasion:
    """What asked for the retraining that made *record*'s release; an alarm where nobody can tell."""
    for recorded in reversed(workspace.history(product)):
        if isinstance(recorded.event, RetrainingStarted) and recorded.at <= record.proposed_at:
            return next(_occasions(recorded.event.trigger), Occasion.ALARM)
    return Occasion.ALARM


def _occasions(trigger: str) -> Iterator[Occasion]:
    return (one for one in Occasion if trigger.startswith(f"{one.value}:"))
