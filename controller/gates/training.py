"""What a variant was trained on: the files that the routing file names, and what is registered.

Files are read and hashed when a gate asks; of a registered version the hashes are there already.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from controller import rowset
from controller.gates.golden import GoldenError, digest_of
from controller.gates.leak import Training, TrainingFile
from controller.lineage import ModelVersion
from controller.rowfile import RowFileError, format_of, read_rows
from controller.rowset import RowSetError


def training_of(
    variant: str, files: Sequence[str], model: ModelVersion | None, rows: Path | None
) -> Training:
    """Return what is known; GoldenError for what is declared and cannot be read.

    ``rows``: the folder of registered sets of rows; without it only their digests count. Blocks on
    the disk.
    """
    found = [_read(Path(file)) for file in files]
    return Training(variant, (*found, *_registered(model, rows)))


def _read(path: Path) -> TrainingFile:
    digest = digest_of(path)
    if format_of(path) is None:  # not a table: its digest is all that can be compared
        return TrainingFile(str(path), digest)
    try:
        return TrainingFile(str(path), digest, rowset.row_set_of(read_rows(path)))
    except (RowFileError, RowSetError) as error:
        raise GoldenError(f"training data: {error}") from error


def _registered(model: ModelVersion | None, rows: Path | None) -> Iterator[TrainingFile]:
    for data in () if model is None else model.training:
        try:
            known = data.rows if rows is not None else None
            held = rowset.load(rows, known.file) if known is not None and rows is not None else None
        except RowSetError as error:
            raise GoldenError(f"training data {data.name}: {error}") from error
        yield TrainingFile(data.name, data.digest, held)
