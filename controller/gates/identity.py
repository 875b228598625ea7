"""What runs must be what was registered: asked of the variant itself.

The variant's own words are compared with the registered version: a field of its metadata answer
(JMESPath), or a header of it. Another word than the registered one is a mismatch; no word at all is
no evidence, which proves nothing either way.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import jmespath
from jmespath.exceptions import JMESPathError

from controller.gates.dial import Answer, NoAnswer, get
from controller.lineage import ModelVersion
from controller.policy import ReportsSpec
from controller.proof import Finding
from evaluator.evidence import CheckState
from evaluator.extract import parsed
from router.table import Match, Variant

MAX_SHOWN_CHARS = 100
"""Of what a variant says of itself, in sentences and records."""


async def ask(variant: Variant, match: Match, reports: ReportsSpec, model: ModelVersion) -> Finding:
    """Ask ``variant`` what it runs, and compare. Never raises for the variant's faults."""
    path = reports.path.replace("{name}", quote(model.name)).replace(
        "{version}", quote(model.version)
    )
    headers = {"x-understudy-mirror": "1", "accept": "application/json"}
    if match.host is not None:
        headers["host"] = match.host
    if match.header is not None:
        headers[match.header[0]] = match.header[1]
    try:
        answer = await get(variant, path, headers)
    except NoAnswer as error:
        return Finding(CheckState.UNKNOWN, f"{variant.name} does not say what it runs: {error}")
    if answer.status != 200:
        because = f"{variant.name} answers GET {path} with status {answer.status}, expected 200"
        return Finding(CheckState.UNKNOWN, because)
    return compare(variant.name, answer, reports, model)


def compare(name: str, answer: Answer, reports: ReportsSpec, model: ModelVersion) -> Finding:
    """Compare what an answer says with what is registered. Pure."""
    said: dict[str, Any] = {}
    missing: list[str] = []
    for what, found, wanted in _words(answer, reports, model):
        if found is None:
            missing.append(what)
            continue
        said[what] = found
        if found not in wanted:
            shown, registered = found[:MAX_SHOWN_CHARS], sorted(wanted)[0]
            because = f"{name} runs {what} {shown!r}, {model.ref} is registered with {registered!r}"
            return Finding(CheckState.TRIPPED, because, said)
    if missing:
        because = f"{name} says no {' and no '.join(missing)} where `reports` looks for it"
        return Finding(CheckState.UNKNOWN, because, said)
    because = f"{name} says that it runs {model.ref}: its {' and '.join(said)} is as registered"
    return Finding(CheckState.PASSED, because, said)


def _words(
    answer: Answer, reports: ReportsSpec, model: ModelVersion
) -> list[tuple[str, str | None, frozenset[str]]]:
    """Return each thing that is to be compared: its name, what was said, and what may be said."""
    body = _body(answer.body) if reports.version or reports.digest else None
    headers = {name.lower(): value for name, value in answer.headers.items()}
    versions = frozenset({model.version})
    digests = _digests(model)
    words: list[tuple[str, str | None, frozenset[str]]] = []
    if reports.version is not None:
        words.append(("version", _found(body, reports.version), versions))
    if reports.digest is not None:
        words.append(("digest", _plain(_found(body, reports.digest)), digests))
    if reports.version_header is not None:
        words.append(("version", _header(headers, reports.version_header), versions))
    if reports.digest_header is not None:
        words.append(("digest", _plain(_header(headers, reports.digest_header)), digests))
    return words


def _digests(model: ModelVersion) -> frozenset[str]:
    """Return what a server may call the digest: the artifact's, or that of its only file."""
    files = model.artifact.files
    return frozenset({model.artifact.digest, *(files[0][2:] if len(files) == 1 else ())})


def _body(raw: bytes) -> Any:
    try:
        return parsed(raw)
    except (ValueError, RecursionError):
        return None


def _found(body: Any, expression: str) -> str | None:
    """Return a text or a number at ``expression``; of a list, what all its elements are."""
    try:
        found = jmespath.search(expression, body)
    except (JMESPathError, ValueError, TypeError, RecursionError):
        return None
    items = found if isinstance(found, list) else [found]
    texts = {_text(item) for item in items}
    if len(texts) > 1 and None not in texts:
        return " and ".join(sorted(text for text in texts if text))
    return texts.pop() if len(texts) == 1 else None


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip()
    return text or None


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return headers.get(name.lower(), "").strip() or None


def _plain(digest: str | None) -> str | None:
    """Return a digest without its algorithm, in lower case."""
    return None if digest is None else digest.lower().removeprefix("sha256:")
