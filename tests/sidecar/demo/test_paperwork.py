import hashlib
import json
from pathlib import Path

import pytest

from sidecar.demo import models
from sidecar.demo.paperwork import GOLDEN_ROWS, Paperwork, write_paperwork


@pytest.fixture(scope="module")
def paperwork(tmp_path_factory: pytest.TempPathFactory) -> Paperwork:
    return write_paperwork(*models.split(), tmp_path_factory.mktemp("paperwork"))


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_golden_set_has_both_groups_and_all_digits(paperwork: Paperwork) -> None:
    golden = rows(paperwork.golden)
    assert len(golden) == GOLDEN_ROWS
    assert {row["label"] for row in golden} == set(range(10))
    thin = sum(row["ink"] == "thin" for row in golden)
    assert 0.3 < thin / GOLDEN_ROWS < 0.7


def test_no_golden_row_is_among_the_training_data(paperwork: Paperwork) -> None:
    seen = {json.dumps(row["request"]) for path in paperwork.training for row in rows(path)}
    assert not seen & {json.dumps(row["request"]) for row in rows(paperwork.golden)}


def test_the_token_file_holds_digests_only(paperwork: Paperwork) -> None:
    text = paperwork.golden.with_name("tokens.yaml").read_text()
    kept = {row["name"]: row["sha256"] for row in json.loads(text)["tokens"]}
    for name, token in paperwork.tokens.items():
        assert token not in text
        assert kept[name] == hashlib.sha256(token.encode()).hexdigest()
