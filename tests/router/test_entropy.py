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
