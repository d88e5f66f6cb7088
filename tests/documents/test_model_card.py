"""The model card is made of evidence, and its header is YAML that the Hub can read."""

import yaml

from geartrain.documents.model_card import model_card

HOSTILE = "x\n---\n# owned\n<script>alert(1)</script> [a](b) | `c` \"'"


def header(card: str) -> dict[str, object]:
    _, text, _ = card.split("---\n", 2)
    loaded = yaml.safe_load(text)
    assert isinstance(loaded, dict)
    return loaded


def test_the_header_names_task_release_and_results(samples) -> None:
    """Measured success metrics are the results, with the values of the findings."""
    facts = samples.model_facts(licence="apache-2.0")
    read = header(model_card(facts))

    assert read["pipeline_tag"] == "tabular-classification"
    assert read["geartrain_release"] == facts.release
    assert read["license"] == "apache-2.0"
    values = {one["name"]: one["value"] for one in read["model-index"][0]["results"][0]["metrics"]}
    assert values == {
        one.clause: one.value
        for one in facts.findings
        if one.value is not None and one.clause.startswith("success")
    }


def test_every_finding_is_told_and_what_is_not_kept_is_a_limit(samples) -> None:
    """Nothing that was measured is left out, and the limits repeat each open clause in words."""
    card = model_card(samples.model_facts())

    for one in samples.model_facts().findings:
        assert one.clause.replace("_", "\\_") in card
    assert "2 of 5 promises are kept" in card
    limits = card.split("## Known limits", 1)[1].split("##", 1)[0]
    assert "unproven; about" in limits
    assert "not measured" in limits


def test_regression_products_have_cards_too(samples) -> None:
    """No card assumes classes."""
    assert header(model_card(samples.model_facts(task="regression")))["pipeline_tag"] == "tabular-regression"
    assert "pipeline_tag" not in header(model_card(samples.model_facts(task="ranking")))


def test_missing_facts_are_said(samples) -> None:
    """Silence is told, not filled."""
    card = model_card(samples.model_facts(costs=(), findings=(), sign_offs=(), waivers=(), intended_use=()))

    for said in (
        "no costs section",
        "Nothing was measured",
        "Nobody has signed yet",
        "names no intended use",
    ):
        assert said in card
    assert "model-index" not in card
    assert "## Waivers" not in card


def test_prose_by_people_stands_apart_at_the_end(samples) -> None:
    """What people wrote survives as they wrote it."""
    card = model_card(
        samples.model_facts(prose=(("A note from the board", "Read every small tumour twice."),))
    )

    assert card.rstrip().endswith("## A note from the board\n\nRead every small tumour twice.")


def test_hostile_names_add_no_headings_links_or_html(samples) -> None:
    """A name with markup, newlines and a document end stays one line of text, also in the header."""
    card = model_card(
        samples.model_facts(
            product=HOSTILE, title=HOSTILE, problem=HOSTILE, features=((HOSTILE, HOSTILE),), currency=HOSTILE
        )
    )

    assert header(card)["model_name"] == HOSTILE
    body = card.split("\n---\n", 1)[1]
    assert "\n# owned" not in body
    assert "<script>" not in body
    assert "[a](b)" not in body
    assert all(line.count(" | ") == 1 for line in body.splitlines() if line.startswith("| x"))
