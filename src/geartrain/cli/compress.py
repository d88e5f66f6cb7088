"""`geartrain compress`: shrink the model until it fits the budget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import loaded, opened, product_option, workspace_option

if TYPE_CHECKING:
    from geartrain.compression.choosing import Choice


@click.command()
@workspace_option
@product_option
@click.option(
    "--quick",
    is_flag=True,
    help="Try a few fixed shapes only, as automated builds do, and not the joint search.",
)
@answering
def compress(workspace: Path | None, folder: Path, quick: bool) -> Answer:  # noqa: FBT001  (click's own form)
    """Make smaller variants of the trained model, judge each on every clause, and choose one.

    First the serving path of the unchanged model is timed. Then trees, leaves and learning
    rate are searched together on the free rows, students are taught by the model, nets are
    pruned and held in smaller numbers. Each is timed here, gets a threshold of its own and
    is judged on `select`. What comes next is `evaluate`.
    """
    from geartrain.cli.working import work
    from geartrain.engine.plans import COMPRESS, TRAIN
    from geartrain.engine.runs import latest_run
    from geartrain.engine.shaping import choice_of

    product, space = loaded(folder), opened(workspace)
    trained = latest_run(space.root, product.name, TRAIN)
    document = work(workspace, space, product, COMPRESS, lambda: {**trained, "thorough": not quick})
    choice = choice_of(space, document)
    paths = [dict(one) for one in document["paths"]]
    price = product.contract.budget.core_hour_price if product.contract.budget else None
    currency = product.contract.costs.currency if product.contract.costs else "errors"
    return Answer(
        schema="compress/1",
        ok=True,
        result={
            "product": product.name,
            "chosen": choice.chosen,
            "model": document["model"],
            "variants": choice.rows,
            "paths": paths,
        },
        text="\n".join(
            [*_paths(paths), *_variants(choice, price, currency), "", "next: `geartrain evaluate`"]
        ),
    )


def _paths(paths: list[dict[str, Any]]) -> list[str]:
    """How long a row of the unchanged model takes by each way of asking it."""
    if not paths:
        return []
    slowest = paths[0]["p50_us"]
    lines = ["the same model, asked in different ways, one row at a time:"]
    for one in paths:
        same = "the same bits" if one["same_bits"] else f"differs by at most {one['largest_change']:.1e}"
        lines.append(
            f"  {one['name']:<30} p50 {one['p50_us']:>7,.0f} us  p99 {one['p99_us']:>7,.0f} us"
            f"  {slowest / max(one['p50_us'], 1e-9):>5.1f}x  {same}"
        )
    return [*lines, ""]


def _variants(choice: Choice, price: float | None, currency: str) -> list[str]:
    """The Pareto table: each variant with its figures in one line, and what was decided about it below."""
    from geartrain.compression.budgeting import cost_per_million
    from geartrain.domain.contract import BudgetTerms

    terms = BudgetTerms() if price is None else BudgetTerms(core_hour_price=price)
    head = (
        f"{'variant':<40}{'kB':>9}{'p50 us':>8}{'p99 us':>8}{'rows/s':>11}{'MB':>7}"
        f"{'a million':>11}{'same':>8}{'cost':>10}{'rise':>8}{'at most':>9}  front"
    )
    lines = [head]
    for row in choice.rows:
        speed = row.speed
        money = cost_per_million(speed.p50_us / 1e6, terms)
        lines.append(
            f"{'* ' if row.chosen else '  '}{row.name:<38}{speed.size_bytes / 1e3:>9,.1f}{speed.p50_us:>8,.0f}"
            f"{speed.p99_us:>8,.0f}{speed.rows_per_s:>11,.0f}{speed.memory_bytes / 1e6:>7.1f}{money:>11.3g}"
            f"{row.parity.decisions_agree:>8.1%}{row.mean_cost:>10.4g}{_share(row.rise):>8}"
            f"{_share(row.rise_at_most):>9}  {'yes' if row.on_front else ''}"
        )
        lines.append(f"      {row.reason}")
    # Where errors are counted, not priced, no currency says what a core hour's price is in.
    money_in = "" if currency == "errors" else f" in {currency}"
    lines += [
        "",
        f"* chosen. a million: the model's own time for a million decisions{money_in}, at {terms.core_hour_price:g} a core hour.",
        "same: decisions equal to the reference's. rise, at most: of cost against the reference on `select`, and its",
        f"one-sided 95 % bound, which must stay within {choice.margin:.0%}. docs/compression.md says more of each number.",
    ]
    return lines


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1%}"
