"""Rules that never produce the empty text, for the same language.

Every rule loses the empty text and every mention of a rule that had it becomes optional instead. What is left can be
nullable only where one sees it, in a `Repeat` from 0; left recursion behind nullable symbols is then as plain as any
other, and no `Repeat` has a nullable part. (The textbook removal of empty productions, Hopcroft, Motwani and Ullman,
section 7.1.3, on expressions: optional parts are kept as such, so that nothing doubles with each of them.)
"""

from __future__ import annotations

from collections.abc import Mapping

from tokamask.grammar.budget import check_time
from tokamask.grammar.expression_algebra import NOTHING, choice, expression_size, optional, references, repeat, sequence
from tokamask.grammar.rules import Choice, Expression, JsonValue, Reference, Repeat, Sequence, Terminal

__all__ = ["RuleTable", "is_visibly_nullable", "nullable_rules", "without_empty_text"]

# A part of a sequence larger than this many nodes gets a rule of its own before it is used twice.
SHARED_SIZE = 6


class RuleTable(dict[str, Expression]):
    """Rules by name, with room for helpers; a helper is named after the rule it helps: `expr.2`."""

    def share(self, expression: Expression, owner: str) -> Expression:
        """The same language, small enough to be written twice: a reference to a helper rule when it is large."""
        if expression_size(expression) <= SHARED_SIZE:
            return expression
        return self.add_helper(expression, owner)

    def add_helper(self, expression: Expression, owner: str) -> Reference:
        """A new rule for `expression`."""
        base, number = owner.partition(".")[0], len(self)
        while (name := f"{base}.{number}") in self:
            number += 1
        self[name] = expression
        return Reference(name)


def nullable_rules(rules: Mapping[str, Expression]) -> frozenset[str]:
    """The rules whose language has the empty text (a least fixed point, worked through a list of dependents)."""
    users: dict[str, list[str]] = {}
    for name, expression in rules.items():
        for mentioned in set(references(expression)):
            users.setdefault(mentioned, []).append(name)
    found: set[str] = set()
    pending = list(rules)
    while pending:
        name = pending.pop()
        if name not in found and _is_nullable(rules[name], found):
            found.add(name)
            pending.extend(users.get(name, ()))
    return frozenset(found)


def _is_nullable(expression: Expression, nullable: set[str] | frozenset[str]) -> bool:
    match expression:
        case Terminal() | JsonValue():
            return False
        case Reference(rule):
            return rule in nullable
        case Sequence(parts):
            return all(_is_nullable(part, nullable) for part in parts)
        case Choice(alternatives):
            return any(_is_nullable(alternative, nullable) for alternative in alternatives)
        case Repeat(part, minimum):
            return minimum == 0 or _is_nullable(part, nullable)


def is_visibly_nullable(expression: Expression) -> bool:
    """Whether an expression over rules without the empty text has it."""
    return _is_nullable(expression, frozenset())


def without_empty_text(rules: Mapping[str, Expression]) -> RuleTable:
    """The same rules, each for its language less the empty text; a rule of nothing else gets the empty choice."""
    table = RuleTable(rules)
    removal = EmptyTextRemoval(table, nullable_rules(rules))
    for name in rules:
        check_time()
        table[name] = removal.strip(rules[name], name)
    return table


class EmptyTextRemoval:
    """Rewrites expressions over `table`, where the rules in `nullable` are about to lose the empty text."""

    def __init__(self, table: RuleTable, nullable: frozenset[str]) -> None:
        self._table = table
        self._nullable = nullable

    def keep(self, expression: Expression, owner: str) -> Expression:
        """The same language, in terms of rules without the empty text."""
        match expression:
            case Reference(rule):
                return optional(expression) if rule in self._nullable else expression
            case Sequence(parts):
                return sequence(self.keep(part, owner) for part in parts)
            case Choice(alternatives):
                if _is_nullable(expression, self._nullable):
                    return optional(self.strip(expression, owner))
                return choice(self.keep(alternative, owner) for alternative in alternatives)
            case Repeat(part, minimum, maximum):
                if _is_nullable(part, self._nullable):
                    return repeat(self.strip(part, owner), 0, maximum)
                return repeat(self.keep(part, owner), minimum, maximum)
            case _:
                return expression

    def strip(self, expression: Expression, owner: str) -> Expression:
        """The language less the empty text."""
        if not _is_nullable(expression, self._nullable):
            return self.keep(expression, owner)
        match expression:
            case Choice(alternatives):
                return choice(self.strip(alternative, owner) for alternative in alternatives)
            case Repeat(part, _, maximum):
                return repeat(self.strip(part, owner), 1, maximum)
            case Sequence(parts):
                return self._strip_sequence(parts, owner)
            case _:
                return expression

    def _strip_sequence(self, parts: tuple[Expression, ...], owner: str) -> Expression:
        """x? y? z? less the empty text: x (y? z?) or (y? z?) less the empty text, from the right."""
        rest: Expression = NOTHING
        for part in reversed(parts):
            stripped = self._table.share(self.strip(part, owner), owner)
            rest = self._table.share(rest, owner)
            rest = choice((sequence((stripped, optional(rest))), rest))
        return rest
