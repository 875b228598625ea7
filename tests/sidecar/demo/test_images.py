import numpy as np
from hypothesis import given, strategies

from sidecar.demo.images import INK, Image, Variation, varied

STILL = Variation(shift=0.0, noise=0.0)
ALWAYS_SHIFTED = Variation(shift=1.0, noise=0.0)


def digit(seed: int) -> Image:
    return np.random.default_rng(seed).integers(1, 17, 64).astype(np.float64)


def test_image_without_variation_stays_as_it_is() -> None:
    assert np.array_equal(varied(digit(1), STILL, np.random.default_rng(0)), digit(1))


def test_all_four_shifts_occur_and_move_by_one_pixel() -> None:
    frame = digit(1).reshape(8, 8)
    blank_row, blank_column = np.zeros((1, 8)), np.zeros((8, 1))
    wanted = {
        np.vstack([blank_row, frame[:-1]]).tobytes(),
        np.vstack([frame[1:], blank_row]).tobytes(),
        np.hstack([blank_column, frame[:, :-1]]).tobytes(),
        np.hstack([frame[:, 1:], blank_column]).tobytes(),
    }
    random = np.random.default_rng(0)
    assert {varied(digit(1), ALWAYS_SHIFTED, random).tobytes() for _ in range(100)} == wanted


def test_share_of_shifted_images_is_the_declared_one() -> None:
    random = np.random.default_rng(0)
    variation = Variation(shift=0.14, noise=0.0)
    moved = sum(
        not np.array_equal(varied(digit(1), variation, random), digit(1)) for _ in range(4000)
    )
    assert abs(moved / 4000 - 0.14) < 0.02  # more than three standard errors


@given(strategies.integers(0, 2**32), strategies.floats(0, 20))
def test_varied_image_holds_whole_grey_values_in_range(seed: int, noise: float) -> None:
    image = varied(digit(seed), Variation(shift=0.5, noise=noise), np.random.default_rng(seed))
    assert image.shape == (64,)
    assert image.min() >= 0.0 and image.max() <= INK
    assert np.array_equal(image, np.rint(image))


def test_variation_leaves_the_image_on_file_alone() -> None:
    image = digit(1)
    varied(image, Variation(shift=1.0, noise=3.0), np.random.default_rng(0))
    assert np.array_equal(image, digit(1))
