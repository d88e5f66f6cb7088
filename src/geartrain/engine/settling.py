"""Acting on what the log says: go back, end a challenge, move a proven challenger on.

The policy is that of a replay (`retraining.course.next_move`); here people sign. What they have
not signed stays where it is, and the answer says who has to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from geartrain.domain.contract import Contract, RetrainingAction
from geartrain.domain.digest import short
from geartrain.domain.events import ChallengeDecided
from geartrain.engine import releasing
from geartrain.engine.live_course import Course
from geartrain.engine.products import Product
from geartrain.engine.watching import close_with_release, open_incidents
from geartrain.engine.workspace import Workspace
from geartrain.release.answers import Answer, Refusal
from geartrain.release.conditions import bakes_until, next_step, stage_of
from geartrain.release.state import ReleaseState
from geartrain.retraining.challenge import decided
from geartrain.retraining.course import Drop, Promote, RollBack


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What was done about a rival of the champion, and whether it could be.

    Attributes:
        done: One of `rolled back`, `moved on`, `promoted`, `dropped`; empty where nothing could be done.
    """

    done: str
    release: str
    reason: str


def may_go_back(state: ReleaseState, contract: Contract) -> bool:
    """Whether a machine may take the champion back: where it may promote one, and has not just gone back already."""
    terms = contract.retraining
    return terms is not None and terms.action is RetrainingAction.PROMOTE and not state.came_back


def settle(
    workspace: Workspace,
    product: Product,
    course: Course,
    move: RollBack | Promote | Drop,
    *,
    now: datetime,
) -> Settled:
    """Do what *move* says; done twice, it is done once."""
    match move:
        case RollBack(release=release, ruling=found):
            reason = f"an earlier release decides cheaper: {found.reason}"
            answer = releasing.roll_back(workspace, product.contract, reason=reason, now=now, to=release)
            return _settled("rolled back", release, reason, answer)
        case Drop(ruling=found):
            release = _decided(workspace, product, course, now=now)
            answer = releasing.abort(
                workspace, product.contract, release=release, reason=found.reason, now=now
            )
            return _settled("dropped", release, found.reason, answer)
        case Promote(ruling=found):
            release = _decided(workspace, product, course, now=now)
            return _moved_on(workspace, product, release, found.reason, now=now)
        case _:
            assert_never(move)


def _settled(done: str, release: str, reason: str, answer: Answer) -> Settled:
    if isinstance(answer, Refusal):
        return Settled(done="", release=release, reason=f"{reason}; not {done}: {answer.reason}")
    return Settled(done=done, release=release, reason=reason)


def _decided(workspace: Workspace, product: Product, course: Course, *, now: datetime) -> str:
    """The challenger; the end of its test is written down, once."""
    assert course.challenger is not None and course.contest is not None and course.champion is not None
    known = any(
        isinstance(one.event, ChallengeDecided)
        and (one.event.champion, one.event.challenger) == (course.champion, course.challenger)
        for one in workspace.history(product.name)
    )
    event = decided(
        course.contest.terms,
        course.contest.seen,
        product=product.name,
        champion=course.champion,
        challenger=course.challenger,
    )
    if event is not None and not known:
        workspace.record(product.name, [event], now=now)
    return course.challenger


def _moved_on(workspace: Workspace, product: Product, release: str, reason: str, *, now: datetime) -> Settled:
    """One step of the rollout, as far as the contract lets a machine, and once the last one has baked."""
    contract = product.contract
    record = releasing.releases(workspace, product.name).record(release)
    assert record is not None
    if contract.retraining is None or contract.retraining.action is not RetrainingAction.PROMOTE:
        return Settled(done="", release=release, reason=f"{reason}; people take it on")
    baking = bakes_until(contract, record)
    if baking is not None and now < baking:
        return Settled(
            done="", release=release, reason=f"{reason}; it bakes until {baking:%Y-%m-%d %H:%M} UTC"
        )
    step = next_step(contract, record)
    if step is not None:
        answer = releasing.enter(
            workspace,
            contract,
            release=release,
            stage=stage_of(step.kind),
            share=step.share,
            now=now,
            reason=reason,
        )
        return _settled("moved on", release, reason, answer)
    answer = releasing.promote(workspace, contract, release=release, now=now, reason=reason)
    if releasing.accepted(answer):
        closing = close_with_release(open_incidents(workspace, product.name), release)
        if closing:
            workspace.record(product.name, closing, now=now)
    return _settled("promoted", release, reason, answer)


def in_words(settled: Settled) -> str:
    """What was done, in one sentence."""
    name = short(settled.release)
    match settled.done:
        case "rolled back":
            return f"back to {name}: {settled.reason}"
        case "":
            return f"{name} stays where it is: {settled.reason}"
        case done:
            return f"{name} {'was ' if done != 'moved on' else ''}{done}: {settled.reason}"
