"""Normalised rules against the least fixed point of the rules as written, on all short texts."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.reference_rules import reference_ends
from tokamask.errors import CompileBudgetExceeded, GrammarError
from tokamask.grammar.expression_algebra import EMPTY_TEXT, NOTHING, expression_size
from tokamask.grammar.language import Language
from tokamask.grammar.normalise import normalise
from tokamask.grammar.rules import Choice, Expression, Reference, Repeat, RuleSet, Sequence, Terminal

WORDS = {word: Terminal(Language.literal(word.encode()), word) for word in ("a", "b", "c", "ab", "ba")}
TEXTS = ["".join(letters) for length in range(6) for letters in product("ab", repeat=length)]
NAMES = ("S", "A", "B", "C")


def fixed_point(rules: Mapping[str, Expression], start: str, text: str) -> bool:
    """Whether the rules as written derive the text: sets of (begin, end) grown until nothing changes."""
    known: dict[str, set[tuple[int, int]]] = {name: set() for name in rules}
    places = range(len(text) + 1)

    def spans(expression: Expression) -> set[tuple[int, int]]:
        match expression:
            case Terminal(language):
                return {(i, j) for i in places for j in places if i <= j and language.matches(text[i:j].encode())}
            case Reference(rule):
                return known[rule]
            case Choice(alternatives):
                return {span for alternative in alternatives for span in spans(alternative)}
            case Sequence(parts):
                joined = {(i, i) for i in places}
                for part in parts:
                    after = spans(part)
                    joined = {(i, k) for i, j in joined for begin, k in after if begin == j}
                return joined
            case Repeat(part, minimum, maximum):
                once = spans(part)
                current = {(i, i) for i in places}
                found = set(current) if minimum == 0 else set()
                bound = minimum + len(text) + 1
                for count in range(1, min(bound, bound if maximum is None else maximum) + 1):
                    current = {(i, k) for i, j in current for begin, k in once if begin == j}
                    if count >= minimum:
                        found |= current
                return found
            case _:
                raise AssertionError

    while True:
        grown = {name: known[name] | spans(expression) for name, expression in rules.items()}
        if grown == known:
            return (0, len(text)) in known[start]
        known.update(grown)


def subexpressions(rules: RuleSet) -> list[Expression]:
    pending = list(rules.rules.values())
    for expression in pending:
        match expression:
            case Sequence(parts) | Choice(parts):
                pending.extend(parts)
            case Repeat(part):
                pending.append(part)
    return pending


def check(rules: Mapping[str, Expression], texts: list[str] = TEXTS) -> RuleSet | None:
    """Normalise, compare on all texts, and look at what is promised of the form."""
    expected = {text for text in texts if fixed_point(rules, "S", text)}
    try:
        normal = normalise(rules, "S")
    except GrammarError:
        assert not expected
        return None
    assert {text for text in texts if len(text) in reference_ends(normal, text.encode())} == expected
    for name, expression in normal.rules.items():
        if name != normal.start:
            assert 0 not in reference_ends(RuleSet(normal.rules, name), b"")
        assert expression != NOTHING
    for expression in subexpressions(normal):
        match expression:
            case Terminal(language):
                assert not language.is_empty
                assert not language.matches(b"")
            case Reference(rule):
                assert rule in normal.rules
            case Repeat(part):
                assert 0 not in reference_ends(RuleSet({**normal.rules, "": part}, ""), b"")
    return normal


def seq(*parts: Expression | str) -> Expression:
    return Sequence(tuple(expression(part) for part in parts))


def either(*alternatives: Expression | str) -> Expression:
    return Choice(tuple(expression(alternative) for alternative in alternatives))


def expression(short: Expression | str) -> Expression:
    """A word in small letters, or a rule."""
    if not isinstance(short, str):
        return short
    return EMPTY_TEXT if not short else Reference(short) if short in NAMES else WORDS[short]


def opt(part: Expression | str) -> Expression:
    return Repeat(expression(part), 0, 1)


LEAVES = st.one_of(
    st.sampled_from([WORDS["a"], WORDS["b"], WORDS["ab"]]),
    st.sampled_from([Reference(name) for name in NAMES]),
    st.just(EMPTY_TEXT),
)
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map(lambda parts: Sequence(tuple(parts))),
        st.lists(inner, min_size=1, max_size=4).map(lambda parts: Choice(tuple(parts))),
        st.builds(
            Repeat,
            inner,
            st.integers(0, 2),
            st.one_of(st.none(), st.integers(2, 3)),
        ),
    ),
    max_leaves=8,
)
GRAMMARS = st.fixed_dictionaries(dict.fromkeys(NAMES, EXPRESSIONS))


@settings(max_examples=150)
@given(GRAMMARS)
@example({"S": seq("S", "S"), "A": seq("a"), "B": seq("a"), "C": seq("a")})
@example({"S": either(seq("S", "S"), "a", ""), "A": seq("a"), "B": seq("a"), "C": seq("a")})
def test_random_rules_keep_their_language(rules: dict[str, Expression]) -> None:
    check(rules, TEXTS[:31])


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param({"S": either(seq("S", "S"), "a")}, id="ambiguous"),
        pytest.param({"S": either(seq("a", "S", "b"), "")}, id="a^n b^n"),
        pytest.param({"S": either(seq("a", "S", "a"), seq("b", "S", "b"), "a", "b", "")}, id="palindromes"),
        pytest.param({"S": either(seq("a", "S", "b", "S"), "")}, id="Dyck"),
        pytest.param({"S": either(seq("A", "a"), "b"), "A": either(seq("S", "b"), "a")}, id="mutual"),
        pytest.param({"S": either(seq("A", "S", "b"), "a"), "A": opt("b")}, id="hidden behind an optional rule"),
        pytest.param({"S": either(seq("A", "B", "S", "a"), "b"), "A": opt("B"), "B": opt("a")}, id="hidden twice"),
        pytest.param({"S": either("A", "a"), "A": either("B", "ab"), "B": either("S", "b")}, id="unit cycle"),
        pytest.param({"S": seq("A", "S"), "A": either("a", "")}, id="produces nothing"),
        pytest.param(
            {"S": either(seq("S", "A"), "a"), "A": either(seq("A", "b"), seq("A", "A"), "")}, id="nullable loop"
        ),
        pytest.param({"S": Repeat(Repeat(opt("a"), 0, None), 0, None)}, id="nullable repeated"),
        pytest.param({"S": Repeat(opt("a"), 2, 3)}, id="nullable counted"),
        pytest.param({"S": either(seq("S", opt("a")), "b")}, id="nullable residual"),
        pytest.param({"S": either(seq(opt("S"), "a"), seq("b", "S"))}, id="optional left recursion"),
        pytest.param(
            {"S": seq("A"), "A": either(seq("a", "B"), "b"), "B": either(seq("b", "A"), "a")}, id="tail calls"
        ),
        pytest.param(
            {"S": either("A", "B", "a"), "A": seq("S", "b", "S"), "B": seq("a", "S")}, id="operators as rules"
        ),
        pytest.param(
            {
                "S": either(seq("A", "a"), seq("B", "b"), "a"),
                "A": either(seq("B", "a"), seq("S", "b"), "b"),
                "B": either(seq("S", "a"), seq("A", "b"), seq("B", "B"), "a"),
            },
            id="three entangled",
        ),
    ],
)
def test_hard_rules(rules: dict[str, Expression]) -> None:
    check(rules)


def test_operators_become_one_loop() -> None:
    """An ambiguous expression grammar without brackets is regular, and becomes one terminal."""
    rules = check({"S": either(seq("S", "a", "S"), seq("a", "S"), "b")})
    assert rules is not None
    assert isinstance(rules.rules[rules.start], Terminal)


def test_tail_recursive_rules_become_one_terminal() -> None:
    rules = check({"S": either(seq("a", "A"), "b"), "A": either(seq("b", "S"), seq("a", "A"), "a")})
    assert rules is not None
    assert isinstance(rules.rules[rules.start], Terminal)


def test_a_rule_of_nothing_says_so() -> None:
    with pytest.raises(GrammarError, match="'S' cannot produce any text"):
        normalise({"S": seq("a", "S")}, "S")


def test_useless_rules_go_away() -> None:
    rules = normalise({"S": either(seq("a", "S", "b"), "a", seq("A", "b")), "A": seq("A", "a"), "B": seq("b")}, "S")
    assert set(rules.rules) == {"S"}


def test_long_chains_of_rules_are_no_recursion_in_python() -> None:
    chain = {f"R{i}": either(seq("a", Reference(f"R{i + 1}"), "b"), "c") for i in range(2_000)}
    rules = normalise({**chain, "R2000": WORDS["c"], "S": Reference("R0")}, "S")
    assert reference_ends(rules, b"aacbb") == {5}


def test_nesting_in_one_rule_is_limited() -> None:
    deep: Expression = WORDS["a"]
    for _ in range(3_000):
        deep = Choice((Sequence((WORDS["b"], deep)), WORDS["a"]))
    with pytest.raises(CompileBudgetExceeded, match="nests too deeply"):
        normalise({"S": deep}, "S")


@pytest.mark.parametrize("count", [10, 40])
def test_optional_parts_do_not_multiply(count: int) -> None:
    """All-nullable rules and left recursion behind many optional parts stay within a small multiple of their size."""
    parts = [Repeat(Sequence((WORDS["a"], Reference("S"), WORDS["b"])), 0, 1) for _ in range(count)]
    rules = normalise({"S": either(seq(*parts), seq(*parts, "S", "a"))}, "S")
    written = sum(map(expression_size, rules.rules.values()))
    assert written < 40 * count


@pytest.mark.parametrize("count", [4, 12, 20])
def test_entangled_families_stay_polynomial(count: int) -> None:
    rules: dict[str, Expression] = {
        f"R{i}": Choice(
            (WORDS["b"], *(Sequence((Reference(f"R{j}"), WORDS["a"], Reference(f"R{i}"))) for j in range(count)))
        )
        for i in range(count)
    }
    normal = normalise({**rules, "S": Reference("R0")}, "S")
    assert sum(map(expression_size, normal.rules.values())) < 60 * count**3


def test_precedence_levels_stay_linear() -> None:
    """expr_i: expr_i OP expr_i+1 | expr_i+1, fifteen levels deep, with brackets at the bottom."""
    rules: dict[str, Expression] = {
        f"E{i}": Choice((Sequence((Reference(f"E{i}"), WORDS["a"], Reference(f"E{i + 1}"))), Reference(f"E{i + 1}")))
        for i in range(15)
    }
    rules["E15"] = Choice((Sequence((WORDS["ab"], Reference("E0"), WORDS["ba"])), WORDS["b"]))
    normal = normalise({**rules, "S": Reference("E0")}, "S")
    assert sum(map(expression_size, normal.rules.values())) < 15 * 20
