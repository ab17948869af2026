"""From rules as a front end reads them to a `RuleSet` that keeps its promises.

The passes, in order; each keeps the language of the start rule:
rules that nothing needs or that produce nothing go away; the empty text moves into view (`empty_text`); left recursion
becomes loops (`left_recursion`); rules used once are written where they are used; regular parts become terminals
(`regular_parts`).
"""

from __future__ import annotations

from collections.abc import Mapping

from tokamask.errors import CompileBudgetExceeded, GrammarError
from tokamask.grammar.budget import check_time
from tokamask.grammar.empty_text import RuleTable, nullable_rules, without_empty_text
from tokamask.grammar.expression_algebra import NOTHING, choice, expression_size, optional, references, repeat, sequence
from tokamask.grammar.left_recursion import assert_no_left_recursion, without_left_recursion
from tokamask.grammar.regular_parts import with_regular_parts_joined
from tokamask.grammar.rules import Choice, Expression, JsonValue, Reference, Repeat, RuleSet, Sequence, Terminal
from tokamask.grammar.strong_components import strong_components

__all__ = ["normalise"]

# A rule used once is written where it is used unless it has more nodes than this: expressions must not nest too deeply.
INLINE_SIZE = 40

# Nodes of all rules together. A grammar of C has about 2,000; the passes keep ordinary grammars within a small factor.
NODE_LIMIT = 200_000


def normalise(rules: Mapping[str, Expression], start: str) -> RuleSet:
    """The language of the rule `start` as a `RuleSet`.

    Beyond what `RuleSet` asks for, no terminal and no rule but the start has the empty text, and nothing nullable is
    repeated. Every mentioned rule must be in `rules`; they may be left-recursive, nullable, or useless.

    Raises:
        GrammarError: the start rule produces no text at all.
        CompileBudgetExceeded: the rules are too large, nest too deeply or begin with each other in too many ways.
    """
    try:
        return _normalised(rules, start)
    except RecursionError as error:
        # Chains of rules may have any length; only parentheses and optional parts inside one rule get here.
        raise CompileBudgetExceeded(
            "a rule nests too deeply or is too long; give some of its parts rules of their own"
        ) from error


def _normalised(rules: Mapping[str, Expression], start: str) -> RuleSet:
    _check_size(rules)
    accepts_empty_text = start in nullable_rules(rules)
    table = _useful(without_empty_text(rules), start)
    if table[start] == NOTHING and not accepts_empty_text:
        raise GrammarError(
            f"rule {start!r} cannot produce any text: each of its alternatives needs itself again; "
            f"add an alternative that ends"
        )
    table = without_left_recursion(table)
    _check_size(table)
    # Joined before rules are inlined, terminals bear the names of rules; joined after, they may take in more.
    for _ in range(2):
        table = _with_single_uses_inlined(_useful(with_regular_parts_joined(_useful(table, start)), start), start)
    while isinstance(body := table[start], Reference):
        start = body.rule
    _check_size(table)
    assert_no_left_recursion(table)
    if accepts_empty_text:
        beginning = table[start] if start not in _mentioned(table) else Reference(start)
        start = _unused_name(start, table)
        table[start] = optional(beginning)
    return RuleSet(dict(_useful(table, start)), start)


def _check_size(rules: Mapping[str, Expression]) -> None:
    size = sum(map(expression_size, rules.values()))
    if size > NODE_LIMIT:
        raise CompileBudgetExceeded(f"the rules have {size} parts, more than {NODE_LIMIT}; split the grammar")


def _mentioned(rules: Mapping[str, Expression]) -> set[str]:
    return {mentioned for expression in rules.values() for mentioned in references(expression)}


def _unused_name(name: str, rules: Mapping[str, Expression]) -> str:
    while name in rules:
        name += "?"
    return name


def _useful(rules: Mapping[str, Expression], start: str) -> RuleTable:
    """The rules that the start needs and that produce something, without alternatives that need others."""
    productive: set[str] = set()
    users: dict[str, list[str]] = {}
    for name, expression in rules.items():
        for mentioned in set(references(expression)):
            users.setdefault(mentioned, []).append(name)
    pending = list(rules)
    while pending:
        name = pending.pop()
        if name not in productive and _produces(rules[name], productive):
            productive.add(name)
            pending.extend(users.get(name, ()))
    table = RuleTable()
    needed = [start]
    while needed:
        name = needed.pop()
        if name not in table:
            table[name] = _without(rules[name], productive)
            needed.extend(references(table[name]))
    return table


def _produces(expression: Expression, productive: set[str]) -> bool:
    match expression:
        case Terminal(language):
            return not language.is_empty
        case JsonValue():
            return True
        case Reference(rule):
            return rule in productive
        case Sequence(parts):
            return all(_produces(part, productive) for part in parts)
        case Choice(alternatives):
            return any(_produces(alternative, productive) for alternative in alternatives)
        case Repeat(part, minimum):
            return minimum == 0 or _produces(part, productive)


def _without(expression: Expression, productive: set[str]) -> Expression:
    """The same language when rules outside `productive` produce nothing."""
    match expression:
        case Terminal(language):
            return NOTHING if language.is_empty else expression
        case Reference(rule):
            return expression if rule in productive else NOTHING
        case Sequence(parts):
            return sequence(_without(part, productive) for part in parts)
        case Choice(alternatives):
            return choice(_without(alternative, productive) for alternative in alternatives)
        case Repeat(part, minimum, maximum):
            return repeat(_without(part, productive), minimum, maximum)
        case _:
            return expression


def _with_single_uses_inlined(rules: RuleTable, start: str) -> RuleTable:
    """Rules that are no more than another rule, or are mentioned once, written where they are used.

    Rules mentioned once hang below their users in a forest, even in recursive families: all are needed by the start.
    """
    table = RuleTable(rules)
    aliases = {name: body for name, body in rules.items() if isinstance(body, Reference) and name != start}
    for name, expression in rules.items():
        # Chains of aliases end: in a circle, rules would begin with themselves.
        while not aliases.keys().isdisjoint(references(expression)):
            check_time()
            expression = _substituted(expression, aliases)
        table[name] = expression
    uses: dict[str, int] = {start: 2}
    for expression in table.values():
        for mentioned in references(expression):
            uses[mentioned] = uses.get(mentioned, 0) + 1
    below = {
        name: [mentioned for mentioned in references(expression) if uses[mentioned] == 1]
        for name, expression in table.items()
        if name in uses
    }
    inlined: dict[str, Expression] = {}
    for (name,) in strong_components(below):
        check_time()
        table[name] = _substituted(table[name], inlined)
        if uses[name] == 1 and expression_size(table[name]) <= INLINE_SIZE:
            inlined[name] = table.pop(name)
    return table


def _substituted(expression: Expression, bodies: Mapping[str, Expression]) -> Expression:
    match expression:
        case Reference(rule):
            return bodies.get(rule, expression)
        case Sequence(parts):
            return sequence(_substituted(part, bodies) for part in parts)
        case Choice(alternatives):
            return choice(_substituted(alternative, bodies) for alternative in alternatives)
        case Repeat(part, minimum, maximum):
            return repeat(_substituted(part, bodies), minimum, maximum)
        case _:
            return expression
