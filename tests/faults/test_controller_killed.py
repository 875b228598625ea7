"""The controller killed at every step of every transition (promises: F24, F22).

A child process plays a whole rollout and dies at one named place; another goes on from what is on
the disk. What routers were told is written down by the child itself, as a router would keep it.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from controller import audit, failpoint
from controller.failpoint import EXIT_CODE, VARIABLE
from controller.opening import open_database
from router import table
from router.table import BUCKETS, RoutingTable
from tests.controller.builders import CANARY, NOW_S, PRODUCTION, SettableClock
from tests.controller.simulation import BETTER, WORSE, Model, Simulation

PROMOTED = [
    ("adopt", None, None),
    ("start", "queued", "functional"),
    ("advance", "functional", "shadow"),
    ("advance", "shadow", "canary"),
    ("advance", "canary", "canary"),
    ("advance", "canary", "canary"),
    ("promote", "canary", "watch"),
    ("finish", "watch", "promoted"),
]
FORWARD = ("before_commit", "in_transaction", "after_commit", "after_publish")
BACK = ("before_publish", "after_publish", "in_transaction", "after_commit")
PLACES = [
    *(f"adopt.{place}" for place in FORWARD),
    *(f"start.{place}" for place in FORWARD),
    *(f"advance.{place}@{n}" for n in (1, 2, 3, 4) for place in FORWARD),
    *(f"promote.{place}" for place in FORWARD),
    *(f"finish.{place}" for place in FORWARD),
    *(
        f"{what}.{place}@9"
        for what in ("ingest", "label", "mature")
        for place in ("in_transaction", "after_commit")
    ),
]
SHARES = {0, *CANARY.shares_buckets, BUCKETS - PRODUCTION.holdback_buckets}


class Player(Simulation):
    """A simulation whose published tables outlive its process, and which sends a batch again that
    was not acknowledged."""

    def publish(self, routing: RoutingTable) -> None:
        super().publish(routing)
        with (self.path.parent / "tables").open("ab") as file:
            raw = table.to_bytes(routing)
            file.write(len(raw).to_bytes(4, "big") + raw)


def tables_of(folder: Path) -> list[RoutingTable]:
    """Return every table that routers were ever told, in order."""
    try:
        raw = (folder / "tables").read_bytes()
    except FileNotFoundError:
        return []
    tables = []
    while raw:
        size = int.from_bytes(raw[:4], "big")
        tables.append(table.from_bytes(raw[4 : 4 + size]))
        raw = raw[4 + size :]
    return tables


def play(folder: Path, run: int, models: dict[str, Model], end: str) -> None:
    """Go on with the rollout that ``folder`` holds, until it ends."""
    told = tables_of(folder)
    player = Player(
        folder / "understudy.db",
        models=models,
        clock=SettableClock(NOW_S + 50.0 * run),
        seed=run,
        source=f"w{run}",
        published=told[-1] if told else None,
    )
    player.run(end, n=40)
    player.stop()


def in_child(place: str, act: Callable[[], None]) -> int:
    """Run ``act`` in a forked process that dies at ``place``; return how it ended."""
    child = os.fork()
    if child == 0:
        try:
            failpoint.arm(place)
            act()
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def moves_of(folder: Path) -> list[tuple[str, str | None, str | None]]:
    connection = open_database(folder / "understudy.db")
    try:
        assert audit.verify(connection).verified
        records = audit.records(connection, after=0, limit=1000)
    finally:
        connection.close()
    return [(r["action"], r["phase_from"], r["phase_to"]) for r in records]


def check_tables(folder: Path) -> None:
    """Versions rise (or are told again), and no share is off the ladder."""
    told = tables_of(folder)
    versions = [routing.version for routing in told]
    assert versions == sorted(versions)
    assert {routing.routes[0].split.challenger_buckets for routing in told} <= SHARES
    by_version = {routing.version: routing for routing in told}
    assert all(by_version[routing.version] == routing for routing in told)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_a_kill_on_the_way_to_promotion_leaves_one_record_a_transition(tmp_path, place):
    assert in_child(place, lambda: play(tmp_path, 1, BETTER, "promoted")) == EXIT_CODE
    shares = [t.routes[0].split.challenger_buckets for t in tables_of(tmp_path)]
    assert in_child("", lambda: play(tmp_path, 2, BETTER, "promoted")) == 0
    assert moves_of(tmp_path) == PROMOTED
    check_tables(tmp_path)
    told = [t.routes[0].split.challenger_buckets for t in tables_of(tmp_path)]
    assert told[: len(shares)] == shares
    assert tables_of(tmp_path)[-1].routes[0].split.champion == "digits-2"


@pytest.mark.slow
@pytest.mark.parametrize("place", [f"rollback.{place}" for place in BACK])
def test_a_kill_during_a_rollback_leaves_one_record_and_never_brings_the_challenger_back(
    tmp_path, place
):
    assert in_child(place, lambda: play(tmp_path, 1, WORSE, "rolled_back")) == EXIT_CODE
    was_back = tables_of(tmp_path)[-1].routes[0].mirror is None
    n_told = len(tables_of(tmp_path))
    assert in_child("", lambda: play(tmp_path, 2, WORSE, "rolled_back")) == 0
    assert [move[0] for move in moves_of(tmp_path)].count("rollback") == 1
    check_tables(tmp_path)
    later = tables_of(tmp_path)[n_told:]
    if was_back and place != "rollback.before_publish":
        assert all(t.routes[0].mirror is None for t in later)
        assert all(t.routes[0].split.challenger_buckets == 0 for t in later)
    assert tables_of(tmp_path)[-1].routes[0].split.challenger_buckets == 0


@pytest.mark.slow
def test_killed_again_and_again_it_still_promotes_once(tmp_path):
    places = ["start.in_transaction", "advance.after_commit", "advance.in_transaction"]
    places += ["advance.after_publish", "promote.in_transaction", "promote.after_commit"]
    for run, place in enumerate(places, start=1):
        code = in_child(place, lambda run=run: play(tmp_path, run, BETTER, "promoted"))
        assert code == EXIT_CODE, place
    assert in_child("", lambda: play(tmp_path, 99, BETTER, "promoted")) == 0
    assert moves_of(tmp_path) == PROMOTED
    check_tables(tmp_path)


def test_the_environment_names_the_place(tmp_path):
    program = (
        "import sys; from pathlib import Path;"
        "from tests.faults.test_controller_killed import play, BETTER;"
        "play(Path(sys.argv[1]), 1, BETTER, 'promoted')"
    )
    environment = os.environ | {VARIABLE: "advance.in_transaction"}
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], env=environment, check=False
    )
    assert ended.returncode == EXIT_CODE
    assert moves_of(tmp_path) == PROMOTED[:2]
