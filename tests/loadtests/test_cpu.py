import os
import subprocess
import sys
import time

import pytest

from loadtests import cpu

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
STAT = "7 (a ) b) S 1 7 7 0 -1 4194560 10 20 0 0 {user} {system} 3 4 20 0 1 0 5 6 7"
BURN = "import time\nwhile time.process_time() < 0.3: pass\nprint('burnt', flush=True)\ninput()"
PARENT = (
    "import subprocess, sys\n"
    "child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=sys.stdin)\n"
    "print(child.pid, flush=True)\n"
    "child.wait()"
)


def start(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_stat_line_is_read_behind_a_name_with_brackets_and_blanks() -> None:
    assert cpu.parse_stat(STAT.format(user=3 * TICKS_PER_S, system=TICKS_PER_S // 2)) == 3.5


def test_time_burnt_by_a_process_is_counted() -> None:
    with start(BURN) as burner:
        assert burner.stdout is not None
        burner.stdout.readline()
        burnt_s = cpu.busy_s([burner.pid])
        burner.communicate("\n")
    assert 0.28 <= burnt_s < 1.0  # its start costs some as well


def test_scheduler_and_ticks_agree_on_the_time_burnt() -> None:
    with start(BURN) as burner:
        assert burner.stdout is not None
        burner.stdout.readline()
        burnt_s = cpu.busy_s([burner.pid])
        with open(f"/proc/{burner.pid}/stat") as stat:
            ticks_s = cpu.parse_stat(stat.read())
        burner.communicate("\n")
    assert abs(burnt_s - ticks_s) < 0.05


def test_process_tree_holds_children_after_their_parent() -> None:
    with start(PARENT) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert cpu.process_tree(parent.pid) == [parent.pid, child]
        parent.communicate("\n")


def test_command_line_separates_arguments_by_blanks() -> None:
    with start("input()") as waiting:
        deadline = time.monotonic() + 5
        while "input" not in cpu.command_line(waiting.pid) and time.monotonic() < deadline:
            time.sleep(0.01)  # until exec has replaced the forked image
        assert cpu.command_line(waiting.pid) == f"{sys.executable} -c input()"
        waiting.communicate("\n")


def test_resident_memory_grows_with_what_is_touched() -> None:
    # In a process of its own: ours may have room from before, and then nothing grows.
    code = """import sys
print("ready", flush=True)
sys.stdin.readline()
held = bytearray(b"x") * 50_000_000
print(len(held), flush=True)
sys.stdin.readline()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        before = cpu.resident_bytes([child.pid])
        child.stdin.write("\n")
        child.stdin.flush()
        held = int(child.stdout.readline())
        after = cpu.resident_bytes([child.pid])
        child.communicate("\n", timeout=10)
    assert held * 0.9 < after - before < held * 1.5


def test_process_that_has_gone_is_an_error_and_not_free() -> None:
    with start("pass") as gone:
        gone.communicate()
    for ask in (cpu.busy_s, cpu.resident_bytes):
        with pytest.raises(ProcessLookupError, match=str(gone.pid)):
            ask([gone.pid])
