"""Features against the contract: what is not there, what is forbidden, what knows too much."""

from __future__ import annotations

import pytest

from geartrain.domain.clause import Clause, Comparison
from geartrain.domain.contract import (
    Contract,
    DataTerms,
    DecisionTerms,
    FieldTerms,
    FieldType,
    Missing,
    ProductTerms,
    SourceKind,
    SourceTerms,
)
from geartrain.domain.features import Feature, FeatureSet, FeatureType
from geartrain.domain.roles import Role
from geartrain.domain.task import Task
from geartrain.errors import FeatureInvalid
from geartrain.features.checking import check_features, default_features
from geartrain.features.declaring import function, lookup, request, window


def twice(batch):
    import pyarrow.compute as pc

    return pc.multiply(batch[0], 2.0)


def field(name: str, kind: FieldType = FieldType.NUMBER, **more: object) -> FieldTerms:
    return FieldTerms(name=name, type=kind, **more)


DECISIONS = SourceTerms(
    name="transactions",
    kind=SourceKind.DECISIONS,
    key="id",
    event_time="at",
    arrival_time="seen",
    fields=(
        field("id", FieldType.STRING),
        field("at", FieldType.TIMESTAMP),
        field("seen", FieldType.TIMESTAMP),
        field("card", FieldType.STRING, feature=False),
        field("terminal", FieldType.STRING),
        field("amount", unit="EUR", missing=Missing.SIGNAL),
        field("country", FieldType.STRING, values=("CZ", "DE")),
        field("abroad", FieldType.BOOLEAN),
        field("worst radius"),
        field("note", FieldType.TEXT),
        field("basket", FieldType.OBJECT),
        field("fraud", FieldType.BOOLEAN),
    ),
)
CHARGEBACKS = SourceTerms(
    name="chargebacks",
    kind=SourceKind.LABELS,
    key="case",
    decision_key="id",
    fields=(
        field("case", FieldType.STRING),
        field("terminal", FieldType.STRING),
        field("fraud", FieldType.BOOLEAN),
    ),
)
FORBIDDEN = Clause(
    path="plausibility.no_terminals",
    metric="forbidden",
    comparison=Comparison.AT_MOST,
    bound=0.0,
    owner=Role.DOMAIN,
    parameters=(("columns", ("terminal",)),),
)
CONTRACT = Contract(
    product=ProductTerms(name="p", title="P", problem="?"),
    decision=DecisionTerms(task=Task.BINARY, unit="one", label="fraud", label_delay_s=7 * 86_400.0),
    team=(),
    data=DataTerms(sources=(DECISIONS, CHARGEBACKS)),
    clauses=(FORBIDDEN,),
)


def test_every_fitting_field_is_a_default_feature() -> None:
    """Keys, times, labels, objects, free text, forbidden and unwanted fields are left out; signals are kept."""
    features = default_features(CONTRACT).features

    assert [(one.name, one.type, one.missing_is_signal) for one in features] == [
        ("amount", FeatureType.NUMBER, True),
        ("country", FeatureType.CATEGORY, False),
        ("abroad", FeatureType.NUMBER, False),
        ("worst radius", FeatureType.NUMBER, False),
    ]
    check_features(FeatureSet(features=features), CONTRACT)


def test_good_features_pass() -> None:
    """Past labels are read from the label source as they arrived, or after their delay."""
    check_features(
        FeatureSet(
            features=(
                request("amount"),
                request("large", "`worst radius` > 16 and hour(at) < 6"),
                *window(
                    "transactions",
                    entity="card",
                    over="1d",
                    mean="amount",
                    distinct="country",
                    where="abroad",
                ),
                *window("transactions", entity="card", over="1d", last="country", type="category"),
                *window("transactions", entity="card", over="1d", delay="7d", ratio="fraud"),
                *window("chargebacks", entity="terminal", over="7d", ratio="fraud"),
                lookup(
                    "known_as", "chargebacks", entity="id", key="case", column="terminal", type="category"
                ),
                function("double", twice, numbers=("amount",)),
                function("again", twice, numbers=("double",)),
                request("to_usual", "amount / card_mean_amount_1d"),
            )
        ),
        CONTRACT,
    )


@pytest.mark.parametrize(
    ("features", "message", "found"),
    [
        ((request("fraud"),), "reads the label", "fraud"),
        ((request("risk", "amount * fraud"),), "reads the label", "fraud"),
        ((request("terminal", type="category"),), "forbids", "terminal"),
        ((request("colour"),), "no such column", "colour"),
        ((request("x", "amount + colour"),), "no such column", "colour"),
        ((request("x", "amount / y"), request("y", "amount")), "no such column", "y"),
        ((request("country"),), "declared as a number", "string"),
        (window("logins", entity="card", count=True), "no such source", "logins"),
        (window("chargebacks", entity="card", count=True), "no such column", "card"),
        (window("transactions", entity="case", count=True), "no such column", "case"),
        (window("transactions", entity="card", sum="colour"), "no such column", "colour"),
        (window("transactions", entity="card", count=True, where="colour > 1"), "no such column", "colour"),
        (window("transactions", entity="card", sum="country"), "is no number", "country: string"),
        ((lookup("x", "logins", entity="card"),), "no such source", "logins"),
        ((lookup("x", "chargebacks", entity="case", column="fraud"),), "no such column", "case"),
        ((lookup("x", "chargebacks", entity="card", column="fraud"),), "no such column", "card"),
        ((lookup("colour", "transactions", entity="card"),), "no such column", "colour"),
        ((lookup("country", "transactions", entity="card"),), "declared as a number", "string"),
        ((lookup("fraud", "transactions", entity="card"),), "reads the label", "fraud"),
        ((function("x", twice, numbers=("fraud",)),), "reads the label", "fraud"),
        ((function("x", twice, texts=("terminal",)),), "forbids", "terminal"),
        ((function("x", twice, numbers=("colour",)),), "no such column", "colour"),
        (
            window("transactions", entity="card", ratio="fraud", delay="6d"),
            "sooner than they are known",
            "delay",
        ),
    ],
)
def test_what_does_not_fit_the_contract_is_refused(
    features: tuple[Feature, ...], message: str, found: str
) -> None:
    """Each refusal names the feature, what was found and what would be right."""
    with pytest.raises(FeatureInvalid) as refused:
        check_features(FeatureSet(features=features), CONTRACT)

    assert message in refused.value.message
    assert found in refused.value.found
    assert features[0].name in refused.value.where
    assert refused.value.hint


def test_a_source_without_fields_is_not_checked_for_columns() -> None:
    """What the contract does not list cannot be missing from it."""
    bare = Contract(
        product=CONTRACT.product,
        decision=CONTRACT.decision,
        team=(),
        data=DataTerms(sources=(SourceTerms(name="t", kind=SourceKind.DECISIONS, key="id"),)),
    )

    check_features(FeatureSet(features=(request("anything"),)), bare)
    with pytest.raises(FeatureInvalid, match="no field"):
        default_features(bare)
    with pytest.raises(FeatureInvalid, match="no data section"):
        check_features(
            FeatureSet(features=(request("a"),)),
            Contract(product=bare.product, decision=bare.decision, team=()),
        )
