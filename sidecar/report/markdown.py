"""The report as Markdown, its pictures as SVG within. Pure."""

import re

from sidecar.report.case import Case, Step, seconds
from sidecar.report.markup import escape
from sidecar.report.plots import effects, odds, shares
from sidecar.report.words import CHECK_HEADS, READING_HEADS, check_row, reading_row, sentence

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~-])")
"""What Markdown gives a meaning somewhere; a backslash before it takes it away."""


def render(case: Case) -> str:
    """Return the whole document."""
    lines = [
        f"# {text(case.challenger)} on {text(case.route)}",
        f"**{text(case.outcome)}**, at {text(case.at)}. "
        f"Written by understudy {text(case.version)} from its status and its audit.",
        table(("", ""), list(case.facts)),
    ]
    if case.sentences:
        lines += ["## Where it stands", "\n".join(f"- {text(said)}" for said in case.sentences)]
    lines += ["## Evidence", *_evidence(case), "## Timeline", *_timeline(case)]
    return "\n\n".join(lines) + "\n"


def text(words: object) -> str:
    """Return ``words`` so that they show as they are: neither Markdown nor HTML nor a new line."""
    return _SPECIAL.sub(r"\\\1", escape(" ".join(str(words).split())))


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a table; every cell is one line."""
    lines = [heads, tuple("---" for _ in heads)]
    made = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join(made + ["| " + " | ".join(text(cell) for cell in row) + " |" for row in rows])


def _evidence(case: Case) -> list[str]:
    if not case.checks:
        return ["No check has reported."]
    lines = [
        f"As of {text(case.checks_at)}. Effects are challenger minus champion, positive is better.",
        table(CHECK_HEADS, [check_row(check) for check in case.checks]),
        "\n".join(f"- {text(sentence(check))}" for check in case.checks),
    ]
    if case.intervals:
        lines.append(_picture(effects(case.intervals)))
    if case.odds:
        lines.append(_picture(odds(case.odds)))
    return lines


def _timeline(case: Case) -> list[str]:
    if not case.steps:
        return ["The audit has no record of it yet."]
    end_s = max(seconds(case.at), seconds(case.steps[-1].at))
    lines = [_picture(shares(case.shares, end_s))]
    for step in case.steps:
        lines += _step(step)
    return lines


def _step(step: Step) -> list[str]:
    lines = [
        f"### {text(f'{step.at} · {step.action} {step.move} · {step.share:.2%}')}",
        f"By {text(step.who)}: {text(step.because)}",
        f"Record {step.sequence}, table {text(step.table)}, hash `{text(step.hash)}`",
    ]
    if step.readings:
        lines.append(table(READING_HEADS, [reading_row(reading) for reading in step.readings]))
    return lines


def _picture(svg: str) -> str:
    """Return a picture as an HTML block, in which nothing is Markdown: one line, as a blank one
    would end it."""
    return f"<div>{svg.replace(chr(10), '')}</div>"
