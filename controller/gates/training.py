"""What the routing file says a variant was trained on: files, read and hashed when a gate asks."""

from collections.abc import Sequence
from pathlib import Path

from controller.gates.golden import GoldenError, digest_of
from controller.gates.leak import Training, TrainingFile
from controller.rowfile import RowFileError, format_of, read_rows
from controller.rowset import RowSetError, row_set_of


def declared(
    files: Sequence[tuple[str, tuple[str, ...]]], variants: Sequence[str]
) -> tuple[Training, ...]:
    """Return what each of ``variants`` was trained on; GoldenError for a file that cannot be read.

    ``files``: variant and paths. Blocks on the disk.
    """
    by_variant = dict(files)
    return tuple(
        Training(variant, tuple(_read(Path(path)) for path in by_variant.get(variant, ())))
        for variant in variants
    )


def _read(path: Path) -> TrainingFile:
    digest = digest_of(path)
    if format_of(path) is None:  # not a table: its digest is all that can be compared
        return TrainingFile(str(path), digest)
    try:
        return TrainingFile(str(path), digest, row_set_of(read_rows(path)))
    except (RowFileError, RowSetError) as error:
        raise GoldenError(f"training data: {error}") from error
