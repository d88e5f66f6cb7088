"""Clauses as sentences."""

from __future__ import annotations

from geartrain.contract.parsing import parse
from geartrain.contract.wording import in_words
from geartrain.domain.roles import Role


def test_every_clause_is_a_plain_sentence(complete: str) -> None:
    """What is promised, why, whose it is and what a broken one does."""
    told = {one.path: one.sentence for one in in_words(parse(complete))}
    said = {path: words for path, words in told.items() if not path.startswith("integrity.")}

    assert said == {
        "success.beats_the_ear": "the cost of a decision is at most 0.9 of that of loud (product, blocks a release)",
        "success.calibration_error": "calibration error is at most 0.05 (science, blocks a release)",
        "success.expected_cost": "the cost of a decision is at most 0.8 of that of always-wait, because the crew's"
        " diesel has to come from somewhere (product, blocks a release)",
        "success.precision_at_capacity": "precision among the cases that can be acted on, the 4 likeliest in 1 day is"
        " at least 0.5 (product, warns)",
        "success.recall": "recall is at least 0.8 (domain, blocks a release)",
        "success.recall_old_pipes": "recall where age >= 60 and material in ['iron', 'lead'] is at least 0.75"
        " (product, blocks a release)",
        "budget.artifact_size": "the model's file takes at most 2097.152 kB (engineering, blocks a release)",
        "budget.cost_per_million": "a million decisions cost at most 12 EUR (engineering, blocks a release)",
        "budget.latency_p50": "half of the answers come within 20 ms (engineering, blocks a release)",
        "budget.latency_p99": "99 of 100 answers come within 100 ms, because the operator waits"
        " (engineering, blocks a release)",
        "budget.memory": "the loaded model takes at most 200 MB of memory (engineering, warns)",
        "data.nights.freshness": "nights is never silent for longer than 2 days (engineering, blocks a release)",
        "data.nights.quarantined": "at most 5 % of the rows of nights are bad (engineering, blocks a release)",
        "data.nights.rows_per_day": "nights brings at least 300 rows a day (engineering, blocks a release)",
        "plausibility.clock_blind": "the answer does not change with seen_at (domain, blocks a release)",
        "plausibility.every_district": "what the model relies on works alike for every value of district:"
        " an effect differs by at most 30 % of itself (domain, blocks a release)",
        "plausibility.known": "3 known cases get the right answer (domain, blocks a release)",
        "plausibility.louder_is_worse": "the answer does not fall when noise_db rises in all but 2 % of the tries,"
        " because a leak hisses (domain, blocks a release)",
        "plausibility.more_than_one_reason": "no column carries more than 60 % of the explanation"
        " (domain, blocks a release)",
        "plausibility.no_identity": "the answer does not use night_id, because a number says nothing about water"
        " (domain, blocks a release)",
        "plausibility.no_passengers": "luck would give none of age, material its weight in more than 5 % of the tries"
        " (domain, warns)",
        "plausibility.not_the_postcode": "the answer tells district apart with an AUC of at most 0.65 (domain, warns)",
        "plausibility.plastic_hides": "the answer does not rise when diameter rises where material == 'plastic'"
        " in all but 10 % of the tries (domain, blocks a release)",
        "fairness.same_service": "between the groups of district, recall differs by at most 0.1; groups of fewer than"
        " 40 rows are not judged, because water rates are the same everywhere (domain, blocks a release)",
    }


def test_each_sentence_knows_its_owner(complete: str) -> None:
    """So that a room can show every role its own."""
    owners = {one.path: one.owner for one in in_words(parse(complete))}

    assert owners["success.recall"] is Role.DOMAIN
    assert owners["budget.memory"] is Role.ENGINEERING
