"""How a model server is told to fail, and what it does with the next request. Pure."""

import enum
from dataclasses import dataclass


class Behaviour(enum.Enum):
    """What the server does with one request."""

    ANSWER = "answer"
    ERROR = "error"  # 500
    HANG = "hang"  # never a byte
    EXIT = "exit"  # the process kills itself


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """What becomes of the next requests: first the errors, then the hangs, then the end."""

    errors: int = 0
    hang: int = 0
    exits: bool = False

    @property
    def behaviour(self) -> Behaviour:
        """What the next request meets."""
        if self.errors:
            return Behaviour.ERROR
        if self.hang:
            return Behaviour.HANG
        return Behaviour.EXIT if self.exits else Behaviour.ANSWER

    def after_one(self) -> "FaultPlan":
        """Return the plan for the request after the next one."""
        if self.errors:
            return FaultPlan(self.errors - 1, self.hang, self.exits)
        if self.hang:
            return FaultPlan(0, self.hang - 1, self.exits)
        return self


def read_plan(raw: object) -> FaultPlan:
    """Read ``{"errors": 3, "hang": 2, "then": "exit" | "recover"}``; all keys may be left out.

    Raises ValueError, with the offending value, on anything else.
    """
    if not isinstance(raw, dict) or not raw.keys() <= {"errors", "hang", "then"}:
        raise ValueError(f"a fault plan has the keys errors, hang and then, got {raw!r}")
    then = raw.get("then", "recover")
    if then not in ("exit", "recover"):
        raise ValueError(f"then must be exit or recover, got {then!r}")
    return FaultPlan(_count(raw, "errors"), _count(raw, "hang"), then == "exit")


def _count(raw: dict[str, object], key: str) -> int:
    count = raw.get(key, 0)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise ValueError(f"{key} must be a whole number of requests, 0 or more, got {count!r}")
    return count
