import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from sidecar.commands.demo import EXAMPLE, GATES
from sidecar.demo.routing_copy import (
    Address,
    FreePorts,
    NotForTheDemo,
    RoutingCopy,
    copy_routing,
)
from sidecar.routefile import load_routefile


def ports_of(copy: RoutingCopy) -> list[int]:
    document = yaml.safe_load(copy.path.read_text())
    route = document["routes"][0]
    urls = [route["champion"]["url"], route["challengers"][0]["url"]]
    listens = [document["listen"], document["admin"]["listen"], *urls]
    return [int(address.rpartition(":")[2]) for address in listens]


def without_places(path: Path) -> dict[str, Any]:
    """The rules alone: what a copy must not change."""
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    route = document["routes"][0]
    for owner, key in (
        (document, "listen"),
        (document["admin"], "listen"),
        (document, "state"),
        (route["champion"], "url"),
        (route["challengers"][0], "url"),
        (route["rollout"]["stages"][0]["functional"], "samples"),
    ):
        del owner[key]
    return document


def test_copy_keeps_every_rule_of_the_example(tmp_path: Path) -> None:
    copy = copy_routing(EXAMPLE, tmp_path)
    assert without_places(copy.path) == without_places(EXAMPLE)


def test_copy_has_a_state_directory_of_its_own(tmp_path: Path) -> None:
    copy = copy_routing(EXAMPLE, tmp_path)
    assert yaml.safe_load(copy.path.read_text())["state"] == str(tmp_path / "state")


def test_samples_are_found_from_the_copy(tmp_path: Path) -> None:
    copy = copy_routing(EXAMPLE, tmp_path)
    stages = yaml.safe_load(copy.path.read_text())["routes"][0]["rollout"]["stages"]
    samples = Path(stages[0]["functional"]["samples"])
    assert samples.is_absolute() and samples.is_file()


def test_copy_and_what_is_said_of_it_agree(tmp_path: Path) -> None:
    copy = copy_routing(EXAMPLE, tmp_path)
    listen, admin, champion, challenger = ports_of(copy)
    assert copy.predict_url == f"http://127.0.0.1:{listen}/v1/models/digits:predict"
    assert copy.admin_url == f"http://127.0.0.1:{admin}"
    assert (copy.champion.name, copy.champion.address.port) == ("digits-1", champion)
    assert (copy.challenger.name, copy.challenger.address.port) == ("digits-2", challenger)
    assert copy.route == "digits"


def test_ports_that_are_taken_are_moved_and_said(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        taken = [server.getsockname()[1] for server in (one, two)]
        document = yaml.safe_load(EXAMPLE.read_text())
        document["listen"] = f"127.0.0.1:{taken[0]}"
        document["routes"][0]["champion"]["url"] = f"http://127.0.0.1:{taken[1]}"
        example = tmp_path / "example.yaml"
        example.write_text(yaml.safe_dump(document))
        folder = tmp_path / "run"
        folder.mkdir()
        copy = copy_routing(example, folder)
        found = ports_of(copy)
        assert len(set(found)) == 4
        assert not set(found) & set(taken)
        assert (taken[0], found[0]) in copy.moved and (taken[1], found[2]) in copy.moved


def test_port_that_is_free_stays() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        wanted = Address("127.0.0.1", probe.getsockname()[1])
    ports = FreePorts()
    assert ports.near(wanted) == wanted
    assert ports.moved == []


def test_no_port_is_given_twice() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        wanted = Address("127.0.0.1", probe.getsockname()[1])
    ports = FreePorts()
    assert len({ports.near(wanted).port for _ in range(20)}) == 20


def test_sidecar_that_listens_everywhere_listens_here_only(tmp_path: Path) -> None:
    document = yaml.safe_load(EXAMPLE.read_text())
    document["listen"] = "0.0.0.0:0"
    (tmp_path / "example.yaml").write_text(yaml.safe_dump(document))
    folder = tmp_path / "run"
    folder.mkdir()
    assert copy_routing(tmp_path / "example.yaml", folder).predict_url.startswith(
        "http://127.0.0.1"
    )


@pytest.mark.parametrize("key", ["listen", "admin", "routes"])
def test_file_that_the_demo_cannot_play_is_refused(tmp_path: Path, key: str) -> None:
    document = yaml.safe_load(EXAMPLE.read_text())
    del document[key]
    (tmp_path / "example.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(NotForTheDemo, match=key):
        copy_routing(tmp_path / "example.yaml", tmp_path)


def test_variant_without_a_port_is_refused_with_its_url(tmp_path: Path) -> None:
    document = yaml.safe_load(EXAMPLE.read_text())
    document["routes"][0]["champion"]["url"] = "http://models.example"
    (tmp_path / "example.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(NotForTheDemo, match=r"models\.example"):
        copy_routing(tmp_path / "example.yaml", tmp_path)


def test_sidecar_accepts_the_copy(tmp_path: Path) -> None:
    copy = copy_routing(EXAMPLE, tmp_path)
    settings = load_routefile(copy.path).settings
    assert settings.state == tmp_path / "state"


def test_the_gates_files_of_the_functional_stage_are_found_from_the_copy(tmp_path: Path) -> None:
    stages = yaml.safe_load(copy_routing(GATES, tmp_path).path.read_text())["routes"][0]["rollout"]
    functional = stages["stages"][0]["functional"]
    assert Path(functional["samples"]).is_file() and Path(functional["response_schema"]).is_file()
