"""Real models behind real servers: a champion, a better and a worse challenger, on real digits."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web
from typer.testing import CliRunner

from sidecar.cli import app
from sidecar.demo.images import TRAFFIC
from sidecar.demo.model_server import ModelServer
from sidecar.demo.models import Digits, fit_better, fit_champion, fit_worse, split

ROUTING = """\
routes:
  - name: digits
    match: {{path: "/v1/models/digits:predict"}}
    protocol: kserve-v1
    prediction: "predictions[0]"
    champion: {{name: champion, url: "http://127.0.0.1:{champion}"}}
    challengers:
      - {{name: better, url: "http://127.0.0.1:{better}"}}
      - {{name: worse, url: "http://127.0.0.1:{worse}"}}
    metrics:
      accuracy: {{kind: correct, role: objective, detect: 1%}}
      zeros: {{kind: f1, role: guardrail, positive: 0, margin: 5%}}
    labels: {{window: 1h, maturity: 1m}}
    rollout:
      stages:
        - functional: {{samples: s.jsonl, batch: [1, 3], bad_input: true, deterministic: true,
            latency: {{p99: 20s, requests: 5}}}}
        - performance: {{golden: golden.ndjson, by: [noise], training: {{better: [train.ndjson]}}}}
        - shadow: {{share: 100%}}
        - canary: {{shares: [5%]}}
...
"""


class Servers(threading.Thread):
    """The three models, served by one loop in a thread of its own until ``stop``."""

    def __init__(self, train: Digits) -> None:
        super().__init__(daemon=True)
        self._models = {"champion": fit_champion, "better": fit_better, "worse": fit_worse}
        self._train = train
        self.ports: dict[str, int] = {}
        self.is_up = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()

    def run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self.join(10)

    async def _serve(self) -> None:
        runners = []
        for name, fit in self._models.items():
            server = ModelServer(name, fit(self._train))
            runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=0.5)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.ports[name] = runner.addresses[0][1]
            runners.append(runner)
        self.is_up.set()
        await self._over.wait()
        for runner in runners:
            await runner.cleanup()


def rows(digits: Digits) -> list[str]:
    return [
        json.dumps(
            {"request": {"instances": [image.tolist()]}, "label": int(label), "noise": noise}
        )
        for (image, label), noise in zip(
            zip(digits.images, digits.labels, strict=True),
            ["low", "high"] * len(digits.labels),
            strict=False,
        )
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    train, held_out = split()
    servers = Servers(train)
    servers.start()
    assert servers.is_up.wait(60)
    path = tmp_path_factory.mktemp("gate")
    live = held_out.varied(TRAFFIC, np.random.default_rng(3))
    golden = rows(live)[:500]
    (path / "golden.ndjson").write_text("\n".join(golden) + "\n")
    (path / "small.ndjson").write_text("\n".join(golden[:40]) + "\n")
    (path / "train.ndjson").write_text("\n".join(rows(train)[:200]) + "\n")
    (path / "s.jsonl").write_text(json.dumps({"instances": [live.images[0].tolist()]}) + "\n")
    (path / "r.yaml").write_text(ROUTING.format(**servers.ports))
    yield path
    servers.stop()


def gate(folder: Path, *options: str, file: str = "r.yaml") -> tuple[int, str]:
    outcome = CliRunner().invoke(app, ["gate", str(folder / file), "digits", *options])
    return outcome.exit_code, outcome.output


def variation(folder: Path, old: str, new: str) -> str:
    text = (folder / "r.yaml").read_text()
    assert old in text
    (folder / "other.yaml").write_text(text.replace(old, new))
    return "other.yaml"


def test_a_better_model_passes_both_gates(folder: Path) -> None:
    code, out = gate(folder)
    assert code == 0, out
    assert "functional of better: passed" in out and "performance of better: passed" in out
    assert "accuracy for noise=high" in out and "none of 500 rows is in its training data" in out


def test_json_has_the_numbers_of_every_check(folder: Path) -> None:
    code, out = gate(folder, "--only", "performance", "--json")
    assert code == 0, out
    [found] = json.loads(out)["gates"]
    checks = {check["name"]: check["numbers"] for check in found["checks"]}
    accuracy = checks["accuracy"]
    assert found["verdict"] == "passed" and accuracy["rows"] == 500
    assert 0.0 < accuracy["lower"] < accuracy["effect"] < accuracy["upper"]
    assert checks["zeros"]["kind"] == "f1" and checks["golden set"]["digest"]


def test_a_worse_model_fails(folder: Path) -> None:
    code, out = gate(folder, "--challenger", "worse", "--only", "performance")
    assert code == 1 and "performance of worse: failed" in out
    assert "accuracy -" in out


def test_a_golden_set_that_is_too_small_is_undecided(folder: Path) -> None:
    other = variation(folder, "golden.ndjson, by: [noise]", "small.ndjson")
    code, out = gate(folder, "--only", "performance", file=other)
    assert code == 4, out
    assert "rows needed" in out or "rows that count" in out


def test_a_golden_set_from_the_training_data_is_refused(folder: Path) -> None:
    known = (folder / "train.ndjson").read_text().splitlines()[:3]
    mixed = known + (folder / "golden.ndjson").read_text().splitlines()[:100]
    (folder / "leaked.ndjson").write_text("\n".join(mixed) + "\n")
    other = variation(folder, "golden: golden.ndjson", "golden: leaked.ndjson")
    code, out = gate(folder, "--only", "performance", file=other)
    assert code == 1, out
    assert "3 of 103 golden rows are in its training data: rows 1, 2, 3" in out


def test_a_server_that_is_away_fails(folder: Path) -> None:
    other = variation(folder, "127.0.0.1:", "127.0.0.2:")
    code, out = gate(folder, file=other)
    assert code == 1 and "functional of better: failed" in out and "performance" not in out


def test_a_gate_that_takes_too_long_fails(folder: Path) -> None:
    other = variation(folder, "bad_input: true", "at_most: 1ms")
    code, out = gate(folder, file=other)
    assert code == 1 and "it took longer than at_most, 0.001 s" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nobody"], "no route 'nobody'; there are digits"),
        (["digits", "--challenger", "nobody"], "no challenger nobody"),
        (["digits", "--only", "shadow"], "--only must be one of functional, performance"),
    ],
)
def test_what_is_not_in_the_file_is_wrong_usage(folder: Path, words: list[str], said: str) -> None:
    outcome = CliRunner().invoke(app, ["gate", str(folder / "r.yaml"), *words])
    assert outcome.exit_code == 2 and said in outcome.output


def test_a_route_without_gates_is_wrong_usage(folder: Path) -> None:
    other = variation(folder, "        - performance:", "        # - performance:")
    code, out = gate(folder, "--only", "performance", file=other)
    assert code == 2 and "declares none of the stages performance" in out


def test_a_file_with_an_error_is_refused(folder: Path) -> None:
    code, out = gate(folder, file=variation(folder, "by: [noise]", "buy: [noise]"))
    assert code == 2 and "buy" in out
