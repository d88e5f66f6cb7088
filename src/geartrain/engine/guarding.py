"""What must not go on is stopped: a rollout is aborted, a live release is taken back, with the reason in the ledger.

Three things count. A clause that the contract names in `abort_on` is broken by a statement that holds
however often one looks. Or the release's model fails (it raises, or answers with no number) on a larger
share of its decisions than the one it stands beside or came after; that needs no clause. Or a canary that a
machine made is proven to decide dearer on its keys than the champion on the others.

The machine takes one step back and no second one: a release that came back is left to people.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from geartrain.domain.clause import Stage
from geartrain.domain.contract import Contract
from geartrain.domain.digest import short
from geartrain.domain.events import FindingsRecorded
from geartrain.domain.finding import Finding, Measurement, Status
from geartrain.domain.release import ReleaseStage
from geartrain.engine import releasing
from geartrain.engine.answered_live import judged_at_once, meant_for
from geartrain.engine.bundles import load_bundle
from geartrain.engine.canary_live import Arms, compare_arms, may_stop, note_arms
from geartrain.engine.clause_alarms import SECTIONS
from geartrain.engine.decided import decisions_of, features_of, rows_as_decided, with_truth
from geartrain.engine.live_course import Standing
from geartrain.engine.live_evidence import MAY_LOOK, epoch_of, judged_live
from geartrain.engine.logbook import DECISIONS, SHADOWS
from geartrain.engine.plausible_live import block_of, live_plausibility
from geartrain.engine.workspace import Workspace
from geartrain.errors import BundleTampered
from geartrain.ports.lake import ARRIVAL_TIME
from geartrain.release import rollout
from geartrain.release.answers import Accepted, Answer, Refusal
from geartrain.release.conditions import contract_moved, may_come_back
from geartrain.release.state import IN_ROLLOUT, ReleaseRecord, ReleaseState
from geartrain.stats.bounded import over_time


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """What was stopped, and what should have been but could not, in sentences.

    Attributes:
        findings: What was found about the release in shadow or canary; empty where there is none.
        arms: What decisions cost on the canary's keys and on the champion's; None without a canary.
    """

    stopped: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    arms: Arms | None = None


def guard(
    workspace: Workspace, contract: Contract, live: tuple[Finding, ...], *, standing: Standing, now: datetime
) -> Guarded:
    """Judge the release in shadow or canary, and stop what must not go on.

    *live* are the findings about the champion, and *standing* is what was read of it. Terms that are not the adopted
    contract's stop nothing.
    """
    state = releasing.releases(workspace, contract.product.name)
    beside = state.record(state.challenger) if state.challenger else None
    found: tuple[Finding, ...] = ()
    arms: Arms | None = None
    release, stopped, left = standing.reign.release, [], []
    if beside is not None and beside.stage in IN_ROLLOUT:
        stage = Stage.SHADOW if beside.stage is ReleaseStage.SHADOW else Stage.CANARY
        try:
            found = _judged(workspace, contract, beside, stage=stage, now=now)
            arms = compare_arms(workspace, contract, beside, standing, now=now)
        except BundleTampered as error:
            left.append(f"{short(beside.id)} is in {stage} and is not judged: {error.message}")
        if found:
            record_changed(workspace, contract, beside.id, stage, found, now=now)
    note_arms(workspace, contract.product.name, arms)
    if contract_moved(state, contract, None):
        return Guarded(findings=found, left=tuple(left), arms=arms)
    if beside is not None and beside.stage in IN_ROLLOUT:
        why = _why(contract, found) or _fails_beside(workspace, state, beside, contract, now=now)
        if not why and arms is not None and arms.split is not None and arms.split.is_dearer:
            dearer = f"it decides dearer than the champion: {arms.reason} [{MAY_LOOK}]"
            if may_stop(contract, beside):
                why = dearer
            else:
                left.append(f"{short(beside.id)} stays in its canary, which people began, although {dearer}")
        if why and _aborted(workspace, contract, beside.id, why, now=now):
            stopped.append(f"the rollout of {short(beside.id)} was aborted: {why}")
    target = way_back(state, contract)
    why = _why(contract, live) or _fails_since(workspace, state, contract, target, now=now)
    if why:
        hindrance = _hindrance(state, target)
        if hindrance or target is None:
            left.append(f"{short(release)} stays live although {why}: {hindrance}")
        elif _taken_back(workspace, contract, release, target, why, now=now):
            stopped.append(f"{short(release)} was rolled back to {short(target)}: {why}")
    return Guarded(stopped=tuple(stopped), left=tuple(left), findings=found, arms=arms)


def breaking(contract: Contract, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Those of *findings* that break a clause of `abort_on`, about the release itself, for any number of looks."""
    aborting = contract.release.abort_on if contract.release else ()
    sections = {one.path: one.section for one in contract.clauses}
    return tuple(
        one
        for one in findings
        if one.clause in aborting
        and sections.get(one.clause) in SECTIONS
        and one.status is Status.BROKEN
        and one.holds_at_all_times
    )


def way_back(state: ReleaseState, contract: Contract) -> str | None:
    """The last release before the champion that may come back unasked, or None.

    It was not rolled back, was signed under the adopted contract and is not known to break a clause of `abort_on`.
    """
    for reign in reversed(state.reigns):
        if reign.release == state.champion or not may_come_back(state, contract, reign.release):
            continue
        if not breaking(contract, state.findings(reign.release, Stage.LIVE)):
            return reign.release
    return None


def record_changed(
    workspace: Workspace,
    contract: Contract,
    release: str,
    stage: Stage,
    findings: tuple[Finding, ...],
    *,
    now: datetime,
) -> None:
    """Write findings down when an answer changed; the same answers again tell nothing new."""
    product = contract.product.name
    before = releasing.releases(workspace, product).findings(release, stage)
    if [(one.clause, one.status) for one in before] == [(one.clause, one.status) for one in findings]:
        return
    event = FindingsRecorded(
        product=product, stage=stage, subject=release, contract=contract.id, findings=findings
    )
    workspace.record(product, [event], now=now)


def _judged(
    workspace: Workspace, contract: Contract, record: ReleaseRecord, *, stage: Stage, now: datetime
) -> tuple[Finding, ...]:
    """The clauses of *stage* on the release's own decisions since it was proposed, as the live ones are judged."""
    loaded = load_bundle(workspace, record.id)
    product = contract.product.name
    log = decisions_of(workspace, product, now=now, release=record.id, log=_log_of(record))
    log = log.filter(pl.col(ARRIVAL_TIME) >= record.proposed_at) if log.height else log
    known = with_truth(workspace, contract, log, now=now)
    at_once = judged_at_once(
        workspace,
        contract,
        loaded.rule,
        log,
        release=record.id,
        since=record.proposed_at,
        table=_log_of(record),
        now=now,
        stage=stage,
    )
    done = {one.clause for one in at_once}
    found = at_once + judged_live(workspace, contract, loaded.rule, known, now=now, stage=stage, without=done)
    if known.height == 0:
        return found
    block = block_of(known.height)
    asked = known[block.first : block.last]
    columns = rows_as_decided(workspace, contract, asked, now=now)
    return found + live_plausibility(
        contract, loaded, features_of(asked), columns, now=now, block=block, stage=stage
    )


def _log_of(record: ReleaseRecord) -> str:
    return SHADOWS if record.stage is ReleaseStage.SHADOW else DECISIONS


def _why(contract: Contract, findings: tuple[Finding, ...]) -> str:
    return "; ".join(f"{one.clause} is broken: {one.message}" for one in breaking(contract, findings))


# Failing models.


def _fails_beside(
    workspace: Workspace, state: ReleaseState, beside: ReleaseRecord, contract: Contract, *, now: datetime
) -> str:
    """Why the release in the rollout fails more often than the champion on the traffic of the same days; or empty."""
    assert state.champion is not None
    product, since = contract.product.name, beside.proposed_at
    mine = _failing(workspace, product, beside.id, log=_log_of(beside), now=now, since=since)
    theirs = _failing(workspace, product, state.champion, log=DECISIONS, now=now, since=since)
    return _more(mine, theirs, state.champion)


def _fails_since(
    workspace: Workspace, state: ReleaseState, contract: Contract, target: str | None, *, now: datetime
) -> str:
    """Why the champion fails more often than the release did to which one would go back; or empty."""
    if target is None or state.champion is None:
        return ""
    product, since = contract.product.name, state.reigns[-1].since
    mine = _failing(workspace, product, state.champion, log=DECISIONS, now=now, since=since)
    return _more(mine, _failing(workspace, product, target, log=DECISIONS, now=since), target)


def _failing(
    workspace: Workspace,
    product: str,
    release: str,
    *,
    log: str,
    now: datetime,
    since: datetime | None = None,
) -> Measurement | None:
    """The share of the decisions in which *release*'s model gave no answer, for any number of looks; None without any.

    Where another release stepped in, the decision is that one's and its doubt says for whom.
    """
    mine = meant_for(workspace, product, release, table=log, since=since, now=now)
    if mine.height == 0:
        return None
    epoch = epoch_of(mine.height)
    silent = pl.col("fallback") & (pl.col("probabilities") == "{}")
    failed = mine[epoch.first :].select((pl.col("stood_in") | silent).cast(pl.Float64).alias("failed"))[
        "failed"
    ]
    # Two shares are compared: each gets half of alpha.
    return over_time(failed.to_numpy(), confidence=1 - (1 - epoch.confidence) / 2)


def _more(one: Measurement | None, other: Measurement | None, release: str) -> str:
    if one is None or other is None or one.low <= other.high:
        return ""
    told, theirs = (
        f"{100 * seen.value:.3g} % ({100 * seen.low:.3g} to {100 * seen.high:.3g}) of {seen.rows:,} decisions"
        for seen in (one, other)
    )
    return f"its model failed on {told}, that of {short(release)} on {theirs} [{MAY_LOOK}]"


# Acts.


def _hindrance(state: ReleaseState, target: str | None) -> str:
    """Why the machine leaves it to people; empty where it may act."""
    if state.came_back:
        return "it came back by a rollback itself, and a second step is for people to take"
    if target is None:
        return "there is no earlier release that may come back unasked"
    return ""


def _aborted(workspace: Workspace, contract: Contract, release: str, why: str, *, now: datetime) -> bool:
    def command(state: ReleaseState) -> Answer:
        record = state.record(release)
        if record is None or record.stage not in IN_ROLLOUT:
            return Accepted(events=(), notes=("somebody moved it meanwhile",))
        return rollout.abort(state, contract, release=release, reason=why)

    return _done(releasing.carry_out(workspace, contract.product.name, command, now=now))


def _taken_back(
    workspace: Workspace, contract: Contract, release: str, target: str, why: str, *, now: datetime
) -> bool:
    def command(state: ReleaseState) -> Answer:
        # Whoever went live meanwhile is not to blame.
        if state.champion != release:
            return Accepted(events=(), notes=("another release is live by now",))
        return rollout.roll_back(state, contract, now=now, reason=why, to=target)

    return _done(releasing.carry_out(workspace, contract.product.name, command, now=now))


def _done(answer: Answer) -> bool:
    return not isinstance(answer, Refusal) and bool(answer.events)
