"""A line between browser and admin port that can be cut."""

import asyncio
import contextlib

from router.tasks import spawn
from tests.dashboard.stand import Stand


class Line:
    """Passes bytes on until it is cut; then nobody gets through, until it is mended."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self._server = stand.run(asyncio.start_server(self._pass, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"

    def cut(self) -> None:
        """End every connection, and every later one at once."""
        self._stand.run(self._set(True))

    def mend(self) -> None:
        """Let connections through again."""
        self._stand.run(self._set(False))

    def close(self) -> None:
        self.cut()
        self._server.close()

    async def _set(self, is_cut: bool) -> None:
        self._is_cut = is_cut
        if is_cut:
            for writer in tuple(self._writers):
                writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        client = self._stand.bench.client
        far_reader, far_writer = await asyncio.open_connection(client.host, client.port)
        self._writers |= {writer, far_writer}
        back = spawn(_copy(far_reader, writer), name="line")
        await _copy(reader, far_writer)
        await back
        self._writers -= {writer, far_writer}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while raw := await reader.read(65_536):
            writer.write(raw)
            await writer.drain()
    writer.close()
