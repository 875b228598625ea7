"""A thread of its own for a call that may block for long: a name server, a network file system.

Not an executor: the interpreter waits at its end for an executor's threads, and a lookup that
hangs would keep a stopping router alive.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(function: Callable[[], T], *, name: str) -> T:
    """Return what ``function`` returns, or raise what it raises; OSError if no thread can start.

    Cancelled, the thread runs on and its result is dropped: who calls bounds how many there are.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if result.done():  # cancelled meanwhile
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)  # type: ignore[arg-type] # None only where T allows it

    def run() -> None:
        value, error = None, None
        try:
            value = function()
        except BaseException as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
            loop.call_soon_threadsafe(settle, value, error)

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError as error:
        raise OSError(f"no thread for {name}: {error}") from error
    return await result
