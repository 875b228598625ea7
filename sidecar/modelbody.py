"""A registration as it is sent to ``POST /v1/models``: written by the command, read here. Pure.

What is read is checked as a whole: every field has a type and a bound, and a key that is not known
is an error.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import jsonschema
import msgspec
from msgspec import Meta, Struct

from controller.lineage import (
    Artifact,
    ModelVersion,
    NotAReference,
    Rows,
    Schemas,
    Signature,
    TrainingData,
    reference,
)
from controller.rowset import RowSet, RowSetError, from_bytes

MAX_SCHEMA_BYTES = 256 * 1024
MAX_SAMPLES_BYTES = 2 * 1024 * 1024
"""Of all sample requests together: they are kept in the store."""

Word = Annotated[str, Meta(min_length=1, max_length=1_000)]
Text = Annotated[str, Meta(max_length=4_000)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Texts = Annotated[dict[Word, Text], Meta(max_length=1_000)]
Size = Annotated[int, Meta(ge=0, le=2**60)]


class BadModel(ValueError):
    """What was sent is no registration; the message says which part, and why."""


class _Artifact(Struct, forbid_unknown_fields=True):
    digest: Digest
    path: Word | None = None
    uri: Word | None = None
    files: Annotated[list[tuple[Word, Size, Digest]], Meta(max_length=100_000)] = []


class _Training(Struct, forbid_unknown_fields=True):
    name: Word
    digest: Word
    size_bytes: Size | None = None
    rows: str | None = None
    """A set of ``controller/rowset.py``, base64."""


class _Schemas(Struct, forbid_unknown_fields=True):
    request: dict[str, Any] | None = None
    response: dict[str, Any] | None = None
    inference: dict[str, Any] | None = None


class _Signature(Struct, forbid_unknown_fields=True):
    key: Word
    value: Word


class _Body(Struct, forbid_unknown_fields=True):
    name: str
    version: str
    artifact: _Artifact
    training: Annotated[list[_Training], Meta(max_length=100)] = []
    code: Word | None = None
    params: Texts = {}
    parent: str | None = None
    owner: Word | None = None
    metadata: Texts = {}
    schemas: _Schemas = msgspec.field(default_factory=_Schemas)
    samples: Annotated[list[str], Meta(max_length=1_000)] = []
    signature: _Signature | None = None
    source: Word | None = None
    who: Annotated[str, Meta(max_length=200)] = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """A registration that was read and is sound by itself."""

    model: ModelVersion
    """``by`` is who says to have sent it; ``Rows.file`` is empty until the set is kept."""
    rows: Mapping[int, bytes]
    """Sets of rows by the index of their training file, as they are to be kept."""


def write(model: ModelVersion, rows: Mapping[int, bytes]) -> bytes:
    """Return the body that offers ``model``, with the sets of ``rows`` of its training files."""
    artifact = model.artifact
    signature = model.signature
    body = {
        "name": model.name,
        "version": model.version,
        "artifact": {
            "digest": artifact.digest,
            "path": artifact.path,
            "uri": artifact.uri,
            "files": artifact.files,
        },
        "training": [
            {
                "name": data.name,
                "digest": data.digest,
                "size_bytes": data.size_bytes,
                "rows": base64.b64encode(rows[at]).decode() if at in rows else None,
            }
            for at, data in enumerate(model.training)
        ],
        "code": model.code,
        "params": model.params,
        "parent": model.parent,
        "owner": model.owner,
        "metadata": model.metadata,
        "schemas": {
            "request": model.schemas.request,
            "response": model.schemas.response,
            "inference": model.schemas.inference,
        },
        "samples": model.samples,
        "signature": signature and {"key": signature.key, "value": signature.value},
        "source": model.source,
        "who": model.by,
    }
    return json.dumps(body, ensure_ascii=True, allow_nan=False).encode()


def read(raw: bytes) -> Offer:
    """Read a body; BadModel names the first thing that is wrong with it."""
    try:
        body = msgspec.json.decode(raw, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadModel(str(error)) from error
    try:
        reference(f"{body.name}:{body.version}")
        if body.parent is not None:
            reference(body.parent)
        artifact = Artifact(
            body.artifact.digest,
            path=body.artifact.path,
            uri=body.artifact.uri,
            files=tuple(body.artifact.files),
        )
    except (NotAReference, ValueError) as error:
        raise BadModel(str(error)) from error
    training, rows = _training(body.training)
    signature = body.signature
    model = ModelVersion(
        name=body.name,
        version=body.version,
        artifact=artifact,
        training=training,
        code=body.code,
        params=body.params,
        parent=body.parent,
        owner=body.owner,
        metadata=body.metadata,
        schemas=_schemas(body.schemas),
        samples=_samples(body.samples),
        signature=None if signature is None else Signature(signature.key, signature.value),
        source=body.source,
        by=body.who.strip(),
    )
    return Offer(model, rows)


def described(data: TrainingData, rows: RowSet, file: str = "") -> TrainingData:
    """Return ``data`` with what is known of its rows."""
    known = Rows(file, rows.n_rows, len(rows.hashes), rows.is_whole, rows.columns)
    return replace(data, rows=known)


def _training(given: list[_Training]) -> tuple[tuple[TrainingData, ...], dict[int, bytes]]:
    training, rows = [], {}
    for at, one in enumerate(given):
        data = TrainingData(one.name, one.digest, one.size_bytes)
        if one.rows is not None:
            try:
                rows[at] = base64.b64decode(one.rows, validate=True)
                data = described(data, from_bytes(rows[at]))
            except (binascii.Error, ValueError, RowSetError) as error:
                raise BadModel(f"the rows of {one.name}: {error}") from error
        training.append(data)
    return tuple(training), rows


def _schemas(given: _Schemas) -> Schemas:
    for name in ("request", "response"):
        schema = getattr(given, name)
        if schema is None:
            continue
        try:
            jsonschema.validators.validator_for(schema).check_schema(schema)
        except (jsonschema.SchemaError, RecursionError) as error:
            why = getattr(error, "message", str(error))[:300]
            raise BadModel(f"the {name} schema is not a JSON Schema: {why}") from error
    inference = given.inference
    if inference is not None and not isinstance(inference.get("inputs"), list):
        raise BadModel("the inference metadata has no list `inputs`")
    for name in ("request", "response", "inference"):
        if len(msgspec.json.encode(getattr(given, name))) > MAX_SCHEMA_BYTES:
            raise BadModel(f"the {name} schema is larger than {MAX_SCHEMA_BYTES} bytes")
    return Schemas(given.request, given.response, given.inference)


def _samples(given: list[str]) -> tuple[str, ...]:
    if sum(len(sample) for sample in given) > MAX_SAMPLES_BYTES:
        raise BadModel(f"the samples are larger than {MAX_SAMPLES_BYTES} bytes together")
    for number, sample in enumerate(given, start=1):
        try:
            json.loads(sample)
        except (ValueError, RecursionError) as error:
            raise BadModel(f"sample {number} is not JSON: {error}") from error
    return tuple(given)
