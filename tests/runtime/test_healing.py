"""Token healing against enumeration: every sequence that spells the lost bytes and then a document, and no other."""

from collections.abc import Sequence
from typing import cast

import pytest

from tests.runtime.finite_matcher import FiniteMatcher, all_spellings
from tests.runtime.tiny_models import tiny_llama, tiny_tokenizer
from tokamask.masking.matcher import Matcher
from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime.decode import Request, Row, decode
from tokamask.runtime.healing import Healing, lost_bytes
from tokamask.runtime.model_loader import load_model
from tokamask.runtime.prompts import Prompt, read_prompt
from tokamask.runtime.sampling import Sampling

WORDS = [b"a", b"b", b"c", b"ab", b"abc", b"bc", b"ca", b"abca", b"cab", None, b"a"]
VOCABULARY = Vocabulary(WORDS, stop_token_ids=[9])


def test_a_token_is_lost_only_when_a_longer_one_begins_with_it() -> None:
    vocabulary = Vocabulary([b"x", b"th", b"the", b"\n", b"th", None], stop_token_ids=[5])
    assert lost_bytes([0, 1], vocabulary) == b"th"
    assert lost_bytes([0, 4], vocabulary) == b"th"
    assert lost_bytes([0, 2], vocabulary) == b""
    assert lost_bytes([0, 3], vocabulary) == b""
    assert lost_bytes([0, 5], vocabulary) == b""  # a special token ends on a boundary
    assert lost_bytes([1], vocabulary) == b""  # something must be read


def walk(lost: bytes, texts: Sequence[bytes], budget: int) -> set[tuple[int, ...]]:
    """Every sequence that `Healing` and then the matcher allow, tokens inside the lost bytes included."""
    found = set()

    def go_on(path: tuple[int, ...]) -> None:
        matcher = FiniteMatcher(texts, VOCABULARY)
        healing, left = Healing(lost, VOCABULARY, cast(Matcher, matcher)), budget
        for token in path:
            if healing.is_over:
                matcher.accept_token(token)
                left -= 1
            elif healing.accept(token) is not None:
                left -= 1
        if matcher.is_terminated:
            found.add(path)
            return
        followed = len(found)
        for token in range(VOCABULARY.size):
            if not healing.is_over:
                allowed = bool(healing.allowed(left)[token])
                assert not allowed or healing.candidates()[token]
            else:
                allowed = matcher.is_allowed(token)
                if allowed:
                    after = matcher.fork()
                    after.accept_token(token)
                    allowed = after.min_tokens_left() <= left - 1
            if allowed:
                go_on((*path, token))
        assert len(found) > followed, f"nothing follows {path}: a dead end"

    go_on(())
    return found


@pytest.mark.parametrize("lost", [b"a", b"ab", b"c", b"b"])
@pytest.mark.parametrize("texts", [[b"c"], [b"bca", b"b"], [b"", b"abc"], [b"cab", b"a", b"caa"]])
@pytest.mark.parametrize("spare", [0, 1, 3])
def test_exactly_the_spellings_of_prompt_end_and_document_are_allowed(
    lost: bytes, texts: list[bytes], spare: int
) -> None:
    budget = FiniteMatcher(texts, VOCABULARY).min_tokens_left() + spare
    expected = set()
    for text in texts:
        for spelling in all_spellings(lost + text, VOCABULARY):
            lengths = [len(WORDS[token] or b"") for token in spelling]
            inside = sum(sum(lengths[: place + 1]) <= len(lost) for place in range(len(lengths)))
            if len(spelling) - inside + 1 <= budget:  # only what goes past the prompt's end counts
                expected.add((*spelling, 9))
    assert walk(lost, texts, budget) == expected


def test_a_token_that_reaches_far_past_the_end_is_allowed_by_what_follows_it() -> None:
    """Its own first byte alone would leave more to spell than the budget holds."""
    vocabulary = Vocabulary([b"a", b"w", b"x", b"y", b"wxy", b"awxy", None], stop_token_ids=[6])
    matcher = cast(Matcher, FiniteMatcher([b"wxy"], vocabulary))
    assert Healing(b"a", vocabulary, matcher).allowed(2).tolist() == [True, False, False, False, False, True, False]


def test_a_piece_after_which_the_rest_has_no_spelling_is_not_a_candidate() -> None:
    vocabulary = Vocabulary([b"x", b"xy", b"xyz", None], stop_token_ids=[3])  # no token begins with "y"
    healing = Healing(b"xy", vocabulary, None)
    assert healing.candidates().tolist() == [False, True, True, False]


def test_healed_text_does_not_repeat_the_prompt() -> None:
    model = load_model(tiny_llama(), tiny_tokenizer())
    prompt = read_prompt(model, "the sea and th")
    assert prompt.lost
    spelled = b"".join(model.vocabulary.token_bytes[token] or b"" for token in prompt.token_ids)
    assert spelled + prompt.lost == b"the sea and th"
    crossed = 0
    for seed in range(20):
        request = Request(prompt, model.vocabulary, None, 6, seed)
        row: Row
        for rows in decode(model, [request], Sampling()):
            row = rows[0]
        # What the output's tokens spell is the text, after what the first of them shares with the prompt.
        output = b"".join(model.vocabulary.token_bytes[token] or b"" for token in row.token_ids)
        assert output.endswith(bytes(row.text))
        shared = output[: len(output) - len(row.text)]
        assert prompt.lost.endswith(shared)
        crossed += bool(shared)
        assert len(row.token_ids) <= 6
    assert crossed > 0


def test_healing_keeps_the_smallest_budget() -> None:
    model = load_model(tiny_llama(), tiny_tokenizer())
    prompt = read_prompt(model, "the sea and th")
    for texts in ([b"e whale"], [b"ere is", b"en"], [b"", b"x"]):
        for seed in range(5):
            matcher = FiniteMatcher(texts, model.vocabulary)
            budget = matcher.min_tokens_left()
            request = Request(prompt, model.vocabulary, cast(Matcher, matcher), budget, seed)
            for rows in decode(model, [request], Sampling(temperature=2.0)):
                row = rows[0]
            assert bytes(row.text) in texts
            assert len(row.token_ids) <= budget


def test_a_prompt_is_the_same_when_its_end_needs_no_healing() -> None:
    model = load_model(tiny_llama(), tiny_tokenizer())
    assert read_prompt(model, "the sea and") == Prompt(tuple(model.encode_text("the sea and")))
    assert Prompt((1, 2)) == Prompt((1, 2), b"")
