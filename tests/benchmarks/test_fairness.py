"""What fairness costs, small: the benchmark's own study on a part of the public data."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from geartrain.domain.finding import Measurement
from geartrain.domain.rule import rule_of
from geartrain.evaluation.baselines import baseline_costs
from geartrain.evaluation.impossibility import impossibilities, tables_of
from geartrain.evaluation.metrics import measure
from geartrain.training.fitting import fit
from geartrain.training.mitigating import Mitigation

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "tabular"


@pytest.fixture(scope="module")
def bench():
    """The benchmark's modules, which stand beside the package and import each other by name."""
    folder = str(ROOT / "benchmarks" / "fairness")
    sys.path.insert(0, folder)
    try:
        yield importlib.import_module("study"), importlib.import_module("data")
    finally:
        sys.path.remove(folder)
        for name in ("study", "data"):
            sys.modules.pop(name, None)


@pytest.mark.skipif(
    not (DATA / "german_credit.parquet").exists(), reason="German credit is not on this machine"
)
def test_german_credit_is_refused_from_a_sixth(bench):
    """Refused at P(bad) >= 1/6, 1000 decisions cost less than refusing all (700) or accepting all (1500), scaled.

    The costs are those of the data's own documentation: 5 for a bad credit accepted, 1 for a good one refused.
    """
    study, data = bench
    contract = study.contract_of(missed=5, false_alarm=1, clauses=())
    rule = rule_of(contract, study.CLASSES)
    costs, refuse_all, accept_all = [], [], []
    for seed in range(5):
        rows = data.german_rows(DATA, seed)
        evidence = study.evidence_of(
            contract, rule, fit(data.small_model(), {}, rows.search, rule, seed=seed), rows.verdict
        )
        refused = evidence.decided.actions == 1
        assert (refused == (evidence.predictions.values[:, 1] >= 1 / 6)).all()
        bad = float((evidence.truth == 1).mean())
        refuse_all.append(1000 * float(np.mean(baseline_costs(evidence, "always-yes"))))
        accept_all.append(1000 * float(np.mean(baseline_costs(evidence, "always-no"))))
        assert refuse_all[-1] == pytest.approx(1000 * (1 - bad))
        assert accept_all[-1] == pytest.approx(5000 * bad)
        costs.append(measure(evidence, "cost_per_1000").value)
        near = measure(evidence, "calibration_at_threshold")
        assert isinstance(near, Measurement) and near.low <= 0 <= near.high
    assert np.mean(refuse_all) == pytest.approx(700, abs=25)
    assert np.mean(accept_all) == pytest.approx(1500, abs=125)
    assert np.mean(costs) < 0.87 * np.mean(refuse_all)


@pytest.mark.skipif(not (DATA / "adult.parquet").exists(), reason="Adult is not on this machine")
def test_adult_by_sex(bench):
    """9000 rows of Adult: both mitigations bring demographic parity nearer, thresholds inside; each has a price."""
    study, data = bench
    rows = data.adult(DATA, rows=9000)
    clauses = data.clauses("sex", ("demographic_parity", "equalised_odds"))
    contract = study.contract_of(missed=1, false_alarm=1, clauses=clauses)
    model = study.lightgbm(40)
    lines = study.study(contract, rows, model, only=(Mitigation.REWEIGHING, Mitigation.THRESHOLDS))
    none, reweighed, thresholds = lines[:3]
    assert none.finding.status == "broken"
    assert none.finding.value > 0.12
    assert reweighed.finding.value < none.finding.value - 0.03
    assert thresholds.finding.value < 0.05
    for line in (reweighed, thresholds):
        change = line.change_per_1000
        assert change.low <= change.value <= change.high
        assert change.value == pytest.approx(line.cost_per_1000.value - none.cost_per_1000.value)
    assert thresholds.change_per_1000.low > 0

    rule = rule_of(contract, study.CLASSES)
    evidence = study.evidence_of(contract, rule, fit(model, {}, rows.search, rule, seed=1), rows.verdict)
    (found,) = impossibilities(clauses, tables_of(evidence, clauses))
    assert {found.one, found.two} == {"Female", "Male"}
    assert "`fairness.demographic_parity` and `fairness.equalised_odds`" in found.sentence
