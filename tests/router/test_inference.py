"""What is inference and what is not, and that the answer stays cheap."""

import pytest

import router.inference
from router.inference import Inference

V2 = ("POST /v2/models/*/infer", "POST /v2/models/*/versions/*/infer")


@pytest.mark.parametrize(
    "path",
    [b"/v2/models/fraud/infer", b"/v2/models/fraud/versions/7/infer", b"/v2/models/a%20b/infer"],
)
def test_declared_path_is_inference_with_its_method_only(path: bytes) -> None:
    inference = Inference(V2, "/v2/*")
    assert inference.covers(b"POST", path)
    assert not inference.covers(b"GET", path)
    assert not inference.covers(b"HEAD", path)


@pytest.mark.parametrize(
    "path",
    [
        b"/v2/models/fraud/infer/", b"/v2/models//infer", b"/v2/models/a/b/infer",
        b"/v2/models/fraud/INFER", b"/v2/models/fraud", b"/v2/repository/models/fraud/unload",
        b"/v2/models/fraud/infer;x", b"/", b"*",
    ],
)  # fmt: skip
def test_what_is_not_declared_is_not_inference(path: bytes) -> None:
    assert not Inference(V2, "/v2/*").covers(b"POST", path)


@pytest.mark.parametrize(
    "path",
    [
        b"/v2/models/../infer", b"/v2/models/./infer", b"/v2/models/%2e%2E/infer",
        b"/v2/models/x%2F..%2Fy/infer", b"/v2/models/a%5cb/infer",
    ],
)  # fmt: skip
def test_path_that_a_server_may_read_as_another_is_not_inference(path: bytes) -> None:
    assert not Inference(V2, "/v2/*").covers(b"POST", path)
    assert not Inference(("POST /v2/**",), "/v2/*").covers(b"POST", path)


def test_two_stars_cross_slashes_and_other_signs_are_meant_literally() -> None:
    inference = Inference(("GET /rank/**", "POST /v1/models/*:predict", "POST /a.b(c)+"), "/*")
    assert inference.covers(b"GET", b"/rank/a/b/c")
    assert inference.covers(b"POST", b"/v1/models/m:predict")
    assert inference.covers(b"POST", b"/a.b(c)+")
    assert not inference.covers(b"POST", b"/aXb(c)+")
    assert not inference.covers(b"POST", b"/rank/a")


@pytest.mark.parametrize(
    ("patterns", "match_path"),
    [(("POST /**",), "/x/*"), (V2, "/v2/models/fraud/infer"), (("POST /a", "POST /**"), "/a*")],
)
def test_route_that_is_inference_as_a_whole_looks_at_no_path(
    patterns: tuple[str, ...], match_path: str
) -> None:
    inference = Inference(patterns, match_path)
    assert inference.covers(b"POST", b"\xff never looked at")
    assert not inference.covers(b"GET", b"/v2/models/fraud/infer")


def test_memory_of_paths_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router.inference, "MAX_KNOWN", 10)
    inference = Inference(V2, "/v2/*")
    for n in range(1000):
        assert inference.covers(b"POST", b"/v2/models/m%d/infer" % n)
        assert inference.covers(b"POST", b"/v2/models/m%d/infer" % n)
        assert not inference.covers(b"POST", b"/v2/models/m%d" % n)
        assert len(inference._known) <= 10
    assert inference.covers(b"POST", b"/v2/models/" + b"m" * 5000 + b"/infer")
    assert max(map(len, inference._known)) <= router.inference.MAX_KNOWN_BYTES
