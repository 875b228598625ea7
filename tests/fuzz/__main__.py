"""``python -m tests.fuzz``: hostile clients and hostile models, drawn without end.

Exit code 1 when something was found; each finding is in a file that ``--replay`` plays again.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from sidecar.compiled import HOME, ROOT, is_usable
from tests.fuzz.campaign import read_place, run
from tests.fuzz.case import Case, read_case, write_case
from tests.fuzz.draw import draw
from tests.fuzz.judging import findings
from tests.fuzz.world import World

FOLDER = ROOT / "build" / "fuzz"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default 60)")
    parser.add_argument("--seed", type=int, default=1, help="which cases (default 1)")
    parser.add_argument("--jobs", type=int, default=1, help="processes, each with its own seed")
    parser.add_argument("--start", type=int, default=0, help="the first case's number")
    parser.add_argument("--case", type=int, help="write this one case of the seed and play it")
    parser.add_argument("--hung", action="store_true", help="as --case, the one that hung last")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="play one finding again")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where findings go")
    parser.add_argument("--interpreted", action="store_true", help="never the compiled router")
    options = parser.parse_args()
    if not options.interpreted:
        _use_the_compiled_router()
    if options.replay is not None:
        return _show(read_case(options.replay))
    if options.hung or options.case is not None:
        seed, index = read_place(options.out) if options.hung else (options.seed, options.case)
        case = draw(seed, index)
        write_case(case, options.out / f"{seed}-{index}.json", [])
        return _show(case)
    if options.jobs > 1:
        return _run_jobs(options)
    _say(f"seed {options.seed}, {options.seconds:g} s, router {_kind_of_router()}")
    tally = run(options.seed, options.out, _say, seconds=options.seconds, start=options.start)
    _say(tally.line())
    for kind, n in tally.kinds.most_common():
        _say(f"{n:6d} x {kind}")
    return 1 if tally.kinds else 0


def _say(text: str) -> None:
    print(text, flush=True)


def _use_the_compiled_router() -> None:
    """Start again with the compiled router first on the path, when there is one."""
    if is_usable() and os.environ.get("PYTHONPATH", "").split(os.pathsep)[0] != str(HOME):
        path = os.pathsep.join((str(HOME), str(ROOT)))
        command = [sys.executable, "-P", "-m", "tests.fuzz", *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | {"PYTHONPATH": path})


def _run_jobs(options: argparse.Namespace) -> int:
    """Run as many processes as asked for; return the worst exit code."""
    jobs = []
    for nth in range(options.jobs):
        seed = options.seed + nth
        command = [sys.executable, "-m", "tests.fuzz", "--seed", str(seed)]
        command += ["--seconds", str(options.seconds), "--out", str(options.out / f"job-{nth}")]
        command += ["--interpreted"] if options.interpreted else []
        jobs.append(subprocess.Popen(command, cwd=ROOT))
    return max(job.wait() for job in jobs)


def _kind_of_router() -> str:
    from router import exchange

    return "interpreted" if str(exchange.__file__).endswith(".py") else "compiled"


def _show(case: Case) -> int:
    """Play ``case``, tell all that came of it; return the exit code."""
    record = World().run(case)
    for arrival in record.arrivals:
        _say(f"{arrival.variant} got {arrival.request}\n    and says {arrival.plan.raw!r}")
    _say(f"client got {record.received!r}, then {record.end or 'nothing more'}")
    found = findings(case)
    for one in found:
        _say(f"FOUND {one}")
    _say("" if found else "nothing is wrong with it")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
