"""A finding of plausibility or fairness as one plain sentence: what the model does, and what its owner says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from geartrain.domain.clause import Clause
from geartrain.domain.finding import Finding, Status, reason_of
from geartrain.domain.roles import Role

_TITLES = {
    Role.DOMAIN: "the domain expert",
    Role.PRODUCT: "the product owner",
    Role.ENGINEERING: "engineering",
    Role.SCIENCE: "science",
}


def sentence_of(clause: Clause, finding: Finding, note: str) -> str:
    """The finding in words, ending with its status; *note* is what the measurement said of itself.

    A finding that measured nothing keeps its own message, which says why.
    """
    write = _SENTENCES.get(clause.metric)
    if write is None or finding.value is None:
        return finding.message
    text = f"{write(clause, finding, note)}: {finding.status}"
    more = finding.relevant_needed if finding.relevant_needed is not None else finding.rows_needed
    if finding.status is Status.UNPROVEN and more is not None:
        text += f"; about {more:,} more rows would settle it"
    return text + reason_of(clause, finding.status)


def percent(share: float) -> str:
    """A share as people say it.

    >>> percent(0.4142), percent(0.0004), percent(0)
    ('41.4 %', '0.04 %', '0 %')
    """
    return f"{100 * share:.3g} %"


def _who(clause: Clause) -> str:
    return _TITLES[clause.owner]


def _interval(finding: Finding) -> str:
    if finding.low is None or finding.high is None or finding.low == finding.high:
        return ""
    return f" ({100 * finding.low:.3g} to {100 * finding.high:.3g})"


def _share(finding: Finding) -> str:
    return f"{percent(finding.value or 0.0)}{_interval(finding)}"


def _where(clause: Clause) -> str:
    return f" where {clause.where}" if clause.where else ""


def _allowed(clause: Clause) -> str:
    return f"at most {percent(clause.bound)}"


def _forbidden(clause: Clause, finding: Finding, note: str) -> str:
    if not finding.value:
        named = clause.parameter("columns")
        listed = ", ".join(str(one) for one in named) if isinstance(named, tuple) else str(named)
        return f"no feature reads {listed}"
    return f"{note}, which {_who(clause)} says must not be used"


def _invariant(clause: Clause, finding: Finding, note: str) -> str:
    column = clause.parameter("column")
    if not finding.value and finding.low == finding.high:
        return note or f"the model does not see {column}"
    text = f"the decision changes for {_share(finding)} of the rows{_where(clause)} when only {column} does"
    if note and finding.status is not Status.KEPT:
        return f"{note}, which {_who(clause)} says must not matter, and {text}, promised {_allowed(clause)}"
    return f"{text}, promised {_allowed(clause)}"


def _rises(clause: Clause, finding: Finding, note: str, *, wrong: str) -> str:
    also = f" ({note})" if note else ""
    return (
        f"the answer {wrong} for {_share(finding)} of the rows{_where(clause)} when {clause.parameter('column')}"
        f" rises{also}, promised {_allowed(clause)}"
    )


def _largest(clause: Clause, finding: Finding, note: str) -> str:
    return f"{note} carries {_share(finding)} of the explanation, promised {_allowed(clause)}"


def _proxy(clause: Clause, finding: Finding, note: str) -> str:
    attribute = clause.parameter("attribute")
    ends = f" ({finding.low:.3f} to {finding.high:.3f})" if finding.low != finding.high else ""
    also = f"; {note}" if note else ""
    return (
        f"the features give {attribute} away with an AUC of {finding.value:.3f}{ends}, where 0.5 is nothing"
        f"{also}; promised at most {clause.bound:g}"
    )


def _stable(clause: Clause, finding: Finding, note: str) -> str:
    column = clause.parameter("column")
    also = f" [{note}]" if note else ""
    if (finding.value or 0.0) >= 1:
        return (
            f"the effect of what the model relies on turns or vanishes between the values of {column},"
            f" promised to differ by {_allowed(clause)} of itself{also}"
        )
    return (
        f"the effect of what the model relies on differs by {_share(finding)} of itself between the values of"
        f" {column}, promised {_allowed(clause)}{also}"
    )


def _cases(clause: Clause, finding: Finding, note: str) -> str:
    wrong = round((finding.value or 0.0) * finding.rows)
    if not wrong:
        return f"{finding.rows} known case{'s are' if finding.rows != 1 else ' is'} answered rightly; {note}"
    return f"{wrong} of {finding.rows} known cases are answered wrongly ({note}), promised {_allowed(clause)}"


def _earns(clause: Clause, finding: Finding, note: str) -> str:
    return f"{note}, {_share(finding)} of the times, promised {_allowed(clause)}"


#: The rates that a fairness clause compares between groups.
_ALIKE = {
    "demographic_parity": "how often the action is taken",
    "equal_opportunity": "recall",
    "equalised_odds": "recall or the share of false alarms",
    "predictive_parity": "precision",
}


def _between(clause: Clause) -> str:
    """The groups by their columns; by the clause's own name where they are expressions."""
    groups = clause.parameter("groups")
    named = [str(one) for one in groups] if isinstance(groups, tuple) else [str(groups)]
    if all(one.isidentifier() for one in named):
        return f"the groups of {' and '.join(named)}"
    return f"the groups of {clause.path.rsplit('.', 1)[-1]}"


def _alike(clause: Clause, finding: Finding, note: str) -> str:
    also = f" [{note}]" if note else ""
    about = _ALIKE[clause.metric]
    if clause.parameter("compare") == "ratio":
        return (
            f"between {_between(clause)}, the smaller value of {about} is {_share(finding)} of the larger one,"
            f" promised at least {percent(clause.bound)}{also}"
        )
    ends = _interval(finding)
    return (
        f"between {_between(clause)}, {about} differs by {100 * (finding.value or 0.0):.3g} points{ends},"
        f" promised at most {100 * clause.bound:.3g}{also}"
    )


def _robust(clause: Clause, finding: Finding, note: str) -> str:
    column, part = clause.parameter("column"), clause.parameter("share")
    how = {
        "missing": "is missing",
        "noise": "trembles",
        "unit": "comes a thousand times too large",
        "unseen": "has a value that nobody has seen",
        "swapped": f"and {clause.parameter('with')} change places",
    }[str(clause.parameter("corruption"))]
    rows = f" in {percent(part)} of the rows" if isinstance(part, float) and part < 1 else ""
    text = f"the cost rises by {_share(finding)} when {column} {how}{rows}, promised {_allowed(clause)}"
    return f"{text} ({note})" if note else text


_SENTENCES: Mapping[str, Callable[[Clause, Finding, str], str]] = {
    "forbidden": _forbidden,
    "invariant_to": _invariant,
    "rises_with": lambda clause, finding, note: _rises(clause, finding, note, wrong="falls"),
    "falls_with": lambda clause, finding, note: _rises(clause, finding, note, wrong="rises"),
    "largest_share": _largest,
    "proxy_of": _proxy,
    "stable_across": _stable,
    "cases": _cases,
    "earns_its_place": _earns,
    "robust_to": _robust,
    **dict.fromkeys(_ALIKE, _alike),
}
