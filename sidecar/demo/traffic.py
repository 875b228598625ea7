"""The held-out images on disk: the trainer writes them, the client draws its requests from them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sidecar.demo.images import TRAFFIC, Image, varied


def save_traffic(images: NDArray[np.float64], labels: NDArray[np.int64], path: Path) -> None:
    """Write ``images`` (n, 64) and their true digits ``labels`` (n,) to ``path`` (.npz)."""
    np.savez(path, images=images, labels=labels)


@dataclass(frozen=True, slots=True)
class Drawn:
    """One image on its way to the models, and the truth about it."""

    image: Image
    label: int


class Traffic:
    """An endless supply of varied held-out images, in an order that ``seed`` fixes."""

    def __init__(self, path: Path, seed: int) -> None:
        with np.load(path, allow_pickle=False) as stored:
            self._images: NDArray[np.float64] = stored["images"]
            self._labels: NDArray[np.int64] = stored["labels"]
        self._random = np.random.default_rng(seed)

    def draw(self) -> Drawn:
        """Return the next image. About 10 microseconds."""
        row = int(self._random.integers(len(self._images)))
        return Drawn(varied(self._images[row], TRAFFIC, self._random), int(self._labels[row]))
