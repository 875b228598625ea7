"""The memory limit of a container, as either version of control groups says it."""

import doctest
from pathlib import Path

import pytest

from sidecar import cgroup
from sidecar.cgroup import memory_limit_bytes, router_budget_bytes


@pytest.mark.parametrize(
    ("name", "text", "limit"),
    [
        ("memory.max", "268435456\n", 256 << 20),
        ("memory.max", "max\n", None),
        ("memory/memory.limit_in_bytes", "268435456\n", 256 << 20),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", None),
        ("memory.max", "", None),
        ("other", "1\n", None),
    ],
)
def test_limit_is_read_from_either_version(
    tmp_path: Path, name: str, text: str, limit: int | None
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    assert memory_limit_bytes(tmp_path) == limit


def test_routers_share_half_of_it() -> None:
    assert router_budget_bytes(400, 2) == 100
    assert router_budget_bytes(None, 2) is None
    assert doctest.testmod(cgroup).failed == 0
