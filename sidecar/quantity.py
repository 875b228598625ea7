"""Numbers with units as the routing file writes them: ``30s``, ``5%``, ``64KiB``. Pure.

Each function raises ValueError whose message is what was expected. A bare number is refused: the
reader of the file must see the unit.
"""

import re
from decimal import Decimal

from router.table import BUCKETS

DURATION = r"^[0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h|d)$"
SHARE = r"^[0-9]{1,6}(\.[0-9]{1,6})?%$"
SIZE = r"^[0-9]{1,12}(B|KiB|MiB|GiB)$"

EXPECTED_DURATION = "a duration with its unit (ms, s, m, h or d), such as 250ms, 30s, 12h or 14d"
EXPECTED_SHARE = "a share with its percent sign, such as 5% or 0.5%"
EXPECTED_SIZE = "a size with its unit (B, KiB, MiB or GiB), such as 64KiB"

_SECONDS = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86_400),
}
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

LONGEST_S = 3650 * 86_400.0
"""Ten years. Chosen: longer than any rollout, far from where clock arithmetic could overflow."""
LARGEST_BYTES = 64 << 30
"""64 GiB. Chosen: larger than any request body that a sidecar can sensibly hold."""


def parse_duration_s(text: str) -> float:
    """Return seconds.

    >>> parse_duration_s("250ms"), parse_duration_s("12h")
    (0.25, 43200.0)
    """
    found = re.fullmatch(DURATION, text, re.ASCII)
    if found is None or text.endswith("\n"):
        raise ValueError(EXPECTED_DURATION)
    unit = found[2]
    seconds = float(Decimal(text[: -len(unit)]) * _SECONDS[unit])
    if seconds > LONGEST_S:
        raise ValueError("a duration of at most 3650d")
    return seconds


def duration_text(seconds: float) -> str:
    """Return a duration as the routing file writes it, in the largest unit that fits evenly.

    >>> duration_text(1_209_600.0), duration_text(90.0), duration_text(0.25)
    ('14d', '90s', '250ms')
    """
    for unit in ("d", "h", "m", "s"):
        size = float(_SECONDS[unit])
        if seconds >= size and seconds % size == 0.0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds * 1000:.0f}ms" if seconds < 1.0 else f"{seconds:.3f}s"


def parse_share(text: str) -> float:
    """Return a fraction: ``5%`` is 0.05. Not bounded above: margins may exceed 100%."""
    return float(_fraction(text))


def parse_share_buckets(text: str) -> int:
    """Return a share of the units in buckets of 0.01 %; more than 100% is refused.

    >>> parse_share_buckets("5%"), parse_share_buckets("0.01%")
    (500, 1)
    """
    buckets = _fraction(text) * BUCKETS
    if buckets > BUCKETS:
        raise ValueError("a share of at most 100%")
    if buckets != int(buckets):
        raise ValueError("a share in whole steps of 0.01%")
    return int(buckets)


def parse_size_bytes(text: str) -> int:
    """Return bytes.

    >>> parse_size_bytes("64KiB")
    65536
    """
    found = re.fullmatch(SIZE, text, re.ASCII)
    if found is None or text.endswith("\n"):
        raise ValueError(EXPECTED_SIZE)
    unit = found[1]
    size = int(text[: -len(unit)]) * _BYTES[unit]
    if size > LARGEST_BYTES:
        raise ValueError("a size of at most 64GiB")
    return size


def _fraction(text: str) -> Decimal:
    if re.fullmatch(SHARE, text, re.ASCII) is None or text.endswith("\n"):
        raise ValueError(EXPECTED_SHARE)
    return Decimal(text[:-1]) / 100
