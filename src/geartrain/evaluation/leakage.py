"""Leakage: every clause of integrity against the rows, the columns and the parts of one run.

A result is only as honest as the distance between what was learned from and what judged.
Eight checks, each a clause with findings like any other; the taxonomy is that of Kapoor &
Narayanan (2023), "Leakage and the reproducibility crisis in machine-learning-based
science", Patterns 4(9).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.clause import Clause, Stage
from geartrain.domain.contract import Contract, DataTerms, FieldType
from geartrain.domain.expression import Columns
from geartrain.domain.features import Feature, FeatureSet, RequestFeature
from geartrain.domain.finding import Finding, Measurement, reason_of
from geartrain.evaluation.evidence import Measured, Unmeasured
from geartrain.evaluation.judging import finding_of
from geartrain.evaluation.leakage_duplicates import nearly_repeated_rows, repeated_rows
from geartrain.evaluation.leakage_pools import (
    columns_known_too_late,
    known_entities,
    learned_too_early,
    rows_told_apart,
)
from geartrain.evaluation.leakage_proxies import Leak, enough, leaks
from geartrain.evaluation.model_view import reads

Rows = NDArray[np.int64]

SECTION = "integrity"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exhibit:
    """What the checks look at: one run's rows, and which of them learned, chose and judged.

    Attributes:
        raw: The decision rows' own columns, each of shape (n,), without the label.
        features: What the model reads, by feature, each of shape (n,).
        definitions: How the features are made.
        truth: Class indices (negative: not known) or values (NaN: not known), shape (n,).
        search: Rows that were learned from, as positions.
        select: Rows that were chosen with.
        verdict: Rows that judge.
        fitting: Looks for parts that saw more than `search`; None where there is nothing fitted.
        times_us: When each row happened, or None where rows have no time.
        label_times_us: When each truth arrived, NaN where nobody knows, or None.
        arrivals_us: When each row itself arrived, or None.
    """

    contract: Contract
    raw: Columns
    features: Columns
    definitions: FeatureSet
    truth: NDArray[Any]
    search: Rows
    select: Rows
    verdict: Rows
    fitting: Callable[[], Measured] | None = None
    times_us: Rows | None = None
    label_times_us: NDArray[np.float64] | None = None
    arrivals_us: NDArray[np.float64] | None = None
    seed: int = 0

    @property
    def known(self) -> Rows:
        """Rows that shaped the model: learned from, or chosen with."""
        return np.concatenate([self.search, self.select])

    @property
    def data(self) -> DataTerms:
        """The contract's data section; empty where it has none."""
        return self.contract.data or DataTerms(sources=())


def judge_integrity(exhibit: Exhibit, *, stage: Stage, now: datetime) -> tuple[Finding, ...]:
    """A finding for each clause of integrity that is due at *stage*."""
    due = [
        clause
        for clause in exhibit.contract.clauses
        if clause.section == SECTION and (not clause.stages or stage in clause.stages)
    ]
    found = []
    for clause in due:
        value = measured(exhibit, clause)
        finding = finding_of(clause, value, stage=stage, now=now)
        if isinstance(value, Measurement):
            finding = replace(finding, message=_sentence(clause, finding, value.note))
        found.append(finding)
    return tuple(found)


def measured(exhibit: Exhibit, clause: Clause) -> Measured:
    """What the exhibit says about one clause of integrity, or why it says nothing."""
    check = CHECKS.get(clause.path.removeprefix(f"{SECTION}."))
    return check(exhibit, clause) if check else Unmeasured(reason=f"there is no check `{clause.path}`")


def _sentence(clause: Clause, finding: Finding, note: str) -> str:
    """What was seen in words, what was promised where that is a number, and the status."""
    value = finding.value or 0.0
    share, bound = f"{value:.3g}", f"promised at most {100 * clause.bound:.3g} %"
    percent = f"{100 * value:.3g} %"
    match clause.metric:
        case "known_entities" if value:
            text = f"{percent} of the judged rows are about somebody that was learned from {note}, {bound}"
        case "learned_too_early" if value:
            text = f"{percent} of the rows that were learned from were not known yet: {note}; {bound}"
        case "columns_that_tell" if not value:
            text = f"no column gives the truth away {note}".rstrip()
        case "columns_known_too_late" if not value:
            text = f"no feature is said to be known too late; {note}".rstrip("; ")
        case "parts_that_saw_more":
            seen = f"parts of the model saw other rows than those to learn from: {note}"
            text = seen if value else "no part of the model saw other rows than those to learn from"
        case "rows_told_apart":
            text = (
                f"the rows learned from and those that judge are told apart with an AUC of {share}"
                f" ({finding.low:.3g} to {finding.high:.3g}), promised at most {clause.bound:.3g}"
            )
            text += f", {note}" if note else ""
        case "repeated_rows" | "nearly_repeated_rows" if value:
            text = f"{note}; {percent}, {bound}"
        case _:
            text = note
    return f"{text}: {finding.status}{reason_of(clause, finding.status)}"


def _duplicates(exhibit: Exhibit, clause: Clause) -> Measured:
    del clause
    compared = {**_comparable(exhibit), "the label": exhibit.truth}
    return repeated_rows(compared, judged=exhibit.verdict, known=exhibit.known).measurement


def _near_duplicates(exhibit: Exhibit, clause: Clause) -> Measured:
    del clause
    declared = {
        field.name
        for source in exhibit.data.sources
        for field in source.fields
        if field.type is FieldType.TEXT
    }
    return nearly_repeated_rows(
        _comparable(exhibit), judged=exhibit.verdict, known=exhibit.known, declared=declared
    ).measurement


def _groups(exhibit: Exhibit, clause: Clause) -> Measured:
    named = [] if exhibit.data.group is None else [exhibit.data.group]
    if exhibit.data.time_split and not named:
        return Measurement.exact(
            0.0,
            rows=len(exhibit.verdict),
            note="later rows judge earlier ones, so whoever comes back here comes back in use too",
        )
    accepted = _accepted(clause)
    if not named:
        windows = (one.entity for one in exhibit.definitions.windows)
        named = [one for one in dict.fromkeys([*windows, *_set_aside(exhibit)]) if one not in accepted]
    asked = {name: values for name, values in _comparable(exhibit).items() if name not in accepted}
    return known_entities(
        asked, judged=exhibit.verdict, known=exhibit.known, named=named, looks=not exhibit.data.group
    )


def _time(exhibit: Exhibit, clause: Clause) -> Measured:
    del clause
    if exhibit.times_us is None:
        return Unmeasured(reason="the rows have no time")
    return learned_too_early(
        times_us=exhibit.times_us,
        known=exhibit.known,
        judged=exhibit.verdict,
        label_delay_us=round(exhibit.contract.decision.label_delay_s * 1e6),
        label_times_us=exhibit.label_times_us,
        arrivals_us=exhibit.arrivals_us,
    )


def _availability(exhibit: Exhibit, clause: Clause) -> Measured:
    del clause
    return read_too_late(exhibit.contract, exhibit.definitions)


def _target_proxy(exhibit: Exhibit, clause: Clause) -> Measured:
    truth = exhibit.truth[exhibit.search]
    if not enough(truth):
        return Unmeasured(reason="fewer than 10 rows to learn from are of a second class")
    found = telling(exhibit, clause)
    note = "; ".join(one.sentence for one in found)
    return Measurement.exact(
        float(len(found)), rows=len(exhibit.search), method="each column alone and left out", note=note
    )


def _preprocessing(exhibit: Exhibit, clause: Clause) -> Measured:
    del clause
    if exhibit.fitting is None:
        return Unmeasured(reason="the parts that were fitted are not at hand")
    return exhibit.fitting()


def _sampling(exhibit: Exhibit, clause: Clause) -> Measured:
    del clause
    return rows_told_apart(exhibit.features, known=exhibit.known, judged=exhibit.verdict, seed=exhibit.seed)


#: Every check, by the last part of its clause's path.
CHECKS: Mapping[str, Callable[[Exhibit, Clause], Measured]] = {
    "duplicates": _duplicates,
    "near_duplicates": _near_duplicates,
    "groups": _groups,
    "time": _time,
    "availability": _availability,
    "target_proxy": _target_proxy,
    "preprocessing": _preprocessing,
    "sampling": _sampling,
}


def telling(exhibit: Exhibit, clause: Clause | None) -> tuple[Leak, ...]:
    """The features that give the truth away on the rows that were learned from, but for those that *clause* accepts."""
    return leaks(
        {name: values[exhibit.search] for name, values in exhibit.features.items()},
        exhibit.truth[exhibit.search],
        accepted=_covering(exhibit, _accepted(clause)) if clause else (),
        available=settled(exhibit),
        late=_late(exhibit.contract, exhibit.definitions),
        seed=exhibit.seed,
    )


def read_too_late(contract: Contract, definitions: FeatureSet) -> Measurement:
    """How many features read what the contract says is known only after the decision; asks no row."""
    return columns_known_too_late(_reads(definitions), _known_after(contract))


def settled(exhibit: Exhibit) -> tuple[str, ...]:
    """The features of which it is settled that they are known when the decision is made.

    Those made of windows over past events: the two clocks see to it. And those that read only
    columns of which the contract says `known_after: 0 days`.
    """
    known = _known_after(exhibit.contract)
    said = _reads(exhibit.definitions)
    return tuple(
        one.name
        for one in exhibit.definitions.features
        if not isinstance(one, RequestFeature)
        or (said[one.name] and all(known.get(column) == 0.0 for column in said[one.name]))
    )


def _reads(definitions: FeatureSet) -> dict[str, tuple[str, ...]]:
    return {one.name: reads(one) for one in definitions.features if isinstance(one, RequestFeature)}


def _late(contract: Contract, definitions: FeatureSet) -> tuple[str, ...]:
    """The features that read a column of which the contract says that it is known only later."""
    known = _known_after(contract)
    return tuple(
        name
        for name, columns in _reads(definitions).items()
        if any(known.get(column, 0.0) > 0 for column in columns)
    )


def _known_after(contract: Contract) -> dict[str, float]:
    if contract.data is None:
        return {}
    fields = contract.data.decisions.fields
    return {field.name: field.known_after_s for field in fields if field.known_after_s is not None}


def _accepted(clause: Clause) -> tuple[str, ...]:
    named = clause.parameter("accept", ())
    return tuple(str(one) for one in named) if isinstance(named, tuple) else (str(named),)


def _covering(exhibit: Exhibit, accepted: tuple[str, ...]) -> tuple[str, ...]:
    """The features that an accepted name means: itself, or those that read nothing but such columns."""

    def covered(feature: Feature) -> bool:
        read = reads(feature)
        return feature.name in accepted or (bool(read) and set(read) <= set(accepted))

    return tuple(one.name for one in exhibit.definitions.features if covered(one))


def _comparable(exhibit: Exhibit) -> Columns:
    """The rows' own columns without their names, their arrival and the label: what a copy would share."""
    if exhibit.contract.data is None:
        return exhibit.raw
    source = exhibit.contract.data.decisions
    left_out = {source.key, source.arrival_time, exhibit.contract.decision.label}
    return {
        name: values
        for name, values in exhibit.raw.items()
        if name not in left_out and not name.startswith("_")
    }


def _set_aside(exhibit: Exhibit) -> tuple[str, ...]:
    """Columns of the decision rows that the contract keeps from the model as names of somebody."""
    if exhibit.contract.data is None:
        return ()
    source = exhibit.contract.data.decisions
    reserved = {source.key, source.event_time, source.arrival_time, exhibit.contract.decision.label}
    kinds = {FieldType.STRING, FieldType.INTEGER}
    various = {name for name, values in exhibit.raw.items() if len(set(values.tolist())) > 0.05 * len(values)}
    return tuple(
        field.name
        for field in source.fields
        if not field.feature and field.name not in reserved and field.type in kinds and field.name in various
    )
