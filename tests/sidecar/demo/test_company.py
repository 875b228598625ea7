import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidecar.demo.admin import Admin
from sidecar.demo.cast import Cast
from sidecar.demo.children import ChildDied, Children
from sidecar.demo.company import start_company
from sidecar.demo.play import Play
from sidecar.demo.scenario import Scenario
from tests.sidecar.demo.conftest import play_of


@pytest.fixture
async def children() -> AsyncIterator[Children]:
    children = Children()
    yield children
    await children.close()


async def test_company_runs_and_labels_what_the_client_asked(
    children: Children, cast: Cast, tmp_path: Path
) -> None:
    play = play_of(Scenario.BETTER, "stuck", cast, tmp_path)
    admin = Admin(play.routing.admin_url)
    company = await start_company(play, children, admin)
    started = [company.champion, company.challenger, company.sidecar, company.client]
    assert len({child.process.pid for child in [*started, company.labeller]}) == 5
    report = await company.labeller.reported("labels", 10.0)
    assert report["posted"]
    await children.stop(company.client)
    assert company.client.number("traffic", "requests") > 0
    assert company.client.number("traffic", "failed") == 0
    # The pipe between the two is theirs alone: without the client the labeller ends by itself.
    assert await asyncio.wait_for(company.labeller.process.wait(), 5.0) == 0
    await admin.close()


async def test_sidecar_that_ends_at_once_is_said_with_its_last_words(
    children: Children, cast: Cast, tmp_path: Path
) -> None:
    play = play_of(Scenario.BETTER, "better", cast, tmp_path)
    refused = Play(
        scenario=play.scenario,
        cast=cast,
        routing=play.routing,
        deadline_s=1.0,
        sidecar=("python3", "-c", "raise SystemExit('line 3, column 7: unknown key')"),
    )
    admin = Admin(play.routing.admin_url)
    with pytest.raises(ChildDied, match="line 3, column 7"):
        await start_company(refused, children, admin)
    await admin.close()
