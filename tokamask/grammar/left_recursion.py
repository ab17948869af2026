"""Left recursion turned into loops.

The rules of one left-recursive family (a strongly connected component of "may begin with") are a system of equations
A_i = A_1 r_i1 | ... | A_n r_in | b_i, linear on the left. It is solved as such systems are, by elimination with Arden's
lemma: A = A r | b has the least solution b r*. What the classical algorithm (Aho and Ullman, volume 1, algorithm 2.13)
writes with new right-recursive rules is a `Repeat` here, which needs no stack.

One step goes further. Where a residual ends with its own rule, as the operators of A = A "+" A | A "*" A | b do, that
last A may be b alone: every text of A is then read from left to right in one loop, b (("+" | "*") b)*, without the
ambiguity. Proof sketch: A = b r*, so "+" A = "+" b r*, and the trailing r* is absorbed by the loop around it. The same
holds for a base that ends with its own rule (prefix operators).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tokamask.errors import CompileBudgetExceeded
from tokamask.grammar.budget import check_time
from tokamask.grammar.empty_text import EmptyTextRemoval, RuleTable, is_visibly_nullable
from tokamask.grammar.expression_algebra import EMPTY_TEXT, NOTHING, choice, expression_size, optional, repeat, sequence
from tokamask.grammar.rules import Choice, Expression, Reference, Repeat, Sequence
from tokamask.grammar.strong_components import strong_components

__all__ = ["left_corners", "without_left_recursion"]

# Elimination on a family of n rules may need n**2 residuals. Families of real grammars have fewer than ten rules.
MAXIMUM_RESIDUALS = 20_000
MAXIMUM_FAMILY = 200

# What is larger than this many nodes gets a rule of its own rather than a second copy in the only rule that needs one.
WRITTEN_TWICE_SIZE = 40


def left_corners(expression: Expression) -> set[str]:
    """The rules that a text of `expression` may begin with; no rule has the empty text."""
    match expression:
        case Reference(rule):
            return {rule}
        case Choice(alternatives):
            return set().union(*map(left_corners, alternatives))
        case Repeat(part):
            return left_corners(part)
        case Sequence(parts):
            found: set[str] = set()
            for part in parts:
                found |= left_corners(part)
                if not is_visibly_nullable(part):
                    break
            return found
        case _:
            return set()


def without_left_recursion(rules: RuleTable) -> RuleTable:
    """The same rules, for the same languages, none of them left-recursive; no rule may have the empty text.

    Raises:
        CompileBudgetExceeded: a family of mutually left-recursive rules is too entangled.
    """
    table = RuleTable(rules)
    corners = {name: left_corners(expression) for name, expression in rules.items()}
    for family in strong_components(corners):
        if len(family) > 1 or family[0] in corners[family[0]]:
            _LeftLinearSystem(table, family).solve()
    return table


class _LeftLinearSystem:
    """The equations of one family: `_residuals[a][b]` are the r of a = b r, `_bases[a]` what else a may be."""

    def __init__(self, table: RuleTable, family: Collection[str]) -> None:
        self._table = table
        self._family = frozenset(family)
        if len(self._family) > MAXIMUM_FAMILY:
            raise self._too_entangled()
        removal = EmptyTextRemoval(table, frozenset())
        self._strip, self._keep = removal.strip, removal.keep
        self._residuals: dict[str, dict[str, dict[Expression, None]]] = {}
        self._bases: dict[str, list[Expression]] = {}
        for name in family:
            residuals, bases = self._split(table[name], name)
            self._bases[name] = [base for base in bases if base != EMPTY_TEXT]
            self._residuals[name] = {begin: dict.fromkeys(found) for begin, found in residuals.items()}

    def solve(self) -> None:
        remaining = set(self._family)
        while remaining:
            check_time()
            name = min(remaining, key=lambda member: (self._fill(member, remaining), member))
            remaining.discard(name)
            self._eliminate(name, remaining)

    def _fill(self, name: str, remaining: Collection[str]) -> int:
        """How many residuals eliminating `name` first would write."""
        uses = sum(len(self._residuals[user].get(name, ())) for user in remaining if user != name)
        return uses * sum(begin in remaining for begin in self._residuals[name] if begin != name)

    def _eliminate(self, name: str, remaining: Collection[str]) -> None:
        """Write the rule `name` without beginning with itself, and put it where the remaining rules begin with it."""
        table = self._table
        residuals = self._residuals[name]
        loops = [self._strip(loop, name) for loop in residuals.pop(name, {}) if loop != EMPTY_TEXT]
        beginnings = {begin: self._keep(choice(found), name) for begin, found in residuals.items()}
        bases = [sequence((Reference(begin), after)) for begin, after in beginnings.items()] + self._bases[name]
        base = choice(bases)
        if not loops:
            table[name] = base
        elif any(_ends_with(expression, name) for expression in (base, *loops)):
            first = table.add_helper(base, name)
            table[first.rule] = _with_last(base, name, first)
            table[name] = self._loop(first, [_with_last(loop, name, first) for loop in loops])
        else:
            table[name] = self._loop(base, loops)

        users = [user for user in remaining if name in self._residuals[user]]
        base_here = choice(self._bases[name])
        after = repeat(choice(loops), 0, None) if loops else EMPTY_TEXT
        if len(users) > 1 or expression_size(sequence((base_here, after, *beginnings.values()))) > WRITTEN_TWICE_SIZE:
            after, base_here = self._share(after, name), self._share(base_here, name)
            beginnings = {begin: self._share(found, name) for begin, found in beginnings.items()}
        for user in users:
            check_time()
            follow = sequence((after, self._keep(choice(self._residuals[user].pop(name)), user)))
            if len(beginnings) > 1 or (beginnings and base_here != NOTHING):
                follow = self._share(follow, user)
            for begin, first_part in beginnings.items():
                self._residuals[user].setdefault(begin, {})[sequence((first_part, follow))] = None
            if base_here != NOTHING:
                self._bases[user].append(sequence((base_here, follow)))
        if sum(len(found) for row in self._residuals.values() for found in row.values()) > MAXIMUM_RESIDUALS:
            raise self._too_entangled()

    def _too_entangled(self) -> CompileBudgetExceeded:
        return CompileBudgetExceeded(
            f"the rules {', '.join(sorted(self._family)[:5])} ({len(self._family)} in all) begin with each other "
            f'in too many ways; write their operators as loops, such as: sum: product ("+" product)*'
        )

    def _loop(self, base: Expression, loops: list[Expression]) -> Expression:
        return sequence((base, repeat(choice(loops), 0, None)))

    def _share(self, expression: Expression, owner: str) -> Expression:
        """The same language, small enough to be written twice."""
        if is_visibly_nullable(expression):
            return optional(self._table.share(self._strip(expression, owner), owner))
        return self._table.share(expression, owner)

    def _split(self, expression: Expression, owner: str) -> tuple[dict[str, list[Expression]], list[Expression]]:
        """What may follow each rule of the family that `expression` begins with, and the rest of its language.

        The rest is a list of alternatives of which only `EMPTY_TEXT` has the empty text.
        """
        if self._family.isdisjoint(left_corners(expression)):
            if expression == EMPTY_TEXT:
                return {}, [EMPTY_TEXT]
            if is_visibly_nullable(expression):
                return {}, [self._strip(expression, owner), EMPTY_TEXT]
            return {}, [expression]
        match expression:
            case Reference(rule):
                return {rule: [EMPTY_TEXT]}, []
            case Choice(alternatives):
                residuals: dict[str, list[Expression]] = {}
                bases: list[Expression] = []
                for alternative in alternatives:
                    more_residuals, more_bases = self._split(alternative, owner)
                    for begin, found in more_residuals.items():
                        residuals.setdefault(begin, []).extend(found)
                    bases += more_bases
                return residuals, bases
            case Repeat(part, minimum, maximum):
                rest = repeat(part, max(minimum - 1, 0), None if maximum is None else maximum - 1)
                residuals, bases = self._split_sequence((part, rest), owner)
                return residuals, [*bases, EMPTY_TEXT] if minimum == 0 else bases
            case Sequence(parts):
                return self._split_sequence(parts, owner)
            case _:
                raise AssertionError("an expression with left corners is one of the above")

    def _split_sequence(
        self, parts: tuple[Expression, ...], owner: str
    ) -> tuple[dict[str, list[Expression]], list[Expression]]:
        """From the right: what each part that may come first, those before it being empty, has after it."""
        nullable = [is_visibly_nullable(part) for part in parts]
        first = nullable.index(False) if not all(nullable) else len(parts) - 1
        residuals: dict[str, list[Expression]] = {}
        bases: list[Expression] = []
        after = sequence(parts[first + 1 :])
        for part in reversed(parts[: first + 1]):
            part_residuals, part_bases = self._split(part, owner)
            if sum(map(len, part_residuals.values())) + len(part_bases) > 1:
                after = self._share(after, owner)
            for begin, found in part_residuals.items():
                residuals.setdefault(begin, []).extend(sequence((residual, after)) for residual in found)
            bases += [sequence((base, after)) for base in part_bases if base != EMPTY_TEXT]
            after = sequence((part, after))
        return residuals, [*bases, EMPTY_TEXT] if all(nullable) else bases


def _ends_with(expression: Expression, rule: str) -> bool:
    """Whether `rule` is the last part of some alternative."""
    match expression:
        case Reference(name):
            return name == rule
        case Sequence(parts) if parts:
            return _ends_with(parts[-1], rule)
        case Choice(alternatives):
            return any(_ends_with(alternative, rule) for alternative in alternatives)
        case Repeat(part, 0, 1):
            return _ends_with(part, rule)
        case _:
            return False


def _with_last(expression: Expression, rule: str, replacement: Reference) -> Expression:
    """The expression with `replacement` for `rule` where that is the last part."""
    match expression:
        case Reference(name) if name == rule:
            return replacement
        case Sequence(parts) if parts:
            return sequence((*parts[:-1], _with_last(parts[-1], rule, replacement)))
        case Choice(alternatives):
            return choice(_with_last(alternative, rule, replacement) for alternative in alternatives)
        case Repeat(part, 0, 1):
            return repeat(_with_last(part, rule, replacement), 0, 1)
        case _:
            return expression


def assert_no_left_recursion(rules: Mapping[str, Expression]) -> None:
    """Fail when the passes above broke their promise."""
    corners = {name: left_corners(expression) for name, expression in rules.items()}
    for family in strong_components(corners):
        recursive = len(family) > 1 or family[0] in corners[family[0]]
        assert not recursive, f"left recursion is left in {family}"
