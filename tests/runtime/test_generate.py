"""generate() as users call it, on models that say what they would like to write."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel, field_validator

from tests.runtime.scripted_model import BYTES, STOP, ScriptedModel, not_called
from tests.runtime.tiny_models import tiny_llama, tiny_tokenizer
from tokamask.errors import (
    BudgetTooSmall,
    GenerationInterrupted,
    GrammarError,
    GrammarSyntaxError,
    InvalidLogits,
    ModelError,
    UnsupportedFeature,
    VocabularyMismatch,
)
from tokamask.grammar.grammar import Grammar
from tokamask.masking.compiler import GrammarCompiler
from tokamask.runtime.generate import generate
from tokamask.runtime.results import FinishReason, Generation, Samples
from tokamask.runtime.sampling import Sampling

GREEDY = Sampling(temperature=0)


class Book(BaseModel):
    title: str
    year: int

    @field_validator("year")
    @classmethod
    def recent(cls, year: int) -> int:
        if year < 1000:
            raise ValueError("before all books")
        return year


BOOK = '{"title": "Moby Dick", "year": 1851}'
BOOK_SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "year": {"type": "integer"}},
    "required": ["title", "year"],
    "additionalProperties": False,
}


def one(model: Any, prompt: Any = "p", **options: Any) -> Generation:
    result = generate(model, prompt, **{"sampling": GREEDY, **options})
    assert isinstance(result, Generation)
    return result


@pytest.mark.parametrize(
    ("constraint", "wish", "value"),
    [
        ({"schema": Book}, BOOK, Book(title="Moby Dick", year=1851)),
        ({"schema": BOOK_SCHEMA}, BOOK, {"title": "Moby Dick", "year": 1851}),
        ({"schema": json.dumps(BOOK_SCHEMA)}, BOOK, {"title": "Moby Dick", "year": 1851}),
        ({"schema": list[int]}, "[1, 22]", [1, 22]),
        ({"regex": "[a-c]+x"}, "abcx", "abcx"),
        ({"choices": ["yes", "no"]}, "no", "no"),
        ({"choices": iter(["yes", "no"])}, "no", "no"),
        ({"grammar": 'start: "a" start "b" | "c"'}, "aacbb", "aacbb"),
        ({"grammar": 'root ::= "x" item+\nitem ::= [0-9]'}, "x42", "x42"),
        ({}, "free text, any", "free text, any"),
    ],
)
def test_each_kind_of_constraint_gives_its_value(constraint: dict[str, Any], wish: str, value: Any) -> None:
    result = one(ScriptedModel(wish), **constraint)
    assert result.value == value
    assert type(result.value) is type(value)
    assert result.text == wish
    assert result.token_ids == (*wish.encode(), STOP)
    assert len(result.logprobs) == len(result.token_ids)
    assert result.finish_reason is FinishReason.STOP
    assert result.error is None


def test_a_grammar_from_a_schema_gives_its_data() -> None:
    grammar = Grammar.from_json_schema(BOOK_SCHEMA, whitespace="none")
    assert one(ScriptedModel(BOOK.replace(" ", "")), grammar=grammar).value == json.loads(BOOK.replace(" ", ""))


def test_a_model_that_wants_something_else_is_held_to_the_constraint() -> None:
    for seed in range(5):
        result = generate(ScriptedModel("Sure! Here is your JSON:"), "p", schema=BOOK_SCHEMA, seed=seed, max_tokens=60)
        jsonschema.validate(result.value, BOOK_SCHEMA)
        assert result.finish_reason == "stop"


def test_a_batch_has_a_constraint_for_each_prompt() -> None:
    wishes = {"a": "12", "b": BOOK, "c": "free", "d": "no"}
    model = ScriptedModel(wishes)
    results = generate(
        model,
        list(wishes),
        schema=[int, Book, None, None],
        choices=[None, None, None, ["yes", "no"]],
        sampling=GREEDY,
    )
    assert [result.value for result in results] == [12, Book(title="Moby Dick", year=1851), "free", "no"]
    assert [result.value for result in generate(model, ["a", "d"], regex="[0-9]+|no", sampling=GREEDY)] == ["12", "no"]


def test_a_batch_of_one_is_a_list_and_samples_are_a_sequence() -> None:
    model = ScriptedModel("x", eagerness=1.0)
    assert [type(item) for item in generate(model, ["p"], choices=["x"])] == [Generation]
    samples = generate(model, "p", choices=["x", "yy"], n=3)
    assert isinstance(samples, Samples)
    assert len(samples) == 3
    batch = generate(model, ["p", "q"], choices=["x", "yy"], n=2)
    assert [len(item) for item in batch] == [2, 2]


def test_finished_rows_leave_the_batch() -> None:
    sizes: list[int] = []
    model = ScriptedModel({"a": "1", "b": "22", "c": "4444"}, on_step=lambda rows: sizes.append(len(rows)))
    generate(model, ["a", "b", "c"], sampling=GREEDY)
    assert sizes == [3, 3, 2, 1, 1]


def test_samples_read_their_prompt_once() -> None:
    sizes: list[int] = []
    generate(ScriptedModel("12", on_step=lambda rows: sizes.append(len(rows))), "p", n=4, sampling=GREEDY)
    assert sizes == [1, 4, 4]


def test_samples_weigh_what_the_mask_left() -> None:
    """The mean weight estimates the probability of the language: here 2 of 257 first tokens, then 1 of 257."""
    model = ScriptedModel("", eagerness=0.0)
    samples = generate(model, "p", choices=["x", "y"], n=6, seed=1)
    weight = math.log(2 / 257) + math.log(1 / 257)
    assert samples.log_weights == pytest.approx([weight] * 6)
    assert samples.log_z == pytest.approx(weight)
    assert samples.normalised_weights == pytest.approx([1 / 6] * 6)
    assert samples.bounds == pytest.approx((weight, 0.0))
    assert {sample.value for sample in samples} == {"x", "y"}
    assert samples.evaluations == 12


@pytest.mark.parametrize(
    "options",
    [
        {"sampling": GREEDY},
        {"sampling": Sampling(top_k=5)},
        {"sampling": Sampling(top_p=0.9)},
        {"sampling": Sampling(min_p=0.1)},
    ],
)
def test_truncated_choices_have_no_weight(options: dict[str, Any]) -> None:
    assert generate(ScriptedModel("x"), "p", choices=["x", "y"], **options).log_weight is None
    assert generate(ScriptedModel("x"), "p", sampling=Sampling()).log_weight is None
    samples = generate(ScriptedModel("x"), "p", choices=["x", "y"], n=2, **options)
    assert (samples.log_z, samples.bounds, samples.normalised_weights) == (None, None, None)


def test_the_same_seed_gives_the_same_and_a_fresh_one_is_told() -> None:
    model = ScriptedModel("", eagerness=0.0)
    options: dict[str, Any] = {"regex": "[a-z]{20}"}
    fresh = generate(model, "p", **options)
    again = generate(model, "p", seed=fresh.stats.seed, **options)
    assert again.text == fresh.text
    assert generate(model, "p", **options).text != fresh.text
    batch = generate(model, ["p", "p", "q"], **options)
    assert len({result.stats.seed for result in batch}) == 3
    assert batch[1].text == generate(model, "p", seed=batch[1].stats.seed, **options).text
    samples = generate(model, "p", n=3, seed=fresh.stats.seed, **options)
    assert samples[0].text == fresh.text
    assert len({sample.text for sample in samples}) == 3


def test_strict_runs_rows_alone_and_gives_the_same_here() -> None:
    sizes: list[int] = []
    model = ScriptedModel({"a": "1", "b": "22"}, on_step=lambda rows: sizes.append(len(rows)))
    strict = generate(model, ["a", "b"], n=2, sampling=GREEDY, strict=True)
    assert set(sizes) == {1}
    together = generate(model, ["a", "b"], n=2, sampling=GREEDY)
    assert [[s.text for s in samples] for samples in strict] == [[s.text for s in samples] for samples in together]


def test_the_document_is_closed_within_every_budget() -> None:
    minimum = len('{"title":"","year":0}') + 1
    model = ScriptedModel('{"title": "' + "very " * 100)
    for budget in range(minimum, minimum + 25):
        result = one(model, schema=BOOK_SCHEMA, max_tokens=budget)
        jsonschema.validate(result.value, BOOK_SCHEMA)
        assert result.stats.tokens <= budget
        assert result.finish_reason is FinishReason.STOP


def test_a_budget_below_the_shortest_document_is_refused_before_anything_is_generated() -> None:
    def fail(rows: Sequence[int]) -> None:
        raise AssertionError("the model was called")

    model = ScriptedModel(BOOK, on_step=fail)
    minimum = len('{"title":"","year":0}') + 1
    with pytest.raises(BudgetTooSmall) as caught:
        generate(model, ["p", "q"], schema=[None, BOOK_SCHEMA], max_tokens=minimum - 1)
    assert (caught.value.minimum, caught.value.budget) == (minimum, minimum - 1)


def test_the_context_bounds_the_budget() -> None:
    model = ScriptedModel("abcdefgh", context_length=6)
    assert one(model, "12").text == "abcd"
    assert one(model, "12", regex="[a-z]*").text == "abc"  # and the stop token
    with pytest.raises(ModelError, match="6"):
        one(model, "123456")
    with pytest.raises(ModelError, match="3 tokens that the output needs"):
        one(model, "1234", choices=["no"])


def test_the_types_own_validators_reject() -> None:
    result = one(ScriptedModel('{"title": "x", "year": 5}'), schema=Book)
    assert result.finish_reason is FinishReason.REJECTED
    assert result.value is None
    assert "before all books" in str(result.error)
    assert result.text == '{"title": "x", "year": 5}'
    assert generate(ScriptedModel('{"title": "x", "year": 5}'), "p", schema=Book).log_weight == -math.inf


def wider_grammar() -> Grammar:
    """Integers, of a schema that also forbids 3: as when a keyword was left out on the user's word."""
    integers = Grammar.from_json_schema({"type": "integer"})
    return replace(integers, source={"type": "integer", "not": {"const": 3}}, is_exact=False)


def test_a_document_that_the_whole_schema_refuses_is_generated_again() -> None:
    model = ScriptedModel("3", eagerness=4.0)
    results = [generate(model, "p", grammar=wider_grammar(), seed=seed, max_tokens=3) for seed in range(12)]
    accepted = [result for result in results if result.finish_reason == "stop"]
    assert all(isinstance(result.value, int) and result.value != 3 for result in accepted)
    assert any(result.stats.attempts > 1 for result in accepted)
    again = generate(model, "p", grammar=wider_grammar(), seed=results[-1].stats.seed, max_tokens=3)
    assert again.token_ids == results[-1].token_ids
    assert {result.log_weight for result in results} == {None}


def test_attempts_are_bounded_and_greedy_makes_one() -> None:
    stubborn = generate(ScriptedModel("3"), ["p", "q"], grammar=wider_grammar(), seed=0)
    assert [(row.finish_reason, row.value, row.stats.attempts) for row in stubborn] == [("rejected", None, 4)] * 2
    assert all("3" in str(row.error) for row in stubborn)
    greedy = one(ScriptedModel("3"), grammar=wider_grammar())
    assert (greedy.finish_reason, greedy.stats.attempts) == ("rejected", 1)


@pytest.mark.parametrize(
    ("stop", "text"), [("lo", "hel"), (["zz", "l"], "he"), ([" w", "o"], "hell"), (["absent"], "hello world")]
)
def test_stop_texts_end_free_text(stop: Any, text: str) -> None:
    result = one(ScriptedModel("hello world"), stop=stop)
    assert (result.text, result.value, result.finish_reason) == (text, text, "stop")


def test_stop_texts_leave_documents_alone() -> None:
    free, bound = generate(ScriptedModel("hello"), ["p", "q"], regex=[None, "[a-z]+"], stop="l", sampling=GREEDY)
    assert (free.text, bound.text) == ("he", "hello")
    with pytest.raises(ValueError, match="free text"):
        one(ScriptedModel("hello"), regex="[a-z]+", stop="l")


def test_stop_token_ids_end_any_output() -> None:
    model = ScriptedModel("ab!cd")
    assert one(model, stop=[ord("!")]).text == "ab"
    result = one(model, regex="[a-z]*", stop=ord("!"))
    assert (result.text, result.token_ids) == ("ab", tuple(b"ab!"))


def test_thoughts_come_before_the_document() -> None:
    model = ScriptedModel("hmm, let me see</think>" + BOOK)
    result = one(model, schema=Book, think_until="</think>")
    assert result.value == Book(title="Moby Dick", year=1851)
    assert result.text == "hmm, let me see</think>" + BOOK
    endless = one(ScriptedModel("hmm, " * 100), schema=Book, think_until="</think>", max_tokens=60)
    assert endless.text.startswith("hmm, hmm, ")
    assert endless.finish_reason in ("stop", "rejected")
    assert endless.stats.tokens <= 60
    jsonschema.validate(json.loads(endless.text.partition("</think>")[2]), BOOK_SCHEMA)


@pytest.mark.parametrize("marker", ["!", ord("!")])
def test_a_token_ends_the_thoughts_as_its_text_does(marker: str | int) -> None:
    model = ScriptedModel({"p": "so! 12 it is", "q": "never", "free": "a!b"})
    first, second, free = generate(
        model,
        ["p", "q", "free"],
        regex=[" [0-9]{2}", "[0-9]{2}", None],
        think_until=marker,
        max_tokens=12,
        sampling=GREEDY,
    )
    assert (first.value, first.text) == (" 12", "so! 12")
    assert (second.text[:5], second.text[-3]) == ("never", "!")
    assert second.value == second.text[-2:]
    assert second.stats.tokens <= 12
    assert (free.value, free.text) == ("a!b", "a!b")


def test_a_special_token_ends_the_thoughts_and_is_no_text() -> None:
    model, tokenizer = tiny_llama(), tiny_tokenizer()
    for prompt, seed in (("the whale", 1), ("the sea and th", 2), ("water", 3)):
        result = generate(
            model,
            prompt,
            tokenizer=tokenizer,
            regex="[0-9]{3}",
            think_until=tokenizer.bos_token_id,
            seed=seed,
            max_tokens=14,
        )
        assert tokenizer.bos_token_id in result.token_ids
        assert result.text.endswith(result.value)
        assert result.value.isdigit()
        assert len(result.value) == 3
        assert len(result.token_ids) <= 14
        assert "<s>" not in result.text


def test_ctrl_c_keeps_what_is_finished() -> None:
    def interrupt(read: Sequence[int]) -> None:
        if max(read) == 3:
            raise KeyboardInterrupt

    model = ScriptedModel({"a": "1", "b": "22222", "c": ""}, on_step=interrupt)
    with pytest.raises(GenerationInterrupted) as caught:
        generate(model, ["a", "b", "c"], sampling=GREEDY)
    finished = caught.value.finished
    assert [None if result is None else result.text for result in finished] == ["1", None, ""]  # type: ignore[attr-defined]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_bad_logits_are_an_error(bad: float) -> None:
    with pytest.raises(InvalidLogits):
        generate(ScriptedModel("x", eagerness=bad), "p", choices=["x", "y"])


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"prompt": []}, ValueError, "empty"),
        ({"max_tokens": 0}, ValueError, "max_tokens"),
        ({"max_tokens": 1.5}, TypeError, "max_tokens"),
        ({"n": 0}, ValueError, "n is 0"),
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": 2**64}, ValueError, "seed"),
        ({"seed": "1"}, TypeError, "seed must be None or a whole number, not str"),
        ({"seed": 1.5}, TypeError, "seed must be None or a whole number, not float"),
        ({"sampling": 0.7}, TypeError, "sampling must be a Sampling"),
        ({"sampling": {"temperature": 0}}, TypeError, "sampling must be a Sampling"),
        ({"think_until": b"x", "regex": "a"}, TypeError, "think_until must be a text or the id of a token, not bytes"),
        ({"think_until": True, "regex": "a"}, TypeError, "think_until must be a text or the id of a token, not bool"),
        ({"prompt": "a\ud800"}, ValueError, "lone surrogate"),
        ({"prompt": [{"role": "user", "content": "\udcff"}]}, ValueError, "the content of a chat message has a lone"),
        ({"prompt": [{"content": "a"}]}, TypeError, "a chat message is {'role': ..., 'content': ...}, not {'content'"),
        ({"prompt": [["a"], "b"]}, TypeError, "a chat message is {'role': ..., 'content': ...}, not 'a'"),
        ({"compiler": 3, "regex": "a"}, TypeError, "compiler must be a GrammarCompiler, not int"),
        ({"schema": Grammar.from_regex("a")}, TypeError, "pass it as grammar="),
        ({"grammar": 'root = "a"'}, GrammarSyntaxError, r"read as Lark \(a rule of GBNF .*\) \(line 1"),
        ({"schema": {"enum": {1, 2}}}, GrammarError, "schema= is not JSON: Object of type set"),
        ({"choices": 5}, TypeError, "choices must be several texts"),
        ({"stop": ""}, ValueError, "stop"),
        ({"stop": [None]}, TypeError, "stop"),
        ({"stop": 999}, VocabularyMismatch, "999"),
        ({"regex": "a", "choices": ["a"]}, TypeError, "regex and choices"),
        ({"prompt": ["a", "b"], "regex": ["a"]}, ValueError, "list of 1 for 2"),
        ({"regex": 5}, TypeError, "regex"),
        ({"grammar": 5}, TypeError, "grammar"),
        ({"think_until": "x"}, TypeError, "think_until"),
        ({"think_until": "", "regex": "a"}, ValueError, "think_until"),
        ({"schema": '{"type": "string",}'}, GrammarSyntaxError, "line 1"),
        ({"regex": "a("}, GrammarSyntaxError, "line 1"),
        ({"method": "smc"}, ValueError, "'smc' needs something to satisfy"),
        ({"speculation": "ngram"}, UnsupportedFeature, "drafts"),
        ({"checkers": [3]}, TypeError, "checkers"),
        ({"think_until": STOP, "regex": "a"}, ValueError, "stop token"),
        ({"think_until": 999, "regex": "a"}, VocabularyMismatch, "999"),
    ],
)
def test_bad_arguments_are_refused_before_the_model_runs(
    options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        generate(ScriptedModel("x", on_step=not_called), **{"prompt": "p", **options})


def test_speculation_off_is_what_auto_does() -> None:
    model = ScriptedModel("", eagerness=0.0)
    texts = {generate(model, "p", regex="[a-z]{9}", seed=4, speculation=which).text for which in ("auto", None)}
    assert len(texts) == 1


def test_a_compiler_is_shared_and_checked() -> None:
    assert one(ScriptedModel("no"), choices=["yes", "no"], compiler=GrammarCompiler(BYTES)).value == "no"
    with pytest.raises(VocabularyMismatch, match="another vocabulary"):
        generate(tiny_llama(), "p", tokenizer=tiny_tokenizer(), choices=["a"], compiler=GrammarCompiler(BYTES))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_real_model_code_path_gives_valid_documents(temperature: float) -> None:
    prompts: list[Any] = ["the whale", "the sea and th", [{"role": "user", "content": "water"}]]
    results = generate(
        tiny_llama(),
        prompts,
        tokenizer=tiny_tokenizer(),
        schema=BOOK_SCHEMA,
        sampling=Sampling(temperature),
        seed=3,
        max_tokens=40,
    )
    for result in results:
        jsonschema.validate(result.value, BOOK_SCHEMA)
        assert json.loads(result.text) == result.value
        assert result.finish_reason is FinishReason.STOP
