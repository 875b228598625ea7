"""Every asynchronous test of the router runs on both event loops."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The router runs on uvloop; asyncio's own is what its contract says."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]]
    loops = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    if item.path.name == "test_worker.py":  # the router is in a process of its own
        del loops["asyncio"]
    return loops
