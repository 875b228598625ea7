"""Random names and units, drawn from the operating system a page at a time.

``os.urandom`` costs a system call; a page of it serves 128 requests or 256 units.
"""

import os

PAGE_BYTES = 4096


class Entropy:
    """Owner: the server. Not for keys: what it gives is sent over the wire."""

    __slots__ = ("_hex", "_hex_at", "_page", "_page_at")

    def __init__(self) -> None:
        self._page = b""
        self._page_at = PAGE_BYTES
        self._hex = b""
        self._hex_at = PAGE_BYTES

    def request_id(self) -> bytes:
        """Return 32 fresh hex digits."""
        at = self._hex_at
        if at >= len(self._hex):
            self._hex = os.urandom(PAGE_BYTES // 2).hex().encode()
            at = 0
        self._hex_at = at + 32
        return self._hex[at : at + 32]

    def unit(self) -> bytes:
        """Return 16 fresh bytes."""
        at = self._page_at
        if at >= PAGE_BYTES:
            self._page = os.urandom(PAGE_BYTES)
            at = 0
        self._page_at = at + 16
        return self._page[at : at + 16]
