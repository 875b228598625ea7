"""A model server that speaks the KServe v1 predict protocol, and can be told to fail.

python -m sidecar.demo.model_server --model digits-1.joblib --name digits-1 --port 9101
"""

import argparse
import asyncio
import json
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Protocol

import numpy as np
import uvloop
from aiohttp import web
from numpy.typing import NDArray

from sidecar.demo.fault import Behaviour, FaultPlan, read_plan
from sidecar.demo.models import load
from sidecar.demo.reports import report

MODEL = "digits"
"""The model's name in the protocol's paths; every version answers to the same one."""
PIXELS = 64
BODY_LIMIT_BYTES = 1 << 20
MAX_WAIT_FOR_EXIT_S = 0.2
"""A server that is to die after its hangs waits no longer than this for the request to die on."""


class Predicts(Protocol):
    """What the server needs of a model."""

    def predict(self, images: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return one digit for each row of ``images`` (n, 64)."""
        ...


class ModelServer:
    """Answers predict requests with ``model``; owns the fault plan. One per process."""

    def __init__(self, name: str, model: Predicts) -> None:
        self._name = name
        self._model = model
        self._plan = FaultPlan()
        self._failures = Counter[str]()
        """By behaviour."""

    def application(self) -> web.Application:
        """Return the routes: readiness, predict, and the fault switch."""
        application = web.Application(client_max_size=BODY_LIMIT_BYTES)
        application.router.add_get(f"/v1/models/{MODEL}", self._ready)
        application.router.add_post(f"/v1/models/{MODEL}:predict", self._predict)
        application.router.add_post("/-/fail", self._fail)
        return application

    async def _ready(self, _: web.Request) -> web.Response:
        return web.json_response({"name": MODEL, "ready": True, "version": self._name})

    async def _predict(self, request: web.Request) -> web.Response:
        behaviour, self._plan = self._plan.behaviour, self._plan.after_one()
        if behaviour is not Behaviour.ANSWER:
            return await self._misbehave(behaviour)
        try:
            images = read_instances(await request.read())
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        digits = self._model.predict(images)
        return web.json_response({"predictions": [int(digit) for digit in digits]})

    async def _fail(self, request: web.Request) -> web.Response:
        try:
            self._plan = read_plan(await request.json())
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"planned": self._plan.behaviour.value})

    async def _misbehave(self, behaviour: Behaviour) -> web.Response:
        if behaviour is Behaviour.EXIT:
            self._die()
        self._report(behaviour)
        if behaviour is Behaviour.ERROR:
            return web.json_response({"error": "this version was told to fail"}, status=500)
        if self._plan.behaviour is Behaviour.EXIT:
            asyncio.get_running_loop().call_later(MAX_WAIT_FOR_EXIT_S, self._die)
        for_ever: asyncio.Future[web.Response] = asyncio.get_running_loop().create_future()
        return await for_ever

    def _report(self, behaviour: Behaviour) -> None:
        self._failures[behaviour.value] += 1
        report(report="failure", at_ns=time.time_ns(), **self._failures)

    def _die(self) -> None:
        self._report(Behaviour.EXIT)
        os.kill(os.getpid(), signal.SIGKILL)  # as the kernel's out-of-memory killer would do it


def read_instances(body: bytes) -> NDArray[np.float64]:
    """Return the images of a predict request, (n, 64); ValueError says what is wrong with it."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body is not JSON: {error}") from error
    instances = document.get("instances") if isinstance(document, dict) else None
    if not isinstance(instances, list) or not instances:
        raise ValueError('the body must be {"instances": [[64 numbers], ...]}')
    try:
        images = np.array(instances, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"instances must be rows of {PIXELS} numbers: {error}") from error
    if images.ndim != 2 or images.shape[1] != PIXELS or not np.isfinite(images).all():
        raise ValueError(f"instances must be rows of {PIXELS} finite numbers, got {images.shape}")
    return images


async def serve(server: ModelServer, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; OSError if the port is taken."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # Requests that hang must not hold up the end.
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    report(report="listening", port=port)
    await stop.wait()
    await runner.cleanup()


def main() -> None:
    """Run the command line above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    server = ModelServer(options.name, load(options.model))
    uvloop.run(serve(server, options.host, options.port))


if __name__ == "__main__":
    main()
