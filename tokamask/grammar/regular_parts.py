"""Parts of rules that are regular become one terminal each: one automaton instead of many small calls.

A rule is regular when whatever it mentions is, and it mentions its own recursive family in last position only. Such
parts are compiled by continuation: an expression and the node that follows it give the node it begins with. A rule in
front of a node is compiled once, so that calls in last position are jumps, and recursive ones loops. The graph is then
made deterministic. Parts whose automaton would be large are split and tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Sequence as SequenceOf

import numpy as np

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.automaton import Rows, explore
from tokamask.grammar.budget import check_time
from tokamask.grammar.common_alphabet import CommonAlphabet
from tokamask.grammar.empty_text import EmptyTextRemoval, RuleTable
from tokamask.grammar.expression_algebra import choice, joined_name, optional, references, repeat, sequence
from tokamask.grammar.language import Language, assemble
from tokamask.grammar.rules import Choice, Expression, JsonValue, Reference, Repeat, Sequence, Terminal
from tokamask.grammar.strong_components import strong_components

__all__ = ["with_regular_parts_joined"]

# The largest automaton worth having. Joining saves calls, but each copy of a wide terminal (a name in any script has
# hundreds of states) is a set of states for which masks are computed anew.
STATE_LIMIT = 256
NODE_LIMIT = 2048

# Attempts in vain, over the whole grammar, before no further parts are tried.
WASTE_LIMIT = 300

ACCEPT = 0
"""The node after the whole expression."""


def with_regular_parts_joined(rules: Mapping[str, Expression]) -> RuleTable:
    """The same rules, for the same languages, with regular parts as single terminals; no rule has the empty text."""
    table = RuleTable(rules)
    joiner = _Joiner(table)
    for family in strong_components({name: list(references(expression)) for name, expression in rules.items()}):
        if not joiner.join_family(family):
            for name in family:
                table[name] = joiner.join(table[name], name)
    return table


class _Joiner:
    """Replaces regular parts of the rules in `table` by terminals, callees first, each distinct part once."""

    def __init__(self, table: RuleTable) -> None:
        self._table = table
        # Puts a choice with nullable alternatives into the normal form of this pass.
        self._keep = EmptyTextRemoval(table, frozenset()).keep
        self._regular: set[str] = set()
        self._terminals: dict[Expression, Expression | None] = {}
        self._wasted = 0

    def join_family(self, family: SequenceOf[str]) -> bool:
        """Make each of these mutually recursive rules one terminal, if all of them are regular and small."""
        members = frozenset(family)
        if not all(self._is_regular(self._table[name], members) for name in family):
            return False
        terminals = {name: self._terminal(Reference(name)) for name in family}
        for name, terminal in terminals.items():
            if terminal is None:
                return False
            self._table[name] = terminal
        self._regular |= members
        return True

    def join(self, expression: Expression, owner: str) -> Expression:
        """The same language with its regular parts joined. `owner` is the rule it belongs to."""
        check_time()
        if isinstance(expression, Terminal):
            return expression
        if self._is_regular(expression):
            terminal = self._terminal(expression)
            if terminal is not None:
                return terminal
        match expression:
            case Sequence(parts):
                return sequence(self._join_list(parts, sequence, owner))
            case Choice(alternatives):
                # Their order means nothing: the regular ones side by side.
                grouped = sorted(_with_words_joined(alternatives), key=lambda each: not self._is_regular(each))
                return choice(self._join_list(self._factored(grouped, owner), choice, owner))
            case Repeat(part, minimum, maximum):
                return repeat(self.join(part, owner), minimum, maximum)
            case _:
                return expression

    def _factored(self, alternatives: SequenceOf[Expression], owner: str) -> list[Expression]:
        """The alternatives, with what several of them share written once: the same rest after different regular
        beginnings, then the same beginning before different rests."""
        by_rest: dict[Expression, list[Expression]] = {}
        factored: list[Expression] = []
        for alternative in alternatives:
            if self._is_regular(alternative):
                factored.append(alternative)
                continue
            parts = alternative.parts if isinstance(alternative, Sequence) else (alternative,)
            regular = next(place for place, part in enumerate(parts) if not self._is_regular(part))
            by_rest.setdefault(sequence(parts[regular:]), []).append(sequence(parts[:regular]))
        by_beginning: dict[Expression, list[Expression]] = {}
        for rest, beginnings in by_rest.items():
            whole = sequence((self._keep(choice(beginnings), owner), rest))
            first, *others = whole.parts if isinstance(whole, Sequence) else (whole,)
            by_beginning.setdefault(first, []).append(sequence(others))
        factored += [sequence((first, self._keep(choice(rests), owner))) for first, rests in by_beginning.items()]
        return factored

    def _join_list(
        self, parts: SequenceOf[Expression], combine: Callable[[Iterable[Expression]], Expression], owner: str
    ) -> list[Expression]:
        """The parts with runs of regular ones combined into terminals, as long as these stay small."""
        if len(parts) == 1:
            return [self.join(parts[0], owner)]
        run = 0
        while run < len(parts) and self._is_regular(parts[run]):
            run += 1
        if run > 1 and (terminal := self._terminal(combine(parts[:run]))) is not None:
            return [terminal, *self._join_list(parts[run:], combine, owner)] if parts[run:] else [terminal]
        cut = max(run // 2, 1)
        return [*self._join_list(parts[:cut], combine, owner), *self._join_list(parts[cut:], combine, owner)]

    def _is_regular(self, expression: Expression, family: frozenset[str] = frozenset()) -> bool:
        """Whether `expression` mentions regular rules only, and those in `family` in last position only."""
        match expression:
            case Terminal():
                return True
            case JsonValue():
                return False
            case Reference(rule):
                return rule in self._regular or rule in family
            case Sequence(parts):
                return all(map(self._is_regular, parts[:-1])) and (not parts or self._is_regular(parts[-1], family))
            case Choice(alternatives):
                return all(self._is_regular(alternative, family) for alternative in alternatives)
            case Repeat(part, _, maximum):
                return self._is_regular(part, family if maximum == 1 else frozenset())

    def _terminal(self, expression: Expression) -> Expression | None:
        """One terminal (optional if `expression` has the empty text), or None if it would be large."""
        if expression not in self._terminals:
            self._terminals[expression] = None
            if self._wasted < WASTE_LIMIT:
                try:
                    graph = _Graph(self._table)
                    start = graph.compile(expression)
                    language = graph.language(start)
                except CompileBudgetExceeded:
                    self._wasted += 1
                else:
                    terminal = Terminal(language, _name(expression))
                    self._terminals[expression] = optional(terminal) if graph.is_nullable(start) else terminal
        return self._terminals[expression]


def _name(expression: Expression) -> str:
    """The name of a joined terminal, for error messages."""
    match expression:
        case Terminal(_, name):
            return name
        case Reference(rule):
            return rule.partition(".")[0]
        case Sequence(parts):
            return joined_name(map(_name, parts), " ")
        case Choice(alternatives):
            return joined_name(map(_name, alternatives), " | ")
        case Repeat(part):
            return _name(part)
        case _:
            return ""


class _Graph:
    """Nodes for what is still to come. A node may pass to others for nothing, or read one lexeme and pass to a node."""

    def __init__(self, rules: Mapping[str, Expression]) -> None:
        self._rules = rules
        self._passes: list[list[int]] = [[]]
        self._lexemes: list[tuple[Language, int] | None] = [None]
        self._calls: dict[tuple[str, int], int] = {}
        self._uncompiled: list[tuple[str, int, int]] = []

    def compile(self, expression: Expression) -> int:
        """The node for `expression` and then the end."""
        start = self._node(expression, ACCEPT)
        while self._uncompiled:
            rule, following, call = self._uncompiled.pop()
            self._passes[call].append(self._node(self._rules[rule], following))
        return start

    def _add(self, passes: list[int], lexeme: tuple[Language, int] | None = None) -> int:
        if len(self._passes) >= NODE_LIMIT:
            raise CompileBudgetExceeded(f"the graph needs more than {NODE_LIMIT} nodes")
        self._passes.append(passes)
        self._lexemes.append(lexeme)
        return len(self._passes) - 1

    def _node(self, expression: Expression, following: int) -> int:
        match expression:
            case Terminal(language):
                if len(language.accepting) > STATE_LIMIT:
                    raise CompileBudgetExceeded(f"a terminal alone has more than {STATE_LIMIT} states")
                return self._add([], (language, following))
            case Sequence(parts):
                for part in reversed(parts):
                    following = self._node(part, following)
                return following
            case Choice(alternatives):
                return self._add([self._node(alternative, following) for alternative in alternatives])
            case Repeat(part, minimum, None):
                loop = self._add([following])
                body = self._node(part, loop)
                self._passes[loop].append(body)
                first = loop if minimum == 0 else body
                for _ in range(minimum - 1):
                    first = self._node(part, first)
                return first
            case Repeat(part, minimum, int(maximum)):
                end = following
                for _ in range(maximum - minimum):
                    following = self._add([end, self._node(part, following)])
                for _ in range(minimum):
                    following = self._node(part, following)
                return following
            case Reference(rule):
                if (rule, following) not in self._calls:
                    self._calls[rule, following] = call = self._add([])
                    self._uncompiled.append((rule, following, call))
                return self._calls[rule, following]
            case _:
                raise AssertionError("a JSON value is not regular")

    def is_nullable(self, start: int) -> bool:
        return (ACCEPT, 0) in self._closure(start)

    def _closure(self, start: int) -> frozenset[tuple[int, int]]:
        """The nodes that read something, or the end, reachable for nothing; each with the start of its automaton."""
        seen, pending = {start}, [start]
        for node in pending:
            for target in self._passes[node]:
                if target not in seen:
                    seen.add(target)
                    pending.append(target)
        return frozenset((node, 0) for node in seen if node == ACCEPT or self._lexemes[node] is not None)

    def language(self, start: int) -> Language:
        """The texts from `start` to the end, less the empty text.

        Raises:
            CompileBudgetExceeded: more than `STATE_LIMIT` states are needed.
        """
        lexemes = [lexeme for lexeme in self._lexemes if lexeme is not None]
        alphabet = CommonAlphabet.of(language for language, _ in lexemes)
        moves = {language: _moves(rows, alphabet.accepting[language]) for language, rows in alphabet.rows.items()}
        follows = {target: self._closure(target) for target in {target for _, target in lexemes}}

        def successors(state: frozenset[tuple[int, int]]) -> list[frozenset[tuple[int, int]] | None]:
            targets: list[set[tuple[int, int]]] = [set() for _ in range(alphabet.width)]
            for node, place in state:
                lexeme = self._lexemes[node]
                if lexeme is not None:
                    for column, target, goes_on, accepts in moves[lexeme[0]][place]:
                        if goes_on:
                            targets[column].add((node, target))
                        if accepts:
                            targets[column] |= follows[lexeme[1]]
            return [frozenset(target) if target else None for target in targets]

        # Without the end among them, the nodes of the start do not accept; should they come back, it is there again.
        beginning = self._closure(start) - {(ACCEPT, 0)}
        rows, states = explore(beginning, successors, STATE_LIMIT)
        return assemble(alphabet.byte_class, rows, [(ACCEPT, 0) in state for state in states])


def _moves(rows: Rows, accepting: list[bool]) -> list[list[tuple[int, int, bool, bool]]]:
    """For each state the columns it can read: (column, next state, whether that goes on, whether it accepts)."""
    goes_on = [any(target >= 0 for target in row) for row in rows]
    return [
        [(column, target, goes_on[target], accepting[target]) for column, target in enumerate(row) if target >= 0]
        for row in rows
    ]


def _with_words_joined(alternatives: SequenceOf[Expression]) -> list[Expression]:
    """The alternatives with all single words as one terminal, whatever its size: masks over a list of words are small,
    and long enumerations are common."""
    words = {alternative: word for alternative in alternatives if (word := _word(alternative)) is not None}
    if len(words) < 2:
        return list(alternatives)
    joined = Terminal(Language.words(list(words.values())), _name(Choice(tuple(words))))
    return [joined, *(alternative for alternative in alternatives if alternative not in words)]


def _word(expression: Expression) -> bytes | None:
    """The one text of a terminal that has only one."""
    if not isinstance(expression, Terminal):
        return None
    language = expression.language
    word, state = bytearray(), 0
    while not language.accepting[state]:
        readable = np.flatnonzero(language.transitions[state][language.byte_class] >= 0)
        if len(readable) != 1:
            return None
        word.append(int(readable[0]))
        state = int(language.transitions[state, language.byte_class[readable[0]]])
    return bytes(word) if (language.transitions[state] < 0).all() else None
