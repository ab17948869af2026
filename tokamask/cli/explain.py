"""`tokamask explain`: what becomes of every keyword of a schema."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING, Any

from tokamask.cli.arguments import SCHEMA_HELP, read_schema

if TYPE_CHECKING:
    from tokamask.grammar.grammar import KeywordReport

DESCRIPTION = """\
List every keyword of a schema with what becomes of it:

  enforced    every text that is generated satisfies it
  annotation  it does not restrict values (a title, an unknown keyword)
  refused     it restricts values but cannot be enforced exactly, so the schema is not compiled; the reason follows

The exit code is 1 if a keyword is refused."""

EPILOG = """\
examples:
  tokamask explain book.json
  tokamask explain '{"type": "string", "maxLength": 5, "title": "Code"}'
  tokamask explain --draft openapi-3.0 '{"type": "string", "nullable": true}'
  tokamask explain examples/book.py:Book"""


def add_command(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "explain",
        help="say what becomes of every keyword of a schema",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("schema", metavar="SCHEMA", help=SCHEMA_HELP)
    parser.add_argument(
        "--draft",
        metavar="NAME",
        help="4, 6, 7, 2019-09, 2020-12 or openapi-3.0; default: what $schema says, else 2020-12",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from tokamask.grammar.grammar import Grammar, KeywordStatus
    from tokamask.runtime.typed_values import typed_value

    schema = read_schema(arguments.schema)
    if not isinstance(schema, str):
        schema, _ = typed_value(schema)
    reports = Grammar.from_json_schema(schema, arguments.draft, on_unsupported="warn").explain()
    for report in reports:
        print(_line(report))
    counts = Counter(report.status for report in reports)
    print("; ".join(f"{counts[status]} {status.value}" for status in KeywordStatus))
    return 1 if counts[KeywordStatus.REFUSED] else 0


def _line(report: KeywordReport) -> str:
    line = f"{report.status.value:<10}  {report.pointer}"
    return f"{line}  ({report.reason})" if report.reason else line
