"""Which routes may feed which."""

import pytest

from tests.sidecar.routing_texts import load, only_problem, problems_of_text, with_part

RANK = """\
  - name: rank
    match: {path: /rank}
    prediction: order
    champion: {name: rank-1, url: "http://127.0.0.1:9003"}
    metrics:
      errors: {kind: error, role: guardrail, margin: 1%}
"""
TAIL = "        - production: {watch: 24h, holdback: 1%}\n"


def chain(feeds: str, *, back: str = "") -> str:
    """Return a file in which fraud feeds ``feeds``, and rank ``back``."""
    text = with_part("    limits: {capture: 64KiB}\n", f"    feeds: [{feeds}]\n")
    more = RANK + (f"    feeds: [{back}]\n" if back else "")
    return text.replace(TAIL, TAIL + more)


def test_routes_know_whom_they_feed_and_who_feeds_them() -> None:
    fraud, rank = load(chain("rank")).intent.routes
    assert ([feed.route for feed in fraud.feeds], fraud.fed_by) == (["rank"], ())
    assert (rank.feeds, rank.fed_by) == ((), ("fraud",))
    assert fraud.feeds[0].metrics == rank.metrics and fraud.feeds[0].prediction == "order"


@pytest.mark.parametrize(
    ("feeds", "back", "path", "said"),
    [
        ("nothing", "", "routes[0].feeds[0]", "the name of a route of this file"),
        ("fraud", "", "routes[0].feeds[0]", "do not come back to fraud"),
        ("rank, rank", "", "routes[0].feeds[1]", "each route once"),
    ],
)
def test_route_that_is_not_there_or_there_twice_is_refused(
    feeds: str, back: str, path: str, said: str
) -> None:
    problem = only_problem(chain(feeds, back=back))
    assert problem.path == path and said in problem.expected


def test_circle_is_refused_on_both_sides() -> None:
    found = problems_of_text(chain("rank", back="fraud"))
    assert [problem.path for problem in found] == ["routes[0].feeds[0]", "routes[1].feeds[0]"]


def test_promotion_from_copies_alone_has_nothing_to_hand_on() -> None:
    line = "        - canary: {shares: [1%, 5%, 25%, 50%], at_most: 14d}\n"
    problem = only_problem(chain("rank").replace(line, ""))
    assert problem.path == "routes[0].feeds" and "a canary stage" in problem.expected
