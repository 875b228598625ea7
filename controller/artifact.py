"""The files of a model, and the one digest that names them all.

The digest is the SHA-256 of the manifest's canonical JSON: path, size and SHA-256 of each file, in
the order of the paths' code points. So it does not depend on times, owners, modes, or the order in
which a folder lists its files, and a file that is added, removed, renamed or changed by one bit
gives another one. Files are read as streams: memory does not grow with the model.

Links and everything else that is neither file nor folder are refused: what a link points at may
change without the files doing so.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from controller.chain import canonical

CHUNK_BYTES = 1024 * 1024
MAX_FILES = 100_000
"""A manifest is kept in the store and in the audit's reach; chosen."""
MAX_PATH_CHARS = 1_000


class ArtifactError(Exception):
    """The files cannot be named by a digest; the message says which and why."""


class ArtifactMissing(ArtifactError):
    """Nothing can be read there now: that proves neither that it is right nor that it is wrong."""


@dataclass(frozen=True, slots=True, order=True)
class File:
    """One file of an artifact."""

    path: str
    """Relative to the folder, with ``/``; of a lone file its name."""
    size_bytes: int
    sha256: str
    """Hex."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """All files of an artifact."""

    files: tuple[File, ...]

    def __post_init__(self) -> None:
        paths = [file.path for file in self.files]
        if not paths or sorted(set(paths)) != paths:
            raise ValueError(f"files must be there, sorted and different, got {paths[:5]!r}")

    @property
    def size_bytes(self) -> int:
        """Return the size of all files together."""
        return sum(file.size_bytes for file in self.files)

    @property
    def digest(self) -> str:
        """Return the SHA-256 that names the artifact, hex."""
        rows = [{"path": f.path, "sha256": f.sha256, "size": f.size_bytes} for f in self.files]
        return hashlib.sha256(canonical(rows).encode()).hexdigest()

    def changes(self, other: "Manifest") -> str:
        """Say in one sentence how the files of ``other`` differ; empty if they do not."""
        ours = {file.path: file for file in self.files}
        theirs = {file.path: file for file in other.files}
        changed = [path for path in ours if path in theirs and ours[path] != theirs[path]]
        parts = [
            _named("changed", changed),
            _named("gone", sorted(ours.keys() - theirs.keys())),
            _named("new", sorted(theirs.keys() - ours.keys())),
        ]
        return ", ".join(part for part in parts if part)


def manifest_of(path: Path, on_read: Callable[[int], None] = lambda _: None) -> Manifest:
    """Read the file or folder at ``path`` and return its manifest; ``on_read`` is told the bytes.

    ArtifactMissing if it is not there or may not be read, ArtifactError for what has no digest: a
    link, a socket, a file that changes meanwhile, a folder without a file.
    """
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISDIR(mode):
            found = [_file(path / relative, relative, on_read) for relative in sorted(_paths(path))]
        else:
            found = [_file(path, path.name, on_read)]
    except OSError as error:
        raise ArtifactMissing(f"{path}: {error.strerror or error}") from error
    if not found:
        raise ArtifactError(f"{path}: there is no file in it")
    return Manifest(tuple(found))


def sha256_of(path: Path, on_read: Callable[[int], None] = lambda _: None) -> File:
    """Return name, size and digest of one file; errors as of ``manifest_of``."""
    try:
        return _file(path, path.name, on_read)
    except OSError as error:
        raise ArtifactMissing(f"{path}: {error.strerror or error}") from error


def _paths(folder: Path) -> Iterator[str]:
    """Yield the relative path of each file below ``folder``, at most MAX_FILES."""
    waiting, n_files = [""], 0
    while waiting:
        prefix = waiting.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                relative = _checked(prefix + entry.name, folder)
                if entry.is_symlink():
                    raise ArtifactError(
                        f"{folder / relative} is a link: copy what it points at into its place "
                        "(cp -rL), so that the files are the model"
                    )
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(relative + "/")
                    continue
                n_files += 1
                if n_files > MAX_FILES:
                    raise ArtifactError(f"{folder} has more than {MAX_FILES} files")
                yield relative


def _checked(relative: str, folder: Path) -> str:
    if len(relative) > MAX_PATH_CHARS:
        raise ArtifactError(f"{folder}: a path of more than {MAX_PATH_CHARS} characters")
    if any("\ud800" <= c <= "\udfff" or ord(c) < 32 for c in relative):
        raise ArtifactError(f"{folder}: a file name is not plain UTF-8: {relative!r}")
    return relative


def _file(path: Path, named: str, on_read: Callable[[int], None]) -> File:
    """Read one file; never a link, and never what blocks when it is opened (a named pipe)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        kind = _kind(path)
        if kind:
            raise ArtifactError(f"{path} is {kind}, not a file") from error
        raise
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise ArtifactError(f"{path} is {_kind(path) or 'something else'}, not a file")
        digest, n_bytes = hashlib.sha256(), 0
        while n_bytes <= before.st_size and (chunk := file.read(CHUNK_BYTES)):
            digest.update(chunk)
            n_bytes += len(chunk)
            on_read(len(chunk))
        after = os.fstat(descriptor)
    if n_bytes != before.st_size or after.st_mtime_ns != before.st_mtime_ns:
        raise ArtifactError(f"{path} was changed while it was read: register it when it is whole")
    return File(named, n_bytes, digest.hexdigest())


def _kind(path: Path) -> str:
    """Return what is at ``path`` if it is neither file nor folder; empty if it is, or is gone."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return ""
    for test, word in (
        (stat.S_ISLNK, "a link"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
        (stat.S_ISDIR, "a folder"),
    ):
        if test(mode):
            return word
    return ""


def _named(word: str, paths: list[str]) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"{word}: {', '.join(paths[:3])}{more}" if paths else ""
