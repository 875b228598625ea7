import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.demo import registration
from sidecar.demo.cast import Cast
from sidecar.demo.children import ChildDied, Children
from sidecar.demo.paperwork import Paperwork
from sidecar.demo.play import Play
from sidecar.demo.scenario import Scenario
from tests.sidecar.demo.conftest import play_of

NOTE = """
import json, os, sys
with open({path!r}, "a") as file:
    file.write(json.dumps([os.environ["UNDERSTUDY_TOKEN"], *sys.argv[1:]]) + chr(10))
"""


@pytest.fixture
async def children() -> AsyncIterator[Children]:
    children = Children()
    yield children
    await children.close()


@pytest.fixture
def paperwork(tmp_path: Path) -> Paperwork:
    training = (tmp_path / "one.ndjson", tmp_path / "two.ndjson")
    return Paperwork(tmp_path / "golden.ndjson", training, {"team": "secret"})


@pytest.fixture
def play(cast: Cast, paperwork: Paperwork, tmp_path: Path) -> Play:
    return play_of(Scenario.GATES, "better", replace(cast, paperwork=paperwork), tmp_path)


async def test_both_are_registered_with_their_files_and_the_second_names_its_parent(
    children: Children,
    paperwork: Paperwork,
    play: Play,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = tmp_path / "said"
    command = (sys.executable, "-c", NOTE.format(path=str(said)))
    monkeypatch.setattr(registration, "COMMAND", command)
    await registration.register(play, paperwork, children)
    first, second = (json.loads(line) for line in said.read_text().splitlines())
    assert first[:2] == ["secret", "digits:1"] and second[:2] == ["secret", "digits:2"]
    assert str(play.cast.champion.path) in first and str(paperwork.training[0]) in first
    assert "--parent" not in first and second[second.index("--parent") + 1] == "digits:1"


async def test_a_version_that_is_refused_ends_the_demo_with_the_reason(
    children: Children, paperwork: Paperwork, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (sys.executable, "-c", "raise SystemExit('another digest')")
    monkeypatch.setattr(registration, "COMMAND", command)
    with pytest.raises(ChildDied, match="another digest"):
        await registration.register(play, paperwork, children)
