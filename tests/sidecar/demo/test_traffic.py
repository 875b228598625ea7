from pathlib import Path

import numpy as np
import pytest

from sidecar.demo.traffic import Traffic, save_traffic


@pytest.fixture
def path(tmp_path: Path) -> Path:
    # Image number k is as black as its label, so that a drawn image tells where it is from.
    labels = np.arange(10)
    save_traffic(np.repeat(labels[:, None], 64, axis=1).astype(np.float64), labels, tmp_path / "t")
    return tmp_path / "t.npz"


def test_drawn_image_carries_its_own_label(path: Path) -> None:
    traffic = Traffic(path, seed=3)
    for _ in range(200):
        drawn = traffic.draw()
        # The median stands firm against a shift (8 of 64 pixels) and noise of one grey value.
        assert abs(float(np.median(drawn.image)) - drawn.label) <= 1.0


def test_same_seed_draws_the_same_images(path: Path) -> None:
    one, two = Traffic(path, seed=3), Traffic(path, seed=3)
    assert all(np.array_equal(one.draw().image, two.draw().image) for _ in range(50))


def test_requests_differ_from_each_other(path: Path) -> None:
    traffic = Traffic(path, seed=3)
    assert len({traffic.draw().image.tobytes() for _ in range(300)}) > 290


def test_every_digit_is_drawn(path: Path) -> None:
    traffic = Traffic(path, seed=3)
    assert {traffic.draw().label for _ in range(300)} == set(range(10))
