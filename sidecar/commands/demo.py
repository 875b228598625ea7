"""`understudy demo`: two real models, live traffic, late labels, one decision on evidence."""

import asyncio
import json
import signal
import tempfile
from pathlib import Path

import typer
import uvloop
from rich.console import Console

from router.tasks import spawn
from sidecar.demo.admin import AdminError
from sidecar.demo.cast import Cast, train_cast
from sidecar.demo.children import ChildDied
from sidecar.demo.demo import perform
from sidecar.demo.play import SIDECAR, Play
from sidecar.demo.result import result_lines
from sidecar.demo.routing_copy import NotForTheDemo, copy_routing
from sidecar.demo.scenario import Scenario, Summary, complaints
from sidecar.demo.show import Show, show_on

EXAMPLE = Path(__file__).parents[2] / "config" / "examples" / "demo.yaml"
GATES = Path(__file__).parents[1] / "demo" / "gates.yaml"
"""Not among the examples: it names files that only the demo writes."""
DEADLINE_S = 165.0
"""From the first request. With training and the end that is under three minutes."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def demo(scenario: Scenario, target: Path | None, config: Path | None) -> None:
    """Watch a challenger win a champion's place on evidence, or lose it.

    Always raises typer.Exit: with code 0 only if the scenario ended as it should. ``target`` is
    where the summary goes, as JSON.
    """
    file = config or (GATES if scenario is Scenario.GATES else EXAMPLE)
    raise typer.Exit(run(scenario, target, file, show_on(Console())))


def run(
    scenario: Scenario,
    target: Path | None,
    config: Path,
    show: Show,
    sidecar: tuple[str, ...] = SIDECAR,
) -> int:
    """Play ``scenario`` in a folder of its own and return the exit code.

    ``sidecar`` is the command that is given the routing file.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="understudy-demo-") as folder:
            play = _prepare(scenario, config, Path(folder), show, sidecar)
            summary = uvloop.run(_until_signal(play, show))
    except (KeyboardInterrupt, asyncio.CancelledError):
        show.say("stopped")
        return INTERRUPTED
    except (AdminError, ChildDied, NotForTheDemo, TimeoutError, OSError) as error:
        show.say(f"the demo cannot go on: {error or type(error).__name__}")
        return 1
    if target is not None:
        target.write_text(json.dumps(summary.as_json(), indent=2) + "\n")
    return _close(summary, show)


def _prepare(
    scenario: Scenario, config: Path, folder: Path, show: Show, sidecar: tuple[str, ...]
) -> Play:
    routing = copy_routing(config, folder)
    for wanted, found in routing.moved:
        show.say(f"port {wanted} is taken, using {found}")
    show.say("training two models on handwritten digits ...")
    cast = train_cast(scenario, folder)
    _introduce(cast, routing.champion.name, routing.challenger.name, show)
    return Play(
        scenario=scenario, cast=cast, routing=routing, deadline_s=DEADLINE_S, sidecar=sidecar
    )


def _introduce(cast: Cast, champion: str, challenger: str, show: Show) -> None:
    show.say(f"champion    {champion}: accuracy {cast.champion.accuracy:.3f} on held-out images")
    show.say(f"challenger  {challenger}: accuracy {cast.challenger.accuracy:.3f}")
    show.say("the sidecar is not told; it finds out from the labels (Ctrl-C stops everything)")


async def _until_signal(play: Play, show: Show) -> Summary:
    """Perform; a signal to stop cancels it, and it closes everything on its way out."""
    loop = asyncio.get_running_loop()
    performance = spawn(perform(play, show), name="perform")
    stopped = asyncio.Event()

    def stop() -> None:
        if not stopped.is_set():  # an impatient second signal must not cancel the closing
            show.say("stopping everything ...")
            performance.cancel()
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    return await performance


def _close(summary: Summary, show: Show) -> int:
    wrong = complaints(summary)
    for words in result_lines(summary, wrong):
        show.say(words)
    return 1 if wrong else 0
