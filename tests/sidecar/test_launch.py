"""The command lines that the supervisor writes."""

import signal
from pathlib import Path

import pytest

from router.certificate import ServerTls
from router.overload import Limits
from sidecar.eventspec import EventSpec
from sidecar.launch import Launch, controller_command, router_command
from sidecar.natsspec import NatsSpec
from sidecar.process import options_of


def launch(state: Path, **settings: object) -> Launch:
    made = {"limits": Limits(memory_bytes=1000)} | settings
    return Launch(Path("routing.yaml"), state, "127.0.0.1", 0, "127.0.0.1", 8081, **made)  # type: ignore[arg-type] # its fields


def test_workers_get_their_sockets_and_the_common_pipe(tmp_path: Path) -> None:
    command = router_command(launch(tmp_path), 1, [7, 9], alive_fd=99)
    assert command.fds == (7, 9, 99)
    assert command.argv[1:] == (
        *("-P", "-m", "router.worker", "--worker", "1", "--listen-fd", "7", "--listen-fd", "9"),
        *("--table", str(tmp_path / "table.msgpack")),
        *("--control", str(tmp_path / "control.sock")),
        *("--alive-fd", "99", "--drain-s", "10"),
        *("--max-connections", "8192", "--max-requests", "4096", "--memory-bytes", "1000"),
        *("--lag-s", "0.1", "--log-level", "info"),
        *("--reader", "sidecar.prediction:reader"),
    )


def test_router_without_a_budget_is_told_none(tmp_path: Path) -> None:
    command = router_command(launch(tmp_path, limits=Limits()), 0, [7], alive_fd=99)
    assert "--memory-bytes" not in command.argv


def test_router_keeps_free_heap_unless_memory_has_a_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    free = router_command(launch(tmp_path, limits=Limits()), 0, [7], alive_fd=99)
    short = router_command(launch(tmp_path), 0, [7], alive_fd=99)
    assert free.environment is not None and short.environment is not None
    assert free.environment["MALLOC_TRIM_THRESHOLD_"] == str(16 * 1024 * 1024)
    assert "MALLOC_TRIM_THRESHOLD_" not in short.environment
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "0")
    asked = router_command(launch(tmp_path, limits=Limits()), 0, [7], alive_fd=99)
    assert asked.environment is not None
    assert asked.environment["MALLOC_TRIM_THRESHOLD_"] == "0"


def test_router_of_a_successor_says_when_it_is_ready(tmp_path: Path) -> None:
    command = router_command(launch(tmp_path), 0, [7], alive_fd=99, ready_fd=5)
    at = command.argv.index("--ready-fd")
    assert command.argv[at + 1] == "5" and 5 in command.fds


def test_controller_gets_what_a_reload_does_not_change(tmp_path: Path) -> None:
    """Its settings must not depend on a file that may be broken by the time it is restarted."""
    command = controller_command(launch(tmp_path), 99, [5, 6])
    assert command.fds == (99, 5, 6)
    assert command.blocked == {signal.SIGHUP, signal.SIGUSR1}
    assert command.argv[1:] == (
        *("-m", "sidecar.process", "routing.yaml", "--alive-fd", "99"),
        *("--state", str(tmp_path), "--log-level", "info"),
        *("--admin-host", "127.0.0.1", "--admin-port", "8081"),
        *("--admin-fd", "5", "--admin-fd", "6"),
    )


def test_controller_is_told_where_labels_come_from_and_who_may_send_them(tmp_path: Path) -> None:
    spec = NatsSpec(servers=("nats://h:1",), stream="S", subject="s", durable="d")
    settings = {"tokens": Path("/tokens.yaml"), "labels_from": spec}
    argv = controller_command(launch(tmp_path, **settings), 99, [5]).argv
    assert argv[-4:-1] == ("--tokens", "/tokens.yaml", "--labels-from")
    options = options_of([*argv[3:]])
    assert (options.tokens, options.labels_from) == (Path("/tokens.yaml"), spec)


def test_controller_is_told_who_may_read_and_whom_to_tell(tmp_path: Path) -> None:
    specs = (EventSpec(name="ops", url="https://h.example.org/", secret_env="S"),)
    told = launch(tmp_path, read_needs_token=True, events=specs)
    options = options_of([*controller_command(told, 99, []).argv[3:]])
    assert options.read_needs_token and options.events == specs
    options = options_of([*controller_command(launch(tmp_path), 99, []).argv[3:]])
    assert not options.read_needs_token and options.events == ()


def test_routers_are_told_which_certificate_to_show(tmp_path: Path) -> None:
    argv = router_command(launch(tmp_path, tls=ServerTls("/c", "/k")), 0, [7], alive_fd=99).argv
    assert argv[-4:] == ("--tls-cert", "/c", "--tls-key", "/k")
    asking = launch(tmp_path, tls=ServerTls("/c", "/k", "/a"))
    assert router_command(asking, 0, [7], alive_fd=99).argv[-2:] == ("--tls-client-ca", "/a")
