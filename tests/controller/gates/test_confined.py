"""Real processes; what goes wrong in them is made to go wrong by their command line."""

import asyncio
import os
import pickle
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from controller.gates import confined
from controller.gates.confined import Limits, ask
from controller.gates.securityspec import ScanSpec
from evaluator.evidence import CheckState
from router.tasks import spawn

LIMITS = Limits(time_s=60.0, memory_bytes=2 << 30)


def instead(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(confined, "COMMAND", (sys.executable, "-c", code))


async def test_a_scan_runs_in_its_own_process(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"cos\nsystem\n.")
    asked = {"artifact": str(tmp_path), "spec": asdict(ScanSpec())}
    [finding] = await ask("scan", asked, LIMITS)
    assert finding.state is CheckState.TRIPPED and "os.system" in finding.because


async def test_a_file_that_needs_more_memory_than_there_is_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(bytes(250 << 20)))
    asked = {"artifact": str(tmp_path), "spec": asdict(ScanSpec())}
    [finding] = await ask("scan", asked, Limits(time_s=60.0, memory_bytes=300 << 20))
    assert finding.state is CheckState.UNKNOWN


@pytest.mark.parametrize(
    ("code", "because"),
    [
        ("import sys; sys.stdin.read(); sys.exit(3)", "died (3)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "processor time or memory"),
        ("import sys; sys.stdin.read(); print('[{}]')", "nonsense"),
        ("import sys; sys.stdin.read(); print('not json')", "nonsense"),
        ("import sys; sys.stdin.read(); print('x' * 10_000_000)", "nonsense"),
        ("pass", "nonsense"),
    ],
)
async def test_a_process_that_does_not_answer_is_not_known(
    monkeypatch: pytest.MonkeyPatch, code: str, because: str
) -> None:
    instead(monkeypatch, code)
    [finding] = await ask("scan", {"filling": "x" * 1_000_000}, LIMITS)
    assert finding.state is CheckState.UNKNOWN and because in finding.because


async def test_a_process_that_stalls_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    instead(
        monkeypatch,
        f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(600)",
    )
    [finding] = await ask("scan", {}, Limits(time_s=3.0))
    assert finding.state is CheckState.UNKNOWN and "not finished" in finding.because
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


async def test_who_is_cancelled_takes_the_process_along(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    instead(
        monkeypatch,
        f"import os, time; open({str(pipe)!r}, 'w').write(str(os.getpid())); time.sleep(600)",
    )
    task = spawn(ask("scan", {}, LIMITS), name="asking")
    pid = int(await asyncio.to_thread(pipe.read_text))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


INNER = """
import os, sys, time
from controller.gates.cell import confine
confine(1 << 30, 60.0)
os.write(int(sys.argv[1]), str(os.getpid()).encode())
time.sleep(600)
"""
OUTER = """
import asyncio, os, sys
from controller.gates import confined
os.set_inheritable(int(sys.argv[1]), True)
confined.asyncio.create_subprocess_exec = __import__("functools").partial(
    asyncio.create_subprocess_exec, close_fds=False
)
confined.COMMAND = (sys.executable, "-c", sys.argv[2], sys.argv[1])
asyncio.run(confined.ask("scan", {}, confined.Limits(600.0)))
"""


async def test_who_is_killed_leaves_no_process_behind() -> None:
    """The controller process may be killed at any instruction."""
    reads, writes = os.pipe()
    outer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OUTER, str(writes), INNER, pass_fds=(writes,)
    )
    os.close(writes)
    assert int(await asyncio.to_thread(os.read, reads, 100)) > 0  # it runs, and is confined
    outer.kill()
    await outer.wait()
    # Only a process that has ended closes its end: an orphan would keep us here.
    assert await asyncio.to_thread(os.read, reads, 100) == b""
    os.close(reads)
