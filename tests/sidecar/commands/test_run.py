"""``understudy run``: refuses what cannot start, and says why on one line."""

import socket
from pathlib import Path

import pytest

from sidecar import cgroup, listener, lockfile
from sidecar.commands import run as command
from sidecar.routefile import load_routefile
from tests.router.pki import Authority
from tests.sidecar.admin_bench import ROUTES


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(listener, "BIND_PATIENCE_S", 0.0)
    monkeypatch.setattr("sidecar.logs.configure", lambda *_: None)
    path = tmp_path / "routing.yaml"
    path.write_text("listen: 127.0.0.1:PORT\nstate: ./state\nworkers: 3\n" + ROUTES)
    return path


def exit_code(file: Path) -> object:
    with pytest.raises(SystemExit) as caught:
        command.run(file)
    return caught.value.code


def test_file_at_fault_exits_with_2_and_every_error(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(file) == 2
    assert f"{file}:1:" in capsys.readouterr().err
    assert not (file.parent / "state").exists()


def test_missing_file_exits_with_2(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(file.with_name("absent.yaml")) == 2
    assert "absent.yaml" in capsys.readouterr().err


def test_taken_port_exits_with_1_and_names_it(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file.write_text(file.read_text().replace("PORT", str(port)))
        assert exit_code(file) == 1
    assert f"127.0.0.1:{port}" in capsys.readouterr().err


def test_taken_admin_port_exits_with_1_and_names_it(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Better now than in a crash loop of the controller process."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = file.read_text().replace("PORT", "18999")
        file.write_text(f"admin: {{listen: 127.0.0.1:{port}}}\n" + text)
        assert exit_code(file) == 1
    assert f"127.0.0.1:{port}" in capsys.readouterr().err


def test_admin_port_for_others_without_a_token_exits_with_2_and_says_what_to_do(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNDERSTUDY_TOKEN", raising=False)
    text = file.read_text().replace("PORT", "18999")
    file.write_text("admin: {listen: 0.0.0.0:18998}\n" + text)
    assert exit_code(file) == 2
    said = capsys.readouterr().err
    assert "0.0.0.0" in said and "understudy token new" in said and "UNDERSTUDY_TOKEN" in said
    assert not (file.parent / "state").exists()


def test_launch_tells_the_controller_who_may_read_and_whom_to_tell(file: Path) -> None:
    hook = "{name: ops, url: 'https://h.example.org/', secret_env: S}"
    head = f"admin: {{read_needs_token: true}}\nevents: [{hook}]\n"
    file.write_text(head + file.read_text().replace("PORT", "18999"))
    launch = command.launch_of(file, load_routefile(file).settings)
    assert launch.read_needs_token
    assert [spec.name for spec in launch.events] == ["ops"]


def test_state_in_use_exits_with_1(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(file.read_text().replace("PORT", "18999"))
    (file.parent / "state").mkdir()
    with lockfile.take(file.parent / "state" / "supervisor.lock"):
        assert exit_code(file) == 1
    assert "in use" in capsys.readouterr().err


def test_launch_is_what_the_file_declares(file: Path) -> None:
    file.write_text(file.read_text().replace("PORT", "18999"))
    launch = command.launch_of(file, load_routefile(file).settings)
    assert (launch.host, launch.port, launch.workers) == ("127.0.0.1", 18999, 3)
    assert (launch.admin_host, launch.admin_port) == ("127.0.0.1", 8081)
    assert launch.state == file.parent / "state" and launch.log_level == "info"
    assert launch.tls is None
    assert (launch.stop_delay_s, launch.drain_s) == (0.0, 10.0)


def test_launch_shows_the_certificate_that_the_file_names(file: Path, tmp_path: Path) -> None:
    shown = Authority(tmp_path).server()
    tls = f"tls: {{cert: {shown.cert}, key: {shown.key}}}\n"
    file.write_text(tls + file.read_text().replace("PORT", "18999"))
    assert command.launch_of(file, load_routefile(file).settings).tls == shown


def test_memory_budget_is_the_files_or_a_share_of_the_containers(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroup, "memory_limit_bytes", lambda: 600 << 20)
    text = file.read_text().replace("PORT", "18999")
    file.write_text(text)
    assert command.launch_of(file, load_routefile(file).settings).limits.memory_bytes == 100 << 20
    file.write_text("limits: {memory: 64MiB}\n" + text)
    assert command.launch_of(file, load_routefile(file).settings).limits.memory_bytes == 64 << 20
