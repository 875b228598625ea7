"""Are the files of a registered version still those that were registered, and who vouches for them?

Reads the whole artifact: call it in a thread.
"""

from collections.abc import Callable
from pathlib import Path

from controller.artifact import ArtifactError, ArtifactMissing, File, Manifest, manifest_of
from controller.lineage import ModelVersion
from controller.proof import Finding
from controller.signature import SignatureFault, read_keys, verify
from evaluator.evidence import CheckState


def verify_artifact(
    model: ModelVersion, keys: str = "", on_read: Callable[[int], None] = lambda _: None
) -> Finding:
    """Look at the files of ``model`` and, with a path of trusted ``keys``, at its signature.

    TRIPPED: other files than were registered, or a signature that is missing or wrong. UNKNOWN:
    files, or keys, that cannot be read now. PASSED: as registered. The files behind a URI are not
    read: there the digest is what was declared, and the finding says so. ``on_read`` is told the
    bytes of each read; what it raises ends the look.
    """
    signed_by = ""
    if keys:
        try:
            trusted = read_keys(Path(keys))
        except SignatureFault as error:
            return Finding(CheckState.UNKNOWN, f"the trusted keys cannot be read: {error}")
        try:
            signed_by = verify(model, trusted)
        except SignatureFault as error:
            return Finding(CheckState.TRIPPED, str(error), {"registered": model.artifact.digest})
    found = _files(model, on_read)
    if signed_by and found.state is CheckState.PASSED:
        because = f"{found.because}; signed by key {signed_by}"
        return Finding(found.state, because, dict(found.numbers) | {"signed_by": signed_by})
    return found


def _files(model: ModelVersion, on_read: Callable[[int], None]) -> Finding:
    artifact = model.artifact
    numbers: dict[str, object] = {"model": str(model.ref), "registered": artifact.digest}
    if artifact.path is None:
        because = f"{model.ref} has the declared digest {artifact.digest} at {artifact.uri}"
        return Finding(CheckState.PASSED, because, numbers | {"read": False})
    try:
        found = manifest_of(Path(artifact.path), on_read)
    except ArtifactMissing as error:
        return Finding(CheckState.UNKNOWN, f"the files of {model.ref} cannot be read: {error}")
    except ArtifactError as error:
        return Finding(CheckState.TRIPPED, f"{model.ref}: {error}", numbers)
    numbers |= {"read": True, "found": found.digest, "bytes": found.size_bytes}
    if found.digest == artifact.digest:
        because = f"the files of {model.ref} have the registered digest {found.digest}"
        return Finding(CheckState.PASSED, because, numbers)
    registered = Manifest(tuple(File(*file) for file in artifact.files))
    because = (
        f"the files of {model.ref} have digest {found.digest}, registered is {artifact.digest} "
        f"({registered.changes(found)})"
    )
    return Finding(CheckState.TRIPPED, because, numbers)
