"""Model versions written as people and programs read them: JSON-ready. Pure."""

from collections.abc import Iterable
from typing import Any

from controller.audit import iso
from controller.deployment import Deployment, aliases_of, stage_of
from controller.lineage import Ancestor, ModelVersion, TrainingData


def model_json(
    model: ModelVersion, found: Iterable[Deployment], *, is_whole: bool = False
) -> dict[str, Any]:
    """Return a version with its stage and aliases; ``is_whole`` adds files, schemas and samples.

    ``found`` may hold the deployments of other versions too.
    """
    own = [one for one in found if one.model == str(model.ref)]
    content: dict[str, Any] = {
        "ref": str(model.ref),
        "name": model.name,
        "version": model.version,
        "stage": stage_of(own),
        "aliases": aliases_of(own),
        "deployments": [
            {"route": one.route, "variant": one.variant, "stage": one.stage, "alias": one.alias}
            for one in own
        ],
        "artifact": _artifact_json(model, is_whole=is_whole),
        "training": [_training_json(data) for data in model.training],
        "code": model.code,
        "params": model.params,
        "parent": model.parent,
        "owner": model.owner,
        "metadata": model.metadata,
        "signed_by": model.signature.key if model.signature is not None else None,
        "source": model.source,
        "registered_by": model.by,
        "registered_at": iso(model.at_ns),
    }
    if is_whole:
        schemas = model.schemas
        content["schemas"] = {
            "request": schemas.request,
            "response": schemas.response,
            "inference": schemas.inference,
        }
        content["samples"] = list(model.samples)
    return content


def line_json(line: Iterable[Ancestor]) -> list[dict[str, Any]]:
    """Return a line of descent, the version itself first."""
    return [
        {
            "ref": one.ref,
            "generation": one.generation,
            "registered": one.model is not None,
            "digest": one.model.artifact.digest if one.model else None,
            "code": one.model.code if one.model else None,
            "training": [_training_json(data) for data in one.model.training] if one.model else [],
        }
        for one in line
    ]


def _artifact_json(model: ModelVersion, *, is_whole: bool) -> dict[str, Any]:
    artifact = model.artifact
    content: dict[str, Any] = {
        "digest": artifact.digest,
        "path": artifact.path,
        "uri": artifact.uri,
        "n_files": len(artifact.files),
        "size_bytes": artifact.size_bytes,
    }
    if is_whole:
        content["files"] = [
            {"path": path, "size_bytes": size, "sha256": digest}
            for path, size, digest in artifact.files
        ]
    return content


def _training_json(data: TrainingData) -> dict[str, Any]:
    rows = data.rows
    return {
        "name": data.name,
        "digest": data.digest,
        "size_bytes": data.size_bytes,
        "rows": None
        if rows is None
        else {
            "n_rows": rows.n_rows,
            "n_hashes": rows.n_hashes,
            "is_whole": rows.is_whole,
            "columns": list(rows.columns),
            "file": rows.file,
        },
    }
