"""Expressions over columns: a small safe language, the same for costs, slices, rules and features.

`amount * 0.1 + 5`, `age >= 60 and site in ["A", "B"]`, `log1p(amount)`.
Column names that are not plain words stand in
backticks. Nothing but arithmetic, comparisons, `and`/`or`/`not`, `in [..]`,
`a if c else b` and the functions in `FUNCTIONS` is understood; nothing is executed.

Missing numbers are NaN and missing text is None: a comparison with a missing value is
false, arithmetic with it stays missing. Times are integer microseconds since 1970 UTC.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.errors import ExpressionInvalid

Values = NDArray[Any]
Columns = Mapping[str, Values]

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000

#: A column in backticks, or a quoted text, inside which a backtick means nothing.
_QUOTED = re.compile(r"""(\"[^\"\\]*(?:\\.[^\"\\]*)*\"|'[^'\\]*(?:\\.[^'\\]*)*')|`([^`]+)`""")

#: Words that are values, not columns; a column of that name stands in backticks.
_WORDS = {"true": True, "false": False, "null": None}

#: Longer texts and larger trees are not what a person promised.
MOST_CHARACTERS = 4_000
MOST_DEPTH = 60
MOST_INTEGER = 2**63 - 1


def _numbers(values: Values) -> NDArray[np.float64]:
    if values.dtype == object:
        return np.array([_number(item) for item in values.ravel()], dtype=np.float64).reshape(values.shape)
    return values.astype(np.float64, copy=False)


def _number(item: object) -> float:
    if isinstance(item, bool | int | float | np.number):
        return float(item)
    return float("nan")


def _is_null(values: Values) -> Values:
    if values.dtype == object:
        return np.array([item is None or item != item for item in values], dtype=bool)  # noqa: PLR0124 - NaN
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, dtype=bool)


def _texts(transform: Callable[[str], object], kind: type) -> Callable[[Values], Values]:
    def apply(values: Values) -> Values:
        missing = None if kind is object else np.nan
        known = (None if item is None or item != item else item for item in values)  # noqa: PLR0124 - NaN
        return np.array([missing if item is None else transform(str(item)) for item in known], dtype=kind)

    return apply


def _numeric(function: Callable[..., Any]) -> Callable[..., Values]:
    def apply(*values: Values) -> Values:
        with np.errstate(all="ignore"):
            return np.asarray(function(*(_numbers(one) for one in values)), dtype=np.float64)

    return apply


#: Every function of the language: its number of arguments (None is one or more) and its meaning.
FUNCTIONS: Mapping[str, tuple[int | None, Callable[..., Values]]] = {
    "abs": (1, _numeric(np.abs)),
    "sqrt": (1, _numeric(np.sqrt)),
    "log": (1, _numeric(np.log)),
    "log1p": (1, _numeric(np.log1p)),
    "exp": (1, _numeric(np.exp)),
    "floor": (1, _numeric(np.floor)),
    "round": (1, _numeric(np.round)),
    "min": (None, _numeric(lambda *v: np.minimum.reduce(np.broadcast_arrays(*v)))),
    "max": (None, _numeric(lambda *v: np.maximum.reduce(np.broadcast_arrays(*v)))),
    "number": (1, _numeric(lambda v: v)),
    "is_null": (1, _is_null),
    "hour": (1, _numeric(lambda t: np.floor(t / HOUR_US) % 24)),
    "weekday": (1, _numeric(lambda t: (np.floor(t / DAY_US) + 3) % 7)),
    "lower": (1, _texts(str.lower, object)),
    "length": (1, _texts(len, float)),
}

_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}

_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression: its text, the columns that it reads, and its value over rows.

    >>> worth = parse("amount * 2 + 1")
    >>> worth.columns
    ('amount',)
    >>> worth.evaluate({"amount": np.array([1.0, 2.0])}, rows=2).tolist()
    [3.0, 5.0]
    """

    text: str
    columns: tuple[str, ...]
    tree: ast.expr

    @property
    def constant(self) -> float | None:
        """Its number where it reads no column; None where it reads one or is text."""
        if self.columns:
            return None
        return float(_numbers(self.evaluate({}, rows=1))[0])

    def evaluate(self, columns: Columns, *, rows: int) -> Values:
        """Its value for each row, shape (rows,).

        Raises:
            ExpressionInvalid: A column that it reads is not among *columns*.
        """
        value = np.asarray(_evaluate(self.tree, columns, self.text))
        return np.broadcast_to(value, (rows,)) if not self.columns or value.ndim == 0 else value


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """Read *text*.

    Raises:
        ExpressionInvalid: With the place and what the language understands.
    """
    quoted: dict[str, str] = {}

    def stand_in(match: re.Match[str]) -> str:
        if match.group(1):
            return match.group(1)
        name = f"_quoted_{len(quoted)}"
        quoted[name] = match.group(2)
        return name

    if len(text) > MOST_CHARACTERS:
        raise ExpressionInvalid(
            "this expression is too long",
            where=f"{text[:60]}...",
            found=f"{len(text):,} characters",
            hint=f"at most {MOST_CHARACTERS:,}",
        )
    try:
        tree = ast.parse(_QUOTED.sub(stand_in, text.strip()), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ExpressionInvalid(
            "this is not an expression", where=text, found=str(error), hint="try `amount * 0.1 + 5`"
        ) from error
    if _depth(tree) > MOST_DEPTH:
        raise ExpressionInvalid("this expression is nested too deeply", where=text)
    names: dict[str, None] = {}
    tree = _Restored(quoted, names, text).visit(tree)
    return Expression(text=text, columns=tuple(names), tree=tree)


def _depth(tree: ast.AST) -> int:
    """How deep the tree is, counted without recursion, for the text may be hostile."""
    level: list[ast.AST] = [tree]
    depth = 0
    while level:
        depth += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return depth


def quoted(name: str) -> str:
    """The column *name* as an expression: in backticks where it is not a plain word.

    >>> quoted("amount"), quoted("worst radius")
    ('amount', '`worst radius`')
    """
    plain = name.isidentifier() and not keyword.iskeyword(name)
    return name if plain else f"`{name}`"


class _Restored(ast.NodeTransformer):
    """Puts quoted names back, collects column names and refuses everything unknown."""

    def __init__(self, quoted: Mapping[str, str], names: dict[str, None], text: str) -> None:
        self.quoted = quoted
        self.names = names
        self.text = text

    def generic_visit(self, node: ast.AST) -> ast.AST:
        allowed = (
            ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Load, ast.List, ast.Tuple,
            ast.And, ast.Or, ast.Not, ast.USub, ast.UAdd, ast.In, ast.NotIn, ast.Eq, ast.NotEq,
            *_COMPARE, *_ARITHMETIC,
        )  # fmt: skip
        if not isinstance(node, allowed):
            raise ExpressionInvalid(
                f"`{type(node).__name__}` is not part of the expression language",
                where=self.text,
                hint="arithmetic, comparisons, and/or/not, `in [..]`, `a if c else b` and "
                + ", ".join(sorted(FUNCTIONS)),
            )
        return super().generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in _WORDS:
            return ast.Constant(value=_WORDS[node.id])
        name = self.quoted.get(node.id, node.id)
        self.names[name] = None
        return ast.Name(id=name, ctx=ast.Load())

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if not isinstance(node.value, bool | int | float | str | None):
            raise ExpressionInvalid("only numbers, text, true and false stand alone", where=self.text)
        if (
            isinstance(node.value, int)
            and not isinstance(node.value, bool)
            and abs(node.value) > MOST_INTEGER
        ):
            raise ExpressionInvalid(
                "this number is too large", where=self.text, found=f"{str(node.value)[:20]}..."
            )
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in FUNCTIONS:
            raise ExpressionInvalid(
                f"there is no function `{name or ast.unparse(node.func)}`",
                where=self.text,
                hint="functions: " + ", ".join(sorted(FUNCTIONS)),
            )
        count, _ = FUNCTIONS[name]
        if node.keywords or not node.args or (count is not None and len(node.args) != count):
            raise ExpressionInvalid(f"`{name}` takes {count or 'one or more'} values", where=self.text)
        arguments = [self.visit(argument) for argument in node.args]
        return ast.Call(func=ast.Name(id=name, ctx=ast.Load()), args=arguments, keywords=[])


def _evaluate(node: ast.expr, columns: Columns, text: str) -> Any:
    match node:
        case ast.Constant(value=value):
            return (
                np.asarray(value, dtype=object)
                if isinstance(value, str)
                else np.asarray(np.nan if value is None else value)
            )
        case ast.Name(id=name):
            if name not in columns:
                raise ExpressionInvalid(f"there is no column `{name}`", where=text, hint=_offered(columns))
            return columns[name]
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return FUNCTIONS[name][1](*(np.atleast_1d(_evaluate(one, columns, text)) for one in arguments))
        case ast.BinOp(left=left, op=operator, right=right):
            with np.errstate(all="ignore"):
                return _ARITHMETIC[type(operator)](
                    _numbers(np.asarray(_evaluate(left, columns, text))),
                    _numbers(np.asarray(_evaluate(right, columns, text))),
                )
        case ast.UnaryOp(op=operator, operand=operand):
            value = _evaluate(operand, columns, text)
            if isinstance(operator, ast.Not):
                return ~_truth(value)
            return -_numbers(np.asarray(value)) if isinstance(operator, ast.USub) else value
        case ast.BoolOp(op=operator, values=values):
            parts = [_truth(_evaluate(one, columns, text)) for one in values]
            combine = np.logical_and if isinstance(operator, ast.And) else np.logical_or
            result = parts[0]
            for part in parts[1:]:
                result = combine(result, part)
            return result
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return np.where(
                _truth(_evaluate(test, columns, text)),
                _evaluate(body, columns, text),
                _evaluate(orelse, columns, text),
            )
        case ast.Compare():
            return _compare_all(node, columns, text)
    raise ExpressionInvalid(f"`{ast.unparse(node)}` cannot stand here", where=text)


def _offered(columns: Columns) -> str:
    """The columns that may be meant; names that begin with `_` are kept for bookkeeping."""
    names = sorted(name for name in columns if not name.startswith("_"))
    return "columns: " + ", ".join(names) if names else "no column can be read here"


def _compare_all(node: ast.Compare, columns: Columns, text: str) -> Any:
    result: Any = None
    left = node.left
    for operator, right in zip(node.ops, node.comparators, strict=True):
        part = _compare(operator, left, right, columns, text)
        result = part if result is None else np.logical_and(result, part)
        left = right
    return result


def _compare(operator: ast.cmpop, left: ast.expr, right: ast.expr, columns: Columns, text: str) -> Any:
    value = np.asarray(_evaluate(left, columns, text))
    if isinstance(operator, ast.In | ast.NotIn):
        if not isinstance(right, ast.List | ast.Tuple):
            raise ExpressionInvalid('`in` needs a list, such as `site in ["A", "B"]`', where=text)
        found = np.zeros(value.shape, dtype=bool)
        for item in right.elts:
            found = found | _equal(value, np.asarray(_evaluate(item, columns, text)))
        return found if isinstance(operator, ast.In) else ~found
    other = np.asarray(_evaluate(right, columns, text))
    if isinstance(operator, ast.Eq):
        return _equal(value, other)
    if isinstance(operator, ast.NotEq):
        return ~_equal(value, other)
    with np.errstate(invalid="ignore"):
        return _COMPARE[type(operator)](_numbers(value), _numbers(other))


def _equal(left: Values, right: Values) -> Values:
    if object in {left.dtype, right.dtype} or left.dtype.kind in "US":
        pairs = np.broadcast(left, right)
        return np.array([a is not None and a == b for a, b in pairs], dtype=bool).reshape(pairs.shape)
    with np.errstate(invalid="ignore"):
        return np.equal(left, right)


def _truth(value: Any) -> Values:
    array: Values = np.asarray(value)
    if array.dtype == bool:
        return array
    numbers = _numbers(array)
    return np.asarray((numbers != 0) & ~np.isnan(numbers))
