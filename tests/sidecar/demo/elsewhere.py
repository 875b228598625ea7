"""The demo's routing file at other ports: documents that are run beside it have the usual ones."""

import os
from pathlib import Path

import yaml

from sidecar.commands.demo import EXAMPLE

FIRST_PORT = 20_000 + os.getpid() % 1_000 * 8
"""Of four; another one in each process of the tests."""


def elsewhere(folder: Path) -> Path:
    """Write the file into ``folder``."""
    document = yaml.safe_load(EXAMPLE.read_text())
    route = document["routes"][0]
    document["listen"] = f"127.0.0.1:{FIRST_PORT}"
    document["admin"]["listen"] = f"127.0.0.1:{FIRST_PORT + 1}"
    route["champion"]["url"] = f"http://127.0.0.1:{FIRST_PORT + 2}"
    route["challengers"][0]["url"] = f"http://127.0.0.1:{FIRST_PORT + 3}"
    functional = route["rollout"]["stages"][0]["functional"]
    functional["samples"] = str(EXAMPLE.parent / functional["samples"])
    file = folder / "elsewhere.yaml"
    file.write_text(yaml.safe_dump(document, explicit_end=True, sort_keys=False))
    return file
