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

if TYPE_CHECKING:
    from geartrain.engine.products import Product
    from geartrain.engine.workspace import Workspace


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
    """Train again where an alarm or the calendar asks for it and nothing forbids it.

    The new release is proposed, or decides in shadow, as the contract says. A refusal is
    exit code 1 and stands in the ledger.
    """
    from geartrain.cli.working import begin, work
    from geartrain.engine.plans import BUILD
    from geartrain.engine.retraining_live import ask, ordered, person_asking, refuse
    from geartrain.engine.runs import begun_run
    from geartrain.errors import PoolClosed, TrainingImpossible
    from geartrain.retraining.policy import Refusal

    product, space, moment = loaded(folder), opened(workspace), moment_of(now)
    begin(space, product, now=moment)
    cut_off = begun_run(space.root, product.name, BUILD)
    if cut_off is not None:
        # The retraining was asked for and began; the question is not asked twice.
        document = work(workspace, space, product, BUILD, lambda: cut_off[1])
        return _built(space, product, document, "a retraining that had been cut off is done", now=moment)
    asking = person if force else person_asking(space, product.name)
    asked = ask(space, product, now=moment, person=asking)
    trigger = asked.answer
    if trigger is None:
        text = "nothing asks for a retraining; `--force` asks for one"
        return Answer(schema="retrain/1", ok=True, result={"retrained": False, "reason": text}, text=text)
    if isinstance(trigger, Refusal):
        return _refused(trigger.reason, trigger.reasons)

    def ordering() -> dict[str, Any]:
        return ordered(space, product, asked, trigger, now=moment, seed=seed, trials=trials)

    try:
        document = work(workspace, space, product, BUILD, ordering)
    except (TrainingImpossible, PoolClosed) as error:
        refuse(space, product, asked.champion, error.message, now=moment)
        return _refused(f"refused: {error.message}", (error.message,))
    return _built(space, product, document, f"{trigger.occasion}: {trigger.reason}", now=moment)


def _built(
    space: Workspace, product: Product, document: dict[str, Any], reason: str, *, now: datetime
) -> Answer:
    """What came out, and how far the contract lets it go by itself."""
    from geartrain.cli.evaluate import told_release
    from geartrain.engine.retraining_live import move_on
    from geartrain.release.answers import Refusal

    release = str(document["release"])
    told = told_release(space, product, release, now=now)
    moved = move_on(space, product, release, now=now)
    lines = [reason]
    if isinstance(moved, Refusal):
        lines.append(f"not in shadow: {moved.reason}")
    elif moved is not None:
        lines.append(f"{short(release)} decides in shadow")
    return Answer(
        schema="retrain/1",
        ok=told.ok,
        result={
            "retrained": True,
            "reason": reason,
            "shadow": moved is not None and not isinstance(moved, Refusal),
            **told.result,
        },
        text="\n".join([*lines, told.text]),
    )


def _refused(text: str, reasons: tuple[str, ...]) -> Answer:
    return Answer(schema="retrain/1", ok=False, result={"retrained": False, "refused": reasons}, text=text)
