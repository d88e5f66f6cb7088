"""Neural nets as scikit-learn-compatible estimators, through PyTorch (extra `[torch]`).

The whole net stands in one module: missing values are filled and columns brought to one
scale inside it, with what the training rows told, so its ONNX form needs nothing beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geartrain.domain.prediction import Floats
from geartrain.errors import TrainingImpossible
from geartrain.stats.tree_model import Matrix

#: Makes a net from the number of columns and the number of outputs; it gives scores (logits).
Build = Callable[[int, int], Any]


def layers(*, hidden: int, depth: int) -> Build:
    """A plain net for tables: *depth* layers of *hidden* units with ReLU between them."""

    def build(width: int, outputs: int) -> Any:
        from torch import nn

        found: list[Any] = []
        for _ in range(depth):
            found += [nn.Linear(width, hidden), nn.ReLU()]
            width = hidden
        return nn.Sequential(*found, nn.Linear(width, outputs))

    return build


class Network:
    """A net with fit, predict and predict_proba, the same for the same rows and seed.

    Args:
        build: Makes the net; None for `layers(hidden=..., depth=...)`.
        hidden: Units of each layer of the plain net.
        depth: Layers of the plain net.
        epochs: How often each row is seen.
        learning_rate: Of Adam, falling to 0 by a half cosine.
        batch: Rows of one step.
        decay: Weight decay.
        scaling: `columns` brings each column to mean 0 and deviation 1 and fills holes with
            its median; `whole` has one mean and one deviation for all, for pictures.
        random_state: The seed; the recipe's, where None.
        values: Whether it predicts a value and not classes.
    """

    def __init__(
        self,
        *,
        build: Build | None = None,
        hidden: int = 64,
        depth: int = 2,
        epochs: int = 30,
        learning_rate: float = 0.003,
        batch: int = 128,
        decay: float = 1e-4,
        scaling: str = "columns",
        random_state: int | None = None,
        values: bool = False,
    ) -> None:
        self.build = build
        self.hidden, self.depth = hidden, depth
        self.epochs, self.learning_rate, self.batch, self.decay = epochs, learning_rate, batch, decay
        self.scaling = scaling
        self.random_state = random_state
        self.values = values

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002  (scikit-learn's own form)
        """The arguments by name, as scikit-learn asks for them."""
        del deep
        names = ("build", "hidden", "depth", "epochs", "learning_rate", "batch", "decay", "scaling")
        return {name: getattr(self, name) for name in (*names, "random_state", "values")}

    def set_params(self, **params: Any) -> Network:
        """Change arguments before fitting."""
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def fit(
        self, matrix: Matrix, truth: NDArray[Any], sample_weight: Floats | None = None, *, module: Any = None
    ) -> Network:
        """Learn from rows; *module*, a net that knows something already, learns on.

        Raises:
            TrainingImpossible: PyTorch is not installed.
        """
        torch = torch_or_refused()
        self.classes_ = np.array([]) if self.values else np.unique(truth)
        outputs = 1 if self.values else len(self.classes_)
        seed = 0 if self.random_state is None else self.random_state
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            build = self.build or layers(hidden=self.hidden, depth=self.depth)
            inner = module if module is not None else build(matrix.shape[1], outputs)
            self.centre_, self.spread_, self.fill_ = _scales(matrix, self.scaling)
            self.inner_ = inner
            self._learn(inner, matrix, truth, sample_weight, seed)
        return self

    def _learn(
        self, inner: Any, matrix: Matrix, truth: NDArray[Any], sample_weight: Floats | None, seed: int
    ) -> None:
        import torch

        rows = torch.from_numpy(self._scaled(matrix))
        if self.values:
            told = torch.from_numpy(np.asarray(truth, dtype=np.float32))
            self.level_, self.size_ = float(told.mean()), float(told.std()) or 1.0
            told = (told - self.level_) / self.size_
        else:
            self.level_, self.size_ = 0.0, 1.0
            told = torch.from_numpy(np.searchsorted(self.classes_, truth).astype(np.int64))
        weight = np.ones(len(matrix)) if sample_weight is None else sample_weight / np.mean(sample_weight)
        weights = torch.from_numpy(weight.astype(np.float32))
        steps = max(1, self.epochs * -(-len(rows) // self.batch))
        adam = torch.optim.AdamW(inner.parameters(), lr=self.learning_rate, weight_decay=self.decay)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
        order = np.random.default_rng(seed)
        inner.train()
        # The order of additions depends on the number of threads, and so would the model.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        for _ in range(self.epochs):
            drawn = torch.from_numpy(order.permutation(len(rows)))
            for places in drawn.split(self.batch):
                if len(places) < 2 and len(rows) > 1:
                    continue  # a batch of one row has no spread for a normalising layer
                said = inner(rows[places])
                if self.values:
                    loss = (said[:, 0] - told[places]) ** 2
                else:
                    loss = torch.nn.functional.cross_entropy(said, told[places], reduction="none")
                adam.zero_grad()
                (loss * weights[places]).mean().backward()
                adam.step()
                falling.step()
        torch.set_num_threads(threads)
        inner.eval()

    @property
    def module_(self) -> Any:
        """The whole net, from raw float32 rows to probabilities (or the value), for the export."""
        return whole_net(
            self.inner_, self.centre_, self.spread_, self.fill_,
            level=self.level_, size=self.size_, values=self.values,
        )  # fmt: skip

    def predict_proba(self, matrix: Matrix) -> Floats:
        """Probabilities of `classes_`, shape (n, k)."""
        return self._asked(matrix)

    def predict(self, matrix: Matrix) -> NDArray[Any]:
        """The value, or the likeliest class, shape (n,)."""
        said = self._asked(matrix)
        found: NDArray[Any] = said[:, 0] if self.values else self.classes_[said.argmax(axis=1)]
        return found

    def taught_on(
        self, inner: Any, matrix: Matrix, truth: NDArray[Any], *, epochs: int, weight: Floats | None = None
    ) -> Network:
        """Another network like this one around the net *inner*, taught on for *epochs*."""
        again = Network(**{**self.get_params(), "epochs": epochs})
        return again.fit(matrix, truth, weight, module=deepcopy(inner))

    def _asked(self, matrix: Matrix) -> Floats:
        import torch

        with torch.no_grad():
            parts = [
                self.module_(part)
                for part in torch.from_numpy(np.ascontiguousarray(matrix, dtype=np.float32)).split(4096)
            ]
        return np.concatenate([part.numpy() for part in parts]).astype(np.float64)

    def _scaled(self, matrix: Matrix) -> Matrix:
        filled = np.where(np.isnan(matrix), self.fill_, matrix)
        return np.ascontiguousarray((filled - self.centre_) / self.spread_, dtype=np.float32)


def whole_net(
    inner: Any, centre: Matrix, spread: Matrix, fill: Matrix, *, level: float, size: float, values: bool
) -> Any:
    """The net *inner* with the scaling before it and the softmax, or the value's own scale, behind it."""
    import torch

    class Whole(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner
            for name, one in (("centre", centre), ("spread", spread), ("fill", fill)):
                self.register_buffer(name, torch.from_numpy(np.asarray(one, dtype=np.float32)))

        def forward(self, features: Any) -> Any:
            told = features
            if self.fill.numel() > 1:
                told = torch.where(torch.isnan(told), self.fill, told)
            said = self.inner((told - self.centre) / self.spread)
            return said * size + level if values else torch.softmax(said, dim=1)

    return Whole().eval()


def torch_or_refused() -> Any:
    """PyTorch, with what writes its nets as graphs: without that a net would be taught and could not be released.

    Raises:
        TrainingImpossible: One of them is not installed.
    """
    try:
        import onnxscript  # noqa: F401 - torch.onnx.export asks for it at the very end
        import torch
    except ImportError as error:
        raise TrainingImpossible(
            "a neural net needs PyTorch and onnxscript, which are not both installed",
            where="model.py",
            found=str(error),
            hint="install the extra: geartrain[torch]",
        ) from error
    return torch


def _scales(matrix: Matrix, scaling: str) -> tuple[Matrix, Matrix, Matrix]:
    if scaling == "whole":
        spread = float(np.nanstd(matrix)) or 1.0
        return _single(np.nanmean(matrix)), _single(spread), _single(np.nanmean(matrix))
    known = np.where(np.isnan(matrix).all(axis=0), 0.0, matrix)
    fill = np.nanmedian(known, axis=0)
    filled = np.where(np.isnan(known), fill, known)
    spread = filled.std(axis=0)
    spread[spread == 0] = 1.0
    return _single(filled.mean(axis=0)), _single(spread), _single(fill)


def _single(values: Any) -> Matrix:
    return np.atleast_1d(np.asarray(values, dtype=np.float32))
