"""What is acknowledged as durable is durable, whatever dies (F22, F23, F32, F33)."""

import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller import record
from controller.account import reading_json
from controller.recorder import segments
from controller.replay import Replay
from tests.faults.labelled import labelling, lost, post, route_of, routing
from tests.faults.running import Sidecar, kill

KILLS = int(os.environ.get("UNDERSTUDY_KILLS", "5"))
"""How often the controller is killed; ``make faults`` has 100."""
HOLD_S = float(os.environ.get("UNDERSTUDY_LOCK_SECONDS", "3"))
STOP_S = float(os.environ.get("UNDERSTUDY_STOP_SECONDS", "3"))
Start = Callable[..., Sidecar]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Sidecar] = []

    def make(maturity: str = "1h", top: str = "") -> Sidecar:
        made.append(Sidecar(tmp_path, top=top, routing=routing(maturity)))
        made[-1].until(lambda: route_of(made[-1]).get("phase") == "shadow")
        return made[-1]

    yield make
    for sidecar in made:
        sidecar.close()


def seen(sidecar: Sidecar) -> int:
    counts = route_of(sidecar).get("counts", {})
    return int(counts.get("pairs", -1)) + int(counts.get("lost", 0))


@pytest.mark.slow
@pytest.mark.timeout(60 + 30 * KILLS)
def test_killed_at_any_moment_it_loses_no_label_and_comes_to_the_same_evidence(start, tmp_path):
    """F22: the recording tells in which order events were taken in. An evaluator that is given
    them without a break must say what the one that was killed again and again says."""
    sidecar = start("2s", "record: {folder: ./recording, size: 1GiB}")
    dice = random.Random(22)
    database = tmp_path / "state" / "understudy.db"
    with labelling(sidecar) as (asker, labeller):
        for _ in range(KILLS):
            known = len(labeller.acknowledged)
            sidecar.until(lambda n=known: len(labeller.acknowledged) > n + 5, 60)
            time.sleep(dice.uniform(0.0, 0.3))  # any moment of a turn, which takes 0.1 s
            n_starts = len(sidecar.events("started"))
            kill(sidecar.pid("controller"))
            assert lost(labeller, database) == []
            sidecar.until(lambda n=n_starts: len(sidecar.events("started")) > n, 60)
        known = len(labeller.acknowledged)
        sidecar.until(lambda: len(labeller.acknowledged) > known + 50, 60)
    assert asker.failures == []
    sidecar.until(lambda: seen(sidecar) >= len(asker.answered), 60)
    assert seen(sidecar) == len(asker.answered)
    sidecar.until(lambda: route_of(sidecar)["labels"]["waiting"] == 0, 60)
    live = route_of(sidecar)
    assert live["counts"]["judged"] == len(asker.answered)
    assert lost(labeller, database) == []
    replay = Replay()
    for path in segments(tmp_path / "recording"):
        replay.feed(record.lines_of(path.read_bytes().splitlines(keepends=True)))
    undisturbed = replay.experiments[live["experiment"]].evaluator.evidence(0.0)
    assert [reading_json(reading) for reading in undisturbed.readings] == live["checks"]
    assert undisturbed.counts == live["counts"]
    print(f"\nF22: {KILLS} kills, {len(asker.answered)} requests, 0 failed;", end=" ")
    print(f"{len(labeller.acknowledged)} labels acknowledged, 0 lost; evidence equal")


@pytest.mark.slow
def test_a_stopped_controller_fails_no_request_and_no_label_that_it_acknowledged(start, tmp_path):
    """F23: SIGSTOP. Labels wait or are sent again; nobody who asks for predictions notices."""
    sidecar = start()
    with labelling(sidecar) as (asker, labeller):
        sidecar.until(lambda: len(labeller.acknowledged) > 50)
        victim = sidecar.pid("controller")
        os.kill(victim, signal.SIGSTOP)
        answered = len(asker.answered)
        time.sleep(STOP_S)
        sidecar.until(lambda: len(asker.answered) > answered + 20)
        os.kill(victim, signal.SIGCONT)
        known = len(labeller.acknowledged)
        sidecar.until(lambda: len(labeller.acknowledged) > known + 50, 60)
    assert asker.failures == []
    assert lost(labeller, tmp_path / "state" / "understudy.db") == []


@pytest.mark.slow
def test_another_process_that_holds_the_file_stops_labels_and_nothing_else(start, tmp_path):
    """F32: BEGIN IMMEDIATE elsewhere. 503, none lost, the admin port answers all the while."""
    sidecar = start()
    database = tmp_path / "state" / "understudy.db"
    with labelling(sidecar) as (asker, labeller):
        sidecar.until(lambda: len(labeller.acknowledged) > 50)
        other = sqlite3.connect(database, isolation_level=None)
        other.execute("PRAGMA wal_autocheckpoint = 0")
        other.execute("BEGIN IMMEDIATE")
        ends = time.monotonic() + HOLD_S
        n_livez = 0
        while time.monotonic() < ends or 503 not in labeller.statuses:
            assert sidecar.get("/livez")[0] == 200
            n_livez += 1
            assert time.monotonic() < ends + 60
        sidecar.until(lambda: sidecar.get("/v1/status")[1].get("store_error"), 60)
        assert "locked" in sidecar.get("/v1/status")[1]["store_error"]
        other.execute("ROLLBACK")
        other.close()
        known = len(labeller.acknowledged)
        sidecar.until(lambda: len(labeller.acknowledged) > known + 50, 60)
        sidecar.until(lambda: sidecar.get("/v1/status")[1].get("store_error") is None, 60)
    assert n_livez > 5
    assert asker.failures == []
    assert lost(labeller, database) == []
    sidecar.until(lambda: seen(sidecar) == len(asker.answered), 60)


@pytest.mark.slow
def test_a_reader_for_the_whole_run_makes_the_log_longer_and_the_metric_shows_it(start, tmp_path):
    """F33: the log cannot be reset while somebody reads from it; it can when he has gone."""
    sidecar = start()
    database = tmp_path / "state" / "understudy.db"
    reader = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM meta").fetchone()
    with labelling(sidecar) as (_, labeller):
        sidecar.until(lambda: len(labeller.acknowledged) > 100)

        def told() -> float:
            lines = sidecar.text("/metrics").splitlines()
            (line,) = [one for one in lines if one.startswith("understudy_store_log_bytes ")]
            return float(line.split()[1])

        first = told()
        sidecar.until(lambda: told() > first, 60)
        log = database.with_name("understudy.db-wal").stat().st_size
        assert told() >= log > 0
        reader.close()
        known = len(labeller.acknowledged)
        sidecar.until(lambda: len(labeller.acknowledged) > known + 20, 60)
    assert lost(labeller, database) == []


@pytest.mark.slow
def test_a_label_is_acknowledged_once_it_is_on_the_disk_and_not_before(start, tmp_path):
    """A second reader sees it as soon as the sender does."""
    sidecar = start()
    with labelling(sidecar) as (_, labeller):
        sidecar.until(lambda: len(labeller.acknowledged) > 50)
    ids = list(labeller.acknowledged)[:3]
    assert post(sidecar, [(ids[0], '"another"')])[1]["conflict"] == 1
    assert lost(labeller, tmp_path / "state" / "understudy.db") == []
