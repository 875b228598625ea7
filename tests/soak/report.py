"""What a soak came to, and whether that is good. Pure."""

from dataclasses import dataclass

from tests.soak.clients import Findings

RSS_OVER_BUDGET_MIB = 20.0
BUDGET_MIB = 64.0
"""What copies under way may hold (router/mirror.py)."""
SLOPE_MIB_PER_MINUTE = 0.5
MIN_SLOPE_S = 480.0
"""Shorter runs end before the allocator has seen every fault twice: no slope is judged."""
DESCRIPTORS_OVER = 4
"""Once the clients have gone: connections to the controller and to variants that are probed."""
P99_FACTOR, P99_EXTRA_S = 1.2, 0.001
"""The promise, for a router with a core of its own."""
ALARM_FACTOR, ALARM_EXTRA_S = 4.0, 0.050
"""What fails a run in which clients, models and router share the cores."""
MIN_LATENCIES = 300
"""Fewer have no 99th percentile to speak of."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The router process at one moment."""

    at_s: float
    phase: str
    rss_mib: float
    n_descriptors: int


@dataclass
class Summary:
    """All that was seen."""

    seconds: float
    rate: float
    findings: Findings
    samples: list[Sample]
    accounts: dict[str, float]
    n_labels: int
    n_labels_refused: int
    n_descriptors: tuple[int, int]
    """Of the router before the first client came, and after the last one had gone."""


def p99(values: list[float]) -> float:
    """Return the 99th percentile, nearest rank; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] if ordered else 0.0


def slope_per_minute(points: list[tuple[float, float]]) -> float:
    """Return the least-squares slope of (seconds, value), a minute; 0 for fewer than two."""
    if len(points) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    square = sum((x - mean_x) ** 2 for x, _ in points)
    if not square:
        return 0.0
    return 60 * sum((x - mean_x) * (y - mean_y) for x, y in points) / square


def quiet(samples: list[Sample]) -> list[Sample]:
    return [one for one in samples if one.phase == "quiet"]


def is_complete(accounts: dict[str, float]) -> bool:
    """Whether whatever the champion served was copied or lost, and the evaluator knows of it.

    A request whose client left and whose copy is lost counts as lost and as aborted, so what the
    evaluator knows is between two sums.
    """
    served, lost = accounts["served"], accounts["lost"]
    known = accounts["pairs"] + accounts["aborted"]
    return (
        served == accounts["copied"] + lost
        and accounts["known lost"] == lost
        and known <= served <= known + lost
    )


def verdicts(summary: Summary) -> dict[str, str]:
    """Return what was asked and ``ok``, or what is wrong."""
    found = summary.findings
    accounts = summary.accounts
    served, copied, lost = accounts["served"], accounts["copied"], accounts["lost"]
    calm = quiet(summary.samples)
    return {
        "no failed champion request": _ok(
            found.n_failed == 0, f"{found.n_failed} failed: {found.failures[:5]}"
        ),
        "every answer the champion's, to the byte": _ok(
            found.answered > 0 and not any("Failed" in one for one in found.failures), "see above"
        ),
        "every copy made, or lost with a reason": _ok(
            served == copied + lost and served > 0,
            f"served {served:.0f}, copied {copied:.0f}, lost {lost:.0f}",
        ),
        "every pair is known to the evaluator": _ok(
            is_complete(accounts) and not accounts["observations dropped"], f"{accounts}"
        ),
        "memory stays within its budget": _memory(calm, summary.samples),
        "memory does not grow": _growth(calm),
        "no descriptor is left behind": _descriptors(*summary.n_descriptors),
        "champion's p99 under faults": _latency(found),
    }


def _ok(is_good: bool, otherwise: str) -> str:
    return "ok" if is_good else otherwise


def _memory(calm: list[Sample], samples: list[Sample]) -> str:
    if not calm:
        return "no quiet sample"
    begin, top = calm[0].rss_mib, max(one.rss_mib for one in samples)
    allowed = begin + BUDGET_MIB + RSS_OVER_BUDGET_MIB
    return _ok(top <= allowed, f"{top:.0f} MiB, {allowed:.0f} allowed")


def _growth(calm: list[Sample]) -> str:
    late = [one for one in calm if one.at_s > calm[-1].at_s / 3]
    if not calm or calm[-1].at_s < MIN_SLOPE_S:
        return "ok"  # too short to tell
    slope = slope_per_minute([(one.at_s, one.rss_mib) for one in late])
    return _ok(slope <= SLOPE_MIB_PER_MINUTE, f"{slope:.2f} MiB a minute")


def _descriptors(before: int, after: int) -> str:
    return _ok(after <= before + DESCRIPTORS_OVER, f"{before} before the load, {after} after it")


def _latency(found: Findings) -> str:
    base = p99(found.latencies_s["quiet"])
    slow = []
    for phase, values in found.latencies_s.items():
        if len(values) >= MIN_LATENCIES and p99(values) > base * ALARM_FACTOR + ALARM_EXTRA_S:
            slow.append(f"{phase} {p99(values) * 1000:.1f} ms")
    return _ok(not slow, f"quiet {base * 1000:.1f} ms; " + ", ".join(slow))


def as_json(summary: Summary) -> dict[str, object]:
    """Return the summary for machines."""
    found = summary.findings
    calm = quiet(summary.samples)
    return {
        "verdicts": verdicts(summary),
        "seconds": round(summary.seconds, 1),
        "rate_per_s": round(summary.rate, 1),
        "answered": found.answered,
        "failed": found.n_failed,
        "failures": found.failures,
        "answered_by_kind": dict(found.n_by_kind),
        "p99_ms": {name: round(p99(all_) * 1000, 2) for name, all_ in found.latencies_s.items()},
        "rss_mib": {
            "first quiet": round(calm[0].rss_mib, 1) if calm else None,
            "last quiet": round(calm[-1].rss_mib, 1) if calm else None,
            "max": round(max((one.rss_mib for one in summary.samples), default=0.0), 1),
            "slope per minute": round(
                slope_per_minute([(one.at_s, one.rss_mib) for one in calm[len(calm) // 3 :]]), 3
            ),
        },
        "descriptors": {
            "before": summary.n_descriptors[0],
            "max": max((one.n_descriptors for one in summary.samples), default=0),
            "after": summary.n_descriptors[1],
        },
        "accounts": summary.accounts,
        "labels": {"accepted": summary.n_labels, "posts refused": summary.n_labels_refused},
    }


def as_markdown(summary: Summary) -> str:
    """Return the summary for people."""
    found = summary.findings
    base = p99(found.latencies_s["quiet"])
    lines = ["# Soak", ""]
    lines.append(
        f"{summary.seconds / 60:.1f} minutes at {summary.rate:.0f} requests a second: "
        f"{found.answered} answered, {found.n_failed} failed."
    )
    lines += ["", "| asked | found |", "| --- | --- |"]
    lines += [f"| {name} | {said} |" for name, said in verdicts(summary).items()]
    lines += [
        "",
        "| phase | requests | p99, ms | within x1.2 + 1 ms |",
        "| --- | --- | --- | --- |",
    ]
    for phase, values in found.latencies_s.items():
        within = "yes" if p99(values) <= base * P99_FACTOR + P99_EXTRA_S else "no"
        lines.append(f"| {phase} | {len(values)} | {p99(values) * 1000:.1f} | {within} |")
    lines += ["", "| account | count |", "| --- | --- |"]
    lines += [f"| {name} | {n:.0f} |" for name, n in summary.accounts.items()]
    return "\n".join(lines) + "\n"
