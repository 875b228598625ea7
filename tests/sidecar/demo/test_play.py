import subprocess

from sidecar.demo.play import SIDECAR


def test_sidecar_is_started_by_the_command_that_a_user_would_type() -> None:
    shown = subprocess.run([*SIDECAR, "--help"], capture_output=True, text=True, timeout=30)
    assert shown.returncode == 0
    assert " run " in shown.stdout and "FILE" in shown.stdout
