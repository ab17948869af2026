"""The KV cache, left padding and positions: a row reads the same numbers as without any of them."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    MistralConfig,
    MistralForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from tests.runtime.tiny_models import PADDING, tiny_llama, tiny_tokenizer
from tokamask.errors import ModelError, VocabularyMismatch
from tokamask.runtime.model import CroppableContext
from tokamask.runtime.model_loader import load_model
from tokamask.runtime.transformers_model import TransformersContext, TransformersModel


def tiny_gpt2() -> Any:
    """Learned positions."""
    config = GPT2Config(vocab_size=len(tiny_tokenizer()), n_positions=64, n_embd=32, n_layer=2, n_head=4)
    config.bos_token_id = config.eos_token_id = tiny_tokenizer().eos_token_id
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return GPT2LMHeadModel(config).double().eval()


def tiny_mistral() -> Any:
    """A sliding window shorter than the prompts."""
    config = MistralConfig(
        vocab_size=len(tiny_tokenizer()),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=4,
        initializer_range=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return MistralForCausalLM(config).double().eval()


@pytest.mark.parametrize("make", [tiny_llama, tiny_gpt2, tiny_mistral])
def test_logits_are_those_without_cache_and_padding(make: Callable[[], Any]) -> None:
    plain = make()
    model = load_model(plain, tiny_tokenizer())

    def expected(rows: Sequence[Sequence[int]]) -> torch.Tensor:
        with torch.no_grad():
            return torch.stack([plain(input_ids=torch.tensor([list(row)])).logits[0, -1] for row in rows])

    def same(logits: torch.Tensor, rows: Sequence[Sequence[int]]) -> bool:
        return torch.allclose(logits, expected(rows), atol=1e-9)

    rows = [[5, 6, 7, 8, 9, 10, 11], [20], [30, 31, 32]]
    context = model.new_context()
    assert same(context.extend(rows), rows)
    rows = [[*row, 40 + place] for place, row in enumerate(rows)]
    assert same(context.extend([row[-1:] for row in rows]), rows)
    rows = [rows[2], rows[0], rows[2]]  # reordered, one left out, one twice
    context.select([2, 0, 2])
    rows = [[*row, 50 + place] for place, row in enumerate(rows)]
    assert same(context.extend([row[-1:] for row in rows]), rows)
    rows = [rows[1]]
    context.select([1])
    rows = [[*rows[0], 60, 61, 62]]  # several tokens at once
    assert same(context.extend([rows[0][-3:]]), rows)


@pytest.mark.parametrize("make", [tiny_llama, tiny_gpt2])
@pytest.mark.parametrize("rows_at_first", [1, 3])
def test_what_is_taken_back_leaves_no_trace(make: Callable[[], Any], rows_at_first: int) -> None:
    """Random reading, taking back and leaving: all logits are those of a pass without a cache."""
    plain = make()
    model = load_model(plain, tiny_tokenizer())
    randomness = random.Random(rows_at_first)

    def words(low: int, high: int) -> list[int]:
        return [randomness.randrange(2, 300) for _ in range(randomness.randint(low, high))]

    def check(logits: torch.Tensor, prefixes: Sequence[Sequence[int]]) -> None:
        with torch.no_grad():
            expected = [plain(input_ids=torch.tensor([list(row)])).logits[0, -1] for row in prefixes]
        assert torch.allclose(logits, torch.stack(expected), atol=1e-9)

    for _ in range(8):
        rows = [words(1, 6) for _ in range(rows_at_first)]
        context = model.new_context()
        assert isinstance(context, CroppableContext)
        check(context.extend(rows), rows)
        assert context.can_crop
        for _ in range(6):
            new = [words(1, 5) for _ in rows]
            if randomness.random() < 0.3:
                rows = [[*row, *more] for row, more in zip(rows, new, strict=True)]
                check(context.extend(new), rows)
            else:
                prefixes = [
                    [*row, *more[: count + 1]]
                    for row, more in zip(rows, new, strict=True)
                    for count in range(len(more))
                ]
                rows = [[*row, *more] for row, more in zip(rows, new, strict=True)]
                check(context.extend_all(new), prefixes)
            counts = [randomness.randint(0, min(6, len(row) - 1)) for row in rows]
            rows = [row[: len(row) - count] for row, count in zip(rows, counts, strict=True)]
            context.crop(counts)
            if randomness.random() < 0.3:
                kept = randomness.choices(range(len(rows)), k=randomness.randint(1, len(rows)))
                rows = [list(rows[row]) for row in kept]
                context.select(kept)


def test_slots_that_no_row_needs_leave_the_cache() -> None:
    context = load_model(tiny_llama(), tiny_tokenizer()).new_context()
    assert isinstance(context, TransformersContext)
    context.extend([[3, 4, 5], [6]])
    context.extend_all([[7, 8, 9, 10], [11]])
    context.crop([3, 0])
    assert context._cache.get_seq_length() == 4  # the first row's 3, and one more of both
    context.extend_all([[7, 8, 9, 10], [11, 12]])
    context.crop([3, 1])
    assert context._cache.get_seq_length() == 5


def test_a_row_alone_is_read_without_padding() -> None:
    """Then the model needs no mask, and reads what it would without any draft."""
    context = load_model(tiny_llama(), tiny_tokenizer()).new_context()
    assert isinstance(context, TransformersContext)
    context.extend([[3, 4, 5]])
    context.extend_all([[7, 8, 9]])
    context.crop([2])
    assert not context._is_padded
    assert context._cache.get_seq_length() == 4


def test_windows_cannot_be_taken_back() -> None:
    context = load_model(tiny_mistral(), tiny_tokenizer()).new_context()
    assert isinstance(context, CroppableContext)
    context.extend([[3, 4, 5, 6, 7, 8]])
    assert not context.can_crop


def test_the_vocabulary_is_as_wide_as_the_logits_and_knows_all_stop_tokens() -> None:
    plain = tiny_llama()
    model = load_model(plain, tiny_tokenizer())
    assert model.vocabulary.size == len(tiny_tokenizer()) + PADDING == plain.config.vocab_size
    assert model.vocabulary.stop_token_ids == (tiny_tokenizer().eos_token_id,)
    assert model.context_length == 256

    several = tiny_gpt2()
    several.generation_config.eos_token_id = [7, 9]
    assert load_model(several, tiny_tokenizer()).vocabulary.stop_token_ids == (tiny_tokenizer().eos_token_id, 7, 9)


def test_what_is_known_of_a_model_is_kept_while_it_lives() -> None:
    first, second = (load_model(tiny_llama(), tiny_tokenizer()) for _ in range(2))
    assert first.vocabulary is second.vocabulary


def test_encoder_decoder_models_are_refused() -> None:
    config = T5Config(
        vocab_size=len(tiny_tokenizer()),
        d_model=16,
        d_kv=4,
        d_ff=16,
        num_layers=1,
        num_heads=4,
        pad_token_id=0,
    )
    with pytest.raises(ModelError, match="encoder-decoder"):
        load_model(T5ForConditionalGeneration(config), tiny_tokenizer())


def test_logits_of_another_width_are_refused() -> None:
    model = load_model(tiny_llama(), tiny_tokenizer())
    assert isinstance(model, TransformersModel)
    narrow = TransformersModel(tiny_gpt2(), tiny_tokenizer(), model.vocabulary)
    with pytest.raises(VocabularyMismatch, match="logits"):
        narrow.new_context().extend([[1]])


@pytest.mark.parametrize("path", ["/no/such/model", "./nothing", "~/nothing-here", "missing.gguf"])
def test_a_path_with_nothing_there_is_named(path: str) -> None:
    with pytest.raises(ModelError, match="no such file") as caught:
        load_model(path)
    assert path in str(caught.value)


def test_a_folder_without_a_model_is_refused(tmp_path: object) -> None:
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_model(str(tmp_path))


def test_a_saved_model_is_loaded_by_its_path(tmp_path: object) -> None:
    tiny_llama().save_pretrained(str(tmp_path))
    tiny_tokenizer().save_pretrained(str(tmp_path))
    model = load_model(str(tmp_path))
    expected = load_model(tiny_llama(), tiny_tokenizer())
    assert model.vocabulary.token_bytes == expected.vocabulary.token_bytes
    assert torch.equal(model.new_context().extend([[3, 4]]), expected.new_context().extend([[3, 4]]))


def test_things_that_are_no_models_are_refused() -> None:
    with pytest.raises(ModelError, match="int"):
        load_model(7)
    model = load_model(tiny_llama(), tiny_tokenizer())
    assert load_model(model) is model
    with pytest.raises(TypeError, match="its own vocabulary"):
        load_model(model, tiny_tokenizer())
