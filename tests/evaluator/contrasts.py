"""Comparisons of numbers for the tests of both their files."""

import random

from evaluator.contrast import Contrast
from evaluator.ground import Asked

BOUNDED = Asked(margin=0.0, effect=0.05, is_bounded=True, detect=0.05, within=0.1)
FREE = Asked(margin=0.1, effect=0.2, detect=0.2)


def fresh(asked: Asked = BOUNDED, *, is_clustered: bool = False) -> Contrast:
    """Return one that has seen nothing."""
    return Contrast.fresh(asked, is_clustered=is_clustered)


def ready(asked: Asked = FREE, *, is_clustered: bool = False) -> Contrast:
    """Return one that has seen enough of a standard normal champion to bet."""
    contrast, rng = fresh(asked, is_clustered=is_clustered), random.Random(1)
    for _ in range(2000):
        contrast.learn(rng.gauss(0, 1))
    contrast.roll()
    return contrast


def feed(contrast: Contrast, values: list[tuple[bool, float]], epoch: int = 0) -> Contrast:
    """Show it lots at a share of a half, (is_challenger, number), each of a unit of its own."""
    for i, (is_challenger, y) in enumerate(values):
        contrast.observe_split(epoch, 0.5, is_challenger, y, i << 54)
    return contrast
