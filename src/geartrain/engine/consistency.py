"""Served features against recomputed ones: the prediction log beside the offline kernel, cell by cell.

Each decision in the log is taken again: its row as it stands in the lake, every source
as the lake holds it now, the time of the decision, and what had arrived by then. The
kernel must give the values that the model was given. Where it does not, the check asks it
again with what the server can have known: rows that were taken in later than they say,
rows that came twice, corrections, the row as it was sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from geartrain.domain.clause import Stage
from geartrain.domain.contract import Contract
from geartrain.domain.features import Encoding
from geartrain.domain.finding import Finding, Measurement, judge, reason_of
from geartrain.engine.bundles import load_bundle
from geartrain.engine.decided import KEY, decisions_of
from geartrain.engine.runs import note, noted
from geartrain.engine.taken_again import Asked
from geartrain.engine.workspace import Workspace
from geartrain.errors import FeatureInvalid
from geartrain.features.consistency import ConsistencyReport, Explanation, compare, differs, explain
from geartrain.ports.lake import EVENT_TIME
from geartrain.stats.intervals import CONFIDENCE, clopper_pearson

#: The clause, and the note in which the latest check of a product stands.
CLAUSE = "integrity.consistency"
_NOTE = "consistency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency:
    """How far what one release was served agrees with what would be learned from.

    Attributes:
        since: When the first decision that was compared was made; None where none was.
        until: And the last.
        decisions: Decisions compared.
        left_out: Decisions that could not be, by the reason.
        report: Each feature's differing cells.
        explanation: Why they differ.
    """

    product: str
    release: str
    checked_at: datetime
    since: datetime | None
    until: datetime | None
    decisions: int
    left_out: tuple[tuple[str, int], ...]
    report: ConsistencyReport
    explanation: Explanation

    @property
    def kept(self) -> bool:
        """Whether every difference, if there is one, is explained."""
        return self.explanation.unexplained == 0

    @property
    def measurement(self) -> Measurement | None:
        """The share of decisions with a difference that nothing explains, with its exact interval."""
        if self.decisions == 0:
            return None
        count = self.explanation.rows_unexplained
        low, high = clopper_pearson(count, self.decisions)
        return Measurement(
            value=count / self.decisions,
            low=low,
            high=high,
            confidence=CONFIDENCE,
            rows=self.decisions,
            method="Clopper-Pearson",
            note=in_one_line(self),
        )


def check_consistency(
    workspace: Workspace,
    contract: Contract,
    release: str,
    *,
    now: datetime,
    latest: int | None = None,
    log: pl.DataFrame | None = None,
) -> Consistency:
    """Compare what *release* was served with what the offline kernel says now.

    Args:
        workspace: Where the log, the lake and the bundle are.
        contract: The product's contract, which says what its sources are.
        release: Whose decisions; its bundle says which features it reads.
        now: Nothing that arrived later is looked at.
        latest: Only so many of the latest decisions; None for all.
        log: Its decisions, where the caller has read them already.

    Raises:
        BundleTampered: The bundle is not what was signed.
        ReleaseUnknown: There is no such bundle.
        FeatureInvalid: A function that the features rest on is not loaded here.
    """
    encoding = load_bundle(workspace, release).encoding
    if log is None:
        log = decisions_of(workspace, contract.product.name, now=now, release=release)
    if latest is not None:
        log = log.tail(latest)
    return compare_log(workspace, contract, encoding, log, release=release, now=now)


def compare_log(
    workspace: Workspace,
    contract: Contract,
    encoding: Encoding,
    log: pl.DataFrame,
    *,
    release: str,
    now: datetime,
) -> Consistency:
    """Compare the feature values in *log* with what the kernel says of the same decisions, and explain what differs.

    *encoding* says which features those are, and what a model sees of them; *release* is
    only said again.

    Raises:
        FeatureInvalid: A function that the features rest on is not loaded here.
    """
    asked = Asked.of(workspace, contract, encoding, log, now=now)
    features = encoding.feature_set
    recomputed = asked.say(asked.rows, asked.sources)
    wrong = np.flatnonzero(differs(asked.served, recomputed, features).any(axis=1))
    names = asked.rows[KEY].to_list()
    some = asked.take(wrong)
    explanation = explain(
        some.served, recomputed[wrong], features, some.guesses(), rows=[names[place] for place in wrong]
    )
    times = asked.rows[EVENT_TIME]
    return Consistency(
        product=contract.product.name,
        release=release,
        checked_at=now,
        since=times.min(),  # type: ignore[arg-type]  # a column of times
        until=times.max(),  # type: ignore[arg-type]  # a column of times
        decisions=asked.rows.height,
        left_out=asked.left_out,
        report=compare(asked.served, recomputed, features),
        explanation=explanation,
    )


def consistency_findings(
    workspace: Workspace,
    contract: Contract,
    release: str,
    *,
    now: datetime,
    latest: int | None = None,
    log: pl.DataFrame | None = None,
) -> tuple[Finding, ...]:
    """What the clause says of live decisions, and a note of it for whoever counts."""
    clause = contract.clause(CLAUSE)
    if clause is None or Stage.LIVE not in clause.stages:
        return ()
    try:
        found = check_consistency(workspace, contract, release, now=now, latest=latest, log=log)
    except FeatureInvalid as error:
        # Such as a function whose text was changed since the release: its values cannot be made again here.
        return (judge(clause, None, stage=Stage.LIVE, now=now, reason=error.message),)
    note_consistency(workspace, found)
    measured = found.measurement
    if measured is None:
        reason = "; ".join(f"{why} ({count:,})" for why, count in found.left_out)
        return (
            judge(clause, None, stage=Stage.LIVE, now=now, reason=reason or "no decision is in the log yet"),
        )
    finding = judge(clause, measured, stage=Stage.LIVE, now=now)
    more = f"; about {finding.rows_needed:,} more decisions would settle it" if finding.rows_needed else ""
    message = f"{measured.note}: {finding.status}{more}{reason_of(clause, finding.status)}"
    return (replace(finding, message=message),)


def in_one_line(found: Consistency) -> str:
    """The check in one sentence."""
    report, why = found.report, found.explanation
    if not report.differing:
        return f"each of {report.cells:,} feature values of {found.decisions:,} decisions is what training computes"
    return (
        f"{report.differing:,} of {report.cells:,} feature values of {found.decisions:,} decisions are not what"
        f" training computes; {report.differing - why.unexplained:,} are explained, {why.unexplained:,} are not"
    )


def note_consistency(workspace: Workspace, found: Consistency) -> None:
    """Keep the figures of the latest check of a product, for its server's metrics."""
    why = found.explanation
    causes: dict[str, int] = {}
    for one in why.explained:
        causes[one.cause.value] = causes.get(one.cause.value, 0) + one.cells
    told = {
        "release": found.release,
        "checked_at": found.checked_at.isoformat(),
        "decisions": found.decisions,
        "cells": found.report.cells,
        "causes": {**causes, "unexplained": why.unexplained},
    }
    note(workspace.root, found.product, _NOTE, told)


def noted_consistency(workspace: Workspace, product: str) -> Mapping[str, Any] | None:
    """The figures that `note_consistency` kept, or None."""
    told: Mapping[str, Any] | None = noted(workspace.root, product, _NOTE)
    return told
