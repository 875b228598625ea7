"""An audit record as a message: CloudEvents 1.0 or one sentence, signed. Pure.

Signed as the Standard Webhooks specification 1.0 says: HMAC-SHA256 over id, time and body.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_EVENT_BYTES = 64 * 1024
"""What CloudEvents 1.0 (section "Size Limits") asks every receiver to take; of a larger event the
evidence is left out."""
SOURCE = "/understudy"
TYPE = "understudy."
"""Before the action of the record: understudy.promote."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent, however often it has to be."""

    id: str
    """Of the record: the same at every attempt, so that a receiver knows what it has."""
    body: bytes
    content_type: str


def message_of(record: Mapping[str, Any], form: str) -> Message:
    """Return the message about an audit record (with its hash), as ``cloudevents`` or ``slack``."""
    name = f"{record['sequence']}-{str(record['hash'])[:16]}"
    if form == "slack":
        return Message(name, _json({"text": _slack(sentence(record))}), "application/json")
    body = _json(event_of(record, name))
    if len(body) > MAX_EVENT_BYTES:
        lean = {**record, "evidence": None, "evidence_left_out": True}
        body = _json(event_of(lean, name))
    return Message(name, body, "application/cloudevents+json; charset=utf-8")


def trial_message(form: str, at: str, chance: str) -> Message:
    """Return a message that says that it is a test, sent ``at`` (RFC 3339)."""
    said = "This is a test of Understudy's events. Nothing happened."
    record = {
        "sequence": 0,
        "at": at,
        "who": "test",
        "route": "",
        "action": "test",
        "because": said,
        "hash": chance,
    }
    return message_of(record, form)


def event_of(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the CloudEvent about ``record``: its data is the record, whose hash is the head."""
    event = {
        "specversion": "1.0",
        "id": name,
        "source": SOURCE,
        "type": f"{TYPE}{record['action']}",
        "time": record["at"],
        "datacontenttype": "application/json",
        "data": dict(record),
    }
    return event | ({"subject": record["route"]} if record["route"] else {})


def sentence(record: Mapping[str, Any]) -> str:
    """Return what happened in one sentence, for people.

    >>> sentence({"route": "r", "action": "promote", "challenger": "m-2", "who": "controller",
    ...           "phase_from": "canary", "phase_to": "watch", "share_from": 0.5, "share_to": 0.99,
    ...           "because": "all 3 checks passed"})
    'r: promote m-2, canary to watch, 50% to 99%, by controller: all 3 checks passed'
    """
    parts = [f"{record['action']} {record.get('challenger') or ''}".strip()]
    old, new = record.get("phase_from"), record.get("phase_to")
    if old != new and new:
        parts.append(f"{old or 'nothing'} to {new}")
    before, after = record.get("share_from", 0.0), record.get("share_to", 0.0)
    if before != after:
        parts.append(f"{before * 100:.4g}% to {after * 100:.4g}%")
    parts.append(f"by {record['who']}")
    place = f"{record['route']}: " if record["route"] else ""
    return f"{place}{', '.join(parts)}: {record['because']}"


def headers_of(message: Message, secrets: Sequence[bytes], at_s: int) -> dict[str, str]:
    """Return the headers of an attempt at ``at_s`` (seconds since 1970, when it is sent)."""
    headers = {
        "content-type": message.content_type,
        "user-agent": "understudy",
        "webhook-id": message.id,
        "webhook-timestamp": str(at_s),
    }
    if secrets:
        signed = [signature(secret, message.id, at_s, message.body) for secret in secrets]
        headers["webhook-signature"] = " ".join(signed)
    return headers


def signature(secret: bytes, name: str, at_s: int, body: bytes) -> str:
    """Return what ``webhook-signature`` holds for one secret: ``v1,`` and the HMAC in base64."""
    told = f"{name}.{at_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, told, hashlib.sha256)).decode()


def _slack(text: str) -> str:
    """Escape what Slack would take for a link or a call to everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), default=str).encode()
