"""What the models answer to the rows of a golden set: labels, predictions and groups, side by side.

Asks the variants directly. A row that one of them does not answer is counted, not guessed.
"""

import asyncio
from collections.abc import Sequence

import aiohttp

from controller.gates.asking import Asker, TooLargeAnswer, asking
from controller.gates.fairness import GoldenRows
from controller.gates.golden import GoldenError, GoldenRow, read_golden
from controller.gates.goldenspec import GoldenSpec
from evaluator.extract import Extractor
from router.certificate import CertificateError
from router.table import Match, Variant

CONCURRENCY = 4
"""Rows that are under way at once: a gate is not a load test. Chosen."""


class RowsMissing(Exception):
    """The answers that fairness is judged by are not there; the message says why."""


async def answered(
    golden: GoldenSpec,
    variants: Sequence[Variant],
    match: Match,
    prediction: str | None,
) -> GoldenRows:
    """Ask ``variants`` (the challenger, and perhaps the champion) every labelled row.

    RowsMissing when the golden set cannot be read, or a variant cannot be dialled.
    """
    try:
        rows = (await asyncio.to_thread(read_golden, golden)).rows
        told = [await _told_by(variant, rows, match, prediction) for variant in variants]
    except (GoldenError, CertificateError) as exc:
        raise RowsMissing(str(exc)) from exc
    groups = [dict(row.slices) for row in rows]
    judged = [
        index
        for index, row in enumerate(rows)
        if row.label is not None and all(name in groups[index] for name in golden.by)
    ]
    whole = [i for i in judged if all(answers[i] is not None for answers in told)]
    columns = [tuple(answers[index] or "" for index in whole) for answers in told]
    return GoldenRows(
        labels=tuple(rows[index].label or "" for index in whole),
        challenger=columns[0],
        champion=columns[1] if len(columns) > 1 else None,
        groups={name: tuple(groups[index][name] for index in whole) for name in golden.by},
        unanswered=len(judged) - len(whole),
        left_out=len(rows) - len(judged),
    )


async def _told_by(
    variant: Variant, rows: Sequence[GoldenRow], match: Match, prediction: str | None
) -> list[str | None]:
    """Return the prediction for each row, None where there is none."""
    extractor = Extractor(prediction)
    told: list[str | None] = [None] * len(rows)
    waiting = iter(enumerate(rows))

    async def ask(asker: Asker) -> None:
        for index, row in waiting:
            told[index] = await _predicted(asker, row, extractor, variant.name)

    async with asking(variant, match, connections=CONCURRENCY) as asker, asyncio.TaskGroup() as all:
        for _ in range(CONCURRENCY):
            all.create_task(ask(asker))
    return told


async def _predicted(
    asker: Asker, row: GoldenRow, extractor: Extractor, variant: str
) -> str | None:
    try:
        answer = await asker.post(row.body)
    except (aiohttp.ClientError, OSError, TimeoutError, TooLargeAnswer):
        return None
    if answer.status != 200:
        return None
    return extractor.read(answer.outcome(variant)).text
