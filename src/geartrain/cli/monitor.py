"""`geartrain monitor`: look at what is live; open incidents and call their owners."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from geartrain.cli.answer import Answer, answering
from geartrain.cli.options import loaded, moment_of, now_option, opened, product_option, workspace_option
from geartrain.domain.digest import short

if TYPE_CHECKING:
    from geartrain.engine.estimated_live import Foreseen
    from geartrain.engine.live_course import Course
    from geartrain.engine.monitoring_live import Watched
    from geartrain.monitoring.adapting import Adapted
    from geartrain.monitoring.estimating import Reconciliation


@click.command()
@workspace_option
@product_option
@now_option
@answering
def monitor(workspace: Path | None, folder: Path, now: datetime | None) -> Answer:
    """Look at what is live: feeds, drift, cost, promises. An open incident is exit code 1.

    A rollout or a live release that breaks a clause of `abort_on`, or whose model fails more often than
    that of the release beside or before it, is aborted or rolled back at once; that is exit code 1 too.

    What decisions without a known truth will have cost is estimated from their probabilities, with
    what that assumes, and checked where the truth is known by now.
    """
    from geartrain.engine.bench import currency_of
    from geartrain.engine.monitoring_live import watch_live
    from geartrain.monitoring.explaining import behind

    product, space, moment = loaded(folder), opened(workspace), moment_of(now)
    found = watch_live(space, product, now=moment)
    lines = [
        f"{short(found.release)} is live: {found.decisions:,} decisions in the log, the truth of {found.labelled:,} is known"
        if found.release
        else "nothing is live",
        *(f"  STOPPED: {one}" for one in found.stopped),
        *(f"  not watched: {one}" for one in found.missing),
        *(f"  caution: {one}" for one in found.cautions),
        *(f"  {one.status:<12} {one.clause}: {one.message}" for one in found.findings),
        *(f"  {one.status:<12} {one.stage}: {one.clause}: {one.message}" for one in found.beside),
        *(f"  noticed: {one.message}" for one in found.signals),
        *_without_labels(found),
        *_estimated(found),
        *_rivals(found.course),
        *([f"canary {short(found.arms.release)}: {found.arms.reason}"] if found.arms else []),
    ]
    fresh = {one.id for one in found.opened}
    for incident in found.open:
        holders = ", ".join(product.contract.holders(incident.owner)) or "nobody"
        when = "opened now" if incident.id in fresh else f"open since {incident.opened_at:%Y-%m-%d %H:%M} UTC"
        lines += [
            "",
            f"incident {incident.id}, {when}: {incident.cause}; {incident.owner} ({holders}) is called",
            f"  {incident.message}",
            *(f"  {line}" for line in behind(incident, currency=currency_of(product.contract))),
            f"  first: {incident.first_action}",
        ]
    if not found.open:
        lines += ["", "no incident is open"]
    return Answer(
        schema="monitor/1",
        ok=not found.open and not found.stopped,
        result={
            "product": product.name,
            "release": found.release,
            "decisions": found.decisions,
            "labelled": found.labelled,
            "missing": found.missing,
            "cautions": found.cautions,
            "stopped": found.stopped,
            "beside": found.beside,
            "arms": found.arms,
            "findings": found.findings,
            "signals": found.signals,
            "unlike": found.unlike,
            "attribution": found.attribution,
            "opened": found.opened,
            "open": found.open,
            "estimate": found.foreseen.estimate,
            "reconciled": found.foreseen.reconciled,
            "adapted": found.foreseen.adapted,
            "from_labels": found.foreseen.labels,
            "from_asked_labels": found.foreseen.asked,
            "settling": found.foreseen.settling,
            "challenger": found.course.challenger,
            "challenge": found.course.contest.ruling if found.course.contest else None,
            "stood_by": found.course.asked,
            "cheaper": found.course.back.release if found.course.back else None,
            "gap": found.course.gap,
        },
        text="\n".join(lines),
    )


def _without_labels(found: Watched) -> list[str]:
    """What values alone say of the rows, and what decisions rest on; a reason only where a release is live."""
    if found.release is None:
        return []
    return [
        f"  without labels: {one.message or 'nothing is said: ' + one.reason}"
        for one in (found.unlike, found.attribution)
    ]


def _estimated(found: Watched) -> list[str]:
    """What is estimated without labels, and right under it how such estimates came out."""
    if found.release is None:
        return []
    seen = found.foreseen
    return [
        "",
        seen.estimate.message,
        *_checked(seen.reconciled),
        seen.adapted.message,
        *_against(seen.adapted),
        *_told(seen),
    ]


def _rivals(course: Course) -> list[str]:
    """How the champion stands beside its rivals; `geartrain retrain` acts on it."""
    lines = []
    if course.contest is not None and course.challenger is not None:
        lines.append(f"{short(course.challenger)} is tested beside it: {course.contest.ruling.reason}")
    if course.back is not None:
        lines.append(
            f"{short(course.back.release)} stands by and decides cheaper: {course.back.ruling.reason}"
        )
    elif course.asked:
        lines.append(f"{', '.join(map(short, course.asked))} stood by: not proven cheaper")
    return ["", *lines] if lines else []


def _checked(past: Reconciliation) -> list[str]:
    if past.whole is None:
        return [f"  estimates cannot be checked yet: {past.reason}"]
    wrong = [one for one in past.windows if not one.agrees]
    lines = [f"  checked against what came, {past.whole.message}"]
    if past.windows:
        lines.append(
            f"  of the latest {len(past.windows)} windows, {len(wrong)} came out otherwise than estimated"
        )
    return [*lines, *(f"    {one.message}" for one in wrong)]


def _against(adapted: Adapted) -> list[str]:
    """How the adapted way of estimating came out, in the form of the plain one's check."""
    if adapted.checked is None:
        return [f"  it cannot be checked yet: {adapted.unchecked}"] if adapted.unchecked else []
    seen = adapted.checked
    verdict = (
        "nothing speaks against it"
        if seen.agrees
        else "P(y|x) has changed, or the reference does not reach these rows"
    )
    apart = f"{seen.difference.value:.4g} ({seen.difference.low:.4g} to {seen.difference.high:.4g})"
    told = f"estimated {seen.expected:.4g}, realised {seen.realised:.4g} a decision, difference {apart}"
    return [f"  checked against {seen.difference.rows:,} labels: {told}; {verdict}"]


def _told(seen: Foreseen) -> list[str]:
    """What a few labels say, and which more would settle it."""
    lines = [seen.labels.message] if seen.labels.cost else []
    if seen.asked is not None:
        lines.append(seen.asked.message)
    if seen.estimate.cost is not None:
        ask = "; `geartrain labels ask` draws them for the review queue" if seen.settling.labels else ""
        lines.append(seen.settling.message + ask)
    return lines
