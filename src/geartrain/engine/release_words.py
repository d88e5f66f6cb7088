"""A release as people read it: what its features are called, how it decides, what was usual when it learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

import polars as pl

from geartrain.domain.contract import Contract, FieldTerms
from geartrain.domain.expression import parse
from geartrain.domain.features import (
    Aggregation,
    Encoding,
    Feature,
    FunctionFeature,
    LookupFeature,
    RequestFeature,
    WindowFeature,
)
from geartrain.domain.prediction import Predictions
from geartrain.domain.rule import DecisionRule
from geartrain.domain.wording import plain_name
from geartrain.engine.bundles import load_bundle
from geartrain.engine.feature_words import described
from geartrain.engine.hosting import served_of, typical_of
from geartrain.engine.workspace import Workspace
from geartrain.errors import FeatureInvalid, GeartrainError
from geartrain.features.encoding import encode
from geartrain.monitoring.profile import Profile, from_bytes
from geartrain.serving.reasons import reasons_of
from geartrain.serving.runtime import Matrix, RawRow, Served

#: So many releases are kept open; a bundle never changes.
_KEPT = 8
#: What parts a feature's name from its label while reasons are put into words; in no text that people write.
_MARK = "\x00"
#: How a reason says which way it speaks.
_WAYS = (": speaks ", ": raises ", ": lowers ")
#: What these say of a sensitive column does not tell its value.
_TELLING_NOTHING = (Aggregation.COUNT, Aggregation.DISTINCT, Aggregation.TIME_SINCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What spoke for an answer or against it, and the feature that it is about."""

    feature: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """What is read of a release's bundle, after every byte was checked.

    Attributes:
        profile: What its reference rows looked like; None where it carries none.
    """

    release: str
    encoding: Encoding
    rule: DecisionRule
    profile: Profile | None
    served: Served

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its features."""
        return tuple(one.name for one in self.encoding.feature_set.features)

    def feature(self, name: str) -> Feature | None:
        """The definition of a feature, or None."""
        return next((one for one in self.encoding.feature_set.features if one.name == name), None)

    def label(self, name: str) -> str:
        """What people call a feature."""
        found = self.feature(name)
        return described(found) if found else plain_name(name)

    def reasons(self, values: pl.DataFrame, *, hidden: frozenset[str]) -> tuple[Reason, ...]:
        """Why the release answers as it does about one row of feature *values*, the strongest first.

        Of a feature that is *hidden* it is said that it matters, and never what it is.
        """
        try:
            matrix = encode(self.encoding, values)
        except FeatureInvalid:
            return ()
        predictions: Predictions = self.served.predict(matrix)
        told = reasons_of(self.served, matrix, predictions)[0]
        return tuple(self._reason(said, hidden) for said in told)

    def _reason(self, said: str, hidden: frozenset[str]) -> Reason:
        feature, _, words = said.partition(_MARK)
        if feature not in hidden:
            return Reason(feature=feature, words=words)
        # What stands behind the last colon says for which answer it speaks, and nothing of the value.
        way = next((words[words.rindex(one) :] for one in _WAYS if one in words), " matters")
        return Reason(feature=feature, words=f"{self.label(feature)}, which is sensitive and not shown{way}")


def reading_of(workspace: Workspace, release: str) -> Reading | None:
    """The release as people read it; None where its bundle is gone or not what was signed."""
    try:
        return _read(workspace, release)
    except GeartrainError:
        return None


def live_reading(workspace: Workspace, product: str) -> Reading | None:
    """The release that answers now, as people read it; None where none does, or it cannot be read."""
    champion = workspace.releases(product).champion
    return reading_of(workspace, champion) if champion else None


@lru_cache(maxsize=_KEPT)
def _read(workspace: Workspace, release: str) -> Reading:
    loaded = load_bundle(workspace, release)
    profile = from_bytes(loaded.profile) if loaded.profile else None
    served = served_of(loaded, _never, typical=typical_of(profile) if profile else {})
    marked = tuple(
        replace(one, label=f"{one.column}{_MARK}{one.label or one.column}") for one in served.words
    )
    return Reading(
        release=release,
        encoding=loaded.encoding,
        rule=loaded.rule,
        profile=profile,
        served=replace(served, words=marked),
    )


def reads_in_words(feature: Feature) -> str:
    """What a feature is made of, in the terms of the contract."""
    match feature:
        case RequestFeature():
            bare = feature.expression.strip("`") == feature.name
            return "the column of this name" if bare else f"the request: {feature.expression}"
        case WindowFeature():
            column = f", column {feature.column}" if feature.column else ""
            where = f" where {feature.where}" if feature.where else ""
            return f"source {feature.source}{column}{where}, by {feature.entity}"
        case LookupFeature():
            return f"source {feature.source}, column {feature.column}, by {feature.key or feature.entity}"
        case _:
            return f"the team's function {feature.function} of {', '.join(name for name, _ in feature.reads)}"


def hidden_features(contract: Contract, encoding: Encoding) -> frozenset[str]:
    """The features that would tell what a column says that the contract calls sensitive."""
    of_source = {
        source.name: frozenset(one.name for one in source.fields if one.sensitive)
        for source in (contract.data.sources if contract.data else ())
    }
    asked = of_source.get(contract.data.decisions.name, frozenset()) if contract.data else frozenset()
    hidden: set[str] = set()
    for feature in encoding.feature_set.features:
        match feature:
            case RequestFeature():
                told = (asked | hidden).intersection(parse(feature.expression).columns)
            case FunctionFeature():
                told = (asked | hidden).intersection(name for name, _ in feature.reads)
            case WindowFeature(aggregation=how) if how in _TELLING_NOTHING or feature.column is None:
                told = frozenset()
            case _:
                sensitive = of_source.get(feature.source, frozenset())
                told = sensitive.intersection(parse(feature.column or "").columns)
        if told:
            hidden.add(feature.name)
    return frozenset(hidden)


def may_be_shown(contract: Contract, field: FieldTerms) -> bool:
    """Whether a reviewer may see a column of the row: not what is sensitive, and nothing that was known later."""
    return not (field.sensitive or field.name == contract.decision.label or (field.known_after_s or 0) > 0)


def _never(rows: Sequence[RawRow], at: datetime) -> Matrix:
    """A release that is only read about is asked with features that were kept, never with raw rows."""
    raise RuntimeError(f"{len(rows)} rows of {at:%Y-%m-%d} were to be encoded")
