"""Each peer's configuration is whole, and the peer really splits or mirrors by it."""

import dataclasses
import json
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from loadtests.cores import Cores
from loadtests.peers import (
    Peer,
    Site,
    aiohttp_peer,
    direct_peer,
    envoy_peer,
    haproxy_peer,
    nginx_peer,
    predict,
    relay_peer,
    render,
    staff,
)
from loadtests.router_alone import router_peer
from loadtests.turn import Plan, Served, Upstreams, running_peer, running_upstreams
from loadtests.understudy import understudy_peer
from loadtests.work import PREDICT, Mode

CORE = min(os.sched_getaffinity(0))
CORES = Cores(proxy=frozenset({CORE}), control=frozenset({CORE}), load=frozenset({CORE}))
PLAN = Plan(seconds=1, work=PREDICT, cores=CORES)
TEMPLATES = sorted(path.name for path in Path("loadtests/templates").resolve().iterdir())
USERS = [f"user-{number}" for number in range(60)]
OURS = [
    understudy_peer(Mode.SPLIT),
    understudy_peer(Mode.MIRROR),
    router_peer(Mode.SPLIT),
    router_peer(Mode.SPLIT, signs=True),
    router_peer(Mode.MIRROR),
    aiohttp_peer(Mode.SPLIT),
    aiohttp_peer(Mode.MIRROR),
    relay_peer(),
    direct_peer(),
]
INSTALLED = [
    envoy_peer(Mode.SPLIT),
    envoy_peer(Mode.MIRROR),
    nginx_peer(Mode.SPLIT),
    nginx_peer(Mode.MIRROR),
    haproxy_peer(),
]


def make_site(directory: Path) -> Site:
    return Site(
        directory=directory,
        port=19001,
        champion_port=19002,
        challenger_port=19003,
        admin_port=19004,
    )


@pytest.mark.parametrize(
    ("is_stream", "line"),
    [(True, "    option http-no-delay"), (False, "    no option http-no-delay")],
)
def test_haproxy_hurries_for_streams_only(is_stream: bool, line: str, tmp_path: Path) -> None:
    site = dataclasses.replace(make_site(tmp_path), is_stream=is_stream)
    assert line in render("haproxy-split.cfg", site).splitlines()


@pytest.mark.parametrize(
    ("template", "line"),
    [
        ("understudy-split.yaml", "workers: 2"),
        ("nginx-split.conf", "worker_processes 2;"),
        ("haproxy-split.cfg", "    nbthread 2"),
    ],
)
def test_every_worker_that_is_asked_for_is_configured(
    template: str, line: str, tmp_path: Path
) -> None:
    site = dataclasses.replace(make_site(tmp_path), workers=2)
    assert line in render(template, site).splitlines()


@pytest.mark.parametrize("template", TEMPLATES)
def test_configuration_is_filled_in_and_names_the_three_ports(
    template: str, tmp_path: Path
) -> None:
    text = render(template, make_site(tmp_path))
    assert "@port@" not in text
    assert "@directory@" not in text
    for port in ("19001", "19002", "19003"):
        assert port in text


def test_processes_off_the_path_are_counted_apart() -> None:
    us = os.getpid()
    peer = relay_peer()
    assert us in staff(peer, us).data_plane
    elsewhere = Peer(
        name="none",
        mode=Mode.RELAY,
        find=peer.find,
        command=peer.command,
        is_data_plane=lambda command_line: "no such program" in command_line,
    )
    assert us in staff(elsewhere, us).control


@pytest.mark.parametrize("peer", OURS, ids=lambda peer: peer.name)
def test_own_peer_does_its_work(peer: Peer, tmp_path: Path) -> None:
    check_work(peer, tmp_path)


@pytest.mark.peer
@pytest.mark.parametrize("peer", INSTALLED, ids=lambda peer: peer.name)
def test_installed_peer_does_its_work(peer: Peer, tmp_path: Path) -> None:
    if peer.find() is None:
        pytest.skip(f"{peer.name} is not installed")
    check_work(peer, tmp_path)


def check_work(peer: Peer, tmp_path: Path) -> None:
    program = peer.find()
    assert program is not None
    with (
        running_upstreams(PLAN, tmp_path) as upstreams,
        running_peer(peer, program, upstreams, PLAN) as (site, launched),
    ):
        assert staff(peer, launched.pid).data_plane
        before = settled(upstreams)
        answers = {user: [predict(peer.port(site), user) for _ in range(2)] for user in USERS}
        served = settled(upstreams) - before
    assert {status for pair in answers.values() for status, _ in pair} == {200}
    versions = {
        user: {json.loads(body)["model_version"] for _, body in pair}
        for user, pair in answers.items()
    }
    assert all(len(of_user) == 1 for of_user in versions.values()), "a user changed variant"
    by_version = Counter(version for of_user in versions.values() for version in of_user)
    if peer.mode is Mode.SPLIT:
        assert served.champion + served.challenger == 2 * len(USERS)
        assert min(by_version["champion"], by_version["challenger"]) >= len(USERS) // 5
    else:
        assert by_version == {"champion": len(USERS)}
        copies = 2 * len(USERS) if peer.mode is Mode.MIRROR else 0
        assert served == Served(champion=2 * len(USERS), challenger=copies)


def settled(upstreams: Upstreams) -> Served:
    """Return the counts once copies under way have arrived: when they stay for 50 ms."""
    last = upstreams.served()
    for _ in range(100):
        time.sleep(0.05)
        now = upstreams.served()
        if now == last:
            return now
        last = now
    raise AssertionError("the upstreams are never quiet")
