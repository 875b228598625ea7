"""The demo's models: trained on the spot, on real handwritten digits, and measured, not claimed.

All three are the same kind of classifier. They differ in what they have seen.
"""

from dataclasses import dataclass
from pathlib import Path

import joblib  # type: ignore[import-untyped]  # ships no types
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from sidecar.demo.images import TRAFFIC, Variation, varied

SEED = 20261123
PRACTICE = Variation(shift=0.4, noise=1.0)
"""What the better challenger trains on: the variations of the traffic, the rare ones more often."""
FEW = 80
"""How many images the worse challenger has seen."""
COPIES = 8
"""How often each held-out image is varied when an accuracy is measured (899 images: the standard
error is below 0.004)."""


@dataclass(frozen=True, slots=True)
class Digits:
    """Images with their true digits, one row each: ``images`` (n, 64), ``labels`` (n,)."""

    images: NDArray[np.float64]
    labels: NDArray[np.int64]

    def varied(
        self, variation: Variation, random: np.random.Generator, copies: int = 1
    ) -> "Digits":
        """Return ``copies`` varied copies of every image, with the same labels."""
        rows = [varied(image, variation, random) for _ in range(copies) for image in self.images]
        return Digits(np.array(rows), np.tile(self.labels, copies))


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model on disk, and how good it is at the traffic of the demo."""

    path: Path
    accuracy: float
    """Share of right answers on held-out images, varied as the traffic is."""


def split() -> tuple[Digits, Digits]:
    """Return the images to train on and the held-out ones: half of the data set each."""
    images, labels = load_digits(return_X_y=True)
    cut = train_test_split(images, labels, test_size=0.5, random_state=SEED, stratify=labels)
    train_images, held_out_images, train_labels, held_out_labels = cut
    return Digits(train_images, train_labels), Digits(held_out_images, held_out_labels)


def fit_champion(train: Digits) -> SVC:
    """Train on the images as they are on file: good at those, less so at live ones."""
    return _fitted(train)


def fit_better(train: Digits) -> SVC:
    """Train on as many images, varied as live ones are."""
    return _fitted(train.varied(PRACTICE, np.random.default_rng(SEED)))


def fit_worse(train: Digits) -> SVC:
    """Train on the first eighty images only."""
    return _fitted(Digits(train.images[:FEW], train.labels[:FEW]))


def accuracy(model: SVC, held_out: Digits) -> float:
    """Return the share of right answers on held-out images, varied as the traffic is."""
    traffic = held_out.varied(TRAFFIC, np.random.default_rng(SEED + 1), COPIES)
    return float(np.mean(model.predict(traffic.images) == traffic.labels))


def save(model: SVC, held_out: Digits, path: Path) -> TrainedModel:
    """Write ``model`` to ``path`` and measure it."""
    joblib.dump(model, path)
    return TrainedModel(path, accuracy(model, held_out))


def load(path: Path) -> SVC:
    """Read a model that ``save`` wrote. Loading runs code from the file: only ever our own."""
    model = joblib.load(path)
    if not isinstance(model, SVC):
        raise ValueError(f"{path} holds a {type(model).__name__}, and not a model of this demo")
    return model


def _fitted(digits: Digits) -> SVC:
    # gamma as in scikit-learn's own example "Recognizing hand-written digits"; C chosen, untested.
    return SVC(gamma=0.001, C=5.0).fit(digits.images, digits.labels)
