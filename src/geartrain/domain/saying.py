"""A finding in one sentence that a person understands who has never read the contract's YAML.

The metric's name says what was computed, not what was seen. A domain expert must be able
to read `plausibility.shoe_size_says_nothing` and know what is wrong, so the clauses that are
theirs are told in terms of the model, the column and the decision.
"""

from __future__ import annotations

from dataclasses import dataclass

from geartrain.domain.clause import Clause, Comparison

#: The rates that a fairness clause compares between groups.
_ALIKE = {
    "demographic_parity": "how often the action is taken",
    "equal_opportunity": "recall",
    "equalised_odds": "recall or the share of false alarms",
    "predictive_parity": "precision",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """How a quantity is told: words around the value, and the value times `scale` in `unit`."""

    before: str
    after: str = ""
    scale: float = 1.0
    unit: str = ""


def seen_in_words(clause: Clause, *, value: float, low: float, high: float) -> str:
    """What was seen and what was promised, such as `recall is 0.97 (0.92 to 0.99), promised at least 0.95`.

    >>> from geartrain.domain.roles import Role
    >>> clause = Clause(path="plausibility.shoes", metric="invariant_to", comparison=Comparison.AT_MOST,
    ...                 bound=0.01, owner=Role.DOMAIN, parameters=(("column", "shoe_size"),))
    >>> seen_in_words(clause, value=0.14, low=0.12, high=0.16)
    '14 % (12 to 16) of the decisions change when nothing but `shoe_size` does, promised at most 1 %'
    """
    saying = _saying(clause)
    unit = saying.unit or clause.unit
    spaced = f" {unit}" if unit else ""
    words = "at least" if clause.comparison is Comparison.AT_LEAST else "at most"

    def told(number: float) -> str:
        return f"{number * saying.scale:.4g}"

    interval = "" if low == high else f" ({told(low)} to {told(high)})"
    # A share carries its sign where it is read; a quantity of its own carries its unit behind the interval.
    number = f"{told(value)}{spaced}{interval}" if saying.unit else f"{told(value)}{interval}{spaced}"
    against = f" of {clause.relative_to}" if clause.relative_to else ""
    return f"{saying.before}{number}{against}{saying.after}, promised {words} {told(clause.bound)}{spaced}"


def _saying(clause: Clause) -> Saying:
    if clause.section == "fairness":
        return _fairness(clause)
    if clause.section == "plausibility":
        return _plausibility(clause)
    return Saying(before=f"{clause.metric} is ")


def _fairness(clause: Clause) -> Saying:
    groups = clause.parameter("groups")
    if clause.metric not in _ALIKE:
        return Saying(before=f"between the groups of `{groups}`, {clause.metric} differs by ")
    return Saying(
        before=f"between the groups of `{groups}`, {_ALIKE[clause.metric]} differs by ",
        scale=100,
        unit="points",
    )


def _plausibility(clause: Clause) -> Saying:
    column = clause.parameter("column")
    match clause.metric:
        case "rises_with":
            after = f" of the rows get a lower answer somewhere when `{column}` rises"
        case "falls_with":
            after = f" of the rows get a higher answer somewhere when `{column}` rises"
        case "invariant_to":
            after = f" of the decisions change when nothing but `{column}` does"
        case "largest_share":
            after = " of the explanation is carried by one feature"
        case "cases":
            after = " of the known cases are answered wrongly"
        case "proxy_of":
            attribute = clause.parameter("attribute")
            return Saying(
                before=f"the features give `{attribute}` away with an AUC of ",
                after=", where guessing has 0.5",
            )
        case "forbidden":
            columns = clause.parameter("columns")
            named = ", ".join(str(one) for one in columns) if isinstance(columns, tuple) else str(columns)
            return Saying(before="", after=f" of the features read one of ({named})")
        case _:
            return Saying(before=f"{clause.metric} is ")
    return Saying(before="", after=after, scale=100, unit="%")
