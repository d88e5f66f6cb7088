"""The handbook's first model: columns brought to one scale, then a logistic regression."""

from __future__ import annotations

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from geartrain.training.recipe import recipe


def book(params, seed):  # noqa: ARG001 - a recipe is always given both
    """Nothing is searched: the figures are those of the book's own settings."""
    return make_pipeline(StandardScaler(), LogisticRegression(random_state=seed, max_iter=1000))


model = recipe(book, calibrate="none")
