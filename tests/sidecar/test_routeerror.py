import pytest

from sidecar.routeerror import nearest
from tests.sidecar.routing_texts import only_problem, with_part


def test_unknown_key_names_the_nearest_known_one() -> None:
    problem = only_problem(with_part("{shares:", "{on_timout: hold, shares:"))
    assert problem.path == "routes[0].rollout.stages[2].canary.on_timout"
    assert (problem.line, problem.column) == (22, 20)
    assert problem.found == "unknown key on_timout"
    assert problem.expected.startswith("`on_timeout`, the nearest known key")


def test_unknown_key_like_no_other_lists_the_known_ones() -> None:
    problem = only_problem(with_part("admin: {listen: 127.0.0.1:8081}", "admin: {xyz: 1}"))
    assert problem.expected == "one of listen, tokens, read_needs_token"


def test_unknown_key_at_the_top_is_an_error() -> None:
    assert only_problem("canaryTrafficPercent: 5\n" + with_part("alpha: 5%", "alpha: 5%")).found


def test_missing_key_says_what_it_is_for_and_where_it_belongs() -> None:
    problem = only_problem(with_part('{name: fraud-6, url: "http://127.0.0.1:9001"}', "{name: a}"))
    assert (problem.path, problem.found) == ("routes[0].champion.url", "no `url`")
    assert (problem.line, problem.column) == (7, 15)
    assert "http://HOST:PORT" in problem.expected


@pytest.mark.parametrize(
    ("old", "new", "path", "found", "expected"),
    [
        ("alpha: 5%", "alpha: 0.05", "rollout.alpha", "0.05", "percent sign"),
        ("watch: 24h", "watch: 24", "rollout.stages[3].production.watch", "24", "unit"),
        ("kind: correct", "kind: corect", "metrics.accuracy.kind", "corect", "nearest: correct"),
        ("role: proxy", "role: x", "metrics.agrees.role", "x", "objective, guardrail, proxy"),
        ("shares: [1%, 5%, 25%, 50%]", "shares: 5%", "canary.shares", "5%", "a list"),
        ("shares: [1%, 5%, 25%, 50%]", "shares: []", "canary.shares", "none", "at least 1"),
        ("{capture: 64KiB}", "64KiB", "limits", "64KiB", "a mapping with keys of body"),
        (
            "functional: {}",
            "functional",
            "stages[0]",
            "functional",
            "keys of functional, performance",
        ),
        ("errors:", "'err ors':", "metrics.err ors", "err ors", "a name"),
    ],
)
def test_bad_value_says_what_was_found_and_what_was_expected(
    old: str, new: str, path: str, found: str, expected: str
) -> None:
    problem = only_problem(with_part(old, new))
    assert problem.path.startswith("routes[0].") and problem.path.endswith(path)
    assert problem.found == found
    assert expected in problem.expected


def test_file_that_is_no_mapping_says_which_keys_it_needs() -> None:
    assert "listen, tls, admin, state" in only_problem("[]\n...\n").expected
    assert "listen, tls, admin, state" in only_problem("hello\n...\n").expected


def test_route_list_without_a_route_is_refused() -> None:
    assert only_problem("routes: []\n...\n").expected == "at least 1 entry"
    assert only_problem("listen: 127.0.0.1:1\n...\n").found == "no `routes`"


def test_too_many_entries_are_counted() -> None:
    shares = ", ".join(f"{n}%" for n in range(1, 22))
    problem = only_problem(with_part("1%, 5%, 25%, 50%", shares))
    assert (problem.found, problem.expected) == ("21 entries", "at most 20")


def test_nearest_word_needs_to_be_near() -> None:
    assert nearest("Champon", ["champion", "match"]) == "champion"
    assert nearest("zzz", ["champion", "match"]) is None
