"""Changes to bytes that a fuzzer makes, and cuts of a stream into pieces."""

import re
from collections.abc import Callable
from itertools import pairwise
from random import Random

MAX_BYTES = 256 * 1024
MAX_PIECES = 300
NASTY = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\x00", b" ", b"\t", b":", b"0", b"-", b"+",
    b"\x0b", b"\xa0",    b"chunked", b"0\r\n\r\n", b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n", b"\xff",
    b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 ", b";", b"\"", b",",
)  # fmt: skip
_DIGIT = re.compile(rb"[0-9]")
Change = Callable[[Random, bytes], bytes]


def _span(rng: Random, raw: bytes) -> tuple[int, int]:
    at = rng.randrange(len(raw) + 1)
    return at, min(len(raw), at + rng.choice((1, 2, 4, 8, 16, 64)))


def flip(rng: Random, raw: bytes) -> bytes:
    """One bit."""
    if not raw:
        return raw
    at = rng.randrange(len(raw))
    return raw[:at] + bytes((raw[at] ^ (1 << rng.randrange(8)),)) + raw[at + 1 :]


def put(rng: Random, raw: bytes) -> bytes:
    """Something nasty in between."""
    at = rng.randrange(len(raw) + 1)
    return raw[:at] + rng.choice(NASTY) + raw[at:]


def drop(rng: Random, raw: bytes) -> bytes:
    """A span goes."""
    start, end = _span(rng, raw)
    return raw[:start] + raw[end:]


def double(rng: Random, raw: bytes) -> bytes:
    """A span comes twice, elsewhere."""
    start, end = _span(rng, raw)
    at = rng.randrange(len(raw) + 1)
    return raw[:at] + raw[start:end] + raw[at:]


def cut_off(rng: Random, raw: bytes) -> bytes:
    """The end is missing."""
    return raw[: rng.randrange(len(raw) + 1)]


def line_ends(rng: Random, raw: bytes) -> bytes:
    """One CRLF, or all of them, become something else."""
    other = rng.choice((b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\r\n", b"", b" \r\n", b"\r\n "))
    if rng.random() < 0.2:
        return raw.replace(b"\r\n", other)
    at = raw.find(b"\r\n", rng.randrange(len(raw) + 1))
    if at < 0:
        return raw
    return raw[:at] + other + raw[at + 2 :]


def digits(rng: Random, raw: bytes) -> bytes:
    """One digit becomes another, or more of them."""
    found = _DIGIT.search(raw, rng.randrange(len(raw) + 1))
    if found is None:
        return raw
    at = found.start()
    other = rng.choice((b"%d" % rng.randrange(10), b"9" * rng.choice((2, 18, 30)), b"", b"0", b"a"))
    return raw[:at] + other + raw[at + 1 :]


def repeat(rng: Random, raw: bytes) -> bytes:
    """A span comes very often."""
    start, end = _span(rng, raw)
    if start == end:
        return raw
    times = rng.choice((3, 30, 200, 2000, 20_000)) if rng.random() < 0.4 else 3
    times = min(times, MAX_BYTES // (end - start))
    return raw[:start] + raw[start:end] * times + raw[end:]


def lines(rng: Random, raw: bytes) -> bytes:
    """Two lines change places, or one comes twice."""
    parts = raw.split(b"\r\n")
    a, b = rng.randrange(len(parts)), rng.randrange(len(parts))
    if rng.random() < 0.5:
        parts[a], parts[b] = parts[b], parts[a]
    else:
        parts.insert(a, parts[b])
    return b"\r\n".join(parts)


def letters(rng: Random, raw: bytes) -> bytes:
    """A span changes its case."""
    start, end = _span(rng, raw)
    return raw[:start] + raw[start:end].swapcase() + raw[end:]


CHANGES: tuple[Change, ...] = (
    flip, flip, put, put, drop, double, cut_off, line_ends, line_ends, digits, digits, repeat,
    lines, letters,
)  # fmt: skip


def mutate(rng: Random, raw: bytes) -> bytes:
    """Change ``raw`` once or a few times."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        raw = rng.choice(CHANGES)(rng, raw)[:MAX_BYTES]
    return raw


def pieces(rng: Random, raw: bytes) -> list[bytes]:
    """Cut ``raw``: whole, in two, in some, or byte by byte while that is not too many."""
    size = len(raw)
    kind = rng.random()
    if size < 2 or kind < 0.25:
        return [raw]
    if kind < 0.45:
        places = [rng.randrange(1, size)]
    elif kind < 0.8 or size > MAX_PIECES:
        places = sorted({rng.randrange(1, size) for _ in range(rng.randrange(2, 12))})
    else:
        return [raw[at : at + 1] for at in range(size)]
    edges = [0, *places, size]
    return [raw[a:b] for a, b in pairwise(edges)]
