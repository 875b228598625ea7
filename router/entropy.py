"""Random names and units, drawn from the operating system a page at a time.

``os.urandom`` costs a system call; a page of it serves 128 requests.
"""

import os

PAGE_BYTES = 4096


class Entropy:
    """Owner: the server. Not for keys: what it gives is sent over the wire."""

    __slots__ = ("_at", "_hex", "_page")

    def __init__(self) -> None:
        self._page = b""
        self._hex = b""
        self._at = PAGE_BYTES

    def draw(self) -> tuple[bytes, bytes]:
        """Return (a fresh request id, 32 hex digits; a fresh unit, 16 bytes), unrelated."""
        at = self._at
        if at + 32 > PAGE_BYTES:
            self._page = os.urandom(PAGE_BYTES)
            self._hex = self._page.hex().encode()
            at = 0
        self._at = at + 32
        return self._hex[2 * at : 2 * at + 32], self._page[at + 16 : at + 32]
