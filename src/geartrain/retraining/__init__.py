"""When a new model is trained by itself, on what, and when that must be refused.

In: the contract's retraining terms, facts about labels, incidents and releases, costs of
champion and challenger on the same rows. Out: a trigger or a refusal with its reasons,
a training window with the back-test behind it, a ruling with evidence.

- `policy`: retrain now, wait, or refuse.
- `window`: which past to learn from.
- `challenge`: is the challenger proven better? Not proven keeps the champion.

    >>> import numpy as np
    >>> from geartrain.retraining.challenge import Challenge, ChallengeTerms, meet, ruling
    >>> terms = ChallengeTerms(cap=1.0, horizon_rows=1000)
    >>> seen = meet(terms, Challenge(), champion=np.ones(40), challenger=np.zeros(40))
    >>> ruling(terms, seen).verdict
    <Verdict.PROMOTE: 'promote'>
"""
