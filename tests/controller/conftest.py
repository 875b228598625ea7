"""What the controller's tests start with."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.controller.simulation import Simulation


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Simulation]]:
    """Begin a simulation; what was begun is stopped at the end."""
    started: list[Simulation] = []

    def begin(**parts: Any) -> Simulation:
        started.append(Simulation(tmp_path / f"{len(started)}.db", **parts))
        return started[-1]

    yield begin
    for simulation in started:
        simulation.stop()
