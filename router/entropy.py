"""Random names and units, drawn from the operating system a page at a time.

``os.urandom`` costs a system call; a page of it serves 128 requests or 256 units.
"""

import os
import time

PAGE_BYTES = 4096
ID_RANDOM_CHARS = 20
"""Of the 32 hex digits of a request id: 80 bits that nobody can guess."""


class Entropy:
    """Owner: the server. Not for keys: what it gives is sent over the wire."""

    __slots__ = ("_began", "_hex", "_hex_at", "_page", "_page_at")

    def __init__(self) -> None:
        self._page = b""
        self._page_at = PAGE_BYTES
        self._began = b""
        self._hex = b""
        self._hex_at = PAGE_BYTES

    def request_id(self) -> bytes:
        """Return 32 fresh hex digits: when its page was drawn, in milliseconds, then random ones.

        Ids of one time stand together in the store's index of ids, where those of millions of
        observations wait for labels (RFC 9562, 5.7, has the same order; docs/adr/0018).
        """
        at = self._hex_at
        if at >= len(self._hex):
            self._hex = os.urandom(PAGE_BYTES // 32 * ID_RANDOM_CHARS // 2).hex().encode()
            self._began = b"%012x" % (time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF)
            at = 0
        self._hex_at = at + ID_RANDOM_CHARS
        return self._began + self._hex[at : at + ID_RANDOM_CHARS]

    def span_id(self) -> bytes:
        """Return 16 fresh hex digits, all of them random (W3C Trace Context, 7.2)."""
        return self.request_id()[-16:]

    def unit(self) -> bytes:
        """Return 16 fresh bytes."""
        at = self._page_at
        if at >= PAGE_BYTES:
            self._page = os.urandom(PAGE_BYTES)
            at = 0
        self._page_at = at + 16
        return self._page[at : at + 16]
