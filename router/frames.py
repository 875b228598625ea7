"""What routers and the controller say to each other, and how it is cut into frames. Pure.

A frame is its length in four bytes, big end first, and MessagePack. Observations travel in
``observation.Batch``; everything else is here.
"""

import struct
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from router.observation import Batch

MAX_FRAME_BYTES = 64 * 1024 * 1024
_LENGTH = struct.Struct(">I")


class Hello(Struct, frozen=True, array_like=True, tag="hello"):
    """A router's first frame on each connection."""

    source: str
    worker: int
    pid: int
    table_version: int


class Applied(Struct, frozen=True, array_like=True, tag="applied"):
    """A router uses this table for every request from now on."""

    source: str
    version: int


class Ejected(Struct, frozen=True, array_like=True, tag="ejected"):
    """A router has stopped using a challenger by itself, after consecutive failures."""

    source: str
    route: str
    variant: str
    failures: int
    at_ns: int


class Counters(Struct, frozen=True, array_like=True, tag="counters"):
    """What a router has counted since it started, by flat name: ``name|label=value|...``."""

    source: str
    worker: int
    values: dict[str, float]


class Publish(Struct, frozen=True, array_like=True, tag="publish"):
    """Use this routing table (``table.to_bytes``)."""

    table: bytes


class Ack(Struct, frozen=True, array_like=True, tag="ack"):
    """Batches of ``source`` up to and including ``sequence`` are durable."""

    source: str
    sequence: int


FromRouter = Hello | Batch | Applied | Ejected | Counters
FromController = Publish | Ack

_from_router: msgspec.msgpack.Decoder[FromRouter] = msgspec.msgpack.Decoder(FromRouter)
_from_controller: msgspec.msgpack.Decoder[FromController] = msgspec.msgpack.Decoder(FromController)


_encoder = msgspec.msgpack.Encoder()


def encode(message: FromRouter | FromController) -> bytearray:
    """Return ``message`` as one frame."""
    raw = bytearray(_LENGTH.size)
    _encoder.encode_into(message, raw, _LENGTH.size)  # behind the length: no second copy
    _LENGTH.pack_into(raw, 0, len(raw) - _LENGTH.size)
    return raw


def decode_from_router(raw: bytes) -> FromRouter:
    """Read what a router said; msgspec.ValidationError if it is nothing of the kind."""
    return _from_router.decode(raw)


def decode_from_controller(raw: bytes) -> FromController:
    """Read what the controller said; msgspec.ValidationError if it is nothing of the kind."""
    return _from_controller.decode(raw)


class Deframer:
    """Cuts a stream into frames, however it arrives."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, received: bytes) -> Iterator[bytes]:
        """Yield every frame that is whole now; ValueError if one claims to be over the limit."""
        buffer = self._buffer
        buffer += received
        at = 0
        while len(buffer) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, at)
            if length > MAX_FRAME_BYTES:
                raise ValueError(f"a frame of {length} bytes is over {MAX_FRAME_BYTES}")
            end = at + _LENGTH.size + length
            if end > len(buffer):
                break
            yield bytes(buffer[at + _LENGTH.size : end])
            at = end
        del buffer[:at]
