"""What holds for the whole product before training, told in plain sentences, topic by topic."""

from __future__ import annotations

from geartrain.domain.contract import Contract
from geartrain.domain.finding import Measurement
from geartrain.errors import Problem
from geartrain.evaluation.cost_metrics import expected_cost
from geartrain.evaluation.evidence import Unmeasured
from geartrain.evaluation.impossibility import impossibilities, tables_of
from geartrain.evaluation.outlook import curve_of
from geartrain.evaluation.prospect import Facts, Prospect, QuickLook, Statement, Topic, Verdict, interval
from geartrain.stats.learning_curve import LearningCurve

#: From this p on, labels without meaning do as well.
NO_SIGNAL = 0.05
#: A saving of less than this share is hardly one.
HARDLY = 0.1


def overview(
    contract: Contract,
    facts: Facts,
    look: QuickLook,
    prospects: tuple[Prospect, ...],
    contradictions: tuple[Problem, ...],
) -> tuple[Statement, ...]:
    """Plain sentences about rows, costs without a model, signal, more rows, labels, leaks and contradictions."""
    told = [
        *((Topic.ROWS, one) for one in (*_rows(facts), *_too_few(facts, prospects))),
        *((Topic.WITHOUT, one) for one in _without(contract, facts, look)),
        *((Topic.SIGNAL, one) for one in _signal(look)),
        *((Topic.MORE_ROWS, one) for one in _more_rows(contract, look)),
        *((Topic.LABELS, one) for one in _labels(look)),
        *((Topic.LEAKS, one.sentence) for one in look.leaks or ()),
        *(
            (Topic.CONTRADICTIONS, f"{one.path}: {one.message}" + (f" ({one.found})" if one.found else ""))
            for one in contradictions
        ),
        *((Topic.CONTRADICTIONS, one) for one in _exclusive(contract, look)),
    ]
    return tuple(Statement(topic=topic, text=text) for topic, text in told)


def _exclusive(contract: Contract, look: QuickLook) -> list[str]:
    """Fairness clauses that exclude each other at the base rates of the groups seen."""
    if look.quick is None or len(look.quick) == 0:
        return []
    tables = tables_of(look.quick, contract.clauses)
    return [one.sentence for one in impossibilities(contract.clauses, tables)]


def _rows(facts: Facts) -> list[str]:
    counted = ", ".join(f"{count:,} {name}" for name, count in facts.class_counts)
    told = [f"{facts.rows:,} labelled rows" + (f": {counted}" if counted else "")]
    if facts.free is not None:
        told.append(
            f"{facts.free:,} of them may be learned from and were looked at; about {facts.proving_rows:,} will"
            " stand sealed, to prove the promises with"
        )
    if facts.unlabelled:
        share = facts.unlabelled / (facts.rows + facts.unlabelled)
        told.append(
            f"{facts.unlabelled:,} more rows ({share:.1%}) have no label and were left out; if labels are missing"
            " for a reason, every figure here is about the others only"
        )
    return told + list(facts.oddities)


def _too_few(facts: Facts, prospects: tuple[Prospect, ...]) -> list[str]:
    """How many promises these rows cannot prove, whatever model comes."""
    short = [
        one.rows_needed
        for one in prospects
        if one.verdict is Verdict.CANNOT and one.rows_needed is not None and one.rows_needed > facts.rows
    ]
    if not short:
        return []
    told = f"too few to prove {len(short)} of {len(prospects)} promises, whatever model comes"
    return [f"{told}; about {max(short):,} labelled rows would be enough for all of them"]


def _without(contract: Contract, facts: Facts, look: QuickLook) -> list[str]:
    currency = contract.costs.currency if contract.costs else "errors"
    told = [f"{name} costs {interval(cost)} {currency} a row" for name, cost in facts.trivial_costs]
    if look.why_not:
        told.append(f"no quick model: {look.why_not}")
    if look.quick is None:
        return told
    cost = expected_cost(look.quick, look.quick.everything, {})
    if isinstance(cost, Unmeasured):
        return [*told, f"what a quick model costs is not measured: {cost.reason}"]
    told.append(f"{look.model}, tried quickly, costs {interval(cost)} a row")
    if not facts.trivial_costs:
        return told
    name = facts.trivial_costs[0][0]
    share = expected_cost(look.quick, look.quick.everything, {"relative_to": name})
    if isinstance(share, Unmeasured):
        return [*told, f"its value over {name} cannot be said: {share.reason}"]
    worth = f"{1 - share.value:.0%} ({1 - share.high:.0%} to {1 - share.low:.0%})"
    if share.low > 1:
        return [*told, f"even at its good end it is worth less than {name}: a value of {worth}"]
    return [*told, f"its value over {name} on the same rows, 1 - cost / cost without it: {worth}"]


def _signal(look: QuickLook) -> list[str]:
    told = []
    if look.signal is not None:
        one = look.signal
        words = f"p = {one.p:.2g} in {one.shuffles:,} shuffles of the labels of {one.rows:,} rows"
        if one.p <= NO_SIGNAL:
            told.append(f"yes: what was learned is better than from labels without meaning, {words}")
        elif one.best_possible:
            told.append(
                f"perhaps: better than each labelling without meaning, but so few cannot show it, {words}"
            )
        else:
            told.append(f"not shown: from labels without meaning about as much was learned, {words}")
    if look.nearest is not None:
        low, high = look.nearest
        told.append(
            f"by nearest neighbours, the fewest errors that any model could make lie between {low:.1%} and {high:.1%}"
            " of the rows"
        )
    return told


def _more_rows(contract: Contract, look: QuickLook) -> list[str]:
    if look.quick is None or look.curve is None:
        return []
    curve = curve_of(look.quick, look.curve)
    if isinstance(curve, Unmeasured):
        return [f"not known: {curve.reason}"]
    currency = contract.costs.currency if contract.costs else "errors"
    if not curve.accepted:
        return [f"not known: {curve.reason}"]
    sizes = ", ".join(f"{interval(one.expected)} with {one.times:g}x" for one in curve.forecasts)
    return [
        (
            f"{_help(curve)}: a quick model costs {interval(_now(curve))} {currency} a row with"
            f" {curve.points[-1].rows:,} rows taught, and is expected to cost {sizes}"
        ),
        f"why that may be believed: {curve.reason}",
    ]


def _help(curve: LearningCurve) -> str:
    """Whether ten times the rows change the cost, in a word or two."""
    now, change = _now(curve), curve.forecasts[-1].change
    if change.low > -HARDLY * abs(now.value):
        return "hardly"
    return "yes" if change.high < 0 else "not clearly"


def _now(curve: LearningCurve) -> Measurement:
    point = curve.points[-1]
    return Measurement(value=point.value, low=point.low, high=point.high)


def _labels(look: QuickLook) -> list[str]:
    told = []
    if look.twice is not None:
        one = look.twice
        told.append(
            f"two labellers agree on {one.agreed.value:.1%} of {one.agreed.rows:,} rows, kappa {interval(one.kappa)};"
            f" a perfect model would be measured with an accuracy of {interval(one.accuracy_ceiling)}"
        )
    if look.signal is not None and look.signal.p > NO_SIGNAL and not look.signal.best_possible:
        return [*told, "how many are wrong cannot be told by a model that learned nothing"]
    if look.noise is not None:
        noise = look.noise
        ceiling = f"accuracy {interval(noise.accuracy_ceiling)}"
        if noise.auc_ceiling is not None:
            ceiling += f", AUC {interval(noise.auc_ceiling)}"
        told.append(
            f"{noise.rate.value:.1%} ({noise.rate.low:.1%} to {noise.rate.high:.1%}) of the labels look wrong or"
            f" belong to rows that are hard for any model; if they are wrong, the best that can be measured is {ceiling}"
        )
    return told
