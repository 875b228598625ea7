"""The spans of one observation that is traced. Pure: what is sent where is in tracing.py.

An exchange is a span under the client's, its calls are spans under it. The copy is in a trace of
its own and linked to the exchange: nobody waits for it, so it is no part of the client's time. The
names are those that the routers sent to the variants (router/trace.py).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from router import trace
from router.observation import MirroredPair, Observation, Outcome

SERVER, CLIENT = "server", "client"
PROVIDER = "understudy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One span; names are numbers, as OpenTelemetry has them."""

    name: str
    kind: str
    """SERVER or CLIENT."""
    trace_id: int
    span_id: int
    parent_id: int | None
    """In the same trace; None begins a trace."""
    start_ns: int
    """Wall clock."""
    end_ns: int
    attributes: Mapping[str, str | int | float | bool]
    fault: str = ""
    """What went wrong, one of FAULTS; empty if nothing did."""
    link: tuple[int, int] | None = None
    """Trace and span that this one is linked to."""
    evaluation: Mapping[str, str] = field(default_factory=dict)
    """Attributes of its event ``feature_flag.evaluation``; empty for none."""


def spans_of(seen: Observation) -> list[Span]:
    """Return the spans of ``seen``; none if it is not traced, or its trace makes no sense."""
    traceparent, _, span = seen.trace.encode().partition(b"/")
    if not trace.is_sampled(traceparent) or len(span) != 16:
        return []
    trace_id, exchange_id = int(traceparent[3:35], 16), int(span, 16)
    serving = list(_serving(seen))
    legs = [
        Span(
            name=f"{seen.route} {outcome.variant}",
            kind=CLIENT,
            trace_id=trace_id,
            span_id=int(trace.leg(span, number), 16),
            parent_id=exchange_id,
            start_ns=start_ns,
            end_ns=start_ns + _ns(outcome),
            attributes=_leg(outcome, role),
            fault=outcome.fault,
        )
        for number, role, start_ns, outcome in serving
    ]
    last = serving[-1][3]
    exchange = Span(
        name=f"understudy {seen.route}",
        kind=SERVER,
        trace_id=trace_id,
        span_id=exchange_id,
        parent_id=int(traceparent[36:52], 16),
        start_ns=seen.at_ns,
        end_ns=max(leg.end_ns for leg in legs),
        attributes=_exchange(seen, last),
        fault=last.fault,
        evaluation=_evaluation(seen),
    )
    return [exchange, *legs, *_copy(seen, traceparent, span, exchange)]


def _serving(seen: Observation) -> Iterator[tuple[int, str, int, Outcome]]:
    """Yield number, role, begin and outcome of each call that was to serve the client."""
    if isinstance(seen, MirroredPair):
        yield 1, "champion", seen.at_ns, seen.champion
        return
    role = "challenger" if seen.is_challenger else "champion"
    yield 1, role, seen.at_ns, seen.outcome
    if seen.fallback is not None:
        # Whoever stands in is asked when the first has failed.
        yield 2, "fallback", seen.at_ns + _ns(seen.outcome), seen.fallback


def _copy(seen: Observation, traceparent: bytes, span: bytes, exchange: Span) -> list[Span]:
    if not isinstance(seen, MirroredPair) or seen.challenger is None:
        return []
    outcome = seen.challenger
    return [
        Span(
            name=f"{seen.route} {outcome.variant} copy",
            kind=CLIENT,
            trace_id=int(trace.complement(traceparent[3:35]), 16),
            span_id=int(trace.leg(span, 3), 16),
            parent_id=None,
            start_ns=seen.at_ns,
            end_ns=seen.at_ns + _ns(outcome),
            attributes=_leg(outcome, "mirror") | {"understudy.request_id": seen.request_id},
            fault=outcome.fault,
            link=(exchange.trace_id, exchange.span_id),
        )
    ]


def _ns(outcome: Outcome) -> int:
    return max(0, round(outcome.latency_s * 1e9))


def _leg(outcome: Outcome, role: str) -> dict[str, str | int | float | bool]:
    found: dict[str, str | int | float | bool] = {
        "understudy.variant": outcome.variant,
        "understudy.role": role,
    }
    if outcome.status:
        found["http.response.status_code"] = outcome.status
    if outcome.body_bytes:
        found["http.response.body.size"] = outcome.body_bytes
    return found | ({"error.type": outcome.fault} if outcome.fault else {})


def _exchange(seen: Observation, last: Outcome) -> dict[str, str | int | float | bool]:
    found: dict[str, str | int | float | bool] = {
        "understudy.route": seen.route,
        "understudy.experiment": seen.experiment,
        "understudy.request_id": seen.request_id,
        "understudy.table_version": seen.table_version,
    }
    if last.status:
        found["http.response.status_code"] = last.status
    if seen.loss:
        found["understudy.loss"] = seen.loss
    return found


def _evaluation(seen: Observation) -> dict[str, str]:
    """Return which variant was drawn and why, in OpenTelemetry's words for feature flags.

    The draw is what counts, not who answered in the end: a fallback does not change it.
    """
    if isinstance(seen, MirroredPair):
        variant, reason = seen.champion.variant, "default"
    else:
        variant = seen.outcome.variant
        reason = "split" if 0.0 < seen.propensity < 1.0 else "static"
    return {
        "feature_flag.key": seen.experiment,
        "feature_flag.provider.name": PROVIDER,
        "feature_flag.result.variant": variant,
        "feature_flag.result.reason": reason,
        "feature_flag.context.id": f"{seen.unit:016x}",
        "feature_flag.version": str(seen.table_version),
    }
