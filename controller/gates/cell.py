"""The process in which one part of the security gate looks at what others have made.

Reads a question on stdin, writes its findings on stdout. Its memory, processor time and files are
limited before it reads anything: what it looks at may be made to break it, and then only it breaks.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from controller.gates.finding import Finding, to_json
from evaluator.evidence import CheckState

QUESTION_BYTES = 256 << 20
PR_SET_PDEATHSIG = 1
"""linux/prctl.h"""
Job = Callable[[dict[str, Any]], list[Finding]]


def main() -> int:
    """Answer one question; 0 when there is an answer."""
    question = msgspec.json.decode(sys.stdin.buffer.read(QUESTION_BYTES))
    confine(question["memory_bytes"], question["time_s"])
    findings = answer(question)
    sys.stdout.write(json.dumps([to_json(one) for one in findings]))
    sys.stdout.flush()
    return 0


def confine(memory_bytes: int, time_s: float) -> None:
    """Give up what is not needed: memory, processor time, files to write, core dumps; and wait
    behind whoever serves."""
    _die_with_parent()
    os.nice(10)
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit(resource.RLIMIT_CPU, max(1, int(time_s)))
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)


def _die_with_parent() -> None:
    """Ask the kernel to end us when who asked is killed: nobody would read the answer."""
    with contextlib.suppress(OSError, AttributeError):  # not Linux: the other limits end us
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(what, (value, value))


def answer(question: dict[str, Any]) -> list[Finding]:
    """Return what the part finds. A library that is not installed is an unknown, not an error."""
    part = str(question["part"])
    try:
        return JOBS[part](question["asked"])
    except ImportError as exc:
        extra = "fairness" if part == "fairness" else "scan"
        because = f"needs the extra `{extra}` ({exc})"
    except MemoryError:
        because = "needs more memory than it may have"
    return [Finding(part, CheckState.UNKNOWN, because)]


def _scan(asked: dict[str, Any]) -> list[Finding]:
    from controller.gates.artifactscan import scan
    from controller.gates.securityspec import ScanSpec

    return [scan(Path(asked["artifact"]), msgspec.convert(asked["spec"], ScanSpec))]


def _dependencies(asked: dict[str, Any]) -> list[Finding]:
    from controller.gates.securityspec import DependencySpec
    from controller.gates.vulnerability import check

    return [check(msgspec.convert(asked["spec"], DependencySpec), asked["now_s"])]


def _licences(asked: dict[str, Any]) -> list[Finding]:
    from controller.gates.licencecheck import check
    from controller.gates.securityspec import LicenceSpec

    return [check(msgspec.convert(asked["spec"], LicenceSpec))]


def _fairness(asked: dict[str, Any]) -> list[Finding]:
    from controller.gates.fairness import GoldenRows, check
    from controller.gates.securityspec import FairnessSpec

    rows = msgspec.convert(asked["rows"], GoldenRows)
    return check(msgspec.convert(asked["spec"], FairnessSpec), rows)


def _results(asked: dict[str, Any]) -> list[Finding]:
    from controller.gates.securityspec import ResultSpec
    from controller.gates.thirdparty import check

    digests = frozenset(asked["digests"])
    return [
        check(msgspec.convert(one, ResultSpec), digests, asked["now_s"]) for one in asked["specs"]
    ]


JOBS: dict[str, Job] = {
    "scan": _scan,
    "dependencies": _dependencies,
    "licences": _licences,
    "fairness": _fairness,
    "results": _results,
}

if __name__ == "__main__":
    sys.exit(main())
