"""Lark text to rules, by way of Lark's own loader (`lark.load_grammar`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lark import Token, Tree, v_args
from lark.exceptions import GrammarError as LarkGrammarError
from lark.exceptions import UnexpectedInput, VisitError
from lark.grammar import NonTerminal
from lark.grammar import Terminal as TerminalSymbol
from lark.lexer import Pattern, PatternStr
from lark.load_grammar import Grammar as LarkGrammar
from lark.load_grammar import GrammarBuilder, PrepareLiterals, TerminalTreeToPattern, _parse_grammar, stdlib_loader

from tokamask.errors import CompileBudgetExceeded, GrammarError, GrammarSyntaxError, UnsupportedFeature
from tokamask.grammar.budget import check_time, present_budget
from tokamask.grammar.expression_algebra import EMPTY_TEXT, choice, joined_name, optional, repeat, sequence
from tokamask.grammar.language import Language, difference
from tokamask.grammar.lark.ignored import Ignored
from tokamask.grammar.lark.terminals import lexeme_language
from tokamask.grammar.normalise import normalise
from tokamask.grammar.rules import Expression, Reference, RuleSet, Terminal
from tokamask.grammar.strong_components import strong_components

__all__ = ["read_lark"]

# Characters of a terminal with those it mentions written out, of all terminals, and rules that templates may become.
PATTERN_LIMIT = 50_000
TOTAL_LIMIT = 1_000_000
INSTANCE_LIMIT = 2_000

# Lark's loader looks at no clock; it reads about as many characters in a second.
LOADED_IN_A_SECOND = 50_000

# The recogniser counts repetitions in 32 bits.
REPETITION_LIMIT = 2**31 - 1


def read_lark(text: str, start: str = "start") -> RuleSet:
    """The language of Lark's Earley parser with the lexer "dynamic_complete" for this grammar.

    Every segmentation of the text into lexemes counts, and what is a lexeme of a terminal follows Python's preferences
    (`terminals`); ignored text may stand before and after lexemes (`ignored`). Modifiers (`?`, `!`, `_`), aliases and
    priorities shape Lark's trees and choose among them, but do not change the language: they are read and ignored.
    Lark refuses terminals that fit the empty text; here they may be empty as a rule may, and then nothing is ignored
    before them.

    Raises:
        GrammarSyntaxError: the text is not a Lark grammar, or mentions what it does not define.
        GrammarError: there is no rule `start` or it produces no text; a terminal is malformed.
        UnsupportedFeature: `%declare`, imports from files, or terminals that depend on the text around them.
        CompileBudgetExceeded: the grammar is too large.
    """
    try:
        rules, whole = _Translation(text, _load(text)).rules(start)
    except GrammarError:
        raise
    except ValueError as error:  # Python reads no integers of thousands of digits.
        raise CompileBudgetExceeded(f"a number in the grammar is too long: {error}") from error
    except RecursionError as error:
        raise CompileBudgetExceeded("a rule nests too deeply; give some of its parts rules of their own") from error
    return normalise(rules, whole)


class _Builder(GrammarBuilder):
    """Lark's loader, kept to the grammars that come with Lark."""

    def do_import(
        self,
        dotted_path: tuple[str, ...],
        base_path: str | None,
        aliases: dict[str, str],
        base_mangle: Callable[[str], str] | None = None,
    ) -> None:
        path = ".".join(dotted_path)
        if base_path is not None:
            raise UnsupportedFeature(
                f"%import .{path} reads a file next to the grammar; a grammar here is one text: copy what it needs"
            )
        try:
            stdlib_loader(None, "/".join(dotted_path) + ".lark")
        except OSError as error:
            raise UnsupportedFeature(
                f"%import {path}: no such grammar comes with Lark; it brings common, lark, python and unicode, and "
                f"files are not read: copy what the grammar needs"
            ) from error
        super().do_import(dotted_path, base_path, aliases, base_mangle)


class _Literals(PrepareLiterals):
    """Lark's patterns of literals, the empty one among them."""

    @v_args(inline=True)
    def literal(self, literal: Token) -> Any:
        if literal in ('""', '""i'):
            return Tree("pattern", [PatternStr("")])
        return super().literal(literal)  # type: ignore[no-untyped-call]


def _load(text: str) -> LarkGrammar:
    seconds = present_budget().compile_seconds
    if len(text) > LOADED_IN_A_SECOND * seconds:
        raise CompileBudgetExceeded(
            f"a grammar of {len(text)} characters takes longer to load than compile_seconds={seconds}; shorten it or "
            f"raise Budget.compile_seconds"
        )
    builder = _Builder()
    try:
        _check_terminal_lengths(_parse_grammar(text, "the grammar"))  # type: ignore[no-untyped-call]
        builder.load_grammar(text, "the grammar")
        return builder.build()
    except UnexpectedInput as error:
        offset = len(text) if error.pos_in_stream is None else error.pos_in_stream
        raise GrammarSyntaxError("unexpected input in a Lark grammar", source=text, offset=offset) from error
    except VisitError as error:
        raise _located(error.orig_exc, text) from error
    except LarkGrammarError as error:
        raise _located(error, text) from error
    except RecursionError as error:
        raise CompileBudgetExceeded("the grammar nests too deeply") from error


def _check_terminal_lengths(grammar: Any) -> None:
    """Refuse terminals that grow beyond bounds when those they mention are written out, before Lark does that."""
    own_lengths: dict[str, int] = {}
    mentions: dict[str, list[str]] = {}
    for definition in grammar.find_data("term"):
        name, body = str(definition.children[0]), definition.children[-1]
        own_lengths[name] = own_lengths.get(name, 0) + sum(map(len, body.scan_values(lambda v: isinstance(v, Token))))
        symbols = body.scan_values(lambda value: isinstance(value, TerminalSymbol))
        mentions.setdefault(name, []).extend(str(symbol.name) for symbol in symbols)
    known = {name: [each for each in found if each in mentions] for name, found in mentions.items()}
    lengths: dict[str, int] = {}
    # Circles are Lark's to report.
    for family in strong_components(known):
        for name in family:
            lengths[name] = 1 + own_lengths[name] + sum(lengths.get(each, 1) for each in mentions[name])
            if lengths[name] > PATTERN_LIMIT:
                raise CompileBudgetExceeded(
                    f"terminal {name} is longer than {PATTERN_LIMIT} characters when the terminals it uses are written "
                    f"out; make some of them rules"
                )
    if sum(lengths.values()) > TOTAL_LIMIT:
        raise CompileBudgetExceeded(
            f"the terminals together are longer than {TOTAL_LIMIT} characters when those they use are written out; "
            f"make some of them rules"
        )


def _located(error: Exception, text: str) -> GrammarSyntaxError:
    """Lark's message, with the place that it names in words or by a name."""
    # Lark asserts without words that both ends of a range are one character.
    message = ": ".join(str(getattr(each, "msg", each)) for each in error.args) or "malformed range of characters"
    summary = message.split("\n", 1)[0].rstrip(": ")
    found = re.search(r",? at line (\d+),? column (\d+)( in the grammar)?", summary)
    if found:
        lines = text.split("\n")
        line, column = int(found[1]), int(found[2])
        offset = sum(len(each) + 1 for each in lines[: line - 1]) + column - 1
        return GrammarSyntaxError(summary.replace(found[0], ""), source=text, offset=offset)
    for name in re.findall(r"'(\w+)'|(?:defined:|used for|with rule) (\w+)", summary):
        place = re.search(rf"\b{re.escape(name[0] or name[1])}\b", text)
        if place:
            return GrammarSyntaxError(summary, source=text, offset=place.start())
    return GrammarSyntaxError(summary, source=text, offset=0)


class _Translation:
    """Expressions for the rules that the start needs, one rule after the other."""

    def __init__(self, text: str, grammar: LarkGrammar) -> None:
        self._text = text
        self._rule_trees = {str(name): (params, tree) for name, params, tree, _ in grammar.rule_defs}
        self._terminal_trees = {str(name): tree for name, (tree, _) in grammar.term_defs}
        self._patterns: dict[str, Pattern] = {}
        self._instances: dict[tuple[str, tuple[Expression, ...]], str] = {}
        self._pending: list[tuple[str, Any, Mapping[str, Expression]]] = []
        self._rules: dict[str, Expression] = {}
        names = dict.fromkeys(map(str, grammar.ignore))
        self._ignored = Ignored([_not_empty(self._lexeme(self._named_pattern(name), name)) for name in names])

    def rules(self, start: str) -> tuple[dict[str, Expression], str]:
        """All rules by name, and the name of the one that is `start` with the ignored text after it."""
        if start not in self._rule_trees:
            known = [name for name in self._rule_trees if not name.startswith("__")]
            raise GrammarError(f"there is no rule {start!r} to start from; the grammar has {_listed(known)}")
        beginning = self._instance(start, (), None)
        whole = start
        if self._ignored.languages:
            whole = f"{start} and ignored text"
            self._rules[whole] = sequence((beginning, optional(Terminal(self._ignored.gap(), "ignored text"))))
        while self._pending:
            name, tree, environment = self._pending.pop()
            self._rules[name] = self._expression(tree, environment)
        return self._rules, whole

    def _instance(self, name: str, arguments: tuple[Expression, ...], place: Any) -> Reference:
        """The rule `name`, a template where there are arguments."""
        if name not in self._rule_trees:
            known = _listed(self._rule_trees)
            raise self._error(f"rule {name!r} is used but not defined; the grammar has {known}", name)
        params, tree = self._rule_trees[name]
        if len(params) != len(arguments):
            raise self._error(f"rule {name!r} takes {len(params)} arguments, not {len(arguments)}", name)
        if tree is None:
            raise self._declared(name)
        if (name, arguments) not in self._instances:
            if len(self._instances) > len(self._rule_trees) + INSTANCE_LIMIT:
                raise CompileBudgetExceeded(
                    f"the templates are used in more than {INSTANCE_LIMIT} ways; template {name!r} may use itself with "
                    f"ever new arguments"
                )
            instance = f"{name}{{{len(self._instances)}}}" if arguments else name
            self._instances[name, arguments] = instance
            self._pending.append((instance, tree, dict(zip(params, arguments, strict=True))))
        return Reference(self._instances[name, arguments])

    def _expression(self, node: Any, environment: Mapping[str, Expression]) -> Expression:
        """`node` with template parameters replaced as `environment` says."""
        check_time()
        if isinstance(node, TerminalSymbol):
            return self._terminal(self._named_pattern(node.name), node.name)
        if isinstance(node, NonTerminal):
            name = str(node.name)
            return environment[name] if name in environment else self._instance(name, (), node)
        children = node.children
        match node.data:
            case "expansions":
                return self._choice(children, environment)
            case "expansion":
                return sequence(self._expression(child, environment) for child in children)
            case "alias" | "value":
                return self._expression(children[0], environment)
            case "maybe":
                return optional(self._choice(children, environment))
            case "expr":
                return self._repetition(self._expression(children[0], environment), *children[1:])
            case "literal" | "range":
                pattern = self._literal(node)
                return self._terminal(pattern, _literal_name(node))
            case "template_usage":
                template, *arguments = children
                name = str(template.name)
                if isinstance(passed := environment.get(name), Reference):
                    name = passed.rule
                return self._instance(name, tuple(self._argument(each, environment) for each in arguments), node)
            case unknown:
                raise AssertionError(f"Lark's loader makes no {unknown!r}")

    def _choice(self, alternatives: Iterable[Any], environment: Mapping[str, Expression]) -> Expression:
        """Any of the alternatives; those that are plain words are one terminal, for there may be thousands."""
        words: dict[bytes, str] = {}
        others = []
        for node in alternatives:
            inner = node
            while isinstance(inner, Tree) and inner.data in ("alias", "expansion", "value") and inner.children:
                if inner.data == "expansion" and len(inner.children) > 1:
                    break
                inner = inner.children[0]
            if isinstance(inner, Tree) and inner.data == "literal":
                pattern, name = self._literal(inner), _literal_name(inner)
            elif isinstance(inner, TerminalSymbol):
                pattern, name = self._named_pattern(inner.name), inner.name
            else:
                pattern = None
            if isinstance(pattern, PatternStr) and not pattern.flags:
                words.setdefault(self._word(pattern, name), name)
            else:
                others.append(self._expression(node, environment))
        if words:
            name = joined_name(words.values(), " | ")
            others.append(self._lexemes(Language.words(list(words)), name))
        return choice(others)

    def _argument(self, node: Any, environment: Mapping[str, Expression]) -> Expression:
        """A template's argument: unlike elsewhere, a rule's name may be that of another template."""
        inner = node.children[0] if isinstance(node, Tree) and node.data == "value" else node
        if isinstance(inner, NonTerminal) and str(inner.name) not in environment:
            name = str(inner.name)
            if name in self._rule_trees and self._rule_trees[name][0]:
                return Reference(name)
        return self._expression(inner, environment)

    def _repetition(self, part: Expression, operator: Token, *counts: Token) -> Expression:
        match operator.value:
            case "?":
                return optional(part)
            case "*":
                return repeat(part, 0, None)
            case "+":
                return repeat(part, 1, None)
        minimum, maximum = int(counts[0]), int(counts[-1])
        if not 0 <= minimum <= maximum <= REPETITION_LIMIT:
            raise GrammarSyntaxError(
                f"a repetition from {minimum} to {maximum}; counts go up from 0 to {REPETITION_LIMIT}",
                source=self._text,
                offset=counts[0].start_pos or 0,
            )
        return repeat(part, minimum, maximum)

    def _terminal(self, pattern: Pattern, name: str) -> Expression:
        return self._lexemes(self._lexeme(pattern, name), name)

    def _lexemes(self, language: Language, name: str) -> Expression:
        """A text of the language and what is ignored before it, or nothing where that is a text of it."""
        if not language.matches(b""):
            return Terminal(self._ignored.before(language, name), name)
        some = _not_empty(language)
        return EMPTY_TEXT if some.is_empty else optional(self._lexemes(some, name))

    def _lexeme(self, pattern: Pattern, name: str) -> Language:
        if isinstance(pattern, PatternStr) and not pattern.flags:
            return Language.literal(self._word(pattern, name))
        try:
            return lexeme_language(str(pattern.to_regexp()))
        except (UnsupportedFeature, CompileBudgetExceeded) as error:
            raise type(error)(f"terminal {name}: {error.message}") from error
        except GrammarError as error:
            raise self._error(f"terminal {name}: {error.message}", name) from error

    def _word(self, pattern: PatternStr, name: str) -> bytes:
        """The text of a plain string, in UTF-8."""
        try:
            return pattern.value.encode()
        except UnicodeEncodeError as error:
            raise self._error(f"terminal {name} has a lone surrogate, which no UTF-8 text has", name) from error

    def _named_pattern(self, name: str) -> Pattern:
        if name not in self._terminal_trees:
            raise self._error(f"terminal {name} is used but not defined", name)
        if name not in self._patterns:
            tree = self._terminal_trees[name]
            if tree is None:
                raise self._declared(name)
            self._patterns[name] = self._joined(tree, name)
        return self._patterns[name]

    def _joined(self, tree: Any, name: str) -> Pattern:
        """One pattern for a terminal's tree, as Lark joins it; shared parts of the tree are written out each time."""
        pattern: Pattern = self._transformed(_Literals() * TerminalTreeToPattern(), tree)
        return pattern

    def _literal(self, node: Any) -> Pattern:
        pattern: Pattern = self._transformed(_Literals(), node).children[0]
        return pattern

    def _transformed(self, transformer: Any, node: Any) -> Any:
        try:
            return transformer.transform(node)
        except VisitError as error:
            raise _located(error.orig_exc, self._text) from error
        except LarkGrammarError as error:
            raise _located(error, self._text) from error

    def _declared(self, name: str) -> UnsupportedFeature:
        return UnsupportedFeature(
            f"%declare {name}: what {name} stands for is decided outside the grammar; give it a definition"
        )

    def _error(self, message: str, name: str) -> GrammarSyntaxError:
        # Names are found as whole words; literals begin and end with their own marks.
        edge = r"\b" if name.isidentifier() else ""
        place = re.search(edge + re.escape(name) + edge, self._text)
        return GrammarSyntaxError(message, source=self._text, offset=place.start() if place else 0)


def _not_empty(language: Language) -> Language:
    return difference(language, Language.literal(b""))


def _literal_name(node: Any) -> str:
    return "..".join(str(child) for child in node.children)


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    if not shown:
        return "no rules"
    return ", ".join(shown[:10]) + (f" and {len(shown) - 10} more" if len(shown) > 10 else "")
