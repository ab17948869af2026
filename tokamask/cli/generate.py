"""`tokamask generate`: stream a document to the terminal, then say what it cost."""

from __future__ import annotations

import argparse
import sys
from pprint import pformat
from typing import TYPE_CHECKING, Any

from tokamask.cli.arguments import (
    ArgumentError,
    add_constraint_options,
    add_model_option,
    checked_text,
    read_model,
    read_standard_input,
    specification,
)
from tokamask.cli.first_call import telling_of_compilation
from tokamask.errors import ModelError

if TYPE_CHECKING:
    from tokamask.runtime.model import Message, Model
    from tokamask.runtime.results import Generation, Stream
    from tokamask.runtime.sampling import Sampling

DESCRIPTION = """\
Write a text that satisfies a constraint. The text streams to standard output; how fast it came and, for a schema, the
validated value follow on standard error.

The prompt is sent as a chat message where the model has a chat template, and as it is where it has none."""

EPILOG = """\
examples:
  tokamask generate "Describe Moby Dick." --schema book.json
  tokamask generate "Describe Moby Dick." --schema book.json --no-constraint     (for contrast)
  tokamask generate "Describe Moby Dick." --schema examples/book.py:Book --temperature 0
  tokamask generate "A phone number:" --regex "\\d{3}-\\d{4}" --seed 1
  echo "Is water wet?" | tokamask generate --choices yes,no --model path/to/model

The text is always complete: --max-tokens is kept by closing the document in time, never by cutting it."""


def add_command(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "generate",
        help="write a text that satisfies a constraint",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("prompt", nargs="?", metavar="PROMPT", help="what to ask; default: read from standard input")
    add_model_option(parser)
    add_constraint_options(parser, required=False)
    parser.add_argument("--no-constraint", action="store_true", help="ignore the constraint, to see what it changes")
    parser.add_argument(
        "--think-until", metavar="MARKER", help="let the model write freely until this text, then begin the constraint"
    )
    parser.add_argument("--max-tokens", type=int, default=512, metavar="N", help="at most N tokens; default: 512")
    sampling = parser.add_argument_group("sampling")
    sampling.add_argument(
        "--temperature", type=float, default=1.0, metavar="T", help="0 always takes the best token; default: 1"
    )
    sampling.add_argument("--top-k", type=int, default=0, metavar="K", help="keep the K best tokens; default: all")
    sampling.add_argument(
        "--top-p", type=float, default=1.0, metavar="P", help="keep the best tokens up to this probability; default: 1"
    )
    sampling.add_argument(
        "--min-p", type=float, default=0.0, metavar="P", help="drop tokens less likely than P of the best; default: 0"
    )
    sampling.add_argument("--seed", type=int, metavar="N", help="make the output repeatable; default: a fresh one")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    prompt = _prompt(arguments)
    if arguments.max_tokens < 1:
        raise ArgumentError(f"--max-tokens is {arguments.max_tokens}; it must be at least 1")
    sampling = _sampling(arguments)
    constraint = {} if arguments.no_constraint else specification(arguments).given()
    think_until = None if arguments.no_constraint else arguments.think_until
    if think_until is not None and not constraint:
        raise ArgumentError("--think-until says when a constraint begins; give one of the constraint options too")
    if think_until == "":
        raise ArgumentError("--think-until is empty; leave it out when the document begins at once")

    from tokamask.runtime.constraints import read_constraint
    from tokamask.runtime.generate import stream

    with telling_of_compilation():
        if constraint:
            # Before the model, which may have to be fetched: a mistake here should not cost a download.
            read_constraint(specification(arguments), None)
        model = read_model(arguments)
        written = stream(
            model,
            _as_chat(model, prompt),
            **constraint,
            max_tokens=arguments.max_tokens,
            sampling=sampling,
            seed=arguments.seed,
            think_until=think_until,
        )
    generation = _show(written)
    print(_figures(generation), file=sys.stderr)
    if generation.error is not None:
        print(f"tokamask: the document was rejected: {generation.error}", file=sys.stderr)
        return 1
    if "schema" in constraint:
        print(pformat(generation.value, width=100, sort_dicts=False), file=sys.stderr)
    return 0


def _prompt(arguments: argparse.Namespace) -> str:
    prompt: str | None = arguments.prompt
    if prompt is None:
        if sys.stdin is not None and sys.stdin.isatty():
            raise ArgumentError("there is no prompt: pass it as an argument or on standard input")
        prompt = read_standard_input().rstrip("\n")
    if not prompt:
        raise ArgumentError("the prompt is empty")
    return checked_text("the prompt", prompt)


def _sampling(arguments: argparse.Namespace) -> Sampling:
    from tokamask.runtime.noise import check_seed
    from tokamask.runtime.sampling import Sampling

    try:
        check_seed(arguments.seed)
        return Sampling(
            temperature=arguments.temperature, top_k=arguments.top_k, top_p=arguments.top_p, min_p=arguments.min_p
        )
    except ValueError as error:
        raise ArgumentError(str(error)) from error


def _as_chat(model: Model, prompt: str) -> str | list[Message]:
    """The prompt as a message, unless the model has no chat template."""
    messages: list[Message] = [{"role": "user", "content": prompt}]
    try:
        model.encode_chat(messages)
    except ModelError:
        return prompt
    except ValueError as error:  # the template refuses it
        raise ArgumentError(str(error)) from error
    return messages


def _show(stream: Stream) -> Generation:
    """Print the text as it grows."""
    shown = 0
    try:
        for part in stream:
            print(part.text[shown:], end="", flush=True)
            shown = len(part.text)
        print(stream.result.text[shown:], flush=True)
    finally:
        stream.cancel()
    return stream.result


def _figures(generation: Generation) -> str:
    stats = generation.stats
    share = stats.mask_seconds / stats.wall_seconds if stats.wall_seconds > 0 else 0.0
    return (
        f"{stats.tokens} tokens in {stats.wall_seconds:.2f} s ({stats.tokens_per_second:.1f} tokens/s), "
        f"{stats.forward_passes} forward passes, "
        f"{stats.mask_seconds * 1000:.2f} ms in masks ({share:.2%}), seed {stats.seed}"
    )
