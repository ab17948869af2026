"""`generate()` and `stream()`: a language model's output, confined to a constraint and read as a value."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from tokamask.errors import GenerationInterrupted, UnsupportedFeature
from tokamask.runtime.call import Call, read_call
from tokamask.runtime.decode import decode
from tokamask.runtime.draw import Draw
from tokamask.runtime.methods import Plan, draw_samples, new_particle, read_plan, write
from tokamask.runtime.prompts import Conversation
from tokamask.runtime.reading import partial_value, read_draw, read_row
from tokamask.runtime.results import FinishReason, Generation, Mass, Partial, Samples, Stream
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
        method: how samples are drawn; all but "mask" weigh them against the model conditioned on the constraint, and
            so take no truncated sampling. See docs/sampling.md.
            "mask": every token is drawn from what the constraint allows at that point.
            "awrs": the same by rejection: the constraint is asked about single tokens, as checkers are.
            "smc": the n samples are one population, in which those that weigh little make room for copies of those
            that weigh much.
            "asap", "weighted", "cars": samples learn from earlier ones; those of "cars" are exact.
        n: how many samples to draw per prompt; they share the prompt's KV cache.
        speculation: "auto": tokens that are forced or repeat the text are drafted and read several at a time where
            that is measured to be faster (see tokamask.runtime.speculation); the output is the same, up to near ties.
            None: one token per step. A `Speculation` says how to draft.
        checkers: what judges the output besides the constraint, asked about the tokens that the model wants: `Checker`
            objects, and functions from the complete text to bool. They judge the document, without the thoughts. With
            checkers "mask" weighs its samples too, and free text that reaches max_tokens is only judged as a beginning;
            "awrs" and "smc" end it in time. Where checkers leave no way on, the finish_reason is "rejected".
        compiler: a `GrammarCompiler` for the model's vocabulary; None uses one that all calls with this model share.
        strict: run every row alone and without drafts, so that even near ties (`stats.near_ties`) always come out the
            same.

    Returns:
        A `Generation` for one prompt, a list of them for a batch; with n > 1 `Samples` in their place.

    Raises:
        GrammarError: the constraint cannot be compiled.
        BudgetTooSmall: max_tokens cannot hold the shortest document; nothing was generated.
        ModelError: the model or tokenizer cannot be loaded, or the prompt does not fit its context.
        InvalidLogits: the model returned NaN or nothing that can be chosen.
        GenerationInterrupted: Ctrl-C; the finished results are in `.finished`.
        CheckerError: a checker raised; the message names it.
        ValueError: arguments that do not go together.
        UnsupportedFeature: an option that this version does not have.
    """
    plan = read_plan(method, checkers)
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
        speculation=None if strict else speculation,
        plan=plan,
    )
    rows_at_once = 1 if strict else ROWS_AT_ONCE
    groups = _generate_all(call, rows_at_once) if plan.is_plain else _draw_all(call, plan, rows_at_once)
    results: list[Generation] | list[Samples] = groups if n > 1 else [group[0] for group in groups]
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

    What has been shown cannot be taken back, so a document that the validation at the end refuses is not retried, and
    the methods "asap", "weighted" and "cars" are refused.

    Returns:
        An iterator of `Partial(value, text)`; its `.result` is the `Generation`.
    """
    plan = read_plan(method, checkers)
    if plan.draws_on_trie:
        raise UnsupportedFeature(
            f"method {method!r} may take back what it has written, so it has no stream: generate()"
        )
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
        speculation=speculation,
        plan=plan,
    )
    if call.is_batch:
        raise TypeError("stream() takes one prompt; generate() takes a batch")
    cancelled = Event()
    parts = _stream_row(call, cancelled) if plan.is_plain else _stream_particle(call, plan, cancelled)
    return Stream(parts, cancelled)


def _generate_all(call: Call, rows_at_once: int) -> list[Samples]:
    """The samples of every prompt; rows that the validation at the end refuses are generated again."""
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
    samples = []
    for index, task in enumerate(call.tasks):
        group = tuple(one for one in finished[index * call.n : (index + 1) * call.n] if one is not None)
        samples.append(Samples(group, sum(one.stats.masks for one in group), is_bounded=not task.prompt.lost))
    return samples


def _generate_group(call: Call, places: Sequence[int], attempt: int) -> Iterator[tuple[int, Generation]]:
    """Rows that share their forward passes, each with its place as soon as it is finished."""
    requests = {place: call.request(place, attempt) for place in places}
    place_of = {id(request): place for place, request in requests.items()}
    for rows in decode(call.model, list(requests.values()), call.sampling, call.speculation):
        for row in rows:
            if row.finish_reason is not None:
                place = place_of[id(row.request)]
                yield place, read_row(row, call.task(place).constraint, call.sampling)


def _draw_all(call: Call, plan: Plan, rows_at_once: int) -> list[Samples]:
    """The samples of every prompt, drawn by a method that gives weights; nothing is generated again."""
    draws: dict[int, Draw] = {}
    masses: dict[int, Mass | None] = {}
    try:
        with _progress_bar(len(call.tasks) * call.n) as bar:
            for place, draw, mass in draw_samples(call, plan, rows_at_once):
                draws[place] = draw
                masses[place // call.n] = mass
                bar.update()
    except KeyboardInterrupt:
        finished = [
            read_draw(draws[place], call, place) if place in draws else None
            for place in range(len(call.tasks) * call.n)
        ]
        raise GenerationInterrupted(list(finished)) from None
    samples = []
    for index, task in enumerate(call.tasks):
        places = range(index * call.n, (index + 1) * call.n)
        samples.append(
            Samples(
                tuple(read_draw(draws[place], call, place) for place in places),
                sum(draws[place].evaluations for place in places),
                masses[index],
                is_bounded=not task.prompt.lost and not any(draws[place].log_factor for place in places),
            )
        )
    return samples


def _deserves_retry(call: Call, place: int, result: Generation) -> bool:
    """A grammar that is wider than its schema may do better with other random numbers; greedy has none."""
    constraint = call.task(place).constraint
    is_inexact = constraint is not None and constraint.validate is not None
    return is_inexact and result.finish_reason is FinishReason.REJECTED and not call.sampling.is_greedy


def _stream_row(call: Call, cancelled: Event) -> Generator[Partial, None, Generation]:
    """The partial values of a call's only row; returns its generation."""
    constraint = call.tasks[0].constraint
    shown = None
    try:
        for rows in decode(call.model, [call.request(0, attempt=0)], call.sampling, call.speculation):
            row = rows[0]
            text = row.certain_text()
            if text != shown:
                shown = text
                yield Partial(partial_value(constraint, text, row.document()), text)
            if cancelled.is_set() and row.finish_reason is None:
                row.cancel()
                break
    except KeyboardInterrupt:
        raise GenerationInterrupted([None]) from None
    return read_row(row, constraint, call.sampling)


def _stream_particle(call: Call, plan: Plan, cancelled: Event) -> Generator[Partial, None, Generation]:
    """The same for a row that a method with weights draws."""
    shown = None
    try:
        for (particle,) in write(call, plan, [new_particle(call, plan, 0)]):
            text = particle.certain_text()
            if text != shown:
                shown = text
                yield Partial(partial_value(call.tasks[0].constraint, text, particle.document()), text)
            if cancelled.is_set() and not particle.is_finished:
                unread = read_draw(replace(particle.draw(), error="cancelled"), call, 0)
                return replace(unread, finish_reason=FinishReason.CANCELLED, log_weight=None, error=None)
    except KeyboardInterrupt:
        raise GenerationInterrupted([None]) from None
    return read_draw(particle.draw(), call, 0)


def _progress_bar(rows: int) -> Any:
    """A bar on stderr for a batch that takes longer than a moment; nothing where stderr is no terminal."""
    from tqdm import tqdm

    return tqdm(total=rows, unit="row", delay=SHOW_PROGRESS_AFTER, leave=False, disable=True if rows == 1 else None)
