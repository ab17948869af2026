"""Kernels of infilling: token classes, and sums and maxima over the paths of a lattice. A family of its own.

A lattice (see `infilling_lattice`) comes as four int32 arrays: `layers` (nodes of layer i are layers[i] ..
layers[i + 1] - 1), `first_edge` (edges of node n are first_edge[n] .. first_edge[n + 1] - 1), and the class and the
target of every edge. Scores are float64, one row of `classes` logarithms per layer, flat. Everything is in log space;
-inf is the logarithm of nothing, and never meets another infinity, so there are no NaNs.

The recursions are forward-backward and Viterbi (Rabiner, "A tutorial on hidden Markov models", Proc. IEEE 1989) on an
unrolled automaton; drawing paths backward-filtered, forward-sampled is also textbook.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from tokamask.grammar.jit import jit

Words = npt.NDArray[np.int32]
Reals = npt.NDArray[np.float64]


@jit
def refine(class_of: Words, column: Words, table: Words, targets: int) -> int:
    """Split token classes by where one configuration leads; returns their number.

    Args:
        class_of: the class of every token; rewritten. Class 0 holds the tokens that were never allowed.
        column: per token a number 0 .. targets - 1; 0 where the token is not allowed.
        table: room for classes * targets, all -1.
    """
    table[0] = 0
    count = 1
    for token in range(len(class_of)):
        key = class_of[token] * targets + column[token]
        if table[key] < 0:
            table[key] = count
            count += 1
        class_of[token] = table[key]
    return count


@jit
def reduce_row(
    log_scores: Reals, class_of: Words, row: int, sums: Reals, maxima: Reals, spreads: Reals, best: Words, classes: int
) -> None:
    """Sum up one position's scores by class, into row `row` of the outputs (rows of `classes`).

    sums: log of the sum of exp(score). maxima: the largest score. best: the first token that has it; -1 where all are
    -inf. spreads: the entropy (nats) of the tokens inside the class.
    """
    at = row * classes
    for k in range(at, at + classes):
        sums[k] = 0.0
        maxima[k] = -math.inf
        spreads[k] = 0.0
        best[k] = -1
    for token in range(len(class_of)):
        k = at + class_of[token]
        if log_scores[token] > maxima[k]:
            maxima[k] = log_scores[token]
            best[k] = token
    for token in range(len(class_of)):
        k = at + class_of[token]
        if log_scores[token] > -math.inf:
            below = log_scores[token] - maxima[k]
            weight = math.exp(below)
            sums[k] += weight
            spreads[k] -= weight * below
    for k in range(at, at + classes):
        if best[k] < 0:
            sums[k] = -math.inf
        else:
            spreads[k] = spreads[k] / sums[k] + math.log(sums[k])
            sums[k] = maxima[k] + math.log(sums[k])


@jit
def backward(
    layers: Words, first_edge: Words, edge_class: Words, edge_target: Words, scores: Reals, classes: int, beta: Reals
) -> None:
    """beta[n]: log of the summed weight of all ways from node n to the end. Nodes of the last layer are given."""
    for layer in range(len(layers) - 3, -1, -1):
        at = layer * classes
        for node in range(layers[layer], layers[layer + 1]):
            largest = -math.inf
            for edge in range(first_edge[node], first_edge[node + 1]):
                way = scores[at + edge_class[edge]] + beta[edge_target[edge]]
                if way > largest:
                    largest = way
            beta[node] = largest
            if largest == -math.inf:
                continue
            total = 0.0
            for edge in range(first_edge[node], first_edge[node + 1]):
                way = scores[at + edge_class[edge]] + beta[edge_target[edge]]
                if way > -math.inf:
                    total += math.exp(way - largest)
            beta[node] = largest + math.log(total)


@jit
def forward(
    layers: Words, first_edge: Words, edge_class: Words, edge_target: Words, scores: Reals, classes: int, alpha: Reals
) -> None:
    """alpha[n]: log of the summed weight of all ways from the start to node n. All are -inf but the start's, 0."""
    for layer in range(len(layers) - 2):
        at = layer * classes
        for node in range(layers[layer], layers[layer + 1]):
            if alpha[node] == -math.inf:
                continue
            for edge in range(first_edge[node], first_edge[node + 1]):
                way = alpha[node] + scores[at + edge_class[edge]]
                if way == -math.inf:
                    continue
                target = edge_target[edge]
                if way > alpha[target]:
                    alpha[target] = way + math.log1p(math.exp(alpha[target] - way))
                else:
                    alpha[target] = alpha[target] + math.log1p(math.exp(way - alpha[target]))


@jit
def class_marginals(
    layers: Words,
    first_edge: Words,
    edge_class: Words,
    edge_target: Words,
    scores: Reals,
    classes: int,
    alpha: Reals,
    beta: Reals,
    marginals: Reals,
) -> None:
    """Add to marginals[layer, class], all 0, the probability that a path takes the class there. beta[0] > -inf."""
    for layer in range(len(layers) - 2):
        at = layer * classes
        for node in range(layers[layer], layers[layer + 1]):
            before = alpha[node] - beta[0]
            if before == -math.inf:
                continue
            for edge in range(first_edge[node], first_edge[node + 1]):
                way = before + scores[at + edge_class[edge]] + beta[edge_target[edge]]
                if way > -math.inf:
                    marginals[at + edge_class[edge]] += math.exp(way)


@jit
def best_path(
    layers: Words,
    first_edge: Words,
    edge_class: Words,
    edge_target: Words,
    scores: Reals,
    classes: int,
    values: Reals,
    choices: Words,
    path: Words,
) -> None:
    """The classes of a path of the largest weight; values[0], its log-weight, must not come out as -inf.

    Of equal ways the one with the lower class at the first difference is taken. Room: `values` and `choices` for every
    node; values of the last layer are given.
    """
    for layer in range(len(layers) - 3, -1, -1):
        at = layer * classes
        for node in range(layers[layer], layers[layer + 1]):
            values[node] = -math.inf
            choices[node] = first_edge[node]
            for edge in range(first_edge[node], first_edge[node + 1]):
                way = scores[at + edge_class[edge]] + values[edge_target[edge]]
                if way > values[node]:
                    values[node] = way
                    choices[node] = edge
    node = 0
    for layer in range(len(layers) - 2):
        path[layer] = edge_class[choices[node]]
        node = edge_target[choices[node]]


@jit
def draw_path(
    layers: Words,
    first_edge: Words,
    edge_class: Words,
    edge_target: Words,
    scores: Reals,
    classes: int,
    beta: Reals,
    uniforms: Reals,
    path: Words,
) -> None:
    """The classes of a path drawn with the probability of its weight: uniforms[layer] in [0, 1). beta[0] > -inf."""
    node = 0
    for layer in range(len(layers) - 2):
        at = layer * classes
        left = uniforms[layer]
        taken = -1
        for edge in range(first_edge[node], first_edge[node + 1]):
            way = scores[at + edge_class[edge]] + beta[edge_target[edge]] - beta[node]
            if way == -math.inf:
                continue
            taken = edge  # the last possible one stands when rounding leaves a little of the uniform number
            left -= math.exp(way)
            if left < 0.0:
                break
        path[layer] = edge_class[taken]
        node = edge_target[taken]
