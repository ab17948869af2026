"""Where guesses come from: look-up against a search through all places, and forced bytes of a grammar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.runtime.bigram_model import PIECE_VOCABULARY, PIECES
from tokamask.grammar.grammar import Grammar
from tokamask.masking.bitmask import allocate_bitmask, bitmask_words, set_tokens
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime.drafts import (
    CANDIDATES,
    LONGEST_MATCH,
    MOST_COPIED,
    GrammarDrafter,
    Place,
    TextIndex,
    only_text,
)
from tokamask.runtime.prompts import Prompt

FEW_TOKENS = st.lists(st.integers(0, 2), max_size=60)


def search(tokens: Sequence[int], draft: Sequence[int]) -> list[tuple[list[int], int]]:
    """The definition: the latest places behind the same token, the longest match first, then the latest."""
    text = [*tokens, *draft]
    places = [place for place in range(1, len(tokens)) if tokens[place - 1] == text[-1]]
    found = []
    for place in reversed(places[-CANDIDATES:]):
        lengths = range(1, min(LONGEST_MATCH, place, len(text)) + 1)
        length = max(count for count in lengths if list(tokens[place - count : place]) == text[-count:])
        found.append((list(tokens[place : place + MOST_COPIED]), length))
    found.sort(key=lambda one: -one[1])  # stable: among equals the latest stays first
    return [one for rank, one in enumerate(found) if one[0][0] not in [other[0][0] for other in found[:rank]]]


def look_up(index: TextIndex, draft: Sequence[int] = ()) -> list[tuple[list[int], int]]:
    return [(list(tokens), matched) for tokens, matched in index.continuations(draft)]


@given(FEW_TOKENS, st.lists(st.integers(0, 2), max_size=10))
def test_a_look_up_finds_what_a_search_finds(tokens: list[int], draft: list[int]) -> None:
    assert look_up(TextIndex(tokens), draft) == search(tokens, draft)


@given(FEW_TOKENS, FEW_TOKENS)
def test_a_copy_goes_its_own_way(tokens: list[int], more: list[int]) -> None:
    index = TextIndex(tokens)
    copy = index.copy()
    for token in more:
        copy.append(token)
    assert look_up(copy) == look_up(TextIndex([*tokens, *more]))
    assert look_up(index) == look_up(TextIndex(tokens))


def test_the_longest_match_comes_first_and_then_the_latest() -> None:
    assert look_up(TextIndex([1, 2, 3, 7, 9, 2, 3, 8, 1, 2, 3])) == [
        ([7, 9, 2, 3, 8, 1, 2, 3], 3),
        ([8, 1, 2, 3], 2),
    ]
    assert [tokens[0] for tokens, _ in look_up(TextIndex([1, 3, 7, 1, 3, 8, 1, 3]))] == [8, 7]
    assert look_up(TextIndex([1, 2, 3, 7, 8]), [9, 2, 3]) == [([7, 8], 2)]
    assert look_up(TextIndex([1, 2, 3])) == look_up(TextIndex()) == []


def text(tokens: Sequence[int]) -> str:
    return "".join(PIECES[token] for token in tokens)


def place(pattern: str, begin: str = "", draft: str = "") -> Place:
    """Behind `begin` and a draft, in a text of a pattern."""
    one = GrammarCompiler(PIECE_VOCABULARY).compile(Grammar.from_regex(pattern)).matcher()
    one.accept_bytes((begin + draft).encode())
    bitmask = allocate_bitmask(1, PIECE_VOCABULARY.size)
    one.fill_bitmask(bitmask, 0)
    return Place(PIECE_VOCABULARY.encode(draft.encode()), one, bitmask[0])


def drafter_for(prompt: str) -> GrammarDrafter:
    return GrammarDrafter(Prompt(tuple(PIECE_VOCABULARY.encode(prompt.encode()))), PIECE_VOCABULARY)


def free(draft: str = "") -> Place:
    return Place(PIECE_VOCABULARY.encode(draft.encode()), None, None)


def test_forced_tokens_come_before_copied_ones_and_these_before_the_only_ones() -> None:
    forced, copied = drafter_for("xyab(xyab").guesses(place("a then the end|a then there", begin="a"))
    assert (text(forced.tokens), forced.kind) == (" then the", "forced")
    assert (text(copied.tokens), copied.kind) == ("(xyab", "copied after 2")
    copied, only = drafter_for("xyab(xyab").guesses(place("(ab|abc)x"))
    assert (text(copied.tokens), copied.kind) == ("(xyab", "copied after 2")
    assert (text(only.tokens), only.kind) == ("abc", "only")


def test_guesses_go_on_from_the_draft_and_from_what_was_written() -> None:
    drafter = drafter_for("xy01then")
    assert list(drafter.guesses(free())) == []
    (guess,) = drafter.guesses(free("xy0"))
    assert (text(guess.tokens), guess.kind) == ("1then", "copied after 2")
    for token in PIECE_VOCABULARY.encode(b"(01"):
        drafter.observe(token)
    guess, *_ = drafter.guesses(free())
    assert text(guess.tokens) == "then(01"


def test_drafters_of_one_prompt_do_not_disturb_each_other() -> None:
    first, second = drafter_for("xy01"), drafter_for("xy01")
    for token in PIECE_VOCABULARY.encode(b"thenabthen"):
        first.observe(token)
    assert list(second.guesses(free("abthen"))) == []


@pytest.mark.parametrize(
    ("pattern", "begin", "expected"),
    [
        ("then", "", "then"),  # "t", "th" and "the" begin it
        ("then", "t", "h"),
        ("then|thexy", "", "then"),  # what leads elsewhere begins it too
        ("(ab|abc)x", "", "abc"),  # "a" and "ab" begin it
        ("ab|x", "", None),
        ("ab| +x", "", "ab"),  # indentation is not looked at
        (" +", "", None),
        ("[a-z]", "", None),
        ("(a|b)?", "a", None),  # nothing but the end
    ],
)
def test_the_only_text_is_what_all_tokens_begin(pattern: str, begin: str, expected: str | None) -> None:
    mask = place(pattern, begin).mask
    assert mask is not None
    token = only_text(mask, PIECE_VOCABULARY)
    assert (None if token is None else PIECES[token]) == expected


def test_escapes_are_not_the_only_text_and_many_tokens_are_none() -> None:
    texts = [b"ab", b"a", b"\\u00", b"\\", *(b"ab%d" % n for n in range(5000))]
    vocabulary = Vocabulary(texts, stop_token_ids=[])

    def mask(*tokens: int) -> npt.NDArray[np.int32]:
        row = np.zeros(bitmask_words(vocabulary.size), dtype=np.int32)
        set_tokens(row, tokens)
        return row

    assert only_text(mask(0, 1, 2, 3), vocabulary) == 0
    assert only_text(mask(2, 3), vocabulary) is None
    assert only_text(mask(0, 1, 31 + 4, 4), vocabulary) is None
    assert only_text(mask(0, 1, 31), vocabulary) == 31  # the sign bit of its word
    assert only_text(mask(*range(5004)), vocabulary) is None
