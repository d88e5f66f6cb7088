"""The least and the most that an expression can be, where the contract says how small and large its columns are."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from itertools import product

import numpy as np

from geartrain.domain.expression import Expression

Range = tuple[float, float]

#: Whether something is so: false is 0, true is 1.
_SO: Range = (0.0, 1.0)
#: Functions that never fall, whose ends are those of their argument.
_RISING: Mapping[str, Callable[[float], float]] = {
    "sqrt": lambda value: math.sqrt(max(0.0, value)),
    "log": math.log,
    "log1p": math.log1p,
    "exp": math.exp,
    "floor": math.floor,
    "round": lambda value: float(np.round(value)),
    "number": lambda value: value,
}
_CORNERS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}
_FIXED: Mapping[str, Range] = {"hour": (0.0, 23.0), "weekday": (0.0, 6.0), "is_null": _SO}


def range_of(expression: Expression, columns: Mapping[str, Range]) -> Range | None:
    """Two numbers between which *expression* lies while each of *columns* lies within its own; None where none are known.

    By interval arithmetic (Moore 1966): never too narrow, and wider than need be where a column stands twice. A
    missing value is in no range. None where the expression reads a column that is not in *columns*, is a
    text, or has no bound, such as a quotient whose divisor may be 0.

    >>> from geartrain.domain.expression import parse
    >>> range_of(parse("4 + 0.05 * amount"), {"amount": (0.0, 1500.0)})
    (4.0, 79.0)
    >>> range_of(parse("1 / amount"), {"amount": (0.0, 1500.0)}) is None
    True
    """
    try:
        return _range(expression.tree, columns)
    except (ValueError, OverflowError, ZeroDivisionError):
        # A logarithm of what is not positive, a power that is too large: there is no bound.
        return None


def _range(node: ast.expr, columns: Mapping[str, Range]) -> Range | None:
    found = _ends(node, columns)
    return found if found is not None and all(map(math.isfinite, found)) else None


def _ends(node: ast.expr, columns: Mapping[str, Range]) -> Range | None:
    match node:
        case ast.Constant(value=bool() | int() | float() as value):
            return float(value), float(value)
        case ast.Name(id=name):
            return columns.get(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _range(operand, columns)
            return None if inner is None else (-inner[1], -inner[0])
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _range(operand, columns)
        case ast.UnaryOp() | ast.BoolOp() | ast.Compare():
            return _SO
        case ast.IfExp(body=body, orelse=orelse):
            return _union(_range(body, columns), _range(orelse, columns))
        case ast.BinOp(left=left, op=operator, right=right):
            return _joined(type(operator), _range(left, columns), _range(right, columns))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return (
                _FIXED[name] if name in _FIXED else _called(name, [_range(one, columns) for one in arguments])
            )
    return None


def _union(one: Range | None, two: Range | None) -> Range | None:
    return None if one is None or two is None else (min(one[0], two[0]), max(one[1], two[1]))


def _joined(operator: type[ast.operator], one: Range | None, two: Range | None) -> Range | None:
    """The ends of an operation, which lie at corners of the two ranges wherever it is monotone in each."""
    if one is None or two is None or operator not in _CORNERS:
        return None
    if operator is ast.Div and two[0] <= 0 <= two[1]:
        return None
    if operator is ast.Pow and one[0] < 0:
        return None
    found = [_CORNERS[operator](a, b) for a, b in product(one, two)]
    return min(found), max(found)


def _called(name: str, arguments: list[Range | None]) -> Range | None:
    known = [one for one in arguments if one is not None]
    if len(known) < len(arguments):
        return None
    lows, highs = [one[0] for one in known], [one[1] for one in known]
    match name:
        case "min":
            return min(lows), min(highs)
        case "max":
            return max(lows), max(highs)
        case "abs":
            low, high = known[0]
            return (0.0 if low <= 0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))
    rising = _RISING.get(name)
    return None if rising is None else (rising(known[0][0]), rising(known[0][1]))
