"""One call of `generate()` or `stream()` with its arguments read and checked, before the first token."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokamask.errors import BudgetTooSmall, ModelError
from tokamask.runtime.budget import can_close
from tokamask.runtime.constraints import Constraint, Specification, read_constraint
from tokamask.runtime.decode import Request
from tokamask.runtime.methods import Plan
from tokamask.runtime.model import Model
from tokamask.runtime.model_loader import checked_compiler, load_model, shared_compiler
from tokamask.runtime.noise import check_seed
from tokamask.runtime.prompts import Conversation, Prompt, is_batch, read_prompt
from tokamask.runtime.sampling import Sampling, check_sampling
from tokamask.runtime.speculation import Speculation, check_speculation, read_speculation

if TYPE_CHECKING:
    from tokamask.masking.compiler import CompiledGrammar, GrammarCompiler
    from tokamask.masking.matcher import Matcher
    from tokamask.masking.vocabulary import Vocabulary

__all__ = ["Call", "Task", "read_call"]


@dataclass(frozen=True, eq=False)
class Task:
    """One prompt of a call; `constraint` and `compiled` are None for free text."""

    prompt: Prompt
    constraint: Constraint | None
    compiled: CompiledGrammar | None
    max_tokens: int
    seed: int


@dataclass(frozen=True, eq=False)
class Call:
    """Everything that the decoding loop needs to know.

    Attributes:
        vocabulary: the model's, with the user's stop tokens added to its own.
        think_until: the text or token after which constraints begin; None: at once.
        speculation: how drafts are made; None: not at all.
    """

    model: Model
    vocabulary: Vocabulary
    tasks: tuple[Task, ...]
    is_batch: bool
    n: int
    sampling: Sampling
    stop_strings: tuple[bytes, ...]
    think_until: bytes | int | None
    speculation: Speculation | None

    def task(self, place: int) -> Task:
        """The task of row `place`: the n samples of a prompt are neighbours."""
        return self.tasks[place // self.n]

    def request(self, place: int, attempt: int) -> Request:
        """What row `place` is to write."""
        task = self.task(place)
        constrained = task.compiled is not None
        return Request(
            prompt=task.prompt,
            vocabulary=self.vocabulary,
            matcher=_new_matcher(task.compiled, self.vocabulary, self.think_until),
            max_tokens=task.max_tokens,
            seed=task.seed,
            sample=place % self.n,
            attempt=attempt,
            stop_strings=() if constrained else self.stop_strings,
            think_until=self.think_until if constrained else None,
        )


def read_call(
    model: Any,
    prompt: str | Conversation | Sequence[str | Conversation] | None,
    constraints: Mapping[str, Any],
    *,
    tokenizer: Any,
    max_tokens: int,
    sampling: Sampling,
    seed: int | None,
    stop: str | int | Sequence[str | int],
    think_until: str | int | None,
    n: int,
    compiler: GrammarCompiler | None,
    speculation: Any,
    plan: Plan,
) -> Call:
    """Read and check the arguments; `constraints` are those of `Specification`. Errors: see `generate`."""
    prompts: Sequence[str | Conversation]
    if is_batch(prompt):
        batch, prompts = True, prompt
        specifications = _one_per_prompt(constraints, len(prompt))
    else:
        batch, prompts = False, ["" if prompt is None else prompt]  # type: ignore[list-item]
        specifications = [Specification(**constraints)]
    _check_at_least_one("max_tokens", max_tokens)
    _check_at_least_one("n", n)
    check_sampling(sampling)
    check_seed(seed)
    if think_until is not None and not any(specification.given() for specification in specifications):
        raise TypeError("think_until says when the constraint begins; pass schema, regex, grammar or choices too")
    if isinstance(think_until, bool) or not isinstance(think_until, str | int | None):
        raise TypeError(f"think_until must be a text or the id of a token, not {type(think_until).__name__}")
    marker = think_until if isinstance(think_until, str) else None
    stop_ids, stop_strings = _read_stop(stop)
    if stop_strings and all(specification.given() for specification in specifications):
        raise ValueError("stop texts end free text only, and a constrained document ends when it is complete")
    check_speculation(speculation)
    plan.check(
        sampling,
        all_constrained=all(specification.given() for specification in specifications),
        has_stop_texts=bool(stop_strings),
        has_own_drafts=speculation not in ("auto", None),
    )

    # What is wrong with a constraint shows before a model is loaded. Prompts that share an argument share all of it.
    known: dict[tuple[int, ...], Constraint | None] = {}
    for specification in specifications:
        if specification.identity not in known:
            known[specification.identity] = read_constraint(specification, marker)
    loaded = load_model(model, tokenizer)
    compiler = shared_compiler(loaded) if compiler is None else checked_compiler(compiler, loaded.vocabulary)
    compiled = {
        identity: None if constraint is None else compiler.bind(constraint.grammar)
        for identity, constraint in known.items()
    }

    vocabulary = loaded.vocabulary
    if stop_ids:
        vocabulary = vocabulary.with_stop_tokens(stop_ids.union(vocabulary.stop_token_ids))
    if think_until in vocabulary.stop_token_ids:
        raise ValueError(f"think_until is {think_until}, a stop token: the output would end where it is to begin")
    tasks = []
    for text, specification in zip(prompts, specifications, strict=True):
        own_prompt, own_compiled = read_prompt(loaded, text), compiled[specification.identity]
        matcher = _new_matcher(own_compiled, vocabulary, think_until)
        tasks.append(
            Task(
                prompt=own_prompt,
                constraint=known[specification.identity],
                compiled=own_compiled,
                max_tokens=_tokens_that_fit(loaded.context_length, own_prompt, vocabulary, matcher, max_tokens),
                # Fresh seeds are short enough to be typed again.
                seed=secrets.randbits(32) if seed is None else seed,
            )
        )
    until = think_until.encode() if isinstance(think_until, str) else think_until
    drafts = read_speculation(loaded, speculation)
    return Call(loaded, vocabulary, tuple(tasks), batch, n, sampling, stop_strings, until, drafts)


def _new_matcher(
    compiled: CompiledGrammar | None, vocabulary: Vocabulary, think_until: bytes | str | int | None
) -> Matcher | None:
    """A matcher at the beginning of a row; a marker that is text is in the grammar already."""
    if compiled is None:
        return None
    token = think_until if isinstance(think_until, int) else None
    return compiled.matcher(stop_token_ids=vocabulary.stop_token_ids, think_until_token=token)


def _one_per_prompt(constraints: Mapping[str, Any], count: int) -> list[Specification]:
    """Spread every argument over the batch: a list holds one per prompt, anything else is for all of them."""
    columns: dict[str, Sequence[Any]] = {}
    for name, value in constraints.items():
        # The choices of all prompts are a list themselves: only a list of lists is one per prompt.
        is_list = isinstance(value, list | tuple)
        if is_list and name == "choices":
            is_list = any(isinstance(item, list | tuple) for item in value)
        if is_list and len(value) != count:
            raise ValueError(f"{name} is a list of {len(value)} for {count} prompts; pass one for each, or one for all")
        columns[name] = value if is_list else [value] * count
    return [Specification(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def _read_stop(stop: str | int | Sequence[str | int]) -> tuple[frozenset[int], tuple[bytes, ...]]:
    """Stop token ids and stop texts."""
    items = [stop] if isinstance(stop, str | int) else list(stop)
    for item in items:
        if not isinstance(item, str | int) or isinstance(item, bool):
            raise TypeError(f"stop holds texts and token ids, not {type(item).__name__}")
        if item == "":
            raise ValueError("a stop text is empty, which would end every output before it begins")
    return (
        frozenset(item for item in items if isinstance(item, int)),
        tuple(item.encode() for item in items if isinstance(item, str)),
    )


def _tokens_that_fit(
    context_length: int | None, prompt: Prompt, vocabulary: Vocabulary, matcher: Matcher | None, max_tokens: int
) -> int:
    """`max_tokens`, or what the model's context still holds after the prompt.

    Raises:
        BudgetTooSmall: max_tokens is less than the shortest document.
        ModelError: the model's context is.
    """
    if matcher is not None and not can_close(matcher, vocabulary, max_tokens):
        raise BudgetTooSmall(matcher.min_tokens_left(), max_tokens)
    if context_length is None:
        return max_tokens
    room = context_length - len(prompt.token_ids) - len(prompt.lost)
    if room < 1 or (room < max_tokens and matcher is not None and not can_close(matcher, vocabulary, room)):
        minimum = 1 if matcher is None else matcher.min_tokens_left()
        raise ModelError(
            f"the prompt has {len(prompt.token_ids)} tokens and the model's context holds {context_length}: "
            f"no room for the {minimum} tokens that the output needs at least; shorten the prompt"
        )
    return min(max_tokens, room)


def _check_at_least_one(name: str, number: int) -> None:
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"{name} must be a whole number, not {type(number).__name__}")
    if number < 1:
        raise ValueError(f"{name} is {number}; it must be at least 1")
