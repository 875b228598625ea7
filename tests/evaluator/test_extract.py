"""From an answer's bytes to its prediction; most bodies here are hostile."""

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.extract import (
    MAX_BODY_BYTES,
    MAX_TEXT_CHARS,
    Extractor,
    Fields,
    canonical,
    canonical_text,
    parsed,
)
from router.observation import Outcome

CHAT = b"".join(
    b'data: {"id": "%d", "choices": [{"index": 0, "delta": {"content": "%s"}}]}\n\n' % (n, piece)
    for n, piece in enumerate((b"ye", b"s"))
)
BOMB = gzip.compress(bytes(64 * 1024 * 1024), 9)
PACKED = gzip.compress(b'{"p": 7}', mtime=0)
"""The same at each run: tests are named after it, and workers must agree on their names."""


def outcome(body: bytes, encoding: str = "") -> Outcome:
    return Outcome("v", 200, 0.01, "", body, len(body), encoding)


def test_prediction_is_read_at_its_path() -> None:
    extractor = Extractor("predictions[0].class")
    found = extractor.read(outcome(b'{"predictions": [{"class": "cat"}, {"class": "dog"}]}'))
    assert (found.text, found.reason) == ('"cat"', "")


@pytest.mark.parametrize(
    ("one", "other"), [("7", "7.0"), ("7", "7e0"), ("0", "-0.0"), ("1E2", "100"), ("[1.0]", "[1]")]
)
def test_equal_numbers_have_one_text(one: str, other: str) -> None:
    assert canonical_text(one) == canonical_text(other)


@pytest.mark.parametrize(
    ("one", "other"), [("7", '"7"'), ("1", "true"), ("0", "false"), ("7", "[7]"), ('"a"', '"A"')]
)
def test_values_of_different_types_differ(one: str, other: str) -> None:
    assert canonical_text(one) != canonical_text(other)


def test_order_of_keys_does_not_matter() -> None:
    assert canonical_text('{"a": 1, "b": 2}') == canonical_text('{"b": 2.0, "a": 1}')


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
        ),
        max_leaves=10,
    )
)
def test_canonical_text_is_a_fixed_point(value: object) -> None:
    text = canonical(value)
    assert canonical(json.loads(text)) == text


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda raw: zlib.compress(raw)[2:-4]),  # raw, as some servers send it
        ("identity", bytes),
        ("", bytes),
    ],
)
def test_content_encoding_is_undone(encoding, pack) -> None:  # type: ignore[no-untyped-def]  # a table of functions
    found = Extractor("p").read(outcome(pack(b'{"p": 7}'), encoding))
    assert found.text == "7"


@pytest.mark.parametrize(
    ("body", "encoding", "reason"),
    [
        (b"", "", "not JSON"),
        (b"\xff\xfe{", "", "not JSON"),
        (b'{"p": 7', "", "not JSON"),
        (b'{"p": 7} x', "", "not JSON"),
        (b'\xef\xbb\xbf{"p": 7}', "", "not JSON"),
        (b'{"p": NaN}', "", "NaN is not JSON"),
        (b'{"p": -Infinity}', "", "-Infinity is not JSON"),
        (b'{"p": 1e999}', "", "a number is out of range"),
        (b'{"p": ' + b"9" * 5000 + b"}", "", "an integer has too many digits"),
        (b'{"p": 1, "p": 2}', "", "a key occurs twice"),
        (b'{"q": 7}', "", "no prediction at the declared path"),
        (b'{"p": null}', "", "no prediction at the declared path"),
        (b"[" * 60_000, "", "nested too deep"),
        (b'{"p":' + b"[" * 100 + b"]" * 100 + b"}", "", "nested too deep"),
        (b'{"p": 7}', "br", "content-encoding is not gzip, deflate or identity"),
        (b'{"p": 7}', "gzip, gzip", "content-encoding is not gzip, deflate or identity"),
        (b'{"p": 7}', "gzip", "not valid gzip"),
        (b"\xff\xff\xff", "deflate", "not valid deflate"),
        (PACKED[:-3], "gzip", "compressed answer is cut short"),
        (PACKED + b"x", "gzip", "bytes after the end of the compressed answer"),
        (BOMB, "gzip", f"unpacks to more than {MAX_BODY_BYTES} bytes"),
        (b" " * (MAX_BODY_BYTES + 1), "", f"larger than {MAX_BODY_BYTES} bytes"),
    ],
)
def test_hostile_body_has_a_reason_and_no_prediction(
    body: bytes, encoding: str, reason: str
) -> None:
    found = Extractor("p").read(outcome(body, encoding))
    assert (found.text, found.reason) == (None, reason)


def test_answer_that_was_not_captured_whole_is_not_read() -> None:
    cut = Outcome("v", 200, 0.01, "", b'{"p": 7}', 9)
    assert Extractor("p").read(cut).reason == "only 8 of 9 bytes captured"


@pytest.mark.parametrize(
    "expression", ["abs(p)", "sort(@)", "p[0:1:0]", "max_by(p, &x)", "to_number(p)"]
)
@pytest.mark.parametrize("body", [b'{"p": {"x": []}}', b'{"p": "nan"}', b'[1, "a"]', b"3"])
def test_path_that_does_not_fit_the_answer_never_raises(expression: str, body: bytes) -> None:
    found = Extractor(expression).read(outcome(body))
    assert (found.text is None) == bool(found.reason)


@given(st.binary(max_size=200), st.sampled_from(["", "gzip", "deflate", "br", "x"]))
def test_no_body_makes_it_raise(body: bytes, encoding: str) -> None:
    for expression in (None, "p", "[0]", "keys(@)"):
        found = Extractor(expression).read(outcome(body, encoding))
        assert (found.text is None) == bool(found.reason)


def test_without_path_whole_bodies_are_compared_after_decoding() -> None:
    whole = Extractor(None)
    plain, packed = outcome(b"\x00\x01"), outcome(gzip.compress(b"\x00\x01"), "gzip")
    assert whole.read(plain).text == whole.read(packed).text
    assert whole.read(plain).text != whole.read(outcome(b"\x00\x02")).text


def test_path_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="not JMESPath"):
        Extractor("predictions[")


@pytest.mark.parametrize("text", ["null", "", "nope", "NaN", "1e999", "\ud800", "[" * 3000])
def test_text_that_is_no_label_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        canonical_text(text)


def test_parsing_refuses_what_is_not_utf8() -> None:
    with pytest.raises(ValueError):
        parsed('{"p": 7}'.encode("utf-16"))


def stream(body: bytes, encoding: str = "") -> Outcome:
    return Outcome("v", 200, 0.01, "", body, len(body), encoding, "sse")


def test_one_expression_reads_a_stream_and_the_answer_that_came_at_once() -> None:
    extractor = Extractor("choices[0].message.content")
    at_once = b'{"id": "x", "choices": [{"index": 0, "message": {"content": "yes"}}]}'
    whole = CHAT + b"data: [DONE]\n\n"
    assert extractor.read(stream(whole)) == extractor.read(outcome(at_once))
    assert extractor.read(stream(whole)).text == '"yes"'
    assert extractor.read(stream(gzip.compress(whole), "gzip")).text == '"yes"'


def test_whole_streams_are_compared_by_their_text_however_it_was_cut() -> None:
    other = (
        CHAT.replace(b'"ye"', b'"y"').replace(b'"s"', b'"es"').replace(b'"id": "0"', b'"id": "9"')
    )
    end = b"data: [DONE]\n\n"
    read = Extractor(None).read
    assert read(stream(CHAT + end)) == read(stream(other + end))
    assert read(stream(CHAT + end)) != read(stream(CHAT + CHAT + end))


@pytest.mark.parametrize("expression", ["choices[0].message.content", None])
def test_incomplete_stream_is_no_answer(expression: str | None) -> None:
    found = Extractor(expression).read(stream(CHAT))
    assert (found.text, found.reason) == (None, "the stream has no end marker")


def test_stream_that_was_not_captured_whole_is_not_read() -> None:
    whole = CHAT + b"data: [DONE]\n\n"
    cut = Outcome("v", 200, 0.01, "", whole[:-20], len(whole), "", "sse")
    assert "bytes captured" in Extractor("choices[0]").read(cut).reason


def test_prediction_too_long_for_a_label_is_compared_by_its_digest() -> None:
    extractor = Extractor("p")
    long, other = (b'{"p": "%b"}' % (letter * 5000) for letter in (b"a", b"b"))
    found = extractor.read(outcome(long)).text
    assert found is not None and found.startswith('"sha256:') and len(found) < MAX_TEXT_CHARS
    assert found == extractor.read(outcome(b" " + long)).text
    assert found != extractor.read(outcome(other)).text


def test_fields_are_those_that_are_there_and_never_raise() -> None:
    fields = Fields(["score", "usage.tokens", "missing", "abs(score)", "abs(name)"])
    body = b'{"score": -0.5, "usage": {"tokens": 12.0}, "name": "x"}'
    found = fields.read(Outcome("v", 200, 0.01, "", body, len(body)))
    assert found == {"score": -0.5, "usage.tokens": 12, "abs(score)": 0.5}
    assert fields.read(Outcome("v", 200, 0.01, "", body[:-1], len(body) - 1)) == {}
    assert fields.read(Outcome("v", 200, 0.01, "", body, len(body) + 1)) == {}
    assert fields.read_text('{"score":1}') == {"score": 1, "abs(score)": 1}
    assert not Fields([]) and Fields([]).read(Outcome("v", 200, 0.01, "", body, len(body))) == {}


def test_fields_are_read_from_a_stream_of_events_too() -> None:
    body = b'data: {"choices": [{"delta": {"content": "yes"}}], "usage": null}\n\ndata: [DONE]\n\n'
    outcome = Outcome("v", 200, 0.01, "", body, len(body), form="sse")
    found = Fields(["choices[0].message.content"]).read(outcome)
    assert found == {"choices[0].message.content": "yes"}


def test_field_that_is_not_jmespath_is_refused() -> None:
    with pytest.raises(ValueError, match="not JMESPath"):
        Fields(["a["])
