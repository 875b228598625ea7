import os
import socket
from pathlib import Path

import pytest

from controller.gates.artifactitem import Budget, Hit, Item, TooMuch
from controller.gates.artifactwalk import Unreadable, walk


def seen(artifact: Path, items: int = 100) -> list[Item | Hit]:
    return list(walk(artifact, Budget(1 << 20, items)))


def paths(artifact: Path) -> list[str]:
    return [found.path for found in seen(artifact) if isinstance(found, Item)]


def whats(artifact: Path) -> list[str]:
    return [found.what for found in seen(artifact) if isinstance(found, Hit)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    (root / "deep").mkdir(parents=True)
    (root / "b.bin").write_bytes(b"b")
    (root / "deep" / "a.bin").write_bytes(b"a")
    return root


def test_files_come_in_the_order_of_their_names(folder: Path) -> None:
    assert paths(folder) == ["b.bin", "deep/a.bin"]


def test_a_single_file_is_an_artifact_too(folder: Path) -> None:
    assert paths(folder / "b.bin") == ["b.bin"]


def test_the_artifact_itself_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(folder)
    assert paths(tmp_path / "latest") == ["b.bin", "deep/a.bin"]


def test_a_link_inside_the_folder_is_neither_followed_nor_told(folder: Path) -> None:
    (folder / "c.bin").symlink_to("deep/a.bin")
    assert (paths(folder), whats(folder)) == (["b.bin", "deep/a.bin"], [])


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "../model2", "nowhere", "c"])
def test_a_link_that_leaves_the_folder_or_ends_nowhere_is_told(folder: Path, target: str) -> None:
    (folder.parent / "model2").mkdir()
    (folder / "c").symlink_to(target)
    assert whats(folder) == ["a link that leaves the folder"]


def test_a_pipe_is_told_and_not_opened(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert whats(folder) == ["a pipe, socket or device"]
    assert paths(folder / "pipe") == []


def test_a_socket_is_told(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "s"))
        assert whats(folder) == ["a pipe, socket or device"]


def test_the_executable_bit_is_kept(folder: Path) -> None:
    (folder / "b.bin").chmod(0o755)
    [found, _] = seen(folder)
    assert isinstance(found, Item) and found.is_executable


def test_a_file_that_became_a_link_meanwhile_is_not_read(folder: Path) -> None:
    [found, _] = seen(folder)
    assert isinstance(found, Item)
    (folder / "b.bin").unlink()
    (folder / "b.bin").symlink_to("/etc/passwd")
    with pytest.raises(OSError):
        found.open()


def test_no_artifact_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(Unreadable):
        seen(tmp_path / "nothing")


def test_too_many_files_end_the_walk(folder: Path) -> None:
    with pytest.raises(TooMuch):
        seen(folder, items=2)
