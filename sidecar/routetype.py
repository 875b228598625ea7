"""The types of the routing file's values. Each parses the text that was written.

sidecar/yamltree.py hands every scalar over as text, so the type that a key has decides what the
text means: ``no`` is a name where a name belongs and an error where a truth value does.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import BeforeValidator, Field, StringConstraints
from pydantic import WithJsonSchema as As
from pydantic_core import PydanticCustomError

from controller.gates.template import TemplateError, check_template
from evaluator.extract import canonical_text
from sidecar import quantity

T = TypeVar("T")

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
TOKEN = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$"  # RFC 9110, 5.6.2
URL = (
    r"^(https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?):[0-9]{1,5}"
    r"|unix:///[!-~]{1,106})$"
)
SOCKET_PATH = r"/[!-~]{1,106}"  # printable ASCII; sun_path holds 107 bytes and a NUL (unix(7))
ADDRESS = r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?):[0-9]{1,5}$"
EXPECTED_URL = "http://HOST:PORT, https://HOST:PORT or unix:///PATH"
ALLOWED = r"^(file:[^\x00-\x1f]{1,256}|[A-Za-z_][A-Za-z0-9_.]{0,254}(\.\*)?)$"
LICENCE = r"^[A-Za-z0-9][A-Za-z0-9.+:-]{0,62}( WITH [A-Za-z0-9.-]{1,62})?$"
PACKAGE = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
MATCH_PATH = r"^/[!-)+->@-~]*\*?$"  # printable ASCII; * only at the end, no ? and no space


def _parsed(parse: Callable[[str], Any], expected: str) -> BeforeValidator:
    def validate(value: object) -> Any:
        if not isinstance(value, str):
            raise PydanticCustomError("expected", "{expected}", {"expected": expected})
        try:
            return parse(value)
        except ValueError as exc:
            raise PydanticCustomError("expected", "{expected}", {"expected": str(exc)}) from exc

    return BeforeValidator(validate)


def _bounded(
    parse: Callable[[str], T], within: Callable[[T], bool], expected: str
) -> BeforeValidator:
    def checked(text: str) -> T:
        number = parse(text)
        if not within(number):
            raise ValueError(expected)
        return number

    return _parsed(checked, expected)


def _pattern(pattern: str, expected: str) -> BeforeValidator:
    def match(text: str) -> str:
        if re.fullmatch(pattern, text, re.ASCII) is None or text.endswith("\n"):
            raise ValueError(expected)
        return text

    return _parsed(match, expected)


def _address(text: str) -> tuple[str, int]:
    """Split HOST:PORT; brackets of an IPv6 address are taken off."""
    host, _, port = text.rpartition(":")
    if re.fullmatch(ADDRESS, text, re.ASCII) is None or not 1 <= int(port) <= 65535:
        raise ValueError("HOST:PORT, such as 127.0.0.1:8080 (port 1 to 65535)")
    return host.strip("[]"), int(port)


@dataclass(frozen=True, slots=True)
class Target:
    """What a variant's ``url`` says: a host and a port, or the path of a Unix socket."""

    host: str
    port: int
    is_tls: bool = False
    socket: str = ""
    """Absolute path; then host and port are only what a Host header falls back to."""


def _url(text: str) -> Target:
    """Read a variant's url; ValueError names the part that is not allowed."""
    scheme, _, rest = text.partition("://")
    if scheme == "unix" or text.startswith("unix:"):
        return _socket(text)
    if scheme not in ("http", "https") or not text.startswith(f"{scheme}://"):
        raise ValueError(EXPECTED_URL)
    shown = f"{scheme}://HOST:PORT"
    if "@" in rest:
        raise ValueError(f"{shown} without credentials")
    if any(mark in rest for mark in "/?#"):
        raise ValueError(f"{shown} without a path (requests keep the client's path)")
    if re.fullmatch(r"(\[.*\]|[^:]*)", rest):
        raise ValueError(f"{shown} with its port, such as {scheme}://127.0.0.1:9001")
    try:
        host, port = _address(rest)
    except ValueError as exc:
        raise ValueError(f"{shown} with a host name or address and a port") from exc
    return Target(host, port, is_tls=scheme == "https")


def _socket(text: str) -> Target:
    path = text.removeprefix("unix://")
    if re.fullmatch(SOCKET_PATH, path, re.ASCII) is None:
        raise ValueError(
            "unix:///PATH with the absolute path of a socket (107 characters at most, no spaces), "
            "such as unix:///run/model.sock"
        )
    return Target("localhost", 80, socket=path)


def _number(text: str) -> float:
    if re.fullmatch(r"[0-9]{0,9}(\.[0-9]{1,12})?", text, re.ASCII) is None or not text:
        raise ValueError("a plain number")
    return float(text)


def _signed(text: str) -> float:
    return -_number(text[1:]) if text.startswith("-") else _number(text)


def _amount(text: str) -> float:
    return quantity.parse_share(text) if text.endswith("%") else _signed(text)


def _limit(text: str) -> float:
    """Read an amount, or a duration as seconds."""
    is_time = re.fullmatch(quantity.DURATION, text, re.ASCII) is not None
    return quantity.parse_duration_s(text) if is_time else _amount(text)


def _lead(text: str) -> float:
    if re.fullmatch(LEAD, text, re.ASCII) is None or text.endswith("\n"):
        raise ValueError("a lead such as '>= 3%'")
    return _amount(text.removeprefix(">=").strip())


def _template(text: str) -> str:
    if len(text) > 65_536:
        raise ValueError("a request in JSON of at most 65536 characters")
    try:
        check_template(text)
    except TemplateError as exc:
        raise ValueError(f"a request in JSON ({exc})") from exc
    return text


def _class(text: str) -> str:
    """Return the canonical JSON text of a class: 1, true and fraud as JSON would have them."""
    if not text or len(text) > 256:
        raise ValueError("a class of 1 to 256 characters")
    try:
        return canonical_text(text)
    except ValueError:
        return canonical_text(json.dumps(text))


def _count(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) is None:
        raise ValueError("a whole number")
    return int(text)


def _is_true(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return text == "true"


def _expression(text: str) -> str:
    if len(text) > 256:
        raise ValueError("a JMESPath expression of at most 256 characters")
    try:
        jmespath.compile(text)
    except (JMESPathError, RecursionError) as exc:
        why = str(exc).splitlines()[0].rstrip(": ") if str(exc) else type(exc).__name__
        raise ValueError(f"a JMESPath expression, such as predictions[0] ({why})") from exc
    return text


def not_built(what: str) -> BeforeValidator:
    def refuse(_: object) -> Any:
        raise PydanticCustomError("not_built", "{expected}", {"expected": what})

    return BeforeValidator(refuse)


def default(text: str, description: str) -> Any:
    """Return a field whose default value is written as in the file, and parsed as there."""
    return Field(default=text, validate_default=True, description=description)


def _text(pattern: str) -> As:
    return As({"type": "string", "pattern": pattern})


_SHARE = _text(quantity.SHARE)
_DURATION = _text(quantity.DURATION)

Name = Annotated[
    str, _pattern(NAME, "a name of letters, digits, '.', '_' and '-' (63 at most)"), _text(NAME)
]
HeaderName = Annotated[
    str, _pattern(TOKEN, "the name of an HTTP header, such as x-user-id"), _text(TOKEN)
]
HeaderValue = Annotated[
    str,
    _pattern(r"^[!-~]([ -~]{0,510}[!-~])?$", "a header's exact value in printable ASCII"),
    StringConstraints(min_length=1),
]
HostName = Annotated[
    str,
    _pattern(
        r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)$",
        "a host name without its port, such as models.example.org",
    ),
]
MatchPath = Annotated[
    str,
    _pattern(MATCH_PATH, "a path such as /v1/models/fraud:predict, or a prefix such as /v1/*"),
    _text(MATCH_PATH),
]
ReadyPath = Annotated[
    str,
    _pattern(r"^/[!-)+->@-~]*$", "a path such as /ready"),
    _text(r"^/[!-)+->@-~]*$"),
]
INFERENCE = r"^(protocol|((POST|GET|PUT) )?/[!-\"$->@-~]*)$"  # printable ASCII, no # ? or space
InferencePath = Annotated[
    str,
    _pattern(
        INFERENCE,
        "a path such as /v2/models/*/infer, one with its method (GET /rank/*), or the word "
        "protocol for the protocol's own",
    ),
    _text(INFERENCE),
]
UpgradeToken = Annotated[
    str,
    _pattern(
        r"^(?!h2c?$|http|tls)[a-z0-9][a-z0-9./-]{0,31}$",
        "a protocol in lower case, such as websocket (never another HTTP: it would pass unread)",
    ),
]
FilePath = Annotated[str, _pattern(r"^[^\x00-\x1f]+$", "the path of a file")]
AllowedImport = Annotated[
    str,
    _pattern(ALLOWED, "module.name, module.* or file:PATTERN"),
    _text(ALLOWED),
]
GroupPath = Annotated[str, _pattern(r"^[^\x00-\x1f]{1,128}$", "the name of a column")]
LicenceName = Annotated[
    str, _pattern(LICENCE, "an SPDX identifier, such as Apache-2.0"), _text(LICENCE)
]
PackageName = Annotated[str, _pattern(PACKAGE, "the name of a package"), _text(PACKAGE)]
VulnerabilityId = Annotated[
    str, _pattern(PACKAGE, "an id, such as GHSA-... or CVE-2024-1"), _text(PACKAGE)
]
Address = Annotated[
    tuple[str, int],
    _parsed(_address, "HOST:PORT, such as 127.0.0.1:8080 (port 1 to 65535)"),
    _text(ADDRESS),
]
Url = Annotated[Target, _parsed(_url, EXPECTED_URL), _text(URL)]
SCORER_URL = r"^https?://[!-~]{1,500}$"
FUNCTION = r"^[A-Za-z_][A-Za-z0-9_.-]*(:[A-Za-z_][A-Za-z0-9_.]*)?$"
ScorerUrl = Annotated[
    str, _pattern(SCORER_URL, "http:// or https:// with host and path"), _text(SCORER_URL)
]
FunctionName = Annotated[
    str, _pattern(FUNCTION, "package.module:function, or an entry point's name"), _text(FUNCTION)
]
HTTP_URL = r"^https?://[!-.0->@-~]([!->@-~]{0,498}[!-.0->@-~])?$"  # no query, no slash at the end
HttpUrl = Annotated[
    str,
    _pattern(HTTP_URL, "http:// or https:// with a host, without a slash at the end"),
    _text(HTTP_URL),
]
METADATA_PATH = r"^/([!-\"$->@-z|~]|\{name\}|\{version\})*$"  # printable ASCII; no # ? or space
MetadataPath = Annotated[
    str,
    _pattern(
        METADATA_PATH, "a path such as /v2/models/{name} ({name} and {version} are filled in)"
    ),
    _text(METADATA_PATH),
]
MODEL = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}:[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
ModelName = Annotated[
    str, _pattern(MODEL, "a registered version NAME:VERSION, such as fraud:7"), _text(MODEL)
]
NATS_URL = (
    r"^(nats|tls)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?):[0-9]{1,5}$"
)
NATS_NAME = r"^[A-Za-z0-9_-]{1,64}$"
NATS_SUBJECT = r"^[A-Za-z0-9_-]+(\.([A-Za-z0-9_-]+|\*))*(\.>)?$"
NatsUrl = Annotated[
    str,
    _pattern(NATS_URL, "nats://HOST:PORT or tls://HOST:PORT, without credentials"),
    _text(NATS_URL),
]
NatsName = Annotated[
    str, _pattern(NATS_NAME, "a name of letters, digits, '_' and '-'"), _text(NATS_NAME)
]
NatsSubject = Annotated[
    str, _pattern(NATS_SUBJECT, "a subject such as labels or labels.>"), _text(NATS_SUBJECT)
]
ColumnName = Annotated[
    str,
    _pattern(r"^[^\x00-\x1f]{1,256}$", "the name of a column"),
    StringConstraints(min_length=1, max_length=256),
]
FILE_DIGEST = r"^(sha256:)?[0-9a-f]{64}$"
FileDigest = Annotated[
    str,
    _pattern(FILE_DIGEST, "a SHA-256: 64 digits and letters a to f"),
    _text(FILE_DIGEST),
]
LEAD = r"^>= ?[0-9]{1,9}(\.[0-9]{1,6})?%?$"
Lead = Annotated[float, _parsed(_lead, "a lead such as '>= 3%'"), _text(LEAD)]
Template = Annotated[
    str, _parsed(_template, "a request in JSON"), As({"type": "string", "maxLength": 65_536})
]
Expression = Annotated[
    str, _parsed(_expression, "a JMESPath expression"), As({"type": "string", "maxLength": 256})
]
Duration = Annotated[float, _parsed(quantity.parse_duration_s, "a duration"), _DURATION]
PositiveDuration = Annotated[
    float,
    _bounded(quantity.parse_duration_s, lambda s: s > 0.0, "a duration above zero"),
    _DURATION,
]
Size = Annotated[
    int, _parsed(quantity.parse_size_bytes, quantity.EXPECTED_SIZE), _text(quantity.SIZE)
]
RecordSize = Annotated[
    int,
    _bounded(
        quantity.parse_size_bytes,
        lambda size: size >= 1 << 20,
        "a size of at least 1MiB, such as 1GiB",
    ),
    _text(quantity.SIZE),
]
Buckets = Annotated[
    int,
    _bounded(quantity.parse_share_buckets, lambda b: b > 0, "a share above 0% and at most 100%"),
    _SHARE,
]
HalfBuckets = Annotated[
    int,
    _bounded(
        quantity.parse_share_buckets,
        lambda b: 0 < b <= 5000,
        "a share above 0% and at most 50% (the champion keeps the other half to be compared with)",
    ),
    _SHARE,
]
HoldbackBuckets = Annotated[
    int,
    _bounded(
        quantity.parse_share_buckets,
        lambda b: 0 <= b <= 5000,
        "a share of at most 50%; 0% keeps nobody back",
    ),
    _SHARE,
]
Watch = Annotated[
    float,
    _bounded(
        quantity.parse_duration_s,
        lambda s: s > 0.0,
        "a duration above zero; without a watch there is no way back",
    ),
    _DURATION,
]
Level = Annotated[
    float,
    _bounded(quantity.parse_share, lambda a: 0.0 < a <= 0.5, "a share above 0% and at most 50%"),
    _SHARE,
]
Share = Annotated[
    float,
    _bounded(quantity.parse_share, lambda a: 0.0 < a <= 1.0, "a share above 0% and at most 100%"),
    _SHARE,
]
Margin = Annotated[
    float,
    _bounded(quantity.parse_share, lambda a: 0.0 < a <= 10.0, "a share above 0%, at most 1000%"),
    _SHARE,
]
Quantile = Annotated[
    float,
    _bounded(_number, lambda q: 0.01 <= q <= 0.999, "a number from 0.01 to 0.999, such as 0.95"),
    As({"type": "number", "minimum": 0.01, "maximum": 0.999}),
]
Amount = Annotated[
    float,
    _bounded(
        _amount, lambda a: 0.0 < a <= 1e12, "an amount above 0: a share (1%) or a number (0.5)"
    ),
    As({"anyOf": [{"type": "string", "pattern": quantity.SHARE}, {"type": "number"}]}),
]
Bound = Annotated[
    float,
    _parsed(_amount, "a share (90%) or a number (-0.5)"),
    As({"anyOf": [{"type": "string", "pattern": quantity.SHARE}, {"type": "number"}]}),
]
Limit = Annotated[
    float,
    _parsed(_limit, "a share (2%), a time (300ms) or a number (-0.5)"),
    As(
        {
            "anyOf": [
                {"type": "string", "pattern": quantity.SHARE},
                {"type": "string", "pattern": quantity.DURATION},
                {"type": "number"},
            ]
        }
    ),
]
Finite = Annotated[float, _parsed(_signed, "a number, such as -1.5"), As({"type": "number"})]
Class = Annotated[
    str,
    _parsed(_class, "the class as it stands in answers and labels, such as fraud or 1"),
    As({"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}),
]
Flag = Annotated[bool, _parsed(_is_true, "true or false"), As({"type": "boolean"})]


def _whole(low: int, high: int) -> Any:
    expected = f"a whole number from {low} to {high}"
    return (
        _bounded(_count, lambda n: low <= n <= high, expected),
        As({"type": "integer", "minimum": low, "maximum": high}),
    )


Workers = Annotated[int, *_whole(1, 64)]
Concurrency = Annotated[int, *_whole(1, 64)]
Requests = Annotated[int, *_whole(1, 10_000)]
Connections = Annotated[int, *_whole(1, 65_535)]
Failures = Annotated[int, *_whole(1, 1000)]
Approvers = Annotated[int, *_whole(1, 10)]
AtLeast = Annotated[int, *_whole(0, 100_000_000)]

Protocol = Literal["kserve-v1", "open-inference-v2", "tf-serving", "mlflow", "openai", "json"]
Kind = Literal[
    "correct",
    "error",
    "latency",
    "agreement",
    "mean",
    "loss",
    "divergence",
    "drift",
    "precision",
    "recall",
    "f1",
    "auc",
]
BatchSize = Annotated[int, *_whole(1, 1000)]
FalseAlarm = Annotated[int, *_whole(1000, 1_000_000_000)]
Horizon = Annotated[int, *_whole(100, 1_000_000_000)]
RoleName = Literal["objective", "guardrail", "proxy"]
Timeout = Literal["hold", "rollback"]
NeverBuilt = Any


def pattern(regex: str, expected: str) -> Any:
    """Return what makes an annotated ``str`` match ``regex``; write ``*pattern(...)``."""
    return _pattern(regex, expected), _text(regex)
