"""Scorers: services and functions of the user's that judge answers, and so make their labels.

Called in batches, beside everything else: a scorer that is slow, gone or wrong costs labels, which
are counted, and nothing more. What waits to be scored waits in the journal, which is bounded.
"""

import asyncio
import importlib
import json
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points
from typing import Any

import aiohttp
import structlog

from controller.controller import Controller, ScoreTask
from controller.policy import ScorerSpec
from controller.store import StoreError
from evaluator.join import Answer, Judgable, Label, LabelResult
from sidecar.desk import Busy
from sidecar.engine import Engine, NotRunning

GROUP = "understudy.scorers"
"""Of entry points that name a scorer."""
EVERY_S = 0.5
MAX_ANSWER_BYTES = 4 * 1024 * 1024
SIDES = ("champion", "challenger")

log = structlog.get_logger()
Item = dict[str, Any]
Function = Callable[[list[Item]], Any]


class ScorerError(Exception):
    """The scorer's fault: its answers of this call are missing."""


class Scorers:
    """Asks every route's scorer for what waits, one call at a time for each. Owned by the process.

    Each observation is offered once in the life of a process: a call that failed is not repeated,
    so a scorer that is down makes labels missing, for both variants alike, and not late.
    """

    def __init__(
        self,
        engine: Engine[Controller],
        label: Callable[[Sequence[Label], int], Awaitable[Sequence[LabelResult]]],
    ) -> None:
        self._engine = engine
        self._label = label
        self._after: dict[str, int] = {}
        self._functions: dict[str, Function] = {}
        self._threads: dict[str, asyncio.Future[Any]] = {}
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="scorer")
        self.counts: dict[str, Counter[str]] = {}
        """By route: ``scored``, and ``failed`` for observations whose call came to nothing."""

    async def run(self) -> None:
        """Ask for ever."""
        try:
            while True:
                if not await self.round():
                    await asyncio.sleep(EVERY_S)  # a period, not a wait for something to happen
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def round(self) -> bool:
        """Let every scorer judge one batch; return whether there may be more."""
        try:
            tasks = await self._engine.call(lambda controller: controller.to_score(self._after))
        except (NotRunning, StoreError):
            return False
        done = await asyncio.gather(*(self._one(task) for task in tasks))
        return any(done)

    async def _one(self, task: ScoreTask) -> bool:
        """Judge one batch; return whether the next one may follow at once."""
        items = [item_of(due.judgable) for due in task.due]
        counts = self.counts.setdefault(task.route, Counter())
        try:
            async with asyncio.timeout(task.scorer.deadline_s):
                scores = checked(await self._ask(task.route, task.scorer, items), len(items))
        except (ScorerError, TimeoutError) as error:
            self._after[task.route] = task.due[-1].sequence
            counts["failed"] += len(items)
            why = str(error) or f"no answer within {task.scorer.deadline_s:g} s"
            log.warning("a scorer failed: its answers have no label", route=task.route, why=why)
            return True
        texts = [json.dumps(score) for score in scores]
        labels = [
            Label(item["request_id"], text, task.route)
            for item, text in zip(items, texts, strict=True)
        ]
        try:
            await self._label(labels, sum(map(len, texts)))
        except (Busy, StoreError):
            return False  # the same batch again, later
        self._after[task.route] = task.due[-1].sequence
        counts["scored"] += len(items)
        return True

    async def _ask(self, route: str, scorer: ScorerSpec, items: list[Item]) -> Any:
        if scorer.url is not None:
            return await _post(scorer.url, items)
        busy = self._threads.get(route)
        if busy is not None and not busy.done():
            raise ScorerError("the call before has not returned yet")
        function = self._function(scorer.function or "")
        call = asyncio.get_running_loop().run_in_executor(self._pool, function, items)
        self._threads[route] = call
        try:
            return await asyncio.shield(call)  # a thread cannot be stopped: it ends by itself
        except asyncio.CancelledError:
            raise
        except Exception as error:  # the user's code may raise anything
            raise ScorerError(f"{type(error).__name__}: {error}") from error

    def _function(self, name: str) -> Function:
        if name not in self._functions:
            self._functions[name] = load(name)
        return self._functions[name]


def load(name: str) -> Function:
    """Return the function called ``name``; ScorerError if there is none."""
    try:
        if ":" not in name:
            (found,) = entry_points(group=GROUP, name=name)
            function = found.load()
        else:
            module, _, path = name.partition(":")
            function = importlib.import_module(module)
            for part in path.split("."):
                function = getattr(function, part)
    except Exception as error:  # importing runs the user's code
        raise ScorerError(f"{name} cannot be loaded: {type(error).__name__}: {error}") from error
    if not callable(function):
        raise ScorerError(f"{name} is not a function")
    return function  # type: ignore[no-any-return]  # any callable; what it returns is checked


def item_of(judgable: Judgable) -> Item:
    """Return what a scorer is shown of an observation: predictions, null where there is none."""
    answers = zip(SIDES, (judgable.champion, judgable.challenger), strict=True)
    return {"request_id": judgable.request_id, **{name: _shown(one) for name, one in answers}}


def _shown(answer: Answer | None) -> Any:
    """Return a prediction; null also for one so long that only its digest was kept."""
    if answer is None or answer.is_failed or answer.prediction is None:
        return None
    return None if answer.prediction.startswith('"sha256:') else json.loads(answer.prediction)


def checked(scores: Any, count: int) -> list[dict[str, float | None]]:
    """Return one pair of scores for each item; ScorerError unless they are finite or null."""
    if not isinstance(scores, list) or len(scores) != count:
        raise ScorerError(f"a list of {count} scores wanted, got {_shape(scores)}")
    found = []
    for score in scores:
        if not isinstance(score, dict):
            raise ScorerError(f"each score is a mapping, got {_shape(score)}")
        sides = {name: score.get(name) for name in SIDES}
        if not all(value is None or _is_finite(value) for value in sides.values()):
            raise ScorerError(f"scores are finite numbers or null, got {sides!r}"[:200])
        found.append(sides)
    return found


async def _post(url: str, items: list[Item]) -> Any:
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json={"items": items}, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise ScorerError(f"{url} answered {answer.status}")
            body = bytearray()
            async for chunk in answer.content.iter_chunked(65_536):
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise ScorerError(f"{url} answered more than {MAX_ANSWER_BYTES} bytes")
            document = json.loads(body)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise ScorerError(f"{url}: {type(error).__name__}: {error}") from error
    return document.get("scores") if isinstance(document, dict) else None


def _is_finite(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        return is_number and math.isfinite(value)
    except OverflowError:
        return False


def _shape(value: Any) -> str:
    return f"{len(value)} items" if isinstance(value, list) else type(value).__name__
