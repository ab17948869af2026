"""`generate()` and `stream()`: a language model's output, confined to a constraint and read as a value."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from threading import Event
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from tokamask.errors import GenerationInterrupted
from tokamask.runtime.call import Call, read_call, refuse_missing_features
from tokamask.runtime.constraints import Constraint
from tokamask.runtime.decode import Row, decode
from tokamask.runtime.prompts import Conversation
from tokamask.runtime.results import FinishReason, Generation, Partial, Samples, Stats, Stream
from tokamask.runtime.sampling import Sampling

if TYPE_CHECKING:
    from tokamask.masking.compiler import GrammarCompiler

__all__ = ["generate", "stream"]

DEFAULT_SAMPLING = Sampling()

ROWS_AT_ONCE = 32
"""Rows that share a forward pass: more gain little on a CPU, and so many KV caches fit beside most models."""

ATTEMPTS = 4
"""How often, at most, a document is generated until the validation at the end accepts it (inexact grammars only)."""

SHOW_PROGRESS_AFTER = 3.0
"""Seconds before a batch shows its progress bar; shorter ones need none."""


class _Options(TypedDict, total=False):
    """What the overloads of `generate` have in common, for type checkers; described there."""

    schema: Any
    regex: Any
    grammar: Any
    choices: Any
    tokenizer: Any
    max_tokens: int
    sampling: Sampling
    seed: int | None
    stop: str | int | Sequence[str | int]
    think_until: str | int | None
    method: str
    speculation: Any
    checkers: Sequence[Any]
    compiler: GrammarCompiler | None
    strict: bool


@overload
def generate(
    model: Any, prompt: str | Conversation | None = None, *, n: Literal[1] = 1, **options: Unpack[_Options]
) -> Generation: ...
@overload
def generate(
    model: Any, prompt: Sequence[str | Conversation], *, n: Literal[1] = 1, **options: Unpack[_Options]
) -> list[Generation]: ...
@overload
def generate(
    model: Any, prompt: str | Conversation | None = None, *, n: int, **options: Unpack[_Options]
) -> Samples: ...
@overload
def generate(
    model: Any, prompt: Sequence[str | Conversation], *, n: int, **options: Unpack[_Options]
) -> list[Samples]: ...
def generate(
    model: Any,
    prompt: str | Conversation | Sequence[str | Conversation] | None = None,
    *,
    schema: Any = None,
    regex: Any = None,
    grammar: Any = None,
    choices: Any = None,
    tokenizer: Any = None,
    max_tokens: int = 512,
    sampling: Sampling = DEFAULT_SAMPLING,
    seed: int | None = None,
    stop: str | int | Sequence[str | int] = (),
    think_until: str | int | None = None,
    method: str = "mask",
    n: int = 1,
    speculation: Any = "auto",
    checkers: Sequence[Any] = (),
    compiler: GrammarCompiler | None = None,
    strict: bool = False,
) -> Generation | list[Generation] | Samples | list[Samples]:
    """Generate a document that satisfies a constraint, or free text without one.

    Args:
        model: a transformers model, a path, a hub name, "demo", or any `tokamask.runtime.model.Model`.
        prompt: text, or a list of chat messages (the model's chat template is applied); a list of those is a batch.
            Text that ends inside a token is healed: see tokamask.runtime.healing. None begins at nothing.
        schema: a JSON Schema as dict or JSON text, or any Python type that pydantic reads; a function stands for the
            dict of its keyword arguments.
        regex: a regular expression that the whole output matches.
        grammar: a `Grammar`, or Lark or GBNF text.
        choices: texts, of which the output is one.
            At most one of the four; in a batch a list of the batch's length holds one per prompt (None: free text).
        tokenizer: of a transformers model, when it does not lie beside the model.
        max_tokens: at most so many tokens, stop token included. A constrained document is always closed within them.
        sampling: temperature and truncation, applied after the mask.
        seed: the output is a function of (prompt, constraint, seed, sampling), whatever the batch. The same prompt
            twice in a batch is written twice the same; `n` writes it differently. None: fresh for every prompt, found
            in `stats.seed`.
        stop: texts that end free text, and are not part of it; token ids that end any output. A constrained document
            ends when it is complete, so stop texts do not apply to it.
        think_until: text is free until this marker, a text or a token id, and then the constraint begins. The marker is
            forced when what is left of max_tokens reaches the shortest document.
        method: "mask": every token is drawn from what the constraint allows at that point.
        n: how many samples to draw per prompt; they share the prompt's KV cache.
        speculation: "auto" or None.
        compiler: a `GrammarCompiler` for the model's vocabulary; None uses one that all calls with this model share.
        strict: run every row alone, so that even near ties (`stats.near_ties`) come out as they do alone.

    Returns:
        A `Generation` for one prompt, a list of them for a batch; with n > 1 `Samples` in their place.

    Raises:
        GrammarError: the constraint cannot be compiled.
        BudgetTooSmall: max_tokens cannot hold the shortest document; nothing was generated.
        ModelError: the model or tokenizer cannot be loaded, or the prompt does not fit its context.
        InvalidLogits: the model returned NaN or nothing that can be chosen.
        GenerationInterrupted: Ctrl-C; the finished results are in `.finished`.
        UnsupportedFeature: an option that this version does not have.
    """
    refuse_missing_features(method, speculation, checkers)
    call = read_call(
        model,
        prompt,
        {"schema": schema, "regex": regex, "grammar": grammar, "choices": choices},
        tokenizer=tokenizer,
        max_tokens=max_tokens,
        sampling=sampling,
        seed=seed,
        stop=stop,
        think_until=think_until,
        n=n,
        compiler=compiler,
    )
    generations = _generate_all(call, rows_at_once=1 if strict else ROWS_AT_ONCE)
    results: list[Generation] | list[Samples]
    if n == 1:
        results = generations
    else:
        groups = [generations[start : start + n] for start in range(0, len(generations), n)]
        results = [Samples(tuple(group), sum(one.stats.masks for one in group)) for group in groups]
    return results if call.is_batch else results[0]


def stream(
    model: Any,
    prompt: str | Conversation | None = None,
    *,
    schema: Any = None,
    regex: Any = None,
    grammar: Any = None,
    choices: Any = None,
    tokenizer: Any = None,
    max_tokens: int = 512,
    sampling: Sampling = DEFAULT_SAMPLING,
    seed: int | None = None,
    stop: str | int | Sequence[str | int] = (),
    think_until: str | int | None = None,
    method: str = "mask",
    speculation: Any = "auto",
    checkers: Sequence[Any] = (),
    compiler: GrammarCompiler | None = None,
) -> Stream:
    """Generate for one prompt, and see the document grow; arguments and errors are those of `generate`.

    What has been shown cannot be taken back, so a document that the validation at the end refuses is not retried.

    Returns:
        An iterator of `Partial(value, text)`; its `.result` is the `Generation`.
    """
    refuse_missing_features(method, speculation, checkers)
    call = read_call(
        model,
        prompt,
        {"schema": schema, "regex": regex, "grammar": grammar, "choices": choices},
        tokenizer=tokenizer,
        max_tokens=max_tokens,
        sampling=sampling,
        seed=seed,
        stop=stop,
        think_until=think_until,
        n=1,
        compiler=compiler,
    )
    if call.is_batch:
        raise TypeError("stream() takes one prompt; generate() takes a batch")
    cancelled = Event()
    return Stream(_stream_parts(call, cancelled), cancelled)


def _generate_all(call: Call, rows_at_once: int) -> list[Generation]:
    """The rows of a call, in order; rows that the validation at the end refuses are generated again."""
    finished: list[Generation | None] = [None] * (len(call.tasks) * call.n)
    # Prompts of like length side by side: less padding.
    pending = sorted(range(len(finished)), key=lambda place: len(call.task(place).prompt.token_ids))
    try:
        with _progress_bar(len(finished)) as bar:
            for attempt in range(ATTEMPTS):
                refused = []
                for start in range(0, len(pending), rows_at_once):
                    for place, result in _generate_group(call, pending[start : start + rows_at_once], attempt):
                        if attempt + 1 < ATTEMPTS and _deserves_retry(call, place, result):
                            refused.append(place)
                        else:
                            finished[place] = result
                            bar.update()
                pending = refused
    except KeyboardInterrupt:
        raise GenerationInterrupted(list(finished)) from None
    return [result for result in finished if result is not None]


def _generate_group(call: Call, places: Sequence[int], attempt: int) -> Iterator[tuple[int, Generation]]:
    """Rows that share their forward passes, each with its place as soon as it is finished."""
    requests = {place: call.request(place, attempt) for place in places}
    place_of = {id(request): place for place, request in requests.items()}
    for rows in decode(call.model, list(requests.values()), call.sampling):
        for row in rows:
            if row.finish_reason is not None:
                place = place_of[id(row.request)]
                yield place, _read_row(row, call.task(place).constraint, call.sampling)


def _deserves_retry(call: Call, place: int, result: Generation) -> bool:
    """A grammar that is wider than its schema may do better with other random numbers; greedy has none."""
    constraint = call.task(place).constraint
    is_inexact = constraint is not None and constraint.validate is not None
    return is_inexact and result.finish_reason is FinishReason.REJECTED and not call.sampling.is_greedy


def _stream_parts(call: Call, cancelled: Event) -> Generator[Partial, None, Generation]:
    """The partial values of a call's only row; returns its generation."""
    constraint = call.tasks[0].constraint
    shown = None
    try:
        for rows in decode(call.model, [call.request(0, attempt=0)], call.sampling):
            row = rows[0]
            text = row.certain_text()
            if text != shown:
                shown = text
                yield Partial(_partial_value(row, constraint, text), text)
            if cancelled.is_set() and row.finish_reason is None:
                row.cancel()
                break
    except KeyboardInterrupt:
        raise GenerationInterrupted([None]) from None
    return _read_row(row, constraint, call.sampling)


def _read_row(row: Row, constraint: Constraint | None, sampling: Sampling) -> Generation:
    """A finished row as the user sees it; only its value can still go wrong."""
    assert row.finish_reason is not None, "rows are read when they are finished"
    text = row.text.decode("utf-8", errors="replace")  # free text may be cut inside a character
    finish_reason, value, error = row.finish_reason, None, None
    log_weight = None if sampling.truncates or constraint is None or constraint.validate else row.log_weight
    if finish_reason is FinishReason.CANCELLED:
        log_weight = None
    elif constraint is None:
        value = text
    else:
        try:
            value = constraint.value(row.document() or "")
        except Exception as refusal:  # validators are the user's code: whatever they raise refuses the document
            finish_reason = FinishReason.REJECTED
            error = f"{type(refusal).__name__}: {refusal}"
            log_weight = None if log_weight is None else -math.inf
    return Generation(
        value=value,
        text=text,
        token_ids=tuple(row.token_ids),
        logprobs=tuple(row.logprobs),
        finish_reason=finish_reason,
        log_weight=log_weight,
        stats=Stats(
            tokens=len(row.token_ids),
            forward_passes=row.steps,
            masks=row.masks,
            mask_seconds=row.mask_seconds,
            wall_seconds=row.wall_seconds,
            seed=row.request.seed,
            near_ties=row.near_ties,
            attempts=row.request.attempt + 1,
        ),
        error=error,
    )


def _partial_value(row: Row, constraint: Constraint | None, text: str) -> Any:
    """What is certain of a row's value: free text is its own value, and thoughts have none."""
    if constraint is None:
        return text
    document = row.document()
    return None if document is None else constraint.reader.read_partial(document)


def _progress_bar(rows: int) -> Any:
    """A bar on stderr for a batch that takes longer than a moment; nothing where stderr is no terminal."""
    from tqdm import tqdm

    return tqdm(total=rows, unit="row", delay=SHOW_PROGRESS_AFTER, leave=False, disable=True if rows == 1 else None)
