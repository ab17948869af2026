"""What a model writes for real schemas, with and without tokamask: is it valid, and what does the constraint cost?

The model is shown each schema, as in JSONSchemaBench (arXiv 2501.10868), and writes one document for it, free and under
tokamask's masks. `jsonschema`, with its format checker, judges both.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import CannotMeasure
from bench.machine import load_in_words, machine, package_version
from bench.markdown import number, publish, table
from bench.maskbench.files import read_files, stratified, stratum

if TYPE_CHECKING:
    from tokamask.masking.compiler import GrammarCompiler
    from tokamask.runtime.model import Model

__all__ = ["add_options", "run"]

CHECKOUT = Path(__file__).resolve().parents[1]

SYSTEM = "You write one JSON document that is valid against the JSON Schema you are given. You write nothing else."
SHOT_LENGTH = 600
"""Characters of a schema and its instance, together, that may be shown as an example."""
WARM_UP = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a"]}

FREE, CONSTRAINED = "no constraint", "tokamask"

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Outcome:
    """What came of one schema under one arm.

    Attributes:
        refusal: why nothing was written: the compiler's words, or that a budget or the model's context is too small.
        is_covered: the schema was compiled (always, without a constraint).
        is_valid: the text is a document that the schema accepts; None where the judge cannot read the schema.
        is_valid_inside: the same for what stands inside of the text's first code fence, if it has one.
        is_cut: it did not end within the tokens it had.
        compile_seconds, mask_seconds: time in the constraint, before the first token and from then on.
        wall_seconds: all of the generation, reading the prompt included.
    """

    schema: str
    refusal: str = ""
    is_covered: bool = True
    is_valid: bool | None = None
    is_valid_inside: bool | None = None
    is_cut: bool = False
    tokens: int = 0
    compile_seconds: float = 0.0
    mask_seconds: float = 0.0
    wall_seconds: float = 0.0


def add_options(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option("--data", type=Path, default=CHECKOUT.parent / "shared" / "data", metavar="DIR", help="where the files are")
    option("--model", default="demo", metavar="MODEL", help="a name or folder of a model (default demo)")
    option("--split", default="Github_easy", metavar="NAME", help="the collection of schemas (default Github_easy)")
    option("--n", type=int, default=20, metavar="N", help="how many schemas (default 20)")
    option("--shots", type=int, default=0, metavar="K", help="examples in the prompt, of the same split (default 0)")
    option("--max-tokens", type=int, default=256, metavar="N", help="for one document (default 256)")
    option("--temperature", type=float, default=0.0, metavar="T", help="0, the default, is greedy")
    option("--seed", type=int, default=1, metavar="S", help="of the choice of schemas and of sampling (default 1)")
    option("--output", type=Path, metavar="FILE", help="write the report there too")


def run(arguments: argparse.Namespace) -> None:
    """Write the documents, and print the report.

    Raises:
        CannotMeasure: the data is not there, or the split has too few schemas.
        ModelError: the model cannot be loaded.
    """
    texts = read_files(arguments.data).texts
    chosen, shots = choose(texts, arguments.split, arguments.n, arguments.shots, arguments.seed)
    from tqdm import tqdm

    from tokamask.masking.compiler import GrammarCompiler
    from tokamask.runtime.model_loader import load_model

    model = load_model(arguments.model, None)
    compiler = GrammarCompiler(model.vocabulary)
    _write_constrained("warm-up", WARM_UP, model, compiler, [{"role": "user", "content": "JSON"}], arguments)
    outcomes: dict[str, list[Outcome]] = {FREE: [], CONSTRAINED: []}
    for name, schema in tqdm(chosen.items(), unit="schema", leave=False):
        messages = prompt(schema, shots)
        outcomes[FREE].append(_write_free(name, schema, model, messages, arguments))
        outcomes[CONSTRAINED].append(_write_constrained(name, schema, model, compiler, messages, arguments))
    command = (
        f"python -m bench jsonschemabench --model {arguments.model} --split {arguments.split} --n {arguments.n} "
        f"--shots {arguments.shots} --max-tokens {arguments.max_tokens} --temperature {arguments.temperature:g} "
        f"--seed {arguments.seed}"
    )
    text = report(outcomes, arguments.split, command)
    publish(text, arguments.output)


def choose(
    texts: Mapping[str, str], split: str, count: int, shots: int, seed: int
) -> tuple[dict[str, Any], list[tuple[Any, Any]]]:
    """Some schemas of a split, by name, and (schema, valid instance) of other files of it to show as examples.

    Raises:
        CannotMeasure: there is no such split, or it is too small.
    """
    names = [name for name in stratified(texts, seed) if stratum(name) == split]
    if count < 1 or shots < 0 or count > len(names):
        splits = Counter(map(stratum, texts))
        known = ", ".join(f"{name} ({size})" for name, size in sorted(splits.items()))
        raise CannotMeasure(f"{count} schemas of {split!r} are not there; these are: {known}")
    chosen = {name: json.loads(texts[name])["schema"] for name in names[:count]}
    examples: list[tuple[Any, Any]] = []
    for name in names[count:]:
        if len(examples) == shots:
            break
        file = json.loads(texts[name])
        valid = [case["data"] for case in file["tests"] if case["valid"]]
        if valid and len(json.dumps(file["schema"])) + len(json.dumps(valid[0])) <= SHOT_LENGTH:
            examples.append((file["schema"], valid[0]))
    if len(examples) < shots:
        raise CannotMeasure(f"{split} has {len(examples)} short examples beside the schemas, fewer than {shots}")
    return chosen, examples


def prompt(schema: Any, shots: Iterable[tuple[Any, Any]]) -> Messages:
    """The conversation that asks for a document."""
    messages = [{"role": "system", "content": SYSTEM}]
    for shown, instance in shots:
        messages.append({"role": "user", "content": json.dumps(shown)})
        messages.append({"role": "assistant", "content": json.dumps(instance)})
    return [*messages, {"role": "user", "content": json.dumps(schema)}]


def is_valid(text: str, schema: Any) -> bool | None:
    """Whether a text is a JSON document that a schema accepts; None where the judge cannot apply the schema."""
    import jsonschema
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        value = json.loads(text)
    except ValueError:
        return False
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(schema)
        # With a registry of its own it fetches nothing.
        judge = kind(schema, format_checker=kind.FORMAT_CHECKER, registry=Registry())
        return bool(judge.is_valid(value))
    except (jsonschema.SchemaError, Unresolvable, re.error, RecursionError):
        return None


def inside_fence(text: str) -> str:
    """What stands in the first code fence of a text; all of it without one."""
    match = re.search(r"```\w*\n(.*?)(```|\Z)", text, re.DOTALL)
    return text if match is None else match[1]


def _write_free(name: str, schema: Any, model: Model, messages: Messages, arguments: argparse.Namespace) -> Outcome:
    return _write(name, schema, model, messages, _options(arguments))


def _write_constrained(
    name: str,
    schema: Any,
    model: Model,
    compiler: GrammarCompiler,
    messages: Messages,
    arguments: argparse.Namespace,
) -> Outcome:
    from tokamask import Grammar, GrammarError

    begun = time.perf_counter()
    try:
        grammar = Grammar.from_json_schema(json.dumps(schema))
        compiler.compile(grammar)
    except GrammarError as refusal:
        return Outcome(name, f"{type(refusal).__name__}: {refusal}".partition("\n")[0], is_covered=False)
    seconds = time.perf_counter() - begun
    constraint = {"grammar": grammar, "compiler": compiler}
    return replace(_write(name, schema, model, messages, _options(arguments) | constraint), compile_seconds=seconds)


def _write(name: str, schema: Any, model: Model, messages: Messages, options: Mapping[str, Any]) -> Outcome:
    from tokamask import BudgetTooSmall, ModelError, generate

    try:
        written = generate(model, messages, **options)
    except (BudgetTooSmall, ModelError) as refusal:  # the latter: the prompt does not fit into the model's context
        return Outcome(name, str(refusal))
    return Outcome(
        name,
        is_valid=is_valid(written.text, schema),
        is_valid_inside=is_valid(inside_fence(written.text), schema),
        is_cut=written.finish_reason.value == "length",
        tokens=len(written.token_ids),
        mask_seconds=written.stats.mask_seconds,
        wall_seconds=written.stats.wall_seconds,
    )


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    from tokamask import Sampling

    # Drafts would gain tokens per second and cost the certainty that a repetition writes the same.
    return {
        "max_tokens": arguments.max_tokens,
        "sampling": Sampling(temperature=arguments.temperature),
        "seed": arguments.seed,
        "speculation": None,
    }


def report(outcomes: Mapping[str, Sequence[Outcome]], split: str, command: str) -> str:
    """The result as Markdown."""
    validity, cost, notes = [], [], []
    for arm, group in outcomes.items():
        written = [one for one in group if not one.refusal]
        covered = sum(one.is_covered for one in group)
        judged = [one for one in written if one.is_valid is not None]
        validity.append(
            [
                arm,
                str(len(group)),
                _share(covered, len(group)),
                _share(_count(one.is_valid for one in judged), len(judged)),
                _share(_count(one.is_valid_inside for one in judged), len(judged)),
                _share(_count(one.is_valid for one in judged), len(group)),
                str(_count(one.is_cut for one in written)),
            ]
        )
        tokens = sum(one.tokens for one in written)
        is_free = arm == FREE

        def per(total: Callable[[Outcome], float], count: int, factor: float, of: Sequence[Outcome] = written) -> str:
            return number(factor * sum(map(total, of)) / count) if count else "-"

        cost.append(
            [
                arm,
                f"{tokens:,}",
                "-" if is_free else per(lambda one: one.mask_seconds, tokens, 1e6),
                "-" if is_free else per(lambda one: one.compile_seconds, len(written), 1e3),
                "-" if is_free else per(lambda one: one.compile_seconds + one.mask_seconds, len(written), 1e3),
                number(tokens / wall) if (wall := sum(one.wall_seconds for one in written)) else "-",
            ]
        )
        notes += [f"- {arm}, {one.schema}: {one.refusal}" for one in group if one.refusal]
        if not is_free:
            notes += [f"- {arm}, {one.schema}: not valid" for one in judged if not one.is_valid]
        notes += [f"- {arm}, {one.schema}: not judged" for one in written if one.is_valid is None]
    lines = [
        f"# JSONSchemaBench, {split}",
        "",
        f"`{command}`",
        "",
        f"{machine()}; {load_in_words()}; tokamask {package_version('tokamask')}, "
        f"jsonschema {package_version('jsonschema')}.",
        "",
        "Each schema is shown to the model, which writes one document. *Covered*: the schema is compiled. *Valid*: "
        "`jsonschema`, with its format checker, accepts the text as it is; *in a fence*: or what its first code fence "
        "holds. *Cut*: it reached the limit of tokens.",
        "",
        table(
            ["", "schemas", "covered", "valid, of those written", "valid in a fence", "valid, of all", "cut"], validity
        ),
        "",
        "Time in the constraint, and tokens per second of everything, reading the prompt included. One compiler serves "
        "all schemas, and drafts are off.",
        "",
        table(
            [
                "",
                "tokens",
                "constraint, us a token",
                "compile, ms",
                "compile and constraint, ms a document",
                "tokens/s",
            ],
            cost,
        ),
    ]
    if notes:
        lines += ["", *notes]
    return "\n".join(lines) + "\n"


def _count(flags: Iterable[bool | None]) -> int:
    return sum(flag is True for flag in flags)


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}" + (f" ({100 * part / whole:.0f} %)" if whole else "")
