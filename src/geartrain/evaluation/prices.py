"""Between what one decision can cost: from the contract's prices, and the ranges of the columns that they read."""

from __future__ import annotations

from geartrain.domain.columns import numbers
from geartrain.domain.contract import Contract
from geartrain.domain.expression import Columns, parse
from geartrain.domain.expression_range import Range, range_of
from geartrain.domain.rule import DecisionRule
from geartrain.stats.bounded import Scale
from geartrain.stats.deciding import prices_of


def price_range(contract: Contract, rule: DecisionRule, columns: Columns) -> Scale | None:
    """The least and the most that one decision can cost; None where nobody can say or nothing costs anything.

    A price that reads columns is bounded by the contract's `min` and `max` of each; not where one of
    them has none, or a row of *columns* lies outside all the same.
    """
    if not rule.task.has_classes:
        return None
    cells = [*prices_of(rule.costs, actions=rule.actions, classes=rule.classes).values()]
    prices = [parse("0") if cell is None else cell for cell in cells]
    prices += [parse(rule.abstain.cost)] if rule.abstain is not None else []
    ranges = _stated(contract, columns, {name for price in prices for name in price.columns})
    found = [range_of(price, ranges) for price in prices]
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        return None
    low, high = min(one[0] for one in known), max(one[1] for one in known)
    if low == high:
        return None
    # A row's own price may be rounded another way than the range was.
    slack = 1e-9 * (high - low) if ranges else 0.0
    return Scale(low=low - slack if low else low, high=high + slack)


def _stated(contract: Contract, columns: Columns, names: set[str]) -> dict[str, Range]:
    """The range of each of the columns *names* whose `min` and `max` the contract states and the rows keep to."""
    found = {}
    for terms in contract.data.decisions.fields if contract.data is not None else ():
        if terms.name not in names or terms.minimum is None or terms.maximum is None:
            continue
        values = numbers(columns[terms.name]) if terms.name in columns else None
        if values is None or not ((values < terms.minimum) | (values > terms.maximum)).any():
            found[terms.name] = (float(terms.minimum), float(terms.maximum))
    return found
