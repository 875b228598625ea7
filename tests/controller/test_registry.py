import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller import audit, registry, store
from controller.lineage import Artifact, ModelVersion, Rows, Schemas, Signature, TrainingData
from controller.opening import open_database
from controller.registry import RegistrationRefused

A, B = "a" * 64, "b" * 64
MODEL = ModelVersion(
    name="fraud",
    version="7",
    artifact=Artifact(A, path="/models/7", files=(("weights.bin", 5, B),)),
    training=(TrainingData("train.csv", B, 10, Rows("x.rows", 2, 2, True, ("age",))),),
    code="1f2e3d",
    params={"depth": "3"},
    parent="fraud:6",
    owner="ada",
    metadata={"ticket": "42"},
    schemas=Schemas(request={"type": "object"}),
    samples=('{"x":1}',),
    signature=Signature("k1", "AAAA"),
    source="mlflow://fraud/7",
    by="ada",
    at_ns=1_800_000_000 * 10**9,
)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_database(tmp_path / "understudy.db")
    yield connection
    connection.close()


def records(state: sqlite3.Connection) -> list[dict]:
    return audit.records(state, after=0, limit=100)


def test_registration_is_read_back_whole_and_is_one_audit_record(
    state: sqlite3.Connection,
) -> None:
    assert registry.register(state, MODEL, "d1").is_new
    assert registry.find(state, "fraud:7") == MODEL
    [record] = records(state)
    assert (record["action"], record["who"], record["artifact"]) == ("register", "ada", A)
    assert record["config_digest"] == "d1" and record["evidence"]["model"]["parent"] == "fraud:6"
    assert record["because"] == "fraud:7 registered: 1 file of 5 bytes at /models/7"
    assert audit.verify(state).verified


def test_same_registration_again_changes_nothing(state: sqlite3.Connection) -> None:
    registry.register(state, MODEL, "d1")
    again = registry.register(state, replace(MODEL, by="bob", at_ns=5), "d1")
    assert not again.is_new and again.model == MODEL and len(records(state)) == 1


def test_other_digest_is_refused_with_both_named_and_on_the_record(
    state: sqlite3.Connection,
) -> None:
    registry.register(state, MODEL, "d1")
    other = replace(MODEL, artifact=Artifact(B, path="/models/7"), by="eve")
    with pytest.raises(RegistrationRefused) as caught:
        registry.register(state, other, "d1")
    assert A in str(caught.value) and B in str(caught.value)
    refusal = records(state)[-1]
    assert (refusal["action"], refusal["who"], refusal["artifact"]) == ("refuse", "eve", B)
    assert registry.find(state, "fraud:7") == MODEL


def test_other_lineage_is_refused_and_named(state: sqlite3.Connection) -> None:
    registry.register(state, MODEL, "d1")
    with pytest.raises(RegistrationRefused, match="registered with other training, params"):
        registry.register(state, replace(MODEL, params={}, training=()), "d1")


def test_rows_cannot_be_edited_or_deleted(state: sqlite3.Connection) -> None:
    registry.register(state, MODEL, "d1")
    for statement in ("UPDATE model SET digest = 'x'", "DELETE FROM model"):
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            state.execute(statement)


def test_registration_that_cannot_be_recorded_is_none(state: sqlite3.Connection) -> None:
    state.execute("PRAGMA query_only = ON")
    with pytest.raises(store.StoreError):
        registry.register(state, MODEL, "d1")
    state.execute("PRAGMA query_only = OFF")
    assert registry.find(state, "fraud:7") is None and records(state) == []


def test_versions_are_listed_in_the_order_of_registration(state: sqlite3.Connection) -> None:
    for at, (name, version) in enumerate([("b", "2"), ("a", "9"), ("b", "1")]):
        registry.register(state, replace(MODEL, name=name, version=version, at_ns=at), "d1")
    assert [str(m.ref) for m in registry.models(state)] == ["b:2", "a:9", "b:1"]
    assert [str(m.ref) for m in registry.models(state, name="b")] == ["b:2", "b:1"]
    assert registry.find(state, "c:1") is None


def test_deployments_are_remembered_when_the_file_has_forgotten_them(
    state: sqlite3.Connection,
) -> None:
    for links in ([("r", "fraud-6", "fraud:6"), ("r", "fraud-7", "fraud:7")], [("r", "f", "f:1")]):
        with store.transaction(state):
            registry.deploy(state, links)
    assert registry.deployed(state) == {
        ("r", "fraud-6"): "fraud:6",
        ("r", "fraud-7"): "fraud:7",
        ("r", "f"): "f:1",
    }


def test_state_of_an_earlier_version_gets_a_registry(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old = open_database(path)
    for kind, name in (("TRIGGER", "model_is_not_edited"), ("TRIGGER", "model_is_not_deleted")):
        old.execute(f"DROP {kind} {name}")
    old.execute("DROP TABLE model")
    old.execute("PRAGMA user_version = 2")
    old.close()
    again = open_database(path)
    assert registry.register(again, MODEL, "d1").is_new
    again.close()
