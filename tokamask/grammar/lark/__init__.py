"""Lark grammars, read by Lark's own loader, to rules whose terminals are regular languages over bytes.

`reader` turns rules into expressions, `terminals` a terminal's pattern into the lexemes Lark finds with it, and
`ignored` puts what %ignore names in front of each lexeme. Lark's parsers are not used: the language is that of its
Earley parser with the lexer "dynamic_complete", decided one byte at a time.
"""

from tokamask.grammar.lark.reader import read_lark

__all__ = ["read_lark"]
