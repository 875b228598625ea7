"""Labels as CloudEvents 1.0: binary and structured mode, and batches. Pure.

KServe's payload logger names a request by the event's ``id``, Knative's tools often by
``subject``; here the data may name it as well. Source: cloudevents.io, spec v1.0.2 and its HTTP
protocol binding.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from sidecar import labels
from sidecar.labels import MAX_ITEMS, BodyError, Fault, Item, Parsed

TYPE = "io.understudy.label"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
TYPES = frozenset({STRUCTURED, BATCH})
REQUIRED = ("id", "source", "specversion", "type")
"""Attributes that every event has, each a text that is not empty."""
MAX_ATTRIBUTE_CHARS = 200


class _EventError(ValueError):
    """The event is none, or holds no label."""


def is_event(headers: Mapping[str, str], content_type: str) -> bool:
    """Tell whether a body is an event, or several, as its headers say."""
    return content_type in TYPES or "ce-specversion" in headers


def parse(headers: Mapping[str, str], content_type: str, body: bytes) -> Parsed:
    """Return the labels of one event or of a batch, good and bad; BodyError if it is not JSON.

    ``headers`` are looked up by names in lower case; those of aiohttp do not mind.
    """
    value = labels.decoded(body)
    if content_type == BATCH:
        if not isinstance(value, list) or not value:
            raise BodyError("the batch is not an array of events")
        if len(value) > MAX_ITEMS:
            raise BodyError(f"more than {MAX_ITEMS} events in one batch; send several")
        found = [_event(index, event) for index, event in enumerate(value)]
    elif content_type == STRUCTURED:
        found = [_event(0, value)]
    else:
        event = {name: headers.get(f"ce-{name}") for name in (*REQUIRED, "subject", "time")}
        named = {name: text for name, text in event.items() if text is not None}
        found = [_event(0, named | {"data": value})]
    return Parsed(
        tuple(one for one in found if isinstance(one, Item)),
        tuple(one for one in found if isinstance(one, Fault)),
    )


def _event(index: int, event: Any) -> Item | Fault:
    try:
        return labels.read_value(index, _fields(event))
    except _EventError as error:
        name = event.get("id") if isinstance(event, dict) else None
        is_short = isinstance(name, str) and len(name) <= MAX_ATTRIBUTE_CHARS
        return Fault(index, name if is_short else None, str(error))


def _fields(event: Any) -> dict[str, Any]:
    """Return a label as ``POST /v1/labels`` has it; what the data says goes before attributes."""
    if not isinstance(event, dict):
        raise _EventError("not an event: not an object")
    for name in REQUIRED:
        value = event.get(name)
        if not isinstance(value, str) or not value:
            raise _EventError(f"not an event: the attribute {name} is missing or not a text")
    if event["specversion"] != "1.0":
        raise _EventError("an event of another specversion than 1.0")
    if event["type"] != TYPE:
        raise _EventError(f"not a label: its type is not {TYPE}")
    data = _data(event)
    if not isinstance(data, dict) or "label" not in data:
        raise _EventError('the data holds no label: {"label": ...}')
    fields = {"at": event["time"]} if event.get("time") is not None else {}
    if "token" not in data:  # which names the request by itself
        fields["request_id"] = event.get("subject") or event["id"]
    return fields | data


def _data(event: dict[str, Any]) -> Any:
    if "data_base64" not in event:
        return event.get("data")
    packed = event["data_base64"]
    if not isinstance(packed, str) or "data" in event:
        raise _EventError("data_base64 is not a text, or stands beside data")
    try:
        return labels.decoded(base64.b64decode(packed, validate=True))
    except (binascii.Error, BodyError, ValueError) as error:
        raise _EventError(f"data_base64: {error}") from error
