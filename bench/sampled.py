"""Does a real model, under our masks, always write a valid document within its budget?

    python -m bench.sampled --schemas 200 --max-tokens 200

Takes schemas of MaskBench in a shuffled order, lets the demo model write one document for each that compiles, and has
`jsonschema` (not us) judge every value. Nothing here is about speed: rows share a batch.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import sys
import tarfile
import time
from pathlib import Path

import jsonschema

from tokamask import BudgetTooSmall, Grammar, GrammarError, Sampling, generate, load_demo
from tokamask.runtime.results import Generation

PROMPT = [{"role": "user", "content": "Write one example of a JSON document. Keep it short."}]


def read_schemas(archive: Path, seed: int) -> list[tuple[str, dict[str, object]]]:
    """(name, schema) of every MaskBench file, shuffled."""
    with tarfile.open(archive) as tar:
        files = sorted((member for member in tar if member.name.endswith(".json")), key=lambda member: member.name)
        schemas = []
        for member in files:
            content = tar.extractfile(member)
            assert content is not None, "regular files have content"
            schemas.append((Path(member.name).name, json.load(content)["schema"]))
    random.Random(seed).shuffle(schemas)
    return schemas


def verdict(schema: dict[str, object], generation: Generation, max_tokens: int) -> str:
    """What an independent validator says of one generation."""
    if len(generation.token_ids) > max_tokens:
        return "over budget"
    try:
        value = json.loads(generation.text)
    except ValueError:
        return "cut open"
    try:
        jsonschema.validate(value, schema, format_checker=jsonschema.FormatChecker())
    except jsonschema.ValidationError as error:
        return f"invalid: {error.message[:100]}"
    return "valid" if generation.finish_reason.value == "stop" else f"finished by {generation.finish_reason.value}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of maskbench.tar.xz")
    parser.add_argument("--schemas", type=int, default=200)
    parser.add_argument("--max-tokens", type=int, default=200)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    model, tokenizer = load_demo()
    counts: collections.Counter[str] = collections.Counter()
    pending = iter(read_schemas(arguments.data / "maskbench.tar.xz", arguments.seed))
    done = tokens = 0
    mask_seconds = 0.0
    begun = time.monotonic()
    while done < arguments.schemas:
        batch: list[tuple[str, dict[str, object]]] = []
        for name, schema in pending:
            try:
                Grammar.from_json_schema(schema)
            except GrammarError:
                counts["(refused at compile, not sampled)"] += 1
                continue
            batch.append((name, schema))
            if len(batch) == min(arguments.batch, arguments.schemas - done):
                break
        if not batch:
            break
        try:
            generations = generate(
                model,
                [PROMPT] * len(batch),
                schema=[schema for _, schema in batch],
                tokenizer=tokenizer,
                max_tokens=arguments.max_tokens,
                sampling=Sampling(temperature=arguments.temperature),
                seed=arguments.seed,
            )
        except BudgetTooSmall:
            # Some schema of the batch needs more than max_tokens for its shortest document: one by one then.
            generations = []
            for name, schema in list(batch):
                try:
                    generations.append(
                        generate(
                            model,
                            PROMPT,
                            schema=schema,
                            tokenizer=tokenizer,
                            max_tokens=arguments.max_tokens,
                            sampling=Sampling(temperature=arguments.temperature),
                            seed=arguments.seed,
                        )
                    )
                except BudgetTooSmall:
                    counts["(shortest document over max_tokens, not sampled)"] += 1
                    batch.remove((name, schema))
        for (name, schema), generation in zip(batch, generations, strict=True):
            said = verdict(schema, generation, arguments.max_tokens)
            counts[said.partition(":")[0]] += 1
            if said != "valid":
                print(f"{name}: {said}: {generation.text[:200]!r}")
            tokens += len(generation.token_ids)
            mask_seconds += generation.stats.mask_seconds
            done += 1
        print(f"{done} of {arguments.schemas}, {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    print(f"\nseed {arguments.seed}, temperature {arguments.temperature}, max_tokens {arguments.max_tokens}")
    for said, count in counts.most_common():
        print(f"{count:5d}  {said}")
    print(f"{tokens} tokens, {1e6 * mask_seconds / max(tokens, 1):.0f} us of masks and accepts a token")


if __name__ == "__main__":
    main()
