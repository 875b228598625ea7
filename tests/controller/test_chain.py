"""The chain by itself: what it finds, and what a noted head looks like. promises.md F49."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller import audit
from controller.chain import (
    GENESIS,
    HeadError,
    Noted,
    Row,
    canonical,
    hash_of,
    read_head,
    rows_of,
    told,
    verify,
)
from tests.controller.test_audit import ENTRY

H = "ab" * 32


def chain_of(n: int, story: str = "reason") -> list[Row]:
    """Return ``n`` records as the store has them."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(audit.SCHEMA)
    for k in range(n):
        audit.append(connection, replace(ENTRY, because=f"{story} {k}"))
    rows = list(connection.execute("SELECT sequence, body, hash FROM audit ORDER BY sequence"))
    connection.close()
    return rows


WHOLE = chain_of(12)
NOTED = Noted(WHOLE[-1][2], 12)


def edited(rows: list[Row]) -> list[Row]:
    sequence, body, digest = rows[6]
    return [*rows[:6], (sequence, body.replace("reason", "excuse"), digest), *rows[7:]]


def edited_with_a_fresh_hash(rows: list[Row]) -> list[Row]:
    sequence, body, _ = rows[6]
    forged = body.replace("reason", "excuse")
    return [*rows[:6], (sequence, forged, hash_of(forged)), *rows[7:]]


def deleted(rows: list[Row]) -> list[Row]:
    return [*rows[:6], *rows[7:]]


def swapped(rows: list[Row]) -> list[Row]:
    """Two records in each other's places, under each other's numbers."""
    six, seven = rows[6], rows[7]
    return [*rows[:6], (six[0], *seven[1:]), (seven[0], *six[1:]), *rows[8:]]


def cut(rows: list[Row]) -> list[Row]:
    return rows[:9]


def rewritten(_: list[Row]) -> list[Row]:
    return chain_of(14, "another story")


TAMPERED: dict[str, tuple[Callable[[list[Row]], list[Row]], bool]] = {
    "an edit": (edited, True),
    "an edit with a fresh hash": (edited_with_a_fresh_hash, True),
    "a deletion": (deleted, True),
    "a swap": (swapped, True),
    "a cut tail": (cut, False),
    "a chain written anew": (rewritten, False),
}
"""How, and whether the chain alone shows it."""


@pytest.mark.parametrize("how", TAMPERED)
def test_each_way_to_tamper_is_found_with_a_noted_head_and_three_without(how: str) -> None:
    tamper, is_found_alone = TAMPERED[how]
    rows = tamper(WHOLE)
    assert verify(rows).verified is not is_found_alone
    assert not verify(rows, NOTED).verified
    assert not verify(rows, Noted(NOTED.hash)).verified


@pytest.mark.parametrize("how", TAMPERED)
def test_an_export_shows_it_as_the_store_does(how: str) -> None:
    rows = TAMPERED[how][0](WHOLE)
    lines = [canonical(json.loads(body) | {"hash": digest}) for _, body, digest in rows]
    if how == "a swap":  # an export has no numbers but those in the records
        lines = [lines[k] for k in (*range(6), 6, 7, *range(8, 12))]
    assert verify(rows_of(lines)).verified == verify(rows).verified
    assert not verify(rows_of(lines), NOTED).verified


def test_a_whole_export_holds_however_its_json_is_written() -> None:
    records = [json.loads(body) | {"hash": digest} for _, body, digest in WHOLE]
    lines = [canonical(record) + "\n" for record in records]
    assert list(rows_of(lines)) == WHOLE
    for shape in ({}, {"ensure_ascii": False, "indent": None, "separators": (" , ", " : ")}):
        lines = [json.dumps(record, **shape) for record in records]  # type: ignore[arg-type] # mixed
        assert verify(rows_of(lines), NOTED).records == 12


@settings(deadline=None)
@given(st.data())
def test_no_changed_byte_of_an_export_goes_unnoticed(data: st.DataObject) -> None:
    lines = [canonical(json.loads(body) | {"hash": digest}) for _, body, digest in WHOLE]
    which = data.draw(st.integers(0, len(lines) - 1))
    at = data.draw(st.integers(0, len(lines[which]) - 1))
    put = data.draw(st.characters(codec="utf-8", exclude_characters=lines[which][at]))
    changed = lines[which][:at] + put + lines[which][at + 1 :]
    lines[which] = changed
    found = verify(rows_of(lines))
    assert not found.verified and found.records == which


@pytest.mark.parametrize("line", ["", "[]", "{", '"x"', '{"hash": 1}', '{"sequence": 1}'])
def test_a_line_that_is_no_record_breaks_the_chain_there(line: str) -> None:
    found = verify(rows_of([line]))
    assert (found.verified, found.records) == (False, 0)
    assert found.because.startswith("record 1 ")


def test_half_a_surrogate_pair_is_a_broken_record_and_no_crash() -> None:
    assert not verify(rows_of(['{"hash": "x", "sequence": 1, "who": "\\ud800"}'])).verified


def test_the_empty_chain_holds_and_any_head_but_its_own_is_missing_in_it() -> None:
    assert verify([]).verified and verify([], Noted(GENESIS, 0)).verified
    assert not verify([], Noted(H)).verified and not verify([], Noted(H, 1)).verified


@pytest.mark.parametrize(
    ("text", "noted"),
    [
        (H, Noted(H)),
        (f" {H.upper()}\n\n", Noted(H)),
        (f"7:{H}", Noted(H, 7)),
        (f'{{"sequence": 7, "hash": "{H}", "event": "audit"}}', Noted(H, 7)),
        (f'{{"data": {{"sequence": 7, "hash": "{H}"}}, "type": "x"}}', Noted(H, 7)),
        (f'{{"hash": "{GENESIS}"}}\n{{"sequence": 2, "hash": "{H}"}}\n', Noted(H, 2)),
    ],
)
def test_a_head_is_read_from_wherever_it_was_written(text: str, noted: Noted) -> None:
    assert read_head(text) == noted


@pytest.mark.parametrize("text", ["", "h3", H[:-1], f"x:{H}", "{}", '{"hash": "h"}', f"-1:{H}"])
def test_what_names_no_head_is_refused(text: str) -> None:
    with pytest.raises(HeadError):
        read_head(text)


def test_what_is_told_of_a_check_is_itself_a_head_to_note() -> None:
    answer = told(verify(WHOLE))
    assert answer["verified"] is True and answer["records"] == 12
    assert read_head(json.dumps(answer)) == NOTED


def test_memory_holds_one_record_at_a_time() -> None:
    seen: list[int] = []

    def rows() -> Iterator[Row]:
        for row in WHOLE:
            seen.append(row[0])
            yield row
        assert seen == list(range(1, 13))

    assert verify(rows()).verified
