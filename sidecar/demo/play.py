"""What one run of the demo needs to know."""

import sys
from dataclasses import dataclass

from sidecar.demo.cast import Cast
from sidecar.demo.routing_copy import RoutingCopy
from sidecar.demo.scenario import Scenario

SIDECAR = (sys.executable, "-c", "from sidecar.cli import main; main()", "run")
"""`understudy run`, found without looking at the PATH."""
RATE = 150.0
"""Requests per second. Measured on two cores: a model server takes 0.4 ms of CPU a request, the
client 0.3 ms; all of them together leave more than half of the machine to the sidecar."""


@dataclass(frozen=True, slots=True)
class Play:
    """One scenario with its models and its routing file."""

    scenario: Scenario
    cast: Cast
    routing: RoutingCopy
    deadline_s: float
    """From the first request; after that the outcome is HELD."""
    rate: float = RATE
    """Requests per second."""
    aftermath_s: float = 2.0
    """How long the traffic goes on after the end: a failure that comes late must be seen."""
    sidecar: tuple[str, ...] = SIDECAR
    """The command that is given the routing file."""
