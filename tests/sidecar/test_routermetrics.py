"""Every name that a router counts under is a family. How they render: see test_metrics."""

import re
from pathlib import Path

from sidecar import routermetrics
from sidecar.routermetrics import families

ROOT = Path(__file__).parents[2]


def test_every_name_that_a_router_counts_under_is_known() -> None:
    known = {*routermetrics.COUNTERS, *routermetrics.LEVELS, *routermetrics.HISTOGRAMS}
    spoken: set[str] = set()
    for path in (ROOT / "router").glob("*.py"):
        spoken |= set(re.findall(r"understudy_[a-z_]+[a-z]", path.read_text()))
    assert spoken and spoken <= known


def test_a_family_without_a_sample_keeps_its_name_and_labels() -> None:
    names = {family.name for family in families({}, set())}
    assert "understudy_requests" in names and "understudy_mirror_requests" in names
    assert all(not family.samples for family in families({}, set()))


def test_what_belongs_to_no_route_that_is_served_is_left_out() -> None:
    counts = {"understudy_ejections_total|route=gone|variant=v": 1.0}
    assert not any(family.samples for family in families(counts, {"digits"}))
    assert any(family.samples for family in families(counts, {"gone"}))
