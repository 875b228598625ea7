from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from sidecar import routetype as types


def read(kind: Any, text: object) -> Any:
    return TypeAdapter(kind).validate_python(text)


def expected(kind: Any, text: object) -> str:
    with pytest.raises(ValidationError) as caught:
        read(kind, text)
    return str(caught.value.errors()[0]["msg"])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:1", ("::1", 1)),
        ("models.example.org:65535", ("models.example.org", 65_535)),
    ],
)
def test_address_is_split_into_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert read(types.Address, text) == address
    assert read(types.Url, f"http://{text}") == types.Target(*address)
    assert read(types.Url, f"https://{text}") == types.Target(*address, is_tls=True)


@pytest.mark.parametrize("text", ["8080", ":8080", "a:0", "a:65536", "a:x", "::1:80", "a b:1"])
def test_what_is_no_host_and_port_is_refused(text: str) -> None:
    assert "HOST:PORT" in expected(types.Address, text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a:1", "http://HOST:PORT, https://HOST:PORT or unix:///PATH"),
        ("ftp://a:1", "http://HOST:PORT, https://HOST:PORT or unix:///PATH"),
        ("https:a:1", "http://HOST:PORT, https://HOST:PORT or unix:///PATH"),
        ("https://a", "https://HOST:PORT with its port"),
        ("https://a:1/", "https://HOST:PORT without a path"),
        ("http://me:secret@a:1", "without credentials"),
        ("http://a:1/", "without a path"),
        ("http://a:1/v1/models", "without a path"),
        ("http://a:1?x", "without a path"),
        ("http://a", "with its port"),
        ("http://[::1]", "with its port"),
        ("http://", "with its port"),
        ("http://a b:1", "host name or address"),
        ("http://a:0", "host name or address"),
    ],
)
def test_url_with_more_or_less_than_host_and_port_says_which_part(text: str, why: str) -> None:
    assert why in expected(types.Url, text)


def test_unix_url_is_an_absolute_path() -> None:
    target = read(types.Url, "unix:///run/model.sock")
    assert target == types.Target("localhost", 80, socket="/run/model.sock")
    assert read(types.Url, "unix:///" + "x" * 106).socket == "/" + "x" * 106


@pytest.mark.parametrize(
    "text",
    ["unix:", "unix://", "unix:///", "unix:/run/a.sock", "unix://run/a.sock", "unix:///a b",
     "unix:///" + "x" * 107, "unix:///a\n"],
)  # fmt: skip
def test_unix_url_that_is_no_path_of_a_socket_is_refused(text: str) -> None:
    assert "unix:///PATH with the absolute path" in expected(types.Url, text)


@pytest.mark.parametrize("text", ["fraud-7", "a", "v1.2_3", "7", "no"])
def test_name_may_be_a_metric_label(text: str) -> None:
    assert read(types.Name, text) == text


@pytest.mark.parametrize(
    "text", ["", "-a", 'a"} 1\nfake 2', "a\n", "a b", "é", "x" * 64, "<img src=x>", "a/b"]
)
def test_name_that_could_break_a_metric_or_a_page_is_refused(text: str) -> None:
    assert "a name" in expected(types.Name, text)


@pytest.mark.parametrize("text", ["/", "/*", "/v1/models/*", "/v1/models/fraud:predict"])
def test_match_path_is_exact_or_a_prefix(text: str) -> None:
    assert read(types.MatchPath, text) == text


@pytest.mark.parametrize("text", ["", "v1", "/a*b", "/**", "/a?b", "/a b", "/é", "*"])
def test_match_path_with_other_patterns_is_refused(text: str) -> None:
    assert "a path" in expected(types.MatchPath, text)


@pytest.mark.parametrize("text", ["yes", "on", "True", "1", "no", ""])
def test_flag_is_true_or_false_and_nothing_else(text: str) -> None:
    assert read(types.Flag, "true") is True
    assert read(types.Flag, "false") is False
    assert expected(types.Flag, text) == "true or false"


@pytest.mark.parametrize("text", ["0", "65", "1.0", "1e1", "-1", "0x1", "two", "9" * 5000])
def test_workers_out_of_range_are_refused(text: str) -> None:
    assert read(types.Workers, "64") == 64
    assert expected(types.Workers, text).startswith("a whole number")


@pytest.mark.parametrize("text", ["0.009", "1", "99%", "nan", "inf", "-0.9", ".", ""])
def test_quantile_at_an_end_is_refused(text: str) -> None:
    assert read(types.Quantile, "0.95") == 0.95
    assert read(types.Quantile, ".95") == 0.95
    assert "number" in expected(types.Quantile, text)


def test_nobody_may_be_held_back() -> None:
    assert read(types.HoldbackBuckets, "0%") == 0


@pytest.mark.parametrize(
    ("kind", "fits", "does_not"),
    [
        (types.Buckets, "100%", "0%"),
        (types.Buckets, "0.01%", "100.01%"),
        (types.HalfBuckets, "50%", "50.01%"),
        (types.HoldbackBuckets, "0.01%", "50.01%"),
        (types.Level, "50%", "51%"),
        (types.Share, "100%", "101%"),
        (types.Margin, "1000%", "1001%"),
        (types.Watch, "1ms", "0s"),
        (types.PositiveDuration, "1ms", "0ms"),
    ],
)
def test_bounds_are_exact(kind: Any, fits: str, does_not: str) -> None:
    assert read(kind, fits) > 0
    assert expected(kind, does_not).startswith("a ")


@pytest.mark.parametrize("text", ["predictions[0", "a..b", "[" * 250, "x" * 257, ""])
def test_prediction_that_is_no_jmespath_is_refused(text: str) -> None:
    assert read(types.Expression, "outputs[0].data") == "outputs[0].data"
    assert expected(types.Expression, text).startswith("a JMESPath expression")


@pytest.mark.parametrize("found", [{}, [], None])
def test_mapping_where_a_text_belongs_is_refused(found: object) -> None:
    assert expected(types.Duration, found).startswith("a duration")
