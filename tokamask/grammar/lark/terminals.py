"""The lexemes that Lark finds with a terminal's pattern, as a regular language.

Lark's dynamic lexers try `re.match` at a place of the text, and with "dynamic_complete" again on every prefix of what
that matched. A text is a lexeme, wherever it stands, exactly if `re.match` on the text alone takes all of it: a way
through the pattern that Python prefers and that fits a prefix of the lexeme would fit there too. So preference matters,
and not only the set of texts that a pattern fits: `.*?"` ends at the first quote, and `a|ab` never takes "ab".

The automaton below is therefore that of an ordered simulation (Pike's; the determinised form is RE2's "leftmost-first"
automaton): its states are lists of places in the pattern in the order of preference, cut after the first place that
accepts. Conditions on the text before a place, such as `(?<!\\\\)`, are automata that run alongside.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from re import _constants as sre
from re import _parser as sre_parser
from typing import Any

from tokamask.errors import CompileBudgetExceeded, GrammarError, UnsupportedFeature
from tokamask.grammar.automaton import explore
from tokamask.grammar.common_alphabet import CommonAlphabet
from tokamask.grammar.language import Language, assemble, remembered
from tokamask.grammar.lark.pattern_text import character_text, describe, fixed_width_text, minimum_width
from tokamask.grammar.regular_expression import pattern_language

__all__ = ["lexeme_language"]

NODE_LIMIT = 20_000
STATE_LIMIT = 20_000
# Places moved over one byte column, in all: bounds the work of long lists of places.
WORK_LIMIT = 2_000_000

ACCEPT = 0
"""The node after the whole pattern."""

ACCEPTED = (ACCEPT, 0)

Tree = Any
"""A list of (operator, argument) as Python's own reader of regular expressions makes it."""


@remembered
def lexeme_language(pattern: str) -> Language:
    """The lexemes of a pattern in Python's dialect; the empty text is one where `re.match` takes it.

    Raises:
        GrammarError: the pattern is malformed.
        UnsupportedFeature: it has conditions on the text after a place, backreferences or atomic groups, or looks at
            the text before the lexeme.
        CompileBudgetExceeded: its automaton is too large.
    """
    try:
        tree = sre_parser.parse(pattern)
    except re.error as error:
        raise GrammarError(f"malformed regular expression {_shown(pattern)}: {error}") from error
    except (RecursionError, OverflowError) as error:
        raise CompileBudgetExceeded(f"the regular expression {_shown(pattern)} is too large") from error
    try:
        program = _Program(pattern)
        start = program.sequence(tree, ACCEPT, tree.state.flags, 0)
        return _Simulation(program, pattern).language(start)
    except RecursionError as error:
        raise CompileBudgetExceeded(f"the regular expression {_shown(pattern)} nests too deeply") from error


def _shown(pattern: str) -> str:
    """The pattern on one line: Lark hands escapes such as \\n over as the characters they stand for."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in pattern[:80])
    return f"/{line}/" if len(pattern) <= 80 else f"/{line}.../"


@dataclass(frozen=True)
class _Read:
    """Read a text of a prefix-free language."""

    language: Language
    following: int


@dataclass
class _Pass:
    """Go on at any of these nodes, the first preferred. Coming back to a `loop` without a character read leaves it."""

    targets: list[int]
    loop: bool = False


@dataclass(frozen=True)
class _Condition:
    """Go on if the text before is (or, `negative`, is not) in the language of automaton number `tracker`."""

    tracker: int
    negative: bool
    following: int


class _Program:
    """The nodes of one pattern."""

    def __init__(self, pattern: str) -> None:
        self.nodes: list[_Read | _Pass | _Condition] = [_Pass([])]
        self.trackers: list[Language] = []
        self._pattern = pattern

    def _add(self, node: _Read | _Pass | _Condition) -> int:
        if len(self.nodes) >= NODE_LIMIT:
            raise CompileBudgetExceeded(
                f"the regular expression {_shown(self._pattern)} needs more than {NODE_LIMIT} nodes; "
                f"use smaller repetition counts"
            )
        self.nodes.append(node)
        return len(self.nodes) - 1

    def sequence(self, tree: Tree, following: int, flags: int, before: int) -> int:
        """The node for the items of `tree` and then `following`; at least `before` characters come before it."""
        befores = [before]
        for item in tree:
            befores.append(befores[-1] + minimum_width(item))
        for item, least in reversed(list(zip(tree, befores, strict=False))):
            following = self._item(item, following, flags, least)
        return following

    def _item(self, item: tuple[Any, Any], following: int, flags: int, before: int) -> int:
        operator, argument = item
        if operator in (sre.LITERAL, sre.NOT_LITERAL, sre.IN, sre.ANY):
            language = pattern_language(character_text(item, flags), "python", search=False)
            return self._add(_Pass([]) if language.is_empty else _Read(language, following))
        if operator is sre.BRANCH:
            return self._add(_Pass([self.sequence(tree, following, flags, before) for tree in argument[1]]))
        if operator is sre.SUBPATTERN:
            _, added, removed, tree = argument
            return self.sequence(tree, following, (flags | added) & ~removed, before)
        if operator in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            return self._repeat(argument, operator is sre.MIN_REPEAT, following, flags, before)
        if operator in (sre.ASSERT, sre.ASSERT_NOT) and argument[0] < 0:
            return self._look_behind(argument[1], operator is sre.ASSERT_NOT, following, flags, before)
        raise UnsupportedFeature(
            f"the regular expression {_shown(self._pattern)} has {describe(operator)}; what a lexeme is must not "
            f"depend on the text around it or on what a group matched"
        )

    def _repeat(self, argument: Any, lazy: bool, following: int, flags: int, before: int) -> int:
        minimum, maximum, tree = argument
        width = tree.getwidth()[0]

        def body(after: int, times: int) -> int:
            return self.sequence(tree, after, flags, before + times * width)

        def ordered(again: int, leave: int) -> list[int]:
            return [leave, again] if lazy else [again, leave]

        if maximum is sre.MAXREPEAT:
            loop = _Pass([], loop=not lazy)
            entry = self._add(loop)
            loop.targets += ordered(body(entry, minimum), following)
            following = entry
        else:
            leave = following
            for times in range(maximum - 1, minimum - 1, -1):
                following = self._add(_Pass(ordered(body(following, times), leave)))
        for times in range(minimum - 1, -1, -1):
            following = body(following, times)
        return following

    def _look_behind(self, tree: Tree, negative: bool, following: int, flags: int, before: int) -> int:
        """A condition on the characters before; their number is fixed (Python's rule)."""
        width = tree.getwidth()[1]
        if width > before:
            raise UnsupportedFeature(
                f"the regular expression {_shown(self._pattern)} looks {width} characters back from a place where it "
                f"may have read only {before}; what a lexeme is must not depend on the text before it"
            )
        if width == 0:
            return self._add(_Pass([following] if not negative else []))
        text = f"(?s:.)*(?:{fixed_width_text(tree, flags, _shown(self._pattern))})"
        self.trackers.append(pattern_language(text, "python", search=False))
        return self._add(_Condition(len(self.trackers) - 1, negative, following))


class _Simulation:
    """Runs the threads of a program in the order of preference, as one automaton."""

    def __init__(self, program: _Program, pattern: str) -> None:
        self._nodes = program.nodes
        self._trackers = program.trackers
        self._pattern = pattern
        self._work = 0
        reads = [node.language for node in self._nodes if isinstance(node, _Read)]
        self._alphabet = CommonAlphabet.of([*reads, *program.trackers])
        self._moves = {
            language: [[(column, target) for column, target in enumerate(row) if target >= 0] for row in rows]
            for language, rows in self._alphabet.rows.items()
        }
        self._entered: dict[tuple[int, tuple[bool, ...]], tuple[_Thread, ...]] = {}

    def language(self, start: int) -> Language:
        # An empty tracker never accepts and stays where it cannot be.
        trackers = tuple(-1 if tracker.is_empty else 0 for tracker in self._trackers)
        rows, states = explore((self._enter(start, trackers), trackers), self._successors, STATE_LIMIT)
        return assemble(self._alphabet.byte_class, rows, [ACCEPTED in threads for threads, _ in states])

    def _successors(self, state: _State) -> list[_State | None]:
        threads, trackers = state
        moved: dict[int, list[_Thread]] = {}
        for node, place in threads:
            read = self._nodes[node]
            if isinstance(read, _Read):
                for column, target in self._moves[read.language][place]:
                    moved.setdefault(column, []).append((node, target))
        self._work += sum(map(len, moved.values())) + self._alphabet.width
        if self._work > WORK_LIMIT:
            raise CompileBudgetExceeded(
                f"the regular expression {_shown(self._pattern)} is too ambiguous; "
                f"use smaller repetition counts and fewer nested repetitions"
            )
        following: list[_State | None] = [None] * self._alphabet.width
        for column, targets in moved.items():
            after = tuple(
                -1 if place < 0 else self._alphabet.rows[tracker][place][column]
                for tracker, place in zip(self._trackers, trackers, strict=True)
            )
            entered = self._settled(targets, after)
            following[column] = (entered, after) if entered else None
        return following

    def _settled(self, moved: list[_Thread], trackers: tuple[int, ...]) -> tuple[_Thread, ...]:
        """The threads once those at the end of what they read have gone on; cut after the first that accepts."""
        settled: dict[_Thread, None] = {}
        for node, place in moved:
            read = self._nodes[node]
            assert isinstance(read, _Read), "only these move"
            if self._alphabet.accepting[read.language][place]:
                entered = self._enter(read.following, trackers)
                self._work += len(entered)
                settled.update(dict.fromkeys(entered))
                if ACCEPTED in entered:
                    break
            else:
                settled[node, place] = None
        return tuple(settled)

    def _enter(self, start: int, trackers: tuple[int, ...]) -> tuple[_Thread, ...]:
        """What can be reached from node `start` without reading, preferred first, cut after acceptance."""
        holds = tuple(
            place >= 0 and self._alphabet.accepting[tracker][place]
            for tracker, place in zip(self._trackers, trackers, strict=True)
        )
        if (start, holds) not in self._entered:
            self._entered[start, holds] = self._reached(start, holds)
        return self._entered[start, holds]

    def _reached(self, start: int, holds: tuple[bool, ...]) -> tuple[_Thread, ...]:
        threads: list[_Thread] = []
        seen: set[int] = set()
        # Loops above the node at hand: Python leaves one that comes back without having read anything.
        open_loops: set[int] = set()
        # Pending nodes, last first; -1 - n closes loop n.
        pending = [start]
        while pending:
            number = pending.pop()
            if number < 0:
                open_loops.discard(-1 - number)
                continue
            if number == ACCEPT:
                threads.append(ACCEPTED)
                break
            if number in seen:
                node = self._nodes[number]
                if number in open_loops and isinstance(node, _Pass):
                    pending.append(node.targets[-1])
                continue
            seen.add(number)
            match self._nodes[number]:
                case _Read():
                    threads.append((number, 0))
                case _Pass(targets, loop):
                    if loop:
                        open_loops.add(number)
                        pending += [targets[1], -1 - number, targets[0]]
                    else:
                        pending += reversed(targets)
                case _Condition(tracker, negative, following):
                    if holds[tracker] != negative:
                        pending.append(following)
        return tuple(threads)


_Thread = tuple[int, int]
"""A node and the state of the automaton that it reads with."""

_State = tuple[tuple[_Thread, ...], tuple[int, ...]]
"""Threads in the order of preference, and the states of the trackers."""
