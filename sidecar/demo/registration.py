"""Registers the demo's two models with `understudy register`, as a team would in its pipeline."""

import sys

from sidecar.demo.children import Child, ChildDied, Children
from sidecar.demo.paperwork import Paperwork
from sidecar.demo.play import Play

COMMAND = (sys.executable, "-c", "from sidecar.cli import main; main()", "register")


async def register(play: Play, paperwork: Paperwork, children: Children) -> None:
    """Register champion and challenger, one after the other: the one is the other's parent.

    Raises ChildDied, with what the command said, when one is refused.
    """
    champion, challenger = play.cast.champion.path, play.cast.challenger.path
    of_the_first, of_the_second = paperwork.training
    for words in (
        ["digits:1", "--artifact", str(champion), "--training-data", str(of_the_first)],
        ["digits:2", "--artifact", str(challenger), "--training-data", str(of_the_second)],
    ):
        options = ["--owner", "digits-team", "--param", "gamma=0.001", "--param", "C=5.0"]
        options += ["--parent", "digits:1"] if words[0] != "digits:1" else []
        child = await children.start(
            f"understudy register {words[0]}",
            [*COMMAND, *words, *options, "--admin", play.routing.admin_url],
            secrets={"UNDERSTUDY_TOKEN": paperwork.tokens["team"]},
        )
        await _done(child)


async def _done(child: Child) -> None:
    if await child.process.wait() != 0:
        raise ChildDied(child)
