"""The disk fails: it is full (F28), fsync refuses (F29), power is cut (F30), files break (F31)."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller import store
from controller.opening import open_database
from tests.faults.labelled import Labeller, labelling, labels_in, lost, route_of, routing
from tests.faults.running import Sidecar, kill

CUTS = int(os.environ.get("UNDERSTUDY_POWER_CUTS", "2"))
"""How often the power is cut; ``make faults`` has 20."""
SHIM = Path(__file__).with_name("fsync.c")


def begin(folder: Path, maturity: str = "1h") -> Sidecar:
    sidecar = Sidecar(folder, routing=routing(maturity))
    sidecar.until(lambda: route_of(sidecar).get("phase") == "shadow", 60)
    return sidecar


def acknowledged(sidecar: Sidecar, labeller: Labeller, more: int) -> None:
    """Wait for ``more`` further labels to be acknowledged."""
    enough = len(labeller.acknowledged) + more
    sidecar.until(lambda: len(labeller.acknowledged) > enough, 60)


def ran(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


# F28


@pytest.mark.slow
def test_a_full_disk_refuses_labels_and_takes_them_when_there_is_room_again(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    if os.geteuid() != 0:
        pytest.skip("a small file system needs root")
    try:
        ran("mount", "-t", "tmpfs", "-o", "size=8M", "tmpfs", state)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no small file system to be had: {error.stderr!r}")
    try:
        sidecar = begin(tmp_path)
        try:
            with labelling(sidecar) as (asker, labeller):
                acknowledged(sidecar, labeller, 50)
                filler = state / "filler"
                with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                    while file.write(b"x" * 4096):
                        pass
                sidecar.until(lambda: 503 in labeller.statuses[-5:], 60)
                sidecar.until(lambda: sidecar.get("/v1/status")[1].get("store_error"), 60)
                filler.unlink()
                acknowledged(sidecar, labeller, 50)
            assert asker.failures == []
            assert lost(labeller, state / "understudy.db") == []
        finally:
            sidecar.close()
    finally:
        ran("umount", "-l", state)


# F29


@pytest.fixture
def failing_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file while which exists every fsync fails, in processes started from now on."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to make the shim with")
    library, flag = tmp_path / "fsync.so", tmp_path / "fails"
    command = [compiler, "-shared", "-fPIC", "-o", str(library), str(SHIM), "-ldl"]
    subprocess.run(command, check=True)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("FAIL_FSYNC_IF", str(flag))
    return flag


@pytest.mark.slow
def test_while_fsync_fails_no_label_is_acknowledged_and_afterwards_all_are(failing_fsync, tmp_path):
    """F29: what was written and not synced is written again, never taken for durable."""
    sidecar = begin(tmp_path)
    try:
        with labelling(sidecar) as (asker, labeller):
            acknowledged(sidecar, labeller, 50)
            failing_fsync.touch()
            sidecar.until(lambda: 503 in labeller.statuses[-5:], 60)
            held, told = len(labeller.acknowledged), len(labeller.statuses)
            sidecar.until(lambda: sidecar.get("/v1/status")[1].get("store_error"), 60)
            assert "FSYNC" in sidecar.get("/v1/status")[1]["store_error"]
            assert "understudy_store_writable 0.0" in sidecar.text("/metrics")
            sidecar.until(lambda: len(labeller.statuses) > told + 3, 60)
            assert len(labeller.acknowledged) == held
            failing_fsync.unlink()
            acknowledged(sidecar, labeller, 50)
            sidecar.until(lambda: sidecar.get("/v1/status")[1].get("store_error") is None, 60)
        assert asker.failures == []
        assert lost(labeller, tmp_path / "state" / "understudy.db") == []
    finally:
        failing_fsync.unlink(missing_ok=True)
        sidecar.close()


@pytest.mark.slow
def test_killed_while_fsync_fails_it_starts_again_with_all_that_was_acknowledged(
    failing_fsync, tmp_path
):
    sidecar = begin(tmp_path)
    try:
        with labelling(sidecar) as (asker, labeller):
            acknowledged(sidecar, labeller, 50)
            failing_fsync.touch()
            sidecar.until(lambda: 503 in labeller.statuses[-5:], 60)
            n_starts = len(sidecar.events("started"))
            kill(sidecar.pid("controller"))
            sidecar.until(lambda: len(sidecar.events("started")) > n_starts, 60)
            failing_fsync.unlink()
            acknowledged(sidecar, labeller, 50)
        assert asker.failures == []
        assert lost(labeller, tmp_path / "state" / "understudy.db") == []
    finally:
        failing_fsync.unlink(missing_ok=True)
        sidecar.close()


# F30


@contextlib.contextmanager
def mounted(image: Path, at: Path) -> Iterator[Path]:
    at.mkdir(exist_ok=True)
    ran("mount", "-o", "loop", image, at)
    try:
        yield at
    finally:
        ran("umount", at)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A file that is a disk, and where it is mounted."""
    image, at = tmp_path / "disk.img", tmp_path / "disk"
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("a disk to cut the power of needs root and mkfs.ext4")
    try:
        ran("truncate", "-s", "128M", image)
        ran("mkfs.ext4", "-q", image)
        ran("mount", "-o", "loop", image, tmp_path)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no loop device to be had: {error.stderr!r}")
    else:
        ran("umount", tmp_path)
    with mounted(image, at):
        yield image, at


@pytest.mark.slow
@pytest.mark.timeout(120 + 30 * CUTS)
def test_a_power_cut_loses_no_acknowledged_label(disk, tmp_path):
    """F30: a copy of the disk as it is at some moment, with what it has been given and no more."""
    image, at = disk
    dice = random.Random(30)
    sidecar = begin(at)
    told = []
    try:
        with labelling(sidecar) as (asker, labeller):
            for number in range(CUTS):
                acknowledged(sidecar, labeller, 20)
                time.sleep(dice.uniform(0.0, 0.3))
                before = dict(labeller.acknowledged)
                crashed = tmp_path / "crashed.img"
                ran("cp", "--sparse=always", image, crashed)
                with mounted(crashed, tmp_path / "crashed") as folder:
                    database = folder / "state" / "understudy.db"
                    opened = open_database(database)
                    assert store.damage(opened) == ""
                    opened.close()
                    kept = labels_in(database)
                gone = [i for i, text in before.items() if kept.get(i) != text]
                told.append((number, len(before), len(gone)))
        assert asker.failures == []
    finally:
        sidecar.close()
    print(f"\nF30 (cut, acknowledged, lost): {told}")
    assert sum(gone for _, _, gone in told) == 0
    assert told[-1][1] > 20 * CUTS


# F31


def overwritten(path: Path, at: int, raw: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(raw)


def header(database: Path) -> None:
    overwritten(database, 0, os.urandom(100))


def page(database: Path) -> None:
    n_pages = database.stat().st_size // 4096
    overwritten(database, n_pages // 2 * 4096, os.urandom(2048))


# The log is written from its beginning again after a checkpoint, so what stands in its middle may
# be old and missed by nobody; what stands at its beginning never is.
IN_FIRST_FRAME = 1024


def frame(database: Path) -> None:
    overwritten(database.with_name("understudy.db-wal"), IN_FIRST_FRAME, os.urandom(64))


def cut(database: Path) -> None:
    os.truncate(database.with_name("understudy.db-wal"), IN_FIRST_FRAME)


def gone(database: Path) -> None:
    database.with_name("understudy.db-wal").unlink()


def check_held(sidecar: Sidecar, database: Path) -> None:
    """Champion only, held until a person resumes it, and the audit says why."""
    sidecar.until(lambda: sidecar.get("/readyz")[0] == 200, 60)
    sidecar.until(lambda: "damaged" in route_of(sidecar).get("hold_reason", ""), 60)
    route = route_of(sidecar)
    assert (route["champion"], route["share"], route["mirror_share"]) == ("digits-1", 0.0, 0.0)
    assert database.with_name("understudy.db.damaged-1").exists()
    records = sidecar.get("/v1/audit")[1]["records"]
    breaks = [one for one in records if "audit begins anew" in one["because"]]
    assert [one["action"] for one in breaks] == ["hold"]
    assert "understudy.db.damaged-1" in breaks[0]["because"]
    assert not {one["action"] for one in records} & {"start", "advance", "promote"}


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [header, page])
def test_a_damaged_file_starts_as_champion_only_and_on_hold(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    database = tmp_path / "state" / "understudy.db"
    sidecar = begin(tmp_path)
    try:
        with labelling(sidecar) as (_, labeller):
            acknowledged(sidecar, labeller, 100)
        sidecar.supervisor.send_signal(signal.SIGTERM)
        sidecar.supervisor.wait(60)
        spoil(database)
        sidecar.supervisor = sidecar.start()
        check_held(sidecar, database)
    finally:
        sidecar.close()


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [frame, cut, gone])
def test_a_log_that_lost_what_it_had_is_noticed_under_load_and_no_request_fails(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    database = tmp_path / "state" / "understudy.db"
    sidecar = begin(tmp_path)
    try:
        with labelling(sidecar) as (asker, labeller):
            acknowledged(sidecar, labeller, 100)
            stopped_and(sidecar, lambda: spoil(database))
            check_held(sidecar, database)
        assert asker.failures == []
        starts = [one for one in sidecar.events("started") if one["child"] == "controller"]
        assert len(starts) == 2
    finally:
        sidecar.close()


@pytest.mark.slow
def test_a_lost_index_of_the_log_loses_nothing(tmp_path: Path) -> None:
    database = tmp_path / "state" / "understudy.db"
    sidecar = begin(tmp_path)
    try:
        with labelling(sidecar) as (asker, labeller):
            acknowledged(sidecar, labeller, 50)
            stopped_and(sidecar, database.with_name("understudy.db-shm").unlink)
            acknowledged(sidecar, labeller, 50)
        assert asker.failures == []
        assert lost(labeller, database) == []
        assert route_of(sidecar)["phase"] == "shadow"
        assert not database.with_name("understudy.db.damaged-1").exists()
    finally:
        sidecar.close()


def stopped_and(sidecar: Sidecar, act: Callable[[], None]) -> None:
    """Kill the controller, and ``act`` before it is started again."""
    sidecar.supervisor.send_signal(signal.SIGSTOP)
    try:
        victim = sidecar.pid("controller")
        kill(victim)
        sidecar.until(lambda: b"State:\tZ" in Path(f"/proc/{victim}/status").read_bytes())
        act()
    finally:
        sidecar.supervisor.send_signal(signal.SIGCONT)
