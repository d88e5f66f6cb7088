"""Group nouns: what a model does to each group, how far groups are apart, and what cannot all hold.

Evaluation makes them; documents and pages only show them.
"""

from __future__ import annotations

from dataclasses import dataclass

from geartrain.domain.finding import Measurement

#: The quantities of a table, in the order in which they are shown, and what each is in words.
QUANTITIES = {
    "base_rate": "how often it is really so",
    "selection_rate": "how often the action is taken",
    "recall": "recall: of those for whom it is right, how many get the action",
    "false_alarms": "false alarms: of those for whom it is wrong, how many get the action",
    "precision": "precision: of those who get the action, for how many it is right",
    "calibration": "what came minus what was said, on average",
    "cost": "the mean cost of a decision",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFigure:
    """One quantity of one group: a measurement, or the reason why there is none.

    Attributes:
        quantity: A key of `QUANTITIES`.
    """

    quantity: str
    measurement: Measurement | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """What the model does to one group.

    Attributes:
        group: The group's name; `everyone` for all rows.
        rows: How many rows it has.
        positives: How many of them are of the class that is looked for; None without classes.
        judged: Whether it is large enough for a verdict: its rows, and its positives where there are classes.
        figures: One for each quantity that the task has.
    """

    group: str
    rows: int
    positives: int | None = None
    judged: bool = True
    figures: tuple[GroupFigure, ...] = ()

    def value(self, quantity: str) -> Measurement | None:
        """The measurement of *quantity*, or None where it has none."""
        return next((one.measurement for one in self.figures if one.quantity == quantity), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class WidestGap:
    """The two groups that are furthest apart in one quantity.

    Attributes:
        one: The group with the higher value.
        two: The group with the lower one.
        gap: Their difference; its interval pays for the number of pairs.
        ratio: The lower value over the higher one, None where there is no share of nothing.
    """

    quantity: str
    one: str
    two: str
    gap: Measurement
    ratio: Measurement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTable:
    """What the model does to each group, and between which groups it differs most.

    Attributes:
        groups: The expressions whose values are the groups; several are crossed.
        smallest_group: Groups with fewer rows or positives are shown and not judged.
        confidence: Of the intervals of one quantity *together*: each is at Bonferroni's level over the groups.
        unknown: Rows of which the group is missing; they are in no group.
    """

    groups: tuple[str, ...]
    everyone: GroupRow
    rows: tuple[GroupRow, ...]
    widest: tuple[WidestGap, ...] = ()
    smallest_group: int = 30
    confidence: float = 0.95
    unknown: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Impossibility:
    """Fairness clauses that exclude each other at the base rates seen.

    Attributes:
        clauses: Their paths.
        one: One of the two groups whose base rates are furthest apart.
        two: The other.
        excluded: Whether they cannot hold together at the model's present skill, tolerances spent; where
            not, a better model will run into it.
        sentence: What it is, in plain words with the numbers.
    """

    clauses: tuple[str, ...]
    one: str
    two: str
    excluded: bool
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MitigationTried:
    """One mitigation that training tried because a fairness clause broke, and what it would cost.

    Attributes:
        clause: The path of the clause that broke.
        mitigation: `none`, `reweighing`, `constraints` or `thresholds`.
        chosen: Whether the candidate was built with it.
        gap: The clause's quantity on the rows of the choice; None where it was not tried or has no value.
        cost_per_1000: What 1000 decisions cost there.
        change_per_1000: What 1000 of them cost more than without, about the same rows.
        reason: Why it was not tried, or why it was (not) chosen.
    """

    clause: str
    mitigation: str
    chosen: bool = False
    gap: Measurement | None = None
    cost_per_1000: Measurement | None = None
    change_per_1000: Measurement | None = None
    reason: str = ""
