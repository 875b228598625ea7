"""Request ids and the keys that they are kept under."""

from hypothesis import example, given
from hypothesis import strategies as st

from evaluator.requestkey import id_of, key_of

UUID = "6fa459ea-ee8a-4ca4-894e-db77e160355e"
HEX = UUID.replace("-", "")


@given(st.text(min_size=1, max_size=200) | st.uuids().map(str) | st.uuids().map(lambda u: u.hex))
@example(HEX.upper())
@example(UUID.upper())
@example("{" + UUID + "}")
@example(HEX + "\n")
@example("0" * 31)
@example("٣" * 32)
def test_the_id_is_read_back_from_its_key(request_id: str) -> None:
    assert id_of(key_of(request_id)) == request_id


def test_usual_ids_take_half_their_length_and_differ() -> None:
    assert (len(key_of(HEX)), len(key_of(UUID)), key_of("order-7")) == (16, 17, "order-7")
    assert key_of(HEX) != key_of(UUID)
