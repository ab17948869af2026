"""A transformers causal language model as a `Model`: encoding, left padding, positions, the KV cache."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from tokamask.errors import ModelError, VocabularyMismatch
from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime.model import Message
from tokamask.runtime.prompts import chat_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["TransformersModel", "transformers_vocabulary"]


def transformers_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Vocabulary:
    """The tokenizer's vocabulary, as wide as the model's logits and with the stop tokens of both."""
    head = model.get_output_embeddings()
    size = int(head.weight.shape[0]) if head is not None else int(model.config.get_text_config().vocab_size)
    stops = getattr(model.generation_config, "eos_token_id", None)
    return Vocabulary.from_tokenizer(
        tokenizer, size=size, stop_token_ids=() if stops is None else stops if isinstance(stops, list) else (stops,)
    )


class TransformersModel:
    """A `Model` on top of a loaded transformers model and its tokenizer."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, vocabulary: Vocabulary) -> None:
        if model.config.is_encoder_decoder:
            raise ModelError(
                f"{type(model).__name__} is an encoder-decoder model; generate() drives causal language models only"
            )
        self._model = model
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._accepted = frozenset(inspect.signature(model.forward).parameters)

    @property
    def transformers_model(self) -> PreTrainedModel:
        return self._model

    @property
    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    @property
    def context_length(self) -> int | None:
        length = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        return None if length is None else int(length)

    def encode_text(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text)["input_ids"]
        if ids:
            return ids
        # An empty text is still something to go on from for a model that marks where texts begin.
        first = self._tokenizer.bos_token_id
        if first is None:
            raise ModelError("the prompt has no tokens and the tokenizer has no token for the beginning of a text")
        return [int(first)]

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        return chat_tokens(self._tokenizer, messages)

    def new_context(self) -> TransformersContext:
        return TransformersContext(self._model, self._vocabulary.size, self._accepted)


class TransformersContext:
    """Rows in one KV cache, every chunk padded to the width of its longest row.

    The attention mask remembers which slots are padding, and positions count real tokens only, so a row reads the same
    numbers as if it were alone. A token that is taken back becomes padding, and padding that all rows have at their
    end leaves the cache.
    """

    def __init__(self, model: PreTrainedModel, vocabulary_size: int, accepted: frozenset[str]) -> None:
        self._model = model
        self._vocabulary_size = vocabulary_size
        self._accepted = accepted
        self._cache: Any = None
        self._is_padded = False
        self._slots = torch.zeros((0, 0), dtype=torch.int64)  # (rows, slots): 1 where a real token lies
        self._lengths = torch.zeros((0, 1), dtype=torch.int64)  # (rows, 1): real tokens read

    @property
    def can_crop(self) -> bool:
        """Whether every layer keeps the keys and values of all tokens, and positions need not be those of the slots.

        Sliding windows have let go of what they would need again, and recurrent states cannot be turned back.
        """
        from transformers.cache_utils import DynamicLayer

        layers = getattr(self._cache, "layers", ())
        keeps_all = bool(layers) and all(type(layer) is DynamicLayer for layer in layers)
        return keeps_all and "position_ids" in self._accepted

    @torch.inference_mode()
    def extend(self, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        # On the left, so that the last token of every row is in the last slot, the only one whose logits are wanted.
        width = max(map(len, tokens))
        logits = self._read(
            [[0] * (width - len(row)) + list(row) for row in tokens],
            [[0] * (width - len(row)) + [1] * len(row) for row in tokens],
            logits_to_keep=1,
        )
        return logits[:, -1, :]

    @torch.inference_mode()
    def extend_all(self, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        # On the right, so that the padding of a short row lies beside what the others will take back.
        width = max(map(len, tokens))
        logits = self._read(
            [list(row) + [0] * (width - len(row)) for row in tokens],
            [[1] * len(row) + [0] * (width - len(row)) for row in tokens],
            logits_to_keep=width,
        )
        if len(tokens) == 1:
            return logits[0]
        return torch.cat([logits[place, : len(row)] for place, row in enumerate(tokens)])

    def _read(self, chunk: list[list[int]], real: list[list[int]], logits_to_keep: int) -> torch.Tensor:
        """Read (rows, width) tokens, of which those with a 0 in `real` are padding; logits (rows, >= kept, V)."""
        device = self._model.device
        new_slots = torch.tensor(real, device=device)
        if self._cache is None:
            self._slots = torch.zeros((len(chunk), 0), dtype=torch.int64, device=device)
            self._lengths = torch.zeros((len(chunk), 1), dtype=torch.int64, device=device)
        self._is_padded = self._is_padded or not all(map(all, real))
        self._slots = torch.cat([self._slots, new_slots], dim=1)
        # Padding has the position of the token before it: any that the model knows will do.
        positions = (self._lengths + new_slots.cumsum(dim=1) - 1).clamp(min=0)
        self._lengths = self._lengths + new_slots.sum(dim=1, keepdim=True)

        arguments: dict[str, Any] = {
            "input_ids": torch.tensor(chunk, device=device),
            "past_key_values": self._cache,
            "use_cache": True,
        }
        if self._is_padded:  # without padding the model's causal default is the same, and cheaper
            arguments["attention_mask"] = self._slots
        if "position_ids" in self._accepted:
            arguments["position_ids"] = positions
        if "logits_to_keep" in self._accepted:
            arguments["logits_to_keep"] = logits_to_keep
        output = self._model(**arguments)
        self._cache = getattr(output, "past_key_values", None)
        if self._cache is None:
            raise ModelError(f"{type(self._model).__name__} returns no past_key_values; generate() needs its KV cache")
        logits: torch.Tensor = output.logits
        if logits.shape[-1] != self._vocabulary_size:
            raise VocabularyMismatch(
                f"the model returns {logits.shape[-1]} logits but the vocabulary has {self._vocabulary_size} tokens"
            )
        return logits

    @torch.inference_mode()
    def crop(self, counts: Sequence[int]) -> None:
        if not any(counts):
            return
        self._lengths = self._lengths - torch.tensor(counts, device=self._model.device)[:, None]
        self._slots = self._slots * (self._slots.cumsum(dim=1) <= self._lengths)
        used = int(self._slots.any(dim=0).nonzero()[-1]) + 1
        if used < self._slots.shape[1]:
            self._cache.crop(used - self._slots.shape[1])
            self._slots = self._slots[:, :used]
        self._is_padded = not bool(self._slots.all())

    @torch.inference_mode()
    def select(self, rows: Sequence[int]) -> None:
        index = torch.tensor(rows, device=self._model.device)
        self._cache.batch_select_indices(index)
        self._slots = self._slots[index]
        self._lengths = self._lengths[index]
