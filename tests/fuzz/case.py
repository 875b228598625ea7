"""One fuzz case: what the client does, what the models answer, and what happens around them.

Plain data, so that a finding can be written to a file, made smaller and played again.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ENDS = ("open", "eof", "reset")
MODES = ("plain", "mirror", "split")


@dataclass(slots=True)
class Plan:
    """How a model answers one request."""

    pieces: list[bytes]
    end: str = "open"
    """What it does with its connection afterwards: one of ENDS."""
    is_early: bool = False
    """Whether it answers when the head is there, before the body."""

    @property
    def raw(self) -> bytes:
        return b"".join(self.pieces)


@dataclass(slots=True)
class Step:
    """One thing that happens. ``spins`` turns of the loop follow; -1: until it is quiet.

    Verbs of the client: send, eof, reset, stop, read. Of the models (``whom``): push, model_eof,
    model_reset, model_stop, model_read, refuse, hang, accept. Of the world: wait, swap, tick.
    """

    verb: str
    payload: bytes = b""
    whom: str = ""
    seconds: float = 0.0
    spins: int = -1


@dataclass(slots=True)
class Case:
    """All that one run needs."""

    mode: str = "plain"
    tight: bool = False
    """Whether the route's limits are so small that most cases meet them."""
    high: int = 64 * 1024
    """High-water mark of every connection, bytes."""
    plans: dict[str, list[Plan]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    @property
    def sent(self) -> bytes:
        """All that the client sends."""
        return b"".join(step.payload for step in self.steps if step.verb == "send")

    @property
    def is_calm(self) -> bool:
        """Whether nothing happens but bytes in order: then the outcome may not depend on cuts."""
        verbs = [step.verb for step in self.steps]
        return (
            set(verbs) <= {"send", "eof"}
            and verbs.count("eof") <= 1
            and "eof" not in verbs[:-1]
            and not any(plan.is_early for plans in self.plans.values() for plan in plans)
        )

    @property
    def n_bytes(self) -> int:
        """Bytes that cross, about."""
        answers = sum(len(plan.raw) for plans in self.plans.values() for plan in plans)
        return sum(len(step.payload) for step in self.steps) + answers

    @property
    def n_requests(self) -> int:
        """Requests that the client sends, about."""
        return sum(step.payload.count(b" HTTP/1.") for step in self.steps)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def write_case(case: Case, path: Path, findings: list[str]) -> None:
    """Write ``case`` as JSON, bytes as Latin-1 text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"findings": findings, "case": _plain(asdict(case))}
    path.write_text(json.dumps(content, indent=1))


def read_case(path: Path) -> Case:
    """Read what ``write_case`` wrote."""
    content = json.loads(path.read_text())["case"]
    plans = {
        name: [
            Plan(**one | {"pieces": [x.encode("latin-1") for x in one["pieces"]]}) for one in all_
        ]
        for name, all_ in content.pop("plans").items()
    }
    steps = [
        Step(**one | {"payload": one["payload"].encode("latin-1")}) for one in content.pop("steps")
    ]
    return Case(**content, plans=plans, steps=steps)
