"""Starts the five processes of a demo, in the order in which they need each other."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from sidecar.demo.admin import Admin
from sidecar.demo.children import Child, Children, or_death
from sidecar.demo.play import Play
from sidecar.demo.registration import register
from sidecar.demo.routing_copy import Server

READY_WITHIN_S = 20.0
"""How long a process may take to start, on a busy machine."""


@dataclass(frozen=True, slots=True)
class Company:
    """The processes of a demo, all running."""

    champion: Child
    challenger: Child
    sidecar: Child
    labeller: Child
    client: Child


async def start_company(play: Play, children: Children, admin: Admin) -> Company:
    """Start everything; returns once the first requests are answered.

    Raises ChildDied when a process ends at once, TimeoutError when one does not get ready.
    """
    routing = play.routing
    champion = await _start_model(children, routing.champion, play.cast.champion.path)
    challenger = await _start_model(children, routing.challenger, play.cast.challenger.path)
    for server in (champion, challenger):
        await server.reported("listening", READY_WITHIN_S)
    sidecar = await children.start("the sidecar", [*play.sidecar, str(routing.path)])
    await or_death(admin.wait_ready(READY_WITHIN_S), [sidecar, champion])
    if play.cast.paperwork is not None:
        await register(play, play.cast.paperwork, children)
    labeller, client = await _start_traffic(play, children)
    await client.reported("traffic", READY_WITHIN_S)
    return Company(champion, challenger, sidecar, labeller, client)


async def _start_model(children: Children, server: Server, model: Path) -> Child:
    options = ["--model", str(model), "--name", server.name]
    where = ["--host", server.address.host, "--port", str(server.address.port)]
    command = [*_module("model_server"), *options, *where]
    return await children.start(f"the model server of {server.name}", command)


async def _start_traffic(play: Play, children: Children) -> tuple[Child, Child]:
    """Start the labeller and the client, with a pipe from the client to the labeller."""
    labels_url = f"{play.routing.admin_url}/v1/labels"
    options = ["--traffic", str(play.cast.traffic), "--rate", str(play.rate)]
    paperwork = play.cast.paperwork
    secrets = {} if paperwork is None else {"UNDERSTUDY_LABEL_TOKEN": paperwork.tokens["team"]}
    rows_out, rows_in = os.pipe()
    try:
        labeller = await children.start(
            "the labeller",
            [*_module("labeller"), "--url", labels_url],
            stdin=rows_out,
            secrets=secrets,
        )
        client = await children.start(
            "the client",
            [*_module("client"), "--url", play.routing.predict_url, *options],
            stdout=rows_in,
        )
    finally:  # theirs now: the labeller must see the end when the client ends
        os.close(rows_out)
        os.close(rows_in)
    return labeller, client


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", f"sidecar.demo.{name}"]
