"""The methods of generate() as users call them."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from statistics import fmean, stdev
from typing import Any

import pytest
import torch
from pydantic import BaseModel, field_validator

from tests.runtime.finite_matcher import all_spellings
from tests.runtime.scripted_model import ScriptedModel, not_called
from tests.runtime.text_checker import TextChecker
from tests.runtime.tiny_models import tiny_llama, tiny_tokenizer
from tokamask.errors import BudgetTooSmall, GenerationInterrupted, UnsupportedFeature
from tokamask.grammar.grammar import Grammar
from tokamask.runtime.checkers.predicates import PrefixPredicate
from tokamask.runtime.checkers.substring import SubstringOf
from tokamask.runtime.generate import generate, stream
from tokamask.runtime.model_loader import load_model
from tokamask.runtime.results import FinishReason, Generation, Samples
from tokamask.runtime.sampling import Sampling

GREEDY = Sampling(temperature=0)
METHODS = ["mask", "awrs", "smc", "asap", "weighted", "cars"]
WITH_CHECKERS = ["mask", "awrs", "smc"]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_writes_documents(method: str) -> None:
    wishful = ScriptedModel("[1, 22]", eagerness=12.0)
    one = generate(wishful, "p", schema=list[int], method=method, seed=1, max_tokens=9)
    assert isinstance(one, Generation)
    assert one.value == [1, 22]
    model = ScriptedModel("", eagerness=0.0)
    samples = generate(model, "p", choices=["x", "yy"], method=method, n=5, seed=1)
    assert isinstance(samples, Samples)
    assert {sample.value for sample in samples} <= {"x", "yy"}
    assert {sample.finish_reason for sample in samples} == {FinishReason.STOP}
    assert samples.evaluations > 0
    assert samples.normalised_weights is not None
    assert sum(samples.normalised_weights) == pytest.approx(1.0)
    assert samples.bounds is not None
    truth = math.log(1 / 257**2 + 1 / 257**3)
    assert samples.bounds[0] - 1e-9 <= truth <= samples.bounds[1] + 1e-9
    batch = generate(model, ["p", "q"], choices=["x", "yy"], method=method, n=2, seed=1)
    assert [len(group) for group in batch] == [2, 2]
    assert [one.text for one in generate(model, ["p", "p"], choices=["x", "yy"], method=method, seed=4)] == [
        generate(model, "p", choices=["x", "yy"], method=method, seed=4).text
    ] * 2


@pytest.mark.parametrize("method", [method for method in METHODS if method not in ("asap", "cars")])
def test_the_mean_weight_estimates_the_mass(method: str) -> None:
    """Over many seeds, against enumeration of all spellings on a real model's code path."""
    model, tokenizer = tiny_llama(), tiny_tokenizer()
    texts = ["an", "and the", "to"]
    options: dict[str, Any] = {"tokenizer": tokenizer, "choices": texts, "max_tokens": 7}
    loaded = load_model(model, tokenizer)
    prompt = loaded.encode_text("water")
    stop = loaded.vocabulary.stop_token_ids[0]
    truth = 0.0
    for text in texts:
        for spelling in all_spellings(text.encode(), loaded.vocabulary):
            ids = torch.tensor([[*prompt, *spelling, stop]])
            with torch.no_grad():
                laws = model(input_ids=ids).logits[0].log_softmax(dim=-1)
            log_p = sum(laws[len(prompt) - 1 + place, token].item() for place, token in enumerate((*spelling, stop)))
            truth += math.exp(log_p) if len(spelling) < 7 else 0.0
    means = []
    for seed in range(40):
        log_z = generate(model, "water", n=6, seed=seed, method=method, **options).log_z
        assert log_z is not None
        means.append(math.exp(log_z))
    error = stdev(means) / math.sqrt(len(means))
    assert fmean(means) == pytest.approx(truth, abs=5 * error)
    assert error < truth / 4


@pytest.mark.parametrize("method", WITH_CHECKERS)
def test_checkers_hold_in_every_sample(method: str) -> None:
    model = ScriptedModel("", eagerness=0.0)
    samples = generate(
        model,
        "p",
        regex="[xyz]{1,8}",
        method=method,
        checkers=[SubstringOf("aaxyzzy"), lambda text: "z" in text],
        n=12,
        seed=2,
    )
    finished = [sample for sample in samples if sample.finish_reason == "stop"]
    assert finished
    assert all(sample.text in "aaxyzzy" and "z" in sample.text for sample in finished)
    assert all(sample.log_weight == -math.inf for sample in samples if sample not in finished)
    assert samples.evaluations > 12


def test_weights_of_checkers_are_part_of_the_mass() -> None:
    class Preferring(TextChecker):
        """Texts that begin with x count three times."""

        def log_weight(self, state: bytes) -> float:
            return math.log(3) if state.startswith(b"x") else 0.0

    model = ScriptedModel("", eagerness=0.0)
    unit = math.log(1 / 257**2)
    for method in WITH_CHECKERS:
        samples = generate(model, "p", choices=["x", "y"], method=method, checkers=[Preferring()], n=40, seed=3)
        assert samples.bounds is None
        assert samples.log_weights is not None
        for sample, log_weight in zip(samples, samples.log_weights, strict=True):
            assert log_weight == pytest.approx(unit + math.log(6 if sample.text == "x" else 2))
        assert {sample.text for sample in samples} == {"x", "y"}


def test_the_types_own_validators_take_the_weight() -> None:
    class Small(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def odd(cls, n: int) -> int:
            if n % 2 == 0:
                raise ValueError("even")
            return n

    model = ScriptedModel('{"n": 2}', eagerness=8.0)
    for method in METHODS:
        samples = generate(model, "p", schema=Small, method=method, n=4, seed=1, max_tokens=9)
        reasons = {sample.finish_reason for sample in samples}
        assert FinishReason.REJECTED in reasons
        for sample in samples:
            if sample.finish_reason is FinishReason.REJECTED:
                assert (sample.value, sample.log_weight) == (None, -math.inf)
                assert "even" in str(sample.error)
            else:
                assert sample.value.n % 2 == 1


def test_a_healed_prompt_bounds_nothing() -> None:
    samples = generate(tiny_llama(), "the sea and th", tokenizer=tiny_tokenizer(), choices=["ere", "en"], n=3, seed=1)
    assert samples.bounds is None
    assert samples.log_z is not None


@pytest.mark.parametrize("method", WITH_CHECKERS)
def test_a_stream_shows_what_generate_returns(method: str) -> None:
    model = ScriptedModel('{"a": [1, 2]}', eagerness=20.0)
    options: dict[str, Any] = {
        "schema": dict[str, list[int]],
        "method": method,
        "checkers": [lambda text: "2" in text],
        "seed": 1,
    }
    parts = stream(model, "p", **options)
    texts = [part.text for part in parts]
    assert texts == ['{"a": [1, 2]}'[:length] for length in range(1, 14)]
    assert parts.result.value == {"a": [1, 2]}
    assert parts.result.token_ids == generate(model, "p", **options).token_ids


def test_a_stream_can_be_cancelled_and_trie_methods_have_none() -> None:
    parts = stream(ScriptedModel("abcdef"), "p", regex="x:[a-z]*", think_until=":", checkers=[lambda text: True])
    next(parts)
    parts.cancel()
    result = parts.result
    assert (result.finish_reason, result.value, result.error, result.log_weight) == ("cancelled", None, None, None)
    assert result.text == "a"
    for method in ("asap", "weighted", "cars"):
        with pytest.raises(UnsupportedFeature, match=method):
            stream(ScriptedModel("a"), "p", regex="a", method=method)


def test_ctrl_c_keeps_what_is_finished() -> None:
    def interrupt(read: Sequence[int]) -> None:
        if max(read) == 3:
            raise KeyboardInterrupt

    model = ScriptedModel({"a": "1", "b": "22222", "c": ""}, on_step=interrupt)
    with pytest.raises(GenerationInterrupted) as caught:
        generate(model, ["a", "b", "c"], regex="[0-9]*", method="awrs")
    assert [result and result.text for result in caught.value.finished] == ["1", None, ""]  # type: ignore[attr-defined]


def test_particles_share_their_prompt_and_leave_when_finished() -> None:
    sizes: list[int] = []
    model = ScriptedModel("", eagerness=0.0, on_step=lambda rows: sizes.append(len(rows)))
    generate(model, "p", regex="[ab]{1,4}", method="smc", n=7, seed=1)
    assert sizes[0] == 1
    assert sizes[1] == 7
    assert sizes[-1] <= 7
    sizes.clear()
    generate(model, ["p", "q"], regex="[ab]{2}", method="awrs", n=3, seed=1)
    assert sizes == [2, 6, 6]


def test_budgets_hold_for_every_method() -> None:
    model = ScriptedModel("[" + "1, " * 99, eagerness=30.0)
    for method, budget in product(METHODS, (3, 4, 9)):
        for sample in generate(model, "p", schema=list[int], method=method, n=2, seed=1, max_tokens=budget):
            assert len(sample.token_ids) <= budget
            assert isinstance(sample.value, list) or method == "cars"  # which may find no document in its attempts
        with pytest.raises(BudgetTooSmall):
            generate(model, "p", schema=list[int], method=method, max_tokens=2)


NO_Z = PrefixPredicate(lambda text: b"z" not in text)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"method": "beam"}, ValueError, "'beam'.*'mask', 'awrs', 'smc', 'asap', 'weighted', 'cars'"),
        *(({"method": method}, ValueError, f"'{method}' needs") for method in METHODS[1:]),
        ({"method": "smc", "sampling": GREEDY, "regex": "a"}, ValueError, "greedy"),
        ({"method": "awrs", "sampling": Sampling(top_k=3), "regex": "a"}, ValueError, "top_k"),
        ({"method": "cars", "sampling": Sampling(top_p=0.3), "regex": "a"}, ValueError, "top_p"),
        ({"method": "asap", "sampling": Sampling(min_p=0.3), "regex": "a"}, ValueError, "min_p"),
        ({"method": "cars", "regex": "a", "checkers": [NO_Z]}, ValueError, "takes no checkers"),
        ({"method": "awrs", "prompt": ["p", "q"], "regex": ["a", None]}, ValueError, "every prompt"),
        ({"method": "weighted", "prompt": ["p", "q"], "regex": ["a", None]}, ValueError, "every prompt"),
        ({"checkers": [NO_Z], "stop": "x"}, ValueError, "stop texts do not go with checkers"),
        ({"checkers": [3]}, TypeError, "a int"),
        ({"checkers": NO_Z}, TypeError, "list"),
    ],
)
def test_what_does_not_go_together_is_refused_before_the_model_runs(
    options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        generate(ScriptedModel("x", on_step=not_called), **{"prompt": "p", **options})


def test_an_inexact_grammar_is_validated_and_weighs_nothing_where_it_fails() -> None:
    integers = Grammar.from_json_schema({"type": "integer"})
    wider = replace(integers, source={"type": "integer", "not": {"const": 3}}, is_exact=False)
    samples = generate(ScriptedModel("3", eagerness=4.0), "p", grammar=wider, method="awrs", n=20, seed=0, max_tokens=3)
    assert all(sample.value != 3 for sample in samples)
    assert any(sample.log_weight == -math.inf and "3" in str(sample.error) for sample in samples)
    assert {sample.log_weight == -math.inf for sample in samples} == {True, False}


@pytest.mark.model
@pytest.mark.parametrize("method", WITH_CHECKERS)
def test_a_real_model_under_a_constraint_and_a_checker(method: str) -> None:
    pattern = r"(yes|no|maybe), [a-z]{3,8}\."
    samples = generate(
        "demo",
        [{"role": "user", "content": "Answer yes, no or maybe, and one word: is Moby Dick a whale?"}],
        regex=pattern,
        method=method,
        checkers=[PrefixPredicate(lambda text: not text.startswith(b"maybe")), lambda text: "e" in text],
        n=4,
        seed=1,
        max_tokens=20,
    )
    tokens = sum(sample.stats.tokens for sample in samples)
    assert samples.evaluations < 12 * tokens
    assert samples.log_z is not None
    assert samples.log_z < 0
    for sample in samples:
        if sample.finish_reason == "stop":
            assert re.fullmatch(pattern, sample.text)
            assert sample.text.startswith(("yes", "no"))
            assert "e" in sample.text
        else:
            assert sample.log_weight == -math.inf
