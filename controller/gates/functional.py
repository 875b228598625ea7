"""Does the challenger answer as declared? Asked with sample requests, before it meets any traffic.

Talks to the challenger only, directly; its answers are looked at and thrown away. What is asked of
an answer is in files of its own: schemacheck, inferencemeta, batching, badinput, lightload.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from controller.gates import badinput, inferencemeta, lightload, schemacheck
from controller.gates.asking import ANSWER_LIMIT_BYTES, Answer, Asker, TooLargeAnswer, asking
from controller.gates.asking import fault_of as fault_of_error
from controller.gates.batching import NoBatch, batch_of, predictions_in
from controller.gates.functionalspec import FunctionalSpec
from controller.gates.report import GateCheck, GateReport
from controller.gates.task import GateTask
from evaluator.extract import Extractor, parsed
from router.certificate import CertificateError
from router.observation import Outcome
from router.table import Match, Variant


@dataclass(frozen=True, slots=True)
class Found:
    """What one question found out."""

    fault: str = ""
    """Why it failed; empty if it did not."""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    said: str = "answered as declared"


PASSED = Found()
Asked = Callable[[Asker], Awaitable[Found]]
"""Asks one thing."""


@dataclass(frozen=True, slots=True)
class FunctionalTask:
    """What the gate must ask of whom."""

    route: str
    challenger: Variant
    match: Match
    samples: tuple[bytes, ...] = ()
    """Request bodies (JSON)."""
    ready_path: str | None = None
    """GET must answer 200; None asks only that the port accepts connections."""
    prediction: str | None = None
    """JMESPath that must find something in each answer; None asks for JSON only."""
    spec: FunctionalSpec = field(default_factory=FunctionalSpec)


def task_of(task: GateTask) -> FunctionalTask:
    """Return what the functional gate asks of a challenger."""
    return FunctionalTask(
        route=task.route.name,
        challenger=task.challenger,
        match=task.route.match,
        samples=task.stage.samples,
        ready_path=task.stage.ready_path,
        prediction=task.route.prediction,
        spec=task.stage.functional,
    )


async def run(task: FunctionalTask) -> GateReport:
    """Ask everything in order and stop at the first failure; never raises for the challenger's
    faults. Each answer has the variant's own connect and response timeout."""
    checks: list[GateCheck] = []
    name = task.challenger.name
    try:
        async with asking(task.challenger, task.match, limit_bytes=ANSWER_LIMIT_BYTES) as asker:
            for question, ask in _questions(task):
                found = await _guarded(ask, asker)
                because = found.fault or found.said
                checks.append(GateCheck(question, not found.fault, because, found.numbers))
                if found.fault:
                    return GateReport(name, False, f"{question}: {found.fault}", tuple(checks))
    except CertificateError as exc:
        return GateReport(name, False, f"certificate: {exc}")
    because = f"ready, and {len(task.samples)} sample requests answered as declared"
    return GateReport(name, True, because, tuple(checks))


async def _guarded(ask: Asked, asker: Asker) -> Found:
    try:
        return await ask(asker)
    except (aiohttp.ClientError, OSError, TimeoutError, TooLargeAnswer) as exc:
        return Found(fault_of_error(exc))


def _questions(task: FunctionalTask) -> list[tuple[str, Asked]]:
    """Return what is asked, in order: the cheap and telling questions first."""
    questions: list[tuple[str, Asked]] = [("ready", _ready(task))]
    metadata = _Metadata(task.spec.metadata_path)
    if task.spec.metadata_path is not None:
        questions.append(("metadata", metadata.ask))
    for number, body in enumerate(task.samples, start=1):
        questions.append((f"sample {number}", _sample(task, body, metadata)))
    if not task.samples:
        return [*questions, *_of_the_server(task)]
    first = task.samples[0]
    questions += [(f"batch of {size}", _batch(task, first, size)) for size in task.spec.batch]
    if task.spec.deterministic:
        questions.append(("deterministic", _twice(task)))
    if task.spec.latency is not None:
        questions.append(("latency", _latency(task)))
    return [*questions, *_of_the_server(task)]


def _of_the_server(task: FunctionalTask) -> list[tuple[str, Asked]]:
    """Return what may leave a server dead: it comes last, and then it is asked for life again."""
    if not task.spec.bad_input:
        return []
    questions = [
        (f"bad input: {bad.name}", _bad(bad.body))
        for bad in badinput.bad_inputs(task.spec.protocol)
    ]
    alive = _sample(task, task.samples[0], None) if task.samples else _ready(task)
    return [*questions, ("alive after bad input", alive)]


def _ready(task: FunctionalTask) -> Asked:
    async def ask(asker: Asker) -> Found:
        if task.ready_path is None:
            await asker.connect()
            return PASSED
        return _expect_200(await asker.get(task.ready_path))

    return ask


class _Metadata:
    """What the challenger says it takes and returns; asked once, before the samples."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self.found: Any = None
        """None until it was asked, and if it is not asked."""

    async def ask(self, asker: Asker) -> Found:
        assert self._path is not None
        answer = await asker.get(self._path)
        wrong = _expect_200(answer)
        if wrong.fault:
            return wrong
        document, fault = _json(answer.body)
        fault = fault or inferencemeta.fault_of_metadata(document)
        if not fault:
            self.found = document
        return Found(fault)

    def fault_of(self, side: str, document: Any) -> str:
        if self.found is None:
            return ""
        fault = inferencemeta.fault_of(self.found, side, document)
        return f"not as the metadata says: {fault}" if fault else ""


def _sample(task: FunctionalTask, body: bytes, metadata: _Metadata | None) -> Asked:
    """Ask a sample; hold it and its answer against the schemas, and the metadata if it is there."""

    async def ask(asker: Asker) -> Found:
        request, fault = _json(body)
        if not fault and task.spec.request_schema is not None:
            fault = _named("request schema", task.spec.request_schema, request)
        if not fault and metadata is not None:
            fault = metadata.fault_of("inputs", request)
        if fault:
            return Found(f"the sample itself: {fault}")
        answer = await asker.post(body)
        return Found(_fault_of_answer(task, answer, metadata))

    return ask


def _fault_of_answer(task: FunctionalTask, answer: Answer, metadata: _Metadata | None) -> str:
    wrong = _expect_200(answer)
    if wrong.fault:
        return wrong.fault
    fault = _fault_of(answer.body, task.prediction, answer.form)
    if fault or (task.spec.response_schema is None and metadata is None) or answer.form:
        return fault
    document, fault = _json(answer.body)
    if not fault and task.spec.response_schema is not None:
        fault = _named("response schema", task.spec.response_schema, document)
    if not fault and metadata is not None:
        fault = metadata.fault_of("outputs", document)
    return fault


def _batch(task: FunctionalTask, sample: bytes, size: int) -> Asked:
    async def ask(asker: Asker) -> Found:
        try:
            body = batch_of(task.spec.protocol, sample, size)
        except NoBatch as exc:
            return Found(str(exc))
        answer = await asker.post(body)
        wrong = _expect_200(answer)
        if wrong.fault:
            return wrong
        document, fault = _json(answer.body)
        n = None if fault else predictions_in(task.spec.protocol, document)
        if fault or n == size:
            return Found(fault)
        return Found("no list of predictions" if n is None else f"{n} predictions, not {size}")

    return ask


def _twice(task: FunctionalTask) -> Asked:
    extractor = Extractor(task.prediction)

    async def ask(asker: Asker) -> Found:
        for number, body in enumerate(task.samples, start=1):
            one, other = [
                extractor.read((await asker.post(body)).outcome(task.challenger.name)).text
                for _ in range(2)
            ]
            if one is None or one != other:
                return Found(f"sample {number} was answered {_cut(one)}, and then {_cut(other)}")
        return Found(said=f"{len(task.samples)} samples had the same prediction twice")

    return ask


def _latency(task: FunctionalTask) -> Asked:
    limit = task.spec.latency
    assert limit is not None

    async def ask(asker: Asker) -> Found:
        latencies_s: list[float] = []
        for number in range(limit.requests):
            answer = await asker.post(task.samples[number % len(task.samples)])
            wrong = _expect_200(answer)
            if wrong.fault:
                return wrong
            latencies_s.append(answer.latency_s)
        numbers = lightload.numbers_of(latencies_s, limit)
        said = f"{limit.requests} requests, one after the other, within their limits"
        return Found(lightload.fault_of(latencies_s, limit), numbers, said)

    return ask


def _bad(body: bytes) -> Asked:
    async def ask(asker: Asker) -> Found:
        return Found(badinput.fault_of((await asker.post(body)).status), said="answered with 4xx")

    return ask


def _expect_200(answer: Answer) -> Found:
    return Found("" if answer.status == 200 else f"status {answer.status}, expected 200")


def _named(what: str, schema: Mapping[str, Any], document: Any) -> str:
    fault = schemacheck.fault_of(schema, document)
    return f"{what}: {fault}" if fault else ""


def _json(raw: bytes) -> tuple[Any, str]:
    """Return a JSON document and no fault, or nothing and why."""
    try:
        return parsed(raw), ""
    except (ValueError, RecursionError):
        return None, "not JSON"


def _cut(text: str | None) -> str:
    return "nothing" if text is None else text if len(text) <= 60 else text[:57] + "..."


def _fault_of(raw: bytes, prediction: str | None, form: str) -> str:
    """Return what is wrong with an answer's body, or nothing. Pure; reads as the evaluator does."""
    if prediction is None and not form:
        return "the answer is not JSON" if _json(raw)[1] else ""
    answer = Outcome("", 200, 0.0, "", raw, len(raw), form=form)
    found = Extractor(prediction).read(answer)
    where = f"no prediction at {prediction!r}" if prediction is not None else "no whole stream"
    return "" if found.text is not None else f"{where}: {found.reason}"
