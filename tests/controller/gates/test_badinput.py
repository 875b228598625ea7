import json

import pytest

from controller.gates.badinput import bad_inputs, fault_of
from sidecar.protocol import PROTOCOLS


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_has_bytes_that_are_no_request(protocol):
    named = {bad.name: bad.body for bad in bad_inputs(protocol)}
    assert {"no body", "no JSON", "not UTF-8", "nested too deep"} <= named.keys()
    for name in ("no body", "no JSON", "not UTF-8"):
        with pytest.raises(ValueError, match=r".*"):
            json.loads(named[name].decode())


def test_where_the_protocol_has_a_form_its_absence_is_bad_too():
    assert {bad.body for bad in bad_inputs("kserve-v1")} >= {b"{}", b'{"instances": "none"}'}
    assert len(bad_inputs("json")) == 4


@pytest.mark.parametrize(("status", "said"), [(400, ""), (422, ""), (200, "as if"), (500, "crash")])
def test_only_4xx_is_an_answer_to_bad_input(status, said):
    assert (said in fault_of(status)) and bool(fault_of(status)) is bool(said)
