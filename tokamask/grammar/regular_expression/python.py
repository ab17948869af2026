"""The dialect of Python's `re`, for text patterns."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

from tokamask.grammar.regular_expression.character_classes import (
    ASCII_DIGITS,
    ASCII_SPACE,
    ASCII_WORD,
    NEWLINE,
    ignoring_ascii_case,
    ignoring_case,
    python_class,
)
from tokamask.grammar.regular_expression.code_points import ANY, CodePoints, complement
from tokamask.grammar.regular_expression.reader import (
    DECIMAL,
    FLAG_NAMES,
    OCTAL,
    Bounds,
    Reader,
    no_word_boundary,
    word_boundary,
)
from tokamask.grammar.regular_expression.syntax import (
    TEXT_END,
    TEXT_START,
    Alternation,
    Characters,
    Concatenation,
    Look,
    Neighbour,
    Node,
)

_ASCII_CLASSES = {"d": ASCII_DIGITS, "w": ASCII_WORD, "s": ASCII_SPACE}
_CONTROLS = {"a": 0x07, "f": 0x0C, "n": 0x0A, "r": 0x0D, "t": 0x09, "v": 0x0B, "\\": 0x5C}
_BLANKS = " \t\n\r\v\f"
# `re` steps over an escape in a comment as a whole: an escaped end is none.
_COMMENT = re.compile(r"\(\?#(?:[^)\\]|\\.)*\)", re.DOTALL)
_LINE_COMMENT = re.compile(r"#(?:[^\n\\]|\\.)*(?:\n|\Z)", re.DOTALL)
# $ also matches before a newline that ends the text.
_END_OR_LAST_NEWLINE = Alternation(
    (TEXT_END, Look(Concatenation((Characters(NEWLINE), TEXT_END)), behind=False, negative=False))
)
# Until Python 3.14 the empty text has no place where \B matches.
_EMPTY_TEXT_HAS_NO_PLACE = re.match(r"\B", "") is None
_NOT_ALONE = Alternation((Neighbour(True, ANY, False), Neighbour(False, ANY, False)))


class PythonReader(Reader):
    def read(self) -> Node:
        # Flags for the whole expression stand at its beginning.
        self.skip_ignored()
        while (match := re.compile(r"\(\?([aiLmsux]+)\)").match(self.source, self.offset)) is not None:
            self.set_flags(match[1], "", match.start())
            self.offset = match.end()
            self.skip_ignored()
        return super().read()

    def set_flags(self, on: str, off: str, start: int) -> None:
        if "L" in on + off:
            self.fail("the flag L is for bytes patterns", start)
        if set(off) & set("au") or {"a", "u"} <= set(on) or set(on) & set(off):
            self.fail("these flags exclude each other", start)
        changes = {FLAG_NAMES[flag]: flag in on for flag in on + off if flag != "u"}
        if "u" in on:
            changes["ascii"] = False
        self.flags = replace(self.flags, **changes)

    def skip_ignored(self) -> bool:
        while self.next:
            if self.source.startswith("(?#", self.offset):
                self.skip_comment(_COMMENT)
            elif not self.flags.verbose:
                break
            elif self.next in _BLANKS:
                self.offset += 1
            elif self.next == "#":
                self.skip_comment(_LINE_COMMENT)
            else:
                break
        return self.offset < len(self.source)

    def skip_comment(self, form: re.Pattern[str]) -> None:
        comment = form.match(self.source, self.offset)
        if comment is None:
            self.fail("this comment never ends")
        self.offset = comment.end()

    def counts(self) -> Bounds | None:
        if self.next == "}":
            return None
        low = self.take_number()
        high = self.take_number() if self.take(",") else low
        return Bounds(low or 0, high) if self.take("}") else None

    def quantifier_suffix(self) -> None:
        if self.next == "+":
            self.refuse("a possessive quantifier", self.offset)
        self.take("?")

    def any_character(self) -> CodePoints:
        return ANY if self.flags.dot_all else complement(NEWLINE)

    def line_start(self) -> Node:
        return Neighbour(True, NEWLINE, True) if self.flags.multi_line else TEXT_START

    def line_end(self) -> Node:
        return Neighbour(False, NEWLINE, True) if self.flags.multi_line else _END_OR_LAST_NEWLINE

    def named_class(self, letter: str) -> CodePoints | None:
        lower = letter.lower()
        if lower not in _ASCII_CLASSES:
            return None
        code_points = _ASCII_CLASSES[lower] if self.flags.ascii else python_class(lower)
        return code_points if letter == lower else complement(code_points)

    def escape(self) -> Node:
        start = self.offset - 1
        letter = self.next
        self.offset += 1
        match letter:
            case "":
                self.fail("a \\ at the end", start)
            case "A":
                return TEXT_START
            case "Z":
                return TEXT_END
            case "b":
                return word_boundary(self.word())
            case "B":
                apart = no_word_boundary(self.word())
                return Concatenation((_NOT_ALONE, apart)) if _EMPTY_TEXT_HAS_NO_PLACE else apart
        code_points = self.named_class(letter)
        if code_points is not None:
            return Characters(code_points)
        if letter in "123456789":
            return self.reference_or_octal(start)
        return self.literal(self.character_escape(letter, start))

    def word(self) -> CodePoints:
        return ASCII_WORD if self.flags.ascii else python_class("w")

    def reference_or_octal(self, start: int) -> Node:
        """Three octal digits are a character, anything else a group's number."""
        digits = self.source[start + 1 : start + 4]
        if len(digits) == 3 and all(digit in OCTAL for digit in digits):
            self.offset = start + 4
            return self.literal(self.octal(digits, start))
        return self.reference(int(self.source[start + 1] + self.take_while(DECIMAL, 1)), start)

    def octal(self, digits: str, start: int) -> int:
        if int(digits, 8) > 0o377:
            self.fail("an octal escape above 0o377", start)
        return int(digits, 8)

    def class_escape(self) -> int | CodePoints:
        start = self.offset - 1
        letter = self.next
        self.offset += 1
        if not letter:
            self.fail("a \\ at the end", start)
        if letter == "b":
            return 0x08
        if letter in OCTAL:
            return self.octal(letter + self.take_while(OCTAL, 2), start)
        code_points = self.named_class(letter)
        return self.character_escape(letter, start) if code_points is None else code_points

    def character_escape(self, letter: str, start: int) -> int:
        """An escape that is one character, behind its letter."""
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        match letter:
            case "x":
                return self.hexadecimal(2, r"\x")
            case "u":
                return self.hexadecimal(4, r"\u")
            case "U":
                code_point = self.hexadecimal(8, r"\U")
                if code_point > 0x10FFFF:
                    self.fail("not a code point", start)
                return code_point
            case "0":
                return int("0" + self.take_while(OCTAL, 2), 8)
            case "N":
                if not self.take("{"):
                    self.fail(r"\N needs the name of a character in braces", start)
                try:
                    return ord(unicodedata.lookup(self.take_until("}", r"\N{")))
                except (KeyError, TypeError):
                    self.fail("there is no character of this name", start)
        if letter.isascii() and letter.isalnum():
            self.fail(f"\\{letter} has no meaning in Python", start)
        return ord(letter)

    def closes_class(self, first: bool) -> bool:
        return not first and self.take("]")

    def class_as_range_end(self, place: int) -> None:
        self.fail("a class cannot be the end of a range of characters", place)

    def group(self, start: int) -> Node:
        if self.take("?="):
            return self.look(start, behind=False, negative=False)
        if self.take("?!"):
            return self.look(start, behind=False, negative=True)
        if self.take("?<="):
            return self.look(start, behind=True, negative=False)
        if self.take("?<!"):
            return self.look(start, behind=True, negative=True)
        if self.take("?P<"):
            name = self.take_until(">", "the name of a group")
            if not name.isidentifier():
                self.fail(f"{name!r} is not the name of a group", start)
            if name in self._numbers:
                self.fail(f"there is a group {name!r} already", start)
            return self.captured(start, name)
        if self.take("?P="):
            return self.reference(self.take_until(")", "(?P="), start)
        if self.take("?("):
            self.refuse("a conditional", start)
        if self.take("?>"):
            self.refuse("an atomic group", start)
        if not self.take("?"):
            return self.captured(start)
        if not self.take(":"):
            self.scoped_flags(start)
        node = self.alternation()
        self.close(start)
        return node

    def scoped_flags(self, start: int) -> None:
        """(?aimsux-imsx: ...)"""
        on = self.take_while("aiLmsux", len(self.source))
        off = self.take_while("aiLmsux", len(self.source)) if self.take("-") else ""
        if on and not off and self.next == ")":
            self.fail("flags for the whole expression must stand at its beginning", start)
        if not (on or off) or not self.take(":"):
            self.fail("(? must go on with one of : = ! <= <! P<name> # or flags and :", start)
        self.set_flags(on, off, start)

    def ignoring_case(self, code_points: CodePoints) -> CodePoints:
        if not self.flags.ignore_case:
            return code_points
        return ignoring_ascii_case(code_points) if self.flags.ascii else ignoring_case(code_points)
