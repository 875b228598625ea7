"""A copy of the demo's routing file for one run: a fresh state directory, ports that are free.

Only the addresses, the state directory and relative paths are changed; all rules stay as written.
"""

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from sidecar import yamltree


@dataclass(frozen=True, slots=True)
class Address:
    """Where a process of the demo listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Server:
    """One variant of the demo's route."""

    name: str
    address: Address


@dataclass(frozen=True, slots=True)
class RoutingCopy:
    """The file that the sidecar runs on, and what the other processes must know of it."""

    path: Path
    route: str
    predict_url: str
    """Through the sidecar."""
    admin_url: str
    champion: Server
    challenger: Server
    moved: tuple[tuple[int, int], ...]
    """Ports that were taken, and the ones used instead."""


class NotForTheDemo(ValueError):
    """The routing file is not one that the demo can play: whoever wrote it must change it."""


def copy_routing(example: Path, folder: Path) -> RoutingCopy:
    """Write a copy of ``example`` into ``folder`` for one run.

    Raises NotForTheDemo if the file does not have one route with an exact path, a champion and a
    challenger, and OSError if it cannot be read.
    """
    document = yaml.safe_load(example.read_text())
    ports = FreePorts()
    try:
        route = document["routes"][0]
        listen = ports.near(_address(document["listen"]))
        admin = ports.near(_address(document["admin"]["listen"]))
        champion = _move(route["champion"], ports)
        challenger = _move(route["challengers"][0], ports)
        path = route["match"]["path"]
        name = route["name"]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise NotForTheDemo(
            f"{example}: the demo needs listen, admin.listen and one route with match.path, "
            f"champion and challengers, each at host:port; found {error!r}"
        ) from error
    document["listen"], document["admin"]["listen"] = str(listen), str(admin)
    document["state"] = str(folder / "state")
    _resolve_samples(route, example.parent.resolve())
    target = folder / example.name
    target.write_text(yamltree.dump(document))
    return RoutingCopy(
        path=target,
        route=name,
        predict_url=f"http://{listen}{path}",
        admin_url=f"http://{admin}",
        champion=champion,
        challenger=challenger,
        moved=tuple(ports.moved),
    )


class FreePorts:
    """Hands out ports, each once: the wanted one if nobody listens there, else another."""

    def __init__(self) -> None:
        self.moved: list[tuple[int, int]] = []
        self._given: set[int] = set()

    def near(self, wanted: Address) -> Address:
        """Return ``wanted`` or the same host with another port."""
        if wanted.port not in self._given and _is_free(wanted):
            found = wanted
        else:
            found = Address(wanted.host, _any_port(wanted.host, self._given))
            self.moved.append((wanted.port, found.port))
        self._given.add(found.port)
        return found


def _move(variant: dict[str, Any], ports: FreePorts) -> Server:
    """Give ``variant`` a free port, in place."""
    parts = urlsplit(variant["url"])
    if parts.hostname is None or parts.port is None:
        raise ValueError(f"a variant's url must have a host and a port, got {variant['url']!r}")
    address = ports.near(Address(parts.hostname, parts.port))
    variant["url"] = f"http://{address}"
    return Server(variant["name"], address)


def _address(listen: str) -> Address:
    host, _, port = listen.rpartition(":")
    # Another machine need not reach the demo.
    return Address("127.0.0.1" if host in ("", "0.0.0.0") else host, int(port))


def _resolve_samples(route: dict[str, Any], folder: Path) -> None:
    """Files of the functional stage lie beside the example, and the copy lies elsewhere.

    What else a file names is written for each run, beside the copy.
    """
    for stage in route.get("rollout", {}).get("stages", []):
        functional = stage.get("functional")
        if isinstance(functional, dict):
            for key in ("samples", "request_schema", "response_schema"):
                if isinstance(functional.get(key), str):
                    functional[key] = str(folder / functional[key])


def _is_free(address: Address) -> bool:
    with socket.socket() as probe:
        # As servers do: connections of an earlier demo that linger in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError:
            return False
        return True


def _any_port(host: str, given: set[int]) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind((host, 0))
            port: int = probe.getsockname()[1]
        if port not in given:
            return port
