"""Which route a request belongs to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from router.matcher import Matcher
from router.message import RequestHead
from router.table import Match
from tests.router.strategies import head_of, many


class Claim(Struct, frozen=True):
    """What a route is to the matcher."""

    match: Match
    number: int = 0


def find(head: RequestHead, *matches: Match) -> Match | None:
    claim = Matcher([Claim(match) for match in matches]).find(head)
    return claim.match if claim is not None else None


def holds(match: Match, head: RequestHead) -> bool:
    path = head.path.decode("latin-1")
    is_prefix = match.path.endswith("*")
    if not (path.startswith(match.path[:-1]) if is_prefix else path == match.path):
        return False
    if match.host is not None and head.host.decode().lower().split(":")[0] != match.host:
        return False
    if match.header is None:
        return True
    name, value = match.header
    return name.encode() in head.fields and head.fields[name.encode()] == value.encode()


def rank(claim: Claim) -> tuple[bool, int, int, int]:
    """Exact before prefix, long before short, demanding before plain, then as declared."""
    match = claim.match
    demands = (match.host is not None) + (match.header is not None)
    return (match.path.endswith("*"), -len(match.path), -demands, claim.number)


paths = st.text("ab/", max_size=4).map(lambda text: "/" + text)
matches = st.builds(
    Match,
    path=st.builds(lambda path, end: path + end, paths, st.sampled_from(["", "*"])),
    host=st.none() | st.sampled_from(["a.example", "b.example"]),
    header=st.none() | st.tuples(st.just("x-tenant"), st.sampled_from(["one", "two"])),
)


@many
@given(
    matches=st.lists(matches, max_size=12),
    path=paths,
    host=st.sampled_from(["a.example", "A.EXAMPLE:80", "b.example:8080", "c.example"]),
    tenant=st.none() | st.sampled_from(["one", "two", "three", ""]),
)
def test_matcher_equals_a_linear_search_through_all_claims(
    matches: list[Match], path: str, host: str, tenant: str | None
) -> None:
    lines = [] if tenant is None else [f"X-Tenant: {tenant}"]
    head = head_of("GET", path, *lines, host=host)
    claims = [Claim(match, number) for number, match in enumerate(matches)]
    fitting = sorted((claim for claim in claims if holds(claim.match, head)), key=rank)
    assert Matcher(claims).find(head) == (fitting[0] if fitting else None)


def test_exact_path_goes_before_every_prefix() -> None:
    exact, prefix = Match(path="/v1/a"), Match(path="/v1/a*")
    assert find(head_of("GET", "/v1/a"), prefix, exact) is exact
    assert find(head_of("GET", "/v1/ab"), prefix, exact) is prefix


def test_longest_prefix_wins() -> None:
    short, long = Match(path="/*"), Match(path="/v1/*")
    assert find(head_of("GET", "/v1/a"), short, long) is long
    assert find(head_of("GET", "/v2/a"), short, long) is short


def test_query_is_no_part_of_the_path() -> None:
    exact = Match(path="/v1/a")
    assert find(head_of("GET", "/v1/a?b=/c"), exact) is exact


def test_claim_whose_demands_fail_lets_a_shorter_prefix_have_the_request() -> None:
    demanding, plain = Match(path="/v1/*", host="b.example"), Match(path="/*")
    assert find(head_of("GET", "/v1/a"), demanding, plain) is plain


def test_more_demanding_claim_on_one_path_is_tried_first() -> None:
    plain = Match(path="/*")
    hosted = Match(path="/*", host="a.example")
    both = Match(path="/*", host="a.example", header=("x-tenant", "one"))
    head = head_of("GET", "/", "X-Tenant: one")
    assert find(head, plain, hosted, both) is both
    assert find(head_of(), plain, both, hosted) is hosted


@pytest.mark.parametrize("host", ["[::1]", "[::1]:8080"])
def test_port_is_cut_from_an_ipv6_host_but_the_address_is_not(host: str) -> None:
    match = Match(path="/*", host="[::1]")
    assert find(head_of("GET", "/", host=host), match) is match


def test_absent_header_is_not_an_empty_one() -> None:
    match = Match(path="/*", header=("x-tenant", ""))
    assert find(head_of(), match) is None
    assert find(head_of("GET", "/", "X-Tenant:"), match) is match


def test_nobody_claims_anything_in_an_empty_table() -> None:
    assert find(head_of()) is None


def test_prefix_is_found_among_thousands_of_many_lengths() -> None:
    nested = [Match(path="/" + "a" * length + "*") for length in range(300)]
    others = [Match(path=f"/{'a' * (n % 300)}b{n}/*") for n in range(3000)]
    find_any = Matcher([Claim(match) for match in nested + others]).find
    for length in range(299):
        claim = find_any(head_of("GET", "/" + "a" * length + "c"))
        assert claim is not None and claim.match is nested[length]
    for number in (0, 1, 299, 300, 2999):
        claim = find_any(head_of("GET", others[number].path[:-1] + "c"))
        assert claim is not None and claim.match is others[number]


def test_prefixes_whose_demands_fail_are_passed_by_one_after_the_other() -> None:
    demanding = [Match(path="/" + "a" * n + "*", host="b.example") for n in range(1, 50)]
    plain = Match(path="/*")
    head = head_of("GET", "/" + "a" * 60)
    assert find(head, *demanding, plain) is plain
    assert find(head_of("GET", head.path.decode(), host="b.example"), *demanding) is demanding[-1]


def test_of_thousand_hosts_on_one_path_each_gets_its_own_requests() -> None:
    matches = [Match(path="/v1/a", host=f"host-{n}.example") for n in range(1000)]
    find_any = Matcher([Claim(match) for match in matches]).find
    for n in (0, 500, 999):
        claim = find_any(head_of("GET", "/v1/a", host=f"host-{n}.example:8080"))
        assert claim is not None and claim.match is matches[n]
    assert find_any(head_of("GET", "/v1/a", host="host-1000.example")) is None


def test_of_a_host_and_a_header_that_both_hold_the_one_declared_first_wins() -> None:
    by_host = Match(path="/*", host="a.example")
    by_header = Match(path="/*", header=("x-tenant", "one"))
    head = head_of("GET", "/", "X-Tenant: one")
    assert find(head, by_host, by_header) is by_host
    assert find(head, by_header, by_host) is by_header
