import pytest

from sidecar.model.stage import Stage
from sidecar.routecheck import STAGE_ORDER
from sidecar.routefile import load_routefile
from tests.sidecar.routing_texts import ROOT, only_problem, problems_of_text, with_part

CHALLENGER = '- {name: fraud-7, url: "http://127.0.0.1:9002"}'
CHAMPION_URL = 'fraud-6, url: "http://127.0.0.1:9001"'
SECOND_ROUTE = """\
  - name: other
    match: {path: /other}
    champion: {name: other-1, url: "http://127.0.0.1:9003"}
"""


def with_second_route(old: str = "", new: str = "") -> str:
    route = SECOND_ROUTE.replace(old, new) if old else SECOND_ROUTE
    return with_part("...\n", route + "...\n")


def test_whole_file_has_no_problem() -> None:
    assert problems_of_text(with_second_route()) == []


def test_two_unix_sockets_are_two_addresses_and_one_is_one() -> None:
    champion = with_part(CHAMPION_URL, 'fraud-6, url: "unix:///run/a.sock"')
    assert problems_of_text(champion.replace("http://127.0.0.1:9002", "unix:///run/b.sock")) == []
    assert problems_of_text(champion) == []
    same = only_problem(champion.replace("http://127.0.0.1:9002", "unix:///run/a.sock"))
    assert same.path == "routes[0].challengers[0].url"


def test_stage_order_is_the_models() -> None:
    assert set(Stage.model_fields) == set(STAGE_ORDER)


@pytest.mark.parametrize(
    ("old", "new", "path", "said"),
    [
        pytest.param(
            "labels: {window: 14d, maturity: 3d}",
            "labels: {window: 14d, maturity: 3d, wanted: disagreements}\n"
            "    unit: {header: x-user-id}",
            "labels.wanted",
            "`missing: incorrect` beside it",
            id="disagreements of users, with labels that may be missing",
        ),
        pytest.param(
            "metrics:",
            "metrics:\n      srm: {kind: error, role: guardrail, margin: 1%}",
            "metrics.srm",
            "built-in check",
            id="a metric with the name of a built-in check",
        ),
        pytest.param(
            'match: {path: "/v1/models/fraud:predict"}',
            "match: {path: /score}\n    protocol: kserve-v1",
            "match",
            "/v1/models/*:predict",
            id="a path that is no inference in the protocol",
        ),
        pytest.param(
            'match: {path: "/v1/models/fraud:predict"}',
            'match: {path: "/v1/models/fraud:predict"}\n    inference: [/score]',
            "inference",
            "`inference:` declares others",
            id="inference paths that the route never sees",
        ),
        pytest.param(
            "name: fraud-7",
            "name: fraud-6",
            "challengers[0].name",
            "line 7 has it already",
            id="the challenger has the champion's name",
        ),
        pytest.param(
            CHALLENGER,
            CHALLENGER.replace("9002", "9001"),
            "challengers[0].url",
            "another address than the champion's",
            id="the challenger has the champion's address",
        ),
        pytest.param(
            CHALLENGER,
            CHALLENGER.replace("127.0.0.1:9002", "localhost:9001"),
            "challengers[0].url",
            "another address than the champion's",
            id="the challenger has the champion's address by another name",
        ),
        pytest.param(
            CHALLENGER,
            f"{CHALLENGER}\n      {CHALLENGER.replace('9002', '9003')}",
            "challengers[1].name",
            "line 9 has it already",
            id="two challengers have one name",
        ),
        pytest.param(
            CHAMPION_URL,
            CHAMPION_URL.replace("9001", "8080"),
            "champion.url",
            "own `listen`",
            id="the champion is the sidecar itself",
        ),
        pytest.param(
            CHALLENGER,
            CHALLENGER.replace("127.0.0.1:9002", "localhost:8081"),
            "challengers[0].url",
            "own `admin.listen`",
            id="the challenger is the admin port",
        ),
        pytest.param(
            CHALLENGER,
            CHALLENGER.replace("http://127.0.0.1:9002", "https://localhost:9001"),
            "challengers[0].url",
            "another address than the champion's",
            id="the challenger has the champion's address with TLS",
        ),
        pytest.param(
            CHALLENGER,
            CHALLENGER.replace('9002"', '9002", tls: {}'),
            "challengers[0].tls",
            "begins with https://",
            id="tls for a plain url",
        ),
        pytest.param(
            CHALLENGER,
            CHALLENGER.replace('http://127.0.0.1:9002"', 'https://a:9002", tls: {cert: c.pem}'),
            "challengers[0].tls.key",
            "`key` beside `cert`",
            id="a certificate without its key",
        ),
        pytest.param(
            CHALLENGER,
            CHALLENGER.replace('http://127.0.0.1:9002"', 'https://a:9002", tls: {key: k.pem}'),
            "challengers[0].tls.cert",
            "`cert` beside `key`",
            id="a key without its certificate",
        ),
        pytest.param(
            'prediction: "predictions[0]"',
            "protocol: kserve-v1",
            "metrics.accuracy.kind",
            "`prediction` on the route",
            id="correct without prediction",
        ),
        pytest.param(
            "labels: {window: 14d, maturity: 3d}",
            "response_header: true",
            "metrics.accuracy.kind",
            "`labels: {window",
            id="correct without labels",
        ),
        pytest.param(
            "maturity: 3d",
            "maturity: 15d",
            "labels.maturity",
            "no more than the window",
            id="labels mature after they are late",
        ),
        pytest.param(
            "50%], at_most: 14d",
            "50%], at_most: 3d",
            "canary.at_most",
            "more than the labels' maturity",
            id="the canary is over before a label counts",
        ),
        pytest.param(
            "capture: 64KiB", "capture: 0B", "limits.capture", "`a", id="nothing is captured"
        ),
        pytest.param(
            "- shadow: {share: 100%, at_most: 7d}\n",
            "\n",
            "metrics.agrees.kind",
            "a shadow stage",
            id="agreement without pairs",
        ),
        pytest.param(
            "shares: [1%, 5%, 25%, 50%]",
            "shares: [1%, 5%, 5%, 50%]",
            "canary.shares[2]",
            "more than 5%",
            id="a share that does not rise",
        ),
        pytest.param(
            "shares: [1%, 5%, 25%, 50%]",
            "shares: [1%, 5%, 25%, 51%]",
            "canary.shares[3]",
            "at most 50%",
            id="a share above one half",
        ),
        pytest.param(
            "50%], at_most: 14d",
            "50%], at_most: 14d, for_at_least: 4d",
            "canary.for_at_least",
            "4 steps that fit",
            id="steps that do not fit into the stage",
        ),
        pytest.param(
            "share: 100%, at_most: 7d",
            "for_at_least: 8d, at_most: 7d",
            "shadow.for_at_least",
            "no more than at_most",
            id="a shadow stage that ends before it may be left",
        ),
        pytest.param(
            "share: 100%, at_most: 7d",
            "share: 0%",
            "shadow.share",
            "above 0%",
            id="a shadow stage that mirrors nothing",
        ),
        pytest.param(
            "accuracy: {kind: correct, role: objective, detect: 1%}\n",
            "\n",
            "production",
            "`role: objective`",
            id="production without an objective",
        ),
        pytest.param(
            "watch: 24h, holdback: 1%",
            "watch: 0s, holdback: 1%",
            "production.watch",
            "no way back",
            id="no watch",
        ),
        pytest.param(
            "watch: 24h, holdback: 1%",
            "holdback: 1%",
            "production.watch",
            "no way back",
            id="watch left out",
        ),
        pytest.param(
            "watch: 24h, holdback: 1%",
            "watch: 24h",
            "production.holdback",
            "to be compared with",
            id="holdback left out",
        ),
        pytest.param(
            "watch: 24h, holdback: 1%",
            "watch: 24h, holdback: 60%",
            "production.holdback",
            "at most 50%",
            id="more held back than promoted",
        ),
        pytest.param(
            "- production: {watch: 24h, holdback: 1%}",
            "- shadow: {}",
            "stages[3].shadow",
            "each stage once",
            id="a stage twice",
        ),
        pytest.param(
            "- functional: {}",
            "",
            "",
            "",
            id="no functional stage is no problem",
        ),
        pytest.param(
            "- production: {watch: 24h, holdback: 1%}",
            "- functional: {ready: /ready, at_most: 1m}",
            "stages[3].functional",
            "each stage once",
            id="a stage twice and late",
        ),
        pytest.param(
            "admin: {listen: 127.0.0.1:8081}",
            "admin: {listen: 127.0.0.1:8080}",
            "admin.listen",
            "another port",
            id="one port for both",
        ),
        pytest.param(
            "rollout:\n      alpha: 5%\n",
            "rollout:\n      alpha: 5%\n      alhpa: 5%\n",
            "rollout.alhpa",
            "`alpha`",
            id="a key that is not known",
        ),
    ],
)
def test_what_does_not_hold_together_is_refused_in_its_place(
    old: str, new: str, path: str, said: str
) -> None:
    text = with_part(old, new)
    if not path:
        assert problems_of_text(text) == []
        return
    problem = only_problem(text)
    assert problem.path.endswith(path)
    assert said in problem.expected
    assert problem.line > 1


def test_challengers_without_rollout_are_refused() -> None:
    text = with_second_route("name: other\n", f"name: other\n    challengers: [{CHALLENGER[2:]}]\n")
    problem = only_problem(text)
    assert problem.path == "routes[1].rollout"
    assert "only a declared rule may move traffic" in problem.expected


def test_stages_out_of_order_are_refused() -> None:
    text = with_part("- functional: {}\n        - shadow: {share: 100%, at_most: 7d}", "SWAP")
    swapped = text.replace("SWAP", "- shadow: {}\n        - functional: {}")
    problem = only_problem(swapped)
    assert problem.path == "routes[0].rollout.stages[1].functional"
    assert problem.found == "functional after shadow"


def test_two_stages_in_one_entry_are_refused() -> None:
    text = with_part(
        "- functional: {}\n        - shadow: {share: 100%, at_most: 7d}",
        "- {functional: {}, shadow: {}}",
    )
    assert only_problem(text).expected == "one stage in each list entry"


def test_production_needs_a_stage_that_gathers_evidence() -> None:
    text = with_part("        - canary: {shares: [1%, 5%, 25%, 50%], at_most: 14d}\n", "")
    assert problems_of_text(text) == []
    alone = text.replace("        - shadow: {share: 100%, at_most: 7d}\n", "").replace(
        "      agrees: {kind: agreement, role: proxy, at_least: 90%}\n", ""
    )
    assert only_problem(alone).found == "production alone"


def test_canary_that_nothing_guards_is_refused() -> None:
    text = SECOND_ROUTE + (
        f"    challengers: [{CHALLENGER[2:]}]\n"
        "    metrics: {agrees: {kind: agreement, role: proxy, at_least: 90%}}\n"
        "    rollout: {stages: [shadow: {}, canary: {shares: [5%]}]}\n"
    )
    problem = only_problem(with_part("...\n", text + "...\n"))
    assert problem.found == "a canary stage that nothing guards"


def test_two_routes_that_claim_the_same_requests_are_refused() -> None:
    text = with_second_route("path: /other", 'path: "/v1/models/fraud:predict"')
    problem = only_problem(text)
    assert problem.path == "routes[1].match"
    assert problem.found == "the match of the route in line 5 again"


def test_case_of_host_and_header_name_makes_no_other_match() -> None:
    match = 'path: /x, host: A.example, header: {name: X-Tenant, value: "1"}'
    text = with_second_route("path: /other", match)
    third = SECOND_ROUTE.replace("name: other\n", "name: third\n").replace(
        "path: /other", match.replace("A.e", "a.E").replace("X-T", "x-t")
    )
    assert only_problem(text.replace("...\n", third + "...\n")).path == "routes[2].match"
    another_value = third.replace('"1"', '"2"')
    assert problems_of_text(text.replace("...\n", another_value + "...\n")) == []


def test_two_routes_of_one_name_are_refused() -> None:
    assert (
        only_problem(with_second_route("name: other\n", "name: fraud\n")).path == "routes[1].name"
    )


def test_one_mistake_hides_no_other() -> None:
    text = with_part("alpha: 5%", "alpha: 5").replace("maturity: 3d", "maturity: 15d")
    text = text.replace("listen: 127.0.0.1:8080", "listen: nowhere").replace("[1%, 5%,", "[5%, 1%,")
    text = text.replace("9002", "9001").replace("role: proxy", "role: prxy")
    paths = [problem.path for problem in problems_of_text(text)]
    assert paths == [
        "listen",
        "routes[0].challengers[0].url",
        "routes[0].metrics.agrees.role",
        "routes[0].labels.maturity",
        "routes[0].rollout.alpha",
        "routes[0].rollout.stages[2].canary.shares[1]",
    ]


def test_metric_at_fault_is_not_reported_as_missing_objective_too() -> None:
    problem = only_problem(with_part("role: objective", "role: objectve"))
    assert problem.path == "routes[0].metrics.accuracy.role"


def test_shipped_default_passes() -> None:
    assert load_routefile(ROOT / "config" / "routing.yaml").intent.routes


def test_disagreements_are_refused_for_a_metric_that_needs_every_label() -> None:
    labels = "labels: {window: 14d, maturity: 3d}"
    wanted = with_part(labels, "labels: {window: 14d, maturity: 3d, wanted: disagreements}")
    assert problems_of_text(wanted) == []
    ranks = "ranks: {kind: auc, role: guardrail, margin: 1%, of: score, positive: true}"
    found = only_problem(wanted.replace("metrics:", f"metrics:\n      {ranks}"))
    assert found.path == "routes[0].labels.wanted" and "only `kind: correct`" in str(found)
