"""Asks champion and challenger every golden row, a few rows at once, and keeps what counts.

Within a row one is asked after the other, in turns who is first, so that they do not slow each
other down on one machine.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import aiohttp
import msgspec

from controller.gates.asking import Asker, TooLargeAnswer, asking, fault_of
from controller.gates.golden import GoldenRow
from controller.gates.measured import Answered, Reply
from evaluator.extract import Extractor, Fields
from evaluator.metric import is_failed
from router.observation import Outcome
from router.table import Match, Variant

GIVE_UP_AFTER = 20
"""Rows in a row that one of the two does not answer. Chosen: it is away, and the rest would only
take the timeouts' time."""

Progress = Callable[[int, int], None]
"""Told how many rows are done, of how many."""


class GaveUp(Exception):
    """A variant does not answer; the message says which, and why."""


@dataclass(frozen=True, slots=True)
class Readers:
    """What is read from each answer."""

    prediction: Extractor
    fields: Fields


async def ask_both(
    rows: Sequence[GoldenRow],
    challenger: Variant,
    champion: Variant | None,
    match: Match,
    readers: Readers,
    *,
    concurrency: int,
    progress: Progress,
) -> list[Answered]:
    """Return every row with its answers, in order; GaveUp, or CertificateError."""
    found: list[Answered | None] = [None] * len(rows)
    async with contextlib.AsyncExitStack() as stack:
        sides = [
            _Side(variant, await stack.enter_async_context(asking(variant, match)), readers)
            for variant in (challenger, champion)
            if variant is not None
        ]
        waiting = iter(range(len(rows)))
        n_done = 0

        async def work() -> None:
            nonlocal n_done
            for at in waiting:
                found[at] = await _ask_row(rows[at], sides)
                n_done += 1
                progress(n_done, len(rows))

        progress(0, len(rows))
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(min(concurrency, len(rows))):
                    group.create_task(work(), name=f"golden rows {number}")
        except* GaveUp as gone:
            raise gone.exceptions[0] from gone
    return [row for row in found if row is not None]


class _Side:
    """One of the two; counts what it did not answer. Used by one event loop."""

    def __init__(self, variant: Variant, asker: Asker, readers: Readers) -> None:
        self._variant = variant
        self._asker = asker
        self._readers = readers
        self._n_silent = 0

    async def ask(self, body: bytes) -> Reply:
        """Return the answer to one request; GaveUp when it has been away for too long."""
        began_s = asyncio.get_running_loop().time()
        try:
            outcome = (await self._asker.post(body)).outcome(self._variant.name)
        except (aiohttp.ClientError, OSError, TimeoutError, TooLargeAnswer) as error:
            took_s = asyncio.get_running_loop().time() - began_s
            outcome = Outcome(self._variant.name, 0, took_s, _fault(error))
            self._note_silence(error)
            return Reply(outcome, None)
        self._n_silent = 0
        if is_failed(outcome) or not 200 <= outcome.status < 300:
            return Reply(_bare(outcome), None)
        text = self._readers.prediction.read(outcome).text
        return Reply(_bare(outcome), text, self._readers.fields.read(outcome))

    def _note_silence(self, error: Exception) -> None:
        self._n_silent += 1
        if self._n_silent >= GIVE_UP_AFTER:
            raise GaveUp(
                f"{self._variant.name} did not answer {GIVE_UP_AFTER} golden rows one after the "
                f"other ({fault_of(error)})"
            ) from error


async def _ask_row(row: GoldenRow, sides: Sequence[_Side]) -> Answered:
    order = sides if row.number % 2 else tuple(reversed(sides))
    replies = {id(side): await side.ask(row.body) for side in order}
    champion = replies[id(sides[1])] if len(sides) > 1 else None
    return Answered(row.label, replies[id(sides[0])], champion)


def _fault(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "connect"
    return "protocol" if isinstance(error, TooLargeAnswer) else "reset"


def _bare(outcome: Outcome) -> Outcome:
    """Return an outcome without its body: a million of them stay in memory."""
    return msgspec.structs.replace(outcome, body=b"")
