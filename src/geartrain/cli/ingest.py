"""`geartrain ingest`: take rows through the door; list and repair what did not pass."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.data import NO_ROWS, columns_told
from geartrain.cli.options import loaded, moment_of, now_option, opened, product_option, workspace_option
from geartrain.cli.writing import csv_options, csv_terms

if TYPE_CHECKING:
    from geartrain.engine.ingesting import Taken
    from geartrain.engine.products import Product

#: Reasons and rows that are shown; `--json` has all reasons.
SHOWN = 5


class FilesOrVerb(click.Group):
    """A group whose first argument may also be a file: `ingest rows.csv` is `ingest files rows.csv`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the usual verb in front where none was given."""
        if not args or (args[0] not in self.commands and args[0] not in {"-h", "--help"}):
            args = ["files", *args]
        return super().parse_args(ctx, args)


@click.group(cls=FilesOrVerb)
def ingest() -> None:
    """Take rows into the lake: `geartrain ingest SOURCE=FILE ...`.

    With one source, or for the rows that are decided about, FILE alone is enough.
    """


@ingest.command()
@workspace_option
@product_option
@click.argument("deliveries", metavar="[SOURCE=]FILE...", nargs=-1)
@csv_options
@now_option
@answering
def files(
    workspace: Path | None,
    folder: Path,
    deliveries: tuple[str, ...],
    separator: str | None,
    decimal: str | None,
    thousands: str | None,
    encoding: str | None,
    dates: str | None,
    now: datetime | None,
) -> Answer:
    """Check every row of the files: good ones go into the lake, bad ones into quarantine.

    Without a file, those are taken that the contract names as `location`.
    """
    from geartrain.engine.folders import remember_folder
    from geartrain.engine.ingesting import Door

    product = loaded(folder)
    named = [_named(product, one) for one in deliveries] or _located(product)
    space, moment = opened(workspace, create=True), moment_of(now)
    remember_folder(space.root, product.name, product.folder)
    door = Door(space, product.contract)
    csv = csv_terms(separator, decimal, thousands, encoding, dates)
    taken = [(path, door.take_file(source, path, now=moment, csv=csv)) for source, path in named]
    return _answered(product, [(str(path), one) for path, one in taken])


@ingest.command()
@workspace_option
@product_option
@click.option(
    "--url", required=True, envvar="GEARTRAIN_INGEST_URL", help="Such as postgresql+psycopg://user@host/name."
)
@click.option("--sql", required=True, help="The question; it can read only.")
@click.option("--source", default=None, help="The source of its rows; default: those that are decided about.")
@now_option
@answering
def query(
    workspace: Path | None, folder: Path, url: str, sql: str, source: str | None, now: datetime | None
) -> Answer:
    """Take the rows that a database answers with. The same answer again is the same delivery.

    The address may stand in GEARTRAIN_INGEST_URL, where no list of processes shows its password.
    """
    from geartrain.adapters.query import read_query
    from geartrain.data.door import rows_as_text
    from geartrain.engine.folders import remember_folder
    from geartrain.engine.ingesting import Door
    from geartrain.engine.rows import data_of

    product = loaded(folder)
    frame = read_query(url, sql)
    space, moment = opened(workspace, create=True), moment_of(now)
    remember_folder(space.root, product.name, product.folder)
    name = source or data_of(product.contract).decisions.name
    content = "\n".join(rows_as_text(frame)).encode()
    taken = Door(space, product.contract).take(name, frame, content=content, now=moment)
    return _answered(product, [("the query", taken)])


def _answered(product: Product, taken: list[tuple[str, Taken]]) -> Answer:
    return Answer(
        schema="ingest/1",
        ok=any(one.batch.accepted or one.batch.duplicates or one.known for _, one in taken),
        result={
            "product": product.name,
            "batches": [
                {
                    "file": path,
                    "batch": one.batch,
                    "known": one.known,
                    "reasons": dict(one.reasons),
                    "unknown": one.differing.unknown,
                    "lacking": one.differing.lacking,
                }
                for path, one in taken
            ],
        },
        text="\n".join(_told(path, one) for path, one in taken),
    )


@ingest.command()
@workspace_option
@product_option
@click.option("--source", default=None, help="Only this source; default: all.")
@answering
def quarantine(workspace: Path | None, folder: Path, source: str | None) -> Answer:
    """List the rows that wait in quarantine, with their reasons."""
    from collections import Counter

    from geartrain.engine.repairing import waiting_rows

    product, space = loaded(folder), opened(workspace)
    waiting = waiting_rows(space, product.contract, source=source)
    lines: list[str] = []
    for name, rows in waiting.items():
        counts = Counter(reason for row in rows for reason in row.reasons)
        lines.append(f"{name}: {len(rows):,} rows wait")
        lines += [f"  {count:>6,}  {reason}" for reason, count in counts.most_common()]
        lines += [f"    such as {row.row}" for row in rows[:SHOWN]]
    if lines:
        lines += ["", 'hint: `geartrain ingest repair SOURCE --set "COLUMN=EXPRESSION"` sends them again']
    return Answer(
        schema="ingest-quarantine/1",
        ok=not any(waiting.values()),
        result={"product": product.name, "sources": waiting},
        text="\n".join(lines) if any(waiting.values()) else "no row waits in quarantine",
    )


@ingest.command()
@workspace_option
@product_option
@click.argument("source")
@click.option(
    "--set", "repairs", multiple=True, metavar="COLUMN=EXPRESSION", help="Such as `amount=amount / 100`."
)
@click.option("--reason", default=None, help="Only rows whose reasons say this.")
@now_option
@answering
def repair(
    workspace: Path | None,
    folder: Path,
    source: str,
    repairs: tuple[str, ...],
    reason: str | None,
    now: datetime | None,
) -> Answer:
    """Mend quarantined rows of SOURCE and send them through the door again.

    Without `--set` they are only checked again, as after a change of the contract.
    """
    from geartrain.engine.ingesting import Door

    product, space = loaded(folder), opened(workspace)
    rules = dict(_rule(one) for one in repairs)
    done = Door(space, product.contract).repair(source, rules, now=moment_of(now), reason=reason)
    line = (
        f"{done.batch.rows:,} rows sent again: {done.batch.accepted:,} accepted,"
        f" {done.batch.duplicates:,} known already, {done.batch.quarantined:,} are still bad"
    )
    lines = [line] + [f"  {count:>6,}  {why}" for why, count in done.reasons[:SHOWN]]
    return Answer(
        schema="ingest-repair/1",
        ok=done.batch.rows > 0 and done.batch.quarantined == 0,
        result={"product": product.name, "batch": done.batch, "reasons": dict(done.reasons)},
        text="\n".join(lines) if done.batch.rows else "no such row waits in quarantine",
    )


def _named(product: Product, given: str) -> tuple[str, Path]:
    """The source and the file that an argument names; a file whose name holds `=` is found too."""
    from geartrain.engine.rows import data_of

    source, sign, path = given.partition("=")
    if sign and not Path(given).exists():
        return source, Path(path)
    return data_of(product.contract).decisions.name, Path(given)


def _located(product: Product) -> list[tuple[str, Path]]:
    from geartrain.engine.rows import data_of

    sources = data_of(product.contract).sources
    found = [(one.name, product.folder / one.location) for one in sources if one.location]
    if not found:
        raise click.UsageError("no file was given, and the contract names no `location`; try SOURCE=FILE")
    return found


def _rule(given: str) -> tuple[str, str]:
    column, sign, expression = given.partition("=")
    if not sign or not column.strip() or not expression.strip():
        raise click.UsageError(
            f"{given!r} is no repair; write COLUMN=EXPRESSION, such as amount=amount / 100"
        )
    return column.strip(), expression.strip()


def _told(path: str, taken: Taken) -> str:
    batch = taken.batch
    if taken.known:
        return f"{path}: this delivery was taken before ({batch.accepted:,} rows); nothing was changed"
    if batch.rows == 0:
        return f"{path}: {NO_ROWS}"
    line = (
        f"{path}: {batch.rows:,} rows: {batch.accepted:,} accepted,"
        f" {batch.quarantined:,} in quarantine, {batch.duplicates:,} known already"
    )
    reasons = [f"  {count:>6,}  {reason}" for reason, count in taken.reasons[:SHOWN]]
    if reasons:
        reasons.append(
            "  hint: `geartrain ingest quarantine` shows them, `geartrain ingest repair` sends them again"
        )
    columns = [f"  {one}" for one in columns_told(taken.differing.unknown, taken.differing.lacking)]
    return "\n".join([line, *columns, *reasons])
