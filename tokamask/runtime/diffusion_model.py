"""What denoising asks of a model: logits for every position of a text with masks in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import torch

from tokamask.errors import ModelError, VocabularyMismatch
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime.model import Message
from tokamask.runtime.prompts import chat_tokens

__all__ = ["Denoiser", "MaskedLanguageModel", "load_denoiser", "recent_compiler"]

RECENT_VOCABULARIES = 4
"""Vocabularies that are kept between calls, each with its tokenizer and its compiler."""


@runtime_checkable
class Denoiser(Protocol):
    """A bidirectional model together with its vocabulary.

    Attributes:
        vocabulary: its size is the width of the logits; its stop tokens end a document.
        mask_token_id: stands at open positions.
        padding_token_ids: may follow the stop token.
        context_length: how many tokens the model reads, prompt included; None without a limit.
    """

    @property
    def vocabulary(self) -> Vocabulary: ...

    @property
    def mask_token_id(self) -> int: ...

    @property
    def padding_token_ids(self) -> frozenset[int]: ...

    @property
    def context_length(self) -> int | None: ...

    def encode_text(self, text: str) -> list[int]:
        """The prompt's tokens, with whatever the model expects before a text."""
        ...

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a conversation up to where the assistant writes."""
        ...

    def predict(self, token_ids: Sequence[int]) -> torch.Tensor:
        """float (len(token_ids), V): the logits of what stands at each position."""
        ...


class MaskedLanguageModel:
    """A `Denoiser` on top of a callable that maps ids (1, T) to logits (1, T, V), and a transformers tokenizer.

    Args:
        model: a transformers model (`AutoModelForMaskedLM` and its like), or any callable that returns the logits or
            an object with `.logits`.
    """

    def __init__(self, model: Callable[[torch.Tensor], Any], tokenizer: Any, vocabulary: Vocabulary) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._config = getattr(model, "config", None)
        mask = getattr(tokenizer, "mask_token_id", None)
        mask = getattr(self._config, "mask_token_id", None) if mask is None else mask
        if mask is None:
            raise ModelError("neither the tokenizer nor the model's config has a mask token: diffuse() needs one")
        self._mask_token_id = int(mask)

    @property
    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    @property
    def mask_token_id(self) -> int:
        return self._mask_token_id

    @property
    def padding_token_ids(self) -> frozenset[int]:
        padding = getattr(self._tokenizer, "pad_token_id", None)
        return frozenset() if padding is None else frozenset([int(padding)])

    @property
    def context_length(self) -> int | None:
        length = getattr(self._config, "max_position_embeddings", None)
        return None if length is None else int(length)

    def encode_text(self, text: str) -> list[int]:
        ids: list[int] = list(self._tokenizer(text)["input_ids"])
        # Tokenizers of encoders close a text, but the canvas goes on from it.
        closing = {*self._vocabulary.stop_token_ids, getattr(self._tokenizer, "sep_token_id", None)}
        while ids and ids[-1] in closing:
            ids.pop()
        return ids

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        return chat_tokens(self._tokenizer, messages)

    @torch.inference_mode()
    def predict(self, token_ids: Sequence[int]) -> torch.Tensor:
        ids = torch.tensor([list(token_ids)], device=getattr(self._model, "device", None))
        output = self._model(ids)
        logits: torch.Tensor = getattr(output, "logits", output)
        expected = (1, len(token_ids), self._vocabulary.size)
        if tuple(logits.shape) != expected:
            raise VocabularyMismatch(f"the model returns logits of shape {tuple(logits.shape)}, expected {expected}")
        return logits[0]


def load_denoiser(model: Any, tokenizer: Any = None) -> Denoiser:
    """A `Denoiser` for what the user may pass.

    Args:
        model: a `Denoiser`, a loaded transformers model, or a callable from ids (1, T) to logits (1, T, V).
        tokenizer: of a model that is no `Denoiser`.

    Raises:
        ModelError: there is no mask token.
        TypeError: no model, or one without its tokenizer.
    """
    if isinstance(model, Denoiser):
        if tokenizer is not None:
            raise TypeError("this model brings its own vocabulary; tokenizer= belongs to other models")
        return model
    if not callable(model):
        raise TypeError(
            f"model is a {type(model).__name__}; pass a loaded model (as AutoModelForMaskedLM.from_pretrained gives), "
            "a callable from ids (1, T) to logits (1, T, V), or a Denoiser"
        )
    if tokenizer is None:
        raise TypeError("pass the model's tokenizer as tokenizer=")
    config, generation = getattr(model, "config", None), getattr(model, "generation_config", None)
    stops = getattr(generation, "eos_token_id", None)
    return MaskedLanguageModel(
        model,
        tokenizer,
        _vocabulary_of(
            tokenizer,
            getattr(config, "vocab_size", None),
            () if stops is None else tuple(stops) if isinstance(stops, list) else (stops,),
        ),
    )


@lru_cache(maxsize=RECENT_VOCABULARIES)
def recent_compiler(vocabulary: Vocabulary) -> GrammarCompiler:
    """The compiler that calls with this vocabulary share."""
    return GrammarCompiler(vocabulary)


@lru_cache(maxsize=RECENT_VOCABULARIES)
def _vocabulary_of(tokenizer: Any, size: int | None, stops: tuple[int, ...]) -> Vocabulary:
    return Vocabulary.from_tokenizer(tokenizer, size=size, stop_token_ids=stops)
