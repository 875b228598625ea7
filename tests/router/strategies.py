"""What hypothesis draws for the router's tests. No test here asserts a time: ``many`` says so."""

from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st

from router.message import RequestHead
from router.parser import parse_request
from router.table import BUCKETS, Match, Mirror, Route, RoutingTable, Split, Variant

many = settings(deadline=None, max_examples=120)
few = settings(deadline=None, max_examples=40)

units = st.binary(max_size=24)
salts = st.binary(max_size=64)
shares = st.integers(0, BUCKETS)


def a_variant(name: str, port: int = 9000) -> Variant:
    return Variant(name=name, host="127.0.0.1", port=port)


def a_route(
    *,
    buckets: int = 0,
    mirror_buckets: int | None = None,
    salt: bytes = b"salt",
    name: str = "digits",
    path: str = "/*",
    champion: str = "a",
) -> Route:
    """A route between variants ``a`` and ``b``; ``b`` challenges."""
    return Route(
        name=name,
        match=Match(path=path),
        variants=(a_variant("a", 9000), a_variant("b", 9001)),
        split=Split(champion=champion, challenger="b", challenger_buckets=buckets),
        mirror=None if mirror_buckets is None else Mirror(variant="b", buckets=mirror_buckets),
        salt=salt,
    )


@st.composite
def tables(draw: st.DrawFn) -> RoutingTable:
    names = draw(st.lists(st.text("abc", min_size=1, max_size=4), unique=True, max_size=4))
    routes = tuple(
        a_route(
            name=name,
            path=f"/{name}/*",
            buckets=draw(shares),
            mirror_buckets=draw(st.none() | shares),
            salt=draw(salts),
        )
        for name in names
    )
    return RoutingTable(version=draw(st.integers(0, 2**62)), routes=routes)


TOKENS = "!#$%&'*+-.^_`|~0123456789ABCXYZabcxyz"
VALUES = "".join(map(chr, [9, *range(0x20, 0x7F), *range(0x80, 0x100)]))
names = st.text(TOKENS, min_size=1, max_size=12).map(lambda text: "x" + text)
values = st.text(VALUES, max_size=20)
field_lines = st.builds(
    lambda name, value: f"{name}:{value}".encode("latin-1"),
    names
    | st.sampled_from(
        ["Connection", "TE", "Keep-Alive", "traceparent", "Cookie", "X-Request-Id", "Authorization"]
    ),
    values | st.sampled_from([" close", " x-a, Cookie", "keep-alive", " id-1", "upgrade"]),
)


@st.composite
def raw_heads(draw: st.DrawFn) -> bytes:
    """Request heads that are well formed or nearly so."""
    method = draw(st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]))
    target = draw(
        st.sampled_from(
            ["/", "/v1/a:predict?x=%20", "*", "http://a.example", "http://a.example/b?c"]
        )
        | st.text("".join(map(chr, range(0x21, 0x7F))), max_size=16).map(lambda text: "/" + text)
    )
    version = draw(st.sampled_from(["1.1", "1.1", "1.1", "1.0"]))
    framing = draw(
        st.sampled_from(
            [
                b"",
                b"Content-Length: 0\r\n",
                b"content-length:\t0012 \r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"transfer-encoding:Chunked \r\n",
                b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            ]
        )
    )
    host = draw(st.sampled_from([b"Host: a.example\r\n", b"host:A.Example\t\r\n", b""]))
    others = draw(st.lists(field_lines, max_size=6))
    first = f"{method} {target} HTTP/{version}\r\n".encode("latin-1")
    blocks = draw(st.permutations([host, framing, b"".join(line + b"\r\n" for line in others)]))
    return first + b"".join(blocks) + b"\r\n"


def head_of(
    method: str = "GET", target: str = "/", *lines: str, host: str = "a.example"
) -> RequestHead:
    """Return the head of a request with these field lines."""
    fields = "".join(f"{line}\r\n" for line in (f"Host: {host}", *lines))
    return parse_request(f"{method} {target} HTTP/1.1\r\n{fields}\r\n".encode("latin-1"))


def pieces_of(raw: bytes, places: list[int]) -> list[bytes]:
    """Cut ``raw`` at these places, wherever they fall."""
    edges = [0, *sorted(place % (len(raw) + 1) for place in places), len(raw)]
    return [raw[a:b] for a, b in pairwise(edges)]


places = st.lists(st.integers(0, 10_000), max_size=8)
