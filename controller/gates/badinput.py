"""Requests that no server should answer with a prediction, or with a crash. Pure."""

import json
from dataclasses import dataclass
from typing import Any

DEEP = 2000
"""Levels of nesting; Python's own JSON reader gives up at about a thousand. Chosen."""


@dataclass(frozen=True, slots=True)
class BadInput:
    """One of them, with a name for people."""

    name: str
    body: bytes


_EVERYWHERE = (
    BadInput("no body", b""),
    BadInput("no JSON", b"{"),
    BadInput("not UTF-8", b'{"a": "\xff\xfe"}'),
    BadInput("nested too deep", b"[" * DEEP + b"]" * DEEP),
)
_WRONG: dict[str, tuple[Any, ...]] = {
    "kserve-v1": ({}, {"instances": "none"}),
    "tf-serving": ({}, {"instances": "none"}),
    "mlflow": ({}, {"dataframe_split": "none"}),
    "open-inference-v2": ({}, {"inputs": "none"}),
    "openai": ({}, {"messages": "none", "prompt": {}, "input": {}}),
}


def bad_inputs(protocol: str) -> tuple[BadInput, ...]:
    """Return what ``protocol`` does not allow; plain JSON knows no wrong document, only no JSON."""
    wrong = (BadInput(f"wrong: {text}", text.encode()) for text in map(json.dumps, _of(protocol)))
    return (*_EVERYWHERE, *wrong)


def fault_of(status: int) -> str:
    """Return what is wrong with an answer of ``status`` to bad input, or nothing."""
    if 400 <= status < 500:
        return ""
    how = "a crash, or as good as one" if status >= 500 else "as if it were a request"
    return f"answered with status {status} ({how}), expected 4xx"


def _of(protocol: str) -> tuple[Any, ...]:
    return _WRONG.get(protocol, ())
