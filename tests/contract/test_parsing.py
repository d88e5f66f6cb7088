"""What a right contract means once it is compiled."""

from __future__ import annotations

import json
import random

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.contract.parsing import parse
from geartrain.contract.wording import in_words
from geartrain.domain.clause import Comparison, Severity, Stage
from geartrain.domain.contract import Baseline, Cause, FieldType, RetrainingAction, RolloutKind, SourceKind
from geartrain.domain.roles import Role
from geartrain.domain.task import Task
from geartrain.domain.wire import decode, encode
from geartrain.errors import ContractInvalid

MULTICLASS = """\
product: {name: mail, title: Mail, problem: who answers this letter}
decision: {task: multiclass, unit: a letter, label: desk, actions: {tax: floor 1, water: floor 2, dogs: floor 2}}
costs: {errors: [{truth: tax, decided: dogs, cost: 5}, {truth: dogs, action: floor 1, cost: length}], otherwise: 2}
success:
  recall_dogs: {metric: recall, class: dogs, at_least: 0.8}
  expected_cost: {at_most: 0.5, relative_to: always-floor-2}
team: {product: Ann}
"""

REGRESSION = """\
product: {name: heat, title: Heat, problem: how much heat tomorrow}
decision: {task: regression, unit: a day, label: kwh, label_delay: 1 day}
costs: {error: "max(error, -3 * error)"}
success:
  expected_cost: {at_most: 0.9, relative_to: last-label}
  mean_absolute_error: {at_most: 40}
plausibility:
  frost: {cases: [{row: {outside: -20}, between: [500, 900]}]}
team: {product: Ann, domain: [Bo]}
"""


def test_a_binary_decision_names_its_classes_negative_first(complete: str) -> None:
    """The negative class comes from the keys of `actions`, and each class has its action."""
    decision = parse(complete).decision

    assert decision.task is Task.BINARY
    assert (decision.classes, decision.actions) == (("no", "yes"), ("wait", "dig"))
    assert decision.label_delay_s == 14 * 86_400
    assert decision.capacity is not None
    assert (decision.capacity.most, decision.capacity.period_s) == (4, 86_400.0)
    assert decision.abstain is not None
    assert (decision.abstain.most_missing, decision.abstain.most_outside) == (0.2, None)
    wider = parse(complete.replace("most_missing: 20 %", "most_outside: 10 %")).decision.abstain
    assert wider is not None
    assert (wider.most_missing, wider.most_outside) == (None, 0.1)
    assert decision.abstain.cost == "30"


@pytest.mark.parametrize(
    ("said", "classes"),
    [
        ("positive: 1, negative: 0", ("0", "1")),
        ("positive: true, negative: false", ("false", "true")),
        ("positive: yes, classes: [yes, no]", ("no", "yes")),
        ("positive: bad, actions: {bad: refuse, good: grant}", ("good", "bad")),
    ],
)
def test_classes_are_text_whatever_yaml_makes_of_them(said: str, classes: tuple[str, str]) -> None:
    """1 and true are what people write for the classes "1" and "true"; yes stays yes."""
    text = f"product: {{name: p, title: t, problem: p p}}\nteam: {{product: A}}\ndecision: {{task: binary, unit: u, label: y, {said}}}\n"

    decision = parse(text).decision

    assert decision.classes == classes
    assert decision.positive == classes[1]


def test_the_labels_values_name_the_classes_too(short: str) -> None:
    """Where nothing else names the other class, the label's allowed values do."""
    text = short.replace(", negative: 0", "") + (
        "data: {sources: {coins: {kind: decisions, key: id, fields: {false_coin: {type: integer, values: [0, 1]}}}}}\n"
    )

    assert parse(text).decision.classes == ("0", "1")


def test_binary_costs_are_cells_of_actions_and_classes(complete: str) -> None:
    """false_negative is the negative action on the positive class, and a negative cost is a gain."""
    costs = parse(complete).costs

    assert costs is not None
    assert {(one.name, one.action, one.truth, one.cost) for one in costs.entries} == {
        ("false_negative", "wait", "yes", "400 + 3 * diameter"),
        ("false_positive", "dig", "no", "250"),
        ("true_positive", "dig", "yes", "-50"),
    }


def test_many_classes_are_no_special_case() -> None:
    """Classes of a mapping are sorted, errors name truth and decision, a metric names its class."""
    contract = parse(MULTICLASS)

    assert contract.decision.classes == ("dogs", "tax", "water")
    assert contract.decision.actions == ("floor 2", "floor 1", "floor 2")
    assert contract.costs is not None
    assert [(one.action, one.truth, one.cost) for one in contract.costs.entries] == [
        ("floor 2", "tax", "5"),
        ("floor 1", "dogs", "length"),
    ]
    assert contract.costs.otherwise == "2"
    recall = contract.clause("success.recall_dogs")
    assert recall is not None
    assert recall.parameter("class") == "dogs"
    assert contract.baselines == (Baseline(name="always-floor 2"),)


def test_a_regression_has_one_action_and_an_error() -> None:
    """No class is assumed where a number is the answer."""
    contract = parse(REGRESSION)

    assert contract.decision.classes == ()
    assert contract.decision.actions == ("predict",)
    assert contract.costs is not None
    assert contract.costs.error == "max(error, -3 * error)"
    case = contract.clause("plausibility.frost")
    assert case is not None
    assert json.loads(str(case.parameter("cases"))) == [{"row": {"outside": -20}, "between": [500, 900]}]


def test_success_clauses_take_what_is_said_and_default_the_rest(complete: str) -> None:
    """Metric, bound, slice, baseline, owner, severity, stages and parameters."""
    contract = parse(complete)
    old = contract.clause("success.recall_old_pipes")
    capacity = contract.clause("success.precision_at_capacity")
    calibration = contract.clause("success.calibration_error")
    cost = contract.clause("success.expected_cost")

    assert old is not None
    assert (old.metric, old.comparison, old.bound) == ("recall", Comparison.AT_LEAST, 0.75)
    assert old.where == "age >= 60 and material in ['iron', 'lead']"
    assert old.owner is Role.PRODUCT
    assert capacity is not None
    assert capacity.severity is Severity.WARN
    assert dict(capacity.parameters) == {"entity": "pipe", "k": 4, "period": 86_400.0}
    assert calibration is not None
    assert calibration.stages == (Stage.TRAINING, Stage.LIVE)
    assert cost is not None
    assert cost.relative_to == "always-wait"
    assert cost.stages == (
        Stage.TRAINING,
        Stage.COMPRESSION,
        Stage.RELEASE,
        Stage.SHADOW,
        Stage.CANARY,
        Stage.LIVE,
    )


def test_fallbacks_are_promised_for_live_traffic_alone(complete: str) -> None:
    """Nothing before it can tell of them; in words it is a share of the decisions."""
    text = complete.replace("  cost_per_million: 12\n", "  cost_per_million: 12\n  fallback_rate: 0.01\n")
    contract = parse(text)
    clause = contract.clause("budget.fallback_rate")
    assert clause is not None
    assert (clause.bound, clause.unit, clause.stages) == (0.01, "", (Stage.LIVE,))
    (told,) = [one.sentence for one in in_words(contract) if one.path == clause.path]
    assert told == "at most 1 % of the decisions are taken by a fallback (engineering, blocks a release)"


def test_budgets_are_in_their_units(complete: str) -> None:
    """Latency in ms, size in kB, memory in MB, money in the budget's currency."""
    clauses = {one.metric: one for one in parse(complete).clauses if one.section == "budget"}

    assert {name: (one.bound, one.unit) for name, one in clauses.items()} == {
        "latency_p50": (20.0, "ms"),
        "latency_p99": (100.0, "ms"),
        "artifact_size": (2097.152, "kB"),
        "memory": (200.0, "MB"),
        "cost_per_million": (12.0, "EUR"),
    }
    assert clauses["latency_p50"].stages == (
        Stage.FEASIBILITY,
        Stage.COMPRESSION,
        Stage.RELEASE,
        Stage.LIVE,
    )
    assert clauses["memory"].owner is Role.ENGINEERING


def test_a_clause_that_can_abort_a_rollout_is_checked_in_it(complete: str) -> None:
    """Naming a clause under `abort_on` adds shadow and canary to its stages."""
    latency = parse(complete).clause("budget.latency_p99")

    assert latency is not None
    assert {Stage.SHADOW, Stage.CANARY} <= set(latency.stages)


def test_data_is_read_field_by_field(complete: str) -> None:
    """Sources, fields, split and the clauses of volume; keys, times and the label are no features."""
    contract = parse(complete)
    data = contract.data

    assert data is not None
    assert (data.group, data.time_split, data.shares) == ("pipe", True, (0.6, 0.2, 0.2))
    assert data.decisions.name == "nights"
    assert data.labels is not None
    assert (data.labels.kind, data.labels.decision_key) == (SourceKind.LABELS, "night_id")
    noise = data.decisions.field("noise_db")
    assert noise is not None
    assert (noise.type, noise.minimum, noise.maximum, noise.path) == (
        FieldType.NUMBER,
        0.0,
        140.0,
        "$.sensor.noise",
    )
    assert {one.name for one in data.decisions.fields if one.feature} == {
        "pipe",
        "noise_db",
        "age",
        "diameter",
        "material",
    }
    assert {
        one.path: (one.bound, one.comparison.value) for one in contract.clauses if one.section == "data"
    } == {
        "data.nights.freshness": (172_800.0, "at_most"),
        "data.nights.rows_per_day": (300.0, "at_least"),
        "data.nights.quarantined": (0.05, "at_most"),
    }


def test_plausibility_and_fairness_are_clauses_of_their_kind(complete: str) -> None:
    """The metric is the kind or the definition; what it needs besides are parameters."""
    clauses = {one.path: one for one in parse(complete).clauses}

    found = {
        path.split(".")[1]: (one.metric, one.bound)
        for path, one in clauses.items()
        if one.section == "plausibility"
    }
    assert found == {
        "louder_is_worse": ("rises_with", 0.02),
        "plastic_hides": ("falls_with", 0.1),
        "no_identity": ("forbidden", 0.0),
        "more_than_one_reason": ("largest_share", 0.6),
        "not_the_postcode": ("proxy_of", 0.65),
        "every_district": ("stable_across", 0.3),
        "clock_blind": ("invariant_to", 0.0),
        "known": ("cases", 0.0),
        "no_passengers": ("earns_its_place", 0.05),
    }
    fair = clauses["fairness.same_service"]
    assert (fair.metric, fair.bound, fair.owner) == ("equal_opportunity", 0.1, Role.DOMAIN)
    assert dict(fair.parameters) == {
        "groups": "district",
        "smallest_group": 40,
        "mitigations": ("reweighing", "thresholds"),
    }


def test_a_group_columns_bare_name_may_hold_spaces(complete: str) -> None:
    """`groups: age band` is the column, not a broken expression."""
    text = complete.replace("groups: district", "groups: age band").replace("every_column_listed: true", "")

    clause = parse(text).clause("fairness.same_service")

    assert clause is not None
    assert clause.parameter("groups") == "`age band`"


def test_the_running_sections_are_read(complete: str) -> None:
    """Monitoring, retraining, release and team."""
    contract = parse(complete)

    assert contract.monitoring is not None
    assert contract.monitoring.window_s == 21 * 86_400
    assert contract.monitoring.owner(Cause.LABEL_FEED) is Role.DOMAIN
    assert contract.retraining is not None
    assert contract.retraining.action is RetrainingAction.SHADOW
    assert contract.retraining.fewest_per_class == 25
    assert contract.budget.margin == 0.03
    assert (contract.retraining.refit_cost, contract.retraining.margin) == (900.0, 0.05)
    assert contract.release is not None
    assert [(step.kind, step.share) for step in contract.release.rollout] == [
        (RolloutKind.SHADOW, 0.0),
        (RolloutKind.CANARY, 0.1),
        (RolloutKind.CANARY, 0.5),
    ]
    assert contract.release.retrained_sign == (Role.SCIENCE,)
    assert contract.holders(Role.ENGINEERING) == ("Ed Core",)
    assert contract.silent == ()


def test_what_is_left_out_is_said_so(short: str) -> None:
    """A missing section is None and in the list of the silent ones."""
    contract = parse(short)

    assert contract.costs is None
    assert contract.release is None
    assert contract.clauses == ()
    assert contract.silent == (
        "costs",
        "success",
        "budget",
        "data",
        "plausibility",
        "fairness",
        "monitoring",
        "retraining",
        "release",
    )


def test_every_leaf_is_a_clause_or_a_term(complete: str) -> None:
    """Nothing that the team wrote escapes a diff."""
    contract = parse(complete)
    terms = {term.path: term for term in contract.terms}

    assert terms["costs.false_negative"].tighter_when == "higher"
    assert terms["costs.false_negative"].owner is Role.DOMAIN
    assert terms["decision.label_delay"].value == "14 days"
    assert terms["monitoring.window"].value == "21 days"
    assert terms["budget.load"].value.startswith("0.0333")
    assert terms["data.split.shares"].owner is Role.SCIENCE
    assert terms["release.rollout.1.canary"].value == "0.1"
    mark = terms["product.name"].mark
    assert mark is not None
    assert (mark.line, mark.column) == (5, 3)
    assert not any(path.startswith(("plausibility", "fairness", "success.recall")) for path in terms)


def test_a_contract_survives_the_wire(complete: str) -> None:
    """decode(encode(contract)) is the contract, with the same id."""
    contract = parse(complete)

    again = decode(encode(contract), type(contract))

    assert again == contract
    assert again.id == contract.id


def _shuffled(value: object, order: random.Random) -> object:
    if isinstance(value, dict):
        keys = list(value)
        order.shuffle(keys)
        return {key: _shuffled(value[key], order) for key in keys}
    return [_shuffled(item, order) for item in value] if isinstance(value, list) else value


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), comment=st.text(st.characters(categories=["L", "N", "P"]), max_size=20))
def test_the_id_is_of_the_meaning(complete: str, seed: int, comment: str) -> None:
    """The order of keys and the comments change nothing."""
    plain = yaml.load(complete, Loader=yaml.BaseLoader)
    numbers = yaml.safe_load(complete)
    numbers["decision"] = plain["decision"]  # `yes` and `no` as text
    numbers["data"]["sources"]["digs"]["fields"]["leak"]["values"] = ["yes", "no"]
    numbers["decision"]["abstain"]["below_confidence"] = 0.6
    numbers["decision"]["capacity"]["most"] = 4
    text = yaml.safe_dump(_shuffled(numbers, random.Random(seed)), sort_keys=False, allow_unicode=True)

    again = parse(f"# {comment}\n{text}")

    assert again.id == parse(complete).id


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (("tax: floor 1, ", "tax: floor 2, "), "every class has the same action"),
        (("truth: tax", "truth: tux"), "there is no class `tux`"),
        (("action: floor 1", "action: floor 3"), "there is no action `floor 3`"),
        (("class: dogs", "class: cats"), "there is no class `cats`"),
        (("task: multiclass", "task: multiclass, positive: tax"), "`positive` belongs to a binary decision"),
        (("otherwise: 2", "otherwise: 2, false_negative: 1"), "this belongs to a binary decision"),
        (("decided: dogs", "decided: dogs, action: floor 2"), "which decision does this cost?"),
        (
            ("actions: {tax: floor 1, ", "classes: [tax, water, dogs], actions: {tux: floor 1, "),
            "the class `tax` has no action",
        ),
    ],
)
def test_many_classes_have_slips_of_their_own(edit: tuple[str, str], said: str) -> None:
    """Each is named."""
    assert edit[0] in MULTICLASS
    with pytest.raises(ContractInvalid) as caught:
        parse(MULTICLASS.replace(*edit, 1))

    assert any(said in problem.message for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (("label: kwh", "label: kwh, positive: 1"), "a regression has no classes"),
        (("{error:", "{false_negative: 3, error:"), "a regression has no classes to mistake"),
        (("last-label", "most-frequent"), "there is no baseline `most-frequent`"),
        (("mean_absolute_error", "recall"), "`recall` cannot be measured on a regression decision"),
        (("between: [500, 900]", "between: [900, 500]"), "the low end lies above the high end"),
        (("between: [500, 900]", "action: heat"), "a regression has no actions"),
    ],
)
def test_regressions_have_slips_of_their_own(edit: tuple[str, str], said: str) -> None:
    """Each is named."""
    assert edit[0] in REGRESSION
    with pytest.raises(ContractInvalid) as caught:
        parse(REGRESSION.replace(*edit, 1))

    assert any(said in problem.message for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (("kind: decisions", "kind: events"), "no source holds the rows to decide about"),
        (("kind: labels\n      key: dig_id\n      decision_key: night_id", "kind: labels\n      key: dig_id"), "which decision"),
        (('pattern: "P[0-9]+"', 'pattern: "P[0-9+"'), "this is not a regular expression"),
        (("material: {type: string,", "material: {type: integer,"), "the column is a integer"),
        (("night_id: {type: string, required: true, unique: true}", "night_id: {type: string, feature: true}"), "is never a feature"),
        (("at: {type: timestamp, required: true}", "at: {type: boolean}"), "this column is the source's event_time"),
        (("key: night_id", "key: nigth_id"), "there is no column `nigth_id`"),
        (("material: {type: string, values: [iron, lead, plastic]}", "material: {type: string, min: 3}"), "no smallest or largest"),
    ],
)  # fmt: skip
def test_data_has_slips_of_its_own(complete: str, edit: tuple[str, str], said: str) -> None:
    """Each is named."""
    assert edit[0] in complete
    with pytest.raises(ContractInvalid) as caught:
        parse(complete.replace(*edit, 1))

    assert any(said in problem.message for problem in caught.value.problems)


def test_unlisted_columns_are_fine_where_fields_are_partial(complete: str) -> None:
    """Without `every_column_listed` an unknown name may be a feature, but a slip of the pen is still seen."""
    partial = complete.replace("      every_column_listed: true\n", "")

    clause = parse(partial.replace("noise_db > 55", "mean_noise_7d > 55")).baselines

    assert any(one.rule == "mean_noise_7d > 55" for one in clause)
    with pytest.raises(ContractInvalid, match="did you mean `noise_db`"):
        parse(partial.replace("noise_db > 55", "noisedb > 55"))
