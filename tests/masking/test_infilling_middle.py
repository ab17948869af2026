"""Middles between a prefix and a suffix, against enumeration of all middles."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.strategies import byte_vocabulary
from tokamask.errors import (
    BudgetTooSmall,
    CompileBudgetExceeded,
    MatcherTerminated,
    RollbackTooFar,
    TokenRejected,
    UnsatisfiableSchema,
    VocabularyMismatch,
)
from tokamask.grammar.grammar import Grammar
from tokamask.masking.bitmask import allocate_bitmask, unpack_row
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.infilling_graph import InfillingBudget, TokenGraph
from tokamask.masking.infilling_middle import Middle, MiddleMatcher
from tokamask.masking.vocabulary import Vocabulary

TOKENS = [b"a", b"b", b"ab", b"ba", b"c", b"[", b"]", b",", b"1", b"],", b"[1"]
STOP = len(TOKENS)
MAX_TOKENS = 4


@dataclass(frozen=True)
class Case:
    grammar: Callable[[], Grammar]
    is_document: Callable[[bytes], bool]
    prefix: bytes
    suffix: bytes
    alphabet: str


def of_pattern(pattern: str, prefix: str, suffix: str) -> Case:
    compiled = re.compile(pattern.encode())
    return Case(
        lambda: Grammar.from_regex(pattern),
        lambda text: compiled.fullmatch(text) is not None,
        prefix.encode(),
        suffix.encode(),
        pattern,
    )


def is_nested(text: bytes) -> bool:
    """1, or a list of such in brackets."""
    reduced = text
    while (shorter := re.sub(rb"\[(1(,1)*)?\]", b"1", reduced)) != reduced:
        reduced = shorter
    return reduced == b"1"


def nested(prefix: str, suffix: str) -> Case:
    schema = {"type": ["array", "integer"], "items": {"$ref": "#"}, "minimum": 1, "maximum": 1}
    return Case(lambda: Grammar.from_json_schema(schema), is_nested, prefix.encode(), suffix.encode(), "nested")


CASES = [
    of_pattern("a*b", "", "b"),
    of_pattern("a*b", "a", ""),
    of_pattern("(ab|ba)*c", "ab", "bac"),
    of_pattern("(ab)*|(ba)*", "", "a"),
    of_pattern("(a|bb){2,5}", "b", "ba"),
    of_pattern("[abc]{3,4}", "a", "c"),
    nested("[", "]"),
    nested("[[1", "]]"),
    nested("", "],1]"),
    nested("[1,", ",1]"),
]


@pytest.fixture(params=[True, False], ids=["stop", "no stop"])
def vocabulary(request: pytest.FixtureRequest) -> Vocabulary:
    return Vocabulary([*TOKENS, None], [STOP] if request.param else [])


def middles(case: Case, length: int) -> Iterator[tuple[int, ...]]:
    for tokens in itertools.product(range(len(TOKENS)), repeat=length):
        if case.is_document(case.prefix + b"".join(TOKENS[token] for token in tokens) + case.suffix):
            yield tokens


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alphabet} {case.prefix!r} {case.suffix!r}")
def test_masks_are_those_of_the_enumeration(case: Case, vocabulary: Vocabulary) -> None:
    """At every viable beginning and for every number of tokens left; so are the shortest completions."""
    has_stop = bool(vocabulary.stop_token_ids)
    found = [tokens for length in range(MAX_TOKENS + 1 - has_stop) for tokens in middles(case, length)]
    shortest: dict[tuple[int, ...], int] = {}  # beginning -> how many more tokens its shortest middle has
    for tokens in found:
        for end in range(len(tokens) + 1):
            shortest[tokens[:end]] = min(shortest.get(tokens[:end], 99), len(tokens) - end)
    matcher = MiddleMatcher(
        Middle(TokenGraph(GrammarCompiler(vocabulary).compile(case.grammar())), case.prefix, case.suffix, MAX_TOKENS)
    )
    bitmask = allocate_bitmask(1, vocabulary.size)
    for beginning, needed in shortest.items():
        matcher.reset()
        for token in beginning:
            assert matcher.is_allowed(token)
            matcher.accept_token(token)
        assert matcher.is_accepting == (needed == 0)
        assert matcher.min_tokens_left() == needed + has_stop
        completion = matcher.fork()
        rest = matcher.shortest_completion()
        assert len(rest) == needed + has_stop
        for token in rest:
            completion.accept_token(token)
        assert completion.is_accepting
        assert completion.is_terminated or not has_stop
        for left in range(MAX_TOKENS - len(beginning) + 1):
            matcher.fill_bitmask(bitmask, 0, left)
            allowed = [
                token for token in range(len(TOKENS)) if shortest.get((*beginning, token), 99) <= left - 1 - has_stop
            ]
            allowed += [STOP] * (has_stop and needed == 0 and left > 0)
            assert unpack_row(bitmask[0], vocabulary.size).nonzero()[0].tolist() == allowed, (beginning, left)


@pytest.mark.parametrize("seed", range(5))
def test_random_walks_within_the_budget_end_in_documents(seed: int) -> None:
    generator = random.Random(seed)
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string", "maxLength": 9}, "b": {"type": "array", "items": {"type": "boolean"}}},
        "required": ["a", "b"],
        "additionalProperties": False,
    }
    grammar = Grammar.from_json_schema(schema)
    prefix, suffix = b'{"a": "x', b" true]}"
    graph = TokenGraph(GrammarCompiler(byte_vocabulary()).compile(grammar))
    matcher = MiddleMatcher(Middle(graph, prefix, suffix, 30))
    bitmask = allocate_bitmask(1, 257)
    text, left = bytearray(), 30
    while not matcher.is_terminated:
        matcher.fill_bitmask(bitmask, 0, left)
        token = generator.choice(unpack_row(bitmask[0], 257).nonzero()[0].tolist())
        matcher.accept_token(token)
        text += b"" if token == 256 else bytes([token])
        left -= 1
    assert left >= 0
    assert grammar.check((prefix + bytes(text) + suffix).decode()).ok


def ab_matcher(max_tokens: int = 6, prefix: bytes = b"a", suffix: bytes = b"b") -> MiddleMatcher:
    vocabulary = Vocabulary([*TOKENS, None], [STOP])
    graph = TokenGraph(GrammarCompiler(vocabulary).compile(Grammar.from_regex("a*b|c")))
    return MiddleMatcher(Middle(graph, prefix, suffix, max_tokens))


def test_forks_rollbacks_and_resets() -> None:
    matcher = ab_matcher()
    matcher.accept_token(0)
    fork = matcher.fork()
    fork.accept_token(0)
    fork.accept_token(STOP)
    assert fork.is_terminated
    assert not matcher.is_terminated
    bitmask = allocate_bitmask(1, STOP + 1)
    fork.fill_bitmask(bitmask, 0)
    assert unpack_row(bitmask[0], STOP + 1).nonzero()[0].tolist() == [STOP]
    assert (fork.min_tokens_left(), fork.shortest_completion()) == (0, [])
    with pytest.raises(MatcherTerminated):
        fork.accept_token(0)
    fork.rollback(2)
    assert fork.is_allowed(0)
    matcher.reset()
    with pytest.raises(RollbackTooFar):
        matcher.rollback(1)


def test_what_the_grammar_forces_may_be_suffix_already() -> None:
    graph = TokenGraph(GrammarCompiler(byte_vocabulary()).compile(Grammar.from_choices(["abcd"])))
    matcher = MiddleMatcher(Middle(graph, b"a", b"cd", 4))
    assert matcher.compiled.matcher().forced_bytes() == b"abcd"
    assert matcher.forced_bytes() == b""
    assert matcher.forced_tokens() == []


def test_bytes_are_accepted_only_towards_the_suffix() -> None:
    matcher = ab_matcher()
    matcher.accept_bytes(b"aaa")
    assert matcher.is_accepting
    with pytest.raises(TokenRejected, match="no text leads to the suffix"):
        matcher.accept_bytes(b"b")
    assert matcher.is_accepting
    matcher.rollback(1)
    assert matcher.min_tokens_left() == 1
    with pytest.raises(TokenRejected):
        matcher.accept_token(1)


def test_a_bitmask_of_another_shape_is_refused() -> None:
    matcher = ab_matcher()
    with pytest.raises(VocabularyMismatch):
        matcher.fill_bitmask(allocate_bitmask(1, 100), 0)
    with pytest.raises(IndexError):
        matcher.fill_bitmask(allocate_bitmask(1, STOP + 1), 1)


def test_what_has_no_middle() -> None:
    with pytest.raises(TokenRejected, match="begins with b'x'"):
        ab_matcher(prefix=b"x")
    with pytest.raises(UnsatisfiableSchema, match="ends with b'c'"):
        ab_matcher(suffix=b"c")
    with pytest.raises(BudgetTooSmall) as caught:
        ab_matcher(max_tokens=1, prefix=b"", suffix=b"")
    assert caught.value.minimum == 2


def test_what_cannot_be_searched_is_refused() -> None:
    vocabulary = Vocabulary([*TOKENS, None], [STOP])
    compiled = GrammarCompiler(vocabulary).compile(nested("", "").grammar())
    Middle(TokenGraph(compiled, InfillingBudget(configurations=40)), b"[", b"]", 2)
    with pytest.raises(CompileBudgetExceeded):
        Middle(TokenGraph(compiled, InfillingBudget(configurations=40)), b"[", b"]", 40)
