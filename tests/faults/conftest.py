"""Asynchronous fault tests run on the event loop of the product."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """One loop: tests/router runs the router on both."""
    return {"uvloop": uvloop.new_event_loop}
