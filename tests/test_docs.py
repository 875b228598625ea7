"""The documents are run: every YAML block, every command, and the quickstart from end to end."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sidecar.cli import app
from sidecar.routefile import load_routefile
from tests.usual_ports import usual_ports

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "loadtests" / "README.md",
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "docs" / "labels").glob("*.md"),
        *(ROOT / "docs" / "governance").glob("*.md"),
    ]
)
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
MLFLOW = ROOT / ".venv-mlflow"
BIN = Path(sys.executable).parent


def blocks(document: Path, language: str) -> list[str]:
    """The document's code blocks in ``language``, without their indentation."""
    found = []
    for indent, said, text in BLOCK.findall(document.read_text()):
        if said == language:
            found.append(re.sub(rf"^{indent}", "", text, flags=re.MULTILINE))
    return found


def commands(document: Path) -> list[str]:
    """Each command of the document, long lines joined: behind a ``$``, or a line of shell."""
    lines: list[str] = []
    for block in blocks(document, "console"):
        for line in block.replace("\\\n", " ").splitlines():
            assert line.startswith("$ "), f"{document.name}: {line!r} has no prompt"
            lines.append(line[2:])
    for block in blocks(document, "sh"):
        lines += block.replace("\\\n", " ").splitlines()
    return [line.partition("  #")[0].strip() for line in lines]


def shown_files(document: Path = ROOT / "docs" / "governance.md") -> dict[str, str]:
    """The programs that the document shows, by the name that their first line says."""
    return {text.split()[1]: text for text in blocks(document, "python")}


def each(found: dict[Path, list[str]]) -> list[object]:
    """One parameter for each thing found, named after its document."""
    return [
        pytest.param(item, id=f"{document.name}-{number}")
        for document, items in found.items()
        for number, item in enumerate(items)
    ]


ALL_COMMANDS = {document: commands(document) for document in DOCUMENTS}


@pytest.mark.parametrize("text", each({doc: blocks(doc, "yaml") for doc in DOCUMENTS}))
def test_every_yaml_block_is_a_routing_file_that_check_accepts(text: str, tmp_path: Path) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text(text)
    keys = tmp_path / "exposure.keys"  # what a block may name, and check reads
    keys.touch(0o600)
    needed = ("golden.ndjson", "golden.csv", "train.csv", "train-6.parquet", "train-7.parquet")
    for name in needed:  # need only be there
        (tmp_path / name).touch()
    (tmp_path / "samples.jsonl").write_text("{}\n")
    for name in ("request.schema.json", "answer.schema.json"):
        (tmp_path / name).write_text("{}")
    keys.write_text(f"k1 {'A' * 43}=\n")
    for name in ("requirements.txt", "osv-pypi.zip", "site-packages", "golden.ndjson"):
        (tmp_path / name).touch()
    (tmp_path / "tokens.yaml").write_text("tokens: []\n")
    (tmp_path / "hook.secret").write_text("A" * 32)
    assert load_routefile(file).intent.routes


@pytest.mark.parametrize("command", each(ALL_COMMANDS))
def test_every_command_shown_exists_and_takes_its_options(command: str) -> None:
    words = shlex.split(command)
    program = words[0].removeprefix(".venv/bin/")
    match program:
        case "make":
            targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            assert words[1] in targets
        case "understudy":
            # --help ends the run before it acts, and after every word was understood.
            outcome = CliRunner().invoke(app, [*words[1:], "--help"])
            assert outcome.exit_code == 0, outcome.output
        case "python" if words[1] in shown_files():
            pass  # run below
        case "python" | "locust":
            asked = [str(BIN / program), *words[1:], "--help"]
            assert subprocess.run(asked, cwd=ROOT, capture_output=True, check=False).returncode == 0
        case "curl" | ".venv-mlflow/bin/python" | ".venv-mlflow/bin/mlflow":
            pass  # run below
        case "openssl":
            pass  # run in tests/controller/test_signature.py
        case "kubectl" | "docker":
            # Neither is run: there is no cluster. tests/deploy checks what would be applied.
            folders = [ROOT / word for word in words if word.startswith("deploy/")]
            assert all((folder / "kustomization.yaml").is_file() for folder in folders)
        case _:
            assert os.access(ROOT / program, os.X_OK), f"{program} is not there"


def test_the_minimal_example_is_the_readmes() -> None:
    shown = blocks(ROOT / "README.md", "yaml")[0]
    kept = (ROOT / "config" / "examples" / "minimal.yaml").read_text()
    assert kept.removesuffix("...\n") == shown


def get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def wait_for(url: str, within_s: float = 60.0) -> None:
    """Wait until ``url`` answers 200."""
    end = time.monotonic() + within_s
    while get(url)[0] != 200:
        assert time.monotonic() < end, f"{url} does not answer 200"
        time.sleep(0.2)


class Shell:
    """Runs the commands of a document as its reader would, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = f"{folder / '.venv-mlflow' / 'bin'}:{BIN}:{os.environ['PATH']}"
        self._environment = os.environ | {"PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"}
        self._started: list[subprocess.Popen[bytes]] = []

    def run(self, command: str) -> str:
        """Run ``command`` to its end; return what it wrote."""
        return self._finish(command, 0).stdout

    def refuse(self, command: str) -> str:
        """Run ``command``, which must fail with exit code 1; return all that it wrote."""
        done = self._finish(command, 1)
        return done.stdout + done.stderr

    def _finish(self, command: str, code: int) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, shell=True, cwd=self.folder, env=self._environment, capture_output=True,
            text=True, timeout=110, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{command}: {done.stdout}{done.stderr}"
        return done

    def start(self, command: str) -> None:
        """Start ``command`` in a terminal of its own."""
        with (self.folder / f"log-{len(self._started)}.txt").open("wb") as log:
            self._started.append(
                subprocess.Popen(
                    shlex.split(command), cwd=self.folder, env=self._environment, stdout=log,
                    stderr=subprocess.STDOUT, start_new_session=True,
                )
            )  # fmt: skip

    def close(self) -> None:
        """End everything that was started, each with the processes it started itself."""
        for process in reversed(self._started):
            if process.poll() is None:
                process.terminate()
        for process in self._started:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait(5)


@pytest.fixture
def shell() -> Iterator[Shell]:
    """One at a time on a machine, because what documents show has its usual ports; and in a folder
    with a short name: a state holds a Unix socket."""
    with usual_ports(), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        shell = Shell(Path(folder))
        yield shell
        shell.close()


@pytest.mark.slow
@pytest.mark.timeout(300)  # with the wait for the usual ports
def test_the_readmes_file_runs(shell: Shell) -> None:
    shutil.copytree(ROOT / "config", shell.folder / "config")
    wanted = [c for c in ALL_COMMANDS[ROOT / "README.md"] if "minimal.yaml" in c]
    check, run = (command.replace(".venv/bin/", "") for command in wanted)
    assert "digits-1" in shell.run(check)
    shell.start(run)
    wait_for("http://127.0.0.1:8081/livez")
    assert "digits: champion digits-1" in shell.run("understudy status")


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.timeout(300)
@pytest.mark.skipif(not MLFLOW.exists(), reason="run scripts/install-mlflow.sh first")
def test_the_quickstart_works_as_written(shell: Shell) -> None:
    document = ROOT / "docs" / "quickstart.md"
    (shell.folder / ".venv-mlflow").symlink_to(MLFLOW)
    (shell.folder / "train.py").write_text(blocks(document, "python")[0])
    (shell.folder / "routing.yaml").write_text(blocks(document, "yaml")[0])
    install, train, serve_1, serve_2, check, run, predict, status, label = ALL_COMMANDS[document]
    assert install == "scripts/install-mlflow.sh"
    shell.run(train)
    shell.start(serve_1)
    shell.start(serve_2)
    wait_for("http://127.0.0.1:9411/ping")
    wait_for("http://127.0.0.1:9412/ping")
    assert "iris-1" in shell.run(check)
    shell.start(run)
    wait_for("http://127.0.0.1:8081/readyz")
    _wait_for_phase("shadow")

    answer = shell.run(predict)
    assert '{"predictions": [0]}' in answer
    request_id = re.search(r"x-request-id: (\w+)", answer)
    assert request_id is not None
    _wait_for_pairs(1)
    assert "challenger iris-2 in shadow" in shell.run(status)
    answered = json.loads(shell.run(label.replace("the-id-of-a-request", request_id[1])))
    assert answered["unknown"] + answered["accepted"] == 1  # no metric of this file needs labels


@pytest.mark.slow
@pytest.mark.timeout(900)  # with the wait for the usual ports
def test_the_walk_through_governance_works_as_written(shell: Shell) -> None:
    document = ROOT / "docs" / "governance.md"
    for name, text in shown_files(document).items():
        (shell.folder / name).write_text(text)
    (shell.folder / "routing.yaml").write_text(blocks(document, "yaml")[0])
    (
        train, serve_6, serve_7, *tokens, check, gate, spoil, leaky, evil, run,
        register_6, register_7, register_other, explain, promote, approve, approve_too,
        traffic, watch, models, lineage, report, head, serve_8, to_next, break_glass, status,
        explain_again, verify, export, verify_export, replay,
    ) = ALL_COMMANDS[document]  # fmt: skip
    shell.run(train)
    shell.start(serve_6)
    shell.start(serve_7)
    for command in tokens:
        shell.run(command)
    shell.run(check)
    wait_for("http://127.0.0.1:9101/")
    wait_for("http://127.0.0.1:9102/")

    _says(shell.run(gate), document, "security of fraud-7: passed", "none of 500 rows is in its")
    shell.run(spoil)
    leak = "3 of 503 golden rows are in its training data: rows 501, 502, 503"
    _says(shell.refuse(leaky), document, leak)
    _says(shell.refuse(evil), document, "scan: evil.joblib: imports posix.system (dangerous)")

    shell.start(run)
    wait_for("http://127.0.0.1:8081/readyz", 30)
    shell.run(register_6)
    assert "fraud:7 registered: sha256:" in shell.run(register_7)
    _says(shell.refuse(register_other), document, "a version never changes, register a new one")

    _wait("fraud", lambda route: route.get("missing") == ["approval: 0 of 2"])
    alone = "It waits for people alone: everything else of this stage is there."
    _says(shell.run(explain), document, "approval: 0 of 2. `understudy approve fraud`", alone)
    assert "Missing: approval: 0 of 2" in shell.refuse(promote)
    _says(shell.refuse(approve.replace("risk.", "team.")), document, "lacks the right")
    shell.run(approve)
    _says(shell.refuse(approve), document, "another person must")
    shell.run(approve_too)

    shell.start(traffic)
    assert "status" in watch  # it goes on until Ctrl-C
    _wait("fraud", lambda route: route.get("phase") == "promoted")
    assert "champion of fraud" in shell.run(models)
    assert "fraud:7 (production)" in shell.run(lineage)
    shell.run(report)
    case = (shell.folder / "case.html").read_text()
    assert all(said in case for said in ("fraud-7", "risk", "looked at the slices"))
    shell.run(head)

    shell.start(serve_8)
    wait_for("http://127.0.0.1:9103/")
    shell.run(to_next)
    _wait("fraud", lambda route: route.get("challenger") == "fraud-8")
    shell.run(break_glass)
    _says(shell.run(status), document, "BREAK-GLASS by oncall")
    _wait("fraud", lambda route: route.get("phase") == "rolled_back")
    _says(shell.run(explain_again), document, "break-glass of oncall ended after 20 s")
    _wait("fraud", lambda route: route.get("champion") == "fraud-7")

    _says(shell.run(verify), document, "the noted head among them")
    shell.run(export)
    _says(shell.run(verify_export), document, "the noted head among them")
    exported = shell.folder / "audit.ndjson"
    forced = [line for line in exported.read_text().splitlines() if '"forced"' in line]
    assert len(forced) == 1 and "fraud:8, which is not registered" in forced[0]
    exported.write_text(exported.read_text().replace("fraud-7", "fraud-9", 1))
    assert "BROKEN: record " in shell.refuse(verify_export)
    again = "proven again, and so from the stored evidence: all 6 checks passed"
    _says(shell.run(replay), document, again, "forced, not judged: oncall did this")


def _says(output: str, document: Path, *phrases: str) -> None:
    """Assert that each phrase is written by the command, and told by the document."""
    told = document.read_text()
    for phrase in phrases:
        assert phrase in output, output
        assert phrase in told, f"{document.name} does not say {phrase!r}"


def _wait(route: str, is_there: Callable[[dict[str, object]], bool]) -> None:
    """Wait until the route's status is as wanted."""
    end = time.monotonic() + 180
    while not is_there(found := _route(route)):
        assert time.monotonic() < end, f"route {route} stays as it is: {found}"
        time.sleep(0.2)


def _route(name: str = "iris") -> dict[str, object]:
    status, body = get(f"http://127.0.0.1:8081/v1/routes/{name}")
    found = json.loads(body) if status == 200 else {}
    assert isinstance(found, dict)
    return found


def _wait_for_phase(phase: str) -> None:
    end = time.monotonic() + 20
    while _route().get("phase") != phase:
        assert time.monotonic() < end, f"the rollout does not reach {phase}"
        time.sleep(0.2)


def _wait_for_pairs(n: int) -> None:
    end = time.monotonic() + 20
    while _route().get("counts", {}).get("pairs", 0) < n:  # type: ignore[attr-defined]
        assert time.monotonic() < end, "no pair was compared"
        time.sleep(0.2)
