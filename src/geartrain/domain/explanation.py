"""What a model relies on: shares, and how its answer moves with each of its features."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How much of the model's answers one feature makes.

    Attributes:
        feature: Its name.
        words: What it is, in the words of its definition; the name where nobody said.
        share: Its part of the whole, 0 to 1; the shares of an explanation sum to 1.
        low: The lower end of the interval over rows.
        high: The upper end.
        together: Features that go with it so closely that their shares cannot be told apart.
        joint: Whether they were shuffled together with it, so that the share is theirs too.
    """

    feature: str
    words: str
    share: float
    low: float
    high: float
    together: tuple[str, ...] = ()
    joint: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """The answer at one value of a feature, against the answer's mean.

    Attributes:
        value: The value; for a category its position in the curve, which means nothing.
        name: The value as people read it.
        effect: By how much the answer lies above (below) its mean, in the answer's units.
        low: The lower end of the bootstrap interval, for this point alone.
        high: The upper end.
        rows: Rows nearest to this value: thin places are guesses.
    """

    value: float
    name: str
    effect: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """How the answer moves with one feature, in company that really occurs.

    Attributes:
        about: What moves, such as `the probability of fraud`.
        category: Whether the points are values without an order.
        missing: Rows without a value; they are not part of the curve.
        note: What was left out.
    """

    feature: str
    words: str
    unit: str
    about: str
    category: bool
    points: tuple[CurvePoint, ...]
    missing: int = 0
    note: str = ""

    @property
    def range(self) -> float:
        """From the lowest to the highest effect."""
        effects = [one.effect for one in self.points]
        return max(effects) - min(effects) if effects else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """A feature about which nothing can be said, and why."""

    feature: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What the answers rest on.

    Attributes:
        rows: The rows that the model was asked about.
        of: The rows that they were drawn from.
        method: How shares were found.
        shares: The largest first; features without any are not among them.
        curves: Of the leading features, the same order.
        silent: The others, each with its reason.
    """

    rows: int
    of: int
    method: str
    shares: tuple[Share, ...]
    curves: tuple[Curve, ...] = ()
    silent: tuple[Silent, ...] = ()

    def share_of(self, feature: str) -> float:
        """The share of *feature*, 0 where it has none."""
        return next((one.share for one in self.shares if one.feature == feature), 0.0)
