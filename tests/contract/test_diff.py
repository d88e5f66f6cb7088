"""A change of the contract, in meaning."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.contract.diff import ChangeKind, describe, diff
from geartrain.contract.parsing import parse
from geartrain.domain.roles import Role

EDITS = {
    "cost up": (("false_positive: 250", "false_positive: 400"), "costs.false_positive", ChangeKind.TIGHTER),
    "cost expression": (("400 + 3 * diameter", "500 + 3 * diameter"), "costs.false_negative", ChangeKind.DIFFERENT),
    "recall down": (("recall: {at_least: 0.8,", "recall: {at_least: 0.7,"), "success.recall.at_least", ChangeKind.LOOSER),
    "slower": (("latency_p99: {at_most: 0.1 s", "latency_p99: {at_most: 150 ms"), "budget.latency_p99.at_most", ChangeKind.LOOSER),
    "more load": (("load: 2 per minute", "load: 2 per second"), "budget.load", ChangeKind.TIGHTER),
    "smaller groups": (("smallest_group: 40", "smallest_group: 20"), "fairness.same_service.smallest_group", ChangeKind.TIGHTER),
    "only warns": (("mitigations: [reweighing, thresholds]", "severity: warn\n    mitigations: [reweighing, thresholds]"), "fairness.same_service.severity", ChangeKind.LOOSER),
    "fewer stages": (("stages: [training, live]", "stages: [training]"), "success.calibration_error.stages", ChangeKind.LOOSER),
    "other slice": (("age >= 60", "age >= 70"), "success.recall_old_pipes.where", ChangeKind.DIFFERENT),
    "field bound": (("max: 140", "max: 130"), "data.sources.nights.fields.noise_db.max", ChangeKind.TIGHTER),
    "new clause": (("  recall: {", "  auc: {at_least: 0.9}\n  recall: {"), "success.auc", ChangeKind.ADDED),
    "no schedule": (("  every: 90 days\n", ""), "retraining.every", ChangeKind.REMOVED),
    "dearer refits": (("refit_costs: 900", "refit_costs: 950"), "retraining.refit_costs", ChangeKind.DIFFERENT),
    "smaller budget margin": (("margin: 3 %", "margin: 2 %"), "budget.margin", ChangeKind.TIGHTER),
    "smaller margin": (("margin: 5 %", "margin: 2 %"), "retraining.margin", ChangeKind.TIGHTER),
    "smaller change": (("smallest_change: 0.2", "smallest_change: 0.1"), "monitoring.smallest_change", ChangeKind.TIGHTER),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_each_change_has_its_kind(complete: str, edit: str) -> None:
    """Tighter, looser, different, added, removed; and nothing else changed."""
    (old, new), path, kind = EDITS[edit]
    assert old in complete

    changed = diff(parse(complete), parse(complete.replace(old, new, 1)))

    assert [(change.path, change.kind) for change in changed.changes] == [(path, kind)]


def test_a_diff_is_said_in_words(complete: str) -> None:
    """The words of the design, and who must sign again."""
    text = complete.replace("false_positive: 250", "false_positive: 400").replace(
        "  latency_p50: 20 ms\n", ""
    )

    said = describe(diff(parse(complete), parse(text)))

    assert said == (
        "budget.latency_p50: was at most 20 ms (removed), owner engineering\n"
        "costs.false_positive: 250 -> 400 (tighter), owner domain\n"
        "must sign again: product, domain, engineering"
    )


def test_only_owners_sign_where_neither_costs_nor_success_changed(complete: str) -> None:
    """A wider window is science's business alone."""
    changed = diff(parse(complete), parse(complete.replace("window: 700 days", "window: 800 days")))

    assert changed.must_sign == (Role.SCIENCE,)


def test_who_gives_a_clause_away_signs_too(complete: str) -> None:
    """A change of owner calls both."""
    text = complete.replace(
        "recall: {at_least: 0.8, owner: domain}", "recall: {at_least: 0.8, owner: science}"
    )

    changed = diff(parse(complete), parse(text))

    assert changed.must_sign == (Role.PRODUCT, Role.DOMAIN, Role.SCIENCE)


def test_another_spelling_is_no_change(complete: str) -> None:
    """14 days are two weeks, and 0.1 s are 100 ms."""
    text = complete.replace("label_delay: 2 weeks", "label_delay: 14 days").replace("0.1 s", "100 ms")

    changed = diff(parse(complete), parse(text))

    assert changed.changes == ()
    assert changed.must_sign == ()
    assert describe(changed) == "the two contracts mean the same"


@settings(max_examples=25)
@given(chosen=st.sets(st.sampled_from(sorted(EDITS))))
def test_there_and_back_are_opposites(complete: str, chosen: set[str]) -> None:
    """Tighter one way is looser the other; the same roles sign; a contract never differs from itself."""
    text = complete
    for name in sorted(chosen):
        old, new = EDITS[name][0]
        text = text.replace(old, new, 1)
    one, other = parse(complete), parse(text)
    opposite = {
        ChangeKind.TIGHTER: ChangeKind.LOOSER,
        ChangeKind.LOOSER: ChangeKind.TIGHTER,
        ChangeKind.ADDED: ChangeKind.REMOVED,
        ChangeKind.REMOVED: ChangeKind.ADDED,
        ChangeKind.DIFFERENT: ChangeKind.DIFFERENT,
    }

    there, back = diff(one, other), diff(other, one)

    assert diff(other, other).changes == ()
    assert len(there.changes) == len(chosen)
    assert [(change.path, opposite[change.kind]) for change in there.changes] == [
        (change.path, change.kind) for change in back.changes
    ]
    assert there.must_sign == back.must_sign
