"""Names of the spans of one exchange, all drawn from one: W3C Trace Context, and no more of it.

Pure. What is traced is carried by the observation as TRACEPARENT/SPAN: what the client sent, and
the span of the exchange, 16 random hex digits. Every other name follows from these two, so that the
router draws nothing more and the controller process can write the spans (docs/adr/0035).
"""

import re
from typing import Final

_SAMPLED: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f][13579bdf]"
)
_ALL: Final = (1 << 128) - 1


def is_sampled(traceparent: bytes) -> bool:
    """Tell whether ``traceparent`` is valid and whoever sent it records its trace."""
    return _SAMPLED.fullmatch(traceparent) is not None


def leg(span: bytes, number: int) -> bytes:
    """Return the name of one call of the exchange ``span``.

    1: of who was asked first. 2: of who stood in for them. 3: the copy.

    >>> leg(b"00000000000000a0", 1), leg(b"00000000000000a0", 3)
    (b'00000000000000a1', b'00000000000000a3')
    """
    return b"%016x" % (int(span, 16) ^ number)


def served(traceparent: bytes, span: bytes) -> bytes:
    """Return what a variant that serves the client is sent: the same trace, under ``span``."""
    return traceparent[:36] + span + traceparent[52:]


def copied(traceparent: bytes, span: bytes) -> bytes:
    """Return what a copy is sent: a trace of its own, so that nothing of it is in the client's.

    All copies of one trace are in one trace, whose name is the complement of it.
    """
    return traceparent[:3] + complement(traceparent[3:35]) + b"-" + span + traceparent[52:]


def complement(trace: bytes) -> bytes:
    """Return the name of the trace that holds the copies of ``trace``; never that of no trace."""
    other = int(trace, 16) ^ _ALL
    return b"%032x" % (other or 1)
