"""`geartrain data`: look at a file before it is taken, exchange schemas, ask for a snapshot, erase a person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import (
    loaded,
    moment_of,
    now_option,
    opened,
    product_option,
    settings,
    workspace_option,
)
from geartrain.cli.writing import csv_options, csv_terms

if TYPE_CHECKING:
    from datetime import datetime

    from geartrain.contract.foreign import Taken
    from geartrain.engine.previewing import Preview

#: The sections that a contract cannot be read without.
_ALONE = (
    "product: {name: x, title: x, problem: a schema alone}\nteam: {product: x}\n"
    "decision: {task: regression, unit: a row, label: none}\n"
)
#: Rows and reasons that a preview shows.
SHOWN = 5
#: Said of a file with a header and nothing below it.
NO_ROWS = "there are no rows: the file names its columns and nothing else; ask its sender for the rows"


@click.group()
def data() -> None:
    """Look at a file before it is taken; exchange schemas with other tools; erase a person."""


@data.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-p",
    "--product",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=None,
    help="Hold the file against this product's contract.",
)
@click.option("--source", default=None, help="Against this source; default: the rows that are decided about.")
@csv_options
@now_option
@answering
def preview(
    file: Path,
    folder: Path | None,
    source: str | None,
    separator: str | None,
    decimal: str | None,
    thousands: str | None,
    encoding: str | None,
    dates: str | None,
    now: datetime | None,
) -> Answer:
    """Say how FILE would be read and what the door would say; nothing is taken.

    The answer is no where the file may be read in more than one way, has no rows, or rows would not pass.
    """
    from geartrain.engine.previewing import preview as look
    from geartrain.engine.rows import data_of, label_in, source_of

    terms = label = None
    if folder is not None:
        contract = loaded(folder).contract
        terms = source_of(contract, source) if source else data_of(contract).decisions
        label = label_in(contract, terms)
    found = look(
        file,
        source=terms,
        label=label,
        csv=csv_terms(separator, decimal, thousands, encoding, dates),
        now=moment_of(now),
    )
    return Answer(
        schema="data-preview/1",
        ok=found.clear,
        result={
            "file": str(file),
            "form": str(found.form),
            "rows": found.rows.height,
            "columns": found.columns,
            "doubts": found.doubts,
            "good": found.good,
            "reasons": dict(found.reasons),
            "unknown": found.unknown,
            "lacking": found.lacking,
        },
        text="\n".join(_told(file, found)),
    )


def _told(file: Path, found: Preview) -> list[str]:
    lines = [f"{file}: {found.form}; {found.rows.height:,} rows, {len(found.columns)} columns"]
    width = max((len(one.name) for one in found.columns), default=0)
    for one in found.columns:
        held = f"{one.minimum} to {one.maximum}" if one.minimum is not None else ", ".join(one.values[:SHOWN])
        empty = f", {one.nulls:,} missing" if one.nulls else ""
        lines.append(f"  {one.name:<{width}}  {one.type:<9}  {held or f'{one.distinct:,} different'}{empty}")
    if found.rows.height:
        lines += ["", "the first rows as they were understood:"]
        lines += [f"  {row}" for row in found.rows.head(3).iter_rows()]
    if found.doubts:
        lines += ["", *(f"in doubt: {doubt}" for doubt in found.doubts)]
    for line in columns_told(found.unknown, found.lacking):
        lines += ["", line]
    if found.rows.is_empty():
        lines += ["", NO_ROWS]
    elif found.good is not None and not found.matters:
        lines += ["", f"{found.good:,} of {found.rows.height:,} rows would pass"]
    if found.reasons and not found.matters:
        lines += [f"  {count:>6,}  {reason}" for reason, count in found.reasons[:SHOWN]]
    if found.matters:
        lines += [
            "",
            "hint: say which reading is meant with one of the options above, or once for all in the",
        ]
        lines += ['      contract: `csv: {decimal: ",", dates: "%d.%m.%Y"}` under the source']
    return lines


def columns_told(unknown: tuple[str, ...], lacking: tuple[str, ...]) -> list[str]:
    """A line for the columns that only the rows have, and one for those that only the contract has."""
    lines = []
    if unknown:
        lines.append(f"not in the contract, kept as they come: {', '.join(unknown)}")
    if lacking:
        lines.append(f"in the contract, and in no row: {', '.join(lacking)}")
    return lines


@data.command()
@product_option
@click.option(
    "--odcs", "out", type=click.Path(path_type=Path, dir_okay=False), default=None, help="The file to write."
)
@answering
def export(folder: Path, out: Path | None) -> Answer:
    """Write the data section as a data contract of the Open Data Contract Standard, version 3.1."""
    import yaml

    from geartrain.contract.odcs import to_odcs

    document = to_odcs(loaded(folder).contract)
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    if out is not None:
        out.write_text(text, encoding="utf-8")
    return Answer(
        schema="data-export/1",
        ok=True,
        result={"document": document, "file": None if out is None else str(out)},
        text=text.rstrip("\n") if out is None else f"{out} is written",
    )


@data.command("import")
@click.option("--odcs", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="A data contract.")
@click.option("--pandera", metavar="MODULE:NAME", help="A pandera schema; this runs the module.")
@click.option("--dataframely", metavar="MODULE:NAME", help="A dataframely schema; this runs the module.")
@click.option("--source", default=None, help="The name of the source; default: the schema's.")
@click.option(
    "-p",
    "--product",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=None,
    help="Say what it would change in this product's contract.",
)
@answering
def import_(
    odcs: Path | None, pandera: str | None, dataframely: str | None, source: str | None, folder: Path | None
) -> Answer:
    """Say a schema of another tool as a `data` section; what has no place in it is named.

    Nothing is written: copy what you agree to into product.yaml, where its owners sign it.
    """
    given = [one for one in (odcs, pandera, dataframely) if one is not None]
    if len(given) != 1:
        raise click.UsageError(
            "give one schema: --odcs FILE, --pandera MODULE:NAME or --dataframely MODULE:NAME"
        )
    taken = _taken(odcs, pandera, dataframely, source)
    changes = _changes(taken, folder) if folder is not None else ()
    lines = [taken.text().rstrip("\n")]
    if folder is not None:
        lines += [
            "",
            "# compared with the contract:",
            *(f"#   {one}" for one in changes or ("nothing changes",)),
        ]
    return Answer(
        schema="data-import/1",
        ok=True,
        result={"sources": taken.sources, "notes": taken.notes, "changes": [str(one) for one in changes]},
        text="\n".join(lines),
    )


def _taken(odcs: Path | None, pandera: str | None, dataframely: str | None, source: str | None) -> Taken:
    from geartrain.contract.frame_schemas import from_dataframely, from_pandera, load_schema
    from geartrain.contract.odcs import from_odcs

    if odcs is not None:
        return from_odcs(odcs.read_text(encoding="utf-8"))
    place = pandera or dataframely or ""
    schema, name = load_schema(place, folder=Path.cwd()), source or place.rpartition(":")[2]
    return from_pandera(schema, name=name) if pandera else from_dataframely(schema, name=name)


def _changes(taken: Taken, folder: Path) -> tuple[object, ...]:
    from geartrain.contract.evolving import schema_changes
    from geartrain.contract.foreign import slug
    from geartrain.contract.parsing import parse
    from geartrain.engine.rows import data_of

    new = data_of(parse(_ALONE + taken.text() + _decided(taken))).sources
    named = {slug(name) for name in taken.sources}
    old = tuple(one for one in data_of(loaded(folder).contract).sources if one.name in named)
    new = tuple(one for one in new if one.name in named)
    return schema_changes(old, new)


def _decided(taken: Taken) -> str:
    """A source of rows to decide about, where the schema names none; a contract cannot be read without."""
    if any(one.get("kind") == "decisions" for one in taken.sources.values()):
        return ""
    return "    nothing-else: {kind: decisions, key: id}\n"


@data.command()
@workspace_option
@product_option
@click.argument("name", metavar="SNAPSHOT")
@answering
def snapshot(workspace: Path | None, folder: Path, name: str) -> Answer:
    """Say whether SNAPSHOT can still be had, with exactly the rows that it named."""
    from geartrain.engine.taken_snapshots import snapshot_again

    product = loaded(folder)
    again = snapshot_again(opened(workspace), product.contract, name)
    held = again.snapshot
    counts = ", ".join(f"{one.source}: {one.rows:,} rows" for one in held.sources)
    line = f"snapshot {held.id[:12]}, as known at {held.known_at:%Y-%m-%d %H:%M} UTC ({counts})"
    return Answer(
        schema="data-snapshot/1",
        ok=again.frames is not None,
        result={"snapshot": held, "id": held.id, "there": again.frames is not None, "reason": again.reason},
        text=f"{line}: the same rows are there" if again.frames is not None else f"{line}: {again.reason}",
    )


@data.command()
@workspace_option
@product_option
@click.option("--entity", required=True, metavar="COLUMN=VALUE", help="Whom or what, such as customer=C123.")
@click.option("--by", "person", required=True, help="Who does it; the ledger keeps this name.")
@click.option("--yes", is_flag=True, help="Do it; without this, only say what would be asked.")
@now_option
@answering
def erase(
    workspace: Path | None, folder: Path, entity: str, person: str, now: datetime | None, *, yes: bool
) -> Answer:
    """Remove everything that is kept about one person or thing, for good.

    Rows, quarantine, logged decisions, outcomes, kept training rows, shared features and messages of the
    embedded bus go; counts and a keyed digest stay in the ledger. A model that has learned from them stays as it is: train again to replace it.
    """
    from geartrain.engine.erasing import erase as remove
    from geartrain.wiring import forget_online, open_bus

    column, sign, value = entity.partition("=")
    if not sign or not column or not value:
        raise click.UsageError(f"{entity!r} names nobody; write COLUMN=VALUE, such as customer=C123")
    if not yes:
        raise click.UsageError("this cannot be undone; give --yes to do it")
    product = loaded(folder)
    where = settings(workspace)
    bus = open_bus(where)
    try:
        done = remove(
            opened(workspace),
            product.contract,
            entity=column,
            value=value,
            now=moment_of(now),
            actor=person,
            forget=lambda name: forget_online(where, name),
            bus=bus,
        )
    finally:
        if bus is not None:
            bus.close()
    lines = [f"{count:>8,}  {place}" for place, count in done.rows]
    if done.total:
        lines = [f"{done.total:,} rows about this {column} were erased for good:", *lines]
    else:
        lines = [f"nothing is kept about this {column}" + (" any more" if done.known else "")]
    if done.snapshots:
        lines.append(f"{len(done.snapshots)} snapshots can no longer be rebuilt:")
        lines += [f"  {one[:12]}" for one in done.snapshots]
        lines.append("hint: models that learned from these rows stay; `geartrain retrain` replaces them")
    lines += [f"not reached: {one}" for one in done.beyond]
    return Answer(
        schema="data-erase/1",
        ok=True,
        result={"product": product.name, "erased": done},
        text="\n".join(lines),
    )
