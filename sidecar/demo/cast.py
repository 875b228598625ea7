"""Trains the models that a scenario needs and lays them out in a folder."""

from dataclasses import dataclass
from pathlib import Path

from sidecar.demo import models
from sidecar.demo.models import TrainedModel
from sidecar.demo.paperwork import Paperwork, write_paperwork
from sidecar.demo.scenario import Scenario
from sidecar.demo.traffic import save_traffic


@dataclass(frozen=True, slots=True)
class Cast:
    """The two models of one run, and the held-out images that they will be asked about."""

    champion: TrainedModel
    challenger: TrainedModel
    traffic: Path
    paperwork: Paperwork | None = None
    """What gates ask for; None where there are none."""


def train_cast(scenario: Scenario, folder: Path) -> Cast:
    """Train both models into ``folder``. Takes one to three seconds."""
    train, held_out = models.split()
    is_worse, is_gated = scenario is Scenario.WORSE, scenario is Scenario.GATES
    challenger = models.fit_worse(train) if is_worse else models.fit_better(train)
    traffic = folder / "traffic.npz"
    save_traffic(held_out.images, held_out.labels, traffic)
    return Cast(
        champion=models.save(models.fit_champion(train), held_out, folder / "champion.joblib"),
        challenger=models.save(challenger, held_out, folder / "challenger.joblib"),
        traffic=traffic,
        paperwork=write_paperwork(train, held_out, folder) if is_gated else None,
    )
