"""F47: a malicious artifact goes through a whole sidecar, and nothing of it runs."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from tests.faults.running import ROUTING, Sidecar, load

STAGES = (
    "[security: {{artifact: model.pkl, scan: {{allow: [sklearn.*]}}, "
    "results: [{{file: s.sarif}}]}}, shadow: {{share: 100%}}]"
)


class Leaves:
    """Creates a file when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


def left_security(sidecar: Sidecar) -> list[dict[str, Any]]:
    """Return the audit's records of rollouts that left the stage."""
    _, answer = sidecar.get("/v1/audit")
    return [one for one in answer.get("records", []) if one["phase_from"] == "security"]


@pytest.mark.slow
def test_a_malicious_pickle_ends_the_rollout_and_is_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "was-run"
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Leaves(mark)))
    assert ROUTING.count("[shadow: {{share: 100%}}]") == 1
    sidecar = Sidecar(tmp_path, routing=ROUTING.replace("[shadow: {{share: 100%}}]", STAGES))
    try:
        with load(sidecar) as clients:
            sidecar.until(lambda: left_security(sidecar), within_s=60.0)
        [entry] = left_security(sidecar)
        [state] = sidecar.get("/v1/status")[1]["routes"]
    finally:
        sidecar.close()
    assert clients.failures == []
    assert entry["phase_to"] == "rolled_back" and "posix.system" in entry["because"]
    # The results that are awaited are not there: harm that is shown does not wait for them.
    found = {check["name"]: check["numbers"] for check in entry["evidence"]["gate"]["checks"]}
    assert found["scan"]["verdict"] == "tripped"
    assert found["scan"]["imports"] == {"dangerous": ["posix.system"]}
    assert found["result s.sarif"]["verdict"] == "unknown"
    assert state["champion"] == "digits-1"
    assert not mark.exists()
