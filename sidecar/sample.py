"""Reads the sample requests of the functional stage: JSON Lines, one request body a line."""

import json
from pathlib import Path

MAX_BYTES = 16 * 1024 * 1024
MAX_LINES = 1000
"""Chosen: the functional gate asks them one after the other before any traffic."""


class SampleError(Exception):
    """The sample file is at fault; the message names the file and the line."""


def read_samples(path: Path) -> tuple[bytes, ...]:
    """Return the request bodies of ``path`` as written; SampleError if there is a bad one."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise SampleError(f"{path} ({exc.strerror or exc})") from exc
    if len(raw) > MAX_BYTES:
        raise SampleError(f"{path} with more than {MAX_BYTES} bytes")
    samples = []
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if line.strip():
            _check(path, number, line)
            samples.append(line.strip())
    if not samples:
        raise SampleError(f"{path} without a sample")
    if len(samples) > MAX_LINES:
        raise SampleError(f"{path} with {len(samples)} samples (at most {MAX_LINES})")
    return tuple(samples)


def _check(path: Path, number: int, line: bytes) -> None:
    try:
        json.loads(line, parse_constant=_refuse)
    except json.JSONDecodeError as exc:
        raise SampleError(f"{path}:{number}:{exc.colno}: {exc.msg}") from exc
    except UnicodeDecodeError as exc:
        raise SampleError(f"{path}:{number}: not UTF-8") from exc
    except RecursionError as exc:
        raise SampleError(f"{path}:{number}: nested too deeply") from exc
    except ValueError as exc:
        raise SampleError(f"{path}:{number}: {exc}") from exc


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
