"""What is sent, and that who has the secret can tell that we sent it."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

from controller.chain import Noted, read_head
from sidecar.webhook import (
    MAX_EVENT_BYTES,
    headers_of,
    message_of,
    sentence,
    signature,
    trial_message,
)
from tests.controller.test_chain import chain_of
from tests.sidecar.double import HOSTILE

SECRET = b"0123456789abcdef01234567"
SEQUENCE, BODY, HASH = chain_of(1)[0]
RECORD: dict[str, Any] = json.loads(BODY) | {"hash": HASH}


def test_an_event_is_a_cloudevent_whose_data_is_the_record() -> None:
    message = message_of(RECORD, "cloudevents")
    assert message.content_type.startswith("application/cloudevents+json")
    event = json.loads(message.body)
    assert event["data"] == RECORD
    del event["data"]
    assert event == {
        "specversion": "1.0",
        "id": f"1-{HASH[:16]}",
        "source": "/understudy",
        "type": "understudy.advance",
        "subject": "digits",
        "time": RECORD["at"],
        "datacontenttype": "application/json",
    }
    assert message.id == event["id"]


def test_an_event_kept_by_its_receiver_is_a_noted_head() -> None:
    assert read_head(message_of(RECORD, "cloudevents").body.decode()) == Noted(HASH, 1)


def test_a_record_of_no_route_has_no_subject() -> None:
    assert "subject" not in json.loads(message_of(RECORD | {"route": ""}, "cloudevents").body)


def test_an_event_is_never_larger_than_receivers_must_take() -> None:
    large = RECORD | {"evidence": {"readings": ["x" * MAX_EVENT_BYTES]}}
    body = message_of(large, "cloudevents").body
    data = json.loads(body)["data"]
    assert len(body) < MAX_EVENT_BYTES and data["evidence"] is None
    assert data["evidence_left_out"] is True and data["hash"] == HASH


def test_a_chat_gets_one_sentence_that_calls_nobody() -> None:
    record = RECORD | {"because": f"{HOSTILE} <!channel>"}
    text = json.loads(message_of(record, "slack").body)["text"]
    assert not set("<>") & set(text) and "&lt;!channel&gt;" in text
    assert text.startswith("digits: advance, by controller: ")


def test_a_sentence_says_what_moved() -> None:
    record = RECORD | {"challenger": "d-2", "phase_from": None, "phase_to": "functional"}
    record |= {"share_from": 0.0, "share_to": 0.0125, "because": "its turn has come"}
    assert sentence(record) == (
        "digits: advance d-2, nothing to functional, 0% to 1.25%, by controller: its turn has come"
    )


def test_the_signature_is_that_of_the_standard() -> None:
    """Its own example: standardwebhooks.com, specification 1.0, "Signature scheme"."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signed = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_both_secrets_of_a_rotation_sign_and_none_signs_nothing() -> None:
    message = message_of(RECORD, "cloudevents")
    headers = headers_of(message, (SECRET, b"x" * 24), 1_800_000_000)
    assert headers["webhook-id"] == message.id and headers["webhook-timestamp"] == "1800000000"
    told = f"{message.id}.1800000000.".encode() + message.body
    expected = [
        "v1," + base64.b64encode(hmac.new(secret, told, hashlib.sha256).digest()).decode()
        for secret in (SECRET, b"x" * 24)
    ]
    assert headers["webhook-signature"].split(" ") == expected
    assert "webhook-signature" not in headers_of(message, (), 0)


def test_another_time_body_or_id_has_another_signature() -> None:
    message = message_of(RECORD, "cloudevents")
    changed = (message, replace(message, id="2-x"), replace(message, body=b"{}"))
    signed = {headers_of(one, (SECRET,), 1)["webhook-signature"] for one in changed}
    signed.add(headers_of(message, (SECRET,), 2)["webhook-signature"])
    assert len(signed) == 4


def test_a_test_says_that_it_is_one() -> None:
    for form in ("cloudevents", "slack"):
        body = trial_message(form, "2027-01-01T00:00:00Z", "ab" * 32).body.decode()
        assert "This is a test" in body
    event = json.loads(trial_message("cloudevents", "2027-01-01T00:00:00Z", "ab" * 32).body)
    assert event["type"] == "understudy.test"
