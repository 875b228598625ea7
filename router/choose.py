"""Who serves a unit. Pure: no clock, no randomness, no I/O."""

import hashlib

from router.table import BUCKETS, Route


class Decision:
    """What to do with one request: who answers it, who gets a copy."""

    __slots__ = ("bucket", "is_challenger", "mirror", "propensity", "serve", "unit")

    def __init__(
        self, serve: str, mirror: str | None, unit: int, bucket: int, is_challenger: bool,
        propensity: float,
    ) -> None:  # fmt: skip
        self.serve = serve
        self.mirror = mirror
        self.unit = unit
        """63-bit hash of the unit under the route's salt."""
        self.bucket = bucket
        self.is_challenger = is_challenger
        self.propensity = propensity
        """The probability, under the table in force, that this unit was given the challenger."""


class Lot:
    """How one route shares out its units, worked out once for all draws. Immutable."""

    __slots__ = (
        "_challenger", "_challenger_buckets", "_champion", "_copy", "_copy_buckets", "_hash",
        "_propensity",
    )  # fmt: skip

    def __init__(self, route: Route) -> None:
        split, mirror = route.split, route.mirror
        self._champion = split.champion
        self._challenger = split.challenger
        self._challenger_buckets = split.challenger_buckets
        self._copy = mirror.variant if mirror is not None else None
        self._copy_buckets = mirror.buckets if mirror is not None else 0
        self._hash = hashlib.blake2b(key=route.salt, digest_size=8)
        self._propensity = split.challenger_buckets / BUCKETS

    def draw(self, unit: bytes) -> Decision:
        """Assign ``unit`` to a variant: always the same one."""
        hashed = self._hash.copy()  # with the salt in it already: a third less than a new one
        hashed.update(unit)
        number = int.from_bytes(hashed.digest(), "big") >> 1
        bucket = number % BUCKETS
        is_challenger = bucket < self._challenger_buckets
        serve = self._challenger if is_challenger else self._champion
        assert serve is not None  # RoutingTable refuses a share without a challenger
        copy = self._copy if bucket < self._copy_buckets and self._copy != serve else None
        return Decision(serve, copy, number, bucket, is_challenger, self._propensity)


def hash_unit(unit: bytes, salt: bytes) -> int:
    """Return 63 bits that stand for ``unit``: the same ones always under one salt (<= 64 bytes)."""
    digest = hashlib.blake2b(unit, key=salt, digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def bucket_of(unit: bytes, salt: bytes) -> int:
    """Return the bucket of ``unit``, in 0 .. BUCKETS - 1."""
    return hash_unit(unit, salt) % BUCKETS


def choose(route: Route, unit: bytes) -> Decision:
    """Assign ``unit`` to a variant of ``route``, as the router does."""
    return Lot(route).draw(unit)
