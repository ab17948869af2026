"""The lexer against Python's own parser: the dots that it finds are the dots of the attributes."""

from __future__ import annotations

import ast
import sysconfig
from pathlib import Path

import pytest

from tokamask.runtime.monitors.python_lexer import (
    Lexer,
    Preceding,
    closing_brackets,
    read,
    step,
    unmatched_closers,
)

STANDARD_LIBRARY = Path(sysconfig.get_paths()["stdlib"])
# Together they hold every kind of string, number, comment and continued line, and dots at odd places.
MODULES = ["argparse", "ast", "_pydecimal", "enum", "inspect", "statistics", "subprocess", "tokenize", "typing"]


def dots(code: bytes) -> set[int]:
    """Where the lexer sees the dot of a dereference."""
    lexer, found = Lexer(), set()
    for at, byte in enumerate(code):
        lexer = step(lexer, byte)
        if lexer.is_after_dot:
            found.add(at)
    return found


def attribute_dots(code: bytes) -> set[int]:
    """Where `ast` sees an attribute that follows its dot immediately, outside of f-strings."""
    lines = [0]
    for line in code.split(b"\n"):
        lines.append(lines[-1] + len(line) + 1)
    found: set[int] = set()
    pending: list[ast.AST] = [ast.parse(code)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.JoinedStr):
            continue
        if isinstance(node, ast.Attribute):
            assert node.end_lineno is not None
            assert node.end_col_offset is not None
            name = lines[node.end_lineno - 1] + node.end_col_offset - len(node.attr.encode())
            if code[name - 1 : name] == b".":
                found.add(name - 1)
        pending += ast.iter_child_nodes(node)
    return found


@pytest.mark.parametrize("module", MODULES)
def test_the_dots_of_real_modules(module: str) -> None:
    code = (STANDARD_LIBRARY / f"{module}.py").read_bytes()
    found = attribute_dots(code)
    assert len(found) > 50, "the module says something about the lexer"
    followed_by_blank = {at for at in dots(code) if code[at + 1 : at + 2] in b" \t\n\\#"}
    assert dots(code) - followed_by_blank == found


@pytest.mark.parametrize(
    "code",
    [
        "a^.b",
        "a^.b(c)^.d[0]^.e",
        "f()^.a; g()^.b",
        "'x'^.a + b'y'^.b + rb'''z'''^.c",
        "''^.a + ''''''^.b",
        "'\\'.'^.a",
        "r'\\'.'^.a",
        "1.5^.real + 1.^.real + 0x1f^.real + 1_0.5e3^.real + .5^.real + 1j^.imag",
        "x[1.:2.]",
        "...^.real",
        "return_^.a",
        "None^.a + True^.b",
        "x = a ^.b",
        "(a\n  ^.b\n  # c.d\n  ^.e)",
        "a\\\n  ^.b",
        "import a.b, c.d; e^.f",
        "from . import a\nb^.c",
        "from .a.b import (\n c,\n d)\ne^.f",
        "raise E from e^.f",
        "yield from e^.f",
        "if x: import a.b\ne^.f",
        "# a.b\nc^.d # e.f",
        "'a.b'\n'''c.d\ne.f'''^.g",
        "'unclosed a.b\nc^.d",
        'f"a.b{c.d}e.f"^.g',
        'f"{a.b:{c.d}.{e}}"^.g',
        'f"{{a.b}}"^.g',
        'f"{a:"^.g',
        "f'''{\na.b\n}'''^.g",
        'f"{x!r:>{w}}"^.g',
        'f"{d["a.b"].c}"^.g',  # PEP 701
        'f"{f"{a.b}"}{c.d}"^.g',
        'f"{x:%H:%M}"^.g',
        'f"{ {1: a.b}[1] }"^.g',
        "F'{a.b}'^.c + Rb'd.e'^.f",
        "é^.a",
        "match^.a",
        "lambda: a^.b",
    ],
)
def test_examples(code: str) -> None:
    """A caret marks every dereference."""
    pieces = code.encode().split(b"^")
    plain = b"".join(pieces)
    marked = {sum(map(len, pieces[:count])) for count in range(1, len(pieces))}
    assert dots(plain) == marked


def test_a_blank_takes_the_name_from_the_dot() -> None:
    assert read(Lexer(), b"a.").is_after_dot
    for blank in (b" ", b"\n", b"\\", b"#"):
        assert not read(Lexer(), b"a." + blank).is_after_dot
    assert read(Lexer(), b"a.b").preceding is Preceding.DOT


def test_brackets() -> None:
    assert read(Lexer(), b"f(a[{1: ')'}, (").brackets == b"([("
    assert read(Lexer(), b"f(a]").brackets == b"("
    assert closing_brackets(b"([{") == b"}])"
    assert unmatched_closers(b"') )' + (a)]) # )\n(}") == b"])}"
    assert unmatched_closers(b"") == b""
