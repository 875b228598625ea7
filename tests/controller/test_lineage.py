from dataclasses import replace

import pytest

from controller.lineage import (
    MAX_GENERATIONS,
    Artifact,
    ModelVersion,
    NotAReference,
    ancestors,
    differences,
    reference,
)

DIGEST = "0" * 64


def model(version: str, parent: str | None = None) -> ModelVersion:
    artifact = Artifact(DIGEST, path="/models/fraud")
    return ModelVersion(name="fraud", version=version, artifact=artifact, parent=parent)


@pytest.mark.parametrize("text", ["fraud:7", "a.b-c_d:2024-01-01", "0:0"])
def test_reference_is_written_as_it_is_read(text: str) -> None:
    assert str(reference(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "fraud", "fraud:", ":7", "fraud:7:8", "fr aud:7", "fraud:é", "-a:1", "a" * 64 + ":1"],
)
def test_anything_else_is_no_reference(text: str) -> None:
    with pytest.raises(NotAReference, match="NAME:VERSION"):
        reference(text)


def test_artifact_is_at_a_path_or_at_a_uri_and_has_a_digest() -> None:
    assert Artifact(DIGEST, uri="s3://models/7").where == "s3://models/7"
    with pytest.raises(ValueError, match="a path or a URI"):
        Artifact(DIGEST)
    with pytest.raises(ValueError, match="a path or a URI"):
        Artifact(DIGEST, path="/a", uri="s3://a")
    with pytest.raises(ValueError, match="SHA-256 in hex"):
        Artifact("ABC", path="/a")


def test_size_is_that_of_all_files_or_not_known() -> None:
    assert Artifact(DIGEST, path="/a", files=(("a", 3, DIGEST), ("b", 4, DIGEST))).size_bytes == 7
    assert Artifact(DIGEST, uri="s3://a").size_bytes is None


def test_differences_name_what_was_declared_otherwise_and_not_who_or_when() -> None:
    one = model("7")
    assert differences(one, replace(one, by="ada", at_ns=5)) == ()
    assert differences(one, replace(one, owner="ada", params={"depth": "3"})) == ("params", "owner")


def test_line_goes_from_child_to_parent_and_says_where_it_is_lost() -> None:
    known = {f"fraud:{n}": model(str(n), f"fraud:{n - 1}") for n in (5, 6, 7)}
    line = list(ancestors(known["fraud:7"], known.get))
    assert [(one.ref, one.generation) for one in line] == [
        *(("fraud:7", 0), ("fraud:6", 1), ("fraud:5", 2), ("fraud:4", 3))
    ]
    assert line[-1].model is None and line[0].model == known["fraud:7"]


def test_circle_and_endless_line_end() -> None:
    circle = {"fraud:1": model("1", "fraud:2"), "fraud:2": model("2", "fraud:1")}
    assert len(list(ancestors(circle["fraud:1"], circle.get))) == 2
    endless = list(ancestors(model("1", "fraud:2"), lambda ref: model(ref[6:], ref + "0")))
    assert len(endless) <= MAX_GENERATIONS
