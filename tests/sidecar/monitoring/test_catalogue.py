import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidecar.metrics import Readout, render
from sidecar.monitoring.catalogue import EVERYTHING, catalogue
from tests.sidecar.double import STATUS
from tests.sidecar.test_metrics import counted

SIDECAR = Path(__file__).parents[3] / "sidecar"


def test_every_sample_of_a_scrape_is_in_the_catalogue_with_its_labels() -> None:
    known = {name: one for one in catalogue() for name in one.samples}
    text = render(Readout(counted(), STATUS | EVERYTHING, disk=(1, 2), verified=(True, 1.0)))
    n_samples = 0
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            n_samples += 1
            assert set(sample.labels) - {"le"} == set(known[sample.name].labels), sample
            assert known[sample.name].about == family.documentation
    assert n_samples > 100


@pytest.mark.parametrize("name", ["metrics", "routermetrics"])
def test_every_name_in_the_source_is_in_the_catalogue(name: str) -> None:
    """A family that is there only sometimes needs its cause in EVERYTHING."""
    spoken = set(
        re.findall(r'"(understudy_[a-z0-9_]+[a-z0-9])"', (SIDECAR / f"{name}.py").read_text())
    )
    known = {one.name for one in catalogue()}
    bare = {known_name.removesuffix("_total").removesuffix("_info") for known_name in known}
    assert spoken and spoken <= known | bare


def test_no_family_is_left_out_of_the_catalogue() -> None:
    names = {one.name for one in catalogue()}
    assert len(names) == len(catalogue()) > 50
    for name in (
        *("understudy_requests_total", "understudy_request_duration_seconds"),
        *("understudy_config_info", "understudy_store_bytes", "understudy_recording_dropped_total"),
        *("understudy_labels_from_connected", "understudy_break_glass_active"),
        *("understudy_disk_free_bytes", "understudy_audit_verified"),
    ):
        assert name in names
