"""The bars that the evaluator has to clear, held against what was measured."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Measured = dict[str, Any]

TUNED = ("GrowthBook, tuned", "savvi regression, tuned", "Statsig, one-sided")
SHIPPED = ("GrowthBook, as shipped", "savvi regression, as shipped", "Statsig, as shipped")
OURS = ("ours", "ours, learning", "ours, wide", "ours, no effect declared", "ours, from sums",
        "ours, effect stated twice too large", "ours, effect stated twice too small",
        "ours, with futility")  # fmt: skip


@dataclass(frozen=True)
class Bar:
    """One promise, and whether it holds."""

    name: str
    what: str
    limit: str
    found: str
    holds: bool


def bars(measured: Measured) -> list[Bar]:
    """Return every bar whose parts were measured."""
    found: list[Bar] = []
    for one in (_speed, _robust, _futility, _errors, _peers, _ramp, _pairing, _adjustment,
                _rollback, _watch, _latency, _merge, _cost, _horizon):  # fmt: skip
        try:
            found += one(measured)
        except KeyError:  # a part that was not measured
            continue
    return found


def parts(measured: Measured, beginning: str) -> dict[str, Any]:
    """Return the parts whose name begins so, by the rest of it; KeyError if there is none."""
    found = {
        name.removeprefix(beginning).strip(": "): part
        for name, part in measured.items()
        if name.startswith(beginning)
    }
    if not found:
        raise KeyError(beginning)
    return found


def values(measured: Measured, beginning: str, method: str, field: str) -> list[float]:
    """Return one number of one method from every part that has it."""
    return [
        part["methods"][method][field]
        for part in parts(measured, beginning).values()
        if method in part["methods"] and field in part["methods"][method]
    ]


def _at_most(name: str, what: str, limit: float, found: float, form: str = ".2f") -> Bar:
    return Bar(name, what, f"≤ {limit:g}", format(found, form), found <= limit + 1e-9)


def _at_least(name: str, what: str, limit: float, found: float, form: str = ".2f") -> Bar:
    return Bar(name, what, f"≥ {limit:g}", format(found, form), found >= limit - 1e-9)


def _speed(m: Measured) -> Iterator[Bar]:
    for beginning, mode in (("split gain", "split"), ("pair gain", "pairs")):
        known = values(m, beginning, "ours", "ratio")
        if mode == "split":  # for pairs of bounded answers the exact form is what is used
            known += values(m, beginning, "ours, from sums", "ratio")
        yield _at_most("B1", f"{mode}: mean N over the oracle's", 1.10, max(known), ".3f")
        learning = max(values(m, beginning, "ours, learning", "ratio"))
        yield _at_most("B1", f"{mode}: the same, champion's rate not known", 1.10, learning, ".3f")


def _robust(m: Measured) -> Iterator[Bar]:
    both = [
        ratio
        for beginning in ("split gain", "pair gain")
        for size in ("large", "small")
        for ratio in values(m, beginning, f"ours, effect stated twice too {size}", "ratio")
    ]
    yield _at_most("B2", "effect stated wrong by a factor of two", 1.30, max(both))
    vague = max(values(m, "pair gain", "ours, no effect declared", "ratio"))
    yield _at_most("B2", "pairs, no effect declared (2 points assumed)", 1.40, vague)


def _futility(m: Measured) -> Iterator[Bar]:
    split = "ours, with futility"
    yield _at_most("B3", "with futility: mean N", 0.82, max(values(m, "split gain", split, "ratio")
                   + values(m, "pair gain", split, "ratio")))  # fmt: skip
    yield _at_least("B3", "with futility: power", 0.80, min(values(m, "split gain", split, "power")
                    + values(m, "pair gain", split, "power")))  # fmt: skip
    wrong = values(m, "split null", split, "rejected") + values(m, "pair null", split, "rejected")
    yield _at_most("B3", "with futility: false promotions", 0.05, max(wrong), ".3f")
    null = m["split null: both 10 %"]
    share = null["methods"][split]["mean"] / null["n80"]
    yield _at_most("B3", "a useless challenger is given up after, of N80", 0.50, share)


def _errors(m: Measured) -> Iterator[Bar]:
    nulls = parts(m, "split null") | parts(m, "pair null")
    runs = min(part["runs"] for part in nulls.values())
    limit = 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
    worst = max(
        part["methods"][name]["rejected"]
        for part in nulls.values()
        for name in OURS
        if name in part["methods"]
    )
    yield _at_most("B4", f"false promotions, {runs:,} runs of 100,000, every one a look",
                   round(limit, 3), worst, ".3f")  # fmt: skip


def _peers(m: Measured) -> Iterator[Bar]:
    gains = parts(m, "split gain").values()

    def over(peers: tuple[str, ...]) -> float:
        return min(
            part["methods"][peer]["ratio"]
            / part["methods"]["ours" if "ours" in part["methods"] else "ours, from sums"]["ratio"]
            for part in gains
            for peer in peers
        )

    yield _at_least("B5", "any peer as shipped needs, over ours", 1.25, over(SHIPPED))
    yield _at_least("B5", "any peer tuned to the effect needs, over ours", 1.05, over(TUNED))


def _ramp(m: Measured) -> Iterator[Bar]:
    ours = "ours, learning"
    worst = max(values(m, "ramp null", ours, "rejected"))
    yield _at_most("B6", "ramp to 50 % while rates drift by 40 %: false promotions", 0.065, worst,
                   ".3f")  # fmt: skip
    ratio = m["ramp gain"]["methods"][ours]["ratio"]
    yield _at_most("B6", "the same, mean N over the oracle's", 1.05, ratio, ".3f")


def _pairing(m: Measured) -> Iterator[Bar]:
    split = m["split gain: 92 % to 93 %"]["methods"]["ours"]["mean"]
    shadow = m["pair gain: 92 % to 93 %, correlation .7"]
    pairs = shadow["methods"]["ours"]["mean"]
    yield _at_least("B7", "split needs, over shadow (92 to 93 %, correlation .7)", 6.0,
                    split / pairs)  # fmt: skip
    labels = pairs * shadow["differing"]
    yield Bar("B7", "labels for that, if only of answers that differ", "≤ 130",
              f"{labels:.0f}", labels <= 130)  # fmt: skip


def _adjustment(m: Measured) -> Iterator[Bar]:
    for kind in ("covariate", "proxy"):
        found = m["adjustment"][kind].items()
        r, worst = max(found, key=lambda one: one[1]["ratio"] - one[1]["theory"])
        over = worst["ratio"] - worst["theory"]
        what = f"requests with a {kind}, over theory's {worst['theory']:.2f} (correlation {r})"
        yield Bar("B8", what, "+0.04", f"{over:+.3f} ± {worst['error']:.3f}", over <= 0.04)


def _rollback(m: Measured) -> Iterator[Bar]:
    cases = m["rollback"]["cases"]
    usual = [
        case["ratio"] for name, case in cases.items() if ", 2 times" in name or ", 5 times" in name
    ]
    yield _at_most("B9", "2 to 5 times the errors: requests over the oracle's", 1.25, max(usual))
    catastrophe = cases["1%, 50 times 0.2 %"]["ours"]
    yield _at_most("B9", "50 times the errors at 1 %: requests", 2500, catastrophe, ",.0f")


def _watch(m: Measured) -> Iterator[Bar]:
    watch = m["watch"]
    arls = [one["false_alarm"] / watch["target"] for one in watch["holdback"].values()]
    worst = max(arls, key=lambda arl: abs(arl - 1.0))
    yield Bar("B10", "time to a false alarm through seasons, over the target", "0.9 to 1.1",
              f"{worst:.2f}", all(0.9 <= arl <= 1.1 for arl in arls))  # fmt: skip
    delay = watch["delay"]["ours"] / watch["delay"]["oracle"]
    yield _at_most("B10", "delay over that of a CUSUM that knows both rates", 1.05, delay, ".3f")


def _latency(m: Measured) -> Iterator[Bar]:
    latency = m["latency"]
    yield _at_most("B11", "latency: false alarms", 0.065, latency["rejected"], ".3f")
    yield _at_most("B11", "10 % slower: requests until it is found", 3600, latency["shift"], ",.0f")


def _merge(m: Measured) -> Iterator[Bar]:
    worst = m["merge"]["worst"]
    yield Bar("B12", "64 shards in any order against one stream", "≤ 1e-9", f"{worst:.0e}",
              worst <= 1e-9)  # fmt: skip


def _cost(m: Measured) -> Iterator[Bar]:
    cost = m["cost"]
    yield _at_most("B13", "µs to read a yes-or-no metric after an observation", 20,
                   cost["binary_us"], ".1f")  # fmt: skip
    yield _at_most("B13", "µs to read a metric from its sums", 20, cost["sums_us"], ".1f")


def _horizon(m: Measured) -> Iterator[Bar]:
    never = [
        part
        for beginning in ("split gain", "pair gain")
        for part in values(m, beginning, "ours, fixed horizon", "never")
    ]
    yield _at_least("B14", "fixed horizon: power at N80 with a look at every observation", 0.75,
                    1.0 - max(never))  # fmt: skip
