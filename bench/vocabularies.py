"""The vocabularies that masks are measured on: real tokenizers that come with packages of the `bench` extra."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.errors import CannotMeasure
from tokamask.masking.vocabulary import Vocabulary

__all__ = ["VOCABULARIES", "NamedVocabulary", "load_vocabulary"]


@dataclass(frozen=True)
class NamedVocabulary:
    """A vocabulary and the tokenizer it was read from, which peers read in their own ways.

    Attributes:
        tokenizer: mistral_common's Tekkenizer, or a `tokenizers.Tokenizer`.
    """

    name: str
    vocabulary: Vocabulary
    tokenizer: Any


def load_vocabulary(name: str) -> NamedVocabulary:
    """One of VOCABULARIES.

    Raises:
        CannotMeasure: the package that it comes with is not installed.
    """
    return VOCABULARIES[name]()


def _tekken() -> NamedVocabulary:
    """Mistral's tekken of September 2024: 131,072 tokens, byte-level."""
    if find_spec("mistral_common") is None:
        raise CannotMeasure("the vocabulary tekken comes with mistral_common; install it: pip install -e '.[bench]'")
    import mistral_common
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    path = Path(mistral_common.__file__).parent / "data" / "tekken_240911.json"
    tokenizer = Tekkenizer.from_file(path)
    return NamedVocabulary("tekken", Vocabulary.from_tokenizer(tokenizer), tokenizer)


def _smollm2() -> NamedVocabulary:
    """The demo model's: 49,152 tokens, byte-level; fetched with the model on first use."""
    from tokenizers import Tokenizer

    from tokamask.runtime.demo import fetch_demo

    # Not through transformers, which would load torch into every engine's process.
    tokenizer = Tokenizer.from_file(str(fetch_demo() / "tokenizer.json"))
    end = tokenizer.token_to_id("<|im_end|>")
    assert end is not None, "it is in the tokenizer"
    return NamedVocabulary("smollm2", Vocabulary.from_tokenizer(tokenizer, 49_152, [end]), tokenizer)


VOCABULARIES: dict[str, Callable[[], NamedVocabulary]] = {"tekken": _tekken, "smollm2": _smollm2}
