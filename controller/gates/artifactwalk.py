"""Every file of an artifact, in the order of their names; links are looked at and not followed."""

import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from controller.gates.archive import Found
from controller.gates.artifactitem import Budget, Hit, Item, Metered


class Unreadable(Exception):
    """A part of the artifact cannot be read: what is in it is not known."""


def walk(artifact: Path, budget: Budget) -> Iterator[Found]:
    """Yield files as items, and what should not be there as hits.

    The artifact itself may be a link (to the version that is meant); Unreadable when there is no
    such file or folder, or when a folder of it cannot be listed.
    """
    try:
        root = artifact.resolve(strict=True)
    except (OSError, RuntimeError) as exc:
        raise Unreadable(f"no artifact at {artifact}") from exc
    if root.is_dir():
        yield from _folder(root, root, budget)
    else:
        yield from _entry(root, root.parent, budget)


def _folder(folder: Path, root: Path, budget: Budget) -> Iterator[Found]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as exc:
        raise Unreadable(f"the folder {folder.relative_to(root)} cannot be listed") from exc
    for name in names:
        yield from _entry(folder / name, root, budget)


def _entry(path: Path, root: Path, budget: Budget) -> Iterator[Found]:
    budget.count()
    shown = path.relative_to(root).as_posix()
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        if not _stays(path, root):
            yield Hit(shown, "a link that leaves the folder", "dangerous")
    elif stat.S_ISDIR(mode):
        yield from _folder(path, root, budget)
    elif stat.S_ISREG(mode):
        yield Item(shown, lambda: _opened(path, budget), bool(mode & 0o111))
    else:
        yield Hit(shown, "a pipe, socket or device", "dangerous")


def _stays(link: Path, root: Path) -> bool:
    """Whether a link ends inside the folder; one that goes round in a circle does not."""
    try:
        return link.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):
        return False


def _opened(path: Path, budget: Budget) -> BinaryIO:
    # Not through a link that was put there after we looked, and not waiting for a pipe's writer.
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    raw = os.fdopen(number, "rb", buffering=0)
    return cast(BinaryIO, io.BufferedReader(Metered(cast(BinaryIO, raw), budget)))
