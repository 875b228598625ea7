import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.launch import free_port
from loadtests.peers import Site, write
from loadtests.understudy import ROUTE, add_challengers, is_in_force, read_dropped, understudy_peer
from loadtests.work import Mode
from sidecar.routefile import load_routefile

MODES = [Mode.SPLIT, Mode.MIRROR]
IN_PHASE: dict[Mode, dict[str, object]] = {
    Mode.SPLIT: {"phase": "canary", "share": 0.5, "mirror_share": 0.0},
    Mode.MIRROR: {"phase": "shadow", "share": 0.0, "mirror_share": 1.0},
}


class Sidecar(http.server.BaseHTTPRequestHandler):
    """Tells the route's status, and answers predictions."""

    status: dict[str, object]

    def do_GET(self) -> None:
        found = self.path == "/v1/status"
        self._answer(200 if found else 404, json.dumps(self.status).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._answer(200, b"{}")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def make_status(route: dict[str, object], *router_versions: int) -> dict[str, object]:
    return {
        "table_version": 2,
        "routers": [{"table_version": version} for version in router_versions],
        "routes": [{"name": ROUTE, **route}],
    }


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sidecar) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def make_site(directory: Path, port: int, admin_port: int) -> Site:
    return Site(
        directory=directory,
        port=port,
        champion_port=19002,
        challenger_port=19003,
        admin_port=admin_port,
    )


@pytest.mark.parametrize("mode", MODES)
def test_routing_file_is_one_that_the_sidecar_accepts(mode: Mode, tmp_path: Path) -> None:
    path = write(f"understudy-{mode.value}.yaml", make_site(tmp_path, 19001, 19004))
    (route,) = load_routefile(Path(path)).intent.routes
    assert route.name == ROUTE
    assert (route.champion.port, route.challengers[0].port) == (19002, 19003)


@pytest.mark.parametrize("mode", MODES)
def test_peer_is_ready_when_its_router_is_in_the_phase_that_the_mode_needs(
    mode: Mode, port: int, tmp_path: Path
) -> None:
    peer, site = understudy_peer(mode), make_site(tmp_path, port, port)
    (other,) = (each for each in MODES if each is not mode)
    Sidecar.status = make_status(IN_PHASE[other], 2)
    assert not peer.is_ready(site)
    Sidecar.status = make_status(IN_PHASE[mode], 2)
    assert peer.is_ready(site)
    Sidecar.status = make_status(IN_PHASE[mode], 1)  # the router has not swapped yet
    assert not peer.is_ready(site)
    Sidecar.status = make_status(IN_PHASE[mode])  # the router has not connected yet
    assert not peer.is_ready(site)
    Sidecar.status = {"version": "0.1.0"}  # the controller has only just started
    assert not peer.is_ready(site)


def test_peer_whose_controller_is_not_up_is_not_ready(port: int, tmp_path: Path) -> None:
    site = make_site(tmp_path, port, free_port())
    with pytest.raises(OSError):
        understudy_peer(Mode.SPLIT).is_ready(site)


def test_routers_alone_are_the_data_plane() -> None:
    is_data_plane = understudy_peer(Mode.SPLIT).is_data_plane
    assert is_data_plane("/venv/bin/python -m router.worker --listen-fd 7")
    assert not is_data_plane("/venv/bin/python -m sidecar.process routing.yaml")
    assert not is_data_plane("/venv/bin/python /venv/bin/understudy run routing.yaml")


def test_every_worker_must_work_by_the_table() -> None:
    wanted: dict[str, object] = {"phase": "canary"}
    assert is_in_force(make_status({"phase": "canary"}, 2, 2), wanted, workers=2)
    assert not is_in_force(make_status({"phase": "canary"}, 2), wanted, workers=2)
    assert not is_in_force(make_status({"phase": "canary"}, 2, 1), wanted, workers=2)


def test_further_challengers_wait_behind_the_first(tmp_path: Path) -> None:
    path = Path(write("understudy-split.yaml", make_site(tmp_path, 19001, 19004)))
    path.write_text(add_challengers(path.read_text(), 15))
    (route,) = load_routefile(path).intent.routes
    assert [each.name for each in route.challengers] == [f"bench-{n}" for n in range(2, 18)]
    assert {each.port for each in route.challengers} == {19003}


def test_dropped_observations_are_summed_over_all_routers() -> None:
    name = "understudy_observations_dropped_total"
    text = (
        f'# TYPE {name} counter\n{name}{{reason="buffer_full"}} 3.0\n{name}{{reason="late"}} 4.0\n'
    )
    assert read_dropped(text) == 7.0
    assert read_dropped("") == 0.0
