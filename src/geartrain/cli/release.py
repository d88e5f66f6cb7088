"""`geartrain release`: sign, waive, promote, roll back, and ask what was live."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import (
    Moment,
    loaded,
    moment_of,
    now_option,
    opened,
    product_option,
    settings,
    workspace_option,
)
from geartrain.cli.release_past import history, live_at, resolved
from geartrain.domain.digest import short
from geartrain.domain.roles import Role
from geartrain.release import answers

if TYPE_CHECKING:
    from geartrain.adapters.model_signature import Signer
    from geartrain.domain.contract import RolloutStep

_DAYS = re.compile(r"(\d+)\s*d(ays?)?")

release_argument = click.argument("release_name", metavar="[RELEASE]", default="latest")
person_option = click.option("--as", "person", required=True, help="Who says it, by the contract's team.")
role_option = click.option(
    "--role", type=click.Choice([role.value for role in Role]), required=True, help="For which role."
)


@click.group()
def release() -> None:
    """Sign, waive, promote, roll back, and ask what was live.

    RELEASE is an id or its beginning, `champion`, `challenger` or `latest`.
    """


release.add_command(history)
release.add_command(live_at)


@release.command(name="list")
@workspace_option
@product_option
@answering
def list_releases(workspace: Path | None, folder: Path) -> Answer:
    """Every release with its stage, signatures and waivers."""
    from geartrain.engine.releasing import releases

    product = loaded(folder)
    state = releases(opened(workspace), product.name)
    lines = []
    for record in state.records:
        signed = ", ".join(f"{one.role}: {one.person}" for one in record.sign_offs) or "nobody yet"
        waived = f"; waived: {', '.join(one.clause for one in record.waivers)}" if record.waivers else ""
        share = f" ({record.share:.0%})" if 0 < record.share < 1 else ""
        lines.append(f"{short(record.id)}  {record.stage}{share}  signed by {signed}{waived}")
    return Answer(
        schema="release-list/1",
        ok=True,
        result={"champion": state.champion, "challenger": state.challenger, "releases": state.records},
        text="\n".join(lines) or "no release was proposed yet: run `geartrain evaluate`",
    )


@release.command()
@workspace_option
@product_option
@release_argument
@now_option
@answering
def show(workspace: Path | None, folder: Path, release_name: str, now: datetime | None) -> Answer:
    """One release: its evidence, what blocks it, who has signed."""
    from geartrain.engine.releasing import releases
    from geartrain.release.conditions import evidence, gates_of, signing

    product = loaded(folder)
    state = releases(opened(workspace), product.name)
    record = state.record(resolved(state, release_name))
    if record is None:
        raise click.UsageError("no such release")
    findings = evidence(state, record) or ()
    gate = gates_of(state, product.contract, record, moment_of(now))
    asked = signing(product.contract, record)
    lines = [f"release {record.id}", f"stage {record.stage}", ""]
    lines += [f"  {finding.status:<12} {finding.clause}: {finding.message}" for finding in findings]
    lines += ["", gate.sentence if gate else "no evidence is recorded"]
    lines.append(f"still to sign: {', '.join(asked.missing) or 'nobody'}")
    return Answer(
        schema="release-show/1",
        ok=bool(gate and gate.passed),
        result={"release": record, "findings": findings, "missing": asked.missing},
        text="\n".join(lines),
    )


@release.command()
@workspace_option
@product_option
@release_argument
@role_option
@person_option
@click.option("--reason", default="", help="What convinced you.")
@now_option
@answering
def sign(
    workspace: Path | None,
    folder: Path,
    release_name: str,
    role: str,
    person: str,
    reason: str,
    now: datetime | None,
) -> Answer:
    """Give a role's yes to exactly these bytes."""
    from geartrain.engine import releasing

    product, space = loaded(folder), opened(workspace)
    name = resolved(releasing.releases(space, product.name), release_name)
    answer = releasing.sign(
        space,
        product.contract,
        release=name,
        role=Role(role),
        person=person,
        now=moment_of(now),
        reason=reason,
    )
    return _told(answer, f"{person} signed {short(name)} for {role}")


@release.command()
@workspace_option
@product_option
@release_argument
@click.option("--clause", required=True, help="The clause's path, such as success.recall.")
@role_option
@person_option
@click.option("--reason", required=True, help="Why the release may pass all the same.")
@click.option("--until", required=True, help="When the waiver ends: a time, or `90 days`.")
@now_option
@answering
def waive(
    workspace: Path | None,
    folder: Path,
    release_name: str,
    clause: str,
    role: str,
    person: str,
    reason: str,
    until: str,
    now: datetime | None,
) -> Answer:
    """Let a release pass although one clause is not kept, for a reason and until a time."""
    from geartrain.engine import releasing

    product, space, moment = loaded(folder), opened(workspace), moment_of(now)
    name = resolved(releasing.releases(space, product.name), release_name)
    ends = _end_of(until, moment)
    answer = releasing.waive(
        space,
        product.contract,
        release=name,
        clause=clause,
        reason=reason,
        role=Role(role),
        person=person,
        expires_at=ends,
        now=moment,
    )
    return _told(answer, f"{person} waived {clause} for {short(name)} until {ends:%Y-%m-%d}")


@release.command()
@workspace_option
@product_option
@release_argument
@click.option("--reason", default="", help="Why now.")
@now_option
@answering
def promote(
    workspace: Path | None, folder: Path, release_name: str, reason: str, now: datetime | None
) -> Answer:
    """Take the release's next step: shadow, canary, or live; gates and signatures must hold."""
    from geartrain.engine import releasing
    from geartrain.release.conditions import next_step, stage_of

    product, space, moment = loaded(folder), opened(workspace), moment_of(now)
    state = releasing.releases(space, product.name)
    name = resolved(state, release_name)
    record = state.record(name)
    step = next_step(product.contract, record) if record and state.champion else None
    if step is None:
        answer = releasing.promote(space, product.contract, release=name, now=moment, reason=reason)
        return _told(answer, f"{short(name)} is live")
    answer = releasing.enter(
        space,
        product.contract,
        release=name,
        stage=stage_of(step.kind),
        share=step.share,
        now=moment,
        reason=reason,
    )
    return _told(answer, f"{short(name)} is in {step_in_words(step)}")


def step_in_words(step: RolloutStep) -> str:
    """Where a release is on a step of its rollout.

    >>> from geartrain.domain.contract import RolloutKind, RolloutStep
    >>> step_in_words(RolloutStep(kind=RolloutKind.SHADOW, share=0.0, bake_s=0.0))
    'shadow: it sees the traffic and answers nobody'
    >>> step_in_words(RolloutStep(kind=RolloutKind.CANARY, share=0.05, bake_s=0.0))
    'canary on 5% of the traffic'
    """
    if step.kind == "shadow":
        return f"{step.kind}: it sees the traffic and answers nobody"
    return f"{step.kind} on {step.share:.0%} of the traffic"


@release.command()
@workspace_option
@product_option
@click.option("--to", default=None, help="The release to return to; default: the one before.")
@click.option("--reason", required=True, help="Why.")
@now_option
@answering
def rollback(
    workspace: Path | None, folder: Path, to: str | None, reason: str, now: datetime | None
) -> Answer:
    """Give the traffic back to an earlier release, at once."""
    from geartrain.engine import releasing

    product, space = loaded(folder), opened(workspace)
    answer = releasing.roll_back(space, product.contract, reason=reason, now=moment_of(now), to=to)
    live = releasing.releases(space, product.name).champion
    return _told(answer, f"{short(live or '')} is live again")


@release.command()
@workspace_option
@product_option
@release_argument
@click.option("--reason", required=True, help="Why.")
@now_option
@answering
def abort(
    workspace: Path | None, folder: Path, release_name: str, reason: str, now: datetime | None
) -> Answer:
    """Take a release out of its rollout; what is live stays live."""
    from geartrain.engine import releasing

    product, space = loaded(folder), opened(workspace)
    name = resolved(releasing.releases(space, product.name), release_name)
    answer = releasing.abort(space, product.contract, release=name, reason=reason, now=moment_of(now))
    return _told(answer, f"{short(name)} was taken out of its rollout")


@release.command()
@workspace_option
@click.argument("bundle", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--key",
    default="",
    help="The public key that must have signed, as `verify` prints it; default: the workspace's own.",
)
@click.option(
    "--model-signature",
    "signature",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Check this OpenSSF Model Signing v1 signature too; needs `geartrain[signing]`.",
)
@click.option(
    "--model-key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The public key (PEM) that must have made it,",
)
@click.option("--identity", default="", help="or the identity that must have signed it with Sigstore,")
@click.option("--issuer", default="", help="and the OpenID Connect issuer that vouches for it.")
@answering
def verify(
    workspace: Path | None,
    bundle: Path,
    key: str,
    signature: Path | None,
    model_key: Path | None,
    identity: str,
    issuer: str,
) -> Answer:
    """Check a bundle folder byte for byte: checksums, signature, nothing missing, nothing extra.

    Whoever changes a bundle can sign it anew with another key. So say whose key it must be, or
    run this within the workspace that signed.
    """
    from geartrain.errors import BundleTampered
    from geartrain.release.bundle import verify as verified
    from geartrain.release.bundle_nouns import ABOUT
    from geartrain.release.directory import read_directory
    from geartrain.wiring import own_key

    if not any((bundle / name).exists() for name in ABOUT):
        raise BundleTampered(
            "this is no bundle",
            where=str(bundle),
            found=f"a folder without {', '.join(ABOUT)}",
            hint="name the folder that `geartrain release export` wrote",
        )
    expected = key.strip() or own_key(settings(workspace))
    result = verified(read_directory(bundle), trusted_keys=None if expected is None else {expected})
    text = f"the bundle is, byte for byte, release {result.release.id}\nsigned with key {result.public_key}"
    if expected is None:
        text += "\nnobody said whose key this is; `--key` does"
    else:
        text += ", as `--key` says" if key.strip() else ", the key of this workspace"
    if signature is not None:
        from geartrain.adapters.model_signature import verify_folder

        signer = _signer(model_key, identity=identity, issuer=issuer)
        verify_folder(bundle, signature, signer=signer)
        text += f"\nthe model signature {signature.name} holds for every file"
    elif model_key or identity or issuer:
        raise click.UsageError("name the signature with --model-signature")
    return Answer(
        schema="release-verify/1",
        ok=True,
        result={
            "release": result.release.id,
            "public_key": result.public_key,
            "key_expected": expected is not None,
            "model_signature": signature is not None,
        },
        text=text,
    )


@release.command()
@workspace_option
@product_option
@release_argument
@click.option("-o", "--to", "target", required=True, type=click.Path(path_type=Path), help="A new folder.")
@answering
def edge(workspace: Path | None, folder: Path, release_name: str, target: Path) -> Answer:
    """Write a release for a device: the model, its rule, and a runner that needs no geartrain."""
    from geartrain.engine.bundles import load_bundle
    from geartrain.engine.edging import edge_files
    from geartrain.engine.releasing import releases
    from geartrain.release.directory import write_directory

    product, space = loaded(folder), opened(workspace)
    name = resolved(releases(space, product.name), release_name)
    files = edge_files(load_bundle(space, name))
    write_directory(target, files)
    size = sum(len(one) for one in files.values())
    return Answer(
        schema="release-edge/1",
        ok=True,
        result={"release": name, "folder": str(target), "files": sorted(files), "bytes": size},
        text=f"release {short(name)} for a device: {len(files)} files, {size / 1e3:,.0f} kB, in {target}\n"
        f"next: `python {target}/run.py < rows.ndjson`; it needs numpy and onnxruntime only",
    )


@release.command()
@workspace_option
@product_option
@release_argument
@click.option("--to", "target", required=True, type=click.Path(path_type=Path), help="A new folder.")
@click.option(
    "--model-key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Sign it with this private key (PEM) as OpenSSF Model Signing v1 does; needs `geartrain[signing]`.",
)
@click.option(
    "--keyless", is_flag=True, help="Sign it with Sigstore, as the identity that this job runs under."
)
@answering
def export(
    workspace: Path | None,
    folder: Path,
    release_name: str,
    target: Path,
    model_key: Path | None,
    keyless: bool,  # noqa: FBT001 - a flag of the command line
) -> Answer:
    """Write a release's bundle into a folder: yours to keep, no lock-in.

    A model signature lies beside the folder, under its name and `.sig`.
    """
    from geartrain.engine.bundles import bundle_files
    from geartrain.engine.releasing import releases
    from geartrain.release.directory import write_directory

    product, space = loaded(folder), opened(workspace)
    name = resolved(releases(space, product.name), release_name)
    files = bundle_files(space, name)
    write_directory(target, files)
    signature: Path | None = None
    if model_key is not None or keyless:
        from geartrain.adapters.model_signature import ByIdentity, ByKey, sign_folder

        if model_key is not None and keyless:
            raise click.UsageError("sign with --model-key or --keyless, not with both")
        signature = target.with_name(f"{target.name}.sig")
        signer = ByIdentity() if model_key is None else ByKey(path=model_key)
        sign_folder(target, signature, signer=signer)
    return Answer(
        schema="release-export/1",
        ok=True,
        result={
            "release": name,
            "folder": str(target),
            "files": sorted(files),
            "model_signature": None if signature is None else str(signature),
        },
        text=f"{len(files)} files in {target}; `geartrain release verify {target}` checks them"
        + ("" if signature is None else f"\nthe model signature is {signature}"),
    )


def _end_of(until: str, now: datetime) -> datetime:
    """When a waiver ends that was said as a time or as so many days from *now*."""
    days = _DAYS.fullmatch(until.strip())
    try:
        return now + timedelta(days=int(days[1])) if days else Moment().convert(until, None, None)
    except (click.BadParameter, OverflowError) as error:
        raise click.UsageError(
            f"--until {until!r} is neither a time nor a number of days;"
            " try 2026-03-01, 2026-03-01T12:00:00+01:00 or `90 days`"
        ) from error


def _signer(model_key: Path | None, *, identity: str, issuer: str) -> Signer:
    from geartrain.adapters.model_signature import ByIdentity, ByKey

    if model_key is not None and not (identity or issuer):
        return ByKey(path=model_key)
    if model_key is None and identity and issuer:
        return ByIdentity(identity=identity, issuer=issuer)
    raise click.UsageError("say who must have signed: --model-key, or --identity with --issuer")


def _told(answer: answers.Answer, done: str) -> Answer:
    match answer:
        case answers.Refusal():
            return Answer(
                schema="release/1",
                ok=False,
                result={"refused": answer.reason, "do": answer.do, "missing": answer.signs},
                text=f"refused: {answer.reason}\n\nhint: {answer.do}",
            )
        case answers.Accepted():
            notes = "".join(f"\n{note}" for note in answer.notes)
            return Answer(
                schema="release/1",
                ok=True,
                result={"events": [type(event).__name__ for event in answer.events], "notes": answer.notes},
                text=(done if answer.events else "nothing to do") + notes,
            )
