"""Names and units that nobody can guess, and no two alike."""

import re

from router.entropy import PAGE_BYTES, Entropy
from router.message import RequestHead
from router.parser import parse_request

PER_PAGE = PAGE_BYTES // 32


def read_with_id(request_id: bytes) -> RequestHead:
    return parse_request(b"GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: %b\r\n\r\n" % request_id)


def test_every_draw_is_fresh_across_pages() -> None:
    entropy = Entropy()
    drawn = [(entropy.request_id(), entropy.unit()) for _ in range(5 * PER_PAGE + 3)]
    assert len({request_id for request_id, _ in drawn}) == len(drawn)
    assert len({unit for _, unit in drawn}) == len(drawn)


def test_request_id_is_32_hex_digits_and_a_unit_16_bytes() -> None:
    entropy = Entropy()
    for _ in range(2 * PER_PAGE):
        assert re.fullmatch(rb"[0-9a-f]{32}", entropy.request_id())
        assert len(entropy.unit()) == 16


def test_ids_of_a_later_page_stand_behind_those_of_an_earlier_one(monkeypatch) -> None:
    """The store finds labels' observations by id: neighbours in time are neighbours there."""
    entropy = Entropy()
    pages = []
    for now_ms in (1_790_000_000_000, 1_790_000_000_001, 1_890_000_000_000):
        monkeypatch.setattr("router.entropy.time", FixedTime(now_ms))
        pages.append([entropy.request_id() for _ in range(PER_PAGE)])
    assert max(pages[0]) < min(pages[1]) <= max(pages[1]) < min(pages[2])
    assert pages[0][0][:12] == b"%012x" % 1_790_000_000_000


class FixedTime:
    """Stands for the module ``time``."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def time_ns(self) -> int:
        return self.now_ms * 1_000_000


def test_what_follows_the_time_is_random() -> None:
    entropy = Entropy()
    tails = {entropy.request_id()[12:] for _ in range(10 * PER_PAGE)}
    assert len(tails) == 10 * PER_PAGE
    spans = {entropy.span_id() for _ in range(PER_PAGE)}
    assert len({span[:8] for span in spans}) == PER_PAGE


def test_request_id_does_not_tell_any_unit() -> None:
    """A client sees its id; if the unit could be read off it, it could choose its bucket."""
    entropy = Entropy()
    drawn = [(entropy.request_id(), entropy.unit()) for _ in range(3 * PER_PAGE)]
    told = b"".join(bytes.fromhex(request_id.decode()) for request_id, _ in drawn)
    assert not [unit for _, unit in drawn if unit in told]


def test_two_processes_draw_differently() -> None:
    assert Entropy().request_id() != Entropy().request_id()
    assert Entropy().unit() != Entropy().unit()


def test_our_own_request_ids_pass_our_own_check() -> None:
    request_id = Entropy().request_id()
    assert read_with_id(request_id).request_id == request_id
