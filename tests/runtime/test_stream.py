"""stream(): what is shown only grows, and the end is what generate() returns."""

import json
from typing import Any

import pytest

from tests.runtime.scripted_model import ScriptedModel
from tests.runtime.tiny_models import tiny_llama, tiny_tokenizer
from tokamask.errors import BudgetTooSmall, GenerationInterrupted, InvalidLogits
from tokamask.runtime.generate import generate, stream
from tokamask.runtime.results import FinishReason
from tokamask.runtime.sampling import Sampling

GREEDY = Sampling(temperature=0)
DOCUMENT = '{"title": "Moby", "year": 1851, "tags": ["a", "b"]}'
SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "year": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["title", "year", "tags"],
    "additionalProperties": False,
}


def test_parts_grow_to_the_document() -> None:
    parts = stream(ScriptedModel(DOCUMENT), "p", schema=SCHEMA, sampling=GREEDY)
    seen = list(parts)
    assert [part.text for part in seen] == [DOCUMENT[:length] for length in range(1, len(DOCUMENT) + 1)]
    values = [json.dumps(part.value) for part in seen]
    assert list(dict.fromkeys(values)) == [
        "{}",
        '{"title": "Moby"}',
        '{"title": "Moby", "year": 1851}',
        '{"title": "Moby", "year": 1851, "tags": []}',
        '{"title": "Moby", "year": 1851, "tags": ["a"]}',
        '{"title": "Moby", "year": 1851, "tags": ["a", "b"]}',
    ]
    assert parts.result.value == json.loads(DOCUMENT)


def test_the_result_is_that_of_generate() -> None:
    options: dict[str, Any] = {"tokenizer": tiny_tokenizer(), "schema": SCHEMA, "seed": 9, "max_tokens": 50}
    streamed = stream(tiny_llama(), "the whale", **options).result
    whole = generate(tiny_llama(), "the whale", **options)
    assert (streamed.value, streamed.token_ids) == (whole.value, whole.token_ids)
    assert streamed.log_weight == pytest.approx(whole.log_weight)  # drafts may be read in other portions


def test_characters_are_shown_whole() -> None:
    parts = stream(ScriptedModel("aé🐋!"), "p", sampling=GREEDY)
    assert [part.text for part in parts] == ["a", "aé", "aé🐋", "aé🐋!"]


def test_thoughts_have_no_value_yet() -> None:
    parts = list(stream(ScriptedModel("so:12"), "p", schema=int, think_until=":", sampling=GREEDY))
    assert [(part.text, part.value) for part in parts] == [
        ("s", None),
        ("so", None),
        ("so:", None),
        ("so:1", None),
        ("so:12", None),
    ]


def test_a_cancelled_stream_says_so() -> None:
    parts = stream(ScriptedModel("abcdef"), "p", sampling=GREEDY)
    assert next(parts).text == "a"
    assert next(parts).text == "ab"
    parts.cancel()
    with pytest.raises(StopIteration):
        next(parts)
    result = parts.result
    assert (result.text, result.value, result.finish_reason) == ("ab", None, FinishReason.CANCELLED)
    assert result.log_weight is None
    assert result.stats.wall_seconds > 0


def test_a_stream_cancelled_after_its_end_keeps_its_result() -> None:
    parts = stream(ScriptedModel("ab"), "p", sampling=GREEDY)
    assert parts.result.text == "ab"
    parts.cancel()
    assert parts.result.finish_reason is FinishReason.STOP


def test_errors_come_at_the_call_or_at_the_step() -> None:
    with pytest.raises(BudgetTooSmall):
        stream(ScriptedModel("x"), "p", choices=["xyz"], max_tokens=2)
    with pytest.raises(TypeError, match="one prompt"):
        stream(ScriptedModel("x"), ["p"])  # type: ignore[list-item]
    with pytest.raises(InvalidLogits):
        next(stream(ScriptedModel("x", eagerness=float("nan")), "p"))


def test_ctrl_c_in_a_stream() -> None:
    def interrupt(read: list[int]) -> None:
        if read[0] == 2:
            raise KeyboardInterrupt

    parts = stream(ScriptedModel("abc", on_step=interrupt), "p", sampling=GREEDY)  # type: ignore[arg-type]
    assert [next(parts).text, next(parts).text] == ["a", "ab"]
    with pytest.raises(GenerationInterrupted):
        next(parts)
