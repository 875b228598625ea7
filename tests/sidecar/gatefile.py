"""A routing file with both gates, and the files that it names, for the tests."""

import json
from pathlib import Path

from sidecar.routefile import Loaded, load_routefile
from tests.sidecar.routing_texts import WHOLE

FUNCTIONAL = """{samples: s.jsonl, request_schema: request.json, response_schema: answer.json,
            batch: [1, 4], bad_input: true, deterministic: true, latency: {p99: 200ms}}"""
PERFORMANCE = """{golden: golden.csv, by: [country], margin_relative: 3%,
            skip_shadow_when: ">= 5%", training: {fraud-6: [train.csv]}}"""


def write(folder: Path, functional: str = FUNCTIONAL, performance: str = PERFORMANCE) -> Path:
    """Write a routing file with these stages, and all files that they may name."""
    (folder / "s.jsonl").write_text('{"instances": [[1, 2]]}\n')
    for name in ("request", "answer"):
        (folder / f"{name}.json").write_text(json.dumps({"type": "object"}))
    (folder / "golden.csv").write_text("amount,country,label\n7,NL,1\n")
    (folder / "train.csv").write_text("amount,country,label\n8,NL,1\n")
    stages = f"{functional}\n        - performance: {performance}" if performance else functional
    text = WHOLE.replace("functional: {}", f"functional: {stages}")
    text = text.replace('prediction: "pred', 'protocol: kserve-v1\n    prediction: "pred')
    path = folder / "routing.yaml"
    path.write_text(text)
    return path


def load(folder: Path, functional: str = FUNCTIONAL, performance: str = PERFORMANCE) -> Loaded:
    """Return the file of ``write``, loaded; ConfigError if it is refused."""
    return load_routefile(write(folder, functional, performance))
