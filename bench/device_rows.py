"""Masks of a batch on their way to the logits: bytes copied to the device and time of a step, in three ways.

    python -m bench.device_rows --rows 1,16,64,256 --output FILE

Rows of a batch write records of one schema, each at a place of its own. A step fills their masks and applies them to
logits that lie on the device; compared are

- *booleans*: the masks are expanded on the host, one byte per token,
- *bits*: copied as they are and expanded on the device,
- *rows kept*: the device keeps the rows that it has seen, and is sent their places (`tokamask.runtime.device_rows`).

On the CPU there is no bus: what is called a copy then stays where it is, and times are those of the host's work alone.
Processes beside this one and the first steps, which fill masks for the first time, are in the times: quote the median.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from bench.machine import load_in_words, machine, package_version
from bench.markdown import number, publish, table
from bench.vocabularies import VOCABULARIES, load_vocabulary
from tokamask.grammar.grammar import Grammar
from tokamask.masking.bitmask import allocate_bitmask
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.matcher import Matcher
from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime.device_rows import DeviceRows
from tokamask.runtime.step_masks import unpack_bitmask

RECORD = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": "string", "maxLength": 80},
        "state": {"enum": ["open", "closed", "in review"]},
        "tags": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]+(-[a-z]+)*$"}, "maxItems": 5},
        "note": {"type": "string"},
    },
    "required": ["id", "name", "state", "tags", "note"],
}
SCHEMA = {"type": "array", "items": RECORD}
WORDS = ["the", "captain", "lowered", "a", "boat", "and", "followed", "one", "white", "whale", "over", "three", "seas"]
MAX_TOKENS = 100_000

Way = Callable[[Sequence[Matcher], int], tuple[torch.Tensor, int]]
"""(matchers, tokens left) -> bool (rows, V) on the device, and the bytes copied for it."""


def documents(vocabulary: Vocabulary, rows: int, steps: int) -> list[list[int]]:
    """Tokens of one document per row, with `steps` of them or more."""
    generator = random.Random(rows)

    def text(words: int) -> str:
        return " ".join(generator.choices(WORDS, k=words))

    def record() -> dict[str, object]:
        return {
            "id": generator.randrange(10**6),
            "name": text(3),
            "state": generator.choice(["open", "closed", "in review"]),
            "tags": [text(2).replace(" ", "-") for _ in range(generator.randrange(6))],
            "note": text(generator.randrange(5, 60)),
        }

    found = []
    for _ in range(rows):
        records = [record() for _ in range(4)]
        while len(tokens := vocabulary.encode(json.dumps(records).encode())) < 2 * steps:
            records *= 2
        found.append(tokens)
    return found


def booleans(vocabulary: Vocabulary, rows: int, device: torch.device) -> Way:
    bitmask = allocate_bitmask(rows, vocabulary.size)

    def allowed(matchers: Sequence[Matcher], tokens_left: int) -> tuple[torch.Tensor, int]:
        for row, matcher in enumerate(matchers):
            matcher.fill_bitmask(bitmask, row, tokens_left)
        octets = torch.from_numpy(unpack_bitmask(bitmask, vocabulary.size))
        return octets.to(device), octets.nbytes

    return allowed


def with_rows(vocabulary: Vocabulary, rows: int, table: DeviceRows) -> Way:
    bitmask = allocate_bitmask(rows, vocabulary.size)

    def allowed(matchers: Sequence[Matcher], tokens_left: int) -> tuple[torch.Tensor, int]:
        names = []
        for row, matcher in enumerate(matchers):
            matcher.fill_bitmask(bitmask, row, tokens_left)
            names.append(matcher.mask_name(tokens_left))
        before = table.bytes_copied
        return table.allowed(bitmask, names), table.bytes_copied - before

    return allowed


def steps_of(
    way: Way, compiler: GrammarCompiler, texts: Sequence[Sequence[int]], logits: torch.Tensor, steps: int
) -> Iterator[tuple[float, int]]:
    """Seconds and bytes of every step."""
    compiled = compiler.compile(Grammar.from_json_schema(SCHEMA))
    matchers = [compiled.matcher() for _ in texts]
    places = [row * steps // len(texts) for row in range(len(texts))]
    for matcher, tokens, place in zip(matchers, texts, places, strict=True):
        for token in tokens[:place]:
            matcher.accept_token(token)
    for step in range(steps):
        started = time.perf_counter()
        allowed, copied = way(matchers, MAX_TOKENS - step)
        masked = logits.masked_fill(~allowed, -math.inf)
        masked[0, :1].tolist()  # waits until the device is done
        yield time.perf_counter() - started, copied
        for matcher, tokens, place in zip(matchers, texts, places, strict=True):
            matcher.accept_token(tokens[place + step])


def measure(vocabulary: Vocabulary, rows: int, steps: int, device: torch.device) -> list[list[str]]:
    """A line of the table for every way."""
    texts = documents(vocabulary, rows, steps)
    logits = torch.randn((rows, vocabulary.size), device=device)
    ways: dict[str, Callable[[], Way]] = {
        "booleans": lambda: booleans(vocabulary, rows, device),
        "bits": lambda: with_rows(vocabulary, rows, DeviceRows(vocabulary.size, device, most_bytes=0)),
        "rows kept": lambda: with_rows(vocabulary, rows, DeviceRows(vocabulary.size, device)),
    }
    compiler = GrammarCompiler(vocabulary)
    lines = []
    for name, make in ways.items():
        seconds, copied = zip(*steps_of(make(), compiler, texts, logits, steps), strict=True)
        half = steps // 2
        lines.append(
            [
                f"{rows} rows, {name}",
                number(statistics.mean(copied) / 1024),
                number(statistics.mean(copied[half:]) / 1024),
                number(statistics.median(seconds) * 1e6),
                number(min(seconds) * 1e6),
            ]
        )
    return lines


def default_device() -> str:
    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def device_in_words(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {machine()}"
    if device.type == "cpu":
        return f"the CPU in place of another device (so nothing is copied over a bus), {machine()}"
    return f"{device.type}, {machine()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocabulary", choices=VOCABULARIES, default="tekken")
    parser.add_argument("--rows", default="1,16,64", metavar="NUMBERS", help="sizes of the batch (default 1,16,64)")
    parser.add_argument("--steps", type=int, default=200, help="tokens that every row writes (default 200)")
    parser.add_argument("--device", default=default_device(), help="where the logits are (default: what there is)")
    parser.add_argument("--output", type=Path, default=None, help="file for the table, which is printed too")
    arguments = parser.parse_args()

    device = torch.device(arguments.device)
    vocabulary = load_vocabulary(arguments.vocabulary).vocabulary
    lines = []
    for rows in map(int, arguments.rows.split(",")):
        lines += measure(vocabulary, rows, arguments.steps, device)
    header = ["", "KiB copied per step", "in the second half", "us per step, median", "least"]
    parts = [
        f"Masks of a batch, {arguments.vocabulary} ({vocabulary.size:,} tokens), {arguments.steps} steps",
        f"on {device_in_words(device)}, torch {torch.__version__}, tokamask {package_version('tokamask')}; "
        f"{load_in_words()}",
        table(header, lines),
    ]
    publish("\n\n".join(parts) + "\n", arguments.output)


if __name__ == "__main__":
    main()
