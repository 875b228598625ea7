"""Asks somebody outside whether a move may be made: a POST, and any 2xx is a yes.

The body is a superset of what Flagger sends to its gates (``name``, ``namespace``, ``phase``,
``checksum``, ``metadata``; docs.flagger.app/usage/webhooks), so what answers Flagger answers here.
The answer's body is not read: its words would be instructions from somebody who was asked one
question.
"""

import hashlib
from typing import Any

import aiohttp

from controller.gates.report import GateReport
from controller.gates.task import GateTask, HookCall
from controller.policy import StageKind
from controller.rollout import Event

REQUEST_S = 10.0
"""For one request; Flagger's default is the same."""

_WAITING = frozenset({StageKind.FUNCTIONAL, StageKind.PERFORMANCE, StageKind.SECURITY})


def payload_of(task: GateTask, hook: HookCall) -> dict[str, Any]:
    """Return what the webhook is sent. Pure."""
    return {
        "name": task.route.name,
        "namespace": hook.spec.namespace,
        "phase": _phase(task.kind, hook.event),
        "checksum": _checksum(task, hook),
        "metadata": dict(hook.spec.metadata),
        "route": task.route.name,
        "champion": task.champion.name,
        "challenger": task.challenger.name,
        "experiment": task.experiment,
        "stage": task.kind.value,
        "step": hook.step,
        "event": hook.event,
        "webhook": hook.spec.name,
        "config_digest": hook.config_digest,
    }


async def run(task: GateTask, hook: HookCall) -> GateReport:
    """Call the webhook once; never raises for whatever it answers. Redirects are no yes."""
    name = task.challenger.name
    try:
        status = await _post(hook.spec.url, payload_of(task, hook))
    except TimeoutError:  # before OSError, which it is a kind of
        because = f"no answer within {REQUEST_S:g} s"
        return GateReport(name, False, because, is_transient=True)
    except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: not a URL
        because = f"no answer: {type(error).__name__}: {error}"
        return GateReport(name, False, because, is_transient=True)
    if 200 <= status < 300:
        return GateReport(name, True, f"answered {status}")
    return GateReport(name, False, f"answered {status}, expected 2xx", is_transient=True)


async def _post(url: str, payload: dict[str, Any]) -> int:
    timeout = aiohttp.ClientTimeout(total=REQUEST_S)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(url, json=payload, allow_redirects=False) as response,
    ):
        return response.status


def _phase(kind: StageKind, event: str) -> str:
    """Return Flagger's word for where the rollout stands."""
    if kind in _WAITING:
        return "Waiting"
    if kind is StageKind.PRODUCTION:
        return "Finalising"
    return "WaitingPromotion" if event == Event.PROVEN.value else "Progressing"


def _checksum(task: GateTask, hook: HookCall) -> str:
    """Return what tells this trial of this challenger from every other."""
    words = "\0".join((task.route.name, task.experiment, hook.config_digest))
    return hashlib.sha256(words.encode()).hexdigest()
