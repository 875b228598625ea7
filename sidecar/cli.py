"""The command line: names, options and help texts. What a command does is in sidecar/commands/.

Each command's module is imported when it is called, so that ``--help`` and ``status`` do not pay
for what ``run`` needs. Exit codes are those of sidecar/exitcode.py.
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
    pretty_exceptions_enable=False,
)
audit_app = typer.Typer(help="Check or export the audit records.", no_args_is_help=True)
app.add_typer(audit_app, name="audit")
events_app = typer.Typer(help="Try who is told of what happens.", no_args_is_help=True)
app.add_typer(events_app, name="events")
token_app = typer.Typer(help="Make tokens for the admin port.", no_args_is_help=True)
app.add_typer(token_app, name="token")

RoutingFile = Annotated[Path, typer.Argument(metavar="FILE", help="The routing file (YAML).")]
Admin = Annotated[
    str,
    typer.Option(
        metavar="URL", envvar="UNDERSTUDY_ADMIN", help="The admin port of a running sidecar."
    ),
]
Route = Annotated[
    str,
    typer.Argument(
        metavar="ROUTE",
        help="A route of the routing file.",
        autocompletion=lambda incomplete: _routes(incomplete),
    ),
]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; it is recorded for ever.")]
Who = Annotated[
    str | None, typer.Option(metavar="NAME", help="Who does it; your user name if not said.")
]
TokenFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Holds the token; else UNDERSTUDY_TOKEN does."),
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]


def _module(name: str) -> Any:
    """Return sidecar/commands/NAME.py; its function of the same name is the command."""
    return importlib.import_module(f"sidecar.commands.{name}")


def _routes(incomplete: str) -> list[str]:
    """Return the routes that a shell may complete to; none where nothing answers."""
    return list(_module("completion").routes(incomplete))


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
        typer.Option(metavar="GATE", help="functional, performance or security; all if not said."),
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
def explain(route: Route, admin: Admin = DEFAULT_ADMIN, as_json: Json = False) -> None:
    """Say why a rollout is where it is: what is missing, with numbers and expected dates."""
    raise typer.Exit(_module("explain").explain(route, admin, as_json=as_json))


@app.command()
def report(
    route: Route,
    *,
    admin: Admin = DEFAULT_ADMIN,
    challenger: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose case; the latest if not said.")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help="html or markdown; told by the name."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write here, not to standard output.")
    ] = None,
) -> None:
    """Write the case of a promotion as one file, with its plots, for a change ticket."""
    module = _module("report")
    raise typer.Exit(module.report(route, admin, challenger=challenger, form=form, out=out))


def _act(name: str, route: str, **said: Any) -> None:
    module = _module("act")
    raise typer.Exit(module.act(module.Asked(act=name, route=route, **said)))


@app.command()
def hold(
    route: Route,
    *,
    reason: Reason,
    who: Who = None,
    token_file: TokenFile = None,
    admin: Admin = DEFAULT_ADMIN,
    as_json: Json = False,
) -> None:
    """Stop a rollout where it is; a guardrail that trips still takes it back."""
    said = {"reason": reason, "who": who, "token_file": token_file}
    _act("hold", route, **said, admin=admin, as_json=as_json)


@app.command()
def resume(
    route: Route,
    *,
    reason: Reason,
    who: Who = None,
    token_file: TokenFile = None,
    admin: Admin = DEFAULT_ADMIN,
    as_json: Json = False,
) -> None:
    """Let a rollout that is held go on."""
    said = {"reason": reason, "who": who, "token_file": token_file}
    _act("resume", route, **said, admin=admin, as_json=as_json)


@app.command()
def rollback(
    route: Route,
    *,
    reason: Reason,
    who: Who = None,
    token_file: TokenFile = None,
    admin: Admin = DEFAULT_ADMIN,
    as_json: Json = False,
) -> None:
    """Give the champion all traffic back, at once."""
    said = {"reason": reason, "who": who, "token_file": token_file}
    _act("rollback", route, **said, admin=admin, as_json=as_json)


@app.command()
def approve(
    route: Route,
    *,
    reason: Reason,
    who: Who = None,
    token_file: TokenFile = None,
    admin: Admin = DEFAULT_ADMIN,
    as_json: Json = False,
) -> None:
    """Give the approval that a stage waits for; the token must name a person with that right."""
    said = {"reason": reason, "who": who, "token_file": token_file}
    _act("approve", route, **said, admin=admin, as_json=as_json)


@app.command()
def promote(
    route: Route,
    *,
    reason: Reason,
    who: Who = None,
    break_glass: Annotated[
        bool, typer.Option("--break-glass", help="Around the gates; the record says so for ever.")
    ] = False,
    lasting: Annotated[
        str | None,
        typer.Option(
            "--for", metavar="TIME", help="How long it stands on that alone: 2h; 1h if not said."
        ),
    ] = None,
    token_file: TokenFile = None,
    admin: Admin = DEFAULT_ADMIN,
    as_json: Json = False,
) -> None:
    """Make a challenger the champion: when every gate is passed, or with --break-glass."""
    said = {"reason": reason, "who": who, "token_file": token_file}
    glass = {"break_glass": break_glass, "lasting": lasting}
    _act("promote", route, **said, **glass, admin=admin, as_json=as_json)


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
        list[Path] | None,
        typer.Argument(
            metavar="FILE...", help="Files of a recording, oldest first, or its folder."
        ),
    ] = None,
    routing: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Judge by the policy of this routing file instead."),
    ] = None,
    route: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this route; all if not said.")
    ] = None,
    decision: Annotated[
        int | None,
        typer.Option(
            metavar="SEQUENCE",
            min=0,
            help="Instead: judge the decision of this audit record again; 0: all of them.",
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="For --decision: the folder `state:` of the file."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Evaluate a recording again, offline: the same evidence as live, or another policy's.

    With --decision a recorded decision is judged again, from its record and the stored evidence.
    Exit code 1 if it comes out otherwise.
    """
    if (decision is None) is not (state is None) or bool(recordings) is (decision is not None):
        raise typer.BadParameter("give FILE..., or --decision SEQUENCE and --state FOLDER")
    if decision is not None and state is not None:
        raise typer.Exit(_module("decision").decision(decision, state=state, as_json=as_json))
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
def register(
    ref: Annotated[str, typer.Argument(metavar="NAME:VERSION", help="What it is called here.")],
    *,
    artifact: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Its file or folder; with --from, where to put what is fetched."
        ),
    ] = None,
    uri: Annotated[
        str | None, typer.Option(metavar="URI", help="Where its files are, if not on this machine.")
    ] = None,
    digest: Annotated[
        str | None, typer.Option(metavar="SHA256", help="Of what is at --uri, as declared.")
    ] = None,
    training_data: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="What it was trained on: digest and row hashes. Repeat."),
    ] = None,
    training_columns: Annotated[
        str | None,
        typer.Option(metavar="A,B,C", help="The only columns by which rows are compared."),
    ] = None,
    code: Annotated[
        str | None, typer.Option(metavar="REV", help="The revision of the code that made it.")
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="A hyperparameter. Repeat.")
    ] = None,
    meta: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="Anything else to remember. Repeat.")
    ] = None,
    parent: Annotated[
        str | None, typer.Option(metavar="NAME:VERSION", help="What it was made from.")
    ] = None,
    owner: Annotated[str | None, typer.Option(metavar="NAME", help="Who answers for it.")] = None,
    request_schema: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON Schema of a request's body.")
    ] = None,
    response_schema: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON Schema of an answer's body.")
    ] = None,
    inference_schema: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Open Inference model metadata (JSON).")
    ] = None,
    samples: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Sample requests, one JSON body a line.")
    ] = None,
    sign: Annotated[
        Path | None, typer.Option(metavar="KEY", help="Sign with this Ed25519 key (PEM).")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="mlflow://NAME/VERSION",
            help="Take files and lineage from the MLflow server at MLFLOW_TRACKING_URI.",
        ),
    ] = None,
    who: Annotated[
        str | None, typer.Option(metavar="NAME", help="Your name, if the token has none.")
    ] = None,
    token_file: TokenFile = None,
    admin: Admin = DEFAULT_ADMIN,
    as_json: Json = False,
) -> None:
    """Register a model version: its files by digest, where it comes from, who vouches for it.

    Exit code 1 if it is refused, 2 for wrong usage or no token, 3 if nothing answers. Registering
    the same again is harmless; the same name for anything else is refused.
    """
    module = _module("register")
    asked = module.Asked(
        ref=ref,
        admin=admin,
        artifact=artifact,
        uri=uri,
        digest=digest,
        training=tuple(training_data or ()),
        columns=training_columns,
        code=code,
        params=tuple(param or ()),
        metadata=tuple(meta or ()),
        parent=parent,
        owner=owner,
        request_schema=request_schema,
        response_schema=response_schema,
        inference=inference_schema,
        samples=samples,
        sign=sign,
        source=source,
        who=who,
        token_file=token_file,
        as_json=as_json,
    )
    raise typer.Exit(module.register(asked))


@app.command()
def models(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Only versions of this name.")
    ] = None,
    admin: Admin = DEFAULT_ADMIN,
    as_json: Json = False,
) -> None:
    """Show the registered model versions, their stages and aliases."""
    raise typer.Exit(_module("models").models(admin, name, as_json=as_json))


@app.command()
def lineage(
    ref: Annotated[
        str,
        typer.Argument(metavar="NAME:VERSION", help="Or NAME@champion, NAME@challenger."),
    ],
    admin: Admin = DEFAULT_ADMIN,
    as_json: Json = False,
) -> None:
    """Show what a model version was made from: data, code, parents."""
    raise typer.Exit(_module("lineage").lineage(admin, ref, as_json=as_json))


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
    export: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="An export; without it a running sidecar is asked."),
    ] = None,
    admin: Admin = DEFAULT_ADMIN,
    state: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Instead: the folder `state:` of a routing file."),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            metavar="HEAD",
            help="A head seen earlier, which must still be in the chain: HASH, SEQUENCE:HASH, or "
            "a file with it: a line of the log, a record, an event.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check the hash chain of the audit records. Exit code 1 if it is broken."""
    module = _module("verify")
    asked = module.Asked(export=export, state=state, admin=admin, head=head, as_json=as_json)
    raise typer.Exit(module.verify(asked))


@audit_app.command("export")
def audit_export(
    admin: Admin = DEFAULT_ADMIN,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write here, not to standard output.")
    ] = None,
) -> None:
    """Write every audit record as one line of JSON, oldest first."""
    raise typer.Exit(_module("audit").export(admin, out=out))


@events_app.command("test")
def events_test(
    file: RoutingFile,
    to: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this destination; all if not said.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Send a test event to each destination, and show what came back. Exit code 1 if one refused.

    Run it where the sidecar runs: addresses and secrets may be in the environment.
    """
    raise typer.Exit(_module("events").test(file, to=to, as_json=as_json))


@token_app.command("new")
def token_new(
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Whose it is: what it does is recorded so.")
    ],
    scopes: Annotated[
        str, typer.Option(metavar="SCOPES", help="Of read,label,operate,approve,admin.")
    ],
    expires: Annotated[
        str | None, typer.Option(metavar="DATE", help="From when on it is none: 2027-06-30.")
    ] = None,
    labels_per_second: Annotated[
        float | None, typer.Option(metavar="N", help="What it may send on average.")
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Add the line to this file of tokens, old or new."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the token to this new file, for you alone."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a token. It is shown once; the file of tokens gets the line with its digest."""
    module = _module("token")
    asked = module.Asked(
        name=name,
        scopes=scopes,
        expires=expires,
        labels_per_second=labels_per_second,
        into=into,
        out=out,
        as_json=as_json,
    )
    raise typer.Exit(module.new(asked))


def main() -> None:
    """Run the command line."""
    app()
