"""From a stream of events to the answer that it would have been had it come at once. Pure.

Understood are the streams of the OpenAI API (chat, completions, responses) and of Triton's
generate_stream; of any other, the data are joined. A stream that does not show its own end is no
answer: half a text may equal another half by chance.

Sources: HTML Living Standard, section 9.2 (event stream format); OpenAI API reference, streaming;
Triton's generate extension.
"""

from collections.abc import Callable
from typing import Any

MAX_EVENTS = 8192
"""In one answer. Chosen: a longer one is over the default capture many times."""
END = "[DONE]"
"""The data of the last event of an OpenAI stream."""

# Said again or said once, but never in pieces: the rest of the texts in a delta are pieces.
_WHOLE = frozenset(
    {"role", "type", "id", "index", "name", "finish_reason", "object", "model", "created"}
)


class StreamError(ValueError):
    """The stream cannot stand for an answer; the message says why."""


def assemble(body: bytes, parse: Callable[[bytes], Any]) -> tuple[Any, str]:
    """Return (the answer as JSON, its text); StreamError, or what ``parse`` raises, if it is none.

    ``parse`` reads the JSON of one event. The text is what stands for a stream that is compared as
    a whole, where ids, times and the cut into events differ from one variant to the other.
    """
    data = events(body)
    is_ended = bool(data) and data[-1] == END
    said = data[:-1] if is_ended else data
    if END in said:
        raise StreamError("events after the stream's end marker")
    if not said:
        raise StreamError("a stream without an event")
    documents = _documents(said, parse)
    if documents is not None:
        known = _of_openai(documents, is_ended) or _of_triton(documents)
        if known is not None:
            return known
    text = "".join(said)
    return {"text": text, "events": said if documents is None else documents}, text


def events(body: bytes) -> list[str]:
    """Return the data of each event that has some; StreamError if the last one is not whole."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StreamError("a stream that is not UTF-8") from error
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    found: list[str] = []
    data: list[str] = []
    for line in lines[:-1]:
        if line:
            name, _, value = line.partition(":")
            if name == "data":
                data.append(value.removeprefix(" "))
        elif data:
            found.append("\n".join(data))
            data = []
            if len(found) > MAX_EVENTS:
                raise StreamError(f"more than {MAX_EVENTS} events")
    if lines[-1] in ("data: " + END, "data:" + END):  # the last line end is often forgotten
        data.append(END)
    elif lines[-1]:
        raise StreamError("the stream ends within an event")
    if data == [END]:
        found.append(END)
    elif data:
        raise StreamError("the stream ends within an event")
    return found


def _documents(said: list[str], parse: Callable[[bytes], Any]) -> list[dict[str, Any]] | None:
    """Return the events as JSON objects; None if one of them does not begin like one."""
    if not all(one.startswith("{") for one in said):
        return None
    documents = [parse(one.encode()) for one in said]
    return [one for one in documents if isinstance(one, dict)]


def _of_openai(documents: list[dict[str, Any]], is_ended: bool) -> tuple[Any, str] | None:
    if any("error" in one and "choices" not in one for one in documents):
        raise StreamError("the stream reports an error")
    if any(str(one.get("type", "")).startswith("response.") for one in documents):
        return _response(documents[-1])
    if not any(isinstance(one.get("choices"), list) for one in documents):
        return None
    if not is_ended:
        raise StreamError("the stream has no end marker")
    answer = _merged(documents)
    return answer, "".join(_said(choice) for choice in answer["choices"])


def _response(last: dict[str, Any]) -> tuple[Any, str]:
    """Return the response that the last event of ``/v1/responses`` holds as a whole."""
    response = last.get("response")
    if last.get("type") != "response.completed" or not isinstance(response, dict):
        raise StreamError("the stream does not end with a completed response")
    outputs = response.get("output")
    parts = [
        part
        for output in (outputs if isinstance(outputs, list) else [])
        if isinstance(output, dict) and isinstance(output.get("content"), list)
        for part in output["content"]
    ]
    return response, "".join(_text_of(part, "text") for part in parts)


def _merged(documents: list[dict[str, Any]]) -> dict[str, Any]:
    """Return chunks of a completion as the completion."""
    answer: dict[str, Any] = {}
    choices: dict[Any, dict[str, Any]] = {}
    for document in documents:
        for key, value in document.items():
            if key != "choices" and value is not None:
                answer[key] = value
        deltas = document.get("choices")
        if not isinstance(deltas, list | None):
            raise StreamError("choices that are no list")
        for delta in deltas or []:
            if not isinstance(delta, dict) or not isinstance(delta.get("index", 0), int):
                raise StreamError("a choice that is none")
            choice = choices.setdefault(delta.get("index", 0), {})
            _add(choice, {("message" if key == "delta" else key): delta[key] for key in delta})
    if isinstance(answer.get("object"), str):
        answer["object"] = answer["object"].removesuffix(".chunk")
    answer["choices"] = [choices[index] for index in sorted(choices)]
    return answer


def _add(whole: dict[str, Any], delta: dict[str, Any]) -> None:
    """Add what a delta says: texts grow, objects and numbered lists are added to part by part."""
    for key, value in delta.items():
        before = whole.get(key)
        if value is None:
            whole.setdefault(key, None)
        elif isinstance(value, dict):
            if not isinstance(before, dict):
                before = whole[key] = {}
            _add(before, value)
        elif isinstance(value, list):
            if not isinstance(before, list):
                before = whole[key] = []
            _add_parts(before, value)
        elif isinstance(value, str) and isinstance(before, str) and key not in _WHOLE:
            whole[key] = before + value
        else:
            whole[key] = value


def _add_parts(whole: list[Any], parts: list[Any]) -> None:
    for part in parts:
        index = part.get("index") if isinstance(part, dict) else None
        same = [one for one in whole if isinstance(one, dict) and one.get("index") == index]
        if index is None or not same:
            whole.append(part)
        else:
            _add(same[0], part)


def _said(choice: dict[str, Any]) -> str:
    message = choice.get("message")
    return _text_of(message, "content") if isinstance(message, dict) else _text_of(choice, "text")


def _text_of(holder: Any, key: str) -> str:
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, str) else ""


def _of_triton(documents: list[dict[str, Any]]) -> tuple[Any, str] | None:
    if not all(isinstance(one.get("text_output"), str) for one in documents):
        return None
    text = "".join(one["text_output"] for one in documents)
    return documents[-1] | {"text_output": text}, text
