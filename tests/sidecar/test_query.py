"""Numbers in a query, as they are and as they are not."""

import pytest
from aiohttp.test_utils import make_mocked_request

from sidecar.guard import Refusal
from sidecar.query import number


def test_a_number_that_is_left_out_is_the_default() -> None:
    assert number(make_mocked_request("GET", "/v1/audit"), "limit", 7, 1, 9) == 7


def test_a_number_within_its_ends_is_read() -> None:
    assert number(make_mocked_request("GET", "/v1/audit?limit=9"), "limit", 7, 1, 9) == 9


@pytest.mark.parametrize("text", ["0", "10", "x", "-1", "", "%C2%B2", "9" * 30, "1.0", "+5"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Refusal, match="from 1 to 9"):
        number(make_mocked_request("GET", f"/v1/audit?limit={text}"), "limit", 7, 1, 9)
