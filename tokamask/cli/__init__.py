"""The command line: `tokamask generate | explain | check | warmup`.

Standard output carries the answer alone, so that it can be piped; everything said about it goes to standard error.

Exit codes: 0 done; 1 the answer is no (the text does not satisfy the constraint, a keyword is refused, the document was
rejected); 2 the arguments cannot be used, or the answer cannot be written; 130 interrupted; 141 the reader of standard
output went away.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from tokamask.cli import check, explain, generate, warmup
from tokamask.cli.arguments import ArgumentError
from tokamask.errors import TokamaskError

__all__ = ["main"]

DESCRIPTION = """\
Language model output confined to a JSON Schema, a regular expression or a grammar."""

EPILOG = """\
examples:
  tokamask generate "Describe Moby Dick." --schema book.json
  tokamask generate "Is water wet?" --choices yes,no --model path/to/model
  tokamask explain book.json
  tokamask check --schema book.json answer.json

`tokamask COMMAND --help` says more about each."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; argparse itself exits on --help and on malformed options."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        code: int = arguments.run(arguments)
        print(end="", flush=True)
    except (ArgumentError, TokamaskError) as error:
        print(f"tokamask: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ntokamask: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _leave_standard_output()
        return 141
    except OSError as error:  # such as a full disk
        print(f"tokamask: {error}", file=sys.stderr)
        _leave_standard_output()
        return 2
    return code


def _leave_standard_output() -> None:
    """Python flushes it once more when it exits, and would meet the same error again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tokamask",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (generate, explain, check, warmup):
        command.add_command(commands)
    return parser


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"tokamask {version('tokamask')}")
        parser.exit()
