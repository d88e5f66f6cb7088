"""Verdicts from what a quick look showed: costs, curves, labels, leaks, margins, feeds."""

import numpy as np
import pytest
from scipy import stats

from geartrain.domain.finding import Measurement
from geartrain.evaluation.cost_metrics import unseen_cost
from geartrain.evaluation.evidence import Unmeasured
from geartrain.evaluation.feasibility import feasibility
from geartrain.evaluation.leakage_proxies import Leak
from geartrain.evaluation.outlook import curve_of, least_costs, outlook
from geartrain.evaluation.prospect import CurveRuns, Facts, Margin, QuickLook, Signal, Topic, Verdict
from geartrain.evaluation.proving import margin_prospect
from geartrain.stats.label_noise import agreement, confident_noise
from geartrain.stats.learning_curve import learning_curve

ROWS = 2000
FACTS = Facts(
    rows=2 * ROWS, free=ROWS, class_counts=(("benign", 2 * ROWS - 800), ("malignant", 800)), proving_share=0.5
)


@pytest.fixture
def quick(build):
    """Answers that are right nine times in ten about 2,000 rows, a fifth of them malignant; errors cost 1."""
    rng = np.random.default_rng(0)
    truth = (rng.random(ROWS) < 0.2).astype(int)
    right = rng.random(ROWS) < 0.9
    contract = build.contract(costs=build.costs(false_negative="1"))
    columns = {"sex": rng.choice(np.array(["f", "m"], dtype=object), ROWS)}
    said = np.where(right, truth, 1 - truth)
    return build.binary(np.where(said == 1, 0.8, 0.2), truth, contract=contract, columns=columns)


def curve(law, *, noise=0.002, sizes=(100, 200, 400, 800, 1600)):
    """Runs in which each judged row's error comes and goes as the law says."""
    rng = np.random.default_rng(1)
    luck = rng.permutation(ROWS) / ROWS
    costs = tuple(
        np.array([(luck < law(n) + noise * rng.normal()).astype(float) for _ in range(4)]) for n in sizes
    )
    return CurveRuns(sizes=sizes, costs=costs, judged=np.arange(ROWS), whole=sizes[-1])


def asked(build, quick, *clauses, facts=FACTS, **look):
    contract = build.contract(costs=quick.contract.costs, clauses=clauses)
    found = feasibility(
        contract, facts=facts, now=build.now, look=QuickLook(quick=quick, model="a model", **look)
    )
    return found.prospects[0], found


def promised(build, bound):
    return build.clause("success.cost", "expected_cost", at_most=bound)


def test_a_cost_that_even_the_good_end_misses_cannot_be_kept(build, quick):
    """Errors in a tenth of the rows against a promise of 5 %: cannot, in words that name the model's limits."""
    one, _ = asked(build, quick, promised(build, 0.05))
    assert one.verdict is Verdict.CANNOT
    assert one.reason.startswith(
        "not by a quick model with these rows: even at its good end, expected cost 0.0"
    )
    assert one.outlook == ""


def test_more_rows_can_be_enough(build, quick):
    """A curve that falls to 3 % with ten times the rows says so; the verdict is about the rows at hand."""
    one, found = asked(build, quick, promised(build, 0.06), curve=curve(lambda n: 4 * n**-0.5))
    assert one.verdict is Verdict.CANNOT
    assert one.outlook.startswith("with ten times the rows it can: 0.03")
    assert any(text.startswith("yes: a quick model costs") for text in told(found, Topic.MORE_ROWS))


def test_not_even_ten_times_the_rows(build, quick):
    """A curve that levels off at 9 % never reaches 5 %."""
    one, found = asked(build, quick, promised(build, 0.05), curve=curve(lambda n: 0.09 + 0.5 / n, noise=5e-4))
    assert one.outlook.startswith("not even ten times the rows would do: 0.0")
    assert any(text.startswith("hardly") for text in told(found, Topic.MORE_ROWS))


def test_a_curve_that_is_not_believed_promises_nothing(build, quick):
    """Where the law does not predict the last point, more rows are no known way out."""
    one, found = asked(build, quick, promised(build, 0.05), curve=curve(lambda n: 0.5 if n < 1000 else 0.1))
    assert one.outlook.startswith("whether more rows would help is not known: fitted on at most 800 rows")
    assert told(found, Topic.MORE_ROWS)[0].startswith("not known")


def test_curves_are_about_the_clauses_own_baseline_and_rows(build, quick):
    """Against always-biopsy, which costs .8 a row here, the same curve is a fraction; a slice has its own."""
    runs = curve(lambda n: 4 * n**-0.5)
    plain, share = curve_of(quick, runs), curve_of(quick, runs, relative_to="always-biopsy")
    biopsy = float((quick.truth == 0).mean())
    assert share.points[-1].value == pytest.approx(plain.points[-1].value / biopsy)
    women = curve_of(quick, runs, where="sex == 'f'")
    assert women.points[-1].value == pytest.approx(
        float(runs.costs[-1][:, quick.columns["sex"] == "f"].mean())
    )
    none = curve_of(quick, runs, where="sex == 'x'")
    assert "0 judged rows" in none.reason
    assert "is not known: only 0 judged rows" in outlook(promised(build, 0.1), none)


def test_forecasts_leave_room_for_errors_that_were_not_seen(build):
    """Where no malignant row was ever missed, a miss at 50 still may come: less room with ten times the rows."""
    rng = np.random.default_rng(4)
    truth = (rng.random(ROWS) < 0.2).astype(int)
    said = np.where((truth == 0) & (rng.random(ROWS) < 0.1), 1, truth)
    careful = build.binary(np.where(said == 1, 0.9, 0.001), truth)
    runs = curve(lambda n: 4 * n**-0.5)
    found = curve_of(careful, runs)
    plain = learning_curve(runs.sizes, runs.costs, least=least_costs(careful), seed=careful.seed)
    extra, _ = unseen_cost(careful, careful.everything)
    assert extra > 0.05
    for one, bare in zip(found.forecasts, plain.forecasts, strict=True):
        room = np.hypot(bare.expected.high - bare.expected.value, extra / bare.times)
        assert one.expected.high == pytest.approx(one.expected.value + room)


def test_the_least_cost_is_what_being_right_costs(build):
    """A right biopsy that earns 3 leaves -3 for each malignant row, and 0 for the others."""
    from geartrain.domain.contract import CostEntry, CostTerms

    entries = (
        CostEntry(name="false_negative", action="follow up", truth="malignant", cost="50"),
        CostEntry(name="true_positive", action="biopsy", truth="malignant", cost="-3"),
    )
    contract = build.contract(costs=CostTerms(entries=entries))
    evidence = build.binary([0.9, 0.1, 0.9], [1, 0, 0], contract=contract)
    assert least_costs(evidence).tolist() == [-3.0, 0.0, 0.0]


def test_a_promise_above_the_human_ceiling_cannot_be_kept(build, quick):
    """Two labellers who each err one time in ten: no accuracy of .97 can ever be measured."""
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, 4000)
    one, two = (np.where(rng.random(4000) < 0.1, 1 - truth, truth) for _ in range(2))
    clause = build.clause("success.accuracy", "accuracy", at_least=0.97)
    found, whole = asked(build, quick, clause, twice=agreement(one, two, classes=2))
    assert found.verdict is Verdict.CANNOT
    assert "two labellers agree on 81% of 4,000 rows" in found.reason
    assert "kappa 0.6" in told(whole, Topic.LABELS)[0]


def test_a_models_doubt_about_labels_is_only_a_doubt(build, quick):
    """Confident learning alone never says cannot: hard rows look like wrong labels to it."""
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, 2000)
    p = np.clip(truth + rng.normal(0, 0.05, 2000), 0.01, 0.99)
    noise = confident_noise(
        np.column_stack([1 - p, p]), np.where(rng.random(2000) < 0.1, 1 - truth, truth), seed=0
    )
    clause = build.clause("success.accuracy", "accuracy", at_least=0.97)
    found, _ = asked(build, quick, clause, noise=noise)
    assert found.verdict is Verdict.UNKNOWN
    assert "have some rows labelled twice" in found.reason


def test_what_a_leak_keeps_is_not_kept(build, quick):
    """A clause that a quick model keeps by reading the answer is unknown, and the leak is told."""
    alone = Measurement(value=1.0, low=0.99, high=1.0)
    leak = Leak(column="stamp", alone=alone, is_answer=True, lost=None, sentence="`stamp` is the answer")
    one, found = asked(build, quick, promised(build, 0.2), leaks=(leak,))
    assert one.verdict is Verdict.UNKNOWN
    assert "only because `stamp` gives the label away" in one.reason
    assert told(found, Topic.LEAKS) == ["`stamp` is the answer"]
    clean, _ = asked(build, quick, promised(build, 0.2), leaks=())
    assert clean.verdict is Verdict.CAN


def test_the_clause_of_leaks_itself(build, quick):
    """The clause about columns that tell is broken by a leak, kept without, and unknown where nobody asked."""
    clause = build.clause("integrity.target_proxy", "columns_that_tell", at_most=0)
    alone = Measurement(value=1.0, low=0.99, high=1.0)
    leak = Leak(column="stamp", alone=alone, is_answer=True, lost=None, sentence="`stamp` is the answer")
    verdicts = [asked(build, quick, clause, leaks=each)[0].verdict for each in ((leak,), (), None)]
    assert verdicts == [Verdict.CANNOT, Verdict.CAN, Verdict.UNKNOWN]


def test_integrity_that_needs_no_model(build, quick):
    """What rows and definitions break cannot be kept, what they keep can, and what nobody looked at is unknown."""
    clause = build.clause("integrity.duplicates", "repeated_rows", at_most=0.01)
    seen = [
        Measurement.exact(0.05, rows=100, note="5 of 100 judged rows equal one that was learned from"),
        Measurement.exact(0.0, rows=100, note="0 of 100 judged rows equal one that was learned from"),
        Unmeasured(reason="too few rows"),
    ]
    found = [asked(build, quick, clause, integrity=((clause.path, one),))[0] for one in seen]
    assert [one.verdict for one in found] == [Verdict.CANNOT, Verdict.CAN, Verdict.UNKNOWN]
    assert "5 of 100 judged rows" in found[0].reason
    assert found[2].reason == "too few rows"
    assert asked(build, quick, clause)[0].reason == "it was not looked at"


def test_sealed_rows_have_to_be_enough_too(build, quick):
    """Kept on 2,000 free rows, but 20 sealed ones could not show it: unknown, with the rows that would."""
    few = Facts(rows=2040, free=ROWS, class_counts=(("benign", 1640), ("malignant", 400)), proving_share=0.01)
    clause = build.clause("success.brier", "brier", at_most=0.105)
    enough, _ = asked(build, quick, clause)
    short, _ = asked(build, quick, clause, facts=few)
    assert enough.verdict is Verdict.CAN
    assert short.verdict is Verdict.UNKNOWN
    assert "the sealed rows are too few to show that" in short.reason
    assert short.rows_needed > few.rows


def test_two_groups_that_are_alike_still_show_a_gap_by_chance(build, quick):
    """Recall .9 in groups of 200 sealed positives: at the first look's 97 % chance alone reaches .063, so a promised .02 is out of reach."""
    clause = build.clause(
        "fairness.sex", "equal_opportunity", at_most=0.02, parameters={"groups": "sex", "smallest_group": 30}
    )
    one, _ = asked(build, quick, clause)
    assert one.verdict is Verdict.CANNOT
    positives = quick.truth == 1
    sizes = [int((positives & (quick.columns["sex"] == name)).sum()) for name in "fm"]
    rate = float((quick.decided.actions[positives] == 1).mean())
    reach = stats.norm.ppf(1 - (0.05 * 6 / np.pi**2) / 2) * np.sqrt(
        rate * (1 - rate) * sum(1 / size for size in sizes)
    )
    assert f"cannot exclude a gap of {reach:.3g}" in one.reason
    assert one.rows_needed == pytest.approx(FACTS.rows * (reach / 0.02) ** 2, abs=2)
    wide = build.clause(
        "fairness.sex", "equal_opportunity", at_most=0.3, parameters={"groups": "sex", "smallest_group": 30}
    )
    assert asked(build, quick, wide)[0].verdict is not Verdict.CANNOT


def test_a_margin_says_what_it_takes():
    """The textbook case: discordance 4 %, a margin of one point: 2,474 rows; a tenth of it, 247,300."""
    known = Margin(
        name="compression", allowed=0.1, cost=0.1, deviation=0.2, rows=3000, whose="rows of `select`"
    )
    one = margin_prospect(known, FACTS)
    assert (one.verdict, one.relevant_needed) == (Verdict.CAN, 2474)
    small = margin_prospect(
        Margin(name="compression", allowed=0.01, cost=0.1, deviation=0.2, rows=3000), FACTS
    )
    assert (small.verdict, small.relevant_needed) == (Verdict.CANNOT, 247_303)
    live = Margin(
        name="retraining", allowed=0.1, cost=0.1, deviation=0.2, rows_per_day=100, whose="live rows"
    )
    assert "25 days of them" in margin_prospect(live, FACTS).reason
    same = Margin(name="compression", allowed=0.1, cost=0.1, deviation=0.0, worst=1.0, rows=100)
    assert margin_prospect(same, FACTS).relevant_needed == 299
    free = Margin(name="compression", allowed=0.1, cost=0.0, deviation=0.2, rows=100)
    assert margin_prospect(free, FACTS).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("p", "shuffles", "said"), [(0.05, 19, "yes"), (0.2, 4, "perhaps"), (0.6, 19, "not shown")]
)
def test_signal_in_words(build, quick, p, shuffles, said):
    """The permutation test's p, and what so few shuffles can say at all."""
    _, found = asked(build, quick, promised(build, 0.2), signal=Signal(p=p, shuffles=shuffles, rows=100))
    assert told(found, Topic.SIGNAL)[0].startswith(f"{said}: ")


def test_feeds_are_held_against_their_history(build, quick):
    """Always kept, mostly broken, broken now and then, and nothing known."""
    clause = build.clause("data.rows.freshness", "freshness", at_most=6, unit="h")

    def verdict(low, value, high):
        seen = Measurement(value=value, low=low, high=high, note="seen so")
        return asked(build, quick, clause, feeds=((clause.path, seen),))[0].verdict

    assert verdict(1, 2, 5) is Verdict.CAN
    assert verdict(7, 8, 9) is Verdict.CANNOT
    assert verdict(1, 5, 9) is Verdict.UNKNOWN
    silent, _ = asked(build, quick, clause)
    assert silent.verdict is Verdict.UNKNOWN
    assert "before the product is live" in silent.reason


def told(found, topic):
    return [one.text for one in found.statements if one.topic is topic]
