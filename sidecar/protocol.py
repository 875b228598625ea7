"""What a route's ``protocol:`` decides: which requests are inference, and two defaults. Pure.

Requests and answers pass unchanged whatever the protocol is. It gives the paths that ask for a
prediction, the path that the functional stage asks for readiness and the path to the prediction in
an answer, where the routing file does not give its own.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from router.inference import Inference

METHODS = (b"POST", b"GET", b"PUT")
"""What ``inference:`` may name. A DELETE twice is for nobody to try."""
_MODEL = re.compile(r"^/v1/models/([^/:*]+)(/versions/[^/:*]+)?:predict$")

_V2_MODEL = re.compile(r"^(/v2/models/[^/*]+(?:/versions/[^/*]+)?)/(?:infer|generate)\b")


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a protocol decides."""

    ready_path: str | None
    """None: the protocol has none, or it needs a model name that ``match.path`` does not give."""
    prediction: str | None
    """JMESPath; None compares whole bodies."""
    inference: tuple[str, ...]
    """Methods and paths that ask for a prediction, in the form of router/inference.py."""


def _model_path(match_path: str) -> str | None:
    """Return ``/v1/models/NAME`` of ``/v1/models/NAME:predict``, None for other paths."""
    found = _MODEL.match(match_path)
    return None if found is None else f"/v1/models/{found[1]}"


def metadata_path(protocol: str, match_path: str) -> str | None:
    """Return where Open Inference metadata of a route's model is; None if it has none.

    >>> metadata_path("open-inference-v2", "/v2/models/fraud/infer")
    '/v2/models/fraud'
    """
    found = _V2_MODEL.match(match_path) if protocol == "open-inference-v2" else None
    return None if found is None else found[1]


def _always(path: str | None) -> Callable[[str], str | None]:
    return lambda _: path


_KSERVE = ("POST /v1/models/*:predict", "POST /v1/models/*:explain")
_OPEN_INFERENCE = tuple(
    f"POST /v2/models/{model}/{verb}"
    for model in ("*", "*/versions/*")
    for verb in ("infer", "generate", "generate_stream")
)
_TF_SERVING = tuple(
    f"POST /v1/models/{model}:{verb}"
    for model in ("*", "*/versions/*", "*/labels/*")
    for verb in ("predict", "classify", "regress")
)
_OPENAI = tuple(
    f"POST /v1/{what}" for what in ("chat/completions", "completions", "embeddings", "responses")
)
# A chat, a completion, an embedding, a response: an answer has one of them.
_OPENAI_PREDICTION = (
    "choices[].message.content || choices[].text || data[].embedding || output[].content[].text"
)

# Sources: KServe data plane v1 (`:predict`, `:explain`; "GET /v1/models/<name>" is model readiness,
# answers {"predictions": [...]}); Open Inference Protocol v2 ("/v2/health/ready", {"outputs":
# [...]}) with Triton's generate extension; TensorFlow Serving REST (model status, row format);
# MLflow scoring server ("/invocations", "/ping"); OpenAI API ("GET /v1/models").
_TABLE: dict[str, tuple[Callable[[str], str | None], str | None, tuple[str, ...]]] = {
    "kserve-v1": (_model_path, "predictions", _KSERVE),
    "open-inference-v2": (_always("/v2/health/ready"), "outputs[].data", _OPEN_INFERENCE),
    "tf-serving": (_model_path, "predictions", _TF_SERVING),
    "mlflow": (_always("/ping"), "predictions", ("POST /invocations",)),
    "openai": (_always("/v1/models"), _OPENAI_PREDICTION, _OPENAI),
    "json": (_always(None), None, ("POST /**",)),
}

PROTOCOLS = tuple(_TABLE)
OWN = "protocol"
"""In ``inference:``, the protocol's own paths."""


def defaults(protocol: str, match_path: str) -> Defaults:
    """Return what ``protocol`` decides for a route; KeyError for an unknown one."""
    ready_path, prediction, inference = _TABLE[protocol]
    return Defaults(ready_path(match_path), prediction, inference)


def inference(protocol: str, declared: Sequence[str] | None) -> tuple[str, ...]:
    """Return what is inference on a route: the protocol's paths, or those that are declared.

    The word ``protocol`` among the declared ones stands for the protocol's own; an entry without
    a method is a POST.
    """
    own = _TABLE[protocol][2]
    if declared is None:
        return own
    found: list[str] = []
    for one in declared:
        found += own if one == OWN else (one if " " in one else f"POST {one}",)
    return tuple(dict.fromkeys(found))


def may_match(patterns: Sequence[str], match_path: str) -> bool:
    """Whether any request of a route can be inference, as far as the text tells."""
    start, star, _ = match_path.partition("*")
    if not star:
        covers = Inference(patterns, match_path).covers
        return any(covers(method, start.encode()) for method in METHODS)
    fixed = [one.partition(" ")[2].partition("*")[0] for one in patterns]
    return any(one.startswith(start) or start.startswith(one) for one in fixed)
