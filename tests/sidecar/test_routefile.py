import hashlib
import os
import shutil
from pathlib import Path

import pytest

from sidecar import yamltree
from sidecar.problem import ConfigError
from sidecar.routefile import load_routefile, parse_routefile
from tests.sidecar.routing_texts import (
    SHIPPED,
    WHOLE,
    meaning,
    only_problem,
    problems_of_text,
    with_part,
)

SAMPLES = b'{"instances": [[0.0]]}\n{"instances": [[1.0]]}\n'


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_file_loads_with_and_without_its_end_mark(path: Path) -> None:
    raw = path.read_bytes()
    assert parse_routefile(raw, path).is_marked
    unmarked = parse_routefile(raw.removesuffix(b"...\n"), path)
    assert not unmarked.is_marked
    assert meaning(unmarked) == meaning(parse_routefile(raw, path))


def test_end_marker_inside_a_text_does_not_end_the_file() -> None:
    cut = WHOLE.replace("name: fraud\n", 'name: "\n...')
    assert problems_of_text(cut[: cut.index("...") + 3])
    assert problems_of_text(with_part("name: fraud\n", "name: |\n      ...\n"))


def test_bytes_are_kept_and_digest_is_their_sha256() -> None:
    raw = WHOLE.encode()
    loaded = parse_routefile(raw, Path("r.yaml"))
    assert loaded.raw == raw
    assert loaded.digest == hashlib.sha256(raw).hexdigest() == loaded.intent.digest
    assert parse_routefile(raw + b"# x\n", Path("r.yaml")).digest != loaded.digest


def test_settings_are_ready_to_use(tmp_path: Path) -> None:
    text = with_part("listen: 127.0.0.1:8080", "listen: '[::]:80'\nworkers: 3\nlog: {level: debug}")
    settings = parse_routefile(text.encode(), tmp_path / "r.yaml").settings
    assert (settings.listen_host, settings.listen_port) == ("::", 80)
    assert (settings.admin_host, settings.admin_port) == ("127.0.0.1", 8081)
    assert (settings.workers, settings.log_level) == (3, "debug")
    assert settings.state == tmp_path / "understudy-state"


@pytest.mark.parametrize(
    ("state", "expected"), [("/var/lib/x", "/var/lib/x"), ("../y", "/a/y"), ("z", "/a/b/z")]
)
def test_state_is_relative_to_the_file(state: str, expected: str) -> None:
    text = f"state: {state}\n{WHOLE}"
    assert str(parse_routefile(text.encode(), Path("/a/b/r.yaml")).settings.state) == expected


def test_mounted_config_map_keeps_its_state_folder_across_updates(tmp_path: Path) -> None:
    """The kubelet's files are links into a folder that is replaced at each update."""
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "routing.yaml").write_text(WHOLE)
    (tmp_path / "routing.yaml").symlink_to("..2026/routing.yaml")
    assert load_routefile(tmp_path / "routing.yaml").settings.state == tmp_path / "understudy-state"


def test_samples_are_read_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_bytes(SAMPLES)
    path = tmp_path / "r.yaml"
    path.write_text(with_part("functional: {}", "functional: {samples: s.jsonl}"))
    [route] = load_routefile(path).intent.routes
    assert route.stages[0].samples == tuple(SAMPLES.splitlines())


def test_bad_samples_are_refused_with_their_own_line(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_bytes(SAMPLES + b'{"instances": [\n')
    text = with_part("functional: {}", "functional: {samples: s.jsonl}")
    problem = only_problem(text, tmp_path)
    assert problem.path == "routes[0].rollout.stages[0].functional.samples"
    assert f"{tmp_path / 's.jsonl'}:3:" in problem.found
    (tmp_path / "s.jsonl").unlink()
    assert "No such file" in only_problem(text, tmp_path).found


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: file: found an unreadable file"):
        load_routefile(tmp_path / "nowhere.yaml")


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="s a directory"):
        load_routefile(tmp_path)


def test_endless_file_is_read_only_up_to_the_cap() -> None:
    with pytest.raises(ConfigError, match="at most 1MiB"):
        load_routefile(Path("/dev/zero"))


def test_problems_come_in_file_order_and_once_a_place() -> None:
    text = with_part("alpha: 5%", "alpha: .nan").replace("watch: 24h", "watch: ~")
    text = text.replace("name: fraud\n", "name: ~\n")
    problems = problems_of_text(text)
    assert problems == sorted(problems)
    assert [problem.found for problem in problems] == ["nothing", ".nan", "nothing"]


def test_error_text_names_the_file_as_it_was_given(tmp_path: Path) -> None:
    shutil.copy(SHIPPED[0], tmp_path / "r.yaml")
    os.truncate(tmp_path / "r.yaml", 40)
    with pytest.raises(ConfigError) as caught:
        load_routefile(tmp_path / "r.yaml")
    assert all(line.startswith(f"{tmp_path}/r.yaml:") for line in str(caught.value).splitlines())


def test_largest_honest_file_fits_the_caps() -> None:
    route = WHOLE[WHOLE.index("  - name: fraud") : WHOLE.index("...\n")]
    routes = "".join(
        route.replace("name: fraud\n", f"name: fraud{n}\n").replace("/fraud:", f"/fraud{n}:")
        for n in range(128)
    )
    text = WHOLE[: WHOLE.index("  - name: fraud")] + routes + "...\n"
    assert len(text) < yamltree.MAX_BYTES
    assert len(parse_routefile(text.encode(), Path("r.yaml")).intent.routes) == 128


def test_thousand_plain_routes_fit_the_caps() -> None:
    route = (
        "  - {{name: r{0}, match: {{path: /v1/models/r{0}/*}}, "
        'champion: {{name: v1, url: "http://127.0.0.1:9001"}}}}\n'
    )
    text = "routes:\n" + "".join(route.format(n) for n in range(1000)) + "...\n"
    assert len(parse_routefile(text.encode(), Path("r.yaml")).intent.routes) == 1000
