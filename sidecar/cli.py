"""The command line: names, options and help texts. What a command does is in sidecar/commands/.

Each command's module is imported when it is called, so that ``--help`` and ``status`` do not pay
for what ``run`` needs. Exit codes: 0 done, 1 failed, 2 wrong usage or a refused routing file,
3 nothing answers, 4 done but for what was rejected (``label``), or undecided (``gate``).
"""

import importlib
import importlib.metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from sidecar.adminport import DEFAULT_ADMIN
from sidecar.demo.scenario import Scenario

app = typer.Typer(
    name="understudy",
    help="Promotes machine-learning models on evidence, and takes them back on evidence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
audit_app = typer.Typer(help="Check or export the audit records.", no_args_is_help=True)
app.add_typer(audit_app, name="audit")

RoutingFile = Annotated[Path, typer.Argument(metavar="FILE", help="The routing file (YAML).")]
Admin = Annotated[str, typer.Option(metavar="URL", help="The admin port of a running sidecar.")]
Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]


def _module(name: str) -> Any:
    """Return sidecar/commands/NAME.py; its function of the same name is the command."""
    return importlib.import_module(f"sidecar.commands.{name}")


def _version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"understudy {importlib.metadata.version('understudy')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Promotes machine-learning models on evidence, and takes them back on evidence."""


@app.command()
def run(
    file: RoutingFile,
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over",
            help="Replace a sidecar that runs on the same state folder, without a refused request.",
        ),
    ] = False,
) -> None:
    """Start the sidecar on a routing file, until SIGTERM or Ctrl-C."""
    _module("run").run(file, take_over=take_over)


@app.command()
def check(file: RoutingFile, as_json: Json = False) -> None:
    """Check a routing file. Exit code 2 with every error if it is refused."""
    raise typer.Exit(_module("check").check(file, as_json=as_json))


@app.command()
def gate(
    file: RoutingFile,
    route: Annotated[str, typer.Argument(metavar="ROUTE", help="A route of the file.")],
    *,
    challenger: Annotated[
        str | None, typer.Option(metavar="NAME", help="The first of the route if not said.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="GATE", help="functional or performance; both if not said."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the gates of a route against its servers, without a sidecar: for a CI pipeline.

    Exit code 0 if all are passed, 1 if one failed, 4 if it is undecided, such as a golden set
    that is too small, 2 for a refused routing file.
    """
    module = _module("gate")
    asked = module.Asked(file, route, challenger, tuple(only or ()), as_json)
    raise typer.Exit(module.gate(asked))


@app.command()
def status(
    admin: Admin = DEFAULT_ADMIN,
    as_json: Json = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it again every 2 s, until Ctrl-C.")
    ] = False,
) -> None:
    """Show routes, shares, checks and what is missing. Exit code 3 if nothing answers."""
    raise typer.Exit(_module("status").status(admin, as_json=as_json, watch=watch))


@app.command()
def plan(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A routing file: its stages, alpha and objective."),
    ] = None,
    *,
    traffic: Annotated[
        str, typer.Option(metavar="RATE", help="Requests: 100000/day, 5000/h, 20/s.")
    ],
    baseline: Annotated[
        str, typer.Option(metavar="SHARE", help="The champion's share of good answers: 92%.")
    ],
    detect: Annotated[
        str | None, typer.Option(metavar="SHARE", help="The improvement worth finding: 1%.")
    ] = None,
    alpha: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Chance of a false promotion: 5%.")
    ] = None,
    beta: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Also when a useless challenger is given up: 20%."),
    ] = None,
    mode: Annotated[
        str | None, typer.Option(metavar="MODE", help="Only shadow, split or ladder.")
    ] = None,
    share: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Mirrored (shadow) or given to the challenger."),
    ] = None,
    discordance: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Pairs on which just one of the two is right: 3%."),
    ] = None,
    correlation: Annotated[
        float | None,
        typer.Option(metavar="R", help="Instead: between the two being right (0.7)."),
    ] = None,
    requests_per_unit: Annotated[
        float, typer.Option(metavar="N", help="Sticky units: requests that one sends.")
    ] = 1.0,
    icc: Annotated[
        float, typer.Option(metavar="R", help="How alike these are: intraclass correlation.")
    ] = 0.0,
    maturity: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long labels take: 3d.")
    ] = None,
    route: Annotated[
        str | None, typer.Option(metavar="NAME", help="A route of the file; the first if not said.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say how long a rollout will take, in which mode, and how many labels it needs."""
    module = _module("plan")
    asked = module.Asked(
        file=file,
        route=route,
        traffic=traffic,
        baseline=baseline,
        detect=detect,
        alpha=alpha,
        beta=beta,
        mode=mode,
        share=share,
        discordance=discordance,
        correlation=correlation,
        requests_per_unit=requests_per_unit,
        icc=icc,
        maturity=maturity,
    )
    raise typer.Exit(module.plan(asked, as_json=as_json))


@app.command()
def replay(
    recordings: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="Files of a recording, oldest first, or its folder."
        ),
    ],
    routing: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Judge by the policy of this routing file instead."),
    ] = None,
    route: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this route; all if not said.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Evaluate a recording again, offline: the same evidence as live, or another policy's."""
    raise typer.Exit(
        _module("replay").replay(recordings, routing=routing, route=route, as_json=as_json)
    )


@app.command()
def export(
    state: Annotated[
        Path, typer.Argument(metavar="STATE", help="The folder `state:` of the routing file.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write here, not to standard output.")
    ] = None,
) -> None:
    """Write the evidence of a state, and what waits for its label, for `understudy replay`."""
    raise typer.Exit(_module("export").export(state, out=out))


@app.command()
def label(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="CSV, NDJSON, JSON or Parquet; - is the input."),
    ],
    *,
    admin: Admin = DEFAULT_ADMIN,
    form: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="FORMAT", help="csv, ndjson, json or parquet; told by the name."
        ),
    ] = None,
    id_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Holds the request id (request_id).")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Holds the label (label).")
    ] = None,
    token_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Holds the exposure token (token).")
    ] = None,
    at_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Holds when the truth was known (at).")
    ] = None,
    route: Annotated[
        str | None, typer.Option(metavar="NAME", help="The route of all labels, if ids need it.")
    ] = None,
    correct: Annotated[
        bool, typer.Option("--correct", help="They take the place of labels sent before.")
    ] = False,
    as_text: Annotated[
        bool, typer.Option("--as-text", help="CSV: labels are texts, also 7 and true.")
    ] = False,
    rejected: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write what was rejected here, one line of JSON each."),
    ] = None,
    retry_for: Annotated[
        str, typer.Option(metavar="TIME", help="How long to try when it is full or away.")
    ] = "5m",
    as_json: Json = False,
) -> None:
    """Send labels from files. UNDERSTUDY_LABEL_TOKEN holds the token, if one is needed.

    Exit code 0 if every label is in, 4 if some were rejected, 3 if nothing answers, 1 if the port
    refuses, 2 if the file is not one of labels. Sending a file again is harmless.
    """
    module = _module("label")
    asked = module.Asked(
        files=files,
        admin=admin,
        form=form,
        request_id=id_column,
        label=label_column,
        token=token_column,
        at=at_column,
        route=route,
        is_correction=correct,
        as_text=as_text,
        rejected=rejected,
        retry_for=retry_for,
        as_json=as_json,
    )
    raise typer.Exit(module.label(asked))


@app.command()
def demo(
    scenario: Annotated[
        Scenario, typer.Option(help="What the challenger is like.")
    ] = Scenario.BETTER,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a summary to this file.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Play this routing file instead of the demo's own."),
    ] = None,
) -> None:
    """Play a rollout with two real models and live traffic on this machine.

    Exit code 0 only if the scenario ended as it should.
    """
    _module("demo").demo(scenario, json, config)


@audit_app.command("verify")
def audit_verify(
    admin: Admin = DEFAULT_ADMIN,
    head: Annotated[
        str | None,
        typer.Option(metavar="HASH", help="A head seen earlier: it must still be in the chain."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check the hash chain of the audit records. Exit code 1 if it is broken."""
    raise typer.Exit(_module("audit").verify(admin, head=head, as_json=as_json))


@audit_app.command("export")
def audit_export(
    admin: Admin = DEFAULT_ADMIN,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write here, not to standard output.")
    ] = None,
) -> None:
    """Write every audit record as one line of JSON, oldest first."""
    raise typer.Exit(_module("audit").export(admin, out=out))


def main() -> None:
    """Run the command line."""
    app()
