"""What drafts save: tokens per forward pass and time, against the same documents written one token at a time.

    OMP_NUM_THREADS=1 python -m bench.speculation --schemas 20 --output docs/speculation-20.md

Takes schemas of MaskBench in a shuffled order and lets the demo model write one document for each, with the schema in
the prompt and with `speculation=None` and "auto" in turn, several times. Compared are the times of decoding alone: from
the end of the prompt's forward pass to the end of the document. The first run of a schema fills its masks and does not
count; what "auto" learns of the machine does. Quote figures from a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.machine import load_in_words, machine, package_version
from bench.markdown import number, publish, table
from bench.sampled import read_schemas
from tokamask import BudgetTooSmall, Grammar, GrammarError, Sampling, generate, load_demo
from tokamask.runtime.model import Message
from tokamask.runtime.results import Generation
from tokamask.runtime.speculation import Speculation
from tokamask.runtime.transformers_model import TransformersContext, TransformersModel, transformers_vocabulary


class ClockedModel(TransformersModel):
    """Notes when the prompt had been read."""

    prompt_was_read = 0.0

    def new_context(self) -> TransformersContext:
        context = super().new_context()
        extend = context.extend

        def first_extend(tokens: Sequence[Sequence[int]]) -> torch.Tensor:
            logits = extend(tokens)
            self.prompt_was_read = time.perf_counter()
            context.extend = extend  # type: ignore[method-assign]
            return logits

        context.extend = first_extend  # type: ignore[method-assign]
        return context


class ConstantPace:
    """Always reads drafts of up to `longest` tokens: for `--width`."""

    def __init__(self, longest: int) -> None:
        self.longest = longest

    def limit(self, rows: int) -> int:
        return self.longest

    def is_hopeful(self, kinds: Sequence[str]) -> bool:
        return True

    def width(self, drafts: Sequence[Sequence[str]]) -> int:
        return self.longest

    def observe_step(self, tokens_read: int, seconds: float) -> None:
        """Nothing is learned."""

    def observe_guess(self, kind: str, came_true: bool) -> None:
        """Nothing is learned."""


@dataclass(frozen=True)
class Run:
    """One document, and the seconds that it took behind the prompt."""

    generation: Generation
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """The runs of one schema with and without drafts."""

    name: str
    plain: Sequence[Run]
    drafted: Sequence[Run]

    @property
    def collection(self) -> str:
        return re.split(r"---|_?\d*\.json", self.name)[0]

    @property
    def tokens(self) -> int:
        return self.plain[0].generation.stats.tokens

    @property
    def seconds(self) -> tuple[float, float]:
        """The medians without and with drafts."""
        return (
            statistics.median(run.seconds for run in self.plain),
            statistics.median(run.seconds for run in self.drafted),
        )

    @property
    def verdict(self) -> str:
        """Whether all runs wrote the same; they may differ where rounding decides between two tokens."""
        runs = [*self.plain, *self.drafted]
        if len({run.generation.token_ids for run in runs}) == 1:
            return "same"
        return "near tie" if any(run.generation.stats.near_ties for run in runs) else "DIFFERENT"


def prompt_for(schema: dict[str, object]) -> list[Message]:
    text = json.dumps(schema, ensure_ascii=False)
    return [{"role": "user", "content": f"Write a short example of a JSON document for this JSON Schema:\n{text}"}]


def write(
    model: ClockedModel, schema: dict[str, object], speculation: Speculation | str | None, arguments: argparse.Namespace
) -> Run:
    generation = generate(
        model,
        prompt_for(schema),
        schema=schema,
        max_tokens=arguments.max_tokens,
        sampling=Sampling(temperature=arguments.temperature),
        seed=arguments.seed,
        speculation=speculation,
    )
    return Run(generation, time.perf_counter() - model.prompt_was_read)


def compare(
    model: ClockedModel, name: str, schema: dict[str, object], arguments: argparse.Namespace
) -> Comparison | None:
    """None where the constraint cannot be compiled or needs more tokens than there are."""
    drafts: Speculation | str = "auto" if arguments.width is None else Speculation(ConstantPace(arguments.width))
    try:
        Grammar.from_json_schema(schema)
        write(model, schema, None, arguments)
    except (GrammarError, BudgetTooSmall):
        return None
    runs: dict[bool, list[Run]] = {False: [], True: []}
    for repeat in range(arguments.repeats):
        for drafting in (False, True) if repeat % 2 == 0 else (True, False):
            runs[drafting].append(write(model, schema, drafts if drafting else None, arguments))
    return Comparison(name, runs[False], runs[True])


def row_of(name: str, comparisons: Sequence[Comparison]) -> list[str]:
    """Sums over the comparisons; of tokens and passes without the prompt's own, which every document has."""
    stats = [run.generation.stats for one in comparisons for run in one.drafted]
    passes = sum(one.forward_passes - 1 for one in stats)
    drafted, accepted = sum(one.drafted for one in stats), sum(one.accepted for one in stats)
    plain, with_drafts = (sum(one.seconds[which] for one in comparisons) for which in (0, 1))
    tokens = sum(one.tokens for one in comparisons)
    return [
        name,
        f"{tokens:,}",
        number(sum(one.tokens - 1 for one in stats) / max(passes, 1)),
        number(drafted / max(passes, 1)),
        number(accepted / drafted) if drafted else "-",
        number(tokens / plain),
        number(tokens / with_drafts),
        number(plain / with_drafts),
    ]


def report(comparisons: Sequence[Comparison], arguments: argparse.Namespace) -> str:
    header = ["", "tokens", "per pass", "drafted per pass", "accepted", "tokens/s plain", "with drafts", "ratio"]
    rows = [row_of(one.name, [one]) for one in comparisons]
    collections = sorted({one.collection for one in comparisons})
    for collection in collections:
        rows.append(row_of(f"**{collection}**", [one for one in comparisons if one.collection == collection]))
    rows.append(row_of("**all**", comparisons))
    verdicts = [one.verdict for one in comparisons]
    drafts = "auto" if arguments.width is None else f"always {arguments.width}"
    lines = [
        f"{machine()}; {torch.get_num_threads()} threads, {load_in_words()}; "
        f"tokamask {package_version('tokamask')}, torch {torch.__version__}",
        f"temperature {arguments.temperature}, seed {arguments.seed}, at most {arguments.max_tokens} tokens, "
        f"drafts: {drafts}, {arguments.repeats} runs each",
        f"documents: {verdicts.count('same')} the same, {verdicts.count('near tie')} with a near tie, "
        f"{verdicts.count('DIFFERENT')} different",
    ]
    return "\n\n".join([*lines, table(header, rows)]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of maskbench.tar.xz")
    parser.add_argument("--schemas", type=int, default=20)
    parser.add_argument("--max-tokens", type=int, default=120)
    parser.add_argument("--longest-schema", type=int, default=1500, help="characters of a schema that is taken")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--width", type=int, default=None, help="always draft so many tokens, instead of 'auto'")
    parser.add_argument("--output", type=Path, default=None, help="file for the table, which is printed too")
    arguments = parser.parse_args()

    plain, tokenizer = load_demo()
    model = ClockedModel(plain, tokenizer, transformers_vocabulary(plain, tokenizer))
    comparisons: list[Comparison] = []
    for name, schema in read_schemas(arguments.data / "maskbench.tar.xz", arguments.seed):
        if len(comparisons) == arguments.schemas:
            break
        if len(json.dumps(schema, ensure_ascii=False)) > arguments.longest_schema:
            continue
        comparison = compare(model, name, schema, arguments)
        if comparison is not None:
            comparisons.append(comparison)
            print(" ".join(row_of(name, [comparison])), comparison.verdict, file=sys.stderr, flush=True)
    publish(report(comparisons, arguments), arguments.output)


if __name__ == "__main__":
    main()
