"""One step: masks, probabilities, gaps, and logits that cannot be sampled."""

import math

import numpy as np
import pytest
import torch

from tokamask.errors import InvalidLogits
from tokamask.runtime.choice import Choices, choose
from tokamask.runtime.noise import gumbel_noise
from tokamask.runtime.sampling import Sampling

GREEDY = Sampling(temperature=0)
NOTHING_MASKED = torch.zeros((0, 5), dtype=torch.bool)
LOGITS = torch.tensor([[1.0, 4.0, 2.0, 3.0, 0.0], [0.0, 1.0, 2.0, 3.0, 4.0]], dtype=torch.float64)


def pick(logits: torch.Tensor, sampling: Sampling = GREEDY, mask: dict[int, list[int]] | None = None) -> Choices:
    """Choose with `mask`: row -> allowed ids."""
    rows = sorted(mask or {})
    allowed = torch.zeros((len(rows), logits.shape[-1]), dtype=torch.bool)
    for place, row in enumerate(rows):
        allowed[place, (mask or {})[row]] = True
    keys = list(range(len(logits)))
    return choose(logits.clone(), sampling, keys=keys, possible={}, masked=rows, allowed=allowed)


def test_greedy_takes_the_best_allowed_token_of_each_row() -> None:
    assert pick(LOGITS).tokens == [1, 4]
    assert pick(LOGITS, mask={0: [0, 2]}).tokens == [2, 4]
    assert pick(LOGITS, mask={1: [0, 2]}).tokens == [1, 2]
    assert pick(LOGITS, mask={0: [3, 4], 1: [1]}).tokens == [3, 1]


def test_logprobs_are_the_models_and_masses_the_masks() -> None:
    choices = pick(LOGITS, mask={0: [0, 2]})
    law = LOGITS.log_softmax(dim=-1)
    assert choices.logprobs == pytest.approx([law[0, 2].item(), law[1, 4].item()])
    assert choices.log_masses == pytest.approx([math.log(law[0].exp()[[0, 2]].sum().item()), 0.0])


def test_logprobs_and_masses_are_those_after_temperature() -> None:
    choices = pick(LOGITS, Sampling(temperature=2.0), mask={0: [0], 1: [1, 2]})
    law = (LOGITS / 2).log_softmax(dim=-1)
    assert choices.tokens[0] == 0
    assert choices.logprobs == pytest.approx([law[0, 0].item(), law[1, choices.tokens[1]].item()])
    assert choices.log_masses == pytest.approx([law[0, 0].item(), law[1, 1:3].logsumexp(dim=0).item()])


def test_gaps_are_in_logits_and_infinite_without_a_second_candidate() -> None:
    assert pick(LOGITS, mask={0: [0, 1]}).gaps == pytest.approx([3.0, 1.0])
    assert pick(LOGITS, mask={0: [0]}).gaps[0] == math.inf


def test_gaps_of_sampled_tokens_are_in_logits_too() -> None:
    """Noise is worth temperature times as much in logits: that is how far rounding would have to move them."""
    noise = gumbel_noise([0], 5, torch.device("cpu"))[0]
    for temperature in (0.5, 2.0):
        contest = LOGITS[0] + temperature * noise
        choices = pick(LOGITS[:1], Sampling(temperature), mask={0: [1, 3]})
        assert choices.gaps == pytest.approx([abs(contest[1] - contest[3]).item()])
        assert choices.tokens == [1 if contest[1] > contest[3] else 3]


def test_possible_tokens_are_the_models_own_law() -> None:
    possible = {0: np.array([True, False, True, False, False])}
    choices = choose(LOGITS.clone(), GREEDY, keys=[], possible=possible, masked=[], allowed=NOTHING_MASKED)
    assert choices.tokens == [2, 4]
    assert choices.logprobs[0] == pytest.approx(LOGITS[0, [0, 2]].log_softmax(dim=-1)[1].item())


def test_a_token_of_vanishing_probability_is_chosen_when_it_is_the_only_one_allowed() -> None:
    logits = torch.tensor([[0.0, -700.0, -900.0]], dtype=torch.float64)
    choices = pick(logits, Sampling(), mask={0: [2]})
    assert choices.tokens == [2]
    assert choices.log_masses == pytest.approx([-900.0])


def test_half_precision_is_computed_in_single() -> None:
    choices = pick(LOGITS.to(torch.bfloat16), mask={0: [0, 2]})
    assert choices.logprobs[0] == pytest.approx(LOGITS.log_softmax(dim=-1)[0, 2].item(), abs=1e-6)


@pytest.mark.parametrize(("value", "says"), [(math.nan, "NaN"), (math.inf, r"\+inf")])
def test_one_bad_logit_is_an_error_even_under_the_mask(value: float, says: str) -> None:
    logits = LOGITS.clone()
    logits[1, 0] = value
    choices = pick(logits, mask={1: [3, 4]})
    with pytest.raises(InvalidLogits, match=f"{says} .row 5"):
        choices.check(1, row=5)


def test_nothing_to_choose_is_an_error() -> None:
    with pytest.raises(InvalidLogits, match="everywhere"):
        pick(torch.full((1, 5), -math.inf)).check(0, row=0)
    logits = LOGITS.clone()
    logits[0, 2] = -math.inf
    with pytest.raises(InvalidLogits, match="constraint allows"):
        pick(logits, mask={0: [2]}).check(0, row=0)


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(), Sampling(top_k=2, top_p=0.5, min_p=0.1)])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_bad_place_leaves_the_others_alone(sampling: Sampling, bad: float) -> None:
    """Behind a wrong draft a model may return anything, and nobody is to notice."""
    logits = LOGITS.clone()
    logits[0] = bad
    choices, expected = pick(logits, sampling, mask={1: [0, 3, 4]}), pick(LOGITS, sampling, mask={1: [0, 3, 4]})
    choices.check(1, row=0)
    with pytest.raises(InvalidLogits):
        choices.check(0, row=0)
    for facts, expected_facts in (
        (choices.tokens, expected.tokens),
        (choices.logprobs, expected.logprobs),
        (choices.log_masses, expected.log_masses),
        (choices.gaps, expected.gaps),
    ):
        assert facts[1] == expected_facts[1]
