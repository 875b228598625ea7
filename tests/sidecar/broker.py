"""A real nats-server with JetStream, in a folder of its own, and a client beside the product's."""

import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sidecar.natskey import crc16

NEEDED = pytest.mark.skipif(
    shutil.which("nats-server") is None, reason="run scripts/install-test-packages.sh first"
)
"""For the tests of a file."""


class Broker:
    """Started and stopped as often as a test likes; the stream outlives it."""

    def __init__(self, folder: Path, config: str = "", scheme: str = "nats") -> None:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = int(one.getsockname()[1])
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._folder = folder
        self._config = folder / "nats.conf"
        self._config.write_text(
            f'listen: "127.0.0.1:{self.port}"\n'
            f'jetstream {{ store_dir: "{folder / "stream"}", max_mem: 64MB, max_file: 256MB }}\n'
            + config
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["nats-server", "-c", str(self._config)], stdout=log, stderr=log
            )
        end_s = time.monotonic() + 30
        while not self._answers():
            assert time.monotonic() < end_s, (self._folder / "nats.log").read_text()
            assert self._process.poll() is None, (self._folder / "nats.log").read_text()
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as one:
                return one.recv(4) == b"INFO"
        except OSError:
            return False

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None

    async def client(self, **options: Any) -> Any:
        """Return a connected client; close it."""
        nats = pytest.importorskip("nats")
        return await nats.connect(self.url, **options)

    async def publish(self, bodies: Sequence[bytes], headers: Any = None, **options: Any) -> None:
        """Make the stream if needed, and put ``bodies`` into it."""
        client = await self.client(**options)
        stream = client.jetstream()
        await stream.add_stream(name="LABELS", subjects=["labels.>"])
        for body in bodies:
            await stream.publish("labels.fraud", body, headers=headers)
        await client.close()

    async def left(self, durable: str = "understudy", **options: Any) -> tuple[int, int]:
        """Return how many messages were not delivered yet, and not acknowledged yet."""
        client = await self.client(**options)
        try:
            found = await client.jetstream().consumer_info("LABELS", durable)
            return int(found.num_pending or 0), int(found.num_ack_pending or 0)
        finally:
            await client.close()


_PREFIX = {"operator": 14 << 3, "account": 0, "user": 20 << 3}


def _base32(raw: bytes) -> bytes:
    return base64.b32encode(raw + crc16(raw).to_bytes(2, "little")).rstrip(b"=")


def creds(jwt: bytes, seed: bytes) -> bytes:
    """Return a .creds file as NATS's tools write it."""
    user = _PREFIX["user"]
    text = _base32(bytes([18 << 3 | user >> 5, (user & 31) << 3]) + seed)
    parts = (("NATS USER JWT", jwt), ("USER NKEY SEED", text))
    blocks = [
        f"-----BEGIN {what}-----\n".encode() + value + f"\n------END {what}------\n".encode()
        for what, value in parts
    ]
    return b"\n*** never share ***\n".join(blocks)


class _Signer:
    def __init__(self, kind: str, fill: int) -> None:
        signing = pytest.importorskip("nacl.signing")
        self.kind, self.seed = kind, bytes([fill]) * 32
        self._key = signing.SigningKey(self.seed)
        self.public = _base32(bytes([_PREFIX[kind]]) + bytes(self._key.verify_key)).decode()

    def sign(self, subject: "_Signer", **claims: Any) -> bytes:
        """Return a JWT about ``subject``."""
        about = {"type": subject.kind, "version": 2, **claims}
        payload = {"jti": "x", "iat": 1_700_000_000, "iss": self.public, "name": subject.kind}
        payload |= {"sub": subject.public, "nats": about}
        parts = [{"typ": "JWT", "alg": "ed25519-nkey"}, payload]
        text = b".".join(_base64(json.dumps(part).encode()) for part in parts)
        return text + b"." + _base64(self._key.sign(text).signature)


def _base64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def operator() -> tuple[str, bytes, bytes]:
    """Return a server's configuration with an operator, a .creds file, and one of a stranger."""
    top, account, system = (
        _Signer("operator", 1),
        _Signer("account", 2),
        _Signer("account", 5),
    )
    user, stranger = _Signer("user", 3), _Signer("account", 4)
    limits = {name: -1 for name in ("subs", "conn", "leaf", "imports", "exports", "data")}
    limits |= {name: -1 for name in ("payload", "mem_storage", "disk_storage", "streams")}
    limits |= {"consumer": -1, "wildcards": True}
    no_storage = {"mem_storage": 0, "disk_storage": 0, "streams": 0, "consumer": 0}
    plain = {name: -1 for name in ("subs", "data", "payload")}
    config = (
        f"operator: {top.sign(top).decode()}\n"
        f"system_account: {system.public}\n"
        "resolver: MEMORY\nresolver_preload: {\n"
        f"  {account.public}: {top.sign(account, limits=limits).decode()}\n"
        f"  {system.public}: {top.sign(system, limits=limits | no_storage).decode()}\n}}\n"
    )
    right = creds(account.sign(user, **plain), user.seed)
    return config, right, creds(stranger.sign(user, **plain), user.seed)
