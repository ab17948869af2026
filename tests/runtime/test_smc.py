"""Sequential Monte Carlo: unbiased to the last digit by enumeration, and right on a real model's table."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import pytest

from tests.runtime.finite_matcher import FiniteMatcher
from tests.runtime.tabulated_model import DIGITS, STOP, TabulatedModel, document_law, read_table
from tests.runtime.tape import Tape, TapeChance, every_path
from tests.runtime.text_checker import TextChecker
from tokamask.grammar.grammar import Grammar
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.matcher import Matcher
from tokamask.runtime.chance import Chance, KeyedChance
from tokamask.runtime.checkers.panel import Panel
from tokamask.runtime.checkers.predicates import DocumentPredicate, PrefixPredicate
from tokamask.runtime.decode import Request
from tokamask.runtime.particle import Particle
from tokamask.runtime.prompts import Prompt
from tokamask.runtime.proposal import Proposal, by_mask, by_test
from tokamask.runtime.resampling import effective_sample_size, multinomial, stratified, systematic
from tokamask.runtime.sampling import Sampling
from tokamask.runtime.smc import draw_particles

PROMPT = Prompt((3,))
TEXTS = ["00", "01", "1", "11"]
# A model of up to two digits: each text's law of what follows.
LAW: Mapping[str, Mapping[str, float]] = {
    prefix: {name: math.log(p) for name, p in law.items()}
    for prefix, law in {
        "": {"0": 0.5, "1": 0.2, "stop": 0.2, "other": 0.1},
        "0": {"0": 0.2, "1": 0.05, "stop": 0.35, "other": 0.4},
        "1": {"0": 0.25, "1": 0.5, "stop": 0.15, "other": 0.1},
        "00": {"stop": 0.5, "0": 0.5},
        "01": {"stop": 0.9, "1": 0.1},
        "11": {"stop": 0.3, "0": 0.7},
    }.items()
}


class Factors(TextChecker):
    """A soft checker: a factor for every text on the way, of which the last counts."""

    def __init__(self, factors: Mapping[str, float]) -> None:
        self.factors = factors

    def log_weight(self, state: bytes) -> float:
        factor = self.factors.get(state.decode(), 1.0)
        return math.log(factor) if factor else -math.inf


def not_01(text: str) -> bool:
    return text != "01"


def no_second_1(text: bytes) -> bool:
    return text != b"11"


# Checkers, and the factors that they come to where those are not 1.
PANELS: dict[str, tuple[Panel, Mapping[str, float]]] = {
    "nobody": (Panel(), {}),
    "document": (Panel([DocumentPredicate(not_01)]), {"01": 0.0}),
    "prefix": (Panel([PrefixPredicate(no_second_1)]), {"11": 0.0}),
    "soft": (
        Panel([Factors({"0": 3.0, "00": 0.5, "1": 0.1, "11": 2.0})]),
        {"00": 0.5, "1": 0.1, "11": 2.0},
    ),
    "soft and hard": (
        Panel([Factors({"0": 0.2, "1": 7.0, "11": 0.0}), DocumentPredicate(not_01)]),
        {"1": 7.0, "11": 0.0, "01": 0.0},
    ),
}


def request(matcher: Any, *, sample: int = 0, seed: int = 0, max_tokens: int = 9, prompt: Prompt = PROMPT) -> Request:
    return Request(prompt, DIGITS, cast(Matcher, matcher), max_tokens, seed=seed, sample=sample)


def run(
    model: Any, particles: Sequence[Particle], chance: Chance, threshold: float, propose: Proposal = by_mask
) -> list[Particle]:
    steps = list(draw_particles(model, particles, propose, Sampling(), chance, threshold=threshold))
    assert all(one.is_finished for one in steps[-1])
    return list(steps[-1])


def log_model(text: str) -> float:
    return sum(LAW[text[:place]][text[place]] for place in range(len(text))) + LAW[text]["stop"]


def expectations(count: int, panel: Panel, threshold: float, scheme: str) -> tuple[dict[str, float], float, int]:
    """E[(1/N) sum of the weights of a text] for every text, the probability of all paths, and how often resampled."""
    model = TabulatedModel(LAW)
    start = FiniteMatcher([text.encode() for text in TEXTS], DIGITS)
    resampled = 0

    def once(tape: Tape) -> list[Particle]:
        nonlocal resampled
        chance = TapeChance(tape, scheme)
        particles = [Particle(request(start.fork(), sample=place), panel, must_end=True) for place in range(count)]
        finished = run(model, particles, chance, threshold)
        resampled += chance.resamplings
        return finished

    found = dict.fromkeys(TEXTS, 0.0)
    total = 0.0
    for probability, particles in every_path(once):
        total += probability
        for one in particles:
            if one.error is None:
                found[one.text.decode()] += probability * math.exp(one.log_weight) / count
            else:
                assert one.log_weight == -math.inf
    return found, total, resampled


@pytest.mark.parametrize("scheme", ["systematic", "stratified", "multinomial"])
@pytest.mark.parametrize("threshold", [0.0, 0.97, 1.1])
@pytest.mark.parametrize("name", PANELS)
def test_weights_are_proper_whatever_is_resampled(name: str, threshold: float, scheme: str) -> None:
    """Over every outcome of all tokens, looks ahead and ancestors: the mean weight of a text is P(text) times its
    factor, so their sum is the mass of the target."""
    panel, factors = PANELS[name]
    found, total, resampled = expectations(2, panel, threshold, scheme)
    assert total == pytest.approx(1.0, abs=1e-12)
    assert (resampled > 0) == (threshold > 0)
    for text in TEXTS:
        assert found[text] == pytest.approx(math.exp(log_model(text)) * factors.get(text, 1.0), abs=1e-12)


def test_the_rejecting_proposal_is_proper_too() -> None:
    start = FiniteMatcher([text.encode() for text in TEXTS], DIGITS)
    found = dict.fromkeys(TEXTS, 0.0)
    for probability, particles in every_path(
        lambda tape: run(
            TabulatedModel(LAW),
            [Particle(request(start.fork()), Panel(), must_end=True)],
            TapeChance(tape),
            0.0,
            by_test,
        )
    ):
        found[particles[0].text.decode()] += probability * math.exp(particles[0].log_weight)
    for text in TEXTS:
        assert found[text] == pytest.approx(math.exp(log_model(text)), abs=1e-12)


def test_a_budget_conditions_the_target_on_fitting() -> None:
    """With room for one digit and the stop token the mass is that of the texts of one digit, no more and no less."""
    start = FiniteMatcher([text.encode() for text in TEXTS], DIGITS)
    mean = 0.0
    for probability, particles in every_path(
        lambda tape: run(
            TabulatedModel(LAW),
            [Particle(request(start.fork(), max_tokens=2), Panel(), must_end=True)],
            TapeChance(tape),
            0.0,
        )
    ):
        assert particles[0].text == b"1"
        mean += probability * math.exp(particles[0].log_weight)
    assert mean == pytest.approx(math.exp(log_model("1")), abs=1e-12)


def test_free_text_under_a_checker_ends_in_time() -> None:
    """The target: the model's texts of at most max_tokens - 1 digits that the checker accepts."""
    texts = ["", "0", "1", "00", "11"]
    found = dict.fromkeys(texts, 0.0)
    panel = Panel([PrefixPredicate(lambda text: text in (b"0", b"1", b"00", b"01", b"11")), DocumentPredicate(not_01)])
    for probability, particles in every_path(
        lambda tape: run(
            TabulatedModel(LAW),
            [Particle(request(None, max_tokens=3), panel, must_end=True)],
            TapeChance(tape),
            0.0,
        )
    ):
        (one,) = particles
        assert len(one.token_ids) <= 3
        if one.error is None:
            assert one.token_ids[-1] == STOP
            found[one.text.decode()] += probability * math.exp(one.log_weight)
    for text in texts:
        assert found[text] == pytest.approx(math.exp(log_model(text)), abs=1e-12)


# On the demo model's law of 17 binary strings, as measured (see tabulated_model).


def estimates(
    runs: int, count: int, threshold: float, panel: Panel, propose: Proposal = by_mask
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Per run and document: the mean weight of the particles that wrote it over the mass of all documents, and the
    share of the particles that did."""
    law = document_law(read_table())
    log_z = math.log(sum(map(math.exp, law.values())))
    model = TabulatedModel(read_table())
    compiled = GrammarCompiler(DIGITS).compile(Grammar.from_choices(list(law)))
    place = {text: index for index, text in enumerate(law)}
    weighted, shares = np.zeros((runs, len(law))), np.zeros((runs, len(law)))
    for seed in range(runs):
        particles = [
            Particle(request(compiled.matcher(), sample=sample, seed=seed), panel, must_end=True)
            for sample in range(count)
        ]
        for one in run(model, particles, KeyedChance(), threshold, propose):
            if one.error is None:
                weighted[seed, place[one.text.decode()]] += math.exp(one.log_weight - log_z) / count
                shares[seed, place[one.text.decode()]] += 1 / count
    return weighted, shares


def is_within_five_errors(samples: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> bool:
    errors = samples.std(axis=0, ddof=1) / math.sqrt(len(samples))
    return bool((np.abs(samples.mean(axis=0) - expected) <= 5 * errors + 1e-12).all())


def documents() -> np.ndarray[Any, Any]:
    law = np.exp(np.array(list(document_law(read_table()).values())))
    normalised: np.ndarray[Any, Any] = law / law.sum()
    return normalised


@pytest.mark.parametrize(
    ("threshold", "propose"), [(0.5, by_mask), (0.0, by_mask), (0.0, by_test)], ids=["smc", "mask", "awrs"]
)
def test_averages_are_those_of_the_conditioned_model(threshold: float, propose: Proposal) -> None:
    weighted, shares = estimates(200, 8, threshold, Panel(), propose)
    expected = documents()
    assert is_within_five_errors(weighted, expected)
    assert is_within_five_errors(weighted.sum(axis=1, keepdims=True), np.ones(1))
    if threshold == 0:  # the control: the same samples without their weights have another law
        assert not is_within_five_errors(shares, expected)
        assert np.abs(shares.mean(axis=0) - expected).sum() / 2 > 0.2


def test_averages_under_a_checker_are_those_of_the_model_conditioned_on_both() -> None:
    """A second grammar that is asked token by token; half of the documents are not in it."""
    accepted = np.array([text.count("1") % 2 == 1 for text in document_law(read_table())])
    panel = Panel([PrefixPredicate(lambda text: len(text) < 5 or text.count(b"1") % 2 == 1)])
    weighted, _ = estimates(400, 4, 0.5, panel)
    expected = documents() * accepted
    assert 0.05 < expected.sum() < 0.95
    assert is_within_five_errors(weighted, expected)
    assert is_within_five_errors(weighted.sum(axis=1, keepdims=True), expected.sum(keepdims=True))
    assert weighted[:, ~accepted].sum() == 0


# Resampling.

SCHEMES: dict[str, Callable[[Sequence[float], np.random.Generator], list[int]]] = {
    "systematic": lambda weights, generator: systematic(weights, generator.random()),
    "stratified": lambda weights, generator: stratified(weights, generator.random(len(weights)).tolist()),
    "multinomial": lambda weights, generator: multinomial(weights, generator.random(len(weights)).tolist()),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_copies_are_in_proportion_to_weights(scheme: str) -> None:
    weights = [0.1, 0.0, 2.5, 0.4, 1.0]
    log_weights = [math.log(weight) - 800 if weight else -math.inf for weight in weights]
    generator = np.random.default_rng(1)
    copies = np.array([np.bincount(SCHEMES[scheme](log_weights, generator), minlength=5) for _ in range(4000)])
    expected = 5 * np.array(weights) / sum(weights)
    assert np.abs(copies.mean(axis=0) - expected).max() < 0.1
    assert (copies.sum(axis=1) == 5).all()
    assert copies[:, 1].sum() == 0
    if scheme == "systematic":
        assert (np.abs(copies - expected) < 1).all()


def test_ancestors_at_the_very_end_have_a_weight() -> None:
    below_one = math.nextafter(1.0, 0.0)
    assert systematic([0.0, 0.0, -math.inf], below_one)[-1] == 1
    assert multinomial([0.0, -math.inf], [below_one, 1.0]) == [0, 0]
    assert stratified([-math.inf, 0.0, -math.inf], [0.0, below_one, 1.0]) == [1, 1, 1]


def test_effective_sample_size() -> None:
    assert effective_sample_size([-900.0] * 4) == pytest.approx(4)
    assert effective_sample_size([0.0, -math.inf, -math.inf]) == pytest.approx(1)
    assert effective_sample_size([math.log(3), 0.0]) == pytest.approx(16 / 10)
    assert effective_sample_size([-math.inf] * 3) == 0.0
