"""Plays one scenario from start to end, and sums it up.

It holds no logic of the sidecar's: all that it knows it asks the admin port, as anybody could.
"""

from sidecar.demo.admin import Admin
from sidecar.demo.children import Children
from sidecar.demo.company import Company, start_company
from sidecar.demo.labeller import RESULTS
from sidecar.demo.play import Play
from sidecar.demo.scenario import Json, Outcome, Scenario, Summary, decision_in
from sidecar.demo.show import Show
from sidecar.demo.watch import Watch


async def perform(play: Play, show: Show) -> Summary:
    """Play one scenario; whatever happens, nothing that was started is left running.

    It may be cancelled once, then it closes everything. Raises ChildDied when a process ends that
    should not, TimeoutError when one does not start, AdminError when the end cannot be asked for.
    """
    children = Children()
    admin = Admin(play.routing.admin_url)
    try:
        return await _perform(play, show, children, admin)
    finally:
        show.end()
        await children.close()
        await admin.close()


async def _perform(play: Play, show: Show, children: Children, admin: Admin) -> Summary:
    company = await start_company(play, children, admin)
    watch = Watch(play, company, admin, show)
    outcome = await watch.until_end()
    if outcome is not Outcome.HELD:
        await watch.aftermath()
    # The users go first: no request may fail because the demo ends.
    await children.stop(company.client, within_s=15.0)
    await children.stop(company.labeller)
    return await _sum_up(play, company, admin, watch, outcome)


async def _sum_up(
    play: Play, company: Company, admin: Admin, watch: Watch, outcome: Outcome
) -> Summary:
    route = await admin.route(play.routing.route) or watch.route
    decisions = await admin.decisions()
    is_crash = play.scenario is Scenario.CRASH
    return Summary(
        scenario=play.scenario,
        outcome=outcome,
        champion_before=play.routing.champion.name,
        champion_after=str(route["champion"]),
        requests=company.client.number("traffic", "requests"),
        failed_requests=company.client.number("traffic", "failed"),
        labels=_labels(company, route),
        seconds_to_decision=watch.decided_s,
        decision=decision_in(decisions, play.routing.challenger.name),
        gates=decisions[::-1] if play.scenario is Scenario.GATES else (),
        audit_verified=await admin.is_audit_verified(),
        seconds_to_rollback=watch.seconds_to_rollback() if is_crash else None,
        failures=watch.failures() if is_crash else {},
        last_failure=str(company.client.reports["traffic"]["last_failure"]),
    )


def _labels(company: Company, route: Json) -> dict[str, int]:
    """Return the labels by state: what the sidecar answered to each, and how many it waits for.

    A label for a request that nobody made belongs to no route, so the route's state has it not.
    """
    answered = {result: company.labeller.number("labels", result) for result in RESULTS}
    return {**answered, "waiting": int(route["labels"].get("waiting", 0))}
