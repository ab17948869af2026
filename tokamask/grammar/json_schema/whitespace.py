"""What may stand between two JSON tokens."""

from __future__ import annotations

from functools import lru_cache

from tokamask.errors import GrammarError
from tokamask.grammar.json_schema.values import shown
from tokamask.grammar.language import Language, assemble

WIDEST_INDENT = 64
MOST_TABS = 16

# Columns: blank, tab, newline, carriage return, anything else.
_BLANK, _TAB, _NEWLINE, _RETURN, _OTHER = range(5)
_BYTE_CLASS = bytes({0x20: _BLANK, 0x09: _TAB, 0x0A: _NEWLINE, 0x0D: _RETURN}.get(byte, _OTHER) for byte in range(256))


@lru_cache(typed=True)
def whitespace_language(policy: str | int) -> Language:
    """The whitespace that a policy allows between tokens. All but "any" are finite, so no model can loop in it.

    - "flexible": nothing, a blank, or a newline with an indent of at most 64 blanks or 16 tabs;
    - "none": nothing; "one-space": nothing or a blank;
    - an integer n: nothing, a blank, or a newline with a multiple of n blanks, at most 64;
    - "any": all that JSON allows.
    """
    if policy == "none":
        return Language.literal(b"")
    if policy == "one-space":
        return Language.words([b"", b" "])
    if policy == "flexible":
        indents = [b" " * width for width in range(WIDEST_INDENT + 1)] + [
            b"\t" * width for width in range(1, MOST_TABS + 1)
        ]
        return Language.words([b"", b" ", *(newline + indent for newline in (b"\n", b"\r\n") for indent in indents)])
    if policy == "any":
        return assemble(_BYTE_CLASS, [[0, 0, 0, 0, -1]], [True])
    if isinstance(policy, int) and not isinstance(policy, bool) and policy >= 0:
        widths = range(0, WIDEST_INDENT + 1, policy) if policy else (0,)
        return Language.words([b"", b" ", *(b"\n" + b" " * width for width in widths)])
    raise GrammarError(
        f"there is no whitespace policy {shown(policy)}; choose flexible, none, one-space, any or a number of blanks"
    )
