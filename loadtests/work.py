"""What is asked of every peer: the sizes of the request and of the answer, and the split.

Pure: no I/O. A row of the table is a peer, a mode and a work; further works (larger bodies,
streams) are further records here and a suffix in the row's name.
"""

import enum
from dataclasses import dataclass

PATH = "/v1/models/bench:predict"
UNIT_HEADER = "x-user-id"
USERS = 1024
"""Different values of the unit header: enough for a hash to come out near one half."""


class Mode(enum.Enum):
    """What the proxy does with a request."""

    SPLIT = "split"
    """Each user is served by one of two upstreams, by hash of the unit header, half and half."""
    MIRROR = "mirror"
    """The champion answers; a copy of the request with its body goes to the challenger."""
    RELAY = "relay"
    """Bytes to the champion and back; nothing is read. The floor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One kind of request."""

    suffix: str
    """Appended to the row's name; empty for the plain prediction."""
    request_bytes: int
    answer_bytes: int

    def __post_init__(self) -> None:
        if self.request_bytes < 64 or self.answer_bytes < 128:
            raise ValueError(f"at least 64 bytes are asked and 128 answered, got {self!r}")


PREDICT = Work(suffix="", request_bytes=1024, answer_bytes=200)


def request_body(size_bytes: int) -> bytes:
    """Return a KServe v1 request of exactly ``size_bytes``."""
    head, tail = b'{"instances": [[', b"]]}"
    numbers = b"0.125, " * (size_bytes // 7)
    room = size_bytes - len(head) - len(tail)
    fitting = numbers[: room // 7 * 7].removesuffix(b", ")
    return head + fitting + b" " * (room - len(fitting)) + tail


def answer_body(size_bytes: int, variant: str) -> bytes:
    """Return a KServe v1 answer of exactly ``size_bytes`` that names the variant."""
    head = b'{"predictions": [7], "model_name": "bench", "model_version": "%s", "padding": "'
    head %= variant.encode()
    return head + b"x" * (size_bytes - len(head) - 2) + b'"}'
