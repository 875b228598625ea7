import os
import subprocess
import sys

import pytest

from controller.failpoint import EXIT_CODE, VARIABLE

PROGRAM = """
from controller.failpoint import pass_by
for place in ("a", "b", "a", "b"):
    print(place, flush=True)
    pass_by(place)
"""


@pytest.mark.parametrize(
    ("setting", "passed", "code"),
    [
        (None, "abab", 0),
        ("", "abab", 0),
        ("c", "abab", 0),
        ("a", "a", EXIT_CODE),
        ("b@1", "ab", EXIT_CODE),
        ("b@2", "abab", EXIT_CODE),
        ("b@3", "abab", 0),
    ],
)
def test_the_process_ends_at_the_named_passage_and_nowhere_else(setting, passed, code):
    environment = {k: v for k, v in os.environ.items() if k != VARIABLE}
    if setting is not None:
        environment[VARIABLE] = setting
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.split() == list(passed)
    assert ended.returncode == code
