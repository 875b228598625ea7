from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import trace
from router.observation import Exposure, MirroredPair, Outcome
from sidecar.spans import CLIENT, SERVER, Span, spans_of

TRACE, PARENT, EXCHANGE = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00000000000000a0"
TRACED = f"00-{TRACE}-{PARENT}-01/{EXCHANGE}"
OLD = Outcome("digits-1", 200, 0.5, "", body_bytes=9)
NEW = Outcome("digits-2", 200, 0.25, "")
BROKEN = Outcome("digits-2", 0, 0.25, "timeout")
SHARED: dict[str, Any] = {
    "route": "digits",
    "experiment": "digits:1",
    "request_id": "r1",
    "unit": 255,
    "table_version": 7,
    "at_ns": 1_000_000_000,
    "trace": TRACED,
}


def pair(**more: Any) -> list[Span]:
    return spans_of(MirroredPair(**(SHARED | {"champion": OLD, "challenger": NEW} | more)))


def exposure(**more: Any) -> list[Span]:
    said = {"is_challenger": True, "propensity": 0.25, "outcome": NEW}
    return spans_of(Exposure(**(SHARED | said | more)))


def test_exchange_is_under_the_clients_span_and_its_call_under_it() -> None:
    exchange, call, _ = pair()
    assert (exchange.kind, call.kind) == (SERVER, CLIENT)
    assert exchange.trace_id == call.trace_id == int(TRACE, 16)
    assert (exchange.parent_id, exchange.span_id) == (int(PARENT, 16), int(EXCHANGE, 16))
    assert call.parent_id == exchange.span_id
    assert (exchange.start_ns, exchange.end_ns) == (1_000_000_000, 1_500_000_000)


def test_copy_is_linked_and_not_nested() -> None:
    exchange, _, copy = pair()
    assert copy.parent_id is None and copy.trace_id != exchange.trace_id
    assert copy.link == (exchange.trace_id, exchange.span_id)
    assert copy.attributes["understudy.role"] == "mirror"
    assert copy.end_ns - copy.start_ns == 250_000_000


def test_names_are_those_that_the_variants_were_sent() -> None:
    client = f"00-{TRACE}-{PARENT}-01".encode()
    _, call, copy = pair()
    sent = trace.served(client, trace.leg(EXCHANGE.encode(), 1))
    assert (call.trace_id, call.span_id) == (int(sent[3:35], 16), int(sent[36:52], 16))
    sent = trace.copied(client, trace.leg(EXCHANGE.encode(), 3))
    assert (copy.trace_id, copy.span_id) == (int(sent[3:35], 16), int(sent[36:52], 16))


def test_copy_that_was_not_made_has_no_span_and_a_reason() -> None:
    exchange, _ = pair(challenger=None, loss="queue_full")
    assert exchange.attributes["understudy.loss"] == "queue_full"


def test_who_stands_in_comes_after_who_failed() -> None:
    exchange, first, second = exposure(outcome=BROKEN, fallback=OLD)
    assert (first.fault, first.attributes["error.type"]) == ("timeout", "timeout")
    assert second.start_ns == first.end_ns and second.attributes["understudy.role"] == "fallback"
    assert exchange.end_ns == second.end_ns
    assert exchange.fault == "" and exchange.attributes["http.response.status_code"] == 200
    assert len({exchange.span_id, first.span_id, second.span_id}) == 3


@pytest.mark.parametrize(
    ("spans", "variant", "reason"),
    [
        (exposure(), "digits-2", "split"),
        (exposure(is_challenger=False, outcome=OLD), "digits-1", "split"),
        (exposure(propensity=1.0), "digits-2", "static"),
        (exposure(outcome=BROKEN, fallback=OLD), "digits-2", "split"),
        (pair(), "digits-1", "default"),
    ],
)
def test_evaluation_says_what_was_drawn(spans: list[Span], variant: str, reason: str) -> None:
    assert spans[0].evaluation == {
        "feature_flag.key": "digits:1",
        "feature_flag.provider.name": "understudy",
        "feature_flag.result.variant": variant,
        "feature_flag.result.reason": reason,
        "feature_flag.context.id": "00000000000000ff",
        "feature_flag.version": "7",
    }
    assert not any(span.evaluation for span in spans[1:])


@pytest.mark.parametrize("value", ["", "nonsense", TRACED[:-1], TRACED.replace("-01/", "-00/")])
def test_what_is_not_traced_has_no_spans(value: str) -> None:
    assert pair(trace=value) == []


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_no_span_ends_before_it_begins_or_outside_its_exchange(one: float, other: float) -> None:
    slow = Outcome("digits-2", 0, one, "timeout")
    exchange, *legs = exposure(outcome=slow, fallback=Outcome("digits-1", 200, other, ""))
    for leg in legs:
        assert exchange.start_ns <= leg.start_ns <= leg.end_ns <= exchange.end_ns
