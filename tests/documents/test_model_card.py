"""The model card is made of evidence, and its header is YAML that the Hub's own library reads."""

from dataclasses import replace

import pytest
import yaml

from geartrain.documents.model_card import model_card

HOSTILE = "x\n---\n# owned\n<script>alert(1)</script> [a](b) | `c` \"' & $x$ ![i](j)"


def header(card: str) -> dict[str, object]:
    _, text, _ = card.split("---\n", 2)
    loaded = yaml.safe_load(text)
    assert isinstance(loaded, dict)
    return loaded


def test_the_header_names_task_release_and_results(samples) -> None:
    """Measured success metrics are the results, with the values of the findings."""
    facts = samples.model_facts()
    read = header(model_card(facts))

    assert read["pipeline_tag"] == "tabular-classification"
    assert read["geartrain_release"] == facts.id
    values = {
        metric["name"]: metric["value"]
        for one in read["model-index"][0]["results"]
        for metric in one["metrics"]
    }
    assert values == {
        one.clause: one.value
        for one in facts.findings
        if one.value is not None and one.clause.startswith("success")
    }


def test_the_hub_reads_every_result_with_its_slice_and_interval(samples) -> None:
    """The Hub's own library reads the header into one result for each success finding, and loses nothing."""
    hub = pytest.importorskip("huggingface_hub", reason="the Hub's library is not installed")
    facts = samples.model_facts()
    card = hub.ModelCard(model_card(facts), ignore_metadata_errors=False)

    read = {one.metric_name: one for one in card.data.eval_results}
    success = [one for one in facts.findings if one.clause.startswith("success.") and one.value is not None]
    assert set(read) == {one.clause for one in success}
    for one in success:
        assert read[one.clause].metric_value == one.value
        assert read[one.clause].metric_args["low"] == one.low
        assert read[one.clause].metric_type == facts.contract.clause(one.clause).metric
        assert read[one.clause].dataset_revision == facts.release.snapshot
    assert "worst radius" in read["success.recall_small_tumours"].dataset_name
    assert card.data.model_name == facts.contract.product.name
    again = hub.ModelCardData(
        **{key: value for key, value in card.data.to_dict().items() if key != "model-index"}
    )
    assert again.pipeline_tag == "tabular-classification"


def test_every_finding_is_told_and_what_is_not_kept_is_a_limit(samples) -> None:
    """Nothing that was measured is left out, and the limits repeat each open clause in words."""
    facts = samples.model_facts()
    card = model_card(facts)

    for one in facts.findings:
        assert one.clause.replace("_", "\\_") in card
    assert f"{len(facts.findings) - 3} of {len(facts.findings)} promises are kept" in card
    limits = card.split("## Known limits", 1)[1].split("##", 1)[0]
    for status in ("broken", "unproven; about", "not measured"):
        assert status in limits


def test_its_sections_are_those_of_the_paper(samples) -> None:
    """Mitchell et al. name nine sections; all of them are there, in their order."""
    card = model_card(samples.model_facts())
    asked = (
        "Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data",
        "Quantitative analyses", "Ethical considerations", "Caveats and recommendations",
    )  # fmt: skip
    places = [card.index(f"\n## {one}\n") for one in asked]

    assert places == sorted(places)


def test_groups_and_influence_are_told_with_intervals(samples) -> None:
    """A group has its interval and rows; one that is too small has no verdict; shares that cannot be told apart say so."""
    card = model_card(samples.model_facts())

    assert "| age | over 50 | recall | 0.94 (0.89 to 0.98, 95%) | 80 |" in card
    assert "no verdict: 3 rows count, at least 30 are asked for" in card
    assert "2 rows have no age and are in no group" in card
    assert "40% (35% to 44%)" in card
    assert "worst area, worst radius go so closely together" in card
    assert "is lowest against its mean at 12 µm (−0.3) and highest at 24 µm (0.4)" in card  # noqa: RUF001
    assert "radius error: no tree asks about it" in card


def test_silence_about_groups_is_no_finding_that_they_are_alike(samples) -> None:
    """Without a fairness section the card says that nobody looked."""
    contract = samples.contract_of((samples.example / "product.yaml").read_text(encoding="utf-8"))

    card = model_card(samples.model_facts(contract=contract, tables=()))

    assert "no groups of people were compared. That is not a finding that they are treated alike" in card
    assert "The contract says nothing about: fairness" in card


def test_a_retrained_model_says_that_it_is_not_the_judged_bytes(samples) -> None:
    """The sealed rows judged its settings; then it was fitted on them too."""
    assert "fitted once more on every labelled row" in model_card(samples.model_facts(retrained=True))
    assert "fitted once more on every labelled row" not in model_card(samples.model_facts())


def test_regression_products_have_cards_too(samples) -> None:
    """No card assumes classes."""
    facts = samples.model_facts()
    for task, tag in (("regression", "tabular-regression"), ("ranking", None)):
        decision = replace(facts.contract.decision, task=type(facts.model.task)(task))
        told = replace(facts, contract=replace(facts.contract, decision=decision))
        assert header(model_card(told)).get("pipeline_tag") == tag


def test_missing_facts_are_said(samples) -> None:
    """Silence is told with the role that can end it, not filled."""
    contract = samples.contract_of()
    bare = replace(contract, costs=None, product=replace(contract.product, intended_use=()))
    card = model_card(
        samples.model_facts(
            contract=bare, findings=(), sign_offs=(), waivers=(), tables=(), explanation=None, rows=None
        )
    )

    for said in (
        "what each kind of error costs; every error counts one. That is the role domain",
        "Nothing was measured",
        "Nobody has signed yet",
        "**Missing:** the intended use. That is the role product",
        "How much each feature weighs was not measured",
        "**Missing:** the sign-off of Emil Berg",
    ):
        assert said in card
    assert "model-index" not in card
    assert "## Waivers" not in card


def test_hostile_names_add_no_headings_links_or_html(samples) -> None:
    """A name with markup, newlines and a document end stays one line of text, also in the header."""
    contract = samples.contract_of()
    terms = replace(contract.product, name=HOSTILE, title=HOSTILE, problem=HOSTILE, out_of_scope=(HOSTILE,))
    evil = replace(contract, product=terms, costs=replace(contract.costs, currency=HOSTILE))
    card = model_card(samples.model_facts(contract=evil))

    assert header(card)["model-index"][0]["name"] == HOSTILE
    body = card.split("\n---\n", 1)[1]
    assert "\n# owned" not in body
    assert "<script>" not in body
    assert "[a](b)" not in body
    assert "](" not in body.replace("\\](", "")
    assert body.count("\n---\n") == 1  # the rule before the colophon
