"""`geartrain new`: begin a product, from a file of rows or from an example."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from geartrain.cli.answer import Answer, answering
from geartrain.domain.task import Task

_TASKS = (Task.BINARY, Task.MULTICLASS, Task.REGRESSION)


@click.command()
@click.argument("name", type=click.Path(path_type=Path))
@click.option(
    "--data", type=click.Path(path_type=Path), default=None, help="A file of rows: CSV, Parquet, NDJSON."
)
@click.option("--label", default=None, help="The column that holds the truth.")
@click.option(
    "--task", type=click.Choice([one.value for one in _TASKS]), default=None, help="Default: from the label."
)
@click.option("--positive", default=None, help="Binary: the class that the product looks for.")
@click.option(
    "--person", default="you", show_default=True, help="Who holds every role until you write it down."
)
@click.option(
    "--example",
    default=None,
    help="Begin from an example: tumour-triage, card-fraud, loan-decision or employee-performance.",
)
@answering
def new(
    name: Path,
    data: Path | None,
    label: str | None,
    task: str | None,
    positive: str | None,
    person: str,
    example: str | None,
) -> Answer:
    """Write a folder NAME with a contract to argue about, its code, and what to do next.

    Nothing is ever overwritten.
    """
    from geartrain.engine.beginning import from_rows, write_product

    if example is not None and (data is not None or label is not None):
        raise click.UsageError("an example brings its own data; leave out --data and --label")
    if data is None and example is None and (label is not None or positive is not None):
        raise click.UsageError("--label and --positive are about the rows of a file; name it with --data")
    if example is not None:
        return _from_example(name, example)
    files = from_rows(
        name, data, label=label, task=Task(task) if task else None, positive=positive, person=person
    )
    write_product(name, files)
    return Answer(
        schema="new/1",
        ok=True,
        result={"folder": str(name), "files": sorted(files), "data": None if data is None else str(data)},
        text=(
            f"{name} is begun: {', '.join(sorted(files))}\n"
            + (
                f"next: cd {quote(str(name))}, then `geartrain ingest` and `geartrain feasibility`"
                if data is not None
                else f"next: write your own columns and costs into {name}/product.yaml, then `geartrain contract check`"
            )
        ),
    )


def _from_example(folder: Path, example: str) -> Answer:
    from geartrain.engine.beginning import write_product
    from geartrain.engine.examples import example_files, write_example_data

    files = example_files(example)
    write_product(folder, files)
    data = write_example_data(example, folder / "data")
    told = " ".join(f"{source}={Path('data') / path.name}" for source, path in data.items())
    return Answer(
        schema="new/1",
        ok=True,
        result={
            "folder": str(folder),
            "files": sorted(files),
            "data": {source: str(path) for source, path in data.items()},
        },
        text=(
            f"{folder} is the example {example}: {', '.join(sorted(files))}, and its rows in {folder / 'data'}\n"
            f"next: cd {quote(str(folder))}, then `geartrain ingest {told}`"
        ),
    )
