"""The model versions of this sidecar: written once, never changed, each with its audit record.

Called in the controller's thread, within its transactions. The files of a version are read
elsewhere (``controller/artifact.py``); here is what they were.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from controller import audit, store
from controller.audit import Entry
from controller.lineage import Artifact, ModelVersion, differences

SCHEMA = """
CREATE TABLE IF NOT EXISTS model (
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (name, version)
) STRICT;
CREATE TRIGGER IF NOT EXISTS model_is_not_edited BEFORE UPDATE ON model
BEGIN SELECT RAISE(ABORT, 'a model version is never changed'); END;
CREATE TRIGGER IF NOT EXISTS model_is_not_deleted BEFORE DELETE ON model
BEGIN SELECT RAISE(ABORT, 'a model version is never deleted'); END;
CREATE TABLE IF NOT EXISTS deployment (
    route TEXT NOT NULL,
    variant TEXT NOT NULL,
    model TEXT NOT NULL,
    PRIMARY KEY (route, variant)
) STRICT;
"""
"""``deployment`` remembers which variant was which version, also when the file has forgotten it."""

MAX_MODELS = 100_000


class RegistrationRefused(Exception):
    """The version may not be registered like this; nothing was written but the refusal."""

    status_hint = 409


@dataclass(frozen=True, slots=True)
class Registered:
    """What became of a registration."""

    model: ModelVersion
    is_new: bool
    """False: the very same was registered before."""


def register(connection: sqlite3.Connection, model: ModelVersion, config_digest: str) -> Registered:
    """Write ``model`` and its audit record; RegistrationRefused, StoreError.

    The same version again, with the same of everything, is what is there already. With anything
    else it is refused, and the attempt is on the record.
    """
    with store.reading():
        known = find(connection, str(model.ref))
    if known is None:
        with store.transaction(connection):
            _insert(connection, model)
            audit.append(connection, _entry(model, "register", _told(model), config_digest))
        return Registered(model, True)
    changed = differences(known, model)
    if not changed:
        return Registered(known, False)
    because = _refusal(known, model, changed)
    refuse(connection, model, because, config_digest)
    raise RegistrationRefused(because)


def refuse(
    connection: sqlite3.Connection, model: ModelVersion, because: str, config_digest: str
) -> None:
    """Put an attempt to register ``model`` on the record; StoreError."""
    with store.transaction(connection):
        audit.append(connection, _entry(model, "refuse", because, config_digest))


def find(connection: sqlite3.Connection, ref: str) -> ModelVersion | None:
    """Return the version NAME:VERSION; None if it was never registered."""
    name, _, version = ref.partition(":")
    row = connection.execute(
        "SELECT content FROM model WHERE name = ? AND version = ?", (name, version)
    ).fetchone()
    return None if row is None else msgspec.json.decode(row[0], type=ModelVersion)


def models(connection: sqlite3.Connection, *, name: str | None = None) -> list[ModelVersion]:
    """Return every version (of one name), in the order in which they were registered."""
    rows = connection.execute(
        "SELECT content FROM model WHERE ? IS NULL OR name = ? ORDER BY at_ns, rowid LIMIT ?",
        (name, name, MAX_MODELS),
    )
    return [msgspec.json.decode(content, type=ModelVersion) for (content,) in rows]


def deploy(connection: sqlite3.Connection, links: Iterable[tuple[str, str, str]]) -> None:
    """Remember (route, variant, NAME:VERSION) of the routing file, in the caller's transaction."""
    connection.executemany("INSERT OR REPLACE INTO deployment VALUES (?, ?, ?)", links)


def deployed(connection: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """Return NAME:VERSION by route and variant, of the present routing file and of all before."""
    rows = connection.execute("SELECT route, variant, model FROM deployment")
    return {(route, variant): model for route, variant, model in rows}


def _insert(connection: sqlite3.Connection, model: ModelVersion) -> None:
    row = (model.name, model.version, model.artifact.digest, model.at_ns)
    connection.execute(
        "INSERT INTO model VALUES (?, ?, ?, ?, ?)", (*row, msgspec.json.encode(model))
    )


def _refusal(known: ModelVersion, model: ModelVersion, changed: tuple[str, ...]) -> str:
    if known.artifact.digest != model.artifact.digest:
        return (
            f"{model.ref} is registered with digest {known.artifact.digest} and was offered with "
            f"digest {model.artifact.digest}: a version never changes, register a new one"
        )
    keys = ", ".join(changed)
    return f"{model.ref} is registered with other {keys}: a version never changes"


def _told(model: ModelVersion) -> str:
    what = _files(model.artifact)
    return f"{model.ref} registered: {what} at {model.artifact.where}"


def _files(artifact: Artifact) -> str:
    if not artifact.files:
        return "a declared digest"
    n = len(artifact.files)
    return f"{n} file{'s' if n > 1 else ''} of {artifact.size_bytes} bytes"


def _entry(model: ModelVersion, action: str, because: str, config_digest: str) -> Entry:
    return Entry(
        at_ns=model.at_ns,
        who=model.by,
        route="",
        action=action,
        because=because,
        config_digest=config_digest,
        artifact=model.artifact.digest,
        evidence={"model": summary(model)},
    )


def summary(model: ModelVersion) -> dict[str, object]:
    """Return what the audit keeps of a version: names, digests, who; not the files one by one."""
    return {
        "ref": str(model.ref),
        "digest": model.artifact.digest,
        "where": model.artifact.where,
        "training": [{"name": data.name, "digest": data.digest} for data in model.training],
        "code": model.code,
        "parent": model.parent,
        "owner": model.owner,
        "signed_by": model.signature.key if model.signature else None,
        "source": model.source,
    }
