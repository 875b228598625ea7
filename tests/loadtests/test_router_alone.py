import asyncio

from loadtests.router_alone import Acknowledger, make_table
from loadtests.work import Mode
from router import frames
from router.choose import choose
from router.observation import Batch
from router.table import from_bytes, to_bytes

PORTS = {"champion_port": 19002, "challenger_port": 19003}


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)


def test_table_splits_in_half_and_mirrors_everything() -> None:
    (split,) = from_bytes(to_bytes(make_table(Mode.SPLIT, **PORTS))).routes
    (mirror,) = from_bytes(to_bytes(make_table(Mode.MIRROR, **PORTS))).routes
    assert choose(split, b"user-1").propensity == 0.5
    assert choose(split, b"user-1").mirror is None
    decision = choose(mirror, b"user-1")
    assert (decision.serve, decision.mirror, decision.propensity) == ("bench-1", "bench-2", 0.0)


def test_every_batch_is_acknowledged_and_nothing_else() -> None:
    wire, line = Wire(), Acknowledger()
    line.connection_made(wire)
    said = frames.encode(frames.Hello("w0", 0, 7, 1))
    said += frames.encode(Batch("w0", 1, ())) + frames.encode(Batch("w0", 2, ()))
    for cut in (said[:9], said[9:]):
        line.data_received(cut)
    answers = [frames.decode_from_controller(raw) for raw in frames.Deframer().feed(wire.written)]
    assert answers == [frames.Ack("w0", 1), frames.Ack("w0", 2)]
