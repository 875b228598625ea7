"""The one way to start a task: named, and referenced until it is done."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_running: set[asyncio.Task[Any]] = set()


def spawn(coroutine: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Start ``coroutine`` as a task called ``name``.

    The event loop itself keeps only weak references, so an unreferenced task may vanish half way.
    """
    task = asyncio.create_task(coroutine, name=name)  # noqa: TID251 - the one place
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task
