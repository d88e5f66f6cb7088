"""Recipe and parameters to an unfitted estimator, made deterministic; and its parameters written out."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

from geartrain.domain.clause import Parameter, Scalar
from geartrain.domain.model import Params
from geartrain.domain.task import Task
from geartrain.errors import ProductCodeBroken, TrainingImpossible
from geartrain.stats.fitted import is_lightgbm
from geartrain.training.recipe import Recipe

#: Below this many cells a second thread costs more than it brings.
CELLS_FOR_TWO_THREADS = 500_000

#: How many threads, and how loudly, has no part in what is learned.
NOT_LEARNING = ("n_jobs", "verbose", "verbosity", "memory")

#: What LightGBM decides by default below its scikit-learn face, by its own names.
BELOW_THE_FACE = (
    "boost_from_average",
    "bin_construct_sample_cnt",
    "extra_trees",
    "max_bin",
    "max_delta_step",
    "min_data_in_bin",
    "objective",
    "path_smooth",
    "use_missing",
    "zero_as_missing",
)


def estimator_of(
    recipe: Recipe,
    params: Mapping[str, Parameter],
    *,
    task: Task,
    seed: int,
    cells: int,
    monotone: tuple[int, ...] = (),
) -> Any:
    """An unfitted estimator; the same arguments always learn the same model.

    Attributes of randomness that the recipe leaves open get the *seed*; the number of
    threads depends on the *cells* of the matrix only, never on the machine.

    Raises:
        ProductCodeBroken: The team's function refuses the parameters or returns something else.
        TrainingImpossible: The task or a monotone constraint is beyond the algorithm.
    """
    if task not in (Task.BINARY, Task.MULTICLASS, Task.REGRESSION):
        raise TrainingImpossible(f"no algorithm here learns a {task} decision", found=recipe.algorithm)
    if any(monotone) and not recipe.monotone:
        raise TrainingImpossible(
            "this algorithm cannot be held to rise or fall with a column",
            found=recipe.algorithm,
            hint="use the built-in `lightgbm`, or let the plausibility clause judge the model instead",
        )
    settings = {**dict(recipe.fixed), **params}
    estimator = _built(recipe, settings, task=task, seed=seed)
    if not (hasattr(estimator, "fit") and hasattr(estimator, "get_params") and hasattr(estimator, "predict")):
        raise ProductCodeBroken(
            "the recipe's function did not return an estimator",
            where="model.py",
            found=type(estimator).__qualname__,
            hint="return an object with fit, predict and get_params, as scikit-learn's have",
        )
    if task.has_classes and not hasattr(estimator, "predict_proba"):
        raise ProductCodeBroken(
            "a decision between classes needs probabilities, and the estimator gives none",
            where="model.py",
            found=type(estimator).__qualname__,
            hint="choose a classifier with predict_proba",
        )
    return _made_deterministic(estimator, seed=seed, cells=cells, monotone=monotone)


def resolved(estimator: Any, recipe: Recipe) -> Params:
    """Every parameter that decided what was learned, the library's defaults written out.

    The library and its version are among them: an upgrade can move a figure as much as
    a parameter can.
    """
    found = {
        name: _plain(value)
        for name, value in estimator.get_params(deep=True).items()
        if name.rsplit("__", 1)[-1] not in NOT_LEARNING
    }
    if is_lightgbm(estimator) and hasattr(estimator, "booster_"):
        below = dict(_below_the_face(estimator.booster_.model_to_string(num_iteration=1)))
        found |= {f"lightgbm.{name}": below[name] for name in BELOW_THE_FACE if name in below}
    library = type(estimator).__module__.split(".", 1)[0]
    version = getattr(sys.modules.get(library), "__version__", None)
    if version is not None:
        found["library"] = f"{library} {version}"
    found |= {"calibrate": str(recipe.calibrate), "weights": str(recipe.weights)}
    return tuple(sorted(found.items()))


def _built(recipe: Recipe, settings: Mapping[str, Parameter], *, task: Task, seed: int) -> Any:
    try:
        if recipe.builder is not None:
            return recipe.builder(settings, seed)
        return _built_in(recipe.algorithm, settings, task=task)
    except (TypeError, ValueError, KeyError) as error:
        raise ProductCodeBroken(
            "the recipe cannot build its estimator from these parameters",
            where="model.py",
            found=f"{error} with {dict(settings)}",
            hint="compare the names under `search` and `fixed` with the estimator's parameters",
        ) from error


def _built_in(algorithm: str, settings: Mapping[str, Parameter], *, task: Task) -> Any:
    if algorithm == "lightgbm":
        import lightgbm

        return lightgbm.LGBMClassifier(**settings) if task.has_classes else lightgbm.LGBMRegressor(**settings)
    if algorithm == "torch":
        from geartrain.training.neural import Network, torch_or_refused

        torch_or_refused()
        return Network(**settings, values=not task.has_classes)  # type: ignore[arg-type]
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    # A column without a single value keeps its place, for the exported model has a fixed width.
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    if algorithm == "random-forest":
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        forest = RandomForestClassifier if task.has_classes else RandomForestRegressor
        return make_pipeline(imputer, forest(**settings))
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.preprocessing import StandardScaler

    linear = LogisticRegression(**{"max_iter": 1000, **settings}) if task.has_classes else Ridge(**settings)
    return make_pipeline(imputer, StandardScaler(), linear)


def _made_deterministic(estimator: Any, *, seed: int, cells: int, monotone: tuple[int, ...]) -> Any:
    if is_lightgbm(estimator):
        estimator.set_params(
            deterministic=True,
            force_row_wise=True,
            verbosity=-1,
            n_jobs=1 if cells < CELLS_FOR_TWO_THREADS else 2,
        )
        if any(monotone):
            estimator.set_params(monotone_constraints=list(monotone))
    _seed_skorch(estimator, seed)
    open_seeds = {
        name: seed
        for name, value in estimator.get_params(deep=True).items()
        if name.rsplit("__", 1)[-1] == "random_state" and value is None
    }
    return estimator.set_params(**open_seeds) if open_seeds else estimator


def _seed_skorch(estimator: Any, seed: int) -> None:
    """Give PyTorch's own dice the *seed* where a net of skorch's is about to be taught; it has no seed of its own."""
    skorch, torch = sys.modules.get("skorch"), sys.modules.get("torch")
    if skorch is not None and torch is not None and isinstance(estimator, skorch.NeuralNet):
        torch.manual_seed(seed)


def _below_the_face(text: str) -> list[tuple[str, str]]:
    """The `[name: value]` lines at the end of a LightGBM model's text."""
    pairs = (line[1:-1].split(": ", 1) for line in text.splitlines() if line.startswith("[") and ": " in line)
    return [(name, value) for name, value in pairs]


def _plain(value: object) -> Parameter:
    if isinstance(value, tuple | list):
        return tuple(_plain_scalar(one) for one in value)
    return _plain_scalar(value)


def _plain_scalar(value: object) -> Scalar:
    item = getattr(value, "item", None)
    if item is not None and getattr(value, "ndim", None) == 0:
        return _plain_scalar(item())
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            # JSON has no word for these.
            return value if math.isfinite(value) else repr(value)
        case tuple() | list():
            return " ".join(str(_plain_scalar(one)) for one in value)
        case dict():
            return ", ".join(f"{key}={_plain_scalar(one)}" for key, one in sorted(value.items(), key=str))
    kind = value if isinstance(value, type) else type(value)
    return getattr(value, "__qualname__", kind.__qualname__)
