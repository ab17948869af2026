"""Reading a regular expression: what the dialects have in common. Each dialect is a subclass in a file of its own.

alternation = sequence ("|" sequence)*
sequence    = (atom quantifier?)*
atom        = "." | "^" | "$" | "\\" escape | "[" class "]" | "(" group ")" | character
quantifier  = ("*" | "+" | "?" | "{" bounds "}") "?"?
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NoReturn

from tokamask.errors import CompileBudgetExceeded, GrammarSyntaxError, UnsupportedFeature
from tokamask.grammar.budget import check_time
from tokamask.grammar.regular_expression.captures import COPY_BUDGET, back_references, written_out
from tokamask.grammar.regular_expression.code_points import CodePoints, complement, from_ranges, single, union
from tokamask.grammar.regular_expression.syntax import (
    Alternation,
    BackReference,
    Capture,
    Characters,
    Concatenation,
    Look,
    Neighbour,
    Node,
    Repetition,
)

NESTING_BUDGET = 100
COUNT_DIGITS = 9
DECIMAL = "0123456789"
OCTAL = "01234567"
# Escapes that match a place and cannot be repeated.
_PLACES = ("\\b", "\\B", "\\A", "\\Z")
HEXADECIMAL = "0123456789abcdefABCDEF"
# Where none of these is written, nothing refers to a group.
_MAY_REFER = re.compile(r"\\[1-9k]|\(\?P=")


@dataclass(frozen=True)
class Flags:
    """The flags in force at a place of the expression."""

    ignore_case: bool = False
    multi_line: bool = False
    dot_all: bool = False
    verbose: bool = False
    ascii: bool = False


# The letter of each flag.
FLAG_NAMES = {"i": "ignore_case", "m": "multi_line", "s": "dot_all", "x": "verbose", "a": "ascii"}


@dataclass(frozen=True)
class Bounds:
    minimum: int
    maximum: int | None


class Reader(ABC):
    """Reads one expression from `source`; `offset` is the next character."""

    def __init__(self, source: str, flags: Flags) -> None:
        self.source = source
        self.offset = 0
        self.flags = flags
        self.depth = 0
        self._captures = _MAY_REFER.search(source) is not None
        self._opened = 0
        self._closed: set[int] = set()
        self._numbers: dict[str, list[int]] = {}

    def read(self) -> Node:
        node = self.alternation()
        if self.offset < len(self.source):
            self.fail("unbalanced )")
        if not self._captures:
            return node
        written = written_out(node)
        left = next(back_references(written), None)
        if left is not None:
            self.refuse(
                f"a back-reference to a group that may be unset, match again or have more than {COPY_BUDGET} texts",
                left.offset,
            )
        return written

    # Errors

    def fail(self, message: str, offset: int | None = None) -> NoReturn:
        place = self.offset if offset is None else offset
        raise GrammarSyntaxError(f"invalid regular expression: {message}", source=self.source, offset=place)

    def refuse(self, feature: str, offset: int) -> NoReturn:
        raise UnsupportedFeature(
            f"{feature}, at character {offset} of the regular expression {self.source!r}, "
            "cannot be enforced exactly; rewrite the expression without it"
        )

    # Characters of the source

    @property
    def next(self) -> str:
        """The next character, or "" at the end."""
        return self.source[self.offset : self.offset + 1]

    def take(self, text: str) -> bool:
        """Step over `text` if it comes next."""
        if self.source.startswith(text, self.offset):
            self.offset += len(text)
            return True
        return False

    def take_while(self, characters: str, most: int) -> str:
        start = self.offset
        while self.offset - start < most and self.next and self.next in characters:
            self.offset += 1
        return self.source[start : self.offset]

    def take_number(self) -> int | None:
        """A decimal number; None, and nothing read, where there is none."""
        digits = self.take_while(DECIMAL, len(self.source))
        significant = digits.lstrip("0")
        if len(significant) > COUNT_DIGITS:
            raise CompileBudgetExceeded(f"a repetition count with more than {COUNT_DIGITS} digits; use a smaller one")
        return int(significant or "0") if digits else None

    def take_until(self, end: str, what: str) -> str:
        """What stands before `end`; steps over both."""
        place = self.source.find(end, self.offset)
        if place < 0:
            self.fail(f"{what} is never closed by {end}")
        text = self.source[self.offset : place]
        self.offset = place + len(end)
        return text

    def hexadecimal(self, digits: int, escape: str) -> int:
        """Exactly `digits` hexadecimal digits."""
        text = self.take_while(HEXADECIMAL, digits)
        if len(text) < digits:
            self.fail(f"{escape} needs {digits} hexadecimal digits")
        return int(text, 16)

    # Structure

    def alternation(self) -> Node:
        alternatives = [self.sequence()]
        while self.take("|"):
            alternatives.append(self.sequence())
        return alternatives[0] if len(alternatives) == 1 else Alternation(tuple(alternatives))

    def sequence(self) -> Node:
        parts: list[Node] = []
        while self.skip_ignored() and self.next not in "|)":
            check_time()
            start = self.offset
            atom = self.atom()
            self.skip_ignored()
            bounds = self.quantifier()
            if bounds is not None:
                if self.source[start] in "^$" or self.source[start : start + 2] in _PLACES:
                    self.fail("nothing to repeat", start)
                atom = self.repeated(atom, bounds)
            parts.append(atom)
        return parts[0] if len(parts) == 1 else Concatenation(tuple(parts))

    def repeated(self, atom: Node, bounds: Bounds) -> Node:
        if bounds.maximum is not None and bounds.maximum < bounds.minimum:
            self.fail("the greatest repetition count is less than the least")
        self.quantifier_suffix()
        self.skip_ignored()
        place = self.offset
        if self.quantifier() is not None:
            self.fail("multiple repeat", place)
        return Repetition(atom, bounds.minimum, bounds.maximum)

    def quantifier(self) -> Bounds | None:
        """A quantifier without its suffix; None, and nothing read, where there is none."""
        match self.next:
            case "*":
                bounds = Bounds(0, None)
            case "+":
                bounds = Bounds(1, None)
            case "?":
                bounds = Bounds(0, 1)
            case "{":
                start = self.offset
                self.offset += 1
                counted = self.counts()
                if counted is None:
                    self.offset = start
                return counted
            case _:
                return None
        self.offset += 1
        return bounds

    def atom(self) -> Node:
        character = self.next
        start = self.offset
        match character:
            case ".":
                self.offset += 1
                return Characters(self.any_character())
            case "^":
                self.offset += 1
                return self.line_start()
            case "$":
                self.offset += 1
                return self.line_end()
            case "\\":
                self.offset += 1
                return self.escape()
            case "[":
                self.offset += 1
                return Characters(self.character_class())
            case "(":
                self.offset += 1
                return self.nested(start)
        if self.quantifier() is not None:
            self.fail("nothing to repeat", start)
        self.offset += 1
        return self.literal(ord(character))

    def nested(self, start: int) -> Node:
        """A group, behind its opening parenthesis at `start`; flags set inside end with it."""
        self.depth += 1
        if self.depth > NESTING_BUDGET:
            raise CompileBudgetExceeded(f"the regular expression nests more than {NESTING_BUDGET} groups")
        flags = self.flags
        node = self.group(start)
        self.flags = flags
        self.depth -= 1
        return node

    def captured(self, start: int, name: str | None = None) -> Node:
        """The rest of a capturing group, behind its ( and name."""
        self._opened += 1
        number = self._opened
        if name is not None:
            self._numbers.setdefault(name, []).append(number)
        part = self.alternation()
        self.close(start)
        self._closed.add(number)
        return Capture(part, number) if self._captures else part

    def reference(self, group: int | str, start: int) -> Node:
        """A back-reference by number or name, written at `start`."""
        numbers = [group] if isinstance(group, int) else self._numbers.get(group, [])
        if len(numbers) != 1 or numbers[0] not in self._closed:
            self.refuse("a back-reference to what is not one group that ends before it", start)
        if self.flags.ignore_case:
            self.refuse("a back-reference that ignores case", start)
        return BackReference(numbers[0], start)

    def close(self, start: int) -> None:
        if not self.take(")"):
            self.fail("missing )", start)

    def look(self, start: int, *, behind: bool, negative: bool) -> Node:
        """A lookaround whose opening has been read; conditions on one character or the edge become `Neighbour`."""
        part = self.alternation()
        self.close(start)
        match part:
            case Characters(code_points):
                return Neighbour(behind, complement(code_points) if negative else code_points, negative)
            case Neighbour() if not negative:
                return part
            case Neighbour(side, code_points, at_edge):
                return Neighbour(side, complement(code_points), not at_edge)
        return Look(part, behind, negative)

    def literal(self, code_point: int) -> Node:
        return Characters(self.ignoring_case(single(code_point)))

    def character_class(self) -> CodePoints:
        """A class behind its [: ["^"] (item | item "-" item)* "]"."""
        start = self.offset - 1
        negative = self.take("^")
        ranges: list[tuple[int, int]] = []
        classes: list[CodePoints] = []
        first = True
        while not self.closes_class(first):
            first = False
            place = self.offset
            low = self.class_item(start)
            if self.next == "-" and not self.source.startswith("-]", self.offset):
                self.offset += 1
                high = self.class_item(start)
                if isinstance(low, int) and isinstance(high, int):
                    if high < low:
                        self.fail("a range of characters runs backwards", place)
                    ranges.append((low, high))
                    continue
                self.class_as_range_end(place)
                items = [low, 0x2D, high]
            else:
                items = [low]
            ranges.extend((item, item) for item in items if isinstance(item, int))
            classes.extend(item for item in items if not isinstance(item, int))
        # Only characters are matched whatever their case: a class is what it is.
        code_points = union(self.ignoring_case(from_ranges(ranges)), *classes)
        return complement(code_points) if negative else code_points

    def class_item(self, start: int) -> int | CodePoints:
        if not self.next:
            self.fail("[ is never closed by ]", start)
        if self.take("\\"):
            return self.class_escape()
        self.offset += 1
        return ord(self.source[self.offset - 1])

    # What differs between the dialects

    def skip_ignored(self) -> bool:
        """Step over blanks and comments where flags allow them; whether anything is left."""
        return self.offset < len(self.source)

    def ignoring_case(self, code_points: CodePoints) -> CodePoints:
        """Characters as the flags in force have them."""
        return code_points

    @abstractmethod
    def counts(self) -> Bounds | None:
        """The counts of a quantifier behind {, and the }; None if this is not a quantifier."""

    @abstractmethod
    def quantifier_suffix(self) -> None:
        """What may follow a quantifier."""

    @abstractmethod
    def any_character(self) -> CodePoints:
        """What . matches."""

    @abstractmethod
    def line_start(self) -> Node:
        """What ^ means."""

    @abstractmethod
    def line_end(self) -> Node:
        """What $ means."""

    @abstractmethod
    def escape(self) -> Node:
        r"""An escape outside of classes, behind its \."""

    @abstractmethod
    def class_escape(self) -> int | CodePoints:
        r"""An escape inside a class, behind its \: a character or a class."""

    @abstractmethod
    def closes_class(self, first: bool) -> bool:
        """Whether a ] comes next that closes the class; steps over it."""

    @abstractmethod
    def class_as_range_end(self, place: int) -> None:
        """Called for a class at an end of a range, which begins at `place`; may fail."""

    @abstractmethod
    def group(self, start: int) -> Node:
        """A group or lookaround, behind its (, which is at `start`."""


def word_boundary(word: CodePoints) -> Node:
    r"""\b: a character of `word` on exactly one side."""
    other = complement(word)
    return Alternation(
        (
            Concatenation((Neighbour(True, word, False), Neighbour(False, other, True))),
            Concatenation((Neighbour(True, other, True), Neighbour(False, word, False))),
        )
    )


def no_word_boundary(word: CodePoints) -> Node:
    r"""\B: a character of `word` on both sides or on neither."""
    other = complement(word)
    return Alternation(
        (
            Concatenation((Neighbour(True, word, False), Neighbour(False, word, False))),
            Concatenation((Neighbour(True, other, True), Neighbour(False, other, True))),
        )
    )
