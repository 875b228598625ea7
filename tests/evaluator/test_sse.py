"""Streams of events read as the answers that they amount to; hostile ones are errors."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.extract import Extractor, parsed
from evaluator.sse import MAX_EVENTS, StreamError, assemble, events
from router.observation import Outcome


def stream(*data: object, end: bool = True) -> bytes:
    texts = [one if isinstance(one, str) else json.dumps(one) for one in data]
    return "".join(f"data: {one}\n\n" for one in [*texts, *["[DONE]"] * end]).encode()


def chunk(delta: dict[str, Any], index: int = 0, **more: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None} | more
    return {"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}


def test_chat_chunks_amount_to_the_chat() -> None:
    answer, text = assemble(
        stream(
            chunk({"role": "assistant", "content": ""}),
            chunk({"content": "Hel"}),
            chunk({"content": "lo"}, finish_reason="stop"),
            {"id": "c1", "choices": [], "usage": {"completion_tokens": 2}},
        ),
        parsed,
    )
    assert text == "Hello"
    assert answer["object"] == "chat.completion"
    assert answer["usage"] == {"completion_tokens": 2}
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello"},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]


def test_choices_grow_side_by_side_in_the_order_of_their_index() -> None:
    body = stream(*(chunk({"content": text}, k) for k, text in ((1, "b"), (0, "a"), (1, "B"))))
    answer, _ = assemble(body, parsed)
    assert [one["message"]["content"] for one in answer["choices"]] == ["a", "bB"]


def test_arguments_of_a_tool_call_come_together() -> None:
    def call(**function: str) -> dict[str, Any]:
        return {"tool_calls": [{"index": 0, "id": "t1", "type": "function", "function": function}]}

    body = stream(chunk(call(name="f", arguments="")), *(chunk(call(arguments=a)) for a in "{}"))
    answer, _ = assemble(body, parsed)
    (made,) = answer["choices"][0]["message"]["tool_calls"]
    assert made == {
        "index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"},
    }  # fmt: skip


def test_text_completion_comes_together() -> None:
    body = stream(*({"object": "text_completion", "choices": [{"text": t}]} for t in ("a", "b")))
    answer, text = assemble(body, parsed)
    assert (answer["choices"], text) == ([{"text": "ab"}], "ab")


def test_response_is_the_one_that_its_last_event_holds() -> None:
    whole = {"id": "r1", "output": [{"content": [{"type": "output_text", "text": "yes"}]}]}
    begun = [{"type": "response.created"}, {"type": "response.output_text.delta", "delta": "yes"}]
    done = {"type": "response.completed", "response": whole}
    named = b"event: response.created\n"
    assert assemble(named + stream(*begun, done, end=False), parsed) == (whole, "yes")
    for last in ([], [{"type": "response.failed", "response": whole}]):
        with pytest.raises(StreamError, match="completed response"):
            assemble(stream(*begun, *last, end=False), parsed)


def test_generated_text_of_triton_comes_together() -> None:
    body = stream({"model_name": "m", "text_output": "a"}, {"text_output": "b"}, end=False)
    assert assemble(body, parsed) == ({"text_output": "ab"}, "ab")


def test_any_other_stream_is_its_data_joined() -> None:
    body = b": hello\nid: 1\nretry: 5\nevent: x\ndata:one\ndata: two\n\ndata\n\ndata: three\r\n\r\n"
    assert events(body) == ["one\ntwo", "", "three"]
    assert assemble(body, parsed)[1] == "one\ntwothree"
    assert assemble(stream({"a": 1}, {"b": 2}, end=False), parsed)[0]["events"] == [
        {"a": 1},
        {"b": 2},
    ]


def test_last_line_end_may_be_forgotten_after_the_end_marker_only() -> None:
    whole = stream(chunk({"content": "a"}))
    for n in (1, 2):
        assert assemble(whole[:-n], parsed)[1] == "a"
    for n in range(3, len(whole)):
        with pytest.raises(ValueError):
            assemble(whole[:-n], parsed)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "without an event"),
        (b": only a comment\n\n", "without an event"),
        (b"data: a", "within an event"),
        (b"data: a\n", "within an event"),
        (b"data: \xff\n\n", "not UTF-8"),
        (stream(chunk({"content": "a"}), end=False), "no end marker"),
        (stream("[DONE]", "a"), "after the stream's end marker"),
        (stream(chunk({}), {"error": {"message": "no"}}), "reports an error"),
        (stream({"choices": [7]}), "a choice that is none"),
        (stream({"choices": True}, {"choices": []}), "choices that are no list"),
        (stream({"choices": {}}, {"choices": []}), "choices that are no list"),
        (stream({"choices": [{"index": "x"}]}), "a choice that is none"),
        (b"data: x\n\n" * (MAX_EVENTS + 1), f"more than {MAX_EVENTS} events"),
    ],
)
def test_stream_that_shows_no_end_or_no_sense_is_no_answer(body: bytes, why: str) -> None:
    with pytest.raises(StreamError, match=why):
        assemble(body, parsed)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_nothing_that_a_server_sends_gets_past_the_reader(body: bytes) -> None:
    for raw in (body, b"data: " + body + b"\n\n", stream(body.decode("latin-1").strip() or "x")):
        Extractor("choices[0].message.content").read(
            Outcome("v", 200, 0.1, "", raw, len(raw), "", "sse")
        )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(("choices", "index", "delta", "content", "type", "response", "x")),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(st.lists(JSON, min_size=1, max_size=6))
def test_odd_documents_are_errors_and_never_crashes(documents: list[object]) -> None:
    raw = stream(*documents)
    found = Extractor("choices").read(Outcome("v", 200, 0.1, "", raw, len(raw), "", "sse"))
    assert not found.reason.startswith("not readable")
