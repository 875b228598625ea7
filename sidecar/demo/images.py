"""How live images differ from the ones on file: a shift of a pixel, and noise.

Imports no I/O and no scikit-learn, so that the client process stays small. Whoever calls brings
the random generator.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float64]
"""64 grey values in 0..16, row by row: an 8 x 8 digit as `sklearn.datasets.load_digits` has it."""

SIDE = 8
INK = 16.0


@dataclass(frozen=True, slots=True)
class Variation:
    """How far an image may stray from the one on file."""

    shift: float
    """Probability that the image is moved by one pixel, up, down, left or right."""
    noise: float
    """Standard deviation of what is added to each pixel, in grey values (0..16)."""


TRAFFIC = Variation(shift=0.14, noise=1.0)
"""What the demo's users send. Chosen so that a model trained on the images as they are on file
makes mistakes in about one request of twelve, which leaves something to improve."""


def varied(image: Image, variation: Variation, random: np.random.Generator) -> Image:
    """Return a copy of ``image`` as a user might have sent it: whole grey values in 0..16."""
    copy = _shifted(image, int(random.integers(4))) if random.random() < variation.shift else image
    noise = random.normal(0.0, variation.noise, image.shape)
    return np.clip(np.rint(copy + noise), 0.0, INK)


def _shifted(image: Image, direction: int) -> Image:
    """Move the digit by one pixel; what leaves the frame is lost, what enters is paper."""
    axis, forward = divmod(direction, 2)
    frame = np.moveaxis(image.reshape(SIDE, SIDE), axis, 0)
    moved = np.zeros_like(frame)
    if forward:
        moved[1:] = frame[:-1]
    else:
        moved[:-1] = frame[1:]
    return np.moveaxis(moved, 0, axis).reshape(-1)
