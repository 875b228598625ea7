"""What was measured, as the tables of docs/statistics.md."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

from tests.statistics.bars import Measured, bars, fewest, parts

SPLIT_ROWS = (
    "oracle",
    "ours",
    "ours, learning",
    "ours, wide",
    "ours, no effect declared",
    "ours, effect stated twice too large",
    "ours, effect stated twice too small",
    "ours, from sums",
    "ours, with futility",
    "ours, fixed horizon",
    "GrowthBook, tuned",
    "GrowthBook, as shipped",
    "savvi regression, tuned",
    "savvi regression, as shipped",
    "Statsig, one-sided",
    "Statsig, as shipped",
    "usual test, once",
    "usual test, every 100",
)
PAIR_ROWS = (
    *SPLIT_ROWS[:10],
    "GrowthBook's formula on differences, tuned",
    "GrowthBook's formula on differences, as shipped",
    "savvi multinomial, tuned",
    "savvi multinomial, as shipped",
    "usual test, once",
    "usual test, every 100",
)
ENDS = ("ours, fixed horizon", "usual test, once", "ours, with futility")
"""Methods that end without a yes: their mean N counts that, and their power is not 1."""


def lines(measured: Measured) -> Iterator[str]:
    """Yield the lines between the markers; parts that were not measured are left out."""
    for section in (_bars, _split, _pairs, _errors, _ramps, _adjusted, _maturity, _others, _checks):
        found = []
        try:
            found = list(section(measured))
        except KeyError:
            continue
        yield from found
        yield ""


def _bars(m: Measured) -> Iterator[str]:
    found = bars(m)
    if not found:
        raise KeyError
    yield "**The bars**, each measured at its worst case among the tables below:"
    yield ""
    yield from _table(
        ("", "what", "bar", "measured", "holds", "runs"),
        (
            (b.name, b.what, b.limit, b.found, "yes" if b.holds else "**no**", _count(b.runs))
            for b in found
        ),
    )
    yield ""
    yield (
        "`N80` is the size of a fixed-horizon one-sided 5 % test with 80 % power; *runs* are those "
        "of each case; `±` is one standard error."
    )


def _count(runs: int) -> str:
    return f"{runs:,}" if runs else "–"


def _split(m: Measured) -> Iterator[str]:
    gains = parts(m, "split gain")
    runs = fewest(m, "split gain")
    yield (
        f"**Split 50/50: mean number of requests as a multiple of the oracle's**, {runs:,} runs, "
        "a look after every request. Peers are *tuned* to the effect with 5 % false promotions "
        "allowed (equal terms), or *as shipped* (two-sided 5 %)."
    )
    yield ""
    yield from _gains(gains, SPLIT_ROWS)


def _pairs(m: Measured) -> Iterator[str]:
    gains = parts(m, "pair gain")
    runs = fewest(m, "pair gain")
    yield f"**Shadow: mean number of pairs as a multiple of the oracle's**, {runs:,} runs."
    yield ""
    yield from _gains(gains, PAIR_ROWS)


def _gains(gains: dict[str, Any], rows: Iterable[str]) -> Iterator[str]:
    body = []
    for name in rows:
        if not any(name in part["methods"] for part in gains.values()):
            continue
        cells = [_ratio(part["methods"].get(name), name) for part in gains.values()]
        body.append((_bold(name), *cells))
    yield from _table(("", *gains), body)


def _ratio(found: dict[str, Any] | None, name: str) -> str:
    if found is None:
        return "–"
    if name == "oracle":
        return f"1 = {found['mean']:,.0f}"
    text = f"{found['ratio']:.2f}"
    if name in ENDS:
        text += f" (power {power_of(found):.2f})"
    elif found.get("never", 0.0) > 0.001:
        text = f"> {text}"
    return text


def power_of(found: dict[str, Any]) -> float:
    """Return how often a method that ends says yes before it does."""
    return float(1.0 - found["never"] if "never" in found else found["power"])


def _errors(m: Measured) -> Iterator[str]:
    nulls = {f"split, {name}": part for name, part in parts(m, "split null").items()}
    nulls |= {f"pairs, {name}": part for name, part in parts(m, "pair null").items()}
    first, runs = next(iter(nulls.values())), fewest(m, "split null", "pair null")
    chance = 3 * math.sqrt(0.05 * 0.95 / runs)
    yield (
        f"**False promotions within {first['horizon']:,} observations**, {runs:,} runs, a look "
        f"after every one; 0.05 is allowed, and chance adds {chance:.3f} at three standard errors. "
        "The oracle is the one for the effect that is looked for."
    )
    yield ""
    body = []
    for name in dict.fromkeys((*SPLIT_ROWS, *PAIR_ROWS)):
        if any(name in part["methods"] for part in nulls.values()):
            cells = (_share(part["methods"].get(name)) for part in nulls.values())
            body.append((_bold(name), *cells))
    yield from _table(("", *nulls), body)


def _share(found: dict[str, Any] | None) -> str:
    if found is None:
        return "–"
    text = f"{found['rejected']:.3f}"
    return f"**{text}**" if found["rejected"] > 0.0605 else text


def _ramps(m: Measured) -> Iterator[str]:
    nulls = parts(m, "ramp null")
    gain = m["ramp gain"]["methods"]
    runs = fewest(m, "ramp null", "ramp gain")
    yield (
        "**A ramp of 1, 5, 25 and 50 %** (20,000 requests each, then 100,000) while both variants' "
        f"rate goes from 10 to 14 %, stays, or goes back; {runs:,} runs."
    )
    yield ""
    body = [
        (
            _bold(name),
            *(_share(part["methods"][name]) for part in nulls.values()),
            f"{gain[name]['ratio']:.2f}" if name != "usual test, once" else "–",
        )
        for name in next(iter(nulls.values()))["methods"]
    ]
    heads = ("", *(f"false promotions, {name}" for name in nulls), "2 points better: N over oracle")
    yield from _table(heads, body)


def _adjusted(m: Measured) -> Iterator[str]:
    found = m["adjustment"]
    yield (
        "**Covariates and proxies**: requests with, as a part of those without, by the "
        f"correlation with the number itself; effect {found['effect']:g} standard deviations, "
        f"{found['runs_of']['covariate']:,} runs of the shipped class with covariates, and "
        f"{found['runs_of']['proxy']:,} with proxies, one in five labelled at random."
    )
    yield ""
    yield from _table(
        ("correlation", *found["covariate"]),
        (
            (
                kind,
                *(
                    f"{one['ratio']:.2f} ± {one['error']:.2f} (theory {one['theory']:.2f})"
                    for one in found[kind].values()
                ),
            )
            for kind in ("covariate", "proxy")
        ),
    )
    yield ""


def _others(m: Measured) -> Iterator[str]:
    rollback, watch = m["rollback"], m["watch"]
    yield (
        "**Rollback for errors**, no margin: mean requests until harm is shown, "
        f"{rollback['runs']:,} runs."
    )
    yield ""
    yield from _table(
        ("challenger's share, its errors", "ours", "oracle", "ratio"),
        (
            (name, f"{one['ours']:,.0f}", f"{one['oracle']:,.0f}", f"{one['ratio']:.2f}")
            for name, one in rollback["cases"].items()
        ),
    )
    wrong = ", ".join(f"{x:.3f} at {share}" for share, x in rollback["rejected"].items())
    yield ""
    yield (
        f"With equal rates it is shown falsely in {wrong} of {rollback['runs_equal']:,} runs of "
        "600 errors."
    )
    yield ""
    yield (
        f"**After the promotion** (e-SR, one false alarm in {watch['target']:,.0f} requests "
        f"asked, {watch['runs']:,} runs): without a season one in {watch['false_alarm']:,}. Errors "
        f"up from 8 to 10 % are found after {watch['delay']['ours']:,.0f} requests "
        f"({watch['delay']['runs']:,} runs); by the CUSUM that knows both rates, with as many "
        f"false alarms, after {watch['delay']['oracle']:,.0f}. Against a holdback, through seasons "
        "of 8 ± 1.5 %:"
    )
    yield ""
    yield from _table(
        ("holdback", "requests to a false alarm", "requests until 2 points are found"),
        (
            (name, f"{one['false_alarm']:,.0f}", f"{one['delay']:,.0f}")
            for name, one in watch["holdback"].items()
        ),
    )


def _maturity(m: Measured) -> Iterator[str]:
    found = m["maturity"]
    yield (
        "**Labels that come sooner for the challenger**, and no oftener, through the journal and "
        f"the evaluator as they run ({found['runs']:,} runs of 3,000 requests, 30 % convert, "
        "medians 2 and 4 days): promoted falsely"
    )
    yield ""
    yield from _table(
        ("judged when", "of 1"),
        ((age, f"{share:.3f}") for age, share in found["rejected"].items()),
    )


def _checks(m: Measured) -> Iterator[str]:
    found = m["checks"]
    yield (
        f"**The shipped checks, each where it should hold still**: {found['observations']:,} "
        "observations, every one a look."
    )
    yield ""
    yield from _table(
        ("when nothing is wrong or better", "rejecting would be", "declared", "measured", "runs"),
        (
            (name, error, f"{alpha:g}", f"{share:.4f}", f"{runs:,}")
            for name, error, alpha, share, runs in found["nulls"]
        ),
    )
    yield ""
    yield f"**The error guardrail**, margin half a point, {found['runs_waits']:,} runs:"
    yield ""
    yield from _table(
        ("", "mean", "counted in"),
        ((name, f"{mean:,.0f}", unit) for name, unit, mean in found["waits"]),
    )


def _bold(name: str) -> str:
    return f"**{name}**" if name in ("ours", "ours, learning") else name


def _table(heads: Iterable[str], body: Iterable[Iterable[str]]) -> Iterator[str]:
    heads = list(heads)
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in body:
        yield f"| {' | '.join(row)} |"
