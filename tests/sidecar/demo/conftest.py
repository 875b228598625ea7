"""A short play: real models, servers, client and labeller, and a stand-in for the sidecar."""

import sys
from pathlib import Path

import pytest

from sidecar.demo.cast import Cast, train_cast
from sidecar.demo.play import Play
from sidecar.demo.progress import Progress
from sidecar.demo.routing_copy import copy_routing
from sidecar.demo.scenario import Scenario
from tests.sidecar.demo.elsewhere import elsewhere


@pytest.fixture(scope="session")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Cast:
    return train_cast(Scenario.BETTER, tmp_path_factory.mktemp("cast"))


class Quiet:
    """A show that remembers what was said and shown."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.stages: list[str] = []
        self.is_over = False

    def say(self, words: str) -> None:
        self.said.append(words)

    def update(self, progress: Progress) -> None:
        self.stages.append(progress.stage)

    def end(self) -> None:
        self.is_over = True


@pytest.fixture
def show() -> Quiet:
    return Quiet()


def fake(script: str) -> tuple[str, ...]:
    """Return the command of the stand-in for the sidecar, see fake_sidecar.py."""
    return (sys.executable, "-m", "tests.sidecar.demo.fake_sidecar", script)


def play_of(scenario: Scenario, script: str, cast: Cast, folder: Path) -> Play:
    """Return a short play with the stand-in."""
    return Play(
        scenario=scenario,
        cast=cast,
        routing=copy_routing(elsewhere(folder), folder),
        deadline_s=20.0,
        rate=120.0,
        aftermath_s=0.5,
        sidecar=fake(script),
    )
