"""The logits processor in every way that `model.generate` decodes, on a tiny model that knows nothing.

Documents are judged by jsonschema.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jsonschema
import pytest
import torch
from transformers import TextGenerationPipeline

from tests.runtime.tiny_models import tiny_llama, tiny_tokenizer
from tokamask.errors import BudgetTooSmall, VocabularyMismatch
from tokamask.grammar.grammar import Grammar
from tokamask.integrations.hugging_face import GrammarLogitsProcessor
from tokamask.masking.bitmask import bitmask_words
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime import step_masks
from tokamask.runtime.device_rows import DeviceRows

Schema = Mapping[str, Any]

ANSWER: Schema = {
    "type": "object",
    "properties": {"answer": {"enum": ["yes", "no", "maybe so"]}, "sure": {"type": "boolean"}},
    "required": ["answer", "sure"],
    "additionalProperties": False,
}
POINT: Schema = {
    "type": "array",
    "items": {"type": "integer", "minimum": -50, "maximum": 999},
    "minItems": 2,
    "maxItems": 3,
}
NAME: Schema = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 6}},
    "required": ["name"],
    "additionalProperties": False,
}

PROMPT = "tell me: "


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """With a padding token of its own, on the left, as batches of a causal model need it."""
    padded: Any = copy.deepcopy(tiny_tokenizer())
    padded.add_special_tokens({"pad_token": "<pad>"})
    padded.padding_side = "left"
    return padded


def padded_model(tokenizer: Any, seed: int) -> Any:
    model = copy.deepcopy(tiny_llama(seed))
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


@pytest.fixture(scope="module")
def model(tokenizer: Any) -> Any:
    return padded_model(tokenizer, seed=1)


@pytest.fixture(scope="module")
def assistant(tokenizer: Any) -> Any:
    return padded_model(tokenizer, seed=2)


@pytest.fixture(scope="module")
def processor(model: Any, tokenizer: Any) -> GrammarLogitsProcessor:
    """One for all the tests that can share it: re-use is part of what is tested."""
    return GrammarLogitsProcessor.for_model(model, tokenizer, schema=NAME, max_new_tokens=60)


def encoded(tokenizer: Any, prompts: str | Sequence[str]) -> Any:
    return tokenizer([prompts] if isinstance(prompts, str) else list(prompts), return_tensors="pt", padding=True)


def generate(model: Any, inputs: Any, processor: GrammarLogitsProcessor, **options: Any) -> torch.Tensor:
    """The generated tokens of every row, without the prompt."""
    options = {"max_new_tokens": 60, "do_sample": False, **options}
    output: torch.Tensor = model.generate(**inputs, logits_processor=[processor], **options)
    return output[:, inputs["input_ids"].shape[1] :]


def assert_documents(tokenizer: Any, rows: torch.Tensor, schemas: Sequence[Schema]) -> None:
    """Every row is a document that satisfies its schema, ended by the stop token."""
    assert len(rows) == len(schemas)
    for row, schema in zip(rows.tolist(), schemas, strict=True):
        assert tokenizer.eos_token_id in row, tokenizer.decode(row)
        jsonschema.validate(json.loads(tokenizer.decode(row, skip_special_tokens=True)), schema)


def test_greedy(model: Any, tokenizer: Any, processor: GrammarLogitsProcessor) -> None:
    rows = generate(model, encoded(tokenizer, PROMPT), processor)
    assert_documents(tokenizer, rows, [NAME])


def test_without_the_processor_there_is_no_document(model: Any, tokenizer: Any) -> None:
    inputs = encoded(tokenizer, PROMPT)
    output = model.generate(**inputs, max_new_tokens=60, do_sample=False)
    with pytest.raises(json.JSONDecodeError):
        json.loads(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))


@pytest.mark.parametrize(
    "options",
    [
        {"do_sample": True},
        {"do_sample": True, "temperature": 3.0, "top_k": 3},
        {"do_sample": True, "num_return_sequences": 5},
        {"num_beams": 3},
        {"num_beams": 4, "num_return_sequences": 3},
        {"num_beams": 3, "do_sample": True},
        {"prompt_lookup_num_tokens": 4},
        {"use_cache": False},
    ],
    ids=lambda options: " ".join(f"{key}={value}" for key, value in options.items()),
)
def test_ways_of_decoding(
    options: dict[str, Any], model: Any, tokenizer: Any, processor: GrammarLogitsProcessor
) -> None:
    for seed in range(3):
        torch.manual_seed(seed)
        rows = generate(model, encoded(tokenizer, PROMPT), processor, **options)
        assert_documents(tokenizer, rows, [NAME] * options.get("num_return_sequences", 1))


def test_an_assistant_proposes_and_the_model_decides(
    model: Any, assistant: Any, tokenizer: Any, processor: GrammarLogitsProcessor
) -> None:
    inputs = encoded(tokenizer, PROMPT)
    alone = generate(model, inputs, processor)
    assert torch.equal(generate(model, inputs, processor, assistant_model=assistant), alone)
    for seed in range(5):
        torch.manual_seed(seed)
        rows = generate(model, inputs, processor, assistant_model=assistant, do_sample=True)
        assert_documents(tokenizer, rows, [NAME])


def test_lookup_of_fragments_that_do_and_do_not_fit(
    model: Any, tokenizer: Any, processor: GrammarLogitsProcessor
) -> None:
    inputs = encoded(tokenizer, 'such as {"name":"abc"} or {"name": 5} or {"na"; ')
    drafted = generate(model, inputs, processor, prompt_lookup_num_tokens=8)
    assert_documents(tokenizer, drafted, [NAME])
    assert torch.equal(drafted, generate(model, inputs, processor))


@pytest.mark.parametrize("beams", [1, 3])
def test_a_batch_with_a_constraint_per_prompt_equals_its_rows(beams: int, model: Any, tokenizer: Any) -> None:
    prompts, schemas = ["where? ", "what is your name, please? ", "sure?"], [POINT, NAME, ANSWER]
    processor = GrammarLogitsProcessor.for_model(model, tokenizer, schema=schemas)
    rows = generate(model, encoded(tokenizer, prompts), processor, num_beams=beams)
    assert_documents(tokenizer, rows, schemas)
    for row, prompt, schema in zip(rows, prompts, schemas, strict=True):
        alone = GrammarLogitsProcessor.for_model(model, tokenizer, schema=schema)
        (expected,) = generate(model, encoded(tokenizer, prompt), alone, num_beams=beams)
        assert tokenizer.decode(row, skip_special_tokens=True) == tokenizer.decode(expected, skip_special_tokens=True)


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"do_sample": True, "num_return_sequences": 2}], ids=str)
def test_rows_kept_on_a_device_change_nothing(
    options: dict[str, Any], model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device is the CPU, treated as if it were another; three rows of masks have room there, or all."""
    inputs = encoded(tokenizer, ["where? ", "what is your name, please? ", "sure?"])
    row_bytes = 4 * bitmask_words(model.config.vocab_size)
    tables: list[DeviceRows] = []

    def rows_written() -> torch.Tensor:
        schemas = [POINT, NAME, None]
        torch.manual_seed(0)
        processor = GrammarLogitsProcessor.for_model(model, tokenizer, schema=schemas, max_new_tokens=60)
        return generate(model, inputs, processor, **options)

    expected = rows_written()
    for most_rows in (3, 1000):

        def device_rows(size: int, device: torch.device, most_bytes: int = most_rows * row_bytes) -> DeviceRows:
            tables.append(DeviceRows(size, device, most_bytes))
            return tables[-1]

        monkeypatch.setattr(step_masks, "device_rows", device_rows)
        assert torch.equal(rows_written(), expected)
    small, large = tables
    assert 0 < large.bytes_copied < small.bytes_copied


def test_samples_of_a_batch_keep_their_constraints(model: Any, tokenizer: Any) -> None:
    processor = GrammarLogitsProcessor.for_model(model, tokenizer, schema=[POINT, NAME])
    rows = generate(model, encoded(tokenizer, ["a", "a"]), processor, do_sample=True, num_return_sequences=3)
    assert_documents(tokenizer, rows, [POINT] * 3 + [NAME] * 3)


def test_a_prompt_may_be_free(model: Any, tokenizer: Any) -> None:
    inputs = encoded(tokenizer, [PROMPT, PROMPT])
    processor = GrammarLogitsProcessor.for_model(model, tokenizer, schema=[None, POINT])
    rows = generate(model, inputs, processor)
    assert_documents(tokenizer, rows[1:], [POINT])
    free = model.generate(**inputs, max_new_tokens=60, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    width = min(len(free), rows.shape[1])
    assert torch.equal(rows[0, :width], free[:width])


@pytest.mark.parametrize(
    "second", [PROMPT, "tell", PROMPT + "x", PROMPT + "{", "tell me; ", "a prompt of quite another length"]
)
def test_reuse_for_another_prompt_is_as_good_as_new(second: str, model: Any, tokenizer: Any) -> None:
    used = GrammarLogitsProcessor.for_model(model, tokenizer, schema=NAME)
    generate(model, encoded(tokenizer, PROMPT), used)
    if second == PROMPT + "{":  # the beginning of a document of the first prompt
        used.reset()
    fresh = GrammarLogitsProcessor.for_model(model, tokenizer, schema=NAME)
    inputs = encoded(tokenizer, second)
    assert torch.equal(generate(model, inputs, used), generate(model, inputs, fresh))


def test_a_generation_that_was_cut_off_can_be_continued(model: Any, tokenizer: Any) -> None:
    processor = GrammarLogitsProcessor.for_model(model, tokenizer, schema=NAME)
    inputs = encoded(tokenizer, PROMPT)
    whole = generate(model, inputs, processor)
    begun = torch.cat([inputs["input_ids"], generate(model, inputs, processor, max_new_tokens=4)], dim=1)
    rest = generate(model, {"input_ids": begun, "attention_mask": torch.ones_like(begun)}, processor)
    assert torch.equal(torch.cat([begun[:, inputs["input_ids"].shape[1] :], rest], dim=1), whole)


def test_a_conversation_goes_on_with_a_new_document(model: Any, tokenizer: Any) -> None:
    used = GrammarLogitsProcessor.for_model(model, tokenizer, schema=NAME)
    first = encoded(tokenizer, PROMPT)
    answer = generate(model, first, used)
    turn = torch.cat([first["input_ids"], answer, encoded(tokenizer, "and again: ")["input_ids"]], dim=1)
    second = {"input_ids": turn, "attention_mask": torch.ones_like(turn)}
    fresh = GrammarLogitsProcessor.for_model(model, tokenizer, schema=NAME)
    assert torch.equal(generate(model, second, used), generate(model, second, fresh))


def test_the_pipeline(model: Any, tokenizer: Any, processor: GrammarLogitsProcessor) -> None:
    pipeline = TextGenerationPipeline(model=model, tokenizer=tokenizer)
    prompts = [PROMPT, "another one: ", "b"]
    for batch_size in (1, 3):
        answers: Any = pipeline(
            prompts,
            logits_processor=[processor],
            max_new_tokens=60,
            do_sample=True,
            return_full_text=False,
            batch_size=batch_size,
        )
        for (answer,) in answers:
            jsonschema.validate(json.loads(answer["generated_text"]), NAME)


@pytest.mark.parametrize("options", [{"do_sample": True}, {"num_beams": 3}, {"prompt_lookup_num_tokens": 5}])
def test_the_budget_is_kept(options: dict[str, Any], model: Any, tokenizer: Any) -> None:
    compiled = compiled_for(model, tokenizer, NAME)
    shortest = compiled.matcher().min_tokens_left()
    for budget in (shortest, shortest + 1, shortest + 3):
        processor = GrammarLogitsProcessor(compiled, max_new_tokens=budget)
        for seed in range(4):
            torch.manual_seed(seed)
            rows = generate(model, encoded(tokenizer, PROMPT), processor, max_new_tokens=budget, **options)
            assert_documents(tokenizer, rows, [NAME])


def test_a_budget_below_the_shortest_document(model: Any, tokenizer: Any) -> None:
    compiled = compiled_for(model, tokenizer, NAME)
    shortest = compiled.matcher().min_tokens_left()
    with pytest.raises(BudgetTooSmall) as caught:
        GrammarLogitsProcessor(compiled, max_new_tokens=shortest - 1)
    assert caught.value.minimum == shortest


def compiled_for(model: Any, tokenizer: Any, schema: Schema) -> Any:
    vocabulary = Vocabulary.from_tokenizer(tokenizer, size=model.config.vocab_size)
    return GrammarCompiler(vocabulary).compile(Grammar.from_json_schema(dict(schema)))


def test_scores_that_are_not_allowed_become_minus_infinity_and_nothing_else_changes(model: Any, tokenizer: Any) -> None:
    texts = ["nothing", "there"]
    processor = GrammarLogitsProcessor.for_model(model, tokenizer, choices=texts)
    scores = torch.randn(1, model.config.vocab_size)
    scores[0, tokenizer.convert_tokens_to_ids("n")] = torch.nan
    before = scores.clone()
    masked = processor(encoded(tokenizer, PROMPT)["input_ids"], scores)
    assert torch.equal(scores.nan_to_num(), before.nan_to_num()), "the caller's scores are its own"
    expected = [
        bool(spelled) and any(text.startswith(spelled) for text in texts)
        for spelled in (tokenizer.decode([token], skip_special_tokens=True) for token in range(len(tokenizer)))
    ]
    expected += [False] * (model.config.vocab_size - len(tokenizer))
    assert (masked[0] != -torch.inf).tolist() == expected
    assert torch.equal(masked[0, expected].nan_to_num(), before[0, expected].nan_to_num())


def test_finished_rows_are_left_alone(model: Any, tokenizer: Any) -> None:
    processor = GrammarLogitsProcessor.for_model(model, tokenizer, choices=["no"])
    scores = torch.randn(1, model.config.vocab_size)
    ids = encoded(tokenizer, PROMPT)["input_ids"]
    for token in [*tokenizer("no")["input_ids"], tokenizer.eos_token_id]:
        assert (processor(ids, scores) == -torch.inf).any()
        ids = torch.cat([ids, torch.tensor([[token]])], dim=1)
    for padding in [tokenizer.pad_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id]:
        assert torch.equal(processor(ids, scores), scores)
        ids = torch.cat([ids, torch.tensor([[padding]])], dim=1)


def test_the_other_constraints(model: Any, tokenizer: Any) -> None:
    inputs = encoded(tokenizer, [PROMPT, PROMPT])

    def texts(**constraint: Any) -> list[str]:
        rows = generate(model, inputs, GrammarLogitsProcessor.for_model(model, tokenizer, **constraint))
        return [tokenizer.decode(row, skip_special_tokens=True) for row in rows]

    assert set(texts(choices=["yes", "no"])) <= {"yes", "no"}
    first, second = texts(choices=[["yes", "yes, sure"], ["no"]])
    assert first.startswith("yes")
    assert second == "no"
    assert texts(regex=["a{3}", "b{2}"]) == ["aaa", "bb"]
    assert texts(grammar=[Grammar.from_choices(["true"]), 'start: "12" "12"']) == ["true", "1212"]


def test_wrong_arguments(model: Any, tokenizer: Any, processor: GrammarLogitsProcessor) -> None:
    wrongs: list[dict[str, Any]] = [{}, {"schema": NAME, "regex": "a"}]
    for wrong in wrongs:
        with pytest.raises(TypeError, match="pass one of schema, regex, grammar and choices"):
            GrammarLogitsProcessor.for_model(model, tokenizer, **wrong)
    with pytest.raises(ValueError, match="there is no constraint"):
        GrammarLogitsProcessor([None])
    with pytest.raises(VocabularyMismatch, match=r"returns 7 scores, .* vocabulary of \d+"):
        processor(torch.tensor([[1]]), torch.zeros(1, 7))
    two = GrammarLogitsProcessor.for_model(model, tokenizer, schema=[NAME, POINT])
    with pytest.raises(ValueError, match="3 rows cannot be shared out among 2 constraints"):
        two(torch.ones(3, 4, dtype=torch.int64), torch.zeros(3, model.config.vocab_size))


def test_constraints_need_one_vocabulary_with_a_stop_token(model: Any, tokenizer: Any) -> None:
    grammar = Grammar.from_choices(["a", "b"])
    one = GrammarCompiler(Vocabulary([b"a", b"b", None], [2])).compile(grammar)
    other = GrammarCompiler(Vocabulary([b"b", b"a", None], [2])).compile(grammar)
    endless = GrammarCompiler(Vocabulary([b"a", b"b"], [])).compile(grammar)
    with pytest.raises(VocabularyMismatch, match="different vocabularies"):
        GrammarLogitsProcessor([one, other])
    with pytest.raises(VocabularyMismatch, match="no stop token"):
        GrammarLogitsProcessor(endless)
