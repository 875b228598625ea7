from controller.gates.functionalspec import FunctionalSpec


def test_nothing_is_asked_beyond_samples_unless_it_is_declared():
    spec = FunctionalSpec()
    assert spec.batch == () and not spec.bad_input and not spec.deterministic
    assert (spec.request_schema, spec.response_schema, spec.latency) == (None, None, None)
