"""`infill()`: the text between two others, written by an autoregressive model so that the whole satisfies a constraint.

The constraint decides exactly: a token is allowed when some text of the tokens left goes on from it to a place from
which the suffix completes the document (see `tokamask.masking.infilling_middle`). What the model knows of the suffix
depends on it: models trained to fill in the middle have special tokens that show it to them, others see the prefix
alone.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tokamask.errors import ModelError
from tokamask.masking.infilling_graph import shared_graph
from tokamask.masking.infilling_middle import Middle, MiddleMatcher
from tokamask.runtime.constraints import Constraint, Specification, read_constraint
from tokamask.runtime.decode import Request, decode
from tokamask.runtime.diffusion import any_text
from tokamask.runtime.model_loader import checked_compiler, load_model, shared_compiler
from tokamask.runtime.noise import check_seed
from tokamask.runtime.prompts import Prompt, check_text
from tokamask.runtime.reading import read_row
from tokamask.runtime.results import Generation
from tokamask.runtime.sampling import Sampling, check_sampling
from tokamask.runtime.typed_values import ValueReader

if TYPE_CHECKING:
    from tokamask.masking.compiler import GrammarCompiler
    from tokamask.runtime.model import Model

__all__ = ["infill"]

DEFAULT_SAMPLING = Sampling()

MIDDLE_MARKERS = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # CodeGemma, Qwen2.5-Coder
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),  # SantaCoder
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek-Coder # noqa: RUF001
)
"""Special tokens before the prefix, before the suffix, and where the middle begins."""


def infill(
    model: Any,
    prefix: str,
    suffix: str,
    *,
    schema: Any = None,
    regex: Any = None,
    grammar: Any = None,
    choices: Any = None,
    tokenizer: Any = None,
    max_tokens: int = 128,
    sampling: Sampling = DEFAULT_SAMPLING,
    seed: int | None = None,
    compiler: GrammarCompiler | None = None,
) -> Generation:
    """Write the text between `prefix` and `suffix` so that all three together satisfy a constraint.

    Args:
        model: as for `generate`.
        prefix, suffix: the document's beginning and end. The model is prompted with both where its tokenizer has
            tokens for filling in the middle, and with the prefix alone otherwise; the prefix is not healed.
        schema, regex, grammar, choices: as for `generate`, at most one; they hold for the whole document.
        max_tokens: of the middle at most, stop token included.
        tokenizer, sampling, seed, compiler: as for `generate`.

    Returns:
        A `Generation`: `text` and the tokens are those of the middle, `value` is that of the whole document.

    Raises:
        TokenRejected: no document begins with the prefix.
        UnsatisfiableSchema: none has so short a middle between prefix and suffix.
        BudgetTooSmall: one more token is needed, to stop.
        CompileBudgetExceeded: what `max_tokens` tokens can reach is too large to be exact about.
        Besides, the errors of `generate`.
    """
    if max_tokens < 1:
        raise ValueError(f"max_tokens is {max_tokens}; it must be at least 1")
    for name, text in (("prefix", prefix), ("suffix", suffix)):
        if not isinstance(text, str):
            raise TypeError(f"{name} must be text, not {type(text).__name__}")
        check_text(text, f"the {name}")
    check_sampling(sampling)
    check_seed(seed)
    constraint = read_constraint(Specification(schema, regex, grammar, choices), None) or any_text()
    loaded = load_model(model, tokenizer)
    compiler = shared_compiler(loaded) if compiler is None else checked_compiler(compiler, loaded.vocabulary)
    prompt = Prompt(tuple(_show(loaded, prefix, suffix)))
    if loaded.context_length is not None:
        room = loaded.context_length - len(prompt.token_ids)
        if room < 1:
            raise ModelError(
                f"prefix and suffix have {len(prompt.token_ids)} tokens and the model's context holds "
                f"{loaded.context_length}: no room for the middle"
            )
        max_tokens = min(max_tokens, room)
    graph = shared_graph(compiler.bind(constraint.grammar))
    middle = Middle(graph, prefix.encode(), suffix.encode(), max_tokens, loaded.vocabulary.stop_token_ids)
    request = Request(
        prompt=prompt,
        vocabulary=loaded.vocabulary,
        matcher=MiddleMatcher(middle),
        max_tokens=max_tokens,
        seed=secrets.randbits(32) if seed is None else seed,
    )
    for rows in decode(loaded, [request], sampling):
        row = rows[0]
    return read_row(row, _between(constraint, prefix, suffix), sampling)


def _show(model: Model, prefix: str, suffix: str) -> list[int]:
    """The prompt: prefix and suffix with the model's own markers, or the prefix."""
    for markers in MIDDLE_MARKERS:
        last = [model.encode_text(marker)[-1] for marker in markers]
        if len(set(last)) == len(markers) and all(model.vocabulary.token_bytes[token] is None for token in last):
            before, between, behind = markers
            return model.encode_text(f"{before}{prefix}{between}{suffix}{behind}")
    return model.encode_text(prefix)


def _between(constraint: Constraint, prefix: str, suffix: str) -> Constraint:
    """The constraint, read off the middle alone."""
    reader, validate = constraint.reader, constraint.validate
    return replace(
        constraint,
        reader=ValueReader(
            read=lambda middle: reader.read(prefix + middle + suffix),
            read_partial=lambda middle: reader.read_partial(prefix + middle),
        ),
        validate=None if validate is None else lambda middle: validate(prefix + middle + suffix),
    )
