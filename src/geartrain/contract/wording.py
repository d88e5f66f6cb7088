"""Each clause as one plain sentence, for people who do not read YAML."""

from __future__ import annotations

import json
from dataclasses import dataclass

from geartrain.contract.metrics import METRICS
from geartrain.contract.units import duration_in_words, number
from geartrain.domain.clause import Clause, Comparison, Severity
from geartrain.domain.contract import Contract
from geartrain.domain.roles import Role

_DEFINITIONS = {
    "demographic_parity": "the share of positive decisions",
    "equal_opportunity": "recall",
    "equalised_odds": "recall and the rate of false alarms",
    "predictive_parity": "precision",
    "cost_parity": "the cost of a decision",
    "calibration_within_groups": "what was said and what came",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One clause in words.

    Attributes:
        path: The clause.
        owner: Who answers for it.
        sentence: What it promises, why, and what happens where it is broken.
    """

    path: str
    owner: Role
    sentence: str


def in_words(contract: Contract) -> tuple[Said, ...]:
    """A sentence for each of the contract's clauses, in their order."""
    return tuple(
        Said(path=clause.path, owner=clause.owner, sentence=sentence(clause)) for clause in contract.clauses
    )


def sentence(clause: Clause) -> str:
    """What the clause promises, why, who answers for it and what a broken one does.

    >>> sentence(Clause(path="success.recall", metric="recall", owner=Role.DOMAIN, bound=0.97,
    ...                 comparison=Comparison.AT_LEAST, because="a missed tumour is found too late"))
    'recall is at least 0.97, because a missed tumour is found too late (domain, blocks a release)'
    """
    because = f", because {clause.because.rstrip('.')}" if clause.because else ""
    consequence = "blocks a release" if clause.severity is Severity.BLOCK else "warns"
    return f"{promise_in_words(clause)}{because} ({clause.owner}, {consequence})"


def bound_in_words(clause: Clause) -> str:
    """The bound alone, such as `at least 0.97` or `at most 0.25 of always-biopsy`."""
    unit = f" {clause.unit}" if clause.unit else ""
    against = f" of {clause.relative_to}" if clause.relative_to else ""
    words = "at least" if clause.comparison is Comparison.AT_LEAST else "at most"
    return f"{words} {number(clause.bound)}{unit}{against}"


def promise_in_words(clause: Clause) -> str:
    """What the clause promises, without its reason and its owner."""
    match clause.section:
        case "budget":
            return _budget(clause)
        case "data":
            return _data(clause)
        case "plausibility":
            return _plausibility(clause)
        case "integrity":
            return _integrity(clause)
        case "fairness":
            return _fairness(clause)
        case _:
            return _success(clause)


def _fairness(clause: Clause) -> str:
    about = _DEFINITIONS.get(clause.metric, clause.metric)
    named = clause.parameter("groups")
    groups = " by ".join(str(one) for one in named) if isinstance(named, tuple) else str(named)
    told = f"between the groups of {groups}, {about} differs by {bound_in_words(clause)}"
    if clause.metric == "calibration_within_groups":
        told = f"within each group of {groups}, {about} differ by {bound_in_words(clause)}"
    elif clause.parameter("compare") == "ratio":
        told = (
            f"between the groups of {groups}, {about} of the lower is {bound_in_words(clause)} of the higher"
        )
    return f"{told}; groups of fewer than {clause.parameter('smallest_group')} rows are not judged"


def _success(clause: Clause) -> str:
    metric = METRICS.get(clause.metric)
    about = metric.words if metric else clause.metric
    if (name := clause.parameter("class")) is not None:
        about += f" of {name}"
    if (most := clause.parameter("k")) is not None:
        period = clause.parameter("period")
        about += f", the {most} likeliest" + (
            f" in {duration_in_words(period)}" if isinstance(period, float) else ""
        )
    where = f" where {clause.where}" if clause.where else ""
    if clause.relative_to is None:
        return f"{about}{where} is {bound_in_words(clause)}"
    words = "at least" if clause.comparison is Comparison.AT_LEAST else "at most"
    return f"{about}{where} is {words} {number(clause.bound)} of that of {clause.relative_to}"


def _budget(clause: Clause) -> str:
    bound = f"{number(clause.bound)} {clause.unit}".strip()
    match clause.metric:
        case "latency_p50":
            return f"half of the answers come within {bound}"
        case "latency_p99":
            return f"99 of 100 answers come within {bound}"
        case "artifact_size":
            return f"the model's file takes at most {bound}"
        case "memory":
            return f"the loaded model takes at most {bound} of memory"
        case "fallback_rate":
            return (
                f"at most {number(round(clause.bound * 100, 6))} % of the decisions are taken by a fallback"
            )
        case _:
            return f"a million decisions cost at most {bound}"


def _data(clause: Clause) -> str:
    source = clause.parameter("source")
    match clause.metric:
        case "freshness":
            return f"{source} is never silent for longer than {duration_in_words(clause.bound)}"
        case "rows_per_day":
            return f"{source} brings at least {number(clause.bound)} rows a day"
        case _:
            return f"at most {number(round(clause.bound * 100, 6))} % of the rows of {source} are bad"


def _integrity(clause: Clause) -> str:
    share = f"{number(round(clause.bound * 100, 6))} %"
    most = f"at most {share}" if clause.bound else "none"
    accepted = clause.parameter("accept")
    but = f" (accepted: {', '.join(map(str, accepted))})" if isinstance(accepted, tuple) else ""
    match clause.metric:
        case "repeated_rows":
            return f"{most} of the judged rows also stand among the rows that were learned from"
        case "nearly_repeated_rows":
            return f"{most} of the judged texts and images nearly equal one that was learned from"
        case "known_entities":
            return f"{most} of the judged rows are about somebody that was learned from{but}"
        case "learned_too_early":
            return f"{most} of the rows that were learned from became known after the judging began"
        case "columns_known_too_late":
            return "no feature reads what is known only after the decision"
        case "columns_that_tell":
            return f"no column gives the truth away{but}"
        case "parts_that_saw_more":
            return "no part of the model saw other rows than those to learn from"
        case "unexplained_skew":
            return f"{most} of the live decisions were made from values that training would not compute, unexplained"
        case _:
            return (
                "the rows that were learned from and those that judge are told apart"
                f" with an AUC of at most {number(clause.bound)}"
            )


def _corruption(clause: Clause) -> str:
    """What goes wrong, such as `income is missing in 10 % of the rows`."""
    column, part = clause.parameter("column"), clause.parameter("share")
    rows = (
        f" in {number(round(float(part) * 100, 6))} % of the rows"
        if isinstance(part, float) and part < 1
        else ""
    )
    match clause.parameter("corruption"):
        case "missing":
            words = "is missing"
        case "noise":
            words = "moves by a quarter of its spread"
        case "unit":
            words = "comes a thousand times too large"
        case "unseen":
            words = "has a value that nobody has seen"
        case _:
            words = f"and {clause.parameter('with')} change places"
    return f"{column} {words}{rows}"


def _plausibility(clause: Clause) -> str:
    column = clause.parameter("column")
    share = f"{number(round(clause.bound * 100, 6))} %"
    but = f" in all but {share} of the tries" if clause.bound else ""
    where = f" where {clause.where}" if clause.where else ""
    match clause.metric:
        case "rises_with":
            return f"the answer does not fall when {column} rises{where}{but}"
        case "falls_with":
            return f"the answer does not rise when {column} rises{where}{but}"
        case "forbidden":
            return f"the answer does not use {_listed(clause)}"
        case "largest_share":
            return f"no column carries more than {share} of the explanation"
        case "proxy_of":
            attribute = clause.parameter("attribute")
            return f"the answer tells {attribute} apart with an AUC of at most {number(clause.bound)}"
        case "stable_across":
            return (
                f"what the model relies on works alike for every value of {column}:"
                f" an effect differs by at most {share} of itself"
            )
        case "invariant_to":
            return f"the answer does not change with {column}{where}{but}"
        case "robust_to":
            return f"the cost rises by at most {share} of itself when {_corruption(clause)}{where}"
        case "earns_its_place":
            return f"luck would give none of {_listed(clause)} its weight in more than {share} of the tries"
        case _:
            count = len(json.loads(str(clause.parameter("cases"))))
            return f"{count} known case{'s' if count != 1 else ''} get{'s' if count == 1 else ''} the right answer{but}"


def _listed(clause: Clause) -> str:
    columns = clause.parameter("columns")
    return ", ".join(str(one) for one in columns) if isinstance(columns, tuple) else str(columns)
