"""Who serves a unit. Pure: no clock, no randomness, no I/O."""

import hashlib

from msgspec import Struct

from router.table import BUCKETS, Route


class Decision(Struct, frozen=True):
    """What to do with one request: who answers it, who gets a copy."""

    serve: str
    mirror: str | None
    unit: int
    """63-bit hash of the unit under the route's salt."""
    bucket: int
    is_challenger: bool
    propensity: float
    """The probability, under the table in force, that this unit was given the challenger."""


def hash_unit(unit: bytes, salt: bytes) -> int:
    """Return 63 bits that stand for ``unit``: the same ones always under one salt (<= 64 bytes)."""
    digest = hashlib.blake2b(unit, key=salt, digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def bucket_of(unit: bytes, salt: bytes) -> int:
    """Return the bucket of ``unit``, in 0 .. BUCKETS - 1."""
    return hash_unit(unit, salt) % BUCKETS


def choose(route: Route, unit: bytes) -> Decision:
    """Assign ``unit`` to a variant of ``route``."""
    split, mirror = route.split, route.mirror
    hashed = hash_unit(unit, route.salt)
    bucket = hashed % BUCKETS
    is_challenger = bucket < split.challenger_buckets
    serve = split.challenger if is_challenger else split.champion
    assert serve is not None  # RoutingTable refuses a share without a challenger
    copy = (
        mirror.variant
        if mirror is not None and bucket < mirror.buckets and mirror.variant != serve
        else None
    )
    return Decision(serve, copy, hashed, bucket, is_challenger, split.challenger_buckets / BUCKETS)
