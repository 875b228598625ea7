"""``python -m tests.soak``: a whole sidecar under load while everything around it fails in turn.

Exit code 1 when a promise was broken. Ends what it starts, and ends by itself.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import uvloop

from tests.router.running import ROOT
from tests.soak.faults import FAULTS
from tests.soak.report import as_json, as_markdown, verdicts
from tests.soak.sidecar import SoakSidecar
from tests.soak.soak import Options, soak

FOLDER = ROOT / "build" / "soak"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default 30)")
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second (default: half)")
    parser.add_argument("--phase", type=float, default=8.0, help="seconds of each fault")
    parser.add_argument("--quiet", type=float, default=4.0, help="seconds between them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--cycles", type=int, default=0, help="how often each fault (default: ever)"
    )
    parser.add_argument("--fault", action="append", choices=list(FAULTS), help="only these")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the summary goes")
    given = parser.parse_args()
    options = Options(
        given.minutes,
        given.rate,
        given.phase,
        given.quiet,
        given.seed,
        given.cycles,
        given.fault or list(FAULTS),
    )
    with tempfile.TemporaryDirectory() as folder:
        sidecar = SoakSidecar(Path(folder))
        try:
            summary = uvloop.run(soak(sidecar, options, lambda text: print(text, flush=True)))
        finally:
            sidecar.close()
        log = sidecar.log.read_text()
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "soak.json").write_text(json.dumps(as_json(summary), indent=1) + "\n")
    (given.out / "soak.md").write_text(as_markdown(summary))
    (given.out / "log").write_text(log)
    print(as_markdown(summary), flush=True)
    is_good = all(said == "ok" for said in verdicts(summary).values())
    if "Traceback" in log:
        print(f"the sidecar's log holds a traceback: {given.out / 'log'}")
        is_good = False
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
