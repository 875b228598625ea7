"""The admin port's answers about model versions: register one, list them, tell one's line.

A registration that names a path is believed only after the files were read here: what the sidecar
cannot read now it could not verify at a gate either.
"""

import asyncio
import os.path
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from controller.artifact import ArtifactError, ArtifactMissing, manifest_of
from controller.lineage import ModelVersion
from controller.registrar import UnknownModel
from controller.registry import RegistrationRefused
from controller.rowset import folder_beside, from_bytes, keep
from controller.store import StoreError
from sidecar.desk import Desk
from sidecar.guard import Refusal, reply
from sidecar.keyring import Keyring
from sidecar.modelbody import BadModel, Offer, described, read
from sidecar.permit import actor, check_scope
from sidecar.tokenfile import OPERATE

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Unpacked: the row hashes of a training file take 11 MB at most, in base64."""
BODY_S = 60.0
"""For the whole body to arrive."""


class ModelPort:
    """One registration at a time: reading files takes the disk, and order matters."""

    def __init__(self, desk: Desk, keyring: Keyring) -> None:
        self._desk = desk
        self._keyring = keyring
        self._registering = asyncio.Lock()

    def add_to(self, app: web.Application) -> None:
        """Answer at the addresses of model versions."""
        app.router.add_post("/v1/models", self._register)
        app.router.add_get("/v1/models", self._list)
        app.router.add_get("/v1/models/{model}", self._one)

    async def _register(self, request: web.Request) -> web.Response:
        key = check_scope(request, self._keyring, OPERATE)
        raw = await _body(request)
        try:
            offer = await asyncio.to_thread(read, raw)
        except BadModel as error:
            raise Refusal(400, str(error), "see docs/governance/registry.md") from error
        who = actor(key, self._keyring, offer.model.by)
        if not who:
            remedy = 'send "who": "your name", or use a token with a name'
            raise Refusal(400, "who is missing: the record needs it", remedy)
        offer = Offer(replace(offer.model, by=who), offer.rows)
        async with self._registering:
            model = await asyncio.to_thread(self._prepare, offer)
            try:
                done = await self._desk.register(model)
            except RegistrationRefused as error:
                remedy = "see GET /v1/models for what is registered"
                raise Refusal(409, str(error), remedy) from error
        told = await self._desk.model(str(done.model.ref))
        return reply({"new": done.is_new, "model": told}, 201 if done.is_new else 200)

    def _prepare(self, offer: Offer) -> ModelVersion:
        """In a thread: verify the files, keep the sets of rows."""
        model = _verified(offer.model)
        folder = folder_beside(self._desk.database)
        training = list(model.training)
        for at, content in offer.rows.items():
            try:
                name = keep(folder, content)
            except OSError as error:
                raise StoreError(f"{folder}: {error.strerror or error}") from error
            training[at] = described(training[at], from_bytes(content), name)
        return replace(model, training=tuple(training))

    async def _list(self, request: web.Request) -> web.Response:
        return reply({"models": await self._desk.models(request.query.get("name"))})

    async def _one(self, request: web.Request) -> web.Response:
        try:
            return reply(await self._desk.model(request.match_info["model"]))
        except UnknownModel as error:
            raise Refusal(404, str(error), "see GET /v1/models") from error


async def _body(request: web.Request) -> bytes:
    """Read the body, which may be larger than others and packed (gzip)."""
    encoding = request.headers.get("Content-Encoding", "").lower()
    if encoding not in ("", "identity", "gzip"):
        raise Refusal(415, f"Content-Encoding {encoding[:40]!r} is not known", "use gzip or none")
    raw = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.content.iter_any():
                raw += chunk
                if len(raw) > MAX_BODY_BYTES:
                    raise _too_large()
    except TimeoutError as error:
        remedy = "send it faster"
        raise Refusal(408, f"the body did not arrive within {BODY_S:g} s", remedy) from error
    except web.RequestPayloadError as error:
        raise Refusal(400, "the body is not whole, or not gzip", "send it again") from error
    return bytes(raw)


def _too_large() -> Refusal:
    return Refusal(413, f"the body is larger than {MAX_BODY_BYTES} bytes", "register fewer rows")


def _verified(model: ModelVersion) -> ModelVersion:
    """Return ``model`` with the files as they are here; Refusal if they are not as was said."""
    artifact = model.artifact
    if artifact.path is None:
        return model
    if not os.path.isabs(artifact.path):
        raise Refusal(400, "the artifact's path is not absolute", "send the whole path")
    try:
        found = manifest_of(Path(artifact.path))
    except ArtifactMissing as error:
        remedy = (
            "give the path as the sidecar sees it, or register a URI: its digest is then taken as "
            "declared"
        )
        raise Refusal(422, f"the sidecar cannot read the artifact: {error}", remedy) from error
    except ArtifactError as error:
        raise Refusal(422, str(error), "register plain files") from error
    if found.digest != artifact.digest:
        said = (
            f"the files at {artifact.path} have digest {found.digest} here, "
            f"and {artifact.digest} was sent"
        )
        raise Refusal(409, said, "register the files that the sidecar sees")
    files = tuple((file.path, file.size_bytes, file.sha256) for file in found.files)
    return replace(model, artifact=replace(artifact, files=files))
