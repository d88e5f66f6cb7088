"""Near-equal images: 64 bits that survive brightness and scale, and a look at the pixels."""

import numpy as np
import pytest

from geartrain.stats.image_hash import alike_images, dhash, hamming


def pictures(count, *, seed=0, side=28):
    """Smooth random pictures."""
    chance = np.random.default_rng(seed)
    coarse = chance.uniform(0, 255, size=(count, 7, 7))
    grid = np.linspace(0, 6, side)
    low = np.clip(grid.astype(int), 0, 5)
    part = grid - low
    mixed = coarse[:, low] * (1 - part)[None, :, None] + coarse[:, low + 1] * part[None, :, None]
    return mixed[:, :, low] * (1 - part) + mixed[:, :, low + 1] * part


def test_a_ramp_is_known_bit_by_bit():
    """Rising to the right sets all 64 bits, falling or even none."""
    ramp = np.tile(np.arange(18.0), (1, 16, 1))
    assert dhash(ramp)[0] == np.uint64(2**64 - 1)
    assert dhash(ramp[:, :, ::-1])[0] == 0
    assert dhash(np.full((1, 28, 28), 0.1))[0] == 0
    assert hamming(dhash(ramp), dhash(ramp[:, :, ::-1]))[0] == 64


def test_brightness_contrast_and_scale_leave_the_hash_alone():
    """An affine change of grey values changes no comparison, doubling each pixel no average."""
    images = pictures(20)
    assert (dhash(images * 0.5 + 30) == dhash(images)).all()
    assert (hamming(dhash(images.repeat(2, axis=1).repeat(2, axis=2)), dhash(images)) == 0).all()


def test_strangers_differ_in_half_of_the_bits():
    """Two independent pictures agree by chance: 32 of 64 bits on average, hardly ever within 4."""
    apart = hamming(dhash(pictures(60))[:, None], dhash(pictures(60, seed=1))[None, :])
    assert 28 < apart.mean() < 36
    assert (apart <= 4).mean() < 0.002


def test_planted_copies_are_found_and_nothing_else():
    """A copy with a little noise is found; a picture with the same hash but other pixels is not."""
    chance = np.random.default_rng(2)
    known, judged = pictures(200), pictures(50, seed=9)
    judged[7] = np.clip(known[123] + chance.normal(size=(28, 28)), 0, 255)
    judged[8] = known[5] * 0.4 + 100

    found = alike_images(judged, known)
    assert found[7] == 123
    assert np.delete(found, 7).tolist() == [-1] * 49


def test_shapes_that_do_not_fit_are_said():
    """No silent comparison of images of two sizes, nor of what is no image; none of none is none."""
    with pytest.raises(ValueError, match="cannot be compared"):
        alike_images(pictures(2), pictures(2, side=20))
    with pytest.raises(ValueError, match="shape"):
        dhash(np.zeros((5, 64)))
    assert alike_images(pictures(2)[:0], pictures(2)).tolist() == []
