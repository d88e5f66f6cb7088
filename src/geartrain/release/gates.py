"""Gates: may this release pass? Answered from findings and waivers, never from hope."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from geartrain.domain.clause import Clause, Severity, Stage
from geartrain.domain.finding import Finding, Status, judge
from geartrain.domain.release import Waiver

_ORDER = {stage: place for place, stage in enumerate(Stage)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """A clause that is not kept and may pass for a time, because of a waiver."""

    finding: Finding
    waiver: Waiver


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What the gates say.

    Attributes:
        blocking: Blocking clauses that are not kept and that no waiver covers.
        waived: Blocking clauses that are not kept and the waiver that lets them pass.
        expired: Waivers for clauses that are still not kept, which no longer hold.
        warnings: Warning clauses that are not kept; they never block.
        unneeded: Waivers for clauses that are kept after all.
        kept: How many clauses are kept.
    """

    blocking: tuple[Finding, ...]
    waived: tuple[Allowed, ...]
    expired: tuple[Waiver, ...]
    warnings: tuple[Finding, ...]
    unneeded: tuple[Waiver, ...]
    kept: int

    @property
    def passed(self) -> bool:
        """Whether nothing blocks."""
        return not self.blocking

    @property
    def sentence(self) -> str:
        """The result in one plain sentence."""
        if self.passed:
            allowed = f", {len(self.waived)} waived" if self.waived else ""
            return f"the gates are open: {self.kept} clauses kept{allowed}"
        named = ", ".join(f"{one.clause} ({one.status})" for one in self.blocking)
        return f"the gates are closed by {named}"


def gates(
    findings: Iterable[Finding],
    waivers: Collection[Waiver],
    now: datetime,
    *,
    clauses: Iterable[Clause] = (),
) -> GateResult:
    """Decide whether what *findings* say may pass at *now*.

    A blocking clause that is broken, unproven or not measured blocks, unless a waiver that
    holds at *now* names it. Where a clause was judged at several stages the latest stage
    counts. A clause of *clauses* without any finding counts as not measured: silence is no
    permission.
    """
    latest = _latest(findings)
    for clause in clauses:
        if clause.path not in latest:
            latest[clause.path] = judge(
                clause, None, stage=Stage.RELEASE, now=now, reason="the evidence does not speak of it"
            )
    open_ = [one for one in latest.values() if one.status is not Status.KEPT]
    names_open = {one.clause for one in open_ if one.severity is Severity.BLOCK}
    holding = {
        one.clause: one for one in sorted(waivers, key=_until) if one.granted_at <= now < one.expires_at
    }
    waived = tuple(
        Allowed(finding=one, waiver=holding[one.clause])
        for one in open_
        if one.blocks and one.clause in holding
    )
    return GateResult(
        blocking=tuple(one for one in open_ if one.blocks and one.clause not in holding),
        waived=waived,
        expired=tuple(
            one
            for one in waivers
            if one.expires_at <= now and one.clause in names_open and one.clause not in holding
        ),
        warnings=tuple(one for one in open_ if not one.blocks),
        unneeded=tuple(
            one for one in holding.values() if one.clause in latest and one.clause not in names_open
        ),
        kept=len(latest) - len(open_),
    )


def due(clauses: Iterable[Clause]) -> tuple[Clause, ...]:
    """The clauses that a release's evidence must speak of: those checked at release, or at no stated stage."""
    return tuple(one for one in clauses if not one.stages or Stage.RELEASE in one.stages)


def _latest(findings: Iterable[Finding]) -> dict[str, Finding]:
    latest: dict[str, Finding] = {}
    for one in sorted(findings, key=lambda one: (one.clause, _ORDER[one.stage], one.found_at)):
        latest[one.clause] = one
    return latest


def _until(waiver: Waiver) -> datetime:
    return waiver.expires_at
