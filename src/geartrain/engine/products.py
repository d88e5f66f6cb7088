"""Product folders: `product.yaml`, and the team's own `features.py` and `model.py`."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from geartrain.contract.parsing import parse
from geartrain.domain.contract import Contract
from geartrain.domain.digest import digest_bytes
from geartrain.domain.features import FeatureSet
from geartrain.errors import ContractInvalid, ContractUnreadable, FeatureInvalid, ProductCodeBroken
from geartrain.features.checking import MISSING, check_features, default_features
from geartrain.training.recipe import Recipe, default_recipe

T = TypeVar("T")

CONTRACT_FILE = "product.yaml"
FEATURES_FILE = "features.py"
MODEL_FILE = "model.py"
#: Without a `model.py` the search space is the one for so many rows.
_USUAL_ROWS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Product:
    """A product as its folder stands now: contract, features and recipe, already checked."""

    folder: Path
    text: str
    contract: Contract
    features: FeatureSet
    recipe: Recipe

    @property
    def name(self) -> str:
        """The product's name, as its contract says it."""
        return self.contract.product.name


def read_contract(path: Path) -> tuple[str, Contract]:
    """The contract at *path*, a file or a product's folder, with its text.

    Raises:
        ContractUnreadable: There is no file, or it is not text.
        ContractInvalid: With every problem and its place.
    """
    file = path / CONTRACT_FILE if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ContractUnreadable(
            "there is no contract here",
            where=str(file),
            hint="`geartrain new NAME` writes one; if there is one elsewhere, name its folder",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ContractUnreadable(
            "the contract cannot be read as text", where=str(file), found=str(error), hint="save it as UTF-8"
        ) from error
    return text, parse(text, origin=file.name)


def check_contract(path: Path) -> Contract:
    """The contract at *path*, once every name in it is a listed column or a feature.

    Columns need not all be listed, so a product runs with others too; but a name that is
    found nowhere is more often misspelled than meant.

    Raises:
        ContractUnreadable: There is no file, or it is not text.
        ContractInvalid: With every problem and its place.
        ProductCodeBroken: `features.py`, where a name must come from, cannot be imported.
    """
    text, contract = read_contract(path)
    file = path / CONTRACT_FILE if path.is_dir() else path
    try:
        parse(text, origin=file.name, features=())
    except ContractInvalid:
        features = _declared(file.with_name(FEATURES_FILE), "features", FeatureSet)
        if features is None:
            raise
        names = [name for one in features.features for name in (one.name, one.name + MISSING)]
        parse(text, origin=file.name, features=names)
    return contract


def load_product(folder: Path) -> Product:
    """Read the product in *folder*; without its own code it gets default features and recipe.

    Raises:
        ContractUnreadable: There is no readable contract.
        ContractInvalid: The contract has problems.
        ProductCodeBroken: `features.py` or `model.py` cannot be imported, or lacks its name.
        FeatureInvalid: The features contradict the contract.
    """
    text, contract = read_contract(folder)
    features = _declared(folder / FEATURES_FILE, "features", FeatureSet)
    recipe = _declared(folder / MODEL_FILE, "model", Recipe)
    declared = features if features is not None else default_features(contract)
    check_features(declared, contract)
    if not declared.features:
        raise FeatureInvalid(
            "the product has no features",
            where=str(folder),
            hint="list fields under `data.sources` in product.yaml, or declare features in features.py",
        )
    return Product(
        folder=folder,
        text=text,
        contract=contract,
        features=declared,
        recipe=recipe if recipe is not None else default_recipe(contract.decision.task, _USUAL_ROWS),
    )


def _declared(path: Path, name: str, kind: type[T]) -> T | None:
    if not path.exists():
        return None
    module = _import(path)
    value = getattr(module, name, None)
    if not isinstance(value, kind):
        raise ProductCodeBroken(
            f"`{path.name}` does not define `{name}` as a {kind.__name__}",
            where=str(path),
            found=type(value).__name__ if value is not None else f"no name `{name}`",
            hint="see the files of examples/card-fraud",
        )
    return value


def _import(path: Path) -> ModuleType:
    """Run the team's own file as a module of its own; its errors are told as its errors."""
    name = f"geartrain_product_{digest_bytes(str(path.resolve()).encode())[:12]}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ProductCodeBroken("this file cannot be imported", where=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except FeatureInvalid:
        raise
    except Exception as error:
        line = next((f":{frame.lineno}" for frame in _frames(error) if frame.filename == str(path)), "")
        raise ProductCodeBroken(
            f"`{path.name}` cannot be imported",
            where=f"{path}{line}",
            found=f"{type(error).__name__}: {error}",
            hint="run it by itself with python to see where it fails",
        ) from error
    return module


def _frames(error: BaseException) -> list[_Frame]:
    import traceback

    return [
        _Frame(filename=frame.filename, lineno=frame.lineno or 0)
        for frame in reversed(traceback.extract_tb(error.__traceback__))
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    filename: str
    lineno: int
