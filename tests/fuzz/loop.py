"""An event loop without sockets and with a clock of its own.

Nothing waits: time passes when ``advance`` says so, and connections to models are made in memory.
It is driven by hand (``settle``), so a case runs the same way every time, thousands a second.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Connect = Callable[[asyncio.Protocol, int], Awaitable[asyncio.Transport]]
MAX_SPINS = 2_000_000
"""Turns of the loop until it must be quiet; a case takes a few hundred, one of four thousand
pipelined requests in single bytes most of a million."""


class _Silence:
    """A selector on which nothing ever happens."""

    def select(self, timeout: float | None) -> list[Any]:
        return []

    def close(self) -> None:
        pass


class VirtualLoop(asyncio.BaseEventLoop):
    """Owner: a World. ``connect`` makes the connections that the router asks for."""

    def __init__(self, connect: Connect) -> None:
        super().__init__()
        self._selector = _Silence()
        self._now_s = 1000.0
        self._connect = connect
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._now_s

    def _process_events(self, events: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    async def create_connection(self, factory: Any, host: Any = None, port: Any = None) -> Any:  # type: ignore[override] # what Pool asks for
        protocol = factory()
        return await self._connect(protocol, port), protocol

    def spin(self) -> None:
        """Run what is ready, once."""
        self._run_once()  # type: ignore[attr-defined] # the loop's own step

    def settle(self) -> None:
        """Run until nothing is ready; AssertionError if that never comes."""
        for _ in range(MAX_SPINS):
            if not self._ready:  # type: ignore[attr-defined]
                return
            self.spin()
        raise AssertionError("the router never comes to rest")

    def advance(self, seconds: float) -> None:
        """Let time pass, and run the timers that are due."""
        self._now_s += seconds
        self.spin()
        self.settle()
