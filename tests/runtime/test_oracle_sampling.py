"""Grammar-aligned decoding: against laws worked out by enumeration, with controls that must fail."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any, cast

import pytest
import torch

from tests.grammar.json_schema.archives import archived
from tests.runtime.finite_matcher import FiniteMatcher, all_spellings
from tests.runtime.tabulated_model import (
    DIGITS,
    DOCUMENTS,
    OTHER,
    PROMPT,
    Table,
    TabulatedModel,
    document_law,
    measure,
    read_table,
)
from tests.runtime.tiny_models import tiny_llama, tiny_tokenizer
from tokamask.errors import BudgetTooSmall, InvalidLogits
from tokamask.grammar.grammar import Grammar
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.matcher import Matcher
from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime.decode import Request, Row, decode
from tokamask.runtime.draw import Draw
from tokamask.runtime.model import Model
from tokamask.runtime.model_loader import load_model
from tokamask.runtime.oracle_sampling import Mode, draw_on_trie
from tokamask.runtime.prompts import Prompt, read_prompt
from tokamask.runtime.sampling import Sampling

MODES: tuple[Mode, ...] = ("asap", "weighted", "cars")
BUDGET = 6

LOG_LAW = document_law(read_table())
LOG_Z = math.log(sum(map(math.exp, LOG_LAW.values())))
TARGET = {text: math.exp(log_probability - LOG_Z) for text, log_probability in LOG_LAW.items()}


@cache
def matcher() -> Matcher:
    """At the beginning of the 17 binary strings."""
    return GrammarCompiler(DIGITS).compile(Grammar.from_choices(list(DOCUMENTS))).matcher()


def request(seed: int) -> Request:
    return Request(Prompt((OTHER,)), DIGITS, matcher().fork(), BUDGET, seed)


def model(table: Table | None = None) -> TabulatedModel:
    return TabulatedModel(read_table() if table is None else table)


def finite(texts: Sequence[str], vocabulary: Vocabulary) -> Matcher:
    return cast(Matcher, FiniteMatcher([text.encode() for text in texts], vocabulary))


def masked_samples(model: Model, one: Request, samples: Sequence[int]) -> list[Row]:
    """Plain masked sampling: the rows of a request, in the order of the samples."""
    assert one.matcher is not None
    requests = [replace(one, matcher=one.matcher.fork(), sample=sample) for sample in samples]
    finished: dict[int, Row] = {}
    for rows in decode(model, requests, Sampling()):
        finished.update({row.request.sample: row for row in rows})
    return [finished[sample] for sample in samples]


# The law of the draws. Thresholds that a right sampler exceeds once in a million seeds.


def total_variation(shares: Mapping[str, float]) -> float:
    return sum(abs(shares.get(text, 0.0) - share) for text, share in TARGET.items()) / 2


def largest_total_variation(count: int) -> float:
    """Its mean is at most the first term, and McDiarmid's inequality bounds how far it is exceeded."""
    return 0.5 * math.sqrt(len(TARGET) / count) + math.sqrt(math.log(1e6) / (2 * count))


def fits(texts: Sequence[str], target: Mapping[str, float] = TARGET) -> bool:
    """Pearson's chi-square test of independent draws against the target, at p = 1e-6; rare documents share a bin."""
    counts = Counter(texts)
    large = [text for text, share in target.items() if share * len(texts) >= 5]
    bins = [(counts[text], target[text] * len(texts)) for text in large]
    rest = len(texts) - sum(expected for _, expected in bins)
    if rest >= 5:
        bins.append((len(texts) - sum(counts[text] for text in large), rest))
    assert len(bins) >= min(6, len(target)), "too few draws for a test"
    freedom = len(bins) - 1
    # The quantile by Wilson and Hilferty; 4.753 is that of the normal law.
    spread = 2 / (9 * freedom)
    limit = freedom * (1 - spread + 4.753 * math.sqrt(spread)) ** 3
    return sum((found - expected) ** 2 / expected for found, expected in bins) < limit


def texts_of(draws: Sequence[Draw]) -> list[str]:
    return [draw.text.decode() for draw in draws]


def test_cars_draws_from_the_target() -> None:
    drawn = draw_on_trie(model(), request(5), 2000, "cars", 1.0)
    texts = texts_of(drawn.draws)
    assert fits(texts)
    assert total_variation({text: texts.count(text) / 2000 for text in TARGET}) < largest_total_variation(2000)
    assert {draw.log_weight for draw in drawn.draws} == {0.0}
    assert {draw.error for draw in drawn.draws} == {None}


def test_cars_is_exact_from_the_first_draw_on() -> None:
    """Also while the trie is nearly empty, and where other draws have filled it in part."""
    drawn = [texts_of(draw_on_trie(model(), request(seed), 3, "cars", 1.0).draws) for seed in range(160)]
    assert fits([texts[0] for texts in drawn])
    assert fits([texts[2] for texts in drawn])


def test_weighted_draws_average_to_the_target() -> None:
    drawn = draw_on_trie(model(), request(6), 2000, "weighted", 1.0)
    weights = [math.exp(draw.log_weight) for draw in drawn.draws]
    shares = dict.fromkeys(TARGET, 0.0)
    for text, weight in zip(texts_of(drawn.draws), weights, strict=True):
        shares[text] += weight / sum(weights)
    assert total_variation(shares) < largest_total_variation(2000)
    assert drawn.bounds == pytest.approx((LOG_Z,) * 2, abs=1e-12)
    assert drawn.log_z == pytest.approx(LOG_Z, abs=0.02)


def test_weights_correct_the_first_draws_too() -> None:
    """Draw k of many fresh tries, each with its weight: the mean weight of a document is its probability."""
    tries = [draw_on_trie(model(), request(seed), 3, "weighted", 1.0).draws for seed in range(200)]
    for place in (0, 2):
        first = [(draws[place].text.decode(), math.exp(draws[place].log_weight - LOG_Z)) for draws in tries]
        for text in ("11111", "10011", "11011"):
            values = [weight * (text == found) for found, weight in first]
            mean = sum(values) / len(values)
            deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values) ** 2)
            assert abs(mean - TARGET[text]) < 5 * deviation, (place, text)


def test_control_masked_sampling_is_far_from_the_target() -> None:
    rows = masked_samples(model(), request(7), range(2000))
    texts = [bytes(row.text).decode() for row in rows]
    assert not fits(texts)
    assert total_variation({text: texts.count(text) / 2000 for text in TARGET}) > 3 * largest_total_variation(2000)


def test_control_asap_is_far_from_the_target_after_ten_draws() -> None:
    """And its weights repair that."""
    eleventh = [draw_on_trie(model(), request(seed), 11, "weighted", 1.0).draws[10] for seed in range(160)]
    assert not fits(texts_of(eleventh))
    weights = [math.exp(draw.log_weight - LOG_Z) for draw in eleventh]
    mean = sum(weights) / 160
    assert abs(mean - 1) < 5 * math.sqrt(sum((weight - mean) ** 2 for weight in weights)) / 160
    assert len(set(weights)) > 20


def test_asap_comes_to_the_target_in_the_end() -> None:
    drawn = draw_on_trie(model(), request(5), 2000, "asap", 1.0)
    assert fits(texts_of(drawn.draws[100:]))


@pytest.mark.parametrize("mode", MODES)
def test_first_draws_of_many_tries(mode: Mode) -> None:
    """Three documents, so that many tries are cheap: what a sampler gets wrong on an empty trie adds up here."""
    probabilities = {"": {"0": 0.1, "1": 0.5, "other": 0.4}, "1": {"0": 0.1, "1": 0.1, "other": 0.8}}
    table = {prefix: {name: math.log(p) for name, p in law.items()} for prefix, law in probabilities.items()}
    mass = 0.1 + 0.5 * 0.2
    vocabulary = Vocabulary([b"0", b"1", None, b"x"], stop_token_ids=[])
    one = Request(Prompt((OTHER,)), vocabulary, finite(["0", "10", "11"], vocabulary), 2, seed=0)
    tries = 2500 if mode == "cars" else 600
    results = [
        draw_on_trie(TabulatedModel(table, vocabulary), replace(one, seed=seed), 2, mode, 1.0) for seed in range(tries)
    ]
    target = {"0": 0.5, "10": 0.25, "11": 0.25}
    first, second = ([drawn.draws[place].text.decode() for drawn in results] for place in (0, 1))
    assert fits(first, target) == (mode == "cars")
    assert fits(second, target) or mode != "cars"
    estimates = [math.exp(drawn.log_z) / mass for drawn in results]
    mean = sum(estimates) / tries
    deviation = math.sqrt(sum((estimate - mean) ** 2 for estimate in estimates)) / tries
    assert abs(mean - 1) < 5 * deviation
    assert deviation < 0.05


def test_bounds_close_in_on_the_valid_mass() -> None:
    for seed in range(10):
        bounds = [draw_on_trie(model(), request(seed), count, "weighted", 1.0).bounds for count in (1, 5, 20, 80)]
        for lower, upper in bounds:
            assert lower <= LOG_Z + 1e-12
            assert upper >= LOG_Z - 1e-12
        assert [lower for lower, _ in bounds] == sorted(lower for lower, _ in bounds)
        assert [upper for _, upper in bounds] == sorted((upper for _, upper in bounds), reverse=True)
        assert bounds[-1] == pytest.approx((LOG_Z,) * 2, abs=1e-12)


# What the draws are, one by one.


@pytest.mark.parametrize("mode", ["asap", "weighted"])
def test_the_first_draw_is_masked_sampling(mode: Mode) -> None:
    for seed in range(30):
        (row,) = masked_samples(model(), request(seed), [0])
        (draw,) = draw_on_trie(model(), request(seed), 1, mode, 1.0).draws
        assert draw.token_ids == tuple(row.token_ids)
        assert draw.text == bytes(row.text)
        assert draw.logprobs == pytest.approx(row.logprobs)
        assert draw.log_weight == (0.0 if mode == "asap" else pytest.approx(row.log_weight))


def test_asap_and_weighted_draw_the_same() -> None:
    asap = draw_on_trie(model(), request(3), 30, "asap", 1.0)
    weighted = draw_on_trie(model(), request(3), 30, "weighted", 1.0)
    assert [draw.token_ids for draw in asap.draws] == [draw.token_ids for draw in weighted.draws]
    assert asap.bounds == weighted.bounds
    assert asap.log_z == weighted.log_z
    for draw in weighted.draws:
        assert sum(draw.logprobs) == pytest.approx(LOG_LAW[draw.text.decode()])


@pytest.mark.parametrize("mode", MODES)
def test_draws_are_a_function_of_the_request(mode: Mode) -> None:
    one = request(11)
    drawn = draw_on_trie(model(), one, 12, mode, 1.0).draws
    again = draw_on_trie(model(), one, 5, mode, 1.0).draws
    assert [draw.token_ids for draw in again] == [draw.token_ids for draw in drawn[:5]]
    assert one.matcher is not None
    assert one.matcher.shortest_completion() == matcher().shortest_completion(), "the request's matcher has moved"
    other = draw_on_trie(model(), replace(one, seed=12), 12, mode, 1.0).draws
    assert [draw.token_ids for draw in other] != [draw.token_ids for draw in drawn]
    (third,) = draw_on_trie(model(), replace(one, sample=2), 1, "weighted", 1.0).draws
    assert third.token_ids == tuple(masked_samples(model(), one, [2])[0].token_ids)


@pytest.mark.parametrize("mode", MODES)
def test_known_prefixes_need_no_forward_pass(mode: Mode) -> None:
    cached, forgetful = model(), model()
    drawn = draw_on_trie(cached, request(4), 60, mode, 1.0).draws
    redrawn = draw_on_trie(forgetful, request(4), 60, mode, 1.0, cache_bytes=0).draws
    assert [draw.token_ids for draw in drawn] == [draw.token_ids for draw in redrawn]
    prefixes = {text[:length] for text in DOCUMENTS for length in range(6)}
    assert cached.forward_passes <= len(prefixes)
    assert cached.forward_passes == sum(draw.forward_passes for draw in drawn) == sum(draw.masks for draw in drawn)
    assert forgetful.forward_passes > 5 * len(prefixes)


def test_cars_that_runs_out_of_attempts_says_so() -> None:
    drawn = draw_on_trie(model(), request(1), 40, "cars", 1.0, max_attempts=1)
    failed = [draw for draw in drawn.draws if draw.error is not None]
    assert 5 < len(failed) < 40
    for draw in failed:
        assert draw.error is not None
        assert draw.error.startswith("max_attempts (1) walks ended without a document; the log of the probability")
        assert (draw.token_ids, draw.logprobs, draw.text, draw.log_weight) == ((), (), b"", -math.inf)
    # Giving up does not favour any document.
    survivors = [
        draw.text.decode()
        for seed in range(40)
        for draw in draw_on_trie(model(), request(seed), 40, "cars", 1.0, max_attempts=1).draws
        if draw.error is None
    ]
    assert fits(survivors)


# Dead ends: what the constraint allows and the model gives no probability.


def dead_after(prefix: str) -> Table:
    """The table without what follows a prefix."""
    return {**read_table(), prefix: {"other": 0.0}}


def test_a_dead_end_weighs_nothing_and_is_found_once() -> None:
    table = dead_after("11")
    log_z = math.log(sum(math.exp(law) for text, law in LOG_LAW.items() if not text.startswith("11")))
    weighted = draw_on_trie(model(table), request(0), 200, "weighted", 1.0)
    dead = [draw for draw in weighted.draws if draw.error is not None]
    assert len(dead) == 1  # its bound is 0 from then on
    assert dead[0].log_weight == -math.inf
    assert "probability of 0" in (dead[0].error or "")
    assert weighted.bounds == pytest.approx((log_z,) * 2, abs=1e-12)
    others: tuple[Mode, ...] = ("asap", "cars")
    for mode in others:
        drawn = draw_on_trie(model(table), request(0), 200, mode, 1.0)
        assert not any(draw.error or draw.text.startswith(b"11") for draw in drawn.draws)


@pytest.mark.parametrize("mode", MODES)
def test_a_constraint_of_no_probability_is_refused(mode: Mode) -> None:
    table = {**dead_after("00"), "1": {"other": 0.0}}
    with pytest.raises(InvalidLogits, match="a probability of 0"):
        draw_on_trie(model(table), request(0), 10, mode, 1.0)


@pytest.mark.parametrize("mode", MODES)
def test_a_valid_mass_below_all_floats_is_nothing_special(mode: Mode) -> None:
    """Every allowed token 1e-300 times as probable, and documents of six tokens: the target is what it was."""
    lost = -300 * math.log(10)
    table = {
        prefix: {"other": 0.0, **{name: law[name] + lost for name in ("0", "1", "stop")}}
        for prefix, law in read_table().items()
    }
    drawn = draw_on_trie(model(table), request(2), 1000, mode, 1.0)
    assert drawn.bounds[1] == pytest.approx(LOG_Z + 6 * lost, rel=1e-13)
    assert drawn.bounds[0] == pytest.approx(LOG_Z + 6 * lost, abs=0.05)
    assert not any(draw.error for draw in drawn.draws)
    assert fits(texts_of(drawn.draws[100:]))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_are_none_are_refused(bad: float) -> None:
    with pytest.raises(InvalidLogits, match="NaN" if math.isnan(bad) else r"\+inf"):
        draw_on_trie(model({**read_table(), "": {"0": bad, "1": 0.0}}), request(0), 1, "weighted", 1.0)


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="no constraint"):
        draw_on_trie(model(), replace(request(0), matcher=None), 1, "asap", 1.0)
    for temperature in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="temperature is"):
            draw_on_trie(model(), request(0), 1, "asap", temperature)
    with pytest.raises(ValueError, match="count is 0"):
        draw_on_trie(model(), request(0), 0, "asap", 1.0)
    with pytest.raises(ValueError, match="max_attempts is 0"):
        draw_on_trie(model(), request(0), 1, "asap", 1.0, max_attempts=0)
    with pytest.raises(ValueError, match="must be one of 'asap', 'weighted', 'cars'"):
        draw_on_trie(model(), request(0), 1, cast(Mode, "rejection"), 1.0)
    with pytest.raises(BudgetTooSmall) as caught:
        draw_on_trie(model(), replace(request(0), max_tokens=5), 1, "asap", 1.0)
    assert caught.value.minimum == 6


# A model with a real vocabulary, where texts have many spellings; float64, so that its numbers do not depend on how
# the prompt and the path were read.

TEXTS = ["an", "to", "the"]


@pytest.fixture(scope="module")
def llama() -> Model:
    return load_model(tiny_llama(), tiny_tokenizer())


def law_after(model: Model, tokens: Sequence[int], temperature: float) -> torch.Tensor:
    return (model.new_context().extend([list(tokens)])[0] / temperature).log_softmax(dim=-1)


def spellings(model: Model, text: str, budget: int) -> list[tuple[int, ...]]:
    stops = model.vocabulary.stop_token_ids
    return [
        (*spelling, stop)
        for spelling in all_spellings(text.encode(), model.vocabulary)
        for stop in stops
        if len(spelling) < budget
    ]


@pytest.mark.parametrize(("budget", "count"), [(3, 4), (12, 5)])
def test_every_spelling_within_the_budget_counts(llama: Model, budget: int, count: int) -> None:
    """The bounds meet at the mass of all token sequences that fit, summed without trie or mask."""
    temperature = 1.6
    prompt = tuple(llama.encode_text("water"))
    expected = {}
    for text in TEXTS:
        for sequence in spellings(llama, text, budget):
            expected[sequence] = sum(
                law_after(llama, (*prompt, *sequence[:place]), temperature)[token].item()
                for place, token in enumerate(sequence)
            )
    one = Request(Prompt(prompt), llama.vocabulary, finite(TEXTS, llama.vocabulary), budget, seed=1)
    drawn = draw_on_trie(llama, one, 300, "weighted", temperature)
    log_z = math.log(sum(map(math.exp, expected.values())))
    assert drawn.bounds[0] <= log_z + 1e-9
    assert drawn.bounds[1] >= log_z - 1e-9
    assert drawn.bounds[1] - drawn.bounds[0] < 1e-3
    assert len(expected) == count
    for draw in drawn.draws:
        assert sum(draw.logprobs) == pytest.approx(expected[draw.token_ids], abs=1e-9)


class WithoutCrop:
    """The same model, whose contexts cannot take tokens back."""

    def __init__(self, model: Model) -> None:
        self.inner = model
        self.vocabulary, self.context_length = model.vocabulary, model.context_length
        self.encode_text, self.encode_chat = model.encode_text, model.encode_chat

    def new_context(self) -> Any:
        inner = self.inner.new_context()

        class Plain:
            extend, select = inner.extend, inner.select

        return Plain()


def test_what_is_read_again_does_not_show(llama: Model) -> None:
    one = Request(
        Prompt(tuple(llama.encode_text("water"))), llama.vocabulary, finite(TEXTS, llama.vocabulary), 12, seed=3
    )
    drawn = draw_on_trie(llama, one, 40, "cars", 1.6)
    plain = draw_on_trie(WithoutCrop(llama), one, 40, "cars", 1.6, cache_bytes=0)
    assert [draw.token_ids for draw in drawn.draws] == [draw.token_ids for draw in plain.draws]
    assert drawn.bounds == pytest.approx(plain.bounds, abs=1e-9)


def test_a_healed_prompt_is_part_of_the_target(llama: Model) -> None:
    """At the tokens that heal, the model's law is the one among the candidates, as in masked sampling."""
    prompt = read_prompt(llama, "the sea and th")
    assert prompt.lost
    texts = ["e sea", "en"]
    one = Request(prompt, llama.vocabulary, finite(texts, llama.vocabulary), 8, seed=2)
    (row,) = masked_samples(llama, one, [0])
    drawn = draw_on_trie(llama, one, 200, "weighted", 1.0)
    assert drawn.draws[0].token_ids == tuple(row.token_ids)
    assert drawn.draws[0].log_weight == pytest.approx(row.log_weight)
    assert {draw.text.decode() for draw in drawn.draws} == set(texts)
    lost = prompt.lost.decode()
    words = llama.vocabulary.token_bytes
    expected = []
    for text in texts:
        for sequence in spellings(llama, lost + text, 100):
            ends = [sum(len(words[token] or b"") for token in sequence[: place + 1]) for place in range(len(sequence))]
            if sum(end > len(lost) for end in ends[:-1]) + 1 > 8:
                continue
            log_probability = 0.0
            for place, token in enumerate(sequence):
                law = law_after(llama, (*prompt.token_ids, *sequence[:place]), 1.0)
                done = ends[place - 1] if place else 0
                if done < len(lost):
                    left = lost[done:].encode()
                    agrees = [
                        word is not None and bool(word) and (left.startswith(word) or word.startswith(left))
                        for word in words
                    ]
                    law = law - law[torch.tensor(agrees)].logsumexp(dim=0)
                log_probability += law[token].item()
            expected.append(log_probability)
    log_z = math.log(sum(map(math.exp, expected)))
    assert drawn.bounds[0] <= log_z + 1e-9
    assert drawn.bounds[1] >= log_z - 1e-9
    assert drawn.bounds[1] - drawn.bounds[0] < 0.05


def test_without_stop_tokens_a_document_ends_where_nothing_can_follow() -> None:
    vocabulary = Vocabulary([b"0", b"1", None, b"x"], stop_token_ids=[])
    texts = ["0", "10", "11"]
    table = {"": {"0": 0.2, "1": 0.3, "other": 0.5}, "1": {"0": 0.1, "1": 0.6, "other": 0.3}}
    logs = {prefix: {name: math.log(p) for name, p in law.items()} for prefix, law in table.items()}
    one = Request(Prompt((OTHER,)), vocabulary, finite(texts, vocabulary), 2, seed=0)
    # An empty mask in an accepting state is the end: this matcher knows no other.
    drawn = draw_on_trie(TabulatedModel(logs, vocabulary), one, 50, "weighted", 1.0)
    assert {draw.text for draw in drawn.draws} == {b"0", b"10", b"11"}
    assert drawn.bounds == pytest.approx((math.log(0.2 + 0.3 * 0.7),) * 2, abs=1e-12)


# The real model.


def test_the_grammar_of_the_table() -> None:
    grammar = next(text for name, text in archived("grammar-tasks.tar.xz") if name.endswith("/binary_len_5_new.ebnf"))
    reader = Grammar.from_gbnf(grammar)
    # The alternatives as they are written, read without our reader.
    assert set(re.findall('"([01]+)"', grammar)) == set(DOCUMENTS)
    for length in range(7):
        for bits in product("01", repeat=length):
            text = "".join(bits)
            assert reader.check(text).ok == (text in DOCUMENTS)


@pytest.mark.model
def test_the_table_is_what_the_model_says() -> None:
    from tokamask.runtime.demo import load_demo

    demo = load_model(*load_demo())
    table = read_table()
    for prefix in ("", "1", "0001", "11111"):
        assert measure(demo, prefix) == pytest.approx(table[prefix], abs=2e-3)


@pytest.mark.model
def test_the_model_draws_what_its_table_draws() -> None:
    """The table tests the algorithm, this the driving of a model: same noise, same documents."""
    from tokamask.runtime.demo import load_demo

    demo = load_model(*load_demo())
    vocabulary = demo.vocabulary
    spelling = {token_bytes: token for token, token_bytes in enumerate(vocabulary.token_bytes)}
    assert [len(all_spellings(text.encode(), vocabulary)) for text in DOCUMENTS] == [1] * len(DOCUMENTS)
    (stop,) = vocabulary.stop_token_ids
    ids = {"0": spelling[b"0"], "1": spelling[b"1"], "stop": stop, "other": spelling[b"x"]}
    compiled = GrammarCompiler(vocabulary).compile(Grammar.from_choices(list(DOCUMENTS)))
    for mode in MODES:
        one = Request(Prompt(tuple(demo.encode_chat(PROMPT))), vocabulary, compiled.matcher(), BUDGET, seed=9)
        drawn = draw_on_trie(demo, one, 40, mode, 1.0)
        tabulated = TabulatedModel(read_table(), vocabulary, ids)
        replayed = draw_on_trie(tabulated, replace(one, prompt=Prompt((ids["other"],))), 40, mode, 1.0)
        assert [draw.token_ids for draw in drawn.draws] == [draw.token_ids for draw in replayed.draws]
        assert drawn.bounds == pytest.approx(replayed.bounds, abs=2e-3)
        assert drawn.log_z == pytest.approx(replayed.log_z, abs=2e-3)
        assert [draw.log_weight for draw in drawn.draws] == pytest.approx(
            [draw.log_weight for draw in replayed.draws], abs=2e-3
        )
