"""`geartrain serve`: answer decisions over HTTP."""

from __future__ import annotations

from pathlib import Path

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import workspace_option
from geartrain.cli.serving import LEVELS, Serving, serve_as

folders_option = click.option(
    "-p",
    "--product",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Serve the product in this folder only; may be given again. Default: all with a live release.",
)


@click.command()
@workspace_option
@folders_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: a free one.")
@click.option(
    "--grpc-port",
    type=click.IntRange(1, 65535),
    help="Speak the Open Inference Protocol over gRPC on this port too; needs `geartrain[grpc]`.",
)
@click.option(
    "--log",
    "level",
    type=click.Choice(LEVELS),
    default="warning",
    show_default=True,
    help="What to write to standard error, as JSON lines.",
)
@click.option(
    "--drain",
    "drain_s",
    type=click.FloatRange(0),
    default=0.0,
    metavar="SECONDS",
    help="How long to go on answering after SIGTERM while saying `not ready`.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 128),
    default=1,
    show_default=True,
    help="How many processes answer; the kernel spreads connections over them.",
)
@click.option(
    "--tokens",
    is_flag=True,
    help="Ask every request but those for health for a token of the room, with its scope.",
)
@click.option(
    "--rate",
    "per_s",
    type=click.FloatRange(0),
    default=0.0,
    metavar="PER_SECOND",
    help="How often one token may ask; 0 is without limit.",
)
@click.option(
    "--certificate",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Speak TLS with this PEM certificate chain.",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The certificate's private key, PEM.",
)
@click.option(
    "--log-window",
    "log_window_s",
    type=click.FloatRange(0, 60),
    default=0.0,
    metavar="SECONDS",
    help="Do not wait for the prediction log; a killed server loses at most this span of answers.",
)
@click.option(
    "--log-behind",
    type=click.Choice(("spill", "block")),
    default="spill",
    show_default=True,
    help="Where the lake does not keep up: go on and let the journal grow on the disk, or let answers wait.",
)
@click.option(
    "--log-backlog",
    "log_backlog_mb",
    type=click.IntRange(1),
    default=1024,
    show_default=True,
    metavar="MB",
    help="How much may wait for the lake in each worker's journal; beyond it requests are refused.",
)
@click.option(
    "--ready-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the URL here when connections are taken.",
)
@answering
def serve(
    workspace: Path | None,
    folders: tuple[Path, ...],
    host: str,
    port: int,
    grpc_port: int | None,
    level: str,
    drain_s: float,
    workers: int,
    tokens: bool,  # noqa: FBT001 - a flag of the command line
    per_s: float,
    certificate: Path | None,
    key: Path | None,
    log_window_s: float,
    log_behind: str,
    log_backlog_mb: int,
    ready_file: Path | None,
) -> Answer:
    """Answer decisions over HTTP with what is live; promotions and rollbacks take effect at once.

    Stops at SIGTERM or Ctrl-C: requests under way are finished and their log is delivered.
    """
    from geartrain.engine.products import read_contract

    names = tuple(read_contract(folder)[1].product.name for folder in folders)
    wanted = Serving(
        workspace=workspace,
        host=host,
        port=port,
        products=names,
        level=level,
        drain_s=drain_s,
        workers=workers,
        tokens=tokens,
        per_s=per_s,
        certificate=certificate,
        key=key,
        log_window_s=log_window_s,
        log_behind=log_behind,
        log_backlog_mb=log_backlog_mb,
        grpc_port=grpc_port,
    )
    served = serve_as(wanted, ready_file=ready_file)
    return Answer(schema="serve/1", ok=True, result=served, text="stopped; every answered decision is kept")
