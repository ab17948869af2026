"""AWRS against enumeration: every order of a few tokens, with its probability in exact rationals."""

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokamask.masking.rejection import Acceptance, accepted_token, by_rank, log_sum_exp

Law = list[Fraction]
Search = Callable[[npt.NDArray[np.float64], Sequence[int], list[bool]], Acceptance]


def law_of(text: str) -> Law:
    return [Fraction(part) for part in text.split()]


def orders(law: Law) -> Iterator[tuple[tuple[int, ...], Fraction]]:
    """Every order of the tokens of positive probability, with the probability of drawing it without replacement."""
    for order in permutations(token for token, p in enumerate(law) if p):
        probability, rest = Fraction(1), Fraction(sum(law))
        for token in order:
            probability *= law[token] / rest
            rest -= law[token]
        yield order, probability


def logs(law: Law) -> npt.NDArray[np.float64]:
    return np.array([math.log(p) if p else -math.inf for p in law])


def exact(log_mass: float, law: Law) -> Fraction:
    """The sum of some of the law's numbers whose log is `log_mass`."""
    unit = math.lcm(*(p.denominator for p in law))
    multiple = math.exp(log_mass) * unit
    assert multiple == pytest.approx(round(multiple), abs=1e-6)
    return Fraction(round(multiple), unit)


def awrs(lookahead: int) -> Search:
    return lambda log_law, order, ok: accepted_token(log_law, order, ok.__getitem__, lookahead=lookahead)


def settled_after(patience: int) -> Search:
    def search(log_law: npt.NDArray[np.float64], order: Sequence[int], ok: list[bool]) -> Acceptance:
        return accepted_token(log_law, order, ok.__getitem__, settle=lambda: np.array(ok), patience=patience)

    return search


def unweighted(log_law: npt.NDArray[np.float64], order: Sequence[int], ok: list[bool]) -> Acceptance:
    """What is wrong without weights: the control that must fail."""
    found = accepted_token(log_law, order, ok.__getitem__)
    return Acceptance(found.token, 0.0, found.evaluations)


SEARCHES = {
    **{f"lookahead {count}": awrs(count) for count in (0, 1, 2, 9)},
    **{f"patience {count}": settled_after(count) for count in (1, 2, 3)},
}


def moments(law: Law, ok: list[bool], search: Search) -> tuple[list[Fraction], list[Fraction], Fraction, Fraction]:
    """Per token E[w 1[x = v]] and Pr(x = v); E[w^2] and E[evaluations]."""
    weighted, chosen = [Fraction(0)] * len(law), [Fraction(0)] * len(law)
    square = evaluations = Fraction(0)
    for order, probability in orders(law):
        found = search(logs(law), order, ok)
        evaluations += probability * found.evaluations
        if found.token is not None:
            weight = exact(found.log_mass, law)
            weighted[found.token] += probability * weight
            chosen[found.token] += probability
            square += probability * weight**2
    return weighted, chosen, square, evaluations


@st.composite
def cases(draw: st.DrawFn) -> tuple[Law, list[bool]]:
    numbers = draw(st.lists(st.integers(0, 30), min_size=1, max_size=5).filter(any))
    ok = draw(st.lists(st.booleans(), min_size=len(numbers), max_size=len(numbers)))
    return [Fraction(number, sum(numbers)) for number in numbers], ok


@pytest.mark.parametrize("name", SEARCHES)
@settings(max_examples=60)
@given(case=cases())
def test_the_estimate_is_proper_and_the_token_has_the_restricted_law(name: str, case: tuple[Law, list[bool]]) -> None:
    law, ok = case
    weighted, chosen, _, _ = moments(law, ok, SEARCHES[name])
    z = sum((p for p, is_ok in zip(law, ok, strict=True) if is_ok), Fraction(0))
    assert weighted == [p if is_ok else 0 for p, is_ok in zip(law, ok, strict=True)]
    assert chosen == [p / z if is_ok and z else 0 for p, is_ok in zip(law, ok, strict=True)]


def test_without_weights_the_law_of_the_language_is_missed() -> None:
    law, ok = law_of("1/2 1/4 1/4"), [True, False, False]
    weighted, _, _, _ = moments(law, ok, unweighted)
    assert weighted[0] != law[0]


@settings(max_examples=60)
@given(cases())
def test_evaluations_have_their_closed_form(case: tuple[Law, list[bool]]) -> None:
    """Up to the first acceptance 1 + the sum of p / (p + Z) over the refused, and one look more unless none is left."""
    law, ok = case
    z = sum((p for p, is_ok in zip(law, ok, strict=True) if is_ok), Fraction(0))
    if not z:
        return
    _, _, _, evaluations = moments(law, ok, awrs(0))
    refused = [p for p, is_ok in zip(law, ok, strict=True) if p and not is_ok]
    last = sum(
        (probability for order, probability in orders(law) if not any(ok[token] for token in order[:-1])), Fraction(0)
    )
    assert evaluations == 1 + sum((p / (p + z) for p in refused), Fraction(0)) + 1 - last


SKEWED, EVEN, FALLING = ".9 .04 .03 .02 .01", ".2 .2 .2 .2 .2", ".45 .25 .15 .1 .05"


@pytest.mark.parametrize(
    ("law", "ok", "lookahead", "variation", "evaluations"),
    [
        (SKEWED, "10100", 0, 0.005, 2.07),
        (SKEWED, "10100", 1, 0.001, 3.07),
        (SKEWED, "01100", 0, 0.625, 3.28),
        (SKEWED, "01100", 1, 0.055, 4.23),
        (EVEN, "10100", 0, 0.5, 3.0),
        (EVEN, "10100", 1, 0.2, 3.9),
        (FALLING, "10010", 0, 0.182, 2.61),
        (FALLING, "10010", 1, 0.058, 3.59),
        (FALLING, "00101", 0, 0.593, 3.58),
        (FALLING, "00101", 1, 0.216, 4.35),
        (".6 .3 .09 .009 .001", "00001", 0, 0.0, 4.99),
        (".6 .3 .09 .009 .001", "00001", 1, 0.0, 5.0),
    ],
)
def test_variance_and_cost_have_their_known_values(
    law: str, ok: str, lookahead: int, variation: float, evaluations: float
) -> None:
    """The squared coefficient of variation of the weight, and the mean number of evaluations."""
    numbers, accepted = law_of(law), [digit == "1" for digit in ok]
    z = sum((p for p, is_ok in zip(numbers, accepted, strict=True) if is_ok), Fraction(0))
    _, _, square, cost = moments(numbers, accepted, awrs(lookahead))
    assert float(square / z**2 - 1) == pytest.approx(variation, abs=5.1e-4)
    assert float(cost) == pytest.approx(evaluations, abs=5.1e-3)


def race(log_law: npt.NDArray[np.float64], generator: np.random.Generator) -> Iterator[int]:
    return by_rank(log_law + generator.gumbel(size=len(log_law)))


@pytest.mark.parametrize("mass", [1e-6, 1e-12, 1e-300])
@pytest.mark.parametrize("search", ["rejection", "settled"])
def test_no_valid_mass_is_too_small(mass: float, search: str) -> None:
    """Each accepted token is far below what 1 minus the refused mass could tell from nothing."""
    ok = np.zeros(200, dtype=np.bool_)
    ok[[7, 50, 120]] = True
    log_law = np.where(ok, math.log(mass / 3), math.log1p(-mass) - math.log(197))
    generator = np.random.default_rng(3)
    weights = []
    for _ in range(200):
        settle = (lambda: ok) if search == "settled" else None
        found = accepted_token(log_law, race(log_law, generator), lambda token: bool(ok[token]), settle=settle)
        assert found.token is not None
        assert ok[found.token]
        weights.append(math.exp(found.log_mass - math.log(mass)))
    assert np.mean(weights) == pytest.approx(1.0, abs=1e-12 if search == "settled" else 0.1)


@pytest.mark.parametrize(
    ("law", "ok", "token", "mass"),
    [
        ([1.0], "1", 0, 1.0),
        ([1.0], "0", None, 0.0),
        ([0.0, 1.0, 0.0], "111", 1, 1.0),
        ([0.0, 1.0, 0.0], "101", None, 0.0),
        ([0.5, 0.25, 0.25], "000", None, 0.0),
        ([0.5, 0.25, 0.25], "010", 1, 0.25),
    ],
)
@pytest.mark.parametrize("patience", [None, 1])
def test_edges(law: list[float], ok: str, token: int | None, mass: float, patience: int | None) -> None:
    accepted = np.array([digit == "1" for digit in ok])
    with np.errstate(divide="ignore"):
        log_law = np.log(np.array(law))
    found = accepted_token(
        log_law,
        by_rank(log_law),
        lambda token: bool(accepted[token]),
        settle=None if patience is None else lambda: accepted,
        patience=patience or 1,
    )
    assert found.token == token
    assert math.exp(found.log_mass) == pytest.approx(mass)


def test_the_judge_is_asked_once_about_a_token_and_the_mask_once() -> None:
    log_law = np.log(np.full(100, 0.01))
    asked: list[int] = []
    masks: list[int] = []

    def accepts(token: int) -> bool:
        asked.append(token)
        return token == 99

    def settle() -> npt.NDArray[np.bool_]:
        masks.append(len(asked))
        return np.arange(100) >= 98

    found = accepted_token(log_law, range(100), accepts, settle=settle, patience=8)
    assert (asked, masks) == (list(range(8)), [8])
    assert (found.token, found.evaluations) == (98, 8)
    assert math.exp(found.log_mass) == pytest.approx(0.02)


def weights_of(search: Search, law: Law, ok: list[bool], count: int) -> npt.NDArray[np.float64]:
    generator = np.random.default_rng(11)
    log_law = logs(law)
    draws = [search(log_law, list(race(log_law, generator)), ok) for _ in range(count)]
    return np.array([math.exp(found.log_mass) for found in draws])


def test_the_mean_weight_is_the_accepted_mass_and_the_control_fails() -> None:
    """Hoeffding's bound for weights in [0, 1] at a chance of one in a million."""
    law, ok, count = law_of(FALLING), [False, False, True, False, True], 20_000
    bound = math.sqrt(math.log(2e6) / (2 * count))
    assert abs(weights_of(awrs(0), law, ok, count).mean() - 0.2) < bound
    assert abs(weights_of(unweighted, law, ok, count).mean() - 0.2) > 10 * bound


@given(st.lists(st.floats(-50, 50) | st.just(-math.inf), min_size=1, max_size=300))
def test_rank_is_a_stable_sort_of_what_is_possible(keys: list[float]) -> None:
    expected = sorted((token for token, key in enumerate(keys) if key > -math.inf), key=lambda token: -keys[token])
    assert list(by_rank(np.array(keys))) == expected


def test_rank_among_many_equals() -> None:
    keys = np.zeros(1000)
    keys[500] = 1.0
    assert list(by_rank(keys)) == [500, *(token for token in range(1000) if token != 500)]


@given(st.lists(st.floats(-1e3, 700), max_size=9))
def test_log_sum_exp_is_what_it_says(values: list[float]) -> None:
    expected = math.fsum(map(math.exp, values))
    assert math.exp(log_sum_exp(values)) == pytest.approx(expected, rel=1e-12, abs=1e-300)
    assert log_sum_exp([-1e5, -1e5]) == pytest.approx(-1e5 + math.log(2))
    assert log_sum_exp([]) == log_sum_exp([-math.inf]) == -math.inf
