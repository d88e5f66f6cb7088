"""`geartrain contract`: check, show, compare, propose, pull."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import loaded, moment_of, now_option, opened, product_option, workspace_option
from geartrain.domain.digest import short

path_argument = click.argument("path", type=click.Path(path_type=Path), default=Path())


@click.group()
def contract() -> None:
    """Check, show, compare, propose or pull contracts. PATH is a product.yaml or its folder."""


@contract.command()
@path_argument
@answering
def check(path: Path) -> Answer:
    """Read a contract; every problem is told at once, each with its place."""
    from geartrain.engine.products import check_contract

    agreed = check_contract(path)
    silent = f"\nnot said yet: {', '.join(agreed.silent)}" if agreed.silent else ""
    return Answer(
        schema="contract-check/1",
        ok=True,
        result={
            "product": agreed.product.name,
            "contract": agreed.id,
            "clauses": len(agreed.clauses),
            "silent": agreed.silent,
        },
        text=f"{agreed.product.name}: {len(agreed.clauses)} clauses, contract {short(agreed.id)}{silent}",
    )


@contract.command()
@path_argument
@answering
def show(path: Path) -> Answer:
    """Say the contract in plain sentences, grouped by the role that answers for them."""
    from geartrain.contract.wording import in_words
    from geartrain.engine.products import read_contract

    _, agreed = read_contract(path)
    said = in_words(agreed)
    by_owner: dict[str, list[str]] = {}
    for one in said:
        by_owner.setdefault(one.owner, []).append(one.sentence)
    lines = [agreed.product.title, "", agreed.product.problem.strip()]
    for owner, sentences in by_owner.items():
        lines += ["", f"{owner} answers for:", *(f"  - {sentence}" for sentence in sentences)]
    return Answer(schema="contract-show/1", ok=True, result={"sentences": said}, text="\n".join(lines))


@contract.command()
@answering
def schema() -> Answer:
    """Print the JSON Schema of product.yaml, for editors."""
    from geartrain.contract.schema import schema as written

    document = written()
    return Answer(
        schema="contract-schema/1",
        ok=True,
        result=document,
        text=json.dumps(document, indent=2, sort_keys=True),
    )


@contract.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@answering
def diff(before: Path, after: Path) -> Answer:
    """Say what changed in meaning from BEFORE to AFTER, and who must sign again."""
    from geartrain.contract.diff import describe
    from geartrain.contract.diff import diff as compared
    from geartrain.engine.products import read_contract

    change = compared(read_contract(before)[1], read_contract(after)[1])
    return Answer(
        schema="contract-diff/1",
        ok=not change.changes,
        result={"changes": change.changes, "must_sign": change.must_sign},
        text=describe(change),
    )


@contract.command()
@product_option
@workspace_option
@click.option("--incident", "id_", required=True, help="The incident that the change follows from.")
@click.option("--draft", "place", type=click.IntRange(min=1), help="Propose this one of the drafts.")
@click.option("--as", "person", help="Who proposes it, with --draft.")
@now_option
@answering
def propose(
    folder: Path,
    workspace: Path | None,
    id_: str,
    place: int | None,
    person: str | None,
    now: datetime | None,
) -> Answer:
    """Say what an incident suggests to change in the contract; with --draft, propose it to the team.

    A proposal changes nothing by itself: those who own what changes sign it in the room.
    """
    from geartrain.contract.diff import describe
    from geartrain.engine import contract_changes
    from geartrain.engine.incident_drafts import incident_drafts
    from geartrain.release.answers import Refusal

    product, space, moment = loaded(folder), opened(workspace), moment_of(now)
    drafts = incident_drafts(space, product.name, id_)
    result: dict[str, object] = {"incident": id_, "drafts": drafts, "proposal": None}
    if place is None:
        lines = [
            line
            for number, one in enumerate(drafts, start=1)
            for line in (
                f"{number}. {one.words}",
                *(f"   {said}" for said in describe(one.change).splitlines()),
            )
        ]
        text = "\n".join(lines) if lines else f"nothing in the contract follows from incident {id_}"
        return Answer(schema="contract-propose/1", ok=bool(drafts), result=result, text=text)
    if person is None:
        raise click.UsageError("who proposes it? say --as PERSON")
    if place > len(drafts):
        raise click.BadParameter(f"there are {len(drafts)} drafts", param_hint="--draft")
    draft = drafts[place - 1]
    made = contract_changes.propose(
        space, product.name, text=draft.text, reason=draft.reason, person=person, now=moment
    )
    if isinstance(made, Refusal):
        return Answer(
            schema="contract-propose/1",
            ok=False,
            result={**result, "refused": made.reason},
            text=f"not proposed: {made.reason}; {made.do}",
        )
    return Answer(
        schema="contract-propose/1",
        ok=True,
        result={**result, "proposal": made.id},
        text=f"proposed as {short(made.id)}: {draft.words}\n{describe(draft.change)}",
    )


@contract.command()
@product_option
@workspace_option
@answering
def pull(folder: Path, workspace: Path | None) -> Answer:
    """Write the contract in force into the product's folder.

    The team may have changed it in the room. Words that stand only in your file are
    kept beside it.
    """
    from geartrain.engine.folders import known_folders
    from geartrain.engine.products import read_contract
    from geartrain.engine.pulling import pull as pulled

    space = opened(workspace)
    known = {place: name for name, place in known_folders(space.root).items()}
    # A folder that the workspace knows is named without being read: its file may be broken.
    name = known.get(folder.resolve()) or read_contract(folder)[1].product.name
    made = pulled(space, name, folder)
    text = f"{name}: contract {short(made.contract)} " + (
        "is written into the folder" if made.written else "stands in the folder already"
    )
    if made.kept is not None:
        text += f"\nyour own words are kept as {made.kept.name}"
    return Answer(
        schema="contract-pull/1",
        ok=True,
        result={"contract": made.contract, "written": made.written, "kept": made.kept and str(made.kept)},
        text=text,
    )
