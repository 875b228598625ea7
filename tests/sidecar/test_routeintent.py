from pathlib import Path

from controller.gates.securityspec import ScanSpec, SecuritySpec
from controller.policy import OnTimeout, RecordSpec, StageKind, StageSpec
from evaluator.evidence import Role
from router.table import Match, Tls, Variant
from sidecar.routefile import parse_routefile
from tests.router.pki import Authority
from tests.sidecar.routing_texts import load, only_problem, with_part

WITH_EVERYTHING = (
    with_part("functional: {}", "functional: {ready: /ready, at_most: 1m, on_timeout: hold}")
    .replace("at_most: 7d", "at_most: 7d, at_least: 300, for_at_least: 3s")
    .replace("maturity: 3d", "maturity: 3d, missing: incorrect")
    .replace("{capture: 64KiB}", "{body: 2MiB, replay: 1KiB, capture: 2KiB, eject_after: 7}")
    .replace('"http://127.0.0.1:9002"', '"http://[::1]:9002", max_connections: 3')
    .replace("max_connections: 3", "max_connections: 3, timeouts: {connect: 5ms, response: 400ms}")
    .replace(
        "predict}\n".replace("predict}", 'predict"}'),
        'predict", host: A.example, header: {name: X-Tenant, value: Gold}}\n'
        "    unit: {header: X-User-Id}\n    response_header: true\n",
    )
)


def test_every_key_arrives_with_its_unit() -> None:
    [route] = load(WITH_EVERYTHING).intent.routes
    assert route.name == "fraud"
    assert route.match == Match(
        path="/v1/models/fraud:predict", host="a.example", header=("x-tenant", "Gold")
    )
    assert route.champion == Variant(name="fraud-6", host="127.0.0.1", port=9001)
    assert route.challengers == (
        Variant(
            name="fraud-7",
            host="::1",
            port=9002,
            connect_timeout_s=0.005,
            response_timeout_s=0.4,
            max_connections=3,
        ),
    )
    assert (route.unit_header, route.prediction) == ("x-user-id", "predictions[0]")
    assert (route.alpha, route.maturity_s, route.window_s) == (0.05, 259_200.0, 1_209_600.0)
    assert (route.body_limit_bytes, route.replay_bytes) == (2 << 20, 1024)
    assert (route.capture_bytes, route.eject_after, route.response_header) == (2048, 7, True)


def test_urls_and_certificates_become_a_way_to_the_variant(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = (Path(path).name for path in authority.issue("us"))
    tls = f"{{ca: ./authority.pem, cert: {cert}, key: {key}, server_name: m.test}}"
    text = with_part('"http://127.0.0.1:9001"', '"unix:///run/m.sock"').replace(
        '"http://127.0.0.1:9002"', f'"https://m.example:8443", tls: {tls}'
    )
    [route] = load(text, tmp_path).intent.routes
    assert route.champion == Variant(
        name="fraud-6", host="localhost", port=80, socket="/run/m.sock"
    )
    assert (route.challengers[0].host, route.challengers[0].port) == ("m.example", 8443)
    assert route.challengers[0].tls == Tls(
        ca=str(authority.pem), cert=str(tmp_path / cert), key=str(tmp_path / key),
        server_name="m.test",
    )  # fmt: skip


def test_https_without_more_trusts_whom_the_system_trusts() -> None:
    [route] = load(with_part("http://127.0.0.1:9001", "https://127.0.0.1:9001")).intent.routes
    assert route.champion.tls == Tls()


def test_metrics_keep_their_order_and_only_labelled_ones_have_a_missing_rule() -> None:
    [route] = load(WITH_EVERYTHING).intent.routes
    assert [metric.name for metric in route.metrics] == ["accuracy", "errors", "latency", "agrees"]
    accuracy, errors, latency, agrees = route.metrics
    assert (accuracy.role, accuracy.detect, accuracy.missing) == (Role.OBJECTIVE, 0.01, "incorrect")
    assert (errors.role, errors.margin, errors.missing) == (Role.GUARDRAIL, 0.005, "ignore")
    assert (latency.quantile, latency.margin) == (0.99, 0.1)
    assert (agrees.role, agrees.at_least) == (Role.PROXY, 0.9)


def test_stages_carry_shares_in_buckets_and_times_in_seconds() -> None:
    [route] = load(WITH_EVERYTHING).intent.routes
    functional, shadow, canary, production = route.stages
    assert [stage.kind.value for stage in route.stages] == [
        *("functional", "shadow", "canary", "production")
    ]
    assert (functional.ready_path, functional.at_most_s) == ("/ready", 60.0)
    assert functional.on_timeout is OnTimeout.HOLD
    assert (shadow.mirror_buckets, shadow.at_least, shadow.for_at_least_s) == (10_000, 300, 3.0)
    assert shadow.on_timeout is OnTimeout.ROLLBACK
    assert (canary.shares_buckets, canary.at_most_s) == ((100, 500, 2500, 5000), 1_209_600.0)
    assert (production.watch_s, production.holdback_buckets) == (86_400.0, 100)


def test_a_gate_before_traffic_has_its_time_and_stands_before_the_shadow() -> None:
    line = "        - security: {scan: {}, at_most: 2h, on_timeout: hold}\n"
    [route] = load(with_part("        - shadow:", line + "        - shadow:")).intent.routes
    assert route.stages[1] == StageSpec(
        kind=StageKind.SECURITY,
        at_most_s=7200.0,
        on_timeout=OnTimeout.HOLD,
        security=SecuritySpec(scan=ScanSpec()),
    )


def test_protocol_decides_prediction_and_ready_path_only_where_the_file_does_not() -> None:
    text = with_part('prediction: "predictions[0]"', "protocol: kserve-v1").replace(
        "      accuracy: {kind: correct, role: objective, detect: 1%}\n", ""
    )
    text = text.replace("        - production: {watch: 24h, holdback: 1%}\n", "")
    [route] = load(text).intent.routes
    assert route.prediction == "predictions"
    assert route.stages[0].ready_path == "/v1/models/fraud"
    [declared] = load(
        WITH_EVERYTHING.replace("unit:", "protocol: kserve-v1\n    unit:")
    ).intent.routes
    assert declared.prediction == "predictions[0]"
    assert declared.stages[0].ready_path == "/ready"


def test_inference_is_the_protocols_or_what_the_file_declares() -> None:
    [route] = load(WITH_EVERYTHING).intent.routes
    assert route.inference == ("POST /**",)
    text = with_part("    prediction:", "    inference: [/v1/models/*, GET /x]\n    prediction:")
    [route] = load(text).intent.routes
    assert route.inference == ("POST /v1/models/*", "GET /x")


def test_route_without_challengers_has_no_experiment() -> None:
    text = 'routes: [{name: a, match: {path: /}, champion: {name: b, url: "http://c:1"}}]\n...\n'
    [route] = load(text).intent.routes
    assert not route.has_experiment
    assert (route.stages, route.metrics, route.prediction) == ((), (), None)


def test_declared_upgrades_arrive_and_another_http_is_never_one() -> None:
    text = with_part("    prediction:", "    upgrade: [websocket, mqtt/3.1]\n    prediction:")
    assert load(text).intent.routes[0].upgrade == ("websocket", "mqtt/3.1")
    for token in ("h2c", "h2", "HTTP/2.0", "http/3", "tls/1.2", "WebSocket"):
        problem = only_problem(text.replace("mqtt/3.1", token))
        assert problem.path == "routes[0].upgrade[1]"


def test_stream_of_events_has_an_idle_time_of_its_own() -> None:
    text = WITH_EVERYTHING.replace("response: 400ms", "response: 400ms, idle: 90s")
    [route] = load(text).intent.routes
    assert route.challengers[0].idle_timeout_s == 90.0
    assert route.champion.idle_timeout_s == 60.0


def test_headers_of_a_copy_are_named_in_lower_case_and_keys_are_left_out_by_default() -> None:
    [route] = load(WITH_EVERYTHING).intent.routes
    assert (route.copy_only, "x-api-key" in route.copy_strip) == (None, True)
    declared = "    mirror_headers: {strip: [X-Own], only: [Accept]}\n    prediction:"
    [route] = load(with_part("    prediction:", declared)).intent.routes
    assert (route.copy_strip, route.copy_only) == (("x-own",), ("accept",))


def test_recording_has_an_absolute_folder_and_bytes_and_is_off_by_default(tmp_path: Path) -> None:
    assert load(WITH_EVERYTHING).intent.record is None
    text = "record: {folder: ../kept, size: 2MiB}\n" + WITH_EVERYTHING
    record = parse_routefile(text.encode(), tmp_path / "routing.yaml").intent.record
    assert record == RecordSpec(str(tmp_path.parent / "kept"), 2 << 20)


def test_recording_too_small_for_its_files_is_refused() -> None:
    problem = only_problem("record: {folder: kept, size: 1000KiB}\n" + WITH_EVERYTHING)
    assert problem.path == "record.size"
