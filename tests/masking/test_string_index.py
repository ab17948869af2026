"""Strings that may not come again, many of them, asked about from several places of different arrays by turns."""

from __future__ import annotations

import json
import random
from itertools import product
from pathlib import Path

import pytest

from tests.masking.laws import mask_of
from tokamask.grammar.grammar import Grammar
from tokamask.grammar.string_index import FEW_ITEMS
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.matcher import Matcher
from tokamask.masking.vocabulary import Vocabulary

# Many begin with others, and all beginnings of some are strings themselves.
WORDS = ["".join(letters) for length in range(4) for letters in product("abc", repeat=length)]
BYTES = Vocabulary([*(bytes([byte]) for byte in range(256)), None], stop_token_ids=[256])


def expected(items: list[str], prefix: str | None) -> set[str]:
    """What may follow `items` and, inside a string, its letters so far (None: between a string and what follows)."""
    unused = set(WORDS) - set(items)
    if prefix is None:
        return {"]"} | ({","} if unused else set())
    follows = {word[len(prefix)] for word in unused if word.startswith(prefix) and word != prefix}
    return follows | ({'"'} if prefix in unused else set())


def allowed(matcher: Matcher) -> set[str]:
    return {chr(token) for token in mask_of(matcher) if token < 256}


@pytest.mark.parametrize("seed", range(3))
def test_strings_are_told_apart_in_arrays_that_grow_by_turns(seed: int, tmp_path: Path) -> None:
    schema = {"type": "array", "uniqueItems": True, "items": {"enum": WORDS}}
    grammar = Grammar.from_json_schema(schema, whitespace="none", escapes="minimal")
    compiled = GrammarCompiler(BYTES, tmp_path).compile(grammar)
    assert len(WORDS) > 3 * FEW_ITEMS
    draw = random.Random(seed)
    first = compiled.matcher()
    first.accept_bytes(b"[")
    writers: list[tuple[Matcher, list[str]]] = [(first, [])]
    for _ in range(60):
        matcher, items = draw.choice(writers)
        if len(writers) < 4 and draw.random() < 0.2:
            matcher, items = matcher.fork(), list(items)
            writers.append((matcher, items))
        unused = sorted(set(WORDS) - set(items))
        if not unused:
            continue
        word = draw.choice(unused)
        matcher.accept_bytes(b',"' if items else b'"')
        for end in range(len(word) + 1):
            assert allowed(matcher) == expected(items, word[:end])
            matcher.accept_bytes((word + '"')[end].encode())
        items.append(word)
        assert allowed(matcher) == expected(items, None)
    assert max(len(items) for _, items in writers) > 2 * FEW_ITEMS
    for matcher, items in writers:
        matcher.accept_bytes(b"]")
        assert matcher.is_accepting
        assert grammar.check(json.dumps(items, separators=(",", ":"))).ok


@pytest.mark.parametrize("missing", range(0, 11, 5))
def test_strings_of_other_places_use_up_none_of_the_listed_ones(missing: int) -> None:
    words = [f"ab{letter}" for letter in "cdefghijklm"]
    schema = {
        "type": "array",
        "uniqueItems": True,
        "prefixItems": [{"const": "a"}],
        "items": {"enum": words},
    }
    grammar = Grammar.from_json_schema(schema, whitespace="none", escapes="minimal")
    last = words.pop(missing)
    text = json.dumps(["a", *words, last], separators=(",", ":"))
    assert grammar.check(text).ok
    assert not grammar.check(json.dumps(["a", *words, words[0]], separators=(",", ":"))).ok
    # The last one alone can follow.
    assert not grammar.check(text[:-3] + "z" + text[-2:]).ok


def test_a_saved_grammar_knows_what_was_used(tmp_path: Path) -> None:
    schema = {"type": "array", "uniqueItems": True, "items": {"enum": WORDS}}
    grammar = Grammar.from_json_schema(schema, whitespace="none", escapes="minimal")
    compiler = GrammarCompiler(BYTES, tmp_path)
    compiled = compiler.compile(grammar)
    items, more = WORDS[:-3], WORDS[-3:]
    text = json.dumps(items, separators=(",", ":"))[:-1].encode()
    matcher = compiled.matcher()
    matcher.accept_bytes(text)
    mask_of(matcher)
    compiled.save(tmp_path / "saved")
    matcher = compiler.load(tmp_path / "saved").matcher()
    matcher.accept_bytes(text)
    for word in more:
        matcher.accept_bytes(b',"')
        for end in range(len(word) + 1):
            assert allowed(matcher) == expected(items, word[:end])
            matcher.accept_bytes((word + '"')[end].encode())
        items.append(word)
        assert allowed(matcher) == expected(items, None)
