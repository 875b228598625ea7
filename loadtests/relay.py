"""The floor: bytes to the champion and back, unread. One upstream connection per client's.

What a proxy on this event loop cannot go below: two sockets, two reads and two writes a request.
``python -m loadtests.relay --port P --champion-port C``
"""

import argparse
import asyncio
from typing import cast

import uvloop

from router.tasks import spawn


class Side(asyncio.Protocol):
    """One of the two connections of a pair; passes what it reads to the other."""

    def __init__(self, other: "Side | None" = None) -> None:
        self.other = other
        self.transport: asyncio.Transport | None = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self.other is not None:
            self.other.join(self)

    def join(self, other: "Side") -> None:
        """Take ``other`` as the far side and pass on what came before it."""
        assert other.transport is not None
        self.other = other
        for chunk in self._early:
            other.transport.write(chunk)
        self._early.clear()

    def data_received(self, data: bytes) -> None:
        if self.other is None or self.other.transport is None:
            self._early.append(data)
        else:
            self.other.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class Front(Side):
    """The client's side: opens its partner."""

    def __init__(self, champion_port: int) -> None:
        super().__init__()
        self._champion_port = champion_port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        spawn(self._connect(), name="relay-connect")

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: Side(self), "127.0.0.1", self._champion_port)
        except OSError:
            assert self.transport is not None
            self.transport.close()


async def serve(port: int, champion_port: int) -> None:
    """Serve on 127.0.0.1 until cancelled."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Front(champion_port), "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--champion-port", type=int, required=True)
    options = parser.parse_args()
    uvloop.run(serve(options.port, options.champion_port))


if __name__ == "__main__":
    main()
