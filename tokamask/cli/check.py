"""`tokamask check`: whether a text satisfies a constraint, and where it leaves it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from tokamask.cli.arguments import add_constraint_options, read_text, specification
from tokamask.cli.first_call import telling_of_compilation
from tokamask.errors import GrammarSyntaxError

if TYPE_CHECKING:
    from tokamask.grammar.grammar import CheckResult

DESCRIPTION = """\
Say whether a text could have been generated under a constraint. If not, show where it leaves it: the place, the JSON
pointer of the value there, and what could have stood instead. The exit code is 1 then.

For a schema that means: the text is a valid document whose properties are in the declared order, with ordinary
whitespace. No model is needed."""

EPILOG = """\
examples:
  tokamask check --schema book.json answer.json
  tokamask check --schema book.json '{"title": "Moby Dick"}'
  curl -s ... | tokamask check --regex "[0-9]+" -"""


def add_command(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "check",
        help="say whether a text satisfies a constraint, and where it leaves it",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_constraint_options(parser, required=True)
    parser.add_argument("text", metavar="TEXT", help="a file, '-' for standard input, or the text itself")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    with telling_of_compilation():
        return _check(arguments)


def _check(arguments: argparse.Namespace) -> int:
    from tokamask.runtime.constraints import read_constraint

    constraint = read_constraint(specification(arguments), None)
    assert constraint is not None, "the parser asks for one"
    text = read_text(arguments.text)
    result = constraint.grammar.check(text)
    if not result.ok and text.endswith("\n"):
        # Editors and shells end texts with a newline that is no part of them.
        text = text[:-1]
        result = constraint.grammar.check(text)
    if result.ok:
        print("yes: the text satisfies the constraint")
        return 0
    print(_refusal(text, result))
    return 1


def _refusal(text: str, result: CheckResult) -> str:
    """Where the text leaves the constraint, in the form in which other places in texts are shown."""
    said = "no: the text ends too early" if result.offset == len(text) else "no: the text leaves the constraint"
    if result.pointer is not None:
        said += f" at {result.pointer!r}"
    if result.expected:
        said += f"; expected {', '.join(result.expected)}"
    return str(GrammarSyntaxError(said, source=text, offset=result.offset))
