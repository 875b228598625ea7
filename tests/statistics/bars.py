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
    runs: int
    """Simulated runs behind it, the fewest of its cases; 0 where nothing is drawn by lot."""


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


def fewest(measured: Measured, *beginnings: str) -> int:
    """Return the fewest runs of the parts whose names begin so; KeyError if there are none."""
    return min(part["runs"] for one in beginnings for part in parts(measured, one).values())


def _at_most(name: str, what: str, limit: float, found: float, runs: int, form: str = ".2f") -> Bar:
    return Bar(name, what, f"≤ {limit:g}", format(found, form), found <= limit + 1e-9, runs)


def _at_least(
    name: str, what: str, limit: float, found: float, runs: int, form: str = ".2f"
) -> Bar:
    return Bar(name, what, f"≥ {limit:g}", format(found, form), found >= limit - 1e-9, runs)


def _speed(m: Measured) -> Iterator[Bar]:
    for beginning, mode in (("split gain", "split"), ("pair gain", "pairs")):
        runs = fewest(m, beginning)
        known = values(m, beginning, "ours", "ratio")
        if mode == "split":  # for pairs of bounded answers the exact form is what is used
            known += values(m, beginning, "ours, from sums", "ratio")
        what = f"{mode}: mean N over the oracle's"
        yield _at_most("B1", what, 1.10, max(known), runs, ".3f")
        learning = max(values(m, beginning, "ours, learning", "ratio"))
        what = f"{mode}: the same, champion's rate not known"
        yield _at_most("B1", what, 1.10, learning, runs, ".3f")


def _robust(m: Measured) -> Iterator[Bar]:
    both = [
        ratio
        for beginning in ("split gain", "pair gain")
        for size in ("large", "small")
        for ratio in values(m, beginning, f"ours, effect stated twice too {size}", "ratio")
    ]
    runs = fewest(m, "split gain", "pair gain")
    yield _at_most("B2", "effect stated wrong by a factor of two", 1.30, max(both), runs)
    vague = max(values(m, "pair gain", "ours, no effect declared", "ratio"))
    what = "pairs, no effect declared (2 points assumed)"
    yield _at_most("B2", what, 1.40, vague, fewest(m, "pair gain"))


def _futility(m: Measured) -> Iterator[Bar]:
    way = "ours, with futility"
    runs = fewest(m, "split gain", "pair gain")
    ratios = values(m, "split gain", way, "ratio") + values(m, "pair gain", way, "ratio")
    yield _at_most("B3", "with futility: mean N", 0.82, max(ratios), runs)
    powers = values(m, "split gain", way, "power") + values(m, "pair gain", way, "power")
    yield _at_least("B3", "with futility: power", 0.80, min(powers), runs)
    wrong = values(m, "split null", way, "rejected") + values(m, "pair null", way, "rejected")
    runs = fewest(m, "split null", "pair null")
    yield _at_most("B3", "with futility: false promotions", 0.05, max(wrong), runs, ".3f")
    null = m["split null: both 10 %"]
    # N80 is about the challenger that is as good as declared, so it is that of its own rates.
    share = null["methods"][way]["mean"] / m["split gain: 10 % to 12 %"]["n80"]
    what = "a useless challenger is given up after, of N80"
    yield _at_most("B3", what, 0.50, share, null["runs"])


def _errors(m: Measured) -> Iterator[Bar]:
    nulls = parts(m, "split null") | parts(m, "pair null")
    runs = fewest(m, "split null", "pair null")
    limit = 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
    worst = max(
        part["methods"][name]["rejected"]
        for part in nulls.values()
        for name in OURS
        if name in part["methods"]
    )
    horizon = min(part["horizon"] for part in nulls.values())
    what = f"false promotions within {horizon:,} observations, every one a look"
    yield _at_most("B4", what, round(limit, 3), worst, runs, ".3f")


def _peers(m: Measured) -> Iterator[Bar]:
    gains = parts(m, "split gain").values()
    runs = fewest(m, "split gain")

    def over(peers: tuple[str, ...]) -> float:
        return min(
            part["methods"][peer]["ratio"]
            / part["methods"]["ours" if "ours" in part["methods"] else "ours, from sums"]["ratio"]
            for part in gains
            for peer in peers
        )

    yield _at_least("B5", "any peer as shipped needs, over ours", 1.25, over(SHIPPED), runs)
    yield _at_least("B5", "any peer tuned to the effect needs, over ours", 1.05, over(TUNED), runs)


def _ramp(m: Measured) -> Iterator[Bar]:
    ours = "ours, learning"
    worst = max(values(m, "ramp null", ours, "rejected"))
    what = "ramp to 50 % while rates drift by 40 %: false promotions"
    yield _at_most("B6", what, 0.065, worst, fewest(m, "ramp null"), ".3f")
    gain = m["ramp gain"]
    ratio = gain["methods"][ours]["ratio"]
    yield _at_most("B6", "the same, mean N over the oracle's", 1.05, ratio, gain["runs"], ".3f")


def _pairing(m: Measured) -> Iterator[Bar]:
    canary = m["split gain: 92 % to 93 %"]
    shadow = m["pair gain: 92 % to 93 %, correlation .7"]
    split, pairs = (part["methods"]["ours"]["mean"] for part in (canary, shadow))
    runs = min(canary["runs"], shadow["runs"])
    what = "split needs, over shadow (92 to 93 %, correlation .7)"
    yield _at_least("B7", what, 6.0, split / pairs, runs)
    labels = pairs * shadow["differing"]
    what = "labels for that, if only of answers that differ"
    yield _at_most("B7", what, 130, labels, shadow["runs"], ".0f")


def _adjustment(m: Measured) -> Iterator[Bar]:
    for kind in ("covariate", "proxy"):
        found = m["adjustment"][kind].items()
        r, worst = max(found, key=lambda one: one[1]["ratio"] - one[1]["theory"])
        over = worst["ratio"] - worst["theory"]
        what = f"requests with a {kind}, over theory's {worst['theory']:.2f} (correlation {r})"
        shown = f"{over:+.3f} ± {worst['error']:.3f}"
        yield Bar("B8", what, "+0.04", shown, over <= 0.04, m["adjustment"]["runs_of"][kind])


def _rollback(m: Measured) -> Iterator[Bar]:
    cases, runs = m["rollback"]["cases"], m["rollback"]["runs"]
    usual = [
        case["ratio"] for name, case in cases.items() if ", 2 times" in name or ", 5 times" in name
    ]
    what = "2 to 5 times the errors: requests over the oracle's"
    yield _at_most("B9", what, 1.25, max(usual), runs)
    catastrophe = cases["1%, 50 times 0.2 %"]["ours"]
    yield _at_most("B9", "50 times the errors at 1 %: requests", 2500, catastrophe, runs, ",.0f")


def _watch(m: Measured) -> Iterator[Bar]:
    watch = m["watch"]
    arls = [one["false_alarm"] / watch["target"] for one in watch["holdback"].values()]
    worst = max(arls, key=lambda arl: abs(arl - 1.0))
    # Times to a false alarm are close to exponential: the error of their mean is 1 / sqrt(runs).
    shown = f"{worst:.2f} ± {worst / math.sqrt(watch['runs']):.2f}"
    yield Bar("B10", "time to a false alarm through seasons, over the target", "0.9 to 1.1",
              shown, all(0.9 <= arl <= 1.1 for arl in arls), watch["runs"])  # fmt: skip
    delay = watch["delay"]["ours"] / watch["delay"]["oracle"]
    what = "delay over that of a CUSUM that knows both rates"
    yield _at_most("B10", what, 1.05, delay, watch["delay"]["runs"], ".3f")


def _latency(m: Measured) -> Iterator[Bar]:
    found = m["latency"]
    runs = found["runs"]
    yield _at_most("B11", "latency: false alarms", 0.065, found["rejected"], runs, ".3f")
    shown = f"{found['shift']:,.0f} ± {found['shift_error']:.0f}"
    yield Bar("B11", "10 % slower: requests until it is found", "≤ 3600", shown,
              found["shift"] <= 3600, runs)  # fmt: skip


def _merge(m: Measured) -> Iterator[Bar]:
    worst = m["merge"]["worst"]
    yield Bar("B12", "64 shards in any order against one stream", "≤ 1e-9", f"{worst:.0e}",
              worst <= 1e-9, 0)  # fmt: skip


def _cost(m: Measured) -> Iterator[Bar]:
    cost = m["cost"]
    what = "µs to read a yes-or-no metric after an observation"
    yield _at_most("B13", what, 20, cost["binary_us"], 0, ".1f")
    yield _at_most("B13", "µs to read a metric from its sums", 20, cost["sums_us"], 0, ".1f")


def _horizon(m: Measured) -> Iterator[Bar]:
    never = [
        part
        for beginning in ("split gain", "pair gain")
        for part in values(m, beginning, "ours, fixed horizon", "never")
    ]
    what = "fixed horizon: power at N80 with a look at every observation"
    yield _at_least("B14", what, 0.75, 1.0 - max(never), fewest(m, "split gain", "pair gain"))
