"""`geartrain compress`: shrink the model until it fits the budget."""

from __future__ import annotations

from pathlib import Path

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import loaded, opened, product_option, workspace_option


@click.command()
@workspace_option
@product_option
@answering
def compress(workspace: Path | None, folder: Path) -> Answer:
    """Make smaller variants of the trained model, judge each on every clause, and choose one."""
    from geartrain.cli.working import work
    from geartrain.engine.plans import COMPRESS, TRAIN
    from geartrain.engine.runs import latest_run
    from geartrain.engine.shaping import choice_of

    product, space = loaded(folder), opened(workspace)
    trained = latest_run(space.root, product.name, TRAIN)
    document = work(workspace, space, product, COMPRESS, lambda: trained)
    choice = choice_of(space, document)
    lines = [
        f"{'chosen' if row.chosen else '      '} {row.name:<24} {row.speed.size_bytes / 1e3:>8,.0f} kB"
        f" {row.speed.p50_us:>7,.0f} us a row  {row.reason}"
        for row in choice.rows
    ]
    return Answer(
        schema="compress/1",
        ok=True,
        result={
            "product": product.name,
            "chosen": choice.chosen,
            "model": document["model"],
            "variants": choice.rows,
        },
        text="\n".join([*lines, "next: `geartrain evaluate`"]),
    )
