"""A paired test between the champion and another release, fed as labels come in."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from geartrain.domain.prediction import Floats
from geartrain.retraining.challenge import Challenge, ChallengeTerms, Ruling, cap_of, meet, ruling

#: A test that has proven nothing after so many days of decisions ends.
HORIZON_DAYS = 14


@dataclass(slots=True, kw_only=True, eq=False)
class Contest:
    """The test's rules and what it has seen."""

    terms: ChallengeTerms
    seen: Challenge = field(default_factory=Challenge)

    @classmethod
    def begin(cls, reference: Floats, *, per_day: float, margin: float) -> Contest:
        """A test on the scale of *reference* costs; *margin* is a share of their mean."""
        cap = cap_of(reference)
        mean = float(np.abs(reference).mean()) if len(reference) else 0.0
        return cls(
            terms=ChallengeTerms(
                cap=cap,
                horizon_rows=max(200, int(HORIZON_DAYS * per_day)),
                margin=min(margin * mean, cap / 2),
            )
        )

    def take(self, *, champion: Floats, challenger: Floats) -> None:
        """Costs of both on rows whose truth has become known."""
        self.seen = meet(self.terms, self.seen, champion=champion, challenger=challenger)

    @property
    def ruling(self) -> Ruling:
        """What the test says now."""
        return ruling(self.terms, self.seen)
