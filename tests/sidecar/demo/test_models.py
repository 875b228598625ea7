from pathlib import Path

import joblib  # type: ignore[import-untyped]  # ships no types
import numpy as np
import pytest

from sidecar.demo import models
from sidecar.demo.images import Variation


def test_no_held_out_image_is_trained_on() -> None:
    train, held_out = models.split()
    trained_on = {image.tobytes() for image in train.images}
    shared = [image for image in held_out.images if image.tobytes() in trained_on]
    assert not shared
    assert len(train.images) + len(held_out.images) == 1797


def test_split_is_the_same_every_time() -> None:
    assert np.array_equal(models.split()[1].images, models.split()[1].images)


def test_challengers_are_clearly_better_and_clearly_worse(tmp_path: Path) -> None:
    train, held_out = models.split()
    champion, better, worse = (
        models.save(fit(train), held_out, tmp_path / "model").accuracy
        for fit in (models.fit_champion, models.fit_better, models.fit_worse)
    )
    assert 0.90 < champion < 0.94
    assert better > champion + 0.03
    assert 0.75 < worse < champion - 0.05


def test_saved_model_answers_as_before(tmp_path: Path) -> None:
    train, held_out = models.split()
    model = models.fit_worse(train)
    saved = models.save(model, held_out, tmp_path / "model.joblib")
    again = models.load(saved.path)
    assert np.array_equal(again.predict(held_out.images), model.predict(held_out.images))


def test_file_with_something_else_is_refused(tmp_path: Path) -> None:
    joblib.dump({"not": "a model"}, tmp_path / "model.joblib")
    with pytest.raises(ValueError, match="dict"):
        models.load(tmp_path / "model.joblib")


def test_every_copy_keeps_its_label() -> None:
    _, held_out = models.split()
    copies = held_out.varied(Variation(0.0, 0.0), np.random.default_rng(0), copies=3)
    assert np.array_equal(copies.images, np.tile(held_out.images, (3, 1)))
    assert np.array_equal(copies.labels, np.tile(held_out.labels, 3))
