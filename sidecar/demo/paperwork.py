"""The files that gates ask for: a golden dataset, what the models were trained on, and tokens."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sidecar.demo.images import TRAFFIC
from sidecar.demo.models import PRACTICE, SEED, Digits
from sidecar.tokenfile import digest_of

GOLDEN_ROWS = 1_200
"""Held-out images, varied as the traffic is; chosen so that the interval is some points wide."""
INK = 300.0
"""Sum of a digit's 64 pixels (0..16 each) below which it counts as written thinly; the median."""
REVIEWERS = ("release", "risk")
"""Whose tokens may approve; the one that registers may not."""


@dataclass(frozen=True, slots=True)
class Paperwork:
    """Where the files are, and the tokens that nobody else has."""

    golden: Path
    training: tuple[Path, Path]
    """Of the champion, and of the challenger."""
    tokens: dict[str, str]
    """By name: ``team`` registers, each of REVIEWERS approves."""


def write_paperwork(train: Digits, held_out: Digits, folder: Path) -> Paperwork:
    """Write everything into ``folder``. Takes below a second."""
    tokens = {name: secrets.token_urlsafe(32) for name in ("team", *REVIEWERS)}
    _write_tokens(tokens, folder / "tokens.yaml")
    practice = train.varied(PRACTICE, np.random.default_rng(SEED))
    return Paperwork(
        golden=_write_golden(held_out, folder / "golden.ndjson"),
        training=(
            _write_rows(train, folder / "training-1.ndjson"),
            _write_rows(practice, folder / "training-2.ndjson"),
        ),
        tokens=tokens,
    )


def _write_golden(held_out: Digits, path: Path) -> Path:
    random = np.random.default_rng(SEED + 2)
    copies = -(-GOLDEN_ROWS // len(held_out.images))
    golden = held_out.varied(TRAFFIC, random, copies)
    lines = []
    for image, label in zip(golden.images[:GOLDEN_ROWS], golden.labels, strict=False):
        ink = "thin" if float(image.sum()) < INK else "thick"
        row = {"request": {"instances": [image.tolist()]}, "label": int(label), "ink": ink}
        lines.append(json.dumps(row))
    path.write_text("\n".join(lines) + "\n")
    return path


def _write_rows(digits: Digits, path: Path) -> Path:
    """Write rows in the form of the golden set's: that is how rows that leaked are found."""
    rows = (
        {"request": {"instances": [image.tolist()]}, "label": int(label)}
        for image, label in zip(digits.images, digits.labels, strict=True)
    )
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


def _write_tokens(tokens: dict[str, str], path: Path) -> None:
    scopes = {"team": ["read", "label", "operate"]}
    kept = [
        {
            "name": name,
            "sha256": digest_of(token).hex(),
            "scopes": scopes.get(name, ["read", "approve"]),
        }
        for name, token in tokens.items()
    ]
    path.write_text(json.dumps({"tokens": kept}) + "\n")  # JSON is YAML
