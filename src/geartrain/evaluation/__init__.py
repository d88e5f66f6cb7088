"""Evaluation: the decision, not the score, held against every promise that evidence can speak of.

In: `Evidence` (contract, rule, answers, truth, columns) and, where plausibility is asked
for, a `ModelView`. Out: a `Report` with findings, the usual metrics with intervals,
baselines and reliability. Before training, `feasibility` says what can be proven at all;
between two models, `compare` says if the change is harmless.

    report = evaluate(evidence, stage=Stage.TRAINING, now=now, model=view)
    for finding in report.findings:
        print(finding.clause, finding.status, finding.message)
    worse = compare(smaller, reference, margin=0.01)
    worse.test.proven
"""
