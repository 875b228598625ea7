"""Is the challenger good enough on a golden dataset, for everybody? Asked before any traffic.

Champion and challenger answer the same rows; what is told is an interval on their difference, not
two numbers. A set that either was trained on is refused. Nothing here touches the store; reading
and computing happen in a thread.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from controller.gates.bothasked import GaveUp, Progress, Readers, ask_both
from controller.gates.golden import GoldenError, GoldenSet, read_golden
from controller.gates.goldenspec import Allowed, PerformanceSpec
from controller.gates.leak import Training, check_leak
from controller.gates.measured import Answered, Measured, NotMeasured, measure, value_path
from controller.gates.report import GateCheck, GateReport
from controller.gates.slices import TooManySlices, grouped, judge_slices
from controller.gates.task import GateTask
from controller.gates.training import training_of
from controller.gates.verdict import Judged, Verdict, judge_together
from evaluator.evidence import Role
from evaluator.extract import Extractor, Fields
from evaluator.metric import MetricSpec
from router.certificate import CertificateError
from router.table import Match, Variant

MAX_UNANSWERED = 0.05
"""Share of the rows that the champion may leave unanswered: with more, there is nothing to compare
with. As MAX_LEFT_OUT."""
SHOWN = 3
"""Reasons in one sentence; the checks have all."""


@dataclass(frozen=True, slots=True)
class PerformanceTask:
    """What the gate must compare."""

    challenger: Variant
    champion: Variant | None
    """None: there is none; only metrics with an absolute number count."""
    match: Match
    prediction: str | None
    spec: PerformanceSpec
    metrics: tuple[tuple[MetricSpec, Allowed], ...]
    alpha: float
    """Each claim is false with this probability at most."""
    training: tuple[Training, ...] = ()
    """What is known of the training data of each of the two."""


def task_of(task: GateTask, rows: Path | None = None) -> PerformanceTask:
    """Return what the gate compares; GoldenError if nothing is declared, or training data is gone.

    ``rows``: the folder of registered sets of rows. Blocks on the disk.
    """
    spec = task.stage.performance
    if spec is None:
        raise GoldenError("the stage declares no golden set")
    by_name = {metric.name: metric for metric in task.route.metrics}
    files = dict(spec.training)
    champion = None if task.is_first else task.champion
    sides = ((task.challenger, task.model), (champion, task.champion_model))
    return PerformanceTask(
        challenger=task.challenger,
        champion=champion,
        match=task.route.match,
        prediction=task.route.prediction,
        spec=spec,
        metrics=tuple((by_name[name], how) for name, how in spec.metrics if name in by_name),
        alpha=task.route.alpha,
        training=tuple(
            training_of(variant.name, files.get(variant.name, ()), model, rows)
            for variant, model in sides
            if variant is not None
        ),
    )


def _quiet(done: int, of: int) -> None:
    """Show nothing."""


async def run(task: PerformanceTask, progress: Progress = _quiet) -> GateReport:
    """Ask all rows and judge; never raises for the faults of models or files."""
    name = task.challenger.name
    try:
        golden = await asyncio.to_thread(read_golden, task.spec.golden)
    except GoldenError as error:
        return GateReport(name, False, f"golden set: {error}", is_transient=True)
    checks = await asyncio.to_thread(_before, golden, task)
    failed = [check for check in checks if not check.passed]
    if failed:
        return GateReport(name, False, f"{failed[0].name}: {failed[0].because}", tuple(checks))
    try:
        answered = await _asked(golden, task, progress)
    except (CertificateError, GaveUp) as error:
        return GateReport(name, False, str(error), tuple(checks), is_transient=True)
    return await asyncio.to_thread(_report, golden, answered, task, checks)


def is_undecided(report: GateReport) -> bool:
    """Whether a report fails only for want of evidence: nothing bad was shown."""
    missing = [check for check in report.checks if not check.passed]
    wanting = (Verdict.UNDECIDED.value, Verdict.UNKNOWN.value)
    return bool(missing) and all(check.numbers.get("verdict") in wanting for check in missing)


def _before(golden: GoldenSet, task: PerformanceTask) -> list[GateCheck]:
    """Return what can be told of the set without asking anybody."""
    n, least = len(golden.rows), task.spec.at_least
    is_enough = n >= least
    because = f"{n} rows" if is_enough else f"the golden set is too small: {least} rows needed"
    verdict = Verdict.PASSED if is_enough else Verdict.UNDECIDED
    numbers = {"digest": golden.digest, "rows": n, "verdict": verdict.value}
    checks = [GateCheck("golden set", is_enough, because, numbers)]
    cells = [(row.number, row.cells) for row in golden.rows]
    required = task.spec.require_training_data
    for training in task.training:
        checks.append(check_leak(golden.digest, cells, training, is_required=required))
    return checks


async def _asked(golden: GoldenSet, task: PerformanceTask, progress: Progress) -> list[Answered]:
    paths = [path for spec, _ in task.metrics if (path := value_path(spec)) is not None]
    return await ask_both(
        golden.rows,
        task.challenger,
        task.champion,
        task.match,
        Readers(Extractor(task.prediction), Fields(paths)),
        concurrency=task.spec.concurrency,
        progress=progress,
    )


def _report(
    golden: GoldenSet, answered: list[Answered], task: PerformanceTask, before: list[GateCheck]
) -> GateReport:
    name = task.challenger.name
    silent = sum(row.champion is not None and row.champion.outcome.status == 0 for row in answered)
    if silent > MAX_UNANSWERED * len(answered):
        because = f"the champion did not answer {silent} of {len(answered)} golden rows"
        return GateReport(name, False, because, tuple(before), is_transient=True)
    claims = [(spec.name, spec, _measured(spec, answered, how)) for spec, how in task.metrics]
    whole = judge_together(claims, task.alpha)
    checks = [*before, *(judged.check() for judged in whole)]
    try:
        groups = _in_slices(golden, answered, task)
    except TooManySlices as error:
        return GateReport(name, False, f"slices: {error}", tuple(checks))
    checks += _slice_checks(groups, task)
    skips = _skips_shadow(whole, task)
    if skips is not None:
        checks.append(skips)
    return _concluded(name, checks, skips is not None and bool(skips.numbers["skips_shadow"]))


def _measured(spec: MetricSpec, rows: Sequence[Answered], allowed: Allowed) -> Measured | str:
    try:
        return measure(spec, rows, allowed)
    except NotMeasured as error:
        return str(error)


def _in_slices(
    golden: GoldenSet, answered: Sequence[Answered], task: PerformanceTask
) -> list[Judged]:
    pairs = zip(golden.rows, answered, strict=True)
    groups = grouped([(row.slices, replies) for row, replies in pairs])
    specs = [spec for spec, _ in task.metrics]
    return judge_slices(groups, specs, task.spec.slices, task.alpha)


def _slice_checks(groups: Sequence[Judged], task: PerformanceTask) -> list[GateCheck]:
    spec = task.spec.slices
    checks = [judged.check(undecided_passes=spec.undecided == "pass") for judged in groups]
    if spec.small != "skip":
        return checks
    return [
        replace(check, passed=True, because=f"left out: {check.because}")
        if check.numbers["verdict"] == Verdict.UNKNOWN.value
        else check
        for check in checks
    ]


def _skips_shadow(whole: Sequence[Judged], task: PerformanceTask) -> GateCheck | None:
    """Return whether the lead is enough to pass shadow by; None if the file says nothing of it.

    Every objective's lower limit has to reach it. It never fails: without it there is a shadow.
    """
    wanted = task.spec.skip_shadow_from
    if wanted is None:
        return None
    lowers = {
        spec.name: judged.lower
        for (spec, _), judged in zip(task.metrics, whole, strict=True)
        if spec.role is Role.OBJECTIVE
    }
    skips = bool(lowers) and all(low is not None and low >= wanted for low in lowers.values())
    because = (
        f"the lower limit of every objective is {wanted:g} or more: no shadow is needed"
        if skips
        else f"the lower limit of an objective is below {wanted:g}: shadow comes next"
    )
    numbers = {"skips_shadow": skips, "from": wanted, "lower": lowers}
    return GateCheck("skip shadow", True, because, numbers)


def _concluded(name: str, checks: Sequence[GateCheck], skips_shadow: bool) -> GateReport:
    """Return the report; the worst news comes first in its sentence."""
    missing = [check for check in checks if not check.passed]
    if not missing:
        n = len(checks)
        said = f"all {n} checks on the golden set passed"
        return GateReport(name, True, said, tuple(checks), skips_shadow=skips_shadow)
    bad = [check for check in missing if check.numbers.get("verdict") == Verdict.FAILED.value]
    shown = bad or missing
    because = "; ".join(check.because if check.because.startswith(check.name) else
                        f"{check.name}: {check.because}" for check in shown[:SHOWN])  # fmt: skip
    rest = f" (and {len(shown) - SHOWN} more)" if len(shown) > SHOWN else ""
    return GateReport(name, False, f"{'' if bad else 'undecided: '}{because}{rest}", tuple(checks))
