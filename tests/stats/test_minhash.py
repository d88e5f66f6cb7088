"""Near-equal texts: MinHash estimates Jaccard, bands find pairs, exact comparison decides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geartrain.stats.minhash import alike, jaccard, shingles, signature


def test_signatures_agree_as_often_as_the_sets_do():
    """The share of equal minima is an unbiased estimate of J: |4000/6000 - estimate| < 4 standard errors."""
    one, other = frozenset(range(5000)), frozenset(range(1000, 6000))
    size = 600
    equal = signature(one, size=size) == signature(other, size=size)

    expected = 4000 / 6000
    assert jaccard(one, other) == pytest.approx(expected)
    assert abs(equal.mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / size)


def test_a_copy_with_another_comma_is_found_and_a_like_subject_is_not():
    """Case, spacing and a changed word of a long text are no hiding place; another message is another one."""
    known = [
        "You have won a guaranteed 1000 pound cash prize, call 09061701461 now to claim it before friday",
        "see you at the station at five, do not forget the tickets",
    ]
    judged = [
        "YOU have won a guaranteed  1000 pound cash prize! call 09061701461 now to claim it before friday",
        "see you at home at nine, do not forget the bread",
        "",
    ]
    assert alike(judged, known).tolist() == [0, -1, -1]


@given(st.lists(st.text(alphabet="abc ", max_size=30), max_size=12), st.integers(0, 11))
def test_an_equal_text_is_always_found(texts, place):
    """Whatever the texts are: one that is known word for word is found, and nothing below the threshold is."""
    found = alike(texts, texts)
    for row, text in enumerate(texts):
        plain = shingles(text)
        assert (found[row] >= 0) == bool(plain)
        if plain:
            assert jaccard(plain, shingles(texts[found[row]])) >= 0.8


def test_every_close_pair_of_many_is_found():
    """Against comparing each with each: no pair at J >= .8 is missed among 300 texts that vary."""
    chance = np.random.default_rng(5)
    words = ["north", "east", "south", "west", "rain", "storm", "sun", "fog", "wind", "snow", "hail", "calm"]
    originals = [" ".join(chance.choice(words, 25)) for _ in range(60)]
    known = originals[:30]
    judged = []
    for text in originals:
        for _ in range(5):
            spoken = text.split()
            for place in chance.integers(0, 25, chance.integers(0, 5)):
                spoken[place] = str(chance.choice(words))
            judged.append(" ".join(spoken))

    found = alike(judged, known) >= 0
    sets = [shingles(text) for text in known]
    truly = [max(jaccard(shingles(text), other) for other in sets) >= 0.8 for text in judged]
    assert found.tolist() == truly
    assert 20 < sum(truly) < 200
