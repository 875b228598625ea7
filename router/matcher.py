"""Which route a request belongs to. Pure.

Exact paths first, then the longest prefix; of several routes on one path, the one that asks for
more (a host, a header) is tried first. The cost does not grow with the number of routes: one
dictionary look-up for exact paths and one for each distinct length among the prefixes.
"""

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from router.message import RequestHead
from router.table import Match


class Matched(Protocol):
    """Anything that claims requests."""

    @property
    def match(self) -> Match: ...


M = TypeVar("M", bound=Matched)


class Matcher(Generic[M]):
    """All claims of one table."""

    def __init__(self, claims: Iterable[M]) -> None:
        self._exact: dict[bytes, list[M]] = {}
        self._prefixes: dict[bytes, list[M]] = {}
        for claim in sorted(claims, key=_demands, reverse=True):
            path = claim.match.path.encode()
            if path.endswith(b"*"):
                self._prefixes.setdefault(path[:-1], []).append(claim)
            else:
                self._exact.setdefault(path, []).append(claim)
        self._lengths = sorted({len(prefix) for prefix in self._prefixes}, reverse=True)

    def find(self, head: RequestHead) -> M | None:
        """Return who claims ``head``, or None."""
        path = head.path
        for claim in self._exact.get(path, ()):
            if _meets(claim.match, head):
                return claim
        for length in self._lengths:
            for claim in self._prefixes.get(path[:length], ()):
                if _meets(claim.match, head):
                    return claim
        return None


def _demands(claim: Matched) -> int:
    return (claim.match.host is not None) + (claim.match.header is not None)


def _meets(match: Match, head: RequestHead) -> bool:
    if match.host is None and match.header is None:
        return True
    if match.host is not None and _bare_host(head.host) != match.host.encode():
        return False
    if match.header is None:
        return True
    name, value = match.header
    return head.fields.get(name.encode()) == value.encode()


def _bare_host(host: bytes) -> bytes:
    name, colon, port = host.rpartition(b":")
    return (name if colon and port.isdigit() else host).lower()
