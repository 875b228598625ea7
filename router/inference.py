"""Which requests of a route ask for a prediction. Pure.

Only those are split, mirrored and observed. Health, metadata and model administration are the
champion's alone: a copied ``unload`` would be carried out twice. What is not known to be inference
is not inference.
"""

import re
from collections.abc import Iterable

MAX_KNOWN = 1024
"""Paths whose verdict is kept; clients repeat themselves, and a client that does not pays a
regular expression each time (1 us)."""
MAX_KNOWN_BYTES = 256

# A server that tidies a path up may find another one in it than we see here.
_NOT_PLAIN = re.compile(rb"//|/\.{1,2}(?:/|$)|%(?:2[eEfF]|5[cC])")
_STARS = re.compile(r"\*+")


class Inference:
    """What is inference on one route: ``POST /v2/models/*/infer``, and the like.

    ``*`` stands for any characters but a slash, ``**`` for any at all. A method whose pattern
    covers everything that the route matches costs one look-up in a set.
    """

    __slots__ = ("_always", "_known", "_patterns")

    def __init__(self, patterns: Iterable[str], match_path: str) -> None:
        by_method: dict[str, list[str]] = {}
        for one in patterns:
            method, _, path = one.partition(" ")
            by_method.setdefault(method, []).append(path)
        self._patterns = {
            method.encode(): re.compile("|".join(map(_expression, paths)).encode())
            for method, paths in by_method.items()
        }
        self._always = frozenset(
            method.encode()
            for method, paths in by_method.items()
            if "/**" in paths or _covers_whole(self._patterns[method.encode()], match_path)
        )
        self._known: dict[bytes, bool] = {}

    def covers(self, method: bytes, path: bytes) -> bool:
        """Return whether a request is inference; ``path`` is as the client sent it, no query."""
        if method in self._always:
            return True
        pattern = self._patterns.get(method)
        if pattern is None:
            return False
        key = method + path
        known = self._known.get(key)
        if known is None:
            known = pattern.fullmatch(path) is not None and not _NOT_PLAIN.search(path)
            if len(key) <= MAX_KNOWN_BYTES:
                if len(self._known) >= MAX_KNOWN:
                    self._known.clear()
                self._known[key] = known
        return known


def _expression(path: str) -> str:
    """Return the regular expression of one pattern."""
    literal = [re.escape(part) for part in _STARS.split(path)]
    stars = ["[^/]+" if star == "*" else ".+" for star in _STARS.findall(path)]
    stars.append("")
    return "".join(part + star for part, star in zip(literal, stars, strict=True))


def _covers_whole(pattern: re.Pattern[bytes], match_path: str) -> bool:
    """Whether every path that the route matches is inference: it is one path, and that is."""
    return not match_path.endswith("*") and pattern.fullmatch(match_path.encode()) is not None
