import asyncio

import pytest

from loadtests.router_alone import LONG_PATH, Acknowledger, Crowd, make_table
from loadtests.work import PATH, Mode
from router import frames
from router.choose import choose
from router.matcher import Matcher
from router.observation import Batch
from router.table import from_bytes, to_bytes
from tests.router.strategies import head_of

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


@pytest.mark.parametrize(
    ("crowd", "path"),
    [(Crowd.PATHS, PATH), (Crowd.PREFIXES, LONG_PATH), (Crowd.HOSTS, PATH)],
)
def test_route_that_is_asked_is_found_in_any_crowd(crowd: Crowd, path: str) -> None:
    table = from_bytes(to_bytes(make_table(Mode.SPLIT, **PORTS, crowd=crowd, others=999)))
    assert len(table.routes) == 1000
    found = Matcher(table.routes).find(head_of("POST", path))
    assert found is not None and found.name == "bench"


def test_prefixes_of_the_crowd_are_all_short_enough_to_fit_the_path() -> None:
    table = make_table(Mode.SPLIT, **PORTS, crowd=Crowd.PREFIXES, others=999)
    lengths = {len(route.match.path) for route in table.routes}
    assert len(lengths) == 1000
    assert max(lengths) <= len(LONG_PATH)


def test_every_batch_is_acknowledged_and_nothing_else() -> None:
    wire, line = Wire(), Acknowledger()
    line.connection_made(wire)
    said = frames.encode(frames.Hello("w0", 0, 7, 1))
    said += frames.encode(Batch("w0", 1, ())) + frames.encode(Batch("w0", 2, ()))
    for cut in (said[:9], said[9:]):
        line.data_received(cut)
    answers = [frames.decode_from_controller(raw) for raw in frames.Deframer().feed(wire.written)]
    assert answers == [frames.Ack("w0", 1), frames.Ack("w0", 2)]
