"""Strings whose pattern has bounds on the length beside it: the laws, against `re` and against the product.

Small products are made as such, so the tests that want counting take the few states away that they may have.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from tests.masking.laws import check_budget, check_state, mask_of
from tests.masking.test_mask_kernels import tekken
from tests.reference import (
    FiniteTexts,
    Recognised,
    character_spellings,
    minimal_spellings,
    spellings,
    token_distances,
)
from tests.strategies import byte_vocabulary, random_vocabulary
from tokamask.errors import TokenRejected, UnsatisfiableSchema
from tokamask.grammar.grammar import Grammar
from tokamask.grammar.json_schema import shaping
from tokamask.grammar.program import STRING, STRING_LENGTHS
from tokamask.masking import requests
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.vocabulary import Vocabulary

PATTERNS = {
    "^[ab]*$": "ab",
    "^(ab)*$": "ab",
    "^a(b|é)*a?$": "abé",
    "^(a|bb|éaé)+$": "abé",
    "^(aaa|b)(é|a/)*$": "abé/",
    "^(😀|a)*$": "a😀",
    "^(a{2}|b{4})*$": "ab",
    '^a?("|\\n|b)*$': 'ab"\n',
}
BOUNDS = [(0, 1), (0, 3), (2, 2), (2, 3), (1, 4), (4, 4), (3, None), (1, 2)]


def is_counted(grammar: Grammar) -> bool:
    program = grammar.program
    strings = program.records[program.words[program.records] == STRING]
    return bool((program.words[strings + STRING_LENGTHS] > 0).any())


def schema_of(pattern: str, minimum: int, maximum: int | None) -> dict[str, Any]:
    bounds = {} if maximum is None else {"maxLength": maximum}
    return {"type": "string", "pattern": pattern, "minLength": minimum, **bounds}


def counted(schema: Any, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Grammar:
    """The grammar in which every string that may be counted is."""
    with monkeypatch.context() as patch:
        patch.setattr(shaping, "FEW_STATES", 0)
        return Grammar.from_json_schema(schema, **options)


def multiplied(schema: Any, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Grammar:
    """The same grammar with all bounds in the automata."""
    with monkeypatch.context() as patch:
        patch.setattr(shaping, "FEW_STATES", 1 << 40)
        return Grammar.from_json_schema(schema, **options)


# All spellings of all texts: with every escape for short ones only.
FINITE = [
    (pattern, minimum, maximum, escapes)
    for pattern in PATTERNS
    for minimum, maximum in BOUNDS
    for escapes in ("json", "minimal")
    if maximum is not None and (escapes == "minimal" or maximum <= 2)
]


@pytest.mark.parametrize(("pattern", "minimum", "maximum", "escapes"), FINITE)
def test_masks_and_budgets_of_all_texts(
    pattern: str, minimum: int, maximum: int, escapes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every text that `re` finds, in every spelling: which tokens may follow, and how far the end is."""
    spell = {"json": character_spellings, "minimal": minimal_spellings}[escapes]
    texts = [
        text
        for length in range(minimum, maximum + 1)
        for text in map("".join, itertools.product(PATTERNS[pattern], repeat=length))
        if re.search(pattern.replace("$", r"\Z"), text)
    ]
    schema = schema_of(pattern, minimum, maximum)
    if not texts:
        with pytest.raises(UnsatisfiableSchema):
            counted(schema, monkeypatch, escapes=escapes)
        return
    language = FiniteTexts(spelling.encode() for text in texts for spelling in spellings(text, spell=spell))
    grammar = counted(schema, monkeypatch, escapes=escapes)
    generator = random.Random(f"{pattern} {minimum} {maximum} {escapes}")
    vocabulary = random_vocabulary(generator, generator.sample(sorted(language.texts), min(12, len(language.texts))))
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
    distances = token_distances(language, vocabulary, language.prefixes)
    for prefix in generator.sample(sorted(language.prefixes), min(25, len(language.prefixes))):
        matcher = compiled.matcher()
        matcher.accept_bytes(prefix)
        check_state(matcher, language, prefix)
        check_budget(matcher, language, prefix, distances, {0, 1, 3})


@pytest.mark.parametrize("escapes", ["json", "minimal"])
@pytest.mark.parametrize("bounds", [*BOUNDS, (5, 9), (20, 40), (0, 30), (7, None)], ids=str)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_like_the_product(
    pattern: str, bounds: tuple[int, int | None], escapes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Along random walks, masks, distances and budgeted masks are those of the automaton that counts itself."""
    schema = schema_of(pattern, *bounds)
    try:
        grammar = counted(schema, monkeypatch, escapes=escapes)
    except UnsatisfiableSchema:
        with pytest.raises(UnsatisfiableSchema):
            multiplied(schema, monkeypatch, escapes=escapes)
        return
    twin = multiplied(schema, monkeypatch, escapes=escapes)
    assert not is_counted(twin)
    generator = random.Random(f"{pattern} {bounds} {escapes}")
    alphabet = PATTERNS[pattern]
    samples = ["".join(generator.choices(alphabet, k=8)) for _ in range(8)]
    spell = character_spellings if escapes == "json" else minimal_spellings
    spelled = [('"' + "".join(generator.choice(spell(letter)) for letter in text) + '"').encode() for text in samples]
    vocabulary = random_vocabulary(generator, spelled, 50)
    compiled = GrammarCompiler(vocabulary, tmp_path / "a").compile(grammar)
    language = Recognised(twin)
    distances = None
    if bounds[1] is not None and bounds[1] <= 9:
        distances = token_distances(language, vocabulary)
    for _ in range(5):
        matcher, state = compiled.matcher(), language.start()
        for _ in range(30):
            allowed = check_state(matcher, language, state)
            if distances is not None:
                check_budget(matcher, language, state, distances, {2, 5})
            inside = sorted(allowed - set(matcher.stop_token_ids))
            # The end is put off, so that the bounds are met.
            going_on = [token for token in inside if b'"' not in (vocabulary.token_bytes[token] or b"")[1:]]
            if not inside:
                break
            token = generator.choice(going_on or inside)
            matcher.accept_token(token)
            after = language.step(state, vocabulary.token_bytes[token] or b"")
            assert after is not None
            state = after


@pytest.mark.parametrize(
    ("minimum", "maximum"), [(3, None), (300, None), (0, 64), (60, 64), (0, 300), (300, 301), (3, 1000), (300, 1000)]
)
@pytest.mark.parametrize("pattern", ["^[a-c]+(-[a-c]+)*$", "^(aé|b😀b?)*$", "^[^x]*x{0,3}$"])
def test_walks_close_within_their_budget(
    pattern: str, minimum: int, maximum: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is written, the shortest completion is one, and a budget that sufficed goes on to suffice."""
    generator = random.Random(f"{pattern} {minimum} {maximum}")
    schema = schema_of(pattern, minimum, maximum)
    grammar = counted(schema, monkeypatch)
    assert is_counted(grammar)
    samples = [b'"abcabcabcab-c-c"', '"aéb😀bb😀aé"'.encode(), b'"\\u0061\\u00e9b\\ud83d\\ude00xxx"']
    vocabulary = random_vocabulary(generator, samples, 60)
    bytes_too = [*vocabulary.token_bytes, *(bytes([byte]) for byte in range(256))]
    vocabulary = Vocabulary(bytes_too, vocabulary.stop_token_ids)
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
    for _ in range(3):
        matcher = compiled.matcher()
        written: list[int] = []
        for _ in range(generator.choice((0, 5, 200))):
            going_on = sorted(
                token
                for token in mask_of(matcher) - set(matcher.stop_token_ids)
                if b'"' not in (vocabulary.token_bytes[token] or b"")[1:]
            )
            if not going_on:
                break
            written.append(generator.choice(going_on))
            matcher.accept_token(written[-1])
        needed = matcher.min_tokens_left()
        fork = matcher.fork()
        for token in matcher.shortest_completion():
            fork.accept_token(token)
        assert fork.is_accepting
        tokens_left = needed + generator.choice((0, 1, 4))
        while not matcher.is_terminated and tokens_left:
            allowed = mask_of(matcher, tokens_left)
            assert allowed, "a budget that sufficed no longer does"
            slow = sorted(allowed - set(matcher.stop_token_ids)) or sorted(allowed)
            written.append(generator.choice(slow))
            matcher.accept_token(written[-1])
            tokens_left -= 1
        assert matcher.is_accepting
        stops = matcher.stop_token_ids
        text = b"".join(vocabulary.token_bytes[token] or b"" for token in written if token not in stops)
        value = json.loads(text)
        assert re.search(pattern.replace("$", r"\Z"), value)
        assert minimum <= len(value) <= (maximum or len(value))


@pytest.mark.parametrize("escapes", ["json", "minimal"])
@pytest.mark.parametrize("bounds", [(0, 3), (2, 2), (2, 9), (5, 6), (7, None), (4, 30)], ids=str)
@pytest.mark.parametrize("pattern", [*PATTERNS, "^(aaaa|éb?|😀)*$"])
def test_costs_are_the_bytes_to_the_end(
    pattern: str, bounds: tuple[int, int | None], escapes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a token for each byte, at every place within reach."""
    try:
        grammar = counted(schema_of(pattern, *bounds), monkeypatch, escapes=escapes)
    except UnsatisfiableSchema:
        return
    vocabulary = byte_vocabulary()
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
    _ = compiled.engine.shortest  # makes the costs
    language = Recognised(grammar)
    generator = random.Random(f"{pattern} {bounds} {escapes}")
    distances = ByteDistances(language)
    for state, text in generator.sample(sorted(distances.texts.items()), min(150, len(distances.texts))):
        configuration = compiled.engine.read(compiled.engine.start, text)
        assert compiled.engine.call(requests.COST_OF, configuration) == distances.left[state], text


class ByteDistances:
    """A text to each state of a language, and the fewest bytes from there to the end."""

    def __init__(self, language: Recognised) -> None:
        self.texts = {language.start(): b""}
        before: dict[int, list[int]] = {}
        for state in (waiting := [language.start()]):
            for byte in range(256):
                after = language.step(state, bytes([byte]))
                if after is None:
                    continue
                before.setdefault(after, []).append(state)
                if after not in self.texts:
                    self.texts[after] = self.texts[state] + bytes([byte])
                    waiting.append(after)
        self.left = {state: 0 for state in self.texts if language.is_complete(state)}
        for after in (nearer := list(self.left)):
            for state in before.get(after, ()):
                if state not in self.left:
                    self.left[state] = self.left[after] + 1
                    nearer.append(state)


@pytest.mark.parametrize(
    ("pattern", "minimum", "maximum"),
    [
        ('^([a-zé😀]+[ "])*[a-z]*$', 0, 160),
        ('^([a-zé😀]+[ "])*[a-z]*$', 90, 160),
        # Rows of characters: with ends of equal lengths, of any character in any spelling, with a long way to the end.
        ('^[a-zé😀 "]*$', 0, 100),
        (r"^([\s\S]{3})*$", 0, 150),
        (r"^([\s\S]{3})*$", 120, 150),
        ('^([a-zé😀 "]*-{9})?$', 0, 120),
    ],
)
def test_masks_of_a_real_vocabulary(
    pattern: str, minimum: int, maximum: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """131,072 tokens, from the beginning to the end, also inside characters and escapes."""
    vocabulary = tekken()
    schema = schema_of(pattern, minimum, maximum)
    grammar = counted(schema, monkeypatch)
    assert is_counted(grammar)
    text = r"the quick brown fox\"jumps \u006fver th\u00e9 lazy\u0020dog ab\ud83d\ude00 é😀 " * 3
    data = f'"{text}'.encode()
    compiler = GrammarCompiler(vocabulary, tmp_path)
    matcher = compiler.compile(grammar).matcher()
    twin = compiler.compile(multiplied(schema, monkeypatch)).matcher()
    for place in range(0, len(data), 7):
        assert mask_of(matcher) == mask_of(twin), data[:place]
        try:
            matcher.accept_bytes(data[place : place + 7])
        except TokenRejected:
            assert place > maximum / 2, data[:place]
            break
        twin.accept_bytes(data[place : place + 7])


def test_masks_far_from_the_bounds_are_found_once(tmp_path: Path) -> None:
    """Beyond the minimum and until the maximum is near, neither walks nor rows are new."""
    grammar = Grammar.from_json_schema(schema_of("^[a-z]+( [a-z]+)*$", 3, 500))
    assert is_counted(grammar)
    vocabulary = Vocabulary([b'"', b"a", b"ab", b" ", b" b", b'c"', b"\\", b"aaaaaaaa", None], [8])
    compiled = GrammarCompiler(vocabulary, tmp_path).compile(grammar)
    matcher = compiled.matcher()
    matcher.accept_bytes(b'"abcd')
    first = mask_of(matcher)
    visits = compiled.visits
    for _ in range(200):
        matcher.accept_bytes(b"ab")
        assert mask_of(matcher) == first
    assert compiled.visits == visits
    matcher.accept_bytes(b"a" * 94)  # 498 characters: there is room for two more, or for a blank and a letter
    assert mask_of(matcher) == first - {7}
    matcher.accept_bytes(b"a")
    assert mask_of(matcher) == {0, 1, 5, 6}
    matcher.accept_bytes(b"a")
    assert mask_of(matcher) == {0}


def test_large_bounds() -> None:
    """Bounds far beyond what an automaton could count: judged as `re` and `len` do."""
    grammar = Grammar.from_json_schema(schema_of("^[a-z]+(-[a-zé]+)*$", 2000, 70_000))
    for text in ("a" * 1999, "a" * 2000, "a-é" * 1000, "a-" * 1000, "é" * 2000, "a" * 70_000, "a" * 70_001):
        expected = re.fullmatch("[a-z]+(-[a-zé]+)*", text) is not None and 2000 <= len(text) <= 70_000
        assert grammar.check(f'"{text}"').ok == expected
