"""Draws requests and answers: mostly well formed, now and then with a trick.

A trick is a thing that some server somewhere has read differently from its proxy. Each message
that is whole carries a body that no other has, so a mix-up shows.
"""

import json
from pathlib import Path
from random import Random

CORPUS = Path(__file__).parents[1] / "router" / "corpus"
METHODS = (b"GET", b"POST", b"POST", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH")
ODD_METHODS = (
    b"CONNECT", b"TRACE", b"get", b"BREW", b"SOURCE", b"PRI", b"M-SEARCH", b"G(T", b"", b"GET\t",
    b"POST" * 50, b"PROPFIND", b"HEAD ",
)  # fmt: skip
TARGETS = (b"/", b"/v1/models/a:predict", b"/a?b=c&d=%20", b"//x", b"/a/../b", b"/%0d%0aX:1")
ODD_TARGETS = (
    b"*", b"http://a/p", b"http://a", b"HTTP://A/q?x", b"http://b/", b"https://a/", b"a:80",
    b"/a#b", b"/a b", b"/\x00", b"/\xe9", b"http://u@a/", b"http:///x", b"?", b"/" + b"a" * 17000,
    b"", b"/smuggled", b"http://a?q", b"/\\", b"http://a#f",
)  # fmt: skip
HOSTS = (b"Host: a", b"host:a", b"HOST:\ta \t", b"Host: a:80", b"Host: [::1]:8080", b"Host: a.b.")
ODD_HOSTS = (
    b"", b"Host: a\r\nHost: a", b"Host: a\r\nHost: b", b"Host:", b"Host: a b", b"Host: a/b",
    b"Host: u@a", b"Host: a,b", b"Host : a", b" Host: a", b"Host: a:b", b"Host: \x00",
    b"Host: a\x0b",    b"Host: [::1", b"Host: a:99999999", b"Host\x00: a", b"Host: a:",
    b"Host: .", b"Host: -a",
    b"Host: a\\b", b"Host: a%41", b"Host: a;b", b"Host: \xe9",
)  # fmt: skip
VERSIONS = (b"HTTP/1.1",) * 8 + (b"HTTP/1.0",)
ODD_VERSIONS = (
    b"HTTP/2.0", b"HTTP/1.2", b"HTTP/0.9", b"http/1.1", b"HTTP/1.1 ", b"HTTP/1.10", b"HTTP/1,1",
    b"", b"ICE/1.0", b"RTSP/1.0", b"HTTP/11", b"HTTP/1.\xb9", b"HTTP/01.1", b"HTTP/1.1\x00",
)  # fmt: skip
FIELDS = (
    b"X-A: 1", b"x-b:", b"X-C: \t v \t", b"Accept: */*", b"Cookie: s=1", b"Authorization: Bearer x",
    b"Content-Type: application/json", b"traceparent: 00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01",
    b"Connection: keep-alive", b"Connection: close", b"Keep-Alive: timeout=5", b"TE: trailers",
    b"Expect: 100-continue", b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings",
    b"Connection: X-A, , close", b"X-User-Id: u1", b"User-Agent: f", b"X-D: \xff\xe9",
)  # fmt: skip
ODD_FIELDS = (
    b"X-Understudy-Variant: challenger", b"X-Understudy-Mirror: 1", b"Content_Length: 5",
    b"Transfer_Encoding: chunked", b"Expect: 200-ok", b"Proxy-Connection: keep-alive",
    b"Trailer: X", b"X-Request-Id: a b", b"Connection: content-length, host, x-request-id",
    b"Connection: transfer-encoding", b"X : 1", b" fold", b"\tfold", b"X", b": v", b"X: a\rb",
    b"X: a\nb", b"X: \x00", b"X: \x7f", b"X\xa0: 1", b"X: 1\r", b"X-L: " + b"v" * 9000,
    b"X: \rTransfer-Encoding: chunked", b"Proxy-Authorization: Basic x", b"Upgrade: websocket",
    b"\r", b"X:\x0b1", b"Connection: \"close\"", b"Content-Length-X: 1", b"X\x00Y: 1",
    b"Sec-WebSocket-Key: x", b"HTTP2-Settings: AAA", b"Range: bytes=0-1", b"Via: 1.1 x",
    b"Connection: x-understudy-route", b"Connection: close\r\nConnection: keep-alive",
)  # fmt: skip
ODD_LENGTHS = (
    b"+%d", b"-%d", b"%d, %d", b"%d,%d", b"0x%d", b"%d ", b"%d\x00", b"%d;q=1", b"00%d", b"%d.0",
    b"%d_0", b"\x0b%d", b"%d\xa0", b"1844674407370955161%d", b"", b"five",
    b"%d\r\nContent-Length: %d",    b"%d %d", b"\xd9\xa5%d", b"99%d", b"%de0", b"\"%d\"",
    b"%d\r\nContent-Length: 0",
    b"%d\t", b"\t%d",    b"%d\r\nTransfer-Encoding: chunked", b"%d\r\nTransfer-Encoding: identity",
    b"00000000000000000000%d",
)  # fmt: skip
ODD_CODINGS = (
    b"Chunked", b"chunked ", b"\tchunked", b"xchunked", b"chunked, identity", b"gzip, chunked",
    b"identity", b"chunked, chunked", b"chunked\x00", b"\x0bchunked", b"chunked\xa0", b"",
    b"chunked\r\nTransfer-Encoding: chunked", b"chunked\r\nTransfer-Encoding: identity",
    b"chunked;x=y", b"\"chunked\"", b",chunked", b"chunked,", b"chun\xe2\x84\xaaed", b"gzip",
    b"chunked\r\nContent-Length: 5", b"chunke", b" \t chunked \t", b"chunked\r\n ,identity",
)  # fmt: skip
ODD_SIZES = (
    b"+%x", b"-%x", b"0x%x", b"%x ", b" %x", b"%x\t", b"%x_0", b"%xg", b"", b"0%x", b"%x;", b"%x;a",
    b"%x;a=b", b"%x;a=\"b\"", b"%x;a=\"b", b"%x;a=\"b\\\"c\"", b"%x; a = b ", b"%x ;a", b"%x;a=",
    b"%x\x00", b"10000000000000%x", b"1%x0000000000000000", b"fffffffffffffff%x", b"%x;\"a\"",
    b"%x;a\nb", b"%x;a\rb", b"%x\xb2", b"%x\n", b"%x\r", b"%x;;a", b"%x;a;b", b"%X",
    b"00000000000%x", b"000000000000000000%x", b"%x;a=\"\xff\t\"", b"%x;" + b"e" * 600,
)  # fmt: skip
ODD_ENDS = (
    b"0\r\n", b"0\n\n", b"0\r\n\n", b"00\r\n\r\n", b"0;x\r\n\r\n", b"0 \r\n\r\n", b"-0\r\n\r\n",
    b"0\r\nX-T: 1\r\n\r\n", b"0\r\nContent-Length: 5\r\n\r\n", b"0\r\nHost: b\r\n\r\n", b"",
    b"0\r\nX : 1\r\n\r\n", b"0\r\nX: 1\n\r\n\r\n", b"0\r\nX: 1\r\n fold\r\n\r\n", b"0\r\n\r",
    b"0\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", b"0\r\n" + b"X: 1\r\n" * 1500 + b"\r\n",
    b"0\r\nTransfer-Encoding: chunked\r\n\r\n", b"0\r\nX-Understudy-Variant: b\r\n\r\n",
)  # fmt: skip
STATUSES = (b"200 OK",) * 8 + (
    b"404 Not Found", b"500 Oops", b"503 ", b"204 No Content", b"304 Not Modified", b"205 Reset",
    b"299", b"999 Odd", b"599 x", b"429 Too Many", b"302 \xd6k",
)  # fmt: skip
ODD_STATUSES = (
    b"099 x", b"001 x", b"20 x", b"2000 x", b"2x0 x", b"200 \x00", b"", b" 200 OK", b"200\tOK",
    b"101 Switching", b"100 Continue", b"+20 x", b"200 O\rK", b"200 " + b"r" * 9000, b"200  two",
    b"2\xb20 x", b"-20 x", b"200OK", b"000 x", b"199 x", b"102 Processing",
)  # fmt: skip
ANSWER_FIELDS = (
    b"X-A: 1", b"Set-Cookie: a=1", b"Set-Cookie: b=2", b"Date: now", b"Connection: close",
    b"Connection: keep-alive", b"Keep-Alive: timeout=1", b"Server: x", b"ETag: \"e\"",
    b"Content-Encoding: gzip", b"X-B: \xff", b"Connection: X-A", b"Trailer: X-T",
)  # fmt: skip
ODD_ANSWER_FIELDS = (
    b"X-Understudy-Variant: evil", b"X-Request-Id: evil", b"Upgrade: h2c", b"Proxy-Authenticate: x",
    b" fold", b"X : 1", b"X", b": v", b"X: a\rSet-Cookie: e", b"X: a\nb", b"X: \x00", b"X: \x1b",
    b"Content-Length : 5", b"X: " + b"v" * 9000, b"Connection: content-length", b"\rX: 1", b"TE: x",
    b"Connection: transfer-encoding", b"X-D: 1\r\n" * 130 + b"X-E: 1", b"Retry-After: 1",
)  # fmt: skip
INTERIM = (
    b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\n\r\n" * 20, b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n", b"HTTP/1.0 100 Continue\r\n\r\n",
)  # fmt: skip


def _corpus(name: str) -> list[bytes]:
    found = []
    for line in (CORPUS / name).read_text().splitlines():
        raw = json.loads(line)["raw"]
        pieces = [raw] if isinstance(raw, str) else raw
        found.append(
            b"".join(
                one.encode("latin-1") if isinstance(one, str) else one[0].encode("latin-1") * one[1]
                for one in pieces
            )
        )
    return [raw for raw in found if len(raw) < 3000]


REQUEST_SEEDS = _corpus("requests.jsonl")
ANSWER_SEEDS = _corpus("answers.jsonl")


class Grammar:
    """Draws from one Random; ``oddness`` is the probability of a trick at each place."""

    def __init__(self, rng: Random, oddness: float) -> None:
        self._rng = rng
        self._oddness = oddness
        self._n = 0

    def _one(self, usual: tuple[bytes, ...], odd: tuple[bytes, ...]) -> bytes:
        rng = self._rng
        return rng.choice(odd) if rng.random() < self._oddness else rng.choice(usual)

    def _is_odd(self) -> bool:
        return self._rng.random() < self._oddness

    def _payload(self) -> bytes:
        """Draw bytes that nobody else has; some look like messages, some are large."""
        rng = self._rng
        self._n += 1
        mark = b"<%d.%x>" % (self._n, rng.getrandbits(32))
        kind = rng.random()
        if kind < 0.15:
            return mark + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        if kind < 0.25:
            return mark + b"0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        if kind < 0.30:
            return mark * rng.randrange(1, 3000)
        if kind < 0.38:
            return rng.randbytes(rng.randrange(1, 60))
        return mark

    def chunks(self, payload: bytes) -> bytes:
        """Frame ``payload`` in chunks, with a trick perhaps."""
        rng = self._rng
        out = []
        at = 0
        while at < len(payload):
            size = rng.choice((1, 2, 7, 100, len(payload)))
            piece = payload[at : at + size]
            at += len(piece)
            form = rng.choice(ODD_SIZES) if self._is_odd() else b"%x"
            line = form.replace(b"%x", b"%x" % len(piece)).replace(b"%X", b"%X" % len(piece))
            after = (
                rng.choice((b"", b"\n", b"XX", b"\r", b"\n\r", b"\r\n\r\n"))
                if (self._is_odd() and rng.random() < 0.4)
                else b"\r\n"
            )
            out.append(line + b"\r\n" + piece + after)
        out.append(self._one((b"0\r\n\r\n",), ODD_ENDS))
        return b"".join(out)

    def _framed(self, payload: bytes, lines: list[bytes]) -> bytes:
        """Add framing fields to ``lines``; return the body as it goes on the wire."""
        rng = self._rng
        if rng.random() < 0.45:
            coding = self._one((b"chunked",), ODD_CODINGS)
            lines.append(rng.choice((b"Transfer-Encoding: ", b"transfer-encoding:")) + coding)
            return self.chunks(payload)
        form = rng.choice(ODD_LENGTHS) if self._is_odd() else b"%d"
        length = form.replace(b"%d", b"%d" % len(payload))
        lines.append(rng.choice((b"Content-Length: ", b"content-length:")) + length)
        return payload

    def request(self) -> bytes:
        """Draw one request."""
        rng = self._rng
        if rng.random() < 0.08:
            return rng.choice(REQUEST_SEEDS)
        method = self._one(METHODS, ODD_METHODS)
        line = b" ".join(
            (method, self._one(TARGETS, ODD_TARGETS), self._one(VERSIONS, ODD_VERSIONS))
        )
        lines = [self._one(HOSTS, ODD_HOSTS)]
        lines += [self._one(FIELDS, ODD_FIELDS) for _ in range(rng.choice((0, 0, 1, 2, 3, 6)))]
        body = b""
        if method in (b"POST", b"PUT", b"PATCH") or rng.random() < 0.1:
            body = self._framed(self._payload() if rng.random() < 0.9 else b"", lines)
        rng.shuffle(lines)
        ending = self._one((b"\r\n",), (b"\n", b"\r", b"\r\r\n", b"\n\r\n", b"\r\n\r\n", b""))
        head = line + ending + b"".join(one + b"\r\n" for one in lines if one)
        before = (
            rng.choice((b"\r\n", b"\n", b"\r\n\r\n", b" ", b"\r", b"\x00"))
            if (self._is_odd() and rng.random() < 0.3)
            else b""
        )
        return before + head + b"\r\n" + body

    def requests(self) -> bytes:
        """Draw what one client sends: one request or a few, pipelined."""
        return b"".join(self.request() for _ in range(self._rng.choice((1, 1, 1, 2, 3, 5))))

    def answer(self) -> tuple[bytes, bool]:
        """Draw one answer; return (bytes, whether it ends with its connection)."""
        rng = self._rng
        if rng.random() < 0.08:
            return rng.choice(ANSWER_SEEDS), rng.random() < 0.5
        status = self._one(STATUSES, ODD_STATUSES)
        version = self._one((b"HTTP/1.1",) * 9 + (b"HTTP/1.0",), ODD_VERSIONS)
        lines = [
            self._one(ANSWER_FIELDS, ODD_ANSWER_FIELDS) for _ in range(rng.choice((0, 0, 1, 2, 4)))
        ]
        payload = self._payload() if rng.random() < 0.9 else b""
        closes = rng.random() < 0.08
        body = payload if closes else self._framed(payload, lines)
        if status[:3] in (b"204", b"304") and rng.random() < 0.8:
            body = b""
        rng.shuffle(lines)
        head = version + b" " + status + b"\r\n" + b"".join(one + b"\r\n" for one in lines)
        interim = rng.choice(INTERIM) if rng.random() < 0.06 else b""
        behind = (
            rng.choice((b"X", b"\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
            if (self._is_odd() and rng.random() < 0.3)
            else b""
        )
        return interim + head + b"\r\n" + body + behind, closes or rng.random() < 0.1
