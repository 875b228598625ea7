import pytest

from loadtests.plan import all_entries, choose_entries

FIRST = [
    "understudy-split",
    "understudy-mirror",
    "envoy-split",
    "envoy-mirror",
    "nginx-split",
    "nginx-mirror",
    "haproxy-split",
    "aiohttp-split",
    "aiohttp-mirror",
    "relay",
]


def names(only: str | None, works: str | None = None) -> list[str]:
    return [entry.name for entry in choose_entries(only, works)]


def test_names_are_those_that_readers_of_the_json_expect() -> None:
    assert names(None)[: len(FIRST)] == FIRST
    assert {"understudy-split-64k", "envoy-split-1m", "envoy-split-sse"} <= set(names(None))


def test_every_row_has_a_name_of_its_own() -> None:
    found = [entry.name for entry in all_entries()]
    assert len(set(found)) == len(found)


def test_whole_name_is_one_row_and_a_beginning_is_many() -> None:
    assert names("envoy-split, relay") == ["envoy-split", "relay"]
    assert names("haproxy") == [
        *("haproxy-split", "haproxy-split-64k", "haproxy-split-1m"),
        *("direct-sse", "haproxy-split-sse", "direct-open", "haproxy-split-open"),
        "haproxy-split-idle",
    ]


def test_work_chooses_among_the_rows() -> None:
    assert names("envoy", "predict") == ["envoy-split", "envoy-mirror"]
    assert names(None, "64k") == [
        *("understudy-split-64k", "envoy-split-64k", "nginx-split-64k", "haproxy-split-64k"),
        "relay-64k",
    ]


def test_row_brings_what_it_is_compared_with() -> None:
    assert names("envoy-split-open") == ["direct-open", "envoy-split-open"]
    assert names("understudy-split-2w") == ["understudy-split-1w", "understudy-split-2w"]


def test_router_alone_is_measured_only_when_it_is_named() -> None:
    assert not any(name.startswith("router") for name in names(None))
    assert names("router", "predict") == ["router-split", "router-split-signed", "router-mirror"]


def test_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'traefik'.*haproxy-split"):
        choose_entries("traefik")
    with pytest.raises(ValueError, match=r"'2m'.*64k, 1m"):
        choose_entries(None, "2m")
