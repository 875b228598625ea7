import hashlib
import json
import os
import shutil
import socket
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller import artifact
from controller.artifact import (
    ArtifactError,
    ArtifactMissing,
    File,
    Manifest,
    manifest_of,
    sha256_of,
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(b"\0\1\2" * 1000)
    (folder / "code" / "predict.py").write_text("pass\n")
    (folder / "code.txt").write_text("")
    return folder


def test_digest_is_the_sha256_of_the_canonical_manifest(model: Path) -> None:
    """Written out by hand: anyone can compute it without us."""
    rows = []
    for path in ("code.txt", "code/predict.py", "weights.bin"):
        raw = (model / path).read_bytes()
        rows.append({"path": path, "sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)})
    text = json.dumps(rows, separators=(",", ":"), sort_keys=True)
    found = manifest_of(model)
    assert found.digest == hashlib.sha256(text.encode()).hexdigest()
    assert found.size_bytes == 3005


def test_times_modes_and_empty_folders_change_nothing(model: Path, tmp_path: Path) -> None:
    before = manifest_of(model)
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    (copy / "empty").mkdir()
    os.utime(copy / "weights.bin", (1, 1))
    (copy / "weights.bin").chmod(0o400)
    assert manifest_of(copy) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: (m / "weights.bin").write_bytes(b"\0\1\3" * 1000), "changed: weights.bin"),
        (lambda m: (m / "code.txt").unlink(), "gone: code.txt"),
        (lambda m: (m / "extra").write_text(""), "new: extra"),
        (lambda m: (m / "code.txt").rename(m / "d.txt"), "gone: code.txt, new: d.txt"),
    ],
)
def test_any_change_of_the_files_changes_the_digest_and_is_named(
    model: Path, change: object, said: str
) -> None:
    before = manifest_of(model)
    change(model)  # type: ignore[operator]
    after = manifest_of(model)
    assert after.digest != before.digest
    assert before.changes(after) == said


def test_lone_file_is_an_artifact_named_after_itself(model: Path) -> None:
    found = manifest_of(model / "weights.bin")
    assert found.files == (sha256_of(model / "weights.bin"),)
    assert found.files[0].path == "weights.bin"


def test_link_is_refused_wherever_it_is(model: Path) -> None:
    (model / "code" / "latest").symlink_to(model / "weights.bin")
    with pytest.raises(ArtifactError, match=r"code/latest is a link: copy what it points at"):
        manifest_of(model)
    with pytest.raises(ArtifactError, match="latest is a link, not a file"):
        manifest_of(model / "code" / "latest")


def test_link_to_a_folder_is_refused_and_not_followed(model: Path) -> None:
    (model / "up").symlink_to(model.parent)
    with pytest.raises(ArtifactError, match="up is a link"):
        manifest_of(model)


def test_pipe_is_refused_without_waiting_for_a_writer(model: Path) -> None:
    os.mkfifo(model / "pipe")
    with pytest.raises(ArtifactError, match="pipe is a pipe, not a file"):
        manifest_of(model)


def test_socket_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(model)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        with pytest.raises(ArtifactError, match="s is a socket, not a file"):
            manifest_of(model)


def test_file_that_grows_while_it_is_read_is_refused(model: Path) -> None:
    def grow(_: int) -> None:
        with (model / "weights.bin").open("ab") as file:
            file.write(b"more")

    with pytest.raises(ArtifactError, match="was changed while it was read"):
        sha256_of(model / "weights.bin", grow)


def test_folder_without_files_has_no_digest(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(ArtifactError, match="there is no file in it"):
        manifest_of(tmp_path / "a")


def test_what_is_not_there_is_missing_and_not_wrong(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match="No such file"):
        manifest_of(tmp_path / "gone")


def test_number_of_files_is_bounded(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "MAX_FILES", 2)
    with pytest.raises(ArtifactError, match="more than 2 files"):
        manifest_of(model)


def test_name_that_is_not_utf8_is_refused(model: Path) -> None:
    (model / os.fsdecode(b"bad\xff")).write_text("")
    with pytest.raises(ArtifactError, match="not plain UTF-8"):
        manifest_of(model)


def test_large_file_is_read_in_pieces(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    read: list[int] = []
    tracemalloc.start()
    found = sha256_of(large, read.append)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.size_bytes == sum(read) == 64 * 1024 * 1024
    assert peak < 16 * artifact.CHUNK_BYTES


FILES = st.builds(File, st.text("ab/", min_size=1), st.integers(0, 3), st.sampled_from("01"))


@given(st.lists(FILES, min_size=1), st.lists(FILES, min_size=1))
def test_manifests_share_a_digest_only_if_they_are_the_same(a: list[File], b: list[File]) -> None:
    one, other = (
        Manifest(tuple(sorted({file.path: file for file in files}.values()))) for files in (a, b)
    )
    assert (one.digest == other.digest) == (one == other)
    assert (not one.changes(other)) == (one == other)


def test_manifest_must_be_sorted_and_without_doubles() -> None:
    for files in ((), (File("b", 1, "0"), File("a", 1, "0")), (File("a", 1, "0"),) * 2):
        with pytest.raises(ValueError, match="sorted and different"):
            Manifest(files)
