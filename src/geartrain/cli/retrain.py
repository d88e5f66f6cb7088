"""`geartrain retrain`: answer an alarm or the calendar with a new candidate, or refuse with the reason."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import (
    loaded,
    moment_of,
    now_option,
    opened,
    product_option,
    seed_option,
    workspace_option,
)
from geartrain.domain.digest import short
from geartrain.domain.release import ReleaseStage

if TYPE_CHECKING:
    from geartrain.cli.working import Ordering
    from geartrain.engine.live_course import Course
    from geartrain.engine.products import Product
    from geartrain.engine.settling import Settled
    from geartrain.engine.workspace import Workspace
    from geartrain.errors import GeartrainError


@click.command()
@workspace_option
@product_option
@click.option("--force", is_flag=True, help="Ask for it now; what the contract refuses is still refused.")
@click.option("--as", "person", default="a person", help="Who asks, with --force.")
@click.option(
    "--trials", type=click.IntRange(min=1), default=None, help="Settings to try; default: the contract's."
)
@seed_option
@now_option
@answering
def retrain(
    workspace: Path | None,
    folder: Path,
    force: bool,  # noqa: FBT001 - click passes flags by name
    person: str,
    trials: int | None,
    seed: int,
    now: datetime | None,
) -> Answer:
    """Do the next thing that the evidence asks for: go back, end a challenge, or train again.

    Trained is where an alarm, the cost or the calendar asks for it and nothing forbids it. The new
    release is proposed, or decides in shadow, as the contract says. While it does, its test against
    the champion is looked at instead. A refusal is exit code 1 and stands in the ledger.
    """
    from geartrain.cli.working import begin
    from geartrain.engine.live_course import course_of
    from geartrain.engine.plans import BUILD
    from geartrain.engine.releasing import releases
    from geartrain.engine.retraining_live import ask, ordered, person_asking
    from geartrain.engine.runs import begun_run
    from geartrain.engine.settling import may_go_back, settle
    from geartrain.retraining.course import next_move
    from geartrain.retraining.policy import Occasion, Refusal, Trigger

    product, space, moment = loaded(folder), opened(workspace), moment_of(now)
    begin(space, product, now=moment)
    cut_off = begun_run(space.root, product.name, BUILD)
    if cut_off is not None:
        # The retraining was asked for and began; the question is not asked twice.
        told = "a retraining that had been cut off is done"
        return _retrained(workspace, space, product, lambda: cut_off[1], "", told, now=moment)
    course = course_of(space, product, now=moment)
    asking = person if force else person_asking(space, product.name)

    def question() -> Trigger | Refusal | None:
        return ask(space, product, now=moment, person=asking, course=course, seed=seed)

    back = course.back if may_go_back(releases(space, product.name), product.contract) else None
    move = next_move(course.contest, back, question)
    match move:
        case None:
            return _nothing(course)
        case Refusal():
            return _refused(move.reason, move.reasons)
        case Trigger():

            def ordering() -> dict[str, Any]:
                return ordered(
                    space,
                    product,
                    course.champion,
                    move,
                    incumbent=None if asking is not None else course.incumbent,
                    now=moment,
                    seed=seed,
                    trials=trials,
                )

            asked = move.occasion is Occasion.PERSON
            reason = move.reason if asked else f"{move.occasion}: {move.reason}"
            return _retrained(workspace, space, product, ordering, course.champion or "", reason, now=moment)
        case _:
            return _settled(settle(space, product, course, move, now=moment))


def _nothing(course: Course) -> Answer:
    if course.contest is not None and course.challenger is not None:
        text = f"{short(course.challenger)} is tested beside the champion: {course.contest.ruling.reason}"
    else:
        text = "nothing asks for a retraining; `--force` asks for one"
    return Answer(schema="retrain/1", ok=True, result={"retrained": False, "reason": text}, text=text)


def _settled(settled: Settled) -> Answer:
    """A rival of the champion was proven better, or not: no new one is trained before that is dealt with."""
    from geartrain.engine.settling import in_words

    return Answer(
        schema="retrain/1",
        ok=bool(settled.done),
        result={
            "retrained": False,
            "done": settled.done,
            "release": settled.release,
            "reason": settled.reason,
        },
        text=in_words(settled),
    )


def _retrained(
    workspace: Path | None,
    space: Workspace,
    product: Product,
    ordering: Ordering,
    champion: str,
    reason: str,
    *,
    now: datetime,
) -> Answer:
    """Train, judge, propose, and go into shadow; a process that is killed on the way goes on with it."""
    from geartrain.cli.evaluate import told_release
    from geartrain.cli.working import work
    from geartrain.engine.plans import BUILD
    from geartrain.engine.retraining_live import began, move_on, refuse
    from geartrain.errors import PoolClosed, TrainingImpossible
    from geartrain.release.answers import Answer as Moved
    from geartrain.release.answers import Refusal

    moves: list[Moved | None] = []

    def failed(error: GeartrainError) -> None:
        if isinstance(error, TrainingImpossible | PoolClosed):
            refuse(space, product, champion, error.message, now=now)

    try:
        document = work(
            workspace,
            space,
            product,
            BUILD,
            ordering,
            begun=lambda order: began(space, product, order),
            ended=lambda done: moves.append(move_on(space, product, str(done["release"]), now=now)),
            failed=failed,
        )
    except (TrainingImpossible, PoolClosed) as error:
        return _refused(f"refused: {error.message}", (error.message,))
    release = str(document["release"])
    told = told_release(space, product, release, now=now)
    record = space.releases(product.name).record(release)
    shadow = record is not None and record.stage is ReleaseStage.SHADOW
    lines = [reason]
    lines += [f"not in shadow: {one.reason}" for one in moves if isinstance(one, Refusal)]
    if shadow:
        lines.append(f"{short(release)} decides in shadow")
    return Answer(
        schema="retrain/1",
        ok=told.ok,
        result={"retrained": True, "reason": reason, "shadow": shadow, **told.result},
        text="\n".join([*lines, told.text]),
    )


def _refused(text: str, reasons: tuple[str, ...]) -> Answer:
    return Answer(schema="retrain/1", ok=False, result={"retrained": False, "refused": reasons}, text=text)
