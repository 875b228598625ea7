"""Which route a request belongs to. Pure.

Exact paths first, then the longest prefix; of several routes on one path, the one that asks for
more (a host, a header) is tried first. The cost does not grow with the number of routes: one
look-up for exact paths; log2 of the number of distinct prefix lengths for prefixes (binary search
on lengths: Waldvogel et al., SIGCOMM 1997, section 4); and for routes that share a path one look-up
for each distinct header name among them, not one for each route.

What is left to grow: prefixes inside prefixes that all ask for a host or a header. Those that fail
are tried one after the other, longest first.
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

Demand = tuple[bytes | None, bytes | None, bytes | None]
"""Host, header name, header value; None asks for nothing."""


class Site(Generic[M]):
    """All claims on one path, and the next shorter prefix of it that has claims."""

    __slots__ = ("demanding", "names", "plain", "shorter")

    def __init__(self, shorter: "Site[M] | None") -> None:
        self.shorter = shorter
        self.plain: M | None = None
        """Asks for nothing but the path."""
        self.demanding: dict[Demand, tuple[int, M]] = {}
        """The others, with their place in the table: of equal demands the first one counts."""
        self.names: list[bytes] = []
        """The header names that they ask for."""

    def add(self, claim: M, number: int) -> None:
        """Take in a claim; of two that ask for the same the first one stays."""
        match = claim.match
        name, value = match.header if match.header is not None else (None, None)
        if match.host is None and name is None:
            if self.plain is None:
                self.plain = claim
            return
        demand = (_encoded(match.host), _encoded(name), _encoded(value))
        if demand[1] is not None and demand[1] not in self.names:
            self.names.append(demand[1])
        self.demanding.setdefault(demand, (number, claim))

    def find(self, head: RequestHead) -> M | None:
        """Return which of the claims on this path ``head`` meets.

        Only for a site with demands: otherwise it is ``plain``, and a call is saved.
        """
        host = _bare_host(head.host)
        demanding = self.demanding
        both: tuple[int, M] | None = None
        one = demanding.get((host, None, None))
        for name in self.names:
            value = head.fields.get(name)
            if value is None:
                continue
            found = demanding.get((host, name, value))
            if found is not None and (both is None or found[0] < both[0]):
                both = found
            found = demanding.get((None, name, value))
            if found is not None and (one is None or found[0] < one[0]):
                one = found
        best = both if both is not None else one
        return best[1] if best is not None else self.plain


class Matcher(Generic[M]):
    """All claims of one table."""

    def __init__(self, claims: Iterable[M]) -> None:
        self._exact: dict[bytes, Site[M]] = {}
        prefixes: dict[bytes, Site[M]] = {}
        for number, claim in enumerate(claims):
            path = claim.match.path.encode()
            is_prefix = path.endswith(b"*")
            sites, key = (prefixes, path[:-1]) if is_prefix else (self._exact, path)
            site = sites.get(key)
            if site is None:
                site = sites[key] = Site(None)
            site.add(claim, number)
        self._lengths = sorted({len(prefix) for prefix in prefixes})
        self._nodes = _signposts(prefixes, self._lengths)

    def find(self, head: RequestHead) -> M | None:
        """Return who claims ``head``, or None."""
        path = head.path
        exact = self._exact.get(path)
        if exact is not None:
            claim = exact.find(head) if exact.demanding else exact.plain
            if claim is not None:
                return claim
        site = self._longest(path)
        while site is not None:
            claim = site.find(head) if site.demanding else site.plain
            if claim is not None:
                return claim
            site = site.shorter
        return None

    def _longest(self, path: bytes) -> Site[M] | None:
        """Return the longest prefix of ``path`` that has claims.

        A node at some length says that prefixes of that length or more may fit: look longer. No
        node says that none does: look shorter.
        """
        lengths, nodes = self._lengths, self._nodes
        best: Site[M] | None = None
        low, high, size = 0, len(lengths), len(path)
        while low < high:
            middle = (low + high) >> 1
            length = lengths[middle]
            key = path[:length]
            if length <= size and key in nodes:
                best = nodes[key]
                low = middle + 1
            else:
                high = middle
        return best


def _signposts(prefixes: dict[bytes, Site[M]], lengths: list[int]) -> dict[bytes, Site[M] | None]:
    """Return every string that the binary search for a prefix passes, with its longest prefix.

    Also links each prefix to the next shorter one in it.
    """
    strings = set(prefixes)
    for prefix in prefixes:
        low, high = 0, len(lengths)
        while low < high:
            middle = (low + high) >> 1
            if lengths[middle] > len(prefix):
                high = middle
            else:
                strings.add(prefix[: lengths[middle]])
                low = middle + 1
    nodes: dict[bytes, Site[M] | None] = {}
    inside: list[bytes] = []  # prefixes that hold the string at hand, shortest first
    for string in sorted(strings):  # a prefix comes before all that it is in
        while inside and not string.startswith(inside[-1]):
            inside.pop()
        site = prefixes.get(string)
        if site is not None:
            site.shorter = prefixes[inside[-1]] if inside else None
            inside.append(string)
        nodes[string] = prefixes[inside[-1]] if inside else None
    return nodes


def _encoded(text: str | None) -> bytes | None:
    return text.encode() if text is not None else None


def _bare_host(host: bytes) -> bytes:
    name, colon, port = host.rpartition(b":")
    return (name if colon and port.isdigit() else host).lower()
