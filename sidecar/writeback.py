"""Tells MLflow where its versions stand: alias, stage and evidence, after each transition.

The audit is the queue: it is durable, in order and as long as it must be, so nothing waits in
memory, and a transition never waits for MLflow. How far MLflow was told is in a small file; what
was told twice, after a crash in between, says the same twice.
"""

import asyncio
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from controller.chain import canonical
from controller.controller import Controller
from controller.store import StoreError
from sidecar.desk import Busy, Desk
from sidecar.engine import Engine, NotRunning
from sidecar.mlflow import (
    MAX_TAG_CHARS,
    Mlflow,
    MlflowError,
    MlflowRefused,
    address_of,
    credentials,
)

EVERY_S = 1.0
PAGE = 100
"""Audit records in one read."""
TIMEOUT_S = 10.0
FIRST_WAIT_S = 1.0
MAX_WAIT_S = 60.0
CHAMPION, CHALLENGER = "champion", "challenger"
STAGES = {"watch": "production", "promoted": "production", "rolled_back": "rolled back"}
"""Stages of phases that are called otherwise."""
ACTIONS = frozenset({"start", "advance", "promote", "finish", "rollback"})

log = structlog.get_logger()
Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Telling:
    """What one record means to MLflow."""

    name: str
    version: str
    tags: Mapping[str, str]
    gains: str | None = None
    """The alias that the version gets."""
    loses: tuple[str, ...] = ()
    """Aliases that it loses, if it has them."""
    archived: tuple[str, str] | None = None
    """Name and version that make way for it."""
    restored: tuple[str, str] | None = None
    """Name and version that are champion again."""


def telling(record: Record) -> Telling | None:
    """Return what MLflow is to be told of ``record``; None if it is not about one of its versions.

    Pure.
    """
    proven = record.get("evidence", {}).get("registry") or {}
    if record.get("action") not in ACTIONS or not proven.get("source"):
        return None
    try:
        name, version = address_of(proven["source"])
    except ValueError:
        return None
    champion = _champion(proven)
    is_promotion = record["action"] == "promote"
    is_back = record["action"] == "rollback"
    was_champion = record.get("phase_from") in ("watch", "promoted")
    gains = CHALLENGER if record["action"] in ("start", "advance") else None
    return Telling(
        name=name,
        version=version,
        tags=_tags(record),
        gains=CHAMPION if is_promotion else gains,
        loses=(CHALLENGER, CHAMPION) if is_back else (CHALLENGER,) if is_promotion else (),
        archived=champion if is_promotion else None,
        restored=champion if is_back and was_champion else None,
    )


def evidence_of(record: Record) -> str:
    """Return the evidence of ``record`` as JSON that fits a tag: all of it, or less of each check.

    Pure.
    """
    evidence = record.get("evidence", {})
    readings = evidence.get("readings", ())
    for keys in (
        ("check", "state", "effect", "low", "high", "n", "odds", "alpha"),
        ("check", "state", "effect", "n"),
        ("check", "state"),
    ):
        content: dict[str, Any] = {
            "readings": [{key: one.get(key) for key in keys} for one in readings]
        }
        if "gate" in evidence:
            gate = evidence["gate"]
            content["gate"] = {key: gate.get(key) for key in ("stage", "passed", "because")}
        text = canonical(content)
        if len(text) <= MAX_TAG_CHARS:
            return text
    return "{}"


def _tags(record: Record) -> dict[str, str]:
    digest = hashlib.sha256(canonical(record.get("evidence", {})).encode()).hexdigest()
    phase = str(record.get("phase_to") or "")
    return {
        "understudy.stage": STAGES.get(phase, phase),
        "understudy.route": str(record["route"]),
        "understudy.because": str(record["because"]),
        "understudy.at": str(record["at"]),
        "understudy.audit": f"{record['sequence']}:{record['hash']}",
        "understudy.evidence": evidence_of(record),
        "understudy.evidence_sha256": digest,
    }


def _champion(proven: Record) -> tuple[str, str] | None:
    try:
        return address_of(proven.get("champion_source") or "")
    except ValueError:
        return None


class Writeback:
    """Owned by the controller process; ``run`` until it is cancelled."""

    def __init__(
        self,
        engine: Engine[Controller],
        desk: Desk,
        cursor: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._engine = engine
        self._desk = desk
        self._cursor = cursor
        self._headers = credentials(os.environ if environment is None else environment)
        self.after = _read_cursor(cursor)
        """Sequence of the last record that MLflow was told of, or need not be."""
        self.error: str | None = None
        """Why the next one is not told yet; None while all goes well."""
        self.n_told = 0
        self.n_refused = 0
        """Records of which MLflow wants to know nothing: they are passed over."""
        self._wait_s = FIRST_WAIT_S
        self._is_joined = False
        self._url: str | None = None
        """Of the server that is told; None while nobody is."""

    def state(self) -> dict[str, Any] | None:
        """Return how far the server was told, and what keeps it; None if nobody is to be told."""
        if self._url is None:
            return None
        return {
            "url": self._url,
            "told_until": self.after,
            "refused": self.n_refused,
            "error": self.error,
        }

    async def run(self) -> None:
        """Tell for ever."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(headers=self._headers, timeout=timeout) as session:
            while True:
                try:
                    pause_s = await self.round(session)
                except Exception as error:  # a fault of ours in it must not end the process
                    log.exception("MLflow was not told; will try again")
                    self.error = f"internal error: {type(error).__name__}"
                    pause_s = MAX_WAIT_S
                await asyncio.sleep(pause_s)  # a period, not a wait for something to happen

    async def round(self, session: aiohttp.ClientSession) -> float:
        """Tell of one page of records; return how long to pause then, seconds."""
        try:
            spec = await self._engine.call(lambda controller: controller.registrar.mlflow)
            self._url = None if spec is None else spec.url
            if spec is None:
                return EVERY_S
            await self._join()
            records = await self._desk.audit(self.after, PAGE)
        except (NotRunning, Busy, StoreError):
            return EVERY_S
        server = Mlflow(spec.url, session)
        for record in records:
            try:
                await self._tell(server, record)
            except MlflowError as error:
                return self._again(error)
            self._settle(record["sequence"])
        return 0.0 if len(records) == PAGE else EVERY_S

    async def _join(self) -> None:
        """Begin again with an audit that ends before what was told: it is another one."""
        if not self._is_joined and (await self._desk.head()).sequence < self.after:
            self.after = 0
        self._is_joined = True

    async def _tell(self, server: Mlflow, record: Record) -> None:
        told = telling(record)
        if told is None:
            return
        try:
            await _send(server, told)
        except MlflowRefused as error:
            self.n_refused += 1
            log.error("MLflow refuses to be told", model=told.name, error=str(error))
            return
        self.n_told += 1

    def _settle(self, sequence: int) -> None:
        self.after, self.error, self._wait_s = sequence, None, FIRST_WAIT_S
        try:
            part = self._cursor.with_name(self._cursor.name + ".part")
            part.write_text(json.dumps({"after": sequence}))
            part.replace(self._cursor)
        except OSError as error:  # told twice after a restart, which is harmless
            log.warning("how far MLflow was told is not written", error=str(error))

    def _again(self, error: MlflowError) -> float:
        if self.error is None:  # once per trouble
            log.error("MLflow was not told; will try again", error=str(error))
        self.error = str(error)
        pause_s, self._wait_s = self._wait_s, min(MAX_WAIT_S, 2.0 * self._wait_s)
        return pause_s


async def _send(server: Mlflow, told: Telling) -> None:
    for key, value in told.tags.items():
        await server.set_tag(told.name, told.version, key, value)
    for alias in told.loses:
        if await server.alias(told.name, alias) == told.version:
            await server.delete_alias(told.name, alias)
    if told.gains is not None:
        await server.set_alias(told.name, told.gains, told.version)
    if told.archived is not None:
        await server.set_tag(*told.archived, "understudy.stage", "archived")
    if told.restored is not None:
        name, version = told.restored
        await server.set_alias(name, CHAMPION, version)
        await server.set_tag(name, version, "understudy.stage", "production")


def _read_cursor(path: Path) -> int:
    try:
        after = json.loads(path.read_bytes())["after"]
        return after if isinstance(after, int) and after >= 0 else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0  # from the beginning: what is told twice says the same twice
