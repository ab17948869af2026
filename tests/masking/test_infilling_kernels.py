"""The kernels of infilling against slow twins, compiled and as plain Python."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tokamask.masking import infilling_kernels as kernels

Reals = npt.NDArray[np.float64]
Words = npt.NDArray[np.int32]
Graph = tuple[Words, Words, Words, Words]

CLASSES = 4


def compiled(kernel: Any) -> Any:
    return kernel


def as_python(kernel: Any) -> Any:
    return kernel.py_func


FORMS = pytest.mark.parametrize("form", [compiled, as_python])
SEEDS = pytest.mark.parametrize("seed", range(8))


def random_graph(generator: np.random.Generator, length: int) -> Graph:
    """Layers of one to four nodes; every node but the last ones has one to four edges of distinct classes."""
    widths = [1, *generator.integers(1, 5, size=length)]
    layers = np.concatenate([[0], np.cumsum(widths)]).astype(np.int32)
    first, kinds, targets = [0], [], []
    for layer in range(length):
        for _ in range(widths[layer]):
            chosen = sorted(generator.permutation(CLASSES)[: generator.integers(1, CLASSES + 1)])
            kinds += chosen
            targets += list(generator.integers(layers[layer + 1], layers[layer + 2], size=len(chosen)))
            first.append(len(kinds))
    first += [len(kinds)] * widths[-1]
    first_edge, edge_class, edge_target = (np.array(each, dtype=np.int32) for each in (first, kinds, targets))
    return layers, first_edge, edge_class, edge_target


def random_scores(generator: np.random.Generator, length: int) -> Reals:
    """Rows of log-scores: some -inf, some so low that their exponential is 0."""
    scores: Reals = generator.normal(size=(length, CLASSES)) * generator.choice([1.0, 900.0])
    scores[generator.random(scores.shape) < 0.2] = -math.inf
    return scores


def all_ways(graph: Graph, scores: Reals, start: int = 0) -> dict[tuple[int, ...], tuple[float, int]]:
    """Class sequences from node `start`, of whatever layer, to the end: log-weight and last node."""
    layers, first, kinds, targets = graph
    length = len(layers) - 2
    layer = int(np.searchsorted(layers, start, side="right")) - 1
    ways: dict[tuple[int, ...], tuple[float, int]] = {(): (0.0, start)}
    for at in range(layer, length):
        ways = {
            (*way, int(kinds[edge])): (weight + float(scores[at, kinds[edge]]), int(targets[edge]))
            for way, (weight, node) in ways.items()
            for edge in range(first[node], first[node + 1])
        }
    return ways


def log_sum(weights: list[float]) -> float:
    largest = max(weights, default=-math.inf)
    if largest == -math.inf:
        return largest
    return largest + math.log(math.fsum(math.exp(weight - largest) for weight in weights))


def summed(graph: Graph, scores: Reals, form: Callable[[Any], Any]) -> tuple[Reals, Reals]:
    layers = graph[0]
    beta, alpha = np.zeros(layers[-1]), np.full(layers[-1], -math.inf)
    alpha[0] = 0.0
    form(kernels.backward)(*graph, scores.reshape(-1), CLASSES, beta)
    form(kernels.forward)(*graph, scores.reshape(-1), CLASSES, alpha)
    return alpha, beta


@FORMS
@SEEDS
def test_sums_over_paths(form: Callable[[Any], Any], seed: int) -> None:
    generator = np.random.default_rng(seed)
    graph, scores = random_graph(generator, 5), random_scores(generator, 5)
    layers = graph[0]
    alpha, beta = summed(graph, scores, form)
    assert not np.isnan(alpha).any()
    assert not np.isnan(beta).any()
    for node in range(layers[-1]):
        ways = all_ways(graph, scores, node)
        assert beta[node] == pytest.approx(log_sum([weight for weight, _ in ways.values()]), rel=1e-12, abs=1e-9)
    total = np.logaddexp.reduce(alpha[layers[-2] :])
    assert total == pytest.approx(beta[0], rel=1e-12, abs=1e-9)
    # The sum does not depend on where the paths are cut.
    for layer in range(len(layers) - 1):
        cut = alpha[layers[layer] : layers[layer + 1]] + beta[layers[layer] : layers[layer + 1]]
        assert np.logaddexp.reduce(cut) == pytest.approx(beta[0], rel=1e-12, abs=1e-9)


@FORMS
@SEEDS
def test_marginals(form: Callable[[Any], Any], seed: int) -> None:
    generator = np.random.default_rng(seed)
    graph, scores = random_graph(generator, 4), random_scores(generator, 4)
    alpha, beta = summed(graph, scores, form)
    while beta[0] == -math.inf:
        scores = random_scores(generator, 4)
        alpha, beta = summed(graph, scores, form)
    marginals = np.zeros_like(scores)
    form(kernels.class_marginals)(*graph, scores.reshape(-1), CLASSES, alpha, beta, marginals.reshape(-1))
    expected = np.zeros_like(scores)
    for way, (weight, _) in all_ways(graph, scores).items():
        expected[np.arange(4), list(way)] += math.exp(weight - beta[0])
    np.testing.assert_allclose(marginals, expected, atol=1e-9)
    np.testing.assert_allclose(marginals.sum(axis=1), 1.0, atol=1e-9)


@FORMS
@SEEDS
def test_best_path(form: Callable[[Any], Any], seed: int) -> None:
    """Among equal paths the first in the order of classes wins, so scores of few values are tried too."""
    generator = np.random.default_rng(seed)
    graph = random_graph(generator, 5)
    layers = graph[0]
    for scores in (random_scores(generator, 5), -generator.integers(0, 2, size=(5, CLASSES)).astype(np.float64)):
        weights = {way: weight for way, (weight, _) in all_ways(graph, scores).items()}
        if max(weights.values()) == -math.inf:
            continue
        path = np.zeros(5, dtype=np.int32)
        values, choices = np.zeros(layers[-1]), np.zeros(layers[-1], dtype=np.int32)
        form(kernels.best_path)(*graph, scores.reshape(-1), CLASSES, values, choices, path)
        assert values[0] == pytest.approx(max(weights.values()), rel=1e-12)
        ties = [way for way, weight in weights.items() if weight == pytest.approx(values[0], rel=1e-12)]
        assert tuple(path.tolist()) == min(ties)


@FORMS
def test_drawn_paths_are_those_of_the_uniform_numbers(form: Callable[[Any], Any]) -> None:
    """A grid of 120 numbers per layer meets each path in its exact share of quarters and thirds."""
    # Two layers; classes 0 and 1 of the first lead to nodes that go on with 1/2 + 1/4 and with 1/4.
    graph = (
        np.array([0, 1, 3, 4], dtype=np.int32),
        np.array([0, 2, 4, 5, 5], dtype=np.int32),
        np.array([0, 1, 0, 1, 2], dtype=np.int32),
        np.array([1, 2, 3, 3, 3], dtype=np.int32),
    )
    with np.errstate(divide="ignore"):
        scores = np.log([[0.5, 0.5, 0.0, 0.0], [0.5, 0.25, 0.25, 0.0]])
    _, beta = summed(graph, scores, form)
    assert math.exp(beta[0]) == pytest.approx(0.5 * 0.75 + 0.5 * 0.25)
    shares: dict[tuple[int, ...], int] = {}
    grid = (np.arange(120) + 0.5) / 120
    for uniforms in itertools.product(grid, grid):
        path = np.zeros(2, dtype=np.int32)
        form(kernels.draw_path)(*graph, scores.reshape(-1), CLASSES, beta, np.array(uniforms), path)
        shares[tuple(path.tolist())] = shares.get(tuple(path.tolist()), 0) + 1
    # 3/4 of the first choice is class 0, of which 2/3 go on with class 0; class 1 goes on with class 2 alone.
    assert shares == {(0, 0): 7200, (0, 1): 3600, (1, 2): 3600}


@FORMS
def test_the_last_possible_edge_stands_when_rounding_leaves_something(form: Callable[[Any], Any]) -> None:
    graph = (
        np.array([0, 1, 2], dtype=np.int32),
        np.array([0, 3, 3], dtype=np.int32),
        np.array([0, 1, 2], dtype=np.int32),
        np.array([1, 1, 1], dtype=np.int32),
    )
    scores = np.array([math.log(0.1), math.log(0.2), -math.inf, -math.inf])
    path = np.zeros(1, dtype=np.int32)
    # A beta that is a little too large: the shares sum to less than the uniform number.
    beta = np.array([math.log(0.3) + 1e-9, 0.0])
    form(kernels.draw_path)(*graph, scores, CLASSES, beta, np.array([1.0 - 2.0**-53]), path)
    assert path.tolist() == [1]


@FORMS
@SEEDS
def test_reduce_row(form: Callable[[Any], Any], seed: int) -> None:
    generator = np.random.default_rng(seed)
    class_of = generator.integers(0, CLASSES, size=30).astype(np.int32)
    log_scores = generator.normal(size=30) * generator.choice([1.0, 1000.0])
    log_scores[generator.random(30) < 0.4] = -math.inf
    log_scores[class_of == 2] = -math.inf
    if seed % 2:
        log_scores = np.round(log_scores)  # ties
    sums, maxima, spreads = np.full((3, CLASSES), 5.0), np.full((3, CLASSES), 5.0), np.full((3, CLASSES), 5.0)
    best = np.full((3, CLASSES), 5, dtype=np.int32)
    flat = (sums.reshape(-1), maxima.reshape(-1), spreads.reshape(-1), best.reshape(-1))
    form(kernels.reduce_row)(log_scores, class_of, 1, *flat, CLASSES)
    assert (sums[[0, 2]] == 5.0).all()
    assert (best[[0, 2]] == 5).all()
    for kind in range(CLASSES):
        members = [token for token in range(30) if class_of[token] == kind and log_scores[token] > -math.inf]
        scores = [float(log_scores[token]) for token in members]
        assert sums[1, kind] == pytest.approx(log_sum(scores), rel=1e-12)
        if not members:
            assert (maxima[1, kind], spreads[1, kind], best[1, kind]) == (-math.inf, 0.0, -1)
            continue
        assert maxima[1, kind] == max(scores)
        assert best[1, kind] == min(token for token in members if log_scores[token] == max(scores))
        shares = [math.exp(score - log_sum(scores)) for score in scores]
        entropy = -math.fsum(share * math.log(share) for share in shares if share > 0)
        assert spreads[1, kind] == pytest.approx(entropy, abs=1e-9)


@FORMS
@SEEDS
def test_refine(form: Callable[[Any], Any], seed: int) -> None:
    """Classes are what tokens have in common in all columns; class 0 is that of tokens that are never allowed."""
    generator = np.random.default_rng(seed)
    columns = [(generator.integers(0, 3, size=40) * generator.integers(0, 2, size=40)) for _ in range(4)]
    class_of, classes = np.zeros(40, dtype=np.int32), 1
    for column in columns:
        table = np.full(classes * 3, -1, dtype=np.int32)
        classes = form(kernels.refine)(class_of, column.astype(np.int32), table, 3)
    rows = [tuple(int(column[token]) for column in columns) for token in range(40)]
    for first, second in itertools.combinations(range(40), 2):
        assert (class_of[first] == class_of[second]) == (rows[first] == rows[second])
    assert all((class_of[token] == 0) == (not any(rows[token])) for token in range(40))
    assert set(class_of.tolist()) | {0} == set(range(classes))
