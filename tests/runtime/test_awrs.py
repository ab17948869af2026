"""One token under checkers and constraints: what is proposed, what it weighs, what is asked, how it ends."""

import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from tests.runtime.scripted_model import BYTES, STOP, ScriptedModel
from tests.runtime.text_checker import TextChecker
from tests.runtime.tiny_models import tiny_llama, tiny_tokenizer
from tokamask.errors import CheckerError, InvalidLogits
from tokamask.grammar.grammar import Grammar
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime.chance import KeyedChance
from tokamask.runtime.checkers.grammar_checker import GrammarChecker
from tokamask.runtime.checkers.panel import Panel, read_checkers
from tokamask.runtime.checkers.predicates import DocumentPredicate, PrefixPredicate
from tokamask.runtime.checkers.substring import SubstringOf
from tokamask.runtime.decode import Request
from tokamask.runtime.generate import generate
from tokamask.runtime.particle import Particle
from tokamask.runtime.prompts import Prompt
from tokamask.runtime.proposal import Proposal, by_mask, by_preference, by_test, read_law
from tokamask.runtime.results import Generation
from tokamask.runtime.sampling import Sampling
from tokamask.runtime.smc import draw_particles

GREEDY = Sampling(temperature=0)
PROMPT = Prompt((0,))
COMPILER = GrammarCompiler(BYTES)


def particle(
    grammar: Grammar | None = None,
    checkers: Sequence[Any] = (),
    *,
    vocabulary: Vocabulary = BYTES,
    max_tokens: int = 40,
    seed: int = 0,
    sample: int = 0,
    must_end: bool = True,
) -> Particle:
    compiler = COMPILER if vocabulary is BYTES else GrammarCompiler(vocabulary)
    matcher = None if grammar is None else compiler.compile(grammar).matcher()
    request = Request(PROMPT, vocabulary, matcher, max_tokens, seed=seed, sample=sample)
    return Particle(request, read_checkers(checkers), must_end=must_end)


def finish(
    model: Any, particles: Sequence[Particle], propose: Proposal = by_mask, sampling: Sampling | None = None
) -> Sequence[Particle]:
    *_, last = draw_particles(model, particles, propose, sampling or Sampling(), KeyedChance())
    return last


NESTED = Grammar.from_json_schema(
    {
        "$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}, "maxItems": 3}},
        "type": "object",
        "properties": {"tree": {"$ref": "#/$defs/tree"}, "name": {"type": "string", "maxLength": 5}},
        "required": ["tree", "name"],
        "additionalProperties": False,
    }
)


@pytest.mark.parametrize(
    "grammar", [NESTED, Grammar.from_regex("(ab|c{2,9}d)+"), Grammar.from_lark('start: "(" start* ")" | "x"')]
)
def test_a_token_fits_where_its_bit_is_set(grammar: Grammar) -> None:
    """Along random walks that run out of budget: rejection and its fallback must mean the same."""
    generator = random.Random(4)
    compared = refused = 0
    for budget in range(24, 60, 4):
        one = particle(grammar, max_tokens=budget)
        while not one.is_finished:
            allowed = one.allowed()
            assert allowed is not None
            fits = [one.fits(token) for token in range(BYTES.size)]
            assert fits == allowed.tolist()
            compared += 1
            choices = [token for token in range(BYTES.size) if fits[token]]
            refused += len(choices) < 3
            one.accept(generator.choice(choices), 0.0, 0.0)
    assert compared > 50
    assert refused


@pytest.mark.parametrize("eagerness", [0.0, 3.0])
def test_rejection_writes_what_the_mask_writes(eagerness: float) -> None:
    """The same noise chooses the same tokens; only the weights are estimates."""
    model = ScriptedModel("aaab-and-more", eagerness=eagerness)
    grammar = Grammar.from_regex("[a-c]{3,8}b")
    by = {
        propose: finish(model, [particle(grammar, sample=sample) for sample in range(60)], propose)
        for propose in (by_mask, by_test)
    }
    assert [one.token_ids for one in by[by_test]] == [one.token_ids for one in by[by_mask]]
    for exact, estimated in zip(by[by_mask], by[by_test], strict=True):
        assert exact.logprobs == pytest.approx(estimated.logprobs)
    if eagerness:
        assert len({round(one.log_weight, 9) for one in by[by_test]}) > 10
    asked = sum(one.figures.evaluations for one in by[by_test]) / sum(len(one.token_ids) for one in by[by_test])
    assert asked <= 9  # the refusals that patience bears, and the mask


@pytest.mark.parametrize("log_mass", [-math.log(1e6), -math.log(1e12), -math.log(1e300)])
@pytest.mark.parametrize("propose", [by_mask, by_test])
def test_no_particle_dies_of_a_small_mass(log_mass: float, propose: Proposal) -> None:
    """The model is all but certain of something else, at every place."""
    model = ScriptedModel("z" * 20, eagerness=-log_mass)
    for checkers in ([], [PrefixPredicate(lambda text: not text.startswith(b"b"))]):
        if checkers and propose is by_test:
            continue
        (one,) = finish(model, [particle(Grammar.from_regex("[ab]{2}"), checkers)], propose)
        assert one.error is None
        first = 1 if checkers else 2
        expected = [math.log(count) + log_mass - math.log1p(256 * math.exp(log_mass)) for count in (first, 2, 1)]
        if checkers:  # of one estimate: certain, or without the second token
            assert math.exp(one.log_weight - sum(expected)) == pytest.approx(1.0)
        else:
            assert one.log_weight == pytest.approx(sum(expected), rel=1e-12)


def test_a_checker_that_accepts_everything_changes_nothing() -> None:
    model = ScriptedModel("some text!", eagerness=4.0)
    options: dict[str, Any] = {"n": 5, "seed": 3, "max_tokens": 12}
    everything: list[Any] = [PrefixPredicate(lambda text: True)]
    constraints: list[dict[str, Any]] = [{}, {"regex": "[a-z ]{2,9}!?"}]
    for constraint in constraints:
        if constraint:  # free bytes need not be a text that can end
            everything.append(lambda text: True)
        plain = generate(model, "p", **options, **constraint)
        checked = generate(model, "p", checkers=everything, **options, **constraint)
        assert [one.token_ids for one in checked] == [one.token_ids for one in plain]
        assert [one.finish_reason for one in checked] == [one.finish_reason for one in plain]
        for one, other in zip(plain, checked, strict=True):
            assert one.logprobs == pytest.approx(other.logprobs)
            assert other.log_weight == pytest.approx(one.log_weight if constraint else 0.0, abs=1e-9)


@pytest.mark.parametrize("method", ["mask", "awrs", "smc"])
def test_the_batch_changes_nothing(method: str) -> None:
    model, tokenizer = tiny_llama(), tiny_tokenizer()
    options: dict[str, Any] = {
        "tokenizer": tokenizer,
        "regex": "[a-z ]{3,20}",
        "method": method,
        "checkers": [lambda text: "th" not in text],
        "n": 3,
        "seed": 5,
        "max_tokens": 14,
    }
    prompts = ["the whale", "the sea and th", "water"]
    together = generate(model, prompts, **options)
    for prompt, samples in zip(prompts, together, strict=True):
        alone = generate(model, prompt, **options)
        assert [one.token_ids for one in alone] == [one.token_ids for one in samples]
        assert alone.log_weights == pytest.approx(samples.log_weights, abs=1e-9)
        assert method == "smc" or len({one.text for one in samples}) > 1
    assert generate(model, prompts[0], strict=True, **options)[0].token_ids == together[0][0].token_ids
    assert generate(model, prompts[0], **{**options, "seed": 6})[0].text != together[0][0].text


def test_a_checker_that_knows_its_mask_is_not_asked_about_tokens() -> None:
    grammar, other = Grammar.from_regex("[a-d]{4}"), Grammar.from_regex("[b-z]+")
    model = ScriptedModel("", eagerness=0.0)
    known = finish(model, [particle(grammar, [GrammarChecker(COMPILER.compile(other))], seed=2)])[0]
    asked = finish(model, [particle(grammar, [PrefixPredicate(lambda text: b"a" not in text)], seed=2)])[0]
    assert known.text == asked.text
    assert known.log_weight == pytest.approx(4 * math.log(3 / 257) + math.log(1 / 257))
    assert known.figures.evaluations == 2 * 5
    assert asked.figures.evaluations > 5


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(top_k=2), Sampling(top_p=0.5), Sampling(min_p=0.9)])
def test_truncation_takes_the_best_that_is_accepted(sampling: Sampling) -> None:
    model = ScriptedModel("abab", eagerness=30.0)
    no_aba = PrefixPredicate(lambda text: b"aba" not in text)
    result = generate(model, "p", regex="[a-c]{4}", checkers=[no_aba], sampling=sampling, seed=1)
    assert result.text[:2] + result.text[3:] == "abb"
    assert result.text[2] in "bc"
    assert result.log_weight is None
    one = finish(model, [particle(Grammar.from_regex("[a-c]{4}"))], by_preference, GREEDY)[0]
    assert (one.text, one.figures.near_ties) == (b"abab", 0)


def test_a_dead_end_is_a_rejection_that_says_who_and_where() -> None:
    model = ScriptedModel("aab", eagerness=9.0)

    def short(text: str) -> bool:
        return len(text) < 2

    no_b = PrefixPredicate(lambda text: b"b" not in text)
    ended, dead = (
        generate(model, "p", regex="a{3}|aab", checkers=checkers, sampling=GREEDY) for checkers in ([short], [no_b])
    )
    assert (ended.finish_reason, ended.value, ended.text) == ("rejected", None, "aab")
    assert "after 3 bytes (b'aab')" in str(ended.error)
    assert "short) refuses '<the end>'" in str(ended.error)
    assert (dead.finish_reason, dead.text) == ("stop", "aaa")
    nowhere = generate(model, "p", regex="aab", checkers=[no_b, short], method="awrs", n=3)
    assert {one.finish_reason for one in nowhere} == {"rejected"}
    assert nowhere.log_z == -math.inf
    assert nowhere.normalised_weights is None
    assert all("after 2 bytes" in str(one.error) and "'b'" in str(one.error) for one in nowhere)
    grammar = GrammarChecker(COMPILER.compile(Grammar.from_regex("aa[xy]")))
    masked = generate(model, "p", regex="aab", checkers=[grammar], method="smc", n=2)
    assert all("GrammarChecker refuses 'b'" in str(one.error) for one in masked)


def test_a_checker_that_fails_is_named() -> None:
    def broken(text: str) -> bool:
        raise ZeroDivisionError("nothing to divide")

    with pytest.raises(CheckerError, match=r"broken.*ZeroDivisionError.*nothing to divide"):
        generate(ScriptedModel("a"), "p", regex="a", checkers=[broken])


def test_a_mask_that_contradicts_its_checker_is_an_error() -> None:
    class Lying(GrammarChecker):
        def allowed(self, state: int) -> Any:
            return super().allowed(state) * 0 - 1

    with pytest.raises(CheckerError, match="contradict"):
        generate(
            ScriptedModel("a", eagerness=9.0),
            "p",
            regex="[ab]",
            checkers=[Lying(COMPILER.compile(Grammar.from_regex("b")))],
            sampling=Sampling(temperature=0.1),
        )


def test_free_text_may_be_cut_by_the_mask_method_alone() -> None:
    """Unfinished text is judged as unfinished; the methods with weights end it in time."""
    model = ScriptedModel("quiet waters run deep", eagerness=9.0)
    no_z = PrefixPredicate(lambda text: b"z" not in text)
    cut = generate(model, "p", checkers=[no_z], max_tokens=5, sampling=GREEDY)
    assert (cut.text, cut.finish_reason, cut.value) == ("quiet", "length", "quiet")
    assert generate(model, "p", checkers=[lambda text: False], max_tokens=5, sampling=GREEDY).finish_reason == "length"
    ended = generate(model, "p", checkers=[no_z], max_tokens=5, method="awrs", seed=1)
    assert ended.finish_reason == "stop"
    assert ended.token_ids[-1] == STOP
    assert len(ended.token_ids) <= 5
    never = generate(model, "p", checkers=[lambda text: False], max_tokens=5, method="awrs")
    assert (never.finish_reason, never.log_weight) == ("rejected", -math.inf)


def test_without_stop_tokens_the_end_is_judged_with_the_token_that_makes_it() -> None:
    vocabulary = BYTES.with_stop_tokens([])
    grammar = Grammar.from_regex("[ab]{1,3}")
    ends_in_b = DocumentPredicate(lambda text: text.endswith("b"))
    model = ScriptedModel("aaa", eagerness=1.0)
    texts = set()
    for seed in range(20):
        for budget in (1, 2, 3, 9):
            one = particle(grammar, [ends_in_b], vocabulary=vocabulary, max_tokens=budget, seed=seed)
            (one,) = finish(model, [one])
            assert (one.error, one.text[-1:]) == (None, b"b")
            assert len(one.text) == min(budget, 3)
            texts.add(one.text)
    assert len(texts) == 7
    free = finish(model, [particle(None, [ends_in_b], vocabulary=vocabulary, max_tokens=2)])[0]
    assert free.text[1:] == b"b"


def test_checkers_judge_new_text_where_the_prompt_is_healed() -> None:
    seen: list[bytes] = []
    prompts: list[bytes] = []

    class Listening(TextChecker):
        def start(self, prompt: bytes) -> bytes:
            prompts.append(prompt)
            return b""

        def advance(self, state: bytes, data: bytes) -> bytes | None:
            seen.append(state + data)
            return state + data

    options: dict[str, Any] = {"tokenizer": tiny_tokenizer(), "regex": "[a-z ]{3,9}", "max_tokens": 9}
    for seed in range(6):
        seen.clear()
        plain = generate(tiny_llama(), "the sea and th", seed=seed, **options)
        checked = generate(tiny_llama(), "the sea and th", seed=seed, checkers=[Listening()], **options)
        assert checked.token_ids == plain.token_ids
        assert checked.log_weight == pytest.approx(plain.log_weight, abs=1e-9)
        awrs = generate(tiny_llama(), "the sea and th", seed=seed, method="awrs", **options)
        assert awrs.token_ids == plain.token_ids
        assert checked.text.encode() in seen
    assert set(prompts) == {b"the sea and th"}


@pytest.mark.parametrize("marker", [":", ord(":")])
def test_checkers_judge_the_document_and_not_the_thoughts(marker: str | int) -> None:
    model = ScriptedModel("b, bb:bab", eagerness=12.0)
    no_b_first = PrefixPredicate(lambda text: not text.startswith(b"b"))
    for method in ("mask", "awrs", "smc"):
        result = generate(
            model,
            "p",
            regex="[ab]{3}",
            think_until=marker,
            checkers=[no_b_first, lambda text: len(text) == 3],
            method=method,
            max_tokens=20,
            seed=1,
        )
        assert result.text.startswith("b, bb:")
        assert result.value == result.text[6:] == "aab"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_bad_logits_are_an_error(bad: float) -> None:
    with pytest.raises(InvalidLogits):
        generate(ScriptedModel("x", eagerness=bad), "p", choices=["x", "y"], method="awrs")


def test_a_model_that_rules_the_constraint_out_is_an_error() -> None:
    logits = torch.full((BYTES.size,), -math.inf, dtype=torch.float64)
    logits[ord("z")] = 0.0
    for propose in (by_mask, by_test):
        one = particle(Grammar.from_regex("[ab]"))
        law = read_law(logits, one, Sampling())
        with pytest.raises(InvalidLogits, match="-inf"):
            propose(one, law, Sampling(), KeyedChance())


def test_near_ties_are_counted() -> None:
    logits = torch.zeros(BYTES.size, dtype=torch.float64)
    for gap, ties in ((1e-4, 1), (0.5, 0)):
        logits[ord("a")], logits[ord("b")] = 5.0, 5.0 - gap
        one = particle(None, [lambda text: True])
        by_preference(one, read_law(logits, one, GREEDY), GREEDY, KeyedChance())
        assert (one.text, one.figures.near_ties) == (b"a", ties)


def test_a_fork_goes_its_own_way() -> None:
    grammar = Grammar.from_regex("[a-z]{1,9}")
    one = particle(grammar, [SubstringOf("abcabd")])
    for token in b"ab":
        one.accept(token, -1.0, -0.5)
    twin = one.fork(3, one.figures)
    assert twin.noise_key != one.noise_key
    twin.accept(ord("d"), -2.0, 0.0)
    assert (one.text, twin.text, twin.logprobs) == (b"ab", b"abd", (-1.0, -1.0, -2.0))
    assert one.judge(ord("c"))
    assert not twin.judge(ord("c"))
    assert one.fits(ord("c"))
    assert isinstance(generate(ScriptedModel("a"), "p", regex="a", method="smc"), Generation)
    assert Panel().may_end(())
