from pathlib import Path

import numpy as np

from sidecar.demo import models
from sidecar.demo.cast import Cast, train_cast
from sidecar.demo.scenario import Scenario


def test_worse_scenario_has_a_worse_challenger(tmp_path: Path) -> None:
    cast = train_cast(Scenario.WORSE, tmp_path)
    assert cast.challenger.accuracy < cast.champion.accuracy - 0.05


def test_better_challenger_is_better(cast: Cast) -> None:
    assert cast.challenger.accuracy > cast.champion.accuracy + 0.03


def test_crashing_challenger_is_as_good_as_the_better_one(cast: Cast, tmp_path: Path) -> None:
    assert train_cast(Scenario.CRASH, tmp_path).challenger.accuracy == cast.challenger.accuracy


def test_client_gets_held_out_images_only(cast: Cast) -> None:
    with np.load(cast.traffic) as stored:
        assert np.array_equal(stored["images"], models.split()[1].images)


def test_both_models_are_on_disk(cast: Cast) -> None:
    assert models.load(cast.champion.path) and models.load(cast.challenger.path)
    assert cast.champion.path != cast.challenger.path


def test_only_the_gates_get_paperwork(cast: Cast, tmp_path: Path) -> None:
    assert cast.paperwork is None
    paperwork = train_cast(Scenario.GATES, tmp_path).paperwork
    assert paperwork is not None and paperwork.golden.parent == tmp_path
