"""What a product's `model.py` says: which estimator, what may be searched, what is fixed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from geartrain.domain.clause import Parameter, Scalar
from geartrain.domain.digest import digest
from geartrain.domain.model import Params
from geartrain.domain.task import Task
from geartrain.errors import ProductCodeBroken

#: Gets the parameters of one trial and a seed, returns an unfitted estimator.
Builder = Callable[[Mapping[str, Parameter], int], Any]

BUILT_IN = ("lightgbm", "logistic", "random-forest", "ridge", "torch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer:
    """Whole numbers from `low` to `high`, both possible; `log` searches ratios."""

    low: int
    high: int
    log: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """Numbers from `low` to `high`; `log` searches ratios."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of some values."""

    options: tuple[Scalar, ...]


Dimension = Integer | Number | Choice


class Calibration(StrEnum):
    """How the estimator's probabilities are made honest."""

    NONE = "none"
    SIGMOID = "sigmoid"
    ISOTONIC = "isotonic"


class Weighting(StrEnum):
    """Whether rows whose errors cost more count more in training."""

    EVEN = "even"
    COST = "cost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a model is made, before any data.

    Attributes:
        algorithm: A built-in name, or the name that the team gave its own estimator.
        search: The dimensions that a search moves in, sorted by name.
        fixed: Parameters that every trial has.
        calibrate: How probabilities are made honest; nothing to do for a regression.
        weights: Whether the costs enter training as row weights.
        code: The digest of the source that builds the estimator.
        builder: The team's function; None for a built-in algorithm.
    """

    algorithm: str
    search: tuple[tuple[str, Dimension], ...] = ()
    fixed: Params = ()
    calibrate: Calibration = Calibration.SIGMOID
    weights: Weighting = Weighting.EVEN
    code: str
    builder: Builder | None = field(default=None, compare=False, repr=False, metadata={"digest": False})

    @property
    def id(self) -> str:
        """The digest of everything that it says, the builder's source included."""
        return digest(self)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the searched parameters."""
        return tuple(name for name, _ in self.search)

    @property
    def monotone(self) -> bool:
        """Whether it can be told that the answer must rise or fall with a column."""
        return self.algorithm == "lightgbm" and self.builder is None


def integer(low: int, high: int, *, log: bool = False) -> Integer:
    """Whole numbers from *low* to *high*, both possible."""
    _ordered(low, high, log=log)
    return Integer(low=low, high=high, log=log)


def number(low: float, high: float, *, log: bool = False) -> Number:
    """Numbers from *low* to *high*; with *log*, equal ratios are equally likely."""
    _ordered(low, high, log=log)
    return Number(low=float(low), high=float(high), log=log)


def choice(*options: Scalar) -> Choice:
    """One of *options*."""
    if not options:
        raise ProductCodeBroken("a choice has no options", where="model.py", hint="name at least one value")
    return Choice(options=options)


def recipe(
    estimator: str | Builder,
    *,
    search: Mapping[str, Dimension] | None = None,
    fixed: Mapping[str, Parameter] | None = None,
    calibrate: str = "sigmoid",
    weights: str = "even",
    name: str = "",
) -> Recipe:
    """Say how a model is made: a built-in algorithm by name, or a function that builds an estimator.

    A function gets the parameters of one trial and a seed and returns an unfitted
    scikit-learn-compatible estimator; its file's source becomes part of every trial.

    Raises:
        ProductCodeBroken: The recipe contradicts itself, names an unknown algorithm, or
            the function's source cannot be read.
    """
    dimensions, settled = dict(search or {}), dict(fixed or {})
    twice = sorted(dimensions.keys() & settled.keys())
    if twice:
        raise ProductCodeBroken(
            "a parameter is both searched and fixed",
            where="model.py",
            found=", ".join(twice),
            hint="keep one of the two",
        )
    if weights == Weighting.COST and calibrate == Calibration.NONE:
        raise ProductCodeBroken(
            "cost weights bend the probabilities, and nothing bends them back",
            where="model.py",
            found="weights='cost' with calibrate='none'",
            hint="choose calibrate='sigmoid' or 'isotonic'",
        )
    if isinstance(estimator, str) and estimator not in BUILT_IN:
        raise ProductCodeBroken(
            "there is no built-in algorithm of that name",
            where="model.py",
            found=estimator,
            hint=f"built in: {', '.join(BUILT_IN)}; or give a function (params, seed) -> estimator",
        )
    builder = None if isinstance(estimator, str) else estimator
    return Recipe(
        algorithm=estimator if isinstance(estimator, str) else name or _name_of(estimator),
        search=tuple(sorted(dimensions.items())),
        fixed=tuple(sorted(settled.items())),
        calibrate=_one_of(Calibration, calibrate, "calibrate"),
        weights=_one_of(Weighting, weights, "weights"),
        code=digest(("built-in", estimator)) if isinstance(estimator, str) else source_digest(estimator),
        builder=builder,
    )


def default_recipe(task: Task, rows: int) -> Recipe:
    """LightGBM with a search space that fits the number of training rows."""
    small = rows < 3_000
    return recipe(
        "lightgbm",
        search={
            "num_leaves": integer(3, 15) if small else integer(8, 63, log=True),
            "learning_rate": number(0.02, 0.2, log=True),
            "n_estimators": integer(20, 150) if small else integer(50, 400),
            "min_child_samples": integer(5, 40) if small else integer(20, 200, log=True),
            "colsample_bytree": number(0.4, 1.0),
        },
        calibrate="sigmoid" if task.has_classes else "none",
    )


def simplest_model(task: Task) -> Recipe:
    """A linear model on scaled columns: the baseline `simplest-model` that a product must beat."""
    return recipe("logistic" if task.has_classes else "ridge", calibrate="none")


def source_digest(builder: Callable[..., Any]) -> str:
    """Name the code behind *builder*: its file's whole source and what the function captured.

    The whole file, because a function of three lines that calls a neighbour of thirty
    says little about what was run.

    Raises:
        ProductCodeBroken: No source can be read, or a captured value has no canonical form;
            a guessed identity would let two different models share a name.
    """
    try:
        path = inspect.getsourcefile(builder)
        lines, _ = inspect.findsource(builder)
    except (OSError, TypeError) as error:
        raise ProductCodeBroken(
            "the source of the function that builds the estimator cannot be read",
            where="model.py",
            found=f"{_name_of(builder)}: {error}",
            hint="write it as a plain function or lambda in a file",
        ) from error
    captured = inspect.getclosurevars(builder).nonlocals if inspect.isfunction(builder) else {}
    try:
        content = {key: _captured(value) for key, value in captured.items()}
        return digest(("".join(lines), _name_of(builder), _place(builder), content))
    except TypeError as error:
        raise ProductCodeBroken(
            "the function that builds the estimator captures a value that has no stable name",
            where=path or "model.py",
            found=str(error),
            hint="pass it through `fixed` or `search` instead",
        ) from error


def _captured(value: object) -> object:
    return source_digest(value) if inspect.isroutine(value) or inspect.isclass(value) else value


def _place(builder: object) -> list[int | None]:
    """Where the code stands: two lambdas of one file, even of one line, share a name but not a place."""
    code = getattr(builder, "__code__", None)
    return [] if code is None else [part for place in code.co_positions() for part in place]


def _name_of(builder: object) -> str:
    return str(getattr(builder, "__name__", type(builder).__name__))


def _ordered(low: float, high: float, *, log: bool) -> None:
    if low > high or (log and low <= 0):
        raise ProductCodeBroken(
            "a search range must rise, and a logarithmic one must be above 0",
            where="model.py",
            found=f"from {low} to {high}",
            hint="give the smaller bound first",
        )


def _one_of(kind: type[Any], value: str, name: str) -> Any:
    options = [str(one) for one in kind]
    if value not in options:
        raise ProductCodeBroken(
            f"`{name}` has no such option",
            where="model.py",
            found=value,
            hint=f"options: {', '.join(options)}",
        )
    return kind(value)
