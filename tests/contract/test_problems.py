"""What a person reads when the contract is wrong: the place, what was found, what would be right."""

from __future__ import annotations

import pytest

from geartrain.contract.parsing import parse
from geartrain.errors import ContractInvalid, ContractUnreadable


def _problems(text: str, *edits: tuple[str, str]) -> list[str]:
    for old, new in edits:
        assert text.count(old) >= 1, f"the test's contract does not say {old!r}"
        text = text.replace(old, new, 1)
    with pytest.raises(ContractInvalid) as caught:
        parse(text)
    return [
        f"{one.line}:{one.column} {one.path}: {one.message} | {one.found} | {one.expected}"
        for one in caught.value.problems
    ]


SLIPS = {
    "unknown key": (
        ("  serves:", "  srves:"),
        "9:3 product.srves: there is no key `srves` here | srves | did you mean `serves`?",
    ),
    "unknown section": (
        ("\nbudget:", "\nbugdet:"),
        "49:1 bugdet: there is no key `bugdet` here | bugdet | did you mean `budget`?",
    ),
    "wrong type": (
        ("trials: 8", "trials: many"),
        '129:3 retraining.trials: this is not a whole number | "many" | a whole number of at least 1',
    ),
    "number in quotes": (
        ("recall: {at_least: 0.8,", 'recall: {at_least: "0.8",'),
        '44:12 success.recall.at_least: this is text, not a number | "0.8" | 0.8 without quotes',
    ),
    "missing key": (
        ("  unit: one pipe and night\n", ""),
        "15:1 decision.unit: `unit` is missing |  | text",
    ),
    "missing unit": (
        ("latency_p50: 20 ms", "latency_p50: 20"),
        ("54:3 budget.latency_p50.at_most: 20 of what? The unit is missing | 20 | "
        "a duration such as 5 ms, 30 min, 2 h or 14 days"),
    ),
    "bad unit": (
        ("artifact_size: 2 MiB", "artifact_size: 2 MX"),
        ('56:3 budget.artifact_size.at_most: `MX` is not a unit here | "2 MX" | '
        "a size such as 500 kB, 20 MB or 1 GiB"),
    ),
    "varying unit": (
        ("window: 700 days", "window: 2 years"),
        ('128:3 retraining.window: `years` has no fixed length | "2 years" | '
        "the same in days, such as 30 days or 365 days"),
    ),
    "share as percent": (
        ("smallest_group: 40", "smallest_group: 0"),
        ("115:5 fairness.same_service.smallest_group: it should be greater than or equal to 1 | 0 | "
        "a whole number of at least 1"),
    ),
    "share above one": (
        ("at_most: 0.1\n    smallest_group", "at_most: 10\n    smallest_group"),
        "114:5 fairness.same_service.at_most: a share lies from 0 to 1 | 10 | 0.1 (for 10 %)",
    ),
    "unknown role": (
        ("owner: domain}", "owner: domian}"),
        '44:27 success.recall.owner: there is no such role | "domian" | did you mean `domain`?',
    ),
    "unknown metric": (
        ("recall: {at_least: 0.8,", "recal: {at_least: 0.8,"),
        ("44:3 success.recal: there is no metric `recal` | recal | "
        "did you mean `recall`?; a name of its own needs `metric:`"),
    ),
    "unknown baseline": (
        ("relative_to: loud", "relative_to: luod"),
        "43:56 success.beats_the_ear.relative_to: there is no baseline `luod` | luod | did you mean `loud`?",
    ),
    "unknown column": (
        ('rule: "noise_db > 55"', 'rule: "noise > 55"'),
        ("41:12 success.baselines.loud.rule: there is no column `noise` in `nights` | noise | one of night_id, pipe, "
        "at, seen_at, noise_db, age, diameter, material, district, leak"),
    ),
    "broken expression": (
        ('rule: "noise_db > 55"', 'rule: "noise_db >"'),
        '41:12 success.baselines.loud.rule: this is not an expression | "noise_db >" | try `amount * 0.1 + 5`',
    ),
    "class without action": (
        ("    no: wait\n", ""),
        ('20:3 decision.actions: a binary decision has two classes, and `positive` is one of them | ["yes"] | '
        "`yes` and one other"),
    ),
    "fallback is no action": (
        ("fallback: wait", "fallback: wiat"),
        "31:3 decision.fallback: this is not one of the actions | wiat | did you mean `wait`?",
    ),
    "never abstains": (
        ("below_confidence: 0.6", "below_confidence: 0.4"),
        ("26:5 decision.abstain.below_confidence: with 2 classes the likeliest one is never less probable than 0.5,"
        " so this never abstains | 0.4 | a share above 0.5"),
    ),
    "half a cost": (
        ("  false_positive: 250\n", ""),
        "33:1 costs: nothing says what a false alarm costs |  | false_positive: a number or an expression",
    ),
    "shares": (
        ("shares: [0.6, 0.2, 0.2]", "shares: [0.6, 0.2, 0.3]"),
        ("61:11 data.split.shares: the shares do not add up to 1 | [0.6, 0.2, 0.3], together 1.1 | "
        "three shares that add up to 1, such as [0.6, 0.2, 0.2]"),
    ),
    "min above max": (
        ("min: 10, max: 2000", "min: 10, max: 2"),
        ("81:43 data.sources.nights.fields.diameter.max: the largest value lies below the smallest | min 10, max 2 | "
        "max of at least 10"),
    ),
    "metric of another task": (
        ("metric: expected_cost, at_most: 0.9, relative_to: loud", "metric: r2, at_least: 0.9"),
        ("43:19 success.beats_the_ear.metric: `r2` cannot be measured on a binary decision | r2 | one of expected_cost, "
        "cost_per_1000, recall, precision, specificity, f1, accuracy, auc, average_precision, precision_at_capacity, cost_within_capacity, "
        "calibration_error, calibration_at_threshold, brier, log_loss, abstention_rate, coverage"),
    ),
    "two kinds at once": (
        ("{rises_with: noise_db,", "{rises_with: noise_db, falls_with: age,"),
        ('96:3 plausibility.louder_is_worse: says two things at once | {rises_with: "noise_db", falls_with: "age", '
        "at_most: 0.02... | exactly one of rises_with, falls_with, forbidden, largest_share, proxy_of, stable_across, "
        "invariant_to, cases, earns_its_place, robust_to"),
    ),
    "no reason": (
        ("because: water rates are the same everywhere", "because: ..."),
        '116:5 fairness.same_service.because: this is not a reason | "..." | why, in plain words',
    ),
    "unknown clause": (
        ("abort_on: [success.expected_cost,", "abort_on: [success.expected_csot,"),
        ("144:14 release.abort_on.0: there is no clause `success.expected_csot` | success.expected_csot | "
        "did you mean `success.expected_cost`?"),
    ),
    "nobody signs": (
        ("  science: [Sid Sample]\n", ""),
        ("137:3 release.sign: nobody in the team holds the role science, which must sign | "
        "team: product, domain, engineering | team.science: a name, or a sign list without it"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS)
def test_each_slip_is_told_with_its_place_and_its_cure(complete: str, slip: str) -> None:
    """One slip gives its own problem: line, column, path, what is so, what was found, what would be right."""
    edit, told = SLIPS[slip]

    problems = _problems(complete, edit)

    assert told.split(" ", 1)[1] in {one.split(" ", 1)[1] for one in problems}
    assert told in problems


def test_all_problems_are_told_at_once(complete: str) -> None:
    """Slips of shape do not hide slips of meaning, nor the other way round."""
    kinds = ("unknown key", "number in quotes", "missing unit", "unknown baseline", "shares", "nobody signs")
    edits = [SLIPS[kind][0] for kind in kinds]

    problems = "\n".join(_problems(complete, *edits))

    for said in (
        "no key `srves`",
        "this is text, not a number",
        "20 of what?",
        "do not add up to 1",
        "nobody in the team holds the role science",
    ):
        assert said in problems


def test_the_whole_message_is_as_agreed(short: str) -> None:
    """The text of the error, as a terminal shows it."""
    with pytest.raises(ContractInvalid) as caught:
        parse(
            short.replace("task: binary", "task: binry") + "budget: {latency_p99: soon}\n", origin="coin.yaml"
        )

    assert str(caught.value) == (
        "error[contract.invalid]: 2 problems in the contract\n"
        "  coin.yaml:2:12: decision.task: there is no such word here\n"
        '      found: "binry"\n'
        "      right: did you mean `binary`?\n"
        "  coin.yaml:4:10: budget.latency_p99.at_most: no number stands here\n"
        '      found: "soon"\n'
        "      right: a duration such as 5 ms, 30 min, 2 h or 14 days\n"
        "\n"
        "hint: each line above names its place; `geartrain contract schema` lists what may stand there"
    )


def test_a_slip_does_not_bring_false_alarms(complete: str) -> None:
    """A clause that is cut out for its own slip is still known to those who refer to it."""
    problems = _problems(complete, ("expected_cost: {at_most: 0.8,", "expected_cost: {at_most: cheap,"))

    assert len(problems) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the contract is empty"),
        ("# only a comment\n", "a contract is a mapping of sections"),
        ("- a\n- b\n", "a contract is a mapping of sections"),
        ("just words", "a contract is a mapping of sections"),
        ("product: {name: x\n", "this is not YAML"),
        ("product:\n\tname: x\n", "this is not YAML"),
        ("a: 1\n---\nb: 2\n", "this is not YAML"),
        ("\x00\x01\x02", "this is not text in YAML"),
        ("x" * 1_000_001, "the file is too large for a contract"),
    ],
)
def test_what_is_no_contract_is_unreadable(text: str, message: str) -> None:
    """Empty, binary, broken or huge input is refused with one clear error."""
    with pytest.raises(ContractUnreadable) as caught:
        parse(text)

    assert caught.value.message == message


def test_broken_yaml_names_its_line() -> None:
    """A YAML error has its line and column and advice."""
    with pytest.raises(ContractUnreadable) as caught:
        parse("product:\n\tname: x\n", origin="p.yaml")

    assert caught.value.where == "p.yaml:2:1"
    assert caught.value.hint == "indent with spaces, not with tabs"


def test_aliases_that_multiply_or_bite_their_tail_are_refused(short: str) -> None:
    """Nested aliases neither fill the memory nor recurse without end."""
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
    )
    with pytest.raises(ContractUnreadable, match="never ends"):
        parse(bomb)
    with pytest.raises(ContractInvalid, match="contains itself"):
        parse(short + "costs: &c {errors: [*c]}\n")


def test_tags_build_no_objects(short: str) -> None:
    """A tag is a problem, not a call."""
    with pytest.raises(ContractInvalid, match="a tag cannot stand here"):
        parse(short + "budget: {device: !!python/object/apply:os.getcwd []}\n")
