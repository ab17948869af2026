"""The logits processor against a small stand-in of llama-cpp-python; `make test-llamacpp` runs the real one."""

from __future__ import annotations

import ctypes
import json
import re
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import jsonschema
import numpy as np
import numpy.typing as npt
import pytest

from tokamask.errors import BudgetTooSmall, GrammarError, TokenRejected, VocabularyMismatch
from tokamask.grammar.grammar import Grammar
from tokamask.integrations.llama_cpp import GrammarLogitsProcessor, read_vocabulary
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.vocabulary import Vocabulary

LONG = b" and so on, and so forth, until the very end of the sentence"
PIECES = [*(bytes([byte]) for byte in range(256)), b'{"', b'": ', b"12", b"true", b"ab", LONG, b"", b"", b"ab"]
END, TURN = 262, 263
POINT = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 99}, "minItems": 2, "maxItems": 3}
PROMPT = list(b"say: ")


def llama_token_to_piece(vocab: Any, token: int, buffer: Any, length: int, lstrip: int, special: bool) -> int:
    """As in C: the number of bytes written, or, negative, the number that would be."""
    assert not special
    piece: bytes = vocab[token]
    if len(piece) > length:
        return -len(piece)
    ctypes.memmove(buffer, piece, len(piece))
    return len(piece)


@pytest.fixture(scope="module", autouse=True)
def llama_cpp() -> Iterator[None]:
    module = ModuleType("llama_cpp")
    vars(module).update(
        llama_model_get_vocab=lambda model: model,
        llama_vocab_n_tokens=len,
        llama_vocab_is_eog=lambda vocab, token: token in (END, TURN),
        llama_token_to_piece=llama_token_to_piece,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "llama_cpp", module)
        yield


class Llama:
    """A model that knows nothing. Calls its processor as llama-cpp-python does: a stop token is never shown."""

    def __init__(self) -> None:
        self.model = PIECES
        self.draft_model = None

    def complete(self, prompt: list[int], processor: Any, max_tokens: int = 40, seed: int = 0) -> tuple[list[int], str]:
        random = np.random.default_rng(seed)
        tokens: list[int] = []
        while len(tokens) < max_tokens:
            scores = random.standard_normal(len(PIECES)).astype(np.single)
            token = int(processor(np.array([*prompt, *tokens], dtype=np.intc), scores).argmax())
            if token in (END, TURN):
                return tokens, "stop"
            tokens.append(token)
        return tokens, "length"


@pytest.fixture(scope="module")
def llama() -> Llama:
    return Llama()


def spelled(tokens: list[int]) -> str:
    return b"".join(PIECES[token] for token in tokens).decode()


def test_the_vocabulary_is_what_llama_cpp_spells(llama: Llama) -> None:
    vocabulary = read_vocabulary(llama)
    assert vocabulary.token_bytes == tuple(piece or None for piece in PIECES)
    assert vocabulary.stop_token_ids == (END, TURN)


def test_a_model_without_a_vocabulary() -> None:
    with pytest.raises(VocabularyMismatch, match="no vocabulary"):
        read_vocabulary(SimpleNamespace(model=[]))


@pytest.mark.parametrize("max_tokens", [6, 7, 40])
def test_documents_end_within_max_tokens(llama: Llama, max_tokens: int) -> None:
    processor = GrammarLogitsProcessor.for_model(llama, schema=POINT, max_tokens=max_tokens)
    for seed in range(10):
        tokens, reason = llama.complete(PROMPT, processor, max_tokens, seed)
        assert reason == "stop"
        jsonschema.validate(json.loads(spelled(tokens)), POINT)


def test_the_other_constraints(llama: Llama) -> None:
    def text(**constraint: Any) -> str:
        tokens, reason = llama.complete(PROMPT, GrammarLogitsProcessor.for_model(llama, **constraint), seed=3)
        assert reason == "stop"
        return spelled(tokens)

    assert re.fullmatch("(ab){2}c?", text(regex="(ab){2}c?"))
    assert text(choices=["yes", "no"]) in ("yes", "no")
    assert text(grammar='start: "(" INNER ")"\nINNER: "a".."c"') in ("(a)", "(b)", "(c)")
    assert text(grammar=Grammar.from_choices(["only"])) == "only"


def test_scores_that_are_not_allowed_become_minus_infinity_and_nothing_else_changes(llama: Llama) -> None:
    processor = GrammarLogitsProcessor.for_model(llama, choices=["abc", "a"])
    scores = np.random.default_rng(0).standard_normal(len(PIECES)).astype(np.single)
    before = scores.copy()
    first = processor(np.array(PROMPT, dtype=np.intc), scores)
    assert (scores == before).all()
    assert first.dtype == np.single
    kept = np.flatnonzero(first > -np.inf).tolist()
    assert [PIECES[token] for token in kept] == [b"a", b"ab", b"ab"]
    assert (first[kept] == before[kept]).all()
    after_a = processor(np.array([*PROMPT, ord("a")], dtype=np.intc), scores)
    assert np.flatnonzero(after_a > -np.inf).tolist() == [ord("b"), END, TURN]


def allowed(processor: GrammarLogitsProcessor, ids: list[int]) -> list[int]:
    scores: npt.NDArray[np.single] = np.zeros(len(PIECES), dtype=np.single)
    return [int(token) for token in np.flatnonzero(processor(np.array(ids, dtype=np.intc), scores) == 0)]


def test_a_processor_can_be_used_again(llama: Llama) -> None:
    used = GrammarLogitsProcessor.for_model(llama, schema=POINT)
    first, _ = llama.complete(PROMPT, used, seed=1)
    prompts = [PROMPT, PROMPT[:-1], list(b"quite another"), [*PROMPT, *first, 10], [*PROMPT, *first, *b" and:"]]
    for prompt in prompts:
        fresh = GrammarLogitsProcessor.for_model(llama, schema=POINT)
        assert llama.complete(prompt, used, seed=2) == llama.complete(prompt, fresh, seed=2)
        assert used.error is None
        llama.complete(PROMPT, used, seed=1)


def test_a_document_that_was_cut_off_is_continued(llama: Llama) -> None:
    processor = GrammarLogitsProcessor.for_model(llama, regex="abcdef")
    a, b, c, d = b"abcd"
    assert allowed(processor, PROMPT) == [a, 260, 264]
    assert allowed(processor, [*PROMPT, a]) == [b]
    assert allowed(processor, [*PROMPT, a, b]) == [c]
    assert allowed(processor, [*PROMPT, a]) == [b], "back by one token"
    assert allowed(processor, [*PROMPT, 260]) == [c], "another spelling of the beginning"
    assert allowed(processor, [*PROMPT, 260, c]) == [d]
    assert allowed(processor, [*PROMPT, 260, c, d, ord("e")]) == [a, 260, 264], "two tokens at once: a new prompt"
    processor.reset()
    assert allowed(processor, [*PROMPT, a]) == [a, 260, 264], "after a reset, everything is a prompt"


def test_a_token_that_was_not_allowed_ends_the_completion_and_is_reported(
    llama: Llama, caplog: pytest.LogCaptureFixture
) -> None:
    """Something else had the last word, or an interrupt struck while llama.cpp was between two calls."""
    processor = GrammarLogitsProcessor.for_model(llama, regex="abc")
    allowed(processor, PROMPT)
    assert processor.error is None
    assert allowed(processor, [*PROMPT, ord("x")]) == [END, TURN]
    assert isinstance(processor.error, TokenRejected)
    assert "ended without a document" in caplog.text
    assert allowed(processor, PROMPT) == [ord("a"), 260, 264]
    assert processor.error is None, "the next completion begins anew"


def test_an_interrupt_is_not_forgotten(llama: Llama, monkeypatch: pytest.MonkeyPatch) -> None:
    processor = GrammarLogitsProcessor.for_model(llama, regex="abc")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(GrammarLogitsProcessor, "_allowed", interrupted)
    assert allowed(processor, PROMPT) == [END, TURN]
    assert isinstance(processor.error, KeyboardInterrupt)


def test_scores_of_another_model_end_the_completion(llama: Llama) -> None:
    processor = GrammarLogitsProcessor.for_model(llama, regex="abc")
    scores = processor(np.array(PROMPT, dtype=np.intc), np.zeros(END + 1, dtype=np.single))
    assert np.flatnonzero(scores == 0).tolist() == [END]
    assert isinstance(processor.error, VocabularyMismatch)


def test_a_completion_beyond_its_budget_goes_on_without_one(llama: Llama) -> None:
    processor = GrammarLogitsProcessor.for_model(llama, regex="a*b", max_tokens=3)
    a, b, ab, another_ab = ord("a"), ord("b"), 260, 264
    assert allowed(processor, PROMPT) == [a, b, ab, another_ab]
    assert allowed(processor, [*PROMPT, a]) == [b, ab, another_ab]
    assert allowed(processor, [*PROMPT, a, a]) == [a, b, ab, another_ab], "which the mask before did not allow"


def test_wrong_arguments(llama: Llama) -> None:
    with pytest.raises(TypeError, match="pass one of schema, regex, grammar and choices"):
        GrammarLogitsProcessor.for_model(llama)
    with pytest.raises(TypeError, match="at most one constraint"):
        GrammarLogitsProcessor.for_model(llama, regex="a", choices=["b"])
    with pytest.raises(GrammarError, match="'text'"):
        GrammarLogitsProcessor.for_model(llama, schema={"type": "text"})
    with pytest.raises(BudgetTooSmall) as caught:
        GrammarLogitsProcessor.for_model(llama, regex="xyz", max_tokens=3)
    assert caught.value.minimum == 4
    drafting = Llama()
    drafting.draft_model = object()  # type: ignore[assignment]
    with pytest.raises(ValueError, match="leave out draft_model"):
        GrammarLogitsProcessor.for_model(drafting, regex="a")
    endless = GrammarCompiler(Vocabulary([b"a"], [])).compile(Grammar.from_choices(["a"]))
    with pytest.raises(VocabularyMismatch, match="no stop token"):
        GrammarLogitsProcessor(endless)
