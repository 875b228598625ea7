"""``understudy register NAME:VERSION``: a model version, with its files, lineage and signature."""

import asyncio
import getpass
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp

from controller.artifact import ArtifactError, Manifest, manifest_of, sha256_of
from controller.lineage import (
    Artifact,
    ModelVersion,
    NotAReference,
    Schemas,
    TrainingData,
    reference,
)
from controller.rowfile import RowFileError, format_of, read_rows
from controller.rowset import RowSetError, row_set_of, to_bytes
from controller.signature import SignatureFault, sign
from sidecar.adminport import AdminRefused, AdminUnreachable
from sidecar.admintoken import REMEDY, TokenMissing, read_token
from sidecar.mlflow import Mlflow, MlflowError, Source, address_of, credentials
from sidecar.modelbody import described, write
from sidecar.modelclient import register as send
from sidecar.sample import SampleError, read_samples

DONE, FAILED, USAGE, SILENT = 0, 1, 2, 3
TRACKING = "MLFLOW_TRACKING_URI"


class Wrong(Exception):
    """What was asked cannot be done; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line says."""

    ref: str
    admin: str
    artifact: Path | None = None
    uri: str | None = None
    digest: str | None = None
    training: tuple[Path, ...] = ()
    columns: str | None = None
    """Comma-separated: the only columns of training rows that count."""
    code: str | None = None
    params: tuple[str, ...] = ()
    metadata: tuple[str, ...] = ()
    parent: str | None = None
    owner: str | None = None
    request_schema: Path | None = None
    response_schema: Path | None = None
    inference: Path | None = None
    samples: Path | None = None
    sign: Path | None = None
    source: str | None = None
    """mlflow://NAME/VERSION."""
    who: str | None = None
    token_file: Path | None = None
    as_json: bool = False


def register(asked: Asked, environment: Mapping[str, str] | None = None) -> int:
    """Register it; return the exit code."""
    environment = os.environ if environment is None else environment
    try:
        token = read_token(environment, asked.token_file)
        if not token:
            raise Wrong(f"a token is needed to register: {REMEDY}")
        model, rows = _model(asked, environment)
        answer = send(asked.admin, write(model, rows), token)
    except (Wrong, NotAReference, ArtifactError, RowFileError, RowSetError) as error:
        return _fail(error, USAGE)
    except (SignatureFault, SampleError, TokenMissing) as error:
        return _fail(error, USAGE)
    except (MlflowError, OSError) as error:
        return _fail(error, FAILED)
    except AdminUnreachable as error:
        return _fail(error, SILENT)
    except AdminRefused as error:
        return _fail(error, FAILED)
    sys.stdout.write((json.dumps(answer) if asked.as_json else _told(answer)) + "\n")
    return DONE


def _model(asked: Asked, environment: Mapping[str, str]) -> tuple[ModelVersion, dict[int, bytes]]:
    """Read everything that is to be registered."""
    ref = reference(asked.ref)
    source = _source(asked, environment)
    training, rows = _training(asked.training, asked.columns)
    if source is not None and not training:
        training = [TrainingData(name, digest) for name, digest in source.training]
    model = ModelVersion(
        name=ref.name,
        version=ref.version,
        artifact=_artifact(asked, source, environment),
        training=tuple(training),
        code=asked.code or (source.code if source else None),
        params=dict(source.params if source else {}) | _pairs(asked.params, "--param"),
        parent=None if asked.parent is None else str(reference(asked.parent)),
        owner=asked.owner or (source.owner if source else None),
        metadata=_about(source) | _pairs(asked.metadata, "--meta"),
        schemas=Schemas(
            request=_schema(asked.request_schema),
            response=_schema(asked.response_schema),
            inference=_schema(asked.inference),
        ),
        samples=_samples(asked.samples),
        source=source.address if source else None,
        by=(asked.who or _user(environment)).strip(),
    )
    if asked.sign is not None:
        model = replace(model, signature=sign(model, asked.sign))
    return model, rows


def _artifact(asked: Asked, source: Source | None, environment: Mapping[str, str]) -> Artifact:
    if asked.uri is not None:
        if asked.artifact is not None or asked.digest is None:
            raise Wrong("--uri needs --digest, and no --artifact: its files are not read")
        return Artifact(asked.digest.lower().removeprefix("sha256:"), uri=asked.uri)
    if asked.digest is not None:
        raise Wrong("--digest is for --uri: of files the digest is computed")
    if asked.artifact is None and source is None:
        raise Wrong("what is registered? --artifact PATH, --uri URI --digest SHA256, or --from")
    if asked.artifact is not None and (source is None or asked.artifact.exists()):
        return _at(asked.artifact)
    assert source is not None  # one of the two was asked for
    if asked.artifact is None:
        found = asyncio.run(_fetch(source, None, environment))
        uri = f"models:/{source.name}/{source.version}"
        return Artifact(found.digest, uri=uri, files=_files(found))
    _fetch_to(asked.artifact, source, environment)
    return _at(asked.artifact)


def _at(artifact: Path) -> Artifact:
    # Links on the way are followed once, here: what is recorded is the place itself.
    path = Path(os.path.realpath(artifact))
    found = manifest_of(path)
    return Artifact(found.digest, path=str(path), files=_files(found))


def _fetch_to(artifact: Path, source: Source, environment: Mapping[str, str]) -> None:
    """Fetch the files of ``source`` into the new folder ``artifact``: all of them, or none."""
    artifact.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=artifact.parent, prefix=f".{artifact.name}.") as part:
        whole = Path(part) / "whole"
        asyncio.run(_fetch(source, whole, environment))
        whole.rename(artifact)


def _files(manifest: Manifest) -> tuple[tuple[str, int, str], ...]:
    return tuple((file.path, file.size_bytes, file.sha256) for file in manifest.files)


def _source(asked: Asked, environment: Mapping[str, str]) -> Source | None:
    if asked.source is None:
        return None
    try:
        name, version = address_of(asked.source)
    except ValueError as error:
        raise Wrong(f"--from: {error}") from error
    return asyncio.run(_look_up(name, version, environment))


async def _look_up(name: str, version: str, environment: Mapping[str, str]) -> Source:
    async with _session(environment) as session:
        return await Mlflow(_tracking(environment), session).source(name, version)


async def _fetch(source: Source, into: Path | None, environment: Mapping[str, str]) -> Manifest:
    async with _session(environment) as session:
        return await Mlflow(_tracking(environment), session).manifest(source, into)


def _session(environment: Mapping[str, str]) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=None, connect=30.0, sock_read=60.0)
    return aiohttp.ClientSession(headers=credentials(environment), timeout=timeout)


def _tracking(environment: Mapping[str, str]) -> str:
    url = environment.get(TRACKING, "")
    if not url.startswith(("http://", "https://")):
        raise Wrong(f"--from needs the address of the MLflow server: set {TRACKING}=http://...")
    return url


def _training(
    files: tuple[Path, ...], columns: str | None
) -> tuple[list[TrainingData], dict[int, bytes]]:
    """Return the digest of each file, and its rows where its format has any."""
    only = None if columns is None else frozenset(_words(columns))
    training, rows = [], {}
    for at, path in enumerate(files):
        found = sha256_of(Path(os.path.realpath(path)))
        data = TrainingData(path.name, found.sha256, found.size_bytes)
        if format_of(path) is not None:
            known = row_set_of(read_rows(path), only)
            rows[at] = to_bytes(known)
            data = described(data, known)
        training.append(data)
    return training, rows


def _words(columns: str) -> list[str]:
    words = [word.strip() for word in columns.split(",") if word.strip()]
    if not words:
        raise Wrong("--training-columns names no column")
    return words


def _pairs(given: tuple[str, ...], option: str) -> dict[str, str]:
    pairs = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise Wrong(f"{option} is KEY=VALUE, got {text!r}")
        pairs[key.strip()] = value
    return pairs


def _about(source: Source | None) -> dict[str, str]:
    if source is None:
        return {}
    about = {"mlflow.run_id": source.run_id, "mlflow.description": source.description}
    return {key: value for key, value in about.items() if value}


def _schema(file: Path | None) -> dict[str, Any] | None:
    if file is None:
        return None
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise Wrong(f"{file}: {error}") from error
    if not isinstance(found, dict):
        raise Wrong(f"{file}: a schema is a JSON object")
    return found


def _samples(file: Path | None) -> tuple[str, ...]:
    return () if file is None else tuple(body.decode() for body in read_samples(file))


def _user(environment: Mapping[str, str]) -> str:
    try:
        return environment.get("USER", "") or getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return ""


def _told(answer: dict[str, Any]) -> str:
    model = answer["model"]
    word = "registered" if answer["new"] else "was registered already, the very same"
    return f"{model['ref']} {word}: sha256:{model['artifact']['digest']}"


def _fail(error: Exception, code: int) -> int:
    sys.stderr.write(f"{error}\n")
    return code
