"""An MLflow tracking server, asked over its REST API (version 2.0).

No client library: its package would bring a hundred others, and a few addresses are all we need.
The answers are another system's words: every field is looked for, none is trusted to be there.
"""

import base64
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import aiohttp

from controller.artifact import CHUNK_BYTES, MAX_FILES, File, Manifest

API = "/api/2.0/mlflow"
PROXY = "/api/2.0/mlflow-artifacts/artifacts"
"""Where a server hands out the files of ``mlflow-artifacts:`` addresses."""
MAX_TAG_CHARS = 4_900
"""Of a model version's tag; the smallest limit of the versions that we know is 5,000."""
NO_SUCH = "RESOURCE_DOES_NOT_EXIST"


class MlflowError(Exception):
    """The server did not do what was asked; the message says why."""


class MlflowRefused(MlflowError):
    """It answered that it will not: asking again does not help."""


@dataclass(frozen=True, slots=True)
class Source:
    """What MLflow knows of a model version."""

    name: str
    version: str
    artifact_uri: str
    run_id: str | None = None
    code: str | None = None
    """The commit of the code, if the run was started in a repository."""
    owner: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    training: tuple[tuple[str, str], ...] = ()
    """Name and digest of each dataset of the run that is for training, as MLflow computes it."""
    description: str = ""

    @property
    def address(self) -> str:
        """Return what a registration notes as its source."""
        return f"mlflow://{self.name}/{self.version}"


def address_of(text: str) -> tuple[str, str]:
    """Return name and version of ``mlflow://NAME/VERSION``; ValueError if it is something else.

    >>> address_of("mlflow://fraud/7")
    ('fraud', '7')
    """
    scheme, _, rest = text.partition("://")
    name, _, version = rest.rpartition("/")
    if scheme != "mlflow" or not name or not version.isdecimal():
        raise ValueError(f"an MLflow model version is mlflow://NAME/VERSION, got {text!r}")
    return unquote(name), version


def credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that MLflow's own client would send with these variables."""
    token = environment.get("MLFLOW_TRACKING_TOKEN", "")
    user = environment.get("MLFLOW_TRACKING_USERNAME", "")
    if user:
        password = environment.get("MLFLOW_TRACKING_PASSWORD", "")
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        return {"authorization": f"Basic {pair}"}
    return {"authorization": f"Bearer {token}"} if token else {}


class Mlflow:
    """A tracking server. Its session is its owner's."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url.rstrip("/")
        self._session = session

    async def source(self, name: str, version: str) -> Source:
        """Return what is known of a version; MlflowRefused if there is none."""
        asked = {"name": name, "version": version}
        found = _part(await self._get("model-versions/get", asked), "model_version")
        place = await self._get("model-versions/get-download-uri", asked)
        run_id = str(found.get("run_id") or "") or None
        run = await self._run(run_id)
        data, info = _part(run, "data"), _part(run, "info")
        tags = _pairs(data.get("tags"))
        return Source(
            name=name,
            version=version,
            artifact_uri=str(place.get("artifact_uri") or ""),
            run_id=run_id,
            code=tags.get("mlflow.source.git.commit"),
            owner=tags.get("mlflow.user") or str(info.get("user_id") or "") or None,
            params=_pairs(data.get("params")),
            training=_datasets(_part(run, "inputs").get("dataset_inputs")),
            description=str(found.get("description") or ""),
        )

    async def manifest(
        self, source: Source, into: Path | None, on_read: Callable[[int], None] = lambda _: None
    ) -> Manifest:
        """Read every file of a version and return their manifest; with ``into``, keep them there.

        MlflowError if a file cannot be read, OSError if one cannot be written.
        """
        root = _proxied(source.artifact_uri)
        files = []
        async for path in self._paths(root):
            files.append(await self._file(root, path, into, on_read))
        if not files:
            raise MlflowError(f"{source.address} has no files")
        return Manifest(tuple(sorted(files)))

    async def set_alias(self, name: str, alias: str, version: str) -> None:
        """Give ``alias`` to a version; whichever had it has it no more."""
        body = {"name": name, "alias": alias, "version": version}
        await self._send("POST", "registered-models/alias", body)

    async def alias(self, name: str, alias: str) -> str | None:
        """Return the version that has ``alias``; None if none has."""
        try:
            found = await self._get("registered-models/alias", {"name": name, "alias": alias})
        except MlflowRefused:
            return None
        return str(_part(found, "model_version").get("version") or "") or None

    async def delete_alias(self, name: str, alias: str) -> None:
        """Take ``alias`` from whichever version has it."""
        await self._send("DELETE", "registered-models/alias", {"name": name, "alias": alias})

    async def set_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Write a tag of a version; ``value`` is cut to MAX_TAG_CHARS."""
        body = {"name": name, "version": version, "key": key, "value": value[:MAX_TAG_CHARS]}
        await self._send("POST", "model-versions/set-tag", body)

    async def _run(self, run_id: str | None) -> dict[str, Any]:
        if run_id is None:
            return {}
        try:
            return _part(await self._get("runs/get", {"run_id": run_id}), "run")
        except MlflowRefused:  # a run may be deleted, or another server's
            return {}

    async def _paths(self, root: str) -> AsyncIterator[str]:
        waiting, n_files = [""], 0
        while waiting:
            folder = waiting.pop()
            asked = {"path": f"{root}/{folder}".rstrip("/")}
            found = await self._json("GET", f"{self._url}{PROXY}", params=asked)
            for entry in found.get("files") or ():
                path = folder + _name(entry)
                if entry.get("is_dir"):
                    waiting.append(path + "/")
                    continue
                n_files += 1
                if n_files > MAX_FILES:
                    raise MlflowError(f"more than {MAX_FILES} files")
                yield path

    async def _file(
        self, root: str, path: str, into: Path | None, on_read: Callable[[int], None]
    ) -> File:
        digest, n_bytes = hashlib.sha256(), 0
        target = None if into is None else into / path
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
        url = f"{self._url}{PROXY}/{quote(f'{root}/{path}')}"
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status != 200:
                    raise MlflowError(f"{url} answered {response.status}")
                with open(
                    os.devnull if target is None else target, "xb" if target else "wb"
                ) as kept:
                    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                        digest.update(chunk)
                        kept.write(chunk)
                        n_bytes += len(chunk)
                        on_read(len(chunk))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise MlflowError(f"{url}: {error or type(error).__name__}") from error
        return File(path, n_bytes, digest.hexdigest())

    async def _get(self, path: str, asked: Mapping[str, str]) -> dict[str, Any]:
        return await self._json("GET", f"{self._url}{API}/{path}", params=asked)

    async def _send(self, method: str, path: str, body: Mapping[str, str]) -> None:
        await self._json(method, f"{self._url}{API}/{path}", json=body)

    async def _json(self, method: str, url: str, **what: Any) -> dict[str, Any]:
        try:
            async with self._session.request(
                method, url, allow_redirects=False, **what
            ) as response:
                body = await response.read()
                status = response.status
                answer = await response.json(content_type=None) if body else {}
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise MlflowError(f"{url}: {error or type(error).__name__}") from error
        except (ValueError, RecursionError) as error:
            raise MlflowError(f"{url} answered {status}, and not JSON") from error
        if not isinstance(answer, dict):
            raise MlflowError(f"{url} is not an MLflow server")
        if status != 200:
            said = f"{answer.get('error_code', status)}: {str(answer.get('message', ''))[:300]}"
            is_final = 400 <= status < 500 and status not in (408, 425, 429)
            raise (MlflowRefused if is_final else MlflowError)(f"{url} answered {said}")
        return answer


def _proxied(uri: str) -> str:
    """Return the path of ``mlflow-artifacts:`` addresses; MlflowError for any other."""
    parts = urlsplit(uri)
    path = parts.path.strip("/")
    if parts.scheme != "mlflow-artifacts" or not path:
        raise MlflowError(
            f"the files are at {uri!r}, which the server does not hand out: fetch them with "
            "`mlflow artifacts download` and give their folder as --artifact"
        )
    return path


def _name(entry: Any) -> str:
    """Return the name of a file in its folder; MlflowError for one that leads out of it."""
    name = str(entry.get("path") or "") if isinstance(entry, dict) else ""
    if not name or "/" in name or name in (".", "..") or PurePosixPath(name).name != name:
        raise MlflowError(f"the server names a file {name[:100]!r}")
    return name


def _part(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = content.get(name)
    return found if isinstance(found, dict) else {}


def _pairs(found: Any) -> dict[str, str]:
    items = found if isinstance(found, list) else []
    return {
        str(item["key"]): str(item.get("value", ""))
        for item in items
        if isinstance(item, dict) and "key" in item
    }


def _datasets(found: Any) -> tuple[tuple[str, str], ...]:
    """Return the datasets that are for training, or for nothing that is said."""
    items = found if isinstance(found, list) else []
    datasets = []
    for item in (one for one in items if isinstance(one, dict)):
        dataset = _part(item, "dataset")
        context = _pairs(item.get("tags")).get("mlflow.data.context", "training")
        if context.startswith("train") and dataset.get("digest"):
            datasets.append((str(dataset.get("name") or "dataset"), str(dataset["digest"])))
    return tuple(datasets)
