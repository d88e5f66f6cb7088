"""Routing: stable, even, and growing without moving anybody back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from geartrain.serving.routing import Arm, arm_of, is_shadowed, place_of


@given(key=st.text(), salt=st.text(max_size=80), small=st.floats(0, 1), more=st.floats(0, 1))
@settings(max_examples=200)
def test_a_growing_share_keeps_its_keys(key, salt, small, more):
    """A key that met the canary meets it again at every larger share."""
    low, high = sorted((small, more))

    if arm_of(key, share=low, salt=salt) is Arm.CANARY:
        assert arm_of(key, share=high, salt=salt) is Arm.CANARY
    assert 0 <= place_of(key, salt=salt) < 1
    assert arm_of(key, share=0.0, salt=salt) is Arm.CHAMPION
    assert arm_of(key, share=1.0, salt=salt) is Arm.CANARY
    assert is_shadowed(key, share=1.0, salt=salt)


def test_shares_are_kept_and_salts_are_independent():
    """Of 20 000 keys a tenth meets the canary, and of those a tenth meets the next one too."""
    keys = [f"card-{i}" for i in range(20_000)]
    first = {key for key in keys if arm_of(key, share=0.1, salt="r1") is Arm.CANARY}
    both = {key for key in first if arm_of(key, share=0.1, salt="r2") is Arm.CANARY}

    # Five standard deviations of a binomial share.
    assert abs(len(first) - 2000) < 5 * (20_000 * 0.09) ** 0.5
    assert abs(len(both) - 200) < 5 * (len(first) * 0.09) ** 0.5
