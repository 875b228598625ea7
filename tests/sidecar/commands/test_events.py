"""``understudy events test``: what came back, of a real receiver."""

import asyncio
import json
from pathlib import Path

import pytest

from sidecar.commands import events
from tests.sidecar.hook import Hook
from tests.sidecar.routing_texts import with_part


def routing(folder: Path, *sections: str) -> Path:
    rows = ", ".join(f"{{{section}}}" for section in sections)
    file = folder / "routing.yaml"
    file.write_text(with_part("admin: {listen", f"events: [{rows}]\nadmin: {{listen"))
    return file


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "0123456789abcdef01234567")


async def run(file: Path, to: str | None = None, *, as_json: bool = False) -> int:
    """Run the command beside the receiver's event loop."""
    return await asyncio.to_thread(events.test, file, to=to, as_json=as_json)


async def test_each_destination_is_sent_a_test_as_the_sidecar_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Hook() as hook:
        file = routing(
            tmp_path,
            f"name: ops, url: '{hook.url}', secret_env: HOOK_SECRET, types: [promote]",
            f"name: chat, url: '{hook.url}', format: slack",
        )
        assert await run(file) == 0
        first, second = hook.got
        assert json.loads(first.body)["type"] == "understudy.test"
        assert first.headers["webhook-signature"].startswith("v1,")
        assert "This is a test" in json.loads(second.body)["text"]
        assert await run(file, "chat") == 0 and len(hook.got) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ops: taken (204)") and lines[1].startswith("chat: taken (204)")


async def test_one_that_refuses_exits_1_and_what_it_said_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Hook([403]) as hook:
        section = f"name: ops, url: '{hook.url}', secret_env: HOOK_SECRET"
        assert await run(routing(tmp_path, section), as_json=True) == 1
    row = json.loads(capsys.readouterr().out)
    assert row["taken"] is False and "403" in row["said"] and "no room" in row["said"]


def test_nobody_to_tell_and_a_file_at_fault_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    section = "name: ops, url: 'https://h.example.org/', secret_env: HOOK_SECRET"
    assert events.test(routing(tmp_path, section), to="chat", as_json=False) == 2
    assert "ops" in capsys.readouterr().err
    (tmp_path / "routing.yaml").write_text("nonsense")
    assert events.test(tmp_path / "routing.yaml", to=None, as_json=False) == 2
