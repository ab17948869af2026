"""infill(): middles by an autoregressive model."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel

from tests.runtime.scripted_model import BYTES, STOP, ScriptedModel
from tests.runtime.tiny_models import tiny_llama, tiny_tokenizer
from tokamask import Sampling, Vocabulary, infill
from tokamask.errors import BudgetTooSmall, ModelError, TokenRejected, UnsatisfiableSchema, VocabularyMismatch
from tokamask.masking.compiler import GrammarCompiler
from tokamask.runtime.infill import _show
from tokamask.runtime.results import FinishReason

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
GREEDY = Sampling(temperature=0)


def test_the_middle_joins_prefix_and_suffix() -> None:
    result = infill(ScriptedModel('l", "age": 4'), '{"name": "A', "2}", schema=SCHEMA, sampling=GREEDY)
    assert result.text == 'l", "age": 4'
    assert result.value == {"name": "Al", "age": 42}
    assert result.finish_reason is FinishReason.STOP
    assert result.token_ids[-1] == STOP


def test_a_model_that_would_not_meet_the_suffix_is_led_there() -> None:
    """It would close the object itself, which leaves no place for the suffix."""
    result = infill(ScriptedModel('l", "age": 4}'), '{"name": "A', "2}", schema=SCHEMA, sampling=GREEDY)
    assert result.value["name"] == "Al"
    assert str(result.value["age"]).endswith("2")


@pytest.mark.parametrize("seed", range(6))
def test_sampled_middles_are_valid_within_the_budget(seed: int) -> None:
    result = infill(
        tiny_llama(), '{"name": "', ' "age": 1}', schema=SCHEMA, tokenizer=tiny_tokenizer(), max_tokens=8, seed=seed
    )
    assert jsonschema.Draft202012Validator(SCHEMA).is_valid(result.value)
    assert json.loads('{"name": "' + result.text + ' "age": 1}') == result.value
    assert len(result.token_ids) <= 8
    again = infill(
        tiny_llama(), '{"name": "', ' "age": 1}', schema=SCHEMA, tokenizer=tiny_tokenizer(), max_tokens=8, seed=seed
    )
    assert again.token_ids == result.token_ids
    assert result.log_weight is not None


def test_without_a_constraint_anything_may_stand_between() -> None:
    result = infill(ScriptedModel("beta"), "alpha ", " gamma", sampling=GREEDY)
    assert (result.text, result.value) == ("beta", "alpha beta gamma")


def test_the_middle_may_be_empty() -> None:
    result = infill(ScriptedModel("1"), "4", "2", regex="42", sampling=GREEDY, max_tokens=1)
    assert (result.text, result.value, result.token_ids) == ("", "42", (STOP,))


def test_typed_values_are_those_of_the_whole_document() -> None:
    class Person(BaseModel):
        name: str

    result = infill(ScriptedModel("b"), '{"name": "a', 'c"}', schema=Person, sampling=GREEDY)
    assert result.value == Person(name="abc")


@pytest.mark.parametrize(
    ("prefix", "suffix", "options", "error"),
    [
        ("x", "}", {}, TokenRejected),
        ('{"name": "', "]", {}, UnsatisfiableSchema),
        ('{"name": "', "1}", {"max_tokens": 5}, UnsatisfiableSchema),
        ('{"name": "a', '", "age": 1}', {"max_tokens": 0}, ValueError),
        ("4", "2", {"schema": None, "regex": "412", "max_tokens": 1}, BudgetTooSmall),
        ("{", "}", {"seed": 2**64}, ValueError),
        (3, "}", {}, TypeError),
        ("{", b"}", {}, TypeError),
        ("{", "\udcff", {}, ValueError),
        ("{", "}", {"compiler": 3}, TypeError),
        ("{", "}", {"regex": "a"}, TypeError),
        ("{", "}", {"compiler": GrammarCompiler(Vocabulary([b"{"], []))}, VocabularyMismatch),
    ],
)
def test_what_is_refused(prefix: Any, suffix: Any, options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        infill(ScriptedModel("a"), prefix, suffix, **{"schema": SCHEMA, **options})


def test_the_context_must_leave_room() -> None:
    with pytest.raises(ModelError, match="no room for the middle"):
        infill(ScriptedModel("a", context_length=3), "abc", "", regex="[abc]*")
    result = infill(ScriptedModel("aaaaaa", context_length=5), "abc", "", regex="[abc]*", sampling=GREEDY)
    assert result.text == "a"


class MarkedModel(ScriptedModel):
    """Its tokenizer reads StarCoder's markers as special tokens, which it keeps at 257 to 259."""

    MARKERS = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>")

    def __init__(self, script: str) -> None:
        super().__init__(script)
        self.vocabulary = Vocabulary([*BYTES.token_bytes, None, None, None], [STOP])
        self.encoded: list[str] = []

    def encode_text(self, text: str) -> list[int]:
        self.encoded.append(text)
        for number, marker in enumerate(self.MARKERS):
            text = text.replace(marker, chr(0xE000 + number))
        ids: list[int] = []
        for character in text:
            special = ord(character) - 0xE000
            ids += [257 + special] if 0 <= special < 3 else list(character.encode())
        return ids


def test_models_with_markers_are_shown_the_suffix() -> None:
    model = MarkedModel("")
    shown = _show(model, "ab", "yz")
    assert shown == [257, 97, 98, 258, 121, 122, 259]
    assert model.encoded[-1] == "<fim_prefix>ab<fim_suffix>yz<fim_middle>"
    assert _show(ScriptedModel(""), "ab", "yz") == [97, 98]
