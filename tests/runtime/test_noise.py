"""Position-keyed noise: equal to a sequential SplitMix64, and Gumbel enough that argmax draws from the softmax."""

import math
from itertools import product

import torch

from tokamask.runtime.noise import gumbel_noise, noise_key

CPU = torch.device("cpu")
WORD = (1 << 64) - 1


def sequential_uniforms(state: int, count: int) -> list[float]:
    """SplitMix64 as its paper writes it: a state that advances, one output after another."""
    uniforms = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & WORD
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
        z ^= z >> 31
        uniforms.append(((z >> 12) + 0.5) / 2**52)
    return uniforms


def test_noise_is_the_sequential_generator_read_at_random() -> None:
    for key in (0, 1, 12345, WORD, 1 << 63, 0x0123456789ABCDEF):
        expected = [-math.log(-math.log(uniform)) for uniform in sequential_uniforms(key, 300)]
        assert torch.allclose(gumbel_noise([key], 300, CPU)[0], torch.tensor(expected, dtype=torch.float64), rtol=1e-13)


def test_a_row_of_noise_does_not_depend_on_the_other_rows() -> None:
    together = gumbel_noise([7, 8, 9], 100, CPU)
    for row, key in enumerate([7, 8, 9]):
        assert torch.equal(together[row], gumbel_noise([key], 100, CPU)[0])


def test_keys_differ_wherever_one_of_their_numbers_does() -> None:
    keys = {noise_key(*numbers) for numbers in product((0, 1, 2, 2**64 - 1), range(6), range(3), range(40))}
    assert len(keys) == 4 * 6 * 3 * 40


def test_argmax_with_noise_draws_from_the_softmax() -> None:
    probabilities = [0.5, 0.3, 0.15, 0.04, 0.01]
    draws = 20_000
    noise = gumbel_noise([noise_key(11, 0, 0, position) for position in range(draws)], len(probabilities), CPU)
    scores = torch.tensor(probabilities, dtype=torch.float64).log() + noise
    counts = torch.bincount(scores.argmax(dim=-1), minlength=len(probabilities)).tolist()
    chi_square = sum((count - draws * p) ** 2 / (draws * p) for count, p in zip(counts, probabilities, strict=True))
    assert chi_square < 18.5  # 4 degrees of freedom, one in a thousand; the seed is fixed
