"""What machinery wrote in plain words: no name of a column, no figure for statisticians, nothing of what people wrote lost."""

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from geartrain.contract.wording import promise_in_words
from geartrain.domain.clause import Clause, Comparison, Severity, Stage
from geartrain.domain.contract import Cause
from geartrain.domain.finding import Finding, Measurement, Status, judge
from geartrain.domain.incident import LossSplit
from geartrain.domain.roles import Role
from geartrain.monitoring.drift import DriftState, drift
from geartrain.monitoring.explaining import split_in_words
from geartrain.monitoring.profiling import build, observe
from geartrain.monitoring.triage import CAUSES as OF_SIGNALS
from geartrain.web.plain import CAUSES, NOTICED, Plain, meaning, plain_of

PLAIN = Plain(
    names={"amount": "what was paid", "card_max_28d": "largest amount of the same card, last 28 days",
           "payments": "the feed “payments”"},
    currency="EUR",
)  # fmt: skip


@pytest.mark.parametrize(
    ("exact", "plain"),
    [
        ("`card_max_28d` has drifted: mean 104.1 -> 224.8, PSI 0.397 over 640 rows",
         "“largest amount of the same card, last 28 days” is 224.8 on average, before 104.1 (640 rows)"),
        ("`channel` has drifted: `web` 10.0% -> 23.1%, PSI 0.140 over 4,410 rows",
         "channel has changed: web is 23.1% of it, before 10.0% (4,410 rows)"),
        ("`amount` is missing in 5.0% of 640 rows, before in 0.1%; with it: drift of `card_max_28d`, drift of `hour_of_day`",
         "what was paid is missing in 5.0% of 640 rows, before in 0.1%; with it: a change of “largest amount of the same card, last 28 days”, hour of day"),
        ("proven not worse by more than 0.0512715 per decision on 1,188 rows (e = 33.4 of 20); the champion stays",
         "proven not dearer by more than 0.0513 EUR a decision on 1,188 rows; the live release stays"),
        ("the rows are told apart with an AUC of 0.78 (0.766 to 0.794)",
         "the rows are told apart in 78 of 100 pairs (77 to 79), where guessing gives 50"),
        ("`payments` has been silent for 9 hours, normal is at most 6 hours",
         "the feed “payments” has been silent for 9 hours, normal is at most 6 hours"),
        ("quiet since 2026-03-07 00:00 UTC", "quiet since 7 Mar 2026"),
        ("about -33.1 EUR a day more than before", "about 33.1 EUR a day less than before"),
        ("about 2.1e+03 EUR a day more than before", "about 2,100 EUR a day more than before"),
        ("mostly where `amount` <= 14.5 and `channel` is web", "mostly where what was paid is at most 14.5 and channel is web"),
        ("answered by release 738f934e2553", "answered by release 738f934e2553"),
        ("population: science was called", "other cases than before arrive: science was called"),
        ("approved by product:Priya Nair, science:Tom Akiyama", "approved by Priya Nair for product, Tom Akiyama for science"),
    ],
)  # fmt: skip
def test_a_sentence_of_the_machinery_is_told_plainly(exact, plain):
    """Each form that monitors, triage and the comparison of releases write, as a domain expert reads it."""
    assert PLAIN.text(exact) == plain


def test_what_the_monitor_really_writes_is_understood():
    """A shift, a new category, a missing column and another unit, as they come out of the drift tests."""
    random = np.random.default_rng(1)

    def week(rows, *, changed=False):
        paid = random.lognormal(3, 1, rows)
        return pa.table(
            {
                "amount": paid,
                "mean_28d": random.normal(3.0 if changed else 0.0, 1, rows),
                "price": random.lognormal(3, 1, rows) * (0.01 if changed else 1),
                "channel": random.choice(["app", "web"], rows, p=[0.2, 0.8] if changed else [0.7, 0.3]),
                "age": pa.array([None if changed and one % 2 else float(one) for one in range(rows)]),
            }
        )

    reference, state, messages = build(week(2000)), DriftState(), []
    for number in range(6):
        seen = observe(reference, week(800, changed=number > 2))
        found = drift(
            reference, seen, state, started=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(weeks=number)
        )
        state, messages = found.state, [*messages, *(one.message for one in found.signals)]
    told = [PLAIN.text(one) for one in messages]
    assert len({one.split()[0] for one in messages}) > 2, "several columns were noticed"
    assert not [one for one in told if re.search(r"PSI|->|`|\bfit\b|[a-z]_[a-z0-9]", one)]


def test_a_split_of_costs_is_told_without_arrows_and_hyphens():
    """Before and since, each with its unit, and true minus signs."""

    def part(value):
        return Measurement(value=value, low=value - 0.2, high=value + 0.2, rows=100)

    split = LossSplit(
        before=0.129, total=part(0.58), covariate=part(0.002), concept=part(0.578), apart=part(0.64)
    )
    told = PLAIN.text(split_in_words(split, currency="EUR"))
    assert told.startswith(
        "a decision cost 0.129 EUR before and costs 0.709 EUR since: +0.002 EUR (\N{MINUS SIGN}0.198 to +0.202)"
    )
    assert "->" not in told


def _clause(**more):
    told = {
        "path": "plausibility.rises", "metric": "rises_with", "comparison": Comparison.AT_MOST, "bound": 0.05,
        "owner": Role.DOMAIN, "parameters": (("column", "card_max_28d"),), "because": "",
    }  # fmt: skip
    return Clause(**told | more)


def test_a_promise_calls_columns_and_policies_what_people_call_them():
    """The contract's names stay in the sentence that the twin and the terminal have."""
    clause = _clause()
    assert "card_max_28d" in promise_in_words(clause)
    assert PLAIN.promise(clause) == (
        "the answer does not fall when “largest amount of the same card, last 28 days” rises in all but 5% of the tries"
    )
    relative = _clause(
        path="success.cost", metric="expected_cost", bound=0.9, relative_to="always-accept", parameters=()
    )
    assert PLAIN.promise(relative) == "the cost of a decision is at most 90% of that of “always accept”"
    money = _clause(path="budget.cost_per_million", metric="cost_per_million", bound=10.0, parameters=())
    assert PLAIN.promise(money) == "a million decisions cost at most 10 EUR"


def test_what_was_measured_is_a_figure_with_its_unit_or_a_sentence():
    """A count of nothing says what it counted; a share of a policy is a percentage; nothing measured is said."""
    relative = _clause(
        path="success.cost", metric="expected_cost", bound=0.9, relative_to="always-accept", parameters=()
    )
    found = Finding(
        clause="success.cost", stage=Stage.RELEASE, status=Status.KEPT, value=0.844, low=0.762, high=0.918,
        confidence=0.95, bound=0.9, comparison=Comparison.AT_MOST, unit="", rows=900, rows_needed=None,
        relevant_needed=None, method="", owner=Role.PRODUCT, severity=Severity.BLOCK,
        message="expected_cost is 0.844 (0.762 to 0.918) of always-accept, promised at most 0.9: kept",
        found_at=datetime(2026, 3, 1, tzinfo=UTC),
    )  # fmt: skip
    assert PLAIN.measured(relative, found) == "Measured 84.4% (76.2% to 91.8%)"
    assert PLAIN.measured(relative, None) == "Nothing was measured yet"


def test_every_cause_and_every_metric_with_a_name_of_its_own_is_explained(team):
    """No cause is without words, and the promises of a contract that need a word of explanation have one."""
    assert set(CAUSES) == set(Cause)
    assert set(NOTICED) == set(OF_SIGNALS)
    assert meaning(_clause(metric="recall"))
    assert meaning(_clause(metric="expected_cost")) == ""
    plain = plain_of(team.workspace, team.contract)
    assert all("_" not in words for words in plain.names.values())
    assert not any(re.search(r"[a-z]_[a-z]", plain.promise(one)) for one in team.contract.clauses)


def test_what_was_not_measured_says_why():
    """The reason is what a reader needs, not the metric's name."""
    clause = _clause(
        path="data.clicks.quarantined", metric="quarantined", comparison=Comparison.AT_MOST, bound=0.02
    )
    now = datetime(2026, 3, 1, tzinfo=UTC)
    finding = judge(clause, None, stage=Stage.LIVE, now=now, reason="no row arrived in the last 24 hours")

    assert PLAIN.measured(clause, finding) == "No row arrived in the last 24 hours"
