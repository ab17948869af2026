"""Speculation changes nothing but the number of steps: at any temperature, in any batch, whatever is drafted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

import tokamask.runtime.decode as decode_module
from tests.runtime.bigram_model import PIECE_VOCABULARY, STOP, BigramContext, BigramModel
from tests.runtime.drafters import FixedPace, FunctionDrafter, adversaries, always_drafting, knowing
from tests.runtime.scripted_model import ScriptedModel
from tests.runtime.test_transformers_model import tiny_mistral
from tests.runtime.tiny_models import tiny_llama, tiny_tokenizer
from tokamask.errors import GenerationInterrupted, InvalidLogits, UnsupportedFeature
from tokamask.grammar.grammar import Grammar
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime.choice import Choices
from tokamask.runtime.decode import Request, Row, decode
from tokamask.runtime.drafts import Drafter, GrammarDrafter
from tokamask.runtime.generate import generate, stream
from tokamask.runtime.model import CroppableContext, Model
from tokamask.runtime.model_loader import load_model, shared_compiler
from tokamask.runtime.pace import MeasuredPace
from tokamask.runtime.prompts import Prompt, read_prompt
from tokamask.runtime.results import FinishReason
from tokamask.runtime.sampling import Sampling
from tokamask.runtime.speculation import Speculation, read_speculation

GREEDY = Sampling(temperature=0)
SAMPLINGS = [GREEDY, Sampling(0.7), Sampling(1.3), Sampling(1.0, top_k=3, top_p=0.9, min_p=0.05)]
ADVERSARIES = sorted(adversaries(2, [0]))
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "tags": {"type": "array", "items": {"enum": ["whale", "sea", "boat"]}, "maxItems": 3},
    },
    "required": ["name", "tags"],
    "additionalProperties": False,
}


def finish(
    model: Model, requests: Sequence[Request], sampling: Sampling, speculation: Speculation | None = None
) -> list[Row]:
    """Decode to the end; the finished rows in the order of their requests."""
    finished: dict[int, Row] = {}
    for rows in decode(model, requests, sampling, speculation):
        finished.update({id(row.request): row for row in rows if row.finish_reason is not None})
    return [finished[id(one)] for one in requests]


def check_equal(rows: Sequence[Row], plain: Sequence[Row], tolerance: float = 0.0) -> None:
    """All that must not depend on drafts; logarithms up to the tolerance."""
    for row, expected in zip(rows, plain, strict=True):
        assert row.token_ids == expected.token_ids
        assert row.text == expected.text
        assert row.document() == expected.document()
        assert row.finish_reason is expected.finish_reason
        assert row.steps == expected.steps
        assert row.near_ties == expected.near_ties
        assert row.logprobs == pytest.approx(expected.logprobs, abs=tolerance, rel=0)
        assert row.log_weight == pytest.approx(expected.log_weight, abs=tolerance, rel=0)


# The table model: equal to the last bit.


def pieces_requests(seed: int = 0) -> list[Request]:
    """Four rows of the piece vocabulary: recursion, a pattern, a short choice and free text, of different lengths."""
    compiler = GrammarCompiler(PIECE_VOCABULARY)
    grammars = [
        Grammar.from_lark('start: "(" start ")" start | "the" | "x"'),
        Grammar.from_regex("(abc|xy )*then the (10)+é"),
        Grammar.from_choices(["abc", "abcabc", "then", "the", "10"]),
        None,
    ]
    prompts = ["(the)(the)", "abcxy then the", "xy", "abcabcabc"]
    return [
        Request(
            prompt=Prompt(tuple(PIECE_VOCABULARY.encode(text.encode()))),
            vocabulary=PIECE_VOCABULARY,
            matcher=None if grammar is None else compiler.compile(grammar).matcher(),
            max_tokens=budget,
            seed=seed,
            sample=sample,
            stop_strings=(b"bc(", b"xx") if grammar is None else (),
        )
        for sample, (text, grammar, budget) in enumerate(zip(prompts, grammars, (25, 40, 5, 30), strict=True))
    ]


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
@pytest.mark.parametrize("name", ADVERSARIES)
def test_a_table_writes_the_same_whatever_is_drafted(name: str, sampling: Sampling) -> None:
    model = BigramModel(seed=4)
    new_drafter = adversaries(PIECE_VOCABULARY.size, [STOP])[name]
    for seed, longest in ((0, 7), (1, 2)):
        speculation = always_drafting(new_drafter, longest)
        plain = finish(model, pieces_requests(seed), sampling)
        check_equal(finish(model, pieces_requests(seed), sampling, speculation), plain)
        alone = [finish(model, [one], sampling, speculation)[0] for one in pieces_requests(seed)]
        check_equal(alone, plain)


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
@pytest.mark.parametrize("wrong_every", [0, 1, 2, 3, 5])
def test_drafts_that_come_true_save_steps(sampling: Sampling, wrong_every: int) -> None:
    model = BigramModel(seed=4)
    plain = finish(model, pieces_requests(3), sampling)
    answers = {row.request.prompt.token_ids: row.token_ids for row in plain}
    rows = finish(model, pieces_requests(3), sampling, always_drafting(knowing(answers, wrong_every), longest=4))
    check_equal(rows, plain)
    for row in rows:
        assert row.drafts_accepted <= row.drafted
        assert row.forward_passes == row.steps - row.drafts_accepted
        if wrong_every == 0 and row.token_ids[-1] == STOP:
            # One token of the prompt's pass; then four guesses and one more of every pass; stop tokens are not drafted.
            assert row.drafts_accepted == row.drafted == len(row.token_ids) - row.forward_passes
            assert row.forward_passes == 1 + math.ceil((len(row.token_ids) - 1) / 5)
        if wrong_every == 1:
            assert row.drafts_accepted == 0


def test_a_draft_ends_with_the_budget() -> None:
    """No row is read beyond the last token that it could still need."""
    model = BigramModel(seed=4)
    for budget in range(1, 12):
        one = Request(Prompt((1, 2)), PIECE_VOCABULARY, None, budget, seed=budget)
        plain = finish(model, [one], Sampling())
        model.passes.clear()
        speculation = always_drafting(lambda *_: FunctionDrafter(lambda *_: range(9)))
        check_equal(finish(model, [one], Sampling(), speculation), plain)
        longest = [tokens - 1 for _, tokens in model.passes[1:]]
        assert all(drafted < budget for drafted in longest)


def test_every_budget_of_a_document_is_kept_alike() -> None:
    model = BigramModel(seed=7)
    compiled = GrammarCompiler(PIECE_VOCABULARY).compile(Grammar.from_regex("(abc|xy )*then the (10)+é"))
    minimum = compiled.matcher().min_tokens_left()
    for budget, sampling in itertools.product(range(minimum, minimum + 8), (GREEDY, Sampling(1.5))):

        def one() -> list[Request]:
            return [Request(Prompt((1, 2)), PIECE_VOCABULARY, compiled.matcher(), budget, seed=budget)]  # noqa: B023

        plain = finish(model, one(), sampling)
        check_equal(finish(model, one(), sampling, always_drafting()), plain)
        answers = {(1, 2): plain[0].token_ids}
        check_equal(finish(model, one(), sampling, always_drafting(knowing(answers))), plain)


def test_a_stop_text_ends_the_row_inside_a_draft_that_would_come_true() -> None:
    model = BigramModel(seed=4)
    prompt = Prompt((1, 2))
    (free,) = finish(model, [Request(prompt, PIECE_VOCABULARY, None, 30, seed=2)], Sampling())
    drafts = always_drafting(knowing({(1, 2): free.token_ids}))
    for end in range(2, len(free.text)):
        stop = bytes(free.text[end - 2 : end])
        cut = Request(prompt, PIECE_VOCABULARY, None, 30, seed=2, stop_strings=(stop,))
        (plain,), (drafted,) = finish(model, [cut], Sampling()), finish(model, [cut], Sampling(), drafts)
        check_equal([drafted], [plain])
        assert drafted.text == free.text[: free.text.find(stop)]
        assert drafted.wall_seconds > 0


def test_rows_without_stop_tokens_end_alike() -> None:
    endless = Vocabulary([*PIECE_VOCABULARY.token_bytes], stop_token_ids=[])
    model = BigramModel(endless, seed=9)
    compiled = GrammarCompiler(endless).compile(Grammar.from_choices(["abc", "abcabc", "then the", "x"]))
    for seed in range(8):

        def one() -> list[Request]:
            return [Request(Prompt((1, 2)), endless, compiled.matcher(), 7, seed=seed)]  # noqa: B023

        plain = finish(model, one(), Sampling())
        for new_drafter in (knowing({(1, 2): plain[0].token_ids}), GrammarDrafter):
            check_equal(finish(model, one(), Sampling(), always_drafting(new_drafter)), plain)


def test_a_bad_logit_counts_only_where_it_is_reached() -> None:
    """Token 3 poisons what the model says after it: an error when it is written, not when it is drafted in vain."""
    model = BigramModel(seed=4, poison=3)
    model.table[:, :, 3] = -50.0
    requests = [Request(Prompt((1, 2)), PIECE_VOCABULARY, None, 20, seed=0)]
    plain = finish(model, requests, Sampling())
    in_vain = always_drafting(lambda *_: FunctionDrafter(lambda *_: [3, 3, 3]))
    rows = finish(model, requests, Sampling(), in_vain)
    check_equal(rows, plain)
    assert rows[0].drafted > 0

    model.table[:, :, 3] = 50.0
    for speculation in (None, in_vain):
        with pytest.raises(InvalidLogits, match=r"NaN .row 0"):
            finish(model, requests, Sampling(), speculation)


# A real cache: two layers of Llama in float64.


@pytest.fixture(scope="module")
def llama() -> Model:
    return load_model(tiny_llama(), tiny_tokenizer())


def llama_requests(model: Model, seed: int = 0) -> list[Request]:
    """Four rows: a schema, thoughts and then a choice, healed free text, a pattern; of different lengths."""
    compiler = shared_compiler(model)
    marker = Grammar.from_choices(["a boat", "the whale"])
    marked = model.vocabulary.token_bytes.index(b" and")
    rows: list[dict[str, Any]] = [
        {"matcher": compiler.compile(Grammar.from_json_schema(SCHEMA)).matcher(), "max_tokens": 40},
        {
            "matcher": compiler.compile(marker).matcher(think_until_token=marked),
            "max_tokens": 12,
            "think_until": marked,
        },
        {"matcher": None, "max_tokens": 30, "stop_strings": (b"wa",)},
        {"matcher": compiler.compile(Grammar.from_regex("(the whale|and|, )*[0-9]{2}")).matcher(), "max_tokens": 22},
    ]
    prompts = ["the captain said", "water", "the sea and the wh", '{"name": "Ishmael", "tags": ["whale", "sea"]} a']
    return [
        Request(prompt=read_prompt(model, text), vocabulary=model.vocabulary, seed=seed, sample=sample, **row)
        for sample, (text, row) in enumerate(zip(prompts, rows, strict=True))
    ]


def test_the_rows_are_as_different_as_they_should_be(llama: Model) -> None:
    requests = llama_requests(llama)
    assert sum(bool(one.prompt.lost) for one in requests) >= 1
    assert len({len(one.prompt.token_ids) for one in requests}) == 4


@pytest.mark.parametrize("sampling", SAMPLINGS[:3], ids=str)
@pytest.mark.parametrize("name", [*ADVERSARIES, "knowing", "knowing half"])
def test_a_real_cache_writes_the_same_whatever_is_drafted(name: str, sampling: Sampling, llama: Model) -> None:
    for seed, longest in ((0, 7),):
        plain = finish(llama, llama_requests(llama, seed), sampling)
        assert min(row.near_ties for row in plain) == max(row.near_ties for row in plain) == 0
        answers = {row.request.prompt.token_ids: row.token_ids for row in plain}
        own = {"knowing": knowing(answers), "knowing half": knowing(answers, wrong_every=3)}
        makers = {**adversaries(llama.vocabulary.size, llama.vocabulary.stop_token_ids), **own}
        speculation = always_drafting(makers[name], longest)
        together = finish(llama, llama_requests(llama, seed), sampling, speculation)
        check_equal(together, plain, tolerance=1e-9)
        alone = [finish(llama, [one], sampling, speculation)[0] for one in llama_requests(llama, seed)]
        check_equal(alone, plain, tolerance=1e-9)
        if name.startswith("knowing"):
            assert all(row.drafts_accepted > 0 for row in together if len(row.token_ids) > 4)


class WatchedContext:
    """Compares all logits with those of a forward pass without a cache over the tokens that should be there."""

    def __init__(self, context: CroppableContext) -> None:
        self.context = context
        self.rows: list[list[int]] = []
        self.cropped = 0

    @property
    def can_crop(self) -> bool:
        return self.context.can_crop

    def check(self, logits: torch.Tensor, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        with torch.no_grad():
            expected = [tiny_llama()(input_ids=torch.tensor([list(row)])).logits[0, -1] for row in rows]
        assert torch.allclose(logits, torch.stack(expected), atol=1e-9)
        return logits

    def extend(self, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        self.rows = [[*row, *new] for row, new in zip(self.rows or [[]] * len(tokens), tokens, strict=True)]
        return self.check(self.context.extend(tokens), self.rows)

    def extend_all(self, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        prefixes = [
            [*row, *new[: count + 1]]
            for row, new in zip(self.rows, tokens, strict=True)
            for count in range(len(new))
        ]
        self.rows = [[*row, *new] for row, new in zip(self.rows, tokens, strict=True)]
        return self.check(self.context.extend_all(tokens), prefixes)

    def crop(self, counts: Sequence[int]) -> None:
        self.cropped += sum(counts)
        self.rows = [row[: len(row) - count] for row, count in zip(self.rows, counts, strict=True)]
        self.context.crop(counts)

    def select(self, rows: Sequence[int]) -> None:
        self.rows = [self.rows[row] for row in rows]
        self.context.select(rows)


@pytest.mark.parametrize("name", ["random", "knowing half", "same token"])
def test_after_every_step_the_cache_holds_what_was_written(
    name: str, llama: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = finish(llama, llama_requests(llama), Sampling(0.7))
    answers = {row.request.prompt.token_ids: row.token_ids for row in plain}
    makers = {**adversaries(llama.vocabulary.size, [0]), "knowing half": knowing(answers, wrong_every=3)}
    watched: list[WatchedContext] = []
    new_context = llama.new_context

    def watch() -> WatchedContext:
        context = new_context()
        assert isinstance(context, CroppableContext)
        watched.append(WatchedContext(context))
        return watched[-1]

    monkeypatch.setattr(llama, "new_context", watch)
    rows: Sequence[Row] = ()
    for rows in decode(llama, llama_requests(llama), Sampling(0.7), always_drafting(makers[name])):
        for row, read in zip(rows, watched[0].rows, strict=True):
            # What is read beyond the row's tokens is the rest of a draft, and is taken back before the next step.
            own = [*row.request.prompt.token_ids, *row.token_ids][:-1]
            if not row.request.prompt.lost:
                assert read[: len(own)] == own
    assert watched[0].cropped > 0


# What the pace may do, and where drafts are off.


class ScriptedPace(FixedPace):
    """Cuts drafts at widths that a test prescribes."""

    def __init__(self, widths: Iterator[int]) -> None:
        super().__init__()
        self.widths = widths

    def width(self, drafts: Sequence[Sequence[str]]) -> int:
        return next(self.widths)


def test_the_pace_may_cut_drafts_anywhere() -> None:
    model = BigramModel(seed=4)
    plain = finish(model, pieces_requests(5), Sampling())
    answers = {row.request.prompt.token_ids: row.token_ids for row in plain}
    for widths in ([0], [0, 3], [1, 0, 7, 2], [99]):
        speculation = Speculation(ScriptedPace(itertools.cycle(widths)), knowing(answers, wrong_every=4))
        rows = finish(model, pieces_requests(5), Sampling(), speculation)
        check_equal(rows, plain)
        assert (widths == [0]) == all(row.drafted == 0 for row in rows)


def test_the_pace_learns_from_guesses_that_nobody_read() -> None:
    model = BigramModel(seed=4)
    plain = finish(model, pieces_requests(5), Sampling())
    answers = {row.request.prompt.token_ids: row.token_ids for row in plain}
    pace = ScriptedPace(itertools.repeat(0))
    finish(model, pieces_requests(5), Sampling(), Speculation(pace, knowing(answers, wrong_every=2)))
    assert {came_true for _, came_true in pace.guesses} == {True, False}


def test_a_measured_pace_changes_nothing_either(llama: Model) -> None:
    speculation = Speculation(MeasuredPace())
    for seed in range(3):
        plain = finish(llama, llama_requests(llama, seed), Sampling(0.7))
        check_equal(finish(llama, llama_requests(llama, seed), Sampling(0.7), speculation), plain, tolerance=1e-9)


def refuse_to_draft(prompt: Prompt, vocabulary: Vocabulary) -> Drafter:
    raise AssertionError("there is nothing to draft for")


def test_contexts_that_cannot_take_back_write_without_drafts() -> None:
    speculation = Speculation(FixedPace(), refuse_to_draft)
    assert generate(ScriptedModel("no"), "p", choices=["yes", "no"], speculation=speculation, seed=0).value == "no"
    window: dict[str, Any] = {"tokenizer": tiny_tokenizer(), "regex": "[a-z]{9}", "seed": 2}
    without = generate(tiny_mistral(), "the whale", speculation=None, **window)
    assert generate(tiny_mistral(), "the whale", speculation=speculation, **window).text == without.text

    class Growing(BigramContext):
        can_crop = False

    model = BigramModel(seed=4)
    model.new_context = lambda: Growing(model)  # type: ignore[method-assign]
    finish(model, pieces_requests(), GREEDY, speculation)


def test_strict_runs_without_drafts() -> None:
    options: dict[str, Any] = {"tokenizer": tiny_tokenizer(), "schema": SCHEMA, "seed": 3, "max_tokens": 40}
    drafting = generate(tiny_llama(), "the whale", speculation=always_drafting(), **options)
    strict = generate(tiny_llama(), "the whale", strict=True, speculation=always_drafting(), **options)
    assert drafting.stats.drafted > 0
    assert strict.stats.drafted == 0
    assert strict.text == drafting.text
    assert strict.stats.forward_passes == strict.stats.tokens


def test_figures_count_passes_and_guesses() -> None:
    options: dict[str, Any] = {"tokenizer": tiny_tokenizer(), "schema": SCHEMA, "seed": 3, "max_tokens": 40}
    plain = generate(tiny_llama(), "the whale", speculation=None, **options)
    drafted = generate(tiny_llama(), "the whale", speculation=always_drafting(), **options)
    assert (plain.stats.drafted, plain.stats.accepted) == (0, 0)
    assert 0 < drafted.stats.accepted <= drafted.stats.drafted
    assert drafted.stats.forward_passes == drafted.stats.tokens - drafted.stats.accepted
    assert plain.stats.masks == plain.stats.tokens
    assert drafted.stats.masks > 0
    assert (drafted.value, drafted.logprobs) == (plain.value, pytest.approx(plain.logprobs))


def test_what_auto_learns_is_shared_by_all_calls_with_a_model(llama: Model) -> None:
    first, again = read_speculation(llama, "auto"), read_speculation(load_model(tiny_llama(), tiny_tokenizer()), "auto")
    assert first is not None
    assert again is not None
    assert first.pace is again.pace
    other = read_speculation(BigramModel(), "auto")
    assert other is not None
    assert other.pace is not first.pace
    assert read_speculation(llama, None) is None
    assert read_speculation(llama, first) is first
    with pytest.raises(UnsupportedFeature, match="'medusa'"):
        read_speculation(llama, "medusa")


# Streams.


def test_a_stream_shows_the_same_in_larger_parts() -> None:
    options: dict[str, Any] = {"tokenizer": tiny_tokenizer(), "schema": SCHEMA, "seed": 9, "max_tokens": 50}
    plain = stream(tiny_llama(), "the whale", speculation=None, **options)
    plain_parts = list(plain)
    parts = stream(tiny_llama(), "the whale", speculation=always_drafting(), **options)
    seen = list(parts)
    assert len(seen) < len(plain_parts)
    assert [part for part in plain_parts if part in seen] == seen
    assert seen[-1] == plain_parts[-1]
    assert parts.result.text == plain.result.text


def test_a_stream_is_cancelled_between_steps() -> None:
    options: dict[str, Any] = {"tokenizer": tiny_tokenizer(), "seed": 9, "max_tokens": 30}
    text = generate(tiny_llama(), "the whale", speculation=None, **options).text
    parts = stream(tiny_llama(), "the whale", speculation=always_drafting(), **options)
    next(parts)
    next(parts)
    parts.cancel()
    assert parts.result.finish_reason is FinishReason.CANCELLED
    assert text.startswith(parts.result.text)


def test_ctrl_c_in_a_draft() -> None:
    def interrupt(written: Sequence[int], draft: Sequence[int]) -> Sequence[int]:
        if len(written) == 3:
            raise KeyboardInterrupt
        return []

    speculation = always_drafting(lambda *_: FunctionDrafter(interrupt))
    with pytest.raises(GenerationInterrupted):
        generate(tiny_llama(), "the whale", tokenizer=tiny_tokenizer(), speculation=speculation, seed=1)


# The law, exactly: small whole numbers as weights, and noise on a grid on which every quantile of theirs falls.

FIVE = Vocabulary([b"a", b"b", b"c", b"d", b"e"], stop_token_ids=[])
TABLE = [[1, 1, 2, 5, 7], [2, 9, 3, 1, 1], [2, 1, 4, 1, 1], [1, 3, 1, 1, 1], [1, 2, 3, 4, 8]]
TEXTS = ["abe", "acb", "bcd", "bce", "bca", "cba", "cda"]
GRIDS = (6, 6, 4)  # noises of the three positions: multiples of all totals under a mask


def quantile(weights: Sequence[Fraction], noise: Fraction) -> int:
    """The token at which the summed weights pass the share `noise` of their total; 0 <= noise < 1."""
    sums = list(itertools.accumulate(weights))
    return next(token for token, passed in enumerate(sums) if passed > noise * sums[-1])


def masked_law() -> dict[str, Fraction]:
    """The law of the texts when every token is drawn from the masked table after the one before it, e at first."""
    law = {}
    for text in TEXTS:
        law[text] = Fraction(1)
        for length, letter in enumerate(text):
            weights = TABLE["abcde".index(("e" + text)[length])]
            following = {other[length] for other in TEXTS if other.startswith(text[:length])}
            total = sum(weights["abcde".index(one)] for one in following)
            assert GRIDS[length] % total == 0
            law[text] *= Fraction(weights["abcde".index(letter)], total)
    return law


def test_the_law_of_the_table_is_one() -> None:
    assert sum(masked_law().values()) == 1
    assert len(set(masked_law().values())) > 3


@pytest.mark.parametrize("name", [*ADVERSARIES, "no speculation"])
def test_the_law_of_whole_texts_is_exact(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every noise of every position, through the decoding loop itself."""
    compiled = GrammarCompiler(FIVE).compile(Grammar.from_choices(TEXTS))
    model = BigramModel(FIVE)
    model.table = torch.tensor([TABLE] * 5, dtype=torch.float64)
    noise = [0, 0, 0]

    def choose(logits: torch.Tensor, sampling: Sampling, *, keys: Sequence[int], **masks: Any) -> Choices:
        weights = np.where(masks["allowed"], logits.numpy(), 0.0)
        tokens = [
            quantile([Fraction(int(one)) for one in row], Fraction(noise[key], GRIDS[key]))
            for row, key in zip(weights, keys, strict=True)
        ]
        zeros = [0.0] * len(tokens)
        return Choices(tokens, zeros, zeros, [math.inf] * len(tokens), zeros)

    monkeypatch.setattr(decode_module, "choose", choose)
    monkeypatch.setattr(decode_module, "noise_key", lambda seed, sample, attempt, position: position)
    speculation = None if name == "no speculation" else always_drafting(adversaries(5, [])[name], longest=2)
    law: dict[str, Fraction] = dict.fromkeys(TEXTS, Fraction(0))
    for noise[:] in itertools.product(*map(range, GRIDS)):
        (row,) = finish(model, [Request(Prompt((4,)), FIVE, compiled.matcher(), 3, seed=0)], Sampling(), speculation)
        law[row.text.decode()] += Fraction(1, math.prod(GRIDS))
    assert law == masked_law()


# What goes wrong elsewhere, at one position: laws of what is written there, by enumeration. These rules are controls:
# an enumeration that could not tell them from the truth would prove nothing about ours.

TARGET = [Fraction(n, 12) for n in (5, 0, 4, 0, 3)]  # masked: tokens 1 and 3 are not allowed
DRAFTED = [Fraction(n, 12) for n in (2, 4, 1, 1, 4)]  # what a draft model draws from, without the mask
GRID = 720
Law = list[Fraction]


def mix(parts: Sequence[tuple[Fraction, Law]]) -> Law:
    return [sum((share * law[token] for share, law in parts), Fraction(0)) for token in range(5)]


def always(token: int) -> Law:
    return [Fraction(int(one == token)) for one in range(5)]


def residual() -> Law:
    """(p - q)+, normalised."""
    rest = [max(p - q, Fraction(0)) for p, q in zip(TARGET, DRAFTED, strict=True)]
    return [weight / sum(rest) for weight in rest]


def ratio_test(token: int) -> Law:
    """A drafted token is accepted with probability min(1, p / q), or else the residual is drawn from."""
    accepted = min(Fraction(1), TARGET[token] / DRAFTED[token])
    return mix([(accepted, always(token)), (1 - accepted, residual())])


def of_every_draft(written: Callable[[int], Law]) -> Law:
    return mix([(DRAFTED[token], written(token)) for token in range(5)])


def of_every_noise(written: Callable[[Fraction], int]) -> Law:
    return mix([(Fraction(1, GRID), always(written(Fraction(n, GRID)))) for n in range(GRID)])


def ratio_test_with_shared_noise(noise: Fraction) -> int:
    token = quantile(DRAFTED, noise)
    return token if noise < TARGET[token] / DRAFTED[token] else quantile(residual(), noise)


RATIO_RULES = {
    "ratio test": of_every_draft(ratio_test),
    "prune, then sample": of_every_draft(lambda token: ratio_test(token) if TARGET[token] else TARGET),
    "discard what is not likely": of_every_draft(
        lambda token: ratio_test(token) if DRAFTED[token] > Fraction(1, 6) else TARGET
    ),
    "best guess, tested as if drawn": ratio_test(4),
    "draft and test share their noise": of_every_noise(ratio_test_with_shared_noise),
}


def distance(law: Law) -> Fraction:
    """Total variation."""
    return sum((abs(one - p) for one, p in zip(law, TARGET, strict=True)), Fraction(0)) / 2


def test_the_textbook_rule_is_exact_and_its_shortcuts_are_not() -> None:
    distances = {name: distance(law) for name, law in RATIO_RULES.items()}
    assert distances.pop("ratio test") == 0
    assert len(distances) == 4
    assert all(far > Fraction(1, 20) for far in distances.values()), distances


@pytest.mark.parametrize(
    "draft",
    [
        lambda noise: quantile(DRAFTED, noise),  # with the same noise as the choice
        lambda noise: 4,
        lambda noise: None,
        lambda noise: next((t for t in (quantile(DRAFTED, noise),) if TARGET[t]), None),  # pruned
        lambda noise: next((t for t in (quantile(DRAFTED, noise),) if DRAFTED[t] > Fraction(1, 6)), None),  # discarded
    ],
)
def test_our_rule_is_exact_for_the_same_drafts(draft: Callable[[Fraction], int | None]) -> None:
    """The choice is made by the noise alone, and a draft is what it is compared with."""
    steps = {True: 0, False: 0}

    def written(noise: Fraction) -> int:
        guess, choice = draft(noise), quantile(TARGET, noise)
        steps[guess == choice] += 1
        return guess if guess is not None and guess == choice else choice

    assert distance(of_every_noise(written)) == 0
    assert sum(steps.values()) == GRID
