"""A sealed set of versions: what it says comes back, and nobody outside can say anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.chain import (
    MAX_AGE_S,
    MAX_LINKS,
    Link,
    Versions,
    extended,
    key_of,
    opened,
    seal,
)

KEY = key_of(b"k" * 32)
NOW_S = 1_800_000_000.0
LINK = Link("embed", "embed-2-ab", True, 0.05, 77)

links = st.builds(
    Link,
    st.sampled_from(["embed", "rank", "score"]),
    st.text("abc-0", max_size=20),
    st.booleans(),
    st.floats(0.0001, 0.9999),
    st.integers(0, 2**63 - 1),
)


def one(at_s: int = int(NOW_S)) -> Versions:
    return Versions(at_s, 77, (LINK,))


@given(st.lists(links, min_size=1, max_size=MAX_LINKS))
def test_what_was_sealed_is_what_is_opened(found: list[Link]) -> None:
    versions = Versions(int(NOW_S), 5, tuple(found))
    assert opened(seal(versions, KEY), KEY, NOW_S) == versions


@given(st.data())
def test_a_set_that_was_changed_anywhere_is_forged(data: st.DataObject) -> None:
    value = seal(one(), KEY)
    at = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(st.integers(33, 126).filter(lambda byte: byte != value[at]))
    changed = value[:at] + bytes([other]) + value[at + 1 :]
    assert opened(changed, KEY, NOW_S) == "forged"


@given(st.binary(max_size=3000))
def test_whatever_a_client_makes_up_is_forged(value: bytes) -> None:
    assert opened(value, KEY, NOW_S) == "forged"


def test_another_sidecars_set_is_forged() -> None:
    assert opened(seal(one(), key_of(b"o" * 32)), KEY, NOW_S) == "forged"


@pytest.mark.parametrize("away_s", [-MAX_AGE_S - 1, MAX_AGE_S + 1])
def test_a_set_of_another_hour_is_old(away_s: int) -> None:
    assert opened(seal(one(int(NOW_S) + away_s), KEY), KEY, NOW_S) == "old"


def test_each_route_is_in_a_set_once_and_the_first_one_names_the_chain() -> None:
    first = extended(None, LINK, NOW_S)
    assert (first.unit, first.links) == (77, (LINK,))
    other = Link("rank", "rank-3-cd", False, 0.5, 99)
    both = extended(first, other, NOW_S + 5)
    assert (both.at_s, both.unit, both.links) == (first.at_s, 77, (LINK, other))
    again = Link("embed", "embed-2-ab", False, 0.05, 11)
    assert extended(both, again, NOW_S).links == (other, again)


def test_a_full_set_stays_as_it_is() -> None:
    versions: Versions | None = None
    for number in range(MAX_LINKS + 2):
        link = Link(f"r{number}", "x", True, 0.5, number)
        versions = extended(versions, link, NOW_S)
    assert versions is not None and len(versions.links) == MAX_LINKS
    assert opened(seal(versions, KEY), KEY, NOW_S) == versions
