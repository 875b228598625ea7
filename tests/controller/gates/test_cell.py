import json
import subprocess
import sys
from pathlib import Path

from controller.gates import cell
from evaluator.evidence import CheckState

CELL = (sys.executable, "-P", "-m", "controller.gates.cell")


def test_a_library_that_is_missing_is_named_by_its_extra(tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['picklescan'] = None; from controller.gates import cell; "
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04N.")
    question = {
        "part": "scan",
        "asked": {"artifact": str(tmp_path), "spec": {}},
        "memory_bytes": 2 << 30,
        "time_s": 20,
    }
    done = subprocess.run(
        [sys.executable, "-c", hidden + "sys.exit(cell.main())"],
        input=json.dumps(question).encode(),
        capture_output=True,
        timeout=60,
        check=True,
    )
    [finding] = json.loads(done.stdout)
    assert finding["state"] == "unknown" and "extra `scan`" in finding["because"]


def test_every_part_of_the_gate_has_its_job() -> None:
    assert set(cell.JOBS) == {"scan", "dependencies", "licences", "fairness", "results"}


def test_a_part_that_needs_too_much_memory_is_not_known() -> None:
    def greedy(_: object) -> list[cell.Finding]:
        raise MemoryError

    question = {"part": "scan", "asked": {}}
    original, cell.JOBS["scan"] = cell.JOBS["scan"], greedy
    try:
        [finding] = cell.answer(question)
    finally:
        cell.JOBS["scan"] = original
    assert finding.state is CheckState.UNKNOWN


def test_a_confined_process_can_neither_write_nor_grow(tmp_path: Path) -> None:
    code = (
        "import signal, sys; from controller.gates.cell import confine\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "confine(1 << 30, 20.0)\n"
        "try:\n    bytearray(2 << 30)\nexcept MemoryError:\n    print('no memory')\n"
        "try:\n"
        "    with open(sys.argv[1], 'wb', buffering=0) as file:\n        file.write(b'x')\n"
        "except OSError:\n    print('no file')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "file")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split("\n")[:2] == ["no memory", "no file"]
