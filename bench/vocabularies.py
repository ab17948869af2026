"""The vocabularies that masks are measured on: real tokenizers that come with packages of the `bench` extra.

For curves over the vocabulary's size there is tekken in other sizes: cut to its most frequent tokens, or with words
added that are made of two of them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.errors import CannotMeasure
from tokamask.masking.vocabulary import Vocabulary

__all__ = ["VOCABULARIES", "NamedVocabulary", "joined_words", "load_vocabulary"]


@dataclass(frozen=True)
class NamedVocabulary:
    """A tokenizer, which engines read in their own ways.

    Attributes:
        tokenizer: mistral_common's Tekkenizer, or a `tokenizers.Tokenizer`.
        size: how many token ids the model has.
    """

    name: str
    tokenizer: Any
    size: int
    stop_token_ids: tuple[int, ...]

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The tokenizer as tokamask reads it."""
        return Vocabulary.from_tokenizer(self.tokenizer, self.size, self.stop_token_ids)


def load_vocabulary(name: str) -> NamedVocabulary:
    """One of VOCABULARIES.

    Raises:
        CannotMeasure: the package that it comes with is not installed.
    """
    return VOCABULARIES[name]()


def _tekken() -> NamedVocabulary:
    """Mistral's tekken of September 2024: 131,072 tokens, byte-level."""
    path = _tekken_file()
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    tokenizer = Tekkenizer.from_file(path)
    return NamedVocabulary("tekken", tokenizer, tokenizer.n_words, (tokenizer.eos_id,))


def _tekken_file() -> Path:
    if find_spec("mistral_common") is None:
        raise CannotMeasure("the vocabulary tekken comes with mistral_common; install it: pip install -e '.[bench]'")
    import mistral_common

    return Path(mistral_common.__file__).parent / "data" / "tekken_240911.json"


def _resized_tekken(name: str, size: int) -> NamedVocabulary:
    """tekken with another number of tokens, special ones included; still a tokenizer, and every byte a token."""
    path = _tekken_file()
    from mistral_common.tokens.tokenizers.base import TokenizerVersion
    from mistral_common.tokens.tokenizers.tekken import SpecialTokenInfo, Tekkenizer, TokenInfo

    file = json.loads(path.read_text(encoding="utf-8"))
    special = file["config"]["default_num_special_tokens"]
    words = [base64.b64decode(token["token_bytes"]) for token in file["vocab"]]
    words = words[: size - special]
    words += joined_words(words, size - special - len(words))
    tokenizer = Tekkenizer(
        [
            TokenInfo(rank=rank, token_bytes=base64.b64encode(word).decode(), token_str=None)
            for rank, word in enumerate(words)
        ],
        [SpecialTokenInfo(**token) for token in Tekkenizer.DEPRECATED_SPECIAL_TOKENS],
        pattern=file["config"]["pattern"],
        vocab_size=size,
        num_special_tokens=special,
        version=TokenizerVersion(file["config"]["version"]),
    )
    return NamedVocabulary(name, tokenizer, size, (tokenizer.eos_id,))


def joined_words(words: Sequence[bytes], count: int) -> list[bytes]:
    """`count` words that are not among `words`, each made of two frequent ones as byte-pair encoding would."""
    known = set(words)
    joined: list[bytes] = []
    for word in _pairs(words):
        if len(joined) == count:
            break
        if word not in known:
            known.add(word)
            joined.append(word)
    return joined


def _pairs(words: Sequence[bytes]) -> Iterator[bytes]:
    """Pairs of words in ASCII letters, the frequent ones first; the first of a pair may begin with a blank."""
    firsts = [word for word in words if word.strip(b" ").isalpha()]
    seconds = [word for word in words if word.isalpha()]
    for reach in range(len(firsts) + len(seconds)):
        for at in range(max(0, reach - len(seconds) + 1), min(reach + 1, len(firsts))):
            yield firsts[at] + seconds[reach - at]


def _smollm2() -> NamedVocabulary:
    """The demo model's: 49,152 tokens, byte-level; fetched with the model on first use."""
    from tokenizers import Tokenizer

    from tokamask.runtime.demo import fetch_demo

    # Not through transformers, which would load torch into every engine's process.
    tokenizer = Tokenizer.from_file(str(fetch_demo() / "tokenizer.json"))
    end = tokenizer.token_to_id("<|im_end|>")
    assert end is not None, "it is in the tokenizer"
    return NamedVocabulary("smollm2", tokenizer, 49_152, (end,))


VOCABULARIES: dict[str, Callable[[], NamedVocabulary]] = {
    "tekken": _tekken,
    "smollm2": _smollm2,
    "tekken-32k": partial(_resized_tekken, "tekken-32k", 1 << 15),
    "tekken-64k": partial(_resized_tekken, "tekken-64k", 1 << 16),
    "tekken-256k": partial(_resized_tekken, "tekken-256k", 1 << 18),
}
