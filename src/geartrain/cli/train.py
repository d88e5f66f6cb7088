"""`geartrain train`: search for a model."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import (
    Moment,
    loaded,
    moment_of,
    now_option,
    opened,
    product_option,
    seed_option,
    workspace_option,
)
from geartrain.domain.digest import short


@click.command()
@workspace_option
@product_option
@click.option(
    "--trials", type=click.IntRange(min=1), default=None, help="Settings to try; default: the contract's."
)
@click.option("--since", type=Moment(), default=None, help="Learn from rows since this time.")
@click.option(
    "--meter",
    type=click.Choice(["ladder", "thresholdout"]),
    default=None,
    help="How the metered rows answer: only what beats the best so far (ladder, the default), or a"
    " figure with noise for each question (thresholdout, for large pools).",
)
@seed_option
@now_option
@answering
def train(
    workspace: Path | None,
    folder: Path,
    trials: int | None,
    since: datetime | None,
    meter: str | None,
    seed: int,
    now: datetime | None,
) -> Answer:
    """Search for a model on the free pool; every trial is written into the ledger.

    A run that was killed is gone on with where it was. What comes next is `compress`.
    """
    from geartrain.cli.working import begin, work
    from geartrain.engine.building import order
    from geartrain.engine.plans import TRAIN
    from geartrain.evaluation.lift import Tried

    product, space, moment = loaded(folder), opened(workspace), moment_of(now)
    begin(space, product, now=moment)
    document = work(
        workspace,
        space,
        product,
        TRAIN,
        lambda: order(product, now=moment, seed=seed, since=since, trials=trials, meter=meter),
    )
    return Answer(
        schema="train/1",
        ok=True,
        result={
            name: document[name]
            for name in ("product", "snapshot", "trial", "settings", "trials_recorded", "tried")
        },
        text=(
            f"trained on snapshot {short(document['snapshot'])}; the best of {len(document['trials_recorded'])}"
            f" recorded trials is {short(document['trial'])}\n{Tried(**document['tried']).sentence}"
            "\nnext: `geartrain compress`"
        ),
    )
