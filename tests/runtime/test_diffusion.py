"""diffuse(): a denoiser that is trained here, scripted ones, and a random transformers model."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from pydantic import BaseModel, field_validator
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

from tokamask import Infilled, Mask, Sampling, Vocabulary, by_entropy, by_schedule, by_threshold, diffuse
from tokamask.errors import (
    InvalidLogits,
    ModelError,
    UnsatisfiableSchema,
    UnsupportedFeature,
    VocabularyMismatch,
)
from tokamask.masking.compiler import GrammarCompiler
from tokamask.runtime.diffusion_policies import Step
from tokamask.runtime.results import FinishReason

# Records for the trained denoiser: 48 slots, most of them padding.
TEXTS = ["{", "}", "[", "]", ",", ":", '"id"', '"tags"', '"x"', '"y"', '"ok"', "1", "2", "3", "true", "false"]
STOP, PADDING, MASK = range(len(TEXTS), len(TEXTS) + 3)
WORDS = Vocabulary([*(text.encode() for text in TEXTS), None, None, None], [STOP])
LENGTH = 48
SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "tags": {"type": "array", "items": {"enum": ["x", "y"]}},
        "ok": {"type": "boolean"},
    },
    "required": ["id", "tags", "ok"],
    "additionalProperties": False,
}


class WordDenoiser:
    """A `Denoiser` over WORDS; `predict_with` maps ids (1, T) to logits (1, T, V)."""

    vocabulary = WORDS
    mask_token_id = MASK
    padding_token_ids = frozenset([PADDING])
    context_length: int | None = None

    def __init__(self, predict_with: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.predict_with = predict_with
        self.seen: list[list[int]] = []

    def encode_text(self, text: str) -> list[int]:
        return [TEXTS.index(word) for word in text.split()]

    def encode_chat(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        return [token for message in messages for token in self.encode_text(message["content"])]

    @torch.inference_mode()
    def predict(self, token_ids: Sequence[int]) -> torch.Tensor:
        self.seen.append(list(token_ids))
        return self.predict_with(torch.tensor([list(token_ids)]))[0]


class Network(torch.nn.Module):
    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.token = torch.nn.Embedding(WORDS.size, width)
        self.place = torch.nn.Parameter(torch.randn(LENGTH, width) * 0.1)
        layer = torch.nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True)
        self.layers = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = torch.nn.Linear(width, WORDS.size)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.layers(self.token(ids) + self.place[: ids.shape[1]]))
        return logits


def random_record(generator: np.random.Generator) -> list[int]:
    tags = ",".join(['"x"', '"y"'][k] for k in generator.integers(0, 2, size=generator.integers(0, 12)))
    digits = "".join(map(str, generator.integers(1, 4, size=generator.integers(1, 5))))
    text = f'{{"id":{digits},"tags":[{tags}],"ok":{["true", "false"][generator.integers(2)]}}}'
    tokens = []
    while text:
        word = next(word for word in TEXTS if text.startswith(word))
        tokens.append(TEXTS.index(word))
        text = text[len(word) :]
    return [*tokens, STOP, *[PADDING] * (LENGTH - len(tokens) - 1)]


@cache
def trained() -> Network:
    """A few seconds of training on masked records: a denoiser that has the idea, and makes mistakes."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Network()
        generator = np.random.default_rng(0)
        optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
        for _ in range(150):
            records = torch.tensor([random_record(generator) for _ in range(32)])
            rates = torch.rand(len(records), 1).clamp(min=0.05)
            is_masked = torch.rand(records.shape) < rates
            logits = network(torch.where(is_masked, MASK, records))
            losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), records, reduction="none")
            loss = (losses * is_masked / rates).sum() / records.numel()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return network.eval()


def is_record(token_ids: Sequence[int]) -> bool:
    """Whether a canvas is a valid record, a stop token, and padding."""
    if STOP not in token_ids:
        return False
    end = list(token_ids).index(STOP)
    if any(token not in (STOP, PADDING) for token in token_ids[end:]) or any(
        token >= STOP for token in token_ids[:end]
    ):
        return False
    try:
        value = json.loads("".join(TEXTS[token] for token in token_ids[:end]))
    except ValueError:
        return False
    return bool(jsonschema.Draft202012Validator(SCHEMA).is_valid(value))


def unconstrained(network: Network, steps: int, seed: int) -> list[int]:
    """The same loop and schedule without the constraint: every position drawn alone."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.full((LENGTH,), MASK)
    for index in range(steps):
        open_positions = (tokens == MASK).nonzero()[:, 0]
        if not len(open_positions):
            break
        with torch.no_grad():
            law = network(tokens[None])[0, open_positions].softmax(dim=-1)
        law[:, MASK] = 0
        drawn = torch.multinomial(law, 1, generator=generator)
        confidence = law.gather(1, drawn)[:, 0]
        number = -(-len(open_positions) // (steps - index))
        kept = confidence.argsort(descending=True)[:number]
        tokens[open_positions[kept]] = drawn[kept, 0]
    return tokens.tolist()


@pytest.mark.parametrize("steps", [1, 6, 12, 48])
def test_a_trained_denoiser_writes_valid_records_in_any_number_of_steps(steps: int) -> None:
    rows = range(25)
    denoiser = WordDenoiser(trained())
    results = [diffuse(denoiser, schema=SCHEMA, length=LENGTH, steps=steps, seed=seed) for seed in rows]
    assert sum(jsonschema.Draft202012Validator(SCHEMA).is_valid(result.value) for result in results) == len(rows)
    assert all(result.stats.forward_passes == steps for result in results)
    assert len({result.text for result in results}) > 5
    assert is_record(random_record(np.random.default_rng(1)))
    alone = sum(is_record(unconstrained(trained(), steps, seed)) for seed in rows)
    assert alone < len(rows), "the control shows that validity is no property of the model"


@pytest.mark.parametrize("policy", [by_threshold(0.9), by_entropy(0.1), by_entropy(0.0), lambda step: []])
@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
def test_every_policy_writes_valid_records(policy: Any, temperature: float) -> None:
    result = diffuse(
        WordDenoiser(trained()), schema=SCHEMA, length=LENGTH, policy=policy, sampling=Sampling(temperature), seed=1
    )
    assert jsonschema.Draft202012Validator(SCHEMA).is_valid(result.value)
    assert result.stats.forward_passes <= LENGTH


# Scripted denoisers.


def wanting(*words: str | int, eagerness: float = 9.0) -> WordDenoiser:
    """Prefers words at their positions, after a prompt or not, by `eagerness` logits."""
    ids = [TEXTS.index(word) if isinstance(word, str) else word for word in words]

    def predict_with(tokens: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(*tokens.shape, WORDS.size, dtype=torch.float64)
        for position, token in enumerate(ids):
            logits[0, tokens.shape[1] - len(ids) + position, token] = eagerness
        return logits

    return WordDenoiser(predict_with)


def test_fixed_text_stays_and_fills_are_told() -> None:
    denoiser = wanting("[", '"x"', ",", '"y"', ",", "]")
    canvas: list[Any] = [TEXTS.index("["), Mask(1), TEXTS.index(","), Mask(2, least=1), TEXTS.index("]")]
    result = diffuse(denoiser, canvas=canvas, schema={"type": "array"}, sampling=Sampling(temperature=0))
    assert result.text == '["x","y"]'
    assert result.fills == ('"x"', '"y"')
    assert result.value == ["x", "y"]
    assert result.token_ids == (2, 8, 4, 9, PADDING, 3)
    assert [logprob == 0 for logprob in result.logprobs] == [True, False, True, False, False, True]
    assert result.finish_reason is FinishReason.STOP
    assert result.stats.tokens == result.stats.forward_passes == len(result.log_masses) == 3


def test_the_model_sees_the_prompt_and_masks_at_open_positions() -> None:
    denoiser = wanting("1", "2")
    result = diffuse(denoiser, "true ,", regex="12", length=2, steps=2, seed=3)
    assert result.text == "12"
    assert denoiser.seen[0] == [14, 4, MASK, MASK]
    assert denoiser.seen[1] in ([14, 4, 11, MASK], [14, 4, MASK, 12])
    chat = wanting("1")
    diffuse(chat, [{"role": "user", "content": "false"}], regex="1", length=1)
    assert chat.seen == [[15, MASK]]


def test_without_a_constraint_the_document_is_any_text() -> None:
    result = diffuse(wanting("]", "]", "}", STOP), length=4, sampling=Sampling(temperature=0))
    assert (result.text, result.value) == ("]]}", "]]}")


def test_one_step_is_the_model_s_law_under_the_constraint() -> None:
    """Of the regex 1|2|33 in two slots, with known odds."""
    denoiser = wanting("1", STOP, eagerness=math.log(3))
    seen = [diffuse(denoiser, regex="1|2|33", length=2, steps=1, seed=seed) for seed in range(600)]
    # Weights 3*3, 1*3, 1*1 (33) of 13.
    counts = [sum(result.text == text for result in seen) / 600 for text in ("1", "2", "33")]
    assert counts == pytest.approx([9 / 13, 3 / 13, 1 / 13], abs=0.06)
    total = (3 + WORDS.size - 1) ** 2
    assert seen[0].log_masses[0] == pytest.approx(math.log(13 / total))


def test_temperature() -> None:
    denoiser = wanting("1", eagerness=math.log(3))
    cold = [diffuse(denoiser, regex="1|2", length=1, sampling=Sampling(0.5), seed=seed).text for seed in range(400)]
    assert cold.count("1") / 400 == pytest.approx(0.9, abs=0.06)


def test_the_seed_repeats_a_result() -> None:
    denoiser = WordDenoiser(trained())
    fresh = diffuse(denoiser, schema=SCHEMA, length=LENGTH, steps=5)
    again = diffuse(denoiser, schema=SCHEMA, length=LENGTH, steps=5, seed=fresh.stats.seed)
    assert again.token_ids == fresh.token_ids
    assert again.logprobs == fresh.logprobs


def test_every_step_draws_anew() -> None:
    def last(steps: int) -> list[str]:
        """What the last of some steps proposes when none before keeps anything."""
        return [
            diffuse(
                wanting("1", eagerness=0.0), regex="[123]", length=1, steps=steps, policy=lambda step: [], seed=seed
            ).text
            for seed in range(20)
        ]

    assert last(1) != last(2)


def test_typed_values_and_their_validators() -> None:
    class Pair(BaseModel):
        id: int

        @field_validator("id")
        @classmethod
        def small(cls, number: int) -> int:
            if number > 2:
                raise ValueError("too large")
            return number

    words = ("{", '"id"', ":", "1", "}")
    good = diffuse(wanting(*words), schema=Pair, length=5, sampling=Sampling(0))
    assert good.value == Pair(id=1)
    bad = diffuse(wanting("{", '"id"', ":", "3", "}"), schema=Pair, length=5, sampling=Sampling(0))
    assert (bad.value, bad.finish_reason) == (None, FinishReason.REJECTED)
    assert bad.error is not None
    assert "too large" in bad.error


# Refusals.


def refused(**options: Any) -> Infilled:
    return diffuse(wanting("1"), **{"regex": "1", "length": 1, **options})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sampling": Sampling(top_k=3)}, UnsupportedFeature, "position by position"),
        ({"canvas": [Mask(1)]}, TypeError, "either canvas or length"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"prompt": 3}, TypeError, "prompt must be text"),
        ({"prompt": ["a", "b"]}, TypeError, "one prompt"),
        ({"prompt": "\udcff"}, ValueError, "the prompt has a lone surrogate"),
        ({"prompt": [{"content": "a"}]}, TypeError, "a chat message is"),
        ({"compiler": 3}, TypeError, "compiler must be a GrammarCompiler, not int"),
        ({"steps": 0}, ValueError, "steps is 0"),
        ({"schema": True}, TypeError, "at most one constraint"),
        ({"tokenizer": object()}, TypeError, "brings its own vocabulary"),
        ({"regex": "111", "length": 2}, UnsatisfiableSchema, "needs 3 tokens and the canvas has 2"),
        ({"compiler": GrammarCompiler(Vocabulary([b"1"], []))}, VocabularyMismatch, "another vocabulary"),
        ({"length": 2, "steps": 2, "policy": lambda step: [7]}, ValueError, "open are"),
    ],
)
def test_what_is_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        refused(**options)


def test_bad_logits_are_told() -> None:
    def nothing_valid(ids: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(*ids.shape, WORDS.size)
        logits[..., TEXTS.index("1")] = -math.inf
        return logits

    for predict_with in (lambda ids: torch.full((*ids.shape, WORDS.size), math.nan), nothing_valid):
        with pytest.raises(InvalidLogits):
            diffuse(WordDenoiser(predict_with), regex="1", length=1)


def test_the_context_must_hold_prompt_and_canvas() -> None:
    denoiser = wanting("1")
    denoiser.context_length = 3
    with pytest.raises(ModelError, match="more than the 3"):
        diffuse(denoiser, "1 1 1", regex="1", length=1)


# Policies.


def step_of(confidences: list[float], entropies: list[float], index: int = 0, count: int = 3) -> Step:
    positions = np.arange(10, 10 + len(confidences))
    return Step(index, count, positions, np.array(confidences), np.array(entropies))


def test_policies_choose_as_they_say() -> None:
    step = step_of([0.5, 0.95, 0.9, 0.2], [0.6, 0.05, 0.08, 1.2])
    assert list(by_schedule(step)) == [11, 12]
    assert list(by_schedule(step_of([0.1, 0.2], [1, 1], index=2))) == [11, 10]
    assert list(by_threshold(0.9)(step)) == [11, 12]
    assert list(by_threshold(1.0)(step)) == [11]
    # 0.05, then 0.05 + 0.08 - 0.08, then 0.13 (without the largest, 0.6) is above 0.1.
    assert list(by_entropy(0.1)(step)) == [11, 12]
    assert list(by_entropy(0.13 + 1e-12)(step)) == [11, 12, 10]
    assert list(by_entropy(0.0)(step)) == [11]


@pytest.mark.parametrize("make", [lambda: by_threshold(1.5), lambda: by_entropy(-1.0), lambda: by_entropy(math.nan)])
def test_policies_check_their_numbers(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        make()


# Transformers.


@cache
def byte_tokenizer() -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    specials = ["<s>", "</s>", "<pad>", "<mask>"]
    tokenizer = Tokenizer(models.BPE({text: k for k, text in enumerate([*specials, *alphabet])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", mask_token="<mask>"
    )


@cache
def tiny_bert() -> Any:
    config = BertConfig(
        vocab_size=len(byte_tokenizer()),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BertForMaskedLM(config).eval()


def test_a_masked_language_model_of_transformers() -> None:
    schema = {"type": "object", "properties": {"n": {"enum": [1, 22]}}, "required": ["n"]}
    results = [
        diffuse(tiny_bert(), "two: ", schema=schema, tokenizer=byte_tokenizer(), length=20, steps=3, seed=seed)
        for seed in range(4)
    ]
    assert all(jsonschema.Draft202012Validator(schema).is_valid(result.value) for result in results)
    canvas = diffuse(tiny_bert(), canvas=["[1,", Mask(3, least=1), "]"], regex=r"\[1,\d+\]", tokenizer=byte_tokenizer())
    assert canvas.text == f"[1,{canvas.fills[0]}]"
    with pytest.raises(ModelError, match="64 that the model reads"):
        diffuse(tiny_bert(), regex="a*", tokenizer=byte_tokenizer(), length=65)


def test_any_callable_with_a_tokenizer() -> None:
    size = len(byte_tokenizer())
    result = diffuse(
        lambda ids: torch.zeros(*ids.shape, size), choices=["yes", "no"], tokenizer=byte_tokenizer(), length=4
    )
    assert result.value in ("yes", "no")
    with pytest.raises(VocabularyMismatch, match="shape"):
        diffuse(lambda ids: torch.zeros(*ids.shape, 3), choices=["a"], tokenizer=byte_tokenizer(), length=4)


def test_what_is_no_denoiser() -> None:
    with pytest.raises(TypeError, match="model is a str"):
        diffuse("demo", regex="a")
    with pytest.raises(TypeError, match="tokenizer="):
        diffuse(lambda ids: ids, regex="a")
    without_mask = PreTrainedTokenizerFast(tokenizer_object=byte_tokenizer().backend_tokenizer, eos_token="</s>")
    with pytest.raises(ModelError, match="mask token"):
        diffuse(lambda ids: ids, regex="a", tokenizer=without_mask)
