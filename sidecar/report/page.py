"""The report as one HTML file that asks for nothing from outside. Pure."""

from sidecar.report.case import Case, Step, seconds
from sidecar.report.markup import Markup, join, tag
from sidecar.report.plots import effects, odds, shares
from sidecar.report.words import CHECK_HEADS, READING_HEADS, check_row, reading_row, sentence

CSP = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;"
    "margin:2rem auto;padding:0 1rem}h1{margin-bottom:0}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;"
    "border-bottom:1px solid #8a8f9855}"
    "code,.digest{font:13px ui-monospace,monospace;overflow-wrap:anywhere}svg{max-width:100%;"
    "height:auto}.scroll{overflow-x:auto}.passed{color:#1a7f37}.tripped{color:#cf222e}"
    ".undecided{color:#9a6700}.outcome{font-size:1.2rem}@media print{details{display:block}}"
)


def render(case: Case) -> str:
    """Return the whole page."""
    title = f"{case.challenger} on {case.route}: {case.outcome}"
    head = join(
        [
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=CSP),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("title", title),
            tag("style", Markup(STYLE)),
        ],
        "\n",
    )
    body = join([*_top(case), *_evidence(case), *_timeline(case)], "\n")
    page = tag("html", tag("head", head), tag("body", tag("main", body)), lang="en")
    return f"<!doctype html>\n{page}\n"


def _top(case: Case) -> list[Markup]:
    facts = [
        tag("tr", tag("th", name, scope="row"), tag("td", value, class_="digest"))
        for name, value in case.facts
    ]
    said = [tag("li", sentence) for sentence in case.sentences]
    return [
        tag("h1", f"{case.challenger} on {case.route}"),
        tag("p", tag("strong", case.outcome), f", at {case.at}", class_="outcome"),
        tag("p", f"Written by understudy {case.version} from its status and its audit."),
        tag("table", join(facts)),
        *([tag("h2", "Where it stands"), tag("ul", join(said))] if said else []),
    ]


def _evidence(case: Case) -> list[Markup]:
    if not case.checks:
        return [tag("h2", "Evidence"), tag("p", "No check has reported.")]
    parts = [
        tag("h2", "Evidence"),
        tag(
            "p",
            f"As of {case.checks_at}. Effects are challenger minus champion, positive is better; "
            "intervals hold at all times at once, at level 1 - alpha.",
        ),
        _table(CHECK_HEADS, [check_row(check) for check in case.checks]),
        tag("ul", join(tag("li", sentence(check)) for check in case.checks)),
    ]
    if case.intervals:
        parts += [tag("h3", "Effects"), effects(case.intervals)]
    if case.odds:
        parts += [tag("h3", "Odds against the null"), odds(case.odds)]
    return parts


def _timeline(case: Case) -> list[Markup]:
    if not case.steps:
        return [tag("h2", "Timeline"), tag("p", "The audit has no record of it yet.")]
    end_s = max(seconds(case.at), seconds(case.steps[-1].at))
    return [
        tag("h2", "Timeline"),
        shares(case.shares, end_s),
        *(_step(step) for step in case.steps),
    ]


def _step(step: Step) -> Markup:
    summary = f"{step.at} · {step.action} {step.move} · {step.share:.2%}"
    parts: list[Markup] = [
        tag("p", f"By {step.who}: {step.because}"),
        tag(
            "p",
            f"record {step.sequence}, table {step.table}, hash ",
            tag("code", step.hash),
        ),
    ]
    if step.readings:
        parts.append(_table(READING_HEADS, [reading_row(reading) for reading in step.readings]))
    return tag("section", tag("h3", summary), *parts)


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> Markup:
    head = tag("tr", join(tag("th", word, scope="col") for word in heads))
    body = [tag("tr", join(tag("td", cell) for cell in row)) for row in rows]
    return tag("div", tag("table", head, join(body, "\n")), class_="scroll")
