"""The lines of a recording: what an evaluator was given, in the order in which it was. Pure.

One JSON object a line; ``docs/replay.md`` explains every key. Bodies are Base64 (RFC 4648), other
texts are as they were, integers have up to 64 bits.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Raw, Struct

from evaluator.join import Answer, Judgable, Mode
from evaluator.metric import ExperimentPlan
from router.observation import Exposure, MirroredPair, Observation, Outcome

_NULL = Raw(b"null")


class LineError(ValueError):
    """A line that is not one of a recording; the message names it by its number."""


class Begun(Struct, tag_field="kind", tag="experiment", kw_only=True, omit_defaults=True):
    """An experiment, from its beginning or from where a file takes it up."""

    plan: ExperimentPlan
    snapshot: bytes = b""
    """The evaluator's state so far, when it began before this file; opaque."""


class OutcomeLine(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """``router.observation.Outcome``."""

    variant: str
    status: int
    latency_s: float
    fault: str = ""
    body: bytes = b""
    body_bytes: int = 0
    encoding: str = ""
    form: str = ""
    first_byte_s: float = 0.0
    n_pieces: int = 0


class ExposureLine(Struct, tag_field="kind", tag="exposure", kw_only=True, omit_defaults=True):
    """``router.observation.Exposure``."""

    route: str
    experiment: str
    request_id: str
    unit: int
    is_challenger: bool
    propensity: float
    table_version: int
    at_ns: int
    outcome: OutcomeLine
    fallback: OutcomeLine | None = None
    loss: str = ""


class PairLine(Struct, tag_field="kind", tag="pair", kw_only=True, omit_defaults=True):
    """``router.observation.MirroredPair``."""

    route: str
    experiment: str
    request_id: str
    unit: int
    table_version: int
    at_ns: int
    champion: OutcomeLine
    challenger: OutcomeLine | None = None
    loss: str = ""


class LabelLine(Struct, tag_field="kind", tag="label", kw_only=True, omit_defaults=True):
    """A label as it came."""

    request_id: str
    label: Raw
    """Any JSON value."""
    at_ns: int
    """Wall clock when it came."""
    route: str | None = None
    correct: bool = False
    """It replaces the label that came before it."""


class KeptLine(Struct, kw_only=True, omit_defaults=True):
    """An observation as it is kept for its label."""

    route: str
    request_id: str
    at_ns: int
    """Of the request."""
    mode: Mode
    propensity: float
    unit: int
    epoch: int
    champion: dict[str, Any] | None = None
    """``evaluator.join.Answer``, without what has its default."""
    challenger: dict[str, Any] | None = None
    label: Raw = _NULL
    """null: it has none; no label is null."""


class JudgedLine(KeptLine, tag_field="kind", tag="judged"):
    """An observation that was old enough, with the label that it had by then."""


class WaitingLine(KeptLine, tag_field="kind", tag="waiting"):
    """An observation that was seen and is not judged yet, with the label that it has so far."""


class LostLine(Struct, tag_field="kind", tag="lost", kw_only=True, omit_defaults=True):
    """Observations just told of that cannot wait for a label, and will not be judged."""

    route: str
    refused: int = 0
    """The store was full."""
    repeated: int = 0
    """Their request id was there already."""


class EpochLine(Struct, tag_field="kind", tag="epoch", kw_only=True):
    """The controller began a new epoch: a share or the day changed."""

    route: str
    why: str


class WatchLine(Struct, tag_field="kind", tag="watch", kw_only=True):
    """The challenger was promoted: from here on a detector looks for a turn for the worse."""

    route: str


class Gap(Struct, tag_field="kind", tag="gap", kw_only=True):
    """Lines are missing here; experiments follow with a snapshot of where they stand."""

    lost: int
    """How many; 0 if that is unknown."""
    why: str


Line = (
    Begun
    | ExposureLine
    | PairLine
    | LabelLine
    | JudgedLine
    | WaitingLine
    | LostLine
    | EpochLine
    | WatchLine
    | Gap
)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Line)


def encode(line: Line) -> bytes:
    """Return one line with its end."""
    return _encoder.encode(line) + b"\n"


def decode(raw: bytes, number: int) -> Line:
    """Return line ``number`` (from 1); LineError if it is none."""
    try:
        line: Line = _decoder.decode(raw)
    except (msgspec.MsgspecError, ValueError) as error:  # ValueError: not UTF-8
        raise LineError(f"line {number}: {error}") from error
    return line


def lines_of(raw: Iterable[bytes]) -> Iterator[Line]:
    """Return the lines of a file. A last line without an end is one that is being written."""
    for number, line in enumerate(raw, start=1):
        if line.endswith(b"\n") and line.strip():
            yield decode(line, number)


def of_observation(seen: Observation) -> ExposureLine | PairLine:
    """Return an observation as a line."""
    if isinstance(seen, MirroredPair):
        return PairLine(
            route=seen.route,
            experiment=seen.experiment,
            request_id=seen.request_id,
            unit=seen.unit,
            table_version=seen.table_version,
            at_ns=seen.at_ns,
            champion=_outcome_line(seen.champion),
            challenger=None if seen.challenger is None else _outcome_line(seen.challenger),
            loss=seen.loss,
        )
    return ExposureLine(
        route=seen.route,
        experiment=seen.experiment,
        request_id=seen.request_id,
        unit=seen.unit,
        is_challenger=seen.is_challenger,
        propensity=seen.propensity,
        table_version=seen.table_version,
        at_ns=seen.at_ns,
        outcome=_outcome_line(seen.outcome),
        fallback=None if seen.fallback is None else _outcome_line(seen.fallback),
        loss=seen.loss,
    )


def observation_of(line: ExposureLine | PairLine) -> Observation:
    """Return the observation of a line, equal to the one it was made of."""
    if isinstance(line, PairLine):
        return MirroredPair(
            route=line.route,
            experiment=line.experiment,
            request_id=line.request_id,
            unit=line.unit,
            table_version=line.table_version,
            at_ns=line.at_ns,
            champion=_outcome(line.champion),
            challenger=None if line.challenger is None else _outcome(line.challenger),
            loss=line.loss,
        )
    return Exposure(
        route=line.route,
        experiment=line.experiment,
        request_id=line.request_id,
        unit=line.unit,
        is_challenger=line.is_challenger,
        propensity=line.propensity,
        table_version=line.table_version,
        at_ns=line.at_ns,
        outcome=_outcome(line.outcome),
        fallback=None if line.fallback is None else _outcome(line.fallback),
        loss=line.loss,
    )


def of_judged(route: str, judgable: Judgable, label: str | None) -> JudgedLine:
    """Return what was judged as a line."""
    return JudgedLine(**_judgable_fields(route, judgable, label))


def of_waiting(route: str, judgable: Judgable, label: str | None) -> WaitingLine:
    """Return what waits as a line."""
    return WaitingLine(**_judgable_fields(route, judgable, label))


def judgable_of(line: KeptLine) -> Judgable:
    """Return what was judged, or waits."""
    return Judgable(
        line.request_id,
        line.at_ns,
        line.mode,
        line.propensity,
        line.unit,
        line.epoch,
        _answer(line.champion),
        _answer(line.challenger),
    )


def label_of(line: KeptLine) -> str | None:
    """Return the label that something was judged with, or has, as JSON text; None for none."""
    text = bytes(line.label).decode()
    return None if text == "null" else text


def _judgable_fields(route: str, judgable: Judgable, label: str | None) -> dict[str, Any]:
    return {
        "route": route,
        "request_id": judgable.request_id,
        "at_ns": judgable.at_ns,
        "mode": judgable.mode,
        "propensity": judgable.propensity,
        "unit": judgable.unit,
        "epoch": judgable.epoch,
        "champion": _answer_line(judgable.champion),
        "challenger": _answer_line(judgable.challenger),
        "label": _NULL if label is None else Raw(label.encode()),
    }


def _outcome_line(outcome: Outcome) -> OutcomeLine:
    return OutcomeLine(**_fields(outcome))


def _outcome(line: OutcomeLine) -> Outcome:
    return Outcome(**_fields(line))


def _answer_line(answer: Answer | None) -> dict[str, Any] | None:
    if answer is None:
        return None
    usual = _fields(Answer(None))
    return {name: value for name, value in _fields(answer).items() if value != usual[name]}


def _answer(line: dict[str, Any] | None) -> Answer | None:
    if line is None:
        return None
    fields = _fields(Answer(None)) | line
    return msgspec.convert([fields.pop(name) for name in Answer.__struct_fields__], Answer)


def _fields(struct: Struct) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}
